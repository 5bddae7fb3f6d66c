"""The neonatal certificate: deaths before 28 days (WHO ICD-10 volume 2, 2016, section 4.3, rules P1 to P4).

Its lines are (a) main disease of the infant, (b) others of the infant, (c) main disease of the mother, (d) others of
the mother. The underlying cause is the main disease of the infant.
"""

from __future__ import annotations

from stream.underlying.codes import Codes
from stream.underlying.sequence import Mention, Start

#: Modes of death and prematurity, disregarded when something else is known (P1).
_MODES = Codes("P07 P20-P21 P28-P29 P95-P96 I46 I50 J96 R00-R99 !P280-P281 !P290-P294")


def neonatal_cause(lines: tuple[tuple[Mention, ...], ...], part2: tuple[Mention, ...]) -> Start:
    """The main disease of the infant; at least one mention is needed."""
    everything = [mention for line in lines for mention in line] + list(part2)
    first = everything[0]
    if first.code not in _MODES:
        return Start(first, "P2", f"P2: {first.written} is the main condition of the infant")
    other = next((m for m in everything if m.code not in _MODES), None)
    if other is not None:
        return Start(other, "P1", f"P1: {first.written} is a mode of death or prematurity, {other.written} counts")
    return Start(first, "P3", f"P3: {first.written} comes first and nothing more definite is known")
