"""A certificate's history for an outsider: JSON Lines, a manifest of hashes, and a signature over it.

A folder of three files: `events.jsonl`, one event a line in order; `manifest.json`, which names that file's hash and the
offsets that were looked through, so that a gap would show; `manifest.sig`, the Ed25519 signature of the manifest's bytes
in base64. Each line holds the hash of the record's own bytes: whoever holds the record can tell that it is the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

import stream
from stream.errors import InvalidSettings
from stream.replay import signing
from stream.replay.history import Found, Happened, seconds, told

FORM = 1
EVENTS, MANIFEST, SIGNATURE = "events.jsonl", "manifest.json", "manifest.sig"


def line(one: Happened, number: int, plain: Callable[[Any], Any]) -> dict[str, Any]:
    """An event as a JSON mapping.

    Args:
        one: the event; its texts are hidden already where they are to be.
        number: its place in the order, from 1.
        plain: makes JSON values of the rest.
    """
    record = one.record
    return {
        "number": number, "at": seconds(one.at), "topic": record.topic, "partition": record.partition,
        "offset": record.offset, "subject": one.subject, "told": told(one),
        "key": (record.key or b"").decode("ascii", "backslashreplace"),
        "headers": {name: value.decode("utf-8", "backslashreplace") for name, value in record.headers},
        "sha256": hashlib.sha256(record.value or b"").hexdigest(), "value": plain(one.value),
    }  # fmt: skip


def write(
    folder: Path, certificate_id: str, found: Found, key: Ed25519PrivateKey, plain: Callable[[Any], Any], *,
    text: bool, who: str, now: datetime,
) -> None:  # fmt: skip
    """Write a history into a new folder.

    Args:
        folder: must not be there, or be empty.
        certificate_id: whose history.
        found: it, texts hidden as they are to be.
        key: signs.
        plain: makes JSON values.
        text: whether it holds what the certificate says.
        who: who exports.
        now: when.

    Raises:
        InvalidSettings: the folder holds something, or cannot be written.
    """
    lines = [
        json.dumps(line(one, number, plain), ensure_ascii=False, sort_keys=True) + "\n"
        for number, one in enumerate(found.events, 1)
    ]
    body = "".join(lines).encode()
    manifest = {
        "form": FORM, "certificate_id": certificate_id, "software": stream.__version__, "exported_by": who,
        "exported_at": now.isoformat(), "text": text, "events": len(lines), "undecoded": found.undecoded,
        "files": {EVENTS: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}},
        "looked": {
            topic: {str(partition): list(pair) for partition, pair in bounds.items()}
            for topic, bounds in sorted(found.looked.items())
        },
        "public_key": signing.told(key.public_key()),
    }  # fmt: skip
    value = (json.dumps(manifest, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidSettings(f"{folder} is not empty", hint="name a new folder")
        for name, content in ((EVENTS, body), (MANIFEST, value), (SIGNATURE, f"{signing.sign(key, value)}\n".encode())):
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)
    except OSError as error:
        raise InvalidSettings(f"{folder} cannot be written: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of an export found.

    Attributes:
        faults: what does not hold, in words; empty where all does.
        manifest: what is signed; empty where it could not be read.
    """

    faults: tuple[str, ...]
    manifest: Mapping[str, Any]


def verify(folder: Path, key: Ed25519PublicKey) -> Checked:
    """Check an export against a public key that came by another way.

    Raises:
        InvalidSettings: the folder holds no export.
    """
    try:
        value = (folder / MANIFEST).read_bytes()
        signature = (folder / SIGNATURE).read_text(encoding="ascii").strip()
        names = {path.name for path in folder.iterdir()}
    except (OSError, UnicodeDecodeError):
        raise InvalidSettings(f"{folder} holds no export", hint="causa trace show ID --export DIR") from None
    if not signing.holds(key, signature, value):
        # Nothing that an unsigned manifest says is worth being checked.
        return Checked((f"{SIGNATURE} is not that key's signature of {MANIFEST}",), {})
    manifest: dict[str, Any] = json.loads(value)
    if manifest.get("form") != FORM:
        raise InvalidSettings("the export was made by another release of Causa", hint="check it with that one")
    return Checked(tuple(_faults(folder, manifest, names)), manifest)


def _faults(folder: Path, manifest: Mapping[str, Any], names: set[str]) -> Iterator[str]:
    for name, said in manifest["files"].items():
        path = folder / Path(name).name
        body = path.read_bytes() if path.is_file() else None
        if body is None:
            yield f"{name} is missing"
        elif hashlib.sha256(body).hexdigest() != said["sha256"] or len(body) != said["bytes"]:
            yield f"{name} is not what was signed"
        elif body.count(b"\n") != manifest["events"]:
            yield f"{name} holds another number of events"
    if strangers := sorted(names - {*manifest["files"], MANIFEST, SIGNATURE}):
        yield f"{', '.join(strangers)}: no part of the export"
