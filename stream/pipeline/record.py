"""What enters and leaves the core: Kafka records without Kafka."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.coding import CodedCertificate, DeadLetter, Origin


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record as it was read."""

    value: bytes | None
    key: bytes | None = None
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be written: the topic's subject, key and framed value."""

    subject: str
    key: bytes | None
    value: bytes


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
