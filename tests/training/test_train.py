"""Training: losses fall, an interruption leaves no trace, and a model that begins from another one keeps what it knows."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("tokenizers", reason="the extra `train` is not installed")
pytest.importorskip("onnx", reason="the extra `train` is not installed")

import torch

from stream.coder import expressions
from stream.text.normal import normalise
from training import batches, checkpoint, train
from training.batches import Batches
from training.corpus import Corpus, Example, Span
from training.network import Encoder, Head, Shape
from training.tokens import LONGEST, load_tokenizer, train_tokenizer
from training.train import Plan, begin, classes, learn, prepare, rate, subwords

LINES = list(islice(Corpus(5, certificates=()), 700))
STEPS = 30


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Batches and threads fit for a tiny network."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "BATCH", 48)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("subwords") / "tokenizer.json"
    train_tokenizer(normalise(example.text).text for example in LINES).save(str(path))
    return path


def plan(folder: Path, tokenizer: Path, **others: Any) -> Plan:
    """A tiny training, which need not make sub-words of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    return replace(Plan(folder, STEPS, 300, seed=4, peak=2e-2, width=64, layers=1), **others)


def trained(what: Plan) -> Path:
    return train.train(what, iter(LINES))


def same(one: Path, other: Path) -> bool:
    a, b = checkpoint.load(one), checkpoint.load(other)
    return a.note | {"minutes": 0} == b.note | {"minutes": 0} and all(
        x[name].equal(y[name]) for x, y in ((a.encoder, b.encoder), (a.head, b.head)) for name in x
    )


class Steps:
    """`learn` that keeps its losses and stops, as by Ctrl-C, behind the last step that it may do."""

    def __init__(self, last: int | None = None) -> None:
        self.losses: list[dict[str, float]] = []
        self._last = last

    def __call__(self, *batch: Any) -> dict[str, float]:
        if len(self.losses) == self._last:
            raise KeyboardInterrupt
        self.losses.append(learn(*batch))
        return self.losses[-1]


@pytest.fixture(scope="module")
def whole(
    small: None, tmp_path_factory: pytest.TempPathFactory, tokenizer: Path
) -> tuple[Path, list[dict[str, float]]]:
    """A training that nothing interrupted, and the losses of its steps."""
    steps = Steps()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "learn", steps)
        model = trained(plan(tmp_path_factory.mktemp("whole"), tokenizer))
    return model, steps.losses


# A training


def test_losses_fall(whole: tuple[Path, list[dict[str, float]]]) -> None:
    _, losses = whole
    assert len(losses) == STEPS
    for name in ("tag", "code", "second"):
        first, last = (sum(one[name] for one in part) for part in (losses[:5], losses[-5:]))
        assert last < first


def test_what_is_left_of_a_training_is_its_model(whole: tuple[Path, list[dict[str, float]]]) -> None:
    model, _ = whole
    assert model.name == "model.pt" and not (model.parent / "checkpoint.pt").exists()
    found = checkpoint.load(model)
    main, seconds = classes()
    assert (found.codes, found.seconds) == (main, seconds)
    assert (found.shape.width, found.shape.layers, found.shape.heads, found.shape.positions) == (64, 1, 1, LONGEST)
    note = {"lexicon": expressions.load().version, "seed": 4, "steps": STEPS, "rows": 300}
    assert {name: found.note[name] for name in note} == note


