from __future__ import annotations

import random

import pytest

from stream.certificate import Source
from stream.coding import CodedCertificate, Correction, Route
from stream.quality.estimate import ALL, Agreement, Audit, Verdict, disagreements, promises
from stream.targeting.policy import Promise, Rules, Stratum

from .records import coded, decision, ledger

RULES = Rules(
    version="t", promise=Promise(confidence=0.95),
    strata=(Stratum(name="external", codes=(("V01", "Y98"),), error=0.05, audit_rate=0.5),
            Stratum(name="rest", error=0.05, audit_rate=0.1)),
)  # fmt: skip
Records = list[CodedCertificate | Correction]


def audit(records: Records) -> Audit:
    found = Audit()
    for case in ledger(records):
        found.add(case)
    return found


def sample(n: int, wrong: int, stratum: str = "rest", inclusion: float = 0.1, **kind: object) -> Records:
    """So many audited certificates of which so many are wrong, and the others of their stratum."""
    out: Records = []
    for number in range(round(n / inclusion)):
        name, drawn = f"{stratum}-{kind}-{number}", number < n
        out.append(coded(name, audit=drawn, stratum=stratum, inclusion=inclusion, **kind))  # type: ignore[arg-type]
        if drawn:
            out.append(decision(name, "C34.9" if number < wrong else "I21.9"))
    return out


def test_agreement_of_one_stratum_is_exact() -> None:
    found = audit(sample(100, 5)).agreement("exact")
    assert (found.audited, found.wrong) == (100, 5)
    assert found.effective == pytest.approx(100)
    assert (found.share.value, found.share.low, found.share.high) == pytest.approx((0.95, 0.8872, 0.9836), abs=1e-4)


def test_strata_weigh_as_they_are_many() -> None:
    found = audit([*sample(100, 0), *sample(100, 50, "external", 0.5)]).agreement("exact")
    assert found.share.value == pytest.approx((1000 + 100) / 1200)


def test_audits_not_yet_decided_leave_their_weight_to_the_others_of_their_cell() -> None:
    waiting: Records = [coded(f"w{n}", audit=True) for n in range(100)]
    found = audit([*sample(100, 5), *waiting, *sample(100, 50, "external", 0.5)])
    assert found.awaited == 100
    (rest,) = (cell for cell in found.certificates if cell.stratum == "rest")
    assert found.weight(rest) == pytest.approx(20)
    assert found.agreement("exact").share.value == pytest.approx((0.95 * 2000 + 0.5 * 200) / 2200)


def test_levels_and_groups() -> None:
    found = audit([
        coded("a", "I21.9", audit=True, inclusion=1.0), decision("a", "I21.0"),
        coded("b", "I20.9", audit=True, inclusion=1.0, source=Source.PAPER), decision("b", "I21.0"),
        coded("c", "C34.9", audit=True, inclusion=1.0), decision("c", "C34.9"),
    ])  # fmt: skip
    assert [found.agreement(level).wrong for level in ("exact", "three", "shortlist")] == [2, 1, 1]
    by = found.by("chapter", "exact")
    assert {name: (one.audited, one.wrong) for name, one in by.items()} == {"II": (1, 0), "IX": (2, 2)}
    assert set(found.by("source", "exact")) == {"ELECTRONIC", "PAPER"}
    assert set(found.by("month", "exact")) == {"2026-01"}
    assert {one.certificate_id for one in disagreements(found.audited)} == {"a", "b"}


def test_what_the_machine_was_unsure_of_says_nothing_of_the_automatic_part() -> None:
    manual: Records = [coded("m", route=Route.MANUAL), decision("m", "C34.9")]
    drawn = sample(40, 40, route=Route.MANUAL)
    found = audit([*sample(100, 0), *manual, *drawn])
    assert found.agreement("exact").wrong == 0
    assert (found.agreement("exact", ALL).wrong, found.agreement("exact", ALL).audited) == (40, 140)


@pytest.mark.parametrize(
    ("n", "wrong", "verdict", "needed"),
    [(58, 0, "NOT YET PROVEN", 1), (59, 0, "KEPT", 0), (93, 1, "KEPT", 0), (60, 9, "BROKEN", None), (0, 0, "NOT YET PROVEN", 59)],
)  # fmt: skip
def test_verdicts_are_the_exact_binomial_s(n: int, wrong: int, verdict: str, needed: int | None) -> None:
    """59 right ones prove 5 % at 95 %: ln 0.05 / ln 0.95; with one error 93 do."""
    external, rest = promises(audit(sample(n, wrong)), RULES)
    assert external.verdict is Verdict.NOT_YET_PROVEN and external.audited == 0
    assert rest.verdict == verdict
    assert needed is None or rest.needed == needed
    assert (rest.distance <= 0) == (verdict == "KEPT")


def test_a_promise_on_its_bound_is_rarely_called_broken_or_kept() -> None:
    """400 draws of an error right at the bound: each verdict is wrong in 5 % at most, give or take 3 points."""
    rng = random.Random(2)
    calls = [Verdict.NOT_YET_PROVEN] * 0
    for _ in range(400):
        wrong = sum(rng.random() < 0.05 for _ in range(200))
        calls.append(promises(_audited(200, wrong), RULES)[1].verdict)
    assert calls.count(Verdict.KEPT) / 400 <= 0.08
    assert calls.count(Verdict.BROKEN) / 400 <= 0.08


_CACHE: dict[int, Audit] = {}


def _audited(n: int, wrong: int) -> Audit:
    if wrong not in _CACHE:
        _CACHE[wrong] = audit(sample(n, wrong, inclusion=1.0))
    return _CACHE[wrong]


def test_records_hold_no_id() -> None:
    found = audit(sample(30, 3))
    told = str([one.record() for one in found.by("stratum", "exact").values()]) + str(
        promises(found, RULES)[1].record()
    )
    assert "rest-" not in told and isinstance(found.agreement("exact"), Agreement)
