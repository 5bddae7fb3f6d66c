"""The normal form: what it looks like, and that every character knows where it came from."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.text.abbreviations import abbreviations
from stream.text.normal import ALPHABET, Hints, NormalText, normalise
from stream.text.spelling import Speller

SPELLER = Speller(
    {"insuffisance": 90, "cardiaque": 60, "pneumopathie": 40, "bronchopneumopathie": 9, "cancer": 80, "aigue": 50}
)

FORMS = [
    ("Arrêt cardio-respiratoire", "arret cardio respiratoire"),
    ("ARRÊT CARDIAQUE", "arret cardiaque"),
    ("Œdème cérébral", "oedeme cerebral"),
    ("cœur pulmonaire", "coeur pulmonaire"),
    ("L’insuffisance d'organe", "l insuffisance d organe"),
    ("choc  septique\t\n", "choc septique"),
    ("« AVP »", "accident de la voie publique"),
    ("chute → fracture", "chute > fracture"),
    ("chute-->fracture", "chute > fracture"),
    ("chute => fracture", "chute > fracture"),
    ("fracture <- chute", "fracture < chute"),
    ("- sepsis\n- choc", "sepsis - choc"),
    ("• sepsis • choc", "sepsis - choc"),
    ("sepsis -choc", "sepsis - choc"),
    ("sepsis – choc", "sepsis - choc"),
    ("broncho -pneumopathie", "broncho pneumopathie"),
    ("broncho- pneumopathie", "broncho pneumopathie"),
    ("sepsis,choc;coma", "sepsis , choc ; coma"),
    ("sepsis...", "sepsis"),
    ("sepsis ???", "sepsis ?"),
    ("coma (Glasgow 3)", "coma ( glasgow 3 )"),
    ("coma [Glasgow 3]", "coma ( glasgow 3 )"),
    ("hépato/rénal", "hepato / renal"),
    ("80% de brûlures", "80 % de brulures"),
    ("créat à 2,5 mg", "creat a 2.5 mg"),
    ("1,5 L", "1.5 l"),
    ("½ journée", "1/2 journee"),
    ("1½ mois", "1 1/2 mois"),
    ("le 12/03/2024", "le 12/03/2024"),
    ("15-20 min", "15-20 min"),
    ("120/80", "120/80"),
    ("L4-L5", "l4 l5"),
    ("H1N1", "h1n1"),
    ("m²", "m2"),
    ("sepsis & choc", "sepsis et choc"),
    ("sepsis ± choc", "sepsis +/- choc"),
    ("sepsis +/- choc", "sepsis +/- choc"),
    ("sepsis + choc", "sepsis + choc"),
    ("sepsis +++", "sepsis"),
    ("n° 3", "n 3"),
    ("# col fémoral", "fracture col femoral"),
    ("H.T.A.", "hypertension arterielle"),
    ("e\u0301pilepsie", "epilepsie"),
    ("insuf\u00adfisance", "insuffisance"),
    ("ﬁbrillation", "fibrillation"),
    ("ＨＴＡ", "hypertension arterielle"),
    ("β-bloquants", "beta bloquants"),
    ("", ""),
    ("...", ""),
    ("🙂", ""),
    ("coma\u200b🙂 sepsis", "coma sepsis"),
    ("> 10 ans", "> 10 ans"),
    ("≥ 10 ans", "> 10 ans"),
    ("sepsis / / choc", "sepsis / choc"),
    ("aujourd'hui", "aujourd hui"),
    ("prématurité 24SA, 720g", "prematurite 24 semaines d amenorrhee , 720 g"),
    ("T4N2 24sac", "t4n2 24sac"),
    ("A V C massif", "accident vasculaire cerebral massif"),
    ("choc, H T A", "choc , hypertension arterielle"),
    ("hépatites A B C", "hepatites a b c"),
]


@pytest.mark.parametrize(("raw", "text"), FORMS)
def test_form(raw: str, text: str) -> None:
    assert normalise(raw).text == text


SPANS = [
    ("Œdème aigu du poumon", "oedeme", "Œdème"),
    ("chute , H.T.A. et BPCO", "hypertension arterielle", "H.T.A."),
    ("chute, Insuff. rénale", "insuffisance renale", "Insuff. rénale"),
    ("l'épilepsie", "epilepsie", "épilepsie"),
    ("e\u0301pilepsie grave", "epilepsie", "e\u0301pilepsie"),
    ("AC/FA connue", "fibrillation auriculaire", "AC/FA"),
    ("coma   profond", "coma profond", "coma   profond"),
    ("insuffisancecardiaque terminale", "insuffisance cardiaque", "insuffisancecardiaque"),
    ("pneumopatie droite", "pneumopathie", "pneumopatie"),
    ("insuf fisance cardiaque", "insuffisance", "insuf fisance"),
    ("choc, A V C", "accident vasculaire cerebral", "A V C"),
    ("né à 24SA", "semaines d amenorrhee", "SA"),
]


@pytest.mark.parametrize(("raw", "part", "wanted"), SPANS)
def test_raw_span(raw: str, part: str, wanted: str) -> None:
    line = normalise(raw, speller=SPELLER)
    at = line.text.index(part)
    start, end = line.raw_span(at, at + len(part))
    assert raw[start:end] == wanted


def test_raw_span_out_of_range_and_blank() -> None:
    line = normalise("coma profond")
    assert line.raw_span(-5, 99) == (0, 12)
    assert line.raw_span(4, 5) == (5, 5)
    assert line.raw_span(99, 120) == (12, 12)
    assert normalise("").raw_span(0, 0) == (0, 0)


def test_a_correction_does_not_touch_abbreviations_nor_their_long_forms() -> None:
    assert normalise("métas d'un carcino", speller=SPELLER).text == "metastases d un carcinome"
    assert normalise("insuf fisance", speller=SPELLER).text == "insuffisance"


def test_hints_settle_what_the_line_does_not() -> None:
    assert normalise("IRA").text == "ira"
    assert normalise("IRA", Hints(neighbours="pneumopathie bilaterale")).text == "insuffisance respiratoire aigue"
    assert normalise("IRA", Hints(neighbours="pneumopathie et dialyse")).text == "ira"
    assert normalise("MAP à 26 SA", Hints(newborn=True)).text.startswith("menace d accouchement premature")


def check(line: NormalText) -> None:
    assert len(line.text) == len(line.starts) == len(line.ends)
    assert set(line.text) <= set(ALPHABET)
    assert "  " not in line.text
    assert line.text == line.text.strip()
    assert list(line.starts) == sorted(line.starts)
    assert list(line.ends) == sorted(line.ends)
    for char, start, end in zip(line.text, line.starts, line.ends, strict=True):
        assert 0 <= start <= end <= len(line.raw)
        assert char == " " or start < end
    for match in re.finditer(r"\S+", line.text):
        start, end = line.raw_span(*match.span())
        assert line.raw[start:end].strip()


ANY = st.text(st.characters(), max_size=80)
# Pieces that collide: short forms, signs, spellings, marks.
PIECES = st.lists(
    st.sampled_from(
        [
            *sorted(abbreviations().single),
            *"-+/.,;:()?><=#'½œ²±́ \n",
            "->",
            "+/-",
            " ",
            " ",
            "1,5",
            "2",
            "cancer",
            "é",
            "É",
            "IRA",
            "K",
            "S/P",
            "insufisance",
            "cardiaque",
            "pneumo",
            "pathie",
            "insuffisancecardiaque",
            "rein",
            "Poumon",
            "d'",
            "12/03",
            "A.V.C.",
        ]
    ),
    max_size=14,
).map("".join)
SPACED = st.lists(
    st.sampled_from([*sorted(abbreviations().single), "/", ".", "rein", "poumon", "cancer", "s", "p"]), max_size=10
).map(" ".join)


@pytest.mark.parametrize("speller", [None, SPELLER])
@pytest.mark.parametrize("texts", [ANY, PIECES, SPACED])
def test_any_text(texts: st.SearchStrategy[str], speller: Speller | None) -> None:
    @settings(max_examples=400, deadline=None)
    @given(texts)
    def run(raw: str) -> None:
        line = normalise(raw, speller=speller)
        check(line)
        assert normalise(line.text, speller=speller).text == line.text

    run()


@settings(max_examples=200, deadline=None)
@given(PIECES, st.sampled_from("MFU"), st.booleans(), PIECES)
def test_idempotent_under_hints(raw: str, sex: str, newborn: bool, other: str) -> None:
    hints = Hints(normalise(other).text, sex, newborn)
    once = normalise(raw, hints)
    check(once)
    assert normalise(once.text, hints).text == once.text


@pytest.mark.parametrize(
    "raw",
    [
        "\x00",
        "\ud800",
        "\udfff coma",
        "a\u0300" * 5000,
        "IRA " * 2500,
        "-" * 10_000,
        "\u202eamoc",
        "مريض",
        "a.b." * 2500,
        "1/" * 5000,
        "( ?" * 3000,
    ],
)
def test_hostile_text(raw: str) -> None:
    began = time.perf_counter()
    line = normalise(raw)
    check(line)
    assert normalise(line.text).text == line.text
    assert time.perf_counter() - began < 10