@pytest.mark.parametrize("stops", [[1], [11], [7, 8, 14]], ids=str)
def test_an_interruption_leaves_no_trace(
    stops: list[int], whole: tuple[Path, list[dict[str, float]]], tokenizer: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(train, "_SAVE_S", 0.0)
    what = plan(tmp_path / "run", tokenizer)
    losses: list[dict[str, float]] = []
    for stop in stops:
        steps = Steps(stop)
        monkeypatch.setattr(train, "learn", steps)
        with pytest.raises(KeyboardInterrupt):
            trained(what)
        losses += steps.losses
    steps = Steps()
    monkeypatch.setattr(train, "learn", steps)
    model = trained(what)
    assert losses + steps.losses == whole[1] and len(steps.losses) == STEPS - sum(stops)
    assert same(model, whole[0]) and not (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_training_interrupted_while_it_writes_goes_on_from_what_it_wrote_before(
    whole: tuple[Path, list[dict[str, float]]], tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = plan(tmp_path / "run", tokenizer)
    monkeypatch.setattr(train, "_SAVE_S", 0.0)
    monkeypatch.setattr(train, "learn", Steps(6))
    with pytest.raises(KeyboardInterrupt):
        trained(what)
    (what.out / "checkpoint.part").write_bytes(b"half a checkpoi")
    monkeypatch.setattr(train, "learn", learn)
    assert same(trained(what), whole[0])


def test_a_training_goes_on_with_the_classes_that_it_began_with(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = plan(tmp_path / "run", tokenizer, steps=3)
    began = classes()
    monkeypatch.setattr(train, "_SAVE_S", 0.0)
    monkeypatch.setattr(train, "learn", Steps(1))
    with pytest.raises(KeyboardInterrupt):
        trained(what)
    monkeypatch.setattr(train, "learn", learn)
    monkeypatch.setattr(train, "classes", lambda: (began[0][:-1], [*began[1], "Z99.9"]))
    found = checkpoint.load(trained(what))
    assert (found.codes, found.seconds) == began


def test_a_finished_training_is_not_done_again(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = plan(tmp_path, tokenizer, steps=2)
    model = trained(what)
    before = model.read_bytes()
    monkeypatch.setattr(train, "learn", Steps(0))
    monkeypatch.setattr(train, "prepare", None)
    assert trained(what) == model and model.read_bytes() == before


OTHERS: list[dict[str, Any]] = [{"seed": 5}, {"steps": 3}, {"rows": 200}, {"peak": 1e-2}, {"source": "office"}]


@pytest.mark.parametrize("others", OTHERS, ids=str)
def test_a_finished_training_of_another_plan_is_no_reason_not_to_train(
    others: dict[str, Any], tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = plan(tmp_path, tokenizer, steps=1)
    trained(what)
    steps = Steps()
    monkeypatch.setattr(train, "learn", steps)
    found = checkpoint.load(trained(replace(what, **others)))
    assert len(steps.losses) == others.get("steps", 1) and others.items() <= found.note.items()


@pytest.mark.parametrize("others", OTHERS, ids=str)
def test_a_checkpoint_of_another_plan_is_left_aside(
    others: dict[str, Any], tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = plan(tmp_path / "run", tokenizer, steps=2)
    monkeypatch.setattr(train, "_SAVE_S", 0.0)
    monkeypatch.setattr(train, "learn", Steps(1))
    with pytest.raises(KeyboardInterrupt):
        trained(what)
    assert (what.out / "checkpoint.pt").exists()
    monkeypatch.setattr(train, "learn", learn)
    alone = trained(plan(tmp_path / "alone", tokenizer, **{"steps": 2} | others))
    assert same(trained(replace(what, **others)), alone) and not (what.out / "checkpoint.pt").exists()


def test_another_seed_gives_another_model(tokenizer: Path, tmp_path: Path) -> None:
    encoder, other = (
        checkpoint.load(trained(plan(tmp_path / str(seed), tokenizer, seed=seed, steps=1))).encoder for seed in (4, 5)
    )
    assert not any(encoder[name].equal(other[name]) for name in ("tokens.weight", "positions.weight"))


def test_a_finished_training_of_other_sizes_is_no_reason_not_to_train(tokenizer: Path, tmp_path: Path) -> None:
    what = plan(tmp_path, tokenizer, steps=1)
    trained(what)
    assert checkpoint.load(trained(replace(what, width=128, layers=2))).shape.width == 128


def test_every_hundred_steps_are_told_and_logged(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int, dict[str, float]]] = []
    monkeypatch.setattr(train, "learn", lambda *batch: {"tag": 1.0, "code": 2.0, "second": 3.0, "right": 0.5})
    train.train(plan(tmp_path, tokenizer, steps=250), iter(LINES), lambda *one: told.append(one))
    assert [(done, steps) for done, steps, _ in told] == [(100, 250), (200, 250)]
    rows = [json.loads(row) for row in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows == [{"step": done, **losses} for done, _, losses in told]
    assert {"tag", "code", "second", "right", "minutes"} <= set(rows[0])


# Steps


def test_steps_on_one_batch_learn_it(tokenizer: Path, tmp_path: Path) -> None:
    what = plan(tmp_path, tokenizer)
    spoken = load_tokenizer(tokenizer)
    main, seconds = classes()
    encoder, head, _ = begin(what, spoken, None, main, seconds)
    batch = Batches(prepare(what, spoken, iter(LINES)), main, seconds, 1)[0]
    parameters = [*encoder.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=5e-3)
    losses = [learn(encoder, head, batch, optimiser, parameters) for _ in range(40)]
    assert losses[-1]["code"] < 0.7 * losses[0]["code"] and losses[-1]["tag"] < 0.5 * losses[0]["tag"]
    assert losses[-1]["right"] > losses[0]["right"]


@pytest.mark.parametrize("steps", [30, 1_000, 16_000])
def test_the_rate_rises_then_falls_to_a_fiftieth(steps: int) -> None:
    shares = [rate(step, steps) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)
    top = shares.index(max(shares))
    assert shares[: top + 1] == sorted(shares[: top + 1]) and shares[top:] == sorted(shares[top:], reverse=True)
    assert top <= 300 and rate(steps, steps) == pytest.approx(0.02 * min(1, (steps + 1) / 300))


# Rows


def test_rows_are_made_once_and_are_as_many_as_planned(tokenizer: Path, tmp_path: Path) -> None:
    what, spoken = plan(tmp_path, tokenizer), load_tokenizer(tokenizer)
    path = prepare(what, spoken, iter(LINES))
    assert len(Batches(path, *classes(), 1)) == 300
    assert prepare(what, spoken, iter([])) == path and len(Batches(path, *classes(), 1)) == 300


def test_rows_of_the_corpus_are_of_their_seed(tokenizer: Path, tmp_path: Path) -> None:
    spoken = load_tokenizer(tokenizer)
    one, other = (prepare(plan(tmp_path / name, tokenizer, rows=40), spoken) for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_rows_are_kept_by_seed_number_and_source(tokenizer: Path, tmp_path: Path) -> None:
    what, spoken = plan(tmp_path, tokenizer, rows=20), load_tokenizer(tokenizer)
    plans = [what, *(replace(what, **others) for others in ({"seed": 5}, {"rows": 21}, {"source": "0a1b2c3d"}))]
    names = [prepare(one, spoken, iter(LINES)).name for one in plans]
    words = f"{zlib.crc32((tmp_path / 'tokenizer.json').read_bytes()):08x}"
    assert names == [
        f"rows-{what}.npz" for what in (f"4-20-{words}", f"5-20-{words}", f"4-21-{words}", f"4-20-{words}-0a1b2c3d")
    ]


def test_rows_of_another_source_are_not_taken_for_the_runs(tokenizer: Path, tmp_path: Path) -> None:
    what, spoken = plan(tmp_path, tokenizer, rows=20), load_tokenizer(tokenizer)
    office = [Example("sepsis", "", (Span(0, 6, ("A41.9",)),))] * 20
    other = replace(what, source="office")
    before = prepare(what, spoken, iter(LINES)).read_bytes()
    assert prepare(other, spoken, iter(office)).read_bytes() != before
    assert prepare(what, spoken, iter([])).read_bytes() == before  # and those of the corpus stay


def test_rows_of_other_subwords_are_not_taken_for_the_runs(tokenizer: Path, tmp_path: Path) -> None:
    init = other_model(tmp_path / "before", tokenizer)
    other = tmp_path / "tokenizer.json"
    train_tokenizer(["sepsis sur pneumopathie"] * 3).save(str(other))
    own = plan(tmp_path / "run", other, rows=20)
    before = prepare(own, subwords(own, None), iter(LINES)).read_bytes()
    again = replace(own, init=init)
    assert prepare(again, subwords(again, None), iter(LINES)).read_bytes() != before


# Beginning from another model


def other_model(folder: Path, tokenizer: Path) -> Path:
    """A finished run that knew its codes in another order, two of today's not, and one that is no more."""
    main, seconds = classes()
    codes, others = [*reversed(main[2:]), "Z00.X"], ["", *reversed(seconds[2:])]
    shape = Shape(load_tokenizer(tokenizer).get_vocab_size(), len(codes), len(others), 64, 1, 2, 96, LONGEST, post=True)
    torch.manual_seed(9)
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    checkpoint.save(folder / "model.pt", Encoder(shape), Head(shape), shape, codes, others, {})
    return folder / "model.pt"


def test_a_model_begins_with_the_weights_and_sizes_of_another_codes_by_name(tokenizer: Path, tmp_path: Path) -> None:
    init = other_model(tmp_path / "before", tokenizer)
    before = checkpoint.load(init)
    what = Plan(tmp_path / "run", 1, 200, init=init)
    spoken = subwords(what, None)
    assert (what.out / "tokenizer.json").read_bytes() == tokenizer.read_bytes()
    main, seconds = classes()
    encoder, head, shape = begin(what, spoken, None, main, seconds)
    assert shape == replace(before.shape, codes=len(main), seconds=len(seconds))
    assert all(encoder.state_dict()[name].equal(weight) for name, weight in before.encoder.items())
    own = head.state_dict()
    assert own["mix.weight"].equal(before.head["mix.weight"]) and own["mix.bias"].equal(before.head["mix.bias"])
    for layer, there, here in (("codes", before.codes, main), ("seconds", before.seconds, seconds)):
        for part in ("weight", "bias"):
            new, old = own[f"{layer}.{part}"], before.head[f"{layer}.{part}"]
            known = [(i, there.index(code)) for i, code in enumerate(here) if code in there][::50]
            assert len(known) > 1 and all(new[i].equal(old[j]) for i, j in known)


def test_a_training_that_begins_from_another_goes_on_from_it(tokenizer: Path, tmp_path: Path) -> None:
    init = other_model(tmp_path / "before", tokenizer)
    model = train.train(Plan(tmp_path / "run", 1, 200, peak=1e-6, init=init), iter(LINES))
    before, after = checkpoint.load(init), checkpoint.load(model)
    for name, weight in before.encoder.items():
        assert torch.allclose(weight, after.encoder[name], atol=1e-6)


def test_subwords_are_those_of_the_weights_that_a_training_begins_from(tokenizer: Path, tmp_path: Path) -> None:
    init = other_model(tmp_path / "before", tokenizer)
    other = tmp_path / "tokenizer.json"
    train_tokenizer(["sepsis sur pneumopathie"] * 3).save(str(other))
    found = subwords(plan(tmp_path / "run", other, init=init), None)
    assert found.get_vocab() == load_tokenizer(tokenizer).get_vocab()
    assert (tmp_path / "run" / "tokenizer.json").read_bytes() == tokenizer.read_bytes()


def test_subwords_are_kept_between_runs(tokenizer: Path, tmp_path: Path) -> None:
    found = subwords(plan(tmp_path, tokenizer), None)
    assert found.get_vocab() == load_tokenizer(tokenizer).get_vocab()


def test_classes_are_in_a_fixed_order_and_no_second_code_comes_first() -> None:
    main, seconds = classes()
    assert main == sorted(set(main)) and seconds[0] == "" and seconds[1:] == sorted(set(seconds[1:]))
    assert set(seconds[1:]) <= set(main)
