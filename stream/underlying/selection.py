"""From the codes of a certificate to its underlying cause by rules alone, step by step."""

from __future__ import annotations

from stream.coding import Alternative, Method, Underlying
from stream.nomenclature import icd10
from stream.underlying.case import Case, Trail, case_of, usable_codes
from stream.underlying.causes import Causes
from stream.underlying.codes import bare
from stream.underlying.external import EXTERNAL, INJURY, external_cause, reason_for_care
from stream.underlying.maternal import maternal_cause
from stream.underlying.modify import modified
from stream.underlying.neonatal import neonatal_cause
from stream.underlying.neoplasm import several_primaries
from stream.underlying.originating import obvious_cause, originating_cause
from stream.underlying.sequelae import is_past
from stream.underlying.sequence import Mention
from stream.underlying.tables import Tables

_ALTERNATIVES = 3
_ROUNDS = 8
UNKNOWN_CAUSE = "R99"
UNKNOWN_CHANCE = 0.5
"""A certificate without codes says nothing: neither are its causes unknown for sure, nor is anything else likelier."""


def select(causes: Causes, tables: Tables) -> Underlying:
    """The underlying cause, with its confidence and the rules that led to it; no code when nothing is usable."""
    case = case_of(causes)
    if not case.everything:
        return nothing(causes)
    trail = Trail()
    return answer(causes, case, by_rules(case, tables, trail), trail, tables)


def nothing(causes: Causes) -> Underlying:
    """The answer where no code is usable: an unknown cause, but where words were read and none of them understood."""
    if causes.from_text:
        return Underlying(code=None, confidence=0.0, steps=("no usable code",))
    steps = (*_left_out(causes), f"no usable code → {UNKNOWN_CAUSE}")
    return Underlying(UNKNOWN_CAUSE, UNKNOWN_CHANCE, steps=steps)


def answer(causes: Causes, case: Case, found: Mention, trail: Trail, tables: Tables) -> Underlying:
    """What the rules found, with how often they are right on such a path, and the causes that they passed by."""
    confidence = tables.confidence.of(trail.steps, len(case.everything))
    others = dict.fromkeys(m.written for m in reversed(trail.passed) if m.written != found.written)
    # The causes passed by share half of what is left, the last the most: no more is known of them.
    alternatives = tuple(
        Alternative(code, round((1 - confidence) / 2 ** (rank + 1), 4))
        for rank, code in enumerate([*others][:_ALTERNATIVES])
    )
    steps = (*_left_out(causes), *trail.steps)
    return Underlying(found.written, confidence, Method.RULES, alternatives, steps)


def _left_out(causes: Causes) -> tuple[str, ...]:
    left_out = sum(len(line) - len(usable_codes(line)) for line in (*causes.part1, causes.part2))
    return (f"left out: {left_out} that are no ICD-10 codes",) if left_out else ()


def tentative(causes: Causes, tables: Tables) -> tuple[Mention | None, tuple[Mention, ...]]:
    """The cause that the hand-written rules find, and all mentions: what derived rows are learned on."""
    case = case_of(causes)
    if not case.everything:
        return None, ()
    trail = Trail()
    return _settled(_originating(case, tables, trail), case, tables, trail), case.everything


def by_rules(case: Case, tables: Tables, trail: Trail) -> Mention:
    """Steps SP1 to SP8 (P1 to P3 on the neonatal form), then what `outcome` does."""
    return outcome(_originating(case, tables, trail), case, tables, trail)


def outcome(start: Mention, case: Case, tables: Tables, trail: Trail | None = None) -> Mention:
    """What becomes of a mention as the originating cause: steps M1 to M4, what certificates proved, what boxes and intervals state."""
    trail = trail or Trail()
    found = modified(_settled(start, case, tables, trail), case.everything, tables.derived, trail, "; derived")
    return as_stated(found, case, tables, trail)


def as_stated(found: Mention, case: Case, tables: Tables, trail: Trail) -> Mention:
    """What boxes and intervals make of an underlying cause, whoever selected it; the main injury is told."""
    past = is_past(found.code, case.everything)
    if case.pregnancy:
        found = maternal_cause(found, case, tables, trail)
    told = tables.intents.told(found.written, case.manner) if case.manner and found.code in EXTERNAL else None
    if told is not None:
        code, step = told
        if code == found.written:
            trail.steps.append(step)
        else:
            found = trail.note(step, Mention(bare(code), code, found.line))
    sequela = tables.sequelae.of(found.code) if past else None
    if sequela is not None:
        step = f"sequelae: {found.written} began a year or more before the death → {sequela}"
        found = trail.note(step, Mention(bare(sequela), sequela, found.line))
    main = tables.injuries.main(case.everything) if found.code in EXTERNAL else None
    if main is not None:
        trail.steps.append(main)
    return found


def _originating(case: Case, tables: Tables, trail: Trail) -> Mention:
    if case.neonatal:
        start = neonatal_cause(case.lines, case.part2)
        return trail.note(start.step, start.mention)
    return originating_cause(case, tables, trail)


def _settled(found: Mention, case: Case, tables: Tables, trail: Trail) -> Mention:
    """Steps M1 to M4."""
    found = _modified(found, case, tables, trail)
    if found.code in INJURY:
        code, step = external_cause(found, case.everything, case.manner, tables.intents)
        found = trail.note(step, Mention(bare(code), code, found.line))
    reason = reason_for_care(found.code, case.everything)
    if reason is not None:
        trail.note(f"M4: {found.written} was done for {reason.written}", reason)
        found = _modified(reason, case, tables, trail)
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


def _modified(found: Mention, case: Case, tables: Tables, trail: Trail) -> Mention:
    """Steps M1 and M2, and M3: what they changed may be the obvious consequence of another condition (SP6)."""
    for _ in range(_ROUNDS):
        start, found = found, modified(found, case.everything, tables.linkages, trail)
        if case.neonatal or found.code == start.code:
            break
        start, found = found, obvious_cause(found, case, tables, trail, "M3")
        if found is start:
            break
    return found


def _suitable(code: str, tables: Tables) -> str | None:
    """What takes the place of a code that is not used for the underlying cause; None for any other."""
    result = tables.unsuitable.get(code) or tables.unsuitable.get(code[:3])
    if result is None or len(result) == len(code):
        return result
    # A category stands for a category: the fourth character stays, where the other category has it (I22.8, but no I21.8).
    return next((c for c in (result + code[3:], f"{result}9") if icd10.load().valid(icd10.dotted(c))), result)
