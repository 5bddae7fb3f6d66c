from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import InvalidData, InvalidSettings
from stream.web.front import FOLDER
from stream.web.language import LANGUAGES, Translator

OURS = FOLDER / "texts"


def folder(base: Path, fr: str, en: str) -> Path:
    (base / "fr.yaml").write_text(fr)
    (base / "en.yaml").write_text(en)
    return base


def test_ours_are_complete() -> None:
    translator = Translator([OURS])
    for language in LANGUAGES:
        texts = translator.texts(language)
        assert texts("page.of", page=2, pages=7)
        assert all("{" not in text or "}" in text for text in texts.table.values())


@pytest.mark.parametrize(
    ("fr", "en", "word"),
    [
        ("a: x\nb: y", "a: x", "en.yaml: lacks b"),
        ("a: x", "a: x\nb: {c: y}", "fr.yaml: lacks b.c"),
        ("a: x {n}", "a: x", "placeholders"),
        ("a: ''", "a: x", "a is empty"),
        ("a: 3", "a: x", "a is empty, or no text"),
        ("no: x", "no: x", "put it in quotes"),
        ("a: [", "a: x", "fr.yaml:1"),
        ("- a", "a: x", "is no mapping"),
    ],
)
def test_texts_that_are_not_complete_do_not_start(tmp_path: Path, fr: str, en: str, word: str) -> None:
    with pytest.raises(InvalidData, match=word):
        Translator([folder(tmp_path, fr, en)])


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"fr\.yaml"):
        Translator([tmp_path])


def test_placeholders_and_plurals(tmp_path: Path) -> None:
    one = folder(
        tmp_path,
        "n:\n  one: '{count} décès'\n  other: '{count} morts'\nhi: 'Bonjour {who}'",
        "n:\n  one: one death\n  other: '{count} deaths'\nhi: 'Hello {who}'",
    )
    fr, en = (Translator([one]).texts(language) for language in LANGUAGES)
    assert [fr("n", count=n) for n in (0, 1, 1.5, 2, 1234)] == [
        "0 décès", "1 décès", "1,5 décès", "2 morts", "1\u202f234 morts"
    ]  # fmt: skip
    assert [en("n", count=n) for n in (0, 1, 2, 1234)] == ["0 deaths", "one death", "2 deaths", "1,234 deaths"]
    assert fr("hi", who="{who} <b>") == "Bonjour {who} <b>", "what is put in is not looked through again"
    with pytest.raises(KeyError):
        fr("nothing")
    with pytest.raises(KeyError):
        fr("hi")


def test_numbers_and_dates() -> None:
    fr, en = (Translator([OURS]).texts(language) for language in LANGUAGES)
    assert (fr.number(-1234567.891, 2), en.number(-1234567.891, 2)) == ("−1\u202f234\u202f567,89", "−1,234,567.89")
    assert (fr.number(3), fr.number(3.25), en.number(3.25)) == ("3", "3,2", "3.2")
    assert (fr.percent(0.126), en.percent(0.126, 1)) == ("13\u202f%", "12.6%")
    assert (fr.day(date(2026, 1, 5)), en.day(date(2026, 1, 5))) == ("05/01/2026", "5 Jan 2026")
    summer = datetime(2026, 7, 14, 22, 30, tzinfo=UTC)
    assert (fr.moment(summer), en.moment(summer.replace(tzinfo=None))) == ("15/07/2026 00:30", "15 Jul 2026 00:30")


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("", "", "fr"),
        ("en", "fr", "en"),
        ("de", "en", "en"),
        ("", "en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("", "de, fr;q=0.5, en;q=0.7", "en"),
        ("", "en;q=0", "fr"),
        ("", "en;q=x, fr;q=0.1", "fr"),
        ("", "*", "fr"),
    ],
)
def test_the_language_of_a_browser(cookie: str, accepted: str, language: str) -> None:
    assert Translator([OURS]).chosen(cookie, accepted) == language


@given(st.text(max_size=200), st.text(max_size=600))
def test_whatever_a_browser_says(cookie: str, accepted: str) -> None:
    assert TRANSLATOR.chosen(cookie, accepted) in LANGUAGES


TRANSLATOR = Translator([OURS])


def test_a_zone_that_is_none() -> None:
    for zone in ("Mars", "../../etc/passwd", ""):
        with pytest.raises(InvalidSettings):
            Translator([OURS], zone=zone)
