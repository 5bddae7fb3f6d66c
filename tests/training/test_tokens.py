"""Rows for the network: sub-words, tags and entities of a line."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from stream.coder.context import CONDITIONS
from stream.text.normal import normalise
from training.corpus import Corpus, Example, Span

pytest.importorskip("tokenizers", reason="the extra `train` is not installed")

from training.tokens import LONGEST, Rows, load_tokenizer, normal_span, pad, rows, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(normalise(example.text).text for example in itertools.islice(Corpus(1), 2_000))


def test_normal_span_is_found_from_raw_offsets() -> None:
    raw = "Œdème aigu, H.T.A."
    text = normalise(raw)
    for words, normal in (("Œdème aigu", "oedeme aigu"), ("H.T.A.", "hypertension arterielle")):
        start = raw.index(words)
        place = normal_span(text, start, start + len(words))
        assert place is not None and text.text[place[0] : place[1]].strip() == normal
    assert normal_span(normalise("sepsis !"), 7, 8) is None


def test_rows_tag_just_their_entities(tokenizer: Any) -> None:
    maker = Rows(tokenizer, spelled=0.0)
    text = "cancer du sein, sepsis"
    example = Example(text, "female newborn", (Span(0, 14, ("C50.9",)), Span(16, 22, ("A41.9",))))
    row = maker.row(example, 0)
    assert row is not None and len(row.ids) == len(row.tags) <= LONGEST
    assert row.ids[:2] == maker.context("female newborn") and row.tags[:2] == [0, 0]
    assert [codes for _, _, codes in row.entities] == [("C50.9",), ("A41.9",)]
    for first, last, _ in row.entities:
        assert row.tags[first : last + 1] == [1] + [2] * (last - first)
    assert sum(tag > 0 for tag in row.tags) == sum(last - first + 1 for first, last, _ in row.entities)


def test_lines_that_the_network_does_not_read_make_no_row(tokenizer: Any) -> None:
    maker = Rows(tokenizer)
    assert maker.row(Example("", "", ()), 0) is None
    assert maker.row(Example("sepsis xyzzy " * 60, "", ()), 0) is None
    assert maker.row(Example("sepsis !", "", (Span(7, 8, ("A41.9",)),)), 0) is None


def test_rows_of_a_corpus_are_well_formed_and_as_many_as_asked(tokenizer: Any, tmp_path: Any) -> None:
    tokenizer.save(str(tmp_path / "t.json"))
    maker = Rows(load_tokenizer(tmp_path / "t.json"))
    made = list(rows(iter(Corpus(2)), maker, 200))
    assert len(made) == 200 and made == list(rows(iter(Corpus(2)), Rows(tokenizer), 200))
    for row in made:
        assert 0 < len(row.ids) == len(row.tags) <= LONGEST
        reach = -1
        for first, last, codes in row.entities:
            assert reach < first <= last < len(row.ids) and codes
            reach = last


def test_conditions_are_tokens_of_their_own(tokenizer: Any) -> None:
    ids = Rows(tokenizer).context(" ".join(CONDITIONS))
    assert len(set(ids)) == len(CONDITIONS) and None not in ids and tokenizer.token_to_id("[PAD]") == 0


def test_pad() -> None:
    assert pad([[1, 2], []], 3) == [[1, 2, 0], [0, 0, 0]]
