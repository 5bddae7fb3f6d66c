"""Every PromQL expression of the dashboards and the rules, and what it names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import promql_parser
import yaml

from stream.settings import REPOSITORY

DASHBOARDS = sorted((REPOSITORY / "ops" / "grafana" / "dashboards").glob("*.json"))
RULES = REPOSITORY / "ops" / "prometheus" / "rules.yml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
ALL_RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
RECORDED = {rule["record"]: rule["expr"] for rule in ALL_RULES if "record" in rule}
VARIABLES = {"$__rate_interval": "1m"}
"""What Grafana puts in place of its own variables."""


@dataclass(frozen=True)
class Selector:
    """A metric as an expression names it, with the values that its matchers ask for, by label."""

    metric: str
    asked: dict[str, list[str]]


@dataclass(frozen=True)
class Query:
    """An expression and where it stands."""

    where: str
    written: str
    legend: str = ""

    @cached_property
    def tree(self) -> Any:
        """Parsed; a ValueError where it is no PromQL."""
        text = self.written
        for name, value in VARIABLES.items():
            text = text.replace(name, value)
        return promql_parser.parse(text)

    @property
    def selectors(self) -> list[Selector]:
        """All of them, those of recorded rules among them."""
        return [
            Selector(node.name or "", {m.name: re.split(r"\|", m.value) for m in node.matchers.matchers})
            for node in walked(self.tree)
            if isinstance(node, promql_parser.VectorSelector)
        ]

    @property
    def kept(self) -> set[str]:
        """Labels that it sums by or matches on, and that its legend tells."""
        return {
            label
            for node in walked(self.tree)
            for modifier in [getattr(node, "modifier", None)]
            for found in (modifier, getattr(modifier, "matching", None))
            for label in getattr(found, "labels", ())
        } | set(re.findall(r"\{\{\s*(\w+)\s*\}\}", self.legend))


def walked(node: Any) -> Iterator[Any]:
    """A node and all below it."""
    yield node
    for name in ("lhs", "rhs", "expr", "param", "vector_selector", "args"):
        below = getattr(node, name, None)
        for one in below if isinstance(below, list) else [below]:
            if isinstance(one, promql_parser.Expr) or type(one).__module__ == type(node).__module__:
                yield from walked(one)


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Its panels but for the rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> list[Query]:
    """All of the dashboards and of the rules."""
    found = [
        Query(f"{path.name}: {panel['title']}", target["expr"], target["legendFormat"])
        for path in DASHBOARDS
        for panel in panels(json.loads(path.read_text(encoding="utf-8")))
        for target in panel["targets"]
    ]
    for rule in ALL_RULES:
        told = re.sub(r"\$labels\.(\w+)", r"\1", " ".join(rule.get("annotations", {}).values()))
        found.append(Query(f"rule {rule.get('alert') or rule['record']}", rule["expr"], told))
    return found
