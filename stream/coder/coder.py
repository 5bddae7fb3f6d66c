"""The two coders put together: one line's matches and tagged spans become its entities.

Rules' matches and model's spans that overlap form a group; in a group the side with the higher mean confidence
speaks, the other is kept as alternatives, and what both say alike is marked BOTH. Nothing the rules or the model say
is dropped without a trace: a negated entity, words that are no cause and unknown words are told as uncoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stream.coder.confidence import Confidence, Evidence
from stream.coder.model import Tagged
from stream.coder.rules import Kind, Match
from stream.coder.settle import absorbed, old_code
from stream.coder.stems import tokens
from stream.coding import Alternative, Assertion, CodedLine, Duration, Entity, Method, Uncoded, Why
from stream.nomenclature.icd10 import Nomenclature
from stream.text.interval import Span
from stream.text.noncauses import is_noncause
from stream.text.normal import NormalText
from stream.text.segment import Relation, Segment, assertion_at

KEPT_ALTERNATIVES = 3
LEAST_ALTERNATIVE = 0.02
SHORT = 4
"""Letters of words that are called short."""
_PLAIN = frozenset({Kind.WHOLE, Kind.BAG})
"""How an expression is found that makes up its segment."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One code of one side for a span of the normalised line."""

    start: int
    end: int
    code: str
    evidence: Evidence
    confidence: float
    source: str
    others: tuple[Alternative, ...] = ()

    @property
    def method(self) -> Method:
        """Who says so."""
        if self.evidence.kind is None:
            return Method.MODEL
        return Method.RULES if self.evidence.model is None else Method.BOTH

    def asserted(self, segments: Sequence[Segment]) -> Assertion:
        """How the line asserts it; what the lexicon says as a whole is not denied by a word of its own."""
        literal = self.evidence.kind not in (None, Kind.FUZZY)
        return assertion_at(segments, self.start, self.end, literal=literal)


