"""Gold certificates coded by the core, as any shell would code them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from itertools import islice

from stream.certificate import utc_now
from stream.coder.model import LineAnswer, LineModel, LineRequest
from stream.coding import CodedCertificate
from stream.errors import InfrastructureError
from stream.evaluation.gold import Gold
from stream.pipeline.core import Core, Prepared
from stream.pipeline.record import Incoming

BATCH = 256


async def run(
    gold: Iterable[Gold], core: Core, model: LineModel
) -> AsyncIterator[tuple[Gold, CodedCertificate | None]]:
    """Each certificate with what became of it, in order; None for one that the core refuses or fails on.

    Raises:
        InfrastructureError: the model does not answer, retries included.
    """
    rows = iter(gold)
    while batch := list(islice(rows, BATCH)):
        prepared = [_prepared(row, core) for row in batch]
        requests = [request for p in prepared if p for request in p.requests]
        answers = dict(zip(requests, await model.tag(requests), strict=True))
        for row, one in zip(batch, prepared, strict=True):
            yield row, _coded(one, answers, core, model.version) if one else None


def _prepared(row: Gold, core: Core) -> Prepared | None:
    if row.certificate is None:
        return None
    try:
        return core.prepare_certificate(row.certificate, Incoming(None))
    except InfrastructureError:
        raise
    except Exception:
        return None


def _coded(
    prepared: Prepared, answers: dict[LineRequest, LineAnswer], core: Core, model: str
) -> CodedCertificate | None:
    try:
        return core.code(prepared, answers, model, utc_now())[0]
    except Exception:
        return None
