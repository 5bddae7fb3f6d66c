"""`causa calibrate`: thresholds that keep the policy's promises."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Column, Table

from stream.certificate import utc_now
from stream.cli import ledgers
from stream.cli.output import opened
from stream.cli.serving import models, triton
from stream.coding import CodedCertificate, Versions
from stream.errors import InvalidSettings
from stream.evaluation import gold as golden
from stream.evaluation.gold import Gold
from stream.evaluation.run import run
from stream.pipeline.core import Core
from stream.quality.ledger import Ledger
from stream.quality.truth import Reference, audited
from stream.settings import Settings, load
from stream.targeting import edits, policy, risk
from stream.targeting.calibrate import Known, thresholds
from stream.targeting.policy import Policy, Rules
from stream.targeting.subject import of_coded
from stream.targeting.target import never_automatic
from stream.targeting.thresholds import VERSIONED, Thresholds, written


def command(
    gold: Annotated[
        list[Path] | None, typer.Argument(metavar="[GOLD.jsonl]...", help="Certificates with their gold.")
    ] = None,
    *,
    from_topic: Annotated[
        str, typer.Option(help="corrections: calibrate on the office's own blind audits instead.")
    ] = "",
    coded: Annotated[Path | None, typer.Option(help="JSONL of coded records instead of the topics: a trial.")] = None,
    corrections: Annotated[Path | None, typer.Option(help="JSONL of decisions, beside --coded.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="File for the thresholds.")] = Path("thresholds.yaml"),
    rules: Annotated[
        Path | None, typer.Option("--policy", help="Policy to fit; the configured one by default.")
    ] = None,
) -> None:
    """Fit the thresholds of a policy, so that its promises hold with the confidence that it states.

    The sample must be one that nobody chose: gold certificates drawn at random, or the office's random audits (with
    --from-topic). Only the topics' audits make thresholds that are certified; with any others, files among them, every result is marked UNCERTIFIED.
    The worker uses them when CAUSA_THRESHOLDS names the file. A change of coder, lexicon, rules or ranker makes them void: all
    certificates then go to people until this command is run again.
    Examples: `causa calibrate gold.jsonl -o thresholds.yaml`, `causa calibrate --from-topic corrections`
    """
    if (bool(gold), bool(from_topic), coded is not None).count(True) != 1:
        raise InvalidSettings(
            "one of GOLD.jsonl, --from-topic corrections and --coded is needed", hint="no two of them"
        )
    if from_topic not in ("", "corrections"):
        raise InvalidSettings(f"--from-topic {from_topic}", hint="corrections")
    settings = load()
    asked = policy.load(rules or settings.policy, None)
    if gold:
        whole, versions = known_from_gold(settings, gold)
        known = automatic(whole, asked)
        source = ", ".join(path.name for path in gold) + f": {len(known)} certificates"
    else:
        whole, versions = _from_audits(ledgers.read(settings, coded, corrections))
        known = automatic(whole, asked)
        source = f"{len(known)} blind audits"
    if len(known) < len(whole):
        typer.echo(f"{len(whole) - len(known)} that a person sees whatever the confidence are left out", err=True)
    found = thresholds(known, asked.rules, versions, source=source, certified=bool(from_topic), now=utc_now())
    with opened(str(output), "") as file:
        file.write(written(found))
    standard = str(output) == "-"
    show(found, asked.rules, Console(stderr=standard))
    if not standard:
        typer.echo(f"{output}")


def automatic(known: list[Known], asked: Policy) -> list[Known]:
    """Those that a threshold may make automatic: of these alone the policy promises anything."""
    severities = edits.load()
    return [one for one in known if not never_automatic(one.subject, asked, severities)]


def known_from_gold(settings: Settings, files: list[Path]) -> tuple[list[Known], Versions]:
    """Gold certificates as the machine codes them now, and the versions that did.

    Raises:
        InvalidSettings: none could be coded.
    """
    rows = [row for path in files for row in golden.read(path, settings.limits)]
    core = Core(None, settings.model_copy(update={"thresholds": None}))
    with triton(settings) as url:
        pairs = asyncio.run(_coded(rows, core, url, settings))
    if not pairs:
        raise InvalidSettings("no certificate of these files could be coded")
    return [known for known, _ in pairs], pairs[0][1]


def _from_audits(ledger: Ledger) -> tuple[list[Known], Versions]:
    """The random audits that people coded blind, of the newest versions that coded any of them."""
    found = [(case.machine, right) for case in ledger if (right := audited(case)) and case.machine is not None]
    if not found:
        raise InvalidSettings("the topics hold no blind audit that a person has coded", hint="causa quality")
    newest = max(found, key=lambda pair: pair[0].coded_at)[0].versions

    def same(versions: Versions) -> bool:
        return all(getattr(versions, name) == getattr(newest, name) for name in VERSIONED)

    kept = [known_from_audit(machine, right) for machine, right in found if same(machine.versions)]
    if len(kept) < len(found):
        typer.echo(f"{len(found) - len(kept)} audits of other versions are left out", err=True)
    return kept, newest


def known_from_audit(machine: CodedCertificate, right: Reference) -> Known:
    """An audited certificate, with the chance that the audit had of drawing it."""
    return Known(of_coded(machine), right.code, machine.targeting.inclusion_probability or 1.0)


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
    """The thresholds and what speaks for them; strata that were fitted together share a row."""
    columns = ("strata", "promise", "sample", "threshold", "auto", "wrong", "bound", "strict")
    # Whole within 80 characters: the figures must not be cut off.
    table = Table(
        *(Column(name, no_wrap=True) for name in columns), box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for names in dict.fromkeys(found.strata[s.name].pooled or (s.name,) for s in rules.strata):
        one = found.strata[names[-1]]
        normal, strict = one.normal, one.strict
        table.add_row(
            "\n".join(names), f"≤ {100 * min(found.strata[name].error for name in names):g} %", str(one.n),
            "none" if normal.threshold is None else f"{normal.threshold:.3f}",
            f"{100 * normal.accepted / one.n:.0f} %" if one.n else "–", f"{normal.wrong} of {normal.accepted}",
            f"{100 * normal.upper:.1f} %" if normal.accepted else "–",
            "none" if strict.threshold is None else f"{strict.threshold:.3f}, {100 * strict.accepted / one.n:.0f} %",
        )  # fmt: skip
    console.print(table)
    none = [s.error for s in rules.strata if found.strata[s.name].normal.threshold is None]
    if none:
        least = risk.least(min(none), 1 - rules.promise.confidence)
        console.print(f"without a single wrong one it takes {least} certificates to prove {100 * min(none):g} %")
    console.print(
        f"wrong in at most so many, with {100 * rules.promise.confidence:g} % confidence; none: all of it goes to people; "
        "strict: after an alarm"
    )
    console.print(
        "certified: fitted on the office's own audits"
        if found.certified
        else "UNCERTIFIED: it holds for certificates like those of the sample, and every result says so"
    )
