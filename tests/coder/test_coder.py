"""Two coders put together: agreement, disagreement, negation, history, causes, offsets, and what is left uncoded."""

from __future__ import annotations

from datetime import date

import pytest

from stream.coder.coder import KEPT_ALTERNATIVES, Coder
from stream.coder.confidence import Confidence
from stream.coder.model import Tagged
from stream.coder.rules import Kind, Match
from stream.coding import Assertion, CodedLine, Duration, Method, Why
from stream.nomenclature import icd10
from stream.text.segment import segment

from .lines import MODEL, coded, read, small, tag

RULES = small(
    ("œdème cérébral", "G93.6"), ("choc septique", "R57.2"), ("péritonite", "K65.9"), ("HTA", "I10"), ("sepsis", "A41.9"),
    ("embolie pulmonaire", "I26.9"), ("infarctus du myocarde", "I21.9"), ("AVC", "I64"), ("cancer du sein", "C50.9"),
    ("métastases", "C79.9"), ("métastases hépatiques", "C78.7"), ("pendaison", "X70 T71"), ("chute", "W19"), ("fièvre", "R50.9"),
    ("fracture du fémur", "S72.9"), ("cancer du sein métastatique", "C50.9 C79.9"), ("démence", "F03"),
)  # fmt: skip


def line(text: str, *tagged: Tagged, interval: Duration | None = None, died: date | None = None) -> CodedLine:
    return coded(text, *tagged, interval=interval, died=died, rule_coder=RULES)


def told(found: CodedLine) -> str:
    return " ".join(e.code for e in found.entities)


def left(text: str, found: CodedLine) -> list[tuple[str, str]]:
    return [(text[u.start : u.end], u.why.value) for u in found.uncoded]


# Agreement and disagreement


def test_what_only_the_rules_say() -> None:
    (entity,) = line("péritonite").entities
    assert (entity.code, entity.method, entity.source, entity.alternatives) == ("K65.9", Method.RULES, "own:2", ())


def test_what_only_the_model_says() -> None:
    text = "leptospirose"
    (entity,) = line(text, tag(text, "leptospirose", "A27.9", "A27.0")).entities
    assert (entity.code, entity.method, entity.source) == ("A27.9", Method.MODEL, MODEL)
    assert [a.code for a in entity.alternatives] == ["A27.0"]


def test_agreement_is_marked_and_surer_and_keeps_the_lexicon_as_its_source() -> None:
    text = "péritonite"
    (both,) = line(text, tag(text, text.replace("é", "e"), "K65.9", "K65.0")).entities
    assert both.method is Method.BOTH and both.source == "own:2"
    assert both.confidence > line(text).entities[0].confidence
    assert [a.code for a in both.alternatives] == ["K65.0"]


@pytest.mark.parametrize(("p", "winner", "loser"), [(0.05, "K65.9", "K63.1"), (1.0, "K63.1", "K65.9")])
def test_of_two_that_disagree_the_loser_is_kept(p: float, winner: str, loser: str) -> None:
    weights = {"rules:whole": 1.0, "model:logit": 1.0}
    text = read("péritonite")
    coder = Coder(icd10.load(), Confidence(weights), floor=0.0)
    match = Match(0, 10, ("K65.9",), Kind.WHOLE, "own:2", 1, 1.0)
    found = coder.combine(text, segment(text), [match], [Tagged(0, 10, ("K63.1",), (p,))], None, (), MODEL)
    (entity,) = found.entities
    assert entity.code == winner and [a.code for a in entity.alternatives] == [loser]
    assert entity.method is (Method.RULES if winner == "K65.9" else Method.MODEL)


def test_alternatives_are_few_valid_likely_and_never_the_code_itself() -> None:
    codes = ("K65.9", "K65.0", "K65.8", "K63.1", "Z99.9", "XYZ")
    text = "péritonite"
    (entity,) = line(text, Tagged(0, 10, codes, (0.5, 0.2, 0.15, 0.1, 0.03, 0.03))).entities
    assert [a.code for a in entity.alternatives] == ["K65.0", "K65.8", "K63.1"][:KEPT_ALTERNATIVES]
    (entity,) = line(text, Tagged(0, 10, ("K65.9", "XYZ", "K65.0", "K65.8"), (0.9, 0.05, 0.04, 0.001))).entities
    assert [a.code for a in entity.alternatives] == ["K65.0"]


@pytest.mark.parametrize("code", ["Q99.7", "I21", "W19.0", "i10", "", "?", "A27.99"])
def test_a_code_that_does_not_exist_is_refused(code: str) -> None:
    text = "leptospirose"
    found = line(text, Tagged(0, len(text), (code, "A27.9"), (0.99, 0.01)))
    assert found.entities == () and left(text, found) == [(text, "UNKNOWN_WORDS")]


