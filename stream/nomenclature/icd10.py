"""The nomenclature: which ICD-10 codes exist, their French labels, and the form in which Causa writes them.

Source: CIM-10 labels of ATIH as distributed by edsnlp (BSD-3-Clause), cut at the fourth character; the table is
`cim10.tsv`, built by `training/nomenclature.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from stream.errors import InvalidData

TABLE = Path(__file__).with_name("cim10.tsv")
_SHAPE = re.compile(r"[A-Z]\d\d(\.\d)?")

#: Chapters of ICD-10 by their first and last category (WHO ICD-10, volume 1).
CHAPTERS: tuple[tuple[str, str, str, str], ...] = (
    ("I", "A00", "B99", "Maladies infectieuses et parasitaires"),
    ("II", "C00", "D48", "Tumeurs"),
    ("III", "D50", "D89", "Sang et immunité"),
    ("IV", "E00", "E90", "Endocrinologie, nutrition, métabolisme"),
    ("V", "F00", "F99", "Troubles mentaux"),
    ("VI", "G00", "G99", "Système nerveux"),
    ("VII", "H00", "H59", "Œil"),
    ("VIII", "H60", "H95", "Oreille"),
    ("IX", "I00", "I99", "Appareil circulatoire"),
    ("X", "J00", "J99", "Appareil respiratoire"),
    ("XI", "K00", "K93", "Appareil digestif"),
    ("XII", "L00", "L99", "Peau"),
    ("XIII", "M00", "M99", "Système ostéo-articulaire"),
    ("XIV", "N00", "N99", "Appareil génito-urinaire"),
    ("XV", "O00", "O99", "Grossesse et accouchement"),
    ("XVI", "P00", "P96", "Période périnatale"),
    ("XVII", "Q00", "Q99", "Malformations congénitales"),
    ("XVIII", "R00", "R99", "Symptômes et causes mal définies"),
    ("XIX", "S00", "T98", "Lésions et intoxications"),
    ("XX", "V01", "Y98", "Causes externes"),
    ("XXI", "Z00", "Z99", "Facteurs influant sur la santé"),
    ("XXII", "U00", "U99", "Codes d'utilisation particulière"),
)


def place_of_occurrence(category: str) -> bool:
    """Whether the fourth character of a category only says where it happened (W00–Y34, but X59, Y06 and Y07).

    Mortality coding makes it optional (WHO ICD-10, volume 1, chapter XX); Causa writes three characters there.
    """
    return "W00" <= category <= "Y34" and category not in ("X59", "Y06", "Y07")


def dotted(code: str) -> str:
    """Code with its dot, in capitals: ``i219`` → ``I21.9``; what is no code comes back stripped."""
    bare = code.strip().upper().replace(".", "")
    return f"{bare[:3]}.{bare[3:]}" if len(bare) > 3 else bare


class Nomenclature:
    """Codes and labels.

    Args:
        labels: label of each code, dotted; categories (three characters) are there too.
        version: what identifies the table in results.
    """

    def __init__(self, labels: Mapping[str, str], version: str) -> None:
        self._labels = dict(labels)
        self._divided = {code[:3] for code in labels if len(code) > 3}
        self.version = version

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Iterator[str]:
        """Codes as Causa writes them."""
        return (code for code in self._labels if self.valid(code))

    def valid(self, code: str) -> bool:
        """Whether `code` is written as Causa writes codes: it exists and is as long as its category demands."""
        if code not in self._labels:
            return False
        if place_of_occurrence(code[:3]):
            return len(code) == 3
        return len(code) > 3 or code not in self._divided

    def label(self, code: str) -> str:
        """French label; empty for an unknown code."""
        return self._labels.get(code, "")

    def written(self, code: str) -> str | None:
        """`code` as Causa writes it, or None when no such code exists.

        Extensions beyond the fourth character are cut, a place of occurrence dropped, and a bare category that has
        fourth characters gets its unspecified one (``.9``) where there is one.
        """
        code = dotted(code)[:5]
        if not _SHAPE.fullmatch(code):
            return None
        if place_of_occurrence(code[:3]):
            return code[:3] if code[:3] in self._labels else None
        if self.valid(code):
            return code
        if len(code) == 3 and f"{code}.9" in self._labels:
            return f"{code}.9"
        if len(code) == 5 and code[:3] in self._labels and code[:3] not in self._divided:
            return code[:3]
        return None


def chapter(code: str) -> str:
    """Roman number of the chapter; empty when the code lies in none."""
    category = code[:3]
    for number, first, last, _ in CHAPTERS:
        if first <= category <= last:
            return number
    return ""


@cache
def load(path: Path = TABLE) -> Nomenclature:
    """The packaged nomenclature.

    Raises:
        InvalidData: a row that is no code and label.
    """
    text = path.read_text(encoding="utf-8")
    labels: dict[str, str] = {}
    for number, row in enumerate(text.splitlines()[1:], start=2):
        code, _, label = row.partition("\t")
        if not _SHAPE.fullmatch(code) or not label:
            raise InvalidData(f"{path.name}:{number}: not a code and a label")
        labels[code] = label
    return Nomenclature(labels, "cim10-" + hashlib.blake2b(text.encode(), digest_size=4).hexdigest())
