"""How often the answers are right: rules alone, ranker alone, both; by chapter, by number of codes, by rule fired."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from stream.coding import Underlying
from stream.evaluation.score import Reliability
from stream.nomenclature.icd10 import chapter
from stream.underlying import Tables, consider, select
from stream.underlying.codes import bare
from stream.underlying.confidence import ALL, path, size
from stream.underlying.ranking import SILENT, Ranked, RankModel
from stream.underlying.request import Considered, RankRequest
from stream.underlying.together import Together
from training.calibrate import calibration_error
from training.underlying.certificates import Coded

_LEAST = 5
_BATCH = 512
BINS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.01)


def confidence_rows(tables: Tables, items: Sequence[Coded]) -> list[str]:
    """Lines of `confidence.tsv`: certificates and right answers by path of rules and number of codes."""
    counts: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for item in items:
        answer = select(item.causes, tables)
        steps, group = path(answer.steps), size(item.size)
        for key in {(ALL, ALL), (ALL, group), (steps, ALL), (steps, group)}:
            counts[key][0] += 1
            counts[key][1] += answer.code == item.answer
    rows = [f"{steps}\t{group}\t{n}\t{right}" for (steps, group), (n, right) in sorted(counts.items()) if n >= _LEAST]
    return ["path\tcodes\tcertificates\tright", *rows]


@dataclass(frozen=True, slots=True)
class Judged:
    """A certificate as the rules and the ranker see it."""

    item: Coded
    considered: Considered
    ranked: Ranked

    @property
    def ranker(self) -> str:
        """The ranker's own answer, bare; the rules' where it was not asked."""
        return self.ranked.codes[0] if self.ranked.codes else bare(self.considered.cause.code or "")


async def _judge(items: Sequence[Coded], tables: Tables, ranker: RankModel) -> list[Judged]:
    considered = [consider(item.causes, tables) for item in items]
    asked = [c.request for c in considered if c.request]
    rankings: dict[RankRequest, Ranked] = {}
    for at in range(0, len(asked), _BATCH):
        some = asked[at : at + _BATCH]
        rankings.update(zip(some, await ranker.ask(some), strict=True))
    return [
        Judged(item, c, rankings[c.request] if c.request else SILENT) for item, c in zip(items, considered, strict=True)
    ]


def judge(items: Sequence[Coded], tables: Tables, ranker: RankModel) -> list[Judged]:
    """All certificates put to rules and ranker."""
    return asyncio.run(_judge(items, tables, ranker))


def reliability(judged: Sequence[Judged], together: Together, tables: Tables) -> Reliability:
    """What was said of the answers of both, and what was right."""
    both = [together(j.considered, j.ranked, tables) for j in judged]
    return Reliability(
        [c.confidence for c in both], [c.code == j.item.answer for c, j in zip(both, judged, strict=True)]
    )


def lines(judged: Sequence[Judged], together: Together, tables: Tables) -> Iterator[str]:
    """What a person wants to know, as text."""
    both = [together(j.considered, j.ranked, tables) for j in judged]
    answers = {
        "rules only": [bare(j.considered.cause.code or "") for j in judged],
        "ranker only": [j.ranker for j in judged],
        "both": [bare(cause.code or "") for cause in both],
    }
    right = [bare(j.item.answer) for j in judged]
    for name, found in answers.items():
        exact = np.mean([a == r for a, r in zip(found, right, strict=True)])
        three = np.mean([a[:3] == r[:3] for a, r in zip(found, right, strict=True)])
        yield f"{name:12} exact {exact:.4f}  three characters {three:.4f}  (n={len(judged)})"
    good = [a == r for a, r in zip(answers["both"], right, strict=True)]
    chances = [cause.confidence for cause in both]
    yield f"calibration error {calibration_error(chances, good):.4f}"
    for low, high in pairwise(BINS):
        inside = [(c, g) for c, g in zip(chances, good, strict=True) if low <= c < high]
        if inside:
            said, seen = (float(np.mean([pair[part] for pair in inside])) for part in (0, 1))
            yield f"  said {said:.3f}  right {seen:.3f}  n={len(inside)}"
    groups: dict[str, Callable[[Judged, Underlying], str]] = {
        "codes": lambda j, _: size(j.item.size),
        "rules": lambda j, _: path(j.considered.cause.steps),
        "method": lambda _, cause: cause.method.value,
        "chapter": lambda j, _: chapter(j.item.answer),
    }
    for name, key in groups.items():
        members: defaultdict[str, list[int]] = defaultdict(list)
        for place, (j, cause) in enumerate(zip(judged, both, strict=True)):
            members[key(j, cause)].append(place)
        for label, places in sorted(members.items(), key=lambda pair: -len(pair[1]))[:22]:
            shares = [np.mean([found[p] == right[p] for p in places]) for found in answers.values()]
            yield f"  {name} {label:24} n={len(places):5d}  " + "  ".join(f"{share:.3f}" for share in shares)
    wrong = Counter((found, r) for found, r in zip(answers["both"], right, strict=True) if found != r)
    for (said_code, wanted), n in wrong.most_common(12):
        yield f"  found {said_code} for {wanted}: {n}"
