"""Words reduced to what two spellings of one expression share: no articles, no plural, no feminine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

#: Words that neither add to an expression nor separate two.
STOP = frozenset(["d", "de", "du", "des", "l", "la", "le", "les", "un", "une", "au", "aux", "a", "en", "s", "n", "ce"])
#: Words after which a lone letter is a name ("hépatite A"), not an article or a preposition.
_LETTERED = frozenset(
    [
        "hepatite",
        "grippe",
        "streptocoque",
        "hemophilie",
        "vitamine",
        "virus",
        "type",
        "stade",
        "facteur",
        "virale",
        "grippale",
        "influenza",
        "influenzae",
        "fulminante",
        "hypovitaminose",
    ]
)

#: Beginnings that are written apart or joined to the next word at will ("hépato cellulaire", "colo-rectal").
_JOINED = frozenset(
    [
        "abdomino",
        "aorto",
        "arterio",
        "atrio",
        "auriculo",
        "broncho",
        "bronchio",
        "bucco",
        "cardio",
        "cerebro",
        "cervico",
        "colo",
        "coronaro",
        "cortico",
        "cranio",
        "digestivo",
        "dorso",
        "encephalo",
        "femoro",
        "gastro",
        "glomerulo",
        "hemato",
        "hepato",
        "hydro",
        "iliaco",
        "ilio",
        "immuno",
        "ischio",
        "laryngo",
        "leuco",
        "lombo",
        "lympho",
        "medico",
        "meningo",
        "micro",
        "multi",
        "mucco",
        "musculo",
        "myelo",
        "nephro",
        "neuro",
        "nodulo",
        "oculo",
        "oesophago",
        "oro",
        "osteo",
        "pancreatico",
        "pelvi",
        "pharyngo",
        "pleuro",
        "pneumo",
        "polyradiculo",
        "psycho",
        "ptysio",
        "pulmono",
        "recto",
        "retro",
        "rhino",
        "sacro",
        "sclero",
        "spleno",
        "stomato",
        "thoraco",
        "thrombo",
        "trachea",
        "tracheo",
        "tubulo",
        "uro",
        "utero",
        "vasculo",
        "veno",
        "ventriculo",
        "vesico",
        "anti",
        "hyper",
        "hypo",
        "intra",
        "extra",
        "inter",
        "para",
        "peri",
        "poly",
        "pseudo",
        "sub",
        "supra",
        "trans",
    ]
)

#: Words that link two others, and so are no second half of one ("trachéo et gastrostomie").
_LINKS = frozenset(["et", "ou", "puis", "avec", "sans", "sur", "sous", "par", "pour", "dans"])

_APART = STOP | _LINKS

#: Words whose last letter is no feminine: without it they are others.
_WHOLE = frozenset(["glande"])

_TOKEN = re.compile(r"[a-z0-9]+(?:[.][0-9]+)?|[^a-z0-9 ]")


@dataclass(frozen=True, slots=True)
class Token:
    """A word or sign of a normalised line, with its place and its stem (empty for a stop word)."""

    text: str
    start: int
    end: int
    stem: str


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """Stem of one normalised word.

    >>> stem("renaux"), stem("renale"), stem("hepatiques"), stem("aigue")
    ('renal', 'renal', 'hepatiqu', 'aigu')
    """
    if len(word) <= 3 or word[0].isdigit():
        return word
    if word.endswith("aux") and len(word) > 4:
        word = word[:-3] + "al"
    elif word[-1] in "sx" and (word[-2:] not in ("ss", "us", "is") or word.endswith("aigus")):
        word = word[:-1]
    if len(word) > 4 and word.endswith("e") and word not in _WHOLE:
        word = word[:-1]
        if word.endswith(("enn", "onn", "ell", "tt")):
            word = word[:-1]
    if word.endswith("iv"):
        word = word[:-1] + "f"
    return word


def tokens(text: str) -> list[Token]:
    """Words and signs of a normalised line, in order."""
    found: list[Token] = []
    before = ""
    for match in _TOKEN.finditer(text):
        word = match.group()
        if found and found[-1].text in _JOINED and word.isalpha() and word not in _APART:
            whole = found[-1].text + word
            found[-1] = Token(whole, found[-1].start, match.end(), stem(whole))
            before = word
            continue
        stop = word in STOP and not (len(word) == 1 and before in _LETTERED)
        found.append(Token(word, match.start(), match.end(), "" if stop else stem(word)))
        before = word
    return found


def is_word(token: Token) -> bool:
    """Whether a token is a word or a number, not a sign."""
    return token.text[0].isalnum()


def stems(text: str) -> tuple[str, ...]:
    """Content stems of a normalised text, in order."""
    return tuple(t.stem for t in tokens(text) if t.stem and is_word(t))
