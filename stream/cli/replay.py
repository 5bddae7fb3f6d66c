"""`causa replay`: ranges of topics coded again into topics of their own, and compared."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import signal
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.errors import InvalidSettings
from stream.settings import Settings, load

if TYPE_CHECKING:  # the core takes seconds to import: only what replays waits for it
    from rich.console import Console

    from stream.replay.plan import Plan, Range
    from stream.replay.player import Player
    from stream.replay.reconciling import Reconciled
    from stream.replay.run import Run
    from stream.replay.selection import Selection
    from stream.replay.shell import Desk
    from stream.replay.versions import Speaking

app = typer.Typer(no_args_is_help=True, help="Code ranges of topics again, compare, and account for every record.")
_OFFSETS = re.compile(r"(\d+):(\d*)-(\d*)")
_PSEUDONYM = re.compile(r"[\x21-\x7e]{1,64}")
STOPPED = 130


class Trust(StrEnum):
    """How far the machine is trusted; see `stream.replay.versions.Trusting`."""

    RECORDED = "recorded"
    NOW = "now"
    NORMAL = "normal"


RunName = Annotated[str, typer.Argument(metavar="RUN", help="Name of the run: small letters, digits, hyphens.")]
Who = Annotated[str, typer.Option("--as", help="Who does it, as it is written down; else the name of this login.")]


def person(name: str) -> str:
    """Who does something, as it is written down.

    Raises:
        InvalidSettings: a name with blanks or other signs, or of more than 64.
    """
    chosen = name or getpass.getuser()
    if not _PSEUDONYM.fullmatch(chosen):
        raise InvalidSettings("--as names nobody", hint="a pseudonym of 64 letters at most, without blanks")
    return chosen


def moment(value: datetime | None) -> datetime | None:
    """A moment of the command line is in UTC unless it names a zone."""
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]


@app.command("run")
def run(
    name: RunName,
    *,
    source: Annotated[str, typer.Option("--from", help="certificates, coded or dead-letters.")] = "certificates",
    offsets: Annotated[
        list[str] | None, typer.Option(help="PARTITION:FIRST-LAST, the last one left out; either end may be empty.")
    ] = None,
    partition: Annotated[list[int] | None, typer.Option(help="Only these partitions.")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=_TIMES, help="Written at this moment (UTC) or later.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=_TIMES, help="Written before this moment (UTC).")] = None,
    id: Annotated[list[str] | None, typer.Option(help="Only these certificates.")] = None,
    ids: Annotated[Path | None, typer.Option(help="File of ids, one a line, or JSONL with certificate_id.")] = None,
    underlying: Annotated[
        list[str] | None, typer.Option(help="Recorded underlying cause begins so: I50, J18.9, C.")
    ] = None,
    code: Annotated[list[str] | None, typer.Option(help="Any recorded code begins so.")] = None,
    route: Annotated[list[str] | None, typer.Option(help="Recorded route: AUTO or MANUAL.")] = None,
    reason: Annotated[list[str] | None, typer.Option(help="Recorded reason for a person to look.")] = None,
    status: Annotated[list[str] | None, typer.Option(help="Recorded status: FINAL, PROVISIONAL, WITHDRAWN.")] = None,
    recorded: Annotated[
        list[str] | None, typer.Option("--recorded", help="FIELD=BEGINNING of a recorded version: coder=coder-1.")
    ] = None,
    error: Annotated[list[str] | None, typer.Option(help="Error code of dead letters.")] = None,
    coder: Annotated[str, typer.Option(help="NAME:VERSION of the model that tags lines.")] = "",
    ranker: Annotated[
        str, typer.Option("--underlying-model", help="NAME:VERSION of the model that ranks causes.")
    ] = "",
    policy: Annotated[Path | None, typer.Option(help="Policy file.")] = None,
    thresholds: Annotated[Path | None, typer.Option(help="Thresholds file.")] = None,
    python: Annotated[
        str, typer.Option("--with", help="Interpreter of another installation: its rules and lexicon.")
    ] = "",
    trust: Annotated[
        Trust, typer.Option(help="Automation: as recorded, as it is now, or by the thresholds alone.")
    ] = Trust.RECORDED,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Certificates a second at most.")] = None,
    cache: Annotated[int | None, typer.Option(min=0, help="Coded lines remembered; 0 is off.")] = None,
    check_identity: Annotated[
        bool, typer.Option(help="Afterwards: the same versions must have given identical results; else exit 1.")
    ] = False,
    execute: Annotated[
        bool, typer.Option(help="Do it. Without this the plan is printed and nothing is written.")
    ] = False,
    who: Who = "",
) -> None:
    """Code a part of a topic again, with any versions, into the topic `replay.RUN`.

    The plan is settled when the run begins: the same command again goes on where it stopped or was killed. Live workers
    lose nothing: no group of theirs is joined, requests to Triton stand behind theirs. At the end every record is
    accounted for: read = passed over + written + dead.
    Examples: `causa replay run winter --since 2026-01-01 --until 2026-02-01`, `causa replay run flu --from coded
    --underlying J10 --underlying J11 --coder coder:2 --execute`, `causa replay run mend --from dead-letters --execute`

    Exit status: 0 done and accounted for; 1 not every record is, or not identical; 130 stopped, the rest is for later.
    """
    from stream.replay.selection import Selection, prefix, read_ids
    from stream.replay.versions import Speaking, Trusting

    wanted = _range(offsets, partition, moment(since), moment(until))
    selection = Selection(
        frozenset(id or ()) | (read_ids(ids) if ids else frozenset()), tuple(map(prefix, underlying or ())),
        tuple(map(prefix, code or ())), tuple(route or ()), tuple(reason or ()), tuple(status or ()),
        _versions(recorded), tuple(error or ()),
    )  # fmt: skip
    speaking = Speaking(coder, ranker, policy, thresholds, python, cache, Trusting(trust.value))
    settings = load()
    work = _work(settings, name, source, wanted, selection, speaking, rate, person(who), execute, check_identity)
    raise typer.Exit(asyncio.run(work))


def _range(
    offsets: list[str] | None, partitions: list[int] | None, since: datetime | None, until: datetime | None
) -> Range:
    from stream.replay.plan import Range

    spans: dict[int, tuple[int | None, int | None]] = {}
    for text in offsets or ():
        found = _OFFSETS.fullmatch(text)
        if found is None:
            raise InvalidSettings(
                f"{text} is no range of offsets", hint="PARTITION:FIRST-LAST, such as 0:100-200 or 2:500-"
            )
        spans[int(found[1])] = (int(found[2]) if found[2] else None, int(found[3]) if found[3] else None)
    return Range(frozenset(partitions or ()), spans or None, since, until)


def _versions(recorded: list[str] | None) -> dict[str, tuple[str, ...]] | None:
    found: dict[str, tuple[str, ...]] = {}
    for text in recorded or ():
        name, equals, start = text.partition("=")
        if not equals or not start:
            raise InvalidSettings(f"{text} is no version", hint="FIELD=BEGINNING, such as coder=coder-1")
        found[name] = (*found.get(name, ()), start)
    return found or None


async def _work(
    settings: Settings, name: str, source: str, wanted: Range, selection: Selection, speaking: Speaking,
    rate: float | None, who: str, execute: bool, check: bool,
) -> int:  # fmt: skip
    from rich.console import Console

    from stream.embedded.servers import Embedded
    from stream.replay import shell
    from stream.replay.kafka_broker import KafkaBroker
    from stream.replay.run import run_of
    from stream.replay.versions import Trusting, logged_in

    console = Console(stderr=True)
    run = run_of(settings, name)
    endpoints = Embedded(settings).endpoints()
    own = logged_in(settings, settings.replay.login, "replay.login")
    speaking.settings(own)  # a file that is not there is told before anything is read
    os.nice(own.replay.nice)  # live workers of this machine go first
    desk = shell.desk_of(own, KafkaBroker(own, endpoints.bootstrap), looking=not execute)
    plan = await shell.settled(desk, run)
    resumed = plan is not None
    if plan is None:
        console.print("counting …", highlight=False)
        plan, feed = await shell.planned(desk, run, source, wanted, selection, speaking, rate=rate, who=who)
    else:
        console.print(f"run {name} is begun: its plan holds, options that say otherwise do not", highlight=False)
        feed = await shell.feed_of(desk, plan)
        speaking = _kept(plan.speaking, speaking)
    trusting = plan.speaking.trusting is Trusting.NOW
    now = await shell.trust_now(own, endpoints.bootstrap, desk.wire) if trusting else None
    async with shell.voiced(
        desk, speaking, endpoints.triton, now, lambda told: console.print(told, highlight=False)
    ) as voice:
        if resumed:
            await shell.same_voice(desk, plan, feed, voice)
        else:
            plan = await shell.measured(desk, plan, feed, voice)
        _show(plan)
        if not execute:
            console.print("nothing was done: --execute does it", highlight=False)
            return 0
        if not resumed:
            await shell.begin(desk, run, plan, who)
        playing = shell.player(desk, run, plan, feed, voice)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, _stop, playing, console)
        if not await _watched(playing, plan, console):
            console.print("stopped; the same command goes on", highlight=False)
            return STOPPED
        found = await shell.finish(desk, run, plan, voice, who)
    return await _accounted(desk, run, plan, found, check)


def _stop(playing: Player, console: Console) -> None:
    """First signal: end in order. The second has its usual force; what is committed by then stays."""
    console.print("stopping behind the batches under way; Ctrl-C again to give up", highlight=False)
    playing.stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)


def _kept(planned: Speaking, given: Speaking) -> Speaking:
    """What was planned; only the cache, which changes no answer, may be another."""
    from dataclasses import replace

    return replace(planned, cache=given.cache)


def _show(plan: Plan) -> None:
    from stream.replay.plan import told

    for what, how in told(plan):
        typer.echo(f"{what:>22}  {how}")


async def _watched(playing: Player, plan: Plan, console: Console) -> bool:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from stream.replay import shell

    columns = (
        TextColumn("{task.fields[told]}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=max(1, plan.selected), told="")

        def show(one: Player) -> None:
            total = one.progress.total
            told = f"{total.written:,} coded · {total.dead:,} dead · {one.progress.rate:,.0f}/s"
            progress.update(bar, completed=total.written + total.dead, told=told)

        return await shell.played(playing, show)


async def _accounted(desk: Desk, run: Run, plan: Plan, found: Reconciled, check: bool) -> int:
    from stream.replay.identity import same_versions

    tally = found.tally
    typer.echo(
        f"read {tally.read:,} = passed over {tally.skipped:,} + written {tally.written:,} + dead {tally.dead:,}; "
        f"the topics hold {found.results:,} and {found.dead:,}"
    )
    for fault in found.faults:
        typer.echo(f"fault: {fault}", err=True)
    status = 1 if found.faults else 0
    if check:
        verdict = await same_versions(desk, run, plan)
        for line in verdict.told():
            typer.echo(line)
        status = status or (0 if verdict.holds else 1)
    return status


@app.command("list")
def list_() -> None:
    """Print the runs that there are, with what became of them.

    Example: `causa replay list`
    """
    raise typer.Exit(asyncio.run(_list(load())))


async def _list(settings: Settings) -> int:
    from stream.replay.manifest import Act, Manifest, last
    from stream.replay.plan import Plan
    from stream.replay.recovering import so_far
    from stream.replay.run import names, run_of

    desk = _desk(settings)
    for name in names(await desk.broker.topics()):
        run = run_of(settings, name)
        events = await Manifest(desk.broker, run).read()
        planned = last(events, Act.PLANNED)
        if planned is None:
            continue
        plan = Plan.read(planned.body["plan"])
        tally = await so_far(desk.broker, run, plan.topic, plan.bounds)
        state = events[-1].act.value if len(events) > 1 else "begun"
        typer.echo(
            f"{name:<24} {state:<11} {plan.at:%Y-%m-%d %H:%M}  {plan.source:<13} "
            f"{tally.written + tally.dead:,} of {plan.selected:,}, {tally.dead:,} dead  by {plan.who}"
        )
    return 0


def _desk(settings: Settings) -> Desk:
    from stream.embedded.servers import Embedded
    from stream.replay import shell
    from stream.replay.kafka_broker import KafkaBroker
    from stream.replay.versions import logged_in

    own = logged_in(settings, settings.replay.login, "replay.login")
    return shell.desk_of(own, KafkaBroker(own, Embedded(settings).bootstrap()))


@app.command("drop")
def drop(
    name: RunName,
    execute: Annotated[bool, typer.Option(help="Do it. Without this nothing is deleted.")] = False,
) -> None:
    """Delete a run's topics with all that they hold. What was published of it stays, and so does who agreed to it: the
    manifest of a run of which anything was published is kept.

    The manifest is read with the login of replays; topics are deleted with the login of this process, which needs the
    right to: the operator's.
    Examples: `causa replay drop winter`, `causa replay drop winter --execute`
    """
    from stream.replay.run import run_of

    settings = load()
    run = run_of(settings, name)

    async def delete() -> None:
        from stream.embedded.servers import Embedded
        from stream.replay.kafka_broker import KafkaBroker
        from stream.replay.manifest import droppable

        topics = await droppable(_desk(settings).broker, run)
        typer.echo("\n".join(topics))
        if execute:
            await KafkaBroker(settings, Embedded(settings).bootstrap()).delete(topics)
        else:
            typer.echo("nothing was done: --execute does it", err=True)

    asyncio.run(delete())


@app.command("diff")
def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A run, or `recorded` for what the topic coded holds.")],
    second: Annotated[str, typer.Argument(metavar="B", help="A run; it is compared with A.")] = "",
    *,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder; else replay-A-B in this one.")] = None,
    who: Who = "",
) -> None:
    """Compare two runs, or a run with what was recorded: page, CSV and JSON.

    `causa replay diff RUN` compares what was recorded with RUN. The comparison is written into the manifest of the run:
    a recode is proposed with it. The pages name no certificate; `changes.csv` holds ids and codes, no text.
    Examples: `causa replay diff winter`, `causa replay diff winter-1 winter-2 -o reports/winter`
    """
    before, after = (first, second) if second else ("recorded", first)
    folder = output or Path(f"replay-{before}-{after}")
    raise typer.Exit(asyncio.run(_diff(load(), before, after, folder, person(who))))


async def _diff(settings: Settings, before: str, after: str, folder: Path, who: str) -> int:
    from stream.replay import comparing

    desk = _desk(settings)
    found = await comparing.compare(desk, settings, before, after)
    digest = comparing.write(found, folder)
    await comparing.noted(desk, settings, found, digest, who)
    for line in found.told():
        typer.echo(line)
    typer.echo(f"{folder / 'report.html'}")
    return 0
