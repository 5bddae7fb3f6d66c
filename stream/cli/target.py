"""`causa target`: the policy explained, and what another one would have sent where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stream.certificate import utc_now
from stream.cli import ledgers
from stream.cli.calibrate import automatic, known_from_audit, known_from_gold, show
from stream.cli.output import opened
from stream.errors import InvalidSettings
from stream.quality.truth import audited
from stream.settings import load
from stream.targeting import edits, policy
from stream.targeting.calibrate import Sample, Step, curve, samples
from stream.targeting.policy import Policy
from stream.targeting.whatif import Comparison, compare


def command(
    *,
    what_if: Annotated[Path | None, typer.Option(help="Policy to ask about; without it the configured one.")] = None,
    thresholds: Annotated[Path | None, typer.Option(help="Its thresholds; the configured ones by default.")] = None,
    coded: Annotated[Path | None, typer.Option(help="JSONL of coded records instead of Kafka.")] = None,
    corrections: Annotated[Path | None, typer.Option(help="JSONL of decisions, beside --coded.")] = None,
    gold: Annotated[
        list[Path] | None, typer.Option(help="Gold certificates for the curve, instead of past audits.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for target.html and target.json.")
    ] = None,
) -> None:
    """Explain the targeting policy; with --what-if, what another would have sent where on past certificates.

    Past certificates are read from the topic `coded` of the configured Kafka, else of the embedded one, or from a file
    that `causa code` or `causa tail coded` wrote. The curve of error against coverage comes from the random audits among
    them, or from gold certificates. Nothing is changed.
    Examples: `causa target`, `causa target --what-if stricter.yaml -o whatif`,
    `causa target --what-if stricter.yaml --coded coded.jsonl --gold gold.jsonl`
    """
    settings = load()
    asked = policy.load(what_if or settings.policy, thresholds or settings.thresholds)
    console = Console()
    explain(asked, console)
    key = settings.audit_key.get_secret_value().encode()
    if not key:
        console.print("CAUSA_AUDIT_KEY is empty: anyone can tell which certificates the audit draws", style="yellow")
    if what_if is None and coded is None and gold is None and output is None:
        return
    ledger = ledgers.read(settings, coded, corrections)
    records = [case.machine for case in ledger if case.counts and case.machine is not None]
    if not records:
        raise InvalidSettings("there is no coded certificate", hint="causa tail coded --beginning --no-follow")
    found = compare(records, asked, edits.load(), key)
    if gold:
        known, _ = known_from_gold(settings, gold)
    else:
        told = ((case.machine, audited(case)) for case in ledger)
        known = [known_from_audit(machine, right) for machine, right in told if machine and right]
    parts = samples(automatic(known, asked), asked.rules)
    curves = {name: curve(sample, asked.rules.promise.confidence) for name, sample in parts.items() if len(sample)}
    curves["all"] = curve(sum(parts.values(), Sample()), asked.rules.promise.confidence)
    compared(found, asked, console)
    bought(curves["all"], console)
    if output is not None:
        _write(found, curves, asked, output)
        typer.echo(f"{output / 'target.html'}")


def explain(asked: Policy, console: Console) -> None:
    """The policy in force: promises, thresholds, what they were fitted to."""
    console.print(f"policy {asked.version}", highlight=False)
    if not asked.thresholds.strata:
        console.print("no thresholds: every certificate goes to a person", style="yellow")
        return
    stale = [s.name for s in asked.rules.strata if asked.stale(s)]
    if stale:
        console.print(
            f"fitted to another promise or other strata, so that nothing is automatic there: {', '.join(stale)}; "
            "causa calibrate --policy FILE -o THRESHOLDS, then causa target --thresholds THRESHOLDS",
            style="yellow",
        )
    if all(s.name in asked.thresholds.strata for s in asked.rules.strata):
        show(asked.thresholds, asked.rules, console)
    fitted = ", ".join(f"{name} {version}" for name, version in asked.thresholds.versions.items())
    console.print(f"calibrated on {asked.thresholds.source}; {fitted}", highlight=False)


def compared(found: Comparison, asked: Policy, console: Console) -> None:
    """What was sent where, and what would have been."""
    total = max(1, found.certificates)
    routes = Table("certificates", "as it was", "with this policy")
    for route in ("AUTO", "MANUAL"):
        before, after = found.before.routes[route], found.after.routes[route]
        routes.add_row(route, f"{before} ({100 * before / total:.1f} %)", f"{after} ({100 * after / total:.1f} %)")
    for reason in sorted({*found.before.reasons, *found.after.reasons}):
        routes.add_row(f"  {reason}", str(found.before.reasons[reason]), str(found.after.reasons[reason]))
    for move in (("AUTO", "MANUAL"), ("MANUAL", "AUTO")):
        routes.add_row(f"moved from {move[0]} to {move[1]}", "", str(found.moves[move]))
    capacity = asked.rules.capacity_per_day
    if capacity:
        days = len(found.after.manual)
        routes.add_row(
            f"days with more than {capacity} for people, of {days}",
            str(found.before.busy_days(capacity)), str(found.after.busy_days(capacity)),
        )  # fmt: skip
    console.print(routes)
    if found.uncalibrated:
        console.print(
            f"{found.uncalibrated} were coded by versions that its thresholds were not fitted to", style="yellow"
        )


def bought(steps: list[Step], console: Console) -> None:
    """What a threshold buys, in a dozen lines."""
    if not steps:
        console.print("no audit and no gold: the error of the automatic part is not known", style="yellow")
        return
    table = Table("threshold", "automatic", "wrong", "at most")
    for step in steps[:: max(1, len(steps) // 12)]:
        table.add_row(
            f"{step.threshold:.3f}", f"{100 * step.coverage:.0f} %",
            f"{100 * step.error:.1f} % ({step.wrong} of {step.accepted})", f"{100 * step.upper:.1f} %",
        )  # fmt: skip
    console.print(table)


def _write(found: Comparison, curves: dict[str, list[Step]], asked: Policy, folder: Path) -> None:
    from stream.targeting import report  # matplotlib takes a while

    record = _record(found, curves, asked)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSettings(f"{folder} cannot be written: {error.strerror}", hint="name another folder") from error
    pages = (("target.json", json.dumps(record, indent=1) + "\n"), ("target.html", report.page(found, curves, asked)))
    for name, text in pages:
        with opened(str(folder / name), "-") as file:
            file.write(text)


def _record(found: Comparison, curves: dict[str, list[Step]], asked: Policy) -> dict[str, Any]:
    def told(load: Any) -> dict[str, Any]:
        return {"routes": dict(load.routes), "reasons": dict(load.reasons),
                "strata": {name: {"automatic": a, "certificates": n} for name, (a, n) in load.strata.items()},
                "manual_by_day": {day.isoformat(): n for day, n in sorted(load.manual.items())}}  # fmt: skip

    return {
        "policy": asked.version, "made_at": utc_now().isoformat(timespec="seconds"), "certificates": found.certificates,
        "uncalibrated": found.uncalibrated, "before": told(found.before), "after": told(found.after),
        "moves": [{"from": a, "to": b, "n": n} for (a, b), n in sorted(found.moves.items())],
        "curves": {
            name: [{"threshold": s.threshold, "coverage": round(s.coverage, 4), "error": round(s.error, 4),
                    "upper": round(s.upper, 4), "accepted": s.accepted, "wrong": s.wrong} for s in steps]
            for name, steps in curves.items()
        },
    }  # fmt: skip
