"""Weights written and read again: from a run, and from what is served, in half precision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `train` is not installed")
pytest.importorskip("tokenizers", reason="the extra `train` is not installed")
pytest.importorskip("onnxscript", reason="the extra `train` is not installed")

import onnxruntime
import torch

from stream.coder.context import CONDITIONS
from training import checkpoint
from training.checkpoint import load, save, tokenizer_of
from training.export import export
from training.network import Encoder, Head, Shape
from training.tokens import LONGEST, train_tokenizer

CODES = [f"A{n:02}" for n in range(90)]
SECONDS = ["", "T40.1", "T42.4"]
NOTE = {"lexicon": "lexicon-1", "seed": 3, "steps": 4}
SHAPES = {
    "before": Shape(110, len(CODES), len(SECONDS), 64, 2, 1, 256, 40),
    "behind": Shape(110, len(CODES), len(SECONDS), 64, 1, 4, 128, 40, post=True),
}
WORDS = ["sepsis à point de départ urinaire", "cancer du sein", "insuffisance cardiaque terminale"]

shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def network(shape: Shape, seed: int = 1) -> tuple[Any, Any]:
    """Encoder and head of which no two weights are alike, as after training."""
    torch.manual_seed(seed)
    parts = Encoder(shape).eval(), Head(shape).eval()
    for part in parts:
        for parameter in part.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return parts


def saved(shape: Shape, folder: Path, parts: tuple[Any, Any] | None = None) -> Path:
    """A run's folder."""
    encoder, head = parts or network(shape)
    folder.mkdir(exist_ok=True)
    save(folder / "model.pt", encoder, head, shape, CODES, SECONDS, NOTE)
    train_tokenizer(WORDS * 5).save(str(folder / "tokenizer.json"))
    return folder / "model.pt"


def exported(model: Path, folder: Path) -> Path:
    export(model, folder, 1.25)
    return folder


def answers(parts: tuple[Any, Any], ids: Any) -> list[Any]:
    """Tags and states of lines, and codes and second codes of their first states."""
    encoder, head = (part.eval() for part in parts)
    with torch.inference_mode():
        tags, states = encoder(ids)
        return [tags, states, *head(states[:, 0])]


LINES = torch.tensor([[5, 17, 99, 3, 8, 0, 0], [1, 2, 3, 4, 5, 6, 7], [42, 0, 0, 0, 0, 0, 0]])

quiet = pytest.mark.filterwarnings("ignore")
"""The exporter warns of its own old age."""


# A run


@shapes
def test_weights_are_read_as_they_were_saved(shape: Shape, tmp_path: Path) -> None:
    parts = network(shape)
    found = load(saved(shape, tmp_path, parts))
    assert (found.shape, found.codes, found.seconds, found.note) == (shape, CODES, SECONDS, NOTE)
    for part, kept in zip(parts, (found.encoder, found.head), strict=True):
        own = part.state_dict()
        assert set(own) == set(kept) and all(own[name].equal(kept[name]) for name in own)
    for one, other in zip(answers(parts, LINES), answers(found.network(), LINES), strict=True):
        assert one.equal(other)


def test_runs_of_earlier_versions_are_read(tmp_path: Path) -> None:
    shape = SHAPES["before"]
    encoder, head = network(shape)
    old = {key: value for key, value in shape.record().items() if key != "post"}
    state = {"encoder": encoder.state_dict(), "head": head.state_dict(), "shape": old, "codes": CODES}
    torch.save(state | {"seconds": SECONDS, "lexicon": "lexicon-0", "minutes": 3}, tmp_path / "model.pt")
    found = load(tmp_path / "model.pt")
    assert found.shape == shape and found.note == {"lexicon": "lexicon-0"}


def test_the_tokenizer_lies_beside_the_weights(tmp_path: Path) -> None:
    model = saved(SHAPES["before"], tmp_path)
    assert tokenizer_of(model) == tokenizer_of(tmp_path) == tmp_path / "tokenizer.json"


# What is served


