"""Models that fail on marked certificates, served by the real Triton beside nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from stream.embedded.install import cache
from stream.settings import Settings, Triton

FRONT = Path(__file__).with_name("front_model.py")
MARK = "poison7731"
"""A word that no certificate holds and no normalisation changes."""


def before(settings: Settings) -> Settings:
    """Settings under which the shipped coder stands behind a front, with servers and data of their own."""
    home = settings.root / "bench" / "fronted"
    models = home / "models"
    shutil.rmtree(models, ignore_errors=True)
    shutil.copytree(settings.triton.model_repo, models, ignore=shutil.ignore_patterns("__pycache__"))
    model = models / settings.triton.coder / settings.triton.coder_version / "model.py"
    model.rename(model.with_name("sound.py"))
    model.write_text(FRONT.read_text(encoding="utf-8").replace("MARK-OF-THE-FRONT", MARK), encoding="utf-8")
    # The servers' programs are those that are there already.
    os.environ.setdefault("CAUSA_EMBEDDED_CACHE", str(cache(settings)))
    served = Triton(**settings.triton.model_dump(exclude={"model_repo", "url"}), model_repo=models)
    own = settings.model_copy(update={"home": home, "triton": served}, deep=True)
    own.__dict__.pop("root", None)  # it was worked out from the other home, and is copied with the rest
    return own
