"""The page: one document that needs no network, shows the record's figures, and takes no text for markup."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from stream.coding import CodedCertificate, Method, Route
from stream.evaluation import plots
from stream.evaluation.gold import Gold
from stream.evaluation.report import SHOWN, page
from stream.evaluation.score import Reliability, Score, score
from stream.nomenclature import icd10, shortlist

from . import coded, entity, gold, line, lost, record

VOID = {"meta", "br", "hr", "img", "input", "link", "base", "embed", "source", "area", "col", "track", "wbr"}
HOSTILE = "<script>alert('x')</script> & \"><img src=https://evil.example/x onerror=alert(1)>"


class Page(HTMLParser):
    """What a browser would make of a page: its elements in order, its text, its tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.declarations: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.rows: list[list[str]] = []
        self.figures: list[list[str]] = []
        self.styles = ""
        self.text = ""
        self._open: list[str] = []
        self._cells: list[str] | None = None
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_decl(self, decl: str) -> None:
        self.declarations.append(decl)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("tr", "li"):
            self._cells = []
        if tag in ("td", "th") or (self._cells is not None and "li" in self._open and tag in ("span", "b")):
            assert self._cells is not None
            self._cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag in ("tr", "li") and self._cells is not None:
            (self.rows if tag == "tr" else self.figures).append(self._cells)
            self._cells = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if "style" in self._open:
            self.styles += data
        if self._cells:
            self._cells[-1] += data

    def row(self, *first: str) -> list[str]:
        """The one row of a table whose cells begin so."""
        (found,) = [row for row in self.rows if row[: len(first)] == list(first)]
        return found

    def figure(self, name: str) -> list[str]:
        (found,) = [figure[1:] for figure in self.figures if figure[0] == name]
        return found


def sample(text: str = "OAP secret", name: str = "N7") -> Score:
    """Right, wrong, missed, made up, unreadable: something of each."""
    proposed = line(entity("J81", 0.75), entity("I11.9", 0.5, Method.MODEL), entity("E11.9", 0.25, Method.BOTH))
    pairs: list[tuple[Gold, CodedCertificate | None]] = [
        (gold(["J81", "I10"], text=text, name=name), coded(proposed)),
        (gold(["I10"], part2=[["C34.9"]], cause="C34.9", text=text, name=name), coded(line("I10"), part2=[line()], cause="I10")),
        (gold(["J81"], text=text, name=name), coded(line("J81"), route=Route.MANUAL)),
        (gold(["I21.9"], cause="I21.9", text=text, name=name), None),
    ]  # fmt: skip
    return score(pairs)


DRAWN: dict[str, str] = {}


def once(draw: Callable[[Any, str], str]) -> Callable[[Any, str], str]:
    """Drawings take a while: one of the same counts is made once."""

    def drawn(found: Any, title: str) -> str:
        name = f"{draw.__name__} {title} {found}"
        DRAWN[name] = DRAWN.get(name) or draw(found, title)
        return DRAWN[name]

    return drawn


def shown(found: Score, *, texts: bool = True, **changes: Any) -> Page:
    with pytest.MonkeyPatch.context() as patch:
        for draw in (plots.reliability, plots.coverage, plots.chapters):
            patch.setattr(plots, draw.__name__, once(draw))
        return Page(page(record(found) | changes, found, texts=texts))


SAMPLE = sample()
PAGE = shown(SAMPLE)


# One document


def test_the_page_is_one_whole_document() -> None:
    assert PAGE.html.startswith("<!doctype html>") and PAGE.html.rstrip().endswith("</html>")
    assert [text.lower() for text in PAGE.declarations] == ["doctype html"]
    tags = Counter(tag for tag, _ in PAGE.elements)
    assert tags["html"] == tags["head"] == tags["body"] == tags["h1"] == 1 and tags["svg"] == 4
    assert ("meta", {"charset": "utf-8"}) in PAGE.elements
    assert "<?xml" not in PAGE.html and "<!DOCTYPE svg" not in PAGE.html


