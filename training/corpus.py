"""Lines of certificates for training, with the span and codes of every entity; deterministic by seed.

Three kinds, mixed: *drawn* lines join expressions by the connectors of `phrases.yaml` in the proportions of real
certificates (`Drawn`); *replayed* lines are those of written certificates in another hand; *recast* ones keep the words
between their mentions and say other causes (`Replayed`). All are written by a noisy hand (`training.noise`).

Held-out parts measure what training lines never show: "expression" (phrases kept out, one a line), "combination" (pairs
of categories that never stand side by side) and "noise" (a hand whose faults are of other kinds).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

from stream.certificate import read_certificate
from stream.coder.context import conditions, context_string
from stream.coder.expressions import Expression
from stream.coder.settle import told_manner
from stream.text.normal import normalise
from training import noise
from training.pool import Pool, held_pair, kept_out, load_written, neighbours_held
from training.written import Written, WrittenLine

Part = Literal["train", "expression", "combination", "noise"]
REPLAYED, RECAST = 0.22, 0.28
"""Shares of replayed and recast lines, where there are written certificates."""


@dataclass(frozen=True, slots=True)
class Span:
    """An entity in a raw line: its place and its codes, main code first."""

    start: int
    end: int
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A raw line, the context it stands in, its entities in text order and the certificate's other lines."""

    text: str
    context: str
    spans: tuple[Span, ...]
    around: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """A line that someone wrote, where it stands: the certificate's conditions and its other lines, normalised."""

    line: WrittenLine
    holds: frozenset[str]
    around: str = ""


Pieces = list[tuple[str, Expression | None]]
"""A line in the making: words, with the expression they write or None."""


@cache
def phrases() -> dict[str, list[str]]:
    """The lists of `phrases.yaml`."""
    found: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("phrases.yaml").read_text(encoding="utf-8"))
    return found


class Corpus:
    """Generator of lines.

    Args:
        seed: the same seed gives the same lines.
        part: see above.
        certificates: written certificates to learn from; those of the package's `train` part by default.
        office: an office's own lines (`training.align`), replayed and recast as often as all the written ones.
    """

    def __init__(
        self,
        seed: int,
        part: Part = "train",
        certificates: Sequence[Written] | None = None,
        office: Sequence[Scene] = (),
    ) -> None:
        self._rng = random.Random(seed)
        self._part = part
        held = part == "expression"
        written = load_written() if certificates is None else certificates
        self._pool = Pool(self._rng, held=held, certificates=written)
        self._drawn = Drawn(self._pool, self._rng, part)
        self._replayed: Replayed | None = None
        if part == "train":
            shown = [s for s in office if self._shown(s.line)]
            groups = [group for group in (scenes(written), shown) if group]
            self._replayed = Replayed(groups, self._pool, self._rng) if groups else None

    @staticmethod
    def _shown(line: WrittenLine) -> bool:
        """Whether an office's line holds nothing that is held out."""
        said = (line.text[a:b].lower() for a, b, _ in line.mentions)
        return not _pair_held(line) and kept_out().isdisjoint(said)

    def __iter__(self) -> Iterator[Example]:
        while True:
            yield self.example()

    def example(self) -> Example:
        """One line."""
        if self._replayed:
            chance = self._rng.random()
            if chance < REPLAYED + RECAST:
                return self._replayed.example(recast=chance < RECAST)
        return self._drawn.example()


