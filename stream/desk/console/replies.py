"""Answers to the script: refusals, warnings, banners in the reader's language; and who asks for what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stream.desk.console import words
from stream.desk.console.live import Answer
from stream.desk.console.queries import written_filters
from stream.desk.drafts import Draft, read_draft
from stream.desk.refusals import Invalid, Superseded, Unconfirmed
from stream.desk.values import Banner, Coder, Filters
from stream.targeting.edits import Edit
from stream.web.requests import refuse, render, texts_of, user_of
from stream.web.users import Role


def coder_of(request: Request) -> Coder:
    """Who works."""
    user = user_of(request)
    return Coder(user.pseudonym, senior=user.has(Role.SENIOR))


def address(path: str, filters: Filters, *, said: str = "") -> str:
    """Path of ours with the filters that go along, and a refusal to be told there."""
    query = "&".join(part for part in (written_filters(filters), f"said={quote(said)}" if said else "") if part)
    return f"{path}?{query}" if query else path


def mapping(value: Any) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        HTTPException: 400 for anything else.
    """
    if not isinstance(value, dict):
        refuse(400)
    return value


def draft_in(body: Mapping[str, Any]) -> Draft:
    """Draft of a request.

    Raises:
        Invalid: it is none.
    """
    return read_draft(mapping(body.get("draft")))


def refused(request: Request, refusal: Exception) -> Response:
    """A refusal as the script takes it."""
    t = texts_of(request)
    code = getattr(refusal, "code", "REFUSED")
    body: dict[str, Any] = {"refusal": code, "text": words.word(t, "refusal", code)}
    if isinstance(refusal, Unconfirmed):
        body["warnings"] = [warning_json(request, edit) for edit in refusal.warnings]
    if isinstance(refusal, Invalid):
        body["faults"] = [{"where": f.where, "text": words.word(t, "fault", f.code)} for f in refusal.faults]
    if isinstance(refusal, Superseded):
        body["banner"] = banner_json(request, refusal.banner)
    return JSONResponse(body, 409)


def banner_json(request: Request, banner: Banner) -> dict[str, Any]:
    """What came meanwhile, in words."""
    t = texts_of(request)
    return {
        "kind": banner.kind.value, "version": banner.version, "revision": banner.revision,
        "text": t(f"desk.banner.{banner.kind}", version=banner.version),
    }  # fmt: skip


def warning_json(request: Request, edit: Edit) -> dict[str, str]:
    """A broken edit, in words."""
    fr = texts_of(request).language == "fr"
    return {"id": edit.id, "severity": edit.severity, "text": edit.fr if fr else edit.en}


def told(request: Request, draft: Draft, answer: Answer) -> str:
    """What a screen reader says after an edit."""
    t = texts_of(request)
    if not draft.underlying:
        return t("desk.told.none")
    label = words.label(draft.underlying)
    said = t("desk.told.cause", code=draft.underlying, label=label, share=t.percent(answer.cause.confidence))
    return f"{said} {t('desk.told.warnings', count=len(answer.edits))}" if answer.edits else said


def drawn(request: Request, template: str, values: Mapping[str, Any]) -> str:
    """A part of a page, drawn."""
    return bytes(render(request, template, dict(values)).body).decode()
