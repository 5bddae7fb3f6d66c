"""Counts what was decided, once it is with the broker."""

from __future__ import annotations

from collections.abc import Iterable

from stream import metrics
from stream.certificate import utc_now
from stream.coding import Modality
from stream.pipeline.record import Decision


def count(decisions: Iterable[Decision]) -> None:
    """Count decisions whose results are committed: by route, reason and error, with how long their certificates waited."""
    now = utc_now()
    for decision in decisions:
        if decision.coded is not None:
            route, received = decision.coded.targeting.route, decision.coded.received_at
            metrics.CODED.labels(route, decision.coded.modality).inc()
            # How long a person took is the desk's to tell.
            if received is not None and decision.coded.modality is not Modality.HUMAN:
                _waited((now - received).total_seconds(), route)
            for reason in decision.coded.targeting.reasons:
                metrics.REASONS.labels(reason).inc()
        elif decision.letter is not None:
            metrics.DEAD.labels(decision.letter.error).inc()


def _waited(seconds: float, route: str) -> None:
    """Whose clock is ahead of ours waited for nothing that could be measured: it is counted apart."""
    if seconds < 0:
        metrics.AHEAD.inc()
    else:
        metrics.RECEIPT.labels(route).observe(seconds)
