"""Older counts, civil registration, and how complete the certificates are beside them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from stream.certificate import Sex, Source
from stream.coding import CodedCertificate, Modality, Versions
from stream.database import writing
from stream.errors import InvalidData, InvalidSettings
from stream.surveillance.counts import (
    Basis,
    By,
    Counts,
    OlderCount,
    Query,
    import_counts,
    import_expected,
    put_counts,
)
from stream.surveillance.detection.series import Step
from surveillance.counts.making import CANCER, FIRST, FLU, GROUPS, SEPSIS, folded, memory, reads, record

HEAD = "death_day,known_day,department,age_group,sex,source,group,by,count\n"


def file(folder: Path, text: str) -> Path:
    path = folder / "older.csv"
    path.write_text(text, encoding="utf-8")
    return path


def weeks(number: int, by_week: int, engine: Engine, *, start: int = 0, source: Source = Source.ELECTRONIC) -> Counts:
    """A steady stream of deaths in the Gironde, each known on the day after."""
    counts = Counts(engine, GROUPS)
    records = [
        record(f"{source}{start}-{week}-{i}", died=start + 7 * week + i % 7, known=start + 7 * week + i % 7 + 1, source=source)
        for week in range(number) for i in range(by_week)
    ]  # fmt: skip
    with writing(engine) as connection:
        counts.fold(connection, reads(records))
    return counts


def test_older_counts_hold_alone_up_to_their_last_day(engine: Engine, tmp_path: Path) -> None:
    counts = folded([record("early", died=-2, known=-1), record("late", died=2, known=3)], engine)
    text = HEAD + "".join(
        f"{FIRST + timedelta(days=day)},,33,65-74,F,PAPER,influenza,{by},{count}\n"
        for day, by, count in [(-10, "ANY", 4), (-10, "UNDERLYING", 3), (-1, "ANY", 2), (-1, "UNDERLYING", 2)]
    )
    done = import_counts(engine, GROUPS, file(tmp_path, text))
    assert (done.rows, done.groups, done.first, done.last) == (
        4,
        1,
        FIRST - timedelta(days=10),
        FIRST - timedelta(days=1),
    )
    flu = Query("influenza")
    assert counts.series(flu, Step.DAY).counts == (4, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0)
    assert counts.series(replace(flu, by=By.UNDERLYING), Step.DAY).counts[0] == 3
    assert counts.series(replace(flu, sex=Sex.F, age="65-74", place="R-75"), Step.DAY).counts[0] == 4
    assert counts.series(replace(flu, sex=Sex.M), Step.DAY).counts[0] == 0
    # The file does not tell when they were known: they always were.
    assert counts.series(replace(flu, as_of=FIRST), Step.DAY).counts[0] == 4
    assert counts.first_day() == FIRST - timedelta(days=10)
    # A group of which it tells nothing is a gap, not a zero.
    assert counts.series(Query("sepsis"), Step.DAY).counts == (None,) * 10 + (0.0,) * 4
    assert counts.series(Query("sepsis", end=FIRST + timedelta(days=6))).counts == (None,)
    # A triangle begins behind them.
    triangle = counts.triangle(flu, FIRST + timedelta(days=3), 2)
    assert triangle.start == FIRST + timedelta(days=2)
    assert triangle.cells[0][:2] == (0, 1)


def test_what_a_file_does_not_tell_apart_is_a_gap_there(tmp_path: Path) -> None:
    engine = memory()
    counts = folded([record("late", died=2, known=2)], engine)
    put_counts(engine, GROUPS, [OlderCount(FIRST, "influenza", 5), OlderCount(FIRST, "all_causes", 9, By.UNDERLYING)])
    flu = Query("influenza")
    assert counts.series(flu, Step.DAY).counts == (5, 0, 1)
    for narrower in (
        replace(flu, by=By.UNDERLYING), replace(flu, place="33"), replace(flu, age="85+"), replace(flu, sex=Sex.F),
        replace(flu, source=Source.PAPER),
    ):  # fmt: skip
        assert counts.series(narrower, Step.DAY).counts[0] is None
    assert counts.by_age(flu, Step.DAY)["85+"].counts[0] is None
    # Whoever dies of anything dies of it as the underlying cause.
    assert counts.series(Query("all_causes"), Step.DAY).counts[0] == 9


def test_dated_older_counts_are_known_since_their_day() -> None:
    engine = memory()
    counts = folded([record("late", died=5, known=6)], engine)
    put_counts(engine, GROUPS, [
        OlderCount(FIRST, "influenza", 3, known_day=FIRST), OlderCount(FIRST, "influenza", 2, known_day=FIRST + timedelta(days=2)),
    ])  # fmt: skip
    as_of = [
        counts.series(Query("influenza", as_of=FIRST + timedelta(days=day)), Step.DAY).counts[0] for day in range(4)
    ]
    assert as_of == [3, 3, 5, 5]
    triangle = counts.triangle(Query("influenza", start=FIRST), FIRST + timedelta(days=4), 3)
    assert triangle.cells[0] == (3, 0, 2, 0)


def test_days_that_were_imported_are_not_imported_again() -> None:
    engine = memory()
    put_counts(engine, GROUPS, [OlderCount(FIRST, "influenza", 3)])
    with pytest.raises(InvalidSettings, match="imported before: influenza"):
        put_counts(engine, GROUPS, [OlderCount(FIRST, "influenza", 4)])
    put_counts(engine, GROUPS, [OlderCount(FIRST, "sepsis", 4)])
    put_counts(engine, GROUPS, [OlderCount(FIRST, "influenza", 8)], replace=True)
    counts = Counts(engine, GROUPS)
    assert counts.series(Query("influenza"), Step.DAY).counts == (8,)
    assert counts.series(Query("sepsis"), Step.DAY).counts == (None,)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("2026-13-01,,33,,,,influenza,,1", ":2: death_day is no day"),
        ("2026-01-01,soon,33,,,,influenza,,1", ":2: known_day is no day"),
        ("2026-01-01,,33,,,,no_such,,1", ":2: there is no group no_such"),
        ("2026-01-01,,33,60-70,,,influenza,,1", ":2: 60-70 is no age group"),
        ("2026-01-01,,Gironde,,,,influenza,,1", ":2: Gironde is no department"),
        ("2026-01-01,,33,,X,,influenza,,1", ":2: 'X' is not a valid Sex"),
        ("2026-01-01,,33,,,,influenza,,-1", ":2: count is no whole number"),
        ("2926-01-01,,33,,,,influenza,,1", ":2: death_day 2926-01-01 lies ahead"),
        ("2026-01-05,2026-01-04,33,,,,influenza,,1", ":2: known_day 2026-01-04 lies before the death"),
        ("2026-01-01,,33,,,,influenza,," + "9" * 5000, ":2: count is no whole number"),
        ("2026-01-01,,33,,,," + "x" * 200_000 + ",,1", "is no CSV file"),
        ("", "there is no row"),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_its_line(line: str, told: str, tmp_path: Path) -> None:
    engine = memory()
    with pytest.raises(InvalidData) as refused:
        import_counts(engine, GROUPS, file(tmp_path, HEAD + line + "\n"))
    assert told in refused.value.message
    assert Counts(engine, GROUPS).first_day() is None


def test_a_file_without_a_column_or_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="needs a column `group`"):
        import_counts(memory(), GROUPS, file(tmp_path, "death_day,count\n"))
    with pytest.raises(InvalidSettings, match="cannot be read"):
        import_counts(memory(), GROUPS, tmp_path / "nowhere.csv")


def test_civil_registration_tells_what_is_expected(engine: Engine, tmp_path: Path) -> None:
    counts = weeks(4, 10, engine)
    path = tmp_path / "civil.csv"
    days = [FIRST + timedelta(days=day) for day in range(14)]
    path.write_text("day;department;deaths\n" + "".join(f"{day};{place};2\n" for day in days for place in ("33", "2A")))
    assert import_expected(engine, path) == 28
    end = FIRST + timedelta(days=27)
    found = {(row.period, row.place): row for row in counts.completeness(FIRST, end, by=("department",))}
    first = found[FIRST, "33"]
    assert (first.arrived, first.expected, first.basis) == (10, 14, Basis.CIVIL)
    assert first.share == pytest.approx(10 / 14)
    assert (found[FIRST, "2A"].arrived, found[FIRST, "2A"].expected) == (0, 14)
    assert found[FIRST, "75"].basis is Basis.NONE
    assert found[FIRST + timedelta(days=14), "33"].basis is Basis.NONE
    whole = counts.completeness(FIRST, end, by=())
    assert [(row.place, row.expected, row.basis) for row in whole[:3]] == [
        ("FR", 28, Basis.CIVIL), ("FR", 28, Basis.CIVIL), ("FR", None, Basis.NONE),
    ]  # fmt: skip
    # Certificates of a third department: what is told of two is not the whole.
    with writing(engine) as connection:
        counts.fold(connection, reads([record("elsewhere", died=8, known=9, place="59")]))
    whole = counts.completeness(FIRST, end, by=())
    assert [row.basis for row in whole[:3]] == [Basis.CIVIL, Basis.NONE, Basis.NONE]
    by_source = counts.completeness(FIRST, end, by=("source",))
    assert {row.basis for row in by_source if row.period == FIRST + timedelta(days=7)} == {Basis.NONE}
    # A region is told where all of its departments are.
    corse = counts.completeness(FIRST, FIRST + timedelta(days=6), by=("region",), place="R-94")
    assert [(row.place, row.basis) for row in corse] == [("R-94", Basis.NONE)]
    # What comes later replaces what came before.
    path.write_text(f"day,department,deaths\n{FIRST},33,3\n{FIRST},FR,700\n")
    assert import_expected(engine, path) == 2
    assert counts.completeness(FIRST, end, by=("department",), place="33")[0].expected == 15
    assert counts.completeness(FIRST, FIRST, by=(), step=Step.DAY)[0].expected == 700
    path.write_text(f"day,department,deaths\n{FIRST},33,3\n{FIRST},33,4\n")
    with pytest.raises(InvalidData, match=r":3: .* come twice"):
        import_expected(engine, path)


def test_without_it_earlier_years_and_weeks_tell() -> None:
    engine = memory()
    counts = weeks(30, 10, engine)
    start = FIRST + timedelta(weeks=28)
    rows = counts.completeness(start, start + timedelta(days=13), by=("department",), place="33")
    assert [(row.arrived, row.basis) for row in rows] == [(10, Basis.RECENT)] * 2
    assert [row.expected for row in rows] == pytest.approx([10, 10])
    older = [
        OlderCount(day, "all_causes", 4, By.UNDERLYING, "33")
        for day in (FIRST - timedelta(days=back) for back in range(1, 400))
    ]
    put_counts(engine, GROUPS, older)
    rows = counts.completeness(start, start + timedelta(days=6), by=("department",), place="33")
    assert [(row.arrived, row.basis) for row in rows] == [(10, Basis.HISTORY)]
    assert rows[0].expected == pytest.approx(28)


def test_a_source_that_grows_shows_as_more_than_was_expected_of_it() -> None:
    engine = memory()
    weeks(26, 7, engine)
    weeks(26, 7, engine, source=Source.PAPER)
    counts = weeks(4, 12, engine, start=26 * 7)
    weeks(4, 2, engine, start=26 * 7, source=Source.PAPER)
    start = FIRST + timedelta(weeks=29)
    found = {row.source: row for row in counts.completeness(start, start + timedelta(days=6), by=("source",))}
    assert {source: row.arrived for source, row in found.items()} == {Source.ELECTRONIC: 12, Source.PAPER: 2}
    assert {source: row.expected for source, row in found.items()} == pytest.approx(dict.fromkeys(Source, 7.0))
    assert [found[source].basis for source in Source] == [Basis.RECENT] * 2
    with pytest.raises(InvalidSettings, match="completeness is by"):
        counts.completeness(start, start, by=("commune",))


def test_an_empty_database_answers_all_the_same() -> None:
    counts = folded([])
    query = Query("influenza")
    assert (len(counts.series(query)), counts.last_known(), counts.first_day(), counts.undated()) == (0, None, None, 0)
    assert counts.triangle(query, FIRST, 5).cells == ()
    assert counts.nowcast(query).nowcasts == ()
    assert not (counts.certificates(query) or counts.strata(query, "age") or counts.versions(FIRST, FIRST))
    rows = counts.completeness(FIRST, FIRST + timedelta(days=6))
    assert {(row.arrived, row.expected, row.basis) for row in rows} == {(0, None, Basis.NONE)}


def many() -> list[CodedCertificate]:
    return [
        record("a", died=0, known=1, cause=FLU, age=70, place="33"),
        record("b", died=0, known=2, cause=SEPSIS, mentions=(FLU,), age=90, place="2A", source=Source.PAPER),
        record("c", died=1, known=2, cause=FLU, age=90, place=None, sex=Sex.M,
               versions=Versions(coder="coder-2", rules="rules-1")),
        record("d", died=8, known=9, cause=CANCER, modality=Modality.HUMAN, coded=9),
    ]  # fmt: skip


def test_what_stands_behind_a_count(engine: Engine) -> None:
    counts = folded(many(), engine)
    flu = Query("influenza", start=FIRST)
    found = counts.certificates(flu)
    assert [death.certificate_id for death in found] == ["b", "c", "a"]
    assert (found[0].known, found[0].department, found[0].death_date) == (FIRST + timedelta(days=2), "2A", FIRST)
    assert [death.certificate_id for death in counts.certificates(flu, oldest=True)] == ["a", "b", "c"]
    assert [death.certificate_id for death in counts.certificates(replace(flu, by=By.UNDERLYING), 1)] == ["c"]
    assert [death.certificate_id for death in counts.certificates(replace(flu, place="R-94"))] == ["b"]
    assert [death.certificate_id for death in counts.certificates(replace(flu, as_of=FIRST + timedelta(days=1)))] == [
        "a"
    ]
    strata = {stratum.key: stratum.deaths for stratum in counts.strata(flu, "place", "age")}
    assert strata == {("", "85+"): 1, ("2A", "85+"): 1, ("33", "65-74"): 1}
    assert {s.key: s.deaths for s in counts.strata(flu, "status", "source")} == {
        ("FINAL", "ELECTRONIC"): 2, ("FINAL", "PAPER"): 1,
    }  # fmt: skip
    with pytest.raises(InvalidSettings, match="strata are of"):
        counts.strata(flu, "commune")
    assert [series.counts[:2] for series in counts.by_age(flu, Step.DAY).values()][3:6:2] == [(1, 0), (1, 1)]


def test_how_deaths_were_coded(engine: Engine) -> None:
    counts = folded(many(), engine)
    found = counts.versions(FIRST, FIRST + timedelta(days=7))
    told = [(row.period, row.modality, row.coder, row.deaths, round(row.share, 3)) for row in found]
    assert told == [
        (FIRST, Modality.MODEL, "coder-1", 2, 0.667), (FIRST, Modality.MODEL, "coder-2", 1, 0.333),
    ]  # fmt: skip
    first = counts.versions(FIRST, FIRST, Step.DAY, as_of=FIRST + timedelta(days=1))
    assert [(row.coder, row.deaths) for row in first] == [("coder-1", 1)]
    days = counts.versions(FIRST, FIRST + timedelta(days=8), Step.DAY)
    assert [(row.period, row.modality) for row in days][-1] == (FIRST + timedelta(days=8), Modality.HUMAN)


def test_a_nowcast_fills_up_the_newest_days() -> None:
    # Of seven deaths a day one is known on each of the days after.
    records = [
        record(f"{day}-{delay}", died=day, known=day + delay)
        for day in range(60)
        for delay in range(7)
        if day + delay < 60
    ]
    counts = folded(records[:0])
    with writing(counts._engine) as connection:
        counts.fold(connection, reads(records))
    now = FIRST + timedelta(days=59)
    found = counts.nowcast(Query("influenza"), now, longest=10)
    assert found.now == now == counts.last_known()
    assert found.series.counts[-7:] == (7, 6, 5, 4, 3, 2, 1)
    assert found.series.shares()[-7:] == pytest.approx([k / 7 for k in range(7, 0, -1)], abs=0.01)
    newest = found.nowcasts[-1]
    assert newest.low is not None and newest.high is not None and newest.low <= 7 <= newest.high
    past = counts.nowcast(Query("influenza"), now - timedelta(days=20), longest=10)
    assert past.series.counts[-1] == 1


def test_an_odd_date_of_death_does_not_stretch_the_series() -> None:
    engine = memory()
    counts = weeks(200, 10, engine)
    folded([record("odd", died=-36_000, known=1)], engine)
    assert counts.first_day() == FIRST
    assert sum(c or 0 for c in counts.series(Query("influenza", start=date(1920, 1, 1))).counts) == 2001
