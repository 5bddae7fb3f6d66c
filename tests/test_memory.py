"""Values kept by key, the least recently used forgotten first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from stream.memory import Memory


def test_the_least_recently_used_goes_first() -> None:
    memory: Memory[str, int] = Memory(2)
    assert (memory.put("a", 1), memory.put("b", 2), memory.get("a")) == (1, 2, 1)
    memory.put("c", 3)
    assert (memory.get("a"), memory.get("b"), memory.get("c"), len(memory)) == (1, None, 3, 2)
    memory.clear()
    assert memory.get("a") is None and len(memory) == 0


def test_no_room_keeps_nothing() -> None:
    memory: Memory[str, int] = Memory(0)
    assert memory.put("a", 1) == 1 and memory.get("a") is None and len(memory) == 0


def test_threads_may_share_it() -> None:
    memory: Memory[int, int] = Memory(3)

    def use(start: int) -> None:
        for number in range(start, start + 20_000):
            key = number % 7
            found = memory.get(key)
            assert found is None or found == key
            memory.put(key, key)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert len(memory) == 3
