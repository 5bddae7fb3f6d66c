"""Measure the coder in this process, without a server: what `causa evaluate` says, for one who trains.

``python -m training.evaluate GOLD.jsonl|dev [--rules-only|--model-only] [--model FOLDER] [--errors N]``; `dev` stands for
the written certificates that are kept out of training.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from stream.coder.model import SilentModel
from stream.evaluation import gold as golden
from stream.evaluation.gold import Gold
from stream.evaluation.run import measure
from stream.evaluation.score import Score
from stream.pipeline.core import Core
from stream.pipeline.models import Models
from stream.settings import load
from stream.underlying.ranking import SilentRanker
from training import written


def read_gold(source: str) -> list[Gold]:
    """Gold of a file, or of the written certificates kept for development."""
    if source != "dev":
        return list(golden.read(Path(source)))
    return [golden.of(w.gold()) for w in written.load("dev")]


def lines(found: Score) -> Iterator[str]:
    """What a person wants to know first."""
    for name, tally in (("entities, exact", found.exact), ("entities, three characters", found.three)):
        yield f"{name:28} P {tally.precision:.4f}  R {tally.recall:.4f}  F1 {tally.f1:.4f}  (n={tally.expected})"
    for name, share in (
        ("lines exact", found.lines), ("certificates exact", found.certificates), ("underlying, exact", found.underlying),
        ("underlying, three characters", found.underlying_three), ("underlying, shortlist", found.underlying_shortlist),
        ("underlying of automatic", found.automatic),
    ):  # fmt: skip
        yield f"{name:28} {share.rate:.4f}  (n={share.total})"
    errors = found.entity_chances.error, found.underlying_chances.error
    yield f"{'calibration error':28} entities {errors[0]:.4f}, underlying {errors[1]:.4f}"
    for chapter, one in found.by_chapter():
        yield f"  chapter {chapter:6} P {one.precision:.3f}  R {one.recall:.3f}  F1 {one.f1:.3f}  (n={one.expected})"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gold")
    parser.add_argument("--rules-only", action="store_true")
    parser.add_argument("--model-only", action="store_true")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--errors", type=int, default=0)
    options = parser.parse_args()
    from training.local import local_models

    core = Core(None, load())
    if options.model_only:
        core.silence_rules()
    if options.rules_only:
        core.silence_model()
    models = Models(SilentModel(), SilentRanker()) if options.rules_only else local_models(options.model)

    found, _ = asyncio.run(measure(read_gold(options.gold), core, models))
    print("\n".join(lines(found)))
    for miss in found.misses[: options.errors]:
        print(json.dumps(asdict(miss), ensure_ascii=False))


if __name__ == "__main__":
    main()
