"""Where work begins: the queue, and how one comes to a task."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from stream.desk.console import words
from stream.desk.console.queries import PAGE, page_number, read_filters, written_filters
from stream.desk.console.replies import address, coder_of
from stream.desk.desk import Desk
from stream.desk.values import Coder, Filters, Page
from stream.errors import Refused
from stream.web.requests import form_of, redirect, render, texts_of, user_of
from stream.web.users import Role

_ID = 128


async def next_address(desk: Desk, who: Coder, filters: Filters) -> str:
    """Address of the next task, or of the queue where there is none, or none is given out yet."""
    try:
        claim = await asyncio.to_thread(desk.next, who, filters)
    except Refused as refusal:  # the topics are still being read: what was just decided is written all the same
        return address("/queue", filters, said=refusal.code)
    if claim is None:
        return address("/queue", filters, said="EMPTY")
    return address(f"/task/{claim.claim_id}", filters)


class Entry:
    """Endpoints of the queue.

    Args:
        desk: the queue.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

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
        return redirect(request, await next_address(self._desk, coder_of(request), filters))

    async def take(self, request: Request) -> Response:
        """Take one of the list."""
        form = await form_of(request)
        certificate_id = str(form.get("certificate_id", ""))[:_ID]
        who, filters = coder_of(request), read_filters(request.query_params)
        try:
            claim = await asyncio.to_thread(self._desk.take, who, certificate_id)
        except Refused as refusal:
            return redirect(request, address("/queue", filters, said=refusal.code))
        return redirect(request, address(f"/task/{claim.claim_id}", filters))
