from __future__ import annotations

import pytest

from stream.coding import Correction, DecisionKind, Modality, Route
from stream.quality import truth
from stream.quality.ledger import Case

from .records import coded, decision, ledger

FIRST, SECOND, ADJUDICATION, UNDO = DecisionKind
A, B, C = "I21.9", "I21.0", "C34.9"


def case(*decisions: Correction, **machine: object) -> Case:
    found = ledger([coded(audit=True, **machine), *decisions]).get("a")  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("decisions", "code", "disputed"),
    [
        ([], None, False),
        ([decision(code=A)], A, False),
        ([decision(code=A), decision(code=A, kind=SECOND)], A, False),
        ([decision(code=A), decision(code=B, kind=SECOND)], None, True),
        ([decision(code=A), decision(code=B, kind=SECOND), decision(code=C, kind=ADJUDICATION)], C, False),
        ([decision(code=B, kind=SECOND)], None, False),
        ([decision(code=A, hours=1), decision(code=B, hours=2)], B, False),
        (
            [decision(code=A, name="x"), decision(code=None, kind=UNDO, supersedes="x", hours=30)],
            None,
            False,
        ),
        (
            [
                decision(code=A, name="x"),
                decision(code=None, kind=UNDO, name="u", supersedes="x", hours=30),
                decision(code=None, kind=UNDO, name="v", supersedes="u", hours=31),
            ],
            A,
            False,
        ),
        ([decision(code=A, name="x", hours=9), decision(code=B, supersedes="x", hours=3)], B, False),
        (
            [decision(code=A), decision(code=B, kind=SECOND, name="y"), decision(kind=UNDO, supersedes="y", hours=30)],
            A,
            False,
        ),
        ([decision(code=None)], None, False),
    ],
)
def test_reference(decisions: list[Correction], code: str | None, disputed: bool) -> None:
    found = truth.reference(case(*decisions))
    assert (found.code if found else None) == code
    assert truth.disputed(case(*decisions)) is disputed


def test_decisions_that_undo_one_another_end() -> None:
    found = case(decision(name="x", supersedes="y", hours=1), decision(code=B, name="y", supersedes="x", hours=2))
    reference = truth.reference(found)
    assert reference is not None and reference.code == B


def test_only_a_blind_decision_on_a_drawn_certificate_is_an_audit() -> None:
    assert truth.audited(case(decision(code=A))) is not None
    assert truth.audited(case(decision(code=A, blind=False))) is None
    seen = ledger([coded(route=Route.MANUAL, audit=False), decision(code=A)]).get("a")
    assert seen is not None and truth.audited(seen) is None and truth.settled(seen) == A


def test_an_adjudication_of_blind_codings_is_an_audit() -> None:
    judged = decision(code=C, kind=ADJUDICATION, blind=False)
    assert truth.audited(case(decision(code=A), decision(code=B, kind=SECOND), judged)) is not None
    assert truth.audited(case(decision(code=A), decision(code=B, kind=SECOND, blind=False), judged)) is None
    assert truth.audited(case(judged)) is None


def test_a_person_s_record_settles_without_a_decision() -> None:
    found = ledger([coded(route=Route.MANUAL), coded(code=C, modality=Modality.HUMAN, hours=40)]).get("a")
    assert found is not None and truth.settled(found) == C
    assert truth.settled_at(found) == found.final_at is not None


def test_the_official_cause_comes_with_the_machine_or_with_the_person() -> None:
    automatic = case(decision(code=B))
    assert automatic.machine is not None and truth.settled_at(automatic) == automatic.machine.coded_at
    manual = case(decision(code=B), route=Route.MANUAL)
    reference = truth.reference(manual)
    assert reference is not None and truth.settled_at(manual) == reference.at
    assert truth.settled_at(case(route=Route.MANUAL)) is None
