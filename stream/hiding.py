"""What of a record may be shown to somebody who may not read certificates."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

TEXTS = frozenset({"text", "interval", "reason", "mother", "accident_place", "payload"})
"""Fields that hold what a physician or a family wrote."""
CODES = {
    # Avro takes any string here, and a dead letter may bear any key: they are shown where they can be no sentence.
    "pregnancy": re.compile(r"[A-Z0-9_]{1,64}"),
    "autopsy": re.compile(r"[A-Z0-9_]{1,64}"),
    **dict.fromkeys(
        ("certificate_id", "key", "parts", "form_version", "department", "commune"), re.compile(r"[\x21-\x7e]{1,128}")
    ),
}
"""Fields that hold codes, and what a code looks like."""


def hidden(value: Any, name: str = "") -> Any:
    """The value without what a certificate says; `name` is the field that holds it."""
    if isinstance(value, dict):
        # Sealed text is hidden too, but for the id of its key.
        return {key: hidden(item, name if name in TEXTS and key != "key_id" else key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(item, name) for item in value]
    if isinstance(value, str | bytes) and _tells(value, name):
        return f"[{len(value)} hidden]"
    return value


def _tells(value: str | bytes, name: str) -> bool:
    """Whether a field's value may say what a certificate says."""
    if name not in CODES:
        return name in TEXTS
    written = value.decode("latin-1") if isinstance(value, bytes) else value
    return CODES[name].fullmatch(written) is None


def plain(value: Any) -> Any:
    """The value as JSON takes it: moments in ISO 8601, bytes in hexadecimal."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value
