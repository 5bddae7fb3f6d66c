"""Edits on a whole coded certificate: what cannot be, what is unlikely, and what a coder could do better.

Two levels, asked as one. The edits of the nomenclature (`stream/nomenclature/edits.tsv`) hold the underlying cause against
sex and age; those of `edits.tsv` here hold the certificate against itself. Each has an id, a severity (reject: a person must
look; warn: it is told, no more) and a message in French and English, which a person may change; what each of ours checks is
a function registered under its id (`conflicts.py`, `statements.py`). They follow the checks of WHO CoDEdit (format, sex, age,
neonatal, unlikely and unsuitable causes) and add those on the French form. docs/edits.md tells them all.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stream.certificate import Certificate
from stream.coding import CodedLine, Underlying
from stream.errors import InvalidData
from stream.nomenclature import edits as codes
from stream.targeting.edits import conflicts, facts, statements, unsuitable

TABLE = Path(__file__).with_name("edits.tsv")
_COLUMNS = ("id", "severity", "fr", "en")
_ID = re.compile(r"[A-Z][A-Z0-9_]*")
_MODULES = (conflicts, statements)
"""Imported so that their checks are entered."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: a stable id, "reject" or "warn", and a message in French and in English."""

    id: str
    severity: str
    fr: str
    en: str


class Edits:
    """All edits, with the version that identifies their tables.

    Args:
        edits: those on the certificate; each id has a check.
        of_codes: those on the underlying cause.
        version: hash of the tables.
    """

    def __init__(self, edits: tuple[Edit, ...], of_codes: codes.Edits, version: str) -> None:
        self._own = tuple((edit, facts.CHECKS[edit.id]) for edit in edits)
        self._codes = of_codes
        self._told = {edit: Edit(edit.id, edit.severity, edit.fr, edit.en) for edit in of_codes.edits}
        self.edits = (*dict.fromkeys(self._told.values()), *edits)
        self._severities = {edit.id: edit.severity for edit in self.edits}
        self.version = version

    def severity(self, edit: str) -> str:
        """Severity of an id; an edit that is no longer there, as an old record may name, is a warn."""
        return self._severities.get(edit, "warn")

    def check(
        self, certificate: Certificate, part1: tuple[CodedLine, ...], part2: tuple[CodedLine, ...], cause: Underlying
    ) -> tuple[Edit, ...]:
        """Edits that a coded certificate breaks, those of the nomenclature first, each id once.

        Args:
            certificate: what was written, its texts plain; no VOID.
            part1: coded lines of Part I.
            part2: coded lines of Part II.
            cause: the underlying cause.
        """
        found: dict[str, Edit] = {}
        if cause.code:
            for broken in self._codes.check(cause.code, certificate.sex, certificate.age_days):
                found.setdefault(broken.id, self._told[broken])
        seen = facts.facts(certificate, part1, part2, cause)
        for edit, breaks in self._own:
            if breaks(seen):
                found[edit.id] = edit
        return tuple(found.values())


@cache
def load(path: Path = TABLE) -> Edits:
    """The packaged edits.

    Raises:
        InvalidData: a row that is no edit, an id told twice, a row without a check or a check without a row.
    """
    text = path.read_text(encoding="utf-8")
    of_codes = codes.load()
    taken = {edit.id for edit in of_codes.edits}
    edits: list[Edit] = []
    for number, row in enumerate(text.splitlines()[1:], start=2):
        edit = _edit(row, f"{path.name}:{number}")
        if edit.id in taken:
            raise InvalidData(f"{path.name}:{number}: {edit.id} is told twice")
        taken.add(edit.id)
        edits.append(edit)
    unruled = sorted(set(facts.CHECKS) - taken)
    if unruled:
        raise InvalidData(f"{path.name}: no row for {', '.join(unruled)}")
    tables = f"{text}\n{of_codes.version}\n{unsuitable.load().version}"
    version = "edits-" + hashlib.blake2b(tables.encode(), digest_size=4).hexdigest()
    return Edits(tuple(edits), of_codes, version)


def _edit(row: str, where: str) -> Edit:
    cells = row.split("\t")
    if len(cells) != len(_COLUMNS) or not all(cell.strip() for cell in cells):
        raise InvalidData(f"{where}: {', '.join(_COLUMNS)} are wanted, parted by tabs")
    edit = Edit(*cells)
    if not _ID.fullmatch(edit.id) or edit.id not in facts.CHECKS:
        raise InvalidData(f"{where}: no check has this id")
    if edit.severity not in codes.SEVERITIES:
        raise InvalidData(f"{where}: severity is reject or warn")
    return edit
