"""Edits: combinations of a cause with sex or age that cannot be, or that lack something.

`edits.tsv` holds a range of categories, the sex or ages (in days, from and up to) that it allows, a severity and a
message in French and English.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stream.certificate import Sex
from stream.errors import InvalidData

TABLE = Path(__file__).with_name("edits.tsv")


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: what its range of categories allows."""

    id: str
    first: str
    last: str
    sex: str
    min_days: float | None
    max_days: float | None
    severity: str
    fr: str
    en: str

    def breaks(self, code: str, sex: Sex, age_days: float | None) -> bool:
        """Whether a code breaks this edit for a person of that sex and age."""
        if not self.first <= code[:3] <= self.last:
            return False
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

    def check(self, code: str, sex: Sex, age_days: float | None) -> tuple[Edit, ...]:
        """Edits that an underlying cause breaks."""
        return tuple(edit for edit in self.edits if edit.breaks(code, sex, age_days))


@cache
def load(path: Path = TABLE) -> Edits:
    """The packaged edits.

    Raises:
        InvalidData: a row that is no edit.
    """
    text = path.read_text(encoding="utf-8")
    found = []
    for number, row in enumerate(text.splitlines()[1:], start=2):
        cells = row.split("\t")
        try:
            id_, first, last, sex, low, high, severity, fr, en = cells
            edit = Edit(
                id_, first, last, sex, float(low) if low else None, float(high) if high else None, severity, fr, en
            )
        except ValueError:
            raise InvalidData(f"{path.name}:{number}: not an edit") from None
        if sex not in ("", "M", "F") or severity not in ("reject", "warn") or first > last:
            raise InvalidData(f"{path.name}:{number}: sex, severity or range")
        found.append(edit)
    return Edits(tuple(found), "edits-" + hashlib.blake2b(text.encode(), digest_size=4).hexdigest())
