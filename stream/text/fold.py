"""Characters: any Unicode to the few that the coders know, one raw character at a time.

Folding lowers case, takes accents, ligatures, compatibility forms and typographic signs apart, and drops what has no
width (combining marks, soft hyphens, direction marks). What it cannot fold becomes a blank. Since each character is
folded on its own, every folded character knows the raw one that it came from.

>>> fold("Œdème aigu — 1½ m² β-lactamase")
'oedeme aigu - 1 1/2 m2 beta-lactamase'
"""

from __future__ import annotations

import re
import unicodedata

# Signs whose meaning the compatibility decomposition loses or does not know.
_SPECIAL = {
    "œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "κ": "kappa", "λ": "lambda", "μ": "u",
    "½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "⁄": "/", "∕": "/", "÷": "/", "¦": "/",
    "±": "+/-", "≥": ">", "≤": "<", "×": "x", "∅": " pas de ", "&": " et ",
    "→": ">", "⇒": ">", "➔": ">", "➜": ">", "➝": ">", "➞": ">", "⟶": ">", "➡": ">", "►": ">", "▶": ">", "⇨": ">",
    "←": "<", "⇐": "<", "⟵": "<", "⬅": "<",
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "﹣": "-", "-": "-", "•": "-", "▪": "-",
    "◦": "-", "●": "-", "‣": "-", "■": "-", "·": "-", "…": ".", "¿": "?",
    "'": " ", '"': " ", "`": " ", "^": " ", "~": " ", "_": " ", "，": ",", "；": ";", "：": ":",
}  # fmt: skip
_BLANK = " "
_WIDTHLESS = frozenset({"Mn", "Me", "Mc", "Cf"})
_ODD = "\x00"
"""Stands, in the one-to-one table, for a character that folds to none or to several."""


def fold_char(char: str) -> str:
    """Lower-case ASCII for one character: nothing, one or several characters.

    >>> [fold_char(c) for c in "É’ﬁ中"]
    ['e', ' ', 'fi', ' ']
    """
    low = char.lower()
    if low in _SPECIAL:
        return _SPECIAL[low]
    if char in _SPECIAL:
        return _SPECIAL[char]
    if unicodedata.category(char) in _WIDTHLESS:
        return ""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    out = []
    for part in plain:
        if part in _SPECIAL:
            out.append(_SPECIAL[part])
        elif part.isascii():
            out.append(part if part.isprintable() else _BLANK)
        elif unicodedata.category(part) not in _WIDTHLESS:
            out.append(_BLANK)
    return "".join(out)


class _Cache(dict[int, str]):
    """Folds on first sight. Bounded by Unicode itself; French text fills a few hundred places."""

    def __missing__(self, code: int) -> str:
        folded = fold_char(chr(code))
        self[code] = folded
        return folded


class _OneToOne(dict[int, str]):
    """The same for `str.translate`, with a mark for what is not one to one, so that offsets stay what they were."""

    def __missing__(self, code: int) -> str:
        folded = _MANY[code]
        self[code] = folded if len(folded) == 1 else _ODD
        return self[code]


_MANY = _Cache()
_ONE = _OneToOne()


def fold_offsets(raw: str) -> tuple[str, list[int] | None, list[int] | None]:
    """Folded text with, for each of its characters, the start and end of the raw one; None when they are the same.

    >>> fold_offsets("Été")
    ('ete', None, None)
    >>> fold_offsets("cœur")
    ('coeur', [0, 1, 1, 2, 3], [1, 2, 2, 3, 4])
    """
    folded = raw.translate(_ONE)
    if _ODD not in folded:
        return folded, None, None
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for index, char in enumerate(raw):
        part = _MANY[ord(char)]
        if part:
            out.append(part)
            starts.extend([index] * len(part))
            ends.extend([index + 1] * len(part))
        elif ends:
            ends[-1] = index + 1  # a mark belongs to the character before it
    return "".join(out), starts, ends


def fold(raw: str) -> str:
    """Folded text alone, blanks collapsed: for data files written with accents and capitals."""
    return re.sub(r"\s+", " ", fold_offsets(raw)[0]).strip()
