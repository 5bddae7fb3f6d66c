"""What the services beside the worker serve Prometheus, as far as a process can tell that has only begun.

Tests that start such a service for their own purpose scrape it once, and hold this page against it (`apart`).
"""

from __future__ import annotations

import re
import socket
import urllib.request

from prometheus_client import REGISTRY, generate_latest

from stream import metrics
from stream.desk.console import gauges as desk
from stream.desk.life import Stage
from stream.surveillance.alerts import gauges as alerts
from stream.surveillance.alerts.alert import Kind

PREFIXES = ("causa_alert", "causa_detection", "causa_desk", "causa_intake")


def page() -> str:
    """The page of metrics of a process that has the metrics of all of them."""
    # Labels that settings and the database bring.
    for service in ("surveillance", "desk"):
        metrics.TAKEN.labels(service)
        metrics.BEHIND.labels(service)
    for end in ("sent", "again", "refused"):
        alerts.MESSAGES.labels("duty", end)
    alerts.UNSENT.labels("duty")
    for kind in Kind:
        for standing in ("open", "held", "muted", "unacknowledged"):
            alerts.OPEN.labels(kind.value, standing)
    for found in ("all", "judged", "alarm", "held"):
        alerts.SERIES.labels(found)
    for stage in (Stage.OPEN, Stage.ESCALATED, Stage.SECOND, Stage.DISPUTED):
        desk.WAITING.labels(stage.value)
    return generate_latest(REGISTRY).decode()


def of_services(page: str) -> str:
    """The lines of a page that tell metrics of theirs alone, so that they hide none that a worker lacks."""
    told = tuple(f"{start}{prefix}" for prefix in PREFIXES for start in ("", "# HELP ", "# TYPE "))
    return "".join(line for line in page.splitlines(keepends=True) if line.startswith(told))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def apart(port: int, *prefixes: str) -> set[str]:
    """Metrics that begin so and that only one has: a running service, or the page of this process."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return _families(answer.read().decode(), prefixes) ^ _families(page(), prefixes)


def _families(page: str, prefixes: tuple[str, ...]) -> set[str]:
    """Names and kinds; the moment when a counter began stands there only once it has counted."""
    told = re.findall(r"^# TYPE (\S+ \S+)$", page, re.MULTILINE)
    found = {one for one in told if one.startswith(prefixes) and not re.search(r"_created ", one)}
    assert found, prefixes
    return found
