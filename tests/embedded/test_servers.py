from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from stream.embedded.process import State
from stream.embedded.servers import Embedded, Endpoints
from stream.errors import EmbeddedServerError
from stream.settings import REPOSITORY, Kafka, Settings, Triton

from .conftest import Owner


@pytest.fixture
def embedded(settings: Settings) -> Iterator[Embedded]:
    embedded = Embedded(settings)
    yield embedded
    embedded.down()


def code(settings: Settings, call: str) -> str:
    return (
        "import time\nfrom pathlib import Path\n"
        "from stream.embedded.servers import Embedded\nfrom stream.settings import Settings, Triton\n"
        f"settings = Settings(home=Path({str(settings.root)!r}), "
        f"triton=Triton(model_repo=Path({str(settings.triton.model_repo)!r})))\n"
        f"embedded = Embedded(settings)\n{call}\n"
    )


def pids(embedded: Embedded) -> list[int]:
    """Servers, their children and their watchdogs."""
    servers = [psutil.Process(status.pid) for status in embedded.status() if status.pid is not None]
    assert len(servers) == 2
    return [process.pid for server in servers for process in (server, *server.children(), *server.parents()[:1])]


@pytest.mark.servers
def test_both_are_gone_after_their_owner_was_killed(
    embedded: Embedded, settings: Settings, owner: Owner, gone: Callable[..., bool]
) -> None:
    parent = owner(code(settings, "embedded.up(); print('ready', flush=True); time.sleep(100)"))
    assert embedded.endpoints().bootstrap == embedded.kafka.bootstrap
    running = pids(embedded)
    assert len(running) >= 5
    parent.send_signal(signal.SIGKILL)
    assert gone(*running)
    assert [status.state for status in embedded.status()] == [State.STOPPED] * 2


@pytest.mark.servers
def test_two_at_once_start_one_pair_that_stays_until_down(
    embedded: Embedded, settings: Settings, gone: Callable[..., bool]
) -> None:
    call = "embedded.up(detached=True); print(*(status.pid for status in embedded.status()))"
    ups = [
        subprocess.Popen(
            [sys.executable, "-c", code(settings, call)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [up.communicate(timeout=100)[0].split() for up in ups]
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 2
    running = pids(embedded)
    with embedded:  # uses them, and leaves them
        assert embedded.triton_url() == embedded.triton.url
    assert not gone(*running, within=0.3)
    embedded.down()
    assert gone(*running, within=0.5)


@pytest.mark.servers
def test_if_one_fails_none_is_left(embedded: Embedded, settings: Settings) -> None:
    (settings.triton.model_repo / "echo" / "config.pbtxt").write_text("nonsense")
    with pytest.raises(EmbeddedServerError, match="Triton died while starting"):
        embedded.up(detached=True)
    assert [status.state for status in embedded.status()] == [State.STOPPED] * 2


def test_addresses_of_servers_that_do_not_run(embedded: Embedded) -> None:
    with pytest.raises(EmbeddedServerError, match="the embedded Kafka is not running") as failure:
        embedded.endpoints()
    assert failure.value.hint == "causa up"
    with pytest.raises(EmbeddedServerError, match="the embedded Triton is not running"):
        embedded.triton_url()


def test_configured_addresses_win_and_nothing_is_started(settings: Settings) -> None:
    elsewhere = Settings(home=settings.home, kafka=Kafka(bootstrap="broker:9092"), triton=Triton(url="triton:8001"))
    with Embedded(elsewhere) as embedded:
        assert embedded.endpoints() == Endpoints("broker:9092", "triton:8001")
        assert [status.state for status in embedded.status()] == [State.STOPPED] * 2
    assert not os.path.exists(settings.root)  # noqa: PTH110
