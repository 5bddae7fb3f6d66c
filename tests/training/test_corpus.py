"""Lines made for training: the same by seed, their spans hold the entities, and what is held out stays out."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.coder import expressions
from stream.coder.context import CONDITIONS
from stream.nomenclature import icd10
from training import noise
from training.corpus import HELD_OUT, Corpus, Example, held_out

LEXICON = list(expressions.load())
KEPT_OUT = {e.text.lower() for e in LEXICON if held_out(e)}
BY_TEXT: dict[str, set[tuple[str, ...]]] = {}
for _e in [*LEXICON, *expressions.labels(icd10.load())]:
    BY_TEXT.setdefault(_e.text, set()).add(_e.codes)


def examples(count: int, seed: int = 1, part: str = "train") -> list[Example]:
    return list(itertools.islice(Corpus(seed, part), count))


@pytest.mark.parametrize("part", ["train", "held_out"])
def test_a_seed_gives_its_lines(part: str) -> None:
    assert examples(300, 1, part) == examples(300, 1, part)
    assert examples(300, 1, part) != examples(300, 2, part)


@pytest.mark.parametrize("part", ["train", "held_out"])
def test_spans_lie_in_the_line_in_order_with_valid_codes(part: str) -> None:
    nomenclature = icd10.load()
    for example in examples(2_000, 3, part):
        reach = 0
        for span in example.spans:
            assert reach <= span.start < span.end <= len(example.text)
            assert example.text[span.start : span.end].strip()
            assert span.codes and all(nomenclature.valid(code) for code in span.codes)
            reach = span.end
        assert set(example.context.split()) <= set(CONDITIONS)


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hand that writes what it means."""
    monkeypatch.setattr(noise, "entity", lambda text, rng, level: text)
    monkeypatch.setattr(noise, "hand", lambda rng: ("asis", False))


def test_spans_hold_the_words_of_their_codes(steady: None) -> None:
    whole = shared = 0
    for example in examples(2_000, 4):
        for number, span in enumerate(example.spans):
            words = example.text[span.start : span.end]
            if span.codes in BY_TEXT.get(words, ()):
                whole += 1
            else:  # a head that stands once, or an organ alone after "métastatique"
                assert number > 0 and any(
                    text.endswith(words.split(" ", 1)[-1]) for text, codes in BY_TEXT.items() if span.codes in codes
                )
                shared += 1
    assert whole > shared > 0


def test_what_is_held_out_never_stands_in_a_training_line(steady: None) -> None:
    for example in examples(6_000, 5):
        for span in example.spans:
            words = example.text[span.start : span.end]
            assert span.codes not in BY_TEXT.get(words, ()) or words.lower() not in KEPT_OUT


def test_held_out_lines_hold_nothing_else(steady: None) -> None:
    for example in examples(1_000, 6, "held_out"):
        (span,) = example.spans
        assert example.text[span.start : span.end] == example.text and example.text.lower() in KEPT_OUT


def test_a_twentieth_is_held_out_and_labels_are_not() -> None:
    share = sum(map(held_out, LEXICON)) / len(LEXICON)
    assert abs(share - 1 / HELD_OUT) < 0.01
    assert not any(held_out(label) for label in expressions.labels(icd10.load()))
    assert {held_out(e) for e in LEXICON if e.text.lower() in KEPT_OUT} == {True}


def test_lines_are_as_varied_as_certificates() -> None:
    made = examples(3_000, 7)
    sizes = Counter(len(example.spans) for example in made)
    assert sizes[0] > 0 and sizes[1] > sizes[2] > sizes[3] > 0 and max(sizes) <= 6
    codes = {code for example in made for span in example.spans for code in span.codes}
    assert len(codes) > 1_000 and len({code[0] for code in codes}) > 18
    assert any(example.text.isupper() for example in made) and any(example.text.islower() for example in made)


def test_conditions_hold_for_what_demands_them() -> None:
    demanding = {(e.codes, e.when) for e in LEXICON if e.when}
    free = {e.codes for e in LEXICON if not e.when}
    checked = 0
    for example in examples(3_000, 8):
        for span in example.spans:
            wanted = {when for codes, when in demanding if codes == span.codes}
            if wanted and span.codes not in free:
                assert wanted & set(example.context.split())
                checked += 1
    assert checked > 10


# The hand

lines = st.text(alphabet=st.sampled_from("abcdefé œÀç'-. 12"), max_size=40)


@given(lines, st.integers(0, 10_000), st.floats(0, 2))
def test_noise_is_of_its_seed_and_never_empties_a_text(text: str, seed: int, level: float) -> None:
    one = noise.entity(text, random.Random(seed), level)
    assert one == noise.entity(text, random.Random(seed), level)
    assert bool(one.strip()) >= bool(text.strip().strip("-"))


@given(lines, st.integers(0, 10_000))
def test_without_noise_a_text_stays(text: str, seed: int) -> None:
    assert noise.entity(text, random.Random(seed), 0.0) == text


@given(st.text(alphabet="abcdeéèstnr", max_size=15), st.integers(0, 10_000))
def test_a_typing_error_changes_one_place_of_a_long_word(word: str, seed: int) -> None:
    written = noise.typo(word, random.Random(seed))
    assert abs(len(written) - len(word)) <= 2
    assert written[:1] == word[:1]
    if len(word) < 5:
        assert written == word


@given(st.text(alphabet="abcdeéèstnr", max_size=15), st.integers(0, 10_000))
def test_a_word_cut_short_is_a_beginning(word: str, seed: int) -> None:
    assert word.startswith(noise.truncate(word, random.Random(seed)).removesuffix("."))


@pytest.mark.parametrize(
    ("habits", "expected"),
    [(("asis", False), "Œdème aigu"), (("upper", False), "ŒDÈME AIGU"), (("lower", False), "œdème aigu"),
     (("title", False), "Œdème Aigu"), (("asis", True), "OEdeme aigu"), (("upper", True), "OEDEME AIGU")],
)  # fmt: skip
def test_hands(habits: tuple[str, bool], expected: str) -> None:
    assert noise.apply_hand("Œdème aigu", habits) == expected
