"""Certificates from files: JSON lines, CSV in two shapes, and standard input.

::

    for row in read("deaths.csv"):
        if row.error:
            print(row.number, row.error.code, row.error)
        else:
            publish(row.certificate)

Reading is lazy and its memory constant whatever the length of the file. A bad row is a `Row` with an error, never an
exception, and no error quotes the row. What a CSV file may hold is told in `stream.offline.columns` and
`docs/files.md`. Text is UTF-8, with or without byte order mark; lines end with LF or CR LF; blank lines are passed
over; a row may be up to 10 MB long.
"""

from __future__ import annotations

import io
import itertools
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from stream.errors import InvalidData
from stream.offline import jsonl, tables
from stream.offline.lines import Line, is_utf16, not_utf8, split
from stream.offline.rows import Row, gold
from stream.settings import Limits

__all__ = ["Format", "Row", "gold", "read", "size"]

Format = Literal["auto", "jsonl", "csv"]
STANDARD = "-"
_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv",
}  # fmt: skip


def read(source: str | Path | BinaryIO, *, form: Format = "auto", limits: Limits | None = None) -> Iterator[Row]:
    """Rows of `source`, one after the other.

    Args:
        source: a path, ``-`` for standard input, or an open binary stream, which is not closed.
        form: what the source holds; `auto` asks the name, then the first character, which is ``{`` in JSON.
        limits: lengths that a certificate may have.

    Raises:
        InvalidData: at once if the file is not there; later if it can no longer be read.
    """
    limits = limits or Limits()
    if isinstance(source, str | Path) and str(source) != STANDARD:
        path = Path(source)
        if not path.exists():
            raise InvalidData(f"there is no file {path}", hint="name a file, or - for standard input")
        if path.is_dir():
            raise InvalidData(f"{path} is a folder", hint="name one file at a time")
        form = _SUFFIXES.get(path.suffix.lower(), "auto") if form == "auto" else form
        return _from_path(path, form, limits)
    stream = _standard_input() if isinstance(source, str | Path) else source
    return _rows(stream, form, limits)


def size(source: str | Path | BinaryIO) -> int | None:
    """Bytes of a regular file, against which `Row.end` counts; None for pipes and streams."""
    if not isinstance(source, str | Path) or str(source) == STANDARD:
        return None
    try:
        status = Path(source).stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _standard_input() -> BinaryIO:
    """Standard input through a descriptor of its own: a thread may be left waiting in it when the process ends."""
    try:
        return os.fdopen(sys.stdin.fileno(), "rb", closefd=False)
    except (OSError, ValueError, io.UnsupportedOperation):
        return sys.stdin.buffer


def _from_path(path: Path, form: Format, limits: Limits) -> Iterator[Row]:
    try:
        with path.open("rb") as stream:
            yield from _rows(stream, form, limits)
    except OSError as error:
        raise InvalidData(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error


def _rows(stream: BinaryIO, form: Format, limits: Limits) -> Iterator[Row]:
    lines = split(stream)
    first = next((line for line in lines if line.oversized or line.data.strip()), None)
    if first is None:
        return
    if is_utf16(first):
        yield Row(first.number, None, not_utf8("but UTF-16"), end=first.end)
        return
    if form == "auto":
        form = "jsonl" if _looks_like_json(first) else "csv"
    if form == "jsonl":
        yield from jsonl.rows(itertools.chain([first], lines), limits)
    else:
        yield from tables.rows(first, lines, limits)


def _looks_like_json(line: Line) -> bool:
    return line.oversized or line.data.lstrip().startswith((b"{", b"["))
