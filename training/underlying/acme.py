"""`causal.tsv.gz` from the NCHS ACME decision table D: which condition may cause which.

Two editions are at hand: data year 2000 as released by NCHS, and a list of 2015 whose provenance is not stated.
`compare` tells how far they agree on the pairs that certificates ask for. The table is made of the edition of 2015: it
knows the codes made since 2000, and certificates of 2017 contradict it less.
"""

from __future__ import annotations

import gzip
import io
import itertools
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from stream.underlying.causal import Causal
from stream.underlying.codes import bare, joined
from training.underlying.certificates import Coded

Range = tuple[str, str, bool]
"""First cause, last cause, and whether a person was to look at the relation ("maybe")."""


def edition_2000(data: Path) -> Iterator[tuple[str, Range]]:
    """(effect, range of causes) of table D, data year 2000, released by NCHS (US government).

    Fixed columns: a sort key of ten characters (000001 for causal rows; 000000 holds other relations), the effect
    ("address") in five, then from column 20 the causes ("subaddress") as one code or as first and last, and an M
    where the relation is to be looked at by a person. A fifth character marks distinctions that ACME adds to
    ICD-10 (I5140: with arteriosclerosis); certificates coded in ICD-10 do not have them.
    """
    with zipfile.ZipFile(data / "acme" / "2ctd2000.zip") as folder, folder.open("ACMECAS.TXT") as raw:
        for line in io.TextIOWrapper(raw, encoding="ascii"):
            row = line.rstrip().ljust(40)
            effect, first, last = row[10:15].strip(), row[20:25].strip(), row[25:31].strip()
            if row.startswith("000001") and _in_icd(effect, first, last):
                yield effect, (first[:4], (last or first)[:4], row[31:].strip() == "M")


def edition_2015(data: Path) -> Iterator[tuple[str, Range]]:
    """The same of 2015: effect, first and last cause, M for maybe, and the number of a condition to look at."""
    with gzip.open(data / "acme" / "causal_2015.csv.gz", "rt", encoding="ascii") as rows:
        for row in rows:
            effect, first, last, maybe, _ = row.rstrip("\n").split(",")
            if _in_icd(effect, first, last):
                yield effect, (first[:4], (last or first)[:4], maybe == "M")


def _in_icd(effect: str, first: str, last: str) -> bool:
    return len(effect) <= 4 and (len(first) <= 4 or bool(last))


def merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Sorted ranges without overlaps; a certain relation swallows a doubtful one inside it."""
    joined: list[Range] = []
    for first, last, maybe in sorted(ranges):
        if joined and first <= joined[-1][1] + "~" and joined[-1][2] == maybe:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last), maybe)
        else:
            joined.append((first, last, maybe))
    return tuple(joined)


def table(rows: Iterable[tuple[str, Range]]) -> list[str]:
    """Lines of `causal.tsv`: the effects that have the same causes stand on one."""
    causes: defaultdict[str, list[Range]] = defaultdict(list)
    for effect, span in rows:
        causes[effect].append(span)
    effects: defaultdict[tuple[Range, ...], list[str]] = defaultdict(list)
    for effect in sorted(causes):
        effects[merged(causes[effect])].append(effect)
    lines = ["effects\tcauses"]
    for spans, codes in sorted(effects.items(), key=lambda item: item[1]):
        text = " ".join(first + ("" if first == last else f"-{last}") + "?" * maybe for first, last, maybe in spans)
        lines.append(" ".join(codes) + "\t" + text)
    return lines


def causal_of(rows: Iterable[tuple[str, Range]]) -> Causal:
    """An edition as it stands, without aliases or later verdicts."""
    spans: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for effect, (first, last, _) in rows:
        spans[effect].append((first, last + "~"))
    return Causal({effect: joined(pairs) for effect, pairs in spans.items()}, {})


def compare(data: Path, items: Sequence[Coded]) -> dict[str, int]:
    """How the editions agree on pairs (upper line, lower line) of certificates, by number of such pairs."""
    old_rows, new_rows = list(edition_2000(data)), list(edition_2015(data))
    old, new = causal_of(old_rows), causal_of(new_rows)
    known = {effect for effect, _ in old_rows}
    found: Counter[str] = Counter()
    for item in items:
        lines = [line for line in item.causes.part1 if line]
        for above, below in itertools.pairwise(lines):
            effect, cause = bare(above[0]), bare(below[0])
            if effect not in known or cause not in known:
                found["a code that 2000 does not have"] += 1
            else:
                found["alike" if old.can(cause, effect) == new.can(cause, effect) else "different"] += 1
    return dict(found)
