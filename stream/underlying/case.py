"""A certificate as the rules see it, and the trail that they leave."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from stream.nomenclature import icd10
from stream.underlying.causes import Causes
from stream.underlying.codes import Codes, bare, is_code
from stream.underlying.sequence import Mention


@dataclass(frozen=True, slots=True)
class Case:
    """The mentions of a certificate.

    Attributes:
        lines: used lines of Part I from the top.
        part2: mentions of Part II.
        everything: all of them, Part I first.
        manner: manner of death as stated.
        neonatal: whether the neonatal form was used.
    """

    lines: tuple[tuple[Mention, ...], ...]
    part2: tuple[Mention, ...]
    everything: tuple[Mention, ...]
    manner: str | None = None
    neonatal: bool = False

    def without(self, codes: Codes) -> Case:
        """The same without the mentions of some conditions."""
        kept = (tuple(m for m in line if m.code not in codes) for line in self.lines)
        return replace(
            self,
            lines=tuple(line for line in kept if line),
            part2=tuple(m for m in self.part2 if m.code not in codes),
            everything=tuple(m for m in self.everything if m.code not in codes),
        )


@dataclass(slots=True)
class Trail:
    """What the rules did, in order, and the causes that they passed by."""

    steps: list[str] = field(default_factory=list)
    passed: list[Mention] = field(default_factory=list)

    def note(self, step: str, cause: Mention) -> Mention:
        """Records a step and the cause that it led to, and gives the cause back."""
        self.steps.append(step)
        self.passed.append(cause)
        return cause


def _usable(code: str) -> bool:
    """Whether the rules can go by a code: it exists, or its category does."""
    return is_code(code) and bool(icd10.load().label(code[:3]))


def case_of(causes: Causes) -> Case:
    """The case of a certificate; what is no code is left out."""
    lines: list[tuple[Mention, ...]] = []
    for number, line in enumerate(causes.part1):
        days = causes.durations[number] if number < len(causes.durations) else None
        used = tuple(Mention(bare(code), code, len(lines), days) for code in line if _usable(code))
        if used:
            lines.append(used)
    part2 = tuple(Mention(bare(code), code, -1) for code in causes.part2 if _usable(code))
    everything = (*(mention for line in lines for mention in line), *part2)
    return Case(tuple(lines), part2, everything, causes.manner, causes.neonatal)
