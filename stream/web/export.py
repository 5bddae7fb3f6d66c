"""The access log as a file for an auditor: JSON Lines, a row each, and the head, signed, as the last line.

A head's signature is Ed25519 over its canonical JSON; the key is a PEM file that the database's keepers do not have.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from stream.errors import InvalidData, InvalidSettings
from stream.web.access import Entry, Head, Verdict, check


@dataclass(frozen=True, slots=True)
class Statement:
    """A head as it leaves the service.

    Attributes:
        service: whose log it is.
        head: the end of the chain.
        at: when it was told, UTC.
        signature: base64; empty where nobody signed.
    """

    service: str
    head: Head
    at: str
    signature: str = ""

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"head": self._signed(), "signature": self.signature}

    def signed(self, key: Ed25519PrivateKey) -> Statement:
        """The same, signed."""
        signature = base64.b64encode(key.sign(self._bytes())).decode()
        return Statement(self.service, self.head, self.at, signature)

    def genuine(self, key: Ed25519PublicKey) -> bool:
        """Whether the key's owner signed it as it is."""
        try:
            key.verify(base64.b64decode(self.signature, validate=True), self._bytes())
        except (InvalidSignature, binascii.Error):
            return False
        return True

    def _signed(self) -> dict[str, Any]:
        return {"service": self.service, **asdict(self.head), "at": self.at}

    def _bytes(self) -> bytes:
        return json.dumps(self._signed(), sort_keys=True, separators=(",", ":")).encode()


def lines(entries: Iterable[Entry], statement: Statement) -> Iterator[str]:
    """Lines of an export; rows beyond the statement's head are left out."""
    for entry in entries:
        if entry.number > statement.head.number:
            break
        yield json.dumps(asdict(entry), ensure_ascii=False) + "\n"
    yield json.dumps(statement.record(), ensure_ascii=False) + "\n"


def read_statement(path: Path) -> Statement:
    """A statement from its file: a file of its own, or the last line of an export.

    Raises:
        InvalidData: there is none in it.
    """
    last = ""
    with _opened(path) as file:
        for line in file:
            last = line if line.strip() else last
    return _statement(_parsed(last, path, 0), path)


def verify_file(path: Path, key: Ed25519PublicKey | None = None, heads: Iterable[Head] = ()) -> Verdict:
    """Check an export by itself: the chain, its end, its signature where a key is given, heads exported before.

    Raises:
        InvalidData: it is no export.
    """
    statement = read_statement(path)
    if key is not None and not statement.genuine(key):
        return Verdict(0, Head(), "the head is not signed by this key, or was changed")
    verdict = check(_entries(path), [*heads, statement.head])
    if verdict.holds and verdict.head != statement.head:
        return Verdict(verdict.rows, verdict.head, "there are rows behind the head")
    return verdict


def _entries(path: Path) -> Iterator[Entry]:
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            record = _parsed(line, path, number)
            if "head" in record:
                continue
            try:
                yield Entry(**record)
            except TypeError:
                raise InvalidData(f"{path.name}:{number}: is no row of an access log") from None


def _opened(path: Path) -> Any:
    try:
        return path.open(encoding="utf-8")
    except OSError as error:
        raise InvalidData(f"{path.name}: {error.strerror}") from None


def _parsed(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise InvalidData(f"{path.name}{f':{number}' if number else ''}: is no export of an access log")
    return record


def _statement(record: Mapping[str, Any], path: Path) -> Statement:
    try:
        head = record["head"]
        return Statement(
            str(head["service"]),
            Head(int(head["number"]), str(head["hash"])),
            str(head["at"]),
            str(record["signature"]),
        )
    except (KeyError, TypeError, ValueError):
        raise InvalidData(f"{path.name}: holds no head of an access log") from None


def private_key(path: Path) -> Ed25519PrivateKey:
    """A key to sign with, PEM without a passphrase.

    Raises:
        InvalidSettings: the file is none.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidSettings(f"{path.name} is no Ed25519 private key", hint="openssl genpkey -algorithm ed25519")
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """A key to verify with, PEM.

    Raises:
        InvalidSettings: the file is none.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidSettings(f"{path.name} is no Ed25519 public key", hint="openssl pkey -in KEY -pubout")
    return key
