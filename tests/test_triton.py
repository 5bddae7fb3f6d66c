"""What a model server may answer with, read without a server: bytes that are no arrays are the model's fault, told."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from tritonclient.grpc import InferResult, service_pb2
from tritonclient.utils import InferenceServerException

from stream import triton
from stream.errors import ModelFault, ModelUnavailable
from stream.settings import Triton
from stream.triton import Endpoint


class Client:
    """Answers as it is told, over no connection.

    Attributes:
        stamp: of the weights that are served.
        answer: called for each answer.
    """

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.stamp, self.answer = "a1", answer

    async def is_model_ready(self, *_: Any, **__: Any) -> bool:
        raise InferenceServerException("away", "StatusCode.UNAVAILABLE")

    async def get_model_config(self, *_: Any, **__: Any) -> service_pb2.ModelConfigResponse:
        config = service_pb2.ModelConfigResponse()
        config.config.parameters["stamp"].string_value = self.stamp
        return config

    async def infer(self, *_: Any, **__: Any) -> Any:
        found = self.answer()
        return await found if asyncio.iscoroutine(found) else found

    async def close(self) -> None:
        """Nothing to close."""


def answer(datatype: str, shape: Sequence[int], raw: bytes) -> InferResult:
    response = service_pb2.ModelInferResponse(raw_output_contents=[raw])
    response.outputs.add(name="X", datatype=datatype, shape=shape)
    return InferResult(response)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    one = Endpoint("127.0.0.1:9", "coder", "1", Triton())
    await one._client.close()
    yield one
    await one.close()


BYTES = struct.pack("<I", 3) + b"A41"


async def test_arrays_come_by_name(endpoint: Endpoint) -> None:
    endpoint._client = Client(lambda: answer("BYTES", (1, 1), BYTES))
    found = await endpoint.infer({"TEXT": ["x"]}, ("X", "Y"))
    assert found["X"].tolist() == [[b"A41"]] and found["Y"] is None
    assert endpoint.version == "coder-1+a1"


NONSENSE = {
    "too few bytes for a shape": ("INT32", (2, 2), b"\0" * 12),
    "half a number": ("FP32", (1,), b"\0" * 5),
    "too few strings": ("BYTES", (2,), BYTES),
    "a length cut short": ("BYTES", (1,), b"\3\0"),
    "a string cut short": ("BYTES", (1,), BYTES[:-1]),
    "a negative shape": ("INT32", (-1, -1), b"\0" * 8),
    "no such type": ("INFARCTUS", (1,), b"\0" * 5),
}


@pytest.mark.parametrize(("datatype", "shape", "raw"), NONSENSE.values(), ids=NONSENSE.keys())
async def test_bytes_that_are_no_array_are_a_fault_of_the_model(
    endpoint: Endpoint, datatype: str, shape: Sequence[int], raw: bytes
) -> None:
    endpoint._client = Client(lambda: answer(datatype, shape, raw))
    with pytest.raises(ModelFault, match="an output cannot be read"):
        await endpoint.infer({"TEXT": ["x"]}, ("X",))


async def test_an_answer_of_weights_that_were_replaced_meanwhile_is_no_answer(endpoint: Endpoint) -> None:
    gate = asyncio.Event()

    async def late() -> InferResult:
        await gate.wait()
        return answer("BYTES", (1,), BYTES)

    endpoint._client = client = Client(late)
    asking = asyncio.create_task(endpoint.infer({"TEXT": ["x"]}, ("X",)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    client.stamp = "b2"
    await endpoint._identify()
    gate.set()
    with pytest.raises(ModelUnavailable, match="other weights"):
        await asking
    assert (await endpoint.infer({"TEXT": ["x"]}, ("X",)))["X"].tolist() == [b"A41"]
    assert endpoint.version == "coder-1+b2"


async def test_weights_that_were_replaced_while_nothing_was_asked_are_named(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request met the outage; whoever is asked next says who it is."""
    endpoint._client = client = Client(lambda: answer("BYTES", (1,), BYTES))
    await endpoint.infer({"TEXT": ["x"]}, ("X",))
    client.stamp = "b2"
    assert not await endpoint.served()
    await endpoint.infer({"TEXT": ["x"]}, ("X",))
    assert endpoint.version == "coder-1+b2"
    client.stamp = "c3"  # swapped so fast that nobody looked
    await endpoint.infer({"TEXT": ["x"]}, ("X",))
    assert endpoint.version == "coder-1+b2"
    monkeypatch.setattr(triton, "IDENTITY_S", 0.0)
    await endpoint.infer({"TEXT": ["x"]}, ("X",))
    assert endpoint.version == "coder-1+c3"
