from __future__ import annotations

import copy
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.compatibility import check, unreadable
from stream.errors import InvalidData
from stream.registry import SUBJECTS, LocalRegistry, Schema, freeze, load_schemas
from stream.settings import REPOSITORY, Settings
from stream.topics import DECLARED, declared
from stream.worker.subjects import subject_topics

FOLDER = REPOSITORY / "schemas"
SCHEMAS = load_schemas(FOLDER)


def named(node: Any) -> Iterator[dict[str, Any]]:
    """Every record and enum within a schema."""
    if isinstance(node, list):
        for branch in node:
            yield from named(branch)
    elif isinstance(node, dict):
        if node["type"] in ("record", "enum"):
            yield node
        yield from named([node.get("items"), *(field["type"] for field in node.get("fields", ()))])
        if isinstance(node["type"], dict | list):
            yield from named(node["type"])


@pytest.mark.parametrize("subject", SUBJECTS)
def test_everything_is_documented(subject: str) -> None:
    for kind in named(SCHEMAS[subject]):
        assert kind.get("doc", "").strip(), kind["name"]
        for field in kind.get("fields", ()):
            assert field.get("doc", "").strip(), f"{kind['name']}.{field['name']}"


@pytest.mark.parametrize("subject", SUBJECTS)
def test_enums_can_grow(subject: str) -> None:
    for kind in named(SCHEMAS[subject]):
        assert kind["type"] != "enum" or kind.get("default") in kind["symbols"], kind["name"]


def versions(subject: str) -> list[Schema]:
    index = json.loads((FOLDER / "registry.json").read_text())["schemas"].values()
    rows = sorted((row["version"], row["file"]) for row in index if row["subject"] == subject)
    assert [number for number, _ in rows] == list(range(1, len(rows) + 1))
    return [json.loads((FOLDER / "history" / file).read_text()) for _, file in rows]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_current_schema_is_its_newest_frozen_version(subject: str) -> None:
    assert versions(subject)[-1] == SCHEMAS[subject]
    assert LocalRegistry(FOLDER).current(subject)[1] == SCHEMAS[subject]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_frozen_versions_can_follow_one_another(subject: str) -> None:
    known = versions(subject)
    for old, new in itertools.pairwise(known):
        check(old, new)


def test_frozen_files_are_all_in_the_index() -> None:
    index = json.loads((FOLDER / "registry.json").read_text())["schemas"].values()
    assert sorted(row["file"] for row in index) == sorted(file.name for file in (FOLDER / "history").iterdir())


def test_subjects_topics_and_settings_name_the_same() -> None:
    topics = list(yaml.safe_load(DECLARED.read_text()))
    settings = Settings()
    assert sorted(SUBJECTS) == sorted(topics) == sorted(file.stem for file in FOLDER.glob("*.avsc"))
    assert sorted(SUBJECTS) == sorted(name.replace("_", "-") for name in type(settings.kafka.topics).model_fields)
    assert subject_topics(settings) == {topic.subject: topic.name for topic in declared(settings)}


def field(schema: Schema, name: str) -> dict[str, Any]:
    (found,) = [f for f in schema["fields"] if f["name"] == name]
    assert isinstance(found, dict)
    return found


def drop(name: str) -> Callable[[Schema], None]:
    return lambda schema: schema["fields"].remove(field(schema, name))


def retype(name: str, kind: Any) -> Callable[[Schema], None]:
    return lambda schema: field(schema, name).update(type=kind)


def add(**body: Any) -> Callable[[Schema], None]:
    return lambda schema: schema["fields"].append({"name": "novelty", "doc": "New.", **body})


GOOD: dict[str, Callable[[Schema], None]] = {
    "a field with a default": add(type=["null", "string"], default=None),
    "a field with a default gone": drop("form_version"),
    "other words": lambda schema: field(schema, "version").update(doc="Other words."),
    "one more symbol": lambda schema: field(schema, "sex")["type"]["symbols"].append("X"),
}
BAD: dict[str, Callable[[Schema], None]] = {
    "a field without a default": add(type="string"),
    "a needed field gone": drop("certificate_id"),
    "another type": retype("certificate_id", "int"),
    "wider, but not both ways": retype("version", "long"),
    "no more null": retype("received_at", {"type": "long", "logicalType": "timestamp-millis"}),
    "another name": lambda schema: field(schema, "certificate_id").update(name="identifier"),
    "another record": lambda schema: schema.update(name="Other"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "schemas"))


def edit(folder: Path, change: Callable[[Schema], None], subject: str = "certificates") -> None:
    path = folder / f"{subject}.avsc"
    schema = json.loads(path.read_text())
    change(schema)
    path.write_text(json.dumps(schema))


@pytest.mark.parametrize("change", GOOD.values(), ids=GOOD.keys())
def test_a_change_that_readers_can_follow_is_frozen(folder: Path, change: Callable[[Schema], None]) -> None:
    assert freeze(folder) == []
    before = (folder / "history" / "certificates.v1.avsc").read_bytes()
    edit(folder, change)
    with pytest.raises(InvalidData, match="differs from its newest frozen version") as failure:
        LocalRegistry(folder)
    assert failure.value.hint == "causa schemas freeze"
    frozen = freeze(folder)
    assert "certificates.v2.avsc" in frozen
    assert freeze(folder) == []
    assert (folder / "history" / "certificates.v1.avsc").read_bytes() == before
    registry = LocalRegistry(folder)
    assert registry.current("certificates")[0] > len(SUBJECTS)
    assert registry.by_id(1) == SCHEMAS["certificates"]


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_a_change_that_breaks_readers_is_refused(folder: Path, change: Callable[[Schema], None]) -> None:
    before = sorted((file.name, file.read_bytes()) for file in (folder / "history").iterdir())
    edit(folder, change)
    with pytest.raises(InvalidData):
        freeze(folder)
    assert sorted((file.name, file.read_bytes()) for file in (folder / "history").iterdir()) == before
    assert (folder / "registry.json").read_bytes() == (FOLDER / "registry.json").read_bytes()


def test_the_first_freeze_numbers_every_subject(folder: Path) -> None:
    shutil.rmtree(folder / "history")
    (folder / "registry.json").unlink()
    assert freeze(folder) == [f"{subject}.v1.avsc" for subject in SUBJECTS]
    assert [LocalRegistry(folder).current(subject)[0] for subject in SUBJECTS] == list(range(1, len(SUBJECTS) + 1))


def test_unreadable_says_which_fault() -> None:
    new = copy.deepcopy(SCHEMAS["coded"])
    add(type="string")(new)
    assert unreadable(SCHEMAS["coded"], SCHEMAS["coded"]) == ""
    assert unreadable(new, SCHEMAS["coded"]) == ""
    assert unreadable(SCHEMAS["coded"], new)


@pytest.mark.parametrize("text", ["", "{", None])
def test_a_schema_file_that_cannot_be_read(folder: Path, text: str | None) -> None:
    path = folder / "alerts.avsc"
    path.write_text(text) if text is not None else path.unlink()
    with pytest.raises(InvalidData, match=r"alerts\.avsc cannot be read"):
        load_schemas(folder)


def test_a_type_that_nobody_defines(folder: Path) -> None:
    edit(folder, add(type="Nowhere"))
    with pytest.raises(InvalidData, match="names the type Nowhere"):
        load_schemas(folder)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_whole_schema_defines_each_type_once_and_before_its_use(subject: str) -> None:
    names = [kind["name"] for kind in named(SCHEMAS[subject])]
    assert len(names) == len(set(names))
