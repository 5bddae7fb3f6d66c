"""`causa train`: from a clean clone to a served model, or a served model made an office's own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from stream.errors import SetupError

NEEDS = ("torch", "tokenizers", "onnx", "onnxruntime", "onnxscript")


def command(
    *,
    out: Annotated[Path, typer.Option(help="Folder of the run: the same one goes on where it stopped.")] = Path(
        "runs/coder"
    ),
    steps: Annotated[
        int, typer.Option(min=1, help="Batches of 192 lines; two cores do three or four a second.")
    ] = 24_000,
    rows: Annotated[int, typer.Option(min=200, help="Lines of the corpus, seen again and again.")] = 900_000,
    seed: Annotated[int, typer.Option(help="The same seed and steps give the same model.")] = 20_260_101,
    fine_tune: Annotated[
        Path | None,
        typer.Option(metavar="CODED.jsonl", help="The office's coded certificates: begin from the served model."),
    ] = None,
    init: Annotated[Path | None, typer.Option(help="model.pt or served folder to begin from.")] = None,
    version: Annotated[str, typer.Option(help="Version under model_repo/coder to write.")] = "1",
    promote: Annotated[bool, typer.Option(help="Write model_repo/ and the packaged confidences.")] = True,
) -> None:
    """Train the coder: corpus, training, held-out measures, calibration, export to model_repo/.

    Needs the extra `train` (`make install-train`). CODED.jsonl holds certificates with their codes as `causa evaluate`
    takes them; where on a line each code stands is found out. Its lines stay in the run's folder, as numbers of
    sub-words: treat that folder as you treat the certificates.
    Examples: `causa train`, `causa train --fine-tune coded.jsonl --steps 2000 --out runs/office`
    """
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise SetupError(f"training needs {', '.join(missing)}", hint="make install-train")
    from training.recipe import Recipe, cook
    from training.train import Plan

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=console
    )
    with bar:
        task = bar.add_task("training", total=steps, visible=False)

        def progress(done: int, total: int, losses: dict[str, float]) -> None:
            bar.update(task, completed=done, total=total, visible=True, description=f"right {losses['right']:.2f}")

        plan = Plan(out, steps, rows, seed, init=init)
        cook(Recipe(plan, fine_tune, version, promote), lambda line: console.print(line, highlight=False), progress)
    typer.echo(f"{out / 'metrics.json'}")
