"""Dashboards, rules and their provisioning as files: sound in themselves, and in step with compose and the guide."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream import metrics
from stream.settings import REPOSITORY

from .queries import ALL_RULES, DASHBOARDS, GROUPS, RECORDED, Query, panels, queries

OPS = REPOSITORY / "ops"
COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
GUIDE = (REPOSITORY / "docs" / "observability.md").read_text(encoding="utf-8")
SPAN = re.compile(r"[1-9][0-9]*[smhd]")


def yaml_of(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.where)
def test_every_expression_is_promql(query: Query) -> None:
    assert query.selectors, "an expression without a metric watches nothing"


def test_an_expression_that_is_none_would_be_seen() -> None:
    for wrong in ("sum by le (x)", "rate(x)", "x[5m", 'x{a=~"(" }', "histogram_quantile(0.9)"):
        with pytest.raises(ValueError):
            assert Query("", wrong).selectors


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_dashboards_are_whole(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    (source,) = yaml_of(OPS / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24 and not cells & taken, panel["title"]
        taken |= cells
    for panel in panels(board):
        assert panel["title"] and panel["fieldConfig"]["defaults"]["unit"]
        uids = {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])}
        assert uids == {source["uid"]}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0


def test_dashboards_have_names_of_their_own() -> None:
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS]
    assert len(boards) == len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) > 1


def test_rules_say_what_to_do() -> None:
    names = [rule.get("alert") or rule["record"] for rule in ALL_RULES]
    assert len(set(names)) == len(names) and len({group["name"] for group in GROUPS}) == len(GROUPS)
    for rule in ALL_RULES:
        if "record" in rule:
            assert set(rule) == {"record", "expr"} and re.fullmatch(r"causa:\w+(:\w+)?", rule["record"])
            continue
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert "for" not in rule or SPAN.fullmatch(rule["for"])
        assert rule["alert"] in GUIDE, "the guide tells every alert"


def test_alerts_are_raised_when_they_should_be() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (of Prometheus) is not installed")
    cases = Path(__file__).with_name("rules.test.yml")
    done = subprocess.run([promtool, "test", "rules", str(cases)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_recorded_names_are_used() -> None:
    used = {selector.metric for query in queries() for selector in query.selectors}
    assert set(RECORDED) <= used


def test_every_metric_of_the_worker_is_told_by_the_guide() -> None:
    named = re.findall(r'"(causa_\w+)"', Path(metrics.__file__).read_text(encoding="utf-8"))
    assert len(named) > 20
    assert not [name for name in named if name not in GUIDE]


def test_prometheus_scrapes_what_compose_starts() -> None:
    config = yaml_of(OPS / "prometheus" / "prometheus.yml")
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    (workers,) = jobs["causa-worker"]["dns_sd_configs"]
    assert workers["names"] == ["worker"] and workers["names"][0] in COMPOSE
    assert str(workers["port"]) == COMPOSE["worker"]["environment"]["CAUSA_WORKER__METRICS_PORT"]
    for name, port in (("alerts", "CAUSA_SURVEILLANCE__ALERTS__METRICS_PORT"), ("desk", "CAUSA_DESK__METRICS_PORT")):
        (found,) = jobs[f"causa-{name}"]["dns_sd_configs"]
        assert found["names"] == [name] and str(found["port"]) == COMPOSE[name]["environment"][port]
    assert jobs["triton"]["static_configs"] == [{"targets": ["triton:8002"]}]
    assert all(COMPOSE[name]["networks"]["inside"]["aliases"] == ["triton"] for name in ("triton", "triton-cpu"))
    assert {Path(name).name for name in config["rule_files"]} == {"rules.yml"}
    jobs_named = {value for query in queries() for s in query.selectors for value in s.asked.get("job", ())}
    assert jobs_named <= set(jobs)


def test_grafana_finds_its_files() -> None:
    mounts = {volume["target"]: REPOSITORY / volume["source"] for volume in COMPOSE["grafana"]["volumes"]}
    (provider,) = yaml_of(OPS / "grafana" / "provisioning" / "dashboards" / "causa.yml")["providers"]
    assert mounts[provider["options"]["path"]].resolve() == DASHBOARDS[0].parent
    home = COMPOSE["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (mounts[str(Path(home).parent)] / Path(home).name).is_file()
    (source,) = yaml_of(OPS / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090" and "prometheus" in COMPOSE
