from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chaos import faults, front, report
from chaos.arena import turns
from chaos.faults import Fault
from chaos.oracle import Verdict
from chaos.report import Row, markdown
from chaos.suite import Outcome, Strike, Suite, one
from chaos.suites import SUITES
from stream.failpoints import POINTS
from stream.settings import REPOSITORY


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_every_suite_strikes_with_known_faults_on_what_they_need(suite: Suite) -> None:
    for strike in suite.strikes:
        assert isinstance(faults.open_(strike.fault, **strike.options), faults.Fault)
    struck = {strike.fault for strike in suite.strikes}
    assert suite.proxied or not struck & {
        "slow-connection",
        "silent-connection",
        "reset-connections",
        "stop-in-silence",
    }
    assert suite.fronted or "nonsense" not in struck
    assert suite.disk_mib or "fill-disk" not in struck


def test_no_fault_and_no_point_is_left_out() -> None:
    strikes = [strike for suite in SUITES for strike in suite.strikes]
    assert {strike.fault for strike in strikes} == set(faults.registry)
    assert {str(s.options["point"]) for s in strikes if s.fault == "kill-worker-at"} == set(POINTS)
    assert {str(s.options["kind"]) for s in strikes if s.fault == "nonsense"} == set(front.KINDS)


def test_the_long_kill_loop_is_long() -> None:
    suite = next(suite for suite in SUITES if suite.name == "kills")
    assert suite.certificates >= 20_000
    assert sum({"kill-worker": 1, "kill-worker-at": 2}[strike.fault] for strike in suite.strikes) >= 30


def test_certificates_are_new_in_every_turn_and_versions_follow_one_another() -> None:
    source = turns()
    seen: dict[str, int] = {}
    for certificate in (next(source) for _ in range(1_000)):
        assert certificate.version == seen.get(certificate.certificate_id, 0) + 1
        seen[certificate.certificate_id] = certificate.version
    assert 2 in seen.values()


def test_every_kind_of_nonsense_is_one_that_the_front_knows() -> None:
    code = ast.parse(front.FRONT.read_text(encoding="utf-8"))
    words = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert set(front.KINDS) <= words


def test_the_make_target_is_there() -> None:
    assert "python -m chaos" in (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def test_the_page_tells_what_was_lost() -> None:
    row = Row("kills", "killed", False, 10, 18, {"lost": 1, "duplicated": 0}, {"kills": 3}, 4.2, "coded a 1")
    page = markdown([row])
    assert "| kills: killed | 10 | 1 | 0 | ? | ? | 3 kills | 4 | no |" in page
    assert "- kills: coded a 1" in page
    assert "1 suites, 10 records checked, 3 workers killed, 0 ended by themselves; lost 1, duplicated 0; 0 of 1" in page


def outcome(suite: Suite, verdict: Verdict | None = None, **told: list[str]) -> Outcome:
    verdict = verdict or Verdict(records=suite.certificates)
    return Outcome(suite, verdict, {}, told.get("faults", []), 1.0, told.get("idle", []))


def test_a_suite_is_not_sound_where_a_worker_fell_or_a_strike_did_nothing_or_too_little_was_checked() -> None:
    suite = Suite("s", "", 10, [])
    assert outcome(suite).sound and report.row(outcome(suite)).note == ""
    for found, told in (
        (outcome(suite, faults=["status 1: last words"]), "1 workers ended by themselves"),
        (outcome(suite, idle=["strike 1, kill-worker, did nothing"]), "strike 1, kill-worker, did nothing"),
        (outcome(suite, Verdict(records=9)), "9 records of 10"),
        (outcome(suite, Verdict(records=10, lost=["coded a 1"])), "1 lost"),
    ):
        assert not found.sound and found.shortcomings == [told]
        row = report.row(found)
        assert not row.sound and row.note.startswith(told)


def test_where_doubles_are_no_fault_one_must_be_seen() -> None:
    suite = Suite("s", "", 10, [], once=False)
    doubled = Verdict(records=10, duplicated=["coded a 1"], disordered=["a"])
    assert outcome(suite, doubled).sound
    assert not outcome(suite).sound
    assert not outcome(suite, doubled, faults=["status 1: last words"]).sound
    assert outcome(suite, Verdict(records=10, duplicated=["coded a 1"], lost=["b"])).shortcomings == ["1 lost"]


@dataclass
class Still:
    """An arena where nothing happens."""

    figures: dict[str, int] = field(default_factory=lambda: {"kills": 3})

    def count(self, figure: str, more: int = 1) -> None:
        self.figures[figure] = self.figures.get(figure, 0) + more


@pytest.mark.parametrize("more", [0, 1])
async def test_a_strike_that_did_nothing_is_told(more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kill(Fault):
        figure = "kills"

        async def strike(self, arena: object) -> None:
            self.count(arena, more)  # type: ignore[arg-type]

    monkeypatch.setitem(faults.registry, "kill-worker", Kill)
    assert await one(Strike("kill-worker"), Still()) is bool(more)  # type: ignore[arg-type]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_every_strike_names_the_figure_that_tells_of_it(suite: Suite) -> None:
    assert all(faults.open_(strike.fault, **strike.options).figure for strike in suite.strikes)


def test_a_report_keeps_suites_that_did_not_run_again_and_fills_the_page(tmp_path: Path) -> None:
    kills, thief = (Row(name, "", True, 10, 10, {}, {}, 1.0) for name in ("kills", "thief"))
    report.write([kills, thief], tmp_path)
    again = Row("kills", "", False, 20, 10, {}, {}, 1.0, "1 lost")
    report.write([again], tmp_path)
    assert [(row.name, row.records) for row in report.read(tmp_path)] == [("kills", 20), ("thief", 10)]
    page = report.filled("before\n<!-- chaos -->\nold\n<!-- /chaos -->\nafter", markdown(report.read(tmp_path)))
    assert "old" not in page and "| thief" in page and page.startswith("before") and page.endswith("after")
    assert report.filled(report.PAGE.read_text(encoding="utf-8"), "x")
    assert not report.read(tmp_path / "nowhere")
