"""The study: many series, many outbreaks, every method, at equal false alarms."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bench.epidemic import fits, judging, outbreaks, scores, series, world
from bench.epidemic.delays import IS, SCENARIOS, STEEP, Scenario
from bench.epidemic.judging import Flags, Trial
from bench.epidemic.outbreaks import Shape
from bench.epidemic.scores import Fitted
from bench.epidemic.series import BEGIN, HISTORY, Drawn, Rates, Target
from stream.surveillance.detection.series import Floats

TUNING, REPORTED = 1_000_000, 2_000_000
"""First seeds: of the series that knobs are tuned on, and of those that are reported."""
CHUNK = 20
AFTER_DAYS = 28
"""Days after an outbreak's end in which an alert still counts as finding it."""
LOOKS = range(HISTORY, HISTORY + world.DAYS - world.JUDGED)
PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated.

    Attributes:
        tuning: series without outbreaks that knobs are tuned on, each of a year.
        reported: others that false alarms are measured on, and outbreaks are put into.
    """

    tuning: int
    reported: int


FULL, QUICK = Size(300, 300), Size(40, 40)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What some seeds gave: by scenario and method.

    Attributes:
        statistics: of series without outbreaks, one row for each seed.
        opened: days that count, by scenario and method.
        trials: of outbreaks, by shape and size.
    """

    statistics: Mapping[str, Mapping[str, Floats]]
    opened: Mapping[str, Mapping[str, Flags]]
    trials: Mapping[str, Mapping[str, Mapping[str, Mapping[int, list[Trial]]]]]


def run(targets: Iterable[Target], size: Size, told: Callable[[str], None] = print) -> dict[str, Any]:
    """The whole study; figures as JSON takes them."""
    found: dict[str, Any] = {}
    # One thread each: the products are small, and two processes share two cores.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with ProcessPoolExecutor(PROCESSES) as pool:
        for target in targets:
            found[target.name] = _target(target, size, partial(_mapped, pool))
            told(f"{target.text}: done")
    return {"series": {"tuning": size.tuning, "reported": size.reported}, "targets": found}


Mapped = Callable[[Target, Sequence[Sequence[int]], bool], list[Chunk]]


def _mapped(pool: ProcessPoolExecutor, target: Target, seeds: Sequence[Sequence[int]], outbreak: bool) -> list[Chunk]:
    n = len(seeds)
    return list(pool.map(chunk, [target] * n, seeds, [outbreak] * n))


def _target(target: Target, size: Size, mapped: Mapped) -> dict[str, Any]:
    tuning = _together(mapped(target, _split(TUNING, size.tuning), False))
    reported = _together(mapped(target, _split(REPORTED, size.reported), True))
    scenarios: dict[str, Any] = {}
    for name in SCENARIOS:
        scenarios[name] = {
            method: judging.judged(
                (tuning.statistics[name][method], tuning.opened[name][method]),
                (reported.statistics[name][method], reported.opened[name][method]),
                reported.trials[name][method],
            )
            for method in scores.METHODS
        }
    # The knobs of a country whose electronic share stands still, where it rises within weeks.
    steep = {}
    for method in scores.METHODS:
        at = judging.knob(tuning.statistics[IS.name][method], tuning.opened[IS.name][method])
        told = judging.false_alerts(reported.statistics[STEEP.name][method], reported.opened[STEEP.name][method], at)
        steep[method] = {"value": told.value, "low": told.low, "high": told.high}
    told_rates = {name: _rates(target, REPORTED, scenario) for name, scenario in SCENARIOS.items()}
    shares = {name: round(float(rates.electronic[world.JUDGED :].mean()), 3) for name, rates in told_rates.items()}
    week = float(told_rates[IS.name].deaths[world.JUDGED :].mean() * 7)
    return {
        "text": target.text, "group": target.group, "place": target.place, "deaths_a_week": round(week, 1),
        "electronic_share": shares,
        "scenarios": scenarios, "steep_false_alerts_a_year": steep,
    }  # fmt: skip


def _split(first: int, number: int) -> list[list[int]]:
    return [list(range(first + i, first + min(i + CHUNK, number))) for i in range(0, number, CHUNK)]


def _rates(target: Target, seed: int, scenario: Scenario) -> Rates:
    local = (target.place,) if target.place != "FR" else ()
    return series.rates(target, world.world(seed, local), scenario)


def chunk(target: Target, seeds: Sequence[int], outbreak: bool) -> Chunk:
    """Series of some seeds in every scenario, with outbreaks or without."""
    scenarios = [*SCENARIOS.values(), *((STEEP,) if outbreak else ())]
    told = {scenario.name: [_rates(target, seed, scenario) for seed in seeds] for scenario in scenarios}
    drawn = {
        scenario.name: [
            series.draw(target, rates, (seed,)) for seed, rates in zip(seeds, told[scenario.name], strict=True)
        ]
        for scenario in scenarios
    }
    fitted = baselines(np.array([one.deaths for one in drawn[IS.name]]))
    statistics: dict[str, dict[str, Floats]] = {}
    opened: dict[str, dict[str, Flags]] = {}
    trials: dict[str, dict[str, dict[str, dict[int, list[Trial]]]]] = {}
    for scenario in scenarios:
        quiet = [rates.quiet[BEGIN:] for rates in told[scenario.name]]
        each = [
            scores.scored(one.arrivals, LOOKS, HISTORY, scenario.longest, fitted.of(row), calm)
            for row, (one, calm) in enumerate(zip(drawn[scenario.name], quiet, strict=True))
        ]
        statistics[scenario.name] = {method: np.array([one[method] for one in each]) for method in scores.METHODS}
        opened[scenario.name] = {
            method: np.array([_opened(calm, method) for calm in quiet]) for method in scores.METHODS
        }
        if outbreak and scenario is not STEEP:
            trials[scenario.name] = _trials(
                target, seeds, scenario, told[scenario.name], drawn[scenario.name], each, fitted
            )  # fmt: skip
    return Chunk(statistics, opened, trials)


