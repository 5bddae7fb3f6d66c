"""Certificates to Kafka: rows in, acknowledged records out, at a steady rate where one is asked for.

Nothing here knows the command line, nor which producer it is given (`stream.producer`).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from stream.certificate import ID_MAX, Certificate, certificate_record, utc_now
from stream.errors import BrokerUnavailable, InputError, InvalidCertificate, OversizedText
from stream.offline.ahead import ReadAhead
from stream.offline.rows import Row
from stream.producer import Producer, Window
from stream.wire import Wire

SUBJECT = "certificates"
BURST_S = 0.05  # how far a late sender may catch up on its rate, seconds
SHOWN = 10  # bad rows that a report names
STOP_S = 10.0  # how long a broker may still take to acknowledge once a stop is asked for, seconds


@dataclass(slots=True)
class Report:
    """How far a publication is, and at its end how it went.

    Attributes:
        sent: certificates that the broker acknowledged.
        bad: rows that hold no certificate.
        first_bad: the first `SHOWN` of them: line and error.
        read: bytes of the input behind the last row taken.
        stopped: asked to stop before the end.
        seconds: time since the first row was asked for.
    """

    sent: int = 0
    bad: int = 0
    first_bad: list[tuple[int, InputError]] = field(default_factory=list)
    read: int = 0
    stopped: bool = False
    seconds: float = 0.0

    def reject(self, number: int, error: InputError) -> None:
        """Count a bad row."""
        self.bad += 1
        if len(self.first_bad) < SHOWN:
            self.first_bad.append((number, error))


class Pace:
    """Smooth token bucket: one token each `1 / rate` seconds, at most `BURST_S` seconds of them saved up."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._step, self._clock, self._next = 1 / rate, clock, clock()

    def wait_s(self) -> float:
        """Takes a token; seconds until it is due, 0 when it already is."""
        now = self._clock()
        due = max(self._next, now - BURST_S)
        self._next = due + self._step
        return max(0.0, due - now)


async def publish(
    rows: Iterator[Row],
    producer: Producer,
    wire: Wire,
    topic: str,
    *,
    rate: float | None = None,
    limit: int | None = None,
    stop: asyncio.Event | None = None,
    report: Report | None = None,
    now: Callable[[], datetime] = utc_now,
    stop_s: float = STOP_S,
) -> Report:
    """Sends the certificates of `rows` and waits until the broker has acknowledged them all.

    Args:
        rows: read in a thread, so that a slow pipe does not hold up what was already sent.
        producer: started already, and stopped by the caller.
        wire: codec of the subject `certificates`.
        topic: where they go, each under its certificate_id.
        rate: certificates a second; None is as fast as the broker takes them.
        limit: most certificates to send.
        stop: when set, no more is sent; what was sent is waited for, `stop_s` at most.
        report: filled as it goes, for progress bars.
        now: time of receipt of a certificate that bears none.
        stop_s: longest wait for the broker after `stop`, seconds.

    Raises:
        BrokerUnavailable: the broker did not take or acknowledge a record; `report` tells how many it did.
    """
    report, stop = report or Report(), stop or asyncio.Event()
    pace = Pace(rate) if rate else None
    window = Window()
    begun, taken = time.monotonic(), 0
    ahead = ReadAhead(rows)
    patience = asyncio.timeout(None)
    watch = asyncio.create_task(_bounded(patience, stop, stop_s))
    try:
        async with patience:
            while (limit is None or taken < limit) and (row := await ahead.next(stop)) is not None:
                report.seconds, report.read, report.sent = time.monotonic() - begun, row.end, window.acknowledged
                try:
                    if row.error or row.certificate is None:
                        raise row.error or InvalidCertificate("an empty row")
                    key, value = row.certificate.certificate_id, wire.encode(SUBJECT, _record(row.certificate, now))
                except InputError as error:
                    report.reject(row.number, error)
                    continue
                if pace and await _slept(pace.wait_s(), stop):
                    break
                await window.room()  # raises what became of earlier records: no fault of this row
                try:
                    window.add(await producer.send(topic, value=value, key=key.encode()))
                except MessageSizeTooLargeError:
                    report.reject(row.number, OversizedText("more bytes than the broker takes"))
                else:
                    taken += 1
            await window.drained()
    except TimeoutError:
        if not patience.expired():
            raise
        raise BrokerUnavailable(
            f"Kafka does not answer: {window.acknowledged} acknowledged; the others may or may not be there",
            hint="causa status",
        ) from None
    except KafkaError as error:
        raise BrokerUnavailable(
            f"Kafka stopped taking certificates after {window.acknowledged}: {type(error).__name__}",
            hint="is the broker up, and the topic created? causa status, causa topics check",
        ) from error
    finally:
        watch.cancel()
        ahead.close()
        report.sent = window.acknowledged
        report.seconds = time.monotonic() - begun
    report.stopped = stop.is_set()
    return report


async def _bounded(patience: asyncio.Timeout, stop: asyncio.Event, seconds: float) -> None:
    """Lets `patience` end so many seconds after `stop`."""
    await stop.wait()
    patience.reschedule(asyncio.get_running_loop().time() + seconds)


def repeated(rows: Callable[[], Iterator[Row]], times: int) -> Iterator[Row]:
    """The rows `times` times over; from the second time on every certificate_id ends in ``~2``, ``~3``, …"""
    end = 0
    for turn in range(1, times + 1):
        last = 0
        for row in rows():
            last = row.end
            if turn > 1 and row.certificate:
                suffix = f"~{turn}"
                name = row.certificate.certificate_id[: ID_MAX - len(suffix)] + suffix
                row = dataclasses.replace(row, certificate=dataclasses.replace(row.certificate, certificate_id=name))  # noqa: PLW2901
            yield dataclasses.replace(row, end=end + row.end)
        end += last


def _record(certificate: Certificate, now: Callable[[], datetime]) -> dict[str, Any]:
    """Avro fields; a time of receipt without zone is UTC."""
    record = certificate_record(certificate)
    received = record["received_at"] or now()
    record["received_at"] = received if received.tzinfo else received.replace(tzinfo=UTC)
    return record


async def _slept(seconds: float, stop: asyncio.Event) -> bool:
    """Waits; True when stopped meanwhile."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
