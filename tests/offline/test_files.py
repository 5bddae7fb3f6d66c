"""Files of certificates: good rows are read in every shape, bad rows are told by line and code, and quote nothing."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.certificate import AgeUnit, Certificate, PlaceKind, Sex, Status, certificate_record
from stream.errors import InputError, InvalidData
from stream.offline import columns
from stream.offline.files import Row, gold, read, size
from stream.registry import MemoryRegistry, load_schemas
from stream.settings import Settings
from stream.wire import Wire

SECRET = "Zébulon"  # a word that no message may hold
WIRE = Wire(MemoryRegistry(load_schemas(Settings().registry.schemas)))
DOCS = Path(__file__).parents[2] / "docs" / "files.md"


def rows(text: str | bytes, form: Any = "auto") -> list[Row]:
    data = text.encode() if isinstance(text, str) else text
    return list(read(io.BytesIO(data), form=form))


def texts(row: Row, part: int = 1) -> list[Any]:
    assert row.certificate, row.error
    return [line.text for line in (row.certificate.part1 if part == 1 else row.certificate.part2)]


def certificate(row: Row) -> Certificate:
    assert row.certificate, row.error
    return row.certificate


def jsonl(identifier: str = "A", **more: Any) -> str:
    return json.dumps({"certificate_id": identifier, "part1": [SECRET], **more}, ensure_ascii=False)


# JSON lines


def test_json_lines_are_read_in_order() -> None:
    found = rows(f"{jsonl('A')}\n\n  \n{jsonl('B', part2=['HTA'])}\r\n{jsonl('C')}")
    assert [(row.number, certificate(row).certificate_id) for row in found] == [(1, "A"), (4, "B"), (5, "C")]
    assert texts(found[1], 2) == ["HTA"]


def test_byte_order_mark_is_passed_over() -> None:
    assert certificate(rows(b"\xef\xbb\xbf" + jsonl().encode())[0]).certificate_id == "A"


def test_extras_are_dropped_and_kept() -> None:
    (row,) = rows(jsonl(gold={"underlying": "C25.9"}, expected=1, comment="x"))
    assert gold(row) == {"underlying": "C25.9"}
    assert certificate(row) == certificate(rows(jsonl())[0])
    assert gold(rows(jsonl())[0]) is None


BAD_JSON = {
    "cut short": (f'{{"certificate_id": "A", "part1": ["{SECRET}', "INVALID_CERTIFICATE", "cut short"),
    "no object": (f'["{SECRET}"]', "INVALID_CERTIFICATE", "not a JSON object"),
    "duplicate key": (f'{{"certificate_id": "A", "part1": ["{SECRET}"], "part1": []}}', "INVALID_CERTIFICATE", "twice"),
    "nested duplicate": ('{"certificate_id": "A", "age": {"value": 1, "value": 2}}', "INVALID_CERTIFICATE", "twice"),
    "unknown key": (f'{{"certificate_id": "A", "{SECRET}": 1, "part1": ["x"]}}', "INVALID_CERTIFICATE", "unknown"),
    "wrong type": (f'{{"certificate_id": "A", "part1": "{SECRET}"}}', "INVALID_CERTIFICATE", "part1"),
    "no id": (f'{{"part1": ["{SECRET}"]}}', "INVALID_CERTIFICATE", "certificate_id"),
    "bad id": (f'{{"certificate_id": "{SECRET} x", "part1": ["a"]}}', "INVALID_CERTIFICATE", "certificate_id"),
    "empty": ('{"certificate_id": "A", "part1": [" "]}', "EMPTY_CERTIFICATE", "no text"),
    "long": (jsonl(part2=[SECRET * 1000]), "OVERSIZED_TEXT", "2000"),
    "not a number": ('{"certificate_id": "A", "version": NaN, "part1": ["x"]}', "INVALID_CERTIFICATE", "NaN"),
    "deep": ("[" * 100_000, "INVALID_CERTIFICATE", "deep"),
    "long number": ('{"version": ' + "9" * 5000 + "}", "INVALID_CERTIFICATE", "number"),
    "surrogate": ('{"certificate_id": "A", "part1": ["\\ud800"]}', "INVALID_CERTIFICATE", "surrogate"),
    "bad escape": ('{"certificate_id": "\\Z"}', "INVALID_CERTIFICATE", "not JSON at character"),
    "half sealed": ('{"certificate_id": "A", "part1": [{"text": {"key_id": "k", "nonce": 5, "ciphertext": "QQ=="}}]}',
                    "INVALID_CERTIFICATE", ""),
}  # fmt: skip


@pytest.mark.parametrize(("text", "code", "says"), BAD_JSON.values(), ids=BAD_JSON)
def test_bad_json_line_stands_alone(text: str, code: str, says: str) -> None:
    before, bad, after = rows(f"{jsonl('A')}\n{text}\n{jsonl('B')}") if says != "cut short" else (
        *rows(f"{jsonl('A')}\n{text}"), rows(jsonl("B"))[0])  # fmt: skip
    assert bad.error and bad.certificate is None and bad.number == 2
    assert bad.error.code == code and says in bad.error.message
    assert SECRET not in bad.error.message
    assert certificate(before).certificate_id == "A" and certificate(after).certificate_id == "B"


def test_other_encodings_are_told() -> None:
    latin = jsonl("A").encode("latin-1")
    first, second = rows(latin + b"\n" + jsonl("B").encode())
    assert first.error and "not UTF-8 at byte" in first.error.message and "iconv" in first.error.hint
    assert certificate(second).certificate_id == "B"
    (only,) = rows(f"{jsonl('A')}\n{jsonl('B')}".encode("utf-16"))
    assert only.error and "UTF-16" in only.error.message


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_row_over_ten_megabytes_is_passed_over(form: str) -> None:
    good = jsonl("B") if form == "jsonl" else "B,x"
    head = "" if form == "jsonl" else "certificate_id,part1_1\n"
    huge = head.encode() + b'{"' + b"a" * 25_000_000 + b"\n" + good.encode() + b"\n"
    tracemalloc.start()
    first, second = rows(huge, form)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert first.error and first.error.code == "OVERSIZED_TEXT" and "10 MB" in first.error.message
    assert certificate(second).certificate_id == "B"
    assert peak < 45_000_000  # BytesIO's own copy, and one row's bytes at most twice


# CSV, one row a certificate

WIDE = "certificate_id;version;status;sex;age;age_unit;death_date;birth_date;department;place_kind;manner;" \
       "part1_1;interval_1;part1_2;interval_2;part2;gold\n"  # fmt: skip


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_wide_rows(separator: str, end: str) -> None:
    row = 'A;2;amended;f;78;;2026-01-15;;33;hospital;NATURAL;"arrêt ""cardiaque""";3 j;cancer;;HTA;C25.9\n'
    text = (WIDE + row).replace(";", separator).replace("\n", end)
    (found,) = rows(text)
    read_back = certificate(found)
    assert found.number == 2 and gold(found) == "C25.9"
    assert (read_back.version, read_back.status, read_back.sex) == (2, Status.AMENDED, Sex.F)
    assert read_back.age and (read_back.age.value, read_back.age.unit) == (78, AgeUnit.YEARS)
    assert (read_back.place.kind, read_back.place.department) == (PlaceKind.HOSPITAL, "33")
    assert [(line.text, line.interval) for line in read_back.part1] == [('arrêt "cardiaque"', "3 j"), ("cancer", None)]
    assert texts(found, 2) == ["HTA"]


