from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import timedelta

import values
from hypothesis import given
from hypothesis import strategies as st

from stream.coding import (
    CodedCertificate,
    CodedStatus,
    Correction,
    DecisionKind,
    Modality,
    Route,
    coded_json,
    supersedes,
)
from stream.quality.ledger import Case, Ledger

from .records import T0, coded, decision, ledger, shuffled

DECISIONS = st.builds(
    decision, st.sampled_from("ab"), st.sampled_from(["I21.9", "C34.9", None]), name=st.sampled_from("xyz"),
    kind=st.sampled_from(DecisionKind), version=st.integers(1, 3), blind=st.booleans(), hours=st.sampled_from([1.0, 2.0]),
    supersedes=st.sampled_from([None, "x", "y"]),
)  # fmt: skip
RECORDS = st.lists(st.one_of(values.coded(st.sampled_from("ab")), DECISIONS), max_size=12)


def state(found: Ledger) -> dict[str, Case]:
    return {case.certificate_id: case for case in found}


@given(RECORDS, st.integers(0, 1000))
def test_order_and_repetition_change_nothing(records: list[CodedCertificate | Correction], seed: int) -> None:
    assert state(ledger(records)) == state(ledger(shuffled(records, seed)))


@given(st.lists(values.coded(st.just("a")), min_size=1, max_size=8))
def test_the_standing_record_is_the_one_that_supersedes_all(records: list[CodedCertificate]) -> None:
    case = ledger(records).get("a")
    assert case is not None and case.standing is not None
    best = records[0]
    for record in records:
        best = record if supersedes(record, best) else best
    assert case.standing.underlying == best.underlying
    assert (case.standing.version, case.standing.modality, case.standing.status) == (
        best.version, best.modality, best.status,
    )  # fmt: skip


def test_a_person_s_record_is_not_the_machine_s() -> None:
    case = ledger([coded(), coded(code="C34.9", modality=Modality.HUMAN, hours=9)]).get("a")
    assert case is not None and case.machine is not None and case.standing is not None
    assert (case.machine.underlying.code, case.standing.underlying.code) == ("I21.9", "C34.9")
    assert case.first_at == case.final_at == T0 + timedelta(hours=1)


def test_decisions_on_an_older_version_stay_with_it() -> None:
    first: list[CodedCertificate | Correction] = [coded(), decision(code="C34.9")]
    case = ledger([*first, coded(version=2, route=Route.MANUAL, hours=30)]).get("a")
    assert case is not None and len(case.decided) == 1
    assert case.decisions == () and not case.final and case.final_at is None
    newer = ledger([*first, coded(version=2), decision(version=2, name="n")]).get("a")
    assert newer is not None and [d.decision_id for d in newer.decisions] == ["n"]


def test_decisions_on_another_content_do_not_count() -> None:
    case = ledger([coded(content="h"), decision(content="other"), decision(content="h", name="n")]).get("a")
    assert case is not None and [d.decision_id for d in case.decisions] == ["n"]


def test_a_withdrawal_takes_a_certificate_out_and_a_newer_version_brings_it_back() -> None:
    void = coded(version=2, code=None, status=CodedStatus.WITHDRAWN)
    case = ledger([coded(), void]).get("a")
    assert case is not None and case.withdrawn and not case.counts
    back = ledger([coded(), void, coded(version=3)]).get("a")
    assert back is not None and back.counts


def test_two_contents_of_a_version_are_told() -> None:
    found = ledger([coded("a", content="h"), coded("a", content="g"), coded("b"), coded("b", version=2, content="g")])
    assert [case.conflict for case in found] == [True, False]


def test_records_are_read_as_json_and_others_are_counted() -> None:
    found = Ledger()
    value = coded_json(coded())
    assert found.fold("coded", {"partition": 0, "offset": 7, **value}) is not None
    assert found.fold("coded", {"error": {"code": "BAD"}, "line": 1}) is None
    assert found.fold("corrections", {"decision_id": "x"}) is None
    assert (len(found), found.unread, found.latest) == (1, 2, T0 + timedelta(hours=1))


def test_a_year_of_certificates_fits() -> None:
    """650,000 cases below a gigabyte: 1,500 bytes each."""
    n = 4_000
    tracemalloc.start()
    try:
        found = Ledger()
        for number in range(n):
            name = f"{number:032}"
            record = coded(name, audit=number % 20 == 0, hours=number / 10, confidence=1 / (number + 1))
            value = coded_json(replace(record, content_hash=name))
            found.fold("coded", value)
            if number % 5 == 0:
                found.decide(decision(name, name=f"d{number:030}"))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / n < 1_500
