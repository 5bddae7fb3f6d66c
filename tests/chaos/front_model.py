"""Put before a model of Triton: the sound model answers, and what it said is spoiled while a file names how.

Runs under Triton's own Python, beside nothing of ours.
"""

import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

ANSWERS = Path("ANSWERS")
SLOW_S = 15.0  # longer than a worker waits for one answer


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        file = Path(args["model_repository"]) / args["model_version"] / "sound.py"
        spec = importlib.util.spec_from_file_location("sound", file)
        assert spec is not None
        assert spec.loader is not None
        sound: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sound)
        self._sound = sound.TritonPythonModel()
        self._sound.initialize(args)

    def execute(self, requests: list[Any]) -> list[Any]:
        try:
            kind = ANSWERS.read_text(encoding="utf-8")
        except OSError:
            kind = ""
        if kind == "slow":
            time.sleep(SLOW_S)
        responses = self._sound.execute(requests)
        return [spoiled(response, kind) for response in responses] if kind and kind != "slow" else responses


def spoiled(response: Any, kind: str) -> Any:
    if kind == "error":
        return pb_utils.InferenceResponse(error=pb_utils.TritonError("the front was told to fail"))
    tensors = {tensor.name(): tensor.as_numpy() for tensor in response.output_tensors()}
    if kind == "nan":
        tensors["PROBS"] = np.full_like(tensors["PROBS"], np.nan)
    elif kind == "shape":
        tensors["PROBS"] = np.repeat(tensors["PROBS"], 2, axis=1)
    elif kind == "missing-rows":
        tensors = {name: array[:-1] for name, array in tensors.items()}
    elif kind == "missing-output":
        del tensors["PROBS"]
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in tensors.items()])
