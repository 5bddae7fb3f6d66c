from __future__ import annotations

import pytest

from stream.errors import InvalidData
from stream.nomenclature import icd10
from stream.settings import Settings
from stream.surveillance.alerts import rules as ruling
from stream.surveillance.counts import By
from stream.targeting.policy import read_file
from surveillance.alerts.made import SMALL, rules


def test_the_packaged_rules_name_what_is_there() -> None:
    packaged = ruling.load()
    watches = packaged.watches()
    names = [watch.name for watch in watches]
    assert len(set(names)) == len(names) > 1000
    assert packaged.version.startswith("2026-2+")
    whole = packaged.watch("all_causes", "FR")
    assert whole.section == "all-causes" and whole.method.name == "noufaily" and whole.q == 0.05
    assert whole.method.options["exclude"] == "2020-03-01:2022-06-30"
    assert whole.method.options["leastComplete"] == "0.2"
    assert (
        packaged.levels["meningococcal"] == 9 and packaged.levels["measles"] == 8 and packaged.levels["maternal"] == 6
    )
    assert "stroke" not in packaged.levels


LOWER: dict[str, str] = {}
"""Groups whose single deaths may press less in the manual queue than their alerts do, each with the reason."""


def test_the_queue_presses_at_least_as_much_as_the_alert_of_a_single_death() -> None:
    packaged, policy = ruling.load(), read_file(Settings().policy)
    codes = sorted(icd10.load())
    missing = []
    for name, level in packaged.levels.items():
        group = packaged.groups[name]
        assert not group.flag and not group.having, f"{name}: what the policy cannot say"
        age = None if group.limits.under_days is None else group.limits.under_days - 1
        for of, mention in ((group.underlying, False), (group.any, True)):
            for code in of.members(codes) if of is not None else ():
                told = [
                    entry.alert
                    for entry in policy.interest
                    if entry.holds(code) and entry.of_age(age) and (entry.mention or not mention)
                ]
                if max(told, default=0) < level and name not in LOWER:
                    missing.append(f"{name} {code}: {max(told, default=0)} in the policy, {level} in the alerts")
    assert not missing
    assert packaged.levels.keys() >= LOWER.keys() and all(LOWER.values())


def test_what_many_certificates_tell_is_no_single_case() -> None:
    assert not {"fire", "adverse_care"} & ruling.load().levels.keys()


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
