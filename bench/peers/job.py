"""The job itself, for a framework to call: bytes of certificates in, records of results out.

It is the core and its two requests to the models, as in `stream.worker.batch`, with that worker's retries and without
what a worker adds to survive faults: breaker, halving of a batch that a model rejects, holding.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence

from stream.certificate import utc_now
from stream.cli.serving import models
from stream.pipeline.core import Core, Prepared, Worded
from stream.pipeline.models import Models
from stream.pipeline.record import Decision, Incoming, Outgoing
from stream.registry import open_registry
from stream.settings import Settings
from stream.wire import Wire
from stream.worker.subjects import subject_topics


class Job:
    """Codes batches of certificates.

    Args:
        core: the pure core.
        models: both models.
    """

    def __init__(self, core: Core, models: Models) -> None:
        self._core, self._models = core, models

    async def code(self, batch: Sequence[Incoming]) -> list[Outgoing]:
        """Everything to be written for a batch, in its order.

        Raises:
            InfrastructureError: a model does not answer, retries included.
        """
        core, (coder, ranker) = self._core, (self._models.coder, self._models.ranker)
        ready = [core.prepare(core.receive(incoming), utc_now()) for incoming in batch]
        lines = [r for p in ready if isinstance(p, Prepared) for r in p.requests]
        answers = dict(zip(lines, await coder.ask(lines), strict=True))
        worded = [
            core.word(p, answers, coder.version, utc_now()) if isinstance(p, Prepared) else p for p in ready
        ]  # fmt: skip
        cases = [r for w in worded if isinstance(w, Worded) for r in w.requests]
        rankings = dict(zip(cases, await ranker.ask(cases), strict=True))
        decisions: list[Decision] = [
            core.decide(w, rankings, ranker.version, utc_now()) if isinstance(w, Worded) else w for w in worded
        ]
        return [record for decision in decisions for record in decision.outgoing]


def opened(settings: Settings) -> Job:
    """The job under the worker's settings; inside an event loop, which the models' clients belong to from then on."""
    wire = Wire(open_registry(settings.registry, subject_topics(settings)))
    wire.warm(("certificates", "coded", "manual", "dead-letters"))
    core = Core(wire, settings)
    # As the worker does: half a million objects that no collection need look at again.
    gc.collect()
    gc.freeze()
    return Job(core, models(settings.triton.url, settings))
