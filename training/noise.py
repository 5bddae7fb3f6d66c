"""How physicians' hands change what they mean to write: case, accents, typing errors, truncations, glued words.

Each function takes text and a seeded generator and returns text; spans are found again by the caller, which applies
noise to one entity at a time before joining.
"""

from __future__ import annotations

import random
import unicodedata

_NEIGHBOURS = {
    "a": "zqs", "b": "vgn", "c": "xdv", "d": "sfe", "e": "zrd", "f": "dgr", "g": "fht", "h": "gjy", "i": "uoj",
    "j": "hku", "k": "jli", "l": "kmo", "m": "lp", "n": "bhj", "o": "ipl", "p": "om", "q": "asw", "r": "etf",
    "s": "qdz", "t": "ryg", "u": "yij", "v": "cbf", "w": "xq", "x": "wcs", "y": "tuh", "z": "aes",
}  # fmt: skip
_PHONETIC = [
    ("ph", "f"), ("y", "i"), ("th", "t"), ("rh", "r"), ("ll", "l"), ("nn", "n"), ("mm", "m"), ("ss", "s"),
    ("tt", "t"), ("pp", "p"), ("h", ""), ("ae", "e"), ("oe", "e"), ("qu", "k"), ("c", "ss"), ("s", "ss"),
    ("an", "en"), ("en", "an"), ("ai", "e"), ("au", "o"), ("eau", "o"), ("x", "ct"), ("tion", "sion"),
]  # fmt: skip
_SMALL = {"de", "du", "des", "la", "le", "les", "l", "d", "un", "une", "à", "au", "aux"}
_KEEP = 4
_VOWELS = "aeiouyéèêàâîïôöûùœ"

Hand = tuple[str, bool]
"""A physician's habits on a line: case (asis, upper, first, lower, title) and whether accents are left out."""


def strip_accents(text: str) -> str:
    """Text without accents, œ as oe."""
    text = text.replace("œ", "oe").replace("Œ", "OE")
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")


def typo(word: str, rng: random.Random) -> str:
    """One typing or spelling error in a word of five letters or more."""
    if len(word) < _KEEP + 1 or not word.isalpha():
        return word
    at = rng.randrange(1, len(word) - 1)
    kind = rng.random()
    if kind < 0.22:
        return word[:at] + word[at + 1 :]
    if kind < 0.40:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind < 0.55:
        return word[:at] + word[at] + word[at:]
    if kind < 0.75:
        near = _NEIGHBOURS.get(word[at].lower())
        return word[:at] + rng.choice(near) + word[at + 1 :] if near else word
    rules = [(a, b) for a, b in _PHONETIC if a in word[1:]]
    if not rules:
        return word
    a, b = rng.choice(rules)
    return word[0] + word[1:].replace(a, b, 1)


def truncate(word: str, rng: random.Random) -> str:
    """An abbreviation made on the fly: the word's beginning and a point ("insuff.")."""
    if len(word) < 8 or not word.isalpha():
        return word
    return word[: rng.randrange(4, min(7, len(word) - 2))] + rng.choice([".", ".", ""])


def inflect(word: str, rng: random.Random) -> str:
    """Another number or gender of a word, right or wrong ("massif", "massifs", "massife")."""
    if word[-1] in "sx":
        return word[:-1]
    if word.endswith("e") and rng.random() < 0.5:
        return word[:-1]
    return word + rng.choice(["s", "s", "e", "es"]) if word[-1] != "z" else word


def entity(text: str, rng: random.Random, level: float) -> str:
    """Noise inside one entity's words; `level` is 0 (none) to 1 (a hurried hand)."""
    words = text.split(" ")
    if len(words) > _KEEP and rng.random() < 0.03 * level:
        del words[rng.randrange(1, len(words) - 1)]  # neither what it is nor where it is
    if len(words) > 2 and rng.random() < 0.04 * level:
        at = rng.randrange(len(words) - 1)
        words[at], words[at + 1] = words[at + 1], words[at]
    out: list[str] = []
    for word in words:
        if word.lower() in _SMALL and len(words) > 2 and rng.random() < 0.25 * level:
            continue
        if rng.random() < 0.10 * level:
            word = typo(word, rng)  # noqa: PLW2901
        elif rng.random() < 0.04 * level:
            word = truncate(word, rng)  # noqa: PLW2901
        elif rng.random() < 0.04 * level and len(word) > _KEEP:
            word = inflect(word, rng)  # noqa: PLW2901
        if out and rng.random() < 0.015 * level and len(word) > 3 and len(out[-1]) > 2:
            out[-1] += word
        else:
            out.append(word)
    text = " ".join(out) or text
    if rng.random() < 0.05 * level:
        text = text.replace("-", " ") if "-" in text else text.replace(" ", "-", 1)
    return text


def strange(text: str, rng: random.Random) -> str:
    """A hand that training never shows: each long word may lose its inner vowels, two letters, or its neighbour's blank."""
    out: list[str] = []
    for word in text.split(" "):
        chance, long = rng.random(), len(word) > _KEEP + 2 and word.isalpha()
        if long and chance < 0.12:
            word = word[:2] + "".join(c for c in word[2:-1] if c.lower() not in _VOWELS) + word[-1]  # noqa: PLW2901
        elif long and chance < 0.24:
            word = typo(typo(word, rng), rng)  # noqa: PLW2901
        elif long and chance < 0.32:
            at = rng.randrange(3, len(word) - 2)
            word = f"{word[:at]}{rng.choice(' -')}{word[at:]}"  # noqa: PLW2901
        if out and chance > 0.95:
            out[-1] += word
        else:
            out.append(word)
    return " ".join(out)


def hand(rng: random.Random) -> Hand:
    """Habits, drawn."""
    case = rng.choices(["asis", "upper", "first", "lower", "title"], [40, 25, 20, 10, 5])[0]
    return case, rng.random() < (0.8 if case == "upper" else 0.3)


def apply_hand(text: str, habits: Hand) -> str:
    """Case and accents of a whole line; keeps the number of characters but for œ, so apply it by pieces."""
    case, bare = habits
    if bare:
        text = strip_accents(text)
    if case == "upper":
        return text.upper()
    if case == "lower":
        return text.lower()
    if case == "title":
        return text.title()
    return text
