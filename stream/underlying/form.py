"""The form in which a whole file writes its codes, for answers that stand on no line of it.

Countries differ: dots or none, three or four characters where WHO allows both (I48, C80, W19), an X behind categories of
three (I10X), the place of occurrence behind external causes (X599). One line may be too short to tell; the file is not.
"""

from __future__ import annotations

from collections.abc import Iterable

from stream.nomenclature.icd10 import place_of_occurrence
from stream.underlying.causes import answer_form, padded
from stream.underlying.faults import SIGNS, is_padded, unpadded

_FOURTH = 4
_NO_PLACE = "9"


class FileForm:
    """What the codes seen so far look like."""

    def __init__(self) -> None:
        self._dotted = False
        self._undotted = False
        self._bare: set[str] = set()
        self._divided: set[str] = set()
        self._padded = False

    def see(self, codes: Iterable[str]) -> None:
        """Take the codes of one line into account, as written."""
        for raw in codes:
            code = raw.strip().upper().rstrip(SIGNS)
            short = unpadded(code).replace(".", "")
            self._dotted = self._dotted or "." in code
            self._undotted = self._undotted or ("." not in code and len(code) >= _FOURTH)
            (self._divided if len(short) >= _FOURTH else self._bare).add(short[:3])
            self._padded = self._padded or is_padded(code)

    def write(self, code: str | None, inputs: Iterable[str]) -> str | None:
        """An answer in the form of its own line's codes where one is the same, else in that of the file."""
        given = list(inputs)
        answer = answer_form(code, given)
        if answer is None or code is None or answer in {item.strip().upper().rstrip(SIGNS) for item in given}:
            return answer
        category = code[:3]
        if category in self._bare and category not in self._divided:
            return self._filled(category)
        if len(code) == len(category) and place_of_occurrence(category) and self._tells_places():
            code = f"{code}.{_NO_PLACE}"
        if self._undotted and not self._dotted:
            return self._filled(code.replace(".", ""))
        return self._filled(code if self._dotted else answer)

    def _filled(self, code: str) -> str:
        return padded(code) if self._padded else code

    def _tells_places(self) -> bool:
        """Whether external causes carry the place of occurrence throughout."""
        return any(map(place_of_occurrence, self._divided)) and not any(map(place_of_occurrence, self._bare))
