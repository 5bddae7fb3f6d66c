"""The form in which a whole file writes its codes, for answers that stand on no line of it.

Countries differ: dots or none, three or four characters where WHO allows both (I48, C80, W19). One line may be too
short to tell; the file is not.
"""

from __future__ import annotations

from collections.abc import Iterable

from stream.underlying.causes import answer_form

_FOURTH = 4


class FileForm:
    """What the codes seen so far look like."""

    def __init__(self) -> None:
        self._dotted = False
        self._undotted = False
        self._bare: set[str] = set()
        self._divided: set[str] = set()

    def see(self, codes: Iterable[str]) -> None:
        """Take the codes of one line into account, as written."""
        for raw in codes:
            code = raw.strip().upper()
            bare = code.replace(".", "")
            self._dotted = self._dotted or "." in code
            self._undotted = self._undotted or ("." not in code and len(code) >= _FOURTH)
            (self._divided if len(bare) >= _FOURTH else self._bare).add(bare[:3])

    def write(self, code: str | None, inputs: Iterable[str]) -> str | None:
        """An answer in the form of its own line's codes where one is the same, else in that of the file."""
        given = list(inputs)
        answer = answer_form(code, given)
        if answer is None or code is None or answer in {item.strip().upper() for item in given}:
            return answer
        category = code[:3]
        if category in self._bare and category not in self._divided:
            return category
        if self._undotted and not self._dotted:
            return code.replace(".", "")
        return code if self._dotted else answer
