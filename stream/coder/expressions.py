"""The lexicon read: expressions and the codes they stand for.

`lexicon/*.tsv` is written by nosologists: columns expression, code (several separated by blanks, main one first) and
when (a condition of `stream.coder.context`, or empty). The nomenclature's own labels are the long tail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stream.coder.context import CONDITIONS
from stream.errors import InvalidData
from stream.nomenclature import icd10

FOLDER = Path(__file__).with_name("lexicon")
HEADER = ["expression", "code", "when"]


@dataclass(frozen=True, slots=True)
class Expression:
    """One way to name a cause.

    Attributes:
        text: the words, as physicians write them.
        codes: what they are coded to, main code first.
        when: condition under which it holds; empty for the default.
        source: file and line, for the explanation of a code ("ch09:123"); "cim10" for a label.
    """

    text: str
    codes: tuple[str, ...]
    when: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All expressions, and the version that identifies them in results."""

    expressions: tuple[Expression, ...]
    version: str

    def __iter__(self) -> Iterator[Expression]:
        return iter(self.expressions)

    def __len__(self) -> int:
        return len(self.expressions)


def read_file(path: Path, nomenclature: icd10.Nomenclature) -> list[Expression]:
    """Expressions of one file.

    Raises:
        InvalidData: with file and line: wrong columns, a code that does not exist, an unknown condition, or the same
            expression twice under one condition.
    """
    try:
        rows = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InvalidData(f"{path.name}:{line}: not UTF-8") from None
    if not rows or rows[0].split("\t") != HEADER:
        raise InvalidData(f"{path.name}:1: the header must be {' '.join(HEADER)}, separated by tabs")
    found: list[Expression] = []
    seen: dict[tuple[str, str], int] = {}
    stem = path.stem.split("_")[0]
    for number, row in enumerate(rows[1:], start=2):
        cells = row.split("\t")
        if len(cells) != len(HEADER):
            raise InvalidData(f"{path.name}:{number}: {len(cells)} columns, not {len(HEADER)}")
        text, codes, when = (cell.strip() for cell in cells)
        if not text:
            raise InvalidData(f"{path.name}:{number}: empty expression")
        for code in codes.split(" "):
            if not nomenclature.valid(code):
                raise InvalidData(f"{path.name}:{number}: {code or 'no code'} is not a valid code")
        if when and when not in CONDITIONS:
            raise InvalidData(f"{path.name}:{number}: unknown condition {when}")
        if (text.lower(), when) in seen:
            raise InvalidData(f"{path.name}:{number}: already on line {seen[text.lower(), when]}")
        seen[text.lower(), when] = number
        found.append(Expression(text, tuple(codes.split(" ")), when, f"{stem}:{number}"))
    return found


@cache
def load(folder: Path = FOLDER) -> Lexicon:
    """The packaged lexicon.

    Raises:
        InvalidData: see `read_file`.
    """
    nomenclature = icd10.load()
    digest = hashlib.blake2b(digest_size=4)
    expressions: list[Expression] = []
    for path in sorted(folder.glob("ch*.tsv")):
        digest.update(path.read_bytes())
        expressions += read_file(path, nomenclature)
    return Lexicon(tuple(expressions), f"lexicon-{digest.hexdigest()}")


def labels(nomenclature: icd10.Nomenclature) -> Iterator[Expression]:
    """The nomenclature's labels as expressions, without their ", sans précision" endings.

    Chapter XXI (Z) is left out: its codes are no causes of death (WHO ICD-10, volume 2, 4.1).
    """
    for code in nomenclature:
        label = nomenclature.label(code)
        if code[0] != "Z" and not label.startswith("Autres") and len(label) <= 90:
            yield Expression(label.removesuffix(", sans précision"), (code,), "", "cim10")
