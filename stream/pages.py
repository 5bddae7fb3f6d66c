"""The pages of a process over HTTP: its metrics, its health. Read only, no login: for the inside of a network."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page answers: HTTP status, content type, body."""

    status: int
    kind: str
    body: bytes


Page = Callable[[str], Answer]
"""Answers to the kinds of content that the asker accepts, as its `Accept` header says."""


def serve(port: int, pages: Mapping[str, Page], host: str = "") -> ThreadingHTTPServer:
    """Serve pages by path until the process ends, in threads of their own: they answer while the event loop hangs.

    Args:
        port: where to listen; 0 is any that is free.
        pages: by path.
        host: address to listen on; empty for all of this machine.

    Returns:
        The server, running; it ends with `shutdown` and `server_close`.

    Raises:
        OSError, OverflowError: somebody else listens there, or it is no port.
    """

    class Handler(_Handler):
        served = pages

    server = _Server((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="pages", daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Two workers on one port would be told apart by chance.
    allow_reuse_port = False

    def server_bind(self) -> None:
        # The base class asks for this machine's name, and waits for the answer where there is no name server.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "causa", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hangs up amid an answer is no fault of ours."""


class _Handler(BaseHTTPRequestHandler):
    served: Mapping[str, Page]
    timeout = 10.0
    server_version, sys_version = "causa", ""

    def do_GET(self) -> None:
        page = self.served.get(self.path.partition("?")[0])
        if page is None:
            self.send_error(404)
            return
        answer = page(self.headers.get("Accept", ""))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """A probe every few seconds is no news."""
