"""What a supervisor sees, against a small office whose figures can be counted by hand."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from desk.office import ANNE, BRUNO, CHLOE, NOON, SENIOR, Office, certificate, draft, machine, none
from stream.coding import Route
from stream.desk.figures import Supervision
from stream.desk.throughput import BLIND
from stream.desk.values import Coder
from stream.quality.estimate import Verdict

DAY = NOON.date()


def decide(office: Office, who: Coder, name: str, code: str, seconds: float = 10, **more: Any) -> str:
    claim = office.desk.take(who, name)
    office.clock.pass_(seconds)
    return office.desk.decide(who, claim.claim_id, draft(code, reason="OTHER", **more)).decision_id


def figures(office: Office, days: int = 2) -> Supervision:
    return office.desk.figures(DAY, DAY + timedelta(days=days))


@pytest.fixture
def worked(office: Office) -> Office:
    """Six tasks: one accepted, one changed, one undone, one disputed and judged, two left."""
    for name in "abcdef":
        office.open(name)
    decide(office, ANNE, "a", "I21.9", 20)
    decide(office, ANNE, "b", "C25.9", 40)
    office.desk.undo(BRUNO, decide(office, BRUNO, "c", "C25.9"), "SLIP")
    office.desk.release(BRUNO, office.desk.held(BRUNO)[0].claim_id)
    decide(office, ANNE, "d", "I21.9", 30, second=True)
    decide(office, BRUNO, "d", "I21.4")
    decide(office, SENIOR, "d", "I21.4")
    office.desk.skip(CHLOE, office.desk.take(CHLOE, "e").claim_id, "LATER")
    return office


def test_throughput(worked: Office) -> None:
    found = {one.coder: one for one in figures(worked).coders}
    assert sorted(found) == ["anne", "bruno", "chloe", "senior"]
    anne, bruno = found["anne"], found["bruno"]
    assert (anne.total, anne.proposals, anne.changed, anne.undone, anne.seconds) == (3, 3, 1, 0, 30.0)
    assert anne.hours == pytest.approx(90 / 3600)
    assert anne.an_hour == pytest.approx(120)
    assert anne.reasons == {"ACCEPTED": 2, "OTHER": 1}
    assert anne.routed == {"LOW_CONFIDENCE": 3}
    assert (bruno.decisions, bruno.undone) == ({"FIRST": 1, "UNDO": 1, "SECOND": 1}, 1)
    assert (found["chloe"].skipped, found["chloe"].total, found["chloe"].seconds) == (1, 0, None)


def test_agreement_of_two_coders(worked: Office) -> None:
    found = figures(worked)
    assert (found.asked["exact"].pairs, found.asked["exact"].agree) == (1, 0)
    assert (found.asked["three"].agree, found.asked["shortlist"].agree) == (1, 1)
    assert found.drawn["exact"].pairs == 0
    assert (found.adjudicated, found.first_held, found.second_held) == (1, 0, 1)


def test_backlog(worked: Office) -> None:
    worked.open("blind", audit=True)
    worked.clock.pass_(3_600 - (worked.clock.now - NOON).total_seconds())
    worked.desk.take(ANNE, "e")
    found = figures(worked).backlog
    assert found.stages == {"OPEN": 4, "ESCALATED": 0, "SECOND": 0, "DISPUTED": 0}
    assert found.reasons == {"LOW_CONFIDENCE": 3, BLIND: 1}
    assert (found.held, found.unsent, found.oldest_s, found.waiting) == (1, 7, 3_600.0, 4)
    assert (found.came_a_day, found.done_a_day) == (3.5, 1.5)
    assert found.capacity == 600
    assert found.days_of_work == pytest.approx(4 / 600)


def test_blind_audits_against_the_promise(office: Office) -> None:
    for number in range(40):
        made = certificate(f"auto{number}")
        office.put(machine(made, route=Route.AUTO, at=office.clock.now), none(f"auto{number}", 1))
    for number in range(6):
        office.open(f"drawn{number}", audit=True, route=Route.AUTO)
    for number in range(5):
        decide(office, ANNE, f"drawn{number}", "I21.9" if number else "C25.9")
    found = figures(office)
    assert (found.audits, found.awaited) == (5, 1)
    exact = found.machine["exact"]
    assert (exact.audited, exact.wrong) == (5, 1)
    assert exact.share.value == pytest.approx(0.8)
    (promise,) = [one for one in found.promises if one.stratum == "rest"] or found.promises[-1:]
    assert promise.verdict is not Verdict.KEPT
    assert promise.certificates in (0, 46)


def test_a_decision_that_was_not_blind_measures_nothing(office: Office) -> None:
    office.open("a", route=Route.AUTO)
    decide(office, ANNE, "a", "I21.9")
    assert figures(office).audits == 0


def test_the_record_is_json_and_holds_no_id(worked: Office) -> None:
    shown = json.dumps(figures(worked).record(), allow_nan=False)
    for name in "abcdef":
        assert f'"{name}"' not in shown


def test_other_days_tell_nothing(worked: Office) -> None:
    found = worked.desk.figures(DAY - timedelta(days=9), DAY - timedelta(days=2))
    assert (found.coders, found.audits, found.reasons) == ((), 0, {})
    assert len(found.days) == 7
    assert found.backlog.stages["OPEN"] == 3, "what waits waits now"
