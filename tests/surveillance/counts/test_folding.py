"""Whatever comes, however often and in whatever order, a death counts once and where it belongs."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared import LONG
from sqlalchemy import Engine

from stream.certificate import Sex, Source
from stream.coding import CodedCertificate, CodedStatus, Modality
from stream.database import open_database, writing
from stream.errors import InvalidSettings
from stream.services import Database
from stream.surveillance.counts import By, Counts, Known, Query
from stream.surveillance.counts.tables import CELLS, CODINGS, DEATHS
from stream.surveillance.detection.series import Step
from stream.surveillance.detection.triangle import Triangle
from stream.surveillance.groups.matcher import Groups
from surveillance.counts.making import (
    FIRST,
    FLU,
    GROUPS,
    SEPSIS,
    STROKE,
    Plain,
    distinct,
    folded,
    histories,
    memory,
    reads,
    record,
    rows,
    tables,
)  # fmt: skip

RECORDS = st.lists(histories(), max_size=10).map(distinct)
QUERIES = st.builds(
    Query,
    group=st.sampled_from(["all_causes", "influenza", "sepsis", "stroke", "infant"]),
    by=st.sampled_from(By),
    place=st.sampled_from(["FR", "33", "2A", "99", "R-75", "R-94"]),
    age=st.sampled_from([None, "0-14", "65-74", "unknown"]),
    sex=st.sampled_from([None, *Sex]),
    source=st.sampled_from([None, *Source]),
    status=st.sampled_from(Known),
    as_of=st.none() | st.integers(-1, 13).map(lambda day: FIRST + timedelta(days=day)),
)
WITHIN = {"FR": (), "33": ("33",), "2A": ("2A",), "99": ("99",), "R-75": ("33",), "R-94": ("2A",)}


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def total(counts: Counts, query: Query) -> int:
    asked = replace(query, start=query.start or FIRST)
    return round(sum(count or 0 for count in counts.series(asked, Step.DAY).counts))


@settings(deadline=None, max_examples=100 if LONG else 25)
@given(RECORDS, QUERIES)
def test_series_are_what_going_through_the_list_gives(records: list[CodedCertificate], query: Query) -> None:
    counts = folded(records)
    series = counts.series(replace(query, start=FIRST), Step.DAY)
    plain = Plain(tuple(records)).deaths(query, WITHIN[query.place])
    for i, counted in enumerate(series.counts):
        assert counted == plain.get(series.day(i), 0)


@settings(deadline=None, max_examples=100 if LONG else 25)
@given(RECORDS, QUERIES, st.integers(0, 14), st.integers(0, 5), st.sampled_from(Step))
def test_the_triangle_is_that_of_the_line_list(
    records: list[CodedCertificate], query: Query, now: int, longest: int, step: Step
) -> None:
    counts = folded(records)
    events = Plain(tuple(records)).line_list(query, day(now), WITHIN[query.place])
    expected = Triangle.of(events, day(now), longest, step=step, start=FIRST)
    assert counts.triangle(replace(query, start=FIRST), day(now), longest, step) == expected


@settings(deadline=None, max_examples=60 if LONG else 20)
@given(RECORDS, st.randoms(use_true_random=False), st.data())
def test_any_order_any_number_of_times_and_any_batches_end_in_the_same_tables(
    records: list[CodedCertificate], order: random.Random, data: st.DataObject
) -> None:
    whole = memory()
    folded(records, whole)
    shuffled = memory()
    counts = Counts(shuffled, GROUPS)
    # From any offset on the topic is read again, and all of it comes in another order besides.
    again = [*records, *records[data.draw(st.integers(0, len(records))) :]]
    order.shuffle(again)
    while again:
        size = data.draw(st.integers(1, 6))
        with writing(shuffled) as connection:
            counts.fold(connection, reads(again[:size]))
        again = again[size:]
    assert tables(whole) == tables(shuffled)


@settings(deadline=None, max_examples=60 if LONG else 20)
@given(RECORDS)
def test_tables_hold_no_empty_row_and_each_stay_ends_where_the_next_begins(records: list[CodedCertificate]) -> None:
    engine = memory()
    folded(records, engine)
    assert all(any(row[8:]) and min(row[8:]) >= 0 for row in rows(engine, CELLS))  # type: ignore[type-var, operator]
    assert all(row[4] > 0 for row in rows(engine, CODINGS))  # type: ignore[operator]
    deaths = rows(engine, DEATHS)
    for one, other in pairwise(deaths):
        assert one[0] != other[0] or one[2] == other[1]


def test_an_amendment_moves_a_death_and_a_void_takes_it_out(engine: Engine) -> None:
    first = record(known=1)
    amended = record(version=2, known=5, cause=SEPSIS, place="75", died=1)
    void = record(version=3, known=9, status=CodedStatus.WITHDRAWN)
    counts = folded([first, first], engine)
    assert total(counts, Query("influenza")) == 1
    folded([amended, first], engine)
    assert [total(counts, Query(group)) for group in ("influenza", "sepsis", "all_causes")] == [0, 1, 1]
    assert counts.panel(Query("all_causes", start=FIRST), ["33", "75", "R-11"], Step.DAY)["R-11"].counts[:3] == (
        0,
        1,
        0,
    )
    folded([void, amended], engine)
    assert total(counts, Query("all_causes")) == 0
    # What was known then stays known.
    assert [total(counts, Query("influenza", as_of=day(n))) for n in (0, 1, 4, 5, 9)] == [0, 1, 1, 0, 0]
    assert [total(counts, Query("sepsis", as_of=day(n))) for n in (4, 5, 8, 9)] == [0, 1, 1, 0]


def test_a_coder_moves_a_death_and_an_undo_moves_it_back(engine: Engine) -> None:
    machine = record(known=1, status=CodedStatus.PROVISIONAL, cause=FLU)
    human = record(known=1, coded=3, modality=Modality.HUMAN, cause=SEPSIS)
    undone = record(known=1, coded=6, modality=Modality.HUMAN, cause=FLU, status=CodedStatus.PROVISIONAL)
    counts = folded([human, undone, machine], engine)  # in any order
    flu, final = Query("influenza"), Query("all_causes", status=Known.FINAL)
    assert [total(counts, replace(flu, as_of=day(n))) for n in (1, 2, 3, 5, 6)] == [1, 1, 0, 0, 1]
    assert [total(counts, replace(final, as_of=day(n))) for n in (2, 3, 5, 6)] == [0, 1, 1, 0]
    assert total(counts, Query("all_causes")) == 1


def test_a_result_that_confirms_another_leaves_the_delay_as_it_was(engine: Engine) -> None:
    machine = record(known=2, status=CodedStatus.PROVISIONAL)
    human = record(known=2, coded=9, modality=Modality.HUMAN)
    counts = folded([machine, human], engine)
    flu = Query("influenza", start=FIRST)
    assert counts.triangle(flu, day(9), 9).cells[0] == (0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
    official = counts.triangle(replace(flu, status=Known.FINAL), day(9), 9)
    assert official.cells[0] == (0, 0, 0, 0, 0, 0, 0, 0, 0, 1)


def test_a_machine_result_is_known_with_its_certificate_and_others_when_made() -> None:
    records = [
        record("first", known=1, coded=4),
        record("recoded", known=1, coded=5, revision=1),
        record("unreceived", known=None, coded=6),
        record("human", known=1, coded=7, modality=Modality.HUMAN),
    ]
    counts = folded(records)
    assert [total(counts, Query("all_causes", as_of=day(n))) for n in range(8)] == [0, 1, 1, 1, 1, 2, 3, 4]


def test_a_fold_tells_what_it_did() -> None:
    engine = memory()
    counts = Counts(engine, GROUPS)
    with writing(engine) as connection:
        done = counts.fold(connection, reads([record("a"), record("b", died=3), record("c", died=None)]))
    assert (done.records, done.new, done.moved, done.withdrawn, done.conflicts) == (3, 3, 0, 0, 0)
    assert done.days == {day(0), day(3)}
    with writing(engine) as connection:
        done = counts.fold(connection, reads([
            record("a"), record("b", died=3, version=2, known=4, status=CodedStatus.WITHDRAWN),
            record("c", died=None, content="other"),
        ]))  # fmt: skip
    assert (done.records, done.new, done.moved, done.withdrawn, done.conflicts) == (3, 0, 1, 1, 1)
    assert done.days == {day(3)}
    assert counts.undated() == 1


def test_other_topics_are_left_and_what_is_no_record_is_told() -> None:
    engine = memory()
    counts = Counts(engine, GROUPS)
    good = reads([record()])[0]
    with writing(engine) as connection:
        done = counts.fold(
            connection, [replace(good, subject="manual"), replace(good, value={"certificate_id": 3}), good]
        )
    assert (done.records, done.unread, done.new) == (1, 1, 1)


def test_both_databases_hold_the_same(empty_postgres: Database) -> None:
    draw = random.Random(7)
    causes, states = [FLU, SEPSIS, STROKE, None], list(CodedStatus)
    records = [
        record(
            f"c{draw.randrange(60)}", died=draw.randrange(20), known=draw.randrange(25), version=draw.randint(1, 3),
            cause=draw.choice(causes), status=draw.choice(states), coded=draw.randrange(30), place=draw.choice(["33", "2A", None]),
            modality=draw.choice(list(Modality)), mentions=draw.choice([(), (FLU,)]),
        )
        for _ in range(400)
    ]  # fmt: skip
    here, there = memory(), open_database(empty_postgres, Path("unused"))
    for engine in (here, there):
        counts = Counts(engine, GROUPS)
        for at in range(0, 400, 50):
            with writing(engine) as connection:
                counts.fold(connection, reads(records[at : at + 50]))
    assert tables(here) == tables(there)
    there.dispose()


def test_other_groups_ask_for_a_rebuild() -> None:
    engine = memory()
    folded([record()], engine)
    other = Groups(GROUPS.groups, GROUPS.families, GROUPS._nomenclature, "2027-1")
    with pytest.raises(InvalidSettings, match="2027-1") as told:
        Counts(engine, other)
    assert told.value.hint == "causa counts rebuild"
    # Tables that count nobody yet are simply numbered anew; whoever still holds the old numbers must not fold.
    empty = memory()
    before = Counts(empty, GROUPS)
    assert Counts(empty, other).version == "2027-1"
    with pytest.raises(InvalidSettings, match="anew"), writing(empty) as connection:
        before.fold(connection, reads([record()]))
