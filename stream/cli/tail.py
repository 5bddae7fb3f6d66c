"""`causa tail`: what a topic holds, one JSON record a line."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import aclosing
from datetime import date, datetime
from typing import Annotated, Any

import typer

from stream.cli.output import utf8_stdout
from stream.embedded.servers import Embedded
from stream.errors import BadAvro, InputError, InvalidSettings
from stream.reader import records
from stream.registry import SUBJECTS, open_registry
from stream.settings import Settings, load
from stream.wire import Wire
from stream.worker.subjects import subject_topics

SHOWN_TEXT = frozenset({"certificates", "manual", "dead-letters"})


def command(
    subject: Annotated[
        str, typer.Argument(help="certificates, coded, manual, corrections, alerts, automation or dead-letters.")
    ],
    *,
    last: Annotated[int, typer.Option("-n", min=0, help="Begin so many records before the end of each partition.")] = 0,
    beginning: Annotated[bool, typer.Option(help="Begin at the first record.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more at the end; --no-follow stops there.")] = True,
    text: Annotated[bool, typer.Option(help="Show what the certificates say; else it is hidden.")] = False,
) -> None:
    """Print the records of a topic as JSON, one a line, as committed.

    Certificates' text is hidden unless `--text` is given. It reads without a group: no offset moves.
    Examples: `causa tail coded`, `causa tail manual --beginning --no-follow --text | jq .reasons`
    """
    if subject not in SUBJECTS:
        raise InvalidSettings(f"{subject} is no topic of Causa", hint=", ".join(SUBJECTS))
    settings = load()
    utf8_stdout()
    asyncio.run(_tail(settings, subject, None if beginning else last, limit, follow, text))


async def _tail(
    settings: Settings, subject: str, last: int | None, limit: int | None, follow: bool, text: bool
) -> None:
    wire = Wire(open_registry(settings.registry, subject_topics(settings)))
    found = records(settings, Embedded(settings).bootstrap(), [subject], last=last, follow=follow)
    async with aclosing(found):
        shown = 0
        async for _, record in found:
            typer.echo(json.dumps(_readable(wire, subject, record, text), ensure_ascii=False))
            shown += 1
            if shown == limit:
                return


def _readable(wire: Wire, subject: str, record: Any, text: bool) -> Any:
    try:
        value = wire.decode(subject, record.value)
    except InputError as error:
        value = {"error": error.code if not isinstance(error, BadAvro) else error.message}
    if subject in SHOWN_TEXT and not text:
        value = _hidden(value)
    return _plain({"partition": record.partition, "offset": record.offset, **value})


_TEXTS = frozenset({"text", "interval", "reason", "mother", "accident_place", "payload"})
_CODES = {
    # Avro takes any string here, and a dead letter may bear any key: they are shown where they can be no sentence.
    "pregnancy": re.compile(r"[A-Z0-9_]{1,64}"),
    "autopsy": re.compile(r"[A-Z0-9_]{1,64}"),
    **dict.fromkeys(
        ("certificate_id", "key", "parts", "form_version", "department", "commune"), re.compile(r"[\x21-\x7e]{1,128}")
    ),
}


def _hidden(value: Any, name: str = "") -> Any:
    """The value without what a certificate says; `name` is the field that holds it."""
    if isinstance(value, dict):
        # Sealed text is hidden too, but for the id of its key.
        return {key: _hidden(item, name if name in _TEXTS and key != "key_id" else key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item, name) for item in value]
    if isinstance(value, str | bytes) and _tells(value, name):
        return f"[{len(value)} hidden]"
    return value


def _tells(value: str | bytes, name: str) -> bool:
    """Whether a field's value may say what a certificate says."""
    if name not in _CODES:
        return name in _TEXTS
    written = value.decode("latin-1") if isinstance(value, bytes) else value
    return _CODES[name].fullmatch(written) is None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value
