"""Lines coded: what is remembered of one changes no answer."""

from __future__ import annotations

from typing import Any

from stream.certificate import read_certificate
from stream.coder import confidence, rules
from stream.coder.coder import Coder
from stream.coder.model import Tagged
from stream.coder.vocabulary import speller
from stream.nomenclature import icd10
from stream.pipeline.reading import ReadCertificate, Reader
from stream.pipeline.wording import Answers, Wording

READER = Reader(speller(), 100)


def wording(remembered: int = 0) -> Wording:
    return Wording(rules.load(), Coder(icd10.load(), confidence.load()), remembered)


def read(**fields: Any) -> ReadCertificate:
    return READER.read(read_certificate({"certificate_id": "A", **fields}))


def test_all_that_a_line_follows_from_counts_anew() -> None:
    old = {"text": "AVC", "interval": "10 ans"}
    told: list[dict[str, Any]] = [
        {"part1": ["AVC"]},
        {"part1": [old]},
        {"part1": ["AVC depuis 2015"], "death_date": "2026-01-01"},
        {"part1": ["AVC depuis 2015"], "death_date": "2015-02-01"},
        {"part1": ["chute", "AVC"]},
        {"part1": ["chute", "AVC"], "manner": "SUICIDE"},
        {"part1": ["détresse respiratoire"], "age": {"value": 2, "unit": "DAYS"}},
        {"part1": ["détresse respiratoire"], "age": {"value": 60, "unit": "YEARS"}},
    ]
    known, bare = wording(100), wording()
    for fields in told * 2:
        one = read(**fields)
        for code in ("I64", "I61.9"):
            for model in ("coder-1", "coder-2"):
                answers: Answers = {line.request: (Tagged(0, 3, (code,), (0.99,)),) for line in one.lines}
                assert known.lines(one, answers, model) == bare.lines(one, answers, model)


def test_a_line_that_was_coded_before_is_not_coded_again() -> None:
    known = wording(100)
    ((first,), _), ((again,), _) = (known.lines(read(part1=["OAP"]), {}, "coder-1") for _ in range(2))
    assert first is again
    ((other,), _) = known.lines(read(part1=["OAP"]), {}, "coder-2")
    assert other is not first
