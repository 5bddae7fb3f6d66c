"""Train the coder's encoder: corpus, sub-words, network, checkpoints that resume.

``python -m training.train --out runs/coder --minutes 30``. On two cores about 500 lines a second; the learning rate
follows the time allowed, so a longer run is a better one. Interrupted, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from stream.coder import expressions
from stream.coder.vocabulary import normal_expressions
from stream.nomenclature import icd10
from training.corpus import Corpus
from training.network import Encoder, Head, Shape, pool
from training.tokens import LONGEST, Row, Rows, load_tokenizer, rows, train_tokenizer

BATCH = 192
PEAK = 1.2e-3
SMOOTHING = 0.05


def classes() -> tuple[list[str], list[str]]:
    """Main codes and second codes ("" first), in their fixed order."""
    nomenclature = icd10.load()
    seconds = sorted({code for e in expressions.load() for code in e.codes[1:]})
    return sorted(nomenclature), ["", *seconds]


def prepare(out: Path, count: int, seed: int) -> tuple[list[Row], Any]:
    """Rows of the training corpus and the tokenizer, kept in `out` between runs."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "tokenizer.json"
    if not path.exists():
        own, labels = normal_expressions()
        sample = itertools.islice(Corpus(seed + 1), 60_000)
        lines = [text for _, text in (*own, *own, *labels)] + [e.text.lower() for e in sample]
        train_tokenizer(lines).save(str(path))
    tokenizer = load_tokenizer(path)
    cache = out / f"rows-{seed}-{count}.npz"
    if not cache.exists():
        _save(cache, list(rows(iter(Corpus(seed)), Rows(tokenizer), count)))
    return _load(cache), tokenizer


def _save(path: Path, made: list[Row]) -> None:
    codes = {code: i for i, code in enumerate(sorted({c for r in made for e in r.entities for c in e[2]}))}
    entities = [
        (i, first, last, codes[found[0]], codes[found[1]] if len(found) > 1 else -1)
        for i, r in enumerate(made)
        for first, last, found in r.entities
    ]
    np.savez(
        path,
        ids=np.array([i for r in made for i in r.ids], np.uint16),
        sizes=np.array([len(r.ids) for r in made], np.uint8),
        entities=np.array(entities, np.int32),
        codes=np.array(list(codes)),
    )


def _load(path: Path) -> list[Row]:
    with np.load(path) as file:
        ids, sizes, entities, codes = file["ids"], file["sizes"], file["entities"], [str(c) for c in file["codes"]]
    ends = np.cumsum(sizes.astype(np.int64))
    made = [Row(ids[end - size : end].tolist(), [0] * int(size), []) for end, size in zip(ends, sizes, strict=True)]
    for i, first, last, main, second in entities.tolist():
        row = made[i]
        row.tags[first : last + 1] = [1] + [2] * (last - first)
        row.entities.append((first, last, (codes[main], codes[second]) if second >= 0 else (codes[main],)))
    return made


