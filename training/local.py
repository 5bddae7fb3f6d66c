"""The served model in this process: for evaluation and calibration without a server.

It runs the very front that Triton runs (`model_repo/coder/<version>/model.py`), so its answers are the served ones.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stream.coder.model import LineAnswer, LineRequest, Tagged
from stream.settings import REPOSITORY


class LocalModel:
    """`LineModel` over the front's tagger.

    Args:
        folder: what is served: a version under `model_repo/coder`, or a run's export beside a copy of the front.
    """

    def __init__(self, folder: Path | None = None, threads: int = 0) -> None:
        folder = folder or REPOSITORY / "model_repo" / "coder" / "1"
        self.version = f"coder-{folder.name}"
        self._tagger: Any = _front(folder / "model.py").Tagger(folder, threads)

    async def tag(self, lines: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `stream.coder.model.LineModel.tag`."""
        found = self._tagger([r.text for r in lines], [r.context for r in lines])
        return [
            tuple(
                Tagged(
                    int(start),
                    int(end),
                    tuple(str(c) for c in codes if c),
                    tuple(round(float(p) * sure, 4) for c, p in zip(codes, probs, strict=True) if c),
                )
                for start, end, codes, probs, _, sure in entities
            )
            for entities in found
        ]

    async def close(self) -> None:
        """Nothing to let go of."""


def _front(path: Path) -> types.ModuleType:
    # The front imports Triton's utilities at the top; outside the server nothing of them is used.
    sys.modules.setdefault("triton_python_backend_utils", types.ModuleType("triton_python_backend_utils"))
    spec = importlib.util.spec_from_file_location("causa_coder_front", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
