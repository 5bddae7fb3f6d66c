"""Export the trained encoder to `model_repo/coder/<version>/`: two ONNX graphs, sub-words and labels.

``python -m training.export --model runs/coder/model.pt --version 1``. Weights are stored in half precision (a cast
to single stands before each product, folded by the runtimes), which halves the file and costs no measured accuracy.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from stream.coder.context import CONDITIONS
from stream.settings import REPOSITORY
from training import checkpoint
from training.stamp import stamp
from training.tokens import LONGEST

FRONT = REPOSITORY / "model_repo" / "coder" / "1" / "model.py"
TOLD = ("lexicon", "seed", "steps", "rows", "minutes")
"""What a served model says of its training."""


def halve(path: Path) -> None:
    """Store the large weights of a graph in half precision."""
    model = onnx.load(str(path))
    graph = model.graph
    casts = []
    for weight in list(graph.initializer):
        array = numpy_helper.to_array(weight)
        if array.dtype == np.float32 and array.size > 4096:
            name = f"{weight.name}.half"
            graph.initializer.remove(weight)
            graph.initializer.append(numpy_helper.from_array(array.astype(np.float16), name))
            casts.append(helper.make_node("Cast", [name], [weight.name], to=TensorProto.FLOAT))
    for node in reversed(casts):
        graph.node.insert(0, node)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def export(model: Path, folder: Path, temperature: float, front: Path = FRONT) -> None:
    """Write graphs, tokenizer, labels and a copy of the front into `folder`: all that Triton or `LocalModel` serves."""
    weights = checkpoint.load(model)
    encoder, head = (part.eval() for part in weights.network())
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        encoder, (torch.ones(2, 16, dtype=torch.long),), str(folder / "encoder.onnx"), input_names=["ids"],
        output_names=["tags", "states"], dynamic_axes={"ids": {0: "rows", 1: "tokens"}}, opset_version=17, dynamo=False,
    )  # fmt: skip
    torch.onnx.export(
        head, (torch.zeros(2, weights.shape.width),), str(folder / "head.onnx"), input_names=["pooled"],
        output_names=["codes", "seconds"], dynamic_axes={"pooled": {0: "entities"}}, opset_version=17, dynamo=False,
    )  # fmt: skip
    halve(folder / "encoder.onnx")
    halve(folder / "head.onnx")
    shutil.copy(checkpoint.tokenizer_of(model), folder / "tokenizer.json")
    if not (folder / front.name).exists() or not front.samefile(folder / front.name):
        shutil.copy(front, folder / front.name)
    labels = {"codes": weights.codes, "seconds": weights.seconds, "conditions": list(CONDITIONS), "longest": LONGEST,
              "heads": weights.shape.heads, "post": weights.shape.post, "temperature": temperature}  # fmt: skip
    labels |= {key: weights.note[key] for key in TOLD if key in weights.note}
    (folder / "labels.json").write_text(json.dumps(labels, ensure_ascii=False) + "\n", encoding="utf-8")
    stamp(folder)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("runs/coder/model.pt"))
    parser.add_argument("--version", default="1")
    parser.add_argument("--temperature", type=float, default=1.0)
    options = parser.parse_args()
    export(options.model, REPOSITORY / "model_repo" / "coder" / options.version, options.temperature)


if __name__ == "__main__":
    main()
