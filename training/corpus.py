"""Lines of certificates made from the lexicon, with the span and codes of every entity.

A line holds one to five entities in the proportions of real certificates, drawn by how often their codes are
mentioned, joined by the connectors that physicians use, with shared heads ("métastases hépatiques et pulmonaires"),
intervals, doubt, history, negation and words that are no cause, then written by a noisy hand (`training.noise`).
Deterministic by seed. A twentieth of the expressions is held out: no training line holds them.
"""

from __future__ import annotations

import itertools
import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stream.coder import expressions
from stream.coder.context import context_string
from stream.coder.expressions import Expression
from stream.nomenclature import icd10
from training import noise, statistics

HELD_OUT = 20
"""One expression in this many is held out, chosen by a hash of its words."""

_AND = [", ", ", ", " et ", " + ", " - ", " / ", " avec ", " ; ", " associé à ", "\n", ". ", " "]
_CAUSE = [
    " secondaire à ", " sur ", " suite à ", " dû à ", " due à ", " dans un contexte de ", " dans le cadre de ",
    " compliquant ", " sur terrain de ", " en rapport avec ", " post ", " par ", " d'origine ", " lié à ", " chez patient avec ",
    " au décours de ", " après ", " consécutif à ", " <- ", " secondaire ", " /", " imputable à ", " provoqué par ",
]  # fmt: skip
_EFFECT = [
    " -> ", " → ", " compliqué de ", " compliquée de ", " ayant entraîné ", " responsable de ", " avec évolution vers ",
    " à l'origine de ", " entraînant ", " puis ", " évoluant vers ", " = ", " avec ", " ayant conduit à ", " provoquant ",
]  # fmt: skip
_DOUBT_BEFORE = ["probable ", "suspicion de ", "suspicion d'", "possible ", "vraisemblable ", "probablement "]
_DOUBT_AFTER = [" probable", " ?", " (?)", " possible", " présumé", " suspecté", " non documenté"]
_HISTORY = ["ATCD de ", "ATCD ", "antécédent de ", "antécédents : ", "antécédents de ", "ATCDs : "]
_AFTER = [
    " connu", " connue", " récent", " récente", " majeur", " importante", " traité", " traitée", " suivi en ville", " droite",
    " gauche", " d'évolution rapide", " d'évolution défavorable", " non opéré", " récusé", " d'aggravation progressive",
    " évolutif", " évolutive", " depuis plusieurs années", " (2015)", " en 2019", " depuis 3 ans", " il y a 6 mois",
    " depuis 48h", " J5", " depuis 2012", " multitraité", " réfractaire", " en échec thérapeutique", " appareillé",
    " diagnostiqué en 2021", " bien équilibré", " non équilibré", " sous traitement", " (12/03/2023)", " depuis qq jours",
]  # fmt: skip
_BEFORE = [
    "décès par ", "décès dans un contexte de ", "mort par ", "patient présentant ", "tableau de ", "épisode de ", "apparition de ",
    "évolution d'", "évolution de ", "aggravation de ", "notion de ", "hospitalisé pour ", "prise en charge pour ",
    "1) ", "2- ", "- ", "a) ", "survenue de ", "récidive de ", "contexte de ", "patient porteur de ", "suite de ",
]  # fmt: skip
_EMPTY = [
    "décès constaté à domicile", "fin de vie", "soins palliatifs", "soins de confort", "décès", "mort", "néant", "RAS", "idem",
    "voir ci-dessus", "patient en EHPAD", "décédé dans son sommeil", "inconnu", "?", "limitation thérapeutique", "LATA",
    "décès attendu", "entourage présent", "constat de décès", "pas d'autre cause", "aucun", "non précisé", "patient âgé de 92 ans",
    "décès à domicile ce jour", "prise en charge palliative", "patient retrouvé au sol", "autonomie conservée",
]  # fmt: skip
_NEGATED = ["pas de ", "absence de ", "sans ", "pas d'", "sans notion de ", "ni "]

