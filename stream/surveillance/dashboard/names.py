"""Names of what the pages show, in their language."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from stream.surveillance.counts import UNPLACED, By, Places
from stream.surveillance.dashboard.choice import COUNTRY, Choice
from stream.surveillance.dashboard.curve import Point
from stream.surveillance.dashboard.notices import Notice
from stream.surveillance.groups import Groups
from stream.web.language import Texts


class Names:
    """Names in one language; places have theirs in French alone."""

    def __init__(self, groups: Groups, places: Places, t: Texts) -> None:
        self._groups, self._places, self._t = groups, places, t

    def group(self, group: str) -> str:
        """Of a group; its id where the tables have it no more."""
        return self._groups[group].name(self._t.language) if group in self._groups else group

    def definition(self, group: str) -> str:
        """What it counts."""
        found = self._groups[group]
        return found.dit if self._t.language == "fr" else found.says

    def place(self, place: str) -> str:
        """Of the country, a region, a department (with its number)."""
        if place == UNPLACED:
            return self._t("dashboard.place.unknown")
        name = self._places.name(place)
        return f"{name} ({place})" if place in self._places.departments else name

    def region(self, department: str) -> str:
        """Of the region that a department lies in; empty where it lies in none."""
        region = self._places.region(department)
        return self._places.name(region) if region else ""

    def age(self, age: str) -> str:
        """Of an age group."""
        return (
            self._t("dashboard.age.unknown")
            if age == "unknown"
            else self._t("dashboard.age.years", ages=age.replace("-", "–"))
        )

    def part(self, by: str, key: str) -> str:
        """Of a row of a table."""
        return self.age(key) if by == "age" else self._t(f"dashboard.sex.{key}") if by == "sex" else self.place(key)

    def places(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """All places for a list to choose from: regions, then departments, each with its name."""
        regions = [(code, region.name) for code, region in self._places.regions.items()]
        departments = [(code, f"{code} {department.name}") for code, department in self._places.departments.items()]
        return [(self._t("dashboard.place.regions"), regions), (self._t("dashboard.place.departments"), departments)]

    def series(self, choice: Choice) -> str:
        """Of a series: its group, place and what narrows it."""
        parts = [self.group(choice.group), self.place(choice.place)]
        if choice.age is not None:
            parts.append(self.age(choice.age))
        if choice.sex is not None:
            parts.append(self._t(f"dashboard.sex.{choice.sex}"))
        if choice.by is By.UNDERLYING:
            parts.append(self._t("dashboard.by.UNDERLYING"))
        if choice.source is not None:
            parts.append(self._t(f"dashboard.source.{choice.source}"))
        return " · ".join(parts)

    def week(self, monday: date) -> str:
        """A week, short: 2026-W47, or 2026-S47."""
        iso = monday.isocalendar()
        return self._t("dashboard.week.short", year=str(iso.year), week=f"{iso.week:02}")

    def span(self, first: date, last: date) -> str:
        """Days from one to another, short: the year once."""
        t = self._t
        if first == last:
            return t.day(first)
        begins = t.day(first)
        return f"{begins[:-5] if first.year == last.year else begins} – {t.day(last)}"

    def percent_more(self, excess: float | None) -> str:
        """An excess with its sign."""
        if excess is None:
            return "–"
        whole = round(100 * excess) / 100
        return ("+" if whole > 0 else "") + self._t.percent(whole + 0.0)

    def some(self, value: float | None) -> str:
        """A figure that may be small: a digit more below ten."""
        if value is None:
            return "–"
        return self._t.number(value, 0) if value >= 9.95 else self._t.number(round(value, 1))

    def chance(self, p: float) -> str:
        """A p value."""
        if p < 0.0001:
            return f"p < {self._t.number(0.0001, 4)}"
        return f"p = {self._t.number(p, 4 if p < 0.001 else 3 if p < 0.1 else 2)}"

    def alerted(self, notices: Iterable[Notice]) -> dict[str, list[str]]:
        """Departments in alert, or in a region in alert, with the names of the groups."""
        found: dict[str, list[str]] = {}
        for notice in notices:
            if notice.place == COUNTRY:
                continue
            for department in self._places.within(notice.place):
                names = found.setdefault(department, [])
                if (name := self.group(notice.group)) not in names:
                    names.append(name)
        return found

    def tile(self, department: str, point: Point) -> str:
        """A square in words."""
        t, name = self._t, self.place(department)
        if point.hidden:
            return f"{name}{t('dashboard.colon')} {t('dashboard.hidden.cell')}"
        if point.level is None:
            return f"{name}{t('dashboard.colon')} {t('dashboard.gap')}"
        told = t("dashboard.point.count", count=round(point.level))
        if point.expected is not None:
            told += f", {t('dashboard.point.expected', expected=round(point.expected))}"
        return f"{name}{t('dashboard.colon')} {told}"
