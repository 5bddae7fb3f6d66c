"""`causa calibrate` and `causa target` as a person meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from stream import log
from stream.cli import ledgers
from stream.cli.main import app
from stream.coding import (
    CodedCertificate,
    CodedStatus,
    Correction,
    DecisionKind,
    Modality,
    Route,
    Targeting,
    Underlying,
    Versions,
    coded_json,
)
from stream.embedded.triton import TritonServer
from stream.errors import InvalidSettings
from stream.settings import REPOSITORY, Settings
from stream.targeting import thresholds

Run = Callable[..., Result]
DAY = datetime(2026, 3, 1, 8, tzinfo=UTC)
OLD, NEW = (
    Versions(lexicon="l", rules="r", coder="c1", underlying="u"),
    Versions(lexicon="l", rules="r", coder="c2", underlying="u"),
)


@pytest.fixture
def causa(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(log, "configure", lambda *_: None)

    def run(*arguments: Any) -> Result:
        return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "160", "TERM": "dumb"})

    return run


def record(number: int, p: float, versions: Versions = NEW, **fields: Any) -> CodedCertificate:
    targeting = Targeting(
        Route.AUTO, audit=True, inclusion_probability=1.0, policy="1+old", stratum="rest", threshold=0.5
    )
    one = CodedCertificate(
        f"C{number}", 1, "", CodedStatus.FINAL, Modality.MODEL, Underlying("I21.9", p), targeting, versions,
        DAY + timedelta(minutes=number), received_at=DAY,
    )  # fmt: skip
    return replace(one, **fields)


def decision(number: int, code: str, *, blind: bool = True) -> dict[str, Any]:
    made = Correction(
        f"D{number}", DecisionKind.FIRST, f"C{number}", 1, "anna", "coder", "AUDIT", DAY + timedelta(days=1),
        underlying_after=code, blind=blind,
    )  # fmt: skip
    return {**made.__dict__} if hasattr(made, "__dict__") else {
        name: getattr(made, name) for name in made.__slots__
    }  # fmt: skip


def file(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def past(tmp_path: Path) -> tuple[Path, Path]:
    """Four hundred audited certificates of which the unsurest tenth is wrong."""
    records = [record(n, 1 - n / 1_000) for n in range(400)]
    decisions = [decision(n, "I21.9" if n < 360 else "I25.9") for n in range(400)]
    return (
        file(tmp_path, "coded.jsonl", [coded_json(one) for one in records]),
        file(tmp_path, "corrections.jsonl", decisions),
    )


def test_target_explains_the_policy_in_force(causa: Run) -> None:
    told = causa("target")
    assert told.exit_code == 0
    for word in ("rest", "external", "UNCERTIFIED", "calibrated on", "threshold", "CAUSA_AUDIT_KEY is empty"):
        assert word in told.output


def test_what_another_policy_would_have_sent_where(causa: Run, past: tuple[Path, Path], tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text('version: "x"\nstrata: [{name: rest, error: 0.05, audit_rate: 0.5}]\n', encoding="utf-8")
    limits = tmp_path / "thresholds.yaml"
    found = thresholds.Found(threshold=0.8, accepted=200)
    one = thresholds.Threshold(error=0.05, confidence=0.95, level="exact", n=400, normal=found, strict=found)
    limits.write_text(
        thresholds.written(
            thresholds.Thresholds(
                certified=True, source="tests", made_at=DAY, strata={"rest": one},
                versions={name: getattr(NEW, name) for name in thresholds.VERSIONED},
            )
        ),
        encoding="utf-8",
    )  # fmt: skip
    coded, corrections = past
    folder = tmp_path / "report"
    told = causa(
        "target", "--what-if", policy, "--thresholds", limits, "--coded", coded, "--corrections", corrections, "-o", folder
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    report = json.loads((folder / "target.json").read_text(encoding="utf-8"))
    assert report["before"]["routes"] == {"AUTO": 400} and report["after"]["routes"] == {"AUTO": 201, "MANUAL": 199}
    assert report["moves"] == [{"from": "AUTO", "to": "AUTO", "n": 201}, {"from": "AUTO", "to": "MANUAL", "n": 199}]
    end = report["curves"]["all"][-1]
    assert (end["accepted"], end["wrong"]) == (400, 40)
    page = (folder / "target.html").read_text(encoding="utf-8")
    assert "C1" not in page and "<svg" in page and "certified on the office" in page


@pytest.mark.parametrize("of_topics", [True, False])
def test_an_office_s_audits_make_thresholds_that_are_certified(
    causa: Run, past: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_topics: bool
) -> None:
    coded, corrections = past
    output = tmp_path / "thresholds.yaml"
    options: tuple[Path | str, ...] = ("--coded", coded, "--corrections", corrections)
    if of_topics:
        # What is read is a ledger, whether it comes of topics or of files.
        ledger = ledgers.read(Settings(), coded, corrections)
        monkeypatch.setattr(ledgers, "read", lambda *_: ledger)
        options = ("--from-topic", "corrections")
    told = causa("calibrate", *options, "-o", output)
    assert told.exit_code == 0, told.output
    found = thresholds.read(output)
    assert found.certified is of_topics and found.versions["coder"] == "c2" and "400 blind audits" in found.source
    rest = found.strata["rest"]
    assert rest.n == 400 and rest.normal.threshold is not None and 0.60 <= rest.normal.threshold <= 0.66
    assert rest.normal.upper <= 0.05


def test_standard_output_is_the_file_and_no_more(causa: Run, past: tuple[Path, Path]) -> None:
    told = causa("calibrate", "--coded", past[0], "--corrections", past[1], "-o", "-")
    assert told.exit_code == 0 and yaml.safe_load(told.stdout)["strata"]["rest"]["n"] == 400


def test_audits_that_were_not_blind_and_those_of_other_versions_are_left_out(causa: Run, tmp_path: Path) -> None:
    records = [record(n, 0.99, OLD if n < 100 else NEW) for n in range(300)]
    decisions = [decision(n, "I21.9", blind=n % 2 == 0) for n in range(300)]
    coded = file(tmp_path, "coded.jsonl", [coded_json(one) for one in records])
    corrections = file(tmp_path, "corrections.jsonl", decisions)
    told = causa("calibrate", "--coded", coded, "--corrections", corrections, "-o", tmp_path / "t.yaml")
    assert told.exit_code == 0, told.output
    assert "50 audits of other versions are left out" in told.output
    assert yaml.safe_load((tmp_path / "t.yaml").read_text(encoding="utf-8"))["strata"]["rest"]["n"] == 100


def test_what_a_person_sees_in_any_case_speaks_for_no_threshold(causa: Run, tmp_path: Path) -> None:
    # Suicides, all of them right, would otherwise vouch for the falls among which many are wrong.
    listed = [record(n, 0.9, underlying=Underlying("X70", 0.9)) for n in range(300)]
    falls = [record(n, 0.9, underlying=Underlying("W19", 0.9)) for n in range(300, 600)]
    decisions = [decision(n, "X70" if n < 300 else "W19" if n % 12 else "W18") for n in range(600)]
    coded = file(tmp_path, "coded.jsonl", [coded_json(one) for one in listed + falls])
    corrections = file(tmp_path, "corrections.jsonl", decisions)
    told = causa("calibrate", "--coded", coded, "--corrections", corrections, "-o", tmp_path / "t.yaml")
    assert told.exit_code == 0, told.output
    assert "300 that a person sees whatever the confidence are left out" in told.output
    external = thresholds.read(tmp_path / "t.yaml").strata["external"]
    assert external.n == 300 and external.normal.threshold is None
    assert "it takes 59 certificates to prove 5 %" in told.output


@pytest.mark.parametrize("options", [[], ["gold.jsonl", "--from-topic", "corrections"], ["--from-topic", "coded"]])
def test_one_source_is_needed(causa: Run, options: list[str]) -> None:
    told = causa("calibrate", *options)
    assert isinstance(told.exception, InvalidSettings)


@pytest.mark.servers
def test_gold_certificates_make_thresholds_that_say_what_they_are(
    causa: Run, triton_server: TritonServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUSA_TRITON__URL", triton_server.url)
    gold = tmp_path / "gold.jsonl"
    rows = (REPOSITORY / "samples" / "gold_2.jsonl").read_text(encoding="utf-8").splitlines()[:120]
    gold.write_text("\n".join(rows) + "\n", encoding="utf-8")
    told = causa("calibrate", gold, "-o", tmp_path / "thresholds.yaml")
    assert told.exit_code == 0, told.output
    found = thresholds.read(tmp_path / "thresholds.yaml")
    assert not found.certified and 80 < found.strata["rest"].n < 120 and "UNCERTIFIED" in told.output
    assert found.versions["coder"].startswith("coder-1+") and "+underlying-1+" in found.versions["underlying"]
