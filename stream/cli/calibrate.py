"""`causa calibrate`: thresholds that keep the policy's promises."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stream.certificate import utc_now
from stream.cli.output import opened
from stream.cli.serving import models, triton
from stream.coding import Versions
from stream.errors import InvalidSettings
from stream.evaluation import gold as golden
from stream.evaluation.gold import Gold
from stream.evaluation.run import run
from stream.pipeline.core import Core
from stream.settings import Settings, load
from stream.targeting import policy
from stream.targeting.calibrate import Known, thresholds
from stream.targeting.policy import Rules
from stream.targeting.subject import of_coded
from stream.targeting.thresholds import Thresholds, written


def command(
    gold: Annotated[
        list[Path] | None, typer.Argument(metavar="[GOLD.jsonl]...", help="Certificates with their gold.")
    ] = None,
    *,
    from_topic: Annotated[
        str, typer.Option(help="corrections: calibrate on the office's own blind audits instead.")
    ] = "",
    output: Annotated[Path, typer.Option("-o", "--output", help="File for the thresholds.")] = Path("thresholds.yaml"),
    rules: Annotated[
        Path | None, typer.Option("--policy", help="Policy to fit; the configured one by default.")
    ] = None,
) -> None:
    """Fit the thresholds of a policy, so that its promises hold with the confidence that it states.

    The sample must be one that nobody chose: gold certificates drawn at random, or the office's random audits (with
    --from-topic). Only audits make thresholds that are certified; with any others every result is marked UNCERTIFIED.
    The worker uses them when CAUSA_THRESHOLDS names the file. A change of coder, lexicon, rules or ranker makes them void: all
    certificates then go to people until this command is run again.
    Examples: `causa calibrate gold.jsonl -o thresholds.yaml`, `causa calibrate --from-topic corrections`
    """
    if bool(gold) == bool(from_topic):
        raise InvalidSettings("one of GOLD.jsonl and --from-topic corrections is needed", hint="not both")
    if from_topic not in ("", "corrections"):
        raise InvalidSettings(f"--from-topic {from_topic}", hint="corrections")
    settings = load()
    asked = policy.read_file(rules or settings.policy)
    if gold:
        known, versions = _from_gold(settings, gold)
        source = ", ".join(path.name for path in gold) + f": {len(known)} certificates"
        found = thresholds(known, asked, versions, source=source, certified=False, now=utc_now())
    else:
        raise NotImplementedError
    with opened(str(output), "") as file:
        file.write(written(found))
    show(found, asked, Console())
    typer.echo(f"{output}")


def _from_gold(settings: Settings, files: list[Path]) -> tuple[list[Known], Versions]:
    rows = [row for path in files for row in golden.read(path, settings.limits)]
    core = Core(None, settings.model_copy(update={"thresholds": None}))
    with triton(settings) as url:
        pairs = asyncio.run(_coded(rows, core, url, settings))
    if not pairs:
        raise InvalidSettings("no certificate of these files could be coded")
    return [known for known, _ in pairs], pairs[0][1]


async def _coded(rows: list[Gold], core: Core, url: str, settings: Settings) -> list[tuple[Known, Versions]]:
    asked = models(url, settings)
    try:
        return [
            (Known(of_coded(coded), gold.underlying), coded.versions)
            async for gold, coded in run(rows, core, asked)
            if coded is not None
        ]
    finally:
        await asked.close()


def show(found: Thresholds, rules: Rules, console: Console) -> None:
    """The thresholds and what speaks for them."""
    table = Table("stratum", "promise", "sample", "threshold", "automatic", "wrong", "at most", "after an alarm")
    for stratum in rules.strata:
        one = found.strata[stratum.name]
        normal = one.normal
        coverage = f"{100 * normal.accepted / one.n:.0f} %" if one.n else "–"
        table.add_row(
            stratum.name + (f" (with {', '.join(n for n in one.pooled if n != stratum.name)})" if one.pooled else ""),
            f"≤ {100 * stratum.error:g} % wrong, {100 * one.confidence:g} % sure", str(one.n),
            "none: all to people" if normal.threshold is None else f"{normal.threshold:.3f}",
            coverage, f"{normal.wrong} of {normal.accepted}", f"{100 * normal.upper:.1f} %",
            "none" if one.strict.threshold is None else f"{one.strict.threshold:.3f}",
        )  # fmt: skip
    console.print(table)
    console.print(
        "certified: fitted on the office's own audits"
        if found.certified
        else "UNCERTIFIED: the promise holds for certificates like those of the sample, and every result says so"
    )
