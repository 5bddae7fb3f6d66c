"""Where in a coded line each code stands: what an office's own data does not tell and training wants to know.

Codes are given line by line, in text order. Candidates are what the rules find, what the served model sees and the
segments that neither does; codes are laid on them in order, each on the one likeliest to mean it, by dynamic
programming. A line in which a code finds no place is left out, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stream.coder.model import LineModel
from stream.errors import InputError
from stream.evaluation.gold import Gold
from stream.nomenclature import icd10
from stream.pipeline.core import Core
from stream.pipeline.reading import ReadLine
from stream.pipeline.record import Incoming
from training.corpus import Scene
from training.written import WrittenLine

_MOST = 2
"""Codes that the network can give to one place."""
_SAME, _CATEGORY, _CHAPTER, _ANY = 1.0, 0.3, 0.05, 0.01
"""How likely words that were coded otherwise mean a code: the same, of its category, of its chapter, of another."""


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a normalised line and what the coders made of it, with probabilities; nothing for an unknown one."""

    start: int
    end: int
    says: tuple[tuple[str, float], ...] = ()

    def chance(self, code: str) -> float:
        """How likely it means a code."""
        best = _ANY
        for said, probability in self.says:
            if said == code:
                best = max(best, _SAME * probability)
            elif said[:3] == code[:3]:
                best = max(best, _CATEGORY * probability)
            elif icd10.chapter(said) == icd10.chapter(code):
                best = max(best, _CHAPTER * probability)
        # Words that no coder knows may well be what the office's coder knew.
        return best if self.says else max(best, _CATEGORY)


def lay(codes: Sequence[str], places: Sequence[Place]) -> list[int] | None:
    """Place of each code: in order, several codes on one place only next to one another; None where there is no way.

    Maximises the product of chances; a second code on one place has to be worth twice a place of its own.
    """
    worst = -math.inf
    # best[k]: score and choice of the codes so far, the last of them on place k.
    best: list[tuple[float, list[int]]] = [(worst, []) for _ in places]
    for number, code in enumerate(codes):
        now: list[tuple[float, list[int]]] = []
        for k, place in enumerate(places):
            gain = math.log(place.chance(code))
            if number == 0:
                now.append((gain, [k]))
                continue
            options = [
                (score + gain + (math.log(0.5) if j == k else 0.0), [*path, k])
                for j, (score, path) in enumerate(best)
                if path and (j == k or places[j].end <= place.start)
            ]
            now.append(max(options, default=(worst, [])))
        best = now
    score, path = max(best, default=(worst, []))
    return path if path and score > worst else None


def places_of(line: ReadLine, matches: Sequence[tuple[int, int, str, float]]) -> list[Place]:
    """Places of a line, in order: where a coder said something (several codes of one span together), then bare segments."""
    said: dict[tuple[int, int], dict[str, float]] = {}
    for start, end, code, probability in matches:
        there = said.setdefault((start, end), {})
        there[code] = max(probability, there.get(code, 0.0))
    places = [Place(start, end, tuple(codes.items())) for (start, end), codes in said.items()]
    for segment in line.segments:
        if not any(p.start < segment.end and segment.start < p.end for p in places):
            places.append(Place(segment.start, segment.end))
    return sorted(places, key=lambda p: (p.start, p.end))


async def align(gold: Sequence[Gold], core: Core, model: LineModel) -> tuple[list[Scene], int]:
    """Lines of coded certificates with their mentions, and how many lines found no place for a code."""
    found: list[Scene] = []
    lost = 0
    for row in gold:
        try:
            prepared = core.prepare_certificate(row.readable(), Incoming(None))
        except InputError:
            lost += len(row.lines)
            continue
        answers = dict(zip(prepared.requests, await model.ask(prepared.requests), strict=True))
        texts = [line.normal.text for line in prepared.read.lines]
        for number, (codes, line) in enumerate(zip(row.lines, prepared.read.lines, strict=True)):
            proposals = core.proposals(prepared, line, answers.get(line.request, ()))
            said = [(p.start, p.end, p.code, max(p.confidence, 0.2)) for p in proposals]
            said += [(p.start, p.end, a.code, a.confidence) for p in proposals for a in p.others]
            places = places_of(line, said)
            laid = lay([icd10.load().written(c) or c for c in codes], places) if codes else []
            if laid is None:
                lost += 1
                continue
            grouped: dict[int, list[str]] = {}
            for code, k in zip(codes, laid, strict=True):
                grouped.setdefault(k, []).append(icd10.load().written(code) or code)
            if max(map(len, grouped.values()), default=0) > _MOST:
                lost += 1
                continue
            mentions = sorted(
                (*line.normal.raw_span(places[k].start, places[k].end), tuple(both)) for k, both in grouped.items()
            )
            around = " ".join(text for i, text in enumerate(texts) if i != number)
            found.append(Scene(WrittenLine(line.normal.raw, tuple(mentions)), prepared.read.conditions, around))
    return found, lost
