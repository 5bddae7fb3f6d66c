"""Naming by the nearest expression instead of by classes: learnt so that wordings of one code lie together.

The alternative that `docs/model.md` weighs: an entity's state is compared with the states of all the lexicon's and the
nomenclature's expressions, and the nearest one's codes are its own, so that a new code or wording needs no training.
``python -m training.retrieval --init runs/coder/model.pt --out runs/nearest --steps 1500`` trains the encoder of a
finished run further with a contrastive loss (each entity against another wording of its code, all others of the batch
being false; InfoNCE, van den Oord et al. 2018); with ``--steps 0`` the run's own states are compared.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stream.coder.vocabulary import normal_expressions
from stream.evaluation.score import Tally
from training import batches, checkpoint
from training.batches import BATCH, Batches
from training.compare import development, held_out
from training.corpus import Corpus, Part
from training.network import BEGIN, OUTSIDE, Encoder, Head, pool
from training.pool import held_out as kept_out
from training.tokens import LONGEST, Rows, load_tokenizer, rows

TEMPERATURE = 0.06


class Embedder(nn.Module):
    """Entities' states as unit vectors."""

    def __init__(self, encoder: Encoder, head: Head) -> None:
        super().__init__()
        self.encoder, self.mix = encoder, head.mix

    def forward(self, states: Tensor, row: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Vectors [S, H] of entities."""
        pooled = pool(states, row, first, last)
        return F.normalize(F.gelu(self.mix(pooled)) + pooled, dim=-1)

    def whole(self, lines: list[list[int]]) -> Tensor:
        """Vectors of lines that are one entity each."""
        width = max(map(len, lines))
        ids = torch.tensor([line + [0] * (width - len(line)) for line in lines])
        last = torch.tensor([len(line) - 1 for line in lines])
        _, states = self.encoder(ids)
        rows_ = torch.arange(len(lines))
        return self(states, rows_, torch.zeros_like(rows_), last)


def wordings(tokenizer: Any) -> tuple[list[list[int]], list[tuple[str, ...]]]:
    """Sub-words and codes of every expression that training may see."""
    own, labels = normal_expressions()
    pairs = [(text, e.codes) for e, text in (*own, *labels) if text and not kept_out(e)]
    ids = [encoded.ids[:LONGEST] for encoded in tokenizer.encode_batch([text for text, _ in pairs])]
    return ids, [codes for _, codes in pairs]


def train(embedder: Embedder, tokenizer: Any, data: Batches, main_codes: list[str], steps: int, seed: int) -> None:
    """Contrastive steps."""
    ids, names = wordings(tokenizer)
    by_code: dict[int, list[int]] = {}
    place = {code: i for i, code in enumerate(main_codes)}
    for number, found in enumerate(names):
        by_code.setdefault(place[found[0]], []).append(number)
    rng = random.Random(seed)
    optimiser = torch.optim.AdamW(embedder.parameters(), lr=4e-4, weight_decay=0.01)
    for step in range(steps):
        line, tags, *places = data[step]
        # A code that only certificates name, not the lexicon, has no other wording to be told by.
        known = torch.tensor([code in by_code for code in places[3].tolist()])
        row, first, last, main = (place[known] for place in places[:4])
        for group in optimiser.param_groups:
            group["lr"] = 4e-4 * (1 - 0.95 * step / steps)
        with torch.autocast("cpu", torch.bfloat16):
            marks, states = embedder.encoder(line)
            vectors = embedder(states, row, first, last)
            siblings = embedder.whole([ids[rng.choice(by_code[code])] for code in main.tolist()])
        likeness = vectors.float() @ siblings.float().T / TEMPERATURE
        same = (main[:, None] == main[None, :]) & ~torch.eye(len(main), dtype=torch.bool)
        likeness = likeness.masked_fill(same, -1e4)
        wanted = torch.arange(len(main))
        loss = F.cross_entropy(likeness, wanted) + F.cross_entropy(likeness.T, wanted)
        loss = loss + F.cross_entropy(marks.float().flatten(0, 1), tags.flatten(), ignore_index=-100)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(embedder.parameters(), 1.0)
        optimiser.step()


def nearest(embedder: Embedder, tokenizer: Any, parts: dict[str, list[Any]]) -> dict[str, Tally]:
    """Codes by the nearest expression on the lines of each part; to be called where gradients are off."""
    ids, names = wordings(tokenizer)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    index = torch.empty(len(ids), embedder.mix.weight.shape[0])
    for at in range(0, len(order), BATCH):
        chunk = order[at : at + BATCH]
        index[chunk] = embedder.whole([ids[i] for i in chunk]).float()
    maker = Rows(tokenizer)
    found: dict[str, Tally] = {}
    for name, cases in parts.items():
        tally = found[name] = Tally()
        for request, expected in cases:
            line = (maker.context(request.context) + tokenizer.encode(request.text).ids)[:LONGEST]
            marks, states = embedder.encoder(torch.tensor([line or [1]]))
            spans = _spans(marks[0].argmax(-1).tolist())
            got: Counter[str] = Counter()
            if spans:
                first, last = (torch.tensor(ends) for ends in zip(*spans, strict=True))
                vectors = embedder(states, torch.zeros_like(first), first, last)
                for best in (vectors @ index.T).argmax(-1).tolist():
                    got.update(names[best])
            tally.add(got, expected)
    return found


def _spans(tags: list[int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for number, tag in enumerate(tags):
        if tag == BEGIN or (tag != OUTSIDE and (not number or tags[number - 1] == OUTSIDE)):
            spans.append((number, number))
        elif tag != OUTSIDE:
            spans[-1] = spans[-1][0], number
    return spans


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--init", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--seed", type=int, default=20_260_101)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    weights = checkpoint.load(options.init)
    tokenizer = load_tokenizer(checkpoint.tokenizer_of(options.init))
    embedder = Embedder(*weights.network())
    if options.steps:
        path = options.init.parent / f"rows-nearest-{options.seed}.npz"
        if not path.exists():
            batches.save(path, list(rows(iter(Corpus(options.seed)), Rows(tokenizer), 150_000)))
        embedder.train()
        data = Batches(path, weights.codes, weights.seconds, options.seed)
        train(embedder, tokenizer, data, weights.codes, options.steps, options.seed)
    embedder.eval()
    parts = {part: held_out(part, options.init.parent) for part in get_args(Part) if part != "train"}
    with torch.inference_mode():
        found = nearest(embedder, tokenizer, parts | {"development": development()})
    for name, tally in found.items():
        print(f"{name:12} F1 {tally.f1:.4f}")


if __name__ == "__main__":
    main()
