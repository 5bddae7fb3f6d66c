"""The targeting policy: what the office may write in it, and how each fault is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.certificate import Form, Source
from stream.errors import InvalidData
from stream.settings import Settings
from stream.targeting import thresholds
from stream.targeting.policy import Interest, Policy, load, read

BASE = 'version: "1"\nstrata: [{name: rest, error: 0.05, audit_rate: 0.02}]\n'


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "policy.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_packaged_policy_reads_and_lists_what_it_must() -> None:
    settings = Settings()
    policy = load(settings.policy, settings.thresholds)
    for code in ("O72.1", "X70", "X99", "Y83.1", "R95.9", "A82.9", "A39.2", "A48.1", "B05.9", "U04.9"):
        assert any(entry.holds(code) and entry.why for entry in policy.rules.interest), code
    assert not any(entry.holds("I21.9") for entry in policy.rules.interest)
    assert policy.rules.infant_days >= 28 and policy.rules.capacity_per_day > 0
    assert not policy.is_rare("I21.9") and policy.is_rare("D56.1")
    assert all(not policy.stale(stratum) for stratum in policy.rules.strata), "run causa calibrate"


def test_only_version_and_strata_are_required() -> None:
    rules = read(BASE)
    assert (rules.interest, rules.edits, rules.infant_days, rules.max_unknown_words) == ((), {}, 0, 1.0)
    assert (rules.promise.confidence, rules.promise.level, rules.capacity_per_day) == (0.95, "exact", 0)


@pytest.mark.parametrize(
    ("form", "source", "age_days", "code", "stratum"),
    [
        ("NEONATAL", "PAPER", 3.0, "P07.3", "newborn"),
        ("GENERAL", "PAPER", 27.9, "P07.3", "newborn"),
        ("GENERAL", "PAPER", 28.0, "P07.3", "paper"),
        ("GENERAL", "ELECTRONIC", None, "X70", "external"),
        ("GENERAL", "PAPER", 20_000.0, "X70", "paper"),
        ("GENERAL", "ELECTRONIC", 20_000.0, "I21.9", "rest"),
        ("GENERAL", "ELECTRONIC", 20_000.0, None, "rest"),
    ],
)
def test_the_first_stratum_that_fits(form: Form, source: Source, age_days: float, code: str, stratum: str) -> None:
    rules = read(
        'version: "1"\nstrata:\n'
        "  - {name: newborn, under_days: 28, error: 0.05, audit_rate: 0.1}\n"
        "  - {name: paper, source: PAPER, error: 0.05, audit_rate: 0.1}\n"
        "  - {name: external, codes: [[V01, Y98]], error: 0.05, audit_rate: 0.1}\n"
        "  - {name: rest, error: 0.05, audit_rate: 0.02}\n"
    )
    assert rules.stratum(Form(form), Source(source), age_days, code).name == stratum


def test_thresholds_fitted_to_another_promise_are_stale() -> None:
    settings = Settings()
    policy = load(settings.policy, settings.thresholds)
    for asked in ("error: 0.04", "error: 0.05"):
        rules = read(BASE.replace("error: 0.05", asked))
        undivided = policy.thresholds.model_copy(update={"division": ""})
        changed = Policy(rules, undivided, "1+x")
        assert changed.stale(rules.strata[0]) is (asked != "error: 0.05")
    without = load(settings.policy, None)
    assert without.thresholds is thresholds.NONE and without.stale(without.rules.strata[-1])


@pytest.mark.parametrize(
    ("before", "after", "stale"),
    [
        ("[[V01, Y98]]", "[[V01, W99]]", True),
        ("name: external, ", "name: external, source: PAPER, ", True),
        ("strict: 0.5", "strict: 0.2", True),
        ("audit_rate: 0.02", "audit_rate: 0.2", False),
        ("infant_days: 1", "infant_days: 365", False),
    ],
)
def test_thresholds_fitted_to_other_strata_are_stale(before: str, after: str, stale: bool) -> None:
    text = (
        'version: "1"\nstrict: 0.5\ninfant_days: 1\nstrata:\n'
        "  - {name: external, codes: [[V01, Y98]], error: 0.05, audit_rate: 0.1}\n"
        "  - {name: rest, error: 0.05, audit_rate: 0.02}\n"
    )
    rules, changed = read(text), read(text.replace(before, after))
    one = thresholds.Threshold(
        error=0.05, confidence=0.95, level="exact", n=9,
        normal=thresholds.Found(threshold=0.9), strict=thresholds.Found(threshold=0.9),
    )  # fmt: skip
    fitted = thresholds.NONE.model_copy(update={"strata": {"external": one, "rest": one}, "division": rules.division})
    assert changed != rules and [Policy(rules, fitted, "1").stale(s) for s in rules.strata] == [False, False]
    assert [Policy(changed, fitted, "1").stale(s) for s in changed.strata] == [stale, stale]


def test_version_follows_the_content(tmp_path: Path) -> None:
    versions = []
    for number, content in enumerate([BASE, BASE, BASE + "# a comment\n"]):
        (tmp_path / str(number)).mkdir()
        versions.append(load(written(tmp_path / str(number), content), None).version)
    assert versions[0] == versions[1] != versions[2]
    assert all(version.startswith("1+") for version in versions)


STRATUM = "{name: rest, error: 0.05, audit_rate: 0.02}"
FAULTS = {
    "empty": ("", "policy.yaml"),
    "a list": ("- a\n- b\n", "policy.yaml"),
    "no YAML": (":\n: [", "no YAML"),
    "NUL": ("\0", "no YAML"),
    "not UTF-8": (b"version: \xff\xfe", "no YAML"),
    "no version": (BASE.replace("version", "versoin"), "version"),
    "version of a number": (BASE.replace('"1"', "1"), "version"),
    "no strata": ('version: "1"\n', "strata"),
    "strata of none": ('version: "1"\nstrata: []\n', "strata"),
    "no error": (BASE.replace("error: 0.05, ", ""), "strata.0.error"),
    "error of nothing": (BASE.replace("0.05", "0"), "strata.0.error"),
    "error not a number": (BASE.replace("0.05", ".nan"), "strata.0.error"),
    "no audit_rate": (BASE.replace(", audit_rate: 0.02", ""), "audit_rate"),
    "audit rate above 1": (BASE.replace("0.02", "2"), "audit_rate"),
    "no audits": (BASE.replace("0.02", "0"), "audit_rate"),
    "name in capitals": (BASE.replace("rest", "REST"), "strata.0.name"),
    "two of a name": (
        BASE.replace(STRATUM, STRATUM.replace("0.05", "0.05, source: PAPER") + ", " + STRATUM),
        "one name",
    ),
    "nothing left over": (BASE.replace("0.05", "0.05, form: NEONATAL"), "no condition"),
    "two without condition": (BASE.replace(STRATUM, STRATUM.replace("rest", "all") + ", " + STRATUM), "no condition"),
    "unknown form": (BASE.replace("0.05", "0.05, form: LONG"), "strata.0.form"),
    "stratum backwards": (BASE.replace("0.05", "0.05, codes: [[R99, R00]]"), "strata.0.codes"),
    "certainty": (BASE + "promise: {confidence: 1.0}\n", "promise.confidence"),
    "level of two": (BASE + "promise: {level: two}\n", "promise.level"),
    "negative days": (BASE + "infant_days: -1\n", "infant_days"),
    "unknown share above 1": (BASE + "max_unknown_words: 1.5\n", "max_unknown_words"),
    "unknown field": (BASE + "min_confidence: 0.5\n", "min_confidence"),
    "severity unknown": (BASE + "edits: {SEX_MALE: refuse}\n", "edits.SEX_MALE"),
    "range of one": (BASE + "interest: [{codes: [R99], why: x}]\n", "interest.0.codes.1"),
    "range in small letters": (BASE + "interest: [{codes: [r00, R99], why: x}]\n", "interest.0.codes.0"),
    "range of two kinds": (BASE + "interest: [{codes: [R00, R99.9], why: x}]\n", "interest.0.codes"),
    "range of five characters": (BASE + "interest: [{codes: [R99.91, R99.91], why: x}]\n", "interest.0.codes.0"),
    "stratum of four characters": (BASE.replace("0.05", "0.05, codes: [[A04.3, A04.3]]"), "strata.0.codes.0.0"),
    "age of nothing": (BASE + "interest: [{codes: [R99, R99], why: x, under_days: 0}]\n", "interest.0.under_days"),
    "range backwards": (BASE + "interest: [{codes: [R99, R00], why: x}]\n", "interest.0.codes"),
    "range without why": (BASE + "interest: [{codes: [R00, R99]}]\n", "interest.0.why"),
    "alert of ten": (BASE + "interest: [{codes: [A00, A00], why: x, alert: 10}]\n", "interest.0.alert"),
    "an edit that is not there": (BASE + "edits: {SEX_MAEL: reject}\n", "no edit SEX_MAEL"),
    "confidence below a half": (BASE + "promise: {confidence: 0.4}\n", "promise.confidence"),
    "a list told twice": (BASE + "interest: [{codes: [A00, A00], why: x}]\ninterest: []\n", "policy.yaml:4: interest"),
    "a field of a stratum told twice": (BASE.replace("0.05", "0.05, error: 0.5"), "policy.yaml:2: error is told twice"),
    "a list for a name": (BASE + "? [a, b]\n: c\n", "no YAML"),
    "second range at fault": (
        BASE + "interest: [{codes: [R00, R99], why: x}, {codes: [X, R99], why: x}]\n",
        "interest.1",
    ),
}


@pytest.mark.parametrize(("content", "told"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_named(tmp_path: Path, content: str | bytes, told: str) -> None:
    with pytest.raises(InvalidData) as raised:
        load(written(tmp_path, content), None)
    assert "policy.yaml" in raised.value.message and told in raised.value.message


def test_off_needs_no_quotes() -> None:
    assert read(BASE + "edits: {SEX_MALE: off, SEX_FEMALE: 'off'}\n").edits == {"SEX_MALE": "off", "SEX_FEMALE": "off"}


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"policy none\.yaml cannot be read: No such file"):
        load(tmp_path / "none.yaml", None)


@pytest.mark.parametrize(
    ("code", "inside"),
    [("I20.0", True), ("I25.9", True), ("I22", True), ("I19.9", False), ("I26.0", False), ("J21", False)],
)
def test_a_range_holds_its_ends(code: str, inside: bool) -> None:
    assert Interest(codes=("I20", "I25"), why="x").holds(code) is inside


@pytest.mark.parametrize(
    ("code", "inside"), [("U07.2", False), ("U07.3", True), ("U07.9", True), ("U07", False), ("U08.9", False)]
)
def test_a_range_of_codes_holds_its_ends(code: str, inside: bool) -> None:
    assert Interest(codes=("U07.3", "U07.9"), why="x").holds(code) is inside


@pytest.mark.parametrize(("age_days", "meant"), [(364.9, True), (365.0, False), (None, False)])
def test_an_age_that_is_not_known_is_not_under_a_limit(age_days: float | None, meant: bool) -> None:
    assert Interest(codes=("R99", "R99"), why="x", under_days=365).of_age(age_days) is meant
    assert Interest(codes=("R99", "R99"), why="x").of_age(age_days)
