"""What the edits look at: one coded certificate seen whole, and the register of checks on it.

A check is a pure function of the facts that answers whether its edit is broken; ``@check("ID")`` enters it under the id
that `edits.tsv` gives a severity and a message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stream.certificate import Certificate
from stream.coding import CodedLine, Entity, Underlying
from stream.underlying.codes import bare


@dataclass(frozen=True, slots=True)
class Facts:
    """A coded certificate.

    Attributes:
        certificate: what was written, its texts plain.
        part1, part2: its lines, coded.
        cause: the underlying cause.
        entities: every coded entity, Part I first.
        mentions: their codes, bare (``I219``), in that order.
        underlying: bare code of the underlying cause; empty where there is none.
        age_days: age at death in days; None where unknown.
    """

    certificate: Certificate
    part1: tuple[CodedLine, ...]
    part2: tuple[CodedLine, ...]
    cause: Underlying
    entities: tuple[Entity, ...]
    mentions: tuple[str, ...]
    underlying: str
    age_days: float | None


def facts(
    certificate: Certificate, part1: tuple[CodedLine, ...], part2: tuple[CodedLine, ...], cause: Underlying
) -> Facts:
    """The facts of a certificate."""
    entities = tuple(entity for line in (*part1, *part2) for entity in line.entities)
    mentions = tuple(bare(entity.code) for entity in entities)
    return Facts(
        certificate, part1, part2, cause, entities, mentions, bare(cause.code or ""), certificate.age_days
    )  # fmt: skip


Check = Callable[[Facts], bool]
CHECKS: dict[str, Check] = {}


def check(edit: str) -> Callable[[Check], Check]:
    """Enter a function under the id of its edit."""

    def enter(function: Check) -> Check:
        assert edit not in CHECKS, edit
        CHECKS[edit] = function
        return function

    return enter
