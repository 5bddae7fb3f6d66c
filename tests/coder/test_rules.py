"""The expert coder: real lines and the codes that they must have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.coder import rules
from stream.coder.rules import Kind
from stream.coder.stems import stem
from stream.errors import InvalidData
from stream.nomenclature import icd10

from .lines import codes, matches, read, small

# One entity, told plainly: the lexicon has it whole, but for modifiers.
PLAIN = [
    ("OAP", "J81"), ("HTA", "I10"), ("hypertension artérielle", "I10"), ("K sein", "C50.9"), ("ACFA", "I48.9"),
    ("AVC ischémique", "I63.9"), ("AVC hémorragique", "I61.9"), ("IDM", "I21.9"), ("BPCO", "J44.9"), ("SDRA", "J80"),
    ("insuffisance cardiaque", "I50.9"), ("INSUFFISANCE CARDIAQUE", "I50.9"), ("  insuffisance   cardiaque ", "I50.9"),
    ("choc cardiogénique", "R57.0"), ("embolie pulmonaire massive", "I26.9"), ("hémorragie méningée", "I60.9"),
    ("hémorragie cérébrale", "I61.9"), ("hémorragie digestive", "K92.2"), ("rétrécissement aortique serré", "I35.0"),
    ("cardiomyopathie dilatée", "I42.0"), ("fibrillation ventriculaire", "I49.0"), ("dissection aortique", "I71.0"),
    ("cancer du pancréas", "C25.9"), ("cancer du poumon", "C34.9"), ("cancer de la prostate", "C61"), ("cancer du côlon", "C18.9"),
    ("cancer de l'estomac", "C16.9"), ("cancer de l'œsophage", "C15.9"), ("CANCER DE L OESOPHAGE", "C15.9"),
    ("cancer de la vessie", "C67.9"), ("cancer du rein", "C64"), ("cancer du rectum", "C20"), ("cancer de l'ovaire", "C56"),
    ("cancer du col de l'utérus", "C53.9"), ("carcinome hépatocellulaire", "C22.0"), ("carcinome hépato-cellulaire", "C22.0"),
    ("mésothéliome pleural", "C45.0"), ("glioblastome", "C71.9"), ("LLC", "C91.1"), ("maladie de Hodgkin", "C81.9"),
    ("cirrhose alcoolique", "K70.3"), ("hépatite alcoolique", "K70.1"), ("maladie de Crohn", "K50.9"), ("appendicite aiguë", "K35.8"),
    ("maladie d'Alzheimer", "G30.9"), ("maladie de Parkinson", "G20"), ("sclérose en plaques", "G35"), ("SLA", "G12.2"),
    ("chorée de Huntington", "G10"), ("myasthénie", "G70.0"), ("syndrome de Guillain-Barré", "G61.0"), ("démence", "F03"),
    ("diabète de type 1", "E10.9"), ("diabète de type 2", "E11.9"), ("DNID", "E11.9"), ("hypothyroïdie", "E03.9"),
    ("mucoviscidose", "E84.9"), ("hémochromatose", "E83.1"), ("schizophrénie", "F20.9"), ("anorexie mentale", "F50.0"),
    ("pneumopathie d'inhalation", "J69.0"), ("pneumothorax", "J93.9"), ("asthme", "J45.9"), ("emphysème", "J43.9"),
    ("septicémie à staphylocoque doré", "A41.0"), ("méningite à pneumocoque", "G00.1"), ("tétanos", "A35"), ("lèpre", "A30.9"),
    ("encéphalite herpétique", "B00.4"), ("hépatite C chronique", "B18.2"), ("Covid-19", "U07.1"), ("rougeole", "B05.9"),
    ("polyarthrite rhumatoïde", "M06.9"), ("péritonite", "K65.9"), ("pancréatite aiguë", "K85.9"), ("infection urinaire", "N39.0"),
    ("insuffisance rénale aiguë", "N17.9"), ("insuffisance rénale chronique", "N18.9"), ("cachexie", "R64"), ("escarres", "L89.9"),
    ("hyperkaliémie", "E87.5"), ("fracture du col du fémur", "S72.0"), ("fracture du crâne", "S02.9"), ("trisomie 21", "Q90.9"),
    ("anencéphalie", "Q00.0"), ("hernie diaphragmatique congénitale", "Q79.0"), ("volumineux carcinome hépatocellulaire", "C22.0"),
    ("cancer du pancréas connu", "C25.9"), ("probable embolie pulmonaire", "I26.9"), ("embolie pulmonaire ?", "I26.9"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), PLAIN, ids=[text for text, _ in PLAIN])
def test_one_entity(text: str, expected: str) -> None:
    (match,) = matches(text)
    assert codes([match]) == expected
    assert match.kind in (Kind.WHOLE, Kind.LABEL) and match.coverage == 1.0 and match.size >= 1


SEVERAL = [
    ("OAP sur HTA", "J81 I10"),
    ("oap, hta, acfa", "J81 I10 I48.9"),
    ("HTA + diabète de type 2 + ACFA", "I10 E11.9 I48.9"),
    ("ACFA / HTA", "I48.9 I10"),
    ("septicémie secondaire à une pyélonéphrite", "A41.9 N12"),
    ("pneumopathie d'inhalation sur maladie d'Alzheimer", "J69.0 G30.9"),
    ("Maladie de Parkinson, dénutrition, escarre", "G20 E46 L89.9"),
    ("embolie pulmonaire -> choc cardiogénique", "I26.9 R57.0"),
    ("1) cirrhose alcoolique 2) hémorragie digestive", "K70.3 K92.2"),
    ("métas hépatiques et pulmonaires", "C78.7 C78.0"),
    ("métastases pulmonaires, hépatiques et cérébrales", "C78.0 C78.7 C79.3"),
    ("insuffisance cardiaque et rénale", "I50.9 N19"),
    ("insuffisance rénale et cardiaque", "N19 I50.9"),
    ("insuffisance cardiaque, respiratoire et rénale", "I50.9 J96.9 N19"),
    ("cancer du sein avec métastases osseuses", "C50.9 C79.5"),
]


@pytest.mark.parametrize(("text", "expected"), SEVERAL, ids=[text for text, _ in SEVERAL])
def test_several_entities_in_order(text: str, expected: str) -> None:
    found = matches(text)
    assert codes(found) == expected
    assert [m.start for m in found] == sorted(m.start for m in found)


TYPED = [
    ("INSUFISANCE CARDIAQUE", "I50.9"), ("insuffisance cardiaqe", "I50.9"), ("hemoragie cerebrale", "I61.9"),
    ("hémorrhagie digestive", "K92.2"), ("cirhose alcoolique", "K70.3"), ("embollie pulmonaire", "I26.9"),
    ("septissemie à staphylocoque doré", "A41.0"), ("infarctus du miocarde", "I21.9"), ("maladie d'alzeihmer", "G30.9"),
    ("maladie de parkinsson", "G20"), ("scleroze en plaques", "G35"), ("insufissance respiratoire aigue", "J96.0"),
    ("glioblastomme", "C71.9"), ("hyperkalliémie", "E87.5"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TYPED, ids=[text for text, _ in TYPED])
def test_typing_errors(text: str, expected: str) -> None:
    assert codes(matches(text)) == expected


SWAPPED = [
    ("pulmonaire embolie", "I26.9"), ("aiguë pancréatite", "K85.9"), ("myocarde infarctus", "I21.9"),
    ("pancréas cancer", "C25.9"), ("fémur col fracture", "S72.0"), ("alcoolique cirrhose", "K70.3"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SWAPPED, ids=[text for text, _ in SWAPPED])
def test_words_in_another_order(text: str, expected: str) -> None:
    (match,) = matches(text)
    assert codes([match]) == expected and match.kind is Kind.BAG


UNDER = [
    ("détresse respiratoire", "", "R06.0"), ("détresse respiratoire", "newborn", "P22.9"),
    ("détresse respiratoire", "newborn male", "P22.9"), ("sepsis", "", "A41.9"), ("sepsis", "newborn", "P36.9"),
    ("pneumopathie", "newborn", "P23.9"), ("maladie des membranes hyalines", "newborn", "P22.0"),
    ("éclampsie", "pregnancy female", "O15.9"), ("pendaison", "suicide", "X70 T71"), ("pendaison", "accident", "W76 T71"),
    ("pendaison", "homicide", "X91 T71"), ("pendaison", "undetermined", "Y20 T71"), ("noyade", "suicide", "X71 T75.1"),
    ("noyade", "homicide", "X92 T75.1"), ("noyade", "undetermined", "Y21 T75.1"), ("défenestration", "suicide", "X80"),
    ("intoxication au monoxyde de carbone", "accident", "X47 T58"), ("intoxication au monoxyde de carbone", "suicide", "X67 T58"),
    ("plaie par arme à feu", "suicide", "X74 T14.1"), ("plaie par arme à feu", "homicide", "X95 T14.1"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "holds", "expected"), UNDER, ids=[f"{text}|{holds}" for text, holds, _ in UNDER])
def test_conditions(text: str, holds: str, expected: str) -> None:
    assert codes(matches(text, *holds.split())) == expected


@pytest.mark.parametrize(
    "text", ["", "   ", "?", "+++", "décès constaté à domicile", "xyzzy plugh", "123 456", "de la"]
)
def test_nothing_to_code(text: str) -> None:
    assert matches(text) == ()


# Kinds, on a lexicon of a few expressions

LEXICON = small(
    ("insuffisance cardiaque", "I50.9"), ("insuffisance rénale", "N19"), ("insuffisance rénale aiguë", "N17.9"),
    ("cancer du sein", "C50.9"), ("fièvre", "R50.9"), ("rupture d'anévrysme aortique", "I71.8"), ("choc", "R57.9"),
    ("choc|newborn", "P29.8"), ("brûlure|accident", "X09 T30.0"), ("grippe A", "J10.1"),
    labels=[("Cholécystite aiguë", "K81.0"), ("Fièvre", "A68.9"), ("Cancer du sein", "D05.9"), ("Tétanos", "A35")],
    modifiers="severe massif",
)  # fmt: skip
KINDS = [
    ("insuffisance cardiaque", "I50.9 WHOLE 1"),
    ("insuffisance cardiaque sévère", "I50.9 WHOLE 1"),
    ("insuffisance cardiaque zébulon", "I50.9 PHRASE 0.67"),
    ("insuffisance rénale aiguë", "N17.9 WHOLE 1"),
    ("cholécystite aiguë", "K81.0 LABEL 1"),
    ("cholécystite aiguë zébulon", "K81.0 LABEL 0.67"),
    ("fièvre", "R50.9 WHOLE 1"),  # the lexicon stands before the labels
    ("cancer du sein", "C50.9 WHOLE 1"),
    ("tétanos", "A35 FUZZY 1"),  # one word of a label is too little for a phrase
    ("il a le tétanos zébulon", ""),
    ("cardiaque insuffisance", "I50.9 BAG 1"),
    ("aiguë cholécystite", "K81.0 BAG 1"),
    ("insuffisance cardiaque et rénale", "I50.9 WHOLE 1, N19 SHARED 1"),
    ("insuffisance rénale et cardiaque", "N19 WHOLE 1, I50.9 SHARED 1"),
    ("insuffisances rénale et rénale aiguë", "N19 WHOLE 1, N17.9 SHARED 1"),
    ("ruptures anévrismes aortiques", "I71.8 FUZZY 1"),
    ("grippe A", "J10.1 WHOLE 1"),
    ("brûlure", ""),
]


@pytest.mark.parametrize(("text", "expected"), KINDS, ids=[text for text, _ in KINDS])
def test_kinds(text: str, expected: str) -> None:
    told = [f"{codes([m])} {m.kind} {m.coverage:.2g}" for m in matches(text, coder=LEXICON)]
    assert ", ".join(told) == expected


def test_matches_name_their_source_and_their_codes_under_the_conditions() -> None:
    (match,) = matches("choc", "newborn", coder=LEXICON)
    assert match.codes == ("P29.8",) and match.source == "own:7"
    (match,) = matches("brûlure", "accident", coder=LEXICON)
    assert match.codes == ("X09", "T30.0")


def test_a_head_is_lent_over_commas_only_to_adjectives() -> None:
    assert codes(matches("insuffisance cardiaque, fièvre, rénale", coder=LEXICON)).startswith("I50.9 R50.9")
    assert codes(matches("rénale", coder=LEXICON)) == ""


OTHER = small(
    ("syndrome hémolytique et urémique", "D59.3"), ("infectieux", "B99"), ("porteur de BLSE", "Z22.3"), ("covid", "U07.1"),
    ("suspicion de covid", "U07.2"), ("suite à covid", "U09.9"), ("ancien fumeur", "Z86.4"), ("fumeur", "F17.9"),
    ("né à 24 semaines", "P07.2"), ("cœur hypertensif", "I11.9"), ("rein hypertensif congestif", "I13.9"), ("rein", "N28.9"),
    ("occlusion de la carotide interne", "I65.2"), ("cancer", "C80.9"), ("envahissant la prostate", "C79.8"),
    ("envahissant le sacrum", "C79.5"), ("métastases du poumon", "C78.0"), ("tabagisme sevré", "Z86.4"),
    ("tabagisme 60 PA", "F17.9"), ("alcoolique", "F10.2"), ("cirrhose", "K74.6"), ("cirrhose alcoolique", "K70.3"),
    ("déshydratation", "E86"), ("hypernatrémie", "E87.0"), ("hypernatrémie déshydratation", "E87.0"), ("coma", "R40.2"),
    ("tumeur rénale et pulmonaire", "C97"), ("pulmonaire aiguë", "J96.0"),
)  # fmt: skip
WIDER = [
    ("syndrome hémolytique et urémique post zébulon", "D59.3"),  # over a connector, beside other words
    ("syndrome hémolytique et urémique post infectieux, coma", "D59.3 B99 R40.2"),  # ... that mean something too
    ("tumeur rénale et pulmonaire aiguë", "J96.0"),  # ... but not where it breaks another phrase
    ("porteur de BLSE", "Z22.3"),  # with the words that introduce the segment
    ("coma, suspicion de covid", "R40.2 U07.2"),
    ("coma suite à covid", "R40.2 U07.1"),  # ... unless they name a cause
    ("ancien fumeur", "Z86.4"),
    ("né à 40 semaines", ""),  # a near match has the very same numbers
    ("né à 24 semaine", "P07.2"),
    ("coeur hypertensif congestif", "I11.9"),  # a known word is not taken for one of another root
    ("occlusion carotidienne interne", "I65.2"),  # ... but for one of its own
    ("cancer envahissant la prostate et le sacrum", "C80.9 C79.8 C79.5"),  # the head of the phrase before
    ("T4N2cM1 (poumon)", "C78.0"),
    ("cM1a poumon", "C78.0"),
    ("T4N2M0 (poumon)", ""),
    ("tabagisme sevré (60 PA)", "Z86.4"),  # a measure is lent no head
    ("alcoolique cirrhose", "K70.3"),  # together more than the parts
    ("déshydratation hypernatrémie", "E86 E87.0"),  # ... or no more
]


@pytest.mark.parametrize(("text", "expected"), WIDER, ids=[text for text, _ in WIDER])
def test_phrases_beyond_their_segment_and_their_limits(text: str, expected: str) -> None:
    assert codes(matches(text, coder=OTHER)) == expected


def test_shared_and_fuzzy_matches_cover_their_segment() -> None:
    line = read("insuffisance cardiaque et rénale").text
    spans = [line[m.start : m.end] for m in matches(line, coder=LEXICON)]
    assert spans == ["insuffisance cardiaque", "renale"]


# Modifiers


def test_modifiers_are_single_words_and_no_cause() -> None:
    found = rules.read_modifiers()
    assert stem("severe") in found and stem("brutale") in found
    assert not found & {stem(word) for word in ("cancer", "choc", "sepsis", "metastatique", "aigu", "chronique")}


@pytest.mark.parametrize("row", ["très sévère\t", "\tnote", "", " \t"])
def test_a_modifier_at_fault_is_named(tmp_path: Path, row: str) -> None:
    path = tmp_path / "modifiers.tsv"
    path.write_text(f"word\tnote\nsévère\t\n{row}\n", encoding="utf-8")
    with pytest.raises(InvalidData, match=r"modifiers\.tsv:3: "):
        rules.read_modifiers(path)


# Any line

words = st.sampled_from(
    [
        "insuffisance",
        "cardiaque",
        "rénale",
        "et",
        ",",
        "sur",
        "cancer",
        "du",
        "sein",
        "métastases",
        "métastatique",
        "os",
        "foie",
        "hépatiques",
        "de",
        "la",
        "-",
        "(",
        ")",
        "?",
        "pas",
        "d'embolie",
        "OAP",
        "HTA",
        "aiguë",
        "zébulon",
        "choc",
        "septique",
        "pendaison",
        "->",
        "+",
        "A",
        "il",
        "y",
        "a",
        "3",
        "ans",
    ]
)
lines = st.one_of(st.lists(words, max_size=14).map(" ".join), st.text(max_size=60))


@settings(max_examples=150, deadline=None)
@given(lines)
def test_matches_lie_in_the_line_in_order_and_hold_valid_codes(text: str) -> None:
    size, reach = len(read(text).text), 0
    for match in matches(text):
        # The site of a metastasis may stand amid its primary's words ("cancer métastatique hépatique du sein").
        assert (0 if match.kind is Kind.SHARED else reach) <= match.start < match.end <= size
        assert match.codes and all(icd10.load().valid(code) for code in match.codes)
        assert 0.0 <= match.coverage <= 1.0 and match.size >= 1 and match.source
        reach = max(reach, match.end) if match.kind is not Kind.SHARED else reach
    assert matches(text) == matches(text)
