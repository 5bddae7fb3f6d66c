"""Phrases inside a line, bags of words, and the best cover of a line by phrases."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.coder.expressions import Expression
from stream.coder.phrases import Hit, Meaning, PhraseIndex, best_cover
from stream.coder.stems import stem, stems, tokens

MEANING = Meaning((("", Expression("x", ("I10",))),))


def index(*texts: str) -> PhraseIndex:
    """Index of expressions "text|condition=code"."""
    pairs = []
    for text in texts:
        rest, _, code = text.partition("=")
        bare, _, when = rest.partition("|")
        pairs.append((Expression(bare, (code or "I10",), when), bare))
    return PhraseIndex(pairs)


def found(phrases: PhraseIndex, line: str) -> list[str]:
    words = tokens(line)
    return [line[words[h.first].start : words[h.last].end] for h in phrases.find(words)]


# Phrases


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cancer du sein", ["cancer du sein"]),
        ("cancer sein", ["cancer sein"]),
        ("cancers des seins", ["cancers des seins"]),
        ("un cancer de la tete du pancreas", ["cancer de la tete du pancreas"]),
        ("cancer, sein", []),
        ("cancer ( sein", []),
        ("cancer du gros sein", []),
        ("sein cancer", []),
        ("cancer", []),
        ("cancer du", []),
        ("", []),
        ("choc cancer du sein choc", ["choc", "cancer du sein", "choc"]),
        ("cancer du sein et cancer du sein", ["cancer du sein", "cancer du sein"]),
    ],
)
def test_phrases_are_found_over_stop_words_but_not_over_signs(line: str, expected: list[str]) -> None:
    phrases = index("cancer du sein", "cancer de la tete du pancreas", "choc")
    assert found(phrases, line) == expected


PASSED = frozenset({stem("grave"), stem("droit"), stem("opere")})


def test_an_epithet_of_one_phrase_is_passed_in_another() -> None:
    pairs = [(Expression(text, ("I10",)), text) for text in ("cancer grave du rein", "cancer du larynx", "cancer")]
    phrases = PhraseIndex(pairs, PASSED)
    assert found(phrases, "cancer grave du larynx") == ["cancer", "cancer grave du larynx"]
    assert found(phrases, "cancer grave droit du larynx") == ["cancer", "cancer grave droit du larynx"]
    assert found(phrases, "cancer grave du rein") == ["cancer", "cancer grave du rein"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cancer grave du sein", ["cancer grave du sein"]),
        ("cancer droit opere du sein", ["cancer droit opere du sein"]),
        ("cancer grave droit opere grave du sein", []),  # more words than a phrase may hold
        ("cancer de l'autre sein", []),
        ("cancer grave du", []),
        ("cancer grave d' un de la", []),
    ],
)
def test_words_that_change_nothing_are_passed_inside_a_phrase(line: str, expected: list[str]) -> None:
    pairs = [(Expression(text, ("C50.9",)), text) for text in ("cancer du sein", "sein opere")]
    words = tokens(line)
    hits = PhraseIndex(pairs, PASSED).find(words)
    assert [line[words[h.first].start : words[h.last].end] for h in hits] == expected


@given(
    st.lists(
        st.sampled_from(["cancer", "du", "sein", "grave", "d", "un", "de", "la", "opere", "et", "xyz"]), max_size=9
    )
)
def test_whatever_stands_between_a_phrase_is_found_or_not(words_: list[str]) -> None:
    pairs = [
        (Expression(text, ("C50.9",)), text) for text in ("cancer", "cancer du sein", "sein opere", "cancer opere")
    ]
    words = tokens(" ".join(words_))
    for found_ in PhraseIndex(pairs, PASSED).find(words):
        assert words[found_.first].stem and words[found_.last].stem


def test_overlapping_phrases_are_all_found() -> None:
    phrases = index("insuffisance renale", "insuffisance renale aigue", "renale aigue", "aigue")
    assert found(phrases, "insuffisance renale aigue") == [
        "insuffisance renale", "insuffisance renale aigue", "renale aigue", "aigue",
    ]  # fmt: skip


def test_a_hit_counts_content_words_only() -> None:
    (hit,) = index("cancer du col de l uterus").find(tokens("le cancer du col de l uterus"))
    assert (hit.first, hit.last, hit.size) == (1, 6, 3)


def test_a_stop_word_neither_begins_nor_ends_a_phrase() -> None:
    words = tokens("de la grippe de")
    (hit,) = index("la grippe").find(words)
    assert words[hit.first].text == words[hit.last].text == "grippe"


# Precedence, conditions, bags


def test_first_expression_stands() -> None:
    meaning = index("cancer du sein=C50.9", "cancers des seins=C50.1").phrase(stems("cancer sein"))
    assert meaning is not None
    expression = meaning.under(frozenset())
    assert expression is not None and expression.codes == ("C50.9",)


@pytest.mark.parametrize(
    ("holds", "code"),
    [
        ([], "J96.0"), (["male"], "J96.0"), (["newborn"], "P22.9"), (["newborn", "male"], "P22.9"), (["child"], "J96.1"),
    ],
)  # fmt: skip
def test_a_condition_that_holds_beats_the_default(holds: list[str], code: str) -> None:
    meaning = index("detresse=J96.0", "detresse|newborn=P22.9", "detresse|child=J96.1").phrase(("detress",))
    assert meaning is not None
    expression = meaning.under(frozenset(holds))
    assert expression is not None and expression.codes == (code,)


def test_without_a_default_nothing_is_meant_elsewhere() -> None:
    meaning = index("detresse|newborn=P22.9").phrase(("detress",))
    assert meaning is not None and meaning.under(frozenset(["male"])) is None


def test_bag_has_any_order_and_no_other_word() -> None:
    phrases = index("insuffisance renale chronique")
    assert phrases.bag(stems("chronique insuffisance renale")) is phrases.phrase(stems("insuffisance renale chronique"))
    assert phrases.bag(stems("insuffisance renale")) is None
    assert phrases.bag(stems("insuffisance renale chronique terminale")) is None
    assert phrases.phrase(stems("chronique insuffisance renale")) is None


def test_index_knows_its_stems_and_size() -> None:
    phrases = index("cancer du sein", "cancer du sein=C50.9", "choc", "de la")
    assert len(phrases) == 2
    assert phrases.knows("cancer") and phrases.knows("choc") and not phrases.knows("la") and not phrases.knows("")


def test_near_asks_by_the_rarest_words_and_stops_at_its_limit() -> None:
    phrases = index("cancer sein", "cancer rein", "cancer foie", "choc septique")
    assert next(iter(phrases.near(["cancer", "sein"]))) == ("cancer", "sein")
    assert set(phrases.near(["inconnu", "choc"])) == {("choc", "septiqu")}
    assert list(phrases.near(["inconnu"])) == []
    assert len(list(phrases.near(["cancer"], limit=2))) == 2


# The best cover


def hit(first: int, last: int, size: int | None = None) -> Hit:
    return Hit(first, last, last - first + 1 if size is None else size, MEANING)


def disjoint(hits: list[Hit]) -> bool:
    return all(a.last < b.first or b.last < a.first for a, b in combinations(hits, 2))


def worth(hits: list[Hit]) -> int:
    return sum(h.size**2 for h in hits)


def brute(hits: list[Hit]) -> int:
    return max(
        worth(list(chosen))
        for size in range(len(hits) + 1)
        for chosen in combinations(hits, size)
        if disjoint(list(chosen))
    )


@st.composite
def some_hits(draw: st.DrawFn) -> list[Hit]:
    hits = []
    for _ in range(draw(st.integers(0, 9))):
        first = draw(st.integers(0, 8))
        last = draw(st.integers(first, 9))
        hits.append(hit(first, last, draw(st.integers(1, last - first + 1))))
    return hits


@given(some_hits())
def test_best_cover_is_as_good_as_brute_force(hits: list[Hit]) -> None:
    chosen = best_cover(hits)
    assert disjoint(chosen)
    assert worth(chosen) == brute(hits)
    assert all(any(h is c for h in hits) for c in chosen)
    assert [c.first for c in chosen] == sorted(c.first for c in chosen)


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        ([], []),
        ([hit(0, 0)], [(0, 0)]),
        ([hit(0, 0), hit(1, 1), hit(0, 1)], [(0, 1)]),  # one phrase of two words beats its parts
        ([hit(0, 1), hit(1, 2), hit(2, 3)], [(0, 1), (2, 3)]),
        ([hit(0, 2), hit(2, 4), hit(3, 3)], [(0, 2), (3, 3)]),
        ([hit(0, 1), hit(1, 4)], [(1, 4)]),
        ([hit(0, 5, 2), hit(0, 2, 3)], [(0, 2)]),  # stop words count for nothing
    ],
)
def test_best_cover(hits: list[Hit], expected: list[tuple[int, int]]) -> None:
    assert [(h.first, h.last) for h in best_cover(hits)] == expected


def test_of_two_phrases_alike_the_first_stands() -> None:
    one, two = hit(0, 1), hit(0, 1)
    assert best_cover([one, two])[0] is one
    assert best_cover([two, one])[0] is two
