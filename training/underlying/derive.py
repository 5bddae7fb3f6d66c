"""What train certificates prove against the rules: verdicts on the causal relation, modifications.

Rows of the certificates are never written out: only relations between codes, with how many certificates speak for
and against each. To see what the rules are worth on certificates that proved nothing, `learned` also works on a part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stream.underlying import Tables
from stream.underlying.causal import Causal
from stream.underlying.codes import bare
from stream.underlying.linkages import Linkages, read_linkages
from stream.underlying.selection import select, tentative
from stream.underlying.sequence import Mention
from training.underlying.certificates import Coded

#: A modification is derived from at least so many certificates. A verdict on the relation may rest on one: the official
#: answer follows from a table like ours, so that one certificate shows a row of it.
MIN_SUPPORT = 2
_ROUNDS = 2
_FIVE_TO_ONE = 5


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


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the causes of a category are accepted for an effect, and who says so."""

    accepted: bool
    source: str


Verdicts = Mapping[tuple[str, str], Verdict]
"""By effect and category of the cause."""


def without_learned(tables: Tables) -> Tables:
    """The tables with what was written by hand and the official relation alone."""
    return replace(tables, derived=Linkages(()), causal=tables.causal.with_overrides({}))


def learned(tables: Tables, items: Sequence[Coded]) -> Tables:
    """The tables with what these certificates prove in the place of what was learned before."""
    causal = tables.causal.with_overrides({key: v.accepted for key, v in verdicts(tables, items).items()})
    tables = replace(tables, causal=causal)
    rows = [row.split("\t") for row in modifications(tables, items)]
    return replace(tables, derived=read_linkages(rows, "derived"))


def verdicts(tables: Tables, items: Sequence[Coded]) -> Verdicts:
    """Verdicts on (effect, category of the cause) that certificates contradict in the official relation.

    Each relation that a certificate asked for is turned round, and the answer made again: a turn that makes more
    right than wrong, five to one, is kept. Two rounds, as one turn may uncover another.
    """
    tables = without_learned(tables)
    found: dict[tuple[str, str], Verdict] = {}
    for _ in range(_ROUNDS):
        causal = Flipped(tables.causal.with_overrides({key: v.accepted for key, v in found.items()}))
        gained, lost = _turn_each(items, replace(tables, causal=causal), causal)
        for (effect, cause, verdict), gain in gained.items():
            against = lost[effect, cause, verdict]
            if against * _FIVE_TO_ONE <= gain:
                found[effect, cause] = Verdict(not verdict, f"derived n={gain} against={against}")
    return found


def _turn_each(
    items: Sequence[Coded], tables: Tables, causal: Flipped
) -> tuple[Counter[tuple[str, str, bool]], Counter[tuple[str, str, bool]]]:
    """Certificates that become right, and wrong, when a verdict on (effect, category of cause) is turned round."""
    gained: Counter[tuple[str, str, bool]] = Counter()
    lost: Counter[tuple[str, str, bool]] = Counter()
    for item in items:
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


def override_rows(found: Verdicts) -> list[str]:
    """Lines of `overrides.tsv`."""
    rows = [f"{effect}\t{cause}\t{'yes' if v.accepted else 'no'}\t{v.source}" for (effect, cause), v in found.items()]
    return ["effect\tcause\tverdict\tsource", *sorted(rows)]


def modifications(tables: Tables, items: Sequence[Coded]) -> list[str]:
    """Rows of `derived.tsv`: modifications of the rules' answer in the presence of a mention.

    A row needs `MIN_SUPPORT` certificates in which it gives the official cause, and six times as many of them as
    certificates in which the rules' own answer was right. The narrowest sets come first.
    """
    tables = replace(tables, derived=Linkages(()))
    right: Counter[tuple[str, str, str, str]] = Counter()
    kept: Counter[tuple[str, str, str]] = Counter()
    for item in items:
        found, everything = tentative(item.causes, tables)
        if found is None:
            continue
        answer = bare(item.answer)
        for place, code in sorted(_witnesses(found, everything)):
            if found.code == answer:
                kept[found.code, place, code] += 1
            else:
                right[found.code, place, code, "=" if code == answer else answer] += 1
    told: Counter[tuple[str, str, str]] = Counter()
    for (selected, place, code, _), n in right.items():
        told[selected, place, code] += n
    rows = []
    for (selected, place, code, result), n in right.items():
        against = kept[selected, place, code]
        others = told[selected, place, code] - n
        if n >= MIN_SUPPORT and n >= 6 * (against + others):
            rows.append((selected, -len(code), -n, place, code, result, against + others))
    # Of rows that say the same of one category, the best supported stays, the plainest among equals.
    best: dict[tuple[str, str, str], tuple[str, int, int, str, str, str, int]] = {}
    for row in sorted(rows, key=lambda row: (row[2], row[6], row[3] != "", row[1])):
        best.setdefault((row[0], row[4][:3], row[4] if row[5] == "=" else row[5]), row)
    lines = []
    for selected, _, n, place, code, result, against in sorted(best.values()):
        step = "M2" if result[:3] == selected[:3] else "M1"
        lines.append(f"{step}\t{selected}\t{f'{place} {code}'.strip()}\t{result}\tderived n={-n} against={against}")
    return lines


def modification_rows(found: Sequence[str]) -> list[str]:
    """Lines of `derived.tsv`."""
    return ["step\tselected\twith\tresult\tsource", *found]


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
