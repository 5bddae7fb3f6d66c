"""Hostile values: texts, ids, numbers, moments, and bytes made of good ones."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from .campaign import MARK

TEXT_TRAPS = [
    "", " ", "\t\n", "\0", "a\0b", "\ufeff", "\u200b", "\u202einfarctus\u202c", "\u2066cancer\u2069", "قلب", "לב", "心不全",
    "e\u0301", "e" + "\u0301" * 300, "\u0301", "\u0338", "ﬁèvre", "œdème ŒDÈME", "ß", "İstanbul", "ı", "ǅ", "Å", "Ω", "㎎",
    "①②③", "½ an", "²", "३ ans", "٣ ans", "𝟛 ans", "👨‍👩‍👧‍👦", "🫀" * 50, "\U0010ffff", "\ue000", "\u2028", "\u2029", "\x85", "\x0b\x0c",
    "\x1b[31m", "\r\n", "\\", "'\"`", "${jndi:ldap://x}", "../../etc/passwd", "%s%n{0}{x.__class__}", "<script>", "=1+1",
    "-" * 200, "(" * 200, ")" * 200, "/" * 200, "+" * 200, "?" * 200, "." * 200, "," * 200, ";" * 200, "->" * 100, "1" * 400,
    "1/2/3/4/5" * 40, "0/0/0", "99/99/9999", "31/02/2020", "00:00", "10^10", "1e999", "-1", "+1", "il y a " * 60,
    "depuis " * 60, "sur " * 80, "et " * 80, "ou " * 80, "pas de " * 60, "sans " * 60, "ni " * 80, "d'" * 100, "a " * 200,
    "A.V.C." * 40, "a.b.c.d.e.f.g." * 20, "j5 " * 60, "H" * 200, "10 ans 3 mois 2 jours " * 20, "cancer " * 60, "du " * 100,
    "in" * 150, "é" * 300, "x" * 1900, "insuffisance cardiaque" * 60,
]  # fmt: skip
WORDS = [
    "cancer", "du", "sein", "métastatique", "insuffisance", "cardiaque", "AVC", "sur", "HTA", "depuis", "3", "ans", "choc",
    "septique", "pas de", "suspicion", "chute", "noyade", "BPCO", "J5", "il y a", "mois", "?", "(", ")", ",", ";", "+", "->",
    "grossesse", "sevrage", "tabac", "fracture", "col", "fémur", "stade IV", "en 2019", "T2N1M0", "COVID-19", "K", MARK,
]  # fmt: skip


def nested(depth: int) -> Any:
    """A list in a list in a list …"""
    value: Any = MARK
    for _ in range(depth):
        value = [value]
    return value


anything = st.text(st.characters(exclude_categories=()), max_size=60)
"""Also lone surrogates, which no UTF-8 holds."""
utf8 = st.text(st.characters(codec="utf-8"), max_size=80)
written = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)
pieces = st.lists(st.sampled_from(WORDS) | st.sampled_from(TEXT_TRAPS) | utf8, max_size=6)
texts = (
    st.sampled_from(TEXT_TRAPS)
    | utf8
    | written
    | st.builds(str.join, st.sampled_from(["", " ", "\n", "\u0301"]), pieces)
)

ids = st.sampled_from(
    ["", " ", "a b", "a\nb", "a\0b", "\x7f", "\x1b[2J", "é", "../../etc/passwd", "/dev/null", "C:\\x", "a" * 128, "a" * 129,
     "b" * 100_000, "%00", "{id}", "'; DROP TABLE", "\u202ea", "🫀", "\r\nX-Header: 1", "a\n", "-", "None", "null", "0", "\ud800"]
) | st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12) | anything  # fmt: skip

numbers = (
    st.sampled_from([0, -1, 1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 10**400, 200_000, 200_001])
    | st.integers()
    | st.floats()
    | st.booleans()
)  # fmt: skip
moments = st.sampled_from(
    ["0001-01-01T00:00:00Z", "0001-01-01", "9999-12-31", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59",
     "0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z", "2038-01-19T03:14:08Z", "2026-02-30", "2026-13-01", "2024-02-29",
     "0000-00-00", "10000-01-01", "-0001-01-01", "2026-01-16T25:00:00Z", "2026-01-16T08:30:00", "2026-01-16 08:30",
     "2026-06-30T23:59:60Z", "1e99", "now", "", 0, -1, 10**18, 1.5, 1e308, True, "٢٠٢٦-٠١-١٦"]
)  # fmt: skip
deep = st.integers(1, 300).map(nested)
scalars = st.none() | numbers | moments | texts | anything
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | anything, inner, max_size=4), max_leaves=8
)  # fmt: skip


def spoilt(good: bytes, dice: random.Random) -> bytes:
    """Good bytes with one to four small faults."""
    value = bytearray(good)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at = dice.randrange(len(value) + 1)
        kind = dice.randrange(7)
        if kind == 0 and value:
            value[at % len(value)] = dice.randrange(256)
        elif kind == 1 and value:
            value[at % len(value)] ^= 1 << dice.randrange(8)
        elif kind == 2:
            del value[at : at + dice.choice((1, 2, 8, 64))]
        elif kind == 3:
            value[at:at] = dice.randbytes(dice.choice((1, 2, 8)))
        elif kind == 4:
            value[at:at] = value[at // 2 : at // 2 + dice.choice((1, 4, 32, 256))]
        elif kind == 5:
            value[at:at] = dice.choice(
                (b"\xff" * 9 + b"\x01", b"\x80" * 12, b"\0", b'"', b"\n", b"\\u", b"\xed\xa0\x80", b"{", b"]")
            )
        else:
            del value[at:]
    return bytes(value)


dice = st.integers(0, 2**48).map(random.Random)
