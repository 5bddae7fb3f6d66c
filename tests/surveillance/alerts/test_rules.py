from __future__ import annotations

import pytest

from stream.errors import InvalidData
from stream.surveillance.alerts import rules as ruling
from stream.surveillance.counts import By
from surveillance.alerts.made import SMALL, rules


def test_the_packaged_rules_name_what_is_there() -> None:
    packaged = ruling.load()
    watches = packaged.watches()
    names = [watch.name for watch in watches]
    assert len(set(names)) == len(names) > 1000
    assert packaged.version.startswith("2026-1+")
    whole = packaged.watch("all_causes", "FR")
    assert whole.section == "all-causes" and whole.method.name == "noufaily" and whole.q == 0.05
    assert whole.method.options["exclude"] == "2020-03-01:2022-06-30"
    assert whole.method.options["leastComplete"] == "0.2"
    assert (
        packaged.levels["meningococcal"] == 9 and packaged.levels["measles"] == 8 and packaged.levels["maternal"] == 6
    )
    assert "stroke" not in packaged.levels


def test_a_series_that_is_on_no_list_is_judged_by_the_defaults() -> None:
    watch = rules().watch("stroke", "33", By.UNDERLYING, "65-74")
    assert watch.name == "stroke.33.due.65-74"
    assert (watch.section, watch.q, watch.method.name) == ("", None, "noufaily")


def test_groups_and_places_are_expanded() -> None:
    made = rules()
    assert len(made.expanded(["family:notifiable"])) == 40
    assert set(made.expanded_places(["regions", "FR"])) > {"R-75", "R-84", "FR"}
    assert len(made.expanded_places(["departments"])) >= 101


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("least: 0", "10: least"),
        ("stray: 1", "10: stray"),
        ("q: 0.2\nq: 0.3", "11: q stands twice"),
        ('exclude: ["2020-13"]', "10: exclude"),
        ("adjust: holm", "10: adjust"),
        ("mute: [{groups: [nosuch], until: 2026-01-01, why: x}]", "10: mute.0: there is no group nosuch"),
        ('mute: [{until: 2026-01-01, why: ""}]', "mute.0.why"),
        ("otherwise: {name: C2, options: {basline: 3}}", "C2 has no option basline"),
    ],
)
def test_faults_are_told_with_their_line(line: str, told: str) -> None:
    head = "\n".join(row for row in SMALL.strip().splitlines() if not row.startswith(("otherwise", "sinks", "  duty")))
    with pytest.raises(InvalidData) as fault:
        ruling.parse(f"{head}\n{line}\n")
    assert told in fault.value.message and fault.value.message.startswith("alerts.yaml:")


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("{name: a, groups: [nosuch]}", "there is no group nosuch"),
        ("{name: a, groups: [stroke], places: [R-00]}", "there is no place R-00"),
        ("{name: a, groups: [stroke], ages: [0-9]}", "there is no age group 0-9"),
        ("{name: A b, groups: [stroke]}", "name"),
        ("{name: a, groups: []}", "groups"),
        ("{name: a, groups: [stroke]}\n  - {name: a, groups: [sepsis]}", "a stands twice"),
        ("{name: a, groups: [stroke], method: {name: farington}}", "no method farington"),
    ],
)
def test_sections_name_what_is_there(section: str, told: str) -> None:
    with pytest.raises(InvalidData, match=told):
        ruling.parse(f'version: "2026-1"\nmethod: {{name: noufaily}}\nseries:\n  - {section}\n')


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "\x00"])
def test_what_is_no_rules_is_told(text: str) -> None:
    with pytest.raises(InvalidData, match=r"^alerts\.yaml:[12]: "):
        ruling.parse(text)


def test_the_version_moves_with_the_text() -> None:
    assert rules().version != rules(SMALL.replace("0.01", "0.02")).version
