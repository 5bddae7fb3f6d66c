"""The packaged groups, and what the loader refuses."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.errors import InvalidData
from stream.nomenclature import icd10, shortlist
from stream.settings import REPOSITORY
from stream.settings import load as settings
from stream.surveillance.groups import load, words
from stream.surveillance.groups.derived import FAMILY, REST
from stream.surveillance.groups.group import Takes
from stream.surveillance.groups.table import FOLDER
from stream.targeting.policy import read_file

GROUPS = load()


def test_there_are_enough_groups_each_told_in_both_languages() -> None:
    assert len([group for group in GROUPS if group.family != FAMILY]) >= 60
    families = {family.id for family in GROUPS.families}
    for group in GROUPS:
        assert group.family in families
        assert group.en and group.fr and group.says and group.dit and group.source
        assert re.fullmatch(r"\d{4}-\d+", group.since)
        assert group.takes is not Takes.CODES or group.underlying or group.any or group.flag


def test_items_of_the_shortlist_hold_what_the_shortlist_says() -> None:
    ids = {item: "esl_" + item.replace(".", "_") for item in shortlist.labels()}
    for code in icd10.load():
        item = shortlist.of(code)
        expected = REST if item == shortlist.OTHER else ids[item]
        assert {group for group in GROUPS.of_codes(code, ()).due if group.startswith("esl_")} == {expected}, code


def test_what_the_policy_calls_urgent_raises_an_alert_here_too() -> None:
    alerting = [group for group in GROUPS if group.alert]
    for interest in read_file(settings().policy).interest:
        if interest.alert >= 4:
            codes = [code for code in icd10.load() if interest.holds(code)]
            assert any(group.any and group.any.holds(code) for group in alerting for code in codes), interest.why


def test_the_version_follows_every_file(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    assert load(folder).version == GROUPS.version
    change(folder / "climate.yaml", lambda text: text.replace("Struck by lightning.", "Hit by lightning."))
    load.cache_clear()
    changed = load(folder)
    assert changed.version != GROUPS.version
    assert changed.version.partition("+")[0] == GROUPS.version.partition("+")[0]


def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "groups"
    folder.mkdir()
    for path in FOLDER.glob("*.yaml"):
        shutil.copy(path, folder)
    return folder


def change(path: Path, how: Callable[[str], str]) -> None:
    before = path.read_text(encoding="utf-8")
    after = how(before)
    assert after != before
    path.write_text(after, encoding="utf-8")


CHOLERA = "  - id: cholera\n"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("id: typhoid", "id: cholera", r"notifiable\.yaml:\d+: cholera stands twice"),
        ("codes: A00\n", "codes: A00-A0\n", r"notifiable\.yaml:4: cholera: 'A00-A0' is no range"),
        ("codes: A00\n", "codes: A10-A14\n", r"notifiable\.yaml:4: cholera: .*no code falls into A10–A14"),
        ("    codes: A00\n", "", r"notifiable\.yaml:4: cholera: .*no code, no flag"),
        ("codes: A00\n", "codes: A00\n    any: A01\n", r"cholera: .*give it alone"),
        ("codes: A00\n", "codes: A00\n    every: true\n", r"cholera: .*every death, or those with some codes"),
        ("codes: A00\n", "codes: A00\n    colour: red\n", r"notifiable\.yaml:4: cholera: colour"),
        ("codes: A00\n", "codes: A00\n    codes: A01\n", r"notifiable\.yaml:8: codes stands twice"),
        ("codes: A00\n", "codes: A00\n    from: 15\n", r"cholera: from"),
        ("codes: A00\n", "codes: A00\n    from: old age\n", r"cholera: 'old age' is no age"),
        ("codes: A00\n", "codes: A00\n    from: 2 years\n    under: 1 year\n", r"cholera: no age lies within"),
        ("codes: A00\n", "codes: A00\n    sex: U\n", r"cholera: sex: .*M or F"),
        ("    fr: Choléra\n", "", r"notifiable\.yaml:4: cholera: fr"),
        ("alert: 9", "alert: 10", r"notifiable\.yaml:4: cholera: alert"),
        ('since: "2026-1"', 'since: "2027-1"', r"cholera: version 2027-1 comes after"),
        ("family: notifiable", "family: other", r"notifiable\.yaml:1: the family of this file is notifiable"),
        (CHOLERA, "  - [\n", r"notifiable\.yaml:\d+: no YAML"),
        (CHOLERA, "  - cholera\n  - id: cholera\n", r"notifiable\.yaml:4: "),
    ],
)
def test_faults_are_told_with_file_and_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    folder = copied(tmp_path)
    change(folder / "notifiable.yaml", lambda text: text.replace(old, new, 1))
    with pytest.raises(InvalidData, match=told):
        load(folder)


def test_files_and_families_must_match(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "more.yaml").write_text("family: more\n", encoding="utf-8")
    with pytest.raises(InvalidData, match="more is a file without a family"):
        load(folder)
    with pytest.raises(InvalidData, match=r"families\.yaml cannot be read"):
        load(tmp_path)


def test_a_group_is_explained_in_both_languages() -> None:
    english = "\n".join(words.explained(GROUPS, GROUPS["bronchiolitis"], "en"))
    french = "\n".join(words.explained(GROUPS, GROUPS["bronchiolitis"], "fr"))
    assert "J21  Bronchiolite aiguë" in english and "J21  Bronchiolite aiguë" in french
    assert "under 2 years" in english and "avant 2 ans" in french
    assert "severity 9/9" in "\n".join(words.explained(GROUPS, GROUPS["cholera"], "en"))
    assert "***" not in "".join(line for group in GROUPS for line in words.explained(GROUPS, group, "fr"))


def test_the_page_has_the_tables_of_the_data() -> None:
    page = (REPOSITORY / "docs" / "groups.md").read_text(encoding="utf-8")
    assert words.tables(GROUPS) in page, "causa groups --markdown gives the tables of docs/groups.md"
