"""Which groups a coded certificate belongs to.

Groups are bits of a number: a code brings the bits of the groups that it speaks for, a person those whose limits hold.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from stream.certificate import Form, Sex
from stream.coding import CodedCertificate, CodedStatus
from stream.errors import InvalidSettings
from stream.nomenclature.icd10 import Nomenclature
from stream.surveillance.groups.group import Family, Group, Takes
from stream.surveillance.groups.near import near

NEONATAL_DAYS = 27.0
"""Age in days that the neonatal form tells where no other age is known: its oldest."""
_MEMORY = 50_000


@dataclass(frozen=True, slots=True)
class Membership:
    """Groups of a certificate, by id: those it is due to, and those that it mentions (or that one of its flags names)."""

    due: frozenset[str]
    mentioned: frozenset[str]


_Bits = tuple[int, int, int]
"""What a code says: the groups that it puts a death into as underlying cause, by mention; the conditions that it meets."""
_NOTHING: _Bits = (0, 0, 0)


class Groups:
    """All groups, and what belongs to them. Pure: one certificate has one answer.

    Args:
        groups: each id once.
        families: in the order of lists.
        nomenclature: which codes exist.
        version: what identifies the tables in counts and alerts.
    """

    def __init__(
        self, groups: tuple[Group, ...], families: tuple[Family, ...], nomenclature: Nomenclature, version: str
    ) -> None:
        self.groups = groups
        self.families = families
        self.version = version
        self._by_id = {group.id: group for group in groups}
        self._nomenclature = nomenclature
        self._bit = {group.id: 1 << place for place, group in enumerate(groups)}
        self._every = sum(self._bit[group.id] for group in groups if group.takes is Takes.EVERY)
        self._flags: dict[str, int] = {}
        for group in groups:
            if group.flag:
                self._flags[group.flag] = self._flags.get(group.flag, 0) | self._bit[group.id]
        # A group with conditions needs all of these bits of conditions.
        self._needs: list[tuple[int, int]] = []
        self._codes = self._of_codes(sorted(nomenclature))
        self._asking = sum(bit for bit, _ in self._needs)
        self._rest = tuple((self._bit[g.id], self._family(g.family)) for g in groups if g.takes is Takes.REST)
        ages = {age for g in groups for age in (g.limits.from_days, g.limits.under_days) if age is not None}
        self._ages = sorted(ages)
        # By sex: groups of an unknown age, then those of each stretch of ages between two limits.
        self._within = {sex: [self._limits(sex, age) for age in (None, 0.0, *map(float, self._ages))] for sex in Sex}
        self._ids = lru_cache(_MEMORY)(self._names)  # its memory is this object's own: two sets of tables may be held

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[Group]:
        return iter(self.groups)

    def __contains__(self, group: object) -> bool:
        return group in self._by_id

    def __getitem__(self, group: str) -> Group:
        return self._by_id[group]

    def named(self, group: str) -> Group:
        """One by its id, as a person wrote it.

        Raises:
            InvalidSettings: there is none; the hint names those that are written alike.
        """
        found = self._by_id.get(group)
        if found is None:
            alike = near(group, self.groups)
            told = f"{', '.join(alike)}? " if alike else ""
            raise InvalidSettings(f"there is no group {group}", hint=f"{told}causa groups lists them")
        return found

    def of(self, coded: CodedCertificate) -> frozenset[str]:
        """Ids of all groups of a certificate; none where it is withdrawn."""
        due, mentioned = self._match(coded)
        return self._ids(due | mentioned)

    def apart(self, coded: CodedCertificate) -> Membership:
        """The same, by underlying cause and by mention apart."""
        due, mentioned = self._match(coded)
        return Membership(self._ids(due), self._ids(mentioned))

    def of_codes(
        self,
        underlying: str | None,
        mentions: Iterable[str],
        *,
        sex: Sex = Sex.U,
        age_days: float | None = None,
        form: Form = Form.GENERAL,
        flags: Iterable[str] = (),
    ) -> Membership:
        """Groups by codes alone, however they were found.

        Args:
            underlying: underlying cause; None where there is none.
            mentions: codes of the lines; the underlying cause counts as mentioned too.
            sex: as on the certificate.
            age_days: age in days; None where it is not known.
            form: the neonatal form tells that someone of unknown age was a newborn.
            flags: of the coded record.
        """
        due, mentioned = self._bits(underlying, mentions, self._person(sex, age_days, form), flags)
        return Membership(self._ids(due), self._ids(mentioned))

    def _match(self, coded: CodedCertificate) -> tuple[int, int]:
        if coded.status is CodedStatus.WITHDRAWN:
            return 0, 0
        age = coded.age
        within = self._person(coded.sex, age.days if age is not None else None, coded.form)
        codes = [entity.code for line in coded.part1 for entity in line.entities]
        if coded.part2:
            codes += [entity.code for line in coded.part2 for entity in line.entities]
        return self._bits(coded.underlying.code, codes, within, coded.flags)

    def _bits(
        self, underlying: str | None, mentions: Iterable[str], within: int, flags: Iterable[str]
    ) -> tuple[int, int]:
        known = self._codes
        due, mentioned, conditions = (known.get(underlying) or self._said(underlying)) if underlying else _NOTHING
        for code in mentions:
            _, more, met = known.get(code) or self._said(code)
            mentioned |= more
            conditions |= met
        if self._asking & (due | mentioned):
            for bit, needed in self._needs:
                if needed & ~conditions:
                    due &= ~bit
                    mentioned &= ~bit
        for bit, family in self._rest:
            if not due & family:
                due |= bit
        for flag in flags:
            if flag in self._flags:
                mentioned |= self._flags[flag]
        return (due | self._every) & within, mentioned & within

    def _person(self, sex: Sex, age_days: float | None, form: Form) -> int:
        """Groups whose limits hold for someone."""
        if age_days is None:
            if form is not Form.NEONATAL:
                return self._within[sex][0]
            age_days = NEONATAL_DAYS
        return self._within[sex][1 + bisect_right(self._ages, age_days)]

    def _said(self, code: str) -> _Bits:
        """What a code says; other spellings of a code speak as the code that Causa writes, strangers not at all."""
        return self._codes.get(code) or self._codes.get(self._nomenclature.written(code) or "") or _NOTHING

    def _of_codes(self, ordered: list[str]) -> dict[str, _Bits]:
        due = dict.fromkeys(ordered, 0)
        mentioned, conditions = due.copy(), due.copy()
        condition = 1
        for group in self.groups:
            bit, needed = self._bit[group.id], 0
            for codes, speaking in ((group.underlying, due), (group.any, mentioned)):
                for code in codes.members(ordered) if codes else ():
                    speaking[code] |= bit
            for codes in group.having:
                for code in codes.members(ordered):
                    conditions[code] |= condition
                needed |= condition
                condition <<= 1
            if needed:
                self._needs.append((bit, needed))
        return {code: (due[code], mentioned[code], conditions[code]) for code in ordered}

    def _family(self, family: str) -> int:
        """Bits of the groups of a family that have codes."""
        return sum(self._bit[g.id] for g in self.groups if g.family == family and g.takes is Takes.CODES)

    def _limits(self, sex: Sex, age_days: float | None) -> int:
        return sum(self._bit[group.id] for group in self.groups if group.limits.holds(sex, age_days))

    def _names(self, bits: int) -> frozenset[str]:
        return frozenset(group.id for place, group in enumerate(self.groups) if bits >> place & 1)
