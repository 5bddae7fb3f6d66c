"""Installing once what an embedded server runs from, shared by all data folders that name the same cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from stream.embedded.lock import locked
from stream.errors import EmbeddedServerError
from stream.settings import Settings

Progress = Callable[[str], None]
MARKER = "installed"
TIMEOUT_S = 900.0


def silent(_: str) -> None:
    """Progress that nobody follows."""


def cache(settings: Settings) -> Path:
    """Folder of the installs: ``CAUSA_EMBEDDED_CACHE`` where it is set, else beside the data."""
    named = os.environ.get("CAUSA_EMBEDDED_CACHE", "")
    return Path(named).expanduser().resolve() if named else settings.root


def is_installed(folder: Path, stamp: str) -> bool:
    """Whether `folder` holds a complete install of `stamp`."""
    try:
        return (folder / MARKER).read_text(encoding="utf-8") == stamp
    except OSError:
        return False


def once(folder: Path, stamp: str, build: Callable[[Path], None]) -> None:
    """Runs `build` on an empty `folder` unless it already holds `stamp`; an install broken off starts over.

    Raises:
        EmbeddedServerError: from `build`, or the folder cannot be written.
    """
    if is_installed(folder, stamp):
        return
    try:
        with locked(folder.with_name(folder.name + ".lock"), timeout_s=TIMEOUT_S, busy=f"{folder} is being installed"):
            if is_installed(folder, stamp):
                return
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            build(folder)
            (folder / MARKER).write_text(stamp, encoding="utf-8")
    except OSError as error:
        raise EmbeddedServerError(
            f"cannot install into {folder}: {error.strerror or type(error).__name__}",
            hint="check the rights and the free space, or point CAUSA_HOME elsewhere",
        ) from error
