"""The tile map: a square for each department, near to where it lies, all of one size (`tiles.tsv`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stream.errors import InvalidData

TABLE = Path(__file__).with_name("tiles.tsv")
_HEADER = ("department", "column", "row")


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a department's square stands; counted from the upper left, from 0."""

    department: str
    column: int
    row: int


@cache
def load(path: Path = TABLE) -> tuple[Tile, ...]:
    """All squares, by row and column: the order in which a keyboard walks through them.

    Raises:
        InvalidData: a square or a department twice, no whole number; the message names file and line.
    """
    tiles: dict[str, Tile] = {}
    taken: dict[tuple[int, int], str] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    head = next((number for number, line in enumerate(lines, 1) if not line.startswith("#")), 0)
    if not head or tuple(lines[head - 1].split("\t")) != _HEADER:
        raise InvalidData(f"{path.name}:{head or 1}: the header is {', '.join(_HEADER)}")
    for number, line in enumerate(lines[head:], head + 1):
        where, cells = f"{path.name}:{number}", line.split("\t")
        if len(cells) != len(_HEADER) or not all(cell.isdigit() for cell in cells[1:]):
            raise InvalidData(f"{where}: a department, a column and a row")
        department, column, row = cells[0], int(cells[1]), int(cells[2])
        if department in tiles or (column, row) in taken:
            raise InvalidData(f"{where}: {taken.get((column, row), department)} stands there already")
        tiles[department] = Tile(department, column, row)
        taken[column, row] = department
    return tuple(sorted(tiles.values(), key=lambda tile: (tile.row, tile.column)))


def laid(departments: Iterable[str]) -> tuple[Tile, ...]:
    """Squares of some departments."""
    wanted = set(departments)
    return tuple(tile for tile in load() if tile.department in wanted)
