"""`causa alerts`: the worker of surveillance, and what people do about alerts."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stream.errors import InvalidSettings
from stream.settings import load

if TYPE_CHECKING:  # numpy and SQLAlchemy take a while: `causa --version` does not wait for them
    from stream.surveillance.alerts.alert import Alert
    from stream.surveillance.alerts.register import Register

app = typer.Typer(invoke_without_command=True)

Who = Annotated[str, typer.Option(help="Your pseudonym.")]
Why = Annotated[str, typer.Option(help="The reason, in a few words.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="As `causa alerts list` shows it.")]


@app.callback()
def worker(context: typer.Context) -> None:
    """Read `coded` into the surveillance database, find alerts, publish them and tell the sinks, until SIGTERM or Ctrl-C.

    It may be killed at any moment: what it makes stands in the database before it is published, once. A second one may
    stand by. Rules are those of `alerts.yaml` (CAUSA_SURVEILLANCE__ALERTS__RULES names the office's own).
    Examples: `causa alerts`, `causa alerts list --open`, `causa alerts ack ID --who mt --why "called the hospital"`

    Exit status: 0 stopped when asked; 1 something was cut off and will be done at the next start; 2 settings.
    """
    if context.invoked_subcommand is not None:
        return
    from stream import log
    from stream.embedded.servers import Embedded

    settings = load()
    log.configure(settings.log_level, settings.log_format)
    bootstrap = Embedded(settings).bootstrap()
    from stream.surveillance.alerts.running import run

    async def work() -> None:
        status = await run(settings, bootstrap)
        # A thread that is in the middle of a transaction knows no deadline: what it has not committed is done again.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)

    asyncio.run(work())


@app.command("list")
def listed(
    *,
    going: Annotated[
        bool | None, typer.Option("--open/--ended", help="Those that go on, or those that are over.")
    ] = None,
    kind: Annotated[Literal["STATISTICAL", "SINGLE_CASE", ""], typer.Option(help="Of this kind.")] = "",
    group: Annotated[str, typer.Option(help="Of this group.")] = "",
    place: Annotated[str, typer.Option(help="Of this place: FR, R-84, 33.")] = "",
    level: Annotated[int, typer.Option(min=0, max=9, help="Of this level at least.")] = 0,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Raised on this day or later.")] = None,
    mutes: Annotated[bool, typer.Option(help="List the mutes in force instead.")] = False,
    runs: Annotated[bool, typer.Option(help="List the last runs of detection instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
) -> None:
    """List alerts, the newest first. Examples: `causa alerts list --open --level 5`, `causa alerts list --mutes`."""
    register = _register()
    if runs:
        _runs(register, limit)
        return
    if mutes:
        _mutes(register)
        return
    from stream.surveillance.alerts.alert import Kind, alert_json
    from stream.surveillance.alerts.register import Choice

    day = since.date() if since else None
    chosen = Choice(going, Kind(kind) if kind else None, group, place, level, day, limit=limit)
    found = register.alerts(chosen)
    if not found:
        # Alerts of a group that the tables no longer hold are still listed; a slip of the pen is told.
        register.check(group, place)
    if as_json:
        for alert in found:
            typer.echo(json.dumps(alert_json(alert), ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "status", "level", "group", "place", "days", "deaths", "expected", "threshold", "standing")
    for alert in found:
        table.add_row(
            alert.alert_id, alert.status.value, str(alert.level), alert.group, alert.place,
            f"{alert.period_start}" + ("" if alert.period_end == alert.period_start else f" – {alert.period_end}"),
            f"{alert.observed:.0f}", f"{alert.expected:.1f}", f"{alert.threshold:.0f}", standing(alert),
        )  # fmt: skip
    Console().print(table)
    typer.echo(f"{len(found)} alerts")


@app.command()
def show(
    alert_id: Id, as_json: Annotated[bool, typer.Option("--json", help="All revisions, one a line.")] = False
) -> None:
    """Show an alert: its figures, caveats, revisions, and what people did. Example: `causa alerts show measles.case-…`."""
    from stream.surveillance.alerts.alert import alert_json

    register = _register()
    history = register.history(alert_id)
    if not history:
        raise InvalidSettings(f"there is no alert {alert_id}", hint="causa alerts list")
    if as_json:
        for alert in history:
            typer.echo(json.dumps(alert_json(alert), ensure_ascii=False))
        return
    for name, value in alert_json(history[-1]).items():
        if value not in (None, "", [], ()):
            typer.echo(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
    for alert in history:
        typer.echo(
            f"revision {alert.revision}: {alert.updated_at:%Y-%m-%d %H:%M:%S} {alert.status}, level {alert.level}, "
            f"{alert.observed:.0f} deaths, {standing(alert)}"
        )
    for act in register.acts(alert_id):
        typer.echo(f"{act.at:%Y-%m-%d %H:%M:%S} {act.what} by {act.who}: {act.why}")


@app.command()
def ack(alert_id: Id, *, who: Who, why: Why) -> None:
    """Acknowledge an alert: somebody has seen it and takes it on. Example: `causa alerts ack ID --who mt --why "seen"`."""
    alert = _register().acknowledge(alert_id, who, why)
    typer.echo(f"{alert.alert_id}: acknowledged, revision {alert.revision}")


@app.command()
def escalate(
    alert_id: Id, *, level: Annotated[int, typer.Option(min=0, max=9, help="How much it presses.")], who: Who, why: Why
) -> None:  # fmt: skip
    """Give an alert another level. Example: `causa alerts escalate ID --level 8 --who mt --why "a second case at school"`."""
    alert = _register().escalate(alert_id, level, who, why)
    typer.echo(f"{alert.alert_id}: level {alert.level}, revision {alert.revision}")


@app.command()
def mute(
    alert_id: Annotated[
        str, typer.Argument(metavar="[ID]", help="An alert; without it those that the options name.")
    ] = "",
    *,
    who: Who,
    why: Why,
    group: Annotated[str, typer.Option(help="Alerts of this group.")] = "",
    place: Annotated[str, typer.Option(help="Alerts of this place.")] = "",
    kind: Annotated[Literal["STATISTICAL", "SINGLE_CASE", ""], typer.Option(help="Alerts of this kind.")] = "",
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day (UTC); without it for ever.")
    ] = None,
) -> None:
    """Let no sink hear of some alerts, nor of those like them to come; they are still found, published and listed.

    Examples: `causa alerts mute ID --who mt --why "known"`,
    `causa alerts mute --group heat --until 2026-08-31 --who mt --why "heat plan in force"`
    """
    from stream.surveillance.alerts.alert import Kind
    from stream.surveillance.alerts.store import Mute

    last: date | None = until.date() if until else None
    number = _register().mute(Mute(who, why, alert_id, group, place, Kind(kind) if kind else None, last))
    typer.echo(f"mute {number}")


@app.command()
def unmute(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As `causa alerts list --mutes` shows it.")],
    *, who: Who, why: Why,
) -> None:  # fmt: skip
    """End a mute. Example: `causa alerts unmute 3 --who mt --why "the heat is over"`."""
    _register().unmute(number, who, why)
    typer.echo(f"mute {number} is ended")


@app.command()
def check() -> None:
    """Check the rules of alerting, the sinks' settings and addresses; nothing is sent. Example: `causa alerts check`."""
    from stream.surveillance.alerts.running import rules_of, sinks_of

    settings = load()
    rules = rules_of(settings)
    names = [sink.name for sink in sinks_of(settings, rules)]
    typer.echo(f"rules {rules.version}: {len(rules.watches())} series, single cases of {len(rules.levels)} groups")
    typer.echo(f"sinks: {', '.join(names) or 'none'}")
    for name in sorted(set(rules.file.sinks) - set(names)):
        typer.echo(f"the rules name the sink {name}, the settings do not")


def standing(alert: Alert) -> str:
    """How an alert stands, in a few words."""
    words = [] if alert.kind == "STATISTICAL" else ["verified" if alert.verified else "unverified"]
    words += ["held"] if alert.held else []
    words += ["muted"] if alert.muted else []
    words += [f"acknowledged by {alert.acknowledged_by}"] if alert.acknowledged_by else []
    return ", ".join(words)


def _register() -> Register:
    from stream.surveillance.alerts.running import register_of

    return register_of(load())


def _mutes(register: Register) -> None:
    for mute in register.mutes():
        what = ", ".join(filter(None, (mute.alert_id, mute.group, mute.place, mute.kind)))
        typer.echo(f"{mute.number}: {what} by {mute}")


def _runs(register: Register, limit: int) -> None:
    for run in register.runs(limit):
        typer.echo(
            f"{run.at:%Y-%m-%d %H:%M:%S} by what was known on {run.day}: {run.series} series, {run.judged} judged, "
            f"{run.alarms} alarms ({run.held} held), {run.revisions} revisions, {run.seconds:.1f} s, rules {run.rules_version}"
        )
