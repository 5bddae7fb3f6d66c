from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from values import SEALED, WORDS, certificates

from stream.certificate import (
    Age,
    AgeUnit,
    Certificate,
    Line,
    Sealed,
    Sex,
    certificate_json,
    certificate_record,
    read_certificate,
    utc_now,
)
from stream.errors import EmptyCertificate, InvalidCertificate, OversizedText

LEAST = {"certificate_id": "c", "part1": ["sepsis"]}
SECRET = "infarctus"


def test_the_least_certificate() -> None:
    assert read_certificate(LEAST) == Certificate("c", part1=(Line("sepsis"),))
    assert read_certificate({"certificate_id": "c", "part2": ["HTA"]}).part2 == (Line("HTA"),)


def test_the_form_of_the_design() -> None:
    read = read_certificate({
        "certificate_id": "c", "version": 2, "status": "AMENDED", "parts": ["INITIAL", "COMPLEMENTARY"],
        "source": "PAPER", "form": "NEONATAL", "form_version": "2017", "received_at": "2026-01-16T08:30:00Z",
        "death_date": "2026-01-15", "birth_date": None, "sex": "F", "age": {"value": 3, "unit": "DAYS"},
        "place": {"kind": "HOSPITAL", "department": "33", "commune": None}, "residence": {"department": "33"},
        "part1": [{"text": "arrêt", "interval": "3 jours"}, "sepsis"], "part2": ["HTA"], "manner": "NATURAL",
        "pregnancy": "NO", "work_accident": True, "accident_place": "usine", "autopsy": "NONE",
        "surgery": {"within_4_weeks": True, "reason": "occlusion"},
        "neonatal": {"birth_weight_g": 900, "gestation_weeks": 27, "multiple": False, "mother": ["RPM"]},
    })  # fmt: skip
    assert read.part1 == (Line("arrêt", "3 jours"), Line("sepsis"))
    assert read.received_at == datetime(2026, 1, 16, 8, 30, tzinfo=UTC)
    assert read.death_date == date(2026, 1, 15)
    assert read.neonatal is not None
    assert read.neonatal.mother == ("RPM",)


def test_it_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        read_certificate(LEAST).sex = Sex.M  # type: ignore[misc]


@given(certificates(WORDS | SEALED))
def test_avro_mappings_read_back(certificate: Certificate) -> None:
    assert read_certificate(certificate_record(certificate)) == certificate


@given(certificates())
def test_json_mappings_read_back(certificate: Certificate) -> None:
    assert read_certificate(json.loads(json.dumps(certificate_json(certificate)))) == certificate


@given(certificates(SEALED))
@example(Certificate("c", part1=(Line(Sealed("k", b"\xff" * 12, b"\xff" * 16)),)))
def test_sealed_json_mappings_read_back(certificate: Certificate) -> None:
    assert read_certificate(json.loads(json.dumps(certificate_json(certificate)))) == certificate


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"part1": ["a"]}, "certificate_id: missing"),
    ({**LEAST, "certificate_id": ""}, "certificate_id: string_too_short"),
    ({**LEAST, "certificate_id": "x" * 129}, "certificate_id: string_too_long"),
    ({**LEAST, "certificate_id": "a b"}, "certificate_id: string_pattern_mismatch"),
    ({**LEAST, "certificate_id": "é"}, "certificate_id: string_pattern_mismatch"),
    ({**LEAST, "certificate_id": "a\n"}, "certificate_id: string_pattern_mismatch"),
    ({**LEAST, "certificate_id": 3}, "certificate_id: string_type"),
    ({**LEAST, "version": 0}, "version: greater_than_equal"),
    ({**LEAST, "version": 2**31}, "version: less_than_equal"),
    ({**LEAST, "status": SECRET}, "status: enum"),
    ({**LEAST, "sex": SECRET}, "sex: enum"),
    ({**LEAST, "parts": [SECRET]}, "parts.0: string_pattern_mismatch"),
    ({**LEAST, "age": {"value": -1}}, "age.value: greater_than_equal"),
    ({**LEAST, "age": {"value": 1, "unit": SECRET}}, "age.unit: enum"),
    ({**LEAST, "received_at": SECRET}, "received_at: datetime_from_date_parsing"),
    ({**LEAST, "death_date": "2026-02-30"}, "death_date: date_from_datetime_parsing"),
    ({**LEAST, "place": {"department": SECRET}}, "place.department: string_too_long"),
    ({**LEAST, "neonatal": {"birth_weight_g": 10_001}}, "neonatal.birth_weight_g: less_than_equal"),
    ({**LEAST, "pregnancy": SECRET}, "pregnancy: string_pattern_mismatch"),
    ({**LEAST, "autopsy": "NO\n"}, "autopsy: string_pattern_mismatch"),
    ({**LEAST, "autopsy": "A" * 65}, "autopsy: string_too_long"),
    ({**LEAST, SECRET: 1}, "unknown field: unexpected_keyword_argument"),
    ({**LEAST, "part1": [{"text": "a", SECRET: 1}]}, "part1.0: unexpected_keyword_argument"),
    ({**LEAST, "part1": [{"interval": SECRET}]}, "part1.0.text: missing"),
    ({**LEAST, "part1": SECRET}, "part1: tuple_type"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "told"), INVALID, ids=lambda value: value if isinstance(value, str) else "")
def test_faults_name_the_field_and_never_its_value(value: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidCertificate) as failure:
        read_certificate(value)
    assert failure.value.message == told
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__


