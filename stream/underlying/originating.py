"""Steps SP6 to SP8: from the starting point of the sequence to the originating cause (volume 2, 2016, 4.2.1)."""

from __future__ import annotations

from stream.underlying.case import Case, Trail
from stream.underlying.codes import Codes
from stream.underlying.faults import asterisks
from stream.underlying.sequence import Mention, starting_point, younger
from stream.underlying.tables import Tables

_ROUNDS = 8
#: Use of tobacco and what only describes a patient (chapter XXI) explain, they do not kill by themselves.
_HABITS = Codes("F17 Z00-Z99")
#: No causes at all: they neither begin a sequence nor break one (chapter XXI, volume 2, 2016, 4.2.4).
_DESCRIPTIONS = Codes("Z00-Z99")
_UNKNOWN = Codes("R96-R99")


def originating_cause(case: Case, tables: Tables, trail: Trail) -> Mention:
    """The originating cause, selected again without the conditions that SP7 and SP8 disregard."""
    in_part1 = any(m.code in _DESCRIPTIONS for line in case.lines for m in line)
    if in_part1 and any(m.code not in _DESCRIPTIONS for m in case.everything):
        case = case.without(_DESCRIPTIONS)
    for _ in range(_ROUNDS):
        start = starting_point(case.lines, case.part2, tables.causal)
        found = trail.note(start.step, start.mention)
        found = obvious_cause(found, case, tables, trail)
        disregarded = _disregarded(
            found, case, tables, reported_as_cause=start.rule in ("SP3", "SP4") and found is start.mention
        )
        if disregarded is None:
            break
        name, why, limit = disregarded
        trail.note(f"{name}: {found.written} is {why}, the other conditions count", found)
        case = case.without(limit)
    return found


def obvious_cause(found: Mention, case: Case, tables: Tables, trail: Trail, step: str = "SP6") -> Mention:
    """SP6, and M3 where it is looked for again: a condition that obviously led to the tentative cause takes its place."""
    seen = {found.code}
    for _ in range(_ROUNDS):
        better = next(
            (
                m
                for causes in tables.obvious.causes(found.code)
                for m in case.everything
                # What is reported as due to the condition, or began later, cannot be its obvious cause.
                if m.code in causes and m.code not in seen and not 0 <= m.line < found.line and not younger(m, found)
            ),
            None,
        )
        if better is None:
            break
        found = trail.note(f"{step}: {found.written} is an obvious consequence of {better.written}", better)
        seen.add(found.code)
    return found


def _disregarded(
    found: Mention, case: Case, tables: Tables, *, reported_as_cause: bool
) -> tuple[str, str, Codes] | None:
    """(step, why, conditions that no longer count) when SP7 or SP8 sets the starting point aside.

    A trivial condition that is reported to have caused another one is not set aside (volume 2, 2016, 4.2.1, SP8);
    a habit is, whatever it caused.
    """
    ill_defined, trivial = tables.ill_defined, tables.trivial
    # Manifestations (volume 2, 3.1.3) still count where another condition is modified by their mention.
    if found.code in asterisks() and any(m.code not in asterisks() for m in case.everything):
        return "SP8", "the manifestation of another disease", asterisks()
    if found.code in ill_defined:
        # Something that is neither ill-defined nor a mere habit has to remain.
        if any(m.code not in ill_defined and m.code not in _HABITS for m in case.everything):
            return "SP7", "ill-defined", ill_defined
        if found.code in _UNKNOWN and any(m.code not in _UNKNOWN and m.code not in _HABITS for m in case.everything):
            return "SP7", "an unknown cause", _UNKNOWN
    elif (
        found.code in trivial
        and not (reported_as_cause and found.code not in _HABITS)
        and any(m.code not in trivial and m.code not in ill_defined for m in case.everything)
    ):
        return "SP8", "trivial", trivial
    return None
