"""`causa counts`: what the stream counted, asked and kept."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from stream.errors import InvalidSettings
from stream.settings import Settings, load

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from stream.reader import Reader
    from stream.surveillance.counts import Rebuilt

_SHOW = "show"


class _ByName(TyperGroup):
    """`causa counts influenza` stands for `causa counts show influenza`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h")):
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ByName,
    help="Deaths by cause, day or week, place, age, sex and source: asked, imported, counted anew.\n\n"
    "Examples: `causa counts influenza`, `causa counts sepsis --place R-84 --step day --format csv`,"
    " `causa counts rebuild --check`",
)


class _Step(StrEnum):
    DAY = "day"
    WEEK = "week"


class _Format(StrEnum):
    TABLE = "table"
    CSV = "csv"
    JSON = "json"


_DATE = {"formats": ["%Y-%m-%d"], "metavar": "DAY"}


@app.command(_SHOW)
def show(
    group: Annotated[str, typer.Argument(help="A syndromic group (`causa groups` lists them).")] = "",
    *,
    underlying: Annotated[
        bool, typer.Option("--underlying", help="By underlying cause alone, not by mention.")
    ] = False,
    place: Annotated[str, typer.Option(help="FR, a region as R-84, a department of death as 33.")] = "FR",
    age: Annotated[str, typer.Option(help="An age group: 0-14, 15-44, 45-64, 65-74, 75-84, 85+, unknown.")] = "",
    sex: Annotated[str, typer.Option(help="M, F or U.")] = "",
    source: Annotated[str, typer.Option(help="ELECTRONIC or PAPER.")] = "",
    final: Annotated[bool, typer.Option("--final", help="Official results alone.")] = False,
    as_of: Annotated[
        datetime | None, typer.Option(help="What was known at the end of that day (UTC).", **_DATE)
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option("--from", help="First day of death; the first that is known at the earliest.", **_DATE),
    ] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="Last day of death.", **_DATE)] = None,
    step: Annotated[_Step, typer.Option(help="Days, or weeks from Monday.")] = _Step.WEEK,
    last: Annotated[int, typer.Option("-n", min=1, help="The newest of them, where --from is not given.")] = 26,
    longest: Annotated[int, typer.Option(min=1, max=365, help="Longest delay that is foreseen, days.")] = 60,
    shown: Annotated[_Format, typer.Option("--format")] = _Format.TABLE,
    output: Annotated[str, typer.Option("-o", help="File for the answer; - is standard output.")] = "-",
) -> None:
    """Show the deaths of a group: counted, estimated in all, and the share of certificates that is here.

    `estimate` adds what is still to come by the delays of the newest 180 days (95 % interval low to high). `completeness`
    compares all certificates of the place with civil registration or, without a file of it, with earlier deaths (`basis`).

    Example: `causa counts show influenza --place R-84`
    """
    from stream.certificate import Sex, Source
    from stream.cli.output import opened
    from stream.surveillance.counts import By, Counts, Known, Query, table
    from stream.surveillance.detection.series import Step
    from stream.surveillance.groups import load as load_groups

    engine = _engine(load())
    counts = Counts(engine, load_groups())
    try:
        query = Query(
            group or table.everybody(counts.groups), By.UNDERLYING if underlying else By.ANY, place, age or None,
            Sex(sex) if sex else None, Source(source) if source else None, Known.FINAL if final else Known.ALL,
            _day(as_of), *_span(start, end),
        )  # fmt: skip
    except ValueError as error:
        raise InvalidSettings(str(error), hint="--sex M, F or U; --source ELECTRONIC or PAPER") from None
    asked = Step.DAY if step is _Step.DAY else Step.WEEK
    query, less = table.begun(counts, query)
    if less:
        typer.echo(less, err=True)
    lines = table.lines(counts, query, asked, last, longest)
    with opened(output, "-") as out:
        out.write({_Format.TABLE: table.plain, _Format.CSV: table.csv, _Format.JSON: table.json}[shown](query, lines))


