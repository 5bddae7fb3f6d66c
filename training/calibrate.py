"""Fit what confidences mean, on certificates with gold codes that the lexicon's authors and the model never saw.

``python -m training.calibrate GOLD.jsonl|dev`` writes `stream/coder/confidence.json` (probability that an entity's code is
right), `stream/targeting/certainty.json` (that the underlying cause is) and prints the expected calibration error and
the threshold of targeting: the lowest at which the error among automatic certificates is at most the bound with 95 %
confidence (exact binomial, fixed sequence from the strictest threshold down, begun where at least
ln(δ)/ln(1−bound) certificates are accepted; Angelopoulos et al., Learn Then Test, 2021).

Certificates that were used to mend the lexicon make the rules look better than they are: fit on others, or with the
lexicon as it stood before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from stream.coder import confidence
from stream.coder.model import LineAnswer, LineModel, LineRequest
from stream.evaluation.gold import Gold
from stream.evaluation.score import Reliability
from stream.pipeline.core import Core, Prepared
from stream.pipeline.models import Models
from stream.pipeline.record import Incoming
from stream.settings import load
from stream.targeting import certainty
from stream.targeting.target import unknown_share
from stream.underlying.ranking import SILENT
from training.evaluate import read_gold

DELTA = 0.05

Reading = tuple[Prepared, dict[LineRequest, LineAnswer]]
"""A certificate made ready, and the model's answers to its lines."""


class Fitted(Protocol):
    """A fitted function."""

    def of(self, features: dict[str, float]) -> float:
        """Probability of named features."""


RISING = frozenset({"selection", "own", "weakest", "both:logit", "model:logit"})
"""Features that may only raise a probability: one that would lower it on these certificates is left out."""


def fit(rows: Sequence[dict[str, float]], right: Sequence[bool], ridge: float) -> dict[str, float]:
    """Weights of a logistic regression with a ridge penalty (Newton's method)."""
    weights = _newton(rows, right, ridge, frozenset())
    falling = frozenset(name for name in RISING if weights.get(name, 0.0) < 0)
    return _newton(rows, right, ridge, falling) if falling else weights


def _newton(
    rows: Sequence[dict[str, float]], right: Sequence[bool], ridge: float, without: frozenset[str]
) -> dict[str, float]:
    names = sorted({name for row in rows for name in row} - without)
    x = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    y = np.array(right, float)
    penalty = np.diag([0.01 if name == "one" else ridge for name in names])
    w = np.zeros(len(names))
    for _ in range(60):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        gradient = x.T @ (p - y) + penalty @ w
        hessian = (x * (p * (1 - p))[:, None]).T @ x + penalty
        step = np.linalg.solve(hessian, gradient)
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    return {name: round(float(value), 4) for name, value in zip(names, w, strict=True)}


