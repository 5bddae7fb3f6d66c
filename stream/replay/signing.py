"""Signatures by Ed25519 (RFC 8032): who said what, so that another can check it later with a public key alone.

A private key is a PEM file (PKCS 8), as `causa recode key` or `openssl genpkey -algorithm ed25519` makes it; a public key
is PEM too, or its 32 bytes in base64 as the file of people holds them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from stream.errors import InvalidData, InvalidSettings

ROLES = ("propose", "approve", "text")
DECIDING = frozenset(ROLES[:2])
"""Roles of those whom a recode takes."""
_COLUMNS = ("name", "roles", "key")


def canonical(statement: Mapping[str, Any]) -> bytes:
    """The bytes of a statement that are signed."""
    return json.dumps(statement, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def private_key(path: Path) -> Ed25519PrivateKey:
    """The key of a file.

    Raises:
        InvalidSettings: the file cannot be read, holds no Ed25519 key, or others may read it.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise InvalidSettings(f"{path.name} may be read by others", hint=f"chmod 600 {path}")
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise InvalidSettings(f"{path.name} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidSettings(f"{path.name} holds no private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidSettings(f"{path.name} holds no Ed25519 key", hint="causa recode key FILE")
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """The public key of a PEM file.

    Raises:
        InvalidSettings: the file cannot be read, or holds none.
    """
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise InvalidSettings(f"{path.name} cannot be read: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidSettings(f"{path.name} holds no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidSettings(f"{path.name} holds no Ed25519 key")
    return key


def make_key(path: Path) -> str:
    """A new private key in a file that only its owner may read, its public one beside it; the public key in base64.

    Raises:
        InvalidSettings: a file is there already, or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    beside = path.with_name(path.name + ".pub")
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
        with beside.open("xb") as file:
            file.write(
                key.public_key().public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
                )
            )
    except OSError as error:
        raise InvalidSettings(f"{path} cannot be written: {error.strerror}") from None
    return told(key.public_key())


def told(key: Ed25519PublicKey) -> str:
    """A public key's 32 bytes in base64."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def sign(key: Ed25519PrivateKey, value: bytes) -> str:
    """Signature in base64."""
    return base64.b64encode(key.sign(value)).decode()


def holds(key: Ed25519PublicKey, signature: str, value: bytes) -> bool:
    """Whether a signature in base64 is the key's, of these bytes."""
    try:
        key.verify(base64.b64decode(signature, validate=True), value)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may propose or approve a recode, or read what certificates say."""

    name: str
    roles: frozenset[str]
    key: Ed25519PublicKey


def people(path: Path | None) -> dict[str, Person]:
    """Who may do what, from a file of tab-separated rows: name, roles parted by blanks, public key in base64.

    Raises:
        InvalidSettings: no file is named.
        InvalidData: a row that says something else, a name or a key that stands twice.
    """
    if path is None:
        raise InvalidSettings(
            "nobody may propose or approve", hint="CAUSA_REPLAY__PEOPLE names a file, see docs/replay.md"
        )
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidData(f"{path.name} cannot be read: {type(error).__name__}") from None
    rows = [(n, line.split("\t")) for n, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not rows or tuple(rows[0][1]) != _COLUMNS:
        raise InvalidData(f"{path.name}:1: the columns are not {', '.join(_COLUMNS)}")
    found: dict[str, Person] = {}
    for number, cells in rows[1:]:
        where = f"{path.name}:{number}"
        if len(cells) != len(_COLUMNS) or not all(cells):
            raise InvalidData(f"{where}: not name, roles and key")
        name, roles, text = cells
        if set(roles.split()) - set(ROLES):
            raise InvalidData(f"{where}: roles are {', '.join(ROLES)}")
        try:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
        except ValueError:
            raise InvalidData(f"{where}: the key is not 32 bytes in base64") from None
        # One key under two names would let one person be two.
        if name in found or any(told(key) == told(other.key) for other in found.values()):
            raise InvalidData(f"{where}: the name or the key stands twice")
        found[name] = Person(name, frozenset(roles.split()), key)
    return found


def deciding(known: Mapping[str, Person]) -> list[dict[str, str]]:
    """Who may propose or approve, by name, as manifests keep it: whoever may only read text is none of them."""
    return [
        {"name": one.name, "roles": " ".join(sorted(one.roles & DECIDING)), "key": told(one.key)}
        for one in sorted(known.values(), key=lambda one: one.name)
        if one.roles & DECIDING
    ]


def digest_of(known: Mapping[str, Person]) -> str:
    """Hexadecimal SHA-256 of `deciding`: a proposal and its approval are of one list, and of no other."""
    value = json.dumps(deciding(known), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(value.encode()).hexdigest()
