"""Fit `together.json`: the probability that a code is right, of what rules and ranker say of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from stream.underlying.codes import bare
from stream.underlying.together import WEIGHTS, features
from training.calibrate import fit
from training.underlying.scoring import Judged

_RIDGE = 1.0


def together(judged: Sequence[Judged]) -> dict[str, float]:
    """Weights fitted on what either side put up for certificates that were kept apart."""
    rows: list[dict[str, float]] = []
    right: list[bool] = []
    for one in judged:
        if not one.ranked.codes:
            continue
        for code in dict.fromkeys((bare(one.considered.cause.code or ""), one.ranker)):
            rows.append(features(one.considered, one.ranked, code))
            right.append(code == bare(one.item.answer))
    return fit(rows, right, _RIDGE)


def save(weights: dict[str, float], note: str) -> None:
    """Write the weights where the package reads them."""
    WEIGHTS.write_text(json.dumps({"fitted_on": note, "weights": weights}, indent=1) + "\n", encoding="utf-8")
