"""A folded line cut into words and separators, each with its place in the folded line."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"(?<![a-z0-9])[a-z](?:\.[a-z])+(?![a-z0-9])\.?"  # H.T.A.
    r"|(?<![a-z0-9])\d+(?:[.,/-]\d+)+"  # 2,5 1/2 12/03/2024 15-20
    r"|(?<![a-z0-9])\d+(?=(?:sa|g|gr|kg|pa)(?![a-z0-9]))"  # 24SA 720g
    r"|[a-z0-9]+"
    r"|[-=]+>+|>+|<[-=]+|<+"
    r"|\+/-"
    r"|#(?=\s*[a-z])"
    r"|[,;:()?/+.%\-\[\]{}!|\\]"
)
_SIGNS = {"[": "(", "{": "(", "]": ")", "}": ")", "!": ".", "|": "/", "\\": "/", "#": "fracture"}
_SEPARATORS = frozenset(",;:()?/+.<>%-")


_NO_HEAD = frozenset(",;:)/+.-")
_NO_TAIL = frozenset(",;:(/+.-")


@dataclass(slots=True)
class Token:
    """A word or separator between the folded line's `start` and `end`; `whole` when no longer letter by letter."""

    text: str
    start: int
    end: int
    whole: bool = False


def _standing(folded: str, token: Token, before: str) -> bool:
    """Whether a hyphen parts items ("- HTA", "AVC - HTA", "AVC -HTA", "SCA ST-") rather than joins a word."""
    left = token.start == 0 or not folded[token.start - 1].isalnum()
    right = token.end == len(folded) or not folded[token.end].isalnum()
    if left and right:
        return True
    # "cardio -respiratoire" is one word badly typed.
    return (left or right) and not before.endswith("o")


def tokenise(folded: str) -> list[Token]:
    """Tokens of a folded line.

    >>> [token.text for token in tokenise("- h.t.a., cardio-respiratoire +++ 2,5 -> x")]
    ['-', 'hta', ',', 'cardio', 'respiratoire', '+', '2.5', '>', 'x']
    """
    found: list[Token] = []
    before = ""
    for match in _TOKEN.finditer(folded):
        text = match.group()
        start, end = match.span()
        token = Token(text, start, end)
        first = text[0]
        if not (first.isalnum()):
            if text == "-" and not _standing(folded, token, before):
                continue
            if len(text) > 1 and text != "+/-":
                text = ">" if text[-1] == ">" else "<"
            text = _SIGNS.get(text, text)
            token.text, token.whole = text, len(text) != end - start
            if text == before and text in _SEPARATORS:
                found[-1].end, found[-1].whole = end, True
                continue
        elif "." in text or "," in text:
            if first.isdigit():
                token.text = text.replace(",", ".")
            else:
                token.text, token.whole = text.replace(".", ""), True
        found.append(token)
        before = token.text
    return found


def trim(tokens: list[Token]) -> list[Token]:
    """Tokens without the separators that part nothing, at both ends."""
    first, last = 0, len(tokens)
    while first < last and tokens[first].text in _NO_HEAD:
        first += 1
    while last > first and tokens[last - 1].text in _NO_TAIL:
        last -= 1
    return tokens[first:last]
