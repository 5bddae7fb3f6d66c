"""Where deaths are counted: the whole, regions (``R-`` and Insee's code), departments (Insee's code)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from stream.certificate import Place
from stream.errors import InvalidData

TABLE = Path(__file__).with_name("places.tsv")
WHOLE = "FR"
"""Every death of the stream, wherever it happened."""
UNPLACED = ""
"""Of a death whose department is not told: it counts in the whole, and in no region."""
REGION = "R-"
_OVERSEAS = ("97", "98")
_DEPARTMENT = re.compile(r"[0-9][0-9AB][0-9]?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Region:
    """A region, by its code with ``R-`` before it."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Department:
    """A department, or a collectivity overseas, which lies in no region."""

    code: str
    region: str
    name: str


class Places:
    """All places; names are French."""

    def __init__(self, regions: tuple[Region, ...], departments: tuple[Department, ...]) -> None:
        self.regions = {region.code: region for region in regions}
        self.departments = {department.code: department for department in departments}
        self._within = {
            code: tuple(found.code for found in departments if found.region == code) for code in self.regions
        }

    def __contains__(self, code: object) -> bool:
        return code == WHOLE or code in self.regions or code in self.departments

    def __iter__(self) -> Iterator[str]:
        """The whole, the regions, the departments."""
        return iter((WHOLE, *self.regions, *self.departments))

    def name(self, code: str) -> str:
        """Its name; the code itself where the table has none."""
        if code == WHOLE:
            return "France"
        found = self.regions.get(code) or self.departments.get(code)
        return found.name if found else code

    def region(self, department: str) -> str:
        """Code of the region of a department; empty where it lies in none."""
        found = self.departments.get(department)
        return found.region if found else ""

    def within(self, code: str) -> tuple[str, ...]:
        """What a place is the sum of, as the tables keep it: a region's departments; any other is kept itself."""
        return self._within.get(code, (code,))


@lru_cache(1)
def load_places() -> Places:
    """The packaged table (Insee, Code officiel géographique, 2025).

    Raises:
        InvalidData: names file and line.
    """
    return read(TABLE)


def read(path: Path) -> Places:
    """Places of a table of code, region and name; regions have no region.

    Raises:
        InvalidData: names file and line.
    """
    regions: dict[str, Region] = {}
    departments: dict[str, Department] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), start=1):
            if number == 1:
                continue
            if len(row) != 3 or not row[0] or not row[2]:
                raise InvalidData(f"{path.name}:{number}: not a code, a region and a name")
            code, region, name = row
            if code in regions or code in departments or code == WHOLE:
                raise InvalidData(f"{path.name}:{number}: {code} stands twice")
            if code.startswith(REGION):
                regions[code] = Region(code, name)
            elif region and region not in regions:
                raise InvalidData(f"{path.name}:{number}: {region} is no region above it")
            else:
                departments[code] = Department(code, region, name)
    return Places(tuple(regions.values()), tuple(departments.values()))


def department_of(place: Place) -> str:
    """Department of a death as the tables name it: told, else that of the commune, else `UNPLACED`."""
    return department_code(place.department) or _of_commune(place.commune)


def department_code(told: str | None) -> str:
    """A department's code as Insee writes it: ``1`` is ``01``, ``2a`` is ``2A``; `UNPLACED` where it is no code."""
    code = (told or "").strip().upper()
    code = code.zfill(2) if code.isdigit() else code
    return code if _DEPARTMENT.fullmatch(code) else UNPLACED


def _of_commune(told: str | None) -> str:
    code = (told or "").strip().upper()
    if len(code) != 5:
        return UNPLACED
    return department_code(code[:3] if code.startswith(_OVERSEAS) else code[:2])
