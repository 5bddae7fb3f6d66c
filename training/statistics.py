"""Aggregate statistics of real certificates: how often each code is mentioned, how many stand on a line.

``python -m training.statistics CERTIFICATES.tsv.gz`` counts them from a file of coded certificates (columns line1…,
part2; codes without dot, separated by blanks) and writes `training/mentions.tsv`. Only counts are kept, no rows.
"""

from __future__ import annotations

import collections
import csv
import gzip
import sys
from pathlib import Path

from stream.nomenclature import icd10

MENTIONS = Path(__file__).with_name("mentions.tsv")


def count(path: Path) -> tuple[collections.Counter[str], collections.Counter[int]]:
    """Mentions of each code as Causa writes it, and number of codes on a line."""
    nomenclature = icd10.load()
    mentions: collections.Counter[str] = collections.Counter()
    sizes: collections.Counter[int] = collections.Counter()
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            for column, cell in row.items():
                if column.startswith(("line", "part2")) and cell:
                    codes = [code for raw in cell.split() if (code := nomenclature.written(raw))]
                    mentions.update(codes)
                    sizes[len(codes)] += 1
    return mentions, sizes


def read() -> tuple[dict[str, int], dict[int, int]]:
    """The committed counts: mentions by code, and lines by number of codes."""
    mentions: dict[str, int] = {}
    sizes: dict[int, int] = {}
    for row in MENTIONS.read_text(encoding="utf-8").splitlines()[1:]:
        kind, key, number = row.split("\t")
        if kind == "code":
            mentions[key] = int(number)
        else:
            sizes[int(key)] = int(number)
    return mentions, sizes


def main() -> None:
    """Count and write."""
    mentions, sizes = count(Path(sys.argv[1]))
    rows = ["kind\tkey\tcount"]
    rows += [f"line_size\t{k}\t{n}" for k, n in sorted(sizes.items()) if k]
    rows += [f"code\t{code}\t{n}" for code, n in sorted(mentions.items())]
    MENTIONS.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
