from __future__ import annotations

import csv
import io
import json
import math
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from stream.cli import alerts as command
from stream.cli.main import app
from stream.errors import CausaError
from stream.settings import load
from stream.surveillance.alerts.register import Register
from stream.surveillance.alerts.running import sinks_of
from surveillance.alerts.made import database, rules
from surveillance.alerts.test_register import alert, put

RUNNER = CliRunner()


def causa(*arguments: str) -> Result:
    return RUNNER.invoke(app, arguments, catch_exceptions=True)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("CAUSA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def engine(home: Path) -> Engine:
    engine = database(home)
    Register(engine)
    put(engine, alert(), alert("sepsis.R-75.2026-01-05", level=6))
    return engine


def test_alerts_are_listed_shown_and_acted_on(engine: Engine) -> None:
    found = causa("alerts", "list", "--json", "--level", "5")
    assert found.exit_code == 0, found.output
    assert [json.loads(line)["group"] for line in found.output.splitlines()] == ["sepsis"]
    assert "2 alerts" in causa("alerts", "list", "--open").output
    name = "influenza.FR.2026-01-05"
    assert "revision 2" in causa("alerts", "ack", name, "--who", "mt", "--why", "seen").output
    assert "level 8" in causa("alerts", "escalate", name, "--level", "8", "--who", "mt", "--why", "a school").output
    shown = causa("alerts", "show", name).output
    assert "acknowledge by mt: seen" in shown and "revision 3" in shown and "acknowledged_by: mt" in shown
    assert len(causa("alerts", "show", name, "--json").output.splitlines()) == 3
    muted = causa("alerts", "mute", "--group", "influenza", "--until", "2099-01-01", "--who", "mt", "--why", "wave")
    assert muted.output == "mute 1\n"
    assert causa("alerts", "list", "--mutes").output == "1: influenza by mt until 2099-01-01: wave\n"
    assert causa("alerts", "unmute", "1", "--who", "mt", "--why", "over").exit_code == 0
    assert causa("alerts", "list", "--mutes").output == causa("alerts", "list", "--runs").output == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "none"),
        ("ack", "none", "--who", "mt", "--why", "x"),
        ("mute", "--who", "mt", "--why", "x"),
        ("unmute", "9", "--who", "mt", "--why", "x"),
    ],
)
def test_what_is_not_there_is_told(engine: Engine, arguments: tuple[str, ...]) -> None:
    assert isinstance(causa("alerts", *arguments).exception, CausaError)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("list", "--group", "influenca"), "influenza"),
        (("list", "--group", "grippe"), "influenza"),
        (("list", "--group", "xyzzy"), "causa groups"),
        (("mute", "--group", "Sepsis", "--who", "mt", "--why", "x"), "sepsis"),
        (("list", "--place", "R-00"), "R-84"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_what_may_have_been_meant(
    engine: Engine, arguments: tuple[str, ...], told: str
) -> None:
    fault = causa("alerts", *arguments).exception
    assert isinstance(fault, CausaError) and "there is no" in fault.message and told in fault.hint


def test_a_group_without_alerts_is_no_fault(engine: Engine) -> None:
    assert "0 alerts" in causa("alerts", "list", "--group", "measles", "--place", "33").output


def test_settings_of_sinks_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = "CAUSA_SURVEILLANCE__ALERTS__"
    monkeypatch.setenv(f"{prefix}WEBHOOKS", '{"duty": "https://example.fr/x"}')
    monkeypatch.setenv(f"{prefix}MAIL__HOST", "mail.example.fr")
    monkeypatch.setenv(f"{prefix}MAIL__SENDER", "causa@example.fr")
    monkeypatch.setenv(f"{prefix}MAIL__TO", '{"surveillance": ["a@example.fr"]}')
    checked = causa("alerts", "check")
    assert checked.exit_code == 0 and "sinks: duty, surveillance" in checked.output
    for name, value in (
        ("WEBHOOK_KEYS", '{"nobody": "k"}'), ("MAIL__HOST", ""), ("MAIL__TO", '{"duty": ["a@example.fr"]}'),
        ("WEBHOOKS", '{"duty": "nowhere"}'),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setenv(f"{prefix}{name}", value)
            with pytest.raises(CausaError):
                sinks_of(load(), rules())


def test_an_offices_own_rules_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text('version: "2027-3"\nmethod: {name: euromomo}\nleast: 0\n')
    monkeypatch.setenv("CAUSA_SURVEILLANCE__ALERTS__RULES", str(tmp_path / "own.yaml"))
    fault = causa("alerts", "check").exception
    assert isinstance(fault, CausaError) and fault.message.startswith("own.yaml:3: least")


def test_standing_in_words() -> None:
    assert command.standing(alert(held=True, muted="x", acknowledged_by="mt")) == "held, muted, acknowledged by mt"


@pytest.fixture
def weekly(tmp_path: Path) -> Path:
    file = tmp_path / "series.csv"
    with file.open("w") as out:
        out.write("day,count\n")
        for week in range(320):
            day = date(2019, 1, 7) + timedelta(days=7 * week)
            count = 30 + 10 * math.cos(2 * math.pi * week / 52.18) + (week % 3) + (60 if week == 319 else 0)
            out.write(f"{day},{'' if week == 200 else round(count)}\n")
    return file


def test_a_series_is_judged(weekly: Path, tmp_path: Path) -> None:
    shown = causa("detect", "--csv", str(weekly), "--last", "4", "--plot", str(tmp_path / "out.png"))
    assert shown.exit_code == 0, shown.output
    assert "ALARM" in shown.output and "1 alarms in 4 points" in shown.output
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "method", ["farrington", "farringtonFlexible", "noufaily", "C1", "C2", "C3", "euromomo", "cusum"]
)
def test_answers_are_machine_readable(weekly: Path, method: str) -> None:
    rows = list(csv.DictReader(io.StringIO(
        causa("detect", "--csv", str(weekly), "--method", method, "--format", "csv", "--last", "3").output
    )))  # fmt: skip
    told = json.loads(
        causa("detect", "--csv", str(weekly), "--method", method, "--format", "json", "--last", "3").output
    )
    assert len(rows) == len(told["points"]) == 3 and told["method"] == method
    assert [row["day"] for row in rows] == [point["day"] for point in told["points"]]
    assert method in ("C3", "cusum") or rows[-1]["alarm"] == "True"


def test_all_points_and_options(weekly: Path) -> None:
    shown = causa(
        "detect", "--csv", str(weekly), "--all", "--format", "csv", "--option", "b=3", "--option", "limit54=0,4"
    )
    assert len(shown.output.splitlines()) == 321 and "TOO SHORT" in shown.output
    assert "noufaily: b=5, w=3, noPeriods=10" in causa("detect", "--options").output


@pytest.mark.parametrize(
    ("method", "option"),
    [("noufaily", "b=0"), ("noufaily", "w=x"), ("farringtonFlexible", "b=0"), ("C1", "baseline=1"), ("cusum", "k=-1")],
)
def test_a_fault_is_told_by_the_name_that_was_asked_for(weekly: Path, method: str, option: str) -> None:
    fault = causa("detect", "--csv", str(weekly), "--method", method, "--option", option).exception
    assert isinstance(fault, CausaError) and fault.message.startswith(f"{method}: ")
    assert method == "farringtonFlexible" or "farringtonFlexible" not in fault.message


@pytest.mark.parametrize(
    "arguments",
    [
        ("--csv", "absent.csv"),
        (),
        ("--csv", "series.csv", "--method", "none"),
        ("--csv", "series.csv", "--option", "b"),
        ("--csv", "series.csv", "--option", "bb=3"),
        ("--csv", "series.csv", "--plot", "out.txt"),
        ("--csv", "series.csv", "--plot", "absent/out.png"),
    ],
)
def test_what_cannot_be_judged_is_told(weekly: Path, arguments: tuple[str, ...]) -> None:
    assert isinstance(causa("detect", *arguments).exception, CausaError)
