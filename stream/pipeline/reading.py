"""A certificate's lines read: normalised, cut into segments, intervals parsed, ready for both coders."""

from __future__ import annotations

from dataclasses import dataclass

from stream.certificate import Certificate, Line
from stream.coder.context import conditions, context_string
from stream.coder.model import LineRequest
from stream.coder.settle import told_manner
from stream.coding import Duration
from stream.memory import Memory
from stream.text.interval import Span, find_intervals, parse_interval
from stream.text.normal import Hints, NormalText, normalise
from stream.text.segment import Segment, segment
from stream.text.spelling import Speller

LONGEST = 600
"""Characters of a normalised line that are sent to the model; lines beyond hold more than any physician writes."""


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line as the coders take it.

    Attributes:
        normal: its normal form.
        segments: what it is cut into.
        interval: of its own field, else the only one that is written in it.
        intervals: those that are written in it.
        request: what the model is asked.
    """

    normal: NormalText
    segments: tuple[Segment, ...]
    interval: Duration | None
    intervals: tuple[Span, ...]
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


@dataclass(frozen=True, slots=True)
class _Alone:
    """What a raw line is whatever stands around it.

    Attributes:
        plain: its normal form, typing errors and all: what other lines are read in the light of.
        normal: its normal form; None where the hints have a say in it.
        segments: of that.
    """

    plain: str
    normal: NormalText | None = None
    segments: tuple[Segment, ...] = ()


class Reader:
    """Reads certificates' lines. Physicians repeat themselves: what a line is by itself is worked out once.

    Args:
        speller: corrects typing errors.
        remembered: lines that are kept in mind; 0 for none.
    """

    def __init__(self, speller: Speller, remembered: int = 0) -> None:
        self._speller = speller
        self._known: Memory[str, _Alone] = Memory(remembered)

    def read(self, certificate: Certificate) -> ReadCertificate:
        """Read a certificate whose texts are plain."""
        written = [*certificate.part1, *certificate.part2]
        alone = [self._alone(_text(line)) for line in written]
        holds = told_manner([each.plain for each in alone], conditions(certificate))
        context = context_string(holds)

        def one(number: int, line: Line) -> ReadLine:
            normal, segments = alone[number].normal, alone[number].segments
            if normal is None:
                around = " ".join(each.plain for i, each in enumerate(alone) if i != number)
                hints = Hints(around, certificate.sex.value, "newborn" in holds)
                normal, segments = self._normal(alone[number].plain, _text(line), hints)
            intervals = find_intervals(normal, certificate.death_date)
            interval = parse_interval(line.interval, certificate.death_date) if isinstance(line.interval, str) else None
            if interval is None and len(intervals) == 1:
                interval = intervals[0][2]
            return ReadLine(normal, segments, interval, intervals, LineRequest(normal.text[:LONGEST], context))

        lines = tuple(one(i, line) for i, line in enumerate(written))
        cut = len(certificate.part1)
        return ReadCertificate(certificate, holds, lines[:cut], lines[cut:])

    def _alone(self, raw: str) -> _Alone:
        return self._known.get(raw) or _Alone(normalise(raw).text)

    def _normal(self, plain: str, raw: str, hints: Hints) -> tuple[NormalText, tuple[Segment, ...]]:
        normal = normalise(raw, hints, self._speller)
        segments = tuple(segment(normal))
        if len(raw) <= LONGEST:
            self._known.put(raw, _Alone(plain) if normal.bound else _Alone(plain, normal, segments))
        return normal, segments


def _text(line: Line) -> str:
    return line.text if isinstance(line.text, str) else ""
