"""Codes that make a poor underlying cause, by kind.

`unsuitable.tsv` holds them as ranges that experts maintain. ILL_DEFINED: symptoms, arrest, failure of breathing. IMMEDIATE:
immediate and intermediate causes, which something else brought about. NONSPECIFIC: a cause, but an unspecified one. UNLIKELY:
conditions that hardly ever kill. NOT_USED: codes that WHO does not use for the underlying cause (WHO ICD-10, volume 2, 2016).
The first three follow the quality measure and UNLIKELY the list of conditions unlikely to cause death that WHO CoDEdit uses
(volume 2, annex 7.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from stream.errors import InvalidData
from stream.underlying.codes import Codes

TABLE = Path(__file__).with_name("unsuitable.tsv")


class Kind(StrEnum):
    """Why a code makes a poor underlying cause."""

    ILL_DEFINED = "ILL_DEFINED"
    IMMEDIATE = "IMMEDIATE"
    NONSPECIFIC = "NONSPECIFIC"
    UNLIKELY = "UNLIKELY"
    NOT_USED = "NOT_USED"


@dataclass(frozen=True, slots=True)
class Unsuitable:
    """The codes of each kind, bare, and the version of the table."""

    codes: Mapping[Kind, Codes]
    version: str

    def __contains__(self, code: str) -> bool:
        return any(code in codes for codes in self.codes.values())


@cache
def load(path: Path = TABLE) -> Unsuitable:
    """The packaged table.

    Raises:
        InvalidData: a row with another number of columns, an unknown kind or what is no range of codes; a kind without
            any code.
    """
    text = path.read_text(encoding="utf-8")
    ranges: dict[Kind, list[str]] = {kind: [] for kind in Kind}
    for number, row in enumerate(text.splitlines()[1:], start=2):
        cells = row.split("\t")
        if len(cells) != 3 or cells[0] not in ranges or not cells[1].strip() or not cells[2].strip():
            raise InvalidData(f"{path.name}:{number}: a kind, ranges of codes and what they are, parted by tabs")
        try:
            Codes(cells[1])
        except InvalidData as fault:
            raise InvalidData(f"{path.name}:{number}: {fault.message}") from None
        ranges[Kind(cells[0])].append(cells[1])
    for kind, found in ranges.items():
        if not found:
            raise InvalidData(f"{path.name}: no code is {kind}")
    codes = {kind: Codes(" ".join(found)) for kind, found in ranges.items()}
    return Unsuitable(codes, "unsuitable-" + hashlib.blake2b(text.encode(), digest_size=4).hexdigest())
