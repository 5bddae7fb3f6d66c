"""Whole certificates under fire: hostile text, ids, moments and numbers give a result or a typed dead letter."""

from __future__ import annotations

import cProfile
import json
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core import NOW, PLAIN, WIRE, records, run

from stream.certificate import Certificate, Line, Status, certificate_json, certificate_record, read_certificate
from stream.coder.model import MemoryModel
from stream.coder.vocabulary import speller
from stream.coding import CodedCertificate, supersedes
from stream.errors import BadAvro, CoreFailed, InputError
from stream.pipeline.record import Decision
from stream.text.abbreviations import abbreviations
from stream.text.normal import _MOST_LETTERS
from stream.underlying.ranking import MemoryRanker
from stream.worker.counting import count

from .campaign import MARK, SCALE, inputs, timed, told
from .traps import WORDS, dice, ids, moments, numbers, texts, written

CODES = [
    "I50.9",
    "I10",
    "C80.9",
    "J18.9",
    "S72.0",
    "W19",
    "X70",
    "P07.3",
    "O95",
    "U07.1",
    "R99",
    "Z99.9",
    "",
    "nonsense",
]
MODEL = MemoryModel(dict(zip(WORDS, CODES * 3, strict=False)))
RANKER = MemoryRanker({"I10": "I10", "C809": "C809"})


def coded(certificate: Certificate) -> Decision:
    """What becomes of a certificate, from the wire to the wire; a fault of our own code is none of its ends."""
    value = WIRE.encode("certificates", certificate_record(certificate))
    with timed("certificates"):
        decision = run(value, PLAIN, MODEL, NOW, RANKER)
    letter = decision.letter
    if letter is not None:
        assert letter.error != CoreFailed.code, letter.detail
        assert MARK not in letter.detail
    else:
        records(decision)
    told("certificates", letter.error if letter else "coded")
    count([decision])
    return decision


def of_mapping(fields: Mapping[str, Any]) -> Decision | None:
    """As `coded`, for a mapping that may be no certificate."""
    try:
        with timed("mappings"):
            certificate = read_certificate(fields)
    except InputError as error:
        assert MARK not in error.message
        told("mappings", error.code)
        return None
    told("mappings", "certificate")
    json.dumps(certificate_json(certificate))
    return coded(certificate)


line = st.builds(lambda text, interval: {"text": text, "interval": interval}, texts, st.none() | texts)


@given(
    st.lists(line, max_size=5),
    st.lists(texts, max_size=3),
    st.sampled_from(["M", "F", "U"]),
    st.sampled_from([0, 3, 28, 40_000]),
)
@inputs(150)
def test_text_of_any_kind(part1: list[Any], part2: list[str], sex: str, days: int) -> None:
    form = "NEONATAL" if days < 28 else "GENERAL"
    of_mapping({"certificate_id": "A1", "part1": part1, "part2": part2, "sex": sex, "form": form,
                "age": {"value": days, "unit": "DAYS"}, "neonatal": {"mother": part2[:2]}, "accident_place": (part2 or [""])[0],
                "death_date": "2026-01-15", "manner": "ACCIDENT" if sex == "M" else None})  # fmt: skip


@given(st.lists(written, min_size=1, max_size=4), dice)
@inputs(100)
def test_what_physicians_write_with_signs_spoilt(lines: list[str], dice: random.Random) -> None:
    for number, text in enumerate(lines):
        letters = list(text)
        for _ in range(dice.randrange(6)):
            at = dice.randrange(len(letters) + 1)
            letters[at:at] = dice.choice(
                ["\u0301", "\u200d", "\ufe0f", "(", ")", "«", "\u00ad", "’", " ", "\n", "/", "->", "?"]
            )
        lines[number] = "".join(letters)
    of_mapping({"certificate_id": "A1", "part1": lines, "part2": lines[:1]})


@given(ids, st.integers(0, 2**31 + 1))
@inputs(100)
def test_hostile_ids(identifier: str, version: int) -> None:
    decision = of_mapping({"certificate_id": identifier, "version": version, "part1": ["cancer"]})
    if decision is not None and decision.coded is not None:
        assert identifier.isascii() and identifier.isprintable() and " " not in identifier and len(identifier) <= 128
        assert {record.key for record in decision.outgoing} == {identifier.encode()}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "received_at": moments, "death_date": moments, "birth_date": moments, "version": numbers,
            "age": st.fixed_dictionaries({"value": numbers, "unit": st.sampled_from(["YEARS", "MINUTES", "x"])}),
            "neonatal": st.fixed_dictionaries({"birth_weight_g": numbers, "gestation_weeks": numbers}),
            "work_accident": numbers, "place": st.fixed_dictionaries({"department": texts}),
            "part1": st.just([{"text": "cancer", "interval": "depuis le 31/12/9999"}, {"text": "choc", "interval": "il y a 9000 ans"}]),
        },
    )
)  # fmt: skip
@inputs(150)
def test_moments_and_numbers_out_of_range(fields: dict[str, Any]) -> None:
    of_mapping({"certificate_id": "A1", "part1": ["cancer en 2015", "HTA depuis 3 ans"], **fields})


