"""The European shortlist of causes of death: the categories that official tables count.

Source: Eurostat, European Shortlist for Causes of Death, 2012 (86 items, of which the lowest ones are held here), with
COVID-19 (U07–U10) as item 18, as Eurostat has tabulated it since 2020.
"""

from __future__ import annotations

import itertools
import re
from functools import cache
from pathlib import Path

from stream.errors import InvalidData

TABLE = Path(__file__).with_name("shortlist.tsv")
OTHER = "-"
"""What no item holds: codes that cannot be an underlying cause (S, T, Z)."""


_RANGE = re.compile(r"([A-Z]\d\d(?:\.\d)?)(?:-([A-Z]\d\d(?:\.\d)?))?")


@cache
def read(path: Path = TABLE) -> tuple[tuple[str, str, str], ...]:
    """Ranges of codes with their item, (first, last, item), sorted, each bound as long as it is written.

    A four-character range is an exception inside a three-character one; others must not overlap.

    Raises:
        InvalidData: the file is not there, a row is no item, or ranges overlap.
    """
    found: list[tuple[str, str, str]] = []
    for number, (item, _, codes) in enumerate(_rows(path), start=2):
        for span in codes.split(" "):
            match = _RANGE.fullmatch(span)
            first, last = (match[1], match[2] or match[1]) if match else ("", "")
            if not match or len(first) != len(last) or last < first:
                raise InvalidData(f"{path.name}:{number}: {span!r} is no range of codes")
            found.append((first, last, item))
    found.sort()
    for size in (3, 5):
        same = [(first, last) for first, last, _ in found if len(first) == size]
        for (_, end), (start, _) in itertools.pairwise(same):
            if start <= end:
                raise InvalidData(f"{path.name}: two items hold {start}")
    return tuple(found)


@cache
def of(code: str) -> str:
    """Item of a code, `OTHER` where there is none."""
    found = OTHER
    for first, last, item in read():
        if first <= code[: len(first)] <= last:
            if len(first) > 3:
                return item
            found = item
    return found


@cache
def labels(path: Path = TABLE) -> dict[str, str]:
    """French label of each item.

    Raises:
        InvalidData: the file is not there, or a row is no item.
    """
    return {item: label for item, label, _ in _rows(path)}


def _rows(path: Path) -> list[tuple[str, str, str]]:
    try:
        rows = path.read_text(encoding="utf-8").splitlines()[1:]
    except OSError as error:
        raise InvalidData(f"{path.name}: {type(error).__name__}") from None
    found = []
    for number, row in enumerate(rows, start=2):
        cells = row.split("\t")
        if len(cells) != 3 or not all(cells):
            raise InvalidData(f"{path.name}:{number}: not item, label and codes")
        found.append((cells[0], cells[1], cells[2]))
    return found
