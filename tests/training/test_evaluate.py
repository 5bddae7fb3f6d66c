"""What a training prints of its measures, and the gold that it measures on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stream.certificate import read_certificate
from stream.errors import InvalidData
from stream.evaluation.gold import read
from stream.evaluation.score import Reliability, Score, Share, Tally
from stream.settings import REPOSITORY
from training import written
from training.evaluate import lines, read_gold


def test_lines_tell_each_measure_once_and_the_commonest_chapter_first() -> None:
    found = Score(
        exact=Tally(1, 3, 2), three=Tally(2, 3, 2), lines=Share(1, 2), certificates=Share(0, 1), underlying=Share(1, 4),
        underlying_three=Share(2, 4), underlying_shortlist=Share(3, 4), automatic=Share(1, 3),
        chapters={"X": Tally(1, 1, 1), "IX": Tally(0, 2, 7)}, entity_chances=Reliability([0.75], [True]),
        underlying_chances=Reliability([0.5], [False]),
    )  # fmt: skip
    assert list(lines(found)) == [
        "entities, exact              P 0.3333  R 0.5000  F1 0.4000  (n=2)",
        "entities, three characters   P 0.6667  R 1.0000  F1 0.8000  (n=2)",
        "lines exact                  0.5000  (n=2)",
        "certificates exact           0.0000  (n=1)",
        "underlying, exact            0.2500  (n=4)",
        "underlying, three characters 0.5000  (n=4)",
        "underlying, shortlist        0.7500  (n=4)",
        "underlying of automatic      0.3333  (n=3)",
        "calibration error            entities 0.2500, underlying 0.5000",
        "  chapter IX     P 0.000  R 0.000  F1 0.000  (n=7)",
        "  chapter X      P 1.000  R 1.000  F1 1.000  (n=1)",
    ]


def test_lines_of_nothing() -> None:
    told = list(lines(Score()))
    assert len(told) == 9 and told[0].endswith("F1 0.0000  (n=0)")


def test_dev_is_the_written_certificates_kept_out_of_training() -> None:
    kept, found = written.load("dev"), read_gold("dev")
    assert len(found) == len(kept) > 20
    for one, block in zip(found, kept, strict=True):
        assert (one.id, one.underlying, one.error) == (block.id, block.underlying, None)
        assert one.certificate == read_certificate(block.record())
        assert one.texts == tuple(line.text for line in block.lines)
        assert one.lines == tuple(tuple(line.codes) for line in block.lines)
    trained = {w.record()["certificate_id"] for w in written.load("train")}
    assert trained.isdisjoint(one.id for one in found)


def test_anything_else_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    row = {"certificate_id": "A", "part1": ["OAP"], "gold": {"part1": [["J81"]], "underlying": "J81"}}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert read_gold(str(path)) == list(read(path)) and len(read_gold(str(path))) == 1
    with pytest.raises(InvalidData, match=r"none\.jsonl$"):
        read_gold(str(tmp_path / "none.jsonl"))


def test_torch_is_not_needed() -> None:
    without = "import sys; sys.modules['torch'] = None; from training.evaluate import read_gold; read_gold('dev')"
    done = subprocess.run(
        [sys.executable, "-c", without], capture_output=True, text=True, check=False, cwd=REPOSITORY, timeout=60
    )
    assert done.returncode == 0, done.stderr
