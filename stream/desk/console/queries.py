"""Filters of the queue as an address writes them, so that a list can be kept as a bookmark and taken along to the next task."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from stream.certificate import Source
from stream.coding import Reason
from stream.desk.life import Stage
from stream.desk.values import Filters, Order

PAGE = 50
_MOST_VALUES = 50
_LONGEST = 80
_MOST_HOURS = 24 * 3_650
_MOST_PAGES = 100_000
_WORDS = ("groups", "strata", "departments", "flags", "edits")

E = TypeVar("E", bound=StrEnum)


def read_filters(query: QueryParams) -> Filters:
    """Filters of an address; what it holds beside them, or what is none of a filter's values, is left out."""
    words = {name: tuple(value[:_LONGEST] for value in query.getlist(name)[:_MOST_VALUES] if value) for name in _WORDS}
    audit = {"1": True, "0": False}.get(query.get("audit", ""))
    return Filters(
        stages=_of(Stage, query.getlist("stages")),
        reasons=_of(Reason, query.getlist("reasons")),
        sources=_of(Source, query.getlist("sources")),
        audit=audit,
        older_than=_hours(query.get("older", "")),
        younger_than=_hours(query.get("younger", "")),
        free=query.get("free") == "1",
        order=next(iter(_of(Order, [query.get("order", "")])), Order.PRIORITY),
        **words,
    )


def written_filters(filters: Filters) -> str:
    """The opposite: the part of an address behind its question mark; empty where nothing is filtered."""
    pairs: list[tuple[str, str]] = []
    for name in ("stages", "reasons", "sources", *_WORDS):
        pairs += [(name, str(value)) for value in getattr(filters, name)]
    if filters.audit is not None:
        pairs.append(("audit", "1" if filters.audit else "0"))
    for name, span in (("older", filters.older_than), ("younger", filters.younger_than)):
        if span is not None:
            pairs.append((name, f"{span / timedelta(hours=1):g}"))
    if filters.free:
        pairs.append(("free", "1"))
    if filters.order is not Order.PRIORITY:
        pairs.append(("order", filters.order.value))
    return urlencode(pairs)


def page_number(text: str) -> int:
    """Number of a page in an address, from 0; 0 for what is none."""
    return min(int(text), _MOST_PAGES) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def _of(kind: type[E], values: Iterable[str]) -> tuple[E, ...]:
    known = {str(member): member for member in kind}
    return tuple(dict.fromkeys(known[value] for value in values if value in known))


def _hours(text: str) -> timedelta | None:
    try:
        hours = float(text)
    except ValueError:
        return None
    return timedelta(hours=hours) if 0 < hours <= _MOST_HOURS else None
