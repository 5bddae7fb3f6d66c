"""Abbreviations: written out when sure, left alone when not; the table is sound and says what is wrong with it."""

import pytest

from stream.errors import InvalidData
from stream.text.abbreviations import Spot, abbreviations, parse
from stream.text.normal import Hints, normalise

HEADER = "short\tlong\twhen\tnote"

LINES = [
    ("HTA", "hypertension arterielle"),
    ("HTA artérielle", "hypertension arterielle"),
    ("HTAP", "hypertension arterielle pulmonaire"),
    ("ACFA", "arythmie complete par fibrillation auriculaire"),
    ("AC/FA", "arythmie complete par fibrillation auriculaire"),
    ("OAP sur IDM", "oedeme aigu du poumon sur infarctus du myocarde"),
    ("ACR", "arret cardio respiratoire"),
    ("SCA ST+ antérieur", "syndrome coronarien aigu avec sus decalage anterieur"),
    ("AVC isch.", "accident vasculaire cerebral ischemique"),
    ("HSD aigu", "hematome sous dural aigu"),
    ("SEP évoluée", "sclerose en plaques evoluee"),
    ("SLA", "sclerose laterale amyotrophique"),
    ("BPCO", "bronchopneumopathie chronique obstructive"),
    ("SDRA", "syndrome de detresse respiratoire aigue"),
    ("syndrome SDRA", "syndrome de detresse respiratoire aigue"),
    ("IRA sur BPCO", "insuffisance respiratoire aigue sur bronchopneumopathie chronique obstructive"),
    ("IRA, créat 500", "insuffisance renale aigue , creat 500"),
    ("IRA et pneumopathie sur rein unique", "ira et pneumopathie sur rein unique"),
    ("IRA oligo-anurique", "insuffisance renale aigue oligo anurique"),
    ("IRC dialysée", "insuffisance renale chronique dialysee"),
    ("IRC appareillée", "insuffisance respiratoire chronique appareillee"),
    ("IRCT", "insuffisance renale chronique terminale"),
    ("IC terminale", "insuffisance cardiaque terminale"),
    ("IVG sur RAC serré", "insuffisance ventriculaire gauche sur retrecissement aortique calcifie serre"),
    ("K sein", "cancer sein"),
    ("K du poumon métastatique", "cancer du poumon metastatique"),
    ("vitamine K", "vitamine k"),
    ("K sein méta", "cancer sein metastatique"),
    ("méta hépatiques", "metastases hepatiques"),
    ("métas os", "metastases os"),
    ("ADK pancréas", "adenocarcinome pancreas"),
    ("CBNPC stade IV", "carcinome bronchique non a petites cellules stade iv"),
    ("CHC sur cirrhose OH", "carcinome hepatocellulaire sur cirrhose alcoolique"),
    ("CCR du rein", "carcinome a cellules renales du rein"),
    ("CCR métastatique", "cancer colorectal metastatique"),
    ("OH chronique", "alcoolisme chronique"),
    ("DT2", "diabete de type 2"),
    ("DNID", "diabete non insulinodependant"),
    ("LAM", "leucemie aigue myeloide"),
    ("LLC", "leucemie lymphoide chronique"),
    ("MM", "myelome multiple"),
    ("nodule de 5 mm", "nodule de 5 mm"),
    ("HD sur ulcère", "hemorragie digestive sur ulcere"),
    ("IRCT en HD", "insuffisance renale chronique terminale en hemodialyse"),
    ("TC sur AVP", "traumatisme cranien sur accident de la voie publique"),
    ("tritronculaire avec sténose du TC", "tritronculaire avec stenose du tronc commun"),
    ("IMV", "intoxication medicamenteuse volontaire"),
    ("AEG", "alteration de l etat general"),
    ("DMV", "defaillance multiviscerale"),
    ("insuf. card.", "insuffisance cardiaque"),
    ("insuff rén.", "insuffisance renale"),
    ("transplantation rén.", "transplantation renale"),
    ("choc sept.", "choc septique"),
    ("sept 2020", "sept 2020"),
    ("pneumop. inhal.", "pneumopathie inhalation"),
    ("poumon G", "poumon gauche"),
    ("poumon D", "poumon droit"),
    ("jambe D", "jambe droite"),
    ("cancer du poumon d'emblée métastatique", "cancer du poumon d emblee metastatique"),
    ("hyperK+", "hyperkaliemie"),
    ("s/p AVC", "etat apres accident vasculaire cerebral"),
    ("OAP s/ HTA", "oedeme aigu du poumon sur hypertension arterielle"),
    ("chute ds escaliers", "chute dans escaliers"),
    ("qq jours", "quelques jours"),
    ("28 SA", "28 semaines d amenorrhee"),
    ("sa chute", "sa chute"),
    ("la patiente", "la patiente"),
    ("mis en SP", "mis en soins palliatifs"),
    ("SP", "soins palliatifs"),
    ("mal. de Parkinson", "maladie de parkinson"),
    ("mal perforant", "mal perforant"),
    ("ATCD d'AIT", "antecedents d accident ischemique transitoire"),
    ("PN 620 g", "poids de naissance 620 g"),
    ("PN bilatérale", "pneumopathie bilaterale"),
    ("ma patiente", "ma patiente"),
    ("MA", "maladie d alzheimer"),
    ("AVC sur IVB", "accident vasculaire cerebral sur insuffisance vertebro basilaire"),
    ("cancer stade IVB", "cancer stade ivb"),
    ("compr. méd. D8", "compression medullaire d8"),
    ("anc. fumeur", "ancien fumeur"),
    ("K œsophage 1/3 inf", "cancer oesophage tiers inferieur"),
    ("accès à P. falciparum", "acces a plasmodium falciparum"),
    ("I resp aiguë", "insuffisance respiratoire aigue"),
    ("I RESP C", "insuffisance respiratoire chronique"),
    ("histo non faite", "histologie non faite"),
    ("K sein triple nég", "cancer sein triple negatif"),
    ("IIaire à un AVC", "secondaire a un accident vasculaire cerebral"),
]