def calibration_error(chances: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error over bins of equal size, as the evaluation counts it."""
    return Reliability(list(chances), list(right)).error_over(bins)


def at_most(errors: int, n: int, bound: float) -> float:
    """Probability of so few errors among n if the error rate were `bound` (exact binomial)."""
    # In logarithms: binomial coefficients of a few thousand certificates are beyond a float.
    odds, whole = (math.log(bound), math.log1p(-bound)), math.lgamma(n + 1)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * odds[0] + (n - k) * odds[1])
        for k in range(errors + 1)
    )


def threshold(chances: Sequence[float], right: Sequence[bool], bound: float) -> tuple[float, int, int]:
    """Lowest valid threshold, with the certificates it accepts and the errors among them; 1 when there is none."""
    pairs = sorted(zip(chances, right, strict=True), key=lambda pair: -pair[0])
    start = math.ceil(math.log(DELTA) / math.log(1 - bound))
    best = (1.0, 0, 0)
    errors = 0
    for n, (chance, good) in enumerate(pairs, start=1):
        errors += not good
        if n < start or (n < len(pairs) and pairs[n][0] == chance):
            continue
        if at_most(errors, n, bound) > DELTA:
            break
        best = (chance, n, errors)
    return best


async def gather(gold: Sequence[Gold], core: Core, model: LineModel) -> list[Reading]:
    """Prepared certificate and the model's answers, for each."""
    found = []
    for row in gold:
        prepared = core.prepare_certificate(row.readable(), Incoming(None))
        found.append((prepared, dict(zip(prepared.requests, await model.ask(prepared.requests), strict=True))))
    return found


def entities(gold: Sequence[Gold], found: Sequence[Reading], core: Core) -> tuple[list[dict[str, float]], list[bool]]:
    """Features of every proposal of either coder, and whether the gold has its code on that line."""
    rows: list[dict[str, float]] = []
    right: list[bool] = []
    for row, (prepared, answers) in zip(gold, found, strict=True):
        for expected, line in zip(row.lines, prepared.read.lines, strict=True):
            wanted = Counter(expected)
            for proposal in core.proposals(prepared, line, answers.get(line.request, ())):
                rows.append(proposal.evidence.features())
                right.append(wanted[proposal.code] > 0)
    return rows, right


async def causes(
    gold: Sequence[Gold], found: Sequence[Reading], core: Core, models: Models
) -> tuple[list[dict[str, float]], list[bool]]:
    """Features of every underlying cause selected, and whether it is the gold's."""
    cases: list[dict[str, float]] = []
    good: list[bool] = []
    for row, (prepared, answers) in zip(gold, found, strict=True):
        worded = core.worded(prepared, answers, models.coder.version)
        (ranked,) = await models.ranker.ask(worded.requests) or (SILENT,)
        raw = core.selected(worded, ranked)
        if raw.code is not None:
            unknown = unknown_share([line.normal.raw for line in prepared.read.lines], (*worded.part1, *worded.part2))
            cases.append(certainty.features(raw, worded.part1, worded.part2, unknown))
            good.append(raw.code == row.underlying)
    return cases, good


def calibrate(gold: Sequence[Gold], models: Models) -> Iterator[str]:
    """Fit both functions, write them where the package reads them, and tell how well they mean what they say."""
    core, model = Core(None, load()), models.coder
    found = asyncio.run(gather(gold, core, model))
    rows, right = entities(gold, found, core)
    weights = fit(rows, right, 1.0)
    note = f"{len(gold)} certificates, {len(rows)} proposals, model {model.version}"
    _write(confidence.WEIGHTS, note, weights)
    fitted = confidence.Confidence(weights)
    chances = [fitted.of(row) for row in rows]
    crossed = _crossed(rows, right, 1.0, confidence.Confidence)
    yield f"entities: {note}; calibration error {calibration_error(chances, right):.4f} in sample, "
    yield f"          {calibration_error(crossed, right):.4f} crossed over five folds"
    confidence.load.cache_clear()
    cases, good = asyncio.run(causes(gold, found, Core(None, load()), models))
    weights = fit(cases, good, 3.0)
    _write(certainty.WEIGHTS, f"{len(cases)} certificates", weights)
    certainty.load.cache_clear()
    folds = _crossed(cases, good, 3.0, certainty.Certainty)
    yield f"underlying: right {np.mean(good):.4f}; calibration error {calibration_error(folds, good):.4f} crossed"
    for bound in (0.02, 0.05, 0.1):
        limit, n, errors = threshold(folds, good, bound)
        yield f"  error at most {bound:.0%}: threshold {limit:.4f}, {n} of {len(gold)} automatic, {errors} wrong"
    for limit in (0.7, 0.8, 0.85, 0.9, 0.95):
        taken = [right for chance, right in zip(folds, good, strict=True) if chance >= limit]
        if taken:
            yield f"  threshold {limit:.2f}: {len(taken) / len(gold):.3f} automatic, {1 - np.mean(taken):.3f} of them wrong"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gold", help="a file, or dev: the written certificates kept for development")
    parser.add_argument("--model", type=Path, help="served folder")
    options = parser.parse_args()
    from training.local import local_models

    for told in calibrate(read_gold(options.gold), local_models(options.model)):
        print(told)


def _crossed(
    cases: Sequence[dict[str, float]],
    good: Sequence[bool],
    ridge: float,
    make: Callable[[dict[str, float]], Fitted],
    folds: int = 5,
) -> list[float]:
    """Each case's chance by weights fitted without its fold."""
    out = [0.0] * len(cases)
    for fold in range(folds):
        kept = [i for i in range(len(cases)) if i % folds != fold]
        fitted = make(fit([cases[i] for i in kept], [good[i] for i in kept], ridge))
        for i in range(fold, len(cases), folds):
            out[i] = fitted.of(cases[i])
    return out


def _write(path: Path, note: str, weights: dict[str, float]) -> None:
    path.write_text(json.dumps({"fitted_on": note, "weights": weights}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
