"""Where the pages are, as browsers name it; and which paths a browser may be sent to."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from stream.errors import InvalidSettings
from stream.services import Pages, Web

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_PATH_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where one service's pages are.

    Attributes:
        secure: whether browsers come over TLS.
        origin: scheme, host and port; empty where the port is not known before the start, on the loopback.
        hosts: names that requests may call us by, without the port; empty means any, never used with a public address.
    """

    secure: bool
    origin: str
    hosts: frozenset[str]

    def own(self, host: str) -> str:
        """Our origin, in a request that called us by a name among `hosts`."""
        return self.origin or f"{'https' if self.secure else 'http'}://{host}"


def place(web: Web, pages: Pages) -> Place:
    """Where the pages are, by the settings.

    Raises:
        InvalidSettings: half of TLS, a public address that is none, or plain http for more than this machine.
    """
    if (web.tls_cert is None) != (web.tls_key is None):
        raise InvalidSettings("web.tls_cert and web.tls_key belong together")
    tls = web.tls_cert is not None
    if not pages.public_url:
        if not tls and not _loopback(pages.host):
            raise InvalidSettings(
                "pages are served without TLS on the loopback only",
                hint="set CAUSA_WEB__TLS_CERT and CAUSA_WEB__TLS_KEY, or a public_url in front of which a proxy ends TLS",
            )
        hosts = frozenset(_LOOPBACK) if _loopback(pages.host) else frozenset()
        if tls and not hosts:
            raise InvalidSettings("pages for other machines need their public_url", hint="https://desk.example.fr")
        return Place(tls, "", hosts)
    address = urlsplit(pages.public_url)
    try:
        host = address.hostname
        port = address.port
    except ValueError:
        host = port = None
    plain = address.scheme == "http" and host is not None and _loopback(host)
    if (address.scheme != "https" and not plain) or not host or address.path not in ("", "/") or address.query:
        raise InvalidSettings("public_url is https://HOST or https://HOST:PORT", hint="http is for the loopback alone")
    if address.scheme == "https" and not tls and not web.trusted_proxies:
        raise InvalidSettings(
            "public_url is https, but nobody ends TLS",
            hint="set CAUSA_WEB__TLS_CERT and CAUSA_WEB__TLS_KEY, or CAUSA_WEB__TRUSTED_PROXIES",
        )
    named = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}[address.scheme]
    shown = named if port in (None, default) else f"{named}:{port}"
    return Place(address.scheme == "https", f"{address.scheme}://{shown}", frozenset({named, *_LOOPBACK}))


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def bare(host: str) -> str:
    """A `Host` header without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def own_path(wanted: str, otherwise: str = "/") -> str:
    """A path of ours to send a browser to; anything that could lead elsewhere becomes `otherwise`.

    Args:
        wanted: path and query, as somebody asked for.
        otherwise: a path that is ours.
    """
    fine = (
        wanted.startswith("/")
        and not wanted.startswith("//")
        and len(wanted) <= _PATH_CHARS
        # Browsers read \ as /, and drop tabs and line ends.
        and not any(sign in wanted for sign in "\\\t\r\n")
        and wanted.isprintable()
    )
    try:
        address = urlsplit(wanted) if fine else None
    except ValueError:
        address = None
    return wanted if address and not address.scheme and not address.netloc else otherwise
