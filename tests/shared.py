"""Reference data that stand beside a checkout and are no part of it: tests that need them are skipped without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.settings import REPOSITORY

DATA = REPOSITORY.parent / "shared" / "data"


def shared(name: str) -> Path:
    """A file of the shared data; skips the test that asks where it is not there."""
    path = DATA / name
    if not path.exists():
        pytest.skip("the shared data folder is not here")
    return path


LONG = bool(os.environ.get("CAUSA_LONG"))
"""Whether everything is killed at every point (`make chaos`), or at some (`make test`)."""
