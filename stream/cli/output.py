"""Where a command writes its answers: a file, or standard output."""

from __future__ import annotations

import io
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stream.errors import InvalidSettings

STANDARD = "-"


@contextmanager
def opened(output: str, source: str) -> Iterator[IO[str]]:
    """A file to write in UTF-8, or standard output for ``-``.

    What is written stands beside the file until the block ends, and takes its place only then: a command that fails
    leaves an earlier file as it was.

    Args:
        output: what the option says.
        source: what is read meanwhile; it must not be the same file.

    Raises:
        InvalidSettings: it cannot be written, or it is `source`.
    """
    if output == STANDARD:
        yield utf8_stdout()
        return
    path = Path(output)
    try:
        if source != STANDARD and path.exists() and Path(source).exists() and path.samefile(source):
            raise InvalidSettings(f"{output} is the input too", hint="name another file for the output")
        path = path.resolve()  # through a link: the file that it names is replaced, not the link
        # A pipe or a device has no earlier content to keep, and cannot be replaced.
        whole = not path.exists() or path.is_file()
        if whole and path.exists():
            path.open("a").close()  # a file that may not be written may not be replaced either
        fresh = path.with_name(f".causa-{uuid.uuid4().hex}.part") if whole else path
        file = fresh.open("x" if whole else "w", encoding="utf-8", newline="")
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise InvalidSettings(
            f"{output} cannot be written: {getattr(error, 'strerror', None) or type(error).__name__}",
            hint="name a file in a folder that is there and may be written, or - for standard output",
        ) from error
    try:
        with file:
            yield file
    except BaseException:
        if whole:
            fresh.unlink(missing_ok=True)
        raise
    if whole:
        _replace(path, fresh)


def _replace(path: Path, fresh: Path) -> None:
    """Puts a file in the place of another, with the rights of the other."""
    try:
        if path.exists():
            fresh.chmod(path.stat().st_mode & 0o7777)
        fresh.replace(path)
    except OSError as error:
        raise InvalidSettings(
            f"{path} cannot be replaced: {error.strerror or type(error).__name__}", hint=f"the answers are in {fresh}"
        ) from error


def utf8_stdout() -> IO[str]:
    """Standard output in UTF-8, whatever the locale says: JSON is UTF-8."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="strict")
    return sys.stdout
