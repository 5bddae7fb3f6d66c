"""The served models in this process: for evaluation and calibration without a server.

They run the very fronts that Triton runs (`model_repo/*/<version>/model.py`), so their answers are the served ones.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from stream.coder.model import LineAnswer, LineRequest, Tagged
from stream.pipeline.models import Models
from stream.settings import REPOSITORY
from stream.underlying.ranking import Ranked
from stream.underlying.request import RankRequest
from training.stamp import stamp_of


class LocalModel:
    """`LineModel` over the front's tagger.

    Args:
        folder: what is served: a version under `model_repo/coder`, or a run's export beside a copy of the front.
    """

    def __init__(self, folder: Path | None = None, threads: int = 0) -> None:
        folder = folder or REPOSITORY / "model_repo" / "coder" / "1"
        self.version = f"coder-{folder.name}+{stamp_of(folder)}"
        self._tagger: Any = front(folder / "model.py").Tagger(folder, threads)

    async def ask(self, requests: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `stream.triton.Model.ask`."""
        found = self._tagger([r.text for r in requests], [r.context for r in requests])
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


class LocalRanker:
    """`RankModel` over the front's ranker.

    Args:
        folder: what is served: a version under `model_repo/underlying`, or a run's export beside a copy of the front.
    """

    def __init__(self, folder: Path | None = None, threads: int = 0) -> None:
        folder = folder or REPOSITORY / "model_repo" / "underlying" / "1"
        self.version = f"underlying-{folder.name}+{stamp_of(folder)}"
        self._ranker: Any = front(folder / "model.py").Ranker(folder, threads)

    async def ask(self, requests: Sequence[RankRequest]) -> list[Ranked]:
        """See `stream.triton.Model.ask`."""
        found = self._ranker([r.row.encode() for r in requests])
        return [Ranked(tuple(answer[0]), tuple(answer[1])) if answer else Ranked() for answer in found]

    async def close(self) -> None:
        """Nothing to let go of."""


def local_models(coder: Path | None = None) -> Models:
    """Both models as served, or another coder beside the served ranker."""
    return Models(LocalModel(coder), LocalRanker())


@cache
def front(path: Path) -> Any:
    """A served front as a module."""
    # The front imports Triton's utilities at the top; outside the server nothing of them is used.
    sys.modules.setdefault("triton_python_backend_utils", types.ModuleType("triton_python_backend_utils"))
    spec = importlib.util.spec_from_file_location(f"causa_{path.parent.parent.name}_front", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
