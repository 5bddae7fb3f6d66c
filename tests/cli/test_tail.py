"""`causa tail` hides what certificates say, in every field that can say it, unless it is asked for."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from stream import hiding
from stream.certificate import Sealed, certificate_record, read_certificate
from stream.cli import tail
from stream.cli.output import utf8_stdout
from stream.registry import SUBJECTS, MemoryRegistry, load_schemas
from stream.settings import Settings
from stream.wire import Wire

WIRE = Wire(MemoryRegistry(load_schemas(Settings().registry.schemas)))
SENTINEL = "Zyxwv"
TEXT = f"{SENTINEL} œdème"
SEALED = Sealed("key-1", SENTINEL.encode(), TEXT.encode())
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = {  # every field of a certificate that holds text
    "part1": [{"text": TEXT, "interval": TEXT}],
    "part2": [{"text": TEXT, "interval": TEXT}],
    "accident_place": TEXT,
    "surgery": {"within_4_weeks": True, "reason": TEXT},
    "neonatal": {"birth_weight_g": 900, "mother": [TEXT, TEXT]},
}


def sealed(value: Any) -> Any:
    """The fields with every text sealed."""
    if isinstance(value, dict):
        return {key: sealed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [sealed(item) for item in value]
    return SEALED if value == TEXT else value


def certificate(texts: dict[str, Any]) -> dict[str, Any]:
    whole = replace(read_certificate({"certificate_id": "A-1", "pregnancy": "NO", **texts}), received_at=NOW)
    return certificate_record(whole)


def letter(payload: Any, key: bytes = b"A-1") -> dict[str, Any]:
    origin = {"topic": "certificates", "partition": 0, "offset": 1}
    return {
        "error": "BAD_AVRO",
        "detail": "d",
        "payload": payload,
        "key": key,
        "origin": origin,
        "at": NOW,
        "software": "s",
    }


def task(texts: dict[str, Any]) -> dict[str, Any]:
    return {
        "certificate_id": "A-1", "version": 1, "revision": 1, "state": "OPEN", "reasons": [], "priority": 0.5,
        "audit": True, "certificate": certificate(texts), "proposal": None, "created_at": NOW,
    }  # fmt: skip


SEALED_RECORD = {"key_id": "key-1", "nonce": SENTINEL.encode(), "ciphertext": TEXT.encode()}
RECORDS = [
    ("certificates", certificate(TEXTS), 8),
    ("certificates", certificate(sealed(TEXTS)), 16),
    ("manual", task(TEXTS), 8),
    ("manual", task(sealed(TEXTS)), 16),
    ("dead-letters", letter(TEXT.encode()), 1),
    ("dead-letters", letter(SEALED_RECORD), 2),
    ("dead-letters", letter(None, TEXT.encode()), 1),
    # No reader of ours writes these, but the topic takes them from any producer.
    ("certificates", {**certificate({"part1": ["x"]}), "pregnancy": TEXT, "autopsy": TEXT, "form_version": TEXT}, 3),
]


def shown(subject: str, value: dict[str, Any], text: bool) -> str:
    record = SimpleNamespace(partition=0, offset=7, value=WIRE.encode(subject, value))
    return json.dumps(tail._readable(WIRE, subject, record, text), ensure_ascii=False)


def count(told: str) -> int:
    """How often the sentinel stands there, as text or as bytes in hexadecimal."""
    return told.count(SENTINEL) + told.count(SENTINEL.encode().hex())


@pytest.mark.parametrize(("subject", "value", "times"), RECORDS)
def test_text_is_hidden_unless_asked_for(subject: str, value: dict[str, Any], times: int) -> None:
    assert count(shown(subject, value, text=True)) == times
    hidden = shown(subject, value, text=False)
    assert count(hidden) == 0 and "œdème" not in hidden and "hidden]" in hidden
    assert json.loads(hidden)["offset"] == 7


def test_what_is_no_text_is_shown() -> None:
    told = json.loads(shown("certificates", certificate(sealed(TEXTS)), text=False))
    assert (told["certificate_id"], told["pregnancy"], told["parts"]) == ("A-1", "NO", ["INITIAL"])
    assert told["neonatal"]["birth_weight_g"] == 900 and told["part1"][0]["text"]["key_id"] == "key-1"
    assert json.loads(shown("dead-letters", letter(b"x"), text=False))["key"] == b"A-1".hex()


def strings(node: Any, name: str = "", record: str = "") -> Iterator[tuple[str, str]]:
    """Record and field of every string or bytes that a schema has room for."""
    if isinstance(node, list):
        for child in node:
            yield from strings(child, name, record)
    elif isinstance(node, dict):
        for field in node.get("fields", []):
            yield from strings(field["type"], field["name"], node["name"])
        yield from strings(node.get("items"), name, record)
        if isinstance(node.get("type"), dict | list) or node.get("type") in ("string", "bytes"):
            yield from strings(node["type"], name, record)
    elif node in ("string", "bytes", "Sealed"):
        yield record, name


def test_every_string_of_a_certificate_is_hidden_or_a_code() -> None:
    found = set(strings(load_schemas(Settings().registry.schemas)["certificates"]))
    assert len(found) > 10
    known = hiding.TEXTS | hiding.CODES.keys() | {"key_id", "nonce", "ciphertext"}
    assert not {field for _, field in found} - known


def test_subjects_that_hold_certificates_or_payloads_are_those_that_are_hidden() -> None:
    schemas = load_schemas(Settings().registry.schemas)
    holding = {s for s in SUBJECTS if {name for _, name in strings(schemas[s])} & (hiding.TEXTS - {"reason"})}
    assert holding == tail.SHOWN_TEXT


def test_standard_output_takes_every_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    out = utf8_stdout()
    out.write("œ")
    out.flush()
    assert raw.getvalue() == "œ".encode()
