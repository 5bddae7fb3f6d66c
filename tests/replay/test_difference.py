from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core import coded
from values import coded as any_coded

from replay.world import OTHER_WORDS, RUN, World, voice
from stream.coding import CodedCertificate, Entity, Method, Reason, Route
from stream.errors import InvalidSettings
from stream.replay import comparing
from stream.replay.bridge import Bridge, Ratio
from stream.replay.difference import CHANGED, FIGURES, IDENTICAL, Change, Difference, changes, kind
from stream.replay.manifest import Act, Manifest, last
from stream.replay.outcome import differing, digest, identity, outcome
from stream.replay.run import Run
from stream.surveillance.groups import load


@pytest.fixture(scope="module")
def one() -> CodedCertificate:
    return coded(part1=["insuffisance cardiaque", "hypertension artérielle"], sex="F", death_date=date(2026, 1, 5))


class TestOutcome:
    @given(any_coded(), st.integers(0, 9))
    def test_only_moment_origin_and_revision_may_differ(self, coded: CodedCertificate, revision: int) -> None:
        again = replace(
            coded, revision=revision, origin=replace(coded.origin, offset=7), coded_at=coded.coded_at.replace(year=2027)
        )
        assert digest(again) == digest(coded)
        other = replace(coded, unknown=0.25)
        assert digest(other) != digest(coded)
        assert differing(identity(coded), identity(other)) == ["unknown"]

    def test_changes_are_named(self, one: CodedCertificate) -> None:
        before = outcome(one)
        figures = replace(one, versions=replace(one.versions, coder="coder-2"))
        assert kind(before, outcome(one)) == IDENTICAL
        assert kind(before, outcome(figures)) == FIGURES
        cause = one.underlying.code
        assert cause is not None
        near = replace(one, underlying=replace(one.underlying, code="I50.0"))
        first = outcome(replace(one, underlying=replace(one.underlying, code="I50.9")))
        assert changes(first, outcome(near)) == {Change.UNDERLYING}
        far = replace(near, underlying=replace(one.underlying, code="C34.9"))
        assert changes(first, outcome(far)) == {Change.UNDERLYING, Change.THREE, Change.SHORTLIST}
        line = replace(one.part1[0], entities=(Entity("J18.9", 0, 3, 0.9, Method.MODEL, "x"),))
        assert Change.ENTITY in changes(before, outcome(replace(one, part1=(line, *one.part1[1:]))))
        target = replace(one.targeting, route=Route.MANUAL, reasons=(Reason.REJECT,))
        assert {Change.ROUTE, Change.REASONS} & changes(before, outcome(replace(one, targeting=target)))


class TestRatio:
    def test_against_a_ratio_estimate_worked_by_hand(self) -> None:
        """x and y of each certificate by Cochran's formula, term by term."""
        ratio = Ratio(both=80, left=20, came=5)
        x = [1] * 100 + [0] * 5
        y = [1] * 80 + [0] * 20 + [1] * 5
        value = sum(y) / sum(x)
        error = math.sqrt(sum((b - value * a) ** 2 for a, b in zip(x, y, strict=True))) / sum(x)
        assert ratio.value == pytest.approx(value) == 0.85
        assert ratio.error == pytest.approx(error)
        assert ratio.interval == pytest.approx((0.85 - 1.959964 * error, 0.85 + 1.959964 * error))
        assert ratio.p == pytest.approx(2 * sum(math.comb(25, k) for k in range(6)) / 2**25)

    def test_what_has_no_ratio_has_none(self) -> None:
        assert (Ratio(0, 0, 4).value, Ratio(0, 0, 4).interval, Ratio(0, 0, 4).reliable) == (None, None, False)
        assert Ratio(30, 0, 0).record()["low"] == 1.0
        assert Ratio(30, 0, 0).p == 1.0

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"))))
    def test_deaths_neither_come_nor_go_in_all(self, pairs: list[tuple[str, str]]) -> None:
        bridge = Bridge()
        for before, after in pairs:
            bridge.add([before], [after])
        ratios = bridge.ratios().values()
        assert sum(r.before for r in ratios) == sum(r.after for r in ratios) == len(pairs)


class TestDifference:
    def test_counts_by_chapter_reason_and_transition(self, one: CodedCertificate) -> None:
        found = Difference(load())
        before = replace(one, underlying=replace(one.underlying, code="I50.9"))
        after = replace(before, underlying=replace(one.underlying, code="C34.9"))
        found.add("a", 1, outcome(before), outcome(before))
        found.add("b", 1, outcome(before), outcome(after), human=True)
        found.add("c", 1, outcome(before), outcome(replace(after, content_hash="other")))
        assert (found.pairs, found.human, found.conflicts) == (2, 1, 1)
        assert found.transitions == {("I50.9", "C34.9"): 1}
        assert found.with_codes[False] == 1
        assert found.chapters == {("IX", "IX"): 1, ("IX", "II"): 1}
        assert found.by_chapter["IX"]["all"] == 2
        assert found.by_chapter["IX"][CHANGED] == 1
        ratio = found.bridges["chapter"].ratios()["IX"]
        assert (ratio.before, ratio.after) == (2, 1)
        assert found.bridges["shortlist"].ratios()
        assert any(series.startswith("group:") and month == "2026-01" for series, month in found.months)
        assert any("a person" in line for line in found.told())


class TestReport:
    async def test_a_run_against_the_record_and_two_runs(self, tmp_path: Path) -> None:
        world, second = World(), Run("two", "causa")
        certificates = await world.recorded()
        world.decide(world.coded()[0], "J18.9")
        await world.replayed(voice(OTHER_WORDS, version="memory-2"))
        await world.replayed(run=second)
        found = await comparing.compare(world.desk, world.settings, "recorded", "one")
        assert found.difference.pairs == len(certificates)
        assert found.difference.human == 1
        assert found.difference.kinds[IDENTICAL] == 0
        assert found.difference.changed
        hashed = comparing.write(found, tmp_path / "r")
        record = json.loads((tmp_path / "r" / "report.json").read_text())
        assert record["compared"] == len(certificates)
        page = (tmp_path / "r" / "report.html").read_text()
        # The page and its figures name no certificate; the table of changes does.
        assert not any(c.certificate_id in page + json.dumps(record) for c in certificates)
        rows = list(csv.DictReader((tmp_path / "r" / "changes.csv").read_text().splitlines()))
        assert {row["certificate_id"] for row in rows} <= {c.certificate_id for c in certificates}
        assert "http" not in page.replace("http://www.w3.org", "")
        await comparing.noted(world.desk, world.settings, found, hashed, "a")
        noted = last(await Manifest(world.broker, RUN).read(), Act.COMPARED)
        assert noted is not None
        assert noted.body["report"] == hashed
        back = await comparing.compare(world.desk, world.settings, "one", "two")
        assert back.difference.changes == found.difference.changes
        same = await comparing.compare(world.desk, world.settings, "recorded", "two")
        assert same.difference.kinds == {IDENTICAL: len(certificates)}
        comparing.write(same, tmp_path / "s")
        assert (tmp_path / "s" / "changes.csv").read_text().count("\n") == 1

    async def test_what_cannot_be_compared_is_told(self) -> None:
        world = World()
        await world.recorded(3)
        await world.replayed()
        for before, after in (("one", "recorded"), ("one", "one"), ("recorded", "two")):
            with pytest.raises(InvalidSettings):
                await comparing.compare(world.desk, world.settings, before, after)
