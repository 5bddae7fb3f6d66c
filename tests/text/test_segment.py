"""Segments: where a line is cut, how its parts relate, how they are asserted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.coding import Assertion
from stream.errors import InvalidData
from stream.text.normal import normalise
from stream.text.segment import Relation, assertion_at, read_adjectives, read_assertions, read_connectors, segment

# Segments are written with their relation and, where it is not plain, their assertion: "& b", "< cause", "> effect".
MARKS = {Relation.NONE: "", Relation.AND: "& ", Relation.DUE_TO: "< ", Relation.LEADS_TO: "> "}


def told(raw: str) -> list[str]:
    line = normalise(raw)
    out = []
    for part in segment(line):
        assertion = "" if part.assertion is Assertion.AFFIRMED else f" [{part.assertion[0]}]"
        out.append(
            MARKS[part.relation] + line.text[part.start : part.end] + assertion + (" ~" if part.elliptic else "")
        )
    return out


LINES = [
    ("pneumopathie", ["pneumopathie"]),
    ("pneumopathie sur fausse route", ["pneumopathie", "< fausse route"]),
    ("foyer sur le poumon gauche", ["foyer sur le poumon gauche"]),
    ("sepsis sur cathéter", ["sepsis sur catheter"]),
    ("carcinome sur cirrhose", ["carcinome", "< cirrhose"]),
    ("hématome sur une chute", ["hematome", "< chute"]),
    ("choc septique secondaire à une péritonite", ["choc septique", "< peritonite"]),
    ("métastases secondaires au cancer", ["metastases", "< cancer"]),
    ("embolie suite à fracture", ["embolie", "< fracture"]),
    ("embolie suite fracture", ["embolie", "< fracture"]),
    ("coma dû à une hypoglycémie", ["coma", "< hypoglycemie"]),
    ("hypoxie liée à l'asthme", ["hypoxie", "< asthme"]),
    ("anoxie post ACR", ["anoxie", "< arret cardio respiratoire"]),
    ("hémorragie post-opératoire", ["hemorragie post operatoire"]),
    ("anévrisme post-traumatique", ["anevrisme post traumatique"]),
    ("confusion dans un contexte de fièvre", ["confusion", "< fievre"]),
    ("arrêt au décours d'une chirurgie", ["arret", "< chirurgie"]),
    ("arrêt après chute", ["arret", "< chute"]),
    ("décès par hémorragie", ["deces", "< hemorragie"]),
    ("suicide par pendaison", ["suicide par pendaison"]),
    ("plaie par arme à feu", ["plaie par arme a feu"]),
    ("ACFA", ["arythmie complete par fibrillation auriculaire"]),
    ("choc septique d'origine urinaire", ["choc septique", "< urinaire ~"]),
    ("fièvre d'origine indéterminée", ["fievre d origine indeterminee"]),
    ("choc septique à point de départ digestif", ["choc septique", "< digestif ~"]),
    ("choc compliquant une péritonite", ["choc", "< peritonite"]),
    ("fracture <- chute", ["fracture", "< chute"]),
    ("AVC > engagement", ["accident vasculaire cerebral", "> engagement"]),
    ("AVC depuis > 10 jours", ["accident vasculaire cerebral depuis > 10 jours"]),
    ("chute ayant entraîné une fracture", ["chute", "> fracture"]),
    ("chute responsable d'une fracture", ["chute", "> fracture"]),
    ("chute compliquée d'un hématome", ["chute", "> hematome"]),
    ("cirrhose avec évolution vers un coma", ["cirrhose", "> coma"]),
    ("sepsis à l'origine d'un choc", ["sepsis", "> choc"]),
    ("sepsis entraînant un choc", ["sepsis", "> choc"]),
    ("coma -> choc -> anoxie", ["coma", "> choc", "> anoxie"]),
    ("HTA, diabète; obésité + tabac", ["hypertension arterielle", "& diabete", "& obesite", "& tabac"]),
    ("AVC/IDM", ["accident vasculaire cerebral", "& infarctus du myocarde"]),
    ("démence avec dénutrition", ["demence", "& denutrition"]),
    ("démence associée à une dénutrition", ["demence", "& denutrition"]),
    ("1) HTA 2) diabète", ["hypertension arterielle", "& diabete"]),
    ("1/ HTA 2/ diabète", ["hypertension arterielle", "& diabete"]),
    ("insuffisance cardiaque et rénale", ["insuffisance cardiaque", "& renale ~"]),
    ("insuffisance cardiaque, rénale aiguë", ["insuffisance cardiaque", "& renale aigue ~"]),
    ("métastases osseuses et hépatiques", ["metastases osseuses", "& hepatiques ~"]),
    ("HTA et cardiopathie", ["hypertension arterielle", "& cardiopathie"]),
    ("coups et blessures", ["coups et blessures"]),
    ("accident de la voie publique", ["accident de la voie publique"]),
    ("traumatisme crânien avec perte de connaissance", ["traumatisme cranien avec perte de connaissance"]),
    ("cœur pulmonaire", ["coeur pulmonaire"]),
    ("cancer du sein (métastases)", ["cancer du sein", "& metastases"]),
    ("sepsis et secondaire à une plaie", ["sepsis", "< plaie"]),
    ("suite à une chute", ["chute"]),
    ("pas d'embolie", ["embolie [N]"]),
    ("absence de fracture", ["fracture [N]"]),
    ("chute sans fracture, coma", ["chute", "& fracture [N]", "& coma"]),
    ("pas de fièvre ni de toux, coma", ["fievre [N]", "& toux [N]", "& coma"]),
    ("embolie non retrouvée", ["embolie [N]"]),
    ("infarctus écarté", ["infarctus [N]"]),
    ("pneumopathie, covid négatif", ["pneumopathie", "& covid [N]"]),
    ("décès sans précision", ["deces sans precision"]),
    ("sans domicile fixe", ["sans domicile fixe"]),
    ("infarctus sans sus décalage", ["infarctus sans sus decalage"]),
    ("carcinome non à petites cellules", ["carcinome non a petites cellules"]),
    ("pas de cause retrouvée", ["pas de cause retrouvee"]),
    ("embolie probable", ["embolie [P]"]),
    ("probable embolie, coma", ["embolie [P]", "& coma"]),
    ("coma sur probable embolie", ["coma", "< embolie [P]"]),
    ("suspicion d'embolie", ["embolie [P]"]),
    ("coma, suspicion d'AVC", ["coma", "& accident vasculaire cerebral [P]"]),
    ("embolie ?", ["embolie [P]"]),
    ("embolie (?)", ["embolie [P]"]),
    ("? embolie", ["embolie [P]"]),
    ("AVC ? IDM ?", ["accident vasculaire cerebral [P]", "& infarctus du myocarde [P]"]),
    ("AVC ? secondaire à une chute", ["accident vasculaire cerebral [P]", "< chute"]),
    ("AVC possible", ["accident vasculaire cerebral [P]"]),
    ("AVC présumé", ["accident vasculaire cerebral [P]"]),
    ("a priori AVC", ["accident vasculaire cerebral [P]"]),
    ("image évoquant un cancer", ["image", "& cancer [P]"]),
    ("dénutrition +/- sepsis", ["denutrition", "& sepsis [P]"]),
    ("sans doute un infarctus", ["infarctus [P]"]),
    ("ATCD d'infarctus", ["infarctus [H]"]),
    ("ATCD : HTA, diabète", ["hypertension arterielle [H]", "& diabete [H]"]),
    ("coma, antécédent de cancer", ["coma", "& cancer [H]"]),
    ("infarctus ancien", ["infarctus [H]"]),
    ("cancer du colon opéré en 2010", ["cancer du colon opere en 2010 [H]"]),
    ("leucémie en rémission", ["leucemie [H]"]),
    ("séquelles d'AVC", ["sequelles d accident vasculaire cerebral"]),
    ("séquelles d'un AVC ancien", ["sequelles d un accident vasculaire cerebral"]),
    ("septicémie à bacille gram négatif", ["septicemie a bacille gram negatif"]),
    ("SCN au cathéter, choc", ["staphylocoque coagulase negative au catheter", "& choc"]),
    ("SCA ST négatif", ["syndrome coronarien aigu sans sus decalage negatif"]),
    ("patient non fumeur diabétique", ["patient", "& fumeur [N]", "& diabetique ~"]),
    ("non dialysé, HTA", ["dialyse [N]", "& hypertension arterielle"]),
    ("refus d'IMG, trisomie", ["interruption medicale de grossesse [N]", "& trisomie"]),
    ("refus de soins", ["refus de soins"]),
    ("localisation secondaire vertébrale", ["localisation secondaire vertebrale"]),
    ("localisations secondaires surrénaliennes", ["localisations secondaires surrenaliennes"]),
    ("localisation secondaire surrénalienne", ["localisation secondaire surrenalienne"]),
    ("décès par défaillance respiratoire", ["deces", "< defaillance respiratoire"]),
    ("?", []),
    ("et", []),
    ("", []),
]


@pytest.mark.parametrize(("raw", "wanted"), LINES)
def test_line(raw: str, wanted: list[str]) -> None:
    assert told(raw) == wanted


def test_assertion_at() -> None:
    line = normalise("chute sans fracture, coma probable")
    parts = segment(line)
    at = line.text.index
    assert assertion_at(parts, 0, 5) is Assertion.AFFIRMED
    assert assertion_at(parts, at("fracture"), at("fracture") + 8) is Assertion.NEGATED
    assert assertion_at(parts, at("coma"), at("coma") + 4) is Assertion.PROBABLE
    assert assertion_at((), 0, 3) is Assertion.AFFIRMED


@pytest.mark.parametrize(
    ("raw", "found", "wanted"),
    [
        ("choc sans témoin", "choc sans temoin", Assertion.AFFIRMED),  # the denial is part of what was found
        ("choc sans témoin", "temoin", Assertion.NEGATED),
        ("ancien fumeur", "ancien fumeur", Assertion.AFFIRMED),
        ("ancien fumeur", "fumeur", Assertion.HISTORY),
        ("infarctus ancien inférieur", "infarctus ancien inferieur", Assertion.HISTORY),  # said amid it, not by it
        ("suspicion de covid", "suspicion de covid", Assertion.PROBABLE),
    ],
)
def test_what_an_expression_says_of_itself(raw: str, found: str, wanted: Assertion) -> None:
    line = normalise(raw)
    start = line.text.index(found)
    assert assertion_at(segment(line), start, start + len(found), literal=True) is wanted
    if wanted is Assertion.AFFIRMED:
        assert assertion_at(segment(line), start, start + len(found)) is not wanted


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("porteur de BLSE", "porteur de beta"),
        ("coma, ancien fumeur", ", ancien fumeur"),
        ("mort suite à covid", "covid"),  # words that name a cause are not of it
        ("coma", "coma"),
    ],
)
def test_how_far_back_a_segment_reaches(raw: str, wanted: str) -> None:
    line = normalise(raw)
    last = segment(line)[-1]
    assert last.reach <= last.start and line.text[last.reach :].startswith(wanted)


WORDS = [
    "et",
    "sur",
    "secondaire a",
    "pas de",
    "probable",
    "?",
    "(",
    ")",
    ",",
    "ATCD",
    ">",
    "1",
    "coma",
    "renale",
    "sans",
    "ni",
    "d",
    "non retrouve",
    "ancien",
]


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)))
def test_any_line(raw: str) -> None:
    line = normalise(raw)
    parts = segment(line)
    end = 0
    for number, part in enumerate(parts):
        assert end <= part.start < part.end <= len(line.text)
        assert (part.relation is Relation.NONE) == (number == 0)
        assert end <= part.reach <= part.start
        assert part.said is None or 0 <= part.said[0] < part.said[1] <= len(line.text)
        end = part.end


@pytest.mark.parametrize(
    ("read", "lines"),
    [
        (read_connectors, ["expression\trelation\tcondition\tnote", "sur\tBECAUSE\t\t"]),
        (read_connectors, ["expression\trelation\tcondition\tnote", "sur\tAND\tnear:x\t"]),
        (read_connectors, ["expression\trelation\tcondition\tnote", "sur\tAND\t\t", "Sur\tDUE_TO\t\t"]),
        (read_connectors, ["wrong"]),
        (read_assertions, ["expression\tassertion\tscope\tcondition\tnote", "pas\tNO\tafter\t\t"]),
        (read_assertions, ["expression\tassertion\tscope\tcondition\tnote", "pas\tNEGATED\taround\t\t"]),
        (
            read_assertions,
            ["expression\tassertion\tscope\tcondition\tnote", "pas\tNEGATED\tafter\t\t", "pas\tNEGATED\tafter\t\t"],
        ),
        (read_adjectives, ["word\tkind", "renal*\tplace"]),
        (read_adjectives, ["word\tkind", "rénal*\torgan"]),
    ],
)
def test_a_bad_table_is_refused(read: object, lines: list[str]) -> None:
    assert callable(read)
    with pytest.raises(InvalidData):
        read(lines)
