"""The rules' steps in French."""

from pathlib import Path

import pytest
from underlying.test_cases import ROWS, certificate

from stream.desk.console.steps import load, told
from stream.errors import InvalidData
from stream.underlying import load as tables
from stream.underlying import read_causes, select


def test_every_step_of_the_worked_examples_has_its_french() -> None:
    for part1, part2, _, _, _, given in ROWS:
        for step in select(read_causes(certificate(part1, part2, given)), tables()).steps:
            french = told(step, "fr")
            assert french != step, step
            assert "{" not in french and told(step, "en") == step


def test_what_varies_is_put_into_the_french() -> None:
    assert told("SP3: C25.9 can explain all above it, down to J96.0", "fr") == (
        "SP3 : C25.9 peut expliquer tout ce qui est écrit au-dessus, jusqu'à J96.0"
    )
    assert told("manner: suicide is ticked, W76 → X70", "fr") == "circonstances : suicide coché, W76 → X70"
    assert (
        told("ranker: C25.9 at 0.81, not K86.1 as by SP3 M1", "fr")
        == "modèle : C25.9 à 0.81, et non K86.1 comme par SP3 M1"
    )


def test_an_unknown_step_stays_as_the_core_tells_it() -> None:
    assert told("X9: something new", "fr") == "X9: something new"


def test_a_table_that_does_not_hold_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "steps.tsv"
    path.write_text("step\tfr\nSP1: {a} is alone\tSP1 : {b} est seul\n", encoding="utf-8")
    with pytest.raises(InvalidData, match=r"steps.tsv:2"):
        load(path)
