"""Steps M1 and M2: linkages and specificity, repeated until none applies (volume 2, 2016, 4.2.3 to 4.2.5)."""

from __future__ import annotations

from collections.abc import Sequence

from stream.underlying.case import Trail
from stream.underlying.codes import dot
from stream.underlying.linkages import Linkages
from stream.underlying.sequence import Mention

_ROUNDS = 8


def modified(
    found: Mention, everything: Sequence[Mention], linkages: Linkages, trail: Trail, note: str = ""
) -> Mention:
    """What a tentative cause becomes; each code is taken on once, so that rows cannot go round in circles."""
    seen = {found.code}
    for _ in range(_ROUNDS):
        rows = linkages.of(found.code)
        if not rows:
            break
        others = _places(found, everything)
        for row in rows:
            change = row.apply(found.code, others)
            if change is not None and change[0] not in seen:
                break
        else:
            break
        code, witness = change
        there = next((m for m in everything if m.code == code), None)
        written = there.written if there else dot(code)
        mention = next(m.written for m in everything if m.code == witness)
        step = f"{row.step}: {found.written} with mention of {mention} → {written}{note}"
        # The place of the condition that was selected decides what stands above it, whatever its code becomes.
        found = trail.note(step, Mention(code, written, found.line))
        seen.add(code)
    return found


def _places(found: Mention, everything: Sequence[Mention]) -> dict[str, list[str]]:
    """Codes of the other mentions by where they stand to `found`."""
    others = [m for m in everything if m.code != found.code]
    return {
        "": [m.code for m in others],
        "next": [m.code for m in others if 0 <= m.line == found.line - 1],
        "above": [m.code for m in others if 0 <= m.line < found.line],
        "below": [m.code for m in others if m.line > found.line >= 0],
        "beside": [m.code for m in others if not 0 <= m.line < found.line],
    }
