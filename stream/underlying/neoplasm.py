"""Malignant neoplasms of several primary sites (WHO ICD-10 volume 2, 2016, section 4.2.6, malignant neoplasms).

Two independent primaries, neither reported as due to the other, give C97, or the code for overlapping or unspecified
sites of their system when both lie in one.
"""

from __future__ import annotations

from collections.abc import Sequence

from stream.underlying.codes import Codes
from stream.underlying.sequence import Mention

PRIMARY = Codes("C00-C75 C81-C96")
_BLOOD = Codes("C81-C96")

#: Codes of neighbouring sites taken together, before the systems.
_JOINED: tuple[tuple[Codes, Codes, str], ...] = (
    (Codes("C15"), Codes("C16"), "C16.0"),
    (Codes("C18"), Codes("C19-C20"), "C19"),
    (Codes("C19-C20"), Codes("C21"), "C21.8"),
)
#: Systems within which several sites give one code.
_SYSTEMS: tuple[tuple[Codes, str], ...] = (
    (Codes("C15-C26"), "C26.9"),
    (Codes("C30-C39"), "C39.9"),
    (Codes("C51-C58"), "C57.9"),
    (Codes("C64-C68"), "C68.9"),
)


def several_primaries(found: Mention, everything: Sequence[Mention]) -> tuple[str, str] | None:
    """(code for several sites, step) when another primary stands beside `found`; None otherwise."""
    if found.code not in PRIMARY:
        return None
    others = [m for m in everything if m.code in PRIMARY and m.code[:3] != found.code[:3] and _beside(found, m)]
    if found.code in _BLOOD:
        others = [m for m in others if m.code not in _BLOOD]
    if not others:
        return None
    other = others[0]
    code = _together(found.code, other.code) if len({m.code[:3] for m in others}) == 1 else "C97"
    if code == "":
        return None
    return code, f"M4: {found.written} and {other.written} are independent primary neoplasms → {code}"


def _beside(found: Mention, other: Mention) -> bool:
    """Same part, and not above: what stands above is reported as due to `found`."""
    return other.line < 0 if found.line < 0 else other.line >= found.line


def _together(first: str, second: str) -> str:
    """Code of two sites; empty when one only specifies the other."""
    for one, two, code in _JOINED:
        if (first in one and second in two) or (first in two and second in one):
            return code
    for system, code in _SYSTEMS:
        if first in system and second in system:
            # The unspecified site of the system adds nothing to the other.
            return "" if code.replace(".", "")[:3] in (first[:3], second[:3]) or "C55" in (first, second) else code
    return "C97"
