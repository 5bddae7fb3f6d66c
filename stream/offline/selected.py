"""Codes in, underlying causes out: the selection for files of certificates that are codes already.

Answers come in the input's order, one for each line. A few batches are under way at once, so that the rules of one run
while the ranker answers another; no more than those are in memory.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from stream import underlying as selection
from stream.coding import Underlying
from stream.errors import InputError, InvalidCertificate
from stream.nomenclature import icd10
from stream.offline.answers import error_answer
from stream.offline.batches import in_order
from stream.offline.jsonl import is_unicode
from stream.underlying import together
from stream.underlying.faults import faults
from stream.underlying.form import FileForm
from stream.underlying.ranking import SILENT, RankModel
from stream.underlying.request import Considered

BATCH = 256
IN_FLIGHT = 4
LOOK_AHEAD = 4_096
"""Rows that are read before the first answer where the input cannot be read twice."""

Row = tuple[int, bytes]
"""Number of a line, counted from 1, and its bytes."""


@dataclass(frozen=True, slots=True)
class Read:
    """A line that could be read."""

    identifier: str | int | None
    given: tuple[str, ...]
    causes: selection.Causes
    considered: Considered


class Selector:
    """Selects underlying causes.

    Args:
        ranker: the ranker; silent for the rules alone.
        form: how the file writes its codes.
    """

    def __init__(self, ranker: RankModel, form: FileForm) -> None:
        self._ranker, self._form = ranker, form
        self._tables, self._together = selection.load(), together.load()

    async def answers(self, rows: Iterable[Row]) -> AsyncIterator[dict[str, Any]]:
        """One answer for each row, in order.

        Raises:
            InfrastructureError: the ranker does not answer, retries included.
        """
        async for answer in in_order(rows, self._batch, size=BATCH, in_flight=IN_FLIGHT):
            yield answer

    async def cause(self, fields: dict[str, Any]) -> Underlying:
        """The underlying cause of one certificate.

        Raises:
            InvalidCertificate: a field is out of its domain.
            InfrastructureError: the ranker does not answer.
        """
        considered = selection.consider(selection.read_causes(fields), self._tables)
        if considered.request is None:
            return considered.cause
        (ranked,) = await self._ranker.ask([considered.request])
        return self._together(considered, ranked, self._tables)

    async def _batch(self, rows: list[Row]) -> list[dict[str, Any]]:
        read = [self._read(row) for _, row in rows]
        requests = [r.considered.request for r in read if isinstance(r, Read) and r.considered.request]
        rankings = dict(zip(requests, await self._ranker.ask(requests), strict=True))

        def answer(row: Row, item: Read | InputError) -> dict[str, Any]:
            if isinstance(item, InputError):
                return error_answer(item, row[0])
            request = item.considered.request
            return self._answer(
                item, self._together(item.considered, rankings[request] if request else SILENT, self._tables)
            )

        return [answer(row, item) for row, item in zip(rows, read, strict=True)]

    def _read(self, row: bytes) -> Read | InputError:
        try:
            fields = mapping(row)
            identifier = fields.get("certificate_id")
            if not isinstance(identifier, str | int | None) or isinstance(identifier, bool):
                raise InvalidCertificate("certificate_id is no string")
            if not is_unicode([identifier, *selection.given_codes(fields)]):
                raise InvalidCertificate("half of a surrogate pair, which is no character")
            causes = selection.read_causes(fields)
        except InputError as error:
            return error
        considered = selection.consider(causes, self._tables)
        return Read(identifier, selection.given_codes(fields), causes, considered)

    def _answer(self, item: Read, cause: Underlying) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "certificate_id": item.identifier,
            "underlying": self._form.write(cause.code, item.given),
            "confidence": cause.confidence,
            "steps": list(cause.steps),
        }
        found = code_faults(item.given, item.causes)
        return answer | {"faults": found} if found else answer


def observe(form: FileForm, rows: Iterable[Row]) -> FileForm:
    """Look how a file writes its codes; lines that cannot be read show nothing."""
    for _, row in rows:
        try:
            form.see(selection.given_codes(mapping(row)))
        except InputError:
            continue
    return form


def look_ahead(rows: Iterator[Row]) -> tuple[FileForm, Iterator[Row]]:
    """How the first rows write their codes, and all rows, those first: for an input that can be read only once."""
    first = list(islice(rows, LOOK_AHEAD))
    return observe(FileForm(), first), chain(first, rows)


def mapping(row: bytes) -> dict[str, Any]:
    """The JSON object of a line.

    Raises:
        InvalidCertificate: there is none.
    """
    try:
        found = json.loads(row)
    except (ValueError, RecursionError):
        raise InvalidCertificate("not JSON") from None
    if not isinstance(found, dict):
        raise InvalidCertificate("not a JSON object")
    return found


def code_faults(given: Iterable[str], causes: selection.Causes) -> list[dict[str, str]]:
    """Faults of the codes as they came."""
    return [fault.record() for code in given for fault in faults(code, causes.sex, causes.age_days)]


def explained(fields: dict[str, Any], cause: Underlying) -> Iterator[str]:
    """The certificate and the way to its underlying cause, a line each, for a person to read."""
    causes = selection.read_causes(fields)
    for number, line in enumerate(causes.part1, start=1):
        yield f"I.{number}  " + ("; ".join(map(labels, line)) or "—")
    if causes.part2:
        yield "II   " + "; ".join(map(labels, causes.part2))
    for fault in code_faults(selection.given_codes(fields), causes):
        yield f"fault: {' '.join(fault.values())}"
    yield ""
    yield from (f"{number}. {step}" for number, step in enumerate(cause.steps, start=1))
    yield ""
    yield f"underlying cause: {labels(cause.code or 'R99')}  ({cause.method.value.lower()}, confidence {cause.confidence:.2f})"
    if cause.alternatives:
        yield "also considered: " + "; ".join(f"{labels(a.code)} {a.confidence:.2f}" for a in cause.alternatives)


def labels(code: str) -> str:
    """A code with its label."""
    return f"{code} {icd10.load().label(code)}".strip()
