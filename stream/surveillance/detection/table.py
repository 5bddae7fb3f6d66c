"""Series from CSV files: a header, then one line for each day or week.

Columns `day` (first day of the step, ISO 8601; `date` or `monday` will do) and `count` (or `observed`; empty for a
gap); optional `population`, `completeness` and `doubt`. Other columns are not read.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from stream.errors import InvalidData
from stream.surveillance.detection.series import Series, Step

_DAY, _COUNT = ("day", "date", "monday"), ("count", "observed")
_BESIDE = {"population": 1.0, "completeness": 1.0, "doubt": 0.0}
"""Further columns, and what a line that is not there counts as."""


def read(path: Path, step: Step | None = None) -> Series:
    """Read a file.

    Args:
        path: the file.
        step: days or weeks; when None, weeks if all days are whole weeks apart.

    Raises:
        InvalidData: names file and line.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        names = lines.fieldnames or []
        day_name = next((name for name in _DAY if name in names), None)
        count_name = next((name for name in _COUNT if name in names), None)
        if day_name is None or count_name is None:
            raise InvalidData(f"{path}:1: needs a column `day` and a column `count`")
        counts: dict[date, float | None] = {}
        beside: dict[str, dict[date, float]] = {name: {} for name in _BESIDE if name in names}
        for line in lines:
            where = f"{path}:{lines.line_num}"
            try:
                day = date.fromisoformat((line[day_name] or "").strip())
            except ValueError:
                raise InvalidData(f"{where}: {day_name} is no day such as 2026-01-05") from None
            if day in counts:
                raise InvalidData(f"{where}: {day} comes twice")
            counts[day] = _number(line, count_name, where)
            for name, values in beside.items():
                value = _number(line, name, where)
                if value is not None:
                    values[day] = value
    return _series(path, counts, beside, step)


def _series(
    path: Path, counts: Mapping[date, float | None], beside: Mapping[str, Mapping[date, float]], step: Step | None
) -> Series:
    if not counts:
        raise InvalidData(f"{path}:1: no line follows the header")
    start = min(counts)
    if step is None:
        step = Step.DAY if any((day - start).days % 7 for day in counts) or len(counts) == 1 else Step.WEEK
    between = next((day for day in counts if (day - start).days % step), None)
    if between is not None:
        raise InvalidData(f"{path}: {between} is not a whole number of weeks after {start}")
    days = [date.fromordinal(start.toordinal() + k) for k in range(0, (max(counts) - start).days + 1, step)]
    extra: dict[str, tuple[float, ...]] = {}
    for name, values in beside.items():
        if name == "population" and any(day not in values for day in days):
            raise InvalidData(f"{path}: population is to be given for every {step.name.lower()}")
        extra[name] = tuple(values.get(day, _BESIDE[name]) for day in days)
    try:
        return Series(
            start, tuple(counts.get(day) for day in days), step, extra.get("population"), extra.get("completeness"),
            extra.get("doubt"),
        )  # fmt: skip
    except InvalidData as error:
        raise InvalidData(f"{path}: {error}") from None


def _number(line: Mapping[str, str | None], name: str, where: str) -> float | None:
    text = (line.get(name) or "").strip()
    if text in ("", "NA"):
        return None
    try:
        value = float(text)
    except ValueError:
        raise InvalidData(f"{where}: {name} is no number") from None
    if not 0 <= value < math.inf:
        raise InvalidData(f"{where}: {name} is negative or not finite")
    return value
