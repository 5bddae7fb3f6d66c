"""Steps SP1 to SP5: where the reported sequence starts (WHO ICD-10 volume 2, 2016, section 4.2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from stream.underlying.causal import Causal


@dataclass(frozen=True, slots=True)
class Mention:
    """One code of the certificate.

    Attributes:
        code: bare code that the tables go by.
        written: the code as Causa writes it.
        line: 0 for the highest used line of Part I; -1 for Part II.
        days: time from onset to death, where the certificate says it.
    """

    code: str
    written: str
    line: int
    days: float | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """A starting point and the step that chose it."""

    mention: Mention
    rule: str
    step: str


def starting_point(lines: tuple[tuple[Mention, ...], ...], part2: tuple[Mention, ...], causal: Causal) -> Start:
    """The starting point of the reported sequence; at least one mention is needed."""
    if not lines:
        # Nothing in Part I: Part II stands in its place (volume 2, 4.2.1, SP2).
        only = "SP1" if len(part2) == 1 else "SP2"
        why = "is the only code" if only == "SP1" else "comes first in Part II, as Part I is empty"
        return Start(part2[0], only, f"{only}: {part2[0].written} {why}")
    first = lines[0][0]
    if len(lines) == 1:
        if len(lines[0]) == 1 and not part2:
            return Start(first, "SP1", f"SP1: {first.written} is the only code")
        return Start(first, "SP2", f"SP2: {first.written} comes first on the only line used")
    lowest = lines[-1][0]
    above = [mention for line in lines[:-1] for mention in line]
    if all(caused(mention, lowest, causal) for mention in above):
        return Start(lowest, "SP3", f"SP3: {lowest.written} can explain all above it, down to {first.written}")
    chain = [first]
    for line in lines[1:]:
        cause = next((mention for mention in line if caused(chain[-1], mention, causal)), None)
        if cause is None:
            break
        chain.append(cause)
    if len(chain) > 1:
        path = " ← ".join(mention.written for mention in chain)
        return Start(chain[-1], "SP4", f"SP4: {chain[-1].written} starts the sequence {path}")
    return Start(first, "SP5", f"SP5: no sequence ends in {first.written}, the first code")


def caused(effect: Mention, cause: Mention, causal: Causal) -> bool:
    """Whether `cause` is accepted as a cause of `effect`.

    A condition that began later than another cannot have caused it.
    """
    return not younger(cause, effect) and causal.can(cause.code, effect.code)


def younger(one: Mention, other: Mention) -> bool:
    """Whether a condition is said to have begun later than another; a tenth is allowed for rounding."""
    return one.days is not None and other.days is not None and one.days * 1.1 < other.days
