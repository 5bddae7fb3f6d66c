"""What the long form has shown, for people and for machines."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaos.suite import Outcome

NOTE = 600
"""Characters of a note that the page shows."""


@dataclass(frozen=True)
class Row:
    """A suite in the report; `note` says why where it is not sound, `ends` are last words of workers that fell by themselves."""

    name: str
    about: str
    sound: bool
    records: int
    answers: int
    faults: dict[str, int]
    struck: dict[str, int]
    seconds: float
    note: str = ""
    ends: Sequence[str] = ()


def row(outcome: Outcome) -> Row:
    """An outcome as it is told."""
    verdict, sound = outcome.verdict, outcome.sound
    struck, note = dict(outcome.figures), "" if sound else str(verdict)
    return Row(
        outcome.suite.name, outcome.suite.about, sound, verdict.records, verdict.answers, verdict.faults, struck,
        round(outcome.seconds, 1), note, tuple(outcome.faults),
    )  # fmt: skip


def write(rows: Sequence[Row], folder: Path) -> None:
    """`report.md` and `report.json`, anew after each suite."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    body: dict[str, Any] = {"machine": machine, "suites": [asdict(one) for one in rows]}
    (folder / "report.json").write_text(json.dumps(body, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / "report.md").write_text(markdown(rows), encoding="utf-8")


def markdown(rows: Sequence[Row]) -> str:
    """The table."""
    kills = sum(one.struck.get("kills", 0) for one in rows)
    lines = [
        "# What the faults have shown",
        "",
        f"{len(rows)} suites, {sum(one.records for one in rows)} records, {kills} workers killed. `make chaos` makes "
        "this page; docs/chaos.md says how the check works.",
        "",
        "| suite | records | lost | duplicated | wrong | out of order | what was done | seconds | as promised |",
        "|---|--:|--:|--:|--:|--:|---|--:|---|",
    ]
    for one in rows:
        struck = ", ".join(f"{number} {name}" for name, number in one.struck.items() if number)
        f = one.faults
        lines.append(
            f"| {one.name}: {one.about} | {one.records} | {f.get('lost', '?')} | {f.get('duplicated', '?')} "
            f"| {f.get('wrong', '?')} | {f.get('disordered', '?')} | {struck} | {one.seconds:.0f} "
            f"| {'yes' if one.sound else 'no'} |"
        )
    notes = [f"- {one.name}: {one.note[:NOTE]}" for one in rows if one.note]
    return "\n".join([*lines, "", *notes, ""])
