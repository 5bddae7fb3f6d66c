"""Intervals: the field, and what is written inside a line."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.coding import Duration
from stream.text.interval import DAY, HOUR, LONG, MINUTE, MONTH, WEEK, YEAR, find_intervals, parse_interval
from stream.text.normal import normalise

DEATH = date(2024, 3, 15)

EXACT = [
    ("3 j", 3),
    ("3j", 3),
    ("3 jours", 3),
    ("3 jrs", 3),
    ("un jour", 1),
    ("48h", 2),
    ("48 H", 2),
    ("1h30", 1.5 * HOUR),
    ("1 h 30 min", 1.5 * HOUR),
    ("H24", 1),
    ("J5", 5),
    ("J+5", 5),
    ("10 min", 10 * MINUTE),
    ("10 mn", 10 * MINUTE),
    ("15'", 15 * MINUTE),
    ("½ heure", HOUR / 2),
    ("demi-heure", HOUR / 2),
    ("un quart d'heure", 15 * MINUTE),
    ("2 semaines", 14),
    ("3 sem", 21),
    ("6 mois", 6 * MONTH),
    ("1 mois ½", 1.5 * MONTH),
    ("1 an", YEAR),
    ("1 an et demi", 1.5 * YEAR),
    ("un an", YEAR),
    ("2,5 ans", 2.5 * YEAR),
    ("2 ans et 3 mois", 2 * YEAR + 3 * MONTH),
    ("5ans", 5 * YEAR),
    ("3 a", 3 * YEAR),
    ("2 m", 2 * MONTH),
    ("depuis 3 ans", 3 * YEAR),
    ("il y a 3 ans", 3 * YEAR),
    ("deux jours", 2),
    ("immédiat", 0),
    ("Immédiate", 0),
    ("12/03/2024", 3),
    ("12/03/24", 3),
    ("12.03.2024", 3),
    ("2024-03-12", 3),
    ("le 12/03/2024", 3),
    ("12 mars 2024", 3),
    ("12 mars", 3),
    ("12/03", 3),
    ("15/03/2023", 366),
    ("hier", 1),
    ("avant-hier", 2),
    ("depuis le 1er mars 2024", 14),
]


@pytest.mark.parametrize(("raw", "days"), EXACT)
def test_exact(raw: str, days: float) -> None:
    found = parse_interval(raw, DEATH)
    assert found is not None
    assert found.days == pytest.approx(days, abs=1e-4)
    assert not found.approximate


ROUGH = [
    ("qq heures", 4 * HOUR),
    ("qqs jours", 4),
    ("quelques semaines", 4 * WEEK),
    ("plusieurs années", 5 * YEAR),
    ("minutes", 4 * MINUTE),
    ("années", 4 * YEAR),
    ("15-20 min", 17.5 * MINUTE),
    ("2 à 3 semaines", 2.5 * WEEK),
    ("2 ou 3 jours", 2.5),
    ("2/3 jours", 2.5),
    ("24-48h", 1.5),
    ("> 10 ans", 10 * YEAR),
    ("<24h", 1),
    ("plus de 20 ans", 20 * YEAR),
    ("environ 3 ans", 3 * YEAR),
    ("env. 3 ans", 3 * YEAR),
    ("3 ans environ", 3 * YEAR),
    ("3 jours ?", 3),
    ("brutal", 0),
    ("une dizaine de jours", 10),
    ("une quinzaine d'années", 15 * YEAR),
    ("longue date", LONG),
    ("ancien", LONG),
    ("chronique", LONG),
    ("2024", 37),
    ("03/2024", 7),
    ("mars 2024", 7),
    ("récent", 14),
]


@pytest.mark.parametrize(("raw", "days"), ROUGH)
def test_rough(raw: str, days: float) -> None:
    found = parse_interval(raw, DEATH)
    assert found is not None
    assert found.days == pytest.approx(days, abs=1e-4)
    assert found.approximate


@pytest.mark.parametrize("raw", ["depuis 2012", "2012", "en 2012", "depuis l'année 2012"])
def test_a_year_is_its_middle(raw: str) -> None:
    found = parse_interval(raw, DEATH)
    assert found is not None
    assert found.days == pytest.approx((DEATH - date(2012, 7, 1)).days, abs=2)
    assert parse_interval(raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        "?",
        "",
        " ",
        "inconnu",
        "Inconnue",
        "nsp",
        "indéterminé",
        "3",
        "-",
        "12/2030",
        "2030",
        "31/02/2024",
        "99999 ans",
        "depuis l'âge de 10 ans",
        "x",
        "cancer",
    ],
)
def test_nothing_to_measure(raw: str) -> None:
    assert parse_interval(raw, DEATH) is None


@given(st.text(max_size=300), st.one_of(st.none(), st.dates()))
def test_any_text(raw: str, death: date | None) -> None:
    found = parse_interval(raw, death)
    assert found is None or 0 <= found.days < 50_000


@given(st.text("0123456789/.-hjma anosi?½", max_size=30), st.dates())
def test_interval_like_text(raw: str, death: date) -> None:
    found = parse_interval(raw, death)
    assert found is None or 0 <= found.days < 50_000
    for start, end, _ in find_intervals(normalise(raw), death):
        assert 0 <= start < end


INLINE = [
    ("AVC il y a 3 ans", [("il y a 3 ans", 3 * YEAR)]),
    ("cancer du sein (2015)", [("2015", 3178.375)]),
    ("pneumopathie depuis 3 j", [("depuis 3 j", 3 * DAY)]),
    ("BPCO évoluant depuis 6 mois", [("evoluant depuis 6 mois", 6 * MONTH)]),
    ("HTA de longue date", [("de longue date", LONG)]),
    ("chute le 12/03/2024", [("le 12/03/2024", 3)]),
    ("chute le 3 mars 2024, coma", [("le 3 mars 2024", 12)]),
    ("coma depuis quelques jours", [("depuis quelques jours", 4)]),
    ("cancer opéré en 2010", [("opere en 2010", 5004.375)]),
    ("J5 post opératoire", [("j5", 5)]),
    ("AVC en 2012 et 2015", [("en 2012", 4274.375), ("2015", 3178.375)]),
    ("enfant de 3 ans", []),
    ("homme de 80 ans", []),
    ("MFIU à 28 semaines d'aménorrhée", []),
    ("diabète de type 2", []),
    ("hématome 3 cm", []),
    ("stade 4, Glasgow 3", []),
    ("covid 19", []),
    ("trisomie 21", []),
    ("cancer", []),
]


@pytest.mark.parametrize(("raw", "wanted"), INLINE)
def test_inside_a_line(raw: str, wanted: list[tuple[str, float]]) -> None:
    line = normalise(raw)
    found = [(line.text[start:end], duration) for start, end, duration in find_intervals(line, DEATH)]
    assert [text for text, _ in found] == [text for text, _ in wanted]
    for (_, duration), (_, days) in zip(found, wanted, strict=True):
        assert isinstance(duration, Duration)
        assert duration.days == pytest.approx(days, abs=0.01)


def test_a_date_without_the_date_of_death_is_found_but_not_measured() -> None:
    assert find_intervals(normalise("cancer du sein (2015)")) == ((17, 21, None),)
