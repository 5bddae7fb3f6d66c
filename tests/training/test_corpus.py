"""Lines made for training: the same by seed, their spans hold the entities, and what is held out stays out."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import islice
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
HELD_PARTS = [part for part in PARTS if part != "train"]
LEXICON = list(expressions.load())
LABELS = list(expressions.labels(icd10.load()))
KEPT_OUT = {e.text.lower() for e in LEXICON if held_out(e)}
BY_TEXT: dict[str, set[tuple[str, ...]]] = {}
BY_CODES: dict[tuple[str, ...], set[str]] = {}
for _e in [*LEXICON, *LABELS]:
    BY_TEXT.setdefault(_e.text, set()).add(_e.codes)
    BY_CODES.setdefault(_e.codes, set()).add(_e.text)
OFFICE = (
    Scene(WrittenLine("constaté : zygome, rien d'autre", ((11, 17, ("J81",)),)), frozenset({"male"}), "ailleurs"),
)
"""A line of an office's own."""


@contextmanager
def still() -> Iterator[None]:
    """A hand that writes what it means."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noise, "entity", lambda text, rng, level: text)
        patch.setattr(noise, "strange", lambda text, rng: text)
        patch.setattr(noise, "hand", lambda rng: ("asis", False))
        yield


@pytest.fixture
def steady() -> Iterator[None]:
    with still():
        yield


@cache
def trained() -> tuple[Written, ...]:
    return tuple(load_written())


@cache
def few() -> tuple[Written, ...]:
    """Written certificates that are soon read."""
    return trained()[:40]


@cache
def written_scenes() -> tuple[Scene, ...]:
    return scenes(trained())


@cache
def shared() -> Corpus:
    """The corpus that trains."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "load_written", trained)
        patch.setattr(corpus, "scenes", lambda certificates: written_scenes())
        return Corpus(1)


@cache
def shown() -> Corpus:
    """The corpus of unseen expressions."""
    return Corpus(1, "expression", trained())


def pool() -> Pool:
    return shared()._pool


def examples(
    count: int,
    seed: int = 1,
    part: Part = "train",
    certificates: tuple[Written, ...] = (),
    office: Sequence[Scene] = (),
) -> list[Example]:
    """Lines of a corpus; without certificates the drawn ones alone."""
    return list(islice(Corpus(seed, part, certificates, office), count))


@cache
def drawn(part: Part = "train") -> list[Example]:
    """Lines that expressions alone make."""
    return examples(3_000, 5, part)


@cache
def plain(part: Part = "train") -> list[Example]:
    """The same without noise."""
    with still():
        return examples(3_000, 5, part)


def again(count: int, *, recast: bool, seed: int = 1) -> list[tuple[Scene, Example]]:
    """Lines made of one scene each, with that scene."""
    rng = random.Random(seed)
    chosen = [rng.choice(written_scenes()) for _ in range(count)]
    return [(scene, Replayed([[scene]], pool(), rng).example(recast=recast)) for scene in chosen]


def words(example: Example) -> list[str]:
    """What a line's spans hold."""
    return [example.text[span.start : span.end] for span in example.spans]


