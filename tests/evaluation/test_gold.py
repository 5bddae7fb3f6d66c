"""Gold certificates as they are read: what is taken, and how a bad row is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stream.certificate import Certificate, Line, Sex
from stream.errors import InputError, InvalidData
from stream.evaluation.gold import Gold, of, read
from stream.settings import REPOSITORY, Limits

TEXT = "embolie secrète"
GOOD: dict[str, Any] = {
    "certificate_id": "A",
    "part1": [TEXT],
    "gold": {"part1": [["I26.9"]], "underlying": "I26.9"},
}


def changed(**fields: Any) -> dict[str, Any]:
    return {**GOOD, **fields}


def with_gold(**fields: Any) -> dict[str, Any]:
    return changed(gold={**GOOD["gold"], **fields})


def file(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "gold.jsonl"
    told = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{row}\n" for row in told), encoding="utf-8")
    return path


def test_rows_come_in_order_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    found = list(read(file(tmp_path, GOOD, "", "   ", changed(certificate_id="B"))))
    assert [one.id for one in found] == ["A", "B"]
    assert found[0] == Gold("A", Certificate("A", (Line(TEXT),)), (("I26.9",),), "I26.9")
    assert found[0].readable() is found[0].certificate


def test_lines_are_part_1_then_part_2_whether_strings_or_with_their_interval() -> None:
    part1, part2 = [{"text": "OAP", "interval": "2 h"}, "IDM"], ["HTA", {"text": "DT2"}]
    codes = {"part1": [["J81"], ["I21.9"]], "part2": [["I10"], ["E11.9", "N08.3"]], "underlying": "I21.9"}
    found = of(changed(part1=part1, part2=part2, gold=codes))
    assert found.texts == ("OAP", "IDM", "HTA", "DT2")
    assert found.lines == (("J81",), ("I21.9",), ("I10",), ("E11.9", "N08.3"))
    certificate = found.readable()
    assert certificate.part1 == (Line("OAP", "2 h"), Line("IDM")) and certificate.part2 == (Line("HTA"), Line("DT2"))


@pytest.mark.parametrize(
    ("codes", "lines"),
    [
        ({}, ((), (), ())),
        ({"part1": [["J81"]]}, (("J81",), (), ())),
        ({"part1": [], "part2": [["I10"]]}, ((), (), ("I10",))),
        ({"part1": None, "part2": None}, ((), (), ())),
        ({"part1": [[], ["J81"]], "part2": [[]]}, ((), ("J81",), ())),
    ],
)
def test_missing_lists_stand_for_lines_without_a_code(codes: dict[str, Any], lines: Any) -> None:
    found = of(changed(part1=["a", "b"], part2=["c"], gold=codes | {"underlying": "J81"}))
    assert found.lines == lines and len(found.texts) == len(found.lines)


def test_a_part_that_is_absent_has_no_line() -> None:
    found = of({"certificate_id": "A", "part2": ["HTA"], "gold": {"underlying": "R99"}})
    assert found.lines == ((),) and found.texts == ("HTA",)


def test_a_blank_line_keeps_its_place() -> None:
    found = of(changed(part1=["", TEXT], gold={"part1": [[], ["I26.9"]], "underlying": "I26.9"}))
    assert found.lines == ((), ("I26.9",)) and found.texts == ("", TEXT)


def test_what_is_not_part_of_the_certificate_is_not_shown_to_the_coder() -> None:
    found = of(changed(comment="hard", expected={"underlying": "I26.9"}, sex="F"))
    assert found.certificate == Certificate("A", (Line(TEXT),), sex=Sex.F)


@pytest.mark.parametrize("code", ["I269", "i26.9", " I26.9 ", "I26", "I26.9+"])
def test_any_form_of_a_code_that_exists_is_taken_as_causa_writes_it(code: str) -> None:
    found = of(with_gold(part1=[[code]], underlying=code))
    assert (found.lines, found.underlying) == ((("I26.9",),), "I26.9")


def test_sealed_lines_have_no_text_to_show() -> None:
    sealed = {"text": {"key_id": "k1", "nonce": "AAAA", "ciphertext": "AAAA"}}
    assert of(changed(part1=[sealed, TEXT])).texts == ("", TEXT)


# Certificates that cannot be read

UNREADABLE: dict[str, dict[str, Any]] = {
    "no id": {key: value for key, value in GOOD.items() if key != "certificate_id"},
    "an id of letters that ids have not": changed(certificate_id="é"),
    "an id that is a list": changed(certificate_id=["A"]),
    "half a character in the id": changed(certificate_id="\ud800"),
    "half a character in a line": changed(part1=[TEXT + " \ud800"]),
    "an unknown field": changed(embolie=TEXT),
    "no text": changed(part1=[" "]),
    "too many lines": changed(part1=[TEXT] * 31),
    "a line too long": changed(part1=[TEXT * 1_000]),
    "a part that is null": changed(part1=None),
    "a part that is a number": changed(part1=5),
    "a part that is a string": changed(part1=TEXT),
    "a part that is a mapping": changed(part1={"text": TEXT}),
    "a line that is a number": changed(part1=[3]),
    "a line that is null": changed(part1=[None]),
    "a line without text": changed(part1=[{"interval": "3 j"}]),
}


@pytest.mark.parametrize("row", UNREADABLE.values(), ids=UNREADABLE)
def test_a_certificate_that_cannot_be_read_keeps_its_gold(row: dict[str, Any]) -> None:
    codes = {"part1": [["I269"], []], "part2": [["I10"]], "underlying": "I26"}
    found = of(row | {"gold": codes})
    assert (found.id, found.certificate) == ("row 0", None)
    assert (found.lines, found.underlying) == ((("I26.9",), (), ("I10",)), "I26.9")
    assert found.texts == ("", "", "")
    assert isinstance(found.error, InputError)
    assert "embolie" not in found.error.message and "secrète" not in found.error.message
    with pytest.raises(InputError) as told:
        found.readable()
    assert told.value is found.error


def test_it_is_called_by_its_row_and_the_others_go_on(tmp_path: Path) -> None:
    found = list(read(file(tmp_path, GOOD, "", changed(colour="red"), GOOD)))
    assert [(one.id, one.certificate is None) for one in found] == [("A", False), ("row 3", True), ("A", False)]


def test_limits_are_those_of_the_settings(tmp_path: Path) -> None:
    path = file(tmp_path, GOOD)
    (within,), (over,) = read(path), read(path, Limits(line_chars=len(TEXT) - 1))
    assert within.error is None and over.error is not None and over.error.code == "OVERSIZED_TEXT"


# Rows at fault


BAD = {
    "no JSON": "{",
    "cut short": json.dumps(GOOD, ensure_ascii=False)[:-3],
    "a list": "[]",
    "a number": "3",
    "a string": json.dumps(TEXT, ensure_ascii=False),
    "null": "null",
    "nested too deep": "[" * 100_000,
    "no number": '{"certificate_id": "A", "part1": ["x"], "age": {"value": NaN}, "gold": {"underlying": "I26.9"}}',
    "gold twice": '{"certificate_id": "A", "part1": ["x"], "gold": {"underlying": "J81"}, "gold": {"underlying": "J81"}}',
    "a key twice in gold": '{"certificate_id": "A", "part1": ["x"], "gold": {"underlying": "J81", "underlying": "I10"}}',
    "half a character": json.dumps(changed(part1=["embolie \ud800"])),
    "no gold": {"certificate_id": "A", "part1": [TEXT]},
    "gold null": changed(gold=None),
    "gold a list": changed(gold=[["I26.9"]]),
    "gold a string": changed(gold="I26.9"),
    "no underlying cause": changed(gold={"part1": [["I26.9"]]}),
    "underlying cause null": with_gold(underlying=None),
    "underlying cause empty": with_gold(underlying=""),
    "underlying cause a list": with_gold(underlying=["I26.9"]),
    "a list too many": with_gold(part1=[["I26.9"], []]),
    "a list too many in Part II": with_gold(part2=[["I10"]]),
    "codes without lines": {"certificate_id": "A", "part2": [TEXT], "gold": GOOD["gold"]},
    "a withdrawn version": changed(status="VOID"),
    "a withdrawn version without lines": {"certificate_id": "A", "status": "VOID", "gold": {"underlying": "I26.9"}},
    "codes in one string": with_gold(part1="I26.9"),
    "a line's codes in one string": with_gold(part1=["I26.9"]),
    "a line's codes null": with_gold(part1=[None]),
    "a line's codes a number": with_gold(part1=[3]),
    "codes a number": with_gold(part1=3),
    "text for a code": with_gold(part1=[[TEXT]]),
    "text for an underlying cause": with_gold(underlying=TEXT),
    "a code that is none": with_gold(part1=[["I26.9", "I26.7"]]),
    "a code that is a number": with_gold(part1=[[26]]),
    "a code that is null": with_gold(part1=[[None]]),
    "an underlying cause that is none": with_gold(underlying="U99.9"),
    "an unreadable certificate without gold": {"certificate_id": "A", "part1": [TEXT], "embolie": TEXT},
    "an unreadable certificate and a code that is none": changed(part1=5, gold={"underlying": "U99.9"}),
}


@pytest.mark.parametrize("row", BAD.values(), ids=BAD)
def test_a_bad_row_is_told_by_file_and_line_and_never_quotes_text(tmp_path: Path, row: Any) -> None:
    rows = read(file(tmp_path, GOOD, "", row, GOOD))
    assert next(rows).id == "A"
    with pytest.raises(InvalidData, match=r"^gold\.jsonl:3: ") as told:
        next(rows)
    assert not any(word in str(told.value) for word in (*TEXT.split(), "I26.7", "U99.9", "\n"))
    assert told.value.__cause__ is None


@pytest.mark.parametrize("part", [0, "", {}, False], ids=repr)
def test_codes_that_are_no_list_are_told_even_where_they_are_false(part: Any) -> None:
    with pytest.raises(InvalidData):
        of(with_gold(part1=part))


def test_without_a_file_the_place_is_called_gold() -> None:
    for row in (with_gold(underlying="U99.9"), with_gold(part1=5), changed(gold=None), changed(status="VOID")):
        with pytest.raises(InvalidData, match=r"^gold: "):
            of(row)


def test_gold_without_certificate_is_not_readable() -> None:
    with pytest.raises(InvalidData):
        Gold("A", None, (), "J81").readable()


def test_of_leaves_the_mapping_as_it_was() -> None:
    row = changed(comment="hard")
    of(row)
    assert row == changed(comment="hard")


# Files


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"^there is no file .*none\.jsonl$"):
        list(read(tmp_path / "none.jsonl"))
    with pytest.raises(InvalidData, match=r" is a folder$"):
        list(read(tmp_path))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_told_by_its_row(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_bytes(json.dumps(GOOD, ensure_ascii=False).encode(encoding))
    with pytest.raises(InvalidData, match=r"^gold\.jsonl:1: not UTF-8 "):
        list(read(path))


def test_tables_have_no_room_for_gold(tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_text("certificate_id;part1_1;gold\nA;embolie secrète;I26.9\n", encoding="utf-8")
    with pytest.raises(InvalidData, match=r"^gold\.csv:2: no gold beside the certificate$"):
        list(read(path))


def test_an_empty_file_holds_none(tmp_path: Path) -> None:
    assert list(read(file(tmp_path))) == list(read(file(tmp_path, "", " "))) == []


@pytest.mark.parametrize("character", ["\u2028", "\u0085"], ids=["line separator", "next line"])
def test_only_line_feeds_end_a_row(tmp_path: Path, character: str) -> None:
    (found,) = read(file(tmp_path, changed(part1=[f"OAP{character}aigu"])))
    assert found.texts == (f"OAP{character}aigu",)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps(GOOD), encoding="utf-8-sig")
    assert [one.id for one in read(path)] == ["A"]


def test_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_bytes(f"{json.dumps(GOOD)}\r\n\r\n{json.dumps(GOOD)}\r\n".encode())
    assert [one.texts for one in read(path)] == [(TEXT,), (TEXT,)]


@pytest.mark.parametrize("name", ["certificates.jsonl", "held_out.jsonl", "gold.jsonl"])
def test_the_samples_are_gold(name: str) -> None:
    found = list(read(REPOSITORY / "samples" / name))
    assert len(found) >= 100 and len({one.id for one in found}) == len(found)
    assert all(one.certificate is not None and len(one.texts) == len(one.lines) for one in found)
