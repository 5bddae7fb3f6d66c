"""Histories into sums: what a certificate adds to the cells, as intervals of knowledge.

A cell counts a death from the day when it became known there to the day when something else was known; a result that
replaces another within the cell (a coder confirms the machine) does not begin a new stay, nor does a move between
departments in the whole; one that changes age group, sex or source does. So the rows that hold at any
day tell both how many deaths were known then and since when, which is a reporting triangle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from stream.surveillance.counts.knowledge import Cell, History, Stay, numbers, packed
from stream.surveillance.counts.places import WHOLE
from stream.surveillance.counts.tables import FOREVER

CellKey = tuple[int, str, int, int, str, str, int, int]
"""Day, place, number of the group, age, sex, source, since, until."""
CodingKey = tuple[int, int, int, int]
"""Day, coding, since, until."""
_BITS = 32
_HALF = 1 << (_BITS - 1)
# One death in a measure: the four are added together, as parts of one number.
DEATHS, DUE, FINAL, FINAL_DUE = (1 << _BITS * place for place in range(4))
_OFFICIAL = FINAL // DEATHS
"""From a measure to the same of official results."""


class _Episode(NamedTuple):
    """Groups whose membership lasts from one day to another in a cell.

    `groups` are their numbers, packed, each bunch with the measures that it counts in; `places` the rows that it is
    counted in.
    """

    cell: Cell
    since: int
    until: int
    groups: tuple[tuple[bytes, int], ...]
    places: tuple[str, ...]


class Sums:
    """Changes of sums: histories are put in and taken out; what remains is not zero."""

    def __init__(self) -> None:
        self._episodes: dict[_Episode, int] = {}
        self._codings: dict[CodingKey, int] = {}

    def put(self, history: History, sign: int = 1) -> None:
        """Add a certificate's history, or take it out with a sign of -1."""
        for key in _codings(history):
            self._codings[key] = self._codings.get(key, 0) + sign
        for episode in _episodes(history):
            self._episodes[episode] = self._episodes.get(episode, 0) + sign

    def cells(self) -> dict[CellKey, tuple[int, int, int, int]]:
        """Changes of the measures by cell; cells that do not change are left out."""
        found: dict[CellKey, int] = {}
        get = found.get
        # What lies together in the table comes together.
        for (day, _, age, sex, source), since, until, groups, places, times in sorted(
            (*episode, times) for episode, times in self._episodes.items() if times
        ):
            assert day is not None
            for members, measures in groups:
                weight = measures * times
                for number in numbers(members):
                    for place in places:
                        key = (day, place, number, age, sex, source, since, until)
                        found[key] = get(key, 0) + weight
        return {key: _apart(together) for key, together in found.items() if together}

    def codings(self) -> dict[CodingKey, int]:
        """Changes of deaths by who coded them."""
        return {key: count for key, count in self._codings.items() if count}


@lru_cache(10_000)
def _apart(together: int) -> tuple[int, int, int, int]:
    """The four measures of a sum of `_ONE`s."""
    found = []
    for _ in range(4):
        value = ((together + _HALF) & (2 * _HALF - 1)) - _HALF
        found.append(value)
        together = (together - value) >> _BITS
    return found[0], found[1], found[2], found[3]


def _codings(history: History) -> Iterator[CodingKey]:
    for (since, result), until in _spans(history):
        if result.cell.day is not None and not result.withdrawn:
            yield result.cell.day, result.coding, since, until


def _episodes(history: History) -> Iterable[_Episode]:
    if len(history) == 1:
        (since, result), cell = history[0], history[0].result.cell
        if cell.day is None or result.withdrawn:
            return ()
        due = DEATHS + DUE + FINAL + FINAL_DUE if result.final else DEATHS + DUE
        mentioned = DEATHS + FINAL if result.final else DEATHS
        return (
            _Episode(cell, since, FOREVER, ((result.due, due), (result.mentioned, mentioned)), (WHOLE, cell.place)),
        )
    return _merged(history)


def _merged(history: History) -> Iterator[_Episode]:
    """Each membership on its own, as long as it lasts from one result to the next.

    In the whole it outlasts a move from one department to another.
    """
    lasting: dict[tuple[Cell, int, int], tuple[int, int]] = {}
    over: list[tuple[Cell, int, int, int, int]] = []
    for (since, result), until in _spans(history):
        if result.cell.day is None or result.withdrawn:
            continue
        due, mentioned = numbers(result.due), numbers(result.mentioned)
        measures = [(number, DEATHS) for number in (*due, *mentioned)] + [(number, DUE) for number in due]
        if result.final:
            measures += [(number, measure * _OFFICIAL) for number, measure in measures]
        for place in (WHOLE, result.cell.place):
            cell = result.cell._replace(place=place)
            for number, measure in measures:
                start, end = lasting.get((cell, number, measure), (since, since))
                if end != since:
                    over.append((cell, number, measure, start, end))
                    start = since
                lasting[cell, number, measure] = start, until
    together: dict[tuple[Cell, int, int, int], list[int]] = defaultdict(list)
    over += [(*key, *span) for key, span in lasting.items()]
    for cell, number, measure, start, end in over:
        together[cell, start, end, measure].append(number)
    for (cell, start, end, measure), members in together.items():
        yield _Episode(cell, start, end, ((packed(members), measure),), (cell.place,))


def _spans(history: History) -> Iterator[tuple[Stay, int]]:
    """Each stay and where it ends."""
    ends = [later.since for later in history[1:]] + [FOREVER]
    yield from zip(history, ends, strict=True)
