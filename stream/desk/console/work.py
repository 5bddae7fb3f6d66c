"""The coder's own pages: the queue, a task in hand, and what is done with it. JSON for the script, pages for the rest."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stream.coding import DecisionKind
from stream.desk.console import gauges, screen, words
from stream.desk.console.live import Answer, Live
from stream.desk.console.queries import PAGE, page_number, read_filters, written_filters
from stream.desk.console.search import Person, Search
from stream.desk.desk import Desk
from stream.desk.drafts import Draft, DraftCode, DraftLine, draft_json, read_draft
from stream.desk.refusals import Invalid, NoTask, Refused, Superseded, Unconfirmed
from stream.desk.values import Banner, Coder, Filters, Opened, Page
from stream.errors import InputError
from stream.targeting.edits import Edit
from stream.targeting.edits import load as edits
from stream.web.requests import accessed, form_of, json_of, redirect, refuse, render, texts_of, user_of
from stream.web.users import Role

_KEPT = 500
"""Opened certificates that are kept in memory, so that an edit need not ask the key store: more than people who code."""
_ID = 128


@dataclass(frozen=True, slots=True)
class Shown:
    """A task on somebody's screen."""

    opened: Opened
    person: Person

    @property
    def start(self) -> Draft:
        """The draft that the task begins with."""
        if len(self.opened.opinions) > 1:
            return _agreed(self.opened)
        if self.opened.proposal is not None:
            return Draft.of(self.opened.proposal)
        return screen.empty_draft(self.opened.certificate)


