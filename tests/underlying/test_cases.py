"""Worked examples in the logic of WHO ICD-10 volume 2 (2016, sections 4.2 and 4.3): certificate in, underlying cause and steps out.

`cases.tsv`: lines of Part I parted by `` | ``, Part II, the expected code, steps that have to be told, why, and what else
is given, if anything: ``manner=SUICIDE pregnancy=AT_DEATH sex=F age=3d durations=1,,30 neonatal``. Ages are in y, mo, d, h or min; durations
in days, one for each line of Part I, an empty one where nothing is stated.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from stream.underlying import load, read_causes, select

COLUMNS = 6
ROWS = [
    [*line.split("\t"), ""][:COLUMNS]
    for line in Path(__file__).with_name("cases.tsv").read_text(encoding="utf-8").splitlines()[1:]
]
UNITS = {"y": "YEARS", "mo": "MONTHS", "d": "DAYS", "h": "HOURS", "min": "MINUTES"}


def certificate(part1: str, part2: str, given: str) -> dict[str, Any]:
    """The JSON form of a row."""
    lines = [line.split() for line in part1.split("|")] if part1.strip() else []
    mapping: dict[str, Any] = {"part1": lines, "part2": part2.split()}
    for word in given.split():
        name, _, value = word.partition("=")
        if name == "neonatal":
            mapping["form"] = "NEONATAL"
        elif name == "age":
            found = re.fullmatch(r"(\d+)(y|mo|d|h|min)", value)
            assert found, given
            mapping["age"] = {"value": int(found[1]), "unit": UNITS[found[2]]}
        elif name == "durations":
            mapping["durations"] = [float(days) if days else None for days in value.split(",")]
        else:
            assert name in ("manner", "sex", "pregnancy"), given
            mapping[name] = value
    return mapping


@pytest.mark.parametrize(("part1", "part2", "expected", "steps", "why", "given"), ROWS, ids=[row[4] for row in ROWS])
def test_worked_example(part1: str, part2: str, expected: str, steps: str, why: str, given: str) -> None:
    answer = select(read_causes(certificate(part1, part2, given)), load())
    assert answer.code == expected, answer.steps
    told = " ".join(step.partition(":")[0] for step in answer.steps)
    for step in steps.split():
        assert step in told, answer.steps


def test_there_are_enough_examples_and_every_step_has_one() -> None:
    assert len(ROWS) >= 175
    told = {step for row in ROWS for step in row[3].split()}
    rules = {f"SP{number}" for number in range(1, 9)} | {"M1", "M2", "M3", "M4", "P1", "P2", "P3"}
    assert rules | {"maternal", "manner", "sequelae"} <= told


def test_no_example_stands_twice() -> None:
    keys = [(row[0], row[1], row[5]) for row in ROWS]
    assert len(keys) == len(set(keys))


def test_the_main_injury_is_told_and_changes_nothing() -> None:
    answer = select(read_causes({"part1": [["S72.0", "S06.9"], ["V89.2"]]}), load())
    assert answer.code == "V89.2" and answer.steps[-1] == "main injury: S06.9 (rank 1) of S72.0, S06.9"
    assert answer.confidence == load().confidence.of(answer.steps[:-1], 3)


def test_steps_name_the_codes() -> None:
    answer = select(read_causes({"part1": ["I50.9", "I10"]}), load())
    assert answer.steps[0].startswith("SP3: I10")
    assert answer.steps[1] == "M1: I10 with mention of I50.9 → I11.0"
