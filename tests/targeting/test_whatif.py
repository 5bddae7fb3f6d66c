"""What another policy would have sent where."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from stream.certificate import Age
from stream.coding import CodedCertificate, CodedStatus, Modality, Route, Targeting, Underlying, Versions
from stream.targeting import edits
from stream.targeting.policy import Policy
from stream.targeting.subject import of_coded
from stream.targeting.target import target
from stream.targeting.whatif import compare

from .test_target import FITTED, KEY, POLICY

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)


def record(name: str, code: str, p: float, policy: Policy = POLICY, **fields: object) -> CodedCertificate:
    """A certificate coded, and targeted by a policy."""
    bare = CodedCertificate(
        name, 1, "", CodedStatus.FINAL, Modality.MODEL, Underlying(code, p), Targeting(Route.AUTO), Versions(), AT,
        age=Age(70), received_at=AT,
    )  # fmt: skip
    bare = replace(bare, **fields)  # type: ignore[arg-type]
    found = target(of_coded(bare), policy, edits.load(), KEY)
    return replace(bare, targeting=found.targeting, flags=found.flags)


RECORDS = [
    record("a", "C50.9", 0.99), record("b", "C50.9", 0.85), record("c", "X70", 0.99), record("d", "W19", 0.95),
    record("e", "C50.9", 0.99, flags=("EDIT:SEX_MALE",)),
]  # fmt: skip


def test_the_same_policy_sends_everything_where_it_was_sent() -> None:
    found = compare(RECORDS, POLICY, edits.load(), KEY)
    assert found.moves == {("AUTO", "AUTO"): 3, ("MANUAL", "MANUAL"): 2}
    assert found.before == found.after and found.certificates == 5
    assert found.after.reasons == {"MANDATORY_INTEREST": 1, "REJECT": 1}
    assert found.after.strata == {"rest": (2, 3), "external": (1, 2)}


def test_a_stricter_policy_sends_more_to_people() -> None:
    strata = {name: one.model_copy(update={"normal": one.strict}) for name, one in FITTED.strata.items()}
    stricter = replace(POLICY, thresholds=FITTED.model_copy(update={"strata": strata}))
    found = compare(RECORDS, stricter, edits.load(), KEY)
    assert found.moves == {("AUTO", "AUTO"): 1, ("AUTO", "MANUAL"): 2, ("MANUAL", "MANUAL"): 2}
    assert found.after.reasons["LOW_CONFIDENCE"] == 3
    assert sum(found.after.manual.values()) >= 4 and found.after.busy_days(3) == 1 and found.after.busy_days(0) == 0


def test_what_other_versions_coded_would_all_have_gone_to_people() -> None:
    fitted = FITTED.model_copy(update={"versions": {"lexicon": "another"}})
    found = compare(RECORDS, replace(POLICY, thresholds=fitted), edits.load(), KEY)
    assert found.uncalibrated == 5 and found.after.routes == {"MANUAL": 5}


def test_people_s_records_and_withdrawn_ones_are_passed_over() -> None:
    others = [
        replace(RECORDS[0], modality=Modality.HUMAN), replace(RECORDS[0], status=CodedStatus.WITHDRAWN)
    ]  # fmt: skip
    assert compare(others, POLICY, edits.load(), KEY).certificates == 0
