"""Training rows kept between runs, and batches of them in an order that a number decides.

Batch `k` of a seed is always the same one, so that a run that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.tokens import Row

BATCH = 192
_CHUNK = 40
"""Batches in whose rows the lengths are sorted, so that little is padded."""

Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
"""Ids and tags [B, T]; of each entity its row, first and last token, main class and second class."""


def save(path: Path, made: list[Row]) -> None:
    """Write rows to a file of arrays."""
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
        entities=np.array(entities, np.int32).reshape(-1, 5),
        codes=np.array(list(codes)),
    )


class Batches:
    """Batches of the rows of a file.

    Args:
        path: rows as `save` wrote them.
        main: main codes in the order of their classes; an entity of another code is not learnt.
        seconds: second codes likewise, "" first.
        seed: decides the order.
    """

    def __init__(self, path: Path, main: list[str], seconds: list[str], seed: int) -> None:
        with np.load(path) as file:
            self._ids, sizes, entities, codes = file["ids"], file["sizes"], file["entities"], file["codes"]
        self._ends = np.cumsum(sizes.astype(np.int64))
        self._sizes = sizes.astype(np.int64)
        classes = {code: i for i, code in enumerate(main)}
        others = {code: i for i, code in enumerate(seconds)}
        main_of = np.array([classes.get(str(c), -1) for c in codes] or [-1])
        second_of = np.array([others.get(str(c), 0) for c in codes] + [0])
        entities = entities[main_of[entities[:, 3]] >= 0] if len(entities) else entities
        self._entities = np.stack(
            [entities[:, 1], entities[:, 2], main_of[entities[:, 3]], second_of[entities[:, 4]]], 1
        ).astype(np.int64)  # fmt: skip
        self._first = np.searchsorted(entities[:, 0], np.arange(len(sizes) + 1))
        self._seed = seed
        self.epoch = max(1, -(-len(sizes) // BATCH))
        """Batches in which every row is seen once."""

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._sizes)

    @lru_cache(maxsize=2)  # noqa: B019 - one object lives as long as the run
    def _order(self, epoch: int) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
        rng = np.random.default_rng((self._seed, epoch))
        order = rng.permutation(len(self._sizes))
        batches = []
        for start in range(0, len(order), BATCH * _CHUNK):
            chunk = order[start : start + BATCH * _CHUNK]
            chunk = chunk[np.argsort(self._sizes[chunk], kind="stable")]
            batches += [chunk[at : at + BATCH] for at in range(0, len(chunk), BATCH)]
        random.Random(self._seed + epoch).shuffle(batches)
        return batches

    def __getitem__(self, number: int) -> Batch:
        """Batch of a step."""
        rows = self._order(number // self.epoch)[number % self.epoch]
        width = int(self._sizes[rows].max())
        ids = np.zeros((len(rows), width), np.int64)
        tags = np.full((len(rows), width), -100, np.int64)
        places: list[np.ndarray[tuple[int, int], np.dtype[np.int64]]] = []
        for i, row in enumerate(rows):
            size, end = self._sizes[row], self._ends[row]
            ids[i, :size] = self._ids[end - size : end]
            tags[i, :size] = 0
            found = self._entities[self._first[row] : self._first[row + 1]]
            for first, last in found[:, :2]:
                tags[i, first : last + 1] = 2
                tags[i, first] = 1
            places.append(np.concatenate([np.full((len(found), 1), i), found], 1))
        table = torch.from_numpy(np.concatenate(places))
        return (torch.from_numpy(ids), torch.from_numpy(tags), *table.unbind(1))
