"""The models that a certificate is put to, and the plain way through the core for shells without Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream.certificate import utc_now
from stream.coder.model import LineModel
from stream.coding import CodedCertificate
from stream.errors import CoreFailed, InputError
from stream.pipeline.core import Core, Prepared, Worded
from stream.underlying.ranking import SILENT, RankModel


@dataclass(frozen=True, slots=True)
class Models:
    """Coder of lines, ranker of underlying causes."""

    coder: LineModel
    ranker: RankModel

    async def close(self) -> None:
        """Let go of both connections."""
        await self.coder.close()
        await self.ranker.close()


async def code(
    prepared: Sequence[Prepared | InputError], core: Core, models: Models
) -> list[CodedCertificate | InputError]:
    """What becomes of each certificate of a batch, in order: two requests to the models in all.

    Raises:
        InfrastructureError: a model does not answer, retries included.
    """
    lines = [r for p in prepared if isinstance(p, Prepared) for r in p.requests]
    answers = dict(zip(lines, await models.coder.ask(lines), strict=True))

    def worded(item: Prepared | InputError) -> Worded | InputError:
        if not isinstance(item, Prepared):
            return item
        try:
            return core.worded(item, answers, models.coder.version)
        except Exception as fault:
            return CoreFailed.of(fault)

    ready = [worded(item) for item in prepared]
    cases = [r for w in ready if isinstance(w, Worded) for r in w.requests]
    rankings = dict(zip(cases, await models.ranker.ask(cases), strict=True))

    def coded(item: Worded | InputError) -> CodedCertificate | InputError:
        if not isinstance(item, Worded):
            return item
        try:
            ranked = rankings[item.request] if item.request else SILENT
            return core.code(item, ranked, models.ranker.version, utc_now())[0]
        except Exception as fault:
            return CoreFailed.of(fault)

    return [coded(item) for item in ready]
