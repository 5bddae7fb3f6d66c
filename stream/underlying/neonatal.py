"""The neonatal certificate: deaths before 28 days (WHO ICD-10 volume 2, 2016, section 4.3).

The French form asks for the sequence in Part I, the immediate cause first, as the general one does; conditions of the
mother that began it stand lowest. So the condition reported lowest counts, but for prematurity and modes of death,
which are disregarded when anything else is known (P1).
"""

from __future__ import annotations

from stream.underlying.codes import Codes
from stream.underlying.sequence import Mention, Start

#: Modes of death and prematurity, disregarded when something else is known (P1).
_MODES = Codes("P07 P20-P21 P28-P29 P95-P96 I46 I50 J96 R00-R99 !P280-P281 !P290-P294")


def neonatal_cause(lines: tuple[tuple[Mention, ...], ...], part2: tuple[Mention, ...]) -> Start:
    """The condition that began the sequence; at least one mention is needed."""
    upwards = [mention for line in reversed(lines) for mention in line]
    first = (upwards or part2)[0]
    if first.code not in _MODES:
        return Start(first, "P2", f"P2: {first.written}, reported lowest, began the sequence")
    other = next((m for m in (*upwards, *part2) if m.code not in _MODES), None)
    if other is not None:
        return Start(other, "P1", f"P1: {first.written} is a mode of death or prematurity, {other.written} counts")
    return Start(first, "P3", f"P3: {first.written} is reported lowest and nothing more definite is known")