class Drawn:
    """Lines made of expressions alone."""

    def __init__(self, pool: Pool, rng: random.Random, part: Part) -> None:
        self._pool, self._rng, self._part, self._phrases = pool, rng, part, phrases()
        self._shared = self._heads(pool.flat)
        self._primaries = [e for e in pool.flat if "C00" <= e.codes[0][:3] <= "C76"]
        self._sites = [e for e in pool.flat if e.text.startswith("métastases ") and len(e.codes) == 1]

    def _heads(self, pool: Sequence[Expression]) -> dict[str, list[Expression]]:
        shared: dict[str, list[Expression]] = {}
        for expression in pool:
            for head in self._phrases["heads"]:
                tail = expression.text[len(head) :].lstrip()
                apart = expression.text[len(head) : len(head) + 1] == " " or head.endswith("'")
                short = tail and len(tail.split()) <= 3 and not expression.when
                if expression.text.startswith(head) and apart and short and tail.lower() not in kept_out():
                    shared.setdefault(head, []).append(expression)
                    break
        return {head: group for head, group in shared.items() if len(group) >= 4}

    def example(self) -> Example:
        """One line."""
        rng = self._rng
        habits = noise.hand(rng)
        level = rng.choices([0.0, 0.5, 1.0, 2.0], [30, 40, 22, 8])[0]
        if self._part == "expression":
            drawn = [self._pool.any()]
        elif self._part == "combination":
            drawn = self._pair()
        elif rng.random() < 0.025:
            return Example(noise.apply_hand(rng.choice(self._phrases["empty"]), habits), "", ())
        elif self._part == "train" and self._shared and rng.random() < 0.08:
            return self._list(habits, level) if rng.random() < 0.7 else self._spread(habits, level)
        else:
            drawn = [self._pool.draw()]
            for _ in range(self._pool.size() - 1):
                following = self._pool.draw(drawn[-1])
                if not held_pair(drawn[-1].codes[-1], following.codes[0]):
                    drawn.append(following)
        holds = self._conditions(drawn)
        pieces: Pieces = []
        if rng.random() < 0.06 and self._part != "expression":
            pieces.append((rng.choice(self._phrases["before"]), None))
        for number, expression in enumerate(drawn):
            if number:
                joint = rng.choices(["and", "cause", "effect"], [62, 25, 13])[0]
                pieces.append((rng.choice(self._phrases[joint]), None))
            pieces += self._entity(expression, level)
        return write(pieces, habits, context_string(frozenset(holds)))

    def _pair(self) -> list[Expression]:
        while True:
            one = self._pool.draw()
            for _ in range(200):
                other = self._pool.draw()
                if held_pair(one.codes[-1], other.codes[0]):
                    return [one, other]

    def _entity(self, expression: Expression, level: float) -> Pieces:
        rng, words = self._rng, self._phrases
        if self._part == "noise":
            return [(noise.strange(expression.text, rng), expression)]
        pieces: Pieces = [(noise.entity(expression.text, rng, level), expression)]
        chance = rng.random()
        if self._part == "expression":
            return pieces
        if chance < 0.03:
            pieces.insert(0, (rng.choice(words["doubt_before"]), None))
        elif chance < 0.06:
            pieces.append((rng.choice(words["doubt_after"]), None))
        elif chance < 0.075:
            pieces.insert(0, (rng.choice(words["history"]), None))
        elif chance < 0.16:
            pieces.append((rng.choice(words["after"]), None))
        elif chance < 0.175:
            denied = noise.entity(self._pool.draw().text, rng, level)
            pieces.insert(0, (rng.choice(words["negated"]) + denied + ", ", None))
        elif chance < 0.19:
            pieces.append((rng.choice([" (", ", "]) + rng.choice(words["empty"]) + ")", None))
        return pieces

    def _list(self, habits: noise.Hand, level: float) -> Example:
        """Two to four expressions of one head, which stands once."""
        rng = self._rng
        head = rng.choice(list(self._shared))
        drawn = rng.sample(self._shared[head], min(len(self._shared[head]), rng.choice([2, 2, 3, 4])))
        while neighbours_held([e.codes for e in drawn]):
            drawn.pop()
        pieces: Pieces = []
        for number, expression in enumerate(drawn):
            text = expression.text
            if number:
                pieces.append((" et " if number == len(drawn) - 1 else rng.choice([", ", ", ", " et ", " + "]), None))
                text = text[len(head) :].lstrip()
                if head.endswith(("du", "de la", "de l'")) and rng.random() < 0.6:
                    text = head.split(" ", 1)[1] + ("" if head.endswith("'") else " ") + text
            pieces.append((noise.entity(text, rng, level), expression))
        return write(pieces, habits, "")

    def _spread(self, habits: noise.Hand, level: float) -> Example:
        """A cancer and the organs it has spread to, named as organs: "cancer du sein métastatique (os, foie)"."""
        rng = self._rng
        primary = rng.choice(self._primaries)
        sites = rng.sample(self._sites, rng.choice([1, 2, 2, 3]))
        while neighbours_held([primary.codes, *(e.codes for e in sites)]):
            sites.pop()
        pieces: Pieces = [(noise.entity(primary.text, rng, level), primary)]
        if "méta" not in primary.text:
            told = [" métastatique", " métastasé", " multimétastatique", " M+", " au stade métastatique"]
            pieces.append((rng.choice(told), None))
        opened = rng.choice([" ", " (", " : ", " au niveau ", ", "])
        pieces.append((opened, None))
        for number, site in enumerate(sites):
            if number:
                pieces.append((rng.choice([", ", " et ", " + "]), None))
            pieces.append((noise.entity(site.text.removeprefix("métastases "), rng, level), site))
        if opened == " (":
            pieces.append((")", None))
        return write(pieces, habits, "")

    def _conditions(self, drawn: Sequence[Expression]) -> set[str]:
        """A context in which every drawn expression means what it says."""
        rng = self._rng
        holds = {e.when for e in drawn if e.when}
        if rng.random() < 0.8 and not holds & {"male", "female", "pregnancy"}:
            holds.add(rng.choice(["female", "male"]))
        if not holds & {"suicide", "homicide", "accident", "undetermined", "care"} and rng.random() < 0.1:
            category = drawn[0].codes[0][0]
            if category in "STVWXY":
                holds.add("accident" if category in "VW" else rng.choice(["accident", ""]))
        if any(e.codes[0].startswith(("P", "Q")) for e in drawn) and rng.random() < 0.7:
            holds.add("newborn")
        return holds - {""}


