"""Alerts to a web address: one POST for each message, signed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
from pydantic import SecretStr

from stream.errors import InvalidSettings
from stream.settings import Tls
from stream.surveillance.alerts.alert import alert_json
from stream.surveillance.alerts.signature import DELIVERY, SIGNATURE, TIMESTAMP, sign
from stream.surveillance.alerts.sinks import MOST_S, Message, NotTaken, Refused

REFUSALS = frozenset({400, 410, 413, 415, 422})
"""Answers that speak against the message itself; another try would meet the same. The rest may be mended over there."""
KIND = "application/json; charset=utf-8"


class Webhook:
    """See `sinks.Sink`. Redirections are not followed: a signed message goes to its address and nowhere else.

    Args:
        name: of the sink.
        url: where to; it may hold a token, and stands in no log.
        key: of the signature; None sends without one.
        timeout_s: longest wait for an answer.
        ca_file: authority of the receiver's certificate, where it is none of the system's.
        clock: seconds since 1970.

    Raises:
        InvalidSettings: no address, or a file that cannot be read.
    """

    most = 1

    def __init__(
        self,
        name: str,
        url: SecretStr,
        key: SecretStr | None = None,
        *,
        timeout_s: float = 10.0,
        ca_file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name, self._clock = name, clock
        self._key = key.get_secret_value().encode() if key else b""
        try:
            self._url = httpx.URL(url.get_secret_value())
        except httpx.InvalidURL:
            raise InvalidSettings(f"the address of the webhook {name} is none") from None
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise InvalidSettings(f"the address of the webhook {name} is none", hint="https://host/path")
        context = Tls(enabled=True, ca_file=ca_file).context() if ca_file else None
        self._http = httpx.AsyncClient(verify=context or True, timeout=timeout_s, follow_redirects=False)

    async def send(self, messages: Sequence[Message]) -> None:
        """See `sinks.Sink.send`."""
        for message in messages:
            await self._post(message)

    async def _post(self, message: Message) -> None:
        body = payload(message)
        stamp = int(self._clock())
        headers = {"Content-Type": KIND, DELIVERY: message.id, TIMESTAMP: str(stamp), "User-Agent": "causa"}
        if self._key:
            headers[SIGNATURE] = sign(self._key, stamp, body)
        try:
            answer = await self._http.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise NotTaken(type(error).__name__) from None
        if answer.is_success:
            return
        if answer.status_code in REFUSALS:
            raise Refused(f"HTTP {answer.status_code}")
        raise NotTaken(f"HTTP {answer.status_code}", again_s=_after(answer))

    async def close(self) -> None:
        """See `sinks.Sink.close`."""
        await self._http.aclose()


def payload(message: Message) -> bytes:
    """The body: the message's id and occasion, and the alert as the topic has it."""
    body = {"id": message.id, "occasion": message.occasion.partition("-")[0], "alert": alert_json(message.alert)}
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode()


def _after(answer: httpx.Response) -> float:
    """Seconds that the receiver asks to wait."""
    told = answer.headers.get("Retry-After", "")
    return min(MOST_S, float(told)) if told.isascii() and told.isdigit() else 0.0
