"""An OpenID issuer of the tests' own, over HTTP, that signs what it is told to: for tokens that no good provider makes."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwk, jwt

Claims = dict[str, Any]


@cache
def _key() -> jwk.RSAKey:
    return jwk.RSAKey.generate_key(2048, {"use": "sig", "kid": "k1", "alg": "RS256"})


class Issuer:
    """What it does with a login; a test changes the attributes.

    Attributes:
        change: of the claims before they are signed.
        header: of the token, besides.
        sign: makes the token of header and claims; ours by default.
        metadata: that is told besides, or instead.
        status: of the token endpoint.
        asked: parameters of the last login and of the last exchange of a code.
    """

    def __init__(self) -> None:
        self.key = _key()
        self.keys: list[Mapping[str, Any]] = [self.key.as_dict(private=False)]
        self.change: Callable[[Claims], None] = lambda claims: None
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "k1"}
        self.sign: Callable[[dict[str, Any], Claims], str] = lambda header, claims: jwt.encode(header, claims, self.key)
        self.metadata: dict[str, Any] = {}
        self.status = 200
        self.asked: dict[str, str] = {}
        self.exchanged: dict[str, str] = {}
        self.authorization = ""
        self.url = ""
        self.client = "desk"

    def answer(self, url: str, **more: str) -> str:
        """Where the browser goes on after the login of a person; `more` changes what it brings."""
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        return f"{urlsplit(self.asked['redirect_uri']).path}?{urlencode({'code': 'c0de', 'state': self.asked['state'], **more})}"

    def get(self, path: str) -> Mapping[str, Any]:
        """What its pages tell."""
        if path == "/jwks":
            return {"keys": self.keys}
        return {
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks", "end_session_endpoint": f"{self.url}/end", **self.metadata,
        }  # fmt: skip

    def token(self, form: dict[str, str]) -> tuple[int, Mapping[str, Any]]:
        """The ID token for a code, where the verifier fits its challenge."""
        self.exchanged = form
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != self.asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims: Claims = {
            "iss": self.url, "sub": "u-1", "aud": self.client, "iat": now, "exp": now + 300, "nonce": self.asked["nonce"],
            "name": "Anne Dupont", "roles": ["coder"],
        }  # fmt: skip
        self.change(claims)
        return self.status, {"access_token": "x", "token_type": "Bearer", "id_token": self.sign(self.header, claims)}


@contextmanager
def running() -> Iterator[Issuer]:
    """An issuer that listens on the loopback."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

        def _tell(self, status: int, value: Mapping[str, Any]) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._tell(200, issuer.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            issuer.authorization = self.headers.get("authorization", "")
            self._tell(*issuer.token({name: values[0] for name, values in parse_qs(body).items()}))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))  # so often it looks whether to end
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
