"""Codes of a certificate's lines: what the rules find and the model tags, put together line by line."""

from __future__ import annotations

from collections.abc import Mapping

from stream.coder.coder import Coder, Proposal
from stream.coder.model import LineAnswer, LineRequest
from stream.coder.rules import RuleCoder
from stream.coding import CodedLine, Duration
from stream.memory import Memory
from stream.pipeline.lines import Lines, without_nothing
from stream.pipeline.reading import LONGEST, ReadCertificate, ReadLine
from stream.text.interval import Span
from stream.text.normal import NormalText

Answers = Mapping[LineRequest, LineAnswer]
_Key = tuple[NormalText, frozenset[str], Duration | None, tuple[Span, ...], LineAnswer, str]
"""All that a line's codes follow from."""


class Wording:
    """Both coders. A line that was coded before, under the same conditions and answers, is not coded again.

    Args:
        rules: the expert coder.
        coder: puts its matches and the model's answers together.
        remembered: lines that are kept in mind; 0 for none.
    """

    def __init__(self, rules: RuleCoder, coder: Coder, remembered: int = 0) -> None:
        self._rules, self._coder = rules, coder
        self._known: Memory[_Key, CodedLine] = Memory(remembered)

    def lines(self, read: ReadCertificate, answers: Answers, model: str) -> tuple[Lines, Lines]:
        """Coded lines of Part I and of Part II.

        Args:
            read: the certificate's lines.
            answers: the model's answers to their requests; a line without one is coded by the rules alone.
            model: name and version that gave them.
        """

        def coded(line: ReadLine) -> CodedLine:
            tagged = answers.get(line.request, ())
            key = line.normal, read.conditions, line.interval, line.intervals, tagged, model
            return self._known.get(key) or self._coded(line, key)

        return without_nothing(tuple(map(coded, read.part1)), tuple(map(coded, read.part2)))

    def _coded(self, line: ReadLine, key: _Key) -> CodedLine:
        normal, conditions, interval, intervals, tagged, model = key
        matches = self._rules.code(normal, line.segments, conditions)
        coded = self._coder.combine(normal, line.segments, matches, tagged, interval, intervals, model)
        return self._known.put(key, coded) if len(normal.raw) <= LONGEST else coded

    def proposals(self, read: ReadCertificate, line: ReadLine, tagged: LineAnswer) -> list[Proposal]:
        """Every proposal of either coder for a line, before one is chosen: what confidences are fitted on."""
        matches = self._rules.code(line.normal, line.segments, read.conditions)
        return self._coder.candidates(matches, tagged, "")
