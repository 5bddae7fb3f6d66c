from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.coding import CodedStatus, Modality, Route
from stream.quality.delays import DAY_S, delay
from stream.quality.rates import Rates

from .records import T0, coded, decision, ledger

NOW = T0 + timedelta(days=10)


def rates(*records: object, capacity: int = 10) -> Rates:
    found = Rates(NOW, capacity)
    for case in ledger(list(records)):  # type: ignore[arg-type]
        found.add(case)
    return found


def test_delays_without_waiting_are_plain_quantiles() -> None:
    found = delay([n * DAY_S for n in range(1, 11)], [1] * 10)
    assert (found.p50, found.p90) == pytest.approx((5, 9))
    assert (found.day, found.week) == pytest.approx((0.1, 0.7))


def test_who_still_waits_is_not_left_out() -> None:
    """Kaplan and Meier by hand: one of four ends at 1, one is censored at 2, one ends at 3, one is censored at 4."""
    found = delay([DAY_S, 2 * DAY_S, 3 * DAY_S, 4 * DAY_S], [1, 0, 1, 0])
    assert found.day == pytest.approx(0.25)
    assert found.p50 == pytest.approx(3)
    assert found.p90 is None and found.week is None
    assert dict(found.curve)[3.0] == pytest.approx(1 - 0.75 * 0.5)


def test_no_certificate_has_no_delay() -> None:
    assert delay([], []).p50 is None


@given(st.lists(st.tuples(st.floats(0, 1e7), st.booleans()), min_size=1, max_size=40))
def test_the_curve_rises_between_nothing_and_all(rows: list[tuple[float, bool]]) -> None:
    found = delay([s for s, _ in rows], [d for _, d in rows])
    shares = [share for _, share in found.curve]
    assert shares == sorted(shares) and all(-1e-9 <= share <= 1 + 1e-9 for share in shares)
    assert found.done == sum(d for _, d in rows)


def test_modalities_tell_who_gave_the_official_cause() -> None:
    found = rates(
        coded("a"), coded("b", modality=Modality.RULES), coded("c", route=Route.MANUAL),
        coded("d", route=Route.MANUAL), decision("d"), coded("e", audit=True), decision("e"),
        coded("f", status=CodedStatus.WITHDRAWN), decision("ghost"),
    )  # fmt: skip
    assert dict(found.modalities) == {"MODEL": 1, "RULES": 1, "AWAITED": 1, "HUMAN": 2}
    assert (found.certificates, found.withdrawn, found.strangers) == (5, 1, 1)
    assert found.reasons["LOW_CONFIDENCE"] == 2
    assert found.groups["source"]["ELECTRONIC"].total() == 5


def test_the_queue_holds_tasks_and_audits_that_nobody_settled() -> None:
    found = rates(
        coded("a", route=Route.MANUAL, hours=24), coded("b", audit=True, hours=120),
        coded("c", audit=True), decision("c"), coded("d"), capacity=4,
    ).queue  # fmt: skip
    assert (found.manual, found.audits, found.days) == (1, 1, 0.5)
    assert found.oldest_days == pytest.approx(9)
    assert found.a_day == pytest.approx(3 / 28)
    assert rates(capacity=0).queue.days is None


def test_delays_run_from_receipt() -> None:
    found = rates(coded("a", hours=2), coded("b", route=Route.MANUAL, hours=3), decision("b", hours=48)).delays
    assert found["first"].p50 == pytest.approx(2 / 24)
    assert found["final_by_people"].p50 == pytest.approx(2)
    assert rates(coded("a", received=None)).delays["final"].certificates == 0
    assert rates(coded("a", hours=-2)).delays["first"].p50 == 0


def test_marks_edits_and_weeks() -> None:
    found = rates(
        coded("a", flags=("UNCERTIFIED", "EDIT:SEX-1", "INTEREST:x"), unknown=0.5, confidence=0.8), coded("b")
    ).record()
    assert found["marks"] == {"UNCALIBRATED": 0, "UNCERTIFIED": 1}
    assert found["edits"] == {"SEX-1": 1}
    assert found["weeks"] == {
        "2026-W02": {"certificates": 2, "unknown_words": 0.25, "mean_confidence": pytest.approx(0.85)}
    }
