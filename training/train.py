"""Train the coder's encoder: corpus, sub-words, network, checkpoints that resume.

``python -m training.train --out runs/coder --steps 16000``. A step is 192 lines, of which two quiet cores do about three and
a half a second; the learning rate follows the steps, so that more of them make a better model and the same number the
same one. Interrupted, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import shutil
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from stream.coder import expressions
from stream.coder.vocabulary import normal_expressions
from stream.nomenclature import icd10
from training import batches, checkpoint, pretrained
from training.batches import Batches
from training.checkpoint import Weights
from training.corpus import Corpus, Example
from training.network import Encoder, Head, Shape, pool
from training.tokens import LONGEST, Rows, load_tokenizer, rows, train_tokenizer

PEAK = 1.2e-3
SMOOTHING = 0.05
SEED = 20_260_101
ROWS = 700_000
_SAVE_S = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train.

    Attributes:
        out: folder of the run.
        steps: batches to learn from.
        rows: lines of the corpus, seen again and again.
        seed: decides corpus, first weights and order.
        peak: highest learning rate.
        width, layers: sizes of the network.
        pretrained: layers of multilingual-e5-small to begin from, 0 for none.
        init: `model.pt` or served folder to begin from: its sub-words and weights, codes by name.
        source: names what the lines come from, where they are not the corpus alone.
    """

    out: Path
    steps: int
    rows: int = ROWS
    seed: int = SEED
    peak: float = PEAK
    width: int = 256
    layers: int = 4
    pretrained: int = 0
    init: Path | None = None
    source: str = ""

    def note(self) -> dict[str, Any]:
        """What tells this training from another one in the same folder."""
        return {"seed": self.seed, "steps": self.steps, "rows": self.rows, "peak": self.peak, "source": self.source,
                "init": str(self.init or ""), "pretrained": self.pretrained, "width": self.width,
                "layers": self.layers}  # fmt: skip


def classes() -> tuple[list[str], list[str]]:
    """Main codes and second codes ("" first), in their fixed order."""
    nomenclature = icd10.load()
    seconds = sorted({code for e in expressions.load() for code in e.codes[1:]})
    return sorted(nomenclature), ["", *seconds]


def subwords(plan: Plan, e5: pretrained.Weights | None) -> Any:
    """The run's tokenizer: that of the weights it begins from, or one of its own."""
    path = plan.out / "tokenizer.json"
    plan.out.mkdir(parents=True, exist_ok=True)
    if plan.init:
        shutil.copy(checkpoint.tokenizer_of(plan.init), path)
    elif not path.exists():
        own, labels = normal_expressions()
        sample = itertools.islice(Corpus(plan.seed + 1), 60_000)
        lines = [text for _, text in (*own, *own, *labels)] + [e.text.lower() for e in sample]
        (pretrained.prune(e5, lines) if e5 else train_tokenizer(lines)).save(str(path))
    return load_tokenizer(path)


def prepare(plan: Plan, tokenizer: Any, examples: Iterable[Example] | None = None) -> Path:
    """The file of the run's rows, made of the corpus or of `examples` where it is not there yet."""
    words = zlib.crc32((plan.out / "tokenizer.json").read_bytes())
    path = plan.out / f"rows-{plan.seed}-{plan.rows}-{words:08x}{plan.source and '-' + plan.source}.npz"
    if not path.exists():
        source = iter(Corpus(plan.seed) if examples is None else examples)
        batches.save(path, list(rows(source, Rows(tokenizer), plan.rows)))
    return path


def begin(
    plan: Plan, tokenizer: Any, e5: pretrained.Weights | None, main: list[str], seconds: list[str]
) -> tuple[Encoder, Head, Shape]:
    """The network before the first step."""
    sizes = tokenizer.get_vocab_size(), len(main), len(seconds)
    before = checkpoint.load(plan.init) if plan.init else None
    if e5:
        shape = pretrained.shape(*sizes, layers=plan.pretrained, positions=LONGEST)
    elif before:
        one = before.shape
        shape = Shape(*sizes, one.width, one.layers, one.heads, one.inner, one.positions, post=one.post)
    else:
        shape = Shape(*sizes, plan.width, plan.layers, heads=plan.width // checkpoint.HEAD_WIDTH, inner=plan.width * 4,
                      positions=LONGEST)  # fmt: skip
    encoder, head = Encoder(shape), Head(shape)
    if e5:
        pretrained.fill(encoder, e5, tokenizer)
    if before:
        warm(before, encoder, head, main, seconds)
    return encoder, head, shape


def warm(before: Weights, encoder: Encoder, head: Head, main: list[str], seconds: list[str]) -> None:
    """Take another model's weights; the rows of its code tables go where the codes now stand."""
    encoder.load_state_dict(before.encoder)
    own = head.state_dict()
    for layer, there, here in (("codes", before.codes, main), ("seconds", before.seconds, seconds)):
        place = {code: i for i, code in enumerate(there)}
        pairs = [(i, place[code]) for i, code in enumerate(here) if code in place]
        for part in ("weight", "bias"):
            name = f"{layer}.{part}"
            own[name][[i for i, _ in pairs]] = before.head[name][[j for _, j in pairs]]
    for name in ("mix.weight", "mix.bias"):
        own[name] = before.head[name]
    head.load_state_dict(own)


