"""Edits: combinations of a cause with sex or age that cannot be, or that lack something.

`edits.tsv` holds ranges of codes, the sex or ages (in days, from and up to) that they allow, a severity and a message in
French and English. A bound is a category (``N40``, with all that is in it) or a code of four characters (``N99.2``). A row
without sex and ages is broken by every code in it: no such code is an underlying cause. What is bound to a sex or an age
follows the titles of WHO ICD-10 (volume 1, 2016) and was held against the lists of WHO CoDEdit (docs/edits.md).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stream.certificate import Sex
from stream.errors import InvalidData

TABLE = Path(__file__).with_name("edits.tsv")
SEVERITIES = ("reject", "warn")
_BOUND = re.compile(r"[A-Z]\d\d(\.\d)?")
_ID = re.compile(r"[A-Z][A-Z0-9_]*")
_MEMORY = 20_000


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: what its range of codes allows."""

    id: str
    first: str
    last: str
    sex: str
    min_days: float | None
    max_days: float | None
    severity: str
    fr: str
    en: str

    def covers(self, code: str) -> bool:
        """Whether a code, dotted, lies in the range."""
        # A tilde sorts after dot and digits: the end of a range takes in its fourth characters.
        return self.first <= code <= self.last + "~"

    def breaks(self, code: str, sex: Sex, age_days: float | None) -> bool:
        """Whether a code breaks this edit for a person of that sex and age."""
        return self.covers(code) and self.forbids(sex, age_days)

    def forbids(self, sex: Sex, age_days: float | None) -> bool:
        """Whether the codes of the range are not for a person of that sex and age."""
        if self.sex and sex is not Sex.U and sex != self.sex:
            return True
        if age_days is not None:
            if self.min_days is not None and age_days < self.min_days:
                return True
            if self.max_days is not None and age_days > self.max_days:
                return True
        return not self.sex and self.min_days is None and self.max_days is None


class Edits:
    """All edits, with the version that identifies them."""

    def __init__(self, edits: tuple[Edit, ...], version: str) -> None:
        self.edits = edits
        self.version = version
        self._covering: dict[str, tuple[Edit, ...]] = {}

    def covering(self, code: str) -> tuple[Edit, ...]:
        """Edits whose range holds a code, in the order of the table."""
        found = self._covering.get(code)
        if found is None:
            found = tuple(edit for edit in self.edits if edit.covers(code))
            if len(self._covering) < _MEMORY:
                self._covering[code] = found
        return found

    def check(self, code: str, sex: Sex, age_days: float | None) -> tuple[Edit, ...]:
        """Edits that an underlying cause breaks."""
        return tuple(edit for edit in self.covering(code) if edit.forbids(sex, age_days))


@cache
def load(path: Path = TABLE) -> Edits:
    """The packaged edits.

    Raises:
        InvalidData: a row that is no edit, or an id whose rows differ in severity.
    """
    text = path.read_text(encoding="utf-8")
    found: list[Edit] = []
    severities: dict[str, str] = {}
    for number, row in enumerate(text.splitlines()[1:], start=2):
        edit = _edit(row, f"{path.name}:{number}")
        if severities.setdefault(edit.id, edit.severity) != edit.severity:
            raise InvalidData(f"{path.name}:{number}: {edit.id} has another severity above")
        found.append(edit)
    return Edits(tuple(found), "edits-" + hashlib.blake2b(text.encode(), digest_size=4).hexdigest())


def _edit(row: str, where: str) -> Edit:
    cells = row.split("\t")
    try:
        id_, first, last, sex, low, high, severity, fr, en = cells
        edit = Edit(id_, first, last, sex, float(low) if low else None, float(high) if high else None, severity, fr, en)
    except ValueError:
        raise InvalidData(f"{where}: not an edit") from None
    if not (_ID.fullmatch(id_) and _BOUND.fullmatch(first) and _BOUND.fullmatch(last) and fr and en):
        raise InvalidData(f"{where}: an id in capitals, two codes and two messages are wanted")
    if sex not in ("", "M", "F") or severity not in SEVERITIES or first > last + "~":
        raise InvalidData(f"{where}: sex, severity or range")
    return edit
