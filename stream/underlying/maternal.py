"""Maternal deaths by the box on pregnancy (WHO ICD-10 volume 2, 2016, 4.2.8, and the notes of chapter XV on O95 to O99).

The words of the certificate speak through `linkages.tsv` (a disease with mention of O00–O99 or Z33); this is what the box
adds. That a woman was pregnant makes no disease obstetric by itself: the box must say that the pregnancy contributed.
"""

from __future__ import annotations

from stream.underlying.case import Case, Trail
from stream.underlying.codes import Codes, bare, dot
from stream.underlying.pregnancy import Ended
from stream.underlying.sequence import Mention
from stream.underlying.tables import Tables

#: Obstetric causes that are diseases from before the pregnancy, or made worse by it (WHO's indirect obstetric deaths).
_INDIRECT = Codes("O10 O240-O243 O98-O99")
_UNSPECIFIED = Codes("O95")
_OBSTETRIC = Codes("O00-O95 O98-O99")
_MENTIONED = "Z33"
_SILENT = Codes("R00-R99 F17 Z00-Z99")
_LATE = {Ended.LATE: ("O96", "43 days to a year"), Ended.OVER_A_YEAR: ("O97", "over a year")}


def maternal_cause(found: Mention, case: Case, tables: Tables, trail: Trail) -> Mention:
    """What the box on pregnancy makes of the underlying cause."""
    box = tables.boxes.of(case.pregnancy)
    if box.contributed and found.code not in _OBSTETRIC:
        code = _contributed(found.code, tables)
        if code is not None:
            found = _noted(found, code, "the pregnancy is said to have contributed", trail)
    if (box.is_recent and box.contributed is not False) or box.contributed:
        silent = all(m.code in _SILENT or m.code in tables.ill_defined for m in case.everything)
        if silent and found.code not in _OBSTETRIC:
            found = _noted(found, "O95", "of no known cause, the box tells of a pregnancy", trail)
    if box.ended in _LATE and found.code in _OBSTETRIC:
        category, when = _LATE[box.ended]
        kind = "9" if found.code in _UNSPECIFIED else "1" if found.code in _INDIRECT else "0"
        found = _noted(found, category + kind, f"{when} after the pregnancy", trail)
    return found


def _contributed(code: str, tables: Tables) -> str | None:
    """The obstetric code of a disease, where the tables have one for the mention of a pregnancy."""
    others = {"": [_MENTIONED], "next": [], "above": [], "below": [], "beside": [_MENTIONED]}
    changes = (row.apply(code, others) for row in tables.linkages.of(code) if row.step == "M4")
    return next((change[0] for change in changes if change is not None), None)


def _noted(found: Mention, code: str, why: str, trail: Trail) -> Mention:
    return trail.note(f"maternal: {found.written}, {why} → {dot(code)}", Mention(bare(code), dot(code), found.line))
