"""Where a command writes its answers: a file, or standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stream.errors import InvalidSettings

STANDARD = "-"


@contextmanager
def opened(output: str, source: str) -> Iterator[IO[str]]:
    """The file to write, empty, or standard output for ``-``.

    Args:
        output: what the option says.
        source: what is read meanwhile; it must not be the same file.

    Raises:
        InvalidSettings: it cannot be written, or it is `source`.
    """
    if output == STANDARD:
        yield sys.stdout
        return
    path = Path(output)
    if source != STANDARD and path.exists() and Path(source).exists() and path.samefile(source):
        raise InvalidSettings(f"{output} is the input too", hint="name another file for the output")
    try:
        file = path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise InvalidSettings(
            f"{output} cannot be written: {error.strerror or type(error).__name__}",
            hint="name a file in a folder that is there, or - for standard output",
        ) from error
    with file:
        yield file
