"""Files in, files out: certificates coded without Kafka, the same core and model as in the stream.

Output lines come in the input's order, one for each input line; a line that cannot be read gives
``{"error": {"code", "message"}, "line": n}`` in its place. Offline output adds what the coded topic must not carry:
the text of every entity and the labels of the codes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from stream.certificate import Certificate
from stream.coding import CodedCertificate, CodedLine, CodedStatus, Origin, coded_json
from stream.errors import CausaError, CoreFailed, InputError
from stream.nomenclature import icd10
from stream.offline.batches import in_order
from stream.offline.files import Row
from stream.pipeline.core import Core, Prepared
from stream.pipeline.models import Models, code
from stream.pipeline.record import Incoming

BATCH = 128
IN_FLIGHT = 3


async def code_rows(rows: Iterable[Row], core: Core, models: Models) -> AsyncIterator[dict[str, Any]]:
    """One answer for each row, in order; a few batches are under way at once.

    Raises:
        InfrastructureError: a model does not answer, retries included.
    """

    async def coded(batch: list[Row]) -> list[dict[str, Any]]:
        return await _code(batch, core, models)

    async for answer in in_order(rows, coded, size=BATCH, in_flight=IN_FLIGHT):
        yield answer


async def _code(rows: list[Row], core: Core, models: Models) -> list[dict[str, Any]]:
    prepared = [_prepared(row, core) for row in rows]
    return [
        _answer(row, item, result)
        for row, item, result in zip(rows, prepared, await code(prepared, core, models), strict=True)
    ]


def _answer(row: Row, prepared: Prepared | InputError, result: CodedCertificate | InputError) -> dict[str, Any]:
    if isinstance(result, InputError):
        return error_answer(result, row.number)
    assert isinstance(prepared, Prepared)  # nothing else is coded
    try:
        return readable(result, prepared.read.certificate)
    except Exception as fault:
        return error_answer(CoreFailed.of(fault), row.number)


def _prepared(row: Row, core: Core) -> Prepared | InputError:
    if row.certificate is None:
        return row.error or InputError("no certificate")
    try:
        return core.prepare_certificate(row.certificate, Incoming(None, None, Origin()))
    except InputError as error:
        return error
    except Exception as fault:
        return CoreFailed.of(fault)


def error_answer(error: CausaError, number: int) -> dict[str, Any]:
    """What stands in the place of a line that cannot be coded."""
    return {"error": {"code": error.code, "message": error.message}, "line": number}


def readable(coded: CodedCertificate, certificate: Certificate) -> dict[str, Any]:
    """JSON of a coded certificate with text and labels added, for a file that stays with its owner."""
    nomenclature = icd10.load()
    record = coded_json(coded)
    if coded.status is CodedStatus.WITHDRAWN:  # nothing was coded, whatever the VOID version repeats
        return record
    for part, lines, written in (("part1", coded.part1, certificate.part1), ("part2", coded.part2, certificate.part2)):
        for number, (line, source) in enumerate(zip(lines, written, strict=True)):
            text = source.text if isinstance(source.text, str) else ""
            _with_text(record[part][number], line, text, nomenclature)
    if coded.underlying.code:
        record["underlying"]["label"] = nomenclature.label(coded.underlying.code)
    return record


def _with_text(record: dict[str, Any], line: CodedLine, text: str, nomenclature: icd10.Nomenclature) -> None:
    record["text"] = text
    for entity, found in zip(record["entities"], line.entities, strict=True):
        entity["text"] = text[found.start : found.end]
        entity["label"] = nomenclature.label(found.code)
    for stretch, left in zip(record["uncoded"], line.uncoded, strict=True):
        stretch["text"] = text[left.start : left.end]
