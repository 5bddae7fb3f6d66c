"""What comes in: the codes of a certificate, line by line, and how the answer is written back.

The JSON form is that of ``causa underlying`` (design.md); codes may come as any country writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stream.errors import InvalidCertificate
from stream.nomenclature import icd10
from stream.underlying.faults import SIGNS, is_padded, unpadded, usable

#: Days in each unit of age (WHO electronic death certificate; a month is a twelfth of a year).
_UNITS = {"YEARS": 365.25, "MONTHS": 30.4375, "DAYS": 1.0, "HOURS": 1 / 24, "MINUTES": 1 / 1440}
_SEXES = {"M": "M", "F": "F", "U": "U", "1": "M", "2": "F", "9": "U", "": "U"}
_FOUR = re.compile(r"[A-Z]\d\d(\.?[\dX])?", re.ASCII)
_PADDING = "X"
_CATEGORY = 3
#: Codes within a string, whatever parts them; a sign behind a code stays with it, one before it is a separator.
_WITHIN = re.compile(r"[^\s/;,|*+†]+(?:[*+†](?=[\s/;,|]|$))?")
_LONGEST = 12
"""Characters of a code that are looked at."""
_MOST = 1e9
"""Greatest number of days or years that is taken for one."""
MAX_LINES = 20
MAX_CODES = 60


@dataclass(frozen=True, slots=True)
class Causes:
    """The codes of one certificate, as Causa writes them, and what else the rules look at.

    Attributes:
        part1: codes of each line of Part I, in the physician's order; empty lines are kept.
        part2: codes of Part II.
        sex: M, F or U.
        age_days: age at death in days; None when unknown.
        manner: NATURAL, ACCIDENT, SUICIDE, … (design.md); None when not stated.
        durations: days from onset to death of each line of Part I; may be shorter than `part1`.
        neonatal: whether the neonatal form was used (first 28 days), whose lines mean other things.
        from_text: whether Causa read the codes from the physician's words; an office coded them otherwise.
        pregnancy: value of the form's box on pregnancy (`tables/pregnancy.tsv`); None when not stated.
    """

    part1: tuple[tuple[str, ...], ...]
    part2: tuple[str, ...] = ()
    sex: str = "U"
    age_days: float | None = None
    manner: str | None = None
    durations: tuple[float | None, ...] = ()
    neonatal: bool = False
    from_text: bool = False
    pregnancy: str | None = None


def read_causes(mapping: Mapping[str, Any]) -> Causes:
    """Causes from the JSON mapping of ``causa underlying``.

    Codes the nomenclature does not know are kept, dotted; the rules then go by their category.

    Raises:
        InvalidCertificate: a field has the wrong type or is out of its domain; the message never quotes it.
    """
    if not isinstance(mapping, Mapping):
        raise InvalidCertificate("a certificate is a mapping")
    part1 = _lines(mapping.get("part1"), "part1")
    part2 = tuple(code for line in _lines(mapping.get("part2"), "part2") for code in line)
    if sum(map(len, part1)) + len(part2) > MAX_CODES:
        raise InvalidCertificate(f"more than {MAX_CODES} codes")
    return Causes(
        part1=part1,
        part2=part2,
        sex=_sex(mapping.get("sex")),
        age_days=_age(mapping.get("age")),
        manner=_word(mapping.get("manner"), "manner"),
        durations=_durations(mapping.get("durations")),
        neonatal=_word(mapping.get("form"), "form") == "NEONATAL",
        pregnancy=_box(mapping.get("pregnancy")),
    )


def given_codes(mapping: Mapping[str, Any]) -> tuple[str, ...]:
    """The codes of a mapping as written, for `answer_form`; an absent one is empty, what is no string is left out."""
    found: list[str] = []
    for name in ("part1", "part2"):
        part = mapping.get(name)
        for line in part if isinstance(part, list | tuple) else [part] if isinstance(part, str) else ():
            if line is None or (isinstance(line, str) and not line.strip()):
                continue  # a form has lines that nobody used
            for item in line if isinstance(line, list | tuple) else [line]:
                found += [code[:_LONGEST] for code in _within(item)] if isinstance(item, str) else [""] * (item is None)
    return tuple(found)


def answer_form(code: str | None, inputs: Iterable[str]) -> str | None:
    """`code` in the form of the codes that came in.

    A code that came in goes out as it was written (I48, W190, C80X). Any other loses its dot when the inputs have
    codes of four characters and none has a dot, and gets the X that fills up categories when one has it.
    """
    if code is None:
        return None
    given = [item.strip().upper().rstrip(SIGNS) for item in inputs]
    nomenclature = icd10.load()
    for item in given:
        # An extension or a sign is not echoed: the answer is an ICD-10 code of four characters at most.
        if _FOUR.fullmatch(item) and (
            item == code or (nomenclature.written(unpadded(item)) or icd10.dotted(unpadded(item))) == code
        ):
            return item
    undotted = any(len(item) > 3 for item in given) and not any("." in item for item in given)
    answer = code.replace(".", "") if undotted else code
    return padded(answer) if any(map(is_padded, given)) else answer


def padded(code: str) -> str:
    """A category of three characters filled up with an X; any other code as it is."""
    return code + _PADDING if len(code) == _CATEGORY else code


def _lines(value: Any, name: str) -> tuple[tuple[str, ...], ...]:
    if value is None:
        return ()
    if isinstance(value, str) and name == "part2":
        value = (value,)
    if not isinstance(value, list | tuple):
        raise InvalidCertificate(f"{name} is no list")
    if len(value) > (MAX_LINES if name == "part1" else MAX_CODES):
        raise InvalidCertificate(f"{name} has too many entries")
    return tuple(_line(line, name) for line in value)


def _within(text: str) -> list[str]:
    """The codes that a string holds; itself where it holds none."""
    return _WITHIN.findall(text) or [text]


def _line(value: Any, name: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, list | tuple):
        raise InvalidCertificate(f"a line of {name} is no list of codes")
    codes: list[str] = []
    for item in value:
        if item is not None and not isinstance(item, str):
            raise InvalidCertificate(f"a code of {name} is no string")
        codes += [usable(code[:_LONGEST]) for code in _within(item or "") if code.strip()]
    return tuple(codes)


def _age(value: Any) -> float | None:
    """Age in days from null, a number of years, or {"value", "unit"}."""
    unit = "YEARS"
    if isinstance(value, Mapping):
        word = value.get("unit", "YEARS")
        unit = word.upper() if isinstance(word, str) else ""
        value = value.get("value")
    if value is None:
        return None
    if unit not in _UNITS:
        raise InvalidCertificate("age has an unknown unit")
    if not _is_amount(value):
        raise InvalidCertificate("age is no positive number")
    return float(value) * _UNITS[unit]


def _is_amount(value: Any) -> bool:
    """Whether a value is a number that a float can hold, not below zero; a NaN is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(0 <= value <= _MOST)


def _sex(value: Any) -> str:
    if value is None:
        return "U"
    sex = _SEXES.get(str(value).strip().upper()) if isinstance(value, str | int) else None
    if sex is None:
        raise InvalidCertificate("sex is none of M, F, U")
    return sex


def _word(value: Any, name: str) -> str | None:
    if value is None or isinstance(value, str):
        return value.upper() if value else None
    raise InvalidCertificate(f"{name} is no word")


def _box(value: Any) -> str | None:
    """The value of the box on pregnancy; offices also number its answers."""
    return _word(str(value) if isinstance(value, int) and not isinstance(value, bool) else value, "pregnancy")


def _durations(value: Any) -> tuple[float | None, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise InvalidCertificate("durations is no list")
    for item in value:
        if item is not None and not _is_amount(item):
            raise InvalidCertificate("a duration is no positive number of days")
    return tuple(None if item is None else float(item) for item in value)
