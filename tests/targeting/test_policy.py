"""The targeting policy: what the office may write in it, and how each fault is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.errors import InvalidData
from stream.settings import Settings
from stream.targeting.policy import CodeRange, load

BASE = 'version: "1"\nmin_confidence: 0.8\naudit_rate: 0.02\n'


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "policy.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_packaged_policy_reads_and_lists_what_it_must() -> None:
    rules = load(Settings().policy).rules
    for code in ("O72.1", "X70", "X99", "Y83.1", "R95.9", "A82.9"):
        assert any(r.holds(code) and r.why for r in rules.mandatory_interest), code
    for code in ("R99", "R09.2", "I46.9", "Y34"):
        assert any(r.holds(code) for r in rules.ill_defined), code
    assert not any(r.holds("R95.9") for r in rules.ill_defined)
    assert 0 < rules.min_confidence < 1 and 0 < rules.audit_rate < 0.5 and rules.infant_days >= 28


def test_only_version_and_rates_are_required(tmp_path: Path) -> None:
    rules = load(written(tmp_path, BASE)).rules
    assert (rules.mandatory_interest, rules.ill_defined, rules.infant_days, rules.max_unknown_words) == ((), (), 0, 1.0)


def test_version_follows_the_content(tmp_path: Path) -> None:
    versions = []
    for number, content in enumerate([BASE, BASE, BASE + "# a comment\n"]):
        (tmp_path / str(number)).mkdir()
        versions.append(load(written(tmp_path / str(number), content)).version)
    assert versions[0] == versions[1] != versions[2]
    assert all(version.startswith("1+") for version in versions)


FAULTS = {
    "empty": ("", "policy.yaml"),
    "a list": ("- a\n- b\n", "policy.yaml"),
    "no YAML": (":\n: [", "no YAML"),
    "NUL": ("\0", "no YAML"),
    "not UTF-8": (b"version: \xff\xfe", "no YAML"),
    "no version": (BASE.replace("version", "versoin"), "version"),
    "version of a number": (BASE.replace('"1"', "1"), "version"),
    "no min_confidence": ('version: "1"\naudit_rate: 0.1\n', "min_confidence"),
    "confidence above 1": (BASE.replace("0.8", "1.2"), "min_confidence"),
    "confidence below 0": (BASE.replace("0.8", "-0.1"), "min_confidence"),
    "confidence not a number": (BASE.replace("0.8", ".nan"), "min_confidence"),
    "confidence of words": (BASE.replace("0.8", "high"), "min_confidence"),
    "no audit_rate": ('version: "1"\nmin_confidence: 0.1\n', "audit_rate"),
    "audit rate above 1": (BASE.replace("0.02", "2"), "audit_rate"),
    "negative days": (BASE + "infant_days: -1\n", "infant_days"),
    "unknown share above 1": (BASE + "max_unknown_words: 1.5\n", "max_unknown_words"),
    "unknown field": (BASE + "min_confidance: 0.5\n", "min_confidance"),
    "range of one": (BASE + "ill_defined: [{codes: [R99]}]\n", "ill_defined.0.codes.1"),
    "range of three": (BASE + "ill_defined: [{codes: [R00, R50, R99]}]\n", "ill_defined.0.codes"),
    "range in small letters": (BASE + "ill_defined: [{codes: [r00, R99]}]\n", "ill_defined.0.codes.0"),
    "range of four characters": (BASE + "ill_defined: [{codes: [R00, R99.9]}]\n", "ill_defined.0.codes.1"),
    "range backwards": (BASE + "ill_defined: [{codes: [R99, R00]}]\n", "ill_defined.0.codes"),
    "range with an unknown field": (BASE + "mandatory_interest: [{codes: [A00, A00], because: x}]\n", "because"),
    "second range at fault": (BASE + "ill_defined: [{codes: [R00, R99]}, {codes: [X, R99]}]\n", "ill_defined.1"),
    "codes of words": (BASE + "ill_defined: [{codes: all}]\n", "ill_defined.0.codes"),
}


@pytest.mark.parametrize(("content", "told"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_named(tmp_path: Path, content: str | bytes, told: str) -> None:
    with pytest.raises(InvalidData) as raised:
        load(written(tmp_path, content))
    assert "policy.yaml" in raised.value.message and told in raised.value.message


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"policy none\.yaml cannot be read: No such file"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("code", "inside"),
    [("I20.0", True), ("I25.9", True), ("I22", True), ("I19.9", False), ("I26.0", False), ("J21", False)],
)
def test_a_range_holds_its_ends(code: str, inside: bool) -> None:
    assert CodeRange(codes=("I20", "I25")).holds(code) is inside
