"""The rules of alerting as experts maintain them (`alerts.yaml`): what is judged by which method, single cases, who hears.

Whatever a rule names is checked when the file is read: groups, places, methods and their options.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from stream.certificate import Sex
from stream.errors import InvalidData
from stream.surveillance.alerts.alert import Kind, series_id
from stream.surveillance.alerts.clauses import Chosen, File, Hearing, Judge, Section
from stream.surveillance.counts import AGES, By, Places, load_places
from stream.surveillance.detection import methods
from stream.surveillance.groups import Groups
from stream.surveillance.groups import load as load_groups
from stream.surveillance.groups.near import near

FILE = Path(__file__).with_name("alerts.yaml")
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Watch:
    """One series that is judged.

    Attributes:
        section: that it stands in.
        group, place, by, age, sex: the series.
        method, otherwise: how it is judged; how, where it does not reach back far enough for that.
        least: deaths in a week under which nothing is raised.
        level: of its alerts.
        q: share of false alarms among the section's alarms; None without control.
    """

    section: str
    group: str
    place: str
    by: By
    age: str | None
    sex: Sex | None
    method: Judge
    otherwise: Judge | None
    least: int
    level: int
    q: float | None

    @property
    def name(self) -> str:
        """Of the series, in ids of alerts."""
        return series_id(self.group, self.place, self.by, self.age, self.sex)


class Rules:
    """The rules, with the groups and places that they speak of.

    Args:
        file: what it says.
        groups: syndromic groups.
        places: regions and departments.
        version: of the file, with a hash of its text.
    """

    def __init__(self, file: File, groups: Groups, places: Places, version: str) -> None:
        self.file, self.groups, self.places, self.version = file, groups, places, version
        self.levels = self._levels()

    def watches(self) -> tuple[Watch, ...]:
        """All series; one that stands in two sections is of the first."""
        found: dict[str, Watch] = {}
        for section in self.file.series:
            for watch in self._of(section):
                found.setdefault(watch.name, watch)
        return tuple(found.values())

    def watch(
        self, group: str, place: str, by: By = By.ANY, age: str | None = None, sex: Sex | None = None
    ) -> Watch:  # fmt: skip
        """A series as it is judged; as the defaults have it where it is on no list."""
        name = series_id(group, place, by, age, sex)
        listed = next((watch for watch in self.watches() if watch.name == name), None)
        file = self.file
        if listed is not None:
            return listed
        otherwise = _excluding(file.otherwise, file) if file.otherwise else None
        return Watch("", group, place, by, age, sex, _excluding(file.method, file), otherwise, file.least, 0, None)

    def hearing(self, sink: str) -> Hearing:
        """What a sink hears of."""
        return self.file.sinks.get(sink, Hearing())

    def holds(self, chosen: Chosen, kind: Kind, group: str, place: str) -> bool:
        """Whether a rule is about an alert."""
        return (
            chosen.kind in (None, kind)
            and (not chosen.groups or group in self.expanded(chosen.groups))
            and (not chosen.places or place in self.expanded_places(chosen.places))
        )

    def expanded(self, names: Sequence[str]) -> tuple[str, ...]:
        """Ids of groups: ``*`` is all of them, ``family:X`` those of a family.

        Raises:
            ValueError: there is none of that name.
        """
        found: dict[str, None] = {}
        for name in names:
            kind, _, family = name.partition(":")
            if name == "*":
                found |= dict.fromkeys(group.id for group in self.groups)
            elif kind == "family" and family in {known.id for known in self.groups.families}:
                found |= dict.fromkeys(group.id for group in self.groups if group.family == family)
            elif name in self.groups:
                found[name] = None
            else:
                alike = near(name, self.groups)
                raise ValueError(f"there is no group {name}" + (f" ({', '.join(alike)}?)" if alike else ""))
        return tuple(found)

    def expanded_places(self, names: Sequence[str]) -> tuple[str, ...]:
        """Codes of places: ``regions`` and ``departments`` are all of them. Raises as `expanded` does."""
        found: dict[str, None] = {}
        for name in names:
            if name == "regions":
                found |= dict.fromkeys(self.places.regions)
            elif name == "departments":
                found |= dict.fromkeys(self.places.departments)
            elif name == "FR" or name in self.places.regions or name in self.places.departments:
                found[name] = None
            else:
                raise ValueError(f"there is no place {name}")
        return tuple(found)

    def _of(self, section: Section) -> Iterator[Watch]:
        file = self.file
        less = set(self.expanded(section.less))
        method = _excluding(section.method or file.method, file)
        otherwise = section.otherwise or file.otherwise
        q = None if file.adjust == "none" else section.q or file.q
        for group in self.expanded(section.groups):
            if group in less:
                continue
            for place in self.expanded_places(section.places):
                for age in section.ages:
                    for sex in section.sexes:
                        yield Watch(
                            section.name, group, place, section.by, None if age == "all" else age,
                            None if sex == "all" else Sex(sex), method,
                            _excluding(otherwise, file) if otherwise else None, section.least or file.least,
                            section.level, q,
                        )  # fmt: skip

    def _levels(self) -> dict[str, int]:
        """Level of a single case by group, for those that raise one."""
        single = self.file.single
        found = {group.id: single.levels.get(group.id, group.alert) for group in self.groups}
        return {group: level for group, level in found.items() if level >= single.least}


def _excluding(judge: Judge, file: File) -> Judge:
    """A method with what all of them leave out, where it has the option and no value of its own."""
    known = methods.described()[judge.name]
    more: dict[str, str] = {}
    if file.exclude and "exclude" in known and "exclude" not in judge.options:
        more["exclude"] = ",".join(file.exclude)
    if "leastComplete" in known and "leastComplete" not in judge.options:
        more["leastComplete"] = str(file.coverage.least)
    return Judge(name=judge.name, options={**judge.options, **more}) if more else judge


@cache
def load(path: Path | None = None) -> Rules:
    """The packaged rules, or those of another file.

    Raises:
        InvalidData: it cannot be read, or says what cannot be; the message names file and line.
    """
    file = path or FILE
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidData(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidData(f"{file} is no UTF-8") from None
    return parse(text, file.name)


def parse(text: str, name: str = FILE.name) -> Rules:
    """Rules of a file's text; raises as `load` does."""
    loader = _LOADER(text)
    try:
        node = loader.get_single_node()
        data = loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise InvalidData(f"{name}:{mark.line + 1 if mark else 1}: no YAML") from None
    except yaml.YAMLError:
        raise InvalidData(f"{name}:1: no YAML") from None
    finally:
        loader.dispose()
    _no_key_twice(node, name)
    try:
        file = File.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidData(f"{name}:{_line(node, first['loc'])}: {where or 'it'}: {first['msg']}") from None
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    rules = Rules(file, load_groups(), load_places(), f"{file.version}+{digest}")
    for way, fault in _faults(rules):
        raise InvalidData(f"{name}:{_line(node, way)}: {'.'.join(map(str, way))}: {fault}")
    return rules


