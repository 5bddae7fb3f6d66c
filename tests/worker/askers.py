"""Askers over models in memory, that hold for a millisecond only."""

from __future__ import annotations

from stream.coder.model import CANARY, LineAnswer, LineModel, LineRequest
from stream.underlying import ranking
from stream.underlying.ranking import Ranked, RankModel, SilentRanker
from stream.underlying.request import RankRequest
from stream.worker.asking import Asker

HOLD_S = 0.001


def coder(model: LineModel, plain: LineModel | None = None) -> Asker[LineRequest, LineAnswer]:
    """Asks a coder, and another one for the canary where it is given."""
    return Asker(model, plain or model, CANARY, HOLD_S)


def ranker(model: RankModel | None = None, plain: RankModel | None = None) -> Asker[RankRequest, Ranked]:
    """Asks a ranker, a silent one unless told; and another one for the canary where it is given."""
    model = model or SilentRanker()
    return Asker(model, plain or model, ranking.CANARY, HOLD_S)
