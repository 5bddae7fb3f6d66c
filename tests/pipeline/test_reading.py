"""A certificate's lines read: hints from one line to another, intervals, conditions, requests."""

from __future__ import annotations

from typing import Any

import pytest

from stream.certificate import read_certificate
from stream.coder.vocabulary import speller
from stream.coding import Duration
from stream.pipeline.reading import LONGEST, ReadCertificate, Reader


def lines(**fields: Any) -> ReadCertificate:
    return Reader(speller()).read(read_certificate({"certificate_id": "A", **fields}))


def test_lines_are_read_in_order_part_1_first() -> None:
    found = lines(part1=["OAP", "HTA"], part2=["diabète"])
    assert [line.normal.raw for line in found.lines] == ["OAP", "HTA", "diabète"]
    assert (len(found.part1), len(found.part2)) == (2, 1)
    assert found.lines == found.part1 + found.part2
    assert found.part1[0].request.text == "oedeme aigu du poumon"


def test_a_line_is_read_in_the_light_of_the_others() -> None:
    lung = lines(part1=["IRA", "pneumopathie"]).part1[0].normal.text
    kidney = lines(part1=["IRA", "créatinine, dialyse, insuffisance rénale"]).part1[0].normal.text
    assert lung == "insuffisance respiratoire aigue" and kidney == "insuffisance renale aigue"


def test_typing_errors_are_put_right_and_the_raw_text_is_kept() -> None:
    (line,) = lines(part1=["insufisance cardiaqe"]).part1
    assert line.normal.text == "insuffisance cardiaque" and line.normal.raw == "insufisance cardiaqe"


@pytest.mark.parametrize(
    ("line", "died", "interval"),
    [
        ({"text": "OAP", "interval": "3 jours"}, None, Duration(3.0)),
        ({"text": "OAP depuis 3 jours"}, None, Duration(3.0)),
        ({"text": "OAP depuis 3 jours", "interval": "2 ans"}, None, Duration(730.5)),
        ({"text": "OAP depuis 3 jours", "interval": "inconnu"}, None, Duration(3.0)),
        ({"text": "OAP depuis 3 jours, HTA depuis 10 ans"}, None, None),  # two: the line as a whole has none
        ({"text": "OAP"}, None, None),
        ({"text": "OAP", "interval": "depuis 2012"}, None, None),
        ({"text": "OAP", "interval": ""}, None, None),
    ],
)
def test_interval(line: dict[str, Any], died: str | None, interval: Duration | None) -> None:
    assert lines(part1=[line], death_date=died).part1[0].interval == interval


def test_dates_are_measured_against_the_death() -> None:
    (line,) = lines(part1=[{"text": "cancer", "interval": "depuis 2020"}], death_date="2026-01-01").part1
    assert line.interval is not None and 5 * 365 < line.interval.days < 6.1 * 365 and line.interval.approximate


@pytest.mark.parametrize(
    ("fields", "context"),
    [
        ({"part1": ["HTA"], "sex": "F"}, "female"),
        ({"part1": ["HTA", "pendaison"], "sex": "M"}, "male suicide"),
        ({"part1": ["HTA"], "part2": ["chute"]}, "accident"),
        ({"part1": ["chute"], "manner": "HOMICIDE"}, "homicide"),
        ({"part1": ["AVC"]}, ""),
        ({"part1": ["détresse respiratoire"], "form": "NEONATAL"}, "newborn"),
    ],
)
def test_every_line_has_the_context_of_the_certificate(fields: dict[str, Any], context: str) -> None:
    found = lines(**fields)
    assert {line.request.context for line in found.lines} == {context}
    assert found.conditions == frozenset(context.split())


def test_a_line_beyond_reason_is_cut_for_the_model_alone() -> None:
    (line,) = lines(part1=["sepsis " * 200]).part1
    assert len(line.request.text) == LONGEST and len(line.normal.text) > LONGEST


def test_empty_lines_are_kept_and_ask_nothing() -> None:
    found = lines(part1=["OAP", "  ", "?"])
    assert [line.request.text for line in found.part1][:2] == ["oedeme aigu du poumon", ""]
    assert found.part1[1].segments == ()


def test_equal_lines_are_one_question() -> None:
    one, two = lines(part1=["OAP"], sex="F"), lines(part1=["O.A.P."], sex="F", version=2)
    assert one.part1[0].request == two.part1[0].request
    assert one.part1[0].request != lines(part1=["OAP"], sex="M").part1[0].request


def test_a_line_that_was_read_before_is_read_alike_among_others() -> None:
    """What stands around a line, who died and when count anew each time, whatever is remembered of it."""
    reader, bare = Reader(speller(), 100), Reader(speller())
    told: list[dict[str, Any]] = [
        {"part1": ["IRA", "pneumopathie"]},
        {"part1": ["IRA", "créatinine, dialyse, insuffisance rénale"]},
        {"part1": ["pneumopathie", "insufisance cardiaqe depuis 2020", "K du col"], "sex": "M"},
        {"part1": ["pneumopathie", "insufisance cardiaqe depuis 2020", "K du col"], "sex": "F"},
        {"part1": ["insufisance cardiaqe depuis 2020"], "death_date": "2026-01-01"},
        {"part1": [{"text": "insufisance cardiaqe depuis 2020", "interval": "3 j"}], "death_date": "2022-01-01"},
        {"part1": ["pendaison"], "manner": "SUICIDE", "age": {"value": 3, "unit": "DAYS"}},
    ]
    for fields in told * 2:
        certificate = read_certificate({"certificate_id": "A", **fields})
        assert reader.read(certificate) == bare.read(certificate)


def test_a_line_longer_than_any_is_not_kept_in_mind() -> None:
    reader = Reader(speller(), 100)
    text = "oap " * (LONGEST // 3)
    for line in (text, "OAP"):
        reader.read(read_certificate({"certificate_id": "A", "part1": [line]}))
    assert list(reader._known._kept) == ["OAP"]
