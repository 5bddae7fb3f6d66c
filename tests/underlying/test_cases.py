"""Worked examples in the logic of WHO ICD-10 volume 2 (2016): codes in, underlying cause and steps out."""

from pathlib import Path

import pytest

from stream.underlying import Causes, load, select

ROWS = [line.split("\t") for line in Path(__file__).with_name("cases.tsv").read_text().splitlines()[1:]]


def causes(part1: str, part2: str) -> Causes:
    lines = tuple(tuple(line.split()) for line in part1.split("|")) if part1.strip() else ()
    return Causes(lines, tuple(part2.split()))


@pytest.mark.parametrize(("part1", "part2", "expected", "steps", "why"), ROWS, ids=[row[4] for row in ROWS])
def test_worked_example(part1: str, part2: str, expected: str, steps: str, why: str) -> None:
    answer = select(causes(part1, part2), load())
    assert answer.code == expected, answer.steps
    told = " ".join(step.partition(":")[0] for step in answer.steps)
    for step in steps.split():
        assert step in told, answer.steps


def test_there_are_enough_examples_and_every_step_has_one() -> None:
    assert len(ROWS) >= 60
    told = " ".join(row[3] for row in ROWS).split()
    assert {"SP1", "SP2", "SP3", "SP4", "SP5", "SP6", "SP7", "SP8", "M1", "M2", "M4"} <= set(told)


def test_steps_name_the_codes() -> None:
    answer = select(causes("I50.9 | I10", ""), load())
    assert answer.steps[0].startswith("SP3: I10")
    assert answer.steps[1] == "M1: I10 with mention of I50.9 → I11.0"
