"""Abbreviations written out in a line of tokens."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from stream.text.abbreviations import Abbreviations, Entry, Spot
from stream.text.tokens import Token


@dataclass(frozen=True, slots=True)
class Hints:
    """What stands around the line and may settle an abbreviation.

    Attributes:
        neighbours: normalised text of the certificate's other lines.
        sex: M, F or U.
        newborn: whether the deceased was a newborn.
    """

    neighbours: str = ""
    sex: str = "U"
    newborn: bool = False


def _entry(tokens: list[Token], index: int, table: Abbreviations) -> tuple[Entry, int] | None:
    """The abbreviation at a token, the longest first, with the number of tokens it takes."""
    word = tokens[index].text
    for rest, entry in table.phrases.get(word, ()):
        following = tokens[index + 1 : index + 1 + len(rest)]
        if tuple(token.text for token in following) == rest:
            return entry, 1 + len(rest)
    single = table.single.get(word)
    return (single, 1) if single else None


@dataclass(slots=True)
class Line:
    """What abbreviations are read against: the raw line in capitals or not, character by character, and the hints.

    Attributes:
        bound: whether an abbreviation was met that may be read in several ways, so that the hints had a say.
    """

    hints: Hints
    around: frozenset[str]
    capitals: str
    bound: bool = False

    def upper(self, start: int, end: int) -> bool:
        """Whether this stretch of the folded line was typed in capitals, where that means something."""
        return self.capitals[start:end].isupper()


def expand(tokens: list[Token], line: Line, table: Abbreviations) -> list[Token]:
    """Writes abbreviations out, again and again until nothing changes: one that is solved may solve another.

    What is sure comes first, defaults only when nothing else moves, so that a default never wins by going first.
    """
    while True:
        for defaults in (False, True):
            out, left = _pass(tokens, line, table, defaults=defaults)
            changed = len(out) < len(tokens) or any(new is not old for new, old in zip(out, tokens, strict=True))
            if changed or not left:
                break
        if not changed or not left:
            return out
        tokens = out


def _pass(tokens: list[Token], line: Line, table: Abbreviations, *, defaults: bool) -> tuple[list[Token], int]:
    """One reading of all abbreviations against the tokens as they stand; how many could not be read."""
    counts: Counter[str] | None = None
    out: list[Token] = []
    index = left = 0
    single, phrases = table.single, table.phrases
    while index < len(tokens):
        token = tokens[index]
        found = _entry(tokens, index, table) if token.text in single or token.text in phrases else None
        if found is None:
            out.append(token)
            index += 1
            continue
        entry, size = found
        last = tokens[index + size - 1]
        stop = index + size
        dot = stop < len(tokens) and tokens[stop].text == "." and tokens[stop].start == last.end
        # "fract." is a word cut short, and its point goes with it; that of "HTA." ends a sentence.
        stop += dot and (entry.dotted or any(sense.long.startswith(entry.short) for sense in entry.senses))
        if entry.certain:
            long: str | None = entry.senses[0].long
        else:
            line.bound = True
            if counts is None:
                counts = Counter(word for other in tokens for word in other.text.split() if word[0].isalpha())
            own = entry.short.split()
            spot = Spot(
                {word for word in counts if counts[word] > 1 or word not in own},
                before=tokens[index - 1].text.rpartition(" ")[2] if index else "",
                after=tokens[stop].text.partition(" ")[0] if stop < len(tokens) else "",
                sex=line.hints.sex,
                newborn=line.hints.newborn,
                upper=line.upper(token.start, last.end),
                dot=dot,
            )
            long = entry.resolve(spot, line.around, defaults=defaults)
        if long is None:
            out.append(token)
            index += 1
            left += 1
            continue
        text = _once(long, tokens, index, stop)
        out.append(Token(text, token.start, tokens[stop - 1].end, whole=True))
        index = stop
    return out, left


def _once(long: str, tokens: list[Token], first: int, after: int) -> str:
    """The long form less the words that already stand beside it ("HTA artérielle", "syndrome SDRA")."""
    words = long.split()
    most = len(words) - 1
    if not most:
        return long
    if after < len(tokens) and tokens[after].text.partition(" ")[0] in words:
        ahead = " ".join(token.text for token in tokens[after : after + most]).split()
        for size in range(most, 0, -1):
            if words[-size:] == ahead[:size]:
                words = words[:-size]
                break
    if first and tokens[first - 1].text.rpartition(" ")[2] in words:
        behind = " ".join(token.text for token in tokens[max(0, first - most) : first]).split()
        for size in range(len(words) - 1, 0, -1):
            if words[:size] == behind[-size:]:
                words = words[size:]
                break
    return " ".join(words)
