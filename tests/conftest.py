"""The real servers, started once for all tests that are marked `servers`."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from stream.embedded.kafka import KafkaServer
from stream.embedded.triton import TritonServer
from stream.settings import REPOSITORY, Settings, Triton

# A shell's background job ignores Ctrl-C, and so would every process that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def installed() -> Iterator[Path]:
    """The cache of jars and environments that only the first run ever fills."""
    with pytest.MonkeyPatch.context() as patch:
        cache = os.environ.get("CAUSA_EMBEDDED_CACHE") or str(REPOSITORY / ".causa")
        patch.setenv("CAUSA_EMBEDDED_CACHE", cache)
        yield Path(cache)


@pytest.fixture(scope="session")
def kafka_server(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker of this run's own."""
    with KafkaServer(Settings(home=tmp_path_factory.mktemp("kafka"))) as server:
        yield server


@pytest.fixture(scope="session")
def triton_server(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A model server of this run's own, with a copy of the repository's models: a training may replace those."""
    home = tmp_path_factory.mktemp("triton")
    models = home / "models"
    shutil.copytree(REPOSITORY / "model_repo", models, ignore=shutil.ignore_patterns("__pycache__"))
    with TritonServer(Settings(home=home, triton=Triton(model_repo=models))) as server:
        yield server


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, object, object]:
    """No collection while a failure is told.

    Where one runs inside Python 3.11's parser, and what it collects is told with a traceback of its own (a future whose
    error nobody asked for), the parser loses count of its depth (cpython gh-106905) and the whole run ends.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start real servers or a browser, and the checks, first: a long one at the end would run alone.

    So that they come in this order `make test` tells xdist to keep it.
    """
    first = (
        "test_quality.py",
        "test_browser.py",
        "test_schemas.py",
        "test_empty.py",
        "test_undo.py",
        "test_judging.py",
    )
    slow = {item.path for item in items if item.get_closest_marker("servers") or item.path.name in first}
    items.sort(key=lambda item: item.path not in slow)
