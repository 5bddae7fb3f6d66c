"""Lines made for training: the same by seed, their spans hold the entities, and what is held out stays out."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from functools import cache
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.coder import expressions
from stream.coder.context import CONDITIONS
from stream.coder.expressions import Expression
from stream.nomenclature import icd10
from stream.text.normal import normalise
from training import corpus, noise
from training.corpus import Corpus, Example, Part, Replayed, Scene, scenes
from training.pool import HELD_OUT, HELD_PAIRS, Pool, held_out, held_pair, load_written, neighbours_held
from training.written import Written, WrittenLine

PARTS: tuple[Part, ...] = get_args(Part)
LEXICON = list(expressions.load())
KEPT_OUT = {e.text.lower() for e in LEXICON if held_out(e)}
BY_TEXT: dict[str, set[tuple[str, ...]]] = {}
for _e in [*LEXICON, *expressions.labels(icd10.load())]:
    BY_TEXT.setdefault(_e.text, set()).add(_e.codes)


def examples(
    count: int, seed: int = 1, part: Part = "train", certificates: tuple[Written, ...] | None = None
) -> list[Example]:
    """Lines of a corpus; without certificates the drawn ones alone."""
    return list(itertools.islice(Corpus(seed, part, certificates), count))


@cache
def trained() -> tuple[Written, ...]:
    return tuple(load_written())


@cache
def written_scenes() -> tuple[Scene, ...]:
    return scenes(trained())


@cache
def pool() -> Pool:
    return Pool(random.Random(1), held=False, certificates=trained())


def again(count: int, *, recast: bool, seed: int = 1) -> list[tuple[Scene, Example]]:
    """Lines made of one scene each, with that scene."""
    rng = random.Random(seed)
    drawn = [rng.choice(written_scenes()) for _ in range(count)]
    return [(scene, Replayed([[scene]], pool(), rng).example(recast=recast)) for scene in drawn]


def words(example: Example) -> list[str]:
    """What a line's spans hold."""
    return [example.text[span.start : span.end] for span in example.spans]


