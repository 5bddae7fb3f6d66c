"""Two codings of the same certificates compared, certificate by certificate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from stream.coding import CodedStatus
from stream.nomenclature import icd10, shortlist
from stream.nomenclature.agreement import same
from stream.replay.bridge import Bridge
from stream.replay.outcome import Outcome
from stream.surveillance.groups import Groups

NO_CODE = "no code"
NO_REASON = "automatic"
UNKNOWN = "unknown"


class Change(StrEnum):
    """In what two results of a certificate differ; several may hold.

    ENTITY: codes of the lines, their places or assertions; UNDERLYING: all characters of the underlying cause; THREE:
    its category; SHORTLIST: its item of the European shortlist; ROUTE: automatic or manual; REASONS: why a person must
    look; AUDIT: whether it was drawn; STATUS; FLAGS.
    """

    ENTITY = "entity"
    UNDERLYING = "underlying"
    THREE = "underlying_three"
    SHORTLIST = "underlying_shortlist"
    ROUTE = "route"
    REASONS = "reasons"
    AUDIT = "audit"
    STATUS = "status"
    FLAGS = "flags"


IDENTICAL, FIGURES, CHANGED = "identical", "figures", "changed"
"""Nothing but moment, origin and revision differs; only versions, confidences, alternatives or steps do; a `Change`."""


def changes(before: Outcome, after: Outcome) -> frozenset[Change]:
    """In what two results differ."""
    found = {
        Change.ENTITY: before.lines != after.lines or before.part1 != after.part1,
        Change.UNDERLYING: before.underlying != after.underlying,
        Change.ROUTE: before.route != after.route,
        Change.REASONS: before.reasons != after.reasons,
        Change.AUDIT: before.audit != after.audit,
        Change.STATUS: before.status != after.status,
        Change.FLAGS: before.flags != after.flags,
    }
    if found[Change.UNDERLYING]:
        found[Change.THREE] = not same(before.underlying, after.underlying, "three")
        found[Change.SHORTLIST] = not same(before.underlying, after.underlying, "shortlist")
    return frozenset(change for change, holds in found.items() if holds)


def kind(before: Outcome, after: Outcome) -> str:
    """IDENTICAL, FIGURES or CHANGED."""
    if before.digest == after.digest:
        return IDENTICAL
    return CHANGED if changes(before, after) else FIGURES


@dataclass(frozen=True, slots=True)
class Changed:
    """A certificate version whose results differ in more than figures; ids and codes, no text."""

    certificate_id: str
    version: int
    before: Outcome
    after: Outcome
    changes: frozenset[Change]
    human: bool

    def row(self) -> dict[str, Any]:
        """Row of `changes.csv`."""
        return {
            "certificate_id": self.certificate_id, "version": self.version,
            "changes": " ".join(sorted(self.changes)),
            "underlying_before": self.before.underlying or "", "underlying_after": self.after.underlying or "",
            "route_before": self.before.route, "route_after": self.after.route,
            "reasons_before": " ".join(self.before.reasons), "reasons_after": " ".join(self.after.reasons),
            "codes_before": " | ".join(" ".join(e[0] for e in line) for line in self.before.lines),
            "codes_after": " | ".join(" ".join(e[0] for e in line) for line in self.after.lines),
            "decided_by_a_person": self.human,
        }  # fmt: skip


@dataclass
class Difference:
    """Two codings compared.

    Args:
        groups: syndromic groups, for the series.

    Attributes:
        kinds: certificates by IDENTICAL, FIGURES, CHANGED.
        changes: certificates by change.
        with_codes: certificates whose underlying cause changed, by whether their codes did too.
        by_chapter, by_reason: certificates by group of the first coding, and by change (and all of them under "all").
        transitions: certificates by underlying cause before and after, where they differ.
        chapters: certificates by chapter before and after, all of them.
        entities: codes on lines that came, and that went.
        versions: pairs of versions that spoke, by field.
        bridges: by classification, deaths in both codings.
        months: deaths by month, category and coding.
        changed: the certificates themselves.
        human: certificates whose official result is a person's: no recode touches them.
        flags_alone: certificates that differ in nothing but flags.
        conflicts: certificates whose contents differ between the two.
        only_before, only_after: results without a counterpart.
    """

    groups: Groups
    kinds: Counter[str] = field(default_factory=Counter)
    changes: Counter[Change] = field(default_factory=Counter)
    with_codes: Counter[bool] = field(default_factory=Counter)
    by_chapter: dict[str, Counter[str]] = field(default_factory=dict)
    by_reason: dict[str, Counter[str]] = field(default_factory=dict)
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    chapters: Counter[tuple[str, str]] = field(default_factory=Counter)
    entities: dict[str, Counter[str]] = field(default_factory=lambda: {"came": Counter(), "went": Counter()})
    versions: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)
    bridges: dict[str, Bridge] = field(
        default_factory=lambda: {name: Bridge() for name in ("chapter", "shortlist", "group", "mention")}
    )
    months: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    changed: list[Changed] = field(default_factory=list)
    human: int = 0
    flags_alone: int = 0
    conflicts: int = 0
    only_before: int = 0
    only_after: int = 0

    @property
    def pairs(self) -> int:
        """Certificate versions that were compared."""
        return sum(self.kinds.values())

    def add(self, certificate_id: str, version: int, before: Outcome, after: Outcome, *, human: bool = False) -> None:
        """Compare a certificate version."""
        if before.content_hash != after.content_hash:
            self.conflicts += 1
            return
        found = changes(before, after)
        self.kinds[kind(before, after)] += 1
        self.human += human
        self.changes.update(found)
        self.flags_alone += found == {Change.FLAGS}
        if Change.UNDERLYING in found:
            self.with_codes[Change.ENTITY in found] += 1
            self.transitions[before.underlying or NO_CODE, after.underlying or NO_CODE] += 1
        if Change.ENTITY in found:
            went, came = Counter(before.codes), Counter(after.codes)
            self.entities["came"].update(came - went)
            self.entities["went"].update(went - came)
        self.chapters[_chapter(before), _chapter(after)] += 1
        for name in before.reasons or (NO_REASON,):
            self._count(self.by_reason, name, found)
        self._count(self.by_chapter, _chapter(before), found)
        for name in before.versions.__dataclass_fields__:
            pair = getattr(before.versions, name), getattr(after.versions, name)
            self.versions.setdefault(name, Counter())[pair] += 1
        if found:
            self.changed.append(Changed(certificate_id, version, before, after, found, human))
        self._bridge(before, after)

    @staticmethod
    def _count(table: dict[str, Counter[str]], name: str, found: frozenset[Change]) -> None:
        row = table.setdefault(name, Counter())
        row["all"] += 1
        row[CHANGED] += bool(found)
        row.update(change.value for change in found)

    def _bridge(self, before: Outcome, after: Outcome) -> None:
        month = f"{before.death_date:%Y-%m}" if before.death_date else UNKNOWN
        both = [self._categories(one) for one in (before, after)]
        for name, bridge in self.bridges.items():
            bridge.add(both[0][name], both[1][name])
        for place, categories in enumerate(both):
            for name in ("shortlist", "group", "mention"):
                for category in categories[name]:
                    self.months.setdefault((f"{name}:{category}", month), [0, 0])[place] += 1

    def _categories(self, one: Outcome) -> dict[str, frozenset[str]]:
        if one.status == CodedStatus.WITHDRAWN:
            return dict.fromkeys(self.bridges, frozenset())
        member = self.groups.of_codes(
            one.underlying, one.codes, sex=one.sex, age_days=one.age_days, form=one.form, flags=one.flags
        )
        code = one.underlying
        return {
            "chapter": frozenset([icd10.chapter(code)]) if code else frozenset(),
            "shortlist": frozenset([shortlist.of(code)]) if code else frozenset(),
            "group": member.due, "mention": member.mentioned,
        }  # fmt: skip

    def told(self) -> Iterator[str]:
        """The findings in words."""
        whole = max(1, self.pairs)
        for name, text in (
            (IDENTICAL, "identical"), (FIGURES, "same codes and route, other figures"), (CHANGED, "changed")
        ):  # fmt: skip
            yield f"{self.kinds[name]:>9,}  {100 * self.kinds[name] / whole:5.1f} %  {text}"
        if self.flags_alone:
            yield f"{self.flags_alone:>9,}  {100 * self.flags_alone / whole:5.1f} %    in flags alone"
        for change in Change:
            yield f"{self.changes[change]:>9,}  {100 * self.changes[change] / whole:5.1f} %    {change.value}"
        for number, text in (
            (self.human, "are decided by a person: a recode leaves them alone"),
            (self.conflicts, "have other contents in the two, and are not compared"),
            (self.only_before, "are in the first alone"), (self.only_after, "are in the second alone"),
        ):  # fmt: skip
            if number:
                yield f"{number:>9,}           {text}"


def _chapter(one: Outcome) -> str:
    return (icd10.chapter(one.underlying) or NO_CODE) if one.underlying else NO_CODE
