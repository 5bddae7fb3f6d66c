"""`causa underlying`: codes in, underlying cause out."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, BinaryIO

import typer

from stream.cli.output import opened, utf8_stdout
from stream.cli.serving import ranker, triton
from stream.errors import InvalidCertificate, InvalidData
from stream.offline.selected import Row, Selector, explained, mapping, observe
from stream.settings import Settings, load
from stream.underlying import FileForm
from stream.underlying.ranking import RankModel, SilentRanker

_IN_MEMORY = 16 * 2**20


def command(
    source: Annotated[str, typer.Argument(metavar="IN", help="JSONL of coded certificates; - is standard input.")],
    *,
    output: Annotated[str, typer.Option("-o", "--output", help="File to write; - is standard output.")] = "-",
    rules_only: Annotated[
        bool, typer.Option("--rules-only", help="By WHO's rules alone: no model, no server.")
    ] = False,
    explain: Annotated[
        str, typer.Option(metavar="ID", help="Tell the way to one certificate's cause, for a person to read.")
    ] = "",
) -> None:
    """Select the underlying cause of certificates that are codes already, by WHO's rules and the learned ranker.

    Input: {"certificate_id", "sex", "age", "part1": [["J96.0"], ["C25.9"]], "part2": ["I10"]}; codes with or without
    dot, as many Part I lines as there are. Output, in order: {"certificate_id", "underlying", "confidence", "steps"}, and
    "faults" where codes are unknown, too long, or do not go with sex or age. Without any usable code the cause is R99.
    Examples: `causa underlying in.jsonl -o out.jsonl`, `causa underlying - < in.jsonl`, `causa underlying in.jsonl --explain A1`

    Exit status: 0; 1 some lines could not be read and stand as errors in the output.
    """
    settings = load()
    with _kept(source) as file:
        if explain:
            _explain(settings, rules_only, file, explain)
            return
        form = observe(FileForm(), _lines(file))
        with opened(output, source) as out:
            failed = _selected(settings, rules_only, form, file, out)
    if failed:
        raise typer.Exit(1)


@contextmanager
def _kept(source: str) -> Iterator[BinaryIO]:
    """The input as a file that can be read twice: the form of its codes is known only at its end."""
    if source == "-":
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
            yield kept  # type: ignore[misc]  # a spooled file reads as any other
        return
    if not Path(source).is_file():
        raise InvalidData(f"there is no file {source}", hint="name a file, or - for standard input")
    with Path(source).open("rb") as file:
        yield file


def _lines(file: BinaryIO) -> Iterator[Row]:
    file.seek(0)
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield number, line


def _selected(settings: Settings, rules_only: bool, form: FileForm, file: BinaryIO, out: IO[str]) -> bool:
    """Write all answers; whether there were lines that could not be read."""
    if rules_only:
        return asyncio.run(_write(SilentRanker(), form, file, out))
    with triton(settings) as url:

        async def asked() -> bool:
            return await _write(ranker(url, settings), form, file, out)

        return asyncio.run(asked())


async def _write(model: RankModel, form: FileForm, file: BinaryIO, out: IO[str]) -> bool:
    failed = False
    try:
        async for answer in Selector(model, form).answers(_lines(file)):
            failed = failed or "error" in answer
            out.write(json.dumps(answer, ensure_ascii=False) + "\n")
    finally:
        await model.close()
    return failed


def _explain(settings: Settings, rules_only: bool, file: BinaryIO, wanted: str) -> None:
    async def told(model: RankModel) -> list[str]:
        selector = Selector(model, FileForm())
        try:
            for _, row in _lines(file):
                with suppress(InvalidCertificate):  # another line's fault is told where all are answered
                    fields = mapping(row)
                    if str(fields.get("certificate_id")) == wanted:
                        return list(explained(fields, await selector.cause(fields)))
        finally:
            await model.close()
        raise InvalidData(f"no certificate {wanted} in the file", hint="name one of its certificate_id")

    if rules_only:
        lines = asyncio.run(told(SilentRanker()))
    else:
        with triton(settings) as url:

            async def asked() -> list[str]:
                return await told(ranker(url, settings))

            lines = asyncio.run(asked())
    utf8_stdout().write("\n".join(lines) + "\n")
