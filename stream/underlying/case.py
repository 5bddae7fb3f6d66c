"""A certificate as the rules see it, and the trail that they leave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from stream.certificate import Sex
from stream.nomenclature import edits, icd10
from stream.underlying.causes import Causes
from stream.underlying.codes import Codes, is_code
from stream.underlying.coronavirus import read, reading
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
        pregnancy: value of the box on pregnancy; None where sex or age speak against it.
    """

    lines: tuple[tuple[Mention, ...], ...]
    part2: tuple[Mention, ...]
    everything: tuple[Mention, ...]
    manner: str | None = None
    neonatal: bool = False
    pregnancy: str | None = None

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


def usable_codes(codes: Iterable[str]) -> list[str]:
    """The codes that the rules can go by: they exist, or their category does."""
    return [code for code in codes if is_code(code) and icd10.load().label(code[:3])]


def case_of(causes: Causes) -> Case:
    """The case of a certificate; what is no code is left out."""
    in_part1, in_part2 = reading(causes)
    lines: list[tuple[Mention, ...]] = []
    for number, line in enumerate(causes.part1):
        days = causes.durations[number] if number < len(causes.durations) else None
        used = tuple(Mention(code, as_is, len(lines), days) for code, as_is in read(usable_codes(line), in_part1))
        if used:
            lines.append(used)
    part2 = tuple(Mention(code, as_is, -1) for code, as_is in read(usable_codes(causes.part2), in_part2))
    everything = (*(mention for line in lines for mention in line), *part2)
    return Case(tuple(lines), part2, everything, causes.manner, causes.neonatal, _pregnancy(causes))


def _pregnancy(causes: Causes) -> str | None:
    """The value of the box, but for one whose sex or age the edits on obstetric causes do not allow."""
    if not causes.pregnancy or causes.neonatal or edits.load().check("O95", Sex(causes.sex), causes.age_days):
        return None
    return causes.pregnancy
