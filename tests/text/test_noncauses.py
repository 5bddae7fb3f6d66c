"""Words that name no cause."""

import pytest

from stream.errors import InvalidData
from stream.text.noncauses import is_noncause, noncauses, read_noncauses
from stream.text.normal import normalise


@pytest.mark.parametrize(
    "raw",
    [
        "décès",
        "Décédée à domicile",
        "mort",
        "fin de vie",
        "soins palliatifs",
        "soins de confort",
        "cause inconnue",
        "origine indéterminée",
        "patient hospitalisé",
        "Madame X",
        "EHPAD",
        "depuis ce jour",
        "décès constaté le 12/03 à 10h",
        "mort naturelle",
        "sans précision",
        "?",
        "rien à signaler",
        "LATA",
        "",
    ],
)
def test_no_cause(raw: str) -> None:
    words = [word for word in normalise(raw).text.split() if word != "x"]
    assert is_noncause(words)


@pytest.mark.parametrize(
    "raw",
    [
        "arrêt cardiaque",
        "leptospirose",
        "décès par pendaison",
        "mort subite",
        "vieillesse",
        "cachexie",
        "chute à domicile",
        "sénescence",
        "coma",
        "hypoxie",
    ],
)
def test_maybe_a_cause(raw: str) -> None:
    assert not is_noncause(normalise(raw).text.split())


def test_the_list() -> None:
    assert len(noncauses()) > 300
    with pytest.raises(InvalidData, match="one word"):
        read_noncauses(["word\tgroup", "fin de vie\tdeath"])