def test_wide_row_says_what_its_json_says() -> None:
    head = (
        "certificate_id,parts,source,form,form_version,received_at,age,age_unit,residence_department,"
        "residence_commune,work_accident,accident_place,pregnancy,autopsy,surgery,surgery_reason,birth_weight_g,"
        "gestation_weeks,multiple,mother_1,mother_2,part1_1,part2_1,part2_3"
    )
    row = (
        "N1,INITIAL+COMPLEMENTARY,paper,neonatal,2017,2026-01-16T08:30:00Z,7,hours,75,75056,false,domicile,NO,YES,"
        "true,césarienne,900,27,yes,HTA,diabète,détresse,a,c"
    )
    written = {
        "certificate_id": "N1", "parts": ["INITIAL", "COMPLEMENTARY"], "source": "PAPER", "form": "NEONATAL",
        "form_version": "2017", "received_at": "2026-01-16T08:30:00Z", "age": {"value": 7, "unit": "HOURS"},
        "residence": {"department": "75", "commune": "75056"}, "work_accident": False, "accident_place": "domicile",
        "pregnancy": "NO", "autopsy": "YES", "surgery": {"within_4_weeks": True, "reason": "césarienne"},
        "neonatal": {"birth_weight_g": 900, "gestation_weeks": 27, "multiple": True, "mother": ["HTA", "diabète"]},
        "part1": ["détresse"], "part2": ["a", "", "c"],
    }  # fmt: skip
    assert certificate(rows(f"{head}\n{row}\n")[0]) == certificate(rows(json.dumps(written))[0])


