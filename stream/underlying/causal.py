"""Which condition can cause which: NCHS ACME decision table D (US government work), in its edition of 2015.

The list of 2015 came without a stated provenance; against the edition of 2000 that NCHS released it gives the same verdict on
96 % of the pairs that certificates of 2017 ask for (`python -m training.underlying compare`). It is used because it knows the
codes made since 2000. `aliases.tsv` gives each code that it does not know an older one with the same causes and effects.
"""

from __future__ import annotations

import gzip
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from stream.errors import InvalidData
from stream.underlying.codes import Codes, is_code, joined

_Spans = tuple[list[str], list[str]]
_MEMORY = 50_000


class Causal:
    """The causal relation between bare codes.

    Args:
        spans: first and last cause of each range, for each effect.
        aliases: older code to look up for a newer one, by code or category.
        overrides: later verdicts on (effect, category of the cause), stronger than the spans.
        sequences: verdicts on ranges of effects and causes, stronger than the spans, weaker than the overrides.
    """

    def __init__(
        self,
        spans: Mapping[str, _Spans],
        aliases: Mapping[str, str],
        overrides: Mapping[tuple[str, str], bool] = MappingProxyType({}),
        sequences: Sequence[tuple[Codes, Codes, bool]] = (),
    ) -> None:
        self._spans = dict(spans)
        self._aliases = dict(aliases)
        self._overrides = dict(overrides)
        self._sequences = tuple(sequences)
        # A code that is newer than the table takes on the verdicts of its category where they agree.
        agreed: dict[tuple[str, str], bool | None] = {}
        for (effect, cause), verdict in overrides.items():
            pair = effect[:3], cause
            agreed[pair] = verdict if agreed.get(pair, verdict) is verdict else None
        self._agreed = agreed
        self._known: dict[tuple[str, str], bool] = {}
        # A code the table does not have goes by its category: the unspecified fourth character if there is one.
        self._category: dict[str, str] = {}
        for code in sorted(spans):
            if code[:3] not in self._category or code[3:] == "9":
                self._category[code[:3]] = code

    def with_overrides(self, overrides: Mapping[tuple[str, str], bool]) -> Causal:
        """The same relation under other later verdicts."""
        return Causal(self._spans, self._aliases, overrides, self._sequences)

    def __len__(self) -> int:
        return len(self._spans)

    def older(self, code: str) -> str:
        """The code under which the table knows `code`."""
        return self._aliases.get(code) or self._aliases.get(code[:3]) or code

    def can(self, cause: str, effect: str) -> bool:
        """Whether `cause` is accepted as a cause of `effect`, two bare codes."""
        answer = self._known.get((cause, effect))
        if answer is None:
            answer = self._overrides.get((effect, cause[:3]))
            if answer is None and effect not in self._spans:
                answer = self._agreed.get((effect[:3], cause[:3]))
            if answer is None:
                answer = next(
                    (v for effects, causes, v in self._sequences if effect in effects and cause in causes), None
                )
            if answer is None:
                answer = self._look(self.older(cause), self.older(effect))
            if len(self._known) < _MEMORY:
                self._known[cause, effect] = answer
        return answer

    def _look(self, cause: str, effect: str) -> bool:
        spans = self._spans.get(effect) or self._spans.get(self._category.get(effect[:3], ""))
        if spans is None:
            return False
        place = bisect_right(spans[0], cause) - 1
        return place >= 0 and cause <= spans[1][place]


def read_causal(
    table: Path,
    aliases: Mapping[str, str],
    overrides: Iterable[Sequence[str]] = (),
    sequences: Iterable[Sequence[str]] = (),
) -> Causal:
    """The packed table; doubtful relations (``?``) count as accepted, as the physician asserted them.

    Args:
        table: `causal.tsv.gz`.
        aliases: older code of each newer one.
        overrides: rows of `overrides.tsv`: effect, category of the cause, ``yes`` or ``no``, provenance.
        sequences: rows of `sequences.tsv`: effects, causes, ``yes`` or ``no``, provenance.

    Raises:
        InvalidData: a row that does not hold.
    """
    spans: dict[str, _Spans] = {}
    words: dict[str, tuple[str, str]] = {}
    rows = gzip.decompress(table.read_bytes()).decode().splitlines()
    for number, row in enumerate(rows[1:], start=2):
        effects, tab, causes = row.partition("\t")
        if not tab or not effects or not causes:
            raise InvalidData(f"{table.name}:{number}: not effects and causes")
        found = []
        for word in causes.split(" "):
            pair = words.get(word)
            if pair is None:
                first, _, last = word.rstrip("?").partition("-")
                pair = words[word] = first, (last or first) + "~"
            found.append(pair)
        spans.update(dict.fromkeys(effects.split(" "), joined(found)))
    verdicts: dict[tuple[str, str], bool] = {}
    for effect, cause, verdict, source in overrides:
        if not is_code(effect) or not is_code(cause) or verdict not in ("yes", "no") or not source:
            raise InvalidData("overrides.tsv: not effect, cause, yes or no, source")
        verdicts[effect, cause] = verdict == "yes"
    ranges: list[tuple[Codes, Codes, bool]] = []
    for effects, causes, verdict, source in sequences:
        if verdict not in ("yes", "no") or not source:
            raise InvalidData("sequences.tsv: not effects, causes, yes or no, source")
        ranges.append((Codes(effects), Codes(causes), verdict == "yes"))
    return Causal(spans, aliases, verdicts, ranges)