@pytest.mark.parametrize(("raw", "text"), LINES)
def test_line(raw: str, text: str) -> None:
    assert normalise(raw).text == text


AROUND = [
    ("IRA", Hints("bronchopneumopathie"), "insuffisance respiratoire aigue"),
    ("IRA", Hints("deshydratation"), "insuffisance renale aigue"),
    ("HIV", Hints(newborn=True), "hemorragie intraventriculaire"),
    ("HIV", Hints(), "virus de l immunodeficience humaine"),
    ("SAF", Hints(newborn=True), "syndrome d alcoolisation foetale"),
    ("IVG", Hints("grossesse", sex="F"), "interruption volontaire de grossesse"),
    ("IVG", Hints("infarctus", sex="F"), "insuffisance ventriculaire gauche"),
    ("HDD", Hints(sex="F"), "hemorragie de la delivrance"),
    ("HDD", Hints(sex="M"), "hdd"),
]


@pytest.mark.parametrize(("raw", "hints", "text"), AROUND)
def test_hints(raw: str, hints: Hints, text: str) -> None:
    assert normalise(raw, hints).text == text


def test_the_table_is_large_and_stable() -> None:
    table = abbreviations()
    assert len(table) >= 450
    entries = [*table.single.values(), *(entry for found in table.phrases.values() for _, entry in found)]
    for entry in entries:
        for sense in entry.senses:
            assert normalise(sense.long).text == sense.long, entry.short


def test_words_of_the_language_are_no_abbreviations() -> None:
    words = "la le les de du des un une et ou en mis ami vu va pas sur dans main son car peu bon dos col cas"
    for word in words.split():
        assert normalise(f"{word} patient tombe").text.split()[0] == word


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("HTA\thypertension", "4 columns"),
        ("HTA\t\t\t", "long form"),
        ("\thypertension\t\t", "columns"),
        ("HTA\thypertension\tnear:rein\t", "unknown condition near:rein"),
        ("HTA\thypertension\twith:\t", "unknown condition with:"),
        ("HTA\thypertension\twith:Rein\t", "lower case"),
        ("HTA\thypertension\twith:réin\t", "lower case"),
        ("HTA\thypertension\tsex:X\t", "unknown condition sex:X"),
        ("HTA\thypertension\tage:old\t", "unknown condition"),
        ("HTA\thypertension\twith:a with:b\t", "twice"),
        ("HTA\thypertension\t\t\nhta\tautre\t\t", "twice"),
        ("HTA\thypertension\t\t\nhta\tautre\tdefault\t", "several rows"),
        ("insuf.\tinsuffisance\tdefault\t\ninsuf\tautre\talone\t", "with and without its point"),
        ("HTA\tk arteriel\t\t\nK\tcancer\t\t", "short forms themselves"),
    ],
)
def test_a_bad_table_is_refused(row: str, fault: str) -> None:
    with pytest.raises(InvalidData, match=fault):
        parse([HEADER, *row.split("\n")])


def test_the_header_is_checked() -> None:
    with pytest.raises(InvalidData, match="first line"):
        parse(["a\tb"])


def test_the_order_of_resolution() -> None:
    table = parse(
        [HEADER, "xx\tdialyse\twith:rein\t", "xx\tpoumon\twith:air\t", "xx\tcoeur\tdefault\t", "xx\ttete\tnext:haut\t"]
    )
    entry = table.single["xx"]
    assert entry.resolve(Spot({"rein"})) == "dialyse"
    assert entry.resolve(Spot({"rein", "air"})) is None
    assert entry.resolve(Spot({"rein"}), {"air"}) == "dialyse"
    assert entry.resolve(Spot(set()), {"air"}) == "poumon"
    assert entry.resolve(Spot(set())) == "coeur"
    assert entry.resolve(Spot({"rein"}, after="haut")) == "tete"
    assert entry.resolve(Spot(set()), defaults=False) is None
