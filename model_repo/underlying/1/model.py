"""Triton's front of the ranker: a certificate's row in, its likeliest underlying causes out. Owns labels and weights.

A row is described in stream/underlying/request.py. A row's answer does not depend on its neighbours: rows are padded
to a width that follows from their own number of tokens, and the graph runs on tiles of a fixed number of rows.
"""

import os
import site

if os.environ.get("CAUSA_TRITON_SITE"):
    site.addsitedir(os.environ["CAUSA_TRITON_SITE"])  # the stub ignores virtual environments

import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

TOP = 5
TILE = 16
WIDTHS = (3, 5, 8, 12, 18, 36)
HEAD, TOKEN, VALUES, FLAGS, STEPS = 16, 14, 5, 12, 12
ZERO = 33
SELF, MADE = 160, 21
NAMES = ("ids", "values", "flags", "head", "steps", "relation", "mask")


def bits(numbers, count):
    """The lowest `count` bits of numbers, along a new last axis."""
    return (numbers[..., None] >> np.arange(count)) & 1


class Labels:
    """Codes and categories by number; 0 stands for what training never saw."""

    def __init__(self, labels):
        self.codes = {code: i for i, code in enumerate(labels["codes"], start=1)}
        self.categories = {code: i for i, code in enumerate(labels["categories"], start=1)}
        self.answers = labels["answers"]


def read_row(row, labels):
    """Arrays of one row, unpadded, and the codes of its tokens; ValueError for what is no row."""
    data = np.frombuffer(row, np.uint8)
    size = int(data[0]) - ZERO if len(data) else 0
    if size < 1 or len(data) != 1 + HEAD + size * TOKEN + size * size or data.min() < ZERO or data.max() > 126:
        raise ValueError("not a certificate's row")
    head = data[1 : 1 + HEAD].astype(np.int64) - ZERO
    tokens = data[1 + HEAD : 1 + HEAD + size * TOKEN].reshape(size, TOKEN)
    codes = [bytes(token[:4]).decode().rstrip(".") for token in tokens]
    values = tokens[:, 4:].astype(np.int64) - ZERO
    ids = np.array([[min(26, max(0, ord(c[0]) - 64)), labels.categories.get(c[:3], 0), labels.codes.get(c, 0)]
                    for c in codes])  # fmt: skip
    lines = values[:, 0]
    one, other = lines[:, None], lines[None, :]
    where = np.where(one == other, 0, np.where(other < one, 1, 2))
    where = np.where((one == 0) | (other == 0), 3, where)
    where = np.where((one == MADE) | (other == MADE), 4, where)
    relation = data[-size * size :].reshape(size, size).astype(np.int64) - ZERO
    relation = np.minimum(relation, 31) + 32 * where
    np.fill_diagonal(relation, SELF)
    arrays = {
        "ids": ids,
        "values": np.concatenate([values[:, :4], values[:, 6:7]], 1),
        "flags": np.concatenate([bits(values[:, 4], 6), bits(values[:, 5], 6)], 1).astype(np.float32),
        "head": head[[0, 1, 2, 3, 4, 5, 9]],
        "steps": np.concatenate([bits(head[6], 5), bits(head[7], 6), head[8:9]]).astype(np.float32),
        "relation": relation,
    }
    return arrays, codes


def stack(rows, width, count):
    """Input arrays of the graph for some rows, padded to `count` rows of `width` tokens."""
    batch = {
        "ids": np.zeros((count, width, 3), np.int64),
        "values": np.zeros((count, width, VALUES), np.int64),
        "flags": np.zeros((count, width, FLAGS), np.float32),
        "head": np.zeros((count, 7), np.int64),
        "steps": np.zeros((count, STEPS), np.float32),
        "relation": np.zeros((count, width, width), np.int64),
        "mask": np.zeros((count, width), np.float32),
    }
    for i, row in enumerate(rows):
        size = len(row["ids"])
        for name in ("ids", "values", "flags"):
            batch[name][i, :size] = row[name]
        batch["head"][i], batch["steps"][i] = row["head"], row["steps"]
        batch["relation"][i, :size, :size] = row["relation"]
        batch["mask"][i, :size] = 1.0
    return batch


class OnnxGraph:
    """The graph on ONNX Runtime: on a GPU where it sees one."""

    def __init__(self, path, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        usual = ("CUDAExecutionProvider", "CPUExecutionProvider")
        providers = [p for p in usual if p in onnxruntime.get_available_providers()]
        self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)

    def __call__(self, batch):
        return [np.asarray(out, np.float32) for out in self._session.run(None, batch)]


