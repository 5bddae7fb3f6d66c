"""`causa tail`: what a topic holds, one JSON record a line."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Annotated, Any

import typer

from stream.cli.output import utf8_stdout
from stream.embedded.servers import Embedded
from stream.errors import BadAvro, InputError, InvalidSettings
from stream.hiding import hidden, plain
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
        value = hidden(value)
    return plain({"partition": record.partition, "offset": record.offset, **value})