def test_a_proposal_below_the_floor_is_told_as_unknown() -> None:
    text = read("leptospirose")
    coder = Coder(icd10.load(), Confidence({"model:logit": 1.0}), floor=0.5)
    for p, codes in ((0.4, []), (0.6, ["A27.9"])):
        found = coder.combine(text, segment(text), [], [Tagged(0, 12, ("A27.9",), (p,))], None, (), MODEL)
        assert [e.code for e in found.entities] == codes
        assert [u.why for u in found.uncoded] == ([] if codes else [Why.UNKNOWN_WORDS])


def test_both_sides_of_a_line_that_do_not_overlap_are_kept_in_text_order() -> None:
    text = "leptospirose, sepsis, botulisme"
    found = line(text, tag(text, "botulisme", "A05.1"), tag(text, "leptospirose", "A27.9"))
    assert told(found) == "A27.9 A41.9 A05.1"
    assert [e.method for e in found.entities] == [Method.MODEL, Method.RULES, Method.MODEL]


def test_what_the_loser_says_of_other_words_is_kept() -> None:
    text = "sepsis sur HTA"
    found = line(text, Tagged(0, len(read(text).text), ("A41.9", "I10"), (0.99, 0.005)))
    assert [(e.code, e.method) for e in found.entities] == [("A41.9", Method.BOTH), ("I10", Method.RULES)]
    assert left(text, found) == [("sur", "NOT_A_CAUSE")]


def test_candidates_are_all_proposals_of_either_side_once() -> None:
    coder = Coder(icd10.load(), Confidence({}))
    matches = [Match(0, 10, ("K65.9",), Kind.WHOLE, "own:2", 1, 1.0)]
    tagged = [Tagged(0, 10, ("K63.1",), (0.7,)), Tagged(12, 18, ("A41.9",), (0.9,)), Tagged(20, 22, ("??",), (0.9,))]
    found = coder.candidates(matches, tagged, MODEL)
    assert sorted((p.code, p.method.value) for p in found) == [
        ("A41.9", "MODEL"),
        ("K63.1", "MODEL"),
        ("K65.9", "RULES"),
    ]
    assert {p.code: p.evidence.rival for p in found} == {"K65.9": 0.7, "K63.1": 1.0, "A41.9": 0.0}


# Assertion


@pytest.mark.parametrize(
    ("text", "codes", "assertion"),
    [
        ("sepsis", "A41.9", Assertion.AFFIRMED),
        ("probable sepsis", "A41.9", Assertion.PROBABLE),
        ("sepsis ?", "A41.9", Assertion.PROBABLE),
        ("suspicion d'embolie pulmonaire", "I26.9", Assertion.PROBABLE),
        ("ATCD de sepsis", "A41.9", Assertion.HISTORY),
        ("antécédent d'infarctus du myocarde", "I25.2", Assertion.HISTORY),
        ("ATCD d'AVC", "I69.4", Assertion.HISTORY),
    ],
)
def test_assertion(text: str, codes: str, assertion: Assertion) -> None:
    found = line(text)
    assert told(found) == codes and {e.assertion for e in found.entities} == {assertion}


@pytest.mark.parametrize(
    ("text", "codes", "denied"),
    [
        ("pas de sepsis", "", ["sepsis"]),
        ("absence d'embolie pulmonaire", "", ["embolie pulmonaire"]),
        ("péritonite sans sepsis", "K65.9", ["sepsis"]),
        ("pas d'embolie pulmonaire, sepsis", "A41.9", ["embolie pulmonaire"]),
        ("pas d'embolie pulmonaire ni d'infarctus du myocarde", "", ["embolie pulmonaire", "infarctus du myocarde"]),
        ("pas de pendaison", "", ["pendaison"]),  # two codes, one stretch
        ("pas d'embolie pulmonaire initialement, embolie pulmonaire secondairement", "I26.9", ["embolie pulmonaire"]),
        ("embolie pulmonaire, pas d'embolie pulmonaire", "I26.9", ["embolie pulmonaire"]),
    ],
)
def test_what_is_denied_is_not_coded_but_told(text: str, codes: str, denied: list[str]) -> None:
    found = line(text)
    assert told(found) == codes
    assert [words for words, why in left(text, found) if why == "NEGATED"] == denied


# Old diseases, absorbed codes, codes said twice


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("infarctus du myocarde", "I21.9"),
        ("infarctus du myocarde il y a 3 ans", "I25.2"),
        ("infarctus du myocarde il y a 3 jours", "I21.9"),
        ("infarctus du myocarde il y a 3 ans, sepsis", "I25.2 A41.9"),
        ("sepsis, infarctus du myocarde il y a 3 ans", "A41.9 I25.2"),
        ("AVC en 2015", "I69.4"),
        ("AVC en 2015, HTA", "I69.4 I10"),
        ("HTA depuis 2015, AVC", "I10 I64"),
        ("AVC en 2025", "I64"),
        ("antécédent d'AVC, infarctus du myocarde", "I69.4 I25.2"),
    ],
)
def test_old_diseases(text: str, codes: str) -> None:
    assert told(line(text, died=date(2026, 1, 15))) == codes