def _faults(rules: Rules) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What names something that is not there, and where it stands."""
    file = rules.file
    named: list[tuple[tuple[str | int, ...], Sequence[str], Sequence[str]]] = [
        (("series", i), (*section.groups, *section.less), section.places) for i, section in enumerate(file.series)
    ]
    named += [(("mute", i), rule.groups, rule.places) for i, rule in enumerate(file.mute)]
    named += [(("escalate", i), rule.groups, rule.places) for i, rule in enumerate(file.escalate)]
    named += [(("sinks", name), rule.groups, rule.places) for name, rule in file.sinks.items()]
    named += [(("single",), (*file.single.levels, *file.single.beside, *file.single.beside.values()), ())]
    for way, groups, places in named:
        try:
            rules.expanded(groups)
            rules.expanded_places(places)
        except ValueError as error:
            yield way, str(error)
    for i, section in enumerate(file.series):
        wrong = next((age for age in section.ages if age != "all" and age not in AGES), None)
        if wrong is not None:
            yield ("series", i), f"there is no age group {wrong}"
        if any(section.name == other.name for other in file.series[:i]):
            yield ("series", i), f"{section.name} stands twice"
    try:
        Judge(name="noufaily", options={"exclude": ",".join(file.exclude)})
    except ValidationError as error:
        yield ("exclude",), error.errors()[0]["msg"]


def _line(node: yaml.Node | None, way: Sequence[str | int]) -> int:
    """Line of what a way leads to, or of the last part of it that is written."""
    for part in way:
        below: Mapping[Any, yaml.Node] = {}
        if isinstance(node, yaml.MappingNode):
            below = {key.value: value for key, value in node.value}
        elif isinstance(node, yaml.SequenceNode):
            below = dict(enumerate(node.value))
        if part not in below:
            break
        node = below[part]
    return node.start_mark.line + 1 if node is not None else 1


def _no_key_twice(node: yaml.Node | None, name: str) -> None:
    """YAML lets the last of two keys win: an expert who wrote both meant both."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _no_key_twice(item, name)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise InvalidData(f"{name}:{key.start_mark.line + 1}: {key.value} stands twice")
            seen.add(key.value)
            _no_key_twice(value, name)
