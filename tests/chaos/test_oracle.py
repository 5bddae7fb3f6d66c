"""The check itself must notice what it is there for."""

from __future__ import annotations

import json
import zlib

import pytest

from chaos.oracle import Answer, Verdict, compare, disorder


def answer(name: str, subject: str = "coded", **content: object) -> Answer:
    return Answer(subject, name, zlib.compress(json.dumps(content).encode()))


EXPECTED = [[answer("a 1", code="I10"), answer("a 1", "manual")], [answer("b 1", code="I64"), answer("b 1", "manual")]]
RIGHT = [one for answers in EXPECTED for one in answers]


def verdict(*found: Answer) -> Verdict:
    seen = Verdict()
    compare(EXPECTED, {"one": found[::2], "other": found[1::2]}, seen)
    return seen


def test_what_was_expected_and_nothing_else_is_sound() -> None:
    seen = verdict(*reversed(RIGHT))
    assert seen.sound
    assert (seen.records, seen.answers) == (2, 4)


@pytest.mark.parametrize(
    ("found", "fault", "told"),
    [
        (RIGHT[1:], "lost", ["coded a 1"]),
        ([*RIGHT, RIGHT[0]], "duplicated", ["coded a 1"]),
        ([answer("a 1", code="I11"), *RIGHT[1:]], "wrong", ["coded a 1: code"]),
        ([*RIGHT, answer("c 1")], "strange", ["coded c 1"]),
        ([*RIGHT, answer("a 1", "dead-letters")], "strange", ["dead-letters a 1"]),
    ],
)
def test_each_fault_is_seen_and_told_apart(found: list[Answer], fault: str, told: list[str]) -> None:
    seen = verdict(*found)
    assert getattr(seen, fault) == told
    assert {name for name, number in seen.faults.items() if number} == {fault}


def test_a_second_and_other_answer_is_a_duplicate() -> None:
    assert verdict(*RIGHT, answer("a 1", code="I11")).duplicated == ["coded a 1"]


def test_offsets_and_readers_count_too() -> None:
    assert not Verdict(unfinished=1).sound
    assert not Verdict(unsteady=["coded-0"]).sound


@pytest.mark.parametrize(
    ("given", "keys"),
    [(["a 1", "b 1", "a 2"], []), (["a 2", "b 1", "a 1"], ["b'a'"]), (["a 2"], []), (["a 1", "a 1", "a 2"], ["b'a'"])],
)
def test_the_order_of_a_key_is_that_of_its_certificates(given: list[str], keys: list[str]) -> None:
    inputs = [(b"a", "a 1"), (b"b", "b 1"), (b"a", "a 2")]
    assert disorder(inputs, [(name[:1].encode(), name) for name in given]) == keys
