"""Whether two underlying causes are the same, as finely as one asks."""

from __future__ import annotations

from typing import Literal

from stream.nomenclature import shortlist

Level = Literal["exact", "three", "shortlist"]
LEVELS: tuple[Level, ...] = ("exact", "three", "shortlist")


def same(found: str | None, wanted: str | None, level: Level) -> bool:
    """Whether two codes agree: all their characters, three of them, or their category of the European shortlist.

    Causes outside every category of the shortlist agree there only when they are the same code. No code agrees with
    nothing.
    """
    if not found or not wanted:
        return False
    if found == wanted or (level == "three" and found[:3] == wanted[:3]):
        return True
    category = shortlist.of(wanted)
    return level == "shortlist" and category != shortlist.OTHER and shortlist.of(found) == category
