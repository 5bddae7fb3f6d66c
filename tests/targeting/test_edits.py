"""Edits on whole certificates: each with one that breaks it and one that does not, and the tables that name them."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import certificates

from stream.certificate import Age, AgeUnit, Certificate, Form, Line, Manner, Neonatal, Sealed, Sex
from stream.coding import CodedLine, Duration, Entity, Method, Uncoded, Underlying, Why
from stream.errors import InvalidData
from stream.nomenclature import edits as nomenclature
from stream.nomenclature import icd10
from stream.settings import REPOSITORY
from stream.targeting import edits
from stream.targeting.edits import checks, facts, unsuitable
from stream.targeting.edits.unsuitable import Kind
from stream.underlying.tables import FOLDER, read_rows

DATA = Path(os.environ.get("CAUSA_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data") / "edits"
NEEDS_DATA = pytest.mark.skipif(not DATA.exists(), reason="the shared data folder is not here")
EDITS = edits.load()
IDS = list(dict.fromkeys(edit.id for edit in EDITS.edits))


def line(*codes: str, days: float | None = None, vague: bool = False, why: Why | None = None) -> CodedLine:
    """A coded line; `why` stands for words without a code."""
    entities = tuple(Entity(code, 0, 4, 0.9, Method.RULES, "test") for code in codes)
    uncoded = (Uncoded(0, 4, why),) if why else ()
    return CodedLine(entities, uncoded, Duration(days, vague) if days is not None else None)


@dataclass(frozen=True)
class Told:
    """A coded certificate, of a man of seventy unless it says otherwise."""

    cause: str | None
    part1: tuple[CodedLine, ...]
    part2: tuple[CodedLine, ...]
    certificate: Certificate

    def ids(self) -> list[str]:
        found = EDITS.check(self.certificate, self.part1, self.part2, Underlying(self.cause, 0.9))
        return [edit.id for edit in found]


def told(
    cause: str | None,
    *part1: str | CodedLine,
    part2: str = "",
    age: int | Age | None = 70,
    text: str = "mots",
    **fields: Any,
) -> Told:
    """A certificate with codes as words parted by blanks; the cause stands alone in Part I where nothing else does."""
    lines = [one if isinstance(one, CodedLine) else line(*one.split()) for one in part1]
    if not part1 and cause:
        lines = [line(cause)]
    second = [line(*part2.split())] if part2 else []
    certificate = Certificate(
        "A", tuple(Line(text) for _ in lines), tuple(Line(text) for _ in second),
        age=Age(age) if isinstance(age, int) else age, **{"sex": Sex.M, **fields},
    )  # fmt: skip
    return Told(cause, tuple(lines), tuple(second), certificate)


def days(count: int) -> Age:
    return Age(count, AgeUnit.DAYS)


def newborn(cause: str = "P22.0", age: Age | None = None, **measures: Any) -> Told:
    """A certificate on the neonatal form."""
    return told(cause, age=age or days(2), form=Form.NEONATAL, neonatal=Neonatal(**measures))


F: dict[str, Any] = {"sex": Sex.F}
SUICIDE, HOMICIDE, NATURAL, ACCIDENT = Manner.SUICIDE, Manner.HOMICIDE, Manner.NATURAL, Manner.ACCIDENT

#: (id, what breaks it, what does not)
CASES: list[tuple[str, Told, Told]] = [
    ("SEX_FEMALE", told("C56"), told("C56", **F)),
    ("SEX_MALE", told("C61", **F), told("C61")),
    ("SEX_UNUSUAL", told("F84.2", age=9), told("F84.2", age=9, **F)),
    ("NEWBORN_ONLY", told("A33", age=3), newborn("A33")),
    ("PERINATAL_LATE", told("P27.1", age=30), told("P27.1", age=2)),
    ("INFANT_ONLY", told("R95.9", age=3), told("R95.9", age=days(90))),
    ("CHILD_DISEASE", told("G93.7", age=40), told("G93.7", age=8)),
    ("CHILDBEARING_AGE", told("O72.1", age=70, **F), told("O72.1", age=30, **F)),
    ("ADULT_DISEASE", told("G30.9", age=20), told("G30.9", age=80)),
    ("SUICIDE_CHILD", told("X70", "X70 T71", age=6), told("X70", "X70 T71", age=15)),
    ("INJURY_UNDERLYING", told("S72.0"), told("W19", "S72.0 W19")),
    ("NO_CODE", told(None, line(why=Why.UNKNOWN_WORDS)), told(None, line(), text=" 12, ")),
    ("NO_UNDERLYING", told(None, "I10"), told("I10")),
    ("CODE_INVALID", told("C25.9", "C25.9 I21"), told("C25.9", "C25.9 I21.9")),
    ("UNDERLYING_MANIFESTATION", told("G63.2"), told("E14.4", "G63.2 E14.4")),
    ("UNDERLYING_NOT_USED", told("Z51.5"), told("C25.9", "Z51.5 C25.9")),
    ("UNSUITABLE_BETTER", told("J96.0", "J96.0", part2="C34.9"), told("C34.9", "J96.0", part2="C34.9")),
    ("UNSUITABLE_BETTER", told("N17.9", "N17.9", "C61"), told("N17.9", "N17.9", part2="C61")),
    ("UNSUITABLE_BETTER", told("I48.9", "I48.9", "I34.0"), told("I48.9", "I63.4", "I48.9")),
    ("PREGNANCY_IMPOSSIBLE", told("I26.9", pregnancy="AT_DEATH"), told("I26.9", pregnancy="AT_DEATH", age=30, **F)),
    ("PREGNANCY_IMPOSSIBLE", told("I26.9", pregnancy="WITHIN_1_YEAR", age=71, **F), told("I26.9", pregnancy="NO")),
    ("MANNER_SUICIDE", told("I21.9", manner=SUICIDE), told("X70", "X70 T71", manner=SUICIDE)),
    ("MANNER_SUICIDE", told("W13", "T07 W13", manner=SUICIDE), told("Y87.0", "T91.3 Y87.0", manner=SUICIDE)),
    ("MANNER_HOMICIDE", told("W13", "T07 W13", manner=HOMICIDE), told("X99", "S21.9 X99", manner=HOMICIDE)),
    ("MANNER_NATURAL", told("V43.5", "S06.9 V43.5", manner=NATURAL), told("Y83.1", "T81.0 Y83.1", manner=NATURAL)),
    ("NEONATAL_FORM_LATE", newborn(age=days(28)), newborn(age=days(27))),
    (
        "DEATH_BEFORE_BIRTH",
        told("I10", birth_date=date(1950, 1, 2), death_date=date(1950, 1, 1)),
        told("I10", birth_date=date(1950, 1, 1), death_date=date(2020, 6, 1)),
    ),
    ("AGE_IMPOSSIBLE", told("I10", age=999), told("I10", age=122)),
    ("UNSUITABLE_ALONE", told("I50.9", "I50.9", part2="E11.9"), told("I25.5", "I50.9", "I25.5")),
    ("ONLY_UNKNOWN", told("R99"), told("R54", age=90)),
    ("NONSPECIFIC_CAUSE", told("I64"), told("I63.9")),
    ("UNLIKELY_CAUSE", told("H40.9"), told("C69.9")),
    ("LINE_WITHOUT_CODE", told("C61", line(why=Why.UNKNOWN_WORDS), "C61"), told("C61", line(why=Why.NOT_A_CAUSE), "C61")),
    ("MENTION_SEX", told("C34.9", "C34.9", part2="N80.9"), told("C34.9", "C34.9", part2="N40")),
    ("MENTION_AGE", told("W19", "S06.5 W19", part2="G30.9", age=9), told("W19", "S06.5 W19", part2="G30.9")),
    ("EXTERNAL_WITHOUT_INJURY", told("W19", "J18.9", "W19"), told("W19", "J18.9", "S72.0 W19")),
    ("INJURY_WITHOUT_EXTERNAL", told("X59.0", "S72.0"), told("W19", "S72.0", part2="W19")),
    ("MANNER_NATURAL_FALL", told("W19", "S72.0 W19", manner=NATURAL), told("W19", "S72.0 W19", manner=ACCIDENT)),
    ("MANNER_ACCIDENT", told("I21.9", manner=ACCIDENT), told("V43.5", "S06.9 V43.5", manner=ACCIDENT)),
    ("WORK_ACCIDENT_NATURAL", told("I21.9", work_accident=True), told("W13", "T07 W13", work_accident=True)),
    ("GENERAL_FORM_NEWBORN", told("Q24.9", age=days(27)), told("Q24.9", age=days(28))),
    (
        "GENERAL_FORM_NEWBORN",
        told("Q24.9", age=0, birth_date=date(2026, 1, 1), death_date=date(2026, 1, 20)),
        told("Q24.9", age=0),
    ),
    ("NEONATAL_BLOCK_GENERAL", told("I10", neonatal=Neonatal(900)), told("I10", neonatal=Neonatal())),
    ("NEONATAL_MEASURES", newborn(birth_weight_g=3_400, gestation_weeks=24), newborn(birth_weight_g=640, gestation_weeks=24)),
    ("NEONATAL_MEASURES", newborn(birth_weight_g=9_000), newborn(birth_weight_g=3_300, gestation_weeks=40)),
    ("NEONATAL_MEASURES", newborn(gestation_weeks=4), newborn(gestation_weeks=22)),
    (
        "AGE_AGAINST_DATES",
        told("I10", age=70, birth_date=date(1940, 1, 1), death_date=date(2020, 1, 1)),
        told("I10", age=70, birth_date=date(1949, 1, 2), death_date=date(2020, 12, 31)),
    ),
    (
        "DEATH_AFTER_RECEIPT",
        told("I10", death_date=date(2026, 1, 17), received_at=datetime(2026, 1, 15, 23, 59, tzinfo=UTC)),
        told("I10", death_date=date(2026, 1, 16), received_at=datetime(2026, 1, 15, 23, 59, tzinfo=UTC)),
    ),
    ("DURATION_LIFE", told("I10", line("I10", days=9000), age=20), told("I10", line("I10", days=9000, vague=True), age=20)),
    ("DURATION_NEGATIVE", told("I10", line("I10", days=-1)), told("I10", line("I10", days=0))),
    (
        "DURATION_ORDER",
        told("I63.9", line("N18.9", days=1800), line("I63.9", days=2)),
        told("N18.9", line("I63.9", days=2), line("N18.9", days=1800)),
    ),
    ("FORM_VERSION", told("I10", form_version="2031"), told("I10", form_version="1997")),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "breaks", "holds"), CASES, ids=[case[0] for case in CASES])
def test_what_breaks_an_edit_and_what_does_not(edit: str, breaks: Told, holds: Told) -> None:
    assert edit in breaks.ids()
    assert edit not in holds.ids()


def test_every_edit_has_its_cases() -> None:
    assert {case[0] for case in CASES} == set(IDS)


def test_an_ordinary_certificate_breaks_nothing() -> None:
    dates: dict[str, Any] = {"birth_date": date(1955, 3, 1), "death_date": date(2026, 1, 15)}
    found = told("C25.9", line("J96.0", days=2), line("C25.9", days=200), part2="I10 E11.9", manner=NATURAL, **dates)
    assert found.ids() == []


def test_broken_edits_come_in_the_order_of_the_table_with_what_is_said_of_them() -> None:
    found = told("C56", "C56 N80.9", form_version="9", manner=SUICIDE, part2="N84.0")
    assert found.ids() == ["SEX_FEMALE", "MANNER_SUICIDE", "MENTION_SEX", "FORM_VERSION"]
    first, second = EDITS.check(found.certificate, found.part1, found.part2, Underlying("C56", 0.9))[:2]
    assert (first.severity, first.en) == ("reject", "cause of women in a man")
    assert second.fr == "suicide coché, mais la cause initiale n'en est pas un"


@pytest.mark.parametrize("edit", ["MANNER_SUICIDE", "MANNER_NATURAL", "NO_SUCH_EDIT"])
def test_severity_of_an_id(edit: str) -> None:
    """An edit that went away, as an old record may name, is a warn."""
    assert EDITS.severity(edit) == ("warn" if edit == "NO_SUCH_EDIT" else "reject")


def test_a_condition_that_says_it_is_due_to_another_on_its_line_gives_way_to_it() -> None:
    effect, reason = line("N17.9", "N13.3").entities
    beside = told("N17.9", CodedLine((effect, reason)))
    within = told("N17.9", CodedLine((replace(effect, due_to=1), reason)))
    assert "UNSUITABLE_ALONE" in beside.ids() and "UNSUITABLE_BETTER" in within.ids()


def test_sealed_text_is_text() -> None:
    found = told(None, line())
    sealed = replace(found.certificate, part1=(Line(Sealed("k", b"0" * 12, b"1")),))
    assert "NO_CODE" in replace(found, certificate=sealed).ids()


CODES = sorted(icd10.load())
LINES = st.lists(
    st.builds(
        lambda codes, length: line(*codes, days=length),
        st.lists(st.sampled_from(CODES), max_size=3),
        st.none() | st.floats(0, 50_000),
    ),
    max_size=4,
).map(tuple)


@given(certificates(), LINES, LINES, st.none() | st.sampled_from(CODES))
def test_any_certificate_can_be_checked(
    certificate: Certificate, part1: tuple[CodedLine, ...], part2: tuple[CodedLine, ...], code: str | None
) -> None:
    found = EDITS.check(certificate, part1, part2, Underlying(code, 0.5))
    ids = [edit.id for edit in found]
    assert ids == [edit for edit in IDS if edit in ids]
    assert set(found) <= set(EDITS.edits)
    assert not {"CODE_INVALID", "DURATION_NEGATIVE"} & set(ids)
    assert not {"UNSUITABLE_ALONE", "UNSUITABLE_BETTER"} <= set(ids)


# The tables


def rows(change: Callable[[list[str]], object]) -> str:
    lines = checks.TABLE.read_text(encoding="utf-8").splitlines()
    change(lines)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("change", "told_of"),
    [
        (lambda lines: lines.append("NO_SUCH\twarn\tfr\ten"), "no check has this id"),
        (lambda lines: lines.append(lines[1]), "told twice"),
        (lambda lines: lines.append("SEX_MALE\twarn\tfr\ten"), "no check has this id"),
        (lambda lines: lines.__setitem__(1, lines[1].replace("reject", "fatal")), "tsv:2: severity"),
        (lambda lines: lines.__setitem__(1, lines[1] + "\tmore"), "tsv:2: id, severity, fr, en"),
        (lambda lines: lines.__setitem__(1, "NO_CODE\treject\t\ten"), "tsv:2: id, severity, fr, en"),
        (lambda lines: lines.__delitem__(1), "no row for NO_CODE"),
    ],
)
def test_a_table_at_fault_is_refused(tmp_path: Path, change: Callable[[list[str]], object], told_of: str) -> None:
    path = tmp_path / "edits.tsv"
    path.write_text(rows(change), encoding="utf-8")
    with pytest.raises(InvalidData, match=told_of):
        edits.load(path)


def test_a_person_may_change_a_severity_and_the_version_tells(tmp_path: Path) -> None:
    path = tmp_path / "edits.tsv"
    path.write_text(rows(lambda lines: lines.__setitem__(1, lines[1].replace("reject", "warn"))), encoding="utf-8")
    other = edits.load(path)
    assert (EDITS.severity("NO_CODE"), other.severity("NO_CODE")) == ("reject", "warn")
    assert other.version != EDITS.version


def test_each_edit_is_told_in_two_languages_and_has_a_check() -> None:
    assert all(edit.fr != edit.en for edit in EDITS.edits)
    own = {edit.id for edit in nomenclature.load().edits}
    assert set(IDS) - own == set(facts.CHECKS)


@pytest.mark.parametrize(
    "row", ["POOR\tA00\twhat", "UNLIKELY\tA00", "UNLIKELY\tA00\t", "UNLIKELY\tA0\twhat", "UNLIKELY\tB00-A00\twhat"]
)
def test_a_row_of_unsuitable_codes_at_fault_is_named(tmp_path: Path, row: str) -> None:
    path = tmp_path / "unsuitable.tsv"
    path.write_text(f"kind\tcodes\twhat\n{row}\n", encoding="utf-8")
    with pytest.raises(InvalidData, match=r"unsuitable\.tsv:2: "):
        unsuitable.load(path)


def test_codes_that_the_rules_replace_are_not_used_here_either() -> None:
    not_used = unsuitable.load().codes[Kind.NOT_USED]
    assert all(row[0] in not_used for row in read_rows(FOLDER / "unsuitable.tsv", 3))


# The document


def documented() -> str:
    """The two tables of docs/edits.md as the data have them."""
    groups: dict[nomenclature.Edit, list[str]] = {}
    for edit in nomenclature.load().edits:
        span = edit.first if edit.first == edit.last else f"{edit.first}–{edit.last}"
        groups.setdefault(replace(edit, first="", last=""), []).append(span)
    out = ["| id | severity | codes | allowed | says | dit |", "| --- | --- | --- | --- | --- | --- |"]
    for edit, spans in groups.items():
        allowed = [f"sex {edit.sex}"] if edit.sex else []
        allowed += [f"from {edit.min_days:g} days"] if edit.min_days else []
        allowed += [f"up to {edit.max_days:g} days"] if edit.max_days is not None else []
        cells = (edit.id, edit.severity, " ".join(spans), ", ".join(allowed) or "never", edit.en, edit.fr)
        out.append(f"| {' | '.join(cells)} |")
    out += ["", "| id | severity | says | dit |", "| --- | --- | --- | --- |"]
    own = [edit for edit in EDITS.edits if edit.id in facts.CHECKS]
    out += [f"| {edit.id} | {edit.severity} | {edit.en} | {edit.fr} |" for edit in own]
    return "\n".join(out) + "\n"


def test_the_document_holds_the_tables() -> None:
    page = (REPOSITORY / "docs" / "edits.md").read_text(encoding="utf-8")
    for table in documented().split("\n\n"):
        assert table.strip() in page, table


# WHO CoDEdit's lists and worked example


def listed(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def ranges(cell: str) -> Iterator[tuple[str, str]]:
    for span in cell.replace(".", "").split(","):
        first, _, last = span.strip().partition("-")
        if first:
            yield first, (last if last >= first else "L989" if last else first) + "~"  # the list has L98.5-L95.9


@NEEDS_DATA
def test_codes_that_codedit_calls_unlikely_or_unsuitable_are_so_here() -> None:
    """All of them, but injuries, which never are the underlying cause, and U01.9, which the French nomenclature lacks."""
    codes = [code.replace(".", "") for code in CODES]
    here = unsuitable.load().codes
    spans = [span for row in listed("icd10_unlikely_cod.csv") for span in ranges(row["code"])]
    theirs = {code for code in codes if any(first <= code <= last for first, last in spans)}
    assert (len(spans), len(theirs)) == (430, 1505)
    ours = {code for code in codes if code in here[Kind.UNLIKELY]}
    assert {code[0] for code in theirs - ours} == {"S", "T"} and not ours - theirs
    kinds = {"Unknown and": Kind.ILL_DEFINED, "Immediate": Kind.IMMEDIATE, "Nonspecific": Kind.NONSPECIFIC}
    missed = []
    for row in listed("unsuitable_underlying_causes.csv"):
        kind = next(kind for name, kind in kinds.items() if row["category"].startswith(name))
        if row["code"] not in here[kind]:
            missed.append(row["code"])
    assert missed == ["U019"]


SEXES = {"1.0": Sex.M, "2.0": Sex.F}
UNITS = {"Y": AgeUnit.YEARS, "M": AgeUnit.MONTHS, "D": AgeUnit.DAYS}


def example(row: dict[str, str]) -> list[str]:
    """What is broken on a row of the worked example: a certificate with one code, its underlying cause."""
    code = icd10.load().written(row["Code"])
    age = Age(int(float(row["Age Value"])), UNITS[row["Age Type"]]) if row["Age Value"] and row["Age Type"] else None
    return told(code, *([] if code else [""]), sex=SEXES.get(row["Sex"], Sex.U), age=age).ids()


#: Rows checked by hand: P21.9 on day 0; an obstetric cause on day 5; W84 on day 7; no code; 999 years; F10.0; …
BY_HAND = {
    "XX0001": ["GENERAL_FORM_NEWBORN"],  # 0 days, P21.9
    "XX0005": ["CHILDBEARING_AGE", "GENERAL_FORM_NEWBORN"],  # girl of 5 days, O23.0
    "XX0008": ["UNSUITABLE_ALONE", "GENERAL_FORM_NEWBORN"],  # 1 day, P22.0 is an immediate cause
    "XX0012": ["NONSPECIFIC_CAUSE", "EXTERNAL_WITHOUT_INJURY", "GENERAL_FORM_NEWBORN"],  # 7 days, W84.0
    "XX0014": ["UNSUITABLE_ALONE"],  # 35 days, J18.9
    "XX0016": ["NO_CODE", "NO_UNDERLYING", "LINE_WITHOUT_CODE"],  # 7 months, no code
    "XX0018": [],  # 2 years, G12.0
    "XX0023": ["EXTERNAL_WITHOUT_INJURY"],  # 11 years, X70.0: no child of under 8
    "XX0026": [],  # 104, neither sex nor unit of age, E41
    "XX0030": [],  # man of 103, C61
    "XX0032": ["UNSUITABLE_ALONE"],  # 100, R54
    "XX0038": ["NONSPECIFIC_CAUSE"],  # 101, I64
    "XX0040": ["AGE_IMPOSSIBLE", "UNSUITABLE_ALONE"],  # 999, J18.9
    "XX0075": ["UNSUITABLE_ALONE", "ONLY_UNKNOWN"],  # R99
    "XX0086": ["UNDERLYING_NOT_USED"],  # F10.0, an acute intoxication
    "XX0109": ["UNDERLYING_NOT_USED"],  # I25.2, an old infarct
    "XX0182": [],  # man of 46, C25.9
    "XX0216": ["UNLIKELY_CAUSE"],  # Q87.1
    "XX0223": ["NO_CODE", "NO_UNDERLYING", "LINE_WITHOUT_CODE"],  # V04.6 does not exist
    "XX0406": ["UNLIKELY_CAUSE"],  # L53.9
    "XX1087": [],  # C22.9
    "XX1630": ["EXTERNAL_WITHOUT_INJURY"],  # X74
    "XX2535": ["UNSUITABLE_ALONE"],  # I50.9
}


@NEEDS_DATA
def test_the_worked_example_of_codedit() -> None:
    found = {row["FreeId"]: example(row) for row in listed("icd10_example.csv")}
    assert {name: found[name] for name in BY_HAND} == BY_HAND
    counts = Counter(edit for ids in found.values() for edit in ids)
    assert len(found) == 3_613
    assert counts == {
        "UNSUITABLE_ALONE": 811, "NONSPECIFIC_CAUSE": 579, "EXTERNAL_WITHOUT_INJURY": 235, "ONLY_UNKNOWN": 26,
        "GENERAL_FORM_NEWBORN": 13, "UNDERLYING_NOT_USED": 5, "NO_CODE": 5, "NO_UNDERLYING": 5, "LINE_WITHOUT_CODE": 5,
        "AGE_IMPOSSIBLE": 3, "UNLIKELY_CAUSE": 2, "CHILDBEARING_AGE": 1,
    }  # fmt: skip
