"""The model's seam: lines in, tagged spans out. `TritonModel` asks a server, `MemoryModel` is its twin for tests.

The contract is that of `model_repo/coder/config.pbtxt`: one normalised line a row with its context; for each entity
of the row its span in characters, five codes and five probabilities. A row's answer does not depend on the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream.errors import ModelFault
from stream.settings import Triton as TritonSettings
from stream.triton import Endpoint, Model


@dataclass(frozen=True, slots=True)
class LineRequest:
    """A normalised line and its context string: all that an answer depends on, and so the key of the cache."""

    text: str
    context: str = ""


CANARY = LineRequest("insuffisance cardiaque")
"""A line that every coder of causes of death can code: if it fails, the server is at fault and not a certificate."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """An entity that the model sees: span in the normalised line, codes and probabilities, best first."""

    start: int
    end: int
    codes: tuple[str, ...]
    probs: tuple[float, ...]


LineAnswer = tuple[Tagged, ...]


def by_length(request: LineRequest) -> tuple[int, str, str]:
    """Order in which lines of like length stand together."""
    return len(request.text), request.text, request.context


LineModel = Model[LineRequest, LineAnswer]
"""What the pipeline needs of a coder."""

_OUTPUTS = ("CODES", "STARTS", "ENDS", "PROBS")


class TritonModel(Endpoint):
    """The coder served by Triton.

    Args:
        url: host and port.
        settings: model name, pinned version, deadline, TLS.
    """

    def __init__(self, url: str, settings: TritonSettings) -> None:
        super().__init__(url, settings.coder, settings.coder_version, settings)

    async def ask(self, requests: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `stream.triton.Model.ask`."""
        if not requests:
            return []
        columns = {"TEXT": [r.text for r in requests], "CONTEXT": [r.context for r in requests]}
        return read_answer(await self.infer(columns, _OUTPUTS), [len(r.text) for r in requests])


def read_answer(arrays: Mapping[str, Any], lengths: Sequence[int]) -> list[LineAnswer]:
    """Answers from the output arrays, checked.

    Args:
        arrays: CODES [N, K, 5] bytes, STARTS and ENDS [N, K] (-1 pads), PROBS [N, K, 5].
        lengths: characters of each line.

    Raises:
        ModelFault: an array is missing, of another shape, or holds what is no probability or no span.
    """
    codes, starts, ends, probs = (arrays.get(name) for name in _OUTPUTS)
    if codes is None or starts is None or ends is None or probs is None:
        raise ModelFault("an output is missing")
    rows = len(lengths)
    if codes.ndim != 3 or codes.shape[0] != rows or probs.shape != codes.shape or starts.shape != codes.shape[:2]:
        raise ModelFault("an output has the wrong shape")
    if ends.shape != starts.shape:
        raise ModelFault("an output has the wrong shape")
    if starts.dtype.kind not in "iu" or ends.dtype.kind not in "iu" or probs.dtype.kind != "f":
        raise ModelFault("an output has the wrong type")
    # A NaN fails both comparisons, so it is caught here too.
    if not bool(np.all((probs >= 0.0) & (probs <= 1.0))):
        raise ModelFault("a probability is not between 0 and 1")
    answers: list[LineAnswer] = []
    for i, length in enumerate(lengths):
        tagged = []
        for k in np.flatnonzero(starts[i] >= 0):
            start, end = int(starts[i, k]), int(ends[i, k])
            if not start < end <= length:
                raise ModelFault("a span lies outside its line")
            try:
                named = [(c.decode(), float(p)) for c, p in zip(codes[i, k], probs[i, k], strict=True) if c]
            except (UnicodeDecodeError, AttributeError):
                raise ModelFault("a code is no text") from None
            if named:
                tagged.append(Tagged(start, end, tuple(c for c, _ in named), tuple(round(p, 4) for _, p in named)))
        answers.append(tuple(tagged))
    return answers


class SilentModel:
    """A model that finds nothing: what is coded then is the rules' work alone."""

    version = "none"

    async def ask(self, requests: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `stream.triton.Model.ask`."""
        return [() for _ in requests]

    async def close(self) -> None:
        """Nothing to let go of."""


class MemoryModel:
    """In-memory twin: tags the words that it was given, and can be made to fail.

    Args:
        words: codes of each phrase to be found in a line.
        poison: a line that holds this word makes the whole request fail, as a bad input can.

    Attributes:
        failures: errors to raise on the next calls, first one first.
        calls: number of lines of every request so far.
    """

    def __init__(self, words: Mapping[str, str], *, poison: str = "", version: str = "memory-1") -> None:
        self._words = dict(words)
        self._poison = poison
        self.version = version
        self.failures: list[Exception] = []
        self.calls: list[int] = []

    async def ask(self, requests: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `stream.triton.Model.ask`."""
        await asyncio.sleep(0)
        self.calls.append(len(requests))
        if self.failures:
            raise self.failures.pop(0)
        if self._poison and any(self._poison in r.text for r in requests):
            raise ModelFault("poisoned")
        return [self._line(r.text) for r in requests]

    def _line(self, text: str) -> LineAnswer:
        found = [(text.find(w), w, code) for w, code in self._words.items() if w in text]
        return tuple(Tagged(at, at + len(w), (code,), (0.9,)) for at, w, code in sorted(found))

    async def close(self) -> None:
        """See `stream.triton.Model.close`."""