@pytest.mark.parametrize("value", [None, [], "text", 3, b"x", {}, {"certificate_id": None}])
def test_what_is_no_certificate(value: Any) -> None:
    with pytest.raises(InvalidCertificate):
        read_certificate(value)


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.text() | st.integers(), st.lists), max_size=3), st.data())
def test_anything_is_a_certificate_or_an_input_error_that_quotes_nothing(value: dict[str, Any], data: Any) -> None:
    field = data.draw(st.sampled_from(sorted(Certificate.__dataclass_fields__)))
    value = {**LEAST, field: data.draw(st.text("ϟϠϡ", min_size=4) | st.just(value)), **value}
    try:
        read_certificate(value)
    except (InvalidCertificate, EmptyCertificate, OversizedText) as error:
        assert not set("ϟϠϡ") & set(error.message)


def test_a_surrogate_from_json_is_refused() -> None:
    with pytest.raises(InvalidCertificate):
        read_certificate(json.loads('{"certificate_id": "c", "part1": ["\\ud800"]}'))


def test_more_than_three_faults_are_counted() -> None:
    with pytest.raises(InvalidCertificate, match="and 2 more"):
        read_certificate({"version": 0, "sex": "x", "status": "x", "source": "x"})


@pytest.mark.parametrize("part1", [[], [""], [" \t\n\u00a0"], [{"text": "", "interval": "3 j"}]])
def test_empty_certificates(part1: list[Any]) -> None:
    with pytest.raises(EmptyCertificate):
        read_certificate({"certificate_id": "c", "part1": part1})
    assert read_certificate({"certificate_id": "c", "part1": part1, "status": "VOID"})


def test_sealed_text_counts_as_text() -> None:
    sealed = {"key_id": "k", "nonce": "AAAA", "ciphertext": "AAAA"}
    line = read_certificate({"certificate_id": "c", "part1": [{"text": sealed}]}).part1[0]
    assert line.text == Sealed("k", b"\0\0\0", b"\0\0\0")
    with pytest.raises(InvalidCertificate):
        read_certificate({"certificate_id": "c", "part1": [{"text": {**sealed, "nonce": 3}}]})


@pytest.mark.parametrize(
    "over",
    [
        {"part1": ["x" * 11]},
        {"part1": [{"text": "x", "interval": "x" * 11}]},
        {"part2": ["x" * 11]},
        {"part1": ["x"] * 4},
        {"part2": ["x"] * 4},
        {"part1": ["x"], "neonatal": {"mother": ["x" * 11]}},
    ],
    ids=str,
)
def test_limits(over: dict[str, Any]) -> None:
    with pytest.raises(OversizedText) as failure:
        read_certificate({"certificate_id": "c", **over}, line_chars=10, lines=3)
    assert "xx" not in failure.value.message
    assert read_certificate({"certificate_id": "c", "part1": ["x" * 10] * 3}, line_chars=10, lines=3)
    with pytest.raises(OversizedText, match="longer than 29 characters together"):
        read_certificate({"certificate_id": "c", "part1": ["x" * 10] * 3}, chars=29)


@pytest.mark.parametrize(
    ("age", "days"),
    [(Age(2), 730.5), (Age(1, AgeUnit.MONTHS), 30.4375), (Age(3, AgeUnit.DAYS), 3), (Age(12, AgeUnit.HOURS), 0.5),
     (Age(720, AgeUnit.MINUTES), 0.5)],
)  # fmt: skip
def test_ages(age: Age, days: float) -> None:
    assert age.days == pytest.approx(days)
    assert age.years == pytest.approx(days / 365.25)


def test_age_from_the_dates() -> None:
    born, died = date(2026, 1, 1), date(2026, 1, 15)
    dated = replace(read_certificate(LEAST), birth_date=born, death_date=died)
    assert dated.age_days == 14
    assert replace(dated, age=Age(3, AgeUnit.DAYS)).age_days == 3
    assert replace(dated, birth_date=died, death_date=born).age_days == 0
    assert replace(dated, birth_date=None).age_days is None


@given(certificates(), st.none() | st.datetimes(timezones=st.just(UTC)))
def test_the_hash_sees_all_but_the_moment_of_receipt(certificate: Certificate, moment: datetime | None) -> None:
    assert replace(certificate, received_at=moment).content_hash == certificate.content_hash
    for change in ({"part2": (*certificate.part2, Line("x"))}, {"version": certificate.version % 100 + 1 + 100},
                   {"form_version": certificate.form_version + "x"}):  # fmt: skip
        changed = replace(certificate, **change)
        assert (changed.content_hash == certificate.content_hash) is (changed == certificate)


def test_the_hash_is_the_same_everywhere() -> None:
    assert read_certificate(LEAST).content_hash == "bbbcb0f122888da3c6c432e20b828d6e"


def test_now_has_the_precision_of_avro() -> None:
    assert utc_now().microsecond % 1000 == 0
    assert utc_now().tzinfo is UTC


@pytest.mark.parametrize(
    "written", ["2026-01-16T08:30:00", "2026-01-16T08:30:00Z", "2026-01-16T09:30:00+01:00", "2026-01-15T22:30:00-10:00"]
)
def test_moments_are_in_utc(written: str) -> None:
    read = read_certificate({**LEAST, "received_at": written})
    assert read.received_at == datetime(2026, 1, 16, 8, 30, tzinfo=UTC) and read.received_at.utcoffset() == timedelta(0)
    assert certificate_json(read)["received_at"] == "2026-01-16T08:30:00Z"


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_moments_beyond_the_ends_of_time(written: str) -> None:
    with pytest.raises(InvalidCertificate, match="received_at: value_error"):
        read_certificate({**LEAST, "received_at": written})
