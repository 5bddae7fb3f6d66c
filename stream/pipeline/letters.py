"""Dead letters, and what a topic takes: no record that we make may be larger than can be written.

The broker counts a record's bytes as the producer compressed them, and so its topic's limit says nothing of what comes out
of it. We write without compression. What cannot be written would be tried for ever, and its partition would stand still.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import stream
from stream.certificate import Sealed
from stream.coding import DeadLetter
from stream.errors import CausaError, InputError
from stream.pipeline.record import Outgoing, Received, place
from stream.sealing import Keyring

MIB = 1024 * 1024
TAKES = {"coded": 10 * MIB, "manual": 16 * MIB, "dead-letters": 16 * MIB}
"""Bytes of the largest batch that a topic takes, by subject: `max.message.bytes` of `stream/topics.yaml`."""
ROOM = 64 * 1024
"""Bytes for what stands around key and value: the batch and its headers, a letter's other fields, a seal."""
KEY_MAX = MIB
"""Longest key of a dead letter, bytes: it stands in the letter and in its record. A certificate_id has 128."""
DETAIL_MAX = 2_000


def too_large(record: Outgoing) -> str:
    """What is wrong with a record that its topic does not take; empty where it does."""
    size, most = len(record.value) + len(record.key or b""), TAKES[record.subject] - ROOM
    return f"{record.subject}: {size} bytes, more than {most}" if size > most else ""


def dead_letter(received: Received, error: InputError, now: datetime, keyring: Keyring) -> DeadLetter:
    """The dead letter of a record: its bytes as they came (sealed when keys are set), and the error.

    Bytes that the topic would not take are left out; `detail` tells their number and SHA-256, and `origin` where they
    stand for as long as their own topic keeps them. Where keys are set, a key that is no certificate_id may be text:
    the letter then has for a key whoever's key seals it, the certificate's id or its place. No digest of it is told:
    that of a short text is found by trying.
    """
    incoming, origin = received.incoming, received.incoming.origin
    told = [error.message[:DETAIL_MAX]]
    key = incoming.key
    if key is not None and len(key) > KEY_MAX:
        told.append(_left_out("key", key))
        key = None
    if key and keyring.seals and key != Received(incoming, None).owner.encode():
        told.append(f"its key of {len(key)} bytes is no certificate_id, and is left out")
        key = received.owner.encode()
    payload: bytes | Sealed | None = incoming.value
    if incoming.value is not None and len(incoming.value) + 2 * len(key or b"") > TAKES["dead-letters"] - ROOM:
        told.append(_left_out("value", incoming.value))
        payload = None
    elif incoming.value is not None and keyring.seals:
        try:
            payload = keyring.seal_bytes(incoming.value, place(origin), "payload", owner=received.owner)
        except CausaError:  # its key was shredded: what cannot be sealed is not kept
            payload = None
    return DeadLetter(error.code, "; ".join(told), payload, key, origin, now, stream.__version__)


def _left_out(name: str, value: bytes) -> str:
    told = hashlib.sha256(value).hexdigest()
    return f"its {name} of {len(value)} bytes, too large for a dead letter, is left out: SHA-256 {told}"
