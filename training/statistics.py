"""Aggregate statistics of real certificates: how often each code is mentioned, how many stand on a line, which
follow one another.

``python -m training.statistics CERTIFICATES.tsv.gz`` counts them from a file of coded certificates (columns line1…,
part2; codes without dot, separated by blanks) and writes `training/mentions.tsv`. Only counts are kept, no rows; a
pair of codes seen fewer than `LEAST` times is dropped.
"""

from __future__ import annotations

import collections
import csv
import gzip
import sys
from pathlib import Path

from stream.nomenclature import icd10

MENTIONS = Path(__file__).with_name("mentions.tsv")
LEAST = 4

Counts = tuple[collections.Counter[str], collections.Counter[int], collections.Counter[tuple[str, str]]]


def count(path: Path) -> Counts:
    """Mentions of each code as Causa writes it, numbers of codes on a line, and pairs that follow one another.

    A pair follows on a line, or from the end of a line to the beginning of the next: physicians write both "A sur B"
    and A above B.
    """
    nomenclature = icd10.load()
    mentions: collections.Counter[str] = collections.Counter()
    sizes: collections.Counter[int] = collections.Counter()
    pairs: collections.Counter[tuple[str, str]] = collections.Counter()
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            before = ""
            for column, cell in row.items():
                if column.startswith(("line", "part2")) and cell:
                    codes = [code for raw in cell.split() if (code := nomenclature.written(raw))]
                    mentions.update(codes)
                    sizes[len(codes)] += 1
                    before = "" if column == "part2" else before
                    for code in codes:
                        if before and before != code:
                            pairs[before, code] += 1
                        before = code
    return mentions, sizes, pairs


def read() -> tuple[dict[str, int], dict[int, int], dict[str, dict[str, int]]]:
    """The committed counts: mentions by code, lines by number of codes, and followers of each code."""
    mentions: dict[str, int] = {}
    sizes: dict[int, int] = {}
    followers: dict[str, dict[str, int]] = {}
    for row in MENTIONS.read_text(encoding="utf-8").splitlines()[1:]:
        kind, key, number = row.split("\t")
        if kind == "code":
            mentions[key] = int(number)
        elif kind == "line_size":
            sizes[int(key)] = int(number)
        else:
            first, second = key.split(" ")
            followers.setdefault(first, {})[second] = int(number)
    return mentions, sizes, followers


def main() -> None:
    """Count and write."""
    mentions, sizes, pairs = count(Path(sys.argv[1]))
    rows = ["kind\tkey\tcount"]
    rows += [f"line_size\t{k}\t{n}" for k, n in sorted(sizes.items()) if k]
    rows += [f"code\t{code}\t{n}" for code, n in sorted(mentions.items())]
    rows += [f"pair\t{a} {b}\t{n}" for (a, b), n in sorted(pairs.items()) if n >= LEAST]
    MENTIONS.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