@quiet
@shapes
def test_the_served_folder_gives_the_networks_answers_within_half_precision(shape: Shape, tmp_path: Path) -> None:
    parts = network(shape)
    folder = exported(saved(shape, tmp_path, parts), tmp_path / "served")
    found = load(folder)
    assert (found.shape, found.codes, found.seconds, found.note) == (shape, CODES, SECONDS, NOTE)
    for part, kept in zip(parts, (found.encoder, found.head), strict=True):
        own = part.state_dict()
        assert set(own) == set(kept)
        for name in own:
            assert torch.allclose(own[name], kept[name], rtol=2**-11, atol=1e-6), name
    for one, other in zip(answers(parts, LINES), answers(found.network(), LINES), strict=True):
        assert torch.allclose(one, other, atol=0.02)


@quiet
@shapes
def test_the_graphs_give_the_answers_of_the_weights_read_from_them(shape: Shape, tmp_path: Path) -> None:
    folder = exported(saved(shape, tmp_path), tmp_path / "served")
    encoder, head = (onnxruntime.InferenceSession(str(folder / f"{name}.onnx")) for name in ("encoder", "head"))
    for lines in (LINES, LINES[:1, :3]):
        tags, states = encoder.run(["tags", "states"], {"ids": lines.numpy()})
        codes, seconds = head.run(["codes", "seconds"], {"pooled": states[:, 0]})
        wanted = answers(load(folder).network(), lines)
        for one, other in zip((tags, states, codes, seconds), wanted, strict=True):
            assert torch.allclose(torch.from_numpy(one), other, atol=1e-3)


@quiet
def test_labels_say_what_the_front_and_the_next_training_must_know(tmp_path: Path) -> None:
    folder = exported(saved(SHAPES["behind"], tmp_path), tmp_path / "deep" / "served")
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    assert labels == {
        "codes": CODES, "seconds": SECONDS, "conditions": list(CONDITIONS), "longest": LONGEST, "heads": 4, "post": True,
        "temperature": 1.25, **NOTE,
    }  # fmt: skip
    own = (tmp_path / "tokenizer.json").read_bytes()
    assert (folder / "tokenizer.json").read_bytes() == own and tokenizer_of(folder).read_bytes() == own


@quiet
def test_what_is_served_may_be_exported_again_as_it_is(tmp_path: Path) -> None:
    folder = exported(saved(SHAPES["before"], tmp_path), tmp_path / "served")
    again = exported(folder, tmp_path / "again")
    one, other = load(folder), load(again)
    assert one.shape == other.shape and one.note == other.note
    for name in one.encoder:
        assert one.encoder[name].equal(other.encoder[name])
    for name in one.head:
        assert one.head[name].equal(other.head[name])


@quiet
def test_large_weights_are_stored_in_half_precision(tmp_path: Path) -> None:
    model = saved(SHAPES["before"], tmp_path)
    size = sum(w.numel() for w in load(model).encoder.values())
    folder = exported(model, tmp_path / "served")
    assert 2 * size < (folder / "encoder.onnx").stat().st_size < 3 * size


@quiet
@shapes
def test_weights_that_are_alike_and_stored_once_are_all_read(shape: Shape, tmp_path: Path) -> None:
    torch.manual_seed(1)
    parts = Encoder(shape).eval(), Head(shape).eval()  # untrained: biases are all 0, scales all 1
    folder = exported(saved(shape, tmp_path, parts), tmp_path / "served")
    found = load(folder)
    for part, kept in zip(parts, (found.encoder, found.head), strict=True):
        own = part.state_dict()
        assert set(own) == set(kept)
        assert all(torch.allclose(own[name], kept[name], rtol=2**-11, atol=1e-6) for name in own)
    for one, other in zip(answers(parts, LINES), answers(found.network(), LINES), strict=True):
        assert torch.allclose(one, other, atol=0.02)


def test_the_committed_model_is_read() -> None:
    from stream.settings import REPOSITORY

    folder = REPOSITORY / "model_repo" / "coder" / "1"
    found = load(folder)
    encoder, head = found.network()
    assert found.shape.width % found.shape.heads == 0 and head.codes.out_features == len(found.codes)
    assert encoder.tokens.num_embeddings == found.shape.vocabulary and checkpoint.tokenizer_of(folder).exists()