def between(text: str, places: list[tuple[int, int]]) -> list[str]:
    """What stands before, between and behind places."""
    edges = [0, *itertools.chain.from_iterable(places), len(text)]
    return [text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def codes_of(example: Example) -> list[str]:
    return [code for span in example.spans for code in span.codes]


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hand that writes what it means."""
    monkeypatch.setattr(noise, "entity", lambda text, rng, level: text)
    monkeypatch.setattr(noise, "hand", lambda rng: ("asis", False))


# Any line


@pytest.mark.parametrize("part", PARTS)
def test_a_seed_gives_its_lines(part: Part) -> None:
    one, same, other = (examples(200, seed, part, certificates=trained()) for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("part", PARTS)
def test_spans_lie_in_the_line_in_order_with_valid_codes(part: Part) -> None:
    nomenclature = icd10.load()
    for example in examples(2_000, 3, part):
        reach = 0
        for span in example.spans:
            assert reach <= span.start < span.end <= len(example.text)
            assert example.text[span.start : span.end].strip()
            assert span.codes and all(nomenclature.valid(code) for code in span.codes)
            reach = span.end
        assert set(example.context.split()) <= set(CONDITIONS)


def test_lines_are_as_varied_as_certificates() -> None:
    made = examples(3_000, 7)
    sizes = Counter(len(example.spans) for example in made)
    assert sizes[0] > 0 and sizes[1] > sizes[2] > sizes[3] > 0
    codes = {code for example in made for code in codes_of(example)}
    assert len(codes) > 1_000 and len({code[0] for code in codes}) > 18
    assert any(example.text.isupper() for example in made) and any(example.text.islower() for example in made)


def test_about_half_the_lines_are_of_the_written_certificates_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Counter[str] = Counter()

    def example(self: Replayed, *, recast: bool) -> Example:
        made["recast" if recast else "replayed"] += 1
        return Example("", "", ())

    monkeypatch.setattr(Replayed, "example", example)
    examples(4_000, 9)
    assert abs(made["replayed"] / 4_000 - corpus.REPLAYED) < 0.03
    assert abs(made["recast"] / 4_000 - corpus.RECAST) < 0.03


@pytest.mark.parametrize("part", [part for part in PARTS if part != "train"])
def test_only_training_lines_replay(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replayed, "example", None)
    assert len(examples(500, 9, part)) == 500


# What is held out


def test_a_twentieth_is_held_out_and_labels_are_not() -> None:
    share = sum(map(held_out, LEXICON)) / len(LEXICON)
    assert abs(share - 1 / HELD_OUT) < 0.01
    assert not any(held_out(label) for label in expressions.labels(icd10.load()))
    assert {held_out(e) for e in LEXICON if e.text.lower() in KEPT_OUT} == {True}


def test_a_fiftieth_of_the_pairs_of_categories_is_held_out() -> None:
    categories = sorted({code[:3] for code in icd10.load()})[::7]
    pairs = list(itertools.combinations(categories, 2))
    assert abs(sum(held_pair(a, b) for a, b in pairs) / len(pairs) - 1 / HELD_PAIRS) < 0.002
    assert not any(held_pair(f"{a}.1", f"{a}.9") for a in categories)


@given(*[st.sampled_from(sorted(icd10.load()))] * 2)
def test_a_held_out_pair_is_one_whatever_its_order_and_fourth_characters(one: str, other: str) -> None:
    assert (
        held_pair(one, other) == held_pair(other, one) == held_pair(one[:3], other[:3]) == neighbours_held([one, other])
    )


def test_what_is_held_out_never_stands_whole_in_a_drawn_line(steady: None) -> None:
    for example in examples(6_000, 5, certificates=()):
        for span, told in zip(example.spans, words(example), strict=True):
            if (
                span.codes in BY_TEXT.get(told, ()) and told.lower() in KEPT_OUT
            ):  # unless another one ends so: see below
                assert any(
                    text.endswith((f" {told}", f"'{told}")) for text, codes in BY_TEXT.items() if span.codes in codes
                )


@pytest.mark.xfail(strict=True, reason="behind a shared head stands what may be held out on its own: 'infection VIH'")
def test_what_is_left_of_an_expression_behind_a_shared_head_is_not_held_out() -> None:
    drawn = corpus.Drawn(Pool(random.Random(1), held=False), random.Random(1), "train")
    for head, group in drawn._shared.items():
        for expression in group:
            tail = expression.text[len(head) :].lstrip()
            assert tail.lower() not in KEPT_OUT or expression.codes not in BY_TEXT.get(tail, ())


@pytest.mark.xfail(
    strict=True, reason="scenes() keeps lines whose mentions are held-out expressions: one mention in twenty"
)
@pytest.mark.parametrize("recast", [False, True], ids=["replayed", "recast"])
def test_what_is_held_out_never_stands_in_a_line_that_someone_wrote(recast: bool, steady: None) -> None:
    for _, example in again(1_500, recast=recast):
        assert not KEPT_OUT & {told.lower() for told in words(example)}


@pytest.mark.parametrize("recast", [False, True], ids=["replayed", "recast"])
def test_causes_that_take_others_places_are_not_held_out(recast: bool, steady: None) -> None:
    for scene, example in again(1_500, recast=recast):
        own = {scene.line.text[start:end].lower() for start, end, _ in scene.line.mentions}
        assert not KEPT_OUT & ({told.lower() for told in words(example)} - own)


@pytest.mark.xfail(
    strict=True, reason="expressions whose own codes are a held-out pair (X41 T42.4 and some hundred more) are drawn"
)
def test_drawn_lines_hold_no_held_out_pair() -> None:
    assert not any(neighbours_held(codes_of(example)) for example in examples(6_000, 5, certificates=()))


def test_drawn_expressions_are_no_held_out_pair_with_their_neighbours() -> None:
    for example in examples(6_000, 5, certificates=()):
        for one, other in itertools.pairwise(example.spans):
            assert not held_pair(one.codes[-1], other.codes[0])


@pytest.mark.parametrize("recast", [False, True], ids=["replayed", "recast"])
def test_lines_that_someone_wrote_hold_no_held_out_pair(recast: bool) -> None:
    assert not any(neighbours_held(codes_of(example)) for _, example in again(2_000, recast=recast))


def test_lines_of_unseen_expressions_hold_nothing_else(steady: None) -> None:
    for example in examples(1_000, 6, "expression"):
        assert words(example) == [example.text] and example.text.lower() in KEPT_OUT


def test_lines_of_unseen_combinations_hold_two_causes_that_no_training_line_has_together() -> None:
    for example in examples(1_000, 6, "combination"):
        one, other = example.spans
        assert held_pair(one.codes[-1], other.codes[0])


def test_lines_of_unseen_noise_are_of_expressions_that_training_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "strange", lambda text, rng: text)
    monkeypatch.setattr(noise, "hand", lambda rng: ("asis", False))
    for example in examples(1_000, 6, "noise"):
        assert not KEPT_OUT & {told.lower() for told in words(example)}


# What is drawn


def test_spans_hold_the_words_of_their_codes(steady: None) -> None:
    whole = shared = 0
    for example in examples(2_000, 4, certificates=()):
        for number, (span, told) in enumerate(zip(example.spans, words(example), strict=True)):
            if span.codes in BY_TEXT.get(told, ()):
                whole += 1
            else:  # a head that stands once, or an organ alone after "métastatique"
                assert number > 0 and any(
                    text.endswith(told.split(" ", 1)[-1]) for text, codes in BY_TEXT.items() if span.codes in codes
                )
                shared += 1
    assert whole > shared > 0


def test_conditions_hold_for_what_demands_them() -> None:
    demanding = {(e.codes, e.when) for e in LEXICON if e.when}
    free = {e.codes for e in (*LEXICON, *expressions.labels(icd10.load())) if not e.when}
    checked = 0
    for example in examples(4_000, 8, certificates=()):
        for span in example.spans:
            wanted = {when for codes, when in demanding if codes == span.codes}
            if wanted and span.codes not in free:
                assert wanted & set(example.context.split())
                checked += 1
    assert checked > 10


def test_drawn_lines_hold_at_most_six_causes_and_know_no_other_lines() -> None:
    made = examples(3_000, 7, certificates=())
    assert max(len(example.spans) for example in made) <= 6
    assert {example.around for example in made} == {""}


@pytest.mark.xfail(
    strict=True, reason="Drawn._list drops its expressions until none is left when one's own codes are a held-out pair"
)
def test_no_drawn_line_is_empty() -> None:
    assert all(example.text for example in examples(40_000, 3, certificates=()))


# The pool


def test_the_held_pool_and_the_other_are_the_lexicon() -> None:
    held, shown = (Pool(random.Random(1), held=held).flat for held in (True, False))
    assert {e.text.lower() for e in held} == KEPT_OUT and not KEPT_OUT & {e.text.lower() for e in shown}
    assert Counter(held + shown) == Counter(LEXICON)


def test_short_mentions_of_written_certificates_join_the_lexicon_unless_they_are_held_out() -> None:
    known = {e.text.lower() for e in LEXICON}
    joined = [e for e in pool().flat if e.source.startswith("written:")]
    assert len(joined) > 1_000 and len({(e.text, e.codes) for e in joined}) == len(joined)
    ids = {f"written:{certificate.id}" for certificate in trained()}
    for e in joined:
        assert e.text.lower() not in known and len(e.text.split()) <= 8 and e.source in ids and not held_out(e)


def test_a_cause_is_like_another_of_its_letter() -> None:
    same = 0
    for code in ("I21.9", "C34.9", "W19"):
        drawn = [pool().like(code).codes[0] for _ in range(200)]
        assert {other[0] for other in drawn} == {code[0]}
        same += sum(other == code for other in drawn)
    assert same > 3 * 200 * 0.3


def test_an_expression_of_a_code_has_it_for_its_main_one() -> None:
    for code in ("I21.9", "C34.9", "A00.0"):
        assert {pool().of(code).codes[0] for _ in range(50)} == {code}


# Lines that someone wrote


def test_scenes_are_the_written_lines_without_held_out_pairs() -> None:
    lines = [line for certificate in trained() for line in certificate.lines]
    assert [scene.line for scene in written_scenes()] == [line for line in lines if not neighbours_held(line.codes)]
    assert len(lines) > len(written_scenes()) > 0.9 * len(lines)


def test_a_scene_knows_its_certificates_conditions_and_other_lines() -> None:
    line = WrittenLine("pendaison", ((0, 9, ("X70",)),))
    other = WrittenLine("Asphyxie", ((0, 8, ("R09.0",)),))
    one = Written(
        "a", "F", (9, "YEARS"), "HOME", "", (other, line), (WrittenLine("HTA", ((0, 3, ("I10",)),)),), "X70", "train"
    )
    first, second, third = scenes([one])
    assert first.holds == second.holds == third.holds >= {"female", "child", "suicide"}
    assert (first.line, second.line) == (other, line)
    assert second.around == f"{normalise('Asphyxie').text} {normalise('HTA').text}"


def test_replayed_lines_keep_their_words_codes_and_spans(steady: None) -> None:
    for scene, example in again(1_500, recast=False):
        assert example.text == scene.line.text and example.around == scene.around
        assert set(example.context.split()) == scene.holds
        assert tuple((span.start, span.end, span.codes) for span in example.spans) == scene.line.mentions


def test_replayed_lines_keep_their_codes_in_another_hand() -> None:
    changed = 0
    for scene, example in again(1_500, recast=False):
        assert [span.codes for span in example.spans] == [codes for _, _, codes in scene.line.mentions]
        changed += example.text != scene.line.text
    assert 0.3 * 1_500 < changed < 1_500


def test_recast_lines_keep_the_words_between(steady: None) -> None:
    other = 0
    for scene, example in again(1_500, recast=True):
        kept = between(scene.line.text, [(start, end) for start, end, _ in scene.line.mentions])
        assert between(example.text, [(span.start, span.end) for span in example.spans]) == kept
        assert set(example.context.split()) == scene.holds and example.around == ""
        other += [span.codes for span in example.spans] != [codes for _, _, codes in scene.line.mentions]
    assert other > 500


def test_recast_causes_are_of_the_letter_of_those_whose_place_they_take() -> None:
    for scene, example in again(1_500, recast=True):
        for span, (_, _, codes) in zip(example.spans, scene.line.mentions, strict=True):
            assert span.codes[0][0] == codes[0][0]


def test_recast_causes_mean_what_they_say_where_they_stand(steady: None) -> None:
    demanding: dict[str, set[Expression]] = {}
    for e in pool().flat:
        demanding.setdefault(e.text, set()).add(e)
    checked = 0
    for scene, example in again(1_500, recast=True):
        for span, told, mention in zip(example.spans, words(example), scene.line.mentions, strict=True):
            found = {e.when for e in demanding.get(told, ()) if e.codes == span.codes}
            if found and (span.codes != mention[2] or told != scene.line.text[mention[0] : mention[1]]):
                assert found & {"", *scene.holds}
                checked += 1
    assert checked > 300


# An office's lines

OFFICE = (
    Scene(WrittenLine("constaté : zygome, rien d'autre", ((11, 17, ("J81",)),)), frozenset({"male"}), "ailleurs"),
)


def test_an_offices_lines_are_replayed_and_recast_as_often_as_all_written_ones() -> None:
    made = list(itertools.islice(Corpus(11, certificates=trained(), office=OFFICE), 3_000))
    office = [example for example in made if "rien d'autre" in noise.apply_hand(example.text, ("lower", False))]
    assert abs(len(office) / 3_000 - (corpus.REPLAYED + corpus.RECAST) / 2) < 0.03
    assert all(len(example.spans) == 1 and example.context == "male" for example in office)
    recast = [example for example in office if example.around == ""]
    assert 0 < len(recast) < len(office) and len({span.codes for example in recast for span in example.spans}) > 20
    assert {span.codes for example in office if example.around for span in example.spans} == {("J81",)}


def test_without_written_certificates_an_offices_lines_are_half_of_all() -> None:
    made = list(itertools.islice(Corpus(11, certificates=(), office=OFFICE), 2_000))
    share = sum("rien d'autre" in example.text.lower() for example in made) / 2_000
    assert abs(share - corpus.REPLAYED - corpus.RECAST) < 0.05


def test_an_office_changes_the_lines_and_the_seed_still_gives_them() -> None:
    one, same = (list(itertools.islice(Corpus(12, office=OFFICE), 200)) for _ in range(2))
    assert one == same != examples(200, 12)


@pytest.mark.parametrize("part", [part for part in PARTS if part != "train"])
def test_an_offices_lines_are_in_no_held_out_part(part: Part) -> None:
    made = itertools.islice(Corpus(11, part, office=OFFICE), 500)
    assert not any("rien d'autre" in example.text.lower() for example in made)


# The hand

lines = st.text(alphabet=st.sampled_from("abcdefé œÀç'-. 12"), max_size=40)


@given(lines, st.integers(0, 10_000), st.floats(0, 2))
def test_noise_is_of_its_seed_and_never_empties_a_text(text: str, seed: int, level: float) -> None:
    one = noise.entity(text, random.Random(seed), level)
    assert one == noise.entity(text, random.Random(seed), level)
    assert bool(one.strip()) >= bool(text.strip().strip("-"))


@given(lines, st.integers(0, 10_000))
def test_without_noise_a_text_stays(text: str, seed: int) -> None:
    assert noise.entity(text, random.Random(seed), 0.0) == text


@given(st.text(alphabet="abcdeéèstnr", max_size=15), st.integers(0, 10_000))
def test_a_typing_error_changes_one_place_of_a_long_word(word: str, seed: int) -> None:
    written = noise.typo(word, random.Random(seed))
    assert abs(len(written) - len(word)) <= 2
    assert written[:1] == word[:1]
    if len(word) < 5:
        assert written == word


@given(st.text(alphabet="abcdeéèstnr", max_size=15), st.integers(0, 10_000))
def test_a_word_cut_short_is_a_beginning(word: str, seed: int) -> None:
    assert word.startswith(noise.truncate(word, random.Random(seed)).removesuffix("."))


@given(st.text(alphabet="abcdeéèstnr -", max_size=60).filter(str.strip), st.integers(0, 10_000))
def test_a_strange_hand_is_of_its_seed_and_keeps_short_words(text: str, seed: int) -> None:
    one = noise.strange(text, random.Random(seed))
    assert one == noise.strange(text, random.Random(seed)) and one.strip()
    short = [word for word in text.split(" ") if len(word) <= 6]
    assert all(word in one for word in short)


@pytest.mark.parametrize(
    ("habits", "expected"),
    [(("asis", False), "Œdème aigu"), (("upper", False), "ŒDÈME AIGU"), (("lower", False), "œdème aigu"),
     (("title", False), "Œdème Aigu"), (("asis", True), "OEdeme aigu"), (("upper", True), "OEDEME AIGU")],
)  # fmt: skip
def test_hands(habits: tuple[str, bool], expected: str) -> None:
    assert noise.apply_hand("Œdème aigu", habits) == expected
