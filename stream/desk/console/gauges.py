"""What the desk tells Prometheus, beside the process's own metrics. Labels are closed sets: no id, no person."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from stream.coding import DecisionKind

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_TASK = (5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1_800)

DECIDED = Counter("causa_desk_decisions_total", "Decisions written by this process", ["kind"])
TASK = Histogram("causa_desk_task_seconds", "Time of a person on a certificate, idle time left out", buckets=_TASK)
SEARCH = Histogram("causa_desk_search_seconds", "Time of a search of the ICD", buckets=_SECONDS)
LIVE = Histogram("causa_desk_live_seconds", "Time of the core's answer to an edit", buckets=_SECONDS)
ALONE = Counter("causa_desk_rules_alone_total", "Answers that the ranker was not in time for")
WAITING = Gauge("causa_desk_tasks", "Certificates that wait for a person", ["stage"])
OLDEST = Gauge("causa_desk_oldest_task_seconds", "How long the oldest of them has waited")
UNSENT = Gauge("causa_desk_unsent_decisions", "Decisions that the broker has not acknowledged")

for _kind in DecisionKind:
    DECIDED.labels(_kind.value)
