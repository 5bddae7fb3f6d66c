from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton_grpc

from stream.embedded.process import State
from stream.embedded.triton import SHARED_MEMORY, TritonServer
from stream.errors import EmbeddedServerError
from stream.settings import Settings


@pytest.fixture
def triton(settings: Settings) -> Iterator[TritonServer]:
    server = TritonServer(settings)
    yield server
    server.stop()


def shared_memory(triton: TritonServer) -> list[Path]:
    return list(SHARED_MEMORY.glob(f"{triton._memory}*"))


def capitals(url: str, *texts: str) -> list[str]:
    given = triton_grpc.InferInput("TEXT", [len(texts), 1], "BYTES")
    given.set_data_from_numpy(np.array([[text.encode()] for text in texts], dtype=np.object_))
    with triton_grpc.InferenceServerClient(url) as client:
        answer = client.infer("echo", [given], client_timeout=10).as_numpy("ECHO")
    return [row[0].decode() for row in answer]


@pytest.mark.servers
def test_it_serves_dies_and_serves_again(triton: TritonServer, gone: Callable[..., bool]) -> None:
    with triton:
        assert capitals(triton.url, "œdème", "sepsis") == ["ŒDÈME", "SEPSIS"]
        assert httpx.get(f"http://{triton.http_url}/v2/health/ready").status_code == httpx.codes.OK
        assert "nv_inference_request_success" in httpx.get(triton.metrics_url).text
        url, pid = triton.url, triton.status().pid
        assert pid is not None
        models = psutil.Process(pid).children()
        os.kill(pid, signal.SIGKILL)
        assert gone(pid, *(model.pid for model in models))
        assert triton.status().state is State.DIED

        assert triton.start() is True
        assert triton.url == url
        assert capitals(url, "k du sein") == ["K DU SEIN"]
        assert len(shared_memory(triton)) == 1, "the killed server's is freed"
    assert triton.status().state is State.STOPPED
    assert not shared_memory(triton)


@pytest.mark.servers
def test_a_model_that_does_not_load(triton: TritonServer, models: Path) -> None:
    (models / "echo" / "1" / "model.py").write_text("raise RuntimeError('no weights')")
    with pytest.raises(EmbeddedServerError, match="Triton died while starting: ") as failure:
        triton.start()
    assert "\n" not in failure.value.message
    assert str(triton.status().log) in failure.value.hint
    assert triton.status().state is State.STOPPED
    assert not shared_memory(triton)