@pytest.mark.parametrize("found", [SAMPLE, sample(HOSTILE), Score()], ids=["plain", "hostile", "nothing"])
def test_nothing_is_fetched_and_nothing_runs(found: Score) -> None:
    one = shown(found, source=HOSTILE if found is not SAMPLE else "gold.jsonl")
    forbidden = {
        "script",
        "link",
        "iframe",
        "frame",
        "img",
        "image",
        "object",
        "embed",
        "base",
        "form",
        "video",
        "audio",
    }
    assert not forbidden & {tag for tag, _ in one.elements}
    for tag, attributes in one.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name.startswith("xmlns") or name == "rdf:resource":
                continue  # names of vocabularies in the drawings' metadata: no browser asks for them
            assert not re.search(r"https?:|^//|javascript:|data:", value), (tag, name, value)
            if name in ("src", "href", "xlink:href", "srcset", "action", "poster"):
                assert value.startswith("#"), (tag, name, value)
    assert "@import" not in one.styles and not re.search(r"url\((?!#)", one.styles)


def test_ids_do_not_collide_and_every_reference_finds_its_own_drawing() -> None:
    drawing, owner, used = -1, {}, []
    for tag, attributes in PAGE.elements:
        drawing += tag == "svg"
        if "id" in attributes:
            assert attributes["id"] not in owner
            owner[attributes["id"]] = drawing
        for value in attributes.values():
            used += [(found, drawing) for found in re.findall(r"^#([^)\s]+)$|url\(#([^)]+)\)", value)]
    references = [(a or b, n) for (a, b), n in used if not re.fullmatch("[0-9a-f]{6}", a)]
    assert len(references) > 40 and drawing == 3 and set(owner.values()) == {0, 1, 2, 3}
    assert all(owner[name] == n for name, n in references)


def test_the_same_counts_make_the_same_page() -> None:
    found = sample()
    assert page(record(found), found, texts=True) == PAGE.html


def test_nothing_measured_is_still_a_page() -> None:
    one = shown(Score())
    assert "0 certificates" in one.text and one.figure("entities, F1 exact")[0] == "0.000"


# Text


@pytest.mark.parametrize(
    "text", [HOSTILE, "</td></table><h1>", "{{ record }} {% raw %}", "&lt;b&gt; &amp;", "œdème\u00a0aigu"]
)
def test_hostile_text_is_shown_as_it_was_written(text: str) -> None:
    one = shown(sample(text, name="<b>id</b>"), source=text, coders=text, versions={text: text})
    assert one.row("<b>id</b>:2")[1] == text
    assert [tag for tag, _ in one.elements] == [tag for tag, _ in PAGE.elements]
    assert f"Evaluation: {text}" in one.text and f"{text} {text}" in one.text


def test_without_texts_neither_lines_nor_ids_of_certificates_are_shown() -> None:
    one = shown(SAMPLE, texts=False)
    assert "OAP" in PAGE.html and "N7" in PAGE.html and "confidential" in PAGE.text
    assert "OAP" not in one.html and "secret" not in one.html and "N7" not in one.html
    assert "What went wrong" not in one.text and "SP1" not in one.html
    assert one.figures == PAGE.figures and one.rows == PAGE.rows[: len(one.rows)]


def test_what_went_wrong_is_shown_with_its_gold_surest_first() -> None:
    assert [row for row in PAGE.rows if row[0] == "N7"] == [
        ["N7", "OAP secret / OAP secret", "C34.9", "I10", "0.90", "SP1"],
        ["N7", "OAP secret", "I21.9", "", "0.00", "CORE_FAILED"],
    ]
    assert [row[2:5] for row in PAGE.rows if row[0].startswith("N7:")] == [
        ["J81 I10", "J81 I11.9 E11.9", "0.25"],
        ["C34.9", "", "0.00"],
        ["I21.9", "", "0.00"],
    ]
    assert PAGE.row("N7:2")[2] == "C34.9"


def test_a_certificate_that_could_not_be_read_is_shown_by_its_row() -> None:
    one = shown(score([(gold(["J81"]), coded(line("J81"))), (lost(["I10"], ["J81"]), None)]))
    assert one.row("row 4") == ["row 4", " / ", "J81", "", "0.00", "INVALID_CERTIFICATE"]
    assert one.row("row 4:1")[1:4] == ["", "I10", ""] and one.row("row 4:2")[1:4] == ["", "J81", ""]
    assert "1 could not be read" in one.text