def baselines(deaths: Floats) -> Fitted:
    """Baselines of all weeks that a year of looks judges; the deaths of long ago are complete by then."""
    ends = range(world.JUDGED - scores.AGES[-1], world.DAYS)
    return Fitted(fits.baselines(deaths, ends, fits.NOUFAILY), fits.baselines(deaths, ends, fits.FARRINGTON))


def _opened(calm: Flags, method: str) -> Flags:
    """Looks on which an alert counts: the newest week is no wave's."""
    if method == "EARS C2 on arrivals":
        return scores.settled(calm, LOOKS)
    rows = np.arange(LOOKS.start, LOOKS.stop)
    return np.asarray(np.minimum.reduce([calm[rows - back] for back in range(7)]))


def beginning(calm: Flags, shape: Shape, rng: np.random.Generator) -> int | None:
    """A day (row) on which an outbreak may begin: no wave from six weeks before it until it is over; None without any."""
    before, after = judging.GAP_DAYS + 28, shape.days + AFTER_DAYS
    sums = np.concatenate([[0], np.cumsum(calm)])
    rows = np.arange(LOOKS.start + judging.GAP_DAYS, LOOKS.stop - after)
    free = rows[sums[rows + after] - sums[rows - before] == before + after]
    return int(rng.choice(free)) if len(free) else None


def _trials(
    target: Target, seeds: Sequence[int], scenario: Scenario, told: Sequence[Rates], drawn: Sequence[Drawn],
    quiet_scores: Sequence[Mapping[str, Floats]], fitted: Fitted,
) -> dict[str, dict[str, dict[int, list[Trial]]]]:  # fmt: skip
    found: dict[str, dict[str, dict[int, list[Trial]]]] = {
        method: {shape: {size: [] for size in target.sizes} for shape in outbreaks.SHAPES} for method in scores.METHODS
    }
    for row, (seed, rates, one, without) in enumerate(zip(seeds, told, drawn, quiet_scores, strict=True)):
        calm = rates.quiet[BEGIN:]
        for number, shape in enumerate(outbreaks.SHAPES.values()):
            begin = beginning(calm, shape, np.random.default_rng([seed, 5, number]))
            if begin is None:
                continue
            for size in target.sizes:
                # The same outbreak in every scenario; its certificates take the scenario's ways.
                excess = outbreaks.placed(size, shape, np.random.default_rng([seed, 6, number, size]))
                first = begin + int(np.flatnonzero(excess)[0])
                looks = range(first, begin + shape.days + AFTER_DAYS)
                arrivals = with_outbreak(one, rates, excess, begin, np.random.default_rng([seed, 7, number, size]))
                here = scores.scored(arrivals, looks, HISTORY, scenario.longest, fitted.of(row), calm)
                place = slice(looks.start - LOOKS.start, looks.stop - LOOKS.start)
                past = slice(max(0, place.start - judging.GAP_DAYS), place.start)
                for method, values in here.items():
                    before = float(without[method][past].max(initial=-np.inf))
                    found[method][shape.name][size].append(
                        Trial(before, values.astype(np.float32), without[method][place].astype(np.float32))
                    )
    return found


def with_outbreak(one: Drawn, rates: Rates, excess: Floats, begin: int, rng: np.random.Generator) -> Floats:
    """Arrivals with those of an outbreak among them; its certificates are as often electronic as the others."""
    days = slice(begin, begin + len(excess))
    share = np.clip(rates.electronic[BEGIN:][days], 0.0, 1.0)
    electronic = rng.binomial(excess.astype(int), share).astype(float)
    sent, posted = series.came(excess, electronic, BEGIN + begin, rng, 1)
    arrivals = one.arrivals.copy()
    arrivals[days] += sent + posted
    return arrivals


def _together(chunks: Sequence[Chunk]) -> Chunk:
    first = chunks[0]
    statistics = {
        name: {method: np.concatenate([one.statistics[name][method] for one in chunks]) for method in methods}
        for name, methods in first.statistics.items()
    }
    opened = {
        name: {method: np.concatenate([one.opened[name][method] for one in chunks]) for method in methods}
        for name, methods in first.opened.items()
    }
    trials: dict[str, dict[str, dict[str, dict[int, list[Trial]]]]] = {
        name: {
            method: {
                shape: {
                    size: [trial for one in chunks for trial in one.trials[name][method][shape][size]] for size in sizes
                }
                for shape, sizes in shapes.items()
            }
            for method, shapes in methods.items()
        }
        for name, methods in first.trials.items()
    }
    return Chunk(statistics, opened, trials)
