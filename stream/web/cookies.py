"""The cookies: of a session, of a browser that is not logged in yet, of a known browser, of a language.

Over TLS their names begin with `__Host-`: the browser takes them only with Secure, for the whole of one host and from it
alone. Plain http is served on the loopback only, for one machine; there the prefix and Secure, which need TLS, are left out,
and nothing else. All are SameSite=Lax: with Strict a person whom a provider sends back would arrive without a session.
"""

from __future__ import annotations

from dataclasses import dataclass

DEVICE_S = 180 * 86_400
LANGUAGE_S = 365 * 86_400
VISIT_S = 3_600


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names and forms of one service's cookies.

    Attributes:
        service: its name: two services on one host do not take each other's.
        secure: whether pages are served over TLS.
    """

    service: str
    secure: bool

    def name(self, what: str) -> str:
        """Name of the cookie of a session, visit, device or language."""
        return f"{'__Host-' if self.secure else ''}{self.service}-{what}"

    def header(self, what: str, value: str, seconds: int | None = None) -> tuple[bytes, bytes]:
        """The header that sets a cookie; 0 seconds takes it away, none lets it end with the browser."""
        assert value.isascii() and not set(value) & set(';, "\\\r\n')
        parts = [f"{self.name(what)}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
        if seconds is not None:
            parts.append(f"Max-Age={seconds}")
        if self.secure:
            parts.append("Secure")
        return b"set-cookie", "; ".join(parts).encode("ascii")

    def read(self, headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
        """Ours among a request's cookies, by what they are of."""
        sent = "; ".join(value.decode("latin-1") for name, value in headers if name == b"cookie")[:8_192]
        found: dict[str, str] = {}
        for part in sent.split(";"):
            name, _, value = part.strip().partition("=")
            for what in ("session", "visit", "device", "language"):
                # The first one wins: a browser sends the one of the longest path, the oldest, first.
                if name == self.name(what):
                    found.setdefault(what, value.strip('"')[:64])
        return found
