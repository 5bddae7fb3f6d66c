"""Columns of a CSV file and the fields of the certificate that they hold.

=====================================  ===================================================================
``certificate_id``                     required
``version``                            number from 1
``status``                             INITIAL, AMENDED, VOID
``parts``                              INITIAL, or INITIAL+COMPLEMENTARY
``source``, ``form``, ``form_version`` ELECTRONIC or PAPER; GENERAL or NEONATAL; year
``received_at``                        2026-01-16T08:30:00Z
``death_date``, ``birth_date``         2026-01-15
``sex``, ``age``, ``age_unit``         M, F, U; number; YEARS (default), MONTHS, DAYS, HOURS, MINUTES
``place_kind``                         HOSPITAL, CLINIC, NURSING_HOME, HOME, PUBLIC_ROAD, OTHER
``department``, ``commune``            Insee codes of the place of death
``residence_department``, ``…_commune`` Insee codes of the residence
``manner``                             NATURAL, ACCIDENT, SUICIDE, HOMICIDE, WAR, CARE_COMPLICATION, …
``pregnancy``, ``autopsy``             as in the JSON form
``work_accident``, ``accident_place``  true or false; text
``surgery``, ``surgery_reason``        true or false: operated on within four weeks; text
``birth_weight_g``, ``gestation_weeks``, ``multiple``, ``mother_1`` …  what the neonatal form adds
``part1_1`` … with ``interval_1`` …    lines of Part I (one row a certificate)
``part2`` or ``part2_1`` …             lines of Part II (one row a certificate)
``part``, ``line``, ``text``, ``interval``  1 or 2; position, 1 or a onwards (one row a line)
``gold``, ``expected``, ``comment``    not part of the certificate
=====================================  ===================================================================

An empty cell says nothing. Values in capitals are read in any case; yes/no, 1/0 stand for true/false too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stream.errors import InvalidCertificate
from stream.offline.rows import EXTRAS

Path = tuple[str, ...]

_SAME = [
    "certificate_id",
    "version",
    "status",
    "source",
    "form",
    "form_version",
    "received_at",
    "death_date",
    "birth_date",
    "sex",
    "manner",
    "pregnancy",
    "work_accident",
    "accident_place",
    "autopsy",
    "parts",
]
PATHS: Mapping[str, Path] = {name: (name,) for name in _SAME} | {
    "age": ("age", "value"),
    "age_unit": ("age", "unit"),
    "place_kind": ("place", "kind"),
    "department": ("place", "department"),
    "commune": ("place", "commune"),
    "residence_department": ("residence", "department"),
    "residence_commune": ("residence", "commune"),
    "surgery": ("surgery", "within_4_weeks"),
    "surgery_reason": ("surgery", "reason"),
    "birth_weight_g": ("neonatal", "birth_weight_g"),
    "gestation_weeks": ("neonatal", "gestation_weeks"),
    "multiple": ("neonatal", "multiple"),
}
LINE_COLUMNS = frozenset({"part", "line", "text", "interval"})
_CAPITALS = frozenset({"status", "parts", "source", "form", "sex", "age_unit", "place_kind", "manner"})
_NUMBERED = re.compile(r"(part1|interval|part2|mother)_([1-9][0-9]?)")
_BLANK: Mapping[str, str] = {"text": ""}


def is_known(column: str) -> bool:
    """Whether a column means something in either shape."""
    return (
        column in PATHS or column in LINE_COLUMNS or column in EXTRAS or column == "part2"
        or _NUMBERED.fullmatch(column) is not None
    )  # fmt: skip


def is_text(column: str) -> bool:
    """Whether a column holds a line of a certificate in the shape of one row a certificate."""
    return column == "part2" or (column.startswith(("part1_", "part2_", "interval_")) and is_known(column))


def common(cells: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a certificate but for its lines.

    Args:
        cells: cell of each column, stripped; those that are empty or hold lines are passed over.
    """
    fields: dict[str, Any] = {}
    for column, cell in cells.items():
        if not cell:
            continue
        if column in EXTRAS:
            fields[column] = cell
        elif column in PATHS:
            value: Any = cell.upper() if column in _CAPITALS else cell
            if column == "parts":
                value = re.split(r"[+, ]+", value)
            _put(fields, PATHS[column], value)
    if "value" not in fields.get("age", {"value": ""}):
        del fields["age"]  # a unit alone is what exports write where there is no age
    mother = _in_order(cells, "mother")
    if mother:
        fields.setdefault("neonatal", {})["mother"] = [text for text in mother if text]
    return fields


def wide(cells: Mapping[str, str]) -> dict[str, Any]:
    """Mapping of a certificate that stands on one row."""
    fields = common(cells)
    texts, intervals = _in_order(cells, "part1"), _in_order(cells, "interval")
    texts += [""] * (len(intervals) - len(texts))
    intervals += [""] * (len(texts) - len(intervals))
    fields["part1"] = [line(text, interval) for text, interval in zip(texts, intervals, strict=True)]
    second = [cells["part2"]] if cells.get("part2") else []
    fields["part2"] = [line(text, "") for text in second + _in_order(cells, "part2")]
    return fields


def line(text: str, interval: str) -> dict[str, str]:
    """Mapping of a line of a certificate."""
    return {"text": text, "interval": interval} if interval else {"text": text}


def place(cell: str, after: int, most: int) -> int:
    """Position of a line in its part, from its `line` cell: a number from 1, a letter from a, or the next one.

    Raises:
        InvalidCertificate: none of these, or beyond `most`.
    """
    if not cell:
        return after + 1
    letter = cell.strip("().").lower()
    if len(letter) == 1 and "a" <= letter <= "z":
        position = ord(letter) - ord("a") + 1
    elif cell.isascii() and cell.isdigit() and len(cell) < 6:
        position = int(cell)
    else:
        raise InvalidCertificate("line: neither a number nor a letter")
    if not 1 <= position <= most:
        raise InvalidCertificate(f"line: not within 1 to {most}")
    return position


def part(cell: str) -> int:
    """Part of a line, 1 or 2, from its `part` cell; empty means Part I.

    Raises:
        InvalidCertificate: neither.
    """
    number = {"": 1, "1": 1, "i": 1, "2": 2, "ii": 2}.get(cell.lower().removeprefix("part").strip(" _"))
    if number is None:
        raise InvalidCertificate("part: neither 1 nor 2")
    return number


def filled(lines: Mapping[int, dict[str, str]]) -> list[Mapping[str, str]]:
    """Lines in order of position; a position that was left out is a blank line, so that later ones keep theirs."""
    return [lines.get(position, _BLANK) for position in range(1, max(lines, default=0) + 1)]


def _in_order(cells: Mapping[str, str], name: str) -> list[str]:
    """Cells of the numbered columns of `name`, without the empty ones at the end."""
    found = {int(m[2]): cell for c, cell in cells.items() if cell and (m := _NUMBERED.fullmatch(c)) and m[1] == name}
    return [found.get(position, "") for position in range(1, max(found, default=0) + 1)]


def _put(fields: dict[str, Any], path: Path, value: Any) -> None:
    for step in path[:-1]:
        fields = fields.setdefault(step, {})
    fields[path[-1]] = value
