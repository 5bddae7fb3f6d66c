"""Models whose front misbehaves when a file says so, served by the real Triton."""

from __future__ import annotations

import shutil
from pathlib import Path

from stream.settings import REPOSITORY

FRONT = Path(__file__).with_name("front_model.py")
KINDS = ("slow", "nan", "shape", "missing-rows", "missing-output", "error")


def repository(folder: Path) -> tuple[Path, Path]:
    """A copy of the shipped models, each behind a front; its folder, and the file that says how they misbehave."""
    models, answers = folder / "models", folder / "answers"
    shutil.copytree(REPOSITORY / "model_repo", models, ignore=shutil.ignore_patterns("__pycache__"))
    for model in sorted(models.glob("*/1/model.py")):
        model.rename(model.with_name("sound.py"))
        text = FRONT.read_text(encoding="utf-8")
        model.write_text(text.replace('"ANSWERS"', repr(str(answers))), encoding="utf-8")
    return models, answers
