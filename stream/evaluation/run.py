"""Gold certificates coded by the core, as any shell would code them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from itertools import islice

from stream.certificate import utc_now
from stream.coder.model import LineAnswer, LineModel, LineRequest
from stream.coding import CodedCertificate, Versions
from stream.errors import CoreFailed, InfrastructureError, InputError
from stream.evaluation.gold import Gold
from stream.evaluation.score import Score, score
from stream.pipeline.core import Core, Prepared
from stream.pipeline.record import Incoming

BATCH = 256


async def run(
    gold: Iterable[Gold], core: Core, model: LineModel
) -> AsyncIterator[tuple[Gold, CodedCertificate | None]]:
    """Each certificate with what became of it, in order; None for one that the core refuses or fails on,
    its gold then with the error.

    Raises:
        InfrastructureError: the model does not answer, retries included.
    """
    rows = iter(gold)
    while batch := list(islice(rows, BATCH)):
        ready = [_prepared(row, core) for row in batch]
        requests = [request for p in ready if isinstance(p, Prepared) for request in p.requests]
        answers = dict(zip(requests, await model.tag(requests), strict=True))
        for row, one in zip(batch, ready, strict=True):
            coded = _coded(one, answers, core, model.version) if isinstance(one, Prepared) else one
            yield (row, coded) if isinstance(coded, CodedCertificate) else (replace(row, error=coded), None)


async def measure(gold: Iterable[Gold], core: Core, model: LineModel) -> tuple[Score, Versions | None]:
    """Counts over all certificates, and the versions that coded them; None where none was coded.

    Raises:
        InfrastructureError: see `run`.
    """
    pairs = [pair async for pair in run(gold, core, model)]
    versions = next((coded.versions for _, coded in pairs if coded), None)
    return score(pairs), versions


def _prepared(row: Gold, core: Core) -> Prepared | InputError:
    """The certificate made ready, or what would make a dead letter of it in the stream."""
    try:
        return core.prepare_certificate(row.readable(), Incoming(None))
    except InputError as error:
        return error
    except InfrastructureError:
        raise
    except Exception as fault:
        return CoreFailed.of(fault)


def _coded(
    prepared: Prepared, answers: dict[LineRequest, LineAnswer], core: Core, model: str
) -> CodedCertificate | InputError:
    try:
        return core.code(prepared, answers, model, utc_now())[0]
    except Exception as fault:
        return CoreFailed.of(fault)
