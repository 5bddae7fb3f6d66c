"""Derives the tables of `stream/underlying/tables/` from the data folder.

::

    python -m training.underlying causal DATA      causal.tsv.gz from ACME table D (acme/2ctd2000.zip)
    python -m training.underlying overrides DATA   overrides.tsv: later verdicts on the relation, from certificates
    python -m training.underlying derived DATA     derived.tsv: modifications that certificates prove
    python -m training.underlying confidence DATA  confidence.tsv: how often each path of rules is right (dev)
    python -m training.underlying score DATA       accuracy on dev; with --test, on the untouched split
    python -m training.underlying all DATA         the four tables, in this order

The 80,000 certificates are split once and for all by the CRC-32 of the row number: 80 % train, 10 % dev, 10 % test.
Overrides and derived rows come from train alone; dev serves to choose and to calibrate; test is scored once.

Rows of the certificates are never written out: only counts and weights over at least `MIN_SUPPORT` certificates.
"""

from __future__ import annotations

import argparse
import gzip
import io
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stream.nomenclature import icd10
from stream.underlying import Causes, Tables, select
from stream.underlying.causal import Causal
from stream.underlying.codes import bare
from stream.underlying.confidence import ALL, path, size
from stream.underlying.linkages import Linkages
from stream.underlying.selection import tentative
from stream.underlying.sequence import Mention
from stream.underlying.tables import read_tables

TABLES = Path(__file__).parent.parent / "stream" / "underlying" / "tables"

Range = tuple[str, str, bool]

#: A row is derived from at least so many certificates.
MIN_SUPPORT = 3


@dataclass(frozen=True, slots=True)
class Coded:
    """One certificate as codes, with its official underlying cause."""

    causes: Causes
    answer: str


class Flipped(Causal):
    """A causal relation with one verdict turned round, that remembers what was asked."""

    def __init__(self, base: Causal) -> None:
        super().__init__({}, {})
        self._base = base
        self.turned: tuple[str, str] | None = None
        self.asked: set[tuple[str, str, bool]] = set()

    def can(self, cause: str, effect: str) -> bool:
        """The base's verdict, or its contrary for the pair that is turned."""
        verdict = self._base.can(cause, effect)
        if self.turned is None and cause != effect:
            self.asked.add((cause, effect, verdict))
        return not verdict if self.turned == (cause, effect) else verdict


def certificates(data: Path, split: str) -> list[Coded]:
    """The certificates of a split: train, dev or test."""
    lowest, highest = {"train": (0, 7), "dev": (8, 8), "test": (9, 9)}[split]
    written = icd10.load().written
    found = []
    with gzip.open(data / "us2017_certificates_train.tsv.gz", "rt", encoding="ascii") as rows:
        next(rows)
        for number, row in enumerate(rows):
            if not lowest <= zlib.crc32(str(number).encode()) % 10 <= highest:
                continue
            sex, age, *lines, part2, answer = row.rstrip("\n").split("\t")
            codes = [tuple(written(code) or icd10.dotted(code) for code in line.split()) for line in (*lines, part2)]
            causes = Causes(tuple(codes[:-1]), codes[-1], sex, _age_days(int(age)))
            found.append(Coded(causes, written(answer) or icd10.dotted(answer)))
    return found


def _age_days(recode: int) -> float | None:
    """Middle of an age group of the NCHS 52-group recode."""
    if recode == 52:
        return None
    years = 12 + 5 * (recode - 28) if recode >= 28 else max(0, recode - 22)
    return years * 365.25


def acme_rows(archive: Path) -> Iterator[tuple[str, Range]]:
    """(effect, (first cause, last cause, maybe)) of table D, data year 2000, released by NCHS (US government).

    Fixed columns: a sort key of ten characters (000001 for causal rows; 000000 holds other relations), the effect
    ("address") in five, then from column 20 the causes ("subaddress") as one code or as first and last, and an M
    where the relation is to be looked at by a person. A fifth character marks distinctions that ACME adds to
    ICD-10 (I5140: with arteriosclerosis); certificates coded in ICD-10 do not have them.
    """
    with zipfile.ZipFile(archive) as folder, folder.open("ACMECAS.TXT") as raw:
        for line in io.TextIOWrapper(raw, encoding="ascii"):
            row = line.rstrip().ljust(40)
            effect, first, last = row[10:15].strip(), row[20:25].strip(), row[25:31].strip()
            if not row.startswith("000001") or len(effect) > 4 or (len(first) > 4 and not last):
                continue
            yield effect, (first[:4], (last or first)[:4], row[31:].strip() == "M")


