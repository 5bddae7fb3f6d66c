"""Sealed texts of a history opened, for whoever may read them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stream.certificate import certificate_record, read_certificate
from stream.coding import read_dead_letter
from stream.errors import CausaError, InputError
from stream.pipeline.record import place
from stream.replay.feed import sealed_by
from stream.replay.history import Happened
from stream.replay.shell import Desk
from stream.sealing import Keyring

UNREADABLE = "[sealed; its key is not to be had]"


async def opened(desk: Desk, events: Sequence[Happened]) -> list[Happened]:
    """The events, their texts open as far as the keys of the settings and of the key store go; none is made.

    Raises:
        KeysUnavailable: the key store does not answer.
    """
    owners = {owner for one in events for owner in _owners(one)}
    ring = desk.plain
    if desk.vault is not None and owners:
        ring = await asyncio.to_thread(desk.vault.get, sorted(owners))
    return [_open(one, ring) for one in events]


def _owners(one: Happened) -> set[str]:
    if one.subject == "certificates":
        return {str(one.value.get("certificate_id", ""))} - {""}
    if one.subject == "manual" and one.value.get("certificate"):
        return {str(one.value["certificate_id"])}
    if one.subject == "dead-letters" and "detail" in one.value:
        return {owner} if (owner := sealed_by(read_dead_letter(one.value))) else set()
    return set()


def _open(one: Happened, ring: Keyring) -> Happened:
    try:
        if one.subject == "certificates" and "part1" in one.value:
            return replace(one, value=_certificate(one.value, ring))
        if one.subject == "manual" and one.value.get("certificate"):
            return replace(one, value={**one.value, "certificate": _certificate(one.value["certificate"], ring)})
        if one.subject == "dead-letters" and "detail" in one.value:
            letter = read_dead_letter(one.value)
            payload = letter.payload
            if payload is not None and not isinstance(payload, bytes):
                payload = ring.open_bytes(payload, place(letter.origin), "payload")
            return replace(one, value={**one.value, "payload": payload})
    except (CausaError, InputError):
        return replace(one, value={**one.value, "text": UNREADABLE})
    return one


def _certificate(value: Mapping[str, Any], ring: Keyring) -> Mapping[str, Any]:
    certificate = read_certificate(value)
    return certificate_record(ring.open(certificate))
