"""The pages: what is asked, what is shown, to whom. Figures come protected from `figures`; nothing is reckoned here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stream.errors import InvalidSettings
from stream.surveillance.alerts.register import Choice as Asked
from stream.surveillance.alerts.store import Mute
from stream.surveillance.counts import AGES
from stream.surveillance.dashboard import chart, exports, notices, overview, tiles
from stream.surveillance.dashboard.choice import COUNTRY, SPANS, Choice, read
from stream.surveillance.dashboard.curve import Curve, Point
from stream.surveillance.dashboard.figures import SEXES, Figures, Parts
from stream.surveillance.dashboard.names import Names
from stream.surveillance.dashboard.notices import Notice
from stream.surveillance.dashboard.rights import ROLES, Rights
from stream.surveillance.dashboard.shades import Shade, shade
from stream.surveillance.detection.series import Step
from stream.web.language import Texts
from stream.web.requests import (
    access_log_of,
    accessed,
    event,
    form_of,
    redirect,
    refuse,
    render,
    require,
    texts_of,
    user_of,
)
from stream.web.users import Role

WEEKS_BACK = 53
"""Weeks that a table may be asked for."""
LISTED = 300
"""Alerts on a page."""
CHANGING = (Role.EPIDEMIOLOGIST, Role.ADMIN)
T = TypeVar("T")


class Pages:
    """Endpoints over figures."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def routes(self) -> list[Route]:
        """All of them; each says who may come."""
        seen, changing = require(*ROLES), require(*CHANGING)
        return [
            Route("/", seen(self.overview), methods=["GET"]),
            Route("/groups", seen(self.groups), methods=["GET"]),
            Route("/groups/{group}", seen(self.group), methods=["GET"]),
            Route("/groups/{group}/series.csv", seen(self.series_csv), methods=["GET"]),
            Route("/groups/{group}/series.png", seen(self.series_png), methods=["GET"]),
            Route("/groups/{group}/parts.csv", seen(self.parts_csv), methods=["GET"]),
            Route("/map", seen(self.map), methods=["GET"]),
            Route("/alerts", seen(self.alerts), methods=["GET"]),
            Route("/alerts.csv", seen(self.alerts_csv), methods=["GET"]),
            Route("/alerts/{alert_id}", seen(self.alert), methods=["GET"]),
            Route("/alerts/{alert_id}/acts", changing(self.act), methods=["POST"]),
            Route("/help", seen(self.help), methods=["GET"]),
        ]

    def warm(self, rights: Rights) -> None:
        """Make what the first page shows and what it leads to, so that nobody waits for it."""
        seen = overview.build(self._figures, rights)
        for group in (overview.WHOLE.group, *(one.group for one in seen.unusual)):
            self._group(Choice(group).within(rights, None), rights)
        self._map(overview.WHOLE, rights)
        from stream.surveillance.dashboard import picture  # noqa: F401 - matplotlib takes a second to load

    async def overview(self, request: Request) -> Response:
        """What is unusual, where, how sure."""
        rights, t = Rights.of(user_of(request)), texts_of(request)
        seen = await asyncio.to_thread(overview.build, self._figures, rights)
        names = self._names(t)
        return render(request, "overview.html.j2", {
            "seen": seen, "rights": rights, "names": names, "whole": overview.WHOLE, "stale": self._stale(seen.now),
            "tiles": _tiled(seen.map, names, names.alerted(seen.notices)), **_drawn(seen.total, t),
        })  # fmt: skip

    async def groups(self, request: Request) -> Response:
        """All groups, by family."""
        rights, t = Rights.of(user_of(request)), texts_of(request)
        found = await asyncio.to_thread(overview.open_notices, self._figures, rights)
        alerts: dict[str, int] = {}
        for notice in found:
            alerts[notice.group] = alerts.get(notice.group, 0) + 1
        groups = self._figures.groups
        families = [(family, [group for group in groups if group.family == family.id]) for family in groups.families]
        return render(request, "groups.html.j2", {"families": families, "alerts": alerts, "names": self._names(t)})

    async def group(self, request: Request) -> Response:
        """One series, and what it consists of."""
        choice, rights, t = self._asked(request)
        found = await asyncio.to_thread(self._group, choice, rights)
        return render(request, "group.html.j2", {
            **found, "choice": choice, "rights": rights, "names": self._names(t), "spans": SPANS, "ages": AGES,
            "sexes": [sex.value for sex in SEXES], "group": self._figures.groups[choice.group],
            **_drawn(found["curve"], t),
        })  # fmt: skip

    def _group(self, choice: Choice, rights: Rights) -> dict[str, Any]:
        figures = self._figures
        curve = figures.curve(choice, rights)
        weekly = curve if choice.step is Step.WEEK else figures.curve(replace(choice, step=Step.WEEK), rights)
        settled = weekly.settled
        week = choice.week or (settled.day if settled else None)
        parts = []
        if week is not None:
            parts = [
                figures.parts(choice, rights, by, week) for by in ("age", "sex", "region" if choice.place == COUNTRY else "department")
                if figures.divisible(choice, rights, by)
            ]  # fmt: skip
        found = overview.listed(figures, rights, Asked(open=True, group=choice.group, limit=LISTED))
        newest = weekly.newest
        arrived = overview.arrived(figures, rights, newest.last if newest else None, ("source",), 4, choice.place)
        return {
            "curve": curve, "settled": settled, "newest": newest, "week": week, "parts": parts, "found": found,
            "point": weekly.at(week) if week else None, "arrived": arrived, "weeks": _weeks(newest),
            "as_of": figures.allowed(choice, rights).as_of,
        }  # fmt: skip

    async def series_csv(self, request: Request) -> Response:
        """The series of a page."""
        choice, rights, _ = self._asked(request)
        curve = await asyncio.to_thread(self._figures.curve, choice, rights)
        await self._exported(request, "series", choice, rights)
        return _file(
            exports.curve(self._figures.allowed(choice, rights), curve), "text/csv; charset=utf-8", _name(choice, "csv")
        )

    async def series_png(self, request: Request) -> Response:
        """The chart of a page."""
        choice, rights, t = self._asked(request)
        curve = await asyncio.to_thread(self._figures.curve, choice, rights)
        names = self._names(t)
        await self._exported(request, "picture", choice, rights)
        as_of = self._figures.allowed(choice, rights).as_of or self._figures.now()
        note = t(
            "dashboard.picture.note", method=curve.method or t("dashboard.method.none"), as_of=t.day(as_of) if as_of else "–",
            version=self._figures.groups.version,
        )  # fmt: skip
        from stream.surveillance.dashboard import picture  # matplotlib takes a second to load

        made = await asyncio.to_thread(picture.curve, curve, names.series(choice), note, t)
        return _file(made, "image/png", _name(choice, "png"))

    async def parts_csv(self, request: Request) -> Response:
        """A table of a page."""
        choice, rights, _ = self._asked(request)
        by = request.query_params.get("parts", "department")
        if by not in ("age", "sex", "region", "department") or not self._figures.divisible(choice, rights, by):
            refuse(404)
        week = choice.week or await asyncio.to_thread(self._week, choice, rights)
        if week is None:
            refuse(404)
        parts = await asyncio.to_thread(self._figures.parts, choice, rights, by, week)
        await self._exported(request, by, choice, rights)
        return _file(
            exports.parts(self._figures.allowed(choice, rights), parts),
            "text/csv; charset=utf-8",
            _name(choice, "csv", f"{by}.{week}"),
        )

    async def map(self, request: Request) -> Response:
        """Departments: squares and a table."""
        choice, rights, t = self._asked(request, COUNTRY)
        found = await asyncio.to_thread(self._map, choice, rights)
        names = self._names(t)
        alerts = names.alerted(found["found"])
        return render(request, "map.html.j2", {
            **found, "choice": choice, "rights": rights, "names": names, "ages": AGES, "alerts": alerts,
            "sexes": [sex.value for sex in SEXES], "families": self._families(),
            "tiles": _tiled(found["parts"], names, alerts),
            "shades": {part.key: shade(part.point) for part in found["parts"].rows} if found["parts"] else {},
        })  # fmt: skip

    def _map(self, choice: Choice, rights: Rights) -> dict[str, Any]:
        figures = self._figures
        week = choice.week or self._week(choice, rights)
        parts = figures.parts(choice, rights, "department", week) if week else None
        arrived = {}
        if week is not None:
            rows = overview.arrived(figures, rights, week + timedelta(days=6), ("department",), 1)
            arrived = {row.place: row for row in rows}
        weekly = figures.curve(replace(choice, step=Step.WEEK), rights)
        found = overview.listed(figures, rights, Asked(open=True, group=choice.group, limit=LISTED))
        return {"parts": parts, "week": week, "arrived": arrived, "weeks": _weeks(weekly.newest), "found": found}

    async def alerts(self, request: Request) -> Response:
        """The list of alerts."""
        rights, t = Rights.of(user_of(request)), texts_of(request)
        asked = self._filters(request)
        found = await asyncio.to_thread(overview.listed, self._figures, rights, asked)
        return render(request, "alerts.html.j2", {
            "found": found, "asked": asked, "rights": rights, "names": self._names(t), "families": self._families(),
            "limit": LISTED,
        })  # fmt: skip

    async def alerts_csv(self, request: Request) -> Response:
        """The list of alerts as a file."""
        rights = Rights.of(user_of(request))
        asked = self._filters(request)
        found = await asyncio.to_thread(overview.listed, self._figures, rights, asked)
        await accessed(request, "EXPORTED", detail={"what": "alerts", "rows": len(found), "small": rights.small})
        return _file(exports.notices(found, rights), "text/csv; charset=utf-8", "alerts.csv")

    async def alert(self, request: Request) -> Response:
        """One alert with all of its evidence."""
        rights, t = Rights.of(user_of(request)), texts_of(request)
        alert_id = request.path_params["alert_id"]
        found = await asyncio.to_thread(self._alert, alert_id, rights)
        if found is None:
            refuse(404)
        notice: Notice = found["notice"]
        if notice.certificates:
            # Whoever is shown certificates' ids is on record for each of them, before they are shown.
            events = [
                event(request, "CERTIFICATE_FOUND", certificate_id=one, detail={"alert": alert_id})
                for one in notice.certificates
            ]
            await asyncio.to_thread(_recorded, request, events)
        drawn = _drawn(found["curve"], t) if found["curve"] else {}
        changing = user_of(request).has(*CHANGING)
        return render(request, "alert.html.j2", {
            **found, **drawn, "rights": rights, "names": self._names(t), "changing": changing,
        })  # fmt: skip

    def _alert(self, alert_id: str, rights: Rights) -> dict[str, Any] | None:
        figures = self._figures
        alert = figures.register.alert(alert_id)
        notice = notices.shown(alert, figures, rights) if alert is not None else None
        if notice is None:
            return None
        history = (
            [notices.shown(one, figures, rights) for one in figures.register.history(alert_id)] if rights.small else []
        )
        acts = figures.register.acts(alert_id) if rights.small else ()
        curve = None if notice.single else figures.curve(notice.choice, rights)
        return {"notice": notice, "history": list(reversed(history)), "acts": tuple(reversed(acts)), "curve": curve}

    async def act(self, request: Request) -> Response:
        """Acknowledge an alert, change how much it presses, mute it."""
        form, who = await form_of(request), user_of(request).pseudonym
        alert_id, what, why = request.path_params["alert_id"], str(form.get("what", "")), str(form.get("why", ""))
        register = self._figures.register
        try:
            if what == "acknowledge":
                change: Callable[[], object] = lambda: register.acknowledge(alert_id, who, why)  # noqa: E731
            elif what == "escalate":
                level = int(str(form.get("level", "")))
                change = lambda: register.escalate(alert_id, level, who, why)  # noqa: E731
            elif what == "mute":
                until = date.fromisoformat(str(form.get("until", "")))
                mute = Mute(alert_id=alert_id, until=until, who=who, why=why)
                change = lambda: register.mute(mute)  # noqa: E731
            else:
                refuse(400)
        except ValueError:
            refuse(400)
        if await asyncio.to_thread(register.alert, alert_id) is None:
            refuse(404)
        await accessed(request, "ALERT_CHANGED", detail={"alert": alert_id, "what": what})
        try:
            await asyncio.to_thread(change)
        except InvalidSettings:
            refuse(400)
        self._figures.renew()
        return redirect(request, f"/alerts/{alert_id}")

    async def help(self, request: Request) -> Response:
        """How to read the pages, and what is hidden from whom."""
        t = texts_of(request)
        return render(request, "help.html.j2", {
            "rights": Rights.of(user_of(request)), "names": self._names(t), "groups_version": self._figures.groups.version,
            "rules": self._figures.rules,
        })  # fmt: skip

    # what they share

    def _asked(self, request: Request, place: str | None = None) -> tuple[Choice, Rights, Texts]:
        """What an address asks for, as far as the person may see it; 404 for what there is not."""
        rights = Rights.of(user_of(request))
        given = dict(request.query_params)
        if place is not None:
            given["place"] = place
        try:
            choice = read(given, self._figures.groups, self._figures.places, request.path_params.get("group"))
        except InvalidSettings:
            refuse(404)
        return choice.within(rights, None), rights, texts_of(request)

    def _filters(self, request: Request) -> Asked:
        given = request.query_params
        group, place = given.get("group", ""), given.get("place", "")
        known = (not group or group in self._figures.groups) and (not place or place in self._figures.places)
        if not known:
            refuse(404)
        open_ = {"": True, "open": True, "ended": False, "all": None}.get(given.get("state", ""), True)
        return Asked(open=open_, group=group, place=place, limit=LISTED)

    def _week(self, choice: Choice, rights: Rights) -> date | None:
        settled = self._figures.curve(replace(choice, step=Step.WEEK), rights).settled
        return settled.day if settled else None

    def _families(self) -> list[tuple[Any, list[Any]]]:
        groups = self._figures.groups
        return [(family, [group for group in groups if group.family == family.id]) for family in groups.families]

    def _names(self, t: Texts) -> Names:
        return Names(self._figures.groups, self._figures.places, t)

    def _stale(self, now: date | None) -> int:
        """Whole days without anything new."""
        return 0 if now is None else max(0, (self._figures.clock().date() - now).days)

    async def _exported(self, request: Request, what: str, choice: Choice, rights: Rights) -> None:
        detail: dict[str, str | bool] = {
            "what": what, "group": choice.group, "place": choice.place, "small": rights.small,
        }  # fmt: skip
        await accessed(request, "EXPORTED", detail=detail)


