"""Verdicts for charts, each kept by what it depends on: the method, its options, and the series up to its point."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping

import numpy as np

from stream.surveillance.detection import methods
from stream.surveillance.detection.series import Series
from stream.surveillance.detection.verdict import Verdict


class Verdicts:
    """Judges weekly series point by point. A late death changes the points after it alone: the rest stays judged.

    Args:
        most: verdicts kept.
    """

    def __init__(self, most: int = 200_000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Verdict] = OrderedDict()

    def judge(
        self, method: str, series: Series, options: Mapping[str, str], points: Iterable[int]
    ) -> tuple[Verdict, ...]:
        """Verdicts on points of a series by a method of `detection.methods`, options as text.

        Methods whose one model judges all points (EuroMOMO) are kept by the whole series.
        """
        wanted = [i for i in points if 0 <= i < len(series)]
        keys = _keys(method, series, options, wanted)
        with self._lock:
            found = {i: self._kept[key] for i, key in keys.items() if key in self._kept}
        missing = [i for i in wanted if i not in found]
        if missing:
            judged = range(len(series)) if method in _WHOLE else missing
            made = dict(zip(judged, methods.judge(method, series, options, judged), strict=True))
            keys = _keys(method, series, options, list(judged)) if method in _WHOLE else keys
            found |= made
            with self._lock:
                self._kept.update((keys[i], verdict) for i, verdict in made.items())
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return tuple(found[i] for i in wanted)


_WHOLE = frozenset(name for name, method in methods.METHODS.items() if name in ("euromomo", "cusum"))


def _keys(method: str, series: Series, options: Mapping[str, str], points: list[int]) -> dict[int, bytes]:
    head = json.dumps([method, sorted(options.items()), series.start.isoformat(), series.step.value])
    so_far = hashlib.blake2b(head.encode(), digest_size=16)
    rows = np.column_stack([series.values(), series.exposure(), series.doubts(), series.shares()])
    if method in _WHOLE:
        so_far.update(rows.tobytes())
        return {i: so_far.digest() + i.to_bytes(4, "big") for i in points}
    keys, done = {}, 0
    for i in sorted(points):
        so_far.update(np.ascontiguousarray(rows[done : i + 1]).tobytes())
        done = i + 1
        keys[i] = so_far.digest()
    return keys
