"""Thresholds of a policy: by stratum where enough is known, pooled where not, none where no promise can be kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from stream.certificate import Form, Source
from stream.coding import Automation, Versions
from stream.errors import InvalidData
from stream.targeting import thresholds as files
from stream.targeting.calibrate import Known, Sample, curve, samples, thresholds
from stream.targeting.policy import Rules, read
from stream.targeting.subject import Subject

NOW = datetime(2026, 11, 26, tzinfo=UTC)
VERSIONS = Versions(lexicon="l1", rules="r1", coder="c1", underlying="u1", software="s1")
RULES = read(
    'version: "1"\nstrict: 0.5\nstrata:\n'
    "  - {name: external, codes: [[V01, Y98]], error: 0.05, audit_rate: 0.1}\n"
    "  - {name: rest, error: 0.10, audit_rate: 0.02}\n"
)


def known(n: int, code: str, wrong: float, seed: int = 1) -> list[Known]:
    """Certificates of one cause; the chance to be wrong falls from twice `wrong` to 0 as confidence rises."""
    rng = np.random.default_rng(seed)
    found = []
    for number, chance in enumerate(rng.uniform(0.5, 1, n)):
        right = code if rng.random() >= 4 * wrong * (1 - chance) else "R99"
        found.append(Known(Subject(str(number), Form.GENERAL, Source.PAPER, 2e4, code, round(chance, 4)), right))
    return found


def fitted(items: list[Known], rules: Rules = RULES) -> files.Thresholds:
    return thresholds(items, rules, VERSIONS, source="tests", certified=False, now=NOW)


def test_strata_that_are_large_enough_stand_alone() -> None:
    found = fitted(known(2_000, "W19", 0.10) + known(2_000, "I21.9", 0.10)).strata
    assert found["external"].n == found["rest"].n == 2_000 and not found["external"].pooled
    external, rest = found["external"].normal, found["rest"].normal
    assert external.threshold is not None and rest.threshold is not None
    assert external.threshold > rest.threshold  # five of a hundred is a harder promise than ten
    assert external.upper <= 0.05 and rest.upper <= 0.10


def test_a_stratum_that_is_too_small_is_pooled_under_the_stricter_bound() -> None:
    items = known(100, "W19", 0.1) + known(2_000, "I21.9", 0.10)
    found = fitted(items).strata
    assert found["external"].pooled == found["rest"].pooled == ("external", "rest")
    assert found["external"].n == 2_100 and found["external"].normal == found["rest"].normal
    assert found["rest"].normal.upper <= 0.05
    assert (found["external"].error, found["rest"].error) == (0.05, 0.10)  # each its own promise


def test_a_stratum_that_keeps_no_promise_has_no_threshold() -> None:
    hopeless = [replace(one, right="R99") for one in known(400, "W19", 0.0)]
    found = fitted(hopeless + known(2_000, "I21.9", 0.02)).strata
    assert found["external"].normal.threshold is None and found["rest"].normal.threshold is not None


def test_after_an_alarm_less_is_automatic() -> None:
    one = fitted(known(4_000, "I21.9", 0.10)).strata["rest"]
    normal, strict = one.least(Automation.NORMAL), one.least(Automation.STRICT)
    assert normal is not None and strict is not None and strict > normal
    assert one.strict.upper <= 0.05 and one.least(Automation.HALTED) is None


@pytest.mark.parametrize(
    ("normal", "strict", "after"), [(0.9, 0.8, 0.9), (0.8, 0.9, 0.9), (None, 0.8, None), (0.8, None, None)]
)
def test_an_alarm_never_gives_the_machine_more_room(
    normal: float | None, strict: float | None, after: float | None
) -> None:
    one = files.Threshold(
        error=0.05, confidence=0.95, level="exact", n=1,
        normal=files.Found(threshold=normal), strict=files.Found(threshold=strict),
    )  # fmt: skip
    assert (one.least(Automation.NORMAL), one.least(Automation.STRICT)) == (normal, after)


def test_strata_audited_at_different_rates_are_pooled_as_they_come_in() -> None:
    often = [replace(one, inclusion=0.2) for one in known(110, "W19", 0.0)]
    seldom = [replace(one, inclusion=0.02) for one in known(600, "I21.9", 0.02)]
    pooled = fitted(often + seldom).strata["rest"]
    assert 600 < pooled.n < 630 and pooled.pooled == ("external", "rest")  # a tenth of 110, and all of 600
    assert fitted(often + seldom) == fitted(often + seldom)
    same_rate = [replace(one, inclusion=0.02) for one in often]
    assert fitted(same_rate + seldom).strata["rest"].n == 710
    # A stratum that stands alone loses none.
    alone = [replace(one, inclusion=0.2) for one in known(2_000, "W19", 0.0)]
    assert fitted(alone + seldom).strata["external"].n == 2_000


@pytest.mark.parametrize(("level", "right"), [("exact", 0), ("three", 400), ("shortlist", 400)])
def test_what_counts_as_wrong_is_the_promise_s(level: str, right: int) -> None:
    rules = read(f'version: "1"\npromise: {{level: {level}}}\nstrata: [{{name: rest, error: 0.05, audit_rate: 0.1}}]\n')
    near = [replace(one, right="I21.4") for one in known(400, "I21.9", 0.0)]
    assert sum(samples(near, rules)["rest"].right) == right


def test_no_cause_is_wrong_whatever_it_was_sure_of() -> None:
    nothing = Known(Subject("1", Form.GENERAL, Source.PAPER, None, None, 0.9), "R99")
    assert samples([nothing], RULES)["rest"] == Sample((0.0,), (False,))


def test_thresholds_name_what_they_were_fitted_to(tmp_path: Path) -> None:
    made = fitted(known(1_000, "I21.9", 0.05))
    path = tmp_path / "thresholds.yaml"
    path.write_text(files.written(made), encoding="utf-8")
    found = files.read(path)
    assert found == made and found.division == RULES.division and files.told(found) == files.told(made)
    assert found.strangers(VERSIONS) == () and found.strangers(replace(VERSIONS, software="s2", policy="p")) == ()
    assert found.strangers(replace(VERSIONS, coder="c2", rules="r2")) == ("rules", "coder")
    assert files.NONE.strangers(VERSIONS) == files.VERSIONED


@pytest.mark.parametrize("text", ["", "a: [", "certified: false\n", "\0"])
def test_a_file_at_fault_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "thresholds.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidData, match=r"thresholds\.yaml"):
        files.read(path)
    with pytest.raises(InvalidData, match="cannot be read"):
        files.read(tmp_path / "none.yaml")


def test_the_curve_ends_at_everybody() -> None:
    sample = samples(known(2_000, "I21.9", 0.10), RULES)["rest"]
    steps = curve(sample, 0.95)
    assert 20 <= len(steps) <= 42
    assert [s.coverage for s in steps] == sorted(s.coverage for s in steps) and steps[-1].coverage == 1.0
    assert steps[-1].wrong == 2_000 - sum(sample.right)
    assert all(s.error <= s.upper <= 1.0 for s in steps)
    assert curve(Sample(), 0.95) == []
