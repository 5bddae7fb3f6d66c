"""A certificate's lines read: normalised, cut into segments, intervals parsed, ready for both coders."""

from __future__ import annotations

from dataclasses import dataclass

from stream.certificate import Certificate, Line
from stream.coder.context import conditions, context_string
from stream.coder.model import LineRequest
from stream.coder.settle import told_manner
from stream.coding import Duration
from stream.text.interval import find_intervals, parse_interval
from stream.text.normal import Hints, NormalText, normalise
from stream.text.segment import Segment, segment
from stream.text.spelling import Speller

LONGEST = 600
"""Characters of a normalised line that are sent to the model; lines beyond hold more than any physician writes."""


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line as the coders take it."""

    normal: NormalText
    segments: tuple[Segment, ...]
    interval: Duration | None
    request: LineRequest


@dataclass(frozen=True, slots=True)
class ReadCertificate:
    """A certificate with its lines read; its texts are plain."""

    certificate: Certificate
    conditions: frozenset[str]
    part1: tuple[ReadLine, ...]
    part2: tuple[ReadLine, ...]

    @property
    def lines(self) -> tuple[ReadLine, ...]:
        """Part I, then Part II."""
        return self.part1 + self.part2


def read(certificate: Certificate, speller: Speller) -> ReadCertificate:
    """Read a certificate's lines.

    Args:
        certificate: with plain texts.
        speller: corrects typing errors.
    """
    written = [*certificate.part1, *certificate.part2]
    bare = [_text(line) for line in written]
    folded = [normalise(text).text for text in bare]
    holds = told_manner(folded, conditions(certificate))
    context = context_string(holds)

    def one(number: int, line: Line) -> ReadLine:
        around = " ".join(text for i, text in enumerate(folded) if i != number)
        hints = Hints(around, certificate.sex.value, "newborn" in holds)
        normal = normalise(bare[number], hints, speller)
        interval = parse_interval(line.interval, certificate.death_date) if isinstance(line.interval, str) else None
        if interval is None:
            found = find_intervals(normal, certificate.death_date)
            interval = found[0][2] if len(found) == 1 else None
        request = LineRequest(normal.text[:LONGEST], context)
        return ReadLine(normal, tuple(segment(normal)), interval, request)

    lines = tuple(one(i, line) for i, line in enumerate(written))
    cut = len(certificate.part1)
    return ReadCertificate(certificate, holds, lines[:cut], lines[cut:])


def _text(line: Line) -> str:
    return line.text if isinstance(line.text, str) else ""
