"""The groups as experts maintain them: `families.yaml`, one YAML file for each family, and the European shortlist.

The version of the tables, with a hash of all that they are made from, stands beside every count and alert.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from stream.errors import InvalidData
from stream.nomenclature import icd10, shortlist
from stream.surveillance.groups import derived, rows
from stream.surveillance.groups.codes import faults
from stream.surveillance.groups.group import Family, Group
from stream.surveillance.groups.matcher import Groups

FOLDER = Path(__file__).parent
FAMILIES = "families.yaml"
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is

_T = TypeVar("_T", bound=BaseModel)


@cache
def load(folder: Path = FOLDER) -> Groups:
    """The packaged groups, or those of another folder.

    Raises:
        InvalidData: a file is missing, no YAML, or says what cannot be; the message names file and line.
    """
    nomenclature = icd10.load()
    ordered = sorted(nomenclature)
    text = _text(folder / FAMILIES)
    data, _ = _yaml(text, FAMILIES)
    said = _checked(rows.Families, data, f"{FAMILIES}:1")
    files = {path.stem for path in folder.glob("*.yaml")} - {Path(FAMILIES).stem}
    stray = sorted(files ^ ({family.id for family in said.families} - {derived.FAMILY}))
    if stray:
        raise InvalidData(f"{FAMILIES}:1: {stray[0]} is a file without a family, or a family without a file")
    parts = [text, nomenclature.version, _text(shortlist.TABLE), _text(derived.NAMES)]
    groups: dict[str, Group] = {}
    for family in said.families:
        if family.id == derived.FAMILY:
            groups |= {group.id: group for group in derived.groups()}
            continue
        name = f"{family.id}.yaml"
        parts.append(_text(folder / name))
        for group, where in _read(parts[-1], name, family.id):
            if group.id in groups:
                raise InvalidData(f"{where}: {group.id} stands twice")
            _possible(group, where, said.version, nomenclature, ordered)
            groups[group.id] = group
    digest = hashlib.blake2b("\n".join(parts).encode(), digest_size=4).hexdigest()
    families = tuple(Family(family.id, family.en, family.fr) for family in said.families)
    return Groups(tuple(groups.values()), families, nomenclature, f"{said.version}+{digest}")


def _read(text: str, name: str, family: str) -> Iterator[tuple[Group, str]]:
    """Groups of a file, each with where it stands."""
    data, lines = _yaml(text, name)
    file = _checked(rows.File, data, f"{name}:1")
    if file.family != family:
        raise InvalidData(f"{name}:1: the family of this file is {family}")
    for row, line in zip(file.groups, lines, strict=True):
        where = f"{name}:{line}"
        said = _checked(rows.Row, row, where)
        try:
            yield rows.group(said, family, file.source), where
        except ValueError as error:
            raise InvalidData(f"{where}: {said.id}: {error}") from None


def _possible(group: Group, where: str, version: str, nomenclature: icd10.Nomenclature, ordered: Sequence[str]) -> None:
    """Raises: InvalidData."""
    late = [v for v in (group.since, *(change.version for change in group.changes)) if _number(v) > _number(version)]
    if late:
        raise InvalidData(f"{where}: {group.id}: version {late[0]} comes after that of {FAMILIES}, {version}")
    for codes in dict.fromkeys((group.underlying, group.any, *group.having)):
        wrong = faults(codes, nomenclature, ordered) if codes else []
        if wrong:
            raise InvalidData(f"{where}: {group.id}: {'; '.join(wrong)}")


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split("-")))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidData(f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidData(f"{path.name} is no UTF-8") from None


def _yaml(text: str, name: str) -> tuple[Any, list[int]]:
    """What a file says, and the lines on which the items of its list `groups` begin."""
    loader = _LOADER(text)
    try:
        node = loader.get_single_node()
        _no_key_twice(node, name)
        data = loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise InvalidData(f"{name}:{mark.line + 1 if mark else 1}: no YAML") from None
    except yaml.YAMLError:
        raise InvalidData(f"{name}:1: no YAML") from None
    finally:
        loader.dispose()
    fields = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    listed = fields.get("groups")
    items = listed.value if isinstance(listed, yaml.SequenceNode) else []
    return data, [item.start_mark.line + 1 for item in items]


def _no_key_twice(node: yaml.Node | None, name: str) -> None:
    """YAML lets the last of two keys win: an expert who wrote both meant both."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _no_key_twice(item, name)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                raise InvalidData(f"{name}:{key.start_mark.line + 1}: {key.value} stands twice in one group")
            seen.add(key.value)
            _no_key_twice(value, name)


def _checked(model: type[_T], data: Any, where: str) -> _T:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors())
        name = data.get("id") if isinstance(data, dict) else None
        raise InvalidData(f"{where}: {f'{name}: ' if name else ''}{told}") from None
