"""Texts: opened through the vault for who codes them, and an index of keyed hashes that finds the same words again.

The index never holds a word, and without its key nobody can try words against it (HMAC-SHA-256, RFC 2104).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.certificate import Certificate, Sealed
from stream.coding import CodedCertificate
from stream.database import upsert
from stream.desk.tables import DECISIONS, TEXTS
from stream.desk.values import Alike
from stream.sealing import Keyring
from stream.sealing.vault import open_vault
from stream.settings import Settings
from stream.text.normal import normalise

KEY_FILE = "desk.key"
ALIKE = 5
"""Ways of coding shown for one line."""
WHOLE = -1
_NOTE = "desk.note"
_BLANKS = re.compile(r"\s+")


class Opener(Protocol):
    """Opens and seals. Raises Shredded, SealedUnreadable, KeysUnavailable; see `stream.sealing`."""

    def open(self, certificate: Certificate) -> Certificate:
        """The certificate with its texts plain."""

    def seal(self, words: str, certificate_id: str, version: int) -> bytes:
        """A note, as the database may keep it."""

    def words(self, note: bytes, certificate_id: str, version: int) -> str:
        """A note again."""


class VaultOpener:
    """Opens with the keys of the settings and the certificates' own.

    Args:
        settings: keys, and where the store of keys is.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises InvalidSettings as `open_vault` does."""
        self._ring = Keyring(settings.sealing)
        self._vault = open_vault(settings)

    def _keys(self, certificate_id: str) -> Keyring:
        return self._ring if self._vault is None else self._vault.get([certificate_id])

    def open(self, certificate: Certificate) -> Certificate:
        """See `Opener.open`."""
        ring = self._keys(certificate.certificate_id)
        ring.check(certificate.certificate_id)
        return ring.open(certificate)

    def seal(self, words: str, certificate_id: str, version: int) -> bytes:
        """See `Opener.seal`; a first byte tells plain from sealed."""
        ring = self._ring if self._vault is None else self._vault.get_or_make([certificate_id])
        if not ring.seals:
            return b"\0" + words.encode()
        sealed = ring.seal_bytes(words.encode(), certificate_id, _NOTE, version=version)
        name = sealed.key_id.encode()
        return b"\1" + len(name).to_bytes(2, "big") + name + sealed.nonce + sealed.ciphertext

    def words(self, note: bytes, certificate_id: str, version: int) -> str:
        """See `Opener.words`."""
        if note[:1] == b"\0":
            return note[1:].decode()
        end = 3 + int.from_bytes(note[1:3], "big")
        sealed = Sealed(note[3:end].decode(), note[end : end + 12], note[end + 12 :])
        return self._keys(certificate_id).open_bytes(sealed, certificate_id, _NOTE, version=version).decode()


def desk_key(settings: Settings) -> bytes:
    """The key of the index and of the draw: that of the settings, else one made once in `home`."""
    if given := settings.desk.key.get_secret_value():
        return hashlib.sha256(given.encode()).digest()
    path = settings.root / KEY_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{KEY_FILE}.{os.getpid()}.{os.urandom(4).hex()}")
    if not path.exists():
        # Written whole before it bears its name: of two that begin at once, both read what the first one wrote.
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(os.urandom(32))
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_bytes()


@dataclass(frozen=True, slots=True)
class Index:
    """Finds the same words again.

    Attributes:
        key: of the hashes.
    """

    key: bytes

    def hashes(self, certificate: Certificate) -> dict[int, str]:
        """Hash of each line that says something, by its number, Part I first, and of all of them under `WHOLE`."""
        parts = [[normal(line.text) for line in part] for part in (certificate.part1, certificate.part2)]
        lines = [text for part in parts for text in part]
        found = {number: self._hash("line", text) for number, text in enumerate(lines) if text}
        if found:
            found[WHOLE] = self._hash("whole", "\f".join("\n".join(part) for part in parts))
        return found

    def drawn(self, certificate_id: str, version: int, share: float) -> bool:
        """Whether a first coding is drawn for a second opinion."""
        told = f"second\0{certificate_id}\0{version}".encode()
        digest = hmac.new(self.key, told, hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big") < share * 2**64

    def _hash(self, kind: str, text: str) -> str:
        return hmac.new(self.key, f"{kind}\0{text}".encode(), hashlib.sha256).hexdigest()[:32]

    def put(self, connection: Connection, opened: Certificate, made: CodedCertificate, decision_id: str) -> None:
        """Remember how a certificate's words were coded by a decision."""
        lines = [tuple(e.code for e in line.entities) for line in (*made.part1, *made.part2)]
        whole = tuple(code for line in lines for code in line)
        rows = [
            {"hash": digest, "decision_id": decision_id, "line": number,
             "certificate_id": opened.certificate_id, "at": made.coded_at,
             "codes": " ".join(whole if number == WHOLE else lines[number]),
             "cause": made.underlying.code if number == WHOLE else None}
            for number, digest in self.hashes(opened).items()
        ]  # fmt: skip
        upsert(connection, TEXTS, rows, keep=True)

    def alike(self, connection: Connection, opened: Certificate) -> tuple[Alike, ...]:
        """How people coded the same words on other certificates, the commonest way first."""
        hashes = self.hashes(opened)
        numbers: dict[str, list[int]] = {}
        for number, digest in hashes.items():
            numbers.setdefault(digest, []).append(number)
        times, last = sa.func.count(sa.distinct(TEXTS.c.certificate_id)), sa.func.max(TEXTS.c.at)
        found = connection.execute(
            sa.select(TEXTS.c.hash, TEXTS.c.codes, TEXTS.c.cause, times, last)
            .join(DECISIONS, DECISIONS.c.decision_id == TEXTS.c.decision_id)
            .where(
                TEXTS.c.hash.in_(list(numbers)), TEXTS.c.certificate_id != opened.certificate_id, DECISIONS.c.holds
            )
            .group_by(TEXTS.c.hash, TEXTS.c.codes, TEXTS.c.cause)
            .order_by(times.desc(), last.desc(), TEXTS.c.codes)
        ).all()  # fmt: skip
        made: list[Alike] = []
        given: dict[int, int] = {}
        for digest, codes, cause, count, at in found:
            for number in numbers[digest]:
                given[number] = given.get(number, 0) + 1
                if given[number] <= ALIKE:
                    made.append(Alike(number, tuple(codes.split()), cause, count, at))
        return tuple(sorted(made, key=lambda one: one.line))


def normal(text: object) -> str:
    """A line's words as the index takes them: folded, abbreviations written out, blanks as one; empty where sealed."""
    return _BLANKS.sub(" ", normalise(text).text).strip() if isinstance(text, str) else ""


def forget(connection: Connection, certificate_ids: Sequence[str]) -> None:
    """Drop what the index holds of some certificates: their texts were destroyed."""
    connection.execute(sa.delete(TEXTS).where(TEXTS.c.certificate_id.in_(list(certificate_ids))))
