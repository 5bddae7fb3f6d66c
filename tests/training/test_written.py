"""Written certificates: their format, what is at fault in it, and which of them are kept for development."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.certificate import AgeUnit, Manner, PlaceKind, Sex, read_certificate
from stream.errors import InvalidData
from stream.evaluation import gold
from stream.nomenclature import icd10
from stream.settings import REPOSITORY
from training import written
from training.written import DEV, FOLDER, Written, WrittenLine, load, read

BLOCK = """# F 84 EHPAD NATURAL
1 {OAP|J81} sur {FA rapide|I48.9} ;; qq heures
2 contexte inconnu
P {HTA|I10}, {DT2|E11.9}
U I48.9"""


def blocks(*found: str, folder: Path, name: str = "T1.txt") -> list[Written]:
    path = folder / name
    path.write_text("\n\n".join(found) + "\n", encoding="utf-8")
    return list(read(path))


@cache
def packaged() -> tuple[Written, ...]:
    return tuple(w for path in sorted(FOLDER.glob("*.txt")) for w in read(path))


# The format


def test_a_block_is_read(tmp_path: Path) -> None:
    (found,) = blocks(BLOCK, folder=tmp_path)
    assert (found.id, found.sex, found.age, found.place, found.manner) == (
        "T1-0001", "F", (84, "YEARS"), "EHPAD", "NATURAL",
    )  # fmt: skip
    first, second = found.part1
    assert first == WrittenLine("OAP sur FA rapide", ((0, 3, ("J81",)), (8, 17, ("I48.9",))), "qq heures")
    assert second == WrittenLine("contexte inconnu", ())
    assert found.part2 == (WrittenLine("HTA, DT2", ((0, 3, ("I10",)), (5, 8, ("E11.9",)))),)
    assert found.underlying == "I48.9" and found.lines == (*found.part1, *found.part2)
    assert [line.codes for line in found.lines] == [["J81", "I48.9"], [], ["I10", "E11.9"]]


def test_one_wording_may_have_several_codes(tmp_path: Path) -> None:
    (found,) = blocks("# M 30 HOME -\n1 {overdose|X42 T40.1}\nU X42", folder=tmp_path)
    assert found.part1 == (WrittenLine("overdose", ((0, 8, ("X42", "T40.1")),)),)
    assert found.manner == "" and found.part2 == ()


@pytest.mark.parametrize(("age", "unit"), [("3", "YEARS"), ("3m", "MONTHS"), ("3d", "DAYS"), ("3h", "HOURS")])
def test_units_of_age(age: str, unit: str, tmp_path: Path) -> None:
    (found,) = blocks(f"# M {age} HOSPITAL -\n1 {{OAP|J81}}\nU J81", folder=tmp_path)
    assert found.age == (3, unit)


def test_blocks_are_numbered_in_their_file(tmp_path: Path) -> None:
    found = blocks(BLOCK, BLOCK.replace("84", "85"), "# M 1 OTHER -\n1 {OAP|J81}\nU J81", folder=tmp_path, name="X.txt")
    assert [w.id for w in found] == ["X-0001", "X-0002", "X-0003"]


def test_lines_keep_their_order_and_part_ii_may_have_several(tmp_path: Path) -> None:
    (found,) = blocks("# M 1 OTHER -\n1 a\n2 b\n3 c\n4 d\nP e\nP f {OAP|J81}\nU J81", folder=tmp_path)
    assert [line.text for line in found.part1] == list("abcd") and [line.text for line in found.part2] == ["e", "f OAP"]


PLAIN = st.text("abé' ,(-0", max_size=12)
MENTION = st.tuples(
    st.text("abé' (-0", min_size=1, max_size=12).filter(str.strip),
    st.lists(st.sampled_from(["J81", "I48.9", "X42", "T40.1"]), min_size=1, max_size=2).map(tuple),
)


@given(st.lists(st.tuples(PLAIN, MENTION), max_size=4), PLAIN, st.sampled_from([None, "2 j", "qq heures"]))
def test_a_lines_text_is_its_marked_form_without_the_marks(
    pairs: list[tuple[str, tuple[str, tuple[str, ...]]]], rest: str, interval: str | None
) -> None:
    marked = "".join(f"{before}{{{words}|{' '.join(codes)}}}" for before, (words, codes) in pairs) + rest
    found = written._line(marked + (f" ;; {interval}" if interval else ""), "T")
    assert found.text == "".join(before + words for before, (words, _) in pairs) + rest
    assert [(found.text[a:b], codes) for a, b, codes in found.mentions] == [mention for _, mention in pairs]
    assert found.interval == interval


# What is at fault


MENTION_FAULT = "a mention without words or without code"
LINE_FAULT = "a line without text, or no Part I"
KIND_FAULT = "a line of no known kind"
CODES_FAULT = "codes that the nomenclature lacks, or no underlying cause"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        pytest.param("F 84 EHPAD NATURAL\n1 {lymphome|C85.9}\nU C85.9", "head", id="no head"),
        pytest.param("# X 84 EHPAD NATURAL\n1 {lymphome|C85.9}\nU C85.9", "head", id="sex"),
        pytest.param("# F vieille EHPAD NATURAL\n1 {lymphome|C85.9}\nU C85.9", "head", id="age"),
        pytest.param("# F 84 lymphome NATURAL\n1 {lymphome|C85.9}\nU C85.9", "head", id="place"),
        pytest.param("# F 84 EHPAD\n1 {lymphome|C85.9}\nU C85.9", "head", id="no manner"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C85.9}\n5 lymphome\nU C85.9", KIND_FAULT, id="kind"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C85.9}\nlymphome\nU C85.9", KIND_FAULT, id="words alone"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C85.9}\n# M 1 HOME -\nU C85.9", KIND_FAULT, id="no blank line"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C99.9}\nU C85.9", f"1 {CODES_FAULT}", id="code"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C85}\nU C85.9", f"1 {CODES_FAULT}", id="code cut short"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C85.9 Q99.99}\nU C85.9", f"1 {CODES_FAULT}", id="second code"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C85.9}\nU C859", f"1 {CODES_FAULT}", id="underlying cause"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|X}\nP {HTA|Y}\nU Z", f"3 {CODES_FAULT}", id="three codes"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C85.9}", f"1 {CODES_FAULT}", id="no underlying cause"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C85.9}\nU", f"1 {CODES_FAULT}", id="blank underlying cause"),
        pytest.param("# F 84 EHPAD -\nP {lymphome|C85.9}\nU C85.9", LINE_FAULT, id="no Part I"),
        pytest.param("# F 84 EHPAD -\n1\nU C85.9", LINE_FAULT, id="blank line"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C85.9}\n2 \nU C85.9", LINE_FAULT, id="blank second line"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C85.9}\nP\nU C85.9", LINE_FAULT, id="blank Part II"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome| }\nU C85.9", MENTION_FAULT, id="blank code"),
        pytest.param("# F 84 EHPAD -\n1 { |C85.9} lymphome\nU C85.9", MENTION_FAULT, id="blank words"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C85.9\nU C85.9", "braces", id="brace left open"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome}\nU C85.9", "braces", id="no bar"),
        pytest.param("# F 84 EHPAD -\n1 {|C85.9} lymphome\nU C85.9", "braces", id="no words"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|}\nU C85.9", "braces", id="no code"),
        pytest.param("# F 84 EHPAD -\n1 {lymphome|C85.9|C85.9}\nU C85.9", "braces", id="two bars"),
        pytest.param("# F 84 EHPAD -\n1 {{lymphome|C85.9}}\nU C85.9", "braces", id="braces in braces"),
        pytest.param("# F 84 EHPAD -\n1 lymphome | C85.9\nU C85.9", "braces", id="bar alone"),
    ],
)
def test_a_fault_is_told_with_file_and_certificate_and_without_the_text(wrong: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        blocks(BLOCK, wrong, BLOCK, folder=tmp_path, name="W3.txt")
    assert caught.value.message == f"W3.txt: certificate 2: {told}"


def test_a_line_of_an_interval_alone_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=LINE_FAULT):
        blocks("# F 84 EHPAD -\n1 ;; 2 jours\nU C85.9", folder=tmp_path)


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"^T1\.txt: certificate 1: head$"):
        blocks("", folder=tmp_path)


def test_certificates_before_the_one_at_fault_are_read(tmp_path: Path) -> None:
    path = tmp_path / "T.txt"
    path.write_text(f"{BLOCK}\n\n# nothing\n", encoding="utf-8")
    found = read(path)
    assert next(found).id == "T-0001"
    with pytest.raises(InvalidData, match="certificate 2"):
        next(found)


# The two parts


def test_about_a_fifth_is_for_development(tmp_path: Path) -> None:
    made = blocks(*(BLOCK.replace("84", str(age)) for age in range(1_000, 2_500)), folder=tmp_path)
    assert abs(sum(w.part == "dev" for w in made) / len(made) - 1 / DEV) < 0.03
    assert abs(sum(w.part == "dev" for w in packaged()) / len(packaged()) - 1 / DEV) < 0.02


def test_a_certificates_part_is_its_texts_alone(tmp_path: Path) -> None:
    several = [BLOCK.replace("84", str(age)) for age in range(20, 60)]
    parts = [w.part for w in blocks(*several, folder=tmp_path)]
    turned = blocks(*reversed(several), folder=tmp_path, name="other.txt")
    assert [w.part for w in turned] == parts[::-1] and {"dev", "train"} == set(parts)
    assert [w.part for w in blocks(BLOCK, *several, folder=tmp_path)[1:]] == parts


def test_load_gives_one_part_of_all_files_in_their_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt"):
        blocks(*(BLOCK.replace("84", str(age)) for age in range(20, 50)), folder=tmp_path, name=name)
    (tmp_path / "notes.md").write_text("no certificate", encoding="utf-8")
    train, dev = load("train", tmp_path), load("dev", tmp_path)
    assert len(train) + len(dev) == 60 and {w.part for w in dev} == {"dev"}
    for part in (train, dev):
        assert [w.id for w in part] == sorted(w.id for w in part)


# What others take of them


@pytest.mark.parametrize("manner", ["-", "NATURAL"])
def test_a_record_holds_what_the_block_says(manner: str, tmp_path: Path) -> None:
    (found,) = blocks(BLOCK.replace("NATURAL", manner), folder=tmp_path)
    certificate = read_certificate(found.record())
    assert (certificate.certificate_id, certificate.sex) == ("T1-0001", Sex.F)
    assert certificate.age is not None and (certificate.age.value, certificate.age.unit) == (84, AgeUnit.YEARS)
    assert certificate.place.kind is PlaceKind.NURSING_HOME
    assert certificate.manner is (None if manner == "-" else Manner.NATURAL)
    assert [(line.text, line.interval) for line in certificate.part1] == [
        ("OAP sur FA rapide", "qq heures"), ("contexte inconnu", None),
    ]  # fmt: skip
    assert [line.text for line in certificate.part2] == ["HTA, DT2"]


def test_gold_holds_the_codes_of_each_line(tmp_path: Path) -> None:
    (found,) = blocks(BLOCK, folder=tmp_path)
    one = gold.of(found.gold())
    assert one.lines == (("J81", "I48.9"), (), ("I10", "E11.9")) and one.underlying == "I48.9"
    assert one.certificate == read_certificate(found.record()) and one.id == found.id


# The packaged files


def test_the_packaged_certificates_are_all_read() -> None:
    heads = sum(len(re.findall("(?m)^# ", path.read_text(encoding="utf-8"))) for path in FOLDER.glob("*.txt"))
    assert len(packaged()) == heads > 3_000
    assert len({w.id for w in packaged()}) == heads


def test_the_packaged_certificates_are_certificates_with_gold() -> None:
    for w in packaged():
        certificate, one = read_certificate(w.record()), gold.of(w.gold())
        assert one.texts == tuple(line.text for line in (*certificate.part1, *certificate.part2))
        assert one.lines == tuple(tuple(line.codes) for line in w.lines)


def test_mentions_of_the_packaged_certificates_lie_in_their_line_in_order() -> None:
    nomenclature = icd10.load()
    for w in packaged():
        for line in w.lines:
            reach = 0
            for start, end, codes in line.mentions:
                assert reach <= start < end <= len(line.text) and line.text[start:end].strip()
                assert codes and all(map(nomenclature.valid, codes))
                reach = end


def test_the_gold_set_was_not_learnt_from() -> None:
    """Short certificates meet by chance ("arrêt cardiaque"): no more of them than the model card tells."""
    certificates = list(gold.read(REPOSITORY / "samples" / "gold.jsonl"))
    written = [w for part in ("train", "dev") for w in load(part)]
    told = {tuple(line.text.lower() for line in w.lines) for w in written}
    lines = {line.text.lower() for w in written for line in w.lines if len(line.text.split()) >= 5}
    assert sum(tuple(text.lower() for text in one.texts) in told for one in certificates) <= 19
    assert sum(text.lower() in lines for one in certificates for text in one.texts if len(text.split()) >= 5) <= 55
