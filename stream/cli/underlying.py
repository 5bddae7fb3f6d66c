"""`causa underlying`: codes in, underlying cause out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from stream import underlying as selection
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
    target = nullcontext(sys.stdout) if output == "-" else Path(output).open("w", encoding="utf-8")  # noqa: SIM115
    with target as out:
        for number, row in _lines(source):
            try:
                answer = answer_row(row, tables)
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


def answer_row(row: bytes, tables: selection.Tables) -> dict[str, Any]:
    """Answer to one line of input.

    Raises:
        InvalidCertificate: the line is no JSON object, or a field is out of its domain.
    """
    try:
        mapping = json.loads(row)
    except (ValueError, RecursionError):
        raise InvalidCertificate("not JSON") from None
    if not isinstance(mapping, dict):
        raise InvalidCertificate("not a JSON object")
    cause = selection.select(selection.read_causes(mapping), tables)
    return {
        "certificate_id": mapping.get("certificate_id"),
        "underlying": selection.answer_form(cause.code, selection.given_codes(mapping)),
        "confidence": cause.confidence,
        "steps": list(cause.steps),
    }
