"""The lexicon's linter: what nosologists write is complete, valid, findable and free of contradictions."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from stream.coder import expressions
from stream.coder.context import CONDITIONS
from stream.coder.stems import stems
from stream.coder.vocabulary import normal_expressions
from stream.errors import InvalidData
from stream.nomenclature import icd10
from stream.settings import REPOSITORY
from training import statistics

FILES = sorted(expressions.FOLDER.glob("*.tsv"))
NOMENCLATURE = icd10.load()

# What the editors still owe; nothing may be added here.
SILENT = {"LES"}
"""Expressions that are nothing but words that are passed over, so that no line holds them."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_reads_and_its_rows_are_valid(path: Path) -> None:
    found = expressions.read_file(path, NOMENCLATURE)
    assert len(found) == len(path.read_text(encoding="utf-8").splitlines()) - 1 > 50
    for expression in found:
        assert expression.text == expression.text.strip() and "\t" not in expression.text
        assert expression.codes and all(NOMENCLATURE.valid(code) for code in expression.codes)
        assert len(set(expression.codes)) == len(expression.codes), expression
        assert expression.when == "" or expression.when in CONDITIONS
    assert {e.source.split(":")[0] for e in found} == {path.stem.split("_")[0]}


def test_no_file_is_left_out() -> None:
    assert {path.stem.split("_")[0] for path in FILES} == {f"ch{n:02}" for n in (*range(1, 8), *range(9, 23))}
    assert len(expressions.load()) == sum(len(expressions.read_file(path, NOMENCLATURE)) for path in FILES)


def test_lexicon_is_as_large_as_promised() -> None:
    found = list(expressions.load())
    assert len(found) >= 15_000
    assert len({code for expression in found for code in expression.codes}) >= 2_500


def test_common_codes_have_ten_expressions() -> None:
    mentions, *_ = statistics.read()
    common = sorted(mentions, key=lambda code: (-mentions[code], code))[:600]
    named = Counter(code for expression in expressions.load() for code in expression.codes)
    assert {code for code in common if named[code] < 10} == set()


def test_the_blind_review_is_of_every_file_and_agrees_as_the_model_card_says() -> None:
    header, *rows = (REPOSITORY / "docs" / "lexicon_review.tsv").read_text(encoding="utf-8").splitlines()
    assert header.split("\t") == ["file", "expression", "when", "lexicon", "reviewer"]
    answers = [(file, set(own.split()), set(other.split())) for file, _, _, own, other in (r.split("\t") for r in rows)]
    assert {file for file, *_ in answers} == {path.stem for path in FILES} and len(answers) > 2_500
    shared = sum(bool(own & other) for _, own, other in answers) / len(answers)
    same = sum(own == other for _, own, other in answers) / len(answers)
    assert round(shared, 3) == 0.942 and round(same, 3) == 0.859


def test_source_points_to_its_line() -> None:
    by_stem = {path.stem.split("_")[0]: path.read_text(encoding="utf-8").splitlines() for path in FILES}
    for expression in list(expressions.load())[::97]:
        stem, number = expression.source.split(":")
        assert by_stem[stem][int(number) - 1].split("\t")[0].strip() == expression.text


def test_every_expression_can_be_found() -> None:
    own, _ = normal_expressions()
    assert {expression.text for expression, text in own if not stems(text)} <= SILENT


def test_no_expression_contradicts_another() -> None:
    own, _ = normal_expressions()
    meant: dict[tuple[str, str, str], set[tuple[str, ...]]] = defaultdict(set)
    for expression, text in own:
        meant[expression.source.split(":")[0], " ".join(stems(text)), expression.when].add(expression.codes)
    assert {text for (_, text, _), said in meant.items() if len(said) > 1} == set()


def test_labels_leave_out_what_no_certificate_says() -> None:
    labels = list(expressions.labels(NOMENCLATURE))
    assert len(labels) > 5_000
    for label in labels:
        assert not label.codes[0].startswith("Z") and not label.text.startswith("Autres")
        assert not label.text.endswith(", sans précision") and label.source == "cim10"


GOOD = "expression\tcode\twhen\nOAP\tJ81\t\n"
FAULTS = {
    "empty file": ("", 1, "header"),
    "another header": ("expression\tcode\nOAP\tJ81\n", 1, "header"),
    "header in another order": ("code\texpression\twhen\n", 1, "header"),
    "too few columns": (GOOD + "HTA\tI10\n", 3, "2 columns"),
    "too many columns": (GOOD + "HTA\tI10\t\tnote\n", 3, "4 columns"),
    "empty line": (GOOD + "\nHTA\tI10\t\n", 3, "1 columns"),
    "no expression": (GOOD + " \tI10\t\n", 3, "empty"),
    "no code": (GOOD + "HTA\t\t\n", 3, "no code"),
    "unknown code": (GOOD + "HTA\tI10.7\t\n", 3, "I10.7"),
    "bare category of a divided one": (GOOD + "IDM\tI21\t\n", 3, "I21"),
    "place of occurrence": (GOOD + "chute\tW19.0\t\n", 3, "W19.0"),
    "no dot": (GOOD + "IDM\tI219\t\n", 3, "I219"),
    "small letter": (GOOD + "HTA\ti10\t\n", 3, "i10"),
    "second code unknown": (GOOD + "HTA\tI10 X\t\n", 3, "X"),
    "codes parted by two blanks": (GOOD + "HTA\tI10  J81\t\n", 3, "no code"),
    "unknown condition": (GOOD + "HTA\tI10\tman\n", 3, "man"),
    "two conditions": (GOOD + "HTA\tI10\tmale newborn\n", 3, "male newborn"),
    "twice": (GOOD + "HTA\tI10\t\noap\tJ81\t\n", 4, "line 2"),
    "twice with another code": (GOOD + "oap\tI50.1\t\n", 3, "line 2"),
    "twice under one condition": (GOOD + "OAP\tI50.1\tmale\nOAP\tI50.0\tmale\n", 4, "line 3"),
}


@pytest.mark.parametrize(("text", "line", "told"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_told_with_file_and_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    path = tmp_path / "ch10_respiratory.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidData) as raised:
        expressions.read_file(path, NOMENCLATURE)
    assert raised.value.message.startswith(f"ch10_respiratory.tsv:{line}: ") and told in raised.value.message
    with pytest.raises(InvalidData):
        expressions.load(tmp_path)


def test_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ch10.tsv"
    path.write_bytes("expression\tcode\twhen\nœdème\tJ81\t\n".encode("cp1252"))
    with pytest.raises(InvalidData, match=r"ch10\.tsv:2: "):
        expressions.read_file(path, NOMENCLATURE)


def test_one_expression_under_several_conditions_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "ch10.tsv"
    path.write_text(GOOD + "OAP\tI50.1\tmale\nOAP\tI50.0 I10\tfemale\n", encoding="utf-8")
    found = expressions.read_file(path, NOMENCLATURE)
    assert [(e.codes, e.when, e.source) for e in found] == [
        (("J81",), "", "ch10:2"), (("I50.1",), "male", "ch10:3"), (("I50.0", "I10"), "female", "ch10:4"),
    ]  # fmt: skip


def test_version_follows_the_content(tmp_path: Path) -> None:
    def version(folder: str, text: str) -> str:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ch10.tsv").write_text(text, encoding="utf-8")
        return expressions.load(tmp_path / folder).version

    first = version("a", GOOD)
    assert version("b", GOOD) == first
    assert version("c", GOOD + "HTA\tI10\t\n") != first