def test_blank_lines_of_part_one_keep_the_place_of_the_next() -> None:
    (found,) = rows("certificate_id,part1_1,part1_3,interval_2\nA,x,z,2 j\n")
    assert texts(found) == ["x", "", "z"]


def test_cell_with_line_breaks_is_one_row() -> None:
    first, second = rows('certificate_id,part1_1\nA,"x\ny"\nB,z\n')
    assert texts(first) == ["x\ny"] and (first.number, second.number) == (2, 4)


BAD_CSV = {
    "too few cells": (f"{SECRET}", "1 cells under 2 columns"),
    "too many cells": (f"A,{SECRET},{SECRET}", "3 cells under 2 columns"),
    "stray quote": (f'A,"{SECRET}', "quotes are not closed"),
    "quote amid": (f'A,"{SECRET}" x', "quotes"),
    "nul": (f"A,{SECRET}\0", "NUL"),
    "carriage return": (f"A,{SECRET}\rx", "carriage return"),
    "empty": ("A,", "no text"),
    "no id": (f",{SECRET}", "certificate_id"),
}


@pytest.mark.parametrize(("line", "says"), BAD_CSV.values(), ids=BAD_CSV)
def test_bad_csv_row_stands_alone(line: str, says: str) -> None:
    before, bad, *after = rows(f"certificate_id,part1_1\nX,x\n{line}\n" + "".join(f"G{i},x\n" for i in range(200)))
    assert bad.error and bad.number == 3 and says in bad.error.message and SECRET not in bad.error.message
    assert certificate(before).certificate_id == "X"
    assert [certificate(row).certificate_id for row in after] == [f"G{i}" for i in range(200)]


def test_latin_row_of_csv_stands_alone() -> None:
    bad, good = rows("certificate_id,part1_1\nA,décès\n".encode("latin-1") + b"B,x\n")
    assert bad.error and "not UTF-8" in bad.error.message and certificate(good).certificate_id == "B"


def test_field_over_the_readers_limit() -> None:
    bad, good = rows(f"certificate_id,part1_1\nA,{'x' * 200_000}\nB,x\n")
    assert bad.error and bad.error.code == "OVERSIZED_TEXT" and certificate(good).certificate_id == "B"


BAD_HEADERS = {
    "no header": (f"A,{SECRET}\nB,x\n", "no column certificate_id"),
    "no text": ("certificate_id,sex\nA,M\n", "no column of text"),
    "unknown": (f"certificate_id,part1_1,{SECRET}\nA,x,y\n", "column 3 is none"),
    "twice": ("certificate_id,part1_1,sex,sex\nA,x,M,M\n", "column 4 repeats"),
    "mixed": ("certificate_id,part1_1,text\nA,x,y\n", "mixes"),
    "latin": ("certificate_id,décès\n".encode("latin-1"), "not UTF-8"),
}


