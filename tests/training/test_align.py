"""Codes laid on a line: in order, each on the place likeliest to mean it; a line without a place for one is left out."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stream.coder.model import MemoryModel
from stream.evaluation import gold
from stream.pipeline.core import Core
from stream.settings import Settings
from stream.text.normal import normalise
from training import written
from training.align import Place, align, lay, places_of
from training.corpus import Scene

CODES = ["I10", "I15.9", "I21.9", "J81", "J44.9", "C34.9"]
SHARED = math.log(0.5)
"""What a second code on one place costs."""

places = st.lists(
    st.builds(
        lambda start, size, says: Place(start, start + size, tuple(says.items())),
        st.integers(0, 12),
        st.integers(1, 5),
        st.dictionaries(st.sampled_from(CODES), st.floats(0.0, 1.0), max_size=3),
    ),
    max_size=4,
).map(lambda found: sorted(found, key=lambda p: (p.start, p.end)))
codes = st.lists(st.sampled_from(CODES), min_size=1, max_size=4)


def allowed(path: Sequence[int], found: Sequence[Place]) -> bool:
    return all(j == k or found[j].end <= found[k].start for j, k in itertools.pairwise(path))


def worth(path: Sequence[int], wanted: Sequence[str], found: Sequence[Place]) -> float:
    shared = sum(j == k for j, k in itertools.pairwise(path))
    return shared * SHARED + sum(math.log(found[k].chance(code)) for code, k in zip(wanted, path, strict=True))


# Laying


@given(codes, places)
def test_codes_keep_their_order_and_share_a_place_or_stand_apart(wanted: list[str], found: list[Place]) -> None:
    laid = lay(wanted, found)
    if laid is None:
        assert not found
        return
    assert len(laid) == len(wanted)
    for j, k in itertools.combinations(laid, 2):
        assert j == k or found[j].end <= found[k].start
    for k in set(laid):
        at = [i for i, one in enumerate(laid) if one == k]
        assert at == list(range(at[0], at[-1] + 1))


@given(codes, places)
def test_no_other_way_is_better(wanted: list[str], found: list[Place]) -> None:
    laid = lay(wanted, found)
    ways = [p for p in itertools.product(range(len(found)), repeat=len(wanted)) if allowed(p, found)]
    assert (laid is None) == (not ways)
    if laid is not None:
        assert tuple(laid) in ways
        assert math.isclose(worth(laid, wanted, found), max(worth(p, wanted, found) for p in ways), abs_tol=1e-9)


def test_without_codes_or_places_there_is_nothing_to_lay() -> None:
    assert lay(["I10"], []) is None
    assert not lay([], [Place(0, 3)])


def test_a_code_goes_where_it_is_said() -> None:
    found = [Place(0, 3, (("J81", 0.9),)), Place(4, 7, (("I10", 0.9),)), Place(8, 11)]
    assert lay(["I10"], found) == [1]
    assert lay(["J81", "I10", "R53"], found) == [0, 1, 2]
    assert lay(["I10", "J81"], found) == [1, 2]


def test_two_codes_of_one_wording_share_its_place() -> None:
    found = [Place(0, 3, (("J81", 0.9),)), Place(4, 20, (("X42", 0.9), ("T40.1", 0.9)))]
    assert lay(["X42", "T40.1"], found) == [1, 1]
    assert lay(["J81", "X42", "T40.1"], found) == [0, 1, 1]


@given(st.sampled_from(CODES), st.floats(0.0, 1.0))
def test_a_place_means_first_its_code_then_its_category_then_its_chapter(code: str, sure: float) -> None:
    place = Place(0, 3, ((code, sure),))
    near, far, stranger = (place.chance(other) for other in (f"{code[:3]}.0", "I50.9", "C50.9"))
    assert place.chance(code) == max(sure, 0.01) and near == max(0.3 * sure, 0.01)
    assert far == (max(0.05 * sure, 0.01) if code[0] == "I" else 0.01)
    assert stranger == (max(0.05 * sure, 0.01) if code[0] == "C" else 0.01)


def test_words_that_no_coder_knows_rather_mean_a_code_than_words_that_mean_another() -> None:
    assert Place(0, 3).chance("I10") > Place(0, 3, (("J81", 1.0),)).chance("I10")


# Places of a line


@cache
def core() -> Core:
    return Core(None, Settings())


def read_line(text: str) -> Any:
    from stream.pipeline.record import Incoming

    record = {"certificate_id": "A", "part1": [text]}
    (line,) = core().prepare_certificate(core().certificate(record), Incoming(None)).read.lines
    return line


def test_places_are_what_coders_said_then_the_segments_of_which_they_said_nothing() -> None:
    line = read_line("zygoma, oedeme aigu")
    (bare, said) = [(segment.start, segment.end) for segment in line.segments]
    found = places_of(line, [(*said, "J81", 0.4), (*said, "J81", 0.8), (*said, "R60.9", 0.3)])
    assert found == [Place(*bare), Place(*said, (("J81", 0.8), ("R60.9", 0.3)))]
    assert places_of(line, []) == [Place(*bare), Place(*said)]


# Whole certificates


def certificate(*part1: Any, part2: Sequence[str] = (), lists: Mapping[str, Any], **fields: Any) -> gold.Gold:
    record = {"certificate_id": "A", "part1": list(part1), "gold": {"underlying": "I10", **lists}, **fields}
    return gold.of(record | ({"part2": list(part2)} if part2 else {}))


async def mentions(
    one: gold.Gold, words: Mapping[str, str] | None = None
) -> tuple[list[dict[str, tuple[str, ...]]], int]:
    """Words and codes of each line that was kept, and how many were not."""
    found, lost = await align([one], core(), MemoryModel(words or {}))
    return [{s.line.text[a:b]: codes for a, b, codes in s.line.mentions} for s in found], lost


async def test_codes_find_the_words_that_the_rules_know() -> None:
    one = certificate(
        "OAP sur FA", part2=["HTA, BPCO"], lists={"part1": [["J81", "I48.9"]], "part2": [["I10", "J44.9"]]}
    )
    assert await mentions(one) == ([{"OAP": ("J81",), "FA": ("I48.9",)}, {"HTA": ("I10",), "BPCO": ("J44.9",)}], 0)


async def test_codes_find_the_words_that_the_model_sees() -> None:
    one = certificate("HTA zygoma aigu", lists={"part1": [["I10", "C34.9"]]})
    assert await mentions(one, {"zygoma aigu": "C34.9"}) == ([{"HTA": ("I10",), "zygoma aigu": ("C34.9",)}], 0)


async def test_a_code_that_nobody_knows_goes_to_the_segment_that_nobody_knows() -> None:
    one = certificate("HTA, zygoma bleu", lists={"part1": [["I10", "C34.9"]]})
    assert await mentions(one) == ([{"HTA": ("I10",), "zygoma bleu": ("C34.9",)}], 0)


async def test_words_that_were_not_coded_get_no_mention() -> None:
    one = certificate("OAP sur FA", "HTA", lists={"part1": [["I48.9"], []]})
    assert await mentions(one) == ([{"FA": ("I48.9",)}, {}], 0)


async def test_codes_of_an_office_are_written_as_causa_writes_them() -> None:
    one = certificate("OAP sur FA", lists={"part1": [["J81", "I489"]]})
    assert await mentions(one) == ([{"OAP": ("J81",), "FA": ("I48.9",)}], 0)


async def test_two_codes_of_one_wording_stand_together() -> None:
    one = certificate("HTA, zygoma bleu", lists={"part1": [["I10", "X42", "T40.1"]]})
    assert await mentions(one) == ([{"HTA": ("I10",), "zygoma bleu": ("X42", "T40.1")}], 0)


async def test_a_line_of_which_one_place_has_three_codes_is_left_out_and_counted() -> None:
    one = certificate("zygoma bleu", "HTA", lists={"part1": [["X42", "T40.1", "T42.4"], ["I10"]]})
    assert await mentions(one) == ([{"HTA": ("I10",)}], 1)


async def test_a_line_without_a_place_is_left_out_and_counted() -> None:
    one = certificate("?", "HTA", "", lists={"part1": [["J81"], ["I10"], ["J81"]]})
    assert await mentions(one) == ([{"HTA": ("I10",)}], 2)


async def test_a_certificate_without_text_is_left_out_and_its_lines_are_counted() -> None:
    rows = [certificate("", "", lists={"part1": [["J81"], []]}), certificate("HTA", lists={"part1": [["I10"]]})]
    found, lost = await align(rows, core(), MemoryModel({}))
    assert [scene.line.text for scene in found] == ["HTA"] and lost == 2


async def test_a_record_that_is_no_certificate_is_left_out_and_its_lines_are_counted() -> None:
    rows = [
        certificate("OAP", lists={"part1": [["J81"]]}, sex="X"), certificate("HTA", lists={"part1": [["I10"]]}),
    ]  # fmt: skip
    assert rows[0].certificate is None
    found, lost = await align(rows, core(), MemoryModel({}))
    assert [scene.line.text for scene in found] == ["HTA"] and lost == len(rows[0].lines)


async def test_nothing_of_nothing() -> None:
    assert await align([], core(), MemoryModel({})) == ([], 0)


async def test_a_scene_knows_its_certificates_conditions_and_other_lines() -> None:
    one = certificate("pendaison", part2=["HTA"], lists={"part1": [["X70"]], "part2": [["I10"]]}, sex="F")
    (first, second), _ = await align([one], core(), MemoryModel({}))
    assert first.holds == second.holds >= {"female", "suicide"}
    assert (first.around, second.around) == (normalise("HTA").text, normalise("pendaison").text)


@cache
def aligned() -> list[tuple[written.WrittenLine, Scene]]:
    """Written lines, of which the places of codes are known, with where `align` puts them."""
    found = []
    for one in written.load("dev")[:150]:
        scenes, lost = asyncio.run(align([gold.of(one.gold())], core(), MemoryModel({})))
        if not lost:
            found += list(zip(one.lines, scenes, strict=True))
    assert len(found) > 200
    return found


def test_mentions_lie_in_their_line_in_order_with_its_codes() -> None:
    for line, scene in aligned():
        assert scene.line.text == line.text
        reach = 0
        for start, end, named in scene.line.mentions:
            assert reach <= start < end <= len(line.text) and 1 <= len(named) <= 2
            reach = end
        assert scene.line.codes == line.codes


def test_most_codes_find_the_words_that_were_meant() -> None:
    right = total = 0
    for line, scene in aligned():
        for start, end, named in line.mentions:
            total += 1
            right += any(a < end and start < b and named[0] in other for a, b, other in scene.line.mentions)
    assert right / total > 0.9
