"""Triton's front of the coder: sub-words, the exported graphs, entities. Owns tokenizer, labels and weights.

A row's answer does not depend on its neighbours: rows are padded to a length that follows from their own length
alone, the graphs run on tiles of a fixed number of rows, and probabilities are rounded to four places.
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
# A token costs the same in any shape, one that only fills a row up too: half of all lines have no more than eight.
TILE = 4
WIDTHS = (4, 6, 8, 10, 12, 16, 24, 32, 48, 96)
HEAD_TILE = 16
BLOCK = 128
SMALLEST = 1e-4
OUTSIDE, BEGIN, INSIDE = range(3)


def softmax(logits):
    """Probabilities along the last axis."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def best_of(values, count):
    """Places of the `count` largest of each row, in order of place; the rows are thousands long.

    The largest stand in the blocks whose own largest are largest: all others need not be looked at twice.
    """
    rows, width = values.shape
    blocks = -(-width // BLOCK)
    if blocks <= count:
        return np.sort(np.argpartition(-values, count - 1, axis=1)[:, :count], axis=1)
    padded = np.full((rows, blocks * BLOCK), -np.inf, values.dtype)
    padded[:, :width] = values
    cut = padded.reshape(rows, blocks, BLOCK)
    chosen = np.argpartition(-cut.max(2), count - 1, axis=1)[:, :count]
    places = (chosen[:, :, None] * BLOCK + np.arange(BLOCK)).reshape(rows, -1)
    best = np.argpartition(-np.take_along_axis(padded, places, axis=1), count - 1, axis=1)[:, :count]
    return np.sort(np.take_along_axis(places, best, axis=1), axis=1)


class OpenVinoGraph:
    """A graph on OpenVINO: fixed shapes, compiled once for each."""

    def __init__(self, core, path, threads):
        self._core, self._model, self._threads, self._compiled = core, core.read_model(str(path)), threads, {}

    def __call__(self, value):
        shape = tuple(value.shape)
        request = self._compiled.get(shape)
        if request is None:
            model = self._model.clone()
            model.reshape(list(shape))
            config = {"PERFORMANCE_HINT": "LATENCY"}
            if self._threads:
                config["INFERENCE_NUM_THREADS"] = self._threads
            request = self._compiled[shape] = self._core.compile_model(model, "CPU", config).create_infer_request()
        result = request.infer({0: value}, share_inputs=True)
        return [np.array(result[i], np.float32) for i in range(len(result))]


class OnnxGraph:
    """A graph on ONNX Runtime: on a GPU where it sees one."""

    def __init__(self, path, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        usual = ("CUDAExecutionProvider", "CPUExecutionProvider")
        providers = [p for p in usual if p in onnxruntime.get_available_providers()]
        self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        self._input = self._session.get_inputs()[0].name

    def __call__(self, value):
        return [np.asarray(out, np.float32) for out in self._session.run(None, {self._input: value})]


def open_graphs(folder, threads, runtime):
    """Encoder and head on the first runtime that is installed."""
    if runtime in ("auto", "openvino"):
        try:
            import openvino

            core = openvino.Core()
            return [OpenVinoGraph(core, folder / name, threads) for name in ("encoder.onnx", "head.onnx")]
        except ImportError:
            if runtime == "openvino":
                raise
    return [OnnxGraph(folder / name, threads) for name in ("encoder.onnx", "head.onnx")]


class Tagger:
    """Lines to entities."""

    def __init__(self, folder, threads=0, runtime="auto"):
        from tokenizers import Tokenizer

        with (folder / "labels.json").open(encoding="utf-8") as file:
            labels = json.load(file)
        self._codes, self._seconds = np.array(labels["codes"], object), np.array(labels["seconds"], object)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._special = {name: self._tokenizer.token_to_id(f"[{name}]") for name in labels["conditions"]}
        self._temperature = float(labels["temperature"])
        self._encoder, self._head = open_graphs(folder, threads, runtime)
        self._widths = [w for w in WIDTHS if w <= labels["longest"]]
        # Each shape is compiled on first sight: now, so that no certificate waits for it.
        for width in self._widths:
            states = self._encoder(np.zeros((TILE, width), np.int64))[1]
        self._head(np.zeros((HEAD_TILE, states.shape[-1]), np.float32))

    def __call__(self, texts, contexts):
        """Entities of each line: (start, end, five codes, five probabilities), in text order."""
        encoded = self._tokenizer.encode_batch(list(texts))
        rows = []
        for line, context in zip(encoded, contexts):
            prefix = [self._special[c] for c in context.split() if c in self._special]
            ids = (prefix + line.ids)[: self._widths[-1]]
            rows.append((ids, len(prefix), line.offsets))
        found = [[] for _ in rows]
        by_width = {}
        for number, (ids, _, offsets) in enumerate(rows):
            if offsets:
                by_width.setdefault(next(w for w in self._widths if w >= len(ids)), []).append(number)
        pooled, owners = [], []
        for width, numbers in by_width.items():
            for at in range(0, len(numbers), TILE):
                self._tile(rows, numbers[at : at + TILE], width, pooled, owners)
        for at in range(0, len(pooled), HEAD_TILE):
            self._name(pooled[at : at + HEAD_TILE], owners[at : at + HEAD_TILE], found)
        return [sorted(entities, key=lambda e: (e[0], e[4])) for entities in found]

    def _tile(self, rows, numbers, width, pooled, owners):
        ids = np.zeros((TILE, width), np.int64)
        for i, number in enumerate(numbers):
            ids[i, : len(rows[number][0])] = rows[number][0]
        marks, states = self._encoder(ids)
        chances = softmax(marks)
        for i, number in enumerate(numbers):
            tokens, skip, offsets = rows[number]
            for first, last, sure in self._spans(chances[i, skip : len(tokens)]):
                pooled.append(states[i, skip + first : skip + last + 1].mean(0))
                owners.append((number, offsets[first][0], offsets[last][1], sure))

    @staticmethod
    def _spans(chances):
        """Spans of tokens from tag probabilities: a B begins one, I goes on; an I after O begins one too."""
        spans, first, sure = [], None, 1.0
        for at, tag in enumerate(chances.argmax(-1)):
            if tag == BEGIN or (tag == INSIDE and first is None):
                if first is not None:
                    spans.append((first, at - 1, sure))
                first, sure = at, float(chances[at, tag])
            elif tag == OUTSIDE:
                if first is not None:
                    spans.append((first, at - 1, sure))
                first = None
            else:
                sure = min(sure, float(chances[at, tag]))
        if first is not None:
            spans.append((first, len(chances) - 1, sure))
        return spans

    def _name(self, pooled, owners, found):
        states = np.zeros((HEAD_TILE, len(pooled[0])), np.float32)
        states[: len(pooled)] = pooled
        main, second = (logits[: len(pooled)] for logits in self._head(states))
        main = main / self._temperature
        # The five best without sorting ten thousand codes; equal ones by their place, so that ties never waver.
        best = best_of(main, TOP)
        values = np.take_along_axis(main, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        best, values = np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)
        peak = values[:, :1]
        chances = np.round(np.exp(values - peak) / np.exp(main - peak).sum(1, keepdims=True), 4)
        others = softmax(second)
        for i, (number, start, end, sure) in enumerate(owners):
            found[number].append((start, end, self._codes[best[i]], chances[i], 0, sure))
            other = int(others[i].argmax())
            if other:
                codes = np.array([self._seconds[other], "", "", "", ""], object)
                probs = np.array([np.round(others[i, other], 4), 0, 0, 0, 0])
                found[number].append((start, end, codes, probs, 1, sure))


class TritonPythonModel:
    """What Triton calls."""

    def initialize(self, args):
        """Load the graphs of this version."""
        config = json.loads(args["model_config"])
        threads = int(config.get("parameters", {}).get("threads", {}).get("string_value", "0"))
        folder = Path(args["model_repository"]) / args["model_version"]
        self._tagger = Tagger(folder, threads, os.environ.get("CAUSA_RUNTIME", "auto"))

    def execute(self, requests):
        """All requests of a batch at once; each answer padded to its own most entities."""
        texts, contexts, sizes = [], [], []
        for request in requests:
            text = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy().reshape(-1)
            context = pb_utils.get_input_tensor_by_name(request, "CONTEXT").as_numpy().reshape(-1)
            texts += [t.decode("utf-8", "replace") for t in text]
            contexts += [c.decode("utf-8", "replace") for c in context]
            sizes.append(len(text))
        found = self._tagger(texts, contexts)
        responses, at = [], 0
        for size in sizes:
            responses.append(self._response(found[at : at + size]))
            at += size
        return responses

    @staticmethod
    def _response(found):
        most = max([len(entities) for entities in found] + [1])
        codes = np.full((len(found), most, TOP), b"", object)
        starts = np.full((len(found), most), -1, np.int32)
        ends = np.full((len(found), most), -1, np.int32)
        probs = np.zeros((len(found), most, TOP), np.float32)
        for i, entities in enumerate(found):
            for k, (start, end, names, chances, _, sure) in enumerate(entities):
                codes[i, k] = [name.encode() for name in names]
                starts[i, k], ends[i, k] = start, end
                probs[i, k] = np.round(chances * sure, 4)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("CODES", codes),
                pb_utils.Tensor("STARTS", starts),
                pb_utils.Tensor("ENDS", ends),
                pb_utils.Tensor("PROBS", probs),
            ]
        )
