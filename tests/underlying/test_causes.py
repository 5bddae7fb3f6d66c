"""Reading codes and writing the answer back."""

from typing import Any

import pytest

from stream.errors import InvalidCertificate
from stream.underlying import Causes, FileForm, answer_form, given_codes, load, read_causes, select
from stream.underlying.faults import faults


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
        {"part1": [["I10"]], "part2": 3},
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
        ("I10", ["I10X", "I509"], "I10X"),
        ("C80.9", ["c80x", "C787"], "C80X"),
        ("N19", ["I10X", "R092"], "N19X"),
        ("I11.0", ["I10X", "I500"], "I110"),
        ("X95", ["S219", "X954"], "X954"),
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


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("I219/E149", ["I219", "E149"]),
        ("*R092*I219", ["R092", "I219"]),
        (" r092  i219;e149,I10X ", ["r092", "i219", "e149", "I10X"]),
        ("E11.4+ G63.2*", ["E11.4+", "G63.2*"]),
        ("G63.2*/I10", ["G63.2*", "I10"]),
        ("stroke", ["stroke"]),
        ("*", ["*"]),
    ],
)
def test_a_line_may_be_a_string_of_codes(line: str, codes: list[str]) -> None:
    for part1 in ([line], [[line]]):
        assert given_codes({"part1": part1}) == tuple(codes)
    assert read_causes({"part1": [line]}) == read_causes({"part1": [codes]})
    assert read_causes({"part1": [["I10"]], "part2": line}).part2 == read_causes({"part2": [codes]}).part2


def test_lines_that_nobody_used_hold_no_code_and_no_fault() -> None:
    assert given_codes({"part1": ["I219", "", None, " "], "part2": ""}) == ("I219",)
    assert given_codes({"part1": [["I219", ""]]}) == ("I219", "")


@pytest.mark.parametrize("code", ["I10X", "c80x", "W19X", "I10X*"])
def test_an_x_that_fills_a_category_is_no_fault(code: str) -> None:
    assert [fault for fault in faults(code, "U", None) if fault.why != "ASTERISK"] == []
    assert read_causes({"part1": [[code]]}).part1 == read_causes({"part1": [[code[:3]]]}).part1


def test_a_string_of_codes_has_its_limit() -> None:
    with pytest.raises(InvalidCertificate):
        read_causes({"part1": ["I10/" * 61]})


def form(*codes: str) -> FileForm:
    found = FileForm()
    found.see(codes)
    return found


@pytest.mark.parametrize(
    ("seen", "code", "inputs", "written"),
    [
        (("I10X", "S720"), "N19", ["I219"], "N19X"),
        (("I10X", "I48X", "R092"), "I48.9", ["R092"], "I48X"),
        (("I10X", "S720", "X954"), "W84", ["T71X"], "W849"),
        (("S720", "X954", "W19"), "W84", ["T71"], "W84"),
        (("S72.0", "X95.4"), "W84", ["T71"], "W84.9"),
        (("V892", "X590"), "X84", ["S069"], "X84"),
        (("I10", "S720"), "I48.9", ["R092"], "I489"),
    ],
)
def test_an_answer_that_stands_on_no_line_takes_the_form_of_the_file(
    seen: tuple[str, ...], code: str, inputs: list[str], written: str
) -> None:
    assert form(*seen).write(code, inputs) == written


def test_a_mark_beside_a_coronavirus_is_not_told_as_left_out() -> None:
    answer = select(read_causes({"part1": ["R092", "B342/U071"], "part2": "I10X*E149"}), load())
    assert (answer.code, answer.steps) == ("B34.2", ("SP3: B34.2 can explain all above it, down to R09.2",))


def test_a_text_of_causa_s_own_coding_knows_no_marks() -> None:
    assert select(Causes((("J18.9",),), ("B34.2", "U07.1"), from_text=True), load()).code == "U07.1"
    assert select(Causes((("J18.9",),), ("B34.2", "U07.1")), load()).code == "B34.2"
