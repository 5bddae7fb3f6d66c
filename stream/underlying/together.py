"""Rules and ranker together: one underlying cause, with the probability that it is right.

Each side puts up a code. A logistic function, fitted on certificates kept apart (`training.underlying`, weights in
`together.json`), gives each the probability that it is right from what both sides say of it; the likelier one speaks, the
other is kept as an alternative. Whichever speaks, the steps tell how the rules come to its code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from stream.coder.confidence import logistic, logit, read_weights
from stream.coding import Alternative, Method, Underlying
from stream.nomenclature import icd10
from stream.underlying.case import Trail
from stream.underlying.codes import bare
from stream.underlying.confidence import path
from stream.underlying.faults import asterisks
from stream.underlying.ranking import Ranked
from stream.underlying.request import Considered
from stream.underlying.selection import as_stated, outcome
from stream.underlying.sequence import Mention
from stream.underlying.tables import Tables

WEIGHTS = Path(__file__).with_name("together.json")
_ALTERNATIVES = 3


def features(considered: Considered, ranked: Ranked, code: str) -> dict[str, float]:
    """Named features of a bare code that one side or both put up."""
    rules = considered.selected == code
    first = bool(ranked.codes) and ranked.codes[0] == code
    said = logit(ranked.of(code))
    return {
        "one": 1.0,
        "both": float(rules and first),
        "rules": float(rules and not first),
        "ranker": said,
        "ranker when both": said * (rules and first),
        "text": float(considered.from_text),
        "text, rules": float(considered.from_text and rules and not first),
        "rules' own": logit(considered.cause.confidence) if rules else 0.0,
    }


class Together:
    """The fitted function: weight of each feature; an absent one is 0."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = dict(weights)
        told = json.dumps(self._weights, sort_keys=True).encode()
        self.version = "tog-" + hashlib.blake2b(told, digest_size=4).hexdigest()

    def of(self, found: Mapping[str, float]) -> float:
        """Probability of named features."""
        return logistic(self._weights, found)

    def __call__(self, considered: Considered, ranked: Ranked, tables: Tables) -> Underlying:
        """The underlying cause; the rules' own where the ranker says nothing."""
        cause = considered.cause
        if not ranked.codes or cause.code is None:
            return cause
        ranked = stated(considered, ranked, tables)
        own, best = considered.selected, ranked.codes[0]
        if own == best:
            chance = self.of(features(considered, ranked, own))
            others = _alternatives(considered, ranked, own)
            return replace(cause, confidence=chance, method=Method.BOTH, alternatives=others)
        by_rules, by_ranker = (self.of(features(considered, ranked, code)) for code in (own, best))
        if best in asterisks():
            by_ranker = 0.0
        written = written_code(considered, best)
        if by_rules >= by_ranker:
            others = (Alternative(written, by_ranker), *_alternatives(considered, ranked, own, best))
            told = (*cause.steps, f"ranker: {written} is not followed, {ranked.probs[0]:.2f}")
            return replace(cause, confidence=by_rules, alternatives=others[:_ALTERNATIVES], steps=told)
        others = (Alternative(cause.code, by_rules), *_alternatives(considered, ranked, own, best))
        told = (
            *_path(considered, best, tables),
            f"ranker: {written} at {ranked.probs[0]:.2f}, not {cause.code} as by {_brief(cause)}",
        )
        return Underlying(written, by_ranker, Method.MODEL, others[:_ALTERNATIVES], told)


def stated(considered: Considered, ranked: Ranked, tables: Tables) -> Ranked:
    """The ranker's answers under what the boxes on pregnancy and manner and the intervals state, which it does not know."""
    case = considered.case
    if case.manner is None and case.pregnancy is None and all(m.days is None for m in case.everything):
        return ranked
    chances: dict[str, float] = {}
    for code, chance in zip(ranked.codes, ranked.probs, strict=True):
        here = next((m for m in case.everything if m.code == code), None)
        mention = here or Mention(code, written_code(considered, code), -1)
        made = as_stated(mention, case, tables, Trail()).code
        chances[made] = chances.get(made, 0.0) + chance
    best = sorted(chances.items(), key=lambda pair: -pair[1])
    return Ranked(tuple(code for code, _ in best), tuple(min(1.0, round(chance, 4)) for _, chance in best))


def written_code(considered: Considered, code: str) -> str:
    """A bare code as Causa writes it."""
    codes = considered.request.codes if considered.request else ()
    here = next((m.written for m in considered.case.everything if m.code == code), None)
    here = here or next((written for written in codes if bare(written) == code), None)
    return here or icd10.load().written(code) or icd10.dotted(code)


def _path(considered: Considered, code: str, tables: Tables) -> tuple[str, ...]:
    """How the rules come to a code from one of the certificate's conditions, the plainest way."""
    case = considered.case
    ways: list[tuple[str, ...]] = []
    for mention in case.everything:
        trail = Trail()
        if outcome(mention, case, tables, trail).code == code:
            ways.append((f"start: {mention.written} taken as the originating cause", *trail.steps))
    named = [(f"start: {m.written} taken for the underlying cause",) for m in case.everything if m.code == code]
    return min([*ways, *named], key=len, default=("start: a code that no rule makes here",))


def _brief(cause: Underlying) -> str:
    """The rules that fired: ``SP3 M1``."""
    return path(cause.steps)


def _alternatives(considered: Considered, ranked: Ranked, *but: str) -> tuple[Alternative, ...]:
    """What else the ranker thinks of."""
    pairs = zip(ranked.codes, ranked.probs, strict=True)
    found = [Alternative(written_code(considered, code), p) for code, p in pairs if code not in but and p > 0]
    return tuple(found[:_ALTERNATIVES])


@cache
def load(path: Path = WEIGHTS) -> Together:
    """The packaged weights.

    Raises:
        InvalidData: the file is not a mapping of numbers.
    """
    return Together(read_weights(path))