class Batches:
    """Batches of rows of like length, endlessly, in a seeded order."""

    def __init__(self, made: list[Row], main: list[str], seconds: list[str], seed: int) -> None:
        self._rows = made
        self._main = {code: i for i, code in enumerate(main)}
        self._seconds = {code: i for i, code in enumerate(seconds)}
        self._rng = random.Random(seed)

    def __iter__(self) -> Any:
        while True:
            order = list(range(len(self._rows)))
            self._rng.shuffle(order)
            for start in range(0, len(order), BATCH * 40):
                chunk = sorted(order[start : start + BATCH * 40], key=lambda i: len(self._rows[i].ids))
                starts = list(range(0, len(chunk), BATCH))
                self._rng.shuffle(starts)
                for s in starts:
                    yield self.batch([self._rows[i] for i in chunk[s : s + BATCH]])

    def batch(self, made: list[Row]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Ids and tags [B, T]; of each entity its row, first and last token, main class and second class."""
        width = max(len(r.ids) for r in made)
        ids = np.zeros((len(made), width), np.int64)
        tags = np.full((len(made), width), -100, np.int64)
        places: list[tuple[int, int, int, int, int]] = []
        for i, r in enumerate(made):
            ids[i, : len(r.ids)] = r.ids
            tags[i, : len(r.ids)] = r.tags
            for first, last, codes in r.entities:
                second = self._seconds.get(codes[1], 0) if len(codes) > 1 else 0
                places.append((i, first, last, self._main[codes[0]], second))
        table = torch.tensor(places, dtype=torch.long).reshape(-1, 5)
        return (torch.from_numpy(ids), torch.from_numpy(tags), *table.unbind(1))


def warm(path: Path, encoder: Encoder, head: Head, main_codes: list[str], seconds: list[str]) -> None:
    """Begin from another model's weights; the rows of its code tables go where the codes now stand."""
    state = torch.load(path, weights_only=True)
    encoder.load_state_dict(state["encoder"])
    own = head.state_dict()
    for layer, before, now in (("codes", state["codes"], main_codes), ("seconds", state["seconds"], seconds)):
        place = {code: i for i, code in enumerate(before)}
        pairs = [(i, place[code]) for i, code in enumerate(now) if code in place]
        for part in ("weight", "bias"):
            name = f"{layer}.{part}"
            own[name][[i for i, _ in pairs]] = state["head"][name][[j for _, j in pairs]]
    for name in ("mix.weight", "mix.bias"):
        own[name] = state["head"][name]
    head.load_state_dict(own)


def main() -> None:
    """Train until the minutes are over; write `model.pt` and `log.jsonl`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/coder"))
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rows", type=int, default=700_000)
    parser.add_argument("--seed", type=int, default=20_260_101)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--init", type=Path, help="model.pt to begin from: its tokenizer and weights, codes by name")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    if options.init and not (options.out / "tokenizer.json").exists():
        options.out.mkdir(parents=True, exist_ok=True)
        shutil.copy(options.init.with_name("tokenizer.json"), options.out / "tokenizer.json")
    made, tokenizer = prepare(options.out, options.rows, options.seed)
    main_codes, seconds = classes()
    shape = Shape(tokenizer.get_vocab_size(), len(main_codes), len(seconds), options.width, options.layers,
                  heads=options.width // 64, inner=options.width * 4, positions=LONGEST)  # fmt: skip
    encoder, head = Encoder(shape), Head(shape)
    if options.init:
        warm(options.init, encoder, head, main_codes, seconds)
    parameters = [*encoder.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=PEAK, weight_decay=0.01, betas=(0.9, 0.98))
    checkpoint = options.out / "checkpoint.pt"
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        encoder.load_state_dict(state["encoder"])
        head.load_state_dict(state["head"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["spent"]
    began = time.monotonic() - spent
    batches = iter(Batches(made, main_codes, seconds, options.seed + step))
    total = options.minutes * 60
    print(f"{len(made)} rows, {sum(p.numel() for p in parameters) / 1e6:.1f} M parameters, {len(main_codes)} codes")
    encoder.train()
    head.train()
    log = (options.out / "log.jsonl").open("a", encoding="utf-8")
    saved = time.monotonic()
    while (spent := time.monotonic() - began) < total:
        done = spent / total
        rate = PEAK * min(1.0, (step + 1) / 300) * (0.5 * (1 + math.cos(math.pi * done)) * 0.98 + 0.02)
        for group in optimiser.param_groups:
            group["lr"] = rate
        ids, tags, row, first, last, main_class, second_class = next(batches)
        with torch.autocast("cpu", torch.bfloat16):
            marks, states = encoder(ids)
            code_logits, second_logits = head(pool(states, row, first, last))
        tag_loss = F.cross_entropy(marks.float().flatten(0, 1), tags.flatten(), ignore_index=-100)
        code_loss = F.cross_entropy(code_logits.float(), main_class, label_smoothing=SMOOTHING)
        second_loss = F.cross_entropy(second_logits.float(), second_class)
        loss = 2.0 * tag_loss + code_loss + 0.5 * second_loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        if step % 100 == 0:
            entry = {"step": step, "minutes": round(spent / 60, 2), "tag": tag_loss.item(), "code": code_loss.item(),
                     "second": second_loss.item(), "right": (code_logits.argmax(1) == main_class).float().mean().item()}  # fmt: skip
            print(json.dumps(entry), file=log, flush=True)
        if time.monotonic() - saved > 120:
            torch.save({"encoder": encoder.state_dict(), "head": head.state_dict(), "optimiser": optimiser.state_dict(),
                        "step": step, "spent": spent}, checkpoint)  # fmt: skip
            saved = time.monotonic()
    torch.save({"encoder": encoder.state_dict(), "head": head.state_dict(), "shape": shape.record(),
                "codes": main_codes, "seconds": seconds, "lexicon": expressions.load().version,
                "seed": options.seed, "steps": step}, options.out / "model.pt")  # fmt: skip
    checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