#: Heads that a list shares: an expression that begins so may lend its head to the next one.
_HEADS = (
    "métastases", "métastase", "insuffisance", "cancer du", "cancer de la", "cancer de l'", "fracture du", "fracture de la",
    "fractures", "hématome", "ulcère", "embolie", "infarctus", "thrombose", "tumeur", "plaie", "choc", "infection", "carcinome",
    "traumatisme", "lymphome", "intoxication aux", "intoxication à", "défaillance", "hémorragie", "localisations secondaires",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """An entity in a raw line: its place and its codes, main code first."""

    start: int
    end: int
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A raw line, the context it stands in and its entities in text order."""

    text: str
    context: str
    spans: tuple[Span, ...]


def held_out(expression: Expression) -> bool:
    """Whether an expression is kept out of training lines."""
    return expression.source != "cim10" and zlib.crc32(expression.text.lower().encode()) % HELD_OUT == 0


class Corpus:
    """Generator of lines.

    Args:
        seed: the same seed gives the same lines.
        part: "train" leaves the held-out expressions out; "held_out" draws one of them on every line, alone.
    """

    def __init__(self, seed: int, part: str = "train") -> None:
        self._rng = random.Random(seed)
        nomenclature = icd10.load()
        own = list(expressions.load())
        pool = [e for e in own if held_out(e) == (part == "held_out")]
        if part == "train":
            kept_out = {e.text.lower() for e in own if held_out(e)}
            pool += [e for e in expressions.labels(nomenclature) if e.text.lower() not in kept_out]
        self.part = part
        self._by_code: dict[str, list[Expression]] = {}
        for expression in pool:
            self._by_code.setdefault(expression.codes[0], []).append(expression)
        mentions, sizes, followers = statistics.read()
        self._codes = list(self._by_code)
        weights = [(mentions.get(code, 0) + 4.0) ** 0.55 for code in self._codes]
        self._weights = list(itertools.accumulate(weights))
        self._flat = [e for e in pool if e.source != "cim10"]
        self._sizes = list(sizes)
        self._size_weights = [sizes[k] ** 0.75 for k in self._sizes]
        self._shared = self._heads(self._flat)
        self._primaries = [e for e in self._flat if "C00" <= e.codes[0][:3] <= "C76"]
        self._sites = [e for e in self._flat if e.text.startswith("métastases ") and len(e.codes) == 1]
        self._after = {
            code: [(c, n**0.7) for c, n in after.items() if c in self._by_code] for code, after in followers.items()
        }

    @staticmethod
    def _heads(pool: Sequence[Expression]) -> dict[str, list[Expression]]:
        shared: dict[str, list[Expression]] = {}
        for expression in pool:
            for head in _HEADS:
                tail = expression.text[len(head) :].lstrip()
                apart = expression.text[len(head) : len(head) + 1] == " " or head.endswith("'")
                if (
                    expression.text.startswith(head)
                    and apart
                    and tail
                    and len(tail.split()) <= 3
                    and not expression.when
                ):
                    shared.setdefault(head, []).append(expression)
                    break
        return {head: group for head, group in shared.items() if len(group) >= 4}

    def __iter__(self) -> Iterator[Example]:
        while True:
            yield self.example()

    def _draw(self, before: Expression | None = None) -> Expression:
        """An expression: any one, or one of a code drawn by its frequency, often of those that follow `before`."""
        if self.part == "held_out" or self._rng.random() < 0.35:
            return self._rng.choice(self._flat)
        code = self._rng.choices(self._codes, cum_weights=self._weights)[0]
        after = self._after.get(before.codes[-1]) if before else None
        if after and self._rng.random() < 0.65:
            code = self._rng.choices([c for c, _ in after], [n for _, n in after])[0]
        group = self._by_code[code]
        own = [e for e in group if e.source != "cim10"]
        return self._rng.choice(own if own and self._rng.random() < 0.9 else group)

    def example(self) -> Example:
        """One line."""
        rng = self._rng
        habits = noise.hand(rng)
        level = rng.choices([0.0, 0.5, 1.0, 2.0], [30, 40, 22, 8])[0]
        if self.part == "held_out":
            drawn = [self._draw()]
        elif rng.random() < 0.025:
            return Example(noise.apply_hand(rng.choice(_EMPTY), habits), "", ())
        elif self._shared and rng.random() < 0.08:
            return self._list(habits, level) if rng.random() < 0.7 else self._spread(habits, level)
        else:
            size = min(6, rng.choices(self._sizes, self._size_weights)[0])
            drawn = [self._draw()]
            while len(drawn) < size:
                drawn.append(self._draw(drawn[-1]))
        holds = self._conditions(drawn)
        pieces: list[tuple[str, Expression | None]] = []
        if rng.random() < 0.06 and self.part != "held_out":
            pieces.append((rng.choice(_BEFORE), None))
        for number, expression in enumerate(drawn):
            if number:
                joint = rng.choices([_AND, _CAUSE, _EFFECT], [62, 25, 13])[0]
                pieces.append((rng.choice(joint), None))
            pieces += self._entity(expression, level)
        return self._write(pieces, habits, context_string(frozenset(holds)))

    def _entity(self, expression: Expression, level: float) -> list[tuple[str, Expression | None]]:
        rng = self._rng
        text = noise.entity(expression.text, rng, level)
        pieces: list[tuple[str, Expression | None]] = [(text, expression)]
        chance = rng.random()
        if self.part == "held_out":
            return pieces
        if chance < 0.03:
            pieces.insert(0, (rng.choice(_DOUBT_BEFORE), None))
        elif chance < 0.06:
            pieces.append((rng.choice(_DOUBT_AFTER), None))
        elif chance < 0.075:
            pieces.insert(0, (rng.choice(_HISTORY), None))
        elif chance < 0.16:
            pieces.append((rng.choice(_AFTER), None))
        elif chance < 0.175:
            pieces.insert(0, (rng.choice(_NEGATED) + noise.entity(self._draw().text, rng, level) + ", ", None))
        elif chance < 0.19:
            pieces.append((rng.choice([" (", ", "]) + rng.choice(_EMPTY) + ")", None))
        return pieces

    def _list(self, habits: tuple[str, bool], level: float) -> Example:
        """Two to four expressions of one head, which stands once."""
        rng = self._rng
        head = rng.choice(list(self._shared))
        drawn = rng.sample(self._shared[head], min(len(self._shared[head]), rng.choice([2, 2, 3, 4])))
        pieces: list[tuple[str, Expression | None]] = []
        for number, expression in enumerate(drawn):
            text = expression.text
            if number:
                pieces.append((" et " if number == len(drawn) - 1 else rng.choice([", ", ", ", " et ", " + "]), None))
                text = text[len(head) :].lstrip()
                if head.endswith(("du", "de la", "de l'")) and rng.random() < 0.6:
                    text = head.split(" ", 1)[1] + ("" if head.endswith("'") else " ") + text
            pieces.append((noise.entity(text, rng, level), expression))
        return self._write(pieces, habits, "")

    def _spread(self, habits: tuple[str, bool], level: float) -> Example:
        """A cancer and the organs it has spread to, named as organs: "cancer du sein métastatique (os, foie)"."""
        rng = self._rng
        primary = rng.choice(self._primaries)
        pieces: list[tuple[str, Expression | None]] = [(noise.entity(primary.text, rng, level), primary)]
        if "méta" not in primary.text:
            pieces.append(
                (
                    rng.choice([" métastatique", " métastasé", " multimétastatique", " M+", " au stade métastatique"]),
                    None,
                )
            )
        opened = rng.choice([" ", " (", " : ", " au niveau ", ", "])
        pieces.append((opened, None))
        for number, site in enumerate(rng.sample(self._sites, rng.choice([1, 2, 2, 3]))):
            if number:
                pieces.append((rng.choice([", ", " et ", " + "]), None))
            pieces.append((noise.entity(site.text.removeprefix("métastases "), rng, level), site))
        if opened == " (":
            pieces.append((")", None))
        return self._write(pieces, habits, "")

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

    @staticmethod
    def _write(pieces: Sequence[tuple[str, Expression | None]], habits: tuple[str, bool], context: str) -> Example:
        text = ""
        spans: list[Span] = []
        for piece, expression in pieces:
            written = noise.apply_hand(piece, habits)
            if expression is not None:
                spans.append(Span(len(text), len(text) + len(written), expression.codes))
            text += written
        if habits[0] == "first" and text:
            text = text[0].upper() + text[1:]
        return Example(text, context, tuple(spans))