def between(text: str, places: list[tuple[int, int]]) -> list[str]:
    """What stands before, between and behind places."""
    edges = [0, *itertools.chain.from_iterable(places), len(text)]
    return [text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def mentions_of(example: Example) -> list[tuple[str, ...]]:
    return [span.codes for span in example.spans]


def told(certificates: Iterable[Written]) -> set[str]:
    """All mentions of certificates."""
    lines = (line for certificate in certificates for line in certificate.lines)
    return {line.text[start:end].lower() for line in lines for start, end, _ in line.mentions}


# Any line


def test_a_seed_gives_its_lines() -> None:
    one, same, other = (examples(100, seed, "train", few()) for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("part", HELD_PARTS)
def test_a_seed_gives_the_lines_of_a_held_out_part(part: Part) -> None:
    assert examples(100, 5, part) == drawn(part)[:100] != examples(100, 6, part)


@pytest.mark.parametrize("part", PARTS)
def test_spans_lie_in_the_line_in_order_with_valid_codes(part: Part) -> None:
    nomenclature = icd10.load()
    for example in islice(shared(), 1_000) if part == "train" else drawn(part)[:1_000]:
        reach = 0
        for span in example.spans:
            assert reach <= span.start < span.end <= len(example.text)
            assert example.text[span.start : span.end].strip()
            assert span.codes and all(nomenclature.valid(code) for code in span.codes)
            reach = span.end
        assert set(example.context.split()) <= set(CONDITIONS)


def test_lines_are_as_varied_as_certificates() -> None:
    sizes = Counter(len(example.spans) for example in drawn())
    assert sizes[0] > 0 and sizes[1] > sizes[2] > sizes[3] > 0
    codes = {code for example in drawn() for codes in mentions_of(example) for code in codes}
    assert len(codes) > 1_000 and len({code[0] for code in codes}) > 18
    assert any(example.text.isupper() for example in drawn()) and any(example.text.islower() for example in drawn())


def test_about_half_the_lines_are_of_the_written_certificates_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Counter[str] = Counter()

    def example(self: Replayed, *, recast: bool) -> Example:
        made["recast" if recast else "replayed"] += 1
        return Example("", "", ())

    monkeypatch.setattr(Replayed, "example", example)
    examples(4_000, 9, certificates=few())
    assert abs(made["replayed"] / 4_000 - corpus.REPLAYED) < 0.03
    assert abs(made["recast"] / 4_000 - corpus.RECAST) < 0.03


@pytest.mark.parametrize("part", HELD_PARTS)
def test_only_training_lines_replay(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replayed, "example", None)
    made = examples(200, 9, part, few(), OFFICE)
    assert not any("rien d'autre" in example.text.lower() for example in made)


# What is held out


def test_a_twentieth_is_held_out_and_labels_are_not() -> None:
    share = sum(map(held_out, LEXICON)) / len(LEXICON)
    assert abs(share - 1 / HELD_OUT) < 0.01
    assert not any(map(held_out, LABELS))
    assert {held_out(e) for e in LEXICON if e.text.lower() in KEPT_OUT} == {True}


def test_unseen_expressions_are_those_held_out_that_no_written_certificate_says() -> None:
    unseen = {e.text.lower() for e in shown()._pool.flat}
    assert unseen == KEPT_OUT - told(trained()) and 0.8 * len(KEPT_OUT) < len(unseen) < len(KEPT_OUT)


def test_what_a_written_certificate_says_in_its_own_case_is_no_unseen_expression() -> None:
    one, other = (e.text for e in shown()._pool.flat[:2])
    line = WrittenLine(f"{one.upper()} {other}", ((0, len(one), ("I10",)),))
    certificate = Written("a", "F", (80, "YEARS"), "HOME", "", (line,), (), "I10", "train")
    left = {e.text.lower() for e in Pool(random.Random(1), held=True, certificates=[certificate]).flat}
    assert left == KEPT_OUT - {one.lower()}


def test_no_training_line_can_hold_an_unseen_expression() -> None:
    """Of all that its lines are made of, and whatever stands behind a shared head, or is an organ of a list."""
    unseen = {e.text.lower() for e in shown()._pool.flat}
    assert not unseen & {e.text.lower() for of_code in pool()._all.values() for e in of_code}
    assert not unseen & {
        scene.line.text[start:end].lower() for scene in written_scenes() for start, end, _ in scene.line.mentions
    }
    made = shared()._drawn
    assert not unseen & {e.text.removeprefix("métastases ").lower() for e in made._sites}
    for head, group in made._shared.items():
        tails = [e.text[len(head) :].lstrip() for e in group]
        article = head.split(" ", 1)[-1] + ("" if head.endswith("'") else " ")
        assert not unseen & {one.lower() for tail in tails for one in (tail, article + tail)}


def test_no_training_line_holds_an_unseen_expression(steady: None) -> None:
    unseen = {e.text.lower() for e in shown()._pool.flat}
    for example in islice(shared(), 6_000):
        assert not unseen & {one.lower() for one in words(example)}


def test_what_is_held_out_never_stands_in_a_drawn_line() -> None:
    for example in plain():
        assert not KEPT_OUT & {one.lower() for one in words(example)}


def test_what_is_left_of_an_expression_behind_a_shared_head_is_not_held_out() -> None:
    assert sum(map(len, shared()._drawn._shared.values())) > 100
    for head, group in shared()._drawn._shared.items():
        assert len(group) >= 4 and not KEPT_OUT & {e.text[len(head) :].lstrip().lower() for e in group}


@pytest.mark.parametrize("recast", [False, True], ids=["replayed", "recast"])
def test_causes_that_take_others_places_are_not_held_out(recast: bool, steady: None) -> None:
    for scene, example in again(1_000, recast=recast):
        own = {scene.line.text[start:end].lower() for start, end, _ in scene.line.mentions}
        assert not KEPT_OUT & ({one.lower() for one in words(example)} - own)


def test_no_line_of_an_office_holds_an_unseen_expression(steady: None) -> None:
    unseen = next(e for e in shown()._pool.flat if not e.when)
    office = Scene(WrittenLine(unseen.text, ((0, len(unseen.text), unseen.codes),)), frozenset())
    assert not any(unseen.text in words(example) for example in examples(300, 1, office=(office,)))


def test_lines_of_unseen_expressions_hold_nothing_else() -> None:
    unseen = {e.text.lower() for e in Pool(random.Random(1), held=True).flat}
    assert unseen == KEPT_OUT
    for example in plain("expression"):
        assert words(example) == [example.text] and example.text.lower() in unseen


def test_lines_of_unseen_noise_are_of_expressions_that_training_shows() -> None:
    for example in plain("noise"):
        assert not KEPT_OUT & {one.lower() for one in words(example)}


# Pairs that are held out


@cache
def a_held_pair() -> tuple[str, str]:
    codes = sorted(icd10.load())
    return next((one, other) for one, other in itertools.combinations(codes[::37], 2) if held_pair(one, other))


def test_a_fiftieth_of_the_pairs_of_categories_is_held_out() -> None:
    categories = sorted({code[:3] for code in icd10.load()})[::7]
    pairs = list(itertools.combinations(categories, 2))
    assert abs(sum(held_pair(a, b) for a, b in pairs) / len(pairs) - 1 / HELD_PAIRS) < 0.002
    assert not any(held_pair(f"{a}.1", f"{a}.9") for a in categories)


@given(*[st.sampled_from(sorted(icd10.load()))] * 2)
def test_a_held_out_pair_is_one_whatever_its_order_and_fourth_characters(one: str, other: str) -> None:
    held = held_pair(one, other)
    assert held == held_pair(other, one) == held_pair(one[:3], other[:3]) == neighbours_held([[one], [other]])


def test_a_pair_is_the_last_code_of_a_mention_and_the_first_of_the_next() -> None:
    one, other = a_held_pair()
    assert neighbours_held([["I10"], [one], [other]]) and neighbours_held([(other,), (one, "I10")])
    assert neighbours_held([["I10", one], [other, "I10"]])
    assert not neighbours_held([[one, other]]) and not neighbours_held([[one, one], [one, other]])
    assert not neighbours_held([[one]]) and not neighbours_held([])


def test_an_expressions_own_codes_are_no_pair() -> None:
    both = {e.codes for e in pool().flat if any(itertools.starmap(held_pair, itertools.pairwise(e.codes)))}
    assert both and not any(neighbours_held([codes]) for codes in both)
    kept = {codes for scene in written_scenes() for _, _, codes in scene.line.mentions}
    lines = [line for certificate in trained() for line in certificate.lines if len(line.mentions) == 1]
    assert {codes for line in lines for _, _, codes in line.mentions} <= kept


def test_training_lines_hold_no_held_out_pair() -> None:
    for example in (*drawn(), *islice(shared(), 4_000)):
        assert not neighbours_held(mentions_of(example))


@pytest.mark.parametrize("recast", [False, True], ids=["replayed", "recast"])
def test_lines_that_someone_wrote_hold_no_held_out_pair(recast: bool) -> None:
    assert not any(neighbours_held(mentions_of(example)) for _, example in again(1_000, recast=recast))


def test_lines_of_an_office_hold_no_held_out_pair() -> None:
    one, other = a_held_pair()
    pair = Scene(WrittenLine("zygome, zygoma", ((0, 6, (one,)), (8, 14, (other,)))), frozenset())
    alone = Scene(WrittenLine("zygome", ((0, 6, (one, other)),)), frozenset())
    made = [example.text.lower() for example in examples(300, 1, office=(pair, alone))]
    assert any("zygome" in text for text in made) and not any("zygoma" in text for text in made)


def test_lines_of_unseen_combinations_hold_two_causes_that_no_training_line_has_together() -> None:
    for example in drawn("combination")[:1_000]:
        one, other = mentions_of(example)
        assert held_pair(one[-1], other[0])


# What is drawn


def test_spans_hold_the_words_of_their_codes() -> None:
    whole = apart = 0
    for example in plain():
        for number, (span, one) in enumerate(zip(example.spans, words(example), strict=True)):
            if span.codes in BY_TEXT.get(one, ()):
                whole += 1
            else:  # a head that stands once, or an organ alone after "métastatique"
                assert number > 0 and any(text.endswith(one.split(" ", 1)[-1]) for text in BY_CODES[span.codes])
                apart += 1
    assert whole > apart > 0


def test_conditions_hold_for_what_demands_them() -> None:
    demanding: dict[tuple[str, ...], set[str]] = {}
    for e in LEXICON:
        if e.when:
            demanding.setdefault(e.codes, set()).add(e.when)
    free = {e.codes for e in (*LEXICON, *LABELS) if not e.when}
    checked = 0
    for example in drawn():
        for span in example.spans:
            if span.codes in demanding and span.codes not in free:
                assert demanding[span.codes] & set(example.context.split())
                checked += 1
    assert checked > 10


def test_drawn_lines_hold_at_most_six_causes_and_know_no_other_lines() -> None:
    assert max(len(example.spans) for example in drawn()) <= 6
    assert {example.around for example in drawn()} == {""}


def test_no_drawn_line_is_empty() -> None:
    assert all(example.text.strip() for part in PARTS for example in drawn(part))


def test_a_list_of_one_head_is_never_empty_and_has_no_held_out_pair() -> None:
    made = shared()._drawn
    for _ in range(3_000):
        example = made._list(("asis", False), 0.0)
        assert example.text and 1 <= len(example.spans) <= 4 and not neighbours_held(mentions_of(example))


def test_a_cancer_and_where_it_has_spread_to_are_no_held_out_pair() -> None:
    made = shared()._drawn
    for _ in range(2_000):
        example = made._spread(("asis", False), 0.0)
        assert example.text and not neighbours_held(mentions_of(example))


# The pool


def test_the_held_pool_and_the_other_are_the_lexicon() -> None:
    held, other = (Pool(random.Random(1), held=held).flat for held in (True, False))
    assert {e.text.lower() for e in held} == KEPT_OUT and not KEPT_OUT & {e.text.lower() for e in other}
    assert Counter(held + other) == Counter(LEXICON)


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
        others = [pool().like(code).codes[0] for _ in range(200)]
        assert {other[0] for other in others} == {code[0]}
        same += sum(other == code for other in others)
    assert same > 3 * 200 * 0.3


def test_an_expression_of_a_code_has_it_for_its_main_one() -> None:
    for code in ("I21.9", "C34.9", "A00.0"):
        assert {pool().of(code).codes[0] for _ in range(50)} == {code}


# Lines that someone wrote


def test_scenes_are_the_written_lines_without_held_out_pairs() -> None:
    lines = [line for certificate in trained() for line in certificate.lines]
    kept = [line for line in lines if not neighbours_held([codes for _, _, codes in line.mentions])]
    assert [scene.line for scene in written_scenes()] == kept
    assert len(lines) > len(kept) > 0.9 * len(lines)


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
    for scene, example in again(1_000, recast=False):
        assert example.text == scene.line.text and example.around == scene.around
        assert set(example.context.split()) == scene.holds
        assert tuple((span.start, span.end, span.codes) for span in example.spans) == scene.line.mentions


def test_replayed_lines_keep_their_codes_in_another_hand() -> None:
    changed = 0
    for scene, example in again(1_000, recast=False):
        assert [span.codes for span in example.spans] == [codes for _, _, codes in scene.line.mentions]
        changed += example.text != scene.line.text
    assert 0.3 * 1_000 < changed < 1_000


def test_recast_lines_keep_the_words_between(steady: None) -> None:
    other = 0
    for scene, example in again(1_000, recast=True):
        kept = between(scene.line.text, [(start, end) for start, end, _ in scene.line.mentions])
        assert between(example.text, [(span.start, span.end) for span in example.spans]) == kept
        assert set(example.context.split()) == scene.holds and example.around == ""
        other += [span.codes for span in example.spans] != [codes for _, _, codes in scene.line.mentions]
    assert other > 300


def test_recast_causes_are_of_the_letter_of_those_whose_place_they_take() -> None:
    for scene, example in again(1_000, recast=True):
        for span, (_, _, codes) in zip(example.spans, scene.line.mentions, strict=True):
            assert span.codes[0][0] == codes[0][0]


def test_recast_causes_mean_what_they_say_where_they_stand(steady: None) -> None:
    demanding: dict[str, set[Expression]] = {}
    for e in pool().flat:
        demanding.setdefault(e.text, set()).add(e)
    checked = 0
    for scene, example in again(1_000, recast=True):
        for span, one, mention in zip(example.spans, words(example), scene.line.mentions, strict=True):
            found = {e.when for e in demanding.get(one, ()) if e.codes == span.codes}
            if found and (span.codes != mention[2] or one != scene.line.text[mention[0] : mention[1]]):
                assert found & {"", *scene.holds}
                checked += 1
    assert checked > 200


# An office's lines


def test_an_offices_lines_are_replayed_and_recast_as_often_as_all_written_ones() -> None:
    made = examples(3_000, 11, certificates=few(), office=OFFICE)
    office = [example for example in made if "rien d'autre" in noise.apply_hand(example.text, ("lower", False))]
    assert abs(len(office) / 3_000 - (corpus.REPLAYED + corpus.RECAST) / 2) < 0.03
    assert all(len(example.spans) == 1 and example.context == "male" for example in office)
    recast = [example for example in office if example.around == ""]
    assert 0 < len(recast) < len(office) and len({span.codes for example in recast for span in example.spans}) > 20
    assert {span.codes for example in office if example.around for span in example.spans} == {("J81",)}


def test_without_written_certificates_an_offices_lines_are_half_of_all() -> None:
    made = examples(2_000, 11, office=OFFICE)
    share = sum("rien d'autre" in example.text.lower() for example in made) / 2_000
    assert abs(share - corpus.REPLAYED - corpus.RECAST) < 0.05


def test_an_office_changes_the_lines_and_the_seed_still_gives_them() -> None:
    one, same = (examples(100, 5, office=OFFICE) for _ in range(2))
    assert one == same != drawn()[:100]


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