class Work:
    """Endpoints of the coder's pages.

    Args:
        desk: the queue and its decisions.
        search: the ICD's.
        live: the core, for the cause as the coder edits.
    """

    def __init__(self, desk: Desk, search: Search, live: Live) -> None:
        self._desk, self._search, self._live = desk, search, live
        self._shown: OrderedDict[tuple[str, str], Shown] = OrderedDict()

    async def home(self, request: Request) -> Response:
        """Where a login leads: coders to the queue, others to the figures."""
        codes = user_of(request).has(Role.CODER, Role.SENIOR)
        return redirect(request, "/queue" if codes else "/supervisor")

    async def queue(self, request: Request) -> Response:
        """The queue, filtered."""
        who, filters = coder_of(request), read_filters(request.query_params)
        number = page_number(request.query_params.get("page", ""))
        listing, facets, status, held = await asyncio.gather(
            asyncio.to_thread(self._desk.queue, who, filters, Page(number, PAGE)),
            asyncio.to_thread(self._desk.facets, who, Filters()),
            asyncio.to_thread(self._desk.status, who),
            asyncio.to_thread(self._desk.held, who),
        )
        return render(
            request,
            "queue.html.j2",
            {
                "listing": listing, "facets": facets, "status": status, "held": held, "filters": filters,
                "query": written_filters(filters), "page": number, "pages": -(-listing.total // PAGE), "size": PAGE,
                "now": self._desk.context.clock(), "said": request.query_params.get("said", ""), "senior_role": Role.SENIOR,
                "older": round(filters.older_than / timedelta(hours=1)) if filters.older_than else "",
                "oldest": words.since(texts_of(request), timedelta(seconds=status.oldest_s or 0)),
            },
        )  # fmt: skip

    async def next(self, request: Request) -> Response:
        """Take the next task."""
        await form_of(request)
        filters = read_filters(request.query_params)
        return redirect(request, await self._next(coder_of(request), filters))

    async def take(self, request: Request) -> Response:
        """Take one of the list."""
        form = await form_of(request)
        certificate_id = str(form.get("certificate_id", ""))[:_ID]
        who, filters = coder_of(request), read_filters(request.query_params)
        try:
            claim = await asyncio.to_thread(self._desk.take, who, certificate_id)
        except Refused as refusal:
            return redirect(request, _address("/queue", filters, said=refusal.code))
        return redirect(request, _address(f"/task/{claim.claim_id}", filters))

    async def _next(self, who: Coder, filters: Filters) -> str:
        """Address of the next task, or of the queue where there is none."""
        claim = await asyncio.to_thread(self._desk.next, who, filters)
        if claim is None:
            return _address("/queue", filters, said="EMPTY")
        return _address(f"/task/{claim.claim_id}", filters)

    async def task(self, request: Request) -> Response:
        """A task in hand."""
        who, filters, claim_id = coder_of(request), read_filters(request.query_params), request.path_params["claim_id"]
        try:
            opened = await asyncio.to_thread(self._desk.task, who, claim_id)
        except Refused as refusal:
            return redirect(request, _address("/queue", filters, said=refusal.code))
        except InputError as fault:  # shredded, or sealed under a key that is nowhere
            return redirect(request, _address("/queue", filters, said=fault.code))
        claim = opened.claim
        await accessed(
            request, "CERTIFICATE_SEEN", certificate_id=claim.certificate_id, version=claim.version,
            detail={"blind": claim.blind, "kind": claim.kind.value, "claim": claim.claim_id},
        )  # fmt: skip
        shown = self._remember(who, Shown(opened, Person.of(opened.certificate)))
        draft = opened.draft or shown.start
        answer = await self._answer(shown, draft)
        recent = await asyncio.to_thread(self._desk.recent, who, 1)
        return render(
            request,
            "task.html.j2",
            {
                **_parts(shown, draft, answer), "opened": opened, "query": written_filters(filters),
                "boxes": words.boxes(texts_of(request), opened.certificate), "reasons": self._desk.reasons,
                "last": next((past for past in recent if past.undoable), None), "beat_s": self._desk.beat_s,
                "start": draft_json(shown.start), "kept": draft_json(draft), "DecisionKind": DecisionKind,
                "senior": who.senior, "sides": [
                    [[asdict(one) for one in _placed(opened, row, codes)] for codes in (side.first, side.second)]
                    for row, side in enumerate(_sides(opened))
                ],
            },
        )  # fmt: skip

    async def _answer(self, shown: Shown, draft: Draft) -> Answer:
        """The core's answer to a draft; where its lines are the proposal's, the proposal's own cause and steps."""
        opened = shown.opened
        part1, part2 = screen.coded_lines(opened.certificate, opened.proposal, draft)
        proposal = opened.proposal
        if proposal is not None and _lines(draft) == _lines(Draft.of(proposal)):
            broken = edits().check(opened.certificate, proposal.part1, proposal.part2, proposal.underlying)
            return Answer(proposal.underlying, broken, ranked=True)
        with gauges.LIVE.time():
            answer = await self._live.answer(opened.certificate, part1, part2)
        if not answer.ranked:
            gauges.ALONE.inc()
        return answer

    async def edit(self, request: Request) -> Response:
        """The draft as it stands: kept, and answered by the core. ``auto``: the cause follows the rules."""
        who, claim_id = coder_of(request), request.path_params["claim_id"]
        body = _mapping(await json_of(request))
        try:
            shown = await self._of(who, claim_id)
            draft = _fitted(_draft(body), shown.opened)
            answer = await self._answer(shown, draft)
            if body.get("auto") is True:
                draft = replace(draft, underlying=answer.cause.code or "")
            await asyncio.to_thread(self._desk.keep, who, claim_id, draft)
        except (Refused, InputError) as refusal:
            return self._refused(request, refusal, who, claim_id)
        parts = _parts(shown, draft, answer)
        return JSONResponse(
            {
                "lines": _drawn(request, "parts/lines.html.j2", parts),
                "cause": _drawn(request, "parts/cause.html.j2", parts),
                "underlying": draft.underlying, "changed": parts["changed"],
                "warnings": [edit.id for edit in answer.edits],
                "told": _told(request, draft, answer),
            }
        )  # fmt: skip

    async def find(self, request: Request) -> Response:
        """Search of the ICD for this certificate's person. By POST: what is typed may be words of a certificate."""
        who, claim_id = coder_of(request), request.path_params["claim_id"]
        body = _mapping(await json_of(request))
        typed = body.get("typed")
        try:
            shown = await self._of(who, claim_id)
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
        idle = _mapping(await json_of(request)).get("idle_s")
        idle_s = float(idle) if isinstance(idle, int | float) and not isinstance(idle, bool) and idle >= 0 else 0.0
        try:
            renewed = await asyncio.to_thread(self._desk.renew, who, claim_id, idle_s)
        except Refused as refusal:
            return self._refused(request, refusal, who, claim_id)
        return JSONResponse(
            {
                "expires": renewed.claim.expires_at.isoformat(),
                "banner": _banner(request, renewed.banner) if renewed.banner else None,
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
            return JSONResponse({"next": await self._next(who, filters)})
        except Refused as refusal:
            return self._refused(request, refusal, who, claim_id)
        return JSONResponse({"next": _address(f"/task/{claim.claim_id}", filters)})

    async def decide(self, request: Request) -> Response:
        """Write the decision, and take the next task."""
        who, claim_id = coder_of(request), request.path_params["claim_id"]
        try:
            draft = _draft(_mapping(await json_of(request)))
            decided = await asyncio.to_thread(self._desk.decide, who, claim_id, draft)
        except (Refused, InputError) as refusal:
            return self._refused(request, refusal, who, claim_id)
        gauges.DECIDED.labels(decided.kind.value).inc()
        gauges.TASK.observe(decided.seconds)
        await accessed(
            request, "DECIDED", certificate_id=decided.certificate_id, version=decided.version,
            detail={"decision": decided.decision_id, "kind": decided.kind.value},
        )  # fmt: skip
        return await self._on(request, who, claim_id)

    async def _on(self, request: Request, who: Coder, claim_id: str) -> Response:
        """Where to go when a task is out of one's hands."""
        self._forget(who, claim_id)
        return JSONResponse({"next": await self._next(who, read_filters(request.query_params))})

    async def skip(self, request: Request) -> Response:
        """Leave it for later."""
        return await self._handed(request, self._desk.skip, "RELEASED")

    async def escalate(self, request: Request) -> Response:
        """Give it to a senior."""
        return await self._handed(request, self._desk.escalate, "ESCALATED")

    async def send_back(self, request: Request) -> Response:
        """Give an escalated one back to the coders."""
        return await self._handed(request, self._desk.send_back, "RELEASED")

    async def _handed(self, request: Request, act: Callable[..., None], name: str) -> Response:
        who, claim_id = coder_of(request), request.path_params["claim_id"]
        body = _mapping(await json_of(request))
        why, note = (str(body.get(field, ""))[:2_000] for field in ("why", "note"))
        try:
            claim = (await self._of(who, claim_id)).opened.claim
            await asyncio.to_thread(act, who, claim_id, why, note)
        except (Refused, InputError) as refusal:
            return self._refused(request, refusal, who, claim_id)
        await accessed(
            request, name, certificate_id=claim.certificate_id, version=claim.version, detail={"why": why[:64]}
        )
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
        return JSONResponse({"next": _address("/queue", filters)})

    async def _of(self, who: Coder, claim_id: str) -> Shown:
        """What is on this person's screen; opened again where this process does not know it."""
        found = self._shown.get((who.pseudonym, claim_id))
        if found is None:
            opened = await asyncio.to_thread(self._desk.task, who, claim_id)
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
        """A refusal as the script takes it."""
        t = texts_of(request)
        code = getattr(refusal, "code", "REFUSED")
        body: dict[str, Any] = {"refusal": code, "text": words.word(t, "refusal", code)}
        if isinstance(refusal, Unconfirmed):
            body["warnings"] = [_warning(request, edit) for edit in refusal.warnings]
        if isinstance(refusal, Invalid):
            body["faults"] = [{"where": f.where, "text": words.word(t, "fault", f.code)} for f in refusal.faults]
        if isinstance(refusal, Superseded):
            body["banner"] = _banner(request, refusal.banner)
        if code in ("CLAIM_LOST", "NO_TASK", "SHREDDED"):
            self._forget(who, claim_id)
        return JSONResponse(body, 409)


def coder_of(request: Request) -> Coder:
    """Who works."""
    user = user_of(request)
    return Coder(user.pseudonym, senior=user.has(Role.SENIOR))


def _address(path: str, filters: Filters, *, said: str = "") -> str:
    query = "&".join(part for part in (written_filters(filters), f"said={quote(said)}" if said else "") if part)
    return f"{path}?{query}" if query else path


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        refuse(400)
    return value


def _draft(body: Mapping[str, Any]) -> Draft:
    """Draft of a request.

    Raises:
        Invalid: it is none.
    """
    return read_draft(_mapping(body.get("draft")))


def _fitted(draft: Draft, opened: Opened) -> Draft:
    """The draft with a line for each of the certificate's; a broken browser must not break the screen."""
    lines = opened.certificate.part1, opened.certificate.part2
    parts = [
        (*part[: len(written)], *(DraftLine(()) for _ in range(len(written) - len(part))))
        for part, written in zip((draft.part1, draft.part2), lines, strict=True)
    ]
    return replace(draft, part1=parts[0], part2=parts[1])


def _parts(shown: Shown, draft: Draft, answer: Answer) -> dict[str, Any]:
    """What the parts of the screen that an edit changes are drawn from."""
    opened = shown.opened
    changed = opened.proposal is not None and _codes(draft) != _codes(Draft.of(opened.proposal))
    return {
        "rows": screen.rows(opened.certificate, opened.proposal, draft), "opened": opened, "draft": draft,
        "answer": answer, "chosen": draft.underlying, "changed": changed,
        "own_cause": bool(draft.underlying) and draft.underlying != (answer.cause.code or ""),
        "opinions": _sides(opened), "started": any(draft.codes()),
    }  # fmt: skip


def _lines(draft: Draft) -> tuple[tuple[DraftLine, ...], tuple[DraftLine, ...]]:
    return draft.part1, draft.part2


def _codes(draft: Draft) -> tuple[Any, ...]:
    return _lines(draft), draft.underlying


def _agreed(opened: Opened) -> Draft:
    """What an adjudication begins with: the codes that both opinions hold on a line, and the cause where it is one."""
    sides = _sides(opened)
    lines = [
        DraftLine(_placed(opened, row, tuple(code for code in side.first if code in side.second)))
        for row, side in enumerate(sides)
    ]
    causes = {past.underlying or "" for past in opened.opinions[:2]}
    cut = len(opened.certificate.part1)
    return Draft(tuple(lines[:cut]), tuple(lines[cut:]), causes.pop() if len(causes) == 1 else "")


def _placed(opened: Opened, row: int, codes: tuple[str, ...]) -> tuple[DraftCode, ...]:
    """Codes of a line, each on the words where the machine found it; on the whole line where it did not."""
    proposal = opened.proposal
    lines = (*proposal.part1, *proposal.part2) if proposal else ()
    left = list(lines[row].entities) if row < len(lines) else []
    found = []
    for code in codes:
        own = next((entity for entity in left if entity.code == code), None)
        if own is not None:
            left.remove(own)
        found.append(DraftCode(code, own.start, own.end) if own else DraftCode(code))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Side:
    """A line of an adjudication: the codes of either opinion, and whether they differ."""

    first: tuple[str, ...]
    second: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the opinions hold other codes; their order on the line counts for nothing here."""
        return sorted(self.first) != sorted(self.second)


def _sides(opened: Opened) -> tuple[Side, ...]:
    if len(opened.opinions) < 2:
        return ()
    first, second = (past.after for past in opened.opinions[:2])
    number = len(opened.certificate.part1) + len(opened.certificate.part2)
    return tuple(Side(*(side[n] if n < len(side) else () for side in (first, second))) for n in range(number))


def _banner(request: Request, banner: Banner) -> dict[str, Any]:
    t = texts_of(request)
    return {
        "kind": banner.kind.value, "version": banner.version,
        "text": t(f"desk.banner.{banner.kind}", version=banner.version),
    }  # fmt: skip


def _warning(request: Request, edit: Edit) -> dict[str, str]:
    fr = texts_of(request).language == "fr"
    return {"id": edit.id, "severity": edit.severity, "text": edit.fr if fr else edit.en}


def _told(request: Request, draft: Draft, answer: Answer) -> str:
    """What a screen reader says after an edit."""
    t = texts_of(request)
    if not draft.underlying:
        return t("desk.told.none")
    label = words.label(draft.underlying)
    said = t("desk.told.cause", code=draft.underlying, label=label, share=t.percent(answer.cause.confidence))
    return f"{said} {t('desk.told.warnings', count=len(answer.edits))}" if answer.edits else said


def _drawn(request: Request, template: str, values: Mapping[str, Any]) -> str:
    """A part of a page, drawn."""
    return bytes(render(request, template, dict(values)).body).decode()
