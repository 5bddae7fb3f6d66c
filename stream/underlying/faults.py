"""What is wrong with the codes of a certificate, code by code; none of it stops the selection.

UNKNOWN: no such code (its category is used where there is one). EXTENSION: more than four characters; the first four are
used. ASTERISK: a manifestation (WHO ICD-10, volume 2, 3.1.3), set aside where another condition is told. SEX, AGE: the edits
of the nomenclature. MISSING: an empty entry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from stream.certificate import Sex
from stream.nomenclature import edits, icd10
from stream.underlying.codes import Codes, bare, is_code

SIGNS = "*+†"
"""Signs of manifestations (asterisk) and of what they are due to (dagger) behind a code."""
_PADDED = re.compile(r"([A-Z]\d\d)\.?X", re.ASCII)
ASTERISKS = Path(__file__).with_name("tables") / "asterisks.txt"


class Why(StrEnum):
    """Kind of fault."""

    UNKNOWN = "UNKNOWN"
    EXTENSION = "EXTENSION"
    ASTERISK = "ASTERISK"
    SEX = "SEX"
    AGE = "AGE"
    MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: the code as it came, what is wrong, and the id of the edit it breaks, if any."""

    code: str
    why: Why
    edit: str = ""

    def record(self) -> dict[str, str]:
        """Mapping for the answer."""
        return {"code": self.code, "why": self.why.value} | ({"edit": self.edit} if self.edit else {})


@cache
def asterisks() -> Codes:
    """Asterisk categories of WHO ICD-10."""
    return Codes(ASTERISKS.read_text(encoding="utf-8"))


def faults(given: str, sex: str, age_days: float | None) -> tuple[Fault, ...]:
    """Faults of one code as it came.

    Args:
        given: dotted or not, with or without an asterisk or dagger sign.
        sex: M, F or U.
        age_days: age at death in days; None when unknown.
    """
    text = given.strip().upper()
    if not text:
        return (Fault(given, Why.MISSING),)
    plain = unpadded(text).replace(".", "")
    code = icd10.load().written(plain)
    if code is None:
        return (Fault(given, Why.UNKNOWN),)
    found = []
    if len(plain) > 4:
        found.append(Fault(given, Why.EXTENSION))
    if text.endswith("*") or bare(code) in asterisks():
        found.append(Fault(given, Why.ASTERISK))
    for edit in edits.load().check(code, Sex(sex), age_days):
        if edit.sex and sex != edit.sex:
            found.append(Fault(given, Why.SEX, edit.id))
        elif edit.min_days is not None or edit.max_days is not None:
            found.append(Fault(given, Why.AGE, edit.id))
    return tuple(found)


def unpadded(given: str) -> str:
    """A code in capitals, without sign, and without the X that fills a category of three characters up to four (I10X)."""
    text = given.strip().upper().rstrip(SIGNS)
    padded = _PADDED.fullmatch(text)
    return padded[1] if padded else text


def is_padded(given: str) -> bool:
    """Whether a code is a category filled up with an X."""
    return _PADDED.fullmatch(given.strip().upper().rstrip(SIGNS)) is not None


def usable(given: str) -> str:
    """A code as the selection takes it: without sign, padding or extension; as it came where it is none."""
    text = unpadded(given)
    return icd10.load().written(text) or (icd10.dotted(text)[:5] if is_code(text) else icd10.dotted(text))