class Coder:
    """Combines the two coders.

    Args:
        nomenclature: what codes exist; the model may not propose another.
        confidence: the fitted probability of a proposal.
        floor: a proposal below this probability is left uncoded: it would more often be wrong than right. An expression
            that makes up its segment stands whatever the model says, so that a new row of the lexicon holds at once.
    """

    def __init__(self, nomenclature: Nomenclature, confidence: Confidence, *, floor: float = 0.4) -> None:
        self._nomenclature = nomenclature
        self._confidence = confidence
        self._floor = floor

    def combine(
        self,
        line: NormalText,
        segments: Sequence[Segment],
        matches: Sequence[Match],
        tagged: Sequence[Tagged],
        interval: Duration | None,
        intervals: Sequence[Span],
        model: str,
    ) -> CodedLine:
        """The coded line.

        Args:
            line: the normalised line.
            segments: its segments.
            matches: what the rules found, in text order.
            tagged: what the model found, in text order.
            interval: parsed interval of the line.
            intervals: those written in the line itself.
            model: name and version that the model's codes are credited to.
        """
        # A span of blanks is nothing that was written.
        known = [t for t in tagged if self._nomenclature.valid(t.codes[0]) and line.text[t.start : t.end].strip()]
        chosen: list[Proposal] = []
        for some_matches, some_tagged in _groups(matches, known):
            chosen += self._group(some_matches, some_tagged, model)
        kept = (p for p in chosen if p.evidence.kind in _PLAIN or p.confidence >= self._floor)
        chosen = sorted(kept, key=lambda p: p.start)
        chosen = _settled(chosen, line, segments, interval, intervals)
        entities: list[Entity] = []
        spans: list[tuple[int, int]] = []
        uncoded: list[Uncoded] = []
        hidden: list[tuple[int, int]] = []
        for p in chosen:
            assertion = p.asserted(segments)
            start, end = line.raw_span(p.start, p.end)
            if assertion is Assertion.NEGATED:
                if (p.start, p.end) not in hidden:
                    hidden.append((p.start, p.end))
                    uncoded.append(Uncoded(start, end, Why.NEGATED))
                continue
            spans.append((p.start, p.end))
            entities.append(Entity(p.code, start, end, p.confidence, p.method, p.source, p.others, assertion))
        uncoded += _uncoded(line, [*spans, *hidden, *((start, end) for start, end, _ in intervals)])
        return CodedLine(
            _with_causes(entities, spans, segments), tuple(sorted(uncoded, key=lambda u: u.start)), interval
        )

    def candidates(self, matches: Sequence[Match], tagged: Sequence[Tagged], model: str) -> list[Proposal]:
        """Every proposal of either side, before one is chosen: what the confidence is fitted on."""
        found: list[Proposal] = []
        for some_matches, some_tagged in _groups(matches, [t for t in tagged if self._nomenclature.valid(t.codes[0])]):
            rules, machine = self._sides(some_matches, some_tagged, model)
            found += rules + [p for p in machine if p.evidence.kind is None]
        return found

    def _sides(
        self, matches: Sequence[Match], tagged: Sequence[Tagged], model: str
    ) -> tuple[list[Proposal], list[Proposal]]:
        says = {t.codes[0]: t.probs[0] for t in tagged}
        found = {code: m for m in matches for code in m.codes}
        against_rules = max((p for code, p in says.items() if code not in found), default=0.0)
        against_model = 0.0
        if any(code not in says for code in found):
            against_model = 1.0 if any(m.kind is Kind.WHOLE for m in matches) else 0.5
        others = tuple(
            Alternative(c, p)
            for t in tagged
            for c, p in zip(t.codes[1:], t.probs[1:], strict=True)
            if p >= LEAST_ALTERNATIVE and self._nomenclature.valid(c)
        )
        beside = {t.codes[0]: max(t.probs[1:], default=0.0) for t in tagged}

        def matched(m: Match, code: str, agreed: float | None) -> Proposal:
            evidence = Evidence(
                m.kind, m.size, m.coverage, agreed, against_rules if agreed is None else 0.0, outer=_outer(code),
                short=m.end - m.start <= SHORT, runner=beside.get(code, 0.0), second=code != m.codes[0],
            )  # fmt: skip
            return self._proposal(m.start, m.end, code, evidence, m.source, others)

        rules = [matched(m, code, says.get(code)) for m in matches for code in m.codes]
        machine = []
        spans: set[tuple[int, int]] = set()
        for t in tagged:
            code = t.codes[0]
            match = found.get(code)
            second = (t.start, t.end) in spans
            spans.add((t.start, t.end))
            if match is not None:
                machine.append(matched(match, code, t.probs[0]))
            else:
                evidence = Evidence(
                    None, model=t.probs[0], rival=against_model, care=_care(code), outer=_outer(code),
                    short=t.end - t.start <= SHORT, runner=beside[code], second=second,
                )  # fmt: skip
                machine.append(self._proposal(t.start, t.end, code, evidence, model, others))
        return rules, machine

    def _proposal(
        self, start: int, end: int, code: str, evidence: Evidence, source: str, others: tuple[Alternative, ...]
    ) -> Proposal:
        kept = tuple(a for a in others if a.code != code)[:KEPT_ALTERNATIVES]
        return Proposal(start, end, code, evidence, self._confidence(evidence), source, kept)

    def _group(self, matches: Sequence[Match], tagged: Sequence[Tagged], model: str) -> list[Proposal]:
        rules, machine = self._sides(matches, tagged, model)
        if not rules or not machine:
            return rules or machine
        if {p.code for p in rules} == {p.code for p in machine}:
            return rules
        winner, loser = (rules, machine) if _mean(rules) >= _mean(machine) else (machine, rules)
        unsaid = [p for p in loser if p.code not in {w.code for w in winner}]
        # What the other side says of words of their own is not contradicted ("OAP sur HTA", of which one saw the OAP).
        apart = [p for p in unsaid if all(p.end <= w.start or w.end <= p.start for w in winner)]
        lost = [Alternative(p.code, p.confidence) for p in unsaid if p not in apart]
        return [
            Proposal(p.start, p.end, p.code, p.evidence, p.confidence, p.source,
                     tuple([*lost, *(a for a in p.others if a.code not in {x.code for x in lost})][:KEPT_ALTERNATIVES]))
            for p in winner
        ] + apart  # fmt: skip


