from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from stream.settings import REPOSITORY, Settings, Triton

ECHO_CONFIG = """
backend: "python"
max_batch_size: 64
input [{ name: "TEXT" data_type: TYPE_STRING dims: [1] }]
output [{ name: "ECHO" data_type: TYPE_STRING dims: [1] }]
instance_group [{ kind: KIND_CPU count: 1 }]
"""
ECHO_MODEL = """
import os, site
site.addsitedir(os.environ["CAUSA_TRITON_SITE"])
import numpy as np
import tokenizers  # the front's own needs must be there too
try:
    import openvino
except ImportError:
    import onnxruntime
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            texts = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy()
            upper = [[text.decode().upper().encode() for text in row] for row in texts]
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("ECHO", np.array(upper, dtype=np.object_))]))
        return answers
"""

Owner = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture(scope="session", autouse=True)
def installs() -> Iterator[None]:
    """One cache of jars and environments for all tests, so that only the first run ever installs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAUSA_EMBEDDED_CACHE", os.environ.get("CAUSA_EMBEDDED_CACHE") or str(REPOSITORY / ".causa"))
        yield


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A model repository with one model that answers in capitals."""
    version = tmp_path / "models" / "echo" / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(ECHO_MODEL)
    (version.parent / "config.pbtxt").write_text(ECHO_CONFIG)
    return tmp_path / "models"


@pytest.fixture
def settings(tmp_path: Path, models: Path) -> Settings:
    return Settings(home=tmp_path / "home", triton=Triton(model_repo=models))


@pytest.fixture
def owner() -> Iterator[Owner]:
    """Runs Python code in a process of its own, and returns once it printed `ready`."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, start_new_session=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def gone() -> Callable[..., bool]:
    """Whether processes are gone within some seconds."""

    def wait(*pids: int, within: float = 8.0) -> bool:
        deadline = time.monotonic() + within
        while any(_alive(pid) for pid in pids):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    return wait


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
