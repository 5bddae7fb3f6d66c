"""Inputs and figures of R's package surveillance and of EuroMOMO, from the shared folder; tests skip without it."""

from __future__ import annotations

import csv
import gzip
import math
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from shared import shared

from stream.surveillance.detection.series import Series
from stream.surveillance.detection.verdict import Verdict


def rows(name: str) -> list[dict[str, str]]:
    path: Path = shared(f"surveillance/{name}")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return list(csv.DictReader(file))


def series(name: str) -> Series:
    """Weekly counts; the Danish deaths summed over all ages."""
    found = {}
    for row in rows(name):
        parts = [value for column, value in row.items() if column == "observed" or column.startswith("d_")]
        found[date.fromisoformat(row["monday"])] = float(sum(int(value) for value in parts))
    return Series.of(found)


def number(text: str) -> float:
    return math.nan if text in ("", "NA", "NaN") else float(text)


def largest(differences: Iterable[float]) -> float:
    """Largest of those that are numbers."""
    return max((abs(value) for value in differences if not math.isnan(value)), default=math.nan)


def difference(expected: list[dict[str, str]], column: str, found: Iterable[float | None]) -> float:
    """Largest difference in a column, over the rows where R tells a figure."""
    pairs = zip(expected, found, strict=True)
    return largest(number(row[column]) - (math.nan if value is None else value) for row, value in pairs)


def points(counts: Series, expected: list[dict[str, str]]) -> list[int]:
    return [counts.index(date.fromisoformat(row["monday"])) for row in expected]


def alarms(verdicts: Iterable[Verdict]) -> list[int]:
    return [int(verdict.alarm) for verdict in verdicts]


def say(*words: str) -> None:
    """Write figures out, for those who run pytest -s."""
    sys.stdout.write(" ".join(words) + "\n")
