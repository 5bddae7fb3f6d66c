"""Trained weights: written with what is needed to go on from them, and read again from a run or from what is served.

A run's `model.pt` and a served version (`model_repo/coder/<version>`) hold the same: weights, sizes, code lists.
Served weights are in half precision, which costs training that begins from them nothing measurable.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from training.network import Encoder, Head, Shape

HEAD_WIDTH = 64
"""Width of an attention head where nothing says otherwise."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A network's weights by name, its sizes, and the codes that its classes stand for."""

    encoder: dict[str, Tensor]
    head: dict[str, Tensor]
    shape: Shape
    codes: list[str]
    seconds: list[str]
    note: dict[str, Any]
    """Of what the model says of itself: lexicon, seed, steps."""

    def network(self) -> tuple[Encoder, Head]:
        """Encoder and head with these weights."""
        encoder, head = Encoder(self.shape), Head(self.shape)
        encoder.load_state_dict(self.encoder)
        head.load_state_dict(self.head)
        return encoder, head


def save(
    path: Path, encoder: Encoder, head: Head, shape: Shape, codes: list[str], seconds: list[str], note: dict[str, Any]
) -> None:
    """Write `model.pt`."""
    torch.save({"encoder": encoder.state_dict(), "head": head.state_dict(), "shape": shape.record(), "codes": codes,
                "seconds": seconds, "note": note}, path)  # fmt: skip


def load(path: Path) -> Weights:
    """Weights of a `model.pt`, or of a served version's folder."""
    if path.is_dir():
        return _served(path)
    state = torch.load(path, weights_only=True, map_location="cpu")
    note = state.get("note") or {k: state[k] for k in ("lexicon", "seed", "steps") if k in state}
    return Weights(state["encoder"], state["head"], Shape(**state["shape"]), state["codes"], state["seconds"], note)


def tokenizer_of(path: Path) -> Path:
    """The tokenizer's file that belongs to weights."""
    return (path if path.is_dir() else path.parent) / "tokenizer.json"


def _served(folder: Path) -> Weights:
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    encoder, head = _tensors(folder / "encoder.onnx"), _tensors(folder / "head.onnx")
    vocabulary, width = encoder["tokens.weight"].shape
    layers = 1 + max(int(name.split(".")[1]) for name in encoder if name.startswith("blocks."))
    shape = Shape(vocabulary, len(labels["codes"]), len(labels["seconds"]), width, layers,
                  labels.get("heads", width // HEAD_WIDTH), encoder["blocks.0.up.bias"].shape[0],
                  encoder["positions.weight"].shape[0], post=labels.get("post", False))  # fmt: skip
    note = {k: labels[k] for k in ("lexicon", "seed", "steps", "rows", "minutes") if k in labels}
    return Weights(encoder, head, shape, labels["codes"], labels["seconds"], note)


def _tensors(path: Path) -> dict[str, Tensor]:
    """Weights by the names that the network gives them.

    The exporter turns a linear layer's weight about and gives it a number; the product that it enters still bears the
    layer's name.
    """
    graph = onnx.load(str(path)).graph
    stored = {w.name.removesuffix(".half"): numpy_helper.to_array(w) for w in graph.initializer}
    found = {name: array for name, array in stored.items() if not name.startswith("onnx::")}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in stored:  # weights that are equal are stored once
            found[node.output[0]] = stored[node.input[0]]
        if node.op_type == "MatMul" and node.input[1].startswith("onnx::"):
            layer = ".".join(node.output[0].strip("/").split("/")[:-1])
            found[f"{layer}.weight"] = stored[node.input[1]].T
    return {name: torch.from_numpy(np.array(array, np.float32)) for name, array in found.items()}
