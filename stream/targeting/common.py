"""Causes of death that are common, so that a policy can send the rare ones to a person.

`common.tsv`: category and deaths of it per 100,000.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from stream.errors import InvalidData

TABLE = Path(__file__).with_name("common.tsv")


@cache
def load(path: Path = TABLE) -> dict[str, float]:
    """Deaths per 100,000 by category.

    Raises:
        InvalidData: a row is no category with a number.
    """
    found: dict[str, float] = {}
    for number, row in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], start=2):
        category, _, rest = row.partition("\t")
        try:
            rate = float(rest.partition("\t")[0])
        except ValueError:
            rate = -1.0
        if len(category) != 3 or rate < 0 or category in found:
            raise InvalidData(f"{path.name}:{number}: not a category and its deaths per 100,000, once")
        found[category] = rate
    return found


def at_least(rate: float) -> frozenset[str]:
    """Categories with so many deaths per 100,000 or more."""
    return frozenset(category for category, deaths in load().items() if deaths >= rate)
