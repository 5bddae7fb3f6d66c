"""What enters and leaves the core: Kafka records without Kafka."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from stream.certificate import ID_MAX, Certificate
from stream.coding import CodedCertificate, DeadLetter, Origin
from stream.errors import InputError

_ID = re.compile(rb"[\x21-\x7e]{1,%d}" % ID_MAX)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record as it was read; `trace` is the context of a trace that it brings, as `stream.tracing.received` gives it."""

    value: bytes | None
    key: bytes | None = None
    origin: Origin = field(default_factory=Origin)
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """A record that was decoded: its certificate as received, or why there is none."""

    incoming: Incoming
    certificate: Certificate | None
    error: InputError | None = None

    @property
    def owner(self) -> str:
        """Whose key seals what is kept of it: the certificate, by its record's key where it is not known otherwise.

        A record whose key is no certificate_id has its place for an owner; with a blank in it, it is nobody's id.
        """
        if self.certificate is not None:
            return self.certificate.certificate_id
        key = self.incoming.key
        return (
            key.decode("ascii") if key is not None and _ID.fullmatch(key) else f"record {place(self.incoming.origin)}"
        )


def place(origin: Origin) -> str:
    """Topic, partition and offset, as a dead letter's payload is bound to them."""
    return f"{origin.topic}/{origin.partition}/{origin.offset}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be written: the topic's subject, key and framed value, and the context of a trace."""

    subject: str
    key: bytes | None
    value: bytes
    trace: str = ""

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Its Kafka headers."""
        return [("traceparent", self.trace.encode())] if self.trace else []


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one incoming record.

    Attributes:
        incoming: the record.
        outgoing: all that must be written for it, or none of it.
        coded: the coded certificate; None for a dead letter.
        letter: the dead letter; None for a coded certificate.
    """

    incoming: Incoming
    outgoing: tuple[Outgoing, ...]
    coded: CodedCertificate | None = None
    letter: DeadLetter | None = None
