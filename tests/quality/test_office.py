"""The simulated office: the same for a seed, and what happens in it is seen in the figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.office import END, NEW, Pair, year
from stream.coding import Route
from stream.quality.counts import category
from stream.quality.figures import measure
from stream.quality.ledger import Ledger
from stream.settings import Settings
from stream.targeting import policy

from .records import coded

SETTINGS = Settings()
RULES = policy.load(SETTINGS.policy, SETTINGS.thresholds)
CODES = ("I21.9", "C34.9", "J18.9", "I64", "C50.9")
PAIRS = [Pair(replace(coded(f"{n}", code, confidence=0.97), content_hash=f"{n}"), code) for n, code in enumerate(CODES)]


def test_a_year_is_the_same_for_a_seed() -> None:
    assert list(year(PAIRS, RULES, 200, error=0.1, seed=3)) == list(year(PAIRS, RULES, 200, error=0.1, seed=3))
    assert list(year(PAIRS, RULES, 200, error=0.1, seed=3)) != list(year(PAIRS, RULES, 200, error=0.1, seed=4))


def test_people_see_what_the_policy_sends_them_and_what_the_audit_draws() -> None:
    for record, decisions in year(PAIRS, RULES, 2_000, error=0.0, seed=1):
        targeting = record.targeting
        assert not decisions or targeting.route is Route.MANUAL or targeting.audit
        assert all(record.coded_at < d.decided_at <= END for d in decisions)
        assert all(d.blind == targeting.audit for d in decisions if d.kind != "ADJUDICATION")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_new_disease_is_seen(seed: int) -> None:
    everyone = policy.Policy(
        RULES.rules.model_copy(update={"strata": tuple(s.model_copy(update={"audit_rate": 0.5}) for s in RULES.rules.strata)}),
        RULES.thresholds, RULES.version, RULES.common,
    )  # fmt: skip
    ledger, true = Ledger(), 0
    for record, decisions in year(PAIRS, everyone, 3_000, error=0.0, seed=seed):
        ledger.coded(record)
        true += record.unknown > 0
        for decision in decisions:
            ledger.decide(decision)
    figures = measure(ledger, everyone.rules, END)
    (found,) = (one for one in figures.counts if one.category == category(NEW))
    assert found.corrected.low <= true <= found.corrected.high
    assert found.deviation is not None and found.deviation.value < -5
    worst = max(figures.rates.weeks.items(), key=lambda item: item[1].unknown)[0]
    assert "2025-W30" < worst < "2025-W40"
