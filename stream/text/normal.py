"""One line of a certificate in its normal form, every character of which knows where it stood in the raw line.

The normal form is lower-case ASCII of a small alphabet (``ALPHABET``), words and separators parted by single blanks:

- accents, ligatures and typographic signs are folded; apostrophes, quotes and what is unknown become blanks;
- arrows become ``>`` (or ``<``); ``&`` becomes "et"; ``±`` and ``+/-`` become the one word ``+/-``; brackets become
  round; ``!`` becomes ``.``; a sign typed several times is written once;
- a hyphen inside a word becomes a blank ("cardio-respiratoire"), one that stands alone or opens a list item stays;
- in a number, points, slashes and hyphens stay ("1/2", "12/03/2024", "15-20"), and a decimal comma becomes a point;
- "H.T.A." is written "hta" (and "# col", the surgeon's sign, "fracture col"); separators at the ends are dropped;
- abbreviations that are sure are written out, and typing errors put right when a speller is given.

>>> line = normalise("Œdème  aigu du poumon s/ HTA – I.R.C.")
>>> line.text
'oedeme aigu du poumon sur hypertension arterielle - insuffisance renale chronique'
>>> start = line.text.index("hypertension")
>>> line.raw_span(start, start + len("hypertension arterielle"))
(25, 28)
>>> normalise(line.text).text == line.text
True
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.text.abbreviations import Abbreviations, abbreviations
from stream.text.expand import Hints, Line, expand
from stream.text.fold import fold_offsets
from stream.text.spelling import Speller
from stream.text.tokens import Token, tokenise, trim

__all__ = ["ALPHABET", "Hints", "NormalText", "normalise"]

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789 ,;:()?/+.<>%-"

_SPELT = 5
"""Shortest word that the speller is asked about."""
_LETTERS = 3
_MOST_LETTERS = 40
"""More than any word has that could be typed letter by letter: a line of a thousand letters would take half a minute."""
"""Fewest letters of an abbreviation typed with blanks between them."""


@dataclass(frozen=True, slots=True)
class NormalText:
    """A normalised line; character i of `text` stands for ``raw[starts[i]:ends[i]]``.

    Attributes:
        bound: whether the hints had a say: under others the same raw line may be read otherwise.
    """

    raw: str
    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    bound: bool = False

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """The raw span of a span of `text`, without blanks at its ends.

        >>> normalise("  Péritonite  !").raw_span(0, 10)
        (2, 12)
        """
        text, size = self.text, len(self.text)
        start, end = max(0, min(start, size)), max(0, min(end, size))
        while start < end and text[start] == " ":
            start += 1
        while end > start and text[end - 1] == " ":
            end -= 1
        if start >= end:
            at = self.starts[start] if start < size else len(self.raw)
            return at, at
        return self.starts[start], self.ends[end - 1]


def _spell(tokens: list[Token], speller: Speller, table: Abbreviations) -> list[Token]:
    """Words typed in two joined, then errors put right, then joined again with what is right now."""
    joined = _join(tokens, speller, table)
    out: list[Token] = []
    cut = False
    for index, token in enumerate(joined):
        word = token.text
        if word == "." and out and out[-1].end == token.start and out[-1].whole and cut:
            out[-1].end = token.end  # the point of a word cut short, which is whole now
            cut = False
            continue
        cut = False
        if len(word) >= _SPELT - 1 and word not in table and word not in table.long_words and word.isalpha():
            after = joined[index + 1] if index + 1 < len(joined) else None
            pointed = after is not None and after.text == "." and after.start == token.end
            right = speller.complete(word, pointed=True) if pointed else None
            cut = right is not None
            right = right or (speller.correct(word) if len(word) >= _SPELT else None)
            right = right or (None if pointed else speller.complete(word, pointed=False))
            if right:
                token.text, token.whole = right, True
        out.append(token)
    return _join(out, speller, table)


def _spaced(tokens: list[Token], speller: Speller | None, table: Abbreviations) -> list[Token]:
    """Abbreviations typed letter by letter ("A V C") in one piece, where there is such a one."""
    out: list[Token] = []
    index = 0
    while index < len(tokens):
        stop, most = index, min(len(tokens), index + _MOST_LETTERS)
        while stop < most and len(tokens[stop].text) == 1 and tokens[stop].text.isalpha():
            stop += 1
        for end in range(stop, index + _LETTERS - 1, -1):
            word = "".join(token.text for token in tokens[index:end])
            if word in table or (speller is not None and word in speller):
                out.append(Token(word, tokens[index].start, tokens[end - 1].end, whole=True))
                index = end
                break
        else:
            out.append(tokens[index])
            index += 1
    return out


def _join(tokens: list[Token], speller: Speller, table: Abbreviations) -> list[Token]:
    out: list[Token] = []
    for token in tokens:
        while out and out[-1].text.isalpha() and token.text.isalpha():
            first, second = out[-1].text, token.text
            if not table.long_words.isdisjoint((first, second)):
                break
            whole = speller.join(first, second)
            if not whole:
                break
            token = Token(whole, out.pop().start, token.end, whole=True)  # noqa: PLW2901
        out.append(token)
    return out


_NO_HINTS = Hints()


def normalise(raw: str, hints: Hints = _NO_HINTS, speller: Speller | None = None) -> NormalText:
    """The normal form of a line; never fails, whatever the text.

    >>> normalise("K sein métastasé").text
    'cancer sein metastase'
    >>> normalise("Insuff. rén. aiguë").text
    'insuffisance renale aigue'
    >>> normalise("IRA", Hints(neighbours="pneumopathie")).text, normalise("IRA").text
    ('insuffisance respiratoire aigue', 'ira')
    """
    folded, fold_starts, fold_ends = fold_offsets(raw)
    table = abbreviations()
    tokens = tokenise(folded)
    tokens = _spaced(tokens, speller, table)
    if speller is not None:
        tokens = _spell(tokens, speller, table)
    single, phrases, bound = table.single, table.phrases, False
    if any(token.text in single or token.text in phrases for token in tokens):
        # Capitals say something in a line that is not all capitals.
        spoken = "" if raw.isupper() else raw if fold_starts is None else "".join(raw[at] for at in fold_starts)
        line = Line(hints, frozenset(hints.neighbours.split()), spoken)
        tokens = expand(tokens, line, table)
        bound = line.bound
    tokens = trim(tokens)
    starts: list[int] = []
    ends: list[int] = []
    for token in tokens:
        start, end = token.start, token.end
        if fold_starts is None or fold_ends is None:
            low, high = start, end
        else:
            low, high = fold_starts[start], fold_ends[end - 1]
        if starts:  # the blank between two tokens spans what is between them in the raw line
            # ... which is nothing where one raw character made both ("🄐" is "( a )").
            starts.append(min(low, ends[-1]))
            ends.append(max(low, ends[-1]))
        if token.whole:
            starts.extend([low] * len(token.text))
            ends.extend([high] * len(token.text))
        elif fold_starts is None or fold_ends is None:
            starts.extend(range(start, end))
            ends.extend(range(start + 1, end + 1))
        else:
            starts.extend(fold_starts[start:end])
            ends.extend(fold_ends[start:end])
    return NormalText(raw, " ".join(token.text for token in tokens), tuple(starts), tuple(ends), bound)
