"""The seam between Causa and a model server: requests in, answers out, in their order.

`Model` is what the pipeline needs of any model, whatever it answers; `Endpoint` is one model and version on Triton over
gRPC. The coder (`stream.coder.model`) and the ranker (`stream.underlying.ranking`) are built on them.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import grpc
import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

from stream import tls
from stream.errors import InvalidSettings, ModelFault, ModelMisconfigured, ModelUnavailable
from stream.settings import Triton as TritonSettings

Q = TypeVar("Q")
A = TypeVar("A")
Q_contra = TypeVar("Q_contra", contravariant=True)
A_co = TypeVar("A_co", covariant=True)


class Model(Protocol[Q_contra, A_co]):
    """What the pipeline needs of a model. An answer depends on its own request alone."""

    @property
    def version(self) -> str:
        """Name and version as served, written in every result; right behind an answer, those that gave it."""

    async def ask(self, requests: Sequence[Q_contra]) -> Sequence[A_co]:
        """Answers in the requests' order, one for each.

        Raises:
            ModelUnavailable: no answer in time; trying again may help.
            ModelMisconfigured: the pinned model or version is not served.
            ModelFault: an error or nonsense for this request.
        """

    async def close(self) -> None:
        """Let go of the connection."""


IDENTITY_S = 2.0
"""How long the stamp of the served weights is taken for granted, seconds."""
_RETRYABLE = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED"}


def _classified(error: InferenceServerException) -> Exception:
    """Our error for Triton's; its message may quote input, so only the status is kept."""
    status = str(error.status() or "").removeprefix("StatusCode.")
    if status in _RETRYABLE:
        return ModelUnavailable(f"Triton: {status}")
    if status == "NOT_FOUND":
        return ModelMisconfigured("Triton does not serve the pinned model and version")
    return ModelFault(f"Triton: {status or 'no status'}")


def _arrays(result: triton.InferResult, outputs: Sequence[str]) -> dict[str, Any]:
    """Output arrays by name, None for one that is missing.

    Raises:
        ModelFault: the bytes of one are not those of its shape and type.
    """
    try:
        return {name: result.as_numpy(name) for name in outputs}
    except (ValueError, TypeError, struct.error) as error:
        raise ModelFault(f"an output cannot be read: {type(error).__name__}") from None


class Endpoint:
    """One model served by Triton over gRPC: one client for a process, one deadline for each request.

    Args:
        url: host and port.
        name: the model.
        version: its pinned version.
        settings: deadline, TLS.
    """

    def __init__(self, url: str, name: str, version: str, settings: TritonSettings) -> None:
        credentials: dict[str, Any] = {}
        self._url, self._tls = url, settings.tls
        if settings.tls.enabled:
            files = settings.tls
            credentials = {
                "ssl": True,
                "root_certificates": str(files.ca_file) if files.ca_file else None,
                "private_key": str(files.key_file) if files.key_file else None,
                "certificate_chain": str(files.cert_file) if files.cert_file else None,
            }
        # gRPC's own reconnection backs off to two minutes: after an outage that is longer than the outage was.
        channel = [("grpc.max_reconnect_backoff_ms", 2_000), ("grpc.initial_reconnect_backoff_ms", 200)]
        limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self._client = triton.InferenceServerClient(url, channel_args=[*channel, *limits], **credentials)
        self._name, self._version = name, version
        self._deadline, self._priority = settings.deadline_s, settings.priority
        self._stamp, self._sure, self._asked_at = "", False, 0.0

    @property
    def version(self) -> str:
        """See `Model.version`: name, version and, once the server was asked, the stamp of the weights that it serves."""
        stamp = f"+{self._stamp}" if self._stamp else ""
        return f"{self._name}-{self._version}{stamp}"

    async def served(self) -> bool:
        """Whether the pinned version is served now; asks for nothing else."""
        try:
            return bool(await self._client.is_model_ready(self._name, self._version, client_timeout=2.0))
        except (InferenceServerException, grpc.RpcError, asyncio.CancelledError):
            self._sure = False  # who answers next may serve other weights
            return False

    async def ready(self) -> bool:
        """Whether the pinned version is served now, and which weights."""
        if not await self.served():
            return False
        try:
            await self._identify()
        except (InferenceServerException, grpc.RpcError, asyncio.CancelledError):
            return False
        return True

    async def check_tls(self) -> None:
        """Tell a server that does not answer from one that cannot be talked to.

        Raises:
            InvalidSettings: server and settings do not agree on TLS, or the server's certificate is not trusted.
        """
        host, _, port = self._url.rpartition(":")
        context = self._tls.context()
        if context is not None:
            context.set_alpn_protocols(["h2"])
        if fault := await tls.fault(host.strip("[]"), int(port), context):
            raise InvalidSettings(f"Triton at {self._url}: {fault}", hint="CAUSA_TRITON__TLS__ENABLED, __CA_FILE")

    async def _identify(self) -> None:
        """Asks for the stamp of the weights, a parameter of the model's configuration (`training/stamp.py`)."""
        answer = await self._client.get_model_config(self._name, self._version, client_timeout=self._deadline)
        parameters = answer.config.parameters
        self._stamp = parameters["stamp"].string_value if "stamp" in parameters else ""
        self._sure, self._asked_at = True, time.monotonic()

    async def infer(self, columns: Mapping[str, Sequence[str]], outputs: Sequence[str]) -> dict[str, Any]:
        """Output arrays by name (None for one that is missing) for columns of strings, one row each.

        Whoever reads `version` right behind the answer, with no wait between, reads the version that answered.

        Raises:
            ModelUnavailable, ModelMisconfigured, ModelFault: see `Model.ask`.
        """
        inputs = []
        for name, column in columns.items():
            tensor = triton.InferInput(name, [len(column), 1], "BYTES")
            tensor.set_data_from_numpy(np.array([c.encode() for c in column], object).reshape(-1, 1))
            inputs.append(tensor)
        try:
            # Asked now and then, too: weights that are swapped while nothing is under way make no request fail.
            if not self._sure or time.monotonic() - self._asked_at > IDENTITY_S:
                await self._identify()
            asked = self.version
            result = await self._client.infer(
                self._name, inputs, model_version=self._version, client_timeout=self._deadline, priority=self._priority
            )
        except InferenceServerException as error:
            fault = _classified(error)
            if not isinstance(fault, ModelFault):
                self._sure = False  # whoever answers next may serve other weights
            raise fault from None
        except grpc.RpcError as error:
            self._sure = False
            raise ModelUnavailable(f"Triton: {type(error).__name__}") from None
        if asked != self.version:  # another request has met other weights while this one was under way
            raise ModelUnavailable("Triton: other weights are served meanwhile")
        return _arrays(result, outputs)

    async def close(self) -> None:
        """See `Model.close`."""
        await self._client.close()
