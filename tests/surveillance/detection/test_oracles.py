"""Against R's surveillance 1.20.3 (R 4.2.2) and EuroMOMO's package (v4-3, Denmark, week 2013-52).

The expected files hold ten significant digits or so, and EuroMOMO's single precision: what is found here is that much.
The tolerances are those of the shared folder's README or tighter; the largest differences are written out (pytest -s).
"""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from stream.surveillance.detection import cusum, ears, euromomo, farrington, flexible
from stream.surveillance.detection.nowcast import lawless
from stream.surveillance.detection.series import Series
from stream.surveillance.detection.triangle import Triangle
from stream.surveillance.detection.verdict import Reason

from . import oracles
from .oracles import say

SALMONELLA = {"b": 4, "w": 3, "pastWeeksNotIncluded": 26, "noPeriods": 10, "pThresholdTrend": 1.0, "alpha": 0.1}
MOMO = {"b": 5, "w": 3, "pastWeeksNotIncluded": 26, "noPeriods": 10, "alpha": 0.01}
FLEXIBLE = [
    (
        "delta_salmNewport2011", "salmNewport_germany",
        {"b": 4, "w": 3, "weightsThreshold": 1.0, "pastWeeksNotIncluded": 3, "alpha": 0.1}, 1e-8,
    ),
    ("nbPlugin_salmNewport2011", "salmNewport_germany", {**SALMONELLA, "thresholdMethod": "nbPlugin"}, 0),
    ("muan_salmNewport2011", "salmNewport_germany", {**SALMONELLA, "thresholdMethod": "muan"}, 0),
    ("nbPlugin_momo2007", "momo_dk_1994_2008", {**MOMO, "pThresholdTrend": 1.0, "thresholdMethod": "nbPlugin"}, 0),
    ("delta_momo2007", "momo_dk_1994_2008", MOMO, 1e-6),
    ("nbPlugin_agona_default", "salmonella_agona", {"alpha": 0.1, "thresholdMethod": "nbPlugin"}, 0),
    ("delta_agona_default", "salmonella_agona", {}, 1e-8),
    (
        "nbPlugin_agona_noufaily", "salmonella_agona",
        {**SALMONELLA, "alpha": 0.01, "thresholdMethod": "nbPlugin"}, 0,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "of", "options", "tolerance"), FLEXIBLE, ids=[case[0] for case in FLEXIBLE])
def test_flexible_farrington_is_r_s(name: str, of: str, options: dict[str, float], tolerance: float) -> None:
    expected = oracles.rows(f"farringtonFlexible_{name}.csv")
    counts = oracles.series(f"{of}.csv")
    found = flexible.judge(counts, flexible.Options(**options), oracles.points(counts, expected))  # type: ignore[arg-type]
    told = {
        column: oracles.difference(expected, column, values)
        for column, values in {
            "upperbound": [v.threshold for v in found],
            "expected": [v.expected for v in found],
            "phiVector": [v.dispersion for v in found],
            "pvalue": [v.p_value for v in found],
            "score": [v.score for v in found],
            "trendVector": [v.trend for v in found],
        }.items()
    }
    say(name, *(f"{column} {value:.1e}" for column, value in told.items()))
    assert told.pop("upperbound") <= tolerance
    # R writes a mean of over a thousand deaths with ten digits.
    assert told.pop("expected") < 1e-6
    assert all(math.isnan(value) or value < 1e-9 for value in told.values())
    assert oracles.alarms(found) == [int(row["alarm"]) for row in expected]
    assert [v.reason is Reason.TOO_FEW for v in found] == [row["upperbound"] == "NA" for row in expected]
    assert [int(v.trend is not None) for v in found] == [int(row["trend"]) for row in expected]


def test_the_farrington_of_1996_is_r_s() -> None:
    """README: "R output, not re-derived"; here it is, to the last digit of the file.

    It begins at week 200 of a series that does not reach four years back from there: R then takes what years there are.
    """
    expected = oracles.rows("farrington_classic_agona.csv")
    counts = oracles.series("salmonella_agona.csv")
    found = farrington.judge(
        counts, farrington.Options(b=4, w=3, alpha=0.05, leastYears=3), oracles.points(counts, expected)
    )
    # R writes 0 where there are too few cases.
    worst = oracles.difference(expected, "upperbound", [v.threshold or 0.0 for v in found])
    say("farrington 1996", f"{worst:.1e}")
    assert worst < 1e-8
    assert oracles.alarms(found) == [int(row["alarm"]) for row in expected]