@pytest.mark.parametrize(("text", "says"), BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_bad_header_ends_the_file(text: str | bytes, says: str) -> None:
    (only,) = rows(text)
    assert only.error and only.number == 1 and says in only.error.message and SECRET not in only.error.message


# CSV, one row a line

LONG = "certificate_id,sex,part,line,text,interval\n"


def test_consecutive_rows_make_a_certificate() -> None:
    first, second, third = rows(
        LONG + "A,M,1,a,choc,2 h\nA,,1,b,sepsis,\nA,,2,,HTA,\nA,,2,,diabète,\nB,F,II,1,x,\nB,F,I,2,z,\nC,,,,seul,\n"
    )
    assert texts(first) == ["choc", "sepsis"] and texts(first, 2) == ["HTA", "diabète"]
    assert certificate(first).sex is Sex.M and certificate(first).part1[0].interval == "2 h"
    assert texts(second) == ["", "z"] and texts(second, 2) == ["x"]
    assert (first.number, second.number, third.number) == (2, 6, 8) and texts(third) == ["seul"]


def test_versions_are_certificates_of_their_own() -> None:
    found = rows("certificate_id,version,status,text\nA,1,,x\nA,2,VOID,\n")
    assert [(certificate(row).version, certificate(row).status) for row in found] == [(1, "INITIAL"), (2, "VOID")]


BAD_GROUPS = {
    "contradiction": ("A,M,1,1,x,\nA,F,1,2,y,\n", "sex: the rows"),
    "same line": ("A,M,1,1,x,\nA,M,1,a,y,\n", "line: two rows"),
    "part": (f"A,M,{SECRET},1,x,\n", "part: neither"),
    "line": (f"A,M,1,{SECRET},x,\n", "line: neither"),
    "line far": ("A,M,1,31,x,\n", "line: not within"),
    "many": ("".join("A,M,1,,x,\n" for _ in range(31)), "more than 30"),
    "cells": ("A,M,1,1,x,\nA,M,1\n", "3 cells"),
    "latin": (b"A,M,1,1,x,\nA,M,1,2,\xe9,\nA,M,1,3,z,\n", "not UTF-8"),
}


@pytest.mark.parametrize(("text", "says"), BAD_GROUPS.values(), ids=BAD_GROUPS)
def test_bad_group_is_one_error(text: str | bytes, says: str) -> None:
    data = text.encode() if isinstance(text, str) else text
    before, bad, after = rows(LONG.encode() + b"X,M,1,1,x,\n" + data + b"B,M,1,1,x,\n")
    assert bad.error and bad.number == 3 and says in bad.error.message and SECRET not in bad.error.message
    assert certificate(before).certificate_id == "X" and certificate(after).certificate_id == "B"


def test_no_certificate_goes_on_without_a_line_that_cannot_be_read() -> None:
    found = rows(LONG + 'A,M,1,1,x,\n"zz,M,1,2,y,\nB,M,1,1,x,\nC,M,1,1,x,\n')
    told = [(row.number, bool(row.certificate)) for row in found]
    assert sorted(told) == [(2, False), (3, False), (4, False), (5, True)]


# Sources


def test_format_is_that_of_the_name_or_the_first_character(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("certificate_id,text\nA,x\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text("\n" + jsonl("B") + "\n", encoding="utf-8")
    assert texts(next(read(tmp_path / "a.csv"))) == ["x"]
    assert texts(next(read(str(tmp_path / "a.txt")))) == [SECRET]
    assert size(tmp_path / "a.csv") == 24 and size("-") is None and size(tmp_path / "no") is None


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(jsonl("S").encode())))
    assert certificate(next(read("-"))).certificate_id == "S"


def test_missing_files_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="no file"):
        read(tmp_path / "no.csv")
    with pytest.raises(InvalidData, match="folder"):
        read(tmp_path)


@pytest.mark.parametrize("empty", ["", "\n\n", "\ufeff", "certificate_id,text\n"])
def test_nothing_gives_no_rows(empty: str) -> None:
    assert rows(empty) == []