def _settled(
    chosen: Sequence[Proposal],
    line: NormalText,
    segments: Sequence[Segment],
    interval: Duration | None,
    intervals: Sequence[Span],
) -> list[Proposal]:
    """Proposals of a line seen together: old diseases, codes that another already says, codes said twice."""
    dated = [(start, found) for start, _, found in intervals if found is not None]
    aged: list[Proposal] = []
    for number, p in enumerate(chosen):
        following = min((q.start for q in chosen[number + 1 :] if q.start >= p.end), default=len(line.text) + 1)
        near = next((found for start, found in dated if p.start <= start < following), None)
        near = near or (interval if len({q.start for q in chosen}) == 1 else None)
        history = p.asserted(segments) is Assertion.HISTORY
        code = old_code(p.code, history, near.days if near else None)
        if code:
            others = tuple(a for a in p.others if a.code != code)
            aged.append(p if code == p.code else replace(p, code=code, others=others))
    kept: list[Proposal] = []
    for segment in segments:
        inside = [p for p in aged if segment.start <= p.start < segment.end]
        gone = absorbed([p.code for p in inside])
        kept += [p for i, p in enumerate(inside) if i not in gone]
    kept += [p for p in aged if not any(s.start <= p.start < s.end for s in segments)]
    gone = absorbed([p.code for p in kept], "line")
    kept = [p for i, p in enumerate(kept) if i not in gone]
    # What is denied in one place may be affirmed in another ("pas d'embolie en 2019, embolie massive ce jour").
    denied = {id(p): p.asserted(segments) is Assertion.NEGATED for p in kept}
    best: dict[tuple[str, bool], Proposal] = {}
    for p in kept:
        key = p.code, denied[id(p)]
        if key not in best or p.confidence > best[key].confidence:
            best[key] = p
    chosen_ids = {id(p) for p in best.values()}
    return [p for p in aged if id(p) in chosen_ids]


def _care(code: str) -> bool:
    """Whether a code is a complication or an adverse effect of care (WHO ICD-10, T80-T88, Y40-Y84 and their kin)."""
    return "Y40" <= code[:3] <= "Y84" or "T80" <= code[:3] <= "T88" or code[:3] in ("T66", "J95") or code == "D68.3"


def _outer(code: str) -> bool:
    """Whether a code is an injury or an external cause."""
    return code[0] in "STVWXY"


def _mean(side: Sequence[Proposal]) -> float:
    return sum(p.confidence for p in side) / len(side)


def _groups(matches: Sequence[Match], tagged: Sequence[Tagged]) -> list[tuple[list[Match], list[Tagged]]]:
    """Matches and spans that overlap, directly or by way of others, in text order."""
    pieces: list[tuple[int, int, Match | Tagged]] = [(m.start, m.end, m) for m in matches]
    pieces += [(t.start, t.end, t) for t in tagged]
    pieces.sort(key=lambda piece: (piece[0], piece[1]))
    groups: list[tuple[list[Match], list[Tagged]]] = []
    reach = -1
    for start, end, piece in pieces:
        if start >= reach:
            groups.append(([], []))
        reach = max(reach, end)
        if isinstance(piece, Match):
            groups[-1][0].append(piece)
        else:
            groups[-1][1].append(piece)
    return groups


def _with_causes(
    entities: Sequence[Entity], spans: Sequence[tuple[int, int]], segments: Sequence[Segment]
) -> tuple[Entity, ...]:
    """Entities with `due_to` filled in where a connector says which caused which."""
    at = [next((i for i, s in enumerate(segments) if s.start <= a < s.end), -1) for a, _ in spans]
    causes: dict[int, int] = {}
    for number, segment in enumerate(segments):
        here = [k for k, s in enumerate(at) if s == number]
        before = [k for k, s in enumerate(at) if s < number]
        if not here or not before:
            continue
        if segment.relation is Relation.DUE_TO:
            causes.setdefault(before[-1], here[0])
        elif segment.relation is Relation.LEADS_TO:
            causes.setdefault(here[0], before[-1])
    return tuple(replace(e, due_to=causes[k]) if k in causes else e for k, e in enumerate(entities))


def _uncoded(line: NormalText, covered: Sequence[tuple[int, int]]) -> list[Uncoded]:
    """Stretches of words that nothing covers: no cause, or unknown."""
    stretch: list[tuple[int, int, str]] = []
    found: list[Uncoded] = []

    def close() -> None:
        words = [w for _, _, w in stretch]
        if any(w[0].isalpha() and len(w) > 1 for w in words):
            start, end = line.raw_span(stretch[0][0], stretch[-1][1])
            found.append(Uncoded(start, end, Why.NOT_A_CAUSE if is_noncause(words) else Why.UNKNOWN_WORDS))
        stretch.clear()

    for token in tokens(line.text):
        if any(token.start < end and token.end > start for start, end in covered):
            close()
        elif token.text[0].isalnum():
            stretch.append((token.start, token.end, token.text))
    close()
    return found
