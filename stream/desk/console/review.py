"""Pages beside the coding itself: one's own decisions with their undo, and the supervisor's figures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stream.desk.backlog import Day
from stream.desk.console import words
from stream.desk.console.replies import coder_of
from stream.desk.console.trail import RequestTrail
from stream.desk.desk import Desk
from stream.errors import Refused
from stream.web.requests import accessed, form_of, json_of, redirect, refuse, render, texts_of, wants_json

DAYS = 28
"""Days of figures that are shown unless others are asked for."""
_MOST_DAYS = 366
_RECENT = 50
_NOTE = 500
_WIDTH, _HEIGHT, _BASE, _TOP = 1_000, 180, 158, 20
_MARKS = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the chart: which day, what it counts, where it stands."""

    day: date
    kind: str
    count: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A day written below the chart."""

    day: date
    x: float


@dataclass(frozen=True, slots=True)
class Chart:
    """What came and what was done, by day, as bars; `base` is where they stand, `most` the highest."""

    width: int
    height: int
    base: int
    most: int
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]


def chart(days: Sequence[Day]) -> Chart | None:
    """The chart of some days; None where nothing happened."""
    most = max((count for day in days for count in (day.came, day.done)), default=0)
    if not most:
        return None
    step = _WIDTH / len(days)
    bars, every = [], -(-len(days) // _MARKS)
    for at, day in enumerate(days):
        for side, (kind, count) in enumerate((("came", day.came), ("done", day.done))):
            high = round(count / most * (_BASE - _TOP), 1)
            x = round((at + 0.1 + 0.4 * side) * step, 1)
            bars.append(Bar(day.day, kind, count, x, round(_BASE - high, 1), round(0.38 * step, 1), high))
    marks = tuple(Mark(day.day, round((at + 0.5) * step, 1)) for at, day in enumerate(days) if at % every == every // 2)
    return Chart(_WIDTH, _HEIGHT, _BASE, most, tuple(bars), marks)


class Review:
    """Endpoints of the pages beside the coding.

    Args:
        desk: decisions and figures.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def decisions(self, request: Request) -> Response:
        """One's own decisions, newest first."""
        who = coder_of(request)
        past, status = await asyncio.gather(
            asyncio.to_thread(self._desk.recent, who, _RECENT), asyncio.to_thread(self._desk.status, who)
        )
        said = request.query_params.get("said", "")
        values = {"past": past, "status": status, "reasons": self._desk.reasons, "said": said, "senior": who.senior}
        return render(request, "decisions.html.j2", values)

    async def undo(self, request: Request) -> Response:
        """Undo a decision; the certificate is in one's hands again. A form from the list, JSON from a task's screen."""
        who, decision_id = coder_of(request), request.path_params["decision_id"]
        body = await json_of(request) if wants_json(request) else await form_of(request)
        why = body.get("why", "") if hasattr(body, "get") else refuse(400)
        try:
            trail = RequestTrail(request)
            undone = await asyncio.to_thread(self._desk.undo, who, decision_id, str(why)[:64], trail)
        except Refused as refusal:
            return self._refused(request, refusal)
        claim = undone.claim
        path = f"/task/{claim.claim_id}" if claim else "/decisions?said=UNDONE"
        return JSONResponse({"next": path}) if wants_json(request) else redirect(request, path)

    async def second(self, request: Request) -> Response:
        """Ask another coder about a decision of one's own."""
        form = await form_of(request)
        certificate_id, why, note = (str(form.get(name, ""))[:_NOTE] for name in ("certificate_id", "why", "note"))
        try:
            await asyncio.to_thread(self._desk.ask_second, coder_of(request), certificate_id, why, note)
        except Refused as refusal:
            return self._refused(request, refusal)
        return redirect(request, "/decisions?said=SECOND_ASKED")

    def _refused(self, request: Request, refusal: Refused) -> Response:
        if wants_json(request):
            text = words.word(texts_of(request), "refusal", refusal.code)
            return JSONResponse({"refusal": refusal.code, "text": text}, 409)
        return redirect(request, f"/decisions?said={refusal.code}")

    async def revoke(self, request: Request) -> Response:
        """A senior takes a claim away."""
        form = await form_of(request)
        try:
            await asyncio.to_thread(self._desk.revoke, coder_of(request), str(form.get("certificate_id", "")))
        except Refused as refusal:
            return redirect(request, f"/queue?said={refusal.code}")
        return redirect(request, "/queue?said=REVOKED")

    async def supervisor(self, request: Request) -> Response:
        """The figures of a span of days; JSON for who asks for it."""
        today = self._desk.context.clock().date()
        end = _day(request.query_params.get("to", ""), today)
        start = _day(request.query_params.get("from", ""), end - timedelta(days=DAYS - 1))
        start = min(max(start, end - timedelta(days=_MOST_DAYS)), end)
        figures = await asyncio.to_thread(self._desk.figures, start, end + timedelta(days=1))
        await accessed(request, "FIGURES_SEEN", detail={"from": start.isoformat(), "to": end.isoformat()})
        if wants_json(request):
            return JSONResponse(figures.record())
        t, backlog = texts_of(request), figures.backlog
        values = {
            "figures": figures, "start": start, "end": end, "reasons": self._desk.reasons, "chart": chart(figures.days),
            "oldest": words.since(t, timedelta(seconds=backlog.oldest_s)) if backlog.oldest_s is not None else "",
            "aged": {
                stage: words.since(t, timedelta(seconds=backlog.oldest[stage])) if stage in backlog.oldest else ""
                for stage in backlog.stages
            },
        }  # fmt: skip
        return render(request, "supervisor.html.j2", values)


def _day(text: str, default: date) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return default
