"""`causa quality`: what the audits and the queue say of the coding, as tables, as a page, as JSON."""

from __future__ import annotations

import asyncio
import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from stream.certificate import utc_now
from stream.cli import ledgers
from stream.cli.output import opened
from stream.embedded.servers import Embedded
from stream.errors import InvalidSettings
from stream.nomenclature import shortlist
from stream.settings import Settings, load
from stream.targeting import policy

if TYPE_CHECKING:  # scipy and matplotlib take a while: only this command waits for them
    from stream.quality.figures import Figures

_COLOURS = {"KEPT": "green", "NOT YET PROVEN": "yellow", "BROKEN": "bold red"}
CATEGORIES = 15
"""Categories of the shortlist shown on the screen; the page holds all."""


def command(
    *,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Leave out records written before this day (UTC).")
    ] = None,
    coded: Annotated[Path | None, typer.Option(help="JSONL of coded records instead of Kafka.")] = None,
    corrections: Annotated[Path | None, typer.Option(help="JSONL of decisions, beside --coded.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for report.html and report.json.")] = Path(
        "quality"
    ),
    differing: Annotated[
        Path | None,
        typer.Option("--disagreements", help="TSV of audited certificates on which machine and people differ."),
    ] = None,
    watch: Annotated[bool, typer.Option(help="Follow the topics, and lower automation on an alarm.")] = False,
) -> None:
    """Tell how well certificates are coded: agreement on the audit, promises, corrected counts, delays, queue.

    It reads the topics `coded` and `corrections` of the configured Kafka, else of the embedded one, without a group: no
    offset moves. Files are read as `causa tail` prints them. No report holds an id or a word of a certificate; the file
    of --disagreements holds ids and codes.
    Examples: `causa quality`, `causa quality --since 2026-01-01 -o reports/2026`,
    `causa quality --coded coded.jsonl --corrections corrections.jsonl --disagreements differing.tsv`

    Exit status: 0; 1 a promise is broken.
    """
    settings = load()
    if watch:
        _watch(settings, [since, coded, corrections, differing])
        return
    rules = policy.read_file(settings.policy)
    _folder(output)
    ledger = ledgers.read(settings, coded, corrections, since.replace(tzinfo=UTC) if since else None)
    if coded is None:
        source, now = "Topics coded and corrections", utc_now()
        if since:
            source += f" since {since:%Y-%m-%d}"
    else:
        source = ", ".join(path.name for path in (coded, corrections) if path is not None)
        now = ledger.latest or utc_now()
    if not any(case.counts for case in ledger):
        raise InvalidSettings(
            f"{source}: there is no coded certificate", hint="causa tail coded --beginning --no-follow"
        )
    from stream.quality.figures import measure

    figures = measure(ledger, rules, now)
    _write(figures, source, output)
    if differing is not None:
        _differing(figures, differing)
    show(figures, Console())
    typer.echo(f"{output / 'report.html'}")
    if figures.broken:
        raise typer.Exit(1)


def _watch(settings: Settings, others: list[object]) -> None:
    if any(option is not None for option in others):
        raise InvalidSettings("--watch reads the topics whole: it takes no other option")
    from stream.quality import watch as watching

    asyncio.run(watching.watch(settings, Embedded(settings).bootstrap()))


def _folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSettings(f"{folder} cannot be written: {error.strerror}", hint="name another folder") from error


def _write(figures: Figures, source: str, folder: Path) -> None:
    from stream.quality import report

    record = {"source": source, **figures.record()}
    page = report.page(figures, record, source)
    for name, text in (("report.json", json.dumps(record, ensure_ascii=False, indent=1) + "\n"), ("report.html", page)):
        with opened(str(folder / name), "-") as file:
            file.write(text)


def _differing(figures: Figures, path: Path) -> None:
    from stream.quality.estimate import disagreements

    with opened(str(path), "-") as file:
        rows = csv.writer(file, delimiter="\t", lineterminator="\n")
        rows.writerow(("certificate_id", "route", "stratum", "machine", "people"))
        for one in sorted(disagreements(figures.audit.audited), key=lambda one: one.certificate_id):
            rows.writerow((one.certificate_id, one.cell.route, one.cell.stratum, one.machine or "", one.human))


def show(figures: Figures, console: Console) -> None:
    """What a person wants to know first, as tables."""
    from stream.quality.report import LEVEL_NAMES, days, headline, notes, percent, span

    first = Table("at a glance", "", "", show_header=False)
    for name, value, note in headline(figures):
        first.add_row(name, value, note)
    promised = Table("stratum", "promised error", "found", "bounds", "audits", "verdict")
    for one in figures.promises:
        found = percent(one.found.value) if one.audited else "–"
        verdict = f"[{_COLOURS[one.verdict.value]}]{one.verdict.value}[/]"
        if one.verdict.value == "NOT YET PROVEN" and one.needed:
            verdict += f", {one.needed} more right audits would do"
        promised.add_row(
            one.stratum,
            percent(one.error),
            found,
            f"{span(one.found)} %",
            f"{one.wrong} wrong of {one.audited}",
            verdict,
        )
    agreed = Table("agreement", "automatic", "95 %", "audits", "all", "95 %", "audits")
    for level, parts in figures.agreement().items():
        cells = [LEVEL_NAMES[level]]
        for part in (parts["automatic"], parts["all"]):
            cells += [percent(part.share.value if part.audited else None), f"{span(part.share)} %", str(part.audited)]
        agreed.add_row(*cells)
    pairs = Table("two coders", "share", "95 %", "kappa", "95 %", "pairs")
    for level, two in figures.coders.items():
        if two.pairs:
            beyond = two.kappa
            pairs.add_row(
                LEVEL_NAMES[level], percent(two.share.value), f"{span(two.share)} %", f"{beyond.value:.2f}" if beyond else "–",
                f"{beyond.low:.2f}–{beyond.high:.2f}" if beyond else "–", str(two.pairs),
            )  # fmt: skip
    labels = shortlist.labels()
    counts = Table("category", "", "counted", "corrected", "95 %", "machine: too many")
    for count in figures.counts[:CATEGORIES]:
        off, told = count.deviation, count.corrected
        counts.add_row(
            count.category, labels.get(count.category, "in no category"), f"{count.counted:,}", f"{told.value:,.0f}",
            f"{told.low:,.0f}–{told.high:,.0f}", f"{off.value:+.1f} %" if off else "–",
        )  # fmt: skip
    delays = Table("delay from receipt", "half", "90 %", "within 1 day", "within 7 days")
    for name, delay in figures.rates.delays.items():
        delays.add_row(
            name.replace("_", " "), days(delay.p50), days(delay.p90), percent(delay.day), percent(delay.week)
        )
    console.print(first, promised, agreed, *([pairs] if pairs.row_count else []), counts, delays)
    for note in notes(figures):
        console.print(note, markup=False)
