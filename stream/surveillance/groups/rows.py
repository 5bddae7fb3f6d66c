"""What the files of groups may say: their fields, and what each means (docs/groups.md)."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stream.certificate import Sex
from stream.surveillance.groups.codes import Codes, read
from stream.surveillance.groups.group import Change, Group, Limits, Takes

_DAYS = {"day": 1.0, "month": 30.4375, "year": 365.25}
_AGE = re.compile(r"(\d{1,3}) (day|month|year)s?")

Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=40)]
Version = Annotated[str, Field(pattern=r"^\d{4}-\d{1,3}$")]
Words = Annotated[str, Field(min_length=2, max_length=400)]
Alert = Annotated[int, Field(ge=1, le=9)]


class Strict(BaseModel):
    """Nothing is read that no field is for."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ChangeRow(Strict):
    """What a version changed in a group."""

    version: Version
    what: Words


class Row(Strict):
    """A group as a file says it; docs/groups.md tells what each field means."""

    id: Id
    en: Words
    fr: Words
    says: Words
    dit: Words
    since: Version
    source: Words | None = None
    codes: str | None = None
    underlying: str | None = None
    any: str | None = None
    less: str = Field("", alias="except")
    having: tuple[str, ...] = Field((), alias="with")
    every: bool = False
    sex: Sex | None = None
    from_age: str | None = Field(None, alias="from")
    under_age: str | None = Field(None, alias="under")
    alert: Alert | None = None
    flag: Annotated[str, Field(pattern="^[A-Z_]+(:[^:]+)?$")] | None = None
    changes: tuple[ChangeRow, ...] = ()

    @field_validator("having", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("sex")
    @classmethod
    def _known(cls, sex: Sex | None) -> Sex | None:
        if sex is Sex.U:
            raise ValueError("a limit is M or F")
        return sex

    @model_validator(mode="after")
    def _says_who(self) -> Row:
        named = self.codes or self.underlying or self.any
        if self.codes and (self.underlying or self.any):
            raise ValueError("codes stands for underlying and any: give it alone")
        if self.every and (named or self.flag):
            raise ValueError("every death, or those with some codes or a flag")
        if not (named or self.flag or self.every):
            raise ValueError("no code, no flag, and not every death")
        if (self.less or self.having) and not named:
            raise ValueError("except and with are for groups with codes")
        return self

    def limits(self) -> Limits:
        """Limits of sex and age.

        Raises:
            ValueError: no age, or none within them.
        """
        first = _days(self.from_age) if self.from_age else None
        last = _days(self.under_age) if self.under_age else None
        if first is not None and last is not None and first >= last:
            raise ValueError("no age lies within from and under")
        told = [f"from {self.from_age}"] if self.from_age else []
        told += [f"under {self.under_age}"] if self.under_age else []
        return Limits(self.sex, first, last, tuple(told))


class File(Strict):
    """A file: its groups are checked one by one, so that a fault is told with its line."""

    family: Id
    source: Words
    groups: Annotated[tuple[Any, ...], Field(min_length=1)]


class FamilyRow(Strict):
    """A family: its id names its file."""

    id: Id
    en: Words
    fr: Words


class Families(Strict):
    """The version of all files, and the families in the order of lists."""

    version: Version
    families: Annotated[tuple[FamilyRow, ...], Field(min_length=1)]


def group(row: Row, family: str, source: str) -> Group:
    """The group that a row tells.

    Raises:
        ValueError: its codes or ages are none; the message quotes them.
    """

    def codes(text: str | None) -> Codes | None:
        return read(text, row.less) if text else None

    any_ = codes(row.codes or row.any)
    # Whatever puts a certificate into the group by mention makes a death due to it as underlying cause.
    return Group(
        row.id, family, row.en, row.fr, row.says, row.dit, row.source or source, row.since,
        Takes.EVERY if row.every else Takes.CODES, codes(row.underlying) or any_, any_,
        tuple(read(text) for text in row.having), row.limits(), row.alert or 0, row.flag or "",
        tuple(Change(change.version, change.what) for change in row.changes),
    )  # fmt: skip


def _days(age: str) -> int:
    """Days of an age as ``65 years``.

    Whole days, so that 365 days, a year of them, lie outside "under 1 year" as twelve months do.
    """
    match = _AGE.fullmatch(age)
    if not match:
        raise ValueError(f"{age!r} is no age in days, months or years")
    return int(int(match[1]) * _DAYS[match[2]])
