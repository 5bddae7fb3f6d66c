"""Certainty of a certificate: the probability that its underlying cause is right, text and rules taken together.

The rules know how sure they are of their selection given the codes; the coders know how sure they are of the codes.
A logistic function of both is fitted on certificates with gold codes (`training/calibrate.py`); its weights are in
`certainty.json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from stream.coder.confidence import logistic, logit, read_weights
from stream.coding import CodedLine, Underlying, Why

WEIGHTS = Path(__file__).with_name("certainty.json")


def features(
    cause: Underlying, part1: Sequence[CodedLine], part2: Sequence[CodedLine], unknown: float
) -> dict[str, float]:
    """Named features.

    Args:
        cause: what the rules selected, with their own confidence.
        part1: coded lines of Part I.
        part2: coded lines of Part II.
        unknown: share of the text that neither coder could read, 0 to 1.
    """
    weak = min((e.confidence for line in part1 for e in line.entities), default=0.5)
    # The entity that gave the cause counts most; a cause made by a rule has no entity of its own.
    own = max((e.confidence for line in (*part1, *part2) for e in line.entities if e.code == cause.code), default=weak)
    # A line of Part I that says something and got no code may hold the very cause.
    silent = any(not line.entities and any(u.why is Why.UNKNOWN_WORDS for u in line.uncoded) for line in part1)
    return {
        "one": 1.0,
        "silent": float(silent),
        "selection": logit(cause.confidence),
        "own": logit(own),
        "weakest": logit(weak),
        "unknown": unknown,
        "several": math.log1p(sum(len(line.entities) for line in part1)),
    }


class Certainty:
    """The fitted function: weight of each feature; an absent one is 0."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = dict(weights)

    def __call__(
        self, cause: Underlying, part1: Sequence[CodedLine], part2: Sequence[CodedLine], unknown: float
    ) -> float:
        """Probability, rounded to four places; 0 when there is no cause."""
        if cause.code is None:
            return 0.0
        return self.of(features(cause, part1, part2, unknown))

    def of(self, found: Mapping[str, float]) -> float:
        """Probability of named features."""
        return logistic(self._weights, found)


@cache
def load(path: Path = WEIGHTS) -> Certainty:
    """The packaged weights.

    Raises:
        InvalidData: the file is not a mapping of numbers.
    """
    return Certainty(read_weights(path))
