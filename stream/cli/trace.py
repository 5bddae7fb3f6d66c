"""`causa trace`: all that ever happened to one certificate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli.output import utf8_stdout
from stream.cli.replay import person
from stream.errors import InvalidSettings
from stream.settings import Settings, load

if TYPE_CHECKING:
    from stream.replay.history import Found
    from stream.replay.shell import Desk
    from stream.web.access import AccessLog

app = typer.Typer(no_args_is_help=True, help="Tell every event of a certificate, and export it signed.")


@app.command("show")
def show(
    certificate_id: Annotated[str, typer.Argument(metavar="ID", help="The certificate.")],
    *,
    text: Annotated[bool, typer.Option(help="What it says, too; written in the access log first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, whole.")] = False,
    export: Annotated[
        Path | None, typer.Option(help="New folder for events, manifest of hashes and signature.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Your private key (PEM, Ed25519): signs the export.")] = None,
    who: Annotated[
        str, typer.Option("--as", help="Who asks, as it is written down; else the name of this login.")
    ] = "",
) -> None:
    """Print every event of a certificate on every topic, in order: what came, what was made of it by which versions, who
    decided what and when.

    The topics are read whole, without a group. Text is hidden unless --text is given with the key of a person whom
    CAUSA_REPLAY__PEOPLE names with the role `text`.
    Examples: `causa trace show 2026-000123`, `causa trace show 2026-000123 --export audit --key my.pem`

    Exit status: 0; 1 there is no event of it.
    """
    raise typer.Exit(asyncio.run(_show(load(), certificate_id, text, as_json, export, key, person(who))))


async def _show(
    settings: Settings, certificate_id: str, text: bool, as_json: bool, export: Path | None, key: Path | None, who: str
) -> int:
    from stream.certificate import utc_now
    from stream.embedded.servers import Embedded
    from stream.hiding import hidden, plain
    from stream.replay import export as exporting
    from stream.replay import history, shell, signing
    from stream.replay.kafka_broker import KafkaBroker
    from stream.replay.versions import logged_in

    private = signing.private_key(key) if key else None
    if export is not None and private is None:
        raise InvalidSettings("an export is signed", hint="--key names your private key: causa recode key FILE")
    if text:
        allowed(settings, who, key)
    own = logged_in(settings, settings.replay.trace_login, "replay.trace_login")
    desk = shell.desk_of(own, KafkaBroker(own, Embedded(settings).bootstrap()), looking=True)
    found = await history.history(
        desk.broker, desk.wire, desk.topics, certificate_id,
        lambda topic: typer.echo(f"reading {topic}", err=True) if not as_json else None,
    )  # fmt: skip
    if not found.events:
        typer.echo(f"no topic holds an event of {certificate_id}", err=True)
        return 1
    if text:
        await asyncio.to_thread(_written_down, settings, certificate_id, who)
        found = replace(found, events=await _opened(desk, found))
    else:
        found = replace(found, events=history.within(found.events, hidden))
    out = utf8_stdout()
    for number, one in enumerate(found.events, 1):
        if as_json:
            out.write(json.dumps(exporting.line(one, number, plain), ensure_ascii=False) + "\n")
            continue
        place = f"{one.record.topic}/{one.record.partition}/{one.record.offset}"
        out.write(f"{history.seconds(one.at)}  {place:<28} {history.told(one)}\n")
        if text and one.subject == "certificates":
            out.writelines(f"{'':>26}{line}\n" for line in _lines(one.value))
    if export is not None:
        assert private is not None
        exporting.write(export, certificate_id, found, private, plain, text=text, who=who, now=utc_now())
        typer.echo(f"{export}: {len(found.events)} events, signed", err=True)
    return 0


def _lines(value: Any) -> list[str]:
    return [
        f"{name} {number}: {line['text']}" + (f"  [{line['interval']}]" if line["interval"] else "")
        for name, part in (("I", "part1"), ("II", "part2"))
        for number, line in enumerate(value.get(part, ()), 1)
    ]


def allowed(settings: Settings, who: str, key: Path | None) -> None:
    """Raises: InvalidSettings where nobody is named who may read what certificates say, or this one is not proved to be."""
    from stream.replay import agreeing, signing

    if settings.replay.people is None:
        # The row of the access log would hold whatever name --as tells.
        raise InvalidSettings(
            "--text is for people who are known by a key",
            hint="CAUSA_REPLAY__PEOPLE names a file of them, role text; see docs/replay.md",
        )
    if key is None:
        raise InvalidSettings("--text needs a key", hint="--key FILE --as NAME, of a person with the role text")
    agreeing.own(who, signing.private_key(key), signing.people(settings.replay.people), "text")


def _written_down(settings: Settings, certificate_id: str, who: str) -> None:
    """A row in the coding desk's access log, before anything is shown; raises where it cannot be written."""
    from stream.web.access import Event

    with desk_log(settings) as log:
        log.record(Event(who=who, act="CERTIFICATE_SEEN", certificate_id=certificate_id, detail={"by": "trace"}))


@contextmanager
def desk_log(settings: Settings) -> Iterator[AccessLog]:
    """The coding desk's access log, for commands that give out what certificates say. Raises DatabaseUnavailable."""
    from stream.database import open_database
    from stream.web import tables
    from stream.web.access import AccessLog

    engine = open_database(settings.desk.database, settings.root / "desk.sqlite")
    try:
        tables.make(engine)
        yield AccessLog(engine)
    finally:
        engine.dispose()


async def _opened(desk: Desk, found: Found) -> list[Any]:
    """The events with sealed texts opened, as far as their keys are there."""
    from stream.replay.opening import opened

    return await opened(desk, found.events)


@app.command("verify")
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An export.")],
    key: Annotated[Path, typer.Option(help="Public key (PEM) of whoever signed it, had by another way.")],
) -> None:
    """Check an export: its signature, the hashes of its files, and that nothing was added.

    Example: `causa trace verify audit --key office.pub`

    Exit status: 0 it holds; 1 it does not.
    """
    from stream.replay import export, signing

    checked = export.verify(folder, signing.public_key(key))
    for fault in checked.faults:
        typer.echo(f"fault: {fault}", err=True)
    if checked.faults:
        raise typer.Exit(1)
    manifest = checked.manifest
    typer.echo(
        f"{manifest['certificate_id']}: {manifest['events']} events, exported by {manifest['exported_by']} at "
        f"{manifest['exported_at']}, {'with' if manifest['text'] else 'without'} text; signature and hashes hold"
    )
