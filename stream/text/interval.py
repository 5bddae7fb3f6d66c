"""Time between onset and death, as physicians write it: "3 j", "qq heures", "depuis 2012", "1 mois ½".

Vague words get a middling value and `approximate`: "quelques" is taken for four, a bare plural too, "longue date" for
ten years. Dates and years need the date of death; without it nothing can be measured.

>>> parse_interval("3 j"), parse_interval("1 an et demi").days == 1.5 * YEAR
(Duration(days=3.0, approximate=False), True)
>>> parse_interval("qq heures").approximate, parse_interval("inconnu")
(True, None)
>>> parse_interval("depuis le 12/03/2024", date(2024, 3, 15))
Duration(days=3.0, approximate=False)
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

from stream.coding import Duration
from stream.text.fold import fold
from stream.text.normal import NormalText

Span = tuple[int, int, Duration | None]
"""An interval inside a line: start and end in its normal form; None where there is nothing to measure it against."""
MINUTE, HOUR, DAY, WEEK, MONTH, YEAR = 1 / 1440, 1 / 24, 1.0, 7.0, 30.4375, 365.25
FEW = 4.0
SEVERAL = 5.0
LONG = 10 * YEAR
_LIMIT = 200
"""Longest interval field that is read; more is a text, not an interval."""
_OLDEST = 120 * YEAR
_CENTURY = 1900

_UNITS = {"sec": MINUTE / 60, "min": MINUTE, "mn": MINUTE, "h": HOUR, "j": DAY, "sem": WEEK, "mois": MONTH, "an": YEAR}
_UNIT = (
    r"(?:(?P<sec{0}>secondes?|sec)|(?P<min{0}>minutes?|mins?|mns?)|(?P<h{0}>heures?|hrs?|h)"
    r"|(?P<j{0}>jours?|journees?|jrs?|j)"
    r"|(?P<sem{0}>semaines?|sems?)|(?P<mois{0}>mois|ms)|(?P<dec{0}>decennies?)|(?P<an{0}>annees?|ans?))(?![a-z])"
)
_NUMBERS = {
    "une": 1, "un": 1, "deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "six": 6, "sept": 7, "huit": 8, "neuf": 9,
    "dix": 10, "onze": 11, "douze": 12, "quinze": 15, "vingt": 20, "trente": 30, "quarante": 40, "cinquante": 50,
    "soixante": 60,
}  # fmt: skip
_ROUND = {"dizaine": 10, "10aine": 10, "douzaine": 12, "quinzaine": 15, "15aine": 15, "vingtaine": 20, "trentaine": 30,
          "quarantaine": 40, "cinquantaine": 50, "centaine": 100}  # fmt: skip
_VAGUE = {
    **dict.fromkeys(("quelques", "quelque", "qqs", "qqes", "qques", "qq", "qlqs", "qlq"), FEW),
    **dict.fromkeys(("plusieurs", "plsrs", "pls"), SEVERAL),
    **dict.fromkeys(("nombreuses", "nombreux"), 2 * SEVERAL),
}
_NUMBER = r"(?:\d+(?:[.,]\d+)?(?: 1/2)?(?![/\d])|1/2|1/4|3/4|(?:" + "|".join(_NUMBERS) + r")(?![a-z]))"
_ABOUT = (
    r"(?:environ|env|vers|pres de|a peu pres|plus de|plus d|moins de|moins d|au moins|sup a|inf a|[<>]"
    r"|approximativement)"
)
_QUANTITY = re.compile(
    rf"(?<![a-z0-9/.])(?P<about>{_ABOUT} ?)?"
    rf"(?:(?!1/[24]|3/4)(?P<low>\d+(?=/)|{_NUMBER}) ?(?:-|a|ou|/|et) ?(?P<high>{_NUMBER})|(?P<one>{_NUMBER})"
    rf"|(?:une )?(?P<round>{'|'.join(_ROUND)}) d[e ]?|(?P<vague>{'|'.join(_VAGUE)})|(?P<half>demie?))[ -]?"
    + _UNIT.format("")
    + rf"(?P<demi> ?(?:et )?(?:demie?|1/2)(?![a-z0-9/]))?(?: ?(?:et )?(?P<more>{_NUMBER}) ?"
    + _UNIT.format("2")
    + r"| ?(?P<bare>\d\d?)(?![\d/a-z]))?(?P<after> (?:environ|env))?"
)
_BARE = re.compile(
    r"(?<![a-z0-9])(?:des )?(?:(?P<min>minutes)|(?P<h>heures)|(?P<j>jours)|(?P<sem>semaines)|(?P<an>annees|ans)"
    r"|(?P<mois>mois))(?![a-z])"
)
_CODED = re.compile(r"(?<![a-z0-9])(?:(?P<h>h)|(?P<j>j)|(?P<sem>s)|(?P<mois>m)) ?\+? ?(?P<n>\d{1,3})(?![\d/a-z])")
_QUARTER = re.compile(r"(?:un |1 )?quart d ?heure")
_SHORT = re.compile(r"(?P<n>\d+(?:[.,]\d+)?) ?(?P<unit>[ams])")
_PRIME = re.compile(r"(\d)\s*['’′](?=\s|$)")

_MONTHS = (("janvier", "janv", "jan"), ("fevrier", "fevr", "fev"), ("mars",), ("avril", "avr"), ("mai",), ("juin",),
           ("juillet", "juil"), ("aout",), ("septembre", "sept"), ("octobre", "oct"),
           ("novembre", "nov"), ("decembre", "dec"))  # fmt: skip
_MONTH = {name: number for number, names in enumerate(_MONTHS, 1) for name in names}
_NAMES = "|".join(sorted(_MONTH, key=len, reverse=True))
_YEAR = r"(?:19|20)\d\d"
_DATE = re.compile(rf"(?<![\d/.-])(?P<d>\d\d?)[/.-](?P<m>\d\d?)[/.-](?P<y>{_YEAR}|\d\d)(?![\d/])")
_ISO = re.compile(rf"(?<![\d/.-])(?P<y>{_YEAR})-(?P<m>\d\d)-(?P<d>\d\d)(?![\d/])")
_NAMED = re.compile(rf"(?<![a-z0-9])(?:(?P<d>\d\d?|1er) )?(?P<m>{_NAMES})\.? ?(?P<y>{_YEAR})?(?![\d/a-z])")
_MONTH_YEAR = re.compile(rf"(?<![\d/.-])(?P<m>\d\d?)[/.-](?P<y>{_YEAR})(?![\d/])")
_DAY_MONTH = re.compile(r"(?P<d>\d\d?)[/.](?P<m>\d\d?)")
_ONLY_YEAR = re.compile(rf"(?<![\d/.a-z-])(?P<y>{_YEAR})(?![\d/])")

_UNKNOWN = re.compile(
    r"inconnue?|nsp|ne sait pas|indetermine[es]*|non (?:connu|precise|determine)e?|nc|na|nr|imprecise?|nd"
)
_WORDS = (
    (re.compile(r"immediat|instantan|d emblee|simultane"), Duration(0.0)),
    (re.compile(r"avant hier"), Duration(2.0)),
    (re.compile(r"(?<![a-z])hier(?![a-z])|la veille"), Duration(1.0)),
    (
        re.compile(r"brutal|brusque|subit|soudain|ce jour|aujourd hui|ce matin|cette nuit|jour meme"),
        Duration(0.0, True),
    ),
    (re.compile(r"recent|qq temps|quelques? temps"), Duration(2 * WEEK, True)),
    (
        re.compile(r"longue date|longtemps|ancien|chronique|toujours|tres long|lgtps|au long cours"),
        Duration(LONG, True),
    ),
)


def _unit(match: re.Match[str], suffix: str = "") -> float:
    groups = match.groupdict()
    if groups.get(f"dec{suffix}"):
        return 10 * YEAR
    return next(days for name, days in _UNITS.items() if groups.get(f"{name}{suffix}"))


def _value(text: str) -> float:
    if text in _NUMBERS:
        return float(_NUMBERS[text])
    total = 0.0
    for part in text.replace(",", ".").split():
        over, _, under = part.partition("/")
        total += float(over) / float(under) if under else float(over)
    return total


def _quantity(match: re.Match[str]) -> Duration:
    """Days of a quantity: number, range or vague word, unit, and what is added to it ("et demi", "1 h 30")."""
    unit = _unit(match)
    rough = bool(match["about"] or match["after"])
    if match["low"]:
        count, rough = (_value(match["low"]) + _value(match["high"])) / 2, True
    elif match["one"]:
        count = _value(match["one"])
    elif match["round"]:
        count, rough = float(_ROUND[match["round"]]), True
    elif match["vague"]:
        count, rough = _VAGUE[match["vague"]], True
    else:
        count = 0.5
    days = count * unit
    if match["demi"]:
        days += unit / 2
    if match["more"]:
        days += _value(match["more"]) * _unit(match, "2")
    elif match["bare"] and unit == HOUR:
        days += int(match["bare"]) * MINUTE
    return Duration(round(days, 6), rough)


def _since(death: date | None, year: int, month: int | None = None, day: int | None = None) -> Duration | None:
    """Days from a date (its middle, when day or month are not told) to death; None when it lies after it."""
    if death is None:
        return None
    if year < 100:
        year += _CENTURY + 100 if year <= death.year % 100 else _CENTURY
    try:
        first = date(year, month or 1, day or 1)
    except ValueError:
        return None
    if day:
        gap = (death - first).days
        return Duration(float(gap)) if 0 <= gap <= _OLDEST else None
    width = MONTH if month else YEAR
    since_first = (death - first).days
    if not 0 <= since_first <= _OLDEST:
        return None
    # What began in the month (year) of death began halfway between its first day and death.
    return Duration(max(since_first - width / 2, since_first / 2), True)


def _named(match: re.Match[str], death: date | None) -> Duration | None:
    """A date with its month in letters; without a year, the last one before death."""
    month = _MONTH[match["m"]]
    day = int(match["d"].removesuffix("er")) if match["d"] else None
    if match["y"]:
        return _since(death, int(match["y"]), month, day)
    return _last(death, month, day)


def _last(death: date | None, month: int, day: int | None) -> Duration | None:
    if death is None:
        return None
    return _since(death, death.year, month, day) or _since(death, death.year - 1, month, day)


def _dated(text: str, death: date | None) -> tuple[bool, Duration | None]:
    """Whether the text holds a date, and how long before death it was."""
    for pattern in (_DATE, _ISO):
        if found := pattern.search(text):
            return True, _since(death, int(found["y"]), int(found["m"]), int(found["d"]))
    if found := _MONTH_YEAR.search(text):
        return True, _since(death, int(found["y"]), int(found["m"]))
    if (found := _NAMED.search(text)) and (found["d"] or found["y"]):
        return True, _named(found, death)
    return False, None


@lru_cache(maxsize=20_000)
def parse_interval(raw: str, death_date: date | None = None) -> Duration | None:
    """Duration of the interval field, or None when it says nothing that can be measured.

    >>> parse_interval("15-20 min").approximate, round(parse_interval("15-20 min").days * 1440, 3)
    (True, 17.5)
    >>> parse_interval("depuis 2012"), parse_interval("depuis 2012", date(2022, 7, 2)).approximate
    (None, True)
    >>> parse_interval("H24"), parse_interval("> 10 ans") == Duration(3652.5, True)
    (Duration(days=1.0, approximate=False), True)
    """
    text = fold(_PRIME.sub(r"\1 min", raw[:_LIMIT])).replace("(", " ").replace(")", " ")
    doubt = "?" in text
    text = re.sub(r"(?<!\d)\.|(?<=[a-z])-(?=[a-z])|[?\s]+", " ", text)
    text = re.sub(r" +", " ", text).strip(" .,;:-+")
    if not text or _UNKNOWN.fullmatch(text):
        return None
    found = _measure(text, death_date)
    if found is None or not 0 <= found.days <= _OLDEST:
        return None
    return Duration(found.days, True) if doubt else found


def _measure(text: str, death: date | None) -> Duration | None:
    """The first reading that holds: a date, a quantity, a short code, a year, words."""
    if "l age de" in text:
        return None
    dated, duration = _dated(text, death)
    if dated:
        return duration
    return _counted(text) or _dated_briefly(text, death) or _worded(text)


def _counted(text: str) -> Duration | None:
    if found := _QUANTITY.search(text):
        return _quantity(found)
    if found := _SHORT.fullmatch(text):  # "3 a", "2 m", "1 s" mean something only in a field of its own
        return Duration(_value(found["n"]) * {"a": YEAR, "m": MONTH, "s": WEEK}[found["unit"]])
    if found := _CODED.fullmatch(text):
        return Duration(int(found["n"]) * _unit(found))
    return Duration(15 * MINUTE) if _QUARTER.search(text) else None


def _dated_briefly(text: str, death: date | None) -> Duration | None:
    """A year, a day without its year, a month alone. A year is a reading even where it cannot be measured."""
    if found := _ONLY_YEAR.search(text):
        return _since(death, int(found["y"]))
    bare = text.removeprefix("depuis ").removeprefix("en ").removeprefix("le ")
    if found := _DAY_MONTH.fullmatch(bare):
        return _last(death, int(found["m"]), int(found["d"]))
    if found := _NAMED.fullmatch(bare):
        return _named(found, death)
    return None


def _worded(text: str) -> Duration | None:
    for pattern, duration in _WORDS:
        if pattern.search(text):
            return duration
    found = _BARE.search(text)
    return Duration(FEW * _unit(found), True) if found else None


_CUE = (
    r"(?:(?:evoluant|connue?s?|presente?s?|traitee?|suivie?|operee?s?|diagnostiquee?|dialysee?|alitee?|apparue?s?) )?"
    r"(?:depuis|il y a|datant d(?:e|u)|remontant a|en|le|pendant|durant)"
    r"(?: (?:le|l annee|la|environ|plus de|plus d|debut|fin|mi|au moins))*"
)
_WORTH = re.compile(
    r"\d|depuis|quelque|plusieurs|longue|aine d|demie? "
    r"|(?:ans?|mois|jours?|heures?|minutes?|semaines?|annees?)(?![a-z])"
)
_LEAD = re.compile(rf"(?<![a-z0-9])(?:{_CUE} |\( ?)$")
_AGE = re.compile(r"(?:age(?:e|s)? de|agee?|(?:enfant|nourrisson|homme|femme|patiente?|garcon|fille|bebe) de) $")
_NOT_AFTER = re.compile(r" (?:d amenorrhee|de grossesse|d age|de gestation|revolus?|sa(?![a-z])|/)")
_INLINE = re.compile(
    "|".join(re.sub(r"\?P<\w>", "?:", pattern.pattern) for pattern in (_DATE, _ISO, _MONTH_YEAR, _NAMED))
)
_SINCE_WORDS = re.compile(
    r"(?<![a-z])depuis (?:des |de )?(?:nombreuses |plusieurs |quelques )?(?:longue date|longtemps|toujours|l enfance"
    r"|la naissance|hier|ce jour|ce matin|cette nuit|la veille|annees|mois|jours|semaines|heures)(?![a-z])"
    r"|(?<![a-z])de longue date(?![a-z])"
)


def find_intervals(text: NormalText, death_date: date | None = None) -> tuple[Span, ...]:
    """Intervals written inside a line: start and end in `text`, in order, with what leads in ("depuis", "il y a").

    The duration is None where there is a date or year but no date of death to measure it against. An age ("enfant de
    3 ans") and a term of pregnancy are no intervals.

    >>> from stream.text.normal import normalise
    >>> line = normalise("AVC il y a 3 ans, cancer du sein (2015)")
    >>> [(line.text[a:b], d and d.days) for a, b, d in find_intervals(line)]
    [('il y a 3 ans', 1095.75), ('2015', None)]
    """
    line = text.text
    if not _WORTH.search(line):
        return ()
    found: list[Span] = []
    for match in _INLINE.finditer(line):
        if any(c.isdigit() for c in match.group()):
            found.append((*match.span(), _measure(match.group(), death_date)))
    for match in _QUANTITY.finditer(line):
        if not (_AGE.search(line, 0, match.start()) or _NOT_AFTER.match(line, match.end())):
            found.append((*match.span(), _quantity(match)))
    for match in _SINCE_WORDS.finditer(line):
        found.append((*match.span(), _measure(match.group(), death_date)))
    for match in _CODED.finditer(line):
        if match["j"] or match["h"]:
            found.append((*match.span(), Duration(int(match["n"]) * _unit(match))))
    for match in _ONLY_YEAR.finditer(line):
        found.append((*match.span(), _measure(match.group(), death_date)))
    return _widened(line, found)


def _widened(line: str, found: list[Span]) -> tuple[Span, ...]:
    """In order, without overlaps (the longest wins), and with the words that lead in."""
    kept: list[Span] = []
    for start, end, duration in sorted(found, key=lambda item: (item[0], -item[1])):
        if kept and start < kept[-1][1]:
            continue
        floor = kept[-1][1] if kept else 0
        lead = _LEAD.search(line[floor:start])
        begin = floor + lead.start() if lead and not lead.group().startswith("(") else start
        stripped = line[begin:end]
        kept.append((begin, begin + len(stripped.rstrip()), duration))
    return tuple(kept)
