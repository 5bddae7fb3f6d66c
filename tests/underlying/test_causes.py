"""Reading codes and writing the answer back."""

from typing import Any

import pytest

from stream.errors import InvalidCertificate
from stream.underlying import Causes, answer_form, given_codes, load, read_causes, select


def test_reads_the_command_s_form() -> None:
    mapping = {
        "certificate_id": "1",
        "sex": "F",
        "age": {"value": 70, "unit": "YEARS"},
        "part1": [["J96.0"], [], ["C25.9"]],
        "part2": ["I10"],
    }
    assert read_causes(mapping) == Causes((("J96.0",), (), ("C25.9",)), ("I10",), "F", 70 * 365.25)


def test_codes_come_as_the_country_writes_them() -> None:
    mapping = {"part1": ["i469", ["I48", "C80"], ["W190", "E1190"], ["Z999", "QQ7"]], "part2": [["I10"], ["F179"]]}
    causes = read_causes(mapping)
    assert causes.part1 == (("I46.9",), ("I48.9", "C80.9"), ("W19", "E11.9"), ("Z99.9", "QQ7"))
    assert causes.part2 == ("I10", "F17.9")


@pytest.mark.parametrize(
    ("age", "days"),
    [(None, None), (1, 365.25), ({"value": 3, "unit": "DAYS"}, 3.0), ({"value": 12, "unit": "hours"}, 0.5), ({}, None)],
)
def test_age(age: Any, days: float | None) -> None:
    assert read_causes({"part1": [["I10"]], "age": age}).age_days == days


@pytest.mark.parametrize(
    "mapping",
    [
        [],
        {"part1": "SECRET"},
        {"part1": [[7]]},
        {"part1": [{"SECRET": 1}]},
        {"part1": [["I10"]], "sex": "SECRET"},
        {"part1": [["I10"]], "age": "SECRET"},
        {"part1": [["I10"]], "age": {"value": 1, "unit": "SECRET"}},
        {"part1": [["I10"]], "age": -1},
        {"part1": [["I10"]], "age": float("nan")},
        {"part1": [["I10"]] * 21},
        {"part1": [["I10"] * 61]},
        {"part1": [["I10"]], "manner": 3},
        {"part1": [["I10"]], "durations": ["SECRET"]},
        {"part1": [["I10"]], "durations": 3},
    ],
)
def test_bad_shapes_are_told_without_quoting(mapping: Any) -> None:
    with pytest.raises(InvalidCertificate) as caught:
        read_causes(mapping)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "inputs", "written"),
    [
        ("I11.0", ["I50.9", "I10"], "I11.0"),
        ("I11.0", ["I509", "I10"], "I110"),
        ("I48.9", ["I48", "R092"], "I48"),
        ("I48.9", ["I489", "R092"], "I489"),
        ("C80.9", ["C80", "C787"], "C80"),
        ("C80.9", ["C787", "C780"], "C809"),
        ("W19", ["S065", "W190"], "W190"),
        ("W19", ["S06.5", "W19"], "W19"),
        ("I12.0", ["I10", "N19"], "I12.0"),
        (None, ["I10"], None),
    ],
)
def test_answers_keep_the_form_of_the_inputs(code: str | None, inputs: list[str], written: str | None) -> None:
    assert answer_form(code, inputs) == written


def test_undotted_mapping_from_end_to_end() -> None:
    mapping = {"part1": [["R092"], ["I500"], ["I10"]], "part2": []}
    assert answer_form(select(read_causes(mapping), load()).code, given_codes(mapping)) == "I110"


def test_strings_that_are_no_codes_are_left_out_and_told() -> None:
    answer = select(read_causes({"part1": [["???"], ["C25.9"]]}), load())
    assert answer.code == "C25.9"
    assert answer.steps[0] == "left out: 1 that are no ICD-10 codes"
