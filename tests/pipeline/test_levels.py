"""What the order on a line means (WHO, volume 2, 4.2.1), and R98 and R99 beside other causes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.coding import CodedLine, Entity, Method, Uncoded, Why
from stream.pipeline.lines import levels, without_nothing

from .core import coded


def line(*entities: tuple[str, int | None]) -> CodedLine:
    return CodedLine(
        tuple(
            Entity(code, 10 * k, 10 * k + 5, 0.9, Method.RULES, "x", due_to=due)
            for k, (code, due) in enumerate(entities)
        )
    )


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        ([], []),
        ([None], [[0]]),
        ([None, None], [[0, 1]]),
        ([1, None], [[0], [1]]),  # A due to B: B stands below
        ([None, 0], [[1], [0]]),  # A leads to B: A stands below
        ([1, 2, None], [[0], [1], [2]]),
        ([None, 0, 1], [[2], [1], [0]]),
        ([2, None, None], [[0, 1], [2]]),
        ([2, 2, None], [[0, 1], [2]]),
        ([1, None, 1], [[0, 2], [1]]),
        ([0], [[0]]),  # a cause of itself
    ],
)
def test_levels(due: list[int | None], expected: list[list[int]]) -> None:
    assert levels(line(*((f"A0{k}.0", d) for k, d in enumerate(due)))) == expected


@st.composite
def some_lines(draw: st.DrawFn) -> CodedLine:
    n = draw(st.integers(0, 6))
    return line(*((f"A0{k}.0", draw(st.one_of(st.none(), st.integers(0, n - 1)))) for k in range(n)))


@given(some_lines())
def test_levels_hold_every_entity_once_whatever_the_causes(found: CodedLine) -> None:
    placed = levels(found)
    assert sorted(k for level in placed for k in level) == list(range(len(found.entities)))
    assert all(placed)


@given(st.lists(st.integers(0, 100), min_size=1, max_size=7))
def test_without_a_circle_every_cause_stands_below(seeds: list[int]) -> None:
    due = [
        None if seed % 3 == 0 or k == len(seeds) - 1 else k + 1 + seed % (len(seeds) - k - 1)
        for k, seed in enumerate(seeds)
    ]
    found = line(*((f"A0{k}.0", d) for k, d in enumerate(due)))
    depth = {k: n for n, level in enumerate(levels(found)) for k in level}
    assert all(depth[cause] > depth[k] for k, cause in enumerate(due) if cause is not None)


@pytest.mark.parametrize(
    ("part1", "underlying"),
    [
        (["choc septique sur péritonite"], "K65.9"),
        (["péritonite compliquée de choc septique"], "K65.9"),
        (["OAP -> choc cardiogénique", "infarctus du myocarde"], "I21.9"),
        (["embolie pulmonaire sur cancer du pancréas"], "C25.9"),
        (["embolie pulmonaire", "cancer du pancréas"], "C25.9"),
    ],
)
def test_a_cause_on_the_line_counts_as_one_below(part1: list[str], underlying: str) -> None:
    assert coded(part1=part1, sex="F", age={"value": 70}).underlying.code == underlying


# R98 and R99


def test_nothing_else_leaves_r99() -> None:
    only = ((line(("R99", None)), line()), (line(("R98", None)),))
    assert without_nothing(*only) == only
    assert coded(part1=["mort de cause inconnue"]).underlying.code == "R99"


def test_a_circumstance_leaves_r99() -> None:
    only = ((line(("R99", None)),), (line(("Z60.2", None)),))
    assert without_nothing(*only) == only


def test_r99_is_told_as_no_cause_beside_another() -> None:
    part1, part2 = without_nothing((line(("R99", None)), line(("J81", None))), (line(("R98", None), ("I10", None)),))
    assert [[e.code for e in found.entities] for found in (*part1, *part2)] == [[], ["J81"], ["I10"]]
    assert part1[0].uncoded == (Uncoded(0, 5, Why.NOT_A_CAUSE),)
    found = coded(part1=["mort de cause inconnue", "OAP"])
    assert [e.code for e in found.entities()] == ["J81"]
    assert [u.why for u in found.part1[0].uncoded] == [Why.NOT_A_CAUSE]


def test_causes_are_counted_anew_where_r99_goes() -> None:
    (found,), _ = without_nothing((line(("R99", None), ("R57.2", 2), ("K65.9", None)),), ())
    assert [(e.code, e.due_to) for e in found.entities] == [("R57.2", 1), ("K65.9", None)]
    (found,), _ = without_nothing((line(("R57.2", 1), ("R99", None)),), ())
    assert [(e.code, e.due_to) for e in found.entities] == [("R57.2", None)]


def test_uncoded_stretches_stay_in_text_order() -> None:
    before = CodedLine(line(("R99", None), ("J81", None)).entities, (Uncoded(20, 25, Why.UNKNOWN_WORDS),))
    (found,), _ = without_nothing((before,), ())
    assert [u.start for u in found.uncoded] == [0, 20]
