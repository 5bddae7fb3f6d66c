"""Gold certificates coded by the core, as any shell would code them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from itertools import islice

from stream.coding import CodedCertificate, Versions
from stream.errors import CoreFailed, InfrastructureError, InputError
from stream.evaluation.gold import Gold
from stream.evaluation.score import Score, score
from stream.pipeline.core import Core, Prepared
from stream.pipeline.models import Models, code
from stream.pipeline.record import Incoming

BATCH = 256


async def run(gold: Iterable[Gold], core: Core, models: Models) -> AsyncIterator[tuple[Gold, CodedCertificate | None]]:
    """Each certificate with what became of it, in order; None for one that the core refuses or fails on,
    its gold then with the error.

    Raises:
        InfrastructureError: a model does not answer, retries included.
    """
    rows = iter(gold)
    while batch := list(islice(rows, BATCH)):
        for row, coded in zip(batch, await code([_prepared(row, core) for row in batch], core, models), strict=True):
            yield (row, coded) if isinstance(coded, CodedCertificate) else (replace(row, error=coded), None)


async def measure(gold: Iterable[Gold], core: Core, models: Models) -> tuple[Score, Versions | None]:
    """Counts over all certificates, and the versions that coded them; None where none was coded.

    Raises:
        InfrastructureError: see `run`.
    """
    pairs = [pair async for pair in run(gold, core, models)]
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
