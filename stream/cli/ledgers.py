"""What was coded and decided, read from the topics or from files, for the commands that look back."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

from stream.embedded.servers import Embedded
from stream.errors import InvalidSettings
from stream.quality.ledger import SUBJECTS, Ledger
from stream.reader import KafkaReader, Reader
from stream.settings import Settings


def read(
    settings: Settings, coded: Path | None = None, corrections: Path | None = None, since: datetime | None = None
) -> Ledger:
    """The ledger of two topics, or of two files as `causa tail` prints them.

    Raises:
        InvalidSettings: a file cannot be read, or options contradict one another.
        BrokerUnavailable: Kafka does not answer.
    """
    if corrections is not None and coded is None:
        raise InvalidSettings("--corrections needs --coded beside it")
    ledger = Ledger()
    if coded is None:
        reader = KafkaReader(settings, Embedded(settings).bootstrap())
        asyncio.run(fold(ledger, reader, since))
        return ledger
    if since:
        raise InvalidSettings("--since is for topics: a file is read whole")
    for subject, path in zip(SUBJECTS, (coded, corrections), strict=True):
        if path is not None:
            _lines(ledger, subject, path)
    return ledger


async def fold(ledger: Ledger, reader: Reader, since: datetime | None = None) -> None:
    """Take all that the topics hold now."""
    found = reader.read(SUBJECTS, since=since)
    async with aclosing(found):
        async for record in found:
            ledger.fold(record.subject, record.value)
    ledger.unread += reader.undecoded


def _lines(ledger: Ledger, subject: str, path: Path) -> None:
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except ValueError:
                    value = None
                if isinstance(value, dict):
                    ledger.fold(subject, value)
                else:
                    ledger.unread += 1
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8'}"
        ) from None
