"""What the ranker learns from: rows of certificates with their answers, as arrays in batches.

Rules' answers are features, and the learned tables know the certificates that they were derived from; so each fold of
train is answered by tables derived from the other folds. Certificates written for this project stand beside those of
the US with the codes as the core would read them off the text, marked `from_text`: offices differ in their habits,
and the mark lets the ranker tell them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream.coder.model import LineAnswer, LineRequest, Tagged
from stream.pipeline.core import Core
from stream.pipeline.lines import causes_of
from stream.pipeline.record import Incoming
from stream.settings import REPOSITORY, load
from stream.underlying import Tables
from stream.underlying.codes import bare
from stream.underlying.request import RankRequest, consider
from training import local, written
from training.tokens import normal_span
from training.underlying import derive
from training.underlying.certificates import Coded, folds

FOLDS = 5
FRONT = REPOSITORY / "model_repo" / "underlying" / "1" / "model.py"


@dataclass(frozen=True, slots=True)
class Example:
    """A row and its answer, bare."""

    request: RankRequest
    answer: str
    weight: float = 1.0


def front() -> Any:
    """The served front as a module, so that training reads rows as the server does."""
    return local.front(FRONT)


def examples(items: Sequence[Coded], tables: Tables, weight: float = 1.0) -> Iterator[Example]:
    """Rows of certificates under some tables; where there is but one code, nothing is to be learned."""
    for item in items:
        request = consider(item.causes, tables).request
        if request is not None:
            yield Example(request, bare(item.answer), weight)


def crossed(items: Sequence[Coded], tables: Tables) -> Iterator[Example]:
    """Rows of train, each fold under tables that were derived from the others."""
    for rest, fold in folds(items, FOLDS):
        yield from examples(fold, derive.learned(tables, rest))


def read_from_text(part: written.Part) -> list[Coded]:
    """The written certificates as the core reads them, each mention with the code that its author gave it."""
    core = Core(None, load())
    core.silence_rules()
    found = []
    for one in written.load(part):
        prepared = core.prepare_certificate(core.certificate(one.record()), Incoming(None))
        answers: dict[LineRequest, LineAnswer] = {}
        for line, read in zip(one.lines, prepared.read.lines, strict=True):
            tagged = []
            for first, last, codes in line.mentions:
                span = normal_span(read.normal, first, last)
                tagged += [Tagged(*span, (code,), (1.0,)) for code in codes] if span else []
            answers[read.request] = tuple(tagged)
        worded = core.worded(prepared, answers, "")
        found.append(Coded(causes_of(prepared.read.certificate, worded.part1, worded.part2), one.underlying))
    return found


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Codes, categories and closed answers of the ranker."""

    codes: tuple[str, ...]
    categories: tuple[str, ...]
    answers: tuple[str, ...]

    def record(self) -> dict[str, list[str]]:
        """Mapping for `labels.json`."""
        return {"codes": [*self.codes], "categories": [*self.categories], "answers": [*self.answers]}


def vocabulary(found: Sequence[Example], least: int = 3) -> Vocabulary:
    """Codes that stand on `least` certificates or more, every category, answers that often lie outside."""
    codes: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    for example in found:
        own = {bare(code) for code in example.request.codes}
        codes.update(own)
        answers.update({example.answer} - own)
    return Vocabulary(
        tuple(sorted(code for code, n in codes.items() if n >= least)),
        tuple(sorted({code[:3] for code in codes})),
        tuple(sorted(code for code, n in answers.items() if n >= 2)) or ("R99",),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """An example as arrays; `target` marks the tokens that are the answer, the closed answers behind them."""

    arrays: dict[str, Any]
    hits: tuple[int, ...]
    listed: int
    weight: float


def encode(found: Sequence[Example], words: Vocabulary) -> list[Row]:
    """Arrays of examples whose answer is among their tokens or the closed answers."""
    module = front()
    labels = module.Labels(words.record())
    place = {code: i for i, code in enumerate(words.answers)}
    rows = []
    for example in found:
        arrays, codes = module.read_row(example.request.row.encode(), labels)
        hits = tuple(i for i, code in enumerate(codes) if code == example.answer)
        listed = place.get(example.answer, -1)
        if hits or listed >= 0:
            rows.append(Row(arrays, hits, listed, example.weight))
    return rows


def batches(rows: Sequence[Row], size: int, answers: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Rows in random batches of like width: the graph's inputs, `target` [B, T + A] and `weight` [B]."""
    module = front()
    order = rng.permutation(len(rows))
    pools: dict[int, list[Row]] = {}
    ready = []
    for k in order:
        width = next(w for w in module.WIDTHS if w >= len(rows[k].arrays["ids"]))
        pool = pools.setdefault(width, [])
        pool.append(rows[k])
        if len(pool) == size:
            ready.append((width, pools.pop(width)))
    ready += list(pools.items())
    for k in rng.permutation(len(ready)):
        width, members = ready[k]
        batch = module.stack([row.arrays for row in members], width, len(members))
        target = np.zeros((len(members), width + answers), np.float32)
        for i, row in enumerate(members):
            target[i, list(row.hits)] = 1.0
            if row.listed >= 0:
                target[i, width + row.listed] = 1.0
        yield batch | {"target": target, "weight": np.array([row.weight for row in members], np.float32)}
