"""Sealed text: AES-256-GCM under named keys, bound to its place.

The associated data hold the certificate's id, the field's name and the scheme's version, so that a ciphertext moved
to another certificate or field does not open. With no key configured, text stays plain.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import replace
from typing import overload

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stream.certificate import Certificate, Line, Sealed, Text
from stream.errors import InvalidSettings, SealedUnreadable
from stream.settings import Sealing

_SCHEME = "causa-1"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class Keyring:
    """The keys of this process. `active` seals; all of them open."""

    def __init__(self, settings: Sealing) -> None:
        """Raises InvalidSettings when a key is not 32 bytes in base64."""
        self._keys: dict[str, AESGCM] = {}
        for key_id, secret in settings.keys.items():
            try:
                key = base64.b64decode(secret.get_secret_value(), validate=True)
            except ValueError:
                key = b""
            if len(key) != _KEY_BYTES:
                raise InvalidSettings(f"sealing key {key_id} is not 32 bytes in base64")
            self._keys[key_id] = AESGCM(key)
        self._active = settings.active or next(iter(self._keys), "")

    @property
    def seals(self) -> bool:
        """Whether a key is set."""
        return bool(self._active)

    def seal_bytes(self, value: bytes, certificate_id: str, field: str) -> Sealed:
        """Encrypt; needs an active key."""
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._keys[self._active].encrypt(nonce, value, _bound(certificate_id, field))
        return Sealed(self._active, nonce, cipher)

    def open_bytes(self, sealed: Sealed, certificate_id: str, field: str) -> bytes:
        """Decrypt.

        Raises:
            SealedUnreadable: no such key, or the text is not what was sealed for this place.
        """
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise SealedUnreadable(f"{field}: its key is not configured")
        try:
            return key.decrypt(sealed.nonce, sealed.ciphertext, _bound(certificate_id, field))
        except (InvalidTag, ValueError):
            raise SealedUnreadable(f"{field}: sealed text does not open") from None

    def seal(self, certificate: Certificate) -> Certificate:
        """The certificate with every text sealed; unchanged without a key."""
        if not self.seals:
            return certificate
        identifier = certificate.certificate_id

        def close(text: Text, field: str) -> Text:
            return text if isinstance(text, Sealed) else self.seal_bytes(text.encode(), identifier, field)

        return _each_text(certificate, close)

    def open(self, certificate: Certificate) -> Certificate:
        """The certificate with every text plain; itself when none is sealed, so that nobody checks it again.

        Raises:
            SealedUnreadable: see `open_bytes`.
        """
        sealed = False

        def unseal(text: Text, field: str) -> Text:
            nonlocal sealed
            if isinstance(text, str):
                return text
            sealed = True
            try:
                return self.open_bytes(text, certificate.certificate_id, field).decode()
            except UnicodeDecodeError:
                raise SealedUnreadable(f"{field}: sealed text is not UTF-8") from None

        opened = _each_text(certificate, unseal)
        return opened if sealed else certificate


def _bound(certificate_id: str, field: str) -> bytes:
    return f"{_SCHEME}|{certificate_id}|{field}".encode()


@overload
def _maybe(text: Text, field: str, change: Callable[[Text, str], Text]) -> Text: ...
@overload
def _maybe(text: None, field: str, change: Callable[[Text, str], Text]) -> None: ...
def _maybe(text: Text | None, field: str, change: Callable[[Text, str], Text]) -> Text | None:
    return None if text is None else change(text, field)


def _each_text(certificate: Certificate, change: Callable[[Text, str], Text]) -> Certificate:
    def lines(part: tuple[Line, ...], name: str) -> tuple[Line, ...]:
        return tuple(
            Line(change(line.text, f"{name}.{i}.text"), _maybe(line.interval, f"{name}.{i}.interval", change))
            for i, line in enumerate(part)
        )

    surgery, neonatal = certificate.surgery, certificate.neonatal
    if surgery is not None:
        surgery = replace(surgery, reason=_maybe(surgery.reason, "surgery.reason", change))
    if neonatal is not None:
        mother = tuple(change(text, f"neonatal.mother.{i}") for i, text in enumerate(neonatal.mother))
        neonatal = replace(neonatal, mother=mother)
    return replace(
        certificate,
        part1=lines(certificate.part1, "part1"),
        part2=lines(certificate.part2, "part2"),
        accident_place=_maybe(certificate.accident_place, "accident_place", change),
        surgery=surgery,
        neonatal=neonatal,
    )
