"""`causa underlying`: codes in, underlying cause out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from stream import underlying as selection
from stream.cli.output import opened
from stream.errors import InputError, InvalidCertificate, InvalidData
from stream.offline.answers import error_answer


def command(
    source: Annotated[str, typer.Argument(metavar="IN", help="JSONL of coded certificates; - is standard input.")],
    *,
    output: Annotated[str, typer.Option("-o", "--output", help="File to write; - is standard output.")] = "-",
) -> None:
    """Select the underlying cause of certificates that are codes already, by WHO's rules.

    Input: {"certificate_id", "sex", "age", "part1": [["J96.0"], ["C25.9"]], "part2": ["I10"]}; codes with or without
    dot, as many Part I lines as there are. Output, in order: {"certificate_id", "underlying", "confidence", "steps"}.
    Examples: `causa underlying in.jsonl -o out.jsonl`, `causa underlying - < in.jsonl`

    Exit status: 0; 1 some lines could not be read and stand as errors in the output.
    """
    tables = selection.load()
    failed = False
    # Standard input is kept, because the form of its codes is known only at its end; a file is read twice instead.
    lines = list(_lines(source)) if source == "-" else None
    form = selection.FileForm()
    for _, row in lines if lines is not None else _lines(source):
        with suppress(InputError):
            form.see(selection.given_codes(_mapping(row)))
    with opened(output, source) as out:
        for number, row in lines if lines is not None else _lines(source):
            try:
                answer = answer_row(row, tables, form)
            except InputError as error:
                failed = True
                answer = error_answer(error, number)
            out.write(json.dumps(answer, ensure_ascii=False) + "\n")
    if failed:
        raise typer.Exit(1)


def _lines(source: str) -> Iterator[tuple[int, bytes]]:
    if source != "-" and not Path(source).is_file():
        raise InvalidData(f"there is no file {source}", hint="name a file, or - for standard input")
    with nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line


def _mapping(row: bytes) -> dict[str, Any]:
    try:
        mapping = json.loads(row)
    except (ValueError, RecursionError):
        raise InvalidCertificate("not JSON") from None
    if not isinstance(mapping, dict):
        raise InvalidCertificate("not a JSON object")
    return mapping


def answer_row(row: bytes, tables: selection.Tables, form: selection.FileForm) -> dict[str, Any]:
    """Answer to one line of input, its code in the form of the file's.

    Raises:
        InvalidCertificate: the line is no JSON object, or a field is out of its domain.
    """
    mapping = _mapping(row)
    identifier = mapping.get("certificate_id")
    if not isinstance(identifier, str | int | None) or not _writable(str(identifier)):
        raise InvalidCertificate("certificate_id is no string")
    cause = selection.select(selection.read_causes(mapping), tables)
    return {
        "certificate_id": identifier,
        "underlying": form.write(cause.code, selection.given_codes(mapping)),
        "confidence": cause.confidence,
        "steps": list(cause.steps),
    }


def _writable(text: str) -> bool:
    """Whether UTF-8 can hold a text: an escape of JSON may name half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
