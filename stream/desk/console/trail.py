"""Rows of the access log that go in with what they tell."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection
from starlette.requests import Request

from stream.web.requests import access_log_of, event


class RequestTrail:
    """See `stream.desk.trail.Trail`. The desk's database is that of its pages, so that one transaction holds both.

    Args:
        request: of the person who acts.
    """

    def __init__(self, request: Request) -> None:
        self._request, self._log = request, access_log_of(request)

    def begin(self, connection: Connection) -> None:
        """See `Trail.begin`."""
        self._log.lock(connection)

    def write(
        self, connection: Connection, act: str, certificate_id: str, version: int, detail: Mapping[str, str]
    ) -> None:
        """See `Trail.write`."""
        told = event(self._request, act, certificate_id=certificate_id, version=version, detail=detail)
        self._log.write(connection, told)
