"""Compare trained networks: what each reads of the held-out parts, and how fast.

``python -m training.compare RUN…`` exports every run (a folder of `training.train`), serves it with the front that
Triton runs, and prints one row of `docs/model.md`'s table: parameters, F1 of codes on lines with unseen expressions,
unseen combinations and unseen noise, on lines of written certificates kept for development, and lines a second.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from stream.certificate import read_certificate
from stream.coder.model import LineRequest
from stream.coder.vocabulary import speller
from stream.evaluation.score import Tally
from stream.pipeline.reading import Reader
from training import checkpoint, written
from training.corpus import Corpus, Part
from training.export import export
from training.local import LocalModel
from training.tokens import Rows, load_tokenizer

SEED = 97
LINES = 3_000
"""Lines of each held-out part."""

Case = tuple[LineRequest, Counter[str]]


def held_out(part: Part, run: Path) -> list[Case]:
    """Lines of a held-out part with their codes."""
    maker = Rows(load_tokenizer(run / "tokenizer.json"), spelled=1.0)
    found = []
    for number, example in enumerate(itertools.islice(Corpus(SEED, part), LINES)):
        codes = Counter(code for span in example.spans for code in span.codes)
        found.append((LineRequest(maker.normal(example, number).text, example.context), codes))
    return found


def development() -> list[Case]:
    """Lines of the written certificates kept for development."""
    found = []
    reader = Reader(speller())
    for certificate in written.load("dev"):
        read = reader.read(read_certificate(certificate.record()))
        found += [(r.request, Counter(w.codes)) for r, w in zip(read.lines, certificate.lines, strict=True)]
    return found


async def measure(model: LocalModel, cases: Sequence[Case]) -> Tally:
    """Codes of a model alone, line by line."""
    tally = Tally()
    answers = await model.ask([request for request, _ in cases])
    for (_, expected), answer in zip(cases, answers, strict=True):
        tally.add(Counter(t.codes[0] for t in answer), expected)
    return tally


async def speed(model: LocalModel, cases: Sequence[Case], seconds: float = 8.0) -> float:
    """Lines a second in batches of 128, best of the passes."""
    requests = [request for request, _ in cases]
    batches = [requests[i : i + 128] for i in range(0, len(requests), 128)]
    best, until = 0.0, time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        for batch in batches:
            await model.ask(batch)
        best = max(best, len(requests) / (time.monotonic() - began))
    return best


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    options = parser.parse_args()
    parts = [part for part in get_args(Part) if part != "train"]
    print("| run | parameters, M | minutes |", " | ".join(parts), "| development | lines/s |")
    for run in options.runs:
        folder = run / "served"
        export(run / "model.pt", folder, 1.0)
        weights = checkpoint.load(run / "model.pt")
        size = sum(w.numel() for part in (weights.encoder, weights.head) for w in part.values()) / 1e6
        model = LocalModel(folder)
        cells = [f"{asyncio.run(measure(model, held_out(part, run))).f1:.4f}" for part in parts]
        dev = development()
        cells.append(f"{asyncio.run(measure(model, dev)).f1:.4f}")
        rate = asyncio.run(speed(model, dev))
        print(
            f"| {run.name} | {size:.1f} | {weights.note.get('minutes', 0):.0f} |",
            " | ".join(cells),
            f"| {rate:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
