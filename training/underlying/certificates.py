"""Certificates as codes with their official underlying cause, and how they are kept apart.

The 80,000 certificates of 2017 are split once and for all by the CRC-32 of the row number: 80 % train, 10 % dev, 10 %
test. Tables and networks learn from train alone; dev serves to choose and to calibrate; test is scored once. The
certificates written for this project (`training.written`) have splits of their own.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stream.nomenclature import icd10
from stream.underlying import Causes

Split = Literal["train", "dev", "test"]
FILE = "us2017_certificates_train.tsv.gz"
TENTHS: dict[str, tuple[int, int]] = {"train": (0, 7), "dev": (8, 8), "test": (9, 9)}
_UNKNOWN_AGE, _FIVE_YEARS = 52, 28


@dataclass(frozen=True, slots=True)
class Coded:
    """One certificate as codes, with its official underlying cause."""

    causes: Causes
    answer: str

    @property
    def size(self) -> int:
        """Number of codes."""
        return sum(map(len, self.causes.part1)) + len(self.causes.part2)


def certificates(data: Path, split: Split) -> list[Coded]:
    """The certificates of a split."""
    lowest, highest = TENTHS[split]
    written = icd10.load().written
    found = []
    with gzip.open(data / FILE, "rt", encoding="ascii") as rows:
        next(rows)
        for number, row in enumerate(rows):
            if not lowest <= zlib.crc32(str(number).encode()) % 10 <= highest:
                continue
            sex, age, *lines, part2, answer = row.rstrip("\n").split("\t")
            codes = [tuple(written(code) or icd10.dotted(code) for code in line.split()) for line in (*lines, part2)]
            causes = Causes(tuple(codes[:-1]), codes[-1], sex, _age_days(int(age)))
            found.append(Coded(causes, written(answer) or icd10.dotted(answer)))
    return found


def folds(items: Sequence[Coded], number: int) -> list[tuple[list[Coded], list[Coded]]]:
    """(the rest, the fold) for each of `number` folds, by place."""
    return [
        ([item for i, item in enumerate(items) if i % number != fold], list(items[fold::number]))
        for fold in range(number)
    ]


def _age_days(recode: int) -> float | None:
    """Middle of an age group of the NCHS 52-group recode."""
    if recode == _UNKNOWN_AGE:
        return None
    years = 12 + 5 * (recode - _FIVE_YEARS) if recode >= _FIVE_YEARS else max(0, recode - 22)
    return years * 365.25
