"""`causa evaluate`: how well certificates with gold codes are coded."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stream.certificate import utc_now
from stream.cli.output import opened
from stream.cli.serving import models, triton
from stream.coder.model import SilentModel
from stream.errors import InvalidSettings
from stream.evaluation import gold as golden
from stream.evaluation.gold import Gold
from stream.evaluation.run import measure
from stream.evaluation.score import Score, Share, Tally
from stream.pipeline.core import Core
from stream.pipeline.models import Models
from stream.settings import Settings, load
from stream.underlying.ranking import SilentRanker


def command(
    source: Annotated[Path, typer.Argument(metavar="GOLD.jsonl", help="Certificates with their gold.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for report.html and report.json.")] = Path(
        "evaluation"
    ),
    only: Annotated[str, typer.Option(help="rules or model: one of the two coders alone.")] = "",
    texts: Annotated[bool, typer.Option(help="Show lines that went wrong, with their text, in the report.")] = True,
) -> None:
    """Measure the coder against gold: entities, lines, certificates, underlying cause, calibration, confusions.

    Gold is the certificate with "gold": {"part1": [["J18.9"], ["C34.9", "C78.7"]], "part2": [["I10"]], "underlying":
    "C34.9"}, one list of codes a line, in text order. It uses the configured Triton, else the embedded one, which is
    started if need be. The report holds lines of certificates unless --no-texts: treat it as you treat them.
    Examples: `causa evaluate gold.jsonl`, `causa evaluate gold.jsonl -o reports/rules --only rules`

    Exit status: 0; 1 some certificates could not be read and count as missed.
    """
    if only not in ("", "rules", "model"):
        raise InvalidSettings(f"--only {only}", hint="rules or model")
    settings = load()
    gold = list(golden.read(source, settings.limits))
    if not gold:
        raise InvalidSettings(f"{source.name} holds no certificate")
    _writable(output)  # told before anything is measured
    found, versions = _measured(settings, gold, only)
    record = {"source": source.name, "certificates": len(gold), "measured_at": utc_now().isoformat(timespec="seconds"),
              "coders": only or "both", "versions": versions} | found.record()  # fmt: skip
    from stream.evaluation import report  # matplotlib takes a while: only who wants a report waits for it

    page = report.page(record, found, texts=texts)
    for name, text in (("report.json", json.dumps(record, ensure_ascii=False, indent=1) + "\n"), ("report.html", page)):
        with opened(str(output / name), str(source)) as file:
            file.write(text)
    show(found, Console())
    typer.echo(f"{output / 'report.html'}")
    if found.unreadable:
        typer.echo(f"{found.unreadable} certificates could not be read: all their codes count as missed", err=True)
        raise typer.Exit(1)


def _writable(folder: Path) -> None:
    for name in ("report.json", "report.html"):
        if (folder / name).is_dir():
            raise InvalidSettings(f"{folder / name} is a folder", hint="name another folder for the report")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InvalidSettings(f"{folder} cannot be written: {error.strerror}", hint="name another folder") from error


def _measured(settings: Settings, gold: list[Gold], only: str) -> tuple[Score, dict[str, str]]:
    core = Core(None, settings)
    if only == "rules":
        core.silence_model()
        return asyncio.run(_score(gold, core, lambda: Models(SilentModel(), SilentRanker())))
    if only == "model":
        core.silence_rules()
    with triton(settings) as url:
        return asyncio.run(_score(gold, core, lambda: models(url, settings)))


async def _score(gold: list[Gold], core: Core, make: Callable[[], Models]) -> tuple[Score, dict[str, str]]:
    asked = make()  # on the loop that it will be asked from
    try:
        found, versions = await measure(gold, core, asked)
    finally:
        await asked.close()
    return found, asdict(versions) if versions else {}


def show(found: Score, console: Console) -> None:
    """What a person wants to know first, as tables."""
    entities = Table("entities", "precision", "recall", "F1", "n")
    rows: list[tuple[str, Tally]] = [("exact", found.exact), ("three characters", found.three)]
    rows += [(f"chapter {name}", tally) for name, tally in found.by_chapter()]
    for name, tally in rows:
        cells = (f"{value:.4f}" for value in (tally.precision, tally.recall, tally.f1))
        entities.add_row(name, *cells, str(tally.expected))
    shares = Table("share right", "rate", "95 %", "n")
    named: list[tuple[str, Share]] = [
        ("lines, exact", found.lines), ("certificates, exact", found.certificates), ("underlying cause", found.underlying),
        ("  three characters", found.underlying_three), ("  European shortlist", found.underlying_shortlist),
        ("  of automatic certificates", found.automatic),
        *((f"codes by {name}", share) for name, share in sorted(found.methods.items())),
    ]  # fmt: skip
    for name, share in named:
        low, high = share.interval()
        shares.add_row(name, f"{share.rate:.4f}", f"{low:.3f}–{high:.3f}", str(share.total))
    console.print(entities, shares)
    console.print(
        f"expected calibration error: entities {found.entity_chances.error:.4f}, "
        f"underlying cause {found.underlying_chances.error:.4f}"
    )
