"""A syndromic group: the deaths that one series counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stream.certificate import Sex
from stream.surveillance.groups.codes import Codes


class Takes(StrEnum):
    """Which deaths within its limits a group takes.

    CODES: those with its codes; EVERY: all of them; REST: those whose underlying cause is in no group of its family.
    """

    CODES = "CODES"
    EVERY = "EVERY"
    REST = "REST"


@dataclass(frozen=True, slots=True)
class Limits:
    """Who belongs to a group, whatever the codes; someone whose sex or age is not known lies outside a limit on it.

    Attributes:
        sex: this sex alone; None for both and unknown.
        from_days: least age in days.
        under_days: age in days that is too old.
        told: the limits of age as they are written ("from 65 years"); empty without any.
    """

    sex: Sex | None = None
    from_days: int | None = None
    under_days: int | None = None
    told: tuple[str, ...] = ()

    def holds(self, sex: Sex, age_days: float | None) -> bool:
        """Whether someone lies within."""
        if self.sex not in (None, sex):
            return False
        if self.from_days is None and self.under_days is None:
            return True
        if age_days is None:
            return False
        return age_days >= (self.from_days or 0) and (self.under_days is None or age_days < self.under_days)


@dataclass(frozen=True, slots=True)
class Change:
    """What a version of the tables changed in a group."""

    version: str
    what: str


@dataclass(frozen=True, slots=True)
class Family:
    """Groups that stand together in lists."""

    id: str
    en: str
    fr: str


@dataclass(frozen=True, slots=True)
class Group:
    """One group.

    A death is *due to* the group by its underlying cause, and the group is *mentioned* by any code of the certificate,
    the underlying cause among them. It belongs to the group by either.

    Attributes:
        id: stable; series, rules and alerts name it.
        family: id of its family.
        en: English name.
        fr: French name.
        says: short definition in English.
        dit: the same in French.
        source: where the choice of codes comes from.
        since: version of the tables that brought it.
        takes: which deaths, within the limits.
        underlying: codes of the underlying cause; None where none counts.
        any: codes of any mention; None where a mention does not count.
        having: of each of these, a code must stand on the certificate too.
        limits: of sex and age.
        alert: how much one such death presses, 1 to 9 as in the targeting policy; 0: single deaths raise no alert.
        flag: flag of the coded record that puts a certificate into the group; empty for none.
        changes: what later versions changed.
    """

    id: str
    family: str
    en: str
    fr: str
    says: str
    dit: str
    source: str
    since: str
    takes: Takes = Takes.CODES
    underlying: Codes | None = None
    any: Codes | None = None
    having: tuple[Codes, ...] = ()
    limits: Limits = Limits()
    alert: int = 0
    flag: str = ""
    changes: tuple[Change, ...] = ()

    def name(self, language: str) -> str:
        """Its name in a language, ``fr`` or ``en``."""
        return self.fr if language == "fr" else self.en