Progress = Callable[[int, int, dict[str, float]], None]
"""Told the steps done, all steps, and the last losses."""


def train(plan: Plan, examples: Iterable[Example] | None = None, progress: Progress | None = None) -> Path:
    """Train, or go on training; the path of `model.pt`. Losses go to `log.jsonl`.

    Args:
        plan: what to train.
        examples: lines to learn from instead of the corpus, as many as `plan.rows`.
        progress: called every hundred steps.
    """
    done = plan.out / "model.pt"
    if done.exists() and plan.note().items() <= checkpoint.load(done).note.items():
        return done
    torch.manual_seed(plan.seed)
    e5 = pretrained.Weights(pretrained.package_file()) if plan.pretrained else None
    tokenizer = subwords(plan, e5)
    path = prepare(plan, tokenizer, examples)
    resume = plan.out / "checkpoint.pt"
    state = torch.load(resume, weights_only=True) if resume.exists() else None
    if state and state.get("plan") != plan.note():
        state = None  # left by another training
    # The lexicon may have changed since the run began; its classes have not.
    main, seconds = (state["codes"], state["seconds"]) if state else classes()
    encoder, head, shape = begin(plan, tokenizer, e5, main, seconds)
    data = Batches(path, main, seconds, plan.seed)
    parameters = [*encoder.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=plan.peak, weight_decay=0.01, betas=(0.9, 0.98))
    first, spent = 0, 0.0
    if state:
        encoder.load_state_dict(state["encoder"])
        head.load_state_dict(state["head"])
        optimiser.load_state_dict(state["optimiser"])
        first, spent = state["step"], state["spent"]
    encoder.train()
    head.train()
    began = saved = time.monotonic()
    with (plan.out / "log.jsonl").open("a", encoding="utf-8") as log:
        for step in range(first, plan.steps):
            for group in optimiser.param_groups:
                group["lr"] = plan.peak * rate(step, plan.steps)
            torch.manual_seed(plan.seed + step)  # dropout too is the same after an interruption
            losses = learn(encoder, head, data[step], optimiser, parameters)
            now = time.monotonic()
            if (step + 1) % 100 == 0:
                told = losses | {"minutes": round((spent + now - began) / 60, 2)}
                print(json.dumps({"step": step + 1} | told), file=log, flush=True)
                if progress:
                    progress(step + 1, plan.steps, told)
            if now - saved > _SAVE_S:
                fresh = resume.with_suffix(".part")
                torch.save({"encoder": encoder.state_dict(), "head": head.state_dict(), "step": step + 1,
                            "codes": main, "seconds": seconds, "plan": plan.note(),
                            "optimiser": optimiser.state_dict(), "spent": spent + now - began}, fresh)  # fmt: skip
                fresh.replace(resume)
                saved = now
    spent += time.monotonic() - began
    note = plan.note() | {"lexicon": expressions.load().version, "minutes": round(spent / 60, 1)}
    checkpoint.save(done, encoder, head, shape, main, seconds, note)
    resume.unlink(missing_ok=True)
    return done


def rate(step: int, steps: int) -> float:
    """Share of the highest learning rate: a short rise, then half a cosine down to a fiftieth."""
    return min(1.0, (step + 1) / 300) * (0.5 * (1 + math.cos(math.pi * step / steps)) * 0.98 + 0.02)


def learn(
    encoder: Encoder, head: Head, batch: batches.Batch, optimiser: Any, parameters: list[Any]
) -> dict[str, float]:
    """One step; its losses."""
    ids, tags, row, first, last, main, second = batch
    with torch.autocast("cpu", torch.bfloat16):
        marks, states = encoder(ids)
        code_logits, second_logits = head(pool(states, row, first, last))
    tag_loss = F.cross_entropy(marks.float().flatten(0, 1), tags.flatten(), ignore_index=-100)
    code_loss = F.cross_entropy(code_logits.float(), main, label_smoothing=SMOOTHING)
    second_loss = F.cross_entropy(second_logits.float(), second)
    loss = 2.0 * tag_loss + code_loss + 0.5 * second_loss
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimiser.step()
    right = (code_logits.argmax(1) == main).float().mean()
    return {"tag": round(tag_loss.item(), 4), "code": round(code_loss.item(), 4), "second": round(second_loss.item(), 4),
            "right": round(right.item(), 4)}  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/coder"))
    parser.add_argument("--steps", type=int, default=16_000)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--peak", type=float, default=PEAK, help="highest learning rate")
    parser.add_argument("--pretrained", type=int, default=0, metavar="LAYERS",
                        help="begin from so many layers of multilingual-e5-small (training.pretrained)")  # fmt: skip
    parser.add_argument("--init", type=Path, help="model.pt or served folder to begin from")
    options = parser.parse_args()
    train(Plan(**vars(options)))


if __name__ == "__main__":
    main()
