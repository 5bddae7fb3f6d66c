"""Seals and opens with the keys at hand: those of a batch of certificates, and those of the settings.

With key-encryption keys set, a certificate's text is sealed under the certificate's own key alone. Keys of the settings
(scheme causa-1) seal only where there is no key-encryption key; what they sealed before opens as long as they are set.
With neither, text stays plain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import overload

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stream.certificate import Certificate, Line, Sealed, Text
from stream.errors import KeysUnavailable, SealedUnreadable, Shredded
from stream.sealing import envelope
from stream.settings import Sealing

_STATIC = "causa-1"


class Keyring:
    """Keys at hand.

    Args:
        settings: static keys, and whether certificates have keys of their own.
    """

    def __init__(self, settings: Sealing) -> None:
        """Raises InvalidSettings when a key is not 32 bytes in base64."""
        self._static = {
            key_id: AESGCM(envelope.read_key(secret, f"sealing key {key_id}"))
            for key_id, secret in settings.keys.items()
        }
        self._active = settings.active or next(iter(self._static), "")
        self._own = bool(settings.keks)
        self._keys: Mapping[str, AESGCM | None] = {}

    def holding(self, keys: Mapping[str, AESGCM | None]) -> Keyring:
        """The same with certificates' own keys at hand, by owner; None stands for one that was shredded."""
        ring = object.__new__(Keyring)
        ring._static, ring._active, ring._own, ring._keys = self._static, self._active, self._own, keys
        return ring

    @property
    def seals(self) -> bool:
        """Whether text must not go out in plain."""
        return self._own or bool(self._active)

    def check(self, owner: str) -> None:
        """Refuse a certificate whose key was shredded.

        Raises:
            Shredded: it was.
        """
        if owner in self._keys and self._keys[owner] is None:
            raise Shredded("the certificate's key was shredded")

    def seal_bytes(self, value: bytes, certificate_id: str, field: str, *, version: int = 0, owner: str = "") -> Sealed:
        """Encrypt.

        Args:
            value: what is sealed.
            certificate_id: the certificate, or the place, that it is bound to.
            field: its field, likewise.
            version: the certificate's version, likewise.
            owner: whose key seals it; the certificate where it is empty.

        Raises:
            Shredded: the owner's key was shredded.
            KeysUnavailable: the owner's key is not at hand.
        """
        if not self._own:
            cipher = envelope.encrypt(self._static[self._active], value, _bound(certificate_id, field))
            return Sealed(self._active, *cipher)
        owner = owner or certificate_id
        self.check(owner)
        key = self._keys.get(owner)
        if key is None:
            raise KeysUnavailable("the certificate's key is not at hand")
        return Sealed(
            envelope.key_name(owner), *envelope.encrypt(key, value, envelope.bound(certificate_id, version, field))
        )

    def open_bytes(self, sealed: Sealed, certificate_id: str, field: str, *, version: int = 0) -> bytes:
        """Decrypt.

        Raises:
            Shredded: its key was shredded.
            SealedUnreadable: no such key, or the text is not what was sealed for this place.
        """
        owner = envelope.owner_of(sealed.key_id)
        if owner is None:
            key, associated = self._static.get(sealed.key_id), _bound(certificate_id, field)
        else:
            self.check(owner)
            key, associated = self._keys.get(owner), envelope.bound(certificate_id, version, field)
        if key is None:
            raise SealedUnreadable(f"{field}: its key is not {'configured' if owner is None else 'at hand'}")
        try:
            return key.decrypt(sealed.nonce, sealed.ciphertext, associated)
        except (InvalidTag, ValueError):
            raise SealedUnreadable(f"{field}: sealed text does not open") from None

    def seal(self, certificate: Certificate) -> Certificate:
        """The certificate with every text sealed; unchanged without a key. Raises as `seal_bytes` does."""
        if not self.seals:
            return certificate
        identifier, version = certificate.certificate_id, certificate.version

        def close(text: Text, field: str) -> Text:
            if isinstance(text, Sealed):
                return text
            return self.seal_bytes(text.encode(), identifier, field, version=version)

        return _each_text(certificate, close)

    def open(self, certificate: Certificate) -> Certificate:
        """The certificate with every text plain; itself when none is sealed, so that nobody checks it again.

        Raises:
            Shredded, SealedUnreadable: see `open_bytes`; unreadable too where a text is sealed under another
                certificate's key, because shredding would not reach it.
        """
        sealed = False
        identifier = certificate.certificate_id

        def unseal(text: Text, field: str) -> Text:
            nonlocal sealed
            if isinstance(text, str):
                return text
            sealed = True
            if envelope.owner_of(text.key_id) not in (None, identifier):
                raise SealedUnreadable(f"{field}: sealed under another certificate's key")
            try:
                return self.open_bytes(text, identifier, field, version=certificate.version).decode()
            except UnicodeDecodeError:
                raise SealedUnreadable(f"{field}: sealed text is not UTF-8") from None

        opened = _each_text(certificate, unseal)
        return opened if sealed else certificate


def _bound(certificate_id: str, field: str) -> bytes:
    return f"{_STATIC}|{certificate_id}|{field}".encode()


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
