"""Words that name no cause of death: "patient décédé à domicile", "fin de vie", "cause inconnue".

The list is `noncauses.tsv` (``word  group``). It serves to say why a stretch of text has no code: NOT_A_CAUSE rather
than UNKNOWN_WORDS. It is asked about what the coders left over, so a word in it can still be part of a cause.

>>> is_noncause("patient decede a domicile".split()), is_noncause("deces par leptospirose".split())
(True, False)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from stream.text.fold import fold
from stream.text.tables import packaged, rows


def read_noncauses(lines: Sequence[str], name: str = "noncauses.tsv") -> frozenset[str]:
    """The words from their lines; InvalidData names the line at fault."""
    words: set[str] = set()
    for row in rows(lines, ("word", "group"), name):
        word = fold(row.cells[0])
        if not word.isalnum():
            raise row.fault(f"one word a line: {row.cells[0]}")
        words.add(word)
    return frozenset(words)


@cache
def noncauses() -> frozenset[str]:
    """The words that come with the package."""
    return read_noncauses(packaged("noncauses.tsv"))


def is_noncause(words: Sequence[str]) -> bool:
    """Whether normalised words, all of them, say nothing that could be coded; numbers and signs say nothing."""
    known = noncauses()
    return all(word in known or not word[:1].isalpha() for word in words)
