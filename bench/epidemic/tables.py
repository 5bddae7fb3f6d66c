"""What the simulated country is made of: departments, causes of death and the words for them, from the TSV files beside.

The figures are invented to be plausible in their orders of size (docs/surveillance.md); no country is reproduced.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from stream.certificate import Manner
from stream.errors import InvalidData
from stream.surveillance.detection.series import Floats

FOLDER = Path(__file__).parent
AGES = ("0-14", "15-44", "45-64", "65-74", "75-84", "85+")
"""EuroMOMO's age groups."""
_AGE_COLUMNS = ("a0", "a15", "a45", "a65", "a75", "a85")
ALL_CAUSES = "all_causes"


@dataclass(frozen=True, slots=True)
class Department:
    """A department.

    Attributes:
        code: Insee's.
        deaths: a year.
        first, last: electronic share of certificates in the first and in the last year.
    """

    code: str
    deaths: float
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause of death; fields as in `causes.tsv`, ages as shares."""

    name: str
    share: float
    season: float
    trend: float
    weekend: float
    influenza: float
    heat: float
    men: float
    ages: tuple[float, ...]
    electronic: float
    spread: float
    manner: Manner


@dataclass(frozen=True, slots=True)
class Wording:
    """A certificate's wording.

    Attributes:
        cause: that it tells.
        weight: among those of the cause.
        part1: lines with their intervals, "" where there is none.
        part2: line of Part II, "" where there is none.
        groups: of the study that it belongs to, `all_causes` left aside.
    """

    cause: str
    weight: float
    part1: tuple[tuple[str, str], ...]
    part2: str
    groups: frozenset[str]


def departments() -> tuple[Department, ...]:
    """All departments."""
    return tuple(
        Department(
            row["department"], float(row["deaths"]), float(row["share_2018"]) / 100, float(row["share_2025"]) / 100
        )
        for _, row in _rows("departments.tsv")
    )


@cache
def causes() -> Mapping[str, Cause]:
    """Causes by name; their shares sum to 1.

    Raises:
        InvalidData: a file and line that cannot be read.
    """
    found: dict[str, Cause] = {}
    for line, row in _rows("causes.tsv"):
        try:
            weights = [float(row[name]) for name in _AGE_COLUMNS]
            numbers = {name: float(row[name]) for name in _NUMBERS}
            found[row["cause"]] = Cause(
                row["cause"], ages=tuple(weight / sum(weights) for weight in weights), manner=Manner(row["manner"]), **numbers
            )  # fmt: skip
        except (KeyError, ValueError, ZeroDivisionError) as error:
            raise InvalidData(f"causes.tsv:{line}: {error}") from None
    whole = sum(cause.share for cause in found.values())
    return {
        name: Cause(name, cause.share / whole, *(getattr(cause, field) for field in Cause.__slots__[2:]))
        for name, cause in found.items()
    }


_NUMBERS = ("share", "season", "trend", "weekend", "influenza", "heat", "men", "electronic", "spread")


@cache
def wordings() -> Mapping[str, tuple[Wording, ...]]:
    """Wordings by cause; every cause has one.

    Raises:
        InvalidData: a file and line that cannot be read, a cause without words.
    """
    found: dict[str, list[Wording]] = {name: [] for name in causes()}
    for line, row in _rows("phrases.tsv"):
        if row["cause"] not in found:
            raise InvalidData(f"phrases.tsv:{line}: no cause {row['cause']}")
        lines = [part.partition(" @ ") for part in row["part1"].split(" | ")]
        if not all(text.strip() for text, _, _ in lines):
            raise InvalidData(f"phrases.tsv:{line}: an empty line of Part I")
        part1 = tuple((text.strip(), interval.strip()) for text, _, interval in lines)
        groups = frozenset((row["groups"] or "").split())
        found[row["cause"]].append(
            Wording(row["cause"], float(row["weight"]), part1, (row["part2"] or "").strip(), groups)
        )
    for name, told in found.items():
        if not told:
            raise InvalidData(f"phrases.tsv: no words for {name}")
    return {name: tuple(told) for name, told in found.items()}


def groups() -> tuple[str, ...]:
    """All groups of the study."""
    named = {group for told in wordings().values() for wording in told for group in wording.groups}
    return (ALL_CAUSES, *sorted(named))


def membership(group: str) -> dict[str, float]:
    """Share of the deaths of each cause that belong to a group; causes without any are left out."""
    if group == ALL_CAUSES:
        return dict.fromkeys(causes(), 1.0)
    found: dict[str, float] = {}
    for name, told in wordings().items():
        weights = np.array([wording.weight for wording in told])
        within = np.array([group in wording.groups for wording in told], float)
        share = float((weights * within).sum() / weights.sum())
        if share:
            found[name] = share
    if not found:
        raise InvalidData(f"no wording belongs to {group}")
    return found


def weights(of: tuple[Wording, ...]) -> Floats:
    """Chances of wordings."""
    told = np.array([wording.weight for wording in of])
    return np.asarray(told / told.sum(), float)


def _rows(name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table with the numbers of their lines; lines that begin with # are comments."""
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        lines = [(number, text) for number, text in enumerate(file, 1) if not text.startswith("#")]
    reader = csv.DictReader((text for _, text in lines), delimiter="\t")
    for (number, _), row in zip(lines[1:], reader, strict=True):
        yield number, row
