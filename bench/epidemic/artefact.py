"""The electronic share rises steeply: who takes it for an epidemic?

A series of electronic certificates alone, as offices watch them, judged week by week by the product's own functions:
without an offset, and with the completeness that a file of civil registration gives (electronic certificates of all
causes by all deaths) as offset. Knobs are tuned where the share rises slowly, as it did from 2018 on; false alerts are
then measured there and where it doubles within a spring.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.epidemic import judging, outbreaks, series, world
from bench.epidemic.delays import IS, STEEP, Scenario
from bench.epidemic.judging import Flags
from bench.epidemic.series import TARGETS, Target
from bench.epidemic.study import PROCESSES, REPORTED, TUNING
from stream.surveillance.detection import flexible
from stream.surveillance.detection.series import Floats, Series

_Numbers = NDArray[np.integer[Any]] | Floats
WAYS = ("without offset", "with completeness offset")
WATCHED = ("lung-fr", "lung-33")
FIRST_WEEK = -(-world.JUDGED // 7)
"""First week that lies wholly in the judged year; weeks begin on Mondays, as the worlds do."""
WEEKS = world.DAYS // 7
_BEGIN = FIRST_WEEK + 17
"""Week in which the outbreak that is to be found begins: the share is rising then."""


@dataclass(frozen=True, slots=True)
class Made:
    """Weekly statistics of one series.

    Attributes:
        statistics: by way.
        found: the same with an outbreak among the deaths.
        calm: weeks without a wave.
    """

    statistics: dict[str, Floats]
    found: dict[str, Floats]
    calm: Flags


def run(tuning: int, reported: int) -> dict[str, Any]:
    """Both targets."""
    found: dict[str, Any] = {}
    with ProcessPoolExecutor(PROCESSES) as pool:
        for name in WATCHED:
            target = TARGETS[name]

            def made(scenario: Scenario, first: int, number: int, target: Target = target) -> list[Made]:
                seeds = range(first, first + number)
                return list(pool.map(one, [target] * number, [scenario] * number, seeds))

            slow, steady, steep = (
                made(IS, TUNING, tuning),
                made(IS, REPORTED, reported),
                made(STEEP, REPORTED, reported),
            )
            told: dict[str, Any] = {"text": target.text, "size": _size(target)}
            for way in WAYS:
                knob = judging.knob(*_weeks(slow, way))
                told[way] = {
                    "knob": knob,
                    "slow": asdict(judging.false_alerts(*_weeks(steady, way), knob)),
                    "steep": asdict(judging.false_alerts(*_weeks(steep, way), knob)),
                    "found_slow": _found(steady, way, knob), "found_steep": _found(steep, way, knob),
                }  # fmt: skip
            found[name] = told
    return {"series": {"tuning": tuning, "reported": reported}, "targets": found}


def one(target: Target, scenario: Scenario, seed: int) -> Made:
    """One series: its electronic certificates by week, those of all causes, and all deaths beside them."""
    made = world.world(seed, (target.place,) if target.place != "FR" else ())
    rates = series.rates(target, made, scenario)
    everything = Target("all", "all causes", "all_causes", target.place, ())
    whole = series.rates(everything, made, scenario)
    rng = np.random.default_rng([seed, 8])
    deaths, others = rng.poisson(rates.deaths), rng.poisson(np.maximum(whole.deaths - rates.deaths, 0.0))
    rest = np.maximum(whole.electronic * whole.deaths - rates.electronic * rates.deaths, 0.0)
    rest = rest / np.maximum(whole.deaths - rates.deaths, 1e-9)
    electronic = rng.binomial(deaths, np.clip(rates.electronic, 0, 1))
    all_electronic = electronic + rng.binomial(others, np.clip(rest, 0, 1))
    excess = np.zeros(world.DAYS, int)
    begin = 7 * _BEGIN + int(rng.integers(0, 7))
    size = outbreaks.placed(_size(target), outbreaks.SUDDEN, rng).astype(int)
    excess[begin : begin + len(size)] = size
    more = rng.binomial(excess, np.clip(rates.electronic, 0, 1))
    registered = (deaths + others).astype(float)
    return Made(
        _statistics(electronic, all_electronic, registered),
        _statistics(electronic + more, all_electronic + more, registered + excess),
        _by_week(rates.quiet.astype(float))[FIRST_WEEK:] == 7,
    )


def _size(target: Target) -> int:
    return target.sizes[3]


def _statistics(electronic: _Numbers, all_electronic: _Numbers, registered: _Numbers) -> dict[str, Floats]:
    counts, arrived, expected = (_by_week(np.asarray(one, float)) for one in (electronic, all_electronic, registered))
    share = arrived / np.maximum(expected, 1)
    doubt = np.sqrt(np.maximum(1 - share, 0.0) / np.maximum(arrived, 1))
    plain = Series(world.FIRST, tuple(counts.tolist()))
    offset = Series(
        world.FIRST, tuple(counts.tolist()), completeness=tuple(share.tolist()), doubt=tuple(doubt.tolist())
    )  # fmt: skip
    return {way: _judged(of) for way, of in zip(WAYS, (plain, offset), strict=True)}


def _judged(of: Series) -> Floats:
    verdicts = flexible.judge(of, flexible.NOUFAILY, range(FIRST_WEEK, WEEKS))
    told = [v.p_value if v.judged and v.p_value is not None else None for v in verdicts]
    return np.array([-np.inf if p is None else -np.log10(max(p, 1e-300)) for p in told])


def _by_week(days: Floats) -> Floats:
    return np.asarray(days[: 7 * WEEKS].reshape(-1, 7).sum(axis=1), float)


def _weeks(made: Sequence[Made], way: str) -> tuple[Floats, Flags]:
    """By days, as `judging` counts them: a week's statistic stands for its seven days."""
    statistics = np.array([np.where(each.calm, each.statistics[way], -np.inf) for each in made])
    return np.repeat(statistics, 7, axis=1), np.repeat(np.array([each.calm for each in made]), 7, axis=1)


def _found(made: Iterable[Made], way: str, knob: float) -> float:
    """Share of the outbreaks found within five weeks of their first."""
    first = _BEGIN - FIRST_WEEK
    hits = [bool((each.found[way][first : first + 5] > knob).any()) for each in made]
    return float(np.mean(hits))