@app.command("completeness")
def completeness(
    *,
    start: Annotated[
        datetime | None, typer.Option("--from", help="First day of death; else four weeks back.", **_DATE)
    ] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="Last day of death; else the newest.", **_DATE)] = None,
    by: Annotated[
        str, typer.Option(help="department, region, source, or two of them with a comma.")
    ] = "department,source",
    place: Annotated[str, typer.Option(help="FR, a region, a department.")] = "FR",
    step: Annotated[_Step, typer.Option()] = _Step.WEEK,
    as_of: Annotated[datetime | None, typer.Option(help="What was known at the end of that day.", **_DATE)] = None,
) -> None:
    """Show how many certificates are here, and how many are expected, as CSV.

    Example: `causa counts completeness --by region`
    """
    from stream.cli.output import utf8_stdout
    from stream.surveillance.counts import Counts, table
    from stream.surveillance.detection.series import Step
    from stream.surveillance.groups import load as load_groups

    counts = Counts(_engine(load()), load_groups())
    asked = Step.DAY if step is _Step.DAY else Step.WEEK
    apart = tuple(name.strip() for name in by.split(",") if name.strip())
    utf8_stdout().write(table.arrived(counts, *_span(start, end), asked, apart, place, _day(as_of)))


@app.command("import")
def older(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV: death_day, group, count, and as it may be known_day, department, age_group, sex, source, by."
        ),
    ],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="In the place of all that was imported before.")] = False,
) -> None:
    """Take counts of older years from a file.

    Up to its last day they hold alone; the stream counts from the day after, so that nothing is counted twice.

    Example: `causa counts import 2018-2025.csv`
    """
    from stream.surveillance.counts import import_counts
    from stream.surveillance.groups import load as load_groups

    done = import_counts(_engine(load()), load_groups(), file, replace=replace)
    typer.echo(f"{done.rows} rows of {done.groups} groups, deaths from {done.first} to {done.last}")


@app.command("expected")
def expected(file: Annotated[Path, typer.Argument(help="CSV: day, department, deaths.")]) -> None:
    """Take the deaths that civil registration counted: what the certificates are to add up to.

    Example: `causa counts expected registered.csv`
    """
    from stream.surveillance.counts import import_expected

    typer.echo(f"{import_expected(_engine(load()), file)} days of departments")


@app.command("rebuild")
def rebuild(
    *,
    check: Annotated[bool, typer.Option("--check", help="Compare only, table by table; nothing changes.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Even where the topic holds fewer certificates.")] = False,
) -> None:
    """Count anew from the first record of the topic to where the counts stand now.

    Older counts and civil registration stay. With --check the exit status is 1 where a table differs.

    Example: `causa counts rebuild --check`
    """
    from stream.surveillance.counts import rebuild as anew
    from stream.surveillance.groups import load as load_groups

    settings = load()
    done: Rebuilt = asyncio.run(
        anew(_engine(settings), load_groups(), lambda: _reader(settings), check=check, force=force)
    )
    for name, (rows, digest) in done.tables.items():
        verdict = ("differs" if name in done.different else "identical") if check else "made anew"
        typer.echo(f"{name}\t{rows} rows\t{digest}\t{verdict}")
    typer.echo(f"{done.records} records read")
    if done.different:
        raise typer.Exit(1)


@app.command("follow")
def follow(
    *,
    once: Annotated[bool, typer.Option("--once", help="Stop at the end of the topic as it is now.")] = False,
) -> None:
    """Count what is coded, without detecting anything (`causa alerts` does both).

    Each batch of records and its offsets are one transaction. Ctrl-C stops it.

    Example: `causa counts follow --once`
    """
    from stream.surveillance.counts import Counts
    from stream.surveillance.groups import load as load_groups

    settings = load()
    engine = _engine(settings)
    counts = Counts(engine, load_groups())

    def fold(connection: Any, reads: Any) -> None:
        counts.fold(connection, reads)

    from stream.intake import Intake

    with suppress(KeyboardInterrupt):
        intake = Intake(engine, "counts", ("coded",), fold)
        asyncio.run(intake.run(lambda: _reader(settings), follow=not once))
    typer.echo(f"{intake.folded} records counted")


def _engine(settings: Settings) -> Engine:
    from stream.database import open_database

    return open_database(settings.surveillance.database, settings.root / "surveillance.sqlite")


def _reader(settings: Settings) -> Reader:
    from stream.embedded.servers import Embedded
    from stream.reader import KafkaReader

    return KafkaReader(settings, Embedded(settings).bootstrap())


def _span(start: datetime | None, end: datetime | None) -> tuple[date | None, date | None]:
    first, last = _day(start), _day(end)
    if first is not None and last is not None and first > last:
        raise InvalidSettings(f"--from {first} lies behind --to {last}")
    return first, last


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
