"""Train the ranker, see what it is worth, and write what Triton serves.

Each epoch goes once through all rows. Codes are hidden at random, each code of a certificate for all its mentions at once, so
that the ranker learns to go by categories and by what the rules say where it meets a code that it never saw. From some
certificates the rules' answer is hidden instead, so that it learns to judge for itself.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.export import halve
from training.stamp import stamp
from training.underlying import rows
from training.underlying.network import Network, Shape
from training.underlying.rows import Row, Vocabulary

SEED = 20_261_126
ANSWER, PASSED = 1, 4
"""Flags of a token that tell the rules' answer, its start and what they passed (`stream.underlying.request`)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train.

    Attributes:
        epochs: times that all rows are seen.
        batch: certificates in a step.
        peak: highest learning rate.
        hidden: share of certificates in which codes are hidden, and of their codes.
        unsaid: share of certificates whose rules' answer is kept from the ranker.
        seed: decides first weights and order.
    """

    epochs: int = 12
    batch: int = 256
    peak: float = 1.5e-3
    hidden: tuple[float, float] = (0.5, 0.4)
    unsaid: float = 0.35
    seed: int = SEED
    width: int = 96
    layers: int = 3


Told = Callable[[dict[str, float]], None]


def train(plan: Plan, examples: Sequence[Row], words: Vocabulary, told: Told | None = None) -> Network:
    """A trained network.

    Args:
        plan: how.
        examples: rows to learn from.
        words: what the numbers in the rows stand for.
        told: called after each epoch.
    """
    torch.manual_seed(plan.seed)
    shape = Shape(len(words.codes), len(words.categories), len(words.answers), plan.width, plan.layers)
    network = Network(shape)
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.peak, weight_decay=0.02, betas=(0.9, 0.98))
    steps = plan.epochs * math.ceil(len(examples) / plan.batch)
    rng = np.random.default_rng(plan.seed)
    step, began = 0, time.monotonic()
    for epoch in range(plan.epochs):
        losses = []
        for batch in rows.batches(examples, plan.batch, len(words.answers), rng):
            hide(batch["ids"], plan.hidden, rng)
            unsay(batch, plan.unsaid, rng)
            for group in optimiser.param_groups:
                group["lr"] = plan.peak * rate(step, steps)
            loss = lost(network, batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            losses.append(loss.item())
            step += 1
        if told:
            minutes = (time.monotonic() - began) / 60
            told({"epoch": epoch + 1, "loss": round(float(np.mean(losses)), 4), "minutes": round(minutes, 1)})
    network.eval()
    return network


def hide(ids: Any, hidden: tuple[float, float], rng: np.random.Generator) -> None:
    """Hide codes of some certificates, in place: the code itself, of one in five its category too."""
    certificates, codes = hidden
    for row in np.flatnonzero(rng.random(len(ids)) < certificates):
        known = np.unique(ids[row, :, 2])
        for code in known[rng.random(len(known)) < codes]:
            places = ids[row, :, 2] == code
            ids[row, places, 2] = 0
            if rng.random() < 0.2:
                ids[row, places, 1] = 0


def unsay(batch: dict[str, Any], share: float, rng: np.random.Generator) -> None:
    """Keep from some certificates, in place, what the rules answered and how: the ranker shall be able to do without."""
    chosen = rng.random(len(batch["flags"])) < share
    batch["flags"][chosen, :, ANSWER:PASSED] = 0.0
    batch["steps"][chosen] = 0.0


def rate(step: int, steps: int) -> float:
    """Share of the highest learning rate: a short rise, then half a cosine down to a hundredth."""
    return min(1.0, (step + 1) / 300) * (0.5 * (1 + math.cos(math.pi * step / max(1, steps))) * 0.99 + 0.01)


def lost(network: Network, batch: dict[str, Any]) -> Tensor:
    """Mean negative log probability of the answers, wherever they stand."""
    inputs = [torch.from_numpy(batch[name]) for name in rows.front().NAMES]
    logits = torch.cat(network(*inputs), 1)
    target = torch.from_numpy(batch["target"])
    chances = torch.logsumexp(logits + (target - 1.0) * 1e4, 1) - torch.logsumexp(logits, 1)
    weight = torch.from_numpy(batch["weight"])
    return -(chances * weight).sum() / weight.sum()


def export(network: Network, words: Vocabulary, temperature: float, folder: Path) -> None:
    """Write graph, labels and a copy of the front into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    module = rows.front()
    batch = module.stack([], 5, module.TILE)
    path = folder / "ranker.onnx"
    dynamic = {name: {0: "rows", 1: "tokens"} for name in ("ids", "values", "flags", "relation", "mask")}
    dynamic["relation"][2] = "tokens"
    torch.onnx.export(
        network, tuple(torch.from_numpy(batch[name]) for name in module.NAMES), str(path),
        input_names=list(module.NAMES), output_names=["tokens", "answers"],
        dynamic_axes=dynamic | {"head": {0: "rows"}, "steps": {0: "rows"}}, opset_version=17, dynamo=False,
    )  # fmt: skip
    halve(path)
    record = words.record() | {"temperature": temperature}
    (folder / "labels.json").write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")
    if folder != rows.FRONT.parent:
        shutil.copyfile(rows.FRONT, folder / "model.py")
    stamp(folder)
