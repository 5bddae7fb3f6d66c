"""What a page was asked to show, from its address and back to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlencode

from stream.certificate import Sex, Source
from stream.errors import InvalidSettings
from stream.surveillance.counts import AGES, By, Known, Places, Query
from stream.surveillance.dashboard.rights import Rights
from stream.surveillance.detection.series import Step
from stream.surveillance.groups import Groups

COUNTRY = "FR"
ALL_DEATHS = "all_causes"
"""The group of every death."""
SPANS = (26, 53, 105, 261)
"""Weeks that a chart may show."""
DAILY_WEEKS = 26
"""Weeks of a chart by days, at most."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A series, and how it is shown.

    Attributes:
        group: id of a group.
        place: FR, a region, a department of death.
        by: any mention, or underlying cause alone.
        age, sex, source: narrow the series; None for all.
        status: all records, or final ones alone.
        step: days or weeks.
        as_of: what was known at the end of that day; None for now.
        span: weeks that the chart shows.
        week: Monday of the week that tables and map show; None for the newest of which most is here.
    """

    group: str = ALL_DEATHS
    place: str = COUNTRY
    by: By = By.ANY
    age: str | None = None
    sex: Sex | None = None
    source: Source | None = None
    status: Known = Known.ALL
    step: Step = Step.WEEK
    as_of: date | None = None
    span: int = 53
    week: date | None = None

    @property
    def query(self) -> Query:
        """Of the counts."""
        return Query(self.group, self.by, self.place, self.age, self.sex, self.source, self.status, self.as_of)

    @property
    def crossed(self) -> bool:
        """Whether more than one thing narrows the series."""
        narrowed = (self.place != COUNTRY, self.age is not None, self.sex is not None)
        return sum(narrowed) > 1

    def within(self, rights: Rights, snapshot: date | None) -> Choice:
        """The nearest choice that these rights allow.

        Args:
            rights: of who asks.
            snapshot: newest end of a week of which something is known: what is shown without the right to small counts.
        """
        if rights.small:
            span = min(self.span, DAILY_WEEKS) if self.step is Step.DAY else self.span
            return replace(self, span=span)
        kept = replace(self, source=None, status=Known.ALL, step=Step.WEEK, as_of=snapshot)
        if kept.place != COUNTRY:
            kept = replace(kept, age=None, sex=None)
        elif kept.age is not None:
            kept = replace(kept, sex=None)
        return kept

    def but(self, **changes: Any) -> Choice:
        """The same with changes; those given as text are read as in an address."""
        return replace(self, **changes)

    def address(self, path: str, **changes: Any) -> str:
        """Address of a page that shows it."""
        chosen = replace(self, **changes)
        path = path.replace("{group}", chosen.group)
        found = {
            name: _written(getattr(chosen, name))
            for name in _NAMES
            if getattr(chosen, name) != getattr(_DEFAULT, name) and not (name == "group" and chosen.group in path)
        }
        return f"{path}?{urlencode(found)}" if found else path


_DEFAULT = Choice()
_NAMES = ("group", "place", "by", "age", "sex", "source", "status", "step", "as_of", "span", "week")


def _written(value: object) -> str:
    if isinstance(value, Step):
        return value.name.lower()
    return value.value if isinstance(value, StrEnum) else str(value)


_E = TypeVar("_E", bound=StrEnum)


def read(given: Mapping[str, str], groups: Groups, places: Places, group: str | None = None) -> Choice:
    """Choice from the parameters of an address; empty ones are as if they were absent.

    Args:
        given: the parameters.
        groups: that there are.
        places: that there are.
        group: named by the path, which wins.

    Raises:
        InvalidSettings: a value that is none of its kind.
    """
    said = {key: value for key in _NAMES if (value := given.get(key, "").strip())}
    if group is not None:
        said["group"] = group
    chosen = said.get("group", ALL_DEATHS)
    if chosen not in groups:
        raise InvalidSettings("no such group")
    place = said.get("place", COUNTRY)
    if place != COUNTRY and place not in places.regions and place not in places.departments:
        raise InvalidSettings("no such place")
    age = said.get("age")
    if age is not None and age not in AGES:
        raise InvalidSettings("no such age group")
    step = said.get("step", "week").upper()
    if step not in Step.__members__:
        raise InvalidSettings("no such step")
    span = said.get("span", str(_DEFAULT.span))
    if span not in map(str, SPANS):
        raise InvalidSettings("no such span")
    week = _day(said.get("week"))
    return Choice(
        chosen, place, _one(By, said.get("by")) or By.ANY, age, _one(Sex, said.get("sex")),
        _one(Source, said.get("source")), _one(Known, said.get("status")) or Known.ALL, Step[step],
        _day(said.get("as_of")), int(span), week - timedelta(days=week.weekday()) if week else None,
    )  # fmt: skip


def _one(kind: type[_E], text: str | None) -> _E | None:
    if text is None:
        return None
    try:
        return kind(text.upper())
    except ValueError:
        raise InvalidSettings(f"no such {kind.__name__.lower()}") from None


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise InvalidSettings("no such day") from None
    if not 1900 <= found.year <= 2200:
        raise InvalidSettings("no such day")
    return found
