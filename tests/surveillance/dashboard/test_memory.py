from __future__ import annotations

import threading

import pytest

from stream.surveillance.dashboard.memory import Memory


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_fresh_is_not_made_again() -> None:
    memory, made = Memory(10, 100, clock=Clock()), iter(range(10))
    for _ in range(3):
        assert memory.get("a", lambda: next(made)) == 0
    memory.close()


def test_what_is_stale_is_given_and_made_anew_behind() -> None:
    clock, done = Clock(), threading.Event()
    memory = Memory(10, 100, clock=clock)
    assert memory.get("a", lambda: "old") == "old"
    clock.now = 11

    def new() -> str:
        done.set()
        return "new"

    assert memory.get("a", new) == "old"
    assert done.wait(5)
    memory.close()
    assert memory.get("a", lambda: "newest") == "new"


def test_what_is_too_old_is_waited_for() -> None:
    clock = Clock()
    memory = Memory(10, 100, clock=clock)
    memory.get("a", lambda: "old")
    clock.now = 100
    assert memory.get("a", lambda: "new") == "new"
    memory.close()


def test_a_fault_is_told_and_not_kept() -> None:
    memory = Memory(10, 100, clock=Clock())

    def fails() -> str:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        memory.get("a", fails)
    assert memory.get("a", lambda: "back") == "back"
    memory.close()


def test_a_fault_behind_leaves_the_old_answer() -> None:
    clock, done = Clock(), threading.Event()
    memory = Memory(10, 100, clock=clock)
    memory.get("a", lambda: "old")
    clock.now = 11

    def fails() -> str:
        done.set()
        raise OSError("away")

    assert memory.get("a", fails) == "old"
    assert done.wait(5)
    memory.close()
    assert memory.get("a", lambda: "unused") == "old"


def test_two_who_ask_at_once_wait_for_one_answer() -> None:
    memory, started, go, made = Memory(10, 100), threading.Event(), threading.Event(), list[int]()

    def slow() -> int:
        started.set()
        go.wait(5)
        made.append(1)
        return len(made)

    found = list[int]()
    threads = [threading.Thread(target=lambda: found.append(memory.get("a", slow))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert started.wait(5)
    go.set()
    for thread in threads:
        thread.join(5)
    assert found == [1, 1, 1, 1]
    memory.close()


def test_the_oldest_go_first() -> None:
    memory = Memory(10, 100, most=2, clock=Clock())
    for key in "abc":
        memory.get(key, lambda key=key: key)  # type: ignore[misc]
    assert memory.get("a", lambda: "again") == "again"
    assert memory.get("c", lambda: "again") == "c"
    memory.close()
