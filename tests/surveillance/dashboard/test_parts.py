"""Tiles, verdicts that are kept, points and files: the pieces without a database."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from stream.errors import InvalidData
from stream.services import Pages
from stream.settings import Settings
from stream.surveillance.counts import load_places
from stream.surveillance.dashboard import curve, exports, tiles
from stream.surveillance.dashboard.choice import Choice
from stream.surveillance.dashboard.curve import Curve, Point
from stream.surveillance.dashboard.judged import Verdicts
from stream.surveillance.dashboard.serving import serve
from stream.surveillance.dashboard.shades import Shade, shade
from stream.surveillance.detection import methods
from stream.surveillance.detection.nowcast import Nowcast, completed
from stream.surveillance.detection.series import Series, Step
from stream.surveillance.detection.verdict import Verdict

MONDAY = date(2026, 1, 5)


def test_every_department_has_one_square() -> None:
    assert {tile.department for tile in tiles.load()} == set(load_places().departments)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [("33\t1\t1\n33\t2\t1\n", ":3: 33"), ("33\t1\t1\n40\t1\t1\n", ":3: 33"), ("33\tx\t1\n", ":2: a dep"), ("33\t1\n", ":2")],
)  # fmt: skip
def test_a_fault_of_the_tiles_is_named(tmp_path: Path, lines: str, fault: str) -> None:
    path = tmp_path / "tiles.tsv"
    path.write_text(f"department\tcolumn\trow\n{lines}")
    with pytest.raises(InvalidData, match=fault):
        tiles.load(path)


def weeks(late: float = 0.0) -> Series:
    rng = np.random.default_rng(3)
    counts = rng.poisson(40, 250).astype(float)
    counts[240] += late
    return Series(date(2021, 1, 4), tuple(counts.tolist()))


@pytest.mark.parametrize("method", ["noufaily", "euromomo", "C1", "cusum"])
def test_verdicts_kept_are_those_of_the_method(method: str) -> None:
    kept, points = Verdicts(), [200, 239, 240, 249]
    for series in (weeks(), weeks(late=30), weeks()):
        whole = methods.judge(method, series, {}, None)
        for _ in range(2):
            assert kept.judge(method, series, {}, points) == tuple(whole[i] for i in points)


def test_a_late_death_makes_only_later_weeks_be_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, asked = Verdicts(), list[int]()
    judge = methods.judge

    def noted(name: str, series: Series, options: object, points: list[int]) -> tuple[Verdict, ...]:
        asked.extend(points)
        return judge(name, series, None, points)

    monkeypatch.setattr(methods, "judge", noted)
    kept.judge("noufaily", weeks(), {}, [238, 239, 240, 241])
    asked.clear()
    kept.judge("noufaily", weeks(late=1), {}, [238, 239, 240, 241])
    assert asked == [240, 241]


def nowcast(day: date, reported: int, share: float) -> Nowcast:
    estimate = reported / share
    return Nowcast(day, reported, share, 0.1, estimate, estimate * 0.7, estimate * 1.4)


def test_a_week_is_estimated_from_its_days() -> None:
    days = Series(MONDAY, (10.0,) * 7, Step.DAY)
    ahead = tuple(nowcast(MONDAY + timedelta(days=i), 10, 0.9 - 0.1 * i) for i in range(7))
    shown = completed(days, ahead)
    verdict = Verdict(MONDAY, "noufaily", 70.0, 60.0, 80.0)
    (point,) = curve.weekly(shown.weeks(), ahead, [verdict])
    assert point.estimate == pytest.approx(sum(day.estimate or 0 for day in ahead))
    assert point.low is not None
    assert point.high is not None
    assert 70 <= point.low < (point.estimate or 0) < point.high
    # The doubt that the days share adds up: the band is wider than independent days would have it, narrower than their sum.
    assert point.high - (point.estimate or 0) < sum((day.high or 0) - (day.estimate or 0) for day in ahead)
    assert point.expected == pytest.approx(60 / point.share)
    assert point.threshold == pytest.approx(80 / point.share)


def test_what_is_protected_holds_nothing_but_its_week() -> None:
    points = [Point(MONDAY, MONDAY, 3.0, share=0.51234, estimate=6.0, expected=2.0, threshold=5.0, alarm=True, z=3.0)]
    assert curve.protected(points, {MONDAY: True}) == (Point(MONDAY, MONDAY, None, hidden=True, share=0.51),)
    assert curve.protected(points, {}) == curve.protected(points, {MONDAY: True})


def test_what_is_published_follows_from_the_rounded_count() -> None:
    """An estimate, or an alarm, made of the count itself would tell it to the unit where little of it is here."""

    def shown(count: float, alarm: bool) -> Point:
        point = Point(
            MONDAY, MONDAY, count, share=0.2, estimate=count / 0.2, low=count, high=9 * count, expected=20.3, threshold=27.6,
            alarm=alarm, z=2.5, p_value=0.01, doubt=0.1,
        )  # fmt: skip
        return curve.protected([point], {MONDAY: False})[0]

    assert shown(8, False) == shown(9, False) == shown(10, True) == shown(12, True)
    assert shown(12, False).alarm
    assert shown(12, True).expected == 20


@pytest.mark.parametrize(
    ("count", "alarm", "found"),
    [(10, False, Shade.USUAL), (15.5, False, Shade.RAISED), (21, True, Shade.ALARM), (31, True, Shade.STRONG), (0, False, Shade.BELOW)],
)  # fmt: skip
def test_shades(count: float, alarm: bool, found: Shade) -> None:
    assert shade(Point(MONDAY, MONDAY, count, expected=10.0, threshold=20.0, alarm=alarm)) is found


def test_no_cell_of_a_file_is_a_formula() -> None:
    text = exports.curve(Choice("=cmd()"), Curve((Point(MONDAY, MONDAY, 3.0),), Step.WEEK, "noufaily", {}))
    assert text.splitlines()[1].startswith("'=cmd()")


async def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    listening, found = asyncio.Event(), list[str]()

    def told(url: str) -> None:
        found.append(url)
        listening.set()

    task = asyncio.create_task(serve(Settings(home=tmp_path), Pages(), told))
    await asyncio.wait_for(listening.wait(), 60)
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{found[0]}/health/ready")).status_code == 200
        assert (await client.get(found[0])).status_code == 303
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