def _pair_held(line: WrittenLine) -> bool:
    return neighbours_held([codes for _, _, codes in line.mentions])


def scenes(certificates: Sequence[Written]) -> tuple[Scene, ...]:
    """Lines of written certificates, without those that hold a held-out pair."""
    found = []
    for certificate in certificates:
        texts = [normalise(line.text).text for line in certificate.lines]
        holds = told_manner(texts, conditions(read_certificate(certificate.record())))
        for number, line in enumerate(certificate.lines):
            if not _pair_held(line):
                found.append(Scene(line, holds, " ".join(text for i, text in enumerate(texts) if i != number)))
    return tuple(found)


class Replayed:
    """Lines that someone wrote, in another hand or with other causes.

    Args:
        groups: lines to draw from, each group as often as another.
        pool: other causes.
        rng: where chance comes from.
    """

    def __init__(self, groups: Sequence[Sequence[Scene]], pool: Pool, rng: random.Random) -> None:
        self._groups, self._pool, self._rng = groups, pool, rng

    def example(self, *, recast: bool) -> Example:
        """One line, with other causes where `recast`."""
        rng = self._rng
        scene = rng.choice(rng.choice(self._groups))
        line, holds = scene.line, scene.holds
        capitals = line.text.isupper()
        habits: noise.Hand = ("upper" if capitals else "asis", False) if rng.random() < 0.4 else noise.hand(rng)
        level = rng.choices([0.0, 0.5, 1.0], [50, 35, 15])[0]
        pieces: Pieces = []
        at, before = 0, ""
        for start, end, codes in line.mentions:
            if start > at:
                pieces.append((line.text[at:start], None))
            expression = Expression(line.text[start:end], codes)
            if recast and rng.random() < 0.75:
                other = self._pool.like(codes[0])
                if other.when in ("", *holds) and not (before and held_pair(before, other.codes[0])):
                    expression = other
            before = expression.codes[-1]
            pieces.append((noise.entity(expression.text, rng, level), expression))
            at = end
        if at < len(line.text):
            pieces.append((line.text[at:], None))
        if neighbours_held([e.codes for _, e in pieces if e]):
            return self.example(recast=recast)
        # Another certificate's lines say nothing of recast causes.
        return write(pieces, habits, context_string(holds), "" if recast else scene.around)


def write(pieces: Pieces, habits: noise.Hand, context: str, around: str = "") -> Example:
    """A line of its pieces, in a hand."""
    text = ""
    spans: list[Span] = []
    for piece, expression in pieces:
        made = noise.apply_hand(piece, habits)
        if expression is not None:
            spans.append(Span(len(text), len(text) + len(made), expression.codes))
        text += made
    if habits[0] == "first" and text:
        text = text[0].upper() + text[1:]
    return Example(text, context, tuple(spans), around)
