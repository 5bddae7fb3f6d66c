"""Texts of pages in French and English, kept as YAML, and numbers and dates as each language writes them.

Both languages have the same keys and the same placeholders; what lacks one does not start. A text with the two keys `one`
and `other` has a plural, chosen by `count`: French counts 0 and 1 as one, English 1 alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from stream.errors import InvalidData, InvalidSettings

LANGUAGES = ("fr", "en")
NAMES = {"fr": "Français", "en": "English"}
_PLACE = re.compile(r"\{(\w+)\}")
_PLURAL = {"one", "other"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LONGEST_HEADER = 500


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language; called with a key it gives the text.

    Attributes:
        language: `fr` or `en`.
        table: text by key, the keys' parts joined by dots.
        zone: of the times that are shown.
    """

    language: str
    table: Mapping[str, str]
    zone: ZoneInfo

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key with its placeholders filled; numbers are written as the language does.

        Raises:
            KeyError: no such key, or a placeholder without a value: a fault of the page.
        """
        if key not in self.table and "count" in values:
            count = values["count"]
            assert isinstance(count, int | float)
            one = 0 <= count < 2 if self.language == "fr" else count == 1
            key = f"{key}.{'one' if one else 'other'}"
        written = {
            name: self.number(value) if isinstance(value, int | float) else str(value) for name, value in values.items()
        }
        return _PLACE.sub(lambda found: written[found[1]], self.table[key])

    def has(self, key: str) -> bool:
        """Whether there is such a text: for keys that are made of data, such as codes of reasons."""
        return key in self.table

    def number(self, value: float, digits: int | None = None) -> str:
        """A number with its groups of three; whole numbers as they are, others with one digit unless told."""
        digits = digits if digits is not None else 0 if float(value).is_integer() else 1
        text = f"{value:,.{digits}f}"
        if self.language == "fr":
            # Narrow no-break space between groups, as French typography has it.
            text = text.replace(",", "\u202f").replace(".", ",")
        return text.replace("-", "\u2212")

    def percent(self, share: float, digits: int = 0) -> str:
        """A share of one in percent."""
        text = self.number(share * 100, digits)
        return f"{text}\u202f%" if self.language == "fr" else f"{text}%"

    def day(self, value: date) -> str:
        """A day: 16/01/2026, or 16 Jan 2026."""
        if self.language == "fr":
            return f"{value.day:02}/{value.month:02}/{value.year}"
        return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"

    def moment(self, value: datetime, seconds: bool = False) -> str:
        """A moment in the pages' time zone, to the minute; one without a zone is UTC."""
        there = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(self.zone)
        clock = f"{there:%H:%M:%S}" if seconds else f"{there:%H:%M}"
        return f"{self.day(there.date())} {clock}"

    def part(self, prefix: str) -> dict[str, str]:
        """All texts whose keys begin with a prefix, for a page's script."""
        return {key: text for key, text in self.table.items() if key.startswith(f"{prefix}.")}


class Translator:
    """The texts of all languages.

    Args:
        folders: each with a file for each language; a later folder's keys win.
        default: language for browsers that name none of ours.
        zone: of the times that are shown.

    Raises:
        InvalidData: a file is missing or unreadable, the languages differ in keys or placeholders, a text is empty.
        InvalidSettings: no such time zone.
    """

    def __init__(self, folders: Sequence[Path], default: str = "fr", zone: str = "Europe/Paris") -> None:
        try:
            place = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise InvalidSettings("web.zone is no time zone", hint="such as Europe/Paris") from None
        tables: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
        for folder in folders:
            read = {language: _read(folder / f"{language}.yaml") for language in LANGUAGES}
            _compare(folder, read)
            for language in LANGUAGES:
                tables[language] |= read[language]
        self._texts = {language: Texts(language, tables[language], place) for language in LANGUAGES}
        self.default = default

    def texts(self, language: str) -> Texts:
        """Texts of a language; of the default where it is none of ours."""
        return self._texts.get(language) or self._texts[self.default]

    def chosen(self, cookie: str, accepted: str) -> str:
        """The language of a browser: what was chosen, else what it accepts best, else the default."""
        if cookie in LANGUAGES:
            return cookie
        best, weight = self.default, 0.0
        for name, quality in _accepted(accepted[:_LONGEST_HEADER]):
            if name in LANGUAGES and quality > weight:
                best, weight = name, quality
        return best


def _accepted(header: str) -> Iterator[tuple[str, float]]:
    for part in header.split(","):
        name, _, parameters = part.strip().partition(";")
        quality = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", parameters)
        yield name.split("-")[0].lower(), float(quality[1]) if quality else 0.0 if parameters else 1.0


def _read(path: Path) -> dict[str, str]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidData(f"{path.parent.name}/{path.name}: {error.strerror}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InvalidData(f"{path.parent.name}/{path.name}{line}: is no YAML") from None
    if not isinstance(loaded, dict):
        raise InvalidData(f"{path.parent.name}/{path.name}: is no mapping")
    return dict(_flat(loaded, "", path))


def _flat(node: Mapping[Any, Any], prefix: str, path: Path) -> Iterator[tuple[str, str]]:
    for name, value in node.items():
        # YAML reads a bare `no` or `on` as a truth value: such a key must stand in quotes.
        if not isinstance(name, str):
            raise InvalidData(f"{path.parent.name}/{path.name}: {prefix}{name} is no text: put it in quotes")
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.", path)
        elif isinstance(value, str) and value.strip():
            yield key, value.strip()
        else:
            raise InvalidData(f"{path.parent.name}/{path.name}: {key} is empty, or no text")


def _compare(folder: Path, read: Mapping[str, Mapping[str, str]]) -> None:
    first, second = (read[language] for language in LANGUAGES)
    for language, other in ((LANGUAGES[0], second), (LANGUAGES[1], first)):
        missing = sorted(set(other) - set(read[language]))
        if missing:
            raise InvalidData(f"{folder.name}/{language}.yaml: lacks {', '.join(missing[:5])}")
    for key, text in first.items():
        # A French `one` may name the count where English writes the word, and the other way round.
        if key.rsplit(".", 1)[-1] not in _PLURAL and set(_PLACE.findall(text)) != set(_PLACE.findall(second[key])):
            raise InvalidData(f"{folder.name}: {key} has other placeholders in each language")
