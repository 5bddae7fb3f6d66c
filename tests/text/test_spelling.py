"""Spelling: typing errors put right, other words left alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.text.normal import normalise
from stream.text.spelling import Speller

WORDS = {
    "insuffisance": 900,
    "cardiaque": 700,
    "respiratoire": 700,
    "renale": 400,
    "renal": 200,
    "hepatique": 200,
    "pneumopathie": 400,
    "cancer": 900,
    "metastase": 300,
    "metastases": 350,
    "hemorragie": 300,
    "oedeme": 200,
    "infarctus": 300,
    "myocarde": 250,
    "hypertension": 300,
    "hypotension": 60,
    "hyperglycemie": 20,
    "diabete": 300,
    "cerebral": 250,
    "cerebrale": 200,
    "embolie": 200,
    "pulmonaire": 400,
    "septicemie": 100,
    "peritonite": 90,
    "arthrose": 40,
    "colostomie": 10,
    "fibrose": 80,
    "asphyxie": 80,
    "pendaison": 80,
    "cirrhose": 150,
    "dyspnee": 60,
    "rhabdomyolyse": 30,
    "alzheimer": 150,
    "parkinson": 100,
    "demence": 200,
    "bronchopneumopathie": 120,
    "broncho": 20,
    "denutrition": 150,
    "deshydratation": 120,
    "chute": 200,
    "sein": 200,
    "poumon": 300,
    "choc": 300,
    "septique": 300,
    "thrombose": 100,
    "phlebite": 40,
    "syndrome": 300,
    "aigue": 500,
    "aigues": 20,
    "pancreas": 150,
    "hydrocephalie": 15,
    "ischemique": 150,
    "fracture": 200,
    "terminale": 150,
    "carcinome": 100,
    "carcinose": 40,
}
SPELLER = Speller(WORDS)

RIGHT = [
    ("insufisance", "insuffisance"),
    ("insuffissance", "insuffisance"),
    ("insuffiance", "insuffisance"),
    ("unsuffisance", "insuffisance"),
    ("cardique", "cardiaque"),
    ("cardiauqe", "cardiaque"),
    ("respiratoie", "respiratoire"),
    ("resiratoire", "respiratoire"),
    ("pneumopatie", "pneumopathie"),
    ("pneumophatie", "pneumopathie"),
    ("hemoragie", "hemorragie"),
    ("hemmoragie", "hemorragie"),
    ("emorragie", "hemorragie"),
    ("edeme", "oedeme"),
    ("infractus", "infarctus"),
    ("infartus", "infarctus"),
    ("miocarde", "myocarde"),
    ("diabette", "diabete"),
    ("septissemie", "septicemie"),
    ("peritonnite", "peritonite"),
    ("asfixie", "asphyxie"),
    ("asphixie", "asphyxie"),
    ("cirhose", "cirrhose"),
    ("cyrrhose", "cirrhose"),
    ("dispnee", "dyspnee"),
    ("rabdomyolise", "rhabdomyolyse"),
    ("alzeimer", "alzheimer"),
    ("parkinsson", "parkinson"),
    ("flebite", "phlebite"),
    ("syndrom", "syndrome"),
    ("deshidratation", "deshydratation"),
    ("metastasses", "metastases"),
    ("tronbose", "thrombose"),
    ("trombose", "thrombose"),
    ("idrocephalie", "hydrocephalie"),
]

LEFT = [
    "renal",
    "sain",
    "sien",
    "pied",
    "table",
    "hypoglycemie",
    "arthrite",
    "fibrome",
    "gastrostomie",
    "xyz",
    "abcdefgh",
    "t4n1m0",
    "covid19",
    "hyptension",
    "",
    "k",
    "maison",
    "carcinomee1",
    "voiture",
    "telephone",
    "escaliers",
]


@pytest.mark.parametrize(("typed", "wanted"), RIGHT)
def test_right(typed: str, wanted: str | None) -> None:
    assert SPELLER.correct(typed) == wanted


@pytest.mark.parametrize("word", LEFT)
def test_left_alone(word: str) -> None:
    assert SPELLER.correct(word) is None


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("insuffisancecardiaque", "insuffisance cardiaque"),
        ("cancerdu", "cancer du"),
        ("chocseptique", "choc septique"),
        ("embolie pulmonaire", None),
        ("dupancreas", "du pancreas"),
        ("detable", None),
    ],
)
def test_glued(typed: str, wanted: str | None) -> None:
    assert SPELLER.correct(typed) == wanted


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ("insuf", "fisance", "insuffisance"),
        ("broncho", "pneumopathie", None),
        ("bron", "chopneumopathie", "bronchopneumopathie"),
        ("cancer", "poumon", None),
        ("se", "in", None),
    ],
)
def test_join(first: str, second: str, wanted: str | None) -> None:
    assert SPELLER.join(first, second) == wanted


def test_in_a_line() -> None:
    line = normalise("Insufisance cardique sur cancerdu sein", speller=SPELLER)
    assert line.text == "insuffisance cardiaque sur cancer du sein"
    assert line.raw_span(0, len("insuffisance cardiaque")) == (0, 20)


def test_the_vocabulary_ignores_what_is_no_word() -> None:
    speller = Speller({"cancer": 1, "dt2": 5, "été": 3, "two words": 1})
    assert len(speller) == 1
    assert "cancer" in speller


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text("abcdehinoprstuy", min_size=4, max_size=20)))
def test_corrections_are_known_words_and_final(word: str) -> None:
    right = SPELLER.correct(word)
    if right is not None:
        assert all(part in SPELLER or len(part) <= 4 for part in right.split())
        assert all(SPELLER.correct(part) is None for part in right.split())


@given(st.sampled_from(sorted(WORDS)))
def test_known_words_stay(word: str) -> None:
    assert SPELLER.correct(word) is None


def test_a_word_that_is_right_is_taken_for_no_other_and_no_other_for_it() -> None:
    words = {"infirmite": 50, "histoplasmose": 50}
    assert Speller(words).correct("infirmiere") == "infirmite" and Speller(words).complete("histo", pointed=False)
    speller = Speller(words, ["infirmiere", "histo"])
    assert speller.correct("infirmiere") is None and speller.complete("histo", pointed=False) is None
    assert speller.correct("infirmierre") is None and "infirmiere" not in speller