@pytest.mark.parametrize("method", ["C1", "C2", "C3"])
@pytest.mark.parametrize("default", [False, True])
def test_ears_is_r_s(method: str, default: bool) -> None:
    expected = oracles.rows(f"ears_{method}_salmNewport2011{'_defaultalpha' if default else ''}.csv")
    counts = oracles.series("salmNewport_germany.csv")
    alpha = None if default else {"C1": 0.05, "C2": 0.05, "C3": 0.025}[method]
    found = ears.judge(counts, ears.Options(method=method, alpha=alpha), oracles.points(counts, expected))
    worst = oracles.difference(expected, "upperbound", [v.threshold for v in found])
    say("EARS", method, f"{worst:.1e}")
    assert worst < 1e-9
    assert oracles.alarms(found) == [int(row["alarm"]) for row in expected]


@pytest.mark.parametrize("group", ["0to4", "5to14", "15to64", "65P", "Total"])
def test_euromomo_is_its_package_from_corrected_deaths_on(group: str) -> None:
    name = "euromomo_new_complete_denmark_2013-52.txt.gz"
    expected = [row for row in oracles.rows(name) if row["group"] == group]
    expected.sort(key=lambda row: (int(row["YoDi"]), int(row["WoDi"])))
    start = date.fromisocalendar(int(expected[0]["YoDi"]), int(expected[0]["WoDi"]), 1)
    counts = Series(start, tuple(float(row["nbc"]) for row in expected))
    assert [counts.day(i).isocalendar().week for i in range(len(counts))] == [int(row["WoDi"]) for row in expected]
    seasonal = expected[0]["Model"] == "LINES_SIN"
    found = euromomo.judge(counts, euromomo.Options(seasonal=seasonal))
    baseline = oracles.difference(expected, "Pnb", [v.expected for v in found])
    z = oracles.difference(expected, "zscore", [v.z for v in found])
    bound = oracles.difference(expected, "UPIb2", [v.threshold for v in found])
    # The package sums over the weeks of the delay alone, and begins there at 0.
    sums = oracles.difference(expected[-13:], "CUSUM", [v.score for v in cusum.judge(found[-13:])])
    say(group, f"Pnb {baseline:.1e}, z {z:.1e}, UPIb2 {bound:.1e}, CUSUM {sums:.1e}")
    assert baseline < 5.4e-4
    assert z < 1.8e-4
    assert bound < 1e-3
    assert sums < 1e-5
    assert cusum.Options().limit == pytest.approx(float(expected[0]["h"]), abs=1e-6)


def test_nowcast_is_r_s_lawless() -> None:
    cells = []
    for row in oracles.rows("reporting_triangle_husO104_2011-06-02.csv"):
        cells.append(tuple(None if row[str(d)] == "NA" else int(row[str(d)]) for d in range(1, 17)))
    triangle = Triangle(date(2011, 5, 7), tuple(cells))
    events = [
        (date.fromisoformat(row["dHosp"]), date.fromisoformat(row["dReport"]))
        for row in oracles.rows("husO104Hosp_linelist.csv")
        if "NA" not in row.values()
    ]
    assert Triangle.of(events, date(2011, 6, 2), 15) == triangle
    found = {cast.day: cast for cast in lawless(triangle)}
    expected = oracles.rows("nowcast_lawless_husO104_2011-06-02.csv")
    pairs = [(found[date.fromisoformat(row["date"])], row) for row in expected]
    worst = max(abs((cast.estimate or math.nan) - int(row["nowcast"])) for cast, row in pairs)
    ours = [(cast.low or 0) <= int(row["truth"]) <= (cast.high or 0) for cast, row in pairs]
    theirs = [int(row["pi_lo"]) <= int(row["truth"]) <= int(row["pi_hi"]) for row in expected]
    say(f"lawless {worst:.2f}; truth held {sum(ours)} (R {sum(theirs)}) of {len(ours)}")
    assert worst <= 1.5
    assert sum(ours) >= sum(theirs)
    assert all(cast.reported == int(row["reported_so_far"]) for cast, row in pairs)


def test_a_nowcast_of_a_year_of_weeks_holds_what_came() -> None:
    """Weekly salmonella with delays of up to ten weeks: what was known each week of two years, and what came."""
    rows = oracles.rows("stsNewport_reportingTriangle.csv")
    whole = np.array([[int(row[f"X{d}"]) for d in range(11)] for row in rows if row["X10"] != "NA"])
    held = told = 0
    for now in range(400, 504):
        first = now - 155
        cells = tuple(
            tuple(int(whole[i, d]) if i + d <= now else None for d in range(11)) for i in range(first, now + 1)
        )
        for cast, row in zip(lawless(Triangle(date(2001, 1, 1), cells))[-4:-1], range(now - 3, now), strict=True):
            if cast.low is not None and cast.high is not None:
                told += 1
                held += cast.low <= whole[row].sum() <= cast.high
    say(f"95 % intervals held {held} of {told}")
    assert told > 250
    assert held / told > 0.9