def merged(ranges: list[Range]) -> tuple[Range, ...]:
    """Sorted ranges without overlaps; a certain relation swallows a doubtful one inside it."""
    joined: list[Range] = []
    for first, last, maybe in sorted(ranges):
        if joined and first <= joined[-1][1] + "~" and joined[-1][2] == maybe:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last), maybe)
        else:
            joined.append((first, last, maybe))
    return tuple(joined)


def write_causal(data: Path) -> None:
    """Table D, with the effects that have the same causes on one row."""
    causes: defaultdict[str, list[Range]] = defaultdict(list)
    for effect, span in acme_rows(data / "acme" / "2ctd2000.zip"):
        causes[effect].append(span)
    effects: defaultdict[tuple[Range, ...], list[str]] = defaultdict(list)
    for effect in sorted(causes):
        effects[merged(causes[effect])].append(effect)
    rows = ["effects\tcauses"]
    for spans, codes in sorted(effects.items(), key=lambda item: item[1]):
        text = " ".join(first + ("" if first == last else f"-{last}") + "?" * maybe for first, last, maybe in spans)
        rows.append(" ".join(codes) + "\t" + text)
    _write("causal.tsv.gz", rows)


def write_overrides(data: Path) -> None:
    """Verdicts on (effect, category of the cause) that certificates contradict in table D.

    Each relation that a certificate asked for is turned round, and the answer made again: a turn that makes more
    right than wrong, five to one, is kept. Two rounds, as one turn may uncover another.
    """
    train = certificates(data, "train")
    verdicts: dict[tuple[str, str], tuple[str, str]] = {}
    for _ in range(2):
        _write_verdicts(verdicts)
        tables = without_derived(read_tables())
        causal = Flipped(tables.causal)
        gained, lost = _turn_each(train, replace(tables, causal=causal), causal)
        for key, gain in gained.items():
            effect, cause, verdict = key
            if gain >= MIN_SUPPORT - 1 and lost[key] * 5 <= gain:
                verdicts[effect, cause] = ("no" if verdict else "yes", f"derived n={gain} against={lost[key]}")
    _write_verdicts(verdicts)


def _write_verdicts(verdicts: dict[tuple[str, str], tuple[str, str]]) -> None:
    rows = ["effect\tcause\tverdict\tsource"]
    rows += ["\t".join((*pair, *verdict)) for pair, verdict in sorted(verdicts.items())]
    _write("overrides.tsv", rows)


def _turn_each(
    train: Sequence[Coded], tables: Tables, causal: Flipped
) -> tuple[Counter[tuple[str, str, bool]], Counter[tuple[str, str, bool]]]:
    """Certificates that become right, and wrong, when a verdict on (effect, category of cause) is turned round."""
    gained: Counter[tuple[str, str, bool]] = Counter()
    lost: Counter[tuple[str, str, bool]] = Counter()
    for item in train:
        if sum(1 for line in item.causes.part1 if line) < 2:
            continue
        causal.turned, causal.asked = None, set()
        before = select(item.causes, tables).code
        for cause, effect, verdict in sorted(causal.asked):
            causal.turned = cause, effect
            after = select(item.causes, tables).code
            if after != before and item.answer in (before, after):
                (gained if after == item.answer else lost)[effect, cause[:3], verdict] += 1
    return gained, lost


def without_derived(tables: Tables) -> Tables:
    """The tables with hand-written modifications only."""
    return replace(tables, derived=Linkages(()))


def write_derived(data: Path) -> None:
    """Modifications of the rules' answer in the presence of a mention that train certificates prove.

    A row needs `MIN_SUPPORT` certificates in which it gives the official cause, and six times as many of them as
    certificates in which the rules' own answer was right. The narrowest sets come first.
    """
    train = certificates(data, "train")
    tables = without_derived(read_tables())
    right: Counter[tuple[str, str, str, str]] = Counter()
    kept: Counter[tuple[str, str, str]] = Counter()
    for item in train:
        found, everything = tentative(item.causes, tables)
        if found is None:
            continue
        answer = bare(item.answer)
        for place, code in sorted(_witnesses(found, everything)):
            if found.code == answer:
                kept[found.code, place, code] += 1
            else:
                result = "=" if code == answer else answer
                right[found.code, place, code, result] += 1
    rows = []
    for (selected, place, code, result), n in right.items():
        against = kept[selected, place, code]
        others = sum(right[selected, place, code, other] for other in _results(right, selected, place, code)) - n
        if n >= MIN_SUPPORT and n >= 6 * (against + others):
            rows.append((selected, -len(code), -n, place, code, result, against + others))
    lines = ["step\tselected\twith\tresult\tsource"]
    # Of rows that say the same of one category, the best supported stays, the plainest among equals.
    best: dict[tuple[str, str, str], tuple[str, int, int, str, str, str, int]] = {}
    for row in sorted(rows, key=lambda row: (row[2], row[6], row[3] != "", row[1])):
        best.setdefault((row[0], row[4][:3], row[4] if row[5] == "=" else row[5]), row)
    for selected, _, n, place, code, result, against in sorted(best.values()):
        step = "M2" if result[:3] == selected[:3] else "M1"
        lines.append(f"{step}\t{selected}\t{f'{place} {code}'.strip()}\t{result}\tderived n={-n} against={against}")
    _write("derived.tsv", lines)


