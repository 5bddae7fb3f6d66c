"""From the codes of a certificate to its underlying cause, step by step."""

from __future__ import annotations

from stream.coding import Alternative, Method, Underlying
from stream.nomenclature import icd10
from stream.underlying.case import Case, Trail, case_of
from stream.underlying.causes import Causes
from stream.underlying.codes import bare
from stream.underlying.external import INJURY, external_cause, reason_for_care
from stream.underlying.modify import modified
from stream.underlying.neonatal import neonatal_cause
from stream.underlying.neoplasm import several_primaries
from stream.underlying.originating import originating_cause
from stream.underlying.sequence import Mention
from stream.underlying.tables import Tables

_ALTERNATIVES = 3


def select(causes: Causes, tables: Tables) -> Underlying:
    """The underlying cause, with its confidence and the rules that led to it; no code when nothing is usable."""
    case = case_of(causes)
    left_out = sum(map(len, causes.part1)) + len(causes.part2) - len(case.everything)
    first = (f"left out: {left_out} that are no ICD-10 codes",) if left_out else ()
    if not case.everything:
        return Underlying(code=None, confidence=0.0, steps=(*first, "no usable code"))
    trail = Trail()
    found = _by_rules(case, tables, trail)
    found = modified(found, case.everything, tables.derived, trail, "; derived")
    confidence = tables.confidence.of(trail.steps, len(case.everything))
    others = dict.fromkeys(m.written for m in reversed(trail.passed) if m.written != found.written)
    # The causes passed by share half of what is left, the last the most: no more is known of them.
    alternatives = tuple(
        Alternative(code, round((1 - confidence) / 2 ** (rank + 1), 4))
        for rank, code in enumerate([*others][:_ALTERNATIVES])
    )
    return Underlying(found.written, confidence, Method.RULES, alternatives, (*first, *trail.steps))


def tentative(causes: Causes, tables: Tables) -> tuple[Mention | None, tuple[Mention, ...]]:
    """The cause that the hand-written rules find, and all mentions: what derived rows are learned on."""
    case = case_of(causes)
    return (_by_rules(case, tables, Trail()) if case.everything else None), case.everything


def _by_rules(case: Case, tables: Tables, trail: Trail) -> Mention:
    """Steps SP1 to SP8 (P1 to P3 on the neonatal form), then M1 to M4."""
    if case.neonatal:
        start = neonatal_cause(case.lines, case.part2)
        found = trail.note(start.step, start.mention)
    else:
        found = originating_cause(case, tables, trail)
    found = modified(found, case.everything, tables.linkages, trail)
    if found.code in INJURY:
        code, step = external_cause(found, case.everything, case.manner)
        found = trail.note(step, Mention(bare(code), code, found.line))
    reason = reason_for_care(found.code, case.everything)
    if reason is not None:
        trail.note(f"M4: {found.written} was done for {reason.written}", reason)
        found = modified(reason, case.everything, tables.linkages, trail)
    suitable = _suitable(found.code, tables)
    if suitable is not None:
        written = icd10.load().written(suitable) or icd10.dotted(suitable)
        step = f"M4: {found.written} is not used for the underlying cause → {written}"
        found = trail.note(step, Mention(bare(written), written, found.line))
    several = several_primaries(found, case.everything)
    if several is not None:
        code, step = several
        found = trail.note(step, Mention(bare(code), code, found.line))
    return found


def _suitable(code: str, tables: Tables) -> str | None:
    """What takes the place of a code that is not used for the underlying cause; None for any other."""
    result = tables.unsuitable.get(code) or tables.unsuitable.get(code[:3])
    if result is None or len(result) == len(code):
        return result
    # A category stands for a category: the fourth character stays, where the other category has it (I22.8, but no I21.8).
    return next((c for c in (result + code[3:], f"{result}9") if icd10.load().valid(icd10.dotted(c))), result)
