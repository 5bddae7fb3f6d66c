"""Knobs at equal false alarms, and what each method then finds how soon.

An alert begins with an alarm after 14 days without one. A method's knob is the lowest at which alerts on series without
outbreaks stay at the rate asked for; all of what is reported is measured on other seeds than those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stream.quality.intervals import clopper_pearson
from stream.surveillance.detection.series import Floats

Flags = NDArray[np.bool_]
GAP_DAYS = 14
YEAR = 365.25
RATE = 1.0
"""False alerts a series-year at which methods are compared."""
RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
WITHIN = (7, 14, 28)
_DRAWS = 400
_CANDIDATES = 400


@dataclass(frozen=True, slots=True)
class Trial:
    """One outbreak in one series.

    Attributes:
        before: largest statistic of the series in the `GAP_DAYS` days before the first death of the outbreak.
        after: statistics from that day on, to the end of what is counted as found.
        quiet: the same days of the same series without the outbreak.
    """

    before: float
    after: Floats
    quiet: Floats


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure with its interval (95 %); None where it is beyond all days."""

    value: float | None
    low: float | None
    high: float | None


def alerts(statistics: Floats, opened: Flags, knob: float) -> int:
    """Alerts that begin on days that count, in all series (rows) together."""
    alarm = statistics > knob
    sums = np.concatenate([np.zeros((len(alarm), 1), int), np.cumsum(alarm, axis=1)], axis=1)
    day = np.arange(alarm.shape[1])
    recent = sums[:, day] - sums[:, np.maximum(0, day - GAP_DAYS)]
    return int((alarm & (recent == 0) & opened).sum())


def years(opened: Flags) -> float:
    """Series-years of the days that count."""
    return float(opened.sum() / YEAR)


def knob(statistics: Floats, opened: Flags, rate: float = RATE) -> float:
    """Lowest knob from the top down at which alerts stay within a rate a year."""
    values = np.unique(statistics[opened & np.isfinite(statistics)])
    if not len(values):
        return math.inf
    # Rare alarms sit in the far tail: candidates lie close there.
    tail = np.unique(np.round((len(values) - 1) * (1 - np.geomspace(1, 1 / len(values), _CANDIDATES))).astype(int))
    allowed, time = rate, years(opened)
    found = float(values[-1])
    for place in tail[::-1]:
        if alerts(statistics, opened, float(values[place])) > allowed * time:
            break
        found = float(values[place])
    return found


def false_alerts(statistics: Floats, opened: Flags, at: float) -> Measured:
    """False alerts a year; the interval is a Poisson count's."""
    count, time = alerts(statistics, opened, at), years(opened)
    low = float(special.gammaincinv(count, 0.025)) if count else 0.0
    return Measured(count / time, low / time, float(special.gammaincinv(count + 1, 0.975)) / time)


def found(trials: Sequence[Trial], at: float, seed: int = 1) -> dict[str, Any]:
    """How many outbreaks are found and how soon; series with an alert open at the beginning are left out."""
    free = [trial for trial in trials if trial.before <= at]
    days = [_first(trial.after, at) for trial in free]
    by_chance = [_first(trial.quiet, at) for trial in free]
    n, hits = len(free), sum(math.isfinite(value) for value in days)
    low, high = clopper_pearson(hits, n) if n else (0.0, 1.0)
    return {
        "outbreaks": n, "alert_open_before": len(trials) - n, "found": hits,
        "sensitivity": asdict(Measured(hits / n if n else None, low, high)),
        "median_days": asdict(_median(days, seed)),
        "found_within": {str(limit): sum(value <= limit for value in days) / n if n else None for limit in WITHIN},
        "alert_without_outbreak": sum(math.isfinite(value) for value in by_chance) / n if n else None,
    }  # fmt: skip


def _first(statistics: Floats, at: float) -> float:
    """Days to the first alarm; infinite where there is none."""
    places = np.flatnonzero(statistics > at)
    return float(places[0]) if len(places) else math.inf


def _median(days: Sequence[float], seed: int) -> Measured:
    """Median of all outbreaks, those not found among them as infinite; interval from resampling."""
    if not days:
        return Measured(None, None, None)
    told = np.array(days)
    rng = np.random.default_rng(seed)
    with np.errstate(invalid="ignore"):
        drawn = np.sort(told[rng.integers(0, len(told), (_DRAWS, len(told)))], axis=1)[:, (len(told) - 1) // 2]
    middle = float(np.sort(told)[(len(told) - 1) // 2])
    low, high = np.sort(drawn)[[int(0.025 * _DRAWS), int(0.975 * _DRAWS) - 1]].tolist()
    return Measured(*(None if math.isinf(value) else value for value in (middle, low, high)))


def judged(
    tuning: tuple[Floats, Flags], reported: tuple[Floats, Flags], trials: Mapping[str, Mapping[int, Sequence[Trial]]]
) -> dict[str, Any]:
    """All of one method, target and scenario.

    Args:
        tuning: statistics of series without outbreaks, and the days that count.
        reported: the same of other seeds.
        trials: by shape and size of the outbreak.
    """
    at = knob(*tuning)
    curve = []
    for rate in RATES:
        here = knob(*tuning, rate)
        each = {
            shape: {str(size): _brief(found(told, here)) for size, told in sizes.items()}
            for shape, sizes in trials.items()
        }
        curve.append({"rate": rate, "knob": _finite(here), "measured": false_alerts(*reported, here).value, **each})
    return {
        "knob": _finite(at), "tuned_to": RATE, "rate_on_tuning_seeds": alerts(*tuning, at) / years(tuning[1]),
        "false_alerts_a_year": asdict(false_alerts(*reported, at)), "years": years(reported[1]),
        "outbreaks": {
            shape: {str(size): found(told, at) for size, told in sizes.items()} for shape, sizes in trials.items()
        },
        "curve": curve,
    }  # fmt: skip


def _brief(told: Mapping[str, Any]) -> dict[str, Any]:
    return {"sensitivity": told["sensitivity"]["value"], "median_days": told["median_days"]["value"]}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