class OpenVinoGraph:
    """The graph on OpenVINO: compiled once for each width."""

    def __init__(self, path, threads):
        import openvino

        self._core = openvino.Core()
        self._model, self._threads, self._compiled = self._core.read_model(str(path)), threads, {}

    def __call__(self, batch):
        width = batch["ids"].shape[1]
        request = self._compiled.get(width)
        if request is None:
            model = self._model.clone()
            model.reshape({name: list(batch[name].shape) for name in NAMES})
            config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
            if self._threads:
                config["INFERENCE_NUM_THREADS"] = self._threads
            request = self._compiled[width] = self._core.compile_model(model, "CPU", config).create_infer_request()
        result = request.infer(batch)
        return [np.array(result[i], np.float32) for i in range(len(result))]


def open_graph(path, threads, runtime):
    """The graph on the first runtime that is installed."""
    if runtime in ("auto", "openvino"):
        try:
            return OpenVinoGraph(path, threads)
        except ImportError:
            if runtime == "openvino":
                raise
    return OnnxGraph(path, threads)


class Ranker:
    """Rows to codes with probabilities."""

    def __init__(self, folder, threads=0, runtime="auto"):
        with (folder / "labels.json").open(encoding="utf-8") as file:
            labels = json.load(file)
        self._labels = Labels(labels)
        self._temperature = float(labels["temperature"])
        self._graph = open_graph(folder / "ranker.onnx", threads, runtime)
        # Each shape is compiled on first sight: now, so that no certificate waits for it.
        for width in WIDTHS:
            self._graph(stack([], width, TILE))

    def __call__(self, rows):
        """For each row its best codes and their probabilities, best first; None for what is no row."""
        found = [None] * len(rows)
        by_width = {}
        for number, row in enumerate(rows):
            try:
                arrays, codes = read_row(row, self._labels)
            except (ValueError, IndexError):
                continue
            width = next((w for w in WIDTHS if w >= len(codes)), None)
            if width is not None:
                by_width.setdefault(width, []).append((number, arrays, codes))
        for width, members in by_width.items():
            for at in range(0, len(members), TILE):
                tile = members[at : at + TILE]
                tokens, answers = self._graph(stack([arrays for _, arrays, _ in tile], width, TILE))
                for i, (number, _, codes) in enumerate(tile):
                    found[number] = self._best(tokens[i, : len(codes)], answers[i], codes)
        return found

    def _best(self, tokens, answers, codes):
        """Chances of a code are summed over the places where it stands."""
        logits = np.concatenate([tokens, answers]).astype(np.float64) / self._temperature
        chances = np.exp(logits - logits.max())
        chances /= chances.sum()
        total = {}
        for code, chance in zip(codes, chances):
            total[code] = total.get(code, 0.0) + chance
        rest = chances[len(codes) :]
        for k in np.argpartition(-rest, TOP)[:TOP]:
            code = self._labels.answers[k]
            total[code] = total.get(code, 0.0) + rest[k]
        best = sorted(total.items(), key=lambda pair: (-round(pair[1], 6), pair[0]))[:TOP]
        return [code for code, _ in best], [round(float(chance), 4) for _, chance in best]


class TritonPythonModel:
    """What Triton calls."""

    def initialize(self, args):
        """Load the graph of this version."""
        config = json.loads(args["model_config"])
        threads = int(config.get("parameters", {}).get("threads", {}).get("string_value", "0"))
        folder = Path(args["model_repository"]) / args["model_version"]
        self._ranker = Ranker(folder, threads, os.environ.get("CAUSA_RUNTIME", "auto"))

    def execute(self, requests):
        """All requests of a batch at once; a row that is none gets no code."""
        parts = [pb_utils.get_input_tensor_by_name(r, "CASE").as_numpy().reshape(-1) for r in requests]
        found = self._ranker([row for part in parts for row in part])
        responses, at = [], 0
        for part in parts:
            codes = np.full((len(part), TOP), b"", object)
            probs = np.zeros((len(part), TOP), np.float32)
            for i, answer in enumerate(found[at : at + len(part)]):
                if answer is not None:
                    codes[i, : len(answer[0])] = [code.encode() for code in answer[0]]
                    probs[i, : len(answer[1])] = answer[1]
            at += len(part)
            tensors = [pb_utils.Tensor("CODES", codes), pb_utils.Tensor("PROBS", probs)]
            responses.append(pb_utils.InferenceResponse(tensors))
        return responses
