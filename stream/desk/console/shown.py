"""A task on somebody's screen: the draft that it begins with, and what its parts are drawn from. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from stream.desk.console import screen
from stream.desk.console.hits import Person
from stream.desk.console.live import Answer
from stream.desk.drafts import Draft, DraftCode, DraftLine
from stream.desk.values import Opened


@dataclass(frozen=True, slots=True)
class Side:
    """A line of an adjudication: the codes of either opinion, and whether they differ."""

    first: tuple[str, ...]
    second: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the opinions hold other codes; their order on the line counts for nothing here."""
        return sorted(self.first) != sorted(self.second)


@dataclass(frozen=True, slots=True)
class Shown:
    """A task on somebody's screen."""

    opened: Opened
    person: Person

    @property
    def start(self) -> Draft:
        """The draft that the task begins with."""
        if len(self.opened.opinions) > 1:
            return _agreed(self.opened)
        if self.opened.proposal is not None:
            return Draft.of(self.opened.proposal)
        return screen.empty_draft(self.opened.certificate)


def fitted(draft: Draft, opened: Opened) -> Draft:
    """The draft with a line for each of the certificate's; a broken browser must not break the screen."""
    lines = opened.certificate.part1, opened.certificate.part2
    parts = [
        (*part[: len(written)], *(DraftLine(()) for _ in range(len(written) - len(part))))
        for part, written in zip((draft.part1, draft.part2), lines, strict=True)
    ]
    return replace(draft, part1=parts[0], part2=parts[1])


def parts_of(shown: Shown, draft: Draft, answer: Answer) -> dict[str, Any]:
    """What the parts of the screen that an edit changes are drawn from."""
    opened = shown.opened
    changed = opened.proposal is not None and _codes(draft) != _codes(Draft.of(opened.proposal))
    return {
        "rows": screen.rows(opened.certificate, opened.proposal, draft), "opened": opened, "draft": draft,
        "answer": answer, "chosen": draft.underlying, "changed": changed,
        "own_cause": bool(draft.underlying) and draft.underlying != (answer.cause.code or ""),
        "opinions": sides(opened), "started": any(draft.codes()),
    }  # fmt: skip


def lines_of(draft: Draft) -> tuple[tuple[DraftLine, ...], tuple[DraftLine, ...]]:
    """Its lines, without cause and reason."""
    return draft.part1, draft.part2


def _codes(draft: Draft) -> tuple[Any, ...]:
    return lines_of(draft), draft.underlying


def _agreed(opened: Opened) -> Draft:
    """What an adjudication begins with: the codes that both opinions hold on a line, and the cause where it is one."""
    both = sides(opened)
    lines = [
        DraftLine(placed(opened, row, tuple(code for code in side.first if code in side.second)))
        for row, side in enumerate(both)
    ]
    causes = {past.underlying or "" for past in opened.opinions[:2]}
    cut = len(opened.certificate.part1)
    return Draft(tuple(lines[:cut]), tuple(lines[cut:]), causes.pop() if len(causes) == 1 else "")


def anchored(draft: Draft, opened: Opened) -> Draft:
    """A draft of an older version, whose codes stand for whole lines: on their words again where the machine has the same."""
    draft = fitted(draft, opened)
    cut = len(draft.part1)
    lines = []
    for row, line in enumerate((*draft.part1, *draft.part2)):
        there_is = placed(opened, row, tuple(one.code for one in line.codes))
        codes = (
            replace(one, start=there.start, end=there.end) if one.start is None else one
            for one, there in zip(line.codes, there_is, strict=True)
        )
        lines.append(DraftLine(tuple(codes)))
    return replace(draft, part1=tuple(lines[:cut]), part2=tuple(lines[cut:]))


def placed(opened: Opened, row: int, codes: tuple[str, ...]) -> tuple[DraftCode, ...]:
    """Codes of a line, each on the words where the machine found it; on the whole line where it did not."""
    proposal = opened.proposal
    lines = (*proposal.part1, *proposal.part2) if proposal else ()
    left = list(lines[row].entities) if row < len(lines) else []
    found = []
    for code in codes:
        own = next((entity for entity in left if entity.code == code), None)
        if own is not None:
            left.remove(own)
        found.append(DraftCode(code, own.start, own.end) if own else DraftCode(code))
    return tuple(found)


def sides(opened: Opened) -> tuple[Side, ...]:
    """The lines of an adjudication; none for anything else."""
    if len(opened.opinions) < 2:
        return ()
    first, second = (past.after for past in opened.opinions[:2])
    number = len(opened.certificate.part1) + len(opened.certificate.part2)
    return tuple(Side(*(side[n] if n < len(side) else () for side in (first, second))) for n in range(number))
