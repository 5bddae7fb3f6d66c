"""Groups whose names resemble what somebody wrote."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from stream.surveillance.groups.group import Group

MOST = 3
ALIKE = 0.6
"""Least likeness of two names (`difflib`, 0 to 1)."""


def near(written: str, groups: Iterable[Group]) -> tuple[str, ...]:
    """Ids of the groups that are most like a word, by id or by English or French name; the nearest first."""
    sought = _plain(written)
    found = []
    for group in groups:
        names = {_plain(name) for name in (group.id, group.en, group.fr)}
        # A word of a longer name is as good as its beginning: "cerebral" for "cerebral palsy".
        words = {word for name in names for word in name.split() if len(word) > 3}
        alike = max(difflib.SequenceMatcher(None, sought, name).ratio() for name in names)
        inside = max((difflib.SequenceMatcher(None, sought, word).ratio() for word in words), default=0.0) - 0.1
        found.append((max(alike, inside), group.id))
    found.sort(key=lambda one: (-one[0], one[1]))
    return tuple(group for alike, group in found[:MOST] if alike >= ALIKE)


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())
