"""The envelope's cryptography: text under a certificate's key, that key under a key-encryption key.

AES-256-GCM throughout, with 96-bit random nonces (NIST SP 800-38D, 8.2.2): a certificate's key seals some tens of texts,
and a key-encryption key stays far below 2^32 wrappings. What must not be exchanged is bound as associated data: to a text
its certificate, version, field and scheme; to a wrapped key its owner and the key that wraps it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from stream.errors import InvalidSettings, KeysUnavailable

KEY_BYTES = 32
NONCE_BYTES = 12
SCHEME = "causa-2.1"
"""Envelope 2; 1 is the version of the schema whose fields are bound. Fields that change their meaning raise it."""


def key_name(owner: str) -> str:
    """What a sealed text says of its key: the scheme, and the certificate that the key belongs to."""
    return f"{SCHEME}:{owner}"


def owner_of(key_name: str) -> str | None:
    """Whose key a sealed text names; None where it names a key of the settings."""
    scheme, colon, owner = key_name.partition(":")
    return owner if colon and scheme == SCHEME else None


def bound(certificate_id: str, version: int, field: str) -> bytes:
    """Associated data of a text. The length keeps two ids apart whatever they hold."""
    return f"{SCHEME}\n{len(certificate_id)}\n{certificate_id}\n{version}\n{field}".encode()


def encrypt(key: AESGCM, value: bytes, associated: bytes) -> tuple[bytes, bytes]:
    """A fresh nonce and the ciphertext."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce, key.encrypt(nonce, value, associated)


def read_key(secret: SecretStr, what: str) -> bytes:
    """A key of the settings.

    Raises:
        InvalidSettings: it is not 32 bytes in base64.
    """
    try:
        key = base64.b64decode(secret.get_secret_value(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise InvalidSettings(f"{what} is not 32 bytes in base64")
    return key


class Wrapping:
    """The key-encryption keys of this process: one wraps, all unwrap.

    Attributes:
        active: full name of the key that wraps: its id and a fingerprint, so that another key under the same id is
            never taken for it.

    Args:
        keys: secrets by id.
        active: id of the key that wraps; the first where it is empty.
    """

    def __init__(self, keys: Mapping[str, SecretStr], active: str) -> None:
        """Raises InvalidSettings when a key is not 32 bytes in base64."""
        self._keys: dict[str, AESGCM] = {}
        names: dict[str, str] = {}
        for key_id, secret in keys.items():
            key = read_key(secret, f"key-encryption key {key_id}")
            names[key_id] = f"{key_id}.{hashlib.blake2b(key, digest_size=4).hexdigest()}"
            self._keys[names[key_id]] = AESGCM(key)
        self.active = names[active or next(iter(names))]

    def wrap(self, key: bytes, owner: str) -> bytes:
        """A certificate's key as the store keeps it."""
        nonce, wrapped = encrypt(self._keys[self.active], key, _wrapped_for(self.active, owner))
        return nonce + wrapped

    def unwrap(self, wrapped: bytes, kek: str, owner: str) -> bytes:
        """A certificate's key.

        Raises:
            KeysUnavailable: the settings lack the key that wraps it, or the store holds something else.
        """
        key = self._keys.get(kek)
        if key is None:
            raise KeysUnavailable(f"the key-encryption key {kek} is not in the settings", hint="CAUSA_SEALING__KEKS")
        try:
            return key.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _wrapped_for(kek, owner))
        except (InvalidTag, ValueError):
            raise KeysUnavailable(f"a key in the store does not open under {kek}") from None


def _wrapped_for(kek: str, owner: str) -> bytes:
    return f"{SCHEME}\n{kek}\n{owner}".encode()