def test_the_interval_of_a_line_dates_its_only_entity() -> None:
    assert told(line("infarctus du myocarde", interval=Duration(90.0))) == "I25.2"
    assert told(line("infarctus du myocarde", interval=Duration(2.0))) == "I21.9"
    assert told(line("sepsis, infarctus du myocarde", interval=Duration(90.0))) == "A41.9 I21.9"
    assert line("sepsis", interval=Duration(2.0)).interval == Duration(2.0)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("cancer du sein métastatique", "C50.9 C79.9"),
        ("métastases", "C79.9"),
        ("cancer du sein, métastases", "C50.9 C79.9"),  # another segment says more than a word of the first
        ("cancer du sein, métastases hépatiques", "C50.9 C78.7"),
        ("sepsis, sepsis, choc septique, sepsis", "A41.9 R57.2"),
        ("pendaison", "X70 T71"),
    ],
)
def test_absorbed_and_repeated_codes(text: str, codes: str) -> None:
    assert told(line(text)) == codes


# Causes


@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("choc septique", [None]),
        ("choc septique, péritonite", [None, None]),
        ("choc septique sur péritonite", [1, None]),
        ("choc septique secondaire à une péritonite", [1, None]),
        ("choc septique <- péritonite", [1, None]),
        ("péritonite -> choc septique", [None, 0]),
        ("péritonite compliquée d'un choc septique", [None, 0]),
        ("chute ayant entraîné une fracture du fémur", [None, 0]),
        ("choc septique sur sepsis sur péritonite", [1, 2, None]),
        ("chute -> fracture du fémur -> embolie pulmonaire", [None, 0, 1]),
        ("HTA, choc septique sur péritonite", [None, 2, None]),
        ("HTA, choc septique, pas de fièvre", [None, None]),
        ("démence, chute -> fracture du fémur", [None, None, 1]),
    ],
)
def test_connectors_tell_the_cause(text: str, causes: list[int | None]) -> None:
    assert [e.due_to for e in line(text).entities] == causes


# Offsets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Œdème cérébral", ["Œdème cérébral"]),
        ("ŒDÈME CÉRÉBRAL + HTA", ["ŒDÈME CÉRÉBRAL", "HTA"]),
        ("  péritonite  !", ["péritonite"]),
        ("pe\u0301ritonite, HTA", ["pe\u0301ritonite", "HTA"]),
        ("« sepsis » – H.T.A.", ["sepsis", "H.T.A."]),
        ("AVC→choc septique", ["AVC", "choc septique"]),
        ("🫀 HTA, sepsis", ["HTA", "sepsis"]),
        ("ﬁèvre ; sepsis", ["ﬁèvre", "sepsis"]),
        ("peritonitte", ["peritonitte"]),
    ],
)
def test_offsets_point_into_the_raw_text(text: str, expected: list[str]) -> None:
    assert [text[e.start : e.end] for e in line(text).entities] == expected


# What is left


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sepsis", []),
        ("xyzzy plugh", [("xyzzy plugh", "UNKNOWN_WORDS")]),
        ("décès constaté à domicile", [("décès constaté à domicile", "NOT_A_CAUSE")]),
        ("sepsis xyzzy", [("xyzzy", "UNKNOWN_WORDS")]),
        ("xyzzy, sepsis, plugh", [("xyzzy", "UNKNOWN_WORDS"), ("plugh", "UNKNOWN_WORDS")]),
        ("sepsis depuis 3 jours", []),
        ("123 456", []),
        ("? !", []),
        ("", []),
    ],
)
def test_uncoded_stretches(text: str, expected: list[tuple[str, str]]) -> None:
    assert left(text, line(text)) == expected


# What an expression says of itself


def test_a_denial_that_is_part_of_an_expression_denies_nothing() -> None:
    own = small(("choc sans témoin", "R57.9"), ("témoin", "I10"), ("ancien fumeur", "Z86.4"), ("fumeur", "F17.9"))
    assert told(coded("choc sans témoin", rule_coder=own)) == "R57.9"
    assert told(coded("sans témoin", rule_coder=own)) == ""
    (entity,) = coded("ancien fumeur", rule_coder=own).entities
    assert (entity.code, entity.assertion) == ("Z86.4", Assertion.AFFIRMED)
    # A model's span may hold the denial's words without meaning them.
    assert told(coded("pas d'embolie", tag("pas d'embolie", "pas d embolie", "I26.9"), rule_coder=small())) == ""