def _drawn(curve: Curve, t: Texts) -> dict[str, Any]:
    """What chart, text alternative and table of a series are made of."""
    return {
        "chart": chart.data(curve, t) | {"sentences": [chart.says(point, curve.step, t) for point in curve.points]},
        "label": lambda point: chart.label(point, curve.step, t),
        "week_label": lambda point: chart.label(point, Step.WEEK, t),
    }


def _tiled(
    parts: Parts | None, names: Names, alerts: Mapping[str, list[str]]
) -> list[tuple[tiles.Tile, Point, Shade, str, list[str]]]:  # fmt: skip
    """Squares with what they say."""
    if parts is None:
        return []
    points = {part.key: part.point for part in parts.rows}
    return [
        (tile, point, shade(point), names.tile(tile.department, point), alerts.get(tile.department, []))
        for tile in tiles.laid(points) for point in [points[tile.department]]
    ]  # fmt: skip


def _weeks(newest: Point | None) -> list[date]:
    return [] if newest is None else [newest.day - timedelta(days=7 * i) for i in range(WEEKS_BACK)]


def _recorded(request: Request, events: list[Any]) -> None:
    log = access_log_of(request)
    for one in events:
        log.record(one)


def _name(choice: Choice, kind: str, more: str = "") -> str:
    parts = [choice.group, choice.place, *filter(None, (choice.age, choice.sex, more))]
    return f"{'.'.join(map(str, parts)).replace('+', 'plus')}.{kind}"


def _file(content: str | bytes, kind: str, name: str) -> Response:
    headers: Mapping[str, str] = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=headers, media_type=kind)
