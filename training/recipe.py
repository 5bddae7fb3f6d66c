"""From a clean clone to a served model: corpus, training, what it reads, confidences, export.

`causa train` runs it. Every stage finds what an earlier run left in the folder, so that an interrupted run goes on.
With an office's own coded certificates (`--fine-tune`) training begins from the served model, half of the written lines
being the office's, and a fifth of its certificates are kept apart to measure the model before and after.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from stream.evaluation import gold as golden
from stream.evaluation.gold import Gold
from stream.evaluation.run import measure
from stream.pipeline.core import Core
from stream.pipeline.models import Models
from stream.settings import REPOSITORY, load
from training import align, compare
from training.calibrate import calibrate
from training.corpus import Corpus, Example, Part, Scene
from training.evaluate import read_gold
from training.export import export
from training.local import LocalModel, LocalRanker
from training.train import Plan, Progress, train

SERVED = REPOSITORY / "model_repo" / "coder"
APART = 5
"""One certificate in this many of an office's own is kept apart."""
FINE_PEAK = 4e-4
"""Highest learning rate of a model that has learnt already."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to make.

    Attributes:
        plan: the training itself.
        office: an office's coded certificates, to fine-tune the served version on.
        version: version under `model_repo/coder` to write; fine-tuning begins from it, or from the newest where it is new.
        promote: write the served version and the packaged confidences; else all stays in the run's folder.
    """

    plan: Plan
    office: Path | None = None
    version: str = "1"
    promote: bool = True


def apart(row: Gold) -> bool:
    """Whether an office's certificate is kept out of training, by a hash of its id."""
    return zlib.crc32(row.id.encode()) % APART == 0


def newest(version: str) -> Path:
    """The served version of that name, else the newest one: what fine-tuning begins from."""
    if (SERVED / version).is_dir():
        return SERVED / version
    return max((path for path in SERVED.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def cook(recipe: Recipe, tell: Tell, progress: Progress | None = None) -> dict[str, Any]:
    """Make the model; what was measured, also written to `metrics.json` in the run's folder.

    Args:
        recipe: what to make.
        tell: takes a line for the person who waits.
        progress: see `training.train.train`.
    """
    plan = recipe.plan
    plan.out.mkdir(parents=True, exist_ok=True)
    given = list(golden.read(recipe.office)) if recipe.office else []
    office = [row for row in given if row.certificate is not None]
    if len(office) < len(given):
        tell(f"office: {len(given) - len(office)} certificates cannot be read and are left out")
    kept = [row for row in office if apart(row)]
    measured: dict[str, Any] = {}
    examples: Iterator[Example] | None = None
    if office:
        served = newest(recipe.version)
        told = f"{zlib.crc32(recipe.office.read_bytes()):08x}" if recipe.office else ""
        plan = replace(plan, init=plan.init or served, peak=min(plan.peak, FINE_PEAK), source=told)
        scenes = _aligned([row for row in office if not apart(row)], LocalModel(served), measured, tell)
        examples = itertools.islice(Corpus(plan.seed, office=scenes), plan.rows * 2)
        if kept:
            measured["office_before"] = _score(
                kept, LocalModel(served), f"office's {len(kept)} kept apart, before", tell
            )
    tell(f"training: {plan.steps} steps, {plan.rows} lines, in {plan.out}")
    model = train(plan, examples, progress)
    folder = plan.out / "served"
    export(model, folder, 1.0, newest(recipe.version) / "model.py")
    local = LocalModel(folder)
    for part in get_args(Part):
        if part != "train":
            tally = asyncio.run(compare.measure(local, compare.held_out(part, plan.out)))
            measured[part] = tally.record()
            tell(f"held out by {part}: F1 {tally.f1:.4f}, the model alone")
    development = read_gold("dev")
    if recipe.promote:
        tell(f"promoting to {SERVED.name}/{recipe.version}")
        shutil.copytree(folder, SERVED / recipe.version, dirs_exist_ok=True)
        tell(f"it is served where config.pbtxt and CAUSA_TRITON__CODER_VERSION name version {recipe.version}")
        for told in calibrate([*development, *kept], Models(local, LocalRanker())):
            tell(told)
    measured["development"] = _score(development, local, "written certificates kept for development", tell)
    if kept:
        measured["office_after"] = _score(kept, local, f"office's {len(kept)} kept apart, after", tell)
    (plan.out / "metrics.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    return measured


def _aligned(rows: list[Gold], model: LocalModel, measured: dict[str, Any], tell: Tell) -> list[Scene]:
    scenes, lost = asyncio.run(align.align(rows, Core(None, load()), model))
    measured["office_lines"] = {"used": len(scenes), "without_place": lost}
    tell(f"office: {len(rows)} certificates, {len(scenes)} lines to learn from, {lost} in which a code found no place")
    return scenes


def _score(rows: list[Gold], model: LocalModel, name: str, tell: Tell) -> dict[str, Any]:
    found, _ = asyncio.run(measure(rows, Core(None, load()), Models(model, LocalRanker())))
    tell(
        f"{name}: F1 {found.exact.f1:.4f} exact, {found.three.f1:.4f} three characters, underlying {found.underlying.rate:.4f}"
    )
    return found.record()
