from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from desk.office import NOON, certificate, machine
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from stream.coding import Correction, DecisionKind
from stream.nomenclature.agreement import LEVELS
from stream.quality.intervals import clopper_pearson
from stream.quality.kappa import kappa, of_cases
from stream.quality.ledger import Ledger

CODES = ["I21.9", "C25.9", "J18.9", "R99"]


@given(st.lists(st.tuples(st.sampled_from(CODES), st.sampled_from(CODES)), min_size=2, max_size=60))
def test_it_is_that_of_statsmodels(pairs: list[tuple[str, str]]) -> None:
    found = kappa(pairs)
    table = np.zeros((len(CODES), len(CODES)))
    for a, b in pairs:
        table[CODES.index(a), CODES.index(b)] += 1
    if found.kappa is None:
        assert len({code for pair in pairs for code in pair}) == 1
        return
    with np.errstate(invalid="ignore", divide="ignore"):
        told = cohens_kappa(table)
    assert math.isclose(found.kappa.value, told.kappa, abs_tol=1e-9)
    if told.var_kappa > 1e-9:
        wide = 1.959963984540054 * math.sqrt(told.var_kappa)
        assert found.kappa.low == pytest.approx(max(-1.0, told.kappa - wide), abs=1e-6)
        assert found.kappa.high == pytest.approx(min(1.0, told.kappa + wide), abs=1e-6)


def test_the_worked_example_of_fleiss_cohen_and_everitt() -> None:
    """Psychological Bulletin 72 (1969), 323-327, table 1: kappa 0.429, standard error 0.0544 (variance 0.002885)."""
    counts = {("1", "1"): 106, ("1", "2"): 10, ("1", "3"): 4, ("2", "1"): 22, ("2", "2"): 28, ("2", "3"): 10,
              ("3", "1"): 2, ("3", "2"): 12, ("3", "3"): 6}  # fmt: skip
    found = kappa([pair for pair, count in counts.items() for _ in range(count)]).kappa
    assert found is not None
    assert round(found.value, 3) == 0.429
    assert (found.high - found.low) / 2 / 1.959964 == pytest.approx(math.sqrt(0.002885), abs=5e-4)


def test_no_pair_and_one_code_tell_no_kappa() -> None:
    assert kappa([]).kappa is None
    assert kappa([]).record()["share"] is None
    assert kappa([("R99", "R99")] * 3).kappa is None


def test_few_pairs_that_agree_are_no_proof() -> None:
    found = kappa([("I21.9", "I21.9"), ("C25.9", "C25.9"), ("J18.9", "J18.9")])
    assert found.kappa is not None
    assert (found.kappa.value, found.kappa.high) == (1.0, 1.0)
    low = clopper_pearson(3, 3)[0]
    assert found.kappa.low == pytest.approx((low - 1 / 3) / (2 / 3))


def test_of_the_topics_alone() -> None:
    """What `causa quality` reads: pairs that stand, whoever gave them; an undone second is none."""
    ledger = Ledger()

    def decide(name: str, kind: DecisionKind, cause: str | None, second: int, undoes: str | None = None) -> None:
        made = Correction(f"{name}{second}", kind, name, 1, "c", "coder", "", NOON + timedelta(seconds=second),
                          supersedes=undoes, underlying_after=cause)  # fmt: skip
        ledger.decide(made)

    for name in ("a", "b", "c"):
        ledger.coded(machine(certificate(name)))
        decide(name, DecisionKind.FIRST, "I21.9", 1)
    decide("a", DecisionKind.SECOND, "I21.9", 2)
    decide("b", DecisionKind.SECOND, "I21.4", 2)
    decide("c", DecisionKind.SECOND, "C25.9", 2)
    decide("c", DecisionKind.UNDO, None, 3, "c2")
    found = of_cases(ledger)
    assert [(found[level].pairs, found[level].agree) for level in LEVELS] == [(2, 1), (2, 2), (2, 2)]
