"""Small counts are for those who have the right to see them: what others see instead, and why it cannot be undone.

Three locks, all of them on what leaves the server (docs/dashboard.md tells the rule in words):

1. Whoever lacks the right sees ISO weeks, for places, or for ages or sexes of all France, as known at the end of a week.
   These tables are trees that share their root alone: no table crosses two of them, no period overlaps another.
2. In each tree a count under `LEAST` is hidden (primary), zero among them; then further counts are hidden until no
   difference of a total and its parts tells a hidden count, nor that several of them together are few (secondary).
   Both look the same.
3. What is shown is rounded to a multiple of `ROUND`: a difference between groups that hold one another, between any
   mention and underlying cause, between two weeks' states of knowledge, leaves four values of a small count at least;
   three, 0 to 2, where both show 5, the least that is shown.

Why the second lock holds: below a visible total, the counts hidden in it (through hidden totals in between) meet one
equation, their sum. `hide` leaves two of them at least, and a sum of `LEAST` or more: each may then be anything from 0
to that sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

LEAST = 5
"""The smallest count that everybody may see."""
ROUND = 5
"""What is shown to those without the right is a multiple of it."""

Tree = Mapping[str, Sequence[str]]
"""Parts of each total; a total is the sum of its parts. A part without parts of its own need not be named."""


def hide(tree: Tree, root: str, counts: Mapping[str, float], least: int = LEAST) -> frozenset[str]:
    """What is to be hidden in one table.

    Args:
        tree: totals and parts.
        root: the total of all.
        counts: of all of them; totals are the sums of their parts.
        least: smallest count that may be shown.

    Returns:
        The smallest sets of parts, total by total from the root down: among the visible ones the least count is hidden
        first, and among equals the first in the tree's order.
    """
    hidden = {root} if counts[root] < least else set()
    ahead = [root]
    while ahead:
        total = ahead.pop()
        parts = list(tree.get(total, ()))
        if not parts:
            continue
        ahead.extend(parts)
        if total in hidden and counts[total] < least:
            hidden.update(parts)  # each of them is as small as their sum
            continue
        _hide_parts(total, parts, counts, least, hidden)
    return frozenset(hidden)


def _hide_parts(total: str, parts: list[str], counts: Mapping[str, float], least: int, hidden: set[str]) -> None:
    hidden.update(part for part in parts if counts[part] < least)
    # A total that is hidden is not told by one part that is; but it must not be told by its parts, all of them shown.
    needed = 1 if total in hidden else 2
    if total not in hidden and not hidden.intersection(parts):
        return
    order = {part: place for place, part in enumerate(parts)}
    while True:
        gone = [part for part in parts if part in hidden]
        if len(gone) == len(parts) or (len(gone) >= needed and sum(counts[part] for part in gone) >= least):
            break
        hidden.add(min((part for part in parts if part not in hidden), key=lambda part: (counts[part], order[part])))
    if len(parts) == 1 and total not in hidden and parts[0] in hidden:  # pragma: no cover - equal counts hide together
        raise AssertionError("a total of one part is that part")


def rounded(value: float, to: int = ROUND) -> int:
    """The nearest multiple; halves go up.

    >>> rounded(7.4), rounded(7.5), rounded(122)
    (5, 10, 120)
    """
    return int((value + to / 2) // to) * to


def flat(root: str, parts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The tree of one total and its parts."""
    return {root: tuple(parts)}
