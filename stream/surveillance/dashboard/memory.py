"""What was read and reckoned a short while ago, kept so that a page does not wait for it.

What is older than `fresh_s` is given as it is, and made anew behind the page: the next one has it. What is older than
`kept_s` is too old to be shown.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar, cast

import structlog

T = TypeVar("T")
_log = structlog.get_logger("causa.dashboard")


class Memory:
    """Answers by key. Safe in threads: what two ask for at one time is made once.

    Args:
        fresh_s: age in seconds from which an answer is made anew.
        kept_s: age from which it is waited for.
        most: answers kept; the ones that were asked for longest ago go first.
        clock: seconds, growing.
    """

    def __init__(
        self, fresh_s: float, kept_s: float, most: int = 2_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fresh_s, self._kept_s, self._most, self._clock = fresh_s, kept_s, most, clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._making: dict[Hashable, Future[Any]] = {}
        self._queued: set[Hashable] = set()
        self._closed = False
        self._behind = ThreadPoolExecutor(1, "dashboard-memory")

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The answer to a key, made where there is none; what `make` raises is not kept."""
        with self._lock:
            found = self._kept.get(key)
            age = self._clock() - found[0] if found is not None else self._kept_s
            if found is not None and age < self._kept_s:
                self._kept.move_to_end(key)
                if age >= self._fresh_s and key not in self._queued and not self._closed:
                    self._queued.add(key)
                    self._behind.submit(self._again, key, make)
                return cast(T, found[1])
            promise = self._making.get(key)
            mine = promise is None
            if promise is None:
                self._making[key] = promise = Future()
        if mine:
            self._made(key, make, promise)
        return cast(T, promise.result())

    def forget(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()

    def close(self) -> None:
        """End the thread behind the pages; what it was about to make is not made."""
        with self._lock:
            self._closed = True
        self._behind.shutdown(wait=True, cancel_futures=True)

    def _again(self, key: Hashable, make: Callable[[], Any]) -> None:
        """Behind the pages; a fault leaves the old answer until it is too old, and then whoever asks is told."""
        try:
            at = self._clock()
            answer = make()
        except Exception:
            _log.warning("dashboard figures not renewed", exc_info=True)
        else:
            self._keep(key, at, answer)
        finally:
            with self._lock:
                self._queued.discard(key)

    def _made(self, key: Hashable, make: Callable[[], Any], promise: Future[Any]) -> None:
        """While somebody waits."""
        at = self._clock()
        try:
            answer = make()
        except BaseException as error:
            with self._lock:
                self._making.pop(key, None)
            promise.set_exception(error)
            return
        self._keep(key, at, answer)
        with self._lock:
            self._making.pop(key, None)
        promise.set_result(answer)

    def _keep(self, key: Hashable, at: float, answer: Any) -> None:
        with self._lock:
            self._kept[key] = at, answer
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
