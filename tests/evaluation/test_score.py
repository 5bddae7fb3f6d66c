"""Counts against gold, on cases made by hand and on any."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise, product
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.coding import CodedCertificate, Method, Route
from stream.evaluation.gold import Gold, of
from stream.evaluation.score import Miss, Reliability, Score, Share, Tally, confused, score
from stream.nomenclature.icd10 import chapter

from . import coded, entity, gold, line, lost

CODES = ["I21.0", "I21.9", "I50.9", "I10", "J18.9", "J81", "C34.9", "C78.0", "R99", "U04.9"]
"""Some share a category, some a chapter only."""

some = st.lists(st.sampled_from(CODES), max_size=5)


def counts(found: Tally) -> tuple[int, int, int]:
    return found.right, found.proposed, found.expected


def share(found: Share) -> tuple[int, int]:
    return found.right, found.total


def one(want: Gold, got: CodedCertificate | None) -> Score:
    return score([(want, got)])


# Entities and lines


def test_all_right() -> None:
    found = one(gold(["J81", "I10"], [], part2=[["E11.9"]]), coded(line("I10", "J81"), line(), part2=[line("E11.9")]))
    assert counts(found.exact) == counts(found.three) == (3, 3, 3)
    assert found.exact.precision == found.exact.recall == found.exact.f1 == 1.0
    assert share(found.lines) == (3, 3) and share(found.certificates) == share(found.underlying) == (1, 1)
    assert found.misses == [] and not found.confusions and found.unreadable == 0


def test_a_code_of_another_line_is_an_error_on_both() -> None:
    found = one(gold(["J81"], ["I10"]), coded(line("I10"), line("J81")))
    assert counts(found.exact) == (0, 2, 2) and share(found.lines) == (0, 2)
    assert found.confusions == {("J81", "I10"): 1, ("I10", "J81"): 1}


def test_part_2_is_not_part_1() -> None:
    found = one(gold(["J81"], part2=[["I10"]]), coded(line("I10"), part2=[line("J81")]))
    assert counts(found.exact) == (0, 2, 2)


@pytest.mark.parametrize(
    ("want", "got", "right"),
    [
        (["J81"], ["J81", "J81"], 1),
        (["J81", "J81"], ["J81"], 1),
        (["J81", "J81"], ["J81", "J81"], 2),
        (["J81", "I10"], ["J81", "J81"], 1),
    ],
)
def test_a_code_counts_as_often_as_it_stands(want: list[str], got: list[str], right: int) -> None:
    found = one(gold(want), coded(line(*got)))
    assert counts(found.exact) == (right, len(got), len(want))
    assert share(found.methods["RULES"]) == (right, len(got))
    assert share(found.lines) == (int(sorted(want) == sorted(got)), 1)


def test_three_characters_forgive_the_fourth() -> None:
    found = one(gold(["I21.0", "I21.9"], cause="I21.0"), coded(line("I21.9", "I21.4"), cause="I21.4"))
    assert counts(found.exact) == (1, 2, 2) and counts(found.three) == (2, 2, 2)
    assert share(found.underlying) == (0, 1) and share(found.underlying_three) == (1, 1)


@pytest.mark.parametrize("form", ["J18.9", "J189", "j18.9", "J18"])
def test_gold_may_be_written_in_any_form(form: str) -> None:
    told = of({"certificate_id": "A", "part1": ["abc"], "gold": {"part1": [[form]], "underlying": form}})
    found = one(told, coded(line("J18.9"), cause="J18.9"))
    assert counts(found.exact) == (1, 1, 1) and share(found.underlying) == (1, 1)
    assert share(found.causes["8.2"]) == (1, 1) and not found.misses
    wrong = one(told, coded(line("J15.9"), cause="J15.9"))
    assert wrong.confusions == {("J18.9", "J15.9"): 1} and [m.gold for m in wrong.misses] == [("J18.9",)] * 2


def test_a_certificate_is_right_when_all_its_lines_are() -> None:
    half = one(gold(["J81"], ["I10"]), coded(line("J81"), line()))
    assert share(half.lines) == (1, 2) and share(half.certificates) == (0, 1) and share(half.underlying) == (1, 1)
    no_code = one(gold([]), coded(line()))
    assert share(no_code.lines) == share(no_code.certificates) == (1, 1) and counts(no_code.exact) == (0, 0, 0)
    made_up = one(gold([]), coded(line("J81")))
    assert share(made_up.lines) == (0, 1) and counts(made_up.exact) == (0, 1, 0)


def test_chapters_count_what_was_missed_and_what_was_made_up() -> None:
    found = one(gold(["J81", "I10"]), coded(line("J81", "C50.9")))
    assert {name: counts(tally) for name, tally in found.chapters.items()} == {
        "X": (1, 1, 1),
        "IX": (0, 0, 1),
        "II": (0, 1, 0),
    }


def test_methods_share_what_is_right_by_who_proposed_it() -> None:
    proposed = (entity("J81", 0.9, Method.RULES), entity("I10", 0.8, Method.MODEL), entity("E11.9", 0.7, Method.BOTH))
    found = one(gold(["J81", "E11.9"]), coded(line(*proposed, entity("C50.9", 0.6, Method.MODEL))))
    assert {name: share(method) for name, method in found.methods.items()} == {
        "RULES": (1, 1),
        "MODEL": (0, 2),
        "BOTH": (1, 1),
    }
    assert found.entity_chances == Reliability([0.9, 0.8, 0.7, 0.6], [True, False, True, False])


def test_two_of_one_code_where_one_is_right_are_one_right_and_one_wrong_chance() -> None:
    found = one(gold(["J81"]), coded(line(entity("J81", 0.9), entity("J81", 0.4, Method.MODEL))))
    assert found.entity_chances == Reliability([0.9, 0.4], [True, False])
    assert share(found.methods["RULES"]) == (1, 1) and share(found.methods["MODEL"]) == (0, 1)


# The underlying cause


@pytest.mark.parametrize(
    ("want", "cause", "exact", "three", "shortlist"),
    [
        ("I21.9", "I21.9", 1, 1, 1),
        ("I21.9", "I21.0", 0, 1, 1),
        ("I21.9", "I22.9", 0, 0, 1),
        ("I21.9", "I25.9", 0, 0, 0),
        ("I21.9", None, 0, 0, 0),
        ("T14.9", None, 0, 0, 0),
        ("T14.9", "T14.9", 1, 1, 1),
        ("T14.9", "T14.1", 0, 1, 0),
        ("T14.9", "S72.0", 0, 0, 0),
        ("Z51.5", "T14.9", 0, 0, 0),
        ("S72.0", "W19", 0, 0, 0),
        ("Y87.0", "Y87.1", 0, 1, 0),
        ("U07.1", "U07.2", 0, 1, 1),
        ("U07.1", "U07.0", 0, 1, 0),
    ],
)
def test_underlying_exact_three_characters_shortlist(
    want: str, cause: str | None, exact: int, three: int, shortlist: int
) -> None:
    found = one(gold(["J81"], cause=want), coded(line("J81"), cause=cause))
    assert share(found.underlying) == (exact, 1) and share(found.underlying_three) == (three, 1)
    assert share(found.underlying_shortlist) == (shortlist, 1)
    assert [share(category) for category in found.causes.values()] == [(shortlist, 1)]


def test_causes_are_counted_under_the_category_of_the_gold() -> None:
    pairs = [(gold([], cause="I21.9"), coded(line(), cause=cause)) for cause in ("I21.9", "I22.0", "C34.9")]
    found = score([*pairs, (gold([], cause="C34.9"), coded(line(), cause="I21.9"))])
    assert {name: share(category) for name, category in found.causes.items()} == {"7.1.1": (2, 3), "2.1.8": (0, 1)}
    assert share(found.underlying_shortlist) == (2, 4)


def test_only_automatic_certificates_count_as_such() -> None:
    results = [
        coded(line("J81")), coded(line("J81"), cause="I10"), coded(line("J81"), route=Route.MANUAL),
        coded(line("J81"), cause="I10", route=Route.MANUAL), coded(line("J81"), cause=None),
    ]  # fmt: skip
    found = score((gold(["J81"]), result) for result in results)
    assert (
        share(found.certificates) == (5, 5) and share(found.underlying) == (2, 5) and share(found.automatic) == (1, 3)
    )


def test_a_cause_that_was_not_found_has_no_chance_but_is_wrong() -> None:
    results = [coded(line(), confidence=0.75), coded(line(), cause="I10", confidence=0.25), coded(line(), cause=None)]
    found = score((gold([]), result) for result in results)
    assert found.underlying_chances == Reliability([0.75, 0.25], [True, False]) and share(found.underlying) == (1, 3)


# Certificates that could not be read


def test_all_that_an_unreadable_certificate_should_have_is_missed() -> None:
    found = one(gold(["J81", "I10"], [], part2=[["E11.9"]]), None)
    assert found.unreadable == 1
    assert counts(found.exact) == counts(found.three) == (0, 0, 3) and share(found.certificates) == (0, 1)
    assert share(found.underlying) == share(found.underlying_three) == share(found.underlying_shortlist) == (0, 1)
    assert share(found.lines) == (0, 3) and share(found.automatic) == (0, 0) and share(found.causes["8.4"]) == (0, 1)
    assert found.confusions == {("J81", ""): 1, ("I10", ""): 1, ("E11.9", ""): 1}
    assert found.methods == {} and found.entity_chances == found.underlying_chances == Reliability()
    assert [(miss.line, miss.gold, miss.found, miss.confidence, miss.steps) for miss in found.misses] == [
        (0, ("J81", "I10"), (), 0.0, ()),
        (2, ("E11.9",), (), 0.0, ()),
        (None, ("J81",), (), 0.0, ("CORE_FAILED",)),
    ]


def test_one_that_could_not_be_read_at_all_is_missed_by_its_row() -> None:
    found = one(lost(["J81", "I10"], [], ["E11.9"], name="row 4"), None)
    assert found.unreadable == 1 and counts(found.exact) == (0, 0, 3)
    assert share(found.certificates) == share(found.underlying) == share(found.underlying_shortlist) == (0, 1)
    assert found.misses == [
        Miss("row 4", 0, "", ("J81", "I10"), (), 0.0),
        Miss("row 4", 2, "", ("E11.9",), (), 0.0),
        Miss("row 4", None, " /  / ", ("J81",), (), 0.0, ("INVALID_CERTIFICATE",)),
    ]


@pytest.mark.parametrize("lines", [[], [[]], [[], []]], ids=str)
def test_what_could_not_be_read_is_never_exact(lines: list[list[str]]) -> None:
    assert share(one(lost(*lines), None).certificates) == (0, 1)


def test_nothing_scores_nothing() -> None:
    assert score([]) == Score()
    told = Score().record()
    assert told["entities"]["exact"]["f1"] == 0.0 and told["underlying"]["exact"]["interval95"] == [0.0, 1.0]
    assert told["calibration"]["entities"] == {"calibration_error": 0, "bins": []} and told["by_chapter"] == {}


# What went wrong


def test_misses_name_the_line_and_the_certificate() -> None:
    want = gold(["J81"], ["I10"], part2=[["E11.9"]], cause="I10", text="OAP", name="N7")
    surest = line(entity("I11.9", 0.8), entity("C50.9", 0.3))
    found = one(want, coded(line("J81"), surest, part2=[line()], cause="J81", confidence=0.6))
    assert found.misses == [
        Miss("N7", 1, "OAP", ("I10",), ("I11.9", "C50.9"), 0.3),
        Miss("N7", 2, "OAP", ("E11.9",), (), 0.0),
        Miss("N7", None, "OAP / OAP / OAP", ("I10",), ("J81",), 0.6, ("SP1",)),
    ]


def test_a_code_missed_is_paired_with_the_likest_wrong_one() -> None:
    assert confused(["I21.0"], ["J81", "I50.9", "I21.9"]) == [("I21.0", "I21.9"), ("", "J81"), ("", "I50.9")]
    assert confused(["I10", "I21.0"], ["I21.9", "I50.9"]) == [("I21.0", "I21.9"), ("I10", "I50.9")]
    assert confused(["I10", "J81"], ["C34.9"]) == [("I10", "C34.9"), ("J81", "")]
    assert confused([], ["C34.9"]) == [("", "C34.9")] and confused([], []) == []


@given(some, some)
def test_every_missed_and_every_wrong_code_appears_once(missed: list[str], wrong: list[str]) -> None:
    before = list(missed), list(wrong)
    pairs = confused(missed, wrong)
    assert (missed, wrong) == before
    assert Counter(want for want, _ in pairs if want) == Counter(missed)
    assert Counter(got for _, got in pairs if got) == Counter(wrong)
    assert ("", "") not in pairs and len(pairs) == max(len(missed), len(wrong))


@given(some, some)
def test_no_pair_could_be_more_alike(missed: list[str], wrong: list[str]) -> None:
    pairs = [(want, got) for want, got in confused(missed, wrong) if want and got]
    for alike in (lambda code: code[:3], chapter):
        possible = Counter(map(alike, missed)) & Counter(map(alike, wrong))
        assert sum(alike(want) == alike(got) for want, got in pairs) == possible.total()


@given(st.lists(st.tuples(some, some), max_size=4), st.sampled_from(CODES), st.sampled_from([None, *CODES]))
def test_counts_agree_with_one_another(lines: list[tuple[list[str], list[str]]], want: str, cause: str | None) -> None:
    result = coded(*(line(*got) for _, got in lines), cause=cause)
    found = one(gold(*(codes for codes, _ in lines), cause=want), result)
    right, proposed, expected = counts(found.exact)
    assert right == sum((Counter(w) & Counter(g)).total() for w, g in lines)
    assert (proposed, expected) == (sum(len(g) for _, g in lines), sum(len(w) for w, _ in lines))
    assert counts(found.three)[1:] == (proposed, expected) and found.three.right >= right
    by_chapter = [counts(tally) for tally in found.chapters.values()]
    assert [sum(column) for column in zip(*by_chapter, strict=True)] == (
        [right, proposed, expected] if by_chapter else []
    )
    assert sum(method.right for method in found.methods.values()) == sum(found.entity_chances.right) == right
    assert sum(method.total for method in found.methods.values()) == len(found.entity_chances.chances) == proposed
    assert sum(n for (code, _), n in found.confusions.items() if code) == expected - right
    assert sum(n for (_, code), n in found.confusions.items() if code) == proposed - right
    assert found.lines.total == len(lines) and found.certificates.right == (found.lines.right == len(lines))
    wrong_lines = sum(miss.line is not None for miss in found.misses)
    assert wrong_lines == len(lines) - found.lines.right and len(found.misses) - wrong_lines == (
        not found.underlying.right
    )
    assert (
        found.underlying.right <= found.underlying_three.right
        and found.underlying.right <= found.underlying_shortlist.right
    )


# Arithmetic


def test_tally_by_hand() -> None:
    found = Tally()
    assert (found.precision, found.recall, found.f1) == (0.0, 0.0, 0.0)
    found.add(Counter(["a", "b", "b"]), Counter(["b", "c"]))
    assert counts(found) == (1, 3, 2)
    assert (found.precision, found.recall, found.f1) == (1 / 3, 1 / 2, 2 / 5)
    found.add(Counter(), Counter(["a"]))
    assert counts(found) == (1, 3, 3)
    assert found.record() == {
        "precision": 0.3333, "recall": 0.3333, "f1": 0.3333, "right": 1, "proposed": 3, "expected": 3
    }  # fmt: skip


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_f1_is_the_harmonic_mean(right: int, wrong: int, missed: int) -> None:
    found = Tally(right, right + wrong, right + missed)
    precision, recall = found.precision, found.recall
    assert found.f1 == pytest.approx(2 * precision * recall / (precision + recall) if right else 0.0)


# Newcombe, Statistics in Medicine 1998; 17: 857-872, table I, method 3 (score, without continuity correction).
@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_against_published_values(right: int, total: int, low: float, high: float) -> None:
    assert Share(right, total).interval() == pytest.approx((low, high), abs=6e-5)
    assert Share(total - right, total).interval() == pytest.approx((1 - high, 1 - low), abs=6e-5)


@given(st.integers(1, 500), st.data())
def test_the_interval_holds_the_rate_and_narrows(total: int, data: st.DataObject) -> None:
    found = Share(data.draw(st.integers(0, total)), total)
    low, high = found.interval()
    assert 0.0 <= low <= found.rate + 1e-12 and found.rate - 1e-12 <= high <= 1.0 and low < high
    wide, more = found.interval(z=2.58), Share(found.right * 4, total * 4).interval()
    assert wide[1] - wide[0] > high - low > more[1] - more[0]


def test_share_by_hand() -> None:
    found = Share()
    assert found.rate == 0.0 and found.interval() == (0.0, 1.0)
    for right in (True, False, True):
        found.add(right)
    assert share(found) == (2, 3) and found.record() == {
        "rate": 0.6667, "right": 2, "total": 3, "interval95": [0.2077, 0.9385]
    }  # fmt: skip


def reliability(*pairs: tuple[float, bool]) -> Reliability:
    found = Reliability()
    for chance, right in pairs:
        found.add(chance, right)
    return found


def test_calibration_error_by_hand() -> None:
    assert Reliability().error == 0 and Reliability().bins() == []
    four = reliability((0.75, True), (1.0, False), (0.5, True), (0.25, False))
    assert four.bins() == [(0.25, 0.0, 1), (0.5, 1.0, 1), (0.75, 1.0, 1), (1.0, 0.0, 1)]
    assert four.error == (0.25 + 0.5 + 0.25 + 1.0) / 4
    # Twenty make ten bins of two: in each the lower chance is wrong and the higher right.
    twenty = reliability(*((n / 32, n % 2 == 1) for n in range(20)))
    assert twenty.bins() == [((4 * n + 1) / 64, 0.5, 2) for n in range(10)]
    assert twenty.error == pytest.approx(sum(abs((4 * n + 1) / 64 - 0.5) for n in range(10)) / 10)
    assert four.record() == {
        "calibration_error": 0.5,
        "bins": [{"stated": p, "right": y, "n": 1} for p, y in ((0.25, 0.0), (0.5, 1.0), (0.75, 1.0), (1.0, 0.0))],
    }


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_bins_share_all_chances_evenly_and_in_order(pairs: list[tuple[float, bool]]) -> None:
    found = reliability(*pairs)
    bins = found.bins()
    sizes = [n for _, _, n in bins]
    assert sum(sizes) == len(pairs) and len(bins) == min(10, len(pairs)) and max(sizes) - min(sizes) <= 1
    assert all(p <= following + 1e-9 for (p, _, _), (following, _, _) in pairwise(bins))
    assert sum(p * n for p, _, n in bins) == pytest.approx(sum(p for p, _ in pairs))
    assert sum(y * n for _, y, n in bins) == pytest.approx(sum(y for _, y in pairs))
    assert 0.0 <= found.error <= 1.0


def test_calibration_does_not_hang_on_the_order_of_the_certificates() -> None:
    rights = [False, True] * 10
    mixed, ordered = (reliability(*((0.5, right) for right in some)) for some in (rights, sorted(rights)))
    assert mixed.error == ordered.error == 0.0
    assert mixed.bins() == ordered.bins() == [(0.5, 0.5, 2)] * 10


@given(st.lists(st.tuples(st.sampled_from([0.25, 0.5, 0.75, 1.0]), st.booleans()), max_size=40), st.randoms())
def test_calibration_is_the_same_in_any_order(pairs: list[tuple[float, bool]], rng: Random) -> None:
    mixed = list(pairs)
    rng.shuffle(mixed)
    one, other = reliability(*pairs), reliability(*mixed)
    assert one.bins() == other.bins() and one.error == other.error and one.record() == other.record()


def test_equal_chances_share_what_came_true_where_bins_cut_them() -> None:
    # Ten at 0.5, of which five right, and ten at 0.9, of which nine: bins of two.
    found = reliability(*((0.5, n < 5) for n in range(10)), *((0.9, n < 9) for n in range(10)))
    assert found.bins() == [(0.5, 0.5, 2)] * 5 + [(pytest.approx(0.9), 0.9, 2)] * 5
    assert found.error == pytest.approx(0.0)


# The record


def test_the_record_holds_the_counts_and_no_text() -> None:
    text = "pendaison confidentielle"
    pairs: list[tuple[Gold, CodedCertificate | None]] = [
        (gold(["J81"], ["I10"], text=text, name="secret-7"), coded(line("J81"), line("I11.9"), confidence=0.75)),
        (gold(["C34.9"], cause="C34.9", text=text, name="secret-8"), coded(line("J81"), route=Route.MANUAL)),
        (gold(["I10"], cause="I10", text=text, name="secret-9"), None),
    ]
    found = score(pairs)
    told = found.record()
    written = json.dumps(told, ensure_ascii=False, allow_nan=False)
    assert found.misses and not any(word in written for word in (*text.split(), "secret"))
    assert told["entities"]["exact"] == found.exact.record() and (found.exact.right, found.exact.expected) == (1, 4)
    assert told["lines_exact"] == found.lines.record() and told["certificates_exact"] == found.certificates.record()
    assert told["underlying"]["exact"]["right"] == 1 and told["underlying"]["european_shortlist"]["total"] == 3
    assert told["automatic"] == found.automatic.record() and (found.automatic.right, found.automatic.total) == (1, 1)
    assert told["unreadable"] == 1 and list(told["by_chapter"]) == ["IX", "X", "II"]
    assert set(told["by_shortlist"]) == {"8.4", "2.1.8", "7.4"} and told["by_method"]["RULES"]["total"] == 3
    assert told["calibration"]["underlying"]["bins"][0] == {"stated": 0.75, "right": 1.0, "n": 1}
    assert {"gold": "I10", "found": None, "n": 1} in told["confusions"]
    assert json.loads(written) == told


def test_confusions_come_commonest_first_and_no_more_than_a_hundred() -> None:
    codes = [f"{letter}{n:02}" for letter, n in product("IJ", range(99))]
    pairs = [(gold([]), coded(line(code))) for code in (*codes, "I10", "I10", "I64")]
    told: list[dict[str, Any]] = score(pairs).record()["confusions"]
    assert len(told) == 100 and told[0] == {"gold": None, "found": "I10", "n": 3}
    assert [one["n"] for one in told] == sorted((one["n"] for one in told), reverse=True)
