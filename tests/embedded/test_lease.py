"""Commands side by side share one server, and the last to leave stops it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stream.embedded.install import Progress
from stream.embedded.process import Launch, State
from stream.embedded.server import Server
from stream.settings import Settings


class Toy(Server):
    """A server that only sleeps."""

    name = "Toy"
    main_port = "main"

    def install(self, progress: Progress | None = None) -> None:
        """Nothing to install."""

    def _port_names(self) -> Iterable[str]:
        return ["main"]

    def _prepare(self, ports: dict[str, int]) -> Launch:
        return Launch((sys.executable, "-c", "import time; time.sleep(60)"), grace_s=1.0)

    def _answers(self, ports: dict[str, int]) -> bool:
        return True


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(home=tmp_path)
    yield settings
    Toy(settings).stop()


def state(settings: Settings) -> State:
    return Toy(settings).status().state


@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_the_last_to_leave_stops_it(home: Settings, first_leaves_first: bool) -> None:
    one, other = ExitStack(), ExitStack()
    address = one.enter_context(Toy(home).leased())
    assert other.enter_context(Toy(home).leased()) == address
    early, late = (one, other) if first_leaves_first else (other, one)
    pid = Toy(home).status().pid
    early.close()
    assert state(home) is State.RUNNING and Toy(home).status().pid == pid
    late.close()
    assert state(home) is State.STOPPED


def test_a_server_that_is_kept_is_left_running(home: Settings) -> None:
    Toy(home).start(detached=True)
    with Toy(home).leased():
        pass
    assert state(home) is State.RUNNING


def test_one_kept_meanwhile_is_left_running_too(home: Settings) -> None:
    with Toy(home).leased(), Toy(home).leased():
        assert not Toy(home).start(detached=True)
    assert state(home) is State.RUNNING


def test_one_lent_and_then_kept_is_left_running(home: Settings) -> None:
    one, other = ExitStack(), ExitStack()
    one.enter_context(Toy(home).leased())
    other.enter_context(Toy(home).leased())
    one.close()
    assert not Toy(home).start(detached=True)
    other.close()
    assert state(home) is State.RUNNING


def test_a_block_that_ends_hands_its_server_to_those_who_lease_it(home: Settings) -> None:
    lease = ExitStack()
    with Toy(home):
        lease.enter_context(Toy(home).leased())
    assert state(home) is State.RUNNING
    lease.close()
    assert state(home) is State.STOPPED


def test_one_that_somebody_else_runs_is_left_to_him(home: Settings) -> None:
    with Toy(home):
        with Toy(home).leased():
            pass
        assert state(home) is State.RUNNING
    assert state(home) is State.STOPPED
