from __future__ import annotations

import ast

import pytest

from chaos import faults, front
from chaos.arena import turns
from chaos.report import Row, markdown
from chaos.suite import Suite
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
