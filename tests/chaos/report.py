"""What the long form has shown, for people and for machines."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaos.suite import Outcome
from stream.settings import REPOSITORY

NOTE = 600
"""Characters of a note that the page shows."""
PAGE = REPOSITORY / "docs" / "chaos.md"
_PLACE = re.compile(r"(<!-- chaos -->\n).*?(\n<!-- /chaos -->)", re.DOTALL)


@dataclass(frozen=True)
class Row:
    """A suite in the report; `note` says why where it is not sound, `ends` are last words of workers that fell by themselves.

    Attributes:
        once: whether duplicates are a fault.
        at: day of the run.
    """

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
    once: bool = True
    at: str = ""


def row(outcome: Outcome) -> Row:
    """An outcome as it is told."""
    verdict, sound = outcome.verdict, outcome.sound
    note = "" if sound else f"{', '.join(outcome.shortcomings)}. {'' if verdict.sound else verdict}".strip()
    return Row(
        outcome.suite.name, outcome.suite.about, sound, verdict.records, verdict.answers, verdict.faults,
        dict(outcome.figures), round(outcome.seconds, 1), note, tuple(outcome.faults), outcome.suite.once, today(),
    )  # fmt: skip


def today() -> str:
    """The day, in UTC."""
    return datetime.now(UTC).date().isoformat()


def write(rows: Sequence[Row], folder: Path) -> None:
    """`report.md` and `report.json`: these rows, and those of the suites that ran before and did not run now."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {one.name: one for one in read(folder)} | {one.name: one for one in rows}
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    body: dict[str, Any] = {"machine": machine, "suites": [asdict(one) for one in kept.values()]}
    (folder / "report.json").write_text(json.dumps(body, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / "report.md").write_text(f"# What the faults have shown\n\n{markdown(kept.values())}\n", encoding="utf-8")


def read(folder: Path) -> list[Row]:
    """The rows of a report; none where there is none."""
    file = folder / "report.json"
    return [Row(**one) for one in json.loads(file.read_text(encoding="utf-8"))["suites"]] if file.exists() else []


def markdown(found: Iterable[Row]) -> str:
    """What was survived and checked, and the table."""
    rows = list(found)
    kills = sum(one.struck.get("kills", 0) for one in rows)
    lost, doubled = (sum(one.faults.get(fault, 0) for one in rows if one.once) for fault in ("lost", "duplicated"))
    days = sorted({one.at for one in rows if one.at})
    lines = [
        f"{' to '.join(days[:1] + days[1:][-1:])}{': ' if days else ''}{len(rows)} suites, "
        f"{sum(one.records for one in rows):,} records checked, {kills} workers killed, "
        f"{sum(len(one.ends) for one in rows)} ended by themselves; lost {lost}, duplicated {doubled}"
        f"{'' if all(one.once for one in rows) else ' (where doubles are none of the promise: see its row)'}; "
        f"{sum(one.sound for one in rows)} of {len(rows)} suites as promised.",
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
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def publish(folder: Path) -> int:
    """Put the report of a folder into docs/chaos.md, between the marks that stand there. The exit status."""
    rows = read(folder)
    if rows:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), markdown(rows)), encoding="utf-8")
    return 0 if rows else 1


def filled(page: str, text: str) -> str:
    """The page with a text in its place; it has exactly one."""
    made, places = _PLACE.subn(lambda found: f"{found[1]}{text}{found[2]}", page)
    assert places == 1, f"{places} places in {PAGE.name}"
    return made
