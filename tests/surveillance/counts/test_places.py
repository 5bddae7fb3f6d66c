"""Places and age groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.certificate import Age, AgeUnit, Form, Place
from stream.errors import InvalidData, InvalidSettings
from stream.surveillance.counts import AGES, UNPLACED, Query, age_group, load_places
from stream.surveillance.counts.places import department_code, department_of, read

METROPOLIS, OVERSEAS = 96, 5


def test_the_packaged_places_are_those_of_france() -> None:
    places = load_places()
    in_regions = [found for found in places.departments.values() if found.region]
    assert (len(places.regions), len(in_regions)) == (18, METROPOLIS + OVERSEAS)
    assert {found.region for found in in_regions} == set(places.regions)
    assert places.within("R-94") == ("2A", "2B")
    assert places.within("33") == ("33",)
    assert (places.region("33"), places.region("987"), places.region("99")) == ("R-75", "", "")
    assert [places.name(code) for code in ("FR", "R-11", "974", "99")] == [
        "France",
        "Île-de-France",
        "La Réunion",
        "99",
    ]
    assert "FR" in places and "2A" in places and "20" not in places
    assert len(list(places)) == 1 + 18 + len(places.departments)


@pytest.mark.parametrize(
    ("told", "code"),
    [("33", "33"), ("1", "01"), ("2a", "2A"), (" 974 ", "974"), (None, UNPLACED), ("", UNPLACED), ("\0", UNPLACED), ("XYZ", UNPLACED)],
)  # fmt: skip
def test_departments_are_written_as_insee_does(told: str | None, code: str) -> None:
    assert department_code(told) == code
    assert department_of(Place(department=told)) == code


def test_a_commune_tells_its_department() -> None:
    told = ["33063", "97411", "2A004", "98735", "123"]
    assert [department_of(Place(commune=commune)) for commune in told] == ["33", "974", "2A", "987", UNPLACED]
    assert department_of(Place(department="75", commune="33063")) == "75"


def test_ages_fall_into_the_groups_of_euromomo() -> None:
    found = [AGES[age_group(Age(years))] for years in (0, 14, 15, 44, 45, 64, 65, 74, 75, 84, 85, 110)]
    assert found == ["0-14"] * 2 + ["15-44"] * 2 + ["45-64"] * 2 + ["65-74"] * 2 + ["75-84"] * 2 + ["85+"] * 2
    assert AGES[age_group(Age(200, AgeUnit.DAYS))] == AGES[age_group(None, Form.NEONATAL)] == "0-14"
    assert AGES[age_group(None)] == "unknown"


@pytest.mark.parametrize("values", [{"age": "60-70"}, {"place": "R-99"}, {"place": ""}, {"place": "Gironde"}])
def test_a_query_for_what_is_not_there_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings):
        Query("influenza", **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "told"),
    [("33\tR-75\n", ":2: not a code"), ("33\tR-75\tGironde\n", ":2: R-75 is no region above"), ("R-1\t\tA\nR-1\t\tB\n", ":3: R-1 stands twice")],
)  # fmt: skip
def test_a_table_of_places_that_cannot_be_is_refused(rows: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "places.tsv"
    path.write_text("code\tregion\tname\n" + rows)
    with pytest.raises(InvalidData, match=r"places\.tsv") as refused:
        read(path)
    assert told in refused.value.message
