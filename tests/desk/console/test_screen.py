"""What the screen shows of a certificate and a draft."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from pipeline.core import coded, framed, run

from stream.certificate import read_certificate
from stream.coding import Assertion, CodedLine, Method, Why
from stream.desk.console.chips import expression_of
from stream.desk.console.screen import Row, coded_lines, empty_draft, rows
from stream.desk.drafts import Draft, DraftCode, DraftLine

FIELDS = {
    "sex": "M", "age": {"value": 78}, "death_date": "2026-01-15",
    "part1": [{"text": "détresse respiratoire aiguë", "interval": "3 jours"}, "zxqv wxkq", "adénocarcinome du pancréas"],
    "part2": ["HTA, tabagisme sevré"],
}  # fmt: skip
CERTIFICATE = read_certificate({"certificate_id": "A1", **FIELDS})
PROPOSAL = coded(**FIELDS)


def with_line(row: int, *codes: DraftCode) -> Draft:
    draft = Draft.of(PROPOSAL)
    if row < len(draft.part1):
        return replace(draft, part1=(*draft.part1[:row], DraftLine(codes), *draft.part1[row + 1 :]))
    row -= len(draft.part1)
    return replace(draft, part2=(*draft.part2[:row], DraftLine(codes), *draft.part2[row + 1 :]))


def shown(draft: Draft) -> tuple[Row, ...]:
    return rows(CERTIFICATE, PROPOSAL, draft)


def test_lines_bear_their_names_intervals_and_codes_with_their_source() -> None:
    first, unknown, third, part2 = shown(Draft.of(PROPOSAL))
    assert [row.name for row in (first, unknown, third, part2)] == ["I\u00a0a", "I\u00a0b", "I\u00a0c", "II\u00a0a"]
    assert (first.interval, first.days and first.days.days) == ("3 jours", 3.0)
    assert (first.chips[0].code, first.chips[0].method) == ("J96.0", Method.RULES)
    assert third.chips[0].source.startswith("ch02:") and "pancréas" in expression_of()[third.chips[0].source]
    assert third.chips[0].label == "Tumeur maligne du pancréas, sans précision"
    assert next(chip.code for chip in part2.chips) == "I10"


def test_unknown_words_may_be_given_a_code_and_are_marked_in_the_text() -> None:
    row = shown(Draft.of(PROPOSAL))[1]
    assert [(gap.text, gap.why) for gap in row.gaps] == [("zxqv wxkq", Why.UNKNOWN_WORDS)]
    assert [s.why for s in row.stretches] == [Why.UNKNOWN_WORDS]
    filled = shown(with_line(1, DraftCode("C78.6", 0, 9)))[1]
    assert not filled.gaps and filled.stretches[0].places == (0,)
    whole = shown(with_line(1, DraftCode("C78.6")))[1]
    assert not whole.gaps and whole.chips[0].start is None


def test_a_code_in_anothers_place_tells_whose_and_offers_it_again() -> None:
    old = PROPOSAL.part1[0].entities[0]
    row = shown(with_line(0, DraftCode("J96.9", old.start, old.end)))[0]
    chip = row.chips[0]
    assert (chip.code, chip.was, chip.confidence, chip.method) == ("J96.9", "J96.0", None, Method.HUMAN)
    assert chip.others[0].code == "J96.0" and not row.gone


def test_a_code_taken_away_stays_readable() -> None:
    assert shown(with_line(0))[0].gone == ("J96.0",)


def test_what_is_no_code_is_doubtful() -> None:
    chip = shown(with_line(0, DraftCode("J96")))[0].chips[0]
    assert chip.label == "" and chip.doubtful


def test_the_stretches_of_a_line_are_its_text_whatever_the_spans() -> None:
    for row in shown(Draft.of(PROPOSAL)):
        assert "".join(s.text for s in row.stretches) == row.text


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.sampled_from(["I10", "C25.9", "no"])), max_size=6))
def test_no_draft_breaks_the_screen(spans: list[tuple[int, int, str]]) -> None:
    draft = with_line(2, *(DraftCode(code, start, end, start % 7) for start, end, code in spans))
    row = shown(draft)[2]
    assert "".join(s.text for s in row.stretches) == row.text
    assert [chip.code for chip in row.chips] == [code for _, _, code in spans]
    part1, _ = coded_lines(CERTIFICATE, PROPOSAL, draft)
    assert [entity.code for entity in part1[2].entities] == [code for _, _, code in spans]


def test_the_proposal_as_a_draft_is_the_proposal_for_the_core() -> None:
    part1, part2 = coded_lines(CERTIFICATE, PROPOSAL, Draft.of(PROPOSAL))
    assert (part1, part2) == (PROPOSAL.part1, PROPOSAL.part2)


def test_blind_nothing_of_the_machine_is_there_but_intervals_are_read_again() -> None:
    draft = empty_draft(CERTIFICATE)
    found = rows(CERTIFICATE, None, draft)
    assert not any(row.chips or row.gaps or row.gone for row in found)
    assert all(s.why is None and not s.places for row in found for s in row.stretches)
    assert found[0].days and found[0].days.days == 3.0
    part1, _ = coded_lines(CERTIFICATE, None, draft)
    assert part1[0] == CodedLine((), (), PROPOSAL.part1[0].interval)


def test_what_the_text_says_of_an_entity_is_kept() -> None:
    fields = {**FIELDS, "part1": ["probable embolie pulmonaire"]}
    proposal = run(framed(**fields)).coded
    assert proposal is not None
    chip = rows(read_certificate({"certificate_id": "A1", **fields}), proposal, Draft.of(proposal))[0].chips[0]
    assert (chip.code, chip.assertion) == ("I26.9", Assertion.PROBABLE)
