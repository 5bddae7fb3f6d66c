"""Put before the coder: a request with a marked line fails, every other is the sound model's business.

Runs under Triton's own Python, beside nothing of ours.
"""

import importlib.util
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

MARK = b"MARK-OF-THE-FRONT"


class TritonPythonModel:
    """See Triton's Python backend."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the sound model that lies beside this one."""
        file = Path(args["model_repository"]) / args["model_version"] / "sound.py"
        spec = importlib.util.spec_from_file_location("sound", file)
        assert spec is not None
        assert spec.loader is not None
        sound: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sound)
        self._sound = sound.TritonPythonModel()
        self._sound.initialize(args)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers to all requests; an error for those that hold the mark."""
        marked = [_marked(request) for request in requests]
        sound = iter(self._sound.execute([r for r, bad in zip(requests, marked, strict=True) if not bad]))
        return [_failed() if bad else next(sound) for bad in marked]


def _marked(request: Any) -> bool:
    lines = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy()
    return any(MARK in line for line in lines.ravel())


def _failed() -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError("the front fails on this certificate"))