def _results(right: Counter[tuple[str, str, str, str]], selected: str, place: str, code: str) -> list[str]:
    return [key[3] for key in right if key[:3] == (selected, place, code)]


def _witnesses(found: Mention, everything: Sequence[Mention]) -> set[tuple[str, str]]:
    """(place, code or category) of the mentions beside the tentative cause."""
    pairs: set[tuple[str, str]] = set()
    for mention in everything:
        if mention.code == found.code:
            continue
        above = 0 <= mention.line < found.line
        below = mention.line > found.line >= 0
        places = ["", "above" if above else "beside", *(["below"] if below else [])]
        pairs |= {(place, code) for place in places for code in {mention.code, mention.code[:3]}}
    return pairs


def write_confidence(data: Path) -> None:
    """Certificates and right answers of dev by path of rules and number of codes."""
    tables = read_tables()
    counts: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for item in certificates(data, "dev"):
        answer = select(item.causes, tables)
        steps, group = path(answer.steps), size(_number(item))
        for key in {(ALL, ALL), (ALL, group), (steps, ALL), (steps, group)}:
            counts[key][0] += 1
            counts[key][1] += answer.code == item.answer
    rows = [f"{steps}\t{group}\t{n}\t{right}" for (steps, group), (n, right) in sorted(counts.items()) if n >= 5]
    _write("confidence.tsv", ["path\tcodes\tcertificates\tright", *rows])


def _number(item: Coded) -> int:
    return sum(map(len, item.causes.part1)) + len(item.causes.part2)


def score(data: Path, split: str) -> None:
    """Accuracy on a split, by path of rules and by number of codes."""
    tables = read_tables()
    items = certificates(data, split)
    paths: defaultdict[str, list[bool]] = defaultdict(list)
    sizes: defaultdict[str, list[bool]] = defaultdict(list)
    right = three = 0
    loss = 0.0
    bins: defaultdict[int, list[tuple[float, bool]]] = defaultdict(list)
    for item in items:
        answer = select(item.causes, tables)
        good = answer.code == item.answer
        right += good
        three += (answer.code or "")[:3] == item.answer[:3]
        loss += (answer.confidence - good) ** 2
        bins[int(answer.confidence * 20)].append((answer.confidence, good))
        paths[path(answer.steps)].append(good)
        sizes[f"{size(_number(item))} codes"].append(good)
    shares = f"exact={right / len(items):.4f} three={three / len(items):.4f} brier={loss / len(items):.4f}"
    print(f"{split}: n={len(items)} {shares}")
    for name, groups in (("rules", paths), ("size", sizes)):
        for key, hits in sorted(groups.items(), key=lambda group: -len(group[1]))[:24]:
            print(f"  {name} {key:32s} {len(hits):6d} {sum(hits) / len(hits):.3f}")
    for _, pairs in sorted(bins.items()):
        said, seen = (sum(pair[part] for pair in pairs) / len(pairs) for part in (0, 1))
        print(f"  confidence {said:.3f} observed {seen:.3f} n={len(pairs)}")


def _write(name: str, rows: list[str]) -> None:
    """Text or gzip without a time stamp, so that the same data give the same bytes."""
    text = ("\n".join(rows) + "\n").encode()
    (TABLES / name).write_bytes(gzip.compress(text, 9, mtime=0) if name.endswith(".gz") else text)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("causal", "overrides", "derived", "confidence", "score", "all"))
    parser.add_argument("data", type=Path)
    parser.add_argument("--test", action="store_true", help="score on the split that nothing was chosen on")
    arguments = parser.parse_args()
    writers = {
        "causal": write_causal,
        "overrides": write_overrides,
        "derived": write_derived,
        "confidence": write_confidence,
    }
    if arguments.step == "score":
        score(arguments.data, "test" if arguments.test else "dev")
    for step, write in writers.items():
        if arguments.step in (step, "all"):
            write(arguments.data)


if __name__ == "__main__":
    main()
