"""A task in hand, and what is done with it: the page, and JSON for its script."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stream.coding import DecisionKind, Method, Underlying
from stream.desk.console import gauges, screen, words
from stream.desk.console.entry import next_address
from stream.desk.console.hits import Person
from stream.desk.console.live import Answer, Live
from stream.desk.console.queries import read_filters, written_filters
from stream.desk.console.replies import address, banner_json, coder_of, draft_in, drawn, mapping, refused, told
from stream.desk.console.search import Search
from stream.desk.console.shown import Shown, anchored, fitted, lines_of, parts_of, placed, sides
from stream.desk.console.trail import RequestTrail
from stream.desk.desk import Desk
from stream.desk.drafts import Draft, draft_json
from stream.desk.refusals import NoTask
from stream.desk.values import Coder, Opened
from stream.errors import InputError, Refused
from stream.targeting.edits import load as edits
from stream.web.requests import accessed, json_of, redirect, render, texts_of

_KEPT = 500
"""Opened certificates that are kept in memory, so that an edit need not ask the key store: more than people who code."""
_OVER = frozenset({"CLAIM_LOST", "NO_TASK", "SHREDDED"})
"""Refusals after which a task is in other hands."""
_LONGEST_IDLE_S = 86_400.0


class Work:
    """Endpoints of a task.

    Args:
        desk: the queue and its decisions.
        search: the ICD's.
        live: the core, for the cause as the coder edits.
    """

    def __init__(self, desk: Desk, search: Search, live: Live) -> None:
        self._desk, self._search, self._live = desk, search, live
        self._shown: OrderedDict[tuple[str, str], Shown] = OrderedDict()

    async def task(self, request: Request) -> Response:
        """A task in hand."""
        who, filters, claim_id = coder_of(request), read_filters(request.query_params), request.path_params["claim_id"]
        try:
            opened = await asyncio.to_thread(self._desk.task, who, claim_id)
        except Refused as refusal:
            return redirect(request, address("/queue", filters, said=refusal.code))
        except InputError as fault:  # shredded, or sealed under a key that is nowhere
            return redirect(request, address("/queue", filters, said=fault.code))
        await _seen(request, opened)
        shown = self._remember(who, Shown(opened, Person.of(opened.certificate)))
        draft = anchored(opened.draft, opened) if opened.draft else shown.start
        draft, answer = await self._answer(shown, draft)
        recent = await asyncio.to_thread(self._desk.recent, who, 1)
        return render(
            request,
            "task.html.j2",
            {
                **parts_of(shown, draft, answer), "opened": opened, "query": written_filters(filters),
                "boxes": words.boxes(texts_of(request), opened.certificate), "reasons": self._desk.reasons,
                "last": next((past for past in recent if past.undoable), None), "beat_s": self._desk.beat_s,
                "start": draft_json(shown.start), "kept": draft_json(draft), "DecisionKind": DecisionKind,
                "senior": who.senior, "sides": [
                    [[asdict(one) for one in placed(opened, row, codes)] for codes in (side.first, side.second)]
                    for row, side in enumerate(sides(opened))
                ],
            },
        )  # fmt: skip

    async def _answer(self, shown: Shown, draft: Draft, *, auto: bool = False) -> tuple[Draft, Answer]:
        """The core's answer to a draft, and the draft with a cause: the rules' where it has none, or where it follows them.

        Where its lines are the proposal's, the answer is the proposal's own cause and steps. Edits are those of the cause
        that the draft holds.
        """
        opened, proposal = shown.opened, shown.opened.proposal
        part1, part2 = screen.coded_lines(opened.certificate, proposal, draft)
        if proposal is not None and lines_of(draft) == lines_of(Draft.of(proposal)):
            broken = edits().check(opened.certificate, proposal.part1, proposal.part2, proposal.underlying)
            answer = Answer(proposal.underlying, broken, ranked=True)
        else:
            with gauges.LIVE.time():
                answer = await self._live.answer(opened.certificate, part1, part2)
            if not answer.ranked:
                gauges.ALONE.inc()
        code = answer.cause.code or ""
        if auto or not draft.underlying:
            draft = replace(draft, underlying=code)
        if draft.underlying != code:
            chosen = Underlying(draft.underlying, 1.0, Method.HUMAN)
            answer = replace(answer, edits=edits().check(opened.certificate, part1, part2, chosen))
        return draft, answer

    async def edit(self, request: Request) -> Response:
        """The draft as it stands: kept, and answered by the core. ``auto``: the cause follows the rules."""
        who, claim_id = coder_of(request), request.path_params["claim_id"]
        body = mapping(await json_of(request))
        try:
            shown = await self._of(request, who, claim_id)
            draft = fitted(draft_in(body), shown.opened)
            draft, answer = await self._answer(shown, draft, auto=body.get("auto") is True)
            await asyncio.to_thread(self._desk.keep, who, claim_id, draft)
        except (Refused, InputError) as refusal:
            return self._refused(request, refusal, who, claim_id)
        parts = parts_of(shown, draft, answer)
        return JSONResponse(
            {
                "lines": drawn(request, "parts/lines.html.j2", parts),
                "cause": drawn(request, "parts/cause.html.j2", parts),
                "underlying": draft.underlying, "changed": parts["changed"],
                "warnings": [edit.id for edit in answer.edits],
                "told": told(request, draft, answer),
            }
        )  # fmt: skip

    async def find(self, request: Request) -> Response:
        """Search of the ICD for this certificate's person. By POST: what is typed may be words of a certificate."""
        who, claim_id = coder_of(request), request.path_params["claim_id"]
        body = mapping(await json_of(request))
        typed = body.get("typed")
        try:
            shown = await self._of(request, who, claim_id)
        except (Refused, InputError) as refusal:
            return self._refused(request, refusal, who, claim_id)
        with gauges.SEARCH.time():
            hits = await asyncio.to_thread(self._search.search, typed if isinstance(typed, str) else "", shown.person)
        t = texts_of(request)
        return JSONResponse(
            {
                "hits": [
                    {
                        "codes": hit.codes, "label": hit.label, "unfit": hit.unfit,
                        "matched": hit.matched if hit.matched != hit.label else "",
                        "source": words.source(t, hit.source) if hit.source not in ("code", "cim10") else "",
                        "others": [[code, words.label(code)] for code in hit.codes[1:]],
                    }
                    for hit in hits
                ]
            }
        )  # fmt: skip

    async def beat(self, request: Request) -> Response:
        """The heartbeat: a new lease, and what came meanwhile."""
        who, claim_id = coder_of(request), request.path_params["claim_id"]
        body = mapping(await json_of(request))
        idle, seen = body.get("idle_s"), body.get("seen")
        idle_s = 0.0
        if isinstance(idle, int | float) and not isinstance(idle, bool) and idle >= 0:
            idle_s = float(min(idle, _LONGEST_IDLE_S))
        try:
            renewed = await asyncio.to_thread(
                self._desk.renew, who, claim_id, idle_s, seen if type(seen) is int else None
            )
        except Refused as refusal:
            return self._refused(request, refusal, who, claim_id)
        return JSONResponse(
            {
                "expires": renewed.claim.expires_at.isoformat(),
                "banner": banner_json(request, renewed.banner) if renewed.banner else None,
            }
        )

    async def refresh(self, request: Request) -> Response:
        """Go over to the newer version that came; where none is left to be coded, to the next task."""
        who, claim_id, filters = coder_of(request), request.path_params["claim_id"], read_filters(request.query_params)
        await json_of(request)
        self._forget(who, claim_id)
        try:
            claim = await asyncio.to_thread(self._desk.refresh, who, claim_id)
        except NoTask:
            return JSONResponse({"next": await next_address(self._desk, who, filters)})
        except Refused as refusal:
            return self._refused(request, refusal, who, claim_id)
        return JSONResponse({"next": address(f"/task/{claim.claim_id}", filters)})

    async def decide(self, request: Request) -> Response:
        """Write the decision, and take the next task."""
        who, claim_id = coder_of(request), request.path_params["claim_id"]
        try:
            draft = draft_in(mapping(await json_of(request)))
            decided = await asyncio.to_thread(self._desk.decide, who, claim_id, draft, RequestTrail(request), kept=True)
        except (Refused, InputError) as refusal:
            return self._refused(request, refusal, who, claim_id)
        gauges.DECIDED.labels(decided.kind.value).inc()
        gauges.TASK.observe(decided.seconds)
        return await self._on(request, who, claim_id)

    async def _on(self, request: Request, who: Coder, claim_id: str) -> Response:
        """Where to go when a task is out of one's hands."""
        self._forget(who, claim_id)
        return JSONResponse({"next": await next_address(self._desk, who, read_filters(request.query_params))})

    async def skip(self, request: Request) -> Response:
        """Leave it for later."""
        return await self._handed(request, self._desk.skip)

    async def escalate(self, request: Request) -> Response:
        """Give it to a senior."""
        return await self._handed(request, self._desk.escalate)

    async def send_back(self, request: Request) -> Response:
        """Give an escalated one back to the coders."""
        return await self._handed(request, self._desk.send_back)

    async def _handed(self, request: Request, act: Callable[..., None]) -> Response:
        who, claim_id = coder_of(request), request.path_params["claim_id"]
        body = mapping(await json_of(request))
        why, note = (str(body.get(field, ""))[:2_000] for field in ("why", "note"))
        try:
            await asyncio.to_thread(act, who, claim_id, why, note, RequestTrail(request))
        except (Refused, InputError) as refusal:
            return self._refused(request, refusal, who, claim_id)
        return await self._on(request, who, claim_id)

    async def release(self, request: Request) -> Response:
        """Give it back to the queue and leave."""
        who, claim_id, filters = coder_of(request), request.path_params["claim_id"], read_filters(request.query_params)
        await json_of(request)
        self._forget(who, claim_id)
        try:
            await asyncio.to_thread(self._desk.release, who, claim_id)
        except Refused as refusal:
            return self._refused(request, refusal, who, claim_id)
        return JSONResponse({"next": address("/queue", filters)})

    async def _of(self, request: Request, who: Coder, claim_id: str) -> Shown:
        """What is on this person's screen; opened again where this process does not know it."""
        found = self._shown.get((who.pseudonym, claim_id))
        if found is None:
            opened = await asyncio.to_thread(self._desk.task, who, claim_id)
            await _seen(request, opened)
            found = self._remember(who, Shown(opened, Person.of(opened.certificate)))
        return found

    def _remember(self, who: Coder, shown: Shown) -> Shown:
        key = who.pseudonym, shown.opened.claim.claim_id
        self._shown[key] = shown
        self._shown.move_to_end(key)
        while len(self._shown) > _KEPT:
            self._shown.popitem(last=False)
        return shown

    def _forget(self, who: Coder, claim_id: str) -> None:
        self._shown.pop((who.pseudonym, claim_id), None)

    def _refused(self, request: Request, refusal: Exception, who: Coder, claim_id: str) -> Response:
        """A refusal; where it says that the task is in other hands, nothing of it is kept."""
        if getattr(refusal, "code", "") in _OVER:
            self._forget(who, claim_id)
        return refused(request, refusal)


async def _seen(request: Request, opened: Opened) -> None:
    """A row of the access log, before anything of the certificate is answered."""
    claim = opened.claim
    await accessed(
        request, "CERTIFICATE_SEEN", certificate_id=claim.certificate_id, version=claim.version,
        detail={"blind": claim.blind, "kind": claim.kind.value, "claim": claim.claim_id},
    )  # fmt: skip
