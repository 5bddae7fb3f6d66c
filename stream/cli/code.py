"""`causa code`: certificates in, codes out, without Kafka."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterator
from typing import IO, Annotated, Any, Literal

import typer

from stream.cli.output import opened
from stream.cli.serving import models, triton
from stream.errors import InvalidSettings
from stream.offline.answers import code_rows
from stream.offline.files import Row, read
from stream.pipeline.core import Core
from stream.settings import Settings, load

COLUMNS = (
    "line", "certificate_id", "version", "underlying", "underlying_confidence", "route", "reasons", "part1", "part2",
    "steps", "error",
)  # fmt: skip


def command(
    source: Annotated[str, typer.Argument(metavar="IN", help="JSONL or CSV of certificates; - is standard input.")],
    *,
    output: Annotated[str, typer.Option("-o", "--output", help="File to write; - is standard output.")] = "-",
    form: Annotated[str, typer.Option("--format", help="jsonl or csv: form of the output.")] = "jsonl",
) -> None:
    """Code certificates of a file, in the input's order, one output line for each input line.

    It uses the configured Triton, else the embedded one, which is started if need be. The output holds the text of
    the certificates: treat it as you treat them.
    Examples: `causa code in.jsonl -o out.jsonl`, `causa code - < in.jsonl`, `causa code in.csv -o out.csv --format csv`

    Exit status: 0; 1 some lines could not be read and stand as errors in the output.
    """
    if form not in ("jsonl", "csv"):
        raise InvalidSettings(f"{form} is no form of output", hint="jsonl or csv")
    settings = load()
    rows = read(source, limits=settings.limits)  # a file that is not there is told before any server starts
    with opened(output, source) as out:
        failed = _coded(settings, rows, out, form)
    if failed:
        raise typer.Exit(1)


def _coded(settings: Settings, rows: Iterator[Row], out: IO[str], form: str) -> bool:
    """Writes the answers by the configured or the embedded Triton; whether there were bad lines."""
    with triton(settings) as url:
        return asyncio.run(_code(settings, url, rows, out, form))


async def _code(settings: Settings, url: str, rows: Iterator[Row], out: IO[str], form: str) -> bool:
    core = Core(None, settings)
    asked = models(url, settings)
    write = _csv_writer(out) if form == "csv" else _jsonl_writer(out)
    failed = False
    try:
        async for answer in code_rows(rows, core, asked):
            failed = failed or "error" in answer
            write(answer)
    finally:
        await asked.close()
    return failed


def _jsonl_writer(out: IO[str]) -> Any:
    def write(answer: dict[str, Any]) -> None:
        out.write(json.dumps(answer, ensure_ascii=False) + "\n")

    return write


def _csv_writer(out: IO[str]) -> Any:
    table = csv.DictWriter(out, COLUMNS)
    table.writeheader()

    def write(answer: dict[str, Any]) -> None:
        table.writerow(csv_row(answer))

    return write


def csv_row(answer: dict[str, Any]) -> dict[str, Any]:
    """One row of the CSV output: codes of a line parted by blanks, lines by " | "."""
    if "error" in answer:
        return {"line": answer["line"], "error": f"{answer['error']['code']}: {answer['error']['message']}"}

    def codes(part: Literal["part1", "part2"]) -> str:
        return " | ".join(" ".join(entity["code"] for entity in line["entities"]) for line in answer[part])

    return {
        "certificate_id": answer["certificate_id"],
        "version": answer["version"],
        "underlying": answer["underlying"]["code"] or "",
        "underlying_confidence": answer["underlying"]["confidence"],
        "route": answer["targeting"]["route"],
        "reasons": " ".join(answer["targeting"]["reasons"]),
        "part1": codes("part1"),
        "part2": codes("part2"),
        "steps": "; ".join(answer["underlying"]["steps"]),
    }
