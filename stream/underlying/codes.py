"""Sets of codes written as ranges, and the bare form of a code that tables and rules go by."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

from stream.errors import InvalidData

_SPAN = re.compile(r"([A-Z]\d\d\d?)(?:-([A-Z]\d\d\d?))?")
_SHAPE = re.compile(r"[A-Z]\d\d[0-9A-Z]{0,4}", re.ASCII)
_MEMORY = 20_000


def is_code(code: str) -> bool:
    """Whether a string is shaped like an ICD-10 code, dotted or not, extended or not."""
    return _SHAPE.fullmatch(code.replace(".", "")) is not None


def bare(code: str) -> str:
    """Code without its dot and without what lies beyond the fourth character."""
    return code.replace(".", "")[:4]


def dot(code: str) -> str:
    """Dotted form of a bare code."""
    return f"{code[:3]}.{code[3:]}" if len(code) > 3 else code


class Codes:
    """A set of bare codes, written as ranges that take in all fourth characters.

    ``"I60-I69 !I65-I66 J18 E112"``: ranges, then those taken away again.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._in = _spans([word for word in text.split() if word[0] != "!"])
        self._out = _spans([word[1:] for word in text.split() if word[0] == "!"])
        self._known: dict[str, bool] = {}

    def __contains__(self, code: str) -> bool:
        answer = self._known.get(code)
        if answer is None:
            answer = _inside(self._in, code) and not _inside(self._out, code)
            if len(self._known) < _MEMORY:
                self._known[code] = answer
        return answer

    def touches(self, category: str) -> bool:
        """Whether some code of a category of three characters may be in the set."""
        firsts, lasts = self._in
        # The last range that begins no later than the category's last code: does it reach the category?
        place = bisect_right(firsts, category + "~") - 1
        return place >= 0 and lasts[place] >= category

    def __bool__(self) -> bool:
        return bool(self._in[0])


def _spans(words: list[str]) -> tuple[list[str], list[str]]:
    spans: list[tuple[str, str]] = []
    for word in words:
        match = _SPAN.fullmatch(word)
        if match is None or (match[2] or match[1]) < match[1]:
            raise InvalidData(f"not a range of codes: {word}")
        # A tilde sorts after every digit: the end of a range takes in its fourth characters.
        spans.append((match[1], (match[2] or match[1]) + "~"))
    return joined(spans)


def joined(spans: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """First and last of each range, sorted, those that overlap made one."""
    firsts: list[str] = []
    lasts: list[str] = []
    for first, last in sorted(spans):
        if firsts and first <= lasts[-1]:
            lasts[-1] = max(lasts[-1], last)
        else:
            firsts.append(first)
            lasts.append(last)
    return firsts, lasts


def _inside(spans: tuple[list[str], list[str]], code: str) -> bool:
    place = bisect_right(spans[0], code) - 1
    return place >= 0 and code <= spans[1][place]
