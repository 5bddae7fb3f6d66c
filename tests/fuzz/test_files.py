"""Files under fire: each row is a certificate or a typed error, and the rows beside it are untouched."""

from __future__ import annotations

import csv
import io
import json
import random
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.certificate import Certificate
from stream.errors import InputError
from stream.offline.columns import PATHS
from stream.offline.files import Row, read
from stream.offline.jsonl import is_unicode

from .campaign import MARK, inputs, timed, told
from .traps import deep, dice, ids, junk, moments, numbers, spoilt, texts

FIRST, LAST = b'{"certificate_id": "first", "part1": ["HTA"]}\n', b'\n{"certificate_id": "last", "part1": ["HTA"]}\n'
RICH = json.dumps(
    {
        "certificate_id": "A1", "version": 2, "status": "AMENDED", "received_at": "2026-01-16T08:30:00Z", "sex": "F",
        "death_date": "2026-01-15", "age": {"value": 84, "unit": "YEARS"}, "place": {"kind": "HOSPITAL", "department": "33"},
        "part1": [{"text": f"choc {MARK}", "interval": "3 jours"}, "sepsis"], "part2": ["HTA"], "gold": {"underlying": "A41"},
        "neonatal": {"birth_weight_g": 900, "mother": ["RPM", {"key_id": "k", "nonce": "QUFB", "ciphertext": "QUFB"}]},
    },
    ensure_ascii=False,
).encode()  # fmt: skip
FIELDS = [*Certificate.__dataclass_fields__, "gold", "expected", "comment", "unknown", ""]
COLUMNS = [*PATHS, "part1_1", "part1_2", "interval_1", "part1_99", "part1_100", "part2", "part2_1", "mother_1", "part", "line",
           "text", "interval", "gold", "comment", "", "unknown", "ﬁ"]  # fmt: skip


def rows(data: bytes, form: Any, target: str) -> list[Row]:
    """Rows of a file; each of one kind, told in words that are ours."""
    with timed(target):
        found = list(read(io.BytesIO(data), form=form))
    for row in found:
        assert (row.certificate is None) != (row.error is None)
        if row.error is not None:
            assert isinstance(row.error, InputError) and MARK not in str(row.error) + row.error.hint
        told(target, row.error.code if row.error else "read")
    numbers = [row.number for row in found]
    assert len(set(numbers)) == len(numbers)
    assert all(0 < row.end <= len(data) for row in found)
    return found


def json_between(middle: bytes) -> None:
    """A line between two good ones: they are read whatever it holds."""
    found = rows(FIRST + middle + LAST, "jsonl", "JSON lines")
    assert [row.certificate and row.certificate.certificate_id for row in (found[0], found[-1])] == ["first", "last"]
    assert len(found) <= 3 + middle.count(b"\n")


@given(dice)
@inputs(400)
def test_spoilt_json(dice: random.Random) -> None:
    for _ in range(2):
        json_between(spoilt(RICH, dice))


@given(st.binary(max_size=120))
@inputs(100)
def test_random_lines(middle: bytes) -> None:
    json_between(middle)


@given(st.dictionaries(st.sampled_from(FIELDS), junk | ids | moments | numbers | deep, max_size=8), st.booleans())
@inputs(300)
def test_json_of_any_shape(fields: dict[str, Any], valid: bool) -> None:
    if valid:
        fields = {"certificate_id": "A1", "part1": [MARK]} | fields
    escaped = json.dumps(fields)
    json_between(escaped.encode())
    if is_unicode(fields):
        json_between(json.dumps(fields, ensure_ascii=False).replace("\n", " ").encode())


@given(
    st.sampled_from(
        ["received_at", "death_date", "birth_date", "version", "age", "part1", "neonatal", "place", "certificate_id"]
    ),
    junk | ids | moments | numbers | texts,
)
@inputs(300)
def test_one_hostile_field(field: str, value: Any) -> None:
    wrapped = {"age": {"value": value}, "neonatal": {"birth_weight_g": value, "mother": [value]}, "part1": [value]}
    json_between(json.dumps({"certificate_id": "A1", "part1": ["HTA"], field: wrapped.get(field, value)}).encode())