def test_no_more_is_shown_than_a_person_reads() -> None:
    pairs = [(gold(["I10"], name=f"N{n}"), coded(line("J81"), cause="I10")) for n in range(SHOWN + 20)]
    one = shown(score(pairs))
    assert sum(row[0].startswith("N") for row in one.rows) == 2 * SHOWN and f"Lines ({SHOWN} shown)" in one.text


# Figures


def test_the_figures_on_top_are_the_records() -> None:
    told = record(SAMPLE)
    exact, three = told["entities"]["exact"], told["entities"]["three_characters"]
    for name, tally in (("entities, F1 exact", exact), ("entities, F1 three characters", three)):
        note = f"precision {tally['precision']:.3f}, recall {tally['recall']:.3f}"
        assert PAGE.figure(name) == [f"{tally['f1']:.3f}", note]
    shares = {
        "lines exact": told["lines_exact"],
        "certificates exact": told["certificates_exact"],
        "underlying cause exact": told["underlying"]["exact"],
        "  three characters": told["underlying"]["three_characters"],
        "  European shortlist": told["underlying"]["european_shortlist"],
        "  right of 2 automatic": told["automatic"],
    }
    for name, share in shares.items():
        rate, interval = PAGE.figure(name)
        assert rate == f"{100 * share['rate']:.1f} %"
        # Either is rounded from the whole number, the record to four digits and the page to three.
        bounds = [float(bound) for bound in interval.removeprefix("95 %: ").split("–")]
        assert bounds == pytest.approx([100 * bound for bound in share["interval95"]], abs=0.056)
    assert len(PAGE.figures) == 2 + len(shares)
    # By hand: 3 of 5 proposed and of 6 expected; of four certificates two have their cause.
    assert PAGE.figure("entities, F1 exact")[0] == "0.545" and PAGE.figure("underlying cause exact")[0] == "50.0 %"


def test_every_table_holds_the_records_rows() -> None:
    told, labels, nomenclature = record(SAMPLE), shortlist.labels(), icd10.load()
    titles = {name: title for name, _, _, title in icd10.CHAPTERS}
    rows = [
        ["chapter", "", "precision", "recall", "F1", "right", "proposed", "expected"],
        *([name, titles[name], *(f"{one[key]:.3f}" for key in ("precision", "recall", "f1")),
           *(str(one[key]) for key in ("right", "proposed", "expected"))] for name, one in told["by_chapter"].items()),
        ["proposed by", "right", "95 %", "of"],
        *([name, f"{one['rate']:.3f}", "{:.3f}–{:.3f}".format(*one["interval95"]), str(one["total"])]
          for name, one in told["by_method"].items()),
        ["item", "", "same category", "95 %", "certificates"],
        *([name, labels[name], f"{one['rate']:.3f}", "{:.2f}–{:.2f}".format(*one["interval95"]), str(one["total"])]
          for name, one in told["by_shortlist"].items()),
        ["gold", "", "found", "", "times"],
        *([one["gold"] or "—", nomenclature.label(one["gold"] or ""), one["found"] or "—",
           nomenclature.label(one["found"] or ""), str(one["n"])] for one in told["confusions"]),
    ]  # fmt: skip
    assert shown(SAMPLE, texts=False).rows == rows
    assert len(told["by_chapter"]) == 4 and len(told["by_method"]) == 3 and len(told["confusions"]) == 4


def test_the_head_tells_what_was_measured() -> None:
    assert "4 certificates, 6 coded mentions" in PAGE.text and "coders: rules" in PAGE.text
    assert "1 could not be read" in PAGE.text and "software 0" in PAGE.text and "coder " not in PAGE.text
    assert "could not be read" not in shown(score([(gold(["J81"]), coded(line("J81")))])).text


@pytest.mark.parametrize("draw", [plots.reliability, plots.coverage])
def test_drawings_do_not_hang_on_the_order_of_the_certificates(draw: Callable[[Reliability, str], str]) -> None:
    rights = [False, True] * 10
    assert draw(Reliability([0.5] * 20, rights), "x") == draw(Reliability([0.5] * 20, sorted(rights)), "x")


def test_the_drawings_tell_the_calibration_error() -> None:
    calibration = record(SAMPLE)["calibration"]
    for name in ("entities", "underlying"):
        assert f"calibration error {calibration[name]['calibration_error']:.3f}" in PAGE.text
