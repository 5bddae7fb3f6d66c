"""Traces by OpenTelemetry, from a certificate to its result. Off unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set.

A *batch* span covers a micro-batch from its arrival until its results are with the broker; within it stand the stages and
the transaction. It is linked to the context of each certificate that brings one in its Kafka header ``traceparent`` (W3C).
Such a certificate gets a span of its own under that context, and its results carry it on. No span holds text, an id or an
offset; an error is told by its code alone. ``tracestate`` is not read.

Off, nothing of OpenTelemetry is imported, and the contexts go through as they came. The other ``OTEL_…`` variables mean
what OpenTelemetry says: sampler, headers, certificates, name of the service.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import stream
from stream.errors import CausaError, InvalidSettings
from stream.pipeline.record import Decision, Incoming

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, SpanContext

HEADER = "traceparent"
SWITCH = "OTEL_EXPORTER_OTLP_ENDPOINT"
FLUSH_S = 2.0
_CONTEXT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_ZERO = (b"0" * 32, b"0" * 16)
_NOTHING = nullcontext()


def received(headers: Iterable[tuple[str, bytes]] | None) -> str:
    """The trace context among a record's headers; empty where there is none, or what is none: it may hold anything."""
    for name, value in headers or ():
        if name == HEADER and isinstance(value, bytes) and (found := _CONTEXT.fullmatch(value)):
            return "" if found[1] == _ZERO[0] or found[2] == _ZERO[1] else value.decode()
    return ""


class Batch:
    """The trace of a micro-batch; this one is that of a process whose traces are off."""

    def active(self) -> AbstractContextManager[Any]:
        """What begins within belongs to the batch."""
        return _NOTHING

    def carry(self, decisions: Sequence[Decision]) -> Sequence[Decision]:
        """The decisions, their results with the context of their certificates."""
        if not any(decision.incoming.trace for decision in decisions):
            return decisions
        return [_with(decision, decision.incoming.trace) for decision in decisions]

    def end(self, decisions: Sequence[Decision], delivered: bool) -> None:
        """The results are with the broker, or never will be from here."""


class Tracing:
    """Traces of a process.

    Args:
        provider: gives the spans away.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self.provider = provider
        self.tracer = provider.get_tracer("causa", stream.__version__)

    @contextmanager
    def span(self, name: str, belongs: Sequence[SpanContext] = ()) -> Iterator[None]:
        """A span around a piece of work, within the first of what it belongs to and linked to the others."""
        from opentelemetry.context import Context
        from opentelemetry.trace import Link, NonRecordingSpan, Status, StatusCode, set_span_in_context

        parent = set_span_in_context(NonRecordingSpan(belongs[0]), Context()) if belongs else None
        # Exceptions are not recorded as OpenTelemetry would: message and traceback may quote a certificate.
        with self.tracer.start_as_current_span(
            name,
            parent,
            links=[Link(one) for one in belongs[1:]],
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as fault:
                span.set_attribute("error.type", fault.code if isinstance(fault, CausaError) else type(fault).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise


class _TracedBatch(Batch):
    def __init__(self, tracing: Tracing, batch: Sequence[Incoming]) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

        parents: dict[int, SpanContext] = {}
        for place, incoming in enumerate(batch):
            if found := _CONTEXT.fullmatch(incoming.trace.encode()):
                trace, span, flags = (int(part, 16) for part in found.groups())
                parents[place] = SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(flags & 1))
        self._span = tracing.tracer.start_span(
            "batch", Context(), SpanKind.CONSUMER,
            {"messaging.system": "kafka", "messaging.batch.message_count": len(batch)},
            [Link(parent) for parent in parents.values()],
        )  # fmt: skip
        back = [Link(self._span.get_span_context())]
        self._certificates: dict[int, Span] = {
            place: tracing.tracer.start_span(
                "certificate", set_span_in_context(NonRecordingSpan(parent), Context()), SpanKind.CONSUMER, links=back
            )
            for place, parent in parents.items()
        }

    def active(self) -> AbstractContextManager[Any]:
        from opentelemetry.trace import use_span

        return use_span(self._span, record_exception=False, set_status_on_exception=False)

    def carry(self, decisions: Sequence[Decision]) -> Sequence[Decision]:
        found = list(decisions)
        for place, span in self._certificates.items():
            found[place] = _with(found[place], _written(span.get_span_context()))
        return found

    def end(self, decisions: Sequence[Decision], delivered: bool) -> None:
        for place, span in self._certificates.items():
            coded, letter = decisions[place].coded, decisions[place].letter
            if coded is not None:
                span.set_attribute("causa.route", coded.targeting.route.value)
                span.set_attribute("causa.modality", coded.modality.value)
            elif letter is not None:
                span.set_attribute("error.type", letter.error)
            span.set_attribute("causa.delivered", delivered)
            span.end()
        self._span.set_attribute("causa.delivered", delivered)
        self._span.end()


def _with(decision: Decision, trace: str) -> Decision:
    if not trace:
        return decision
    return replace(decision, outgoing=tuple(replace(record, trace=trace) for record in decision.outgoing))


def _written(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & 1:02x}"


_OFF = Batch()
_tracing: Tracing | None = None


def start(service: str, exporter: SpanExporter | None = None) -> None:
    """Switch the traces of this process on, where the environment or an exporter asks for them.

    Args:
        service: its name, unless ``OTEL_SERVICE_NAME`` tells another.
        exporter: takes the spans at once, for tests; else they go out by OTLP (gRPC), in batches.

    Raises:
        InvalidSettings: they are asked for, and OpenTelemetry is not installed.
    """
    global _tracing  # noqa: PLW0603 - one tracer for a process
    if exporter is None and not os.environ.get(SWITCH):
        return
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

        resource = {"service.name": os.environ.get("OTEL_SERVICE_NAME", service), "service.version": stream.__version__}
        provider = TracerProvider(resource=Resource.create(resource), shutdown_on_exit=False)
        processor: SpanProcessor
        if exporter is not None:
            processor = SimpleSpanProcessor(exporter)
        else:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

            processor = BatchSpanProcessor(OTLPSpanExporter())
    except ImportError:
        raise InvalidSettings(f"{SWITCH} is set, and OpenTelemetry is not installed", hint="causa[trace]") from None
    provider.add_span_processor(processor)
    _tracing = Tracing(provider)


def stop() -> None:
    """Give away what is left, for `FLUSH_S` seconds at most, and switch off. It blocks."""
    global _tracing
    tracing, _tracing = _tracing, None
    if tracing is not None:
        # OpenTelemetry's own time limits do not hold where the collector is away: it tries again and again.
        ending = threading.Thread(target=tracing.provider.shutdown, name="tracing", daemon=True)
        ending.start()
        ending.join(FLUSH_S)


def batch(records: Sequence[Incoming]) -> Batch:
    """The trace of a micro-batch, from now on."""
    return _TracedBatch(_tracing, records) if _tracing is not None else _OFF


def span(name: str, belongs: Iterable[SpanContext | None] = ()) -> AbstractContextManager[None]:
    """A span around a piece of work, within what is active.

    Args:
        name: one of a closed set.
        belongs: contexts that it stands in instead: the first is its parent, the others are links.
    """
    if _tracing is None:
        return _NOTHING
    return _tracing.span(name, [context for context in belongs if context is not None])


def current() -> SpanContext | None:
    """Context of the span that is active; None where traces are off."""
    if _tracing is None:
        return None
    from opentelemetry.trace import get_current_span

    return get_current_span().get_span_context()