@pytest.mark.parametrize(
    "middle",
    [
        b"[" * 200_000, b'{"a":' * 200_000, b'{"part1":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"9" * 1_000_000,
        b'{"version": ' + b"9" * 100_000 + b"}", b'{"version": 1e999999999}', b'{"version": -0}', b"-" * 100_000,
        b'"' + b"\\u0000" * 100_000 + b'"', b'{"certificate_id": "\\ud83d\\ude00"}', b"\xef\xbb\xbf{}", b"\0" * 100_000, b"{}{}",
        b'{"certificate_id": "A", "certificate_id": "B"}', b"\xff\xfe{\0}\0", b"null", b"true", b"1e400", b"NaN", b"[]",
        b'{"part1": ' + b"[1," * 50_000 + b"1" + b"]" * 50_000 + b"}", b",".join([b'{"a":1}'] * 50_000),
    ],
    ids=range(22),
)  # fmt: skip
def test_known_traps(middle: bytes) -> None:
    json_between(middle)


@pytest.mark.parametrize("key", ["part2", "gold"])
def test_every_depth(key: str) -> None:
    """From 991 on, a value parsed and then broke the check of its surrogates."""
    for depth in [*range(1, 70), *range(200, 1_000, 100), *range(970, 1_010)]:
        middle = f'{{"certificate_id": "A", "part1": ["x"], "{key}": {"[" * depth}"\\u0041"{"]" * depth}}}'
        json_between(middle.encode())


def cells(names: Sequence[str], values: Sequence[Sequence[str]], separator: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(names)
    writer.writerows(values)
    return out.getvalue().encode("utf-8", "surrogatepass")


cell = (texts | ids | moments.map(str) | numbers.map(str)) | st.sampled_from(
    ["A", "B", "1", "2", "I", "ii", "a", "z", "0", ""]
)


@given(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=8), st.lists(st.lists(cell, max_size=9), max_size=6),
       st.sampled_from(",;\t"), st.booleans())  # fmt: skip
@inputs(300)
def test_tables_of_any_shape(names: list[str], values: list[list[str]], separator: str, headed: bool) -> None:
    if headed:
        names = ["certificate_id", *names, "part1_1"] if "text" not in names else ["certificate_id", *names]
    rows(cells(names, values, separator), "csv", "CSV")


WIDE = cells(["certificate_id", "version", "death_date", "part1_1", "interval_1", "part2"],
             [["A", "1", "2026-01-15", f"choc {MARK}", "3 jours", "HTA"], ["B", "2", "", 'a "b"', "", "x\ny"]], ",")  # fmt: skip
LONG = cells(["certificate_id", "part", "line", "text", "interval"],
             [["A", "1", "a", "choc", "1 j"], ["A", "2", "", MARK, ""], ["B", "", "", "HTA", ""]], ";")  # fmt: skip


@given(st.sampled_from([WIDE, LONG]), dice)
@inputs(400)
def test_spoilt_tables(good: bytes, dice: random.Random) -> None:
    rows(spoilt(good, dice), "csv", "CSV")


@given(
    st.sampled_from([WIDE, LONG, RICH, FIRST]),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\n\n", b"\0"]),
    dice,
)
@inputs(100)
def test_any_file(good: bytes, before: bytes, dice: random.Random) -> None:
    rows(before + spoilt(good, dice), "auto", "any file")


@pytest.mark.parametrize("data", [b'"' * 20_000, b'a,b\n' + b'"\n' * 3_000, b'certificate_id,part1_1\n' + b'"\n' * 3_000,
                                  b'certificate_id,text\n' + b"A,x\n" * 5_000, b"," * 100_000, b";" * 70_000 + b"\n" * 10_000,
                                  b'certificate_id,text\n"' + b"A\n" * 5_000], ids=range(7))  # fmt: skip
def test_known_tables(data: bytes) -> None:
    rows(data, "csv", "CSV")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("text", [b"a", "é".encode(), "e\u0301".encode(), b"\\u0301", b" ", "\u202e".encode()])
def test_ten_megabytes_are_refused_before_anything_is_done_with_them(
    form: str, text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just under the length of a row: it is decoded, measured and refused."""
    monkeypatch.setattr("stream.text.normal.normalise", None)
    body = text * (9_900_000 // len(text))
    data = FIRST[:-1].replace(b"HTA", body) if form == "jsonl" else b"certificate_id,part1_1\nA," + body
    tracemalloc.start()
    (row,) = rows(data, form, "ten megabytes")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert row.error is not None and row.error.code in ("OVERSIZED_TEXT", "EMPTY_CERTIFICATE")
    assert peak < 120_000_000
