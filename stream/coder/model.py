"""The model's seam: lines in, tagged spans out. `TritonModel` asks a server, `MemoryModel` is its twin for tests.

The contract is that of `model_repo/coder/config.pbtxt`: one normalised line a row with its context; for each entity
of the row its span in characters, five codes and five probabilities. A row's answer does not depend on the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

from stream.errors import ModelFault, ModelMisconfigured, ModelUnavailable
from stream.settings import Triton as TritonSettings

CANARY = "insuffisance cardiaque"
"""A line that every coder of causes of death can code: if it fails, the server is at fault and not a certificate."""


@dataclass(frozen=True, slots=True)
class LineRequest:
    """A normalised line and its context string: all that an answer depends on, and so the key of the cache."""

    text: str
    context: str = ""


@dataclass(frozen=True, slots=True)
class Tagged:
    """An entity that the model sees: span in the normalised line, codes and probabilities, best first."""

    start: int
    end: int
    codes: tuple[str, ...]
    probs: tuple[float, ...]


LineAnswer = tuple[Tagged, ...]


class LineModel(Protocol):
    """What the pipeline needs of a model."""

    @property
    def version(self) -> str:
        """Name and version as served, written in every result."""

    async def tag(self, lines: Sequence[LineRequest]) -> list[LineAnswer]:
        """Answers in the lines' order, one for each.

        Raises:
            ModelUnavailable: no answer in time; trying again may help.
            ModelMisconfigured: the pinned model or version is not served.
            ModelFault: an error or nonsense for this request.
        """

    async def close(self) -> None:
        """Let go of the connection."""


_RETRYABLE = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED"}


def _classified(error: InferenceServerException) -> Exception:
    """Our error for Triton's; its message may quote input, so only the status is kept."""
    status = str(error.status() or "").removeprefix("StatusCode.")
    if status in _RETRYABLE:
        return ModelUnavailable(f"Triton: {status}")
    if status == "NOT_FOUND":
        return ModelMisconfigured("Triton does not serve the pinned model and version")
    return ModelFault(f"Triton: {status or 'no status'}")


class TritonModel:
    """The coder served by Triton over gRPC: one client for a process, one deadline for each request.

    Args:
        url: host and port.
        settings: model name, pinned version, deadline, TLS.
    """

    def __init__(self, url: str, settings: TritonSettings) -> None:
        credentials: dict[str, Any] = {}
        if settings.tls.enabled:
            tls = settings.tls
            credentials = {
                "ssl": True,
                "root_certificates": str(tls.ca_file) if tls.ca_file else None,
                "private_key": str(tls.key_file) if tls.key_file else None,
                "certificate_chain": str(tls.cert_file) if tls.cert_file else None,
            }
        # gRPC's own reconnection backs off to two minutes: after an outage that is longer than the outage was.
        channel = [("grpc.max_reconnect_backoff_ms", 2_000), ("grpc.initial_reconnect_backoff_ms", 200)]
        limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self._client = triton.InferenceServerClient(url, channel_args=[*channel, *limits], **credentials)
        self._name, self._version = settings.coder, settings.coder_version
        self._deadline = settings.deadline_s

    @property
    def version(self) -> str:
        """See `LineModel.version`."""
        return f"{self._name}-{self._version}"

    async def ready(self) -> bool:
        """Whether the pinned version is served now."""
        try:
            return bool(await self._client.is_model_ready(self._name, self._version, client_timeout=2.0))
        except (InferenceServerException, grpc.RpcError, asyncio.CancelledError):
            return False

    async def tag(self, lines: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `LineModel.tag`."""
        if not lines:
            return []
        inputs = []
        for name, column in (("TEXT", [r.text for r in lines]), ("CONTEXT", [r.context for r in lines])):
            tensor = triton.InferInput(name, [len(lines), 1], "BYTES")
            tensor.set_data_from_numpy(np.array([c.encode() for c in column], object).reshape(-1, 1))
            inputs.append(tensor)
        try:
            result = await self._client.infer(
                self._name, inputs, model_version=self._version, client_timeout=self._deadline
            )
        except InferenceServerException as error:
            raise _classified(error) from None
        except grpc.RpcError as error:
            raise ModelUnavailable(f"Triton: {type(error).__name__}") from None
        arrays = {name: result.as_numpy(name) for name in ("CODES", "STARTS", "ENDS", "PROBS")}
        return read_answer(arrays, [len(r.text) for r in lines])

    async def close(self) -> None:
        """See `LineModel.close`."""
        await self._client.close()


def read_answer(arrays: Mapping[str, Any], lengths: Sequence[int]) -> list[LineAnswer]:
    """Answers from the output arrays, checked.

    Args:
        arrays: CODES [N, K, 5] bytes, STARTS and ENDS [N, K] (-1 pads), PROBS [N, K, 5].
        lengths: characters of each line.

    Raises:
        ModelFault: an array is missing, of another shape, or holds what is no probability or no span.
    """
    codes, starts, ends, probs = (arrays.get(name) for name in ("CODES", "STARTS", "ENDS", "PROBS"))
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

    async def tag(self, lines: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `LineModel.tag`."""
        return [() for _ in lines]

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

    async def tag(self, lines: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `LineModel.tag`."""
        await asyncio.sleep(0)
        self.calls.append(len(lines))
        if self.failures:
            raise self.failures.pop(0)
        if self._poison and any(self._poison in r.text for r in lines):
            raise ModelFault("poisoned")
        return [self._line(r.text) for r in lines]

    def _line(self, text: str) -> LineAnswer:
        found = [(text.find(w), w, code) for w, code in self._words.items() if w in text]
        return tuple(Tagged(at, at + len(w), (code,), (0.9,)) for at, w, code in sorted(found))

    async def close(self) -> None:
        """See `LineModel.close`."""
