"""Figures that R 4.2.2 with surveillance 1.20.3 gives on series that are made here (`made.py`), weeks 408 to 416.

They were asked for by `farrington(sts, control = list(range = 408:416, …))` and so on; `r_figures.tsv` holds them, with
ten significant digits. They cover what the shared oracles do not: other powers, a population, no reweighting, no trend,
other windows and blocks, EARS with another baseline and a least standard deviation.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from stream.surveillance.detection import ears, farrington, flexible
from stream.surveillance.detection.verdict import Verdict

from . import made

WEEKS = range(407, 416)
LEVELS = {"40": (40.0, 1.8), "2": (2.0, 1.3)}
ALL = {"noPeriods": 10, "pastWeeksNotIncluded": 26}
CASES: dict[str, dict[str, Any]] = {
    "farrington 2/3": {},
    "farrington 1/2": {"powertrans": "1/2"},
    "farrington none": {"powertrans": "none"},
    "farrington noreweight notrend": {"b": 4, "w": 2, "alpha": 0.01, "reweight": False, "trend": False},
    "flex default": {},
    "flex 1/2": {"powertrans": "1/2", "alpha": 0.01},
    "flex none": {"powertrans": "none", "alpha": 0.01},
    "flex pop delta": {**ALL, "pThresholdTrend": 1.0, "alpha": 0.01},
    "flex pop nb": {**ALL, "pThresholdTrend": 1.0, "alpha": 0.01, "thresholdMethod": "nbPlugin"},
    "flex noPeriods5 w2 muan": {
        "b": 4, "w": 2, "noPeriods": 5, "pastWeeksNotIncluded": 10, "pThresholdTrend": 1.0, "thresholdMethod": "muan",
    },
    "flex noreweight": {"b": 4, **ALL, "reweight": False, "pThresholdTrend": 1.0},
    "flex notrend": {"b": 4, **ALL, "trend": False, "thresholdMethod": "nbPlugin"},
    **{f"earsC {m}": {"method": m, "baseline": 10, "minSigma": 1.5, "alpha": 0.01} for m in ears.ALPHA},
}  # fmt: skip
COLUMNS: dict[str, Callable[[Verdict], float | None]] = {
    "upperbound": lambda verdict: verdict.threshold,
    "expected": lambda verdict: verdict.expected,
    "phiVector": lambda verdict: verdict.dispersion,
    "pvalue": lambda verdict: verdict.p_value,
    "score": lambda verdict: verdict.score,
    "trendVector": lambda verdict: verdict.trend,
}


def judged(case: str, level: str) -> Iterable[Verdict]:
    counts = made.series(*LEVELS[level], population="pop" in case)
    if case.startswith("farrington"):
        return farrington.judge(counts, farrington.Options(**CASES[case]), WEEKS)
    if case.startswith("flex"):
        return flexible.judge(counts, flexible.Options(**CASES[case]), WEEKS)
    return ears.judge(counts, ears.Options(**CASES[case]), WEEKS)


def test_the_series_are_r_s() -> None:
    for level, newest, total in (
        ("40", [29, 40, 26, 80, 105, 93, 55, 52, 46], 20800),
        ("2", [0, 2, 0, 2, 7, 4, 4, 3, 2], 1016),
    ):
        counts = made.series(*LEVELS[level]).counts
        assert ([*counts[407:]], sum(count or 0 for count in counts)) == (newest, total)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", CASES)
def test_figures_are_r_s(case: str, level: str) -> None:
    with (Path(__file__).parent / "r_figures.tsv").open() as file:
        expected = [
            row for row in csv.DictReader(file, delimiter="\t") if (row["case"], row["series"]) == (case, level)
        ]
    found = judged(case, level)
    assert expected
    for row in expected:
        told = [COLUMNS[row["column"]](verdict) for verdict in found]
        wanted = [math.nan if row[str(week)] == "NA" else float(row[str(week)]) for week in range(408, 417)]
        if row["column"] == "upperbound":
            assert [value is None for value in told] == [math.isnan(value) for value in wanted]
        pairs = [(value, want) for value, want in zip(told, wanted, strict=True) if not math.isnan(want)]
        assert [value for value, _ in pairs] == pytest.approx([want for _, want in pairs], rel=2e-9, abs=2e-9)
