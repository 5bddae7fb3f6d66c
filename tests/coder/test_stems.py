"""Stems: what two spellings of one expression share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.coder.stems import STOP, is_word, stem, stems, tokens
from stream.text.normal import ALPHABET, normalise

ALIKE = [
    ("renal", "renale", "renaux", "renales"),
    ("hepatique", "hepatiques"),
    ("aigu", "aigue", "aigus", "aigues"),
    ("cerebral", "cerebrale", "cerebraux"),
    ("metastase", "metastases"),
    ("chronique", "chroniques"),
    ("parkinsonien", "parkinsonienne", "parkinsoniens", "parkinsoniennes"),
    ("evolutif", "evolutive", "evolutives"),
    ("intestinal", "intestinale", "intestinaux"),
    ("severe", "severes"),
]
UNLIKE = [
    ("virus", "virale"), ("abces", "accident"), ("pus", "pu"), ("os", "o"), ("cirrhose", "cirrus"),
    ("sein", "saine"), ("gland", "glande"), ("infarctus", "infarct"), ("uterus", "uter"), ("rectum", "recto"),
]  # fmt: skip


@pytest.mark.parametrize("words", ALIKE, ids=lambda words: words[0])
def test_forms_of_a_word_share_a_stem(words: tuple[str, ...]) -> None:
    assert len({stem(word) for word in words}) == 1


@pytest.mark.parametrize("words", UNLIKE, ids=lambda words: words[0])
def test_other_words_do_not(words: tuple[str, str]) -> None:
    assert stem(words[0]) != stem(words[1])


@pytest.mark.parametrize("word", ["a", "pus", "19", "2015", "3eme", "ors", "b12", "cou"])
def test_short_words_and_numbers_stay(word: str) -> None:
    assert stem(word) == word


TEXTS = [
    ("insuffisance rénale aiguë", ("insuffisanc", "renal", "aigu")),
    ("cancer du sein", ("cancer", "sein")),
    ("cancer de l'œsophage", ("cancer", "oesophag")),
    ("hépato cellulaire", ("hepatocellulair",)),
    ("hépato-cellulaire", ("hepatocellulair",)),
    ("hépatocellulaire", ("hepatocellulair",)),
    ("cardio-respiratoire", ("cardiorespiratoir",)),
    ("recto sigmoïdien", ("rectosigmoidien",)),
    ("hépatite A", ("hepatit", "a")),
    ("grippe A", ("gripp", "a")),
    ("sepsis à pneumocoque", ("sepsis", "pneumocoqu")),
    ("choc, sepsis (fièvre)", ("choc", "sepsis", "fievr")),
    ("de la", ()),
    ("+ ; /", ()),
    ("", ()),
]


@pytest.mark.parametrize(("raw", "expected"), TEXTS)
def test_content_stems(raw: str, expected: tuple[str, ...]) -> None:
    assert stems(normalise(raw).text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hépato cellulaire", "hépatocellulaire"),
        ("colo-rectal", "colorectale"),
        ("cancer du sein", "cancers des seins"),
        ("insuffisance rénale", "insuffisances rénales"),
        ("métastase de l'os", "métastases des os"),
        ("broncho pneumopathie", "bronchopneumopathies"),
        ("œdème aigu du poumon", "oedeme aigu poumon"),
    ],
)
def test_spellings_that_say_the_same(one: str, other: str) -> None:
    assert stems(normalise(one).text) == stems(normalise(other).text)


@pytest.mark.parametrize(
    ("one", "other"), [("hépatite A", "hépatite B"), ("diabète type 1", "diabète type 2"), ("hépatite A", "hépatite")]
)
def test_letters_and_numbers_that_name_something_count(one: str, other: str) -> None:
    assert stems(normalise(one).text) != stems(normalise(other).text)


def test_tokens_tell_words_from_signs_and_joined_words_keep_their_place() -> None:
    text = "cardio respiratoire, de l uree : 2.5"
    found = tokens(text)
    assert [text[t.start : t.end] for t in found] == ["cardio respiratoire", ",", "de", "l", "uree", ":", "2.5"]
    assert [is_word(t) for t in found] == [True, False, True, True, True, False, True]
    assert [t.stem == "" for t in found] == [False, False, True, True, False, False, False]


def test_a_beginning_is_not_joined_to_an_article() -> None:
    assert [t.text for t in tokens("gastro de l enfant")] == ["gastro", "de", "l", "enfant"]


def test_a_beginning_is_not_joined_to_a_word_that_links() -> None:
    assert [t.text for t in tokens("tracheo et gastrostomie")] == ["tracheo", "et", "gastrostomie"]


normal_lines = st.text(alphabet=ALPHABET, max_size=60)


@given(normal_lines)
def test_tokens_are_ordered_disjoint_and_cover_every_sign(text: str) -> None:
    found = tokens(text)
    reach = 0
    covered = set()
    for token in found:
        assert reach <= token.start < token.end <= len(text)
        assert text[token.start : token.end].replace(" ", "") == token.text
        reach = token.end
        covered |= set(range(token.start, token.end))
    assert all(text[i] == " " for i in range(len(text)) if i not in covered)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=20))
def test_a_stem_is_a_beginning_or_a_plural_made_singular(word: str) -> None:
    found = stem(word)
    assert found
    assert word.startswith(found[:-2]) and len(found) <= len(word)


@given(normal_lines)
def test_stop_words_alone_have_no_stem(text: str) -> None:
    for token in tokens(text):
        assert token.stem or token.text in STOP
