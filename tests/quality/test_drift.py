from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
from river.drift import ADWIN

from stream.certificate import Source
from stream.quality.drift import Detector, Drift, Finding, Measure, Sample, Sensitivity

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CHAPTERS = ("II", "IX", "X", "XVIII")


def bernoulli(*parts: tuple[int, float], seed: int = 0) -> list[float]:
    rng = np.random.default_rng(seed)
    return [float(x) for n, p in parts for x in rng.random(n) < p]


def found(values: Iterable[float], *, rises: bool = True, how: Sensitivity | None = None) -> list[int]:
    """Places at which a detector tells a change."""
    detector = Detector(how or Sensitivity(), 0.002, rises=rises)
    return [i for i, value in enumerate(values) if detector.update(value, START + i * MINUTE)]


def test_the_library_cuts_where_the_notes_saw_it_and_so_does_ours() -> None:
    rng = np.random.RandomState(42)
    values = np.concatenate([rng.binomial(1, 0.03, 2000), rng.binomial(1, 0.12, 1000)]).astype(float).tolist()
    adwin, cuts = ADWIN(), []
    for i, value in enumerate(values):
        adwin.update(value)
        cuts += [i] if adwin.drift_detected else []
    assert cuts == [2239]
    assert found(values) == [2239]


def test_nothing_is_told_of_a_stationary_stream() -> None:
    assert [found(bernoulli((50_000, p), seed=seed)) for p in (0.03, 0.1) for seed in range(3)] == [[]] * 6


def test_only_a_rise_is_an_alarm_where_rises_alone_count() -> None:
    falling = bernoulli((5_000, 0.12), (3_000, 0.03))
    assert found(falling) == []
    assert len(found(falling, rises=False)) == 1


def test_a_sure_but_small_change_is_not_told() -> None:
    assert found(bernoulli((60_000, 0.100), (60_000, 0.110))) == []
    assert len(found(bernoulli((60_000, 0.100), (60_000, 0.140)))) == 1


def test_small_steps_add_up() -> None:
    rng = np.random.default_rng(0)
    steps = [rng.normal(mean, 0.03, 10_000).tolist() for mean in (0.10, 0.112, 0.125)]
    assert found([*steps[0], *steps[1]]) == []
    (at,) = found([*steps[0], *steps[1], *steps[2]])
    assert at > 20_000


def test_nothing_is_told_in_the_grace_nor_in_the_quiet_time() -> None:
    early = bernoulli((400, 0.03), (5_000, 0.3))
    assert found(early) == []
    assert found(early, how=Sensitivity(grace=100))
    # A day has 1440 of these minutes: the second rise comes within a week of the first, the third behind it.
    stairs = bernoulli((3_000, 0.03), (3_000, 0.1), (20_000, 0.3), (4_000, 0.6))
    told = found(stairs)
    assert [3_000 < told[0] < 6_000, told[1] > 26_000, len(told)] == [True, True, 2]


def samples(n: int, seed: int, *, doubt: float = 0.1, unknown: float = 0.02, mix: tuple[float, ...] = (0.3, 0.3, 0.1, 0.3),
            source: Source = Source.PAPER, versions: tuple[str, ...] = ("1",), since: int = 0) -> list[Sample]:  # fmt: skip
    rng = np.random.default_rng(seed)
    rows = zip(rng.beta(1, 1 / doubt - 1, n), rng.beta(1, 1 / unknown - 1, n), rng.choice(4, n, p=mix), strict=True)
    return [
        Sample(START + (since + i) * MINUTE, source, versions, float(u), float(d), CHAPTERS[c])
        for i, (d, u, c) in enumerate(rows)
    ]


def told(parts: Iterable[Sample]) -> list[Finding]:
    drift = Drift()
    return [finding for sample in parts for finding in drift.update(sample)]


def test_each_measure_is_told_where_it_changes() -> None:
    before = [*samples(3_000, 1), *samples(3_000, 2, source=Source.ELECTRONIC)]
    (words,) = told([*before, *samples(2_000, 3, unknown=0.06, since=3_000)])
    assert (words.measure, words.source, words.lowers, words.versions) == (
        Measure.UNKNOWN_WORDS, Source.PAPER, True, ("1",),
    )  # fmt: skip
    assert 3_000 < (words.at - START) / MINUTE < 3_600
    assert words.before < 0.025 < words.after
    (doubt,) = told([*before, *samples(2_000, 4, doubt=0.3, since=3_000, source=Source.ELECTRONIC)])
    assert (doubt.measure, doubt.source) == (Measure.DOUBT, Source.ELECTRONIC)


def test_a_season_only_warns() -> None:
    winter = told([*samples(5_000, 1), *samples(5_000, 2, mix=(0.2, 0.25, 0.3, 0.25), since=5_000)])
    assert {finding.measure for finding in winter} == {Measure.CODE_MIX}
    assert "X" in {finding.chapter for finding in winter}
    assert not any(finding.lowers for finding in winter)


def test_another_version_is_another_stream() -> None:
    assert told([*samples(3_000, 1), *samples(3_000, 2, doubt=0.3, versions=("2",), since=3_000)]) == []


def test_it_tells_figures_alone() -> None:
    finding = Finding(START, Source.PAPER, ("1",), Measure.CODE_MIX, "X", 0.1, 0.25, 7_000)
    assert str(finding) == "DRIFT CODE_MIX X in PAPER: 0.1000 before, 0.2500 now, 7000 seen"
