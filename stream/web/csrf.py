"""Requests that other sites make a browser send: every unsafe method carries a token that only our own pages know.

The token is an HMAC under the id of the session (before a login, of the visit), which no page and no script can read.
Besides, a browser that tells where a request comes from (`Origin`, `Sec-Fetch-Site`) must tell of us.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

FIELD = "csrf"
HEADER = "x-csrf-token"
SAFE = frozenset({"GET", "HEAD"})


def token(secret: str) -> str:
    """The token that goes with the id of a session or a visit."""
    made = hmac.new(secret.encode(), b"causa csrf", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def fits(secret: str, given: str) -> bool:
    """Whether a token goes with an id."""
    return bool(secret) and hmac.compare_digest(token(secret).encode(), given.encode("utf-8", "surrogatepass"))


def ours(origin: str | None, site: str | None, own: str) -> bool:
    """Whether a request comes from our own pages, as far as the browser tells.

    Args:
        origin: header `Origin`, None where there is none.
        site: header `Sec-Fetch-Site`, likewise.
        own: scheme and host of our pages.
    """
    return (origin is None or origin.lower() == own.lower()) and site in (None, "same-origin", "none")
