"""`causa underlying`: codes in, underlying cause out."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, BinaryIO, TypeVar

import typer

from stream.cli.output import STANDARD, opened, utf8_stdout
from stream.cli.serving import ranker, triton
from stream.errors import InvalidCertificate, InvalidData
from stream.offline.selected import BATCH, Row, Selector, explained, look_ahead, mapping, observe
from stream.settings import Settings, load
from stream.underlying import FileForm
from stream.underlying.ranking import RankModel, SilentRanker

T = TypeVar("T")


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
    dot, as many Part I lines as there are; "manner", "pregnancy", "form" and "durations" count too. Output, in order:
    {"certificate_id", "underlying", "confidence", "steps"}, and "faults" where codes are unknown, too long, or do not go
    with sex or age. Without any usable code the cause is R99.
    A file is read twice, as the form of its codes is known only at its end; standard input once, by its first rows.
    Examples: `causa underlying in.jsonl -o out.jsonl`, `causa underlying - < in.jsonl`, `causa underlying in.jsonl --explain A1`

    Exit status: 0; 1 some lines could not be read and stand as errors in the output.
    """
    settings = load()
    with _read(source) as file:
        if explain:
            utf8_stdout().write(_asked(settings, rules_only, lambda model: _told(model, file, explain)) + "\n")
            return
        with opened(output, source) as out:
            failed = _asked(settings, rules_only, lambda model: _write(model, file, out, twice=source != STANDARD))
    if failed:
        raise typer.Exit(1)


@contextmanager
def _read(source: str) -> Iterator[BinaryIO]:
    """The input, open."""
    if source == STANDARD:
        yield sys.stdin.buffer
        return
    if not Path(source).is_file():
        raise InvalidData(f"there is no file {source}", hint="name a file, or - for standard input")
    with Path(source).open("rb") as file:
        yield file


def _lines(file: BinaryIO) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield number, line


def _asked(settings: Settings, rules_only: bool, work: Callable[[RankModel], Awaitable[T]]) -> T:
    """What `work` makes of the ranker: the configured or the embedded Triton's, a silent one for the rules alone."""

    async def asked(make: Callable[[], RankModel]) -> T:
        model = make()  # on the loop that it will be asked from
        try:
            return await work(model)
        finally:
            await model.close()

    if rules_only:
        return asyncio.run(asked(SilentRanker))
    with triton(settings) as url:
        return asyncio.run(asked(lambda: ranker(url, settings)))


async def _write(model: RankModel, file: BinaryIO, out: IO[str], *, twice: bool) -> bool:
    """Write all answers; whether there were lines that could not be read."""
    if twice:
        form = observe(FileForm(), _lines(file))
        file.seek(0)
        rows = _lines(file)
    else:
        form, rows = look_ahead(_lines(file))
    failed = False
    number = 0
    async for answer in Selector(model, form).answers(rows):
        failed = failed or "error" in answer
        out.write(json.dumps(answer, ensure_ascii=False) + "\n")
        number += 1
        if number % BATCH == 0:
            out.flush()  # whoever reads at the other end of a pipe need not wait for more
    return failed


async def _told(model: RankModel, file: BinaryIO, wanted: str) -> str:
    """One certificate explained.

    Raises:
        InvalidData: it is not in the file.
    """
    selector = Selector(model, FileForm())
    for _, row in _lines(file):
        with suppress(InvalidCertificate):  # another line's fault is told where all are answered
            fields = mapping(row)
            if str(fields.get("certificate_id")) == wanted:
                return "\n".join(explained(fields, await selector.cause(fields)))
    raise InvalidData(f"no certificate {wanted} in the file", hint="name one of its certificate_id")
