"""Certificates written for training by physicians' hands, each mention with its code where it stands in the text.

`training/written/*.txt` holds one certificate a block, blocks apart by a blank line:

    # F 84 EHPAD NATURAL                  sex, age (84 years, 5m months, 3d days, 6h hours), place, manner box or -
    1 {OAP|J81} sur {FA rapide|I48.9} ;; qq heures      lines 1 to 4 of Part I, behind ;; the interval
    P {HTA|I10}, {DT2|E11.9}              Part II
    U I48.9                               underlying cause

One wording may have several codes, blanks between. Everything was invented for this project; no patient is meant. One
certificate in five, drawn by a hash of its text, is kept out of training: the `dev` part tunes and calibrates.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stream.errors import InvalidData
from stream.nomenclature import icd10

FOLDER = Path(__file__).with_name("written")
DEV = 5
"""One certificate in this many is for development."""

Part = Literal["train", "dev"]

_HEAD = re.compile(r"# ([FM]) (\d+)([mdh]?) (HOME|HOSPITAL|EHPAD|PUBLIC_ROAD|OTHER) ([A-Z]+|-)")
_SPAN = re.compile(r"\{([^{}|]+)\|([^{}|]+)\}")
_UNITS = {"": "YEARS", "m": "MONTHS", "d": "DAYS", "h": "HOURS"}


@dataclass(frozen=True, slots=True)
class WrittenLine:
    """A raw line with its mentions: (first character, end, codes), in text order."""

    text: str
    mentions: tuple[tuple[int, int, tuple[str, ...]], ...]
    interval: str | None = None

    @property
    def codes(self) -> list[str]:
        """All codes, in text order."""
        return [code for _, _, codes in self.mentions for code in codes]


@dataclass(frozen=True, slots=True)
class Written:
    """A certificate as its block says it; `manner` is empty where the box was left blank."""

    id: str
    sex: str
    age: tuple[int, str]
    place: str
    manner: str
    part1: tuple[WrittenLine, ...]
    part2: tuple[WrittenLine, ...]
    underlying: str
    part: Part

    @property
    def lines(self) -> tuple[WrittenLine, ...]:
        """Part I, then Part II."""
        return self.part1 + self.part2

    def record(self) -> dict[str, Any]:
        """The certificate in its JSON form."""
        place = {"EHPAD": "NURSING_HOME"}.get(self.place, self.place)
        found: dict[str, Any] = {
            "certificate_id": self.id, "sex": self.sex, "age": {"value": self.age[0], "unit": self.age[1]},
            "place": {"kind": place}, "part1": [_json(line) for line in self.part1],
        }  # fmt: skip
        if self.part2:
            found["part2"] = [_json(line) for line in self.part2]
        if self.manner:
            found["manner"] = self.manner
        return found

    def gold(self) -> dict[str, Any]:
        """`record` with its gold, as `causa evaluate` takes it."""
        gold: dict[str, Any] = {"part1": [line.codes for line in self.part1]}
        if self.part2:
            gold["part2"] = [line.codes for line in self.part2]
        return self.record() | {"gold": gold | {"underlying": self.underlying}}


def _json(line: WrittenLine) -> Any:
    return {"text": line.text, "interval": line.interval} if line.interval else line.text


def read(path: Path) -> Iterator[Written]:
    """Certificates of one file.

    Raises:
        InvalidData: with file and certificate: a head, a line or a code that cannot be read.
    """
    nomenclature = icd10.load()
    blocks = re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip())
    for number, block in enumerate(blocks, start=1):
        where = f"{path.name}: certificate {number}"
        head, *rows = block.split("\n")
        match = _HEAD.fullmatch(head.strip())
        if not match:
            raise InvalidData(f"{where}: head")
        parts: dict[str, list[WrittenLine]] = {"1": [], "P": []}
        underlying = ""
        for row in rows:
            kind, text = row[:2].strip(), row[2:].strip()
            if kind == "U":
                underlying = text
            elif kind in ("1", "2", "3", "4", "P"):
                parts["P" if kind == "P" else "1"].append(_line(text, where))
            else:
                raise InvalidData(f"{where}: a line of no known kind")
        codes = [underlying, *(c for lines in parts.values() for line in lines for c in line.codes)]
        wrong = [code for code in codes if not nomenclature.valid(code)]
        if not parts["1"] or not all(line.text.strip() for lines in parts.values() for line in lines):
            raise InvalidData(f"{where}: a line without text, or no Part I")
        if wrong:
            raise InvalidData(f"{where}: {len(wrong)} codes that the nomenclature lacks, or no underlying cause")
        sex, age, unit, place, manner = match.groups()
        part: Part = "dev" if zlib.crc32(block.encode()) % DEV == 0 else "train"
        yield Written(f"{path.stem}-{number:04}", sex, (int(age), _UNITS[unit]), place, manner.strip("-"),
                      tuple(parts["1"]), tuple(parts["P"]), underlying, part)  # fmt: skip


def _line(raw: str, where: str) -> WrittenLine:
    marked, _, interval = f" {raw}".partition(" ;; ")
    marked = marked[1:]
    text, at = "", 0
    mentions = []
    for match in _SPAN.finditer(marked):
        text += marked[at : match.start()]
        if not match[1].strip() or not match[2].strip():
            raise InvalidData(f"{where}: a mention without words or without code")
        mentions.append((len(text), len(text) + len(match[1]), tuple(match[2].split())))
        text, at = text + match[1], match.end()
    text += marked[at:]
    if set("{}|") & set(text):
        raise InvalidData(f"{where}: braces")
    return WrittenLine(text, tuple(mentions), interval.strip() or None)


def load(part: Part, folder: Path = FOLDER) -> Sequence[Written]:
    """All certificates of one part, files in their order."""
    return [w for path in sorted(folder.glob("*.txt")) for w in read(path) if w.part == part]
