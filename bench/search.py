"""How long a search of the ICD takes: `python -m bench.search`.

Queries are what coders type, letter by letter as they type it, and the same with a letter wrong, left out, doubled or
swapped; every query is asked of a fresh memory of words first and again when it is warm. Seeded.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np

from stream.certificate import Sex
from stream.coder import expressions
from stream.desk.console.hits import Person
from stream.desk.console.search import Search
from stream.nomenclature import icd10

SOUGHT = Path(__file__).resolve().parent.parent / "tests" / "desk" / "console" / "sought.tsv"
PERSON = Person(frozenset({"male"}), Sex.M, 28_000.0)
LETTERS = "abcdefghijklmnopqrstuvwxyzéèçô"


def spoiled(words: str, chance: random.Random) -> str:
    """Words with one error of the hand."""
    at = chance.randrange(len(words))
    return chance.choice(
        (
            words[:at] + words[at + 1 :],
            words[:at] + chance.choice(LETTERS) + words[at + 1 :],
            words[:at] + words[at] + words[at:],
            words[:at] + words[at : at + 2][::-1] + words[at + 2 :],
        )
    )


def queries(chance: random.Random) -> list[str]:
    """What is typed, in the order of a day's work: as it comes."""
    typed = [row.split("\t")[0] for row in SOUGHT.read_text(encoding="utf-8").splitlines()[1:]]
    lexicon = [e.text for e in expressions.load()]
    labels = [icd10.load().label(code) for code in icd10.load()]
    typed += chance.sample(lexicon, 400) + chance.sample(labels, 200)
    found = []
    for words in typed:
        found += [words[:length] for length in range(1, len(words) + 1)]
        found += [spoiled(words, chance) for _ in range(5)]
    chance.shuffle(found)
    return found


def measured(search: Search, asked: list[str]) -> np.ndarray:
    """Milliseconds of each query."""
    took = []
    for query in asked:
        began = time.perf_counter()
        search.search(query, PERSON)
        took.append((time.perf_counter() - began) * 1000)
    return np.array(took)


def main() -> None:
    """Print the figures."""
    asked = queries(random.Random(7))
    began = time.perf_counter()
    search = Search(expressions.load(), icd10.load())
    search.search("insuf resp aig")
    print(
        f"index of {len(search):,} expressions and labels in {time.perf_counter() - began:.1f} s; {len(asked):,} queries"
    )
    for name in ("first time", "again"):
        took = measured(search, asked)
        p50, p99, worst = np.percentile(took, 50), np.percentile(took, 99), took.max()
        print(f"{name:>10}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {worst:.1f} ms, mean {took.mean():.1f} ms")


if __name__ == "__main__":
    main()
