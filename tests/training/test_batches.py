"""Batches of kept rows: a number decides which rows they hold and in which order, whatever was asked before."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("tokenizers", reason="the extra `train` is not installed")

from training.batches import BATCH, Batches, save
from training.tokens import Row

MAIN = ["I10", "J81", "X42"]
SECONDS = ["", "T40.1"]
NAMES: tuple[tuple[str, ...], ...] = (("J81",), ("X42", "T40.1"), ("I10",))


def made(count: int, seed: int = 1) -> list[Row]:
    """Rows that their first two tokens tell apart."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        size = rng.randrange(4, 30)
        entities: list[tuple[int, int, tuple[str, ...]]] = []
        tags, at = [0] * size, 2
        while at < size and rng.random() < 0.7:
            last = min(size - 1, at + rng.randrange(3))
            entities.append((at, last, rng.choice(NAMES)))
            tags[at : last + 1] = [1] + [2] * (last - at)
            at = last + 1 + rng.randrange(2)
        ids = [number // 100 + 1, number % 100 + 1, *(rng.randrange(1, 8_000) for _ in range(size - 2))]
        found.append(Row(ids, tags, entities))
    return found


def batches(rows: list[Row], folder: Path, seed: int = 7, main: list[str] | None = None) -> Batches:
    save(folder / "rows.npz", rows)
    return Batches(folder / "rows.npz", main or MAIN, SECONDS, seed)


def numbers(batch: Any) -> list[int]:
    """Which rows a batch holds."""
    return [(int(row[0]) - 1) * 100 + int(row[1]) - 1 for row in batch[0]]


def same(one: Any, other: Any) -> bool:
    return all(a.equal(b) for a, b in zip(one, other, strict=True))


def test_a_batch_is_the_same_whatever_was_asked_before(tmp_path: Path) -> None:
    rows = made(5 * BATCH)
    one = batches(rows, tmp_path)
    whole = [one[k] for k in range(15)]
    order = list(range(15)) * 2
    random.Random(3).shuffle(order)
    asked = Batches(tmp_path / "rows.npz", MAIN, SECONDS, 7)
    assert all(same(asked[k], whole[k]) for k in order)
    assert same(Batches(tmp_path / "rows.npz", MAIN, SECONDS, 7)[14], whole[14])


def test_another_seed_and_another_epoch_give_another_order(tmp_path: Path) -> None:
    rows = made(4 * BATCH)
    one, other = batches(rows, tmp_path, 7), batches(rows, tmp_path, 8)
    first = [numbers(one[k]) for k in range(4)]
    assert first != [numbers(other[k]) for k in range(4)]
    assert first != [numbers(one[k]) for k in range(4, 8)]


@pytest.mark.parametrize(
    ("count", "epoch"),
    [(1, 1), (50, 1), (BATCH, 1), (BATCH + 1, 2), (3 * BATCH - 1, 3), (3 * BATCH, 3), (45 * BATCH, 45),
     (45 * BATCH + 50, 46)],
)  # fmt: skip
def test_every_row_is_seen_once_an_epoch(count: int, epoch: int, tmp_path: Path) -> None:
    one = batches(made(count), tmp_path)
    assert (len(one), one.epoch) == (count, epoch)
    for time in range(3):
        shown = [numbers(one[time * epoch + k]) for k in range(epoch)]
        assert Counter(itertools.chain.from_iterable(shown)) == Counter(range(count))
        assert sorted(map(len, shown))[1:] == [BATCH] * (epoch - 1)


def test_a_batch_holds_its_rows_whole(tmp_path: Path) -> None:
    rows = made(2 * BATCH)
    one = batches(rows, tmp_path)
    entities = 0
    for k in range(2):
        ids, tags, *table = one[k]
        places = [tuple(int(value) for value in entity) for entity in zip(*table, strict=True)]
        entities += len(places)
        for i, number in enumerate(numbers(one[k])):
            row = rows[number]
            size = len(row.ids)
            assert ids[i, :size].tolist() == row.ids and not ids[i, size:].any()
            assert tags[i, :size].tolist() == row.tags and set(tags[i, size:].tolist()) <= {-100}
            assert [place[1:] for place in places if place[0] == i] == [
                (first, last, MAIN.index(codes[0]), SECONDS.index(codes[1]) if len(codes) > 1 else 0)
                for first, last, codes in row.entities
            ]
    assert entities == sum(len(row.entities) for row in rows)


def test_rows_of_one_length_stand_together(tmp_path: Path) -> None:
    one = batches(made(10 * BATCH), tmp_path)
    padded = sum(int((one[k][0] == 0).sum()) for k in range(10)) / sum(one[k][0].numel() for k in range(10))
    assert padded < 0.1


def test_codes_that_have_no_class_are_not_learnt(tmp_path: Path) -> None:
    rows = made(BATCH)
    one = batches(rows, tmp_path, main=["J81"])
    _, _, *table = one[0]
    learnt = sum(codes == ("J81",) for row in rows for _, _, codes in row.entities)
    assert len(table[0]) == learnt > 0 and not table[3].any()


def test_a_second_code_that_has_no_class_is_none(tmp_path: Path) -> None:
    save(tmp_path / "rows.npz", [Row([1, 2, 3], [0, 1, 2], [(1, 2, ("X42", "T42.4"))])])
    *_, main, second = Batches(tmp_path / "rows.npz", MAIN, SECONDS, 1)[0]
    assert (main.tolist(), second.tolist()) == ([2], [0])


def test_rows_without_entities_make_batches_too(tmp_path: Path) -> None:
    ids, tags, *table = batches([Row([1, 1, 5], [0, 0, 0], [])] * 3, tmp_path)[0]
    assert ids.shape == tags.shape == (3, 3) and all(len(column) == 0 for column in table)