@pytest.mark.parametrize("received", [None, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-16T11:00:00Z"])
@pytest.mark.parametrize("died", [None, "0001-01-01", "1900-02-28", "2026-01-17", "2999-01-01", "9999-12-31"])
@pytest.mark.parametrize("born", [None, "0001-01-01", "2026-01-15", "9999-12-31"])
def test_clocks_that_disagree(received: str | None, died: str | None, born: str | None) -> None:
    """Death in the future, before birth, received before death: coded all the same; who decides is told elsewhere."""
    texts = ["cancer depuis 3 ans", "choc il y a 2 mois", "HTA en 1999", "AVC le 30/02", "chute le 12/2025"]
    decision = of_mapping(
        {"certificate_id": "A1", "part1": texts, "received_at": received, "death_date": died, "birth_date": born}
    )
    assert decision is not None and decision.coded is not None


@pytest.mark.parametrize("moment", [datetime.min, datetime.max, datetime(1, 1, 1, tzinfo=UTC), datetime(2026, 1, 1)])
def test_moments_without_a_zone_or_at_the_ends_of_time(moment: datetime) -> None:
    certificate = Certificate("A1", part1=(Line("cancer"),), received_at=moment)
    try:
        assert coded(certificate).coded is not None
    except BadAvro:  # a typed error: `causa publish` tells the row
        told("certificates", "BAD_AVRO")


@pytest.mark.parametrize(
    "text", ["a", "\u0301", *(["é", "(", " x", "\u202e", "1/", "cancer du sein, ", "A.", "->"] if SCALE > 1 else [])]
)
def test_ten_megabytes_are_refused_before_they_are_normalised(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        pytest.fail("normalised")

    monkeypatch.setattr("stream.pipeline.reading.normalise", never)
    long = text * (10_000_000 // len(text.encode()))
    for certificate in (
        Certificate("A1", part1=(Line(long),)),
        Certificate("A1", part1=(Line("cancer", long),)),
        Certificate("A1", part2=tuple(Line(text) for _ in range(100_000))),
    ):
        decision = coded(certificate)
        assert decision.letter is not None and decision.letter.error == "OVERSIZED_TEXT"


UNITS = ["x ", "K;"]
MORE = ["d'", "K+", "DT2,", "HTA/", "((HTA", "\u0301", *"a1()/-?., é", "et ", "sur ", "pas ", "a1", "j5 ", "A.", "->", "cancer ", "cancer, ", "10 ans ", "il y a ", "12/2025 ",
        "(HTA) ", "AVC-", "IRA. ", "A V C ", "ß", "\u200b"]  # fmt: skip


@pytest.mark.parametrize("unit", [*UNITS, *(MORE if SCALE > 1 else ())])
def test_no_line_is_so_strange_that_it_takes_for_ever(unit: str) -> None:
    """Work is counted in calls, which are the same on every machine; the worst line found takes 1.9 million, a second."""
    profile = cProfile.Profile()
    profile.enable()
    coded(Certificate("A1", part1=(Line((unit * 2_000)[:2_000], (unit * 2_000)[:2_000]),)))
    profile.disable()
    assert sum(row.callcount for row in profile.getstats()) < 8_000_000


def test_no_word_is_longer_than_the_letters_that_are_put_together() -> None:
    known = [*abbreviations().single, *(word for word in speller()._words)]
    assert max(map(len, known)) < _MOST_LETTERS


def test_what_a_certificate_may_hold_in_all() -> None:
    """Lines within their own limit, and together more than a worker can read before it counts as dead."""
    lines = tuple(Line("K;" * 1_000) for _ in range(6))
    letter = coded(Certificate("A1", part1=lines)).letter
    assert letter is not None and letter.error == "OVERSIZED_TEXT" and "10000 characters together" in letter.detail
    assert coded(Certificate("A1", part1=tuple(Line("cancer " * 240) for _ in range(5)))).coded is not None


@given(st.permutations([(v, s) for v in (1, 2, 3) for s in ("first", "again")]), st.sampled_from([1, 2, 3, None]))
@inputs(20)
def test_versions_in_any_order_and_twice(order: list[tuple[int, str]], void: int | None) -> None:
    """Each record has its answer; the same record the same one; what holds in the end does not hang on the order."""
    answers: dict[int, CodedCertificate] = {}
    best: CodedCertificate | None = None
    for version, _ in order:
        status = Status.VOID if version == void else Status.INITIAL
        text = (Line(f"{'cancer' if version == 1 else 'choc'} depuis {version} ans"),)
        found = coded(Certificate("A1", part1=text, version=version, status=status)).coded
        assert found is not None and answers.setdefault(version, found) == found
        later = replace(found, coded_at=found.coded_at + timedelta(seconds=1))
        best = found if best is None or supersedes(found, best) else best
        assert best is not None and (
            supersedes(later, best) or later.version < best.version or later.version == best.version
        )
    assert best is not None and best.version == 3
