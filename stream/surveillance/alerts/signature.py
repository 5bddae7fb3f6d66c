"""Signature of a webhook: HMAC-SHA256 over the moment of sending and the body, so that neither can be changed nor replayed.

What a receiver does with each request, in any language: docs/alerting.md; in Python: `check`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

TIMESTAMP, SIGNATURE, DELIVERY = "Causa-Timestamp", "Causa-Signature", "Causa-Delivery"
"""Headers: seconds since 1970; ``v1=`` and the signature in hexadecimal; the same for the same message sent again."""
TOLERANCE_S = 300
"""How old a request may be."""


def sign(key: bytes, timestamp: int, body: bytes) -> str:
    """Value of the header `SIGNATURE`."""
    return "v1=" + hmac.new(key, b"%d." % timestamp + body, hashlib.sha256).hexdigest()


def check(key: bytes, headers: Mapping[str, str], body: bytes, now: float, tolerance_s: float = TOLERANCE_S) -> bool:
    """Whether a request is from whoever holds the key, and is not old.

    A receiver that keeps the ids (`DELIVERY`) of the last days and leaves out what it knows acts on each alert once.

    Args:
        key: shared with the sender.
        headers: of the request; case plays no part.
        body: its bytes, before anything parses them.
        now: seconds since 1970.
        tolerance_s: seconds that the moment of sending may be away from `now`.
    """
    found = {name.lower(): value for name, value in headers.items()}
    stamp = found.get(TIMESTAMP.lower(), "")
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12 or abs(now - int(stamp)) > tolerance_s:
        return False
    return hmac.compare_digest(sign(key, int(stamp), body).encode(), found.get(SIGNATURE.lower(), "").encode())
