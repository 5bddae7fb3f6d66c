"""The tables hold, and those that do not are refused."""

import os
import shutil
from pathlib import Path

import pytest

from stream.errors import InvalidData
from stream.nomenclature import icd10
from stream.underlying import load
from stream.underlying.codes import Codes, dot
from stream.underlying.tables import FOLDER, read_rows, read_tables

DATA = Path(os.environ.get("CAUSA_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "tables"))


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_500_000


def test_the_version_is_that_of_the_contents(folder: Path) -> None:
    assert read_tables(folder).version == load().version
    limits = folder / "limits.tsv"
    limits.write_text(limits.read_text() + "SP8\tL60\ttest\n")
    assert read_tables(folder).version != load().version


@pytest.mark.parametrize("name", ["linkages.tsv", "derived.tsv"])
def test_every_row_makes_a_valid_code_and_says_where_it_comes_from(name: str) -> None:
    for _, selected, _, result, source in read_rows(FOLDER / name, 5):
        assert source.startswith(("rule", "derived n=")), source
        if result[0] not in "=*":
            assert icd10.load().valid(dot(result)), (selected, result)


def test_derived_rows_have_support() -> None:
    for row in read_rows(FOLDER / "derived.tsv", 5):
        assert int(row[4].split("n=")[1].split()[0]) >= 2


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("linkages.tsv", "M1\tI10\tI50\t?\trule"),
        ("linkages.tsv", "M9\tI10\tI50\t=\trule"),
        ("linkages.tsv", "M1\tI10\tI50\t=\t"),
        ("linkages.tsv", "M1\tI10-A00\tI50\t=\trule"),
        ("linkages.tsv", "M1\tI10\tI50\t="),
        ("derived.tsv", "M1\tI10\theart\t=\tderived n=9"),
        ("obvious.tsv", "J18\t\trule"),
        ("overrides.tsv", "I10\tI50\tperhaps\trule"),
        ("confidence.tsv", "SP1\t1\t3\t4"),
        ("limits.tsv", "SP7\tR?\trule"),
        ("aliases.tsv", "U07"),
        ("pregnancy.tsv", "NO\tNONE\t?\tthe same value again"),
        ("intents.tsv", "X40\tX60\tX85\tY10\tno"),
        ("injuries.tsv", "S06\t1"),
        ("sequelae.tsv", "I60\tI69"),
        ("sequelae.tsv", "I60-I69\tI690\trule"),
    ],
)
def test_a_bad_row_is_refused(folder: Path, name: str, row: str) -> None:
    with (folder / name).open("a") as table:
        table.write(row + "\n")
    with pytest.raises(InvalidData):
        read_tables(folder)


@pytest.mark.parametrize("name", ["causal.tsv.gz", "linkages.tsv", "limits.tsv", "intents.tsv"])
def test_a_missing_or_torn_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:40])
    with pytest.raises(InvalidData):
        read_tables(folder)
    (folder / name).unlink()
    with pytest.raises(InvalidData):
        read_tables(folder)


def test_sets_of_codes() -> None:
    some = Codes("I60-I69 !I65 J18 E112")
    assert all(code in some for code in ("I60", "I609", "I698", "J18", "J189", "E112"))
    assert not any(code in some for code in ("I65", "I652", "I70", "J19", "E119", "E11"))


def test_causal_relations_that_everybody_knows() -> None:
    can = load().causal.can
    assert can("C259", "J960")
    assert can("E119", "I219")
    assert can("U071", "J128")
    assert not can("J449", "C349")
    assert not can("I219", "B182")


@pytest.mark.skipif(
    not (DATA / "us2017_certificates_train.tsv.gz").exists(), reason="the shared data folder is not here"
)
def test_accuracy_on_certificates_kept_apart() -> None:
    from stream.underlying import select
    from training.underlying.certificates import certificates

    items = certificates(DATA, "dev")[:2000]
    right = sum(select(item.causes, load()).code == item.answer for item in items)
    assert right / len(items) > 0.96