def test_end_counts_the_bytes_of_the_file(tmp_path: Path) -> None:
    for name, text in (("a.jsonl", f"{jsonl('A')}\n{jsonl('é')}\n"), ("a.csv", LONG + "A,M,1,1,é,\nA,M,1,2,x,\n")):
        (tmp_path / name).write_bytes(text.encode())
        assert list(read(tmp_path / name))[-1].end == size(tmp_path / name)


def test_memory_does_not_grow_with_the_file() -> None:
    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.lines = iter(f"{jsonl(f'C{i}')}\n".encode() for i in range(20_000))

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            line = next(self.lines, b"")
            buffer[: len(line)] = line
            return len(line)

    found: Iterator[Row] = read(io.BufferedReader(Endless()), form="jsonl")  # type: ignore[arg-type,unused-ignore]
    for _ in range(1_000):
        next(found)
    tracemalloc.start()
    assert sum(1 for row in found if row.certificate) == 19_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_documented_columns_are_the_known_ones() -> None:
    documented = {word for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
                  for word in line.split("|")[1].replace("`", "").replace(",", " ").split()}  # fmt: skip
    assert set(columns.PATHS) | columns.LINE_COLUMNS <= documented
    assert all(columns.is_known(word) for word in documented if word != "…"), documented


# Any bytes

pieces = st.sampled_from(
    [b"certificate_id", b"text", b"part1_1", b"part2", b"line", b"version", b"A", b",", b";", b"\t", b'"', b"\n",
     b"\r\n", b"\r", b"\0", b"{", b"}", b"[", b":", b"\xe9", b"\xff\xfe", b"\xef\xbb\xbf", b"1", b"NaN", b"\\u",
     b'{"certificate_id":"A","part1":["x"]}\n', b"certificate_id,text\n", b"certificate_id;part1_1;gold\n"]
)  # fmt: skip
anything = st.one_of(st.binary(max_size=300), st.lists(pieces, max_size=40).map(b"".join))


@settings(max_examples=400, deadline=None)
@given(anything, st.sampled_from(["auto", "jsonl", "csv"]))
def test_any_bytes_give_rows_or_errors(data: bytes, form: Any) -> None:
    numbers = []
    for row in rows(data, form):
        assert (row.certificate is None) != (row.error is None)
        assert row.error is None or isinstance(row.error, InputError)
        if row.certificate:
            WIRE.encode("certificates", certificate_record(row.certificate))
        numbers.append(row.number)
    assert len(set(numbers)) == len(numbers)


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60),
    st.sampled_from([",", ";", "\t"]),
)
def test_any_text_comes_back_from_csv(text: str, separator: str) -> None:
    cell = '"' + text.replace('"', '""') + '"'
    found = rows(f"certificate_id{separator}part1_1\nA{separator}{cell}\nB{separator}x\n")
    assert found[-1].certificate and found[-1].certificate.certificate_id == "B"
    first = found[0]
    if first.certificate:
        assert texts(first) == [text.replace("\r\n", "\n").strip()] or texts(first) == [text.strip()]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(['{"certificate_id": "A", "%s": 1}', '{"certificate_id": "%s x"}', '["%s"', '{"part1": %s}',
                        '{"certificate_id": "A", "part1": [{"%s": 1}]}', '{"certificate_id":"A","sex":"%s"}',
                        "certificate_id,text\nA %s,x", "%s,text\nA,x", 'certificate_id,text\nA,"%s', "%s",
                        "certificate_id,part,text\nA,%s,x", "certificate_id,sex,text\nA,%s,x"]), st.data())  # fmt: skip
def test_errors_never_quote(shape: str, data: st.DataObject) -> None:
    secret = data.draw(st.text("abcdefgh", min_size=12, max_size=12))
    for row in rows(shape % secret):
        assert row.error is not None and secret not in f"{row.error} {row.error.message} {row.error.hint}"
