"""Confidence of a proposal: the probability that its code is right, from how rules and model came to it.

A logistic function of a few readable features; its weights are fitted on certificates that neither the lexicon's
authors nor the model saw (`training/calibrate.py`) and kept in `confidence.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stream.coder.rules import Kind
from stream.errors import InvalidData

WEIGHTS = Path(__file__).with_name("confidence.json")
_FLOOR = 1e-3


def logit(p: float) -> float:
    """Log-odds, bounded so that a rounded 0 or 1 stays finite."""
    p = min(1 - _FLOOR, max(_FLOOR, p))
    return math.log(p / (1 - p))


def logistic(weights: Mapping[str, float], features: Mapping[str, float]) -> float:
    """Logistic function of weighted features, rounded to four places; a feature without weight counts nothing."""
    score = sum(weights.get(name, 0.0) * value for name, value in features.items())
    return round(1 / (1 + math.exp(-max(-30.0, min(30.0, score)))), 4)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a code was come by.

    Attributes:
        kind: how the rules found it, None when they did not.
        size: content words of the rules' expression.
        coverage: share of the segment that the rules cover.
        model: the model's probability for this code, None when it does not propose it.
        rival: the other side's strength where it says another code: the model's probability against a rule; for a
            model's proposal 1 against a whole expression, 0.5 against a lesser match; 0 when nothing contradicts.
        care: whether the code is a complication of care: the model hears one in every treatment that is mentioned.
        outer: whether the code is an injury or an external cause (chapters XIX and XX), where usage is least settled.
        short: whether the words are at most four letters in all: they may mean many things.
        runner: the model's probability for the code that it likes next, where it speaks for this one.
        second: whether the code is the second one of an expression or of an entity.
    """

    kind: Kind | None
    size: int = 0
    coverage: float = 0.0
    model: float | None = None
    rival: float = 0.0
    care: bool = False
    outer: bool = False
    short: bool = False
    runner: float = 0.0
    second: bool = False

    def features(self) -> dict[str, float]:
        """Named features of the logistic function."""
        found: dict[str, float] = {"one": 1.0}
        if self.kind is not None:
            found[f"rules:{self.kind.lower()}"] = 1.0
            found["coverage"] = self.coverage
            found["single_word"] = float(self.size == 1)
        if self.model is not None:
            side = "both" if self.kind is not None else "model"
            found[side] = 1.0
            found[f"{side}:logit"] = logit(self.model)
            if self.care and self.kind is None:
                found["model:care"] = 1.0
            if self.runner:
                found[f"{side}:runner"] = self.runner
        for name in ("outer", "short", "second"):
            if getattr(self, name):
                found[f"{'rules' if self.kind is not None else 'model'}:{name}"] = 1.0
        if self.rival:
            found["rival"] = 1.0
            found["rival:logit" if self.kind is not None else "rival:strength"] = (
                logit(self.rival) if self.kind is not None else self.rival
            )
        return found


def read_weights(path: Path) -> dict[str, float]:
    """Weights of a logistic function from its file.

    Raises:
        InvalidData: the file cannot be read or is not a mapping of finite numbers.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["weights"].items()
        weights = {str(name): float(value) for name, value in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidData(f"{path.name}: {type(error).__name__}") from error
    if not all(map(math.isfinite, weights.values())):
        raise InvalidData(f"{path.name}: a weight is no finite number")
    return weights


class Confidence:
    """The fitted function.

    Args:
        weights: weight of each feature; an absent one is 0.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = dict(weights)

    def __call__(self, evidence: Evidence) -> float:
        """Probability, rounded to four places."""
        return self.of(evidence.features())

    def of(self, features: Mapping[str, float]) -> float:
        """Probability of named features."""
        return logistic(self._weights, features)


@cache
def load(path: Path = WEIGHTS) -> Confidence:
    """The packaged weights.

    Raises:
        InvalidData: the file is not a mapping of numbers.
    """
    return Confidence(read_weights(path))
