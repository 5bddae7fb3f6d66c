"""Metrics of alerting, in Prometheus form. Labels are closed sets: no id, no group, no place."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from stream.surveillance.alerts.alert import AlertStatus, Kind

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600, 86_400)

REVISIONS = Counter("causa_alert_revisions_total", "Revisions of alerts in the topic", ["kind", "status"])
PUBLISHED = Histogram(
    "causa_alert_publish_seconds", "From the making of a revision to its place in the topic", ["kind"], buckets=_SECONDS
)
CASE = Histogram(
    "causa_alert_case_seconds", "From receipt of a certificate, or from its coding, to the alert of a single case",
    ["since"], buckets=_SECONDS,
)  # fmt: skip
OPEN = Gauge("causa_alerts_open", "Alerts that go on, by their standing", ["kind", "standing"])
RECORDS = Counter("causa_alert_records_total", "Coded records folded into the counts and into single cases")
DETECTION = Histogram(
    "causa_detection_seconds", "Time of a run of detection", buckets=(0.1, 0.5, 1, 5, 10, 30, 60, 300, 900)
)
RAN = Gauge("causa_detection_timestamp_seconds", "When the last run of detection ended")
DAY = Gauge("causa_detection_day_timestamp_seconds", "Start of the day that was judged last")
SERIES = Gauge("causa_detection_series", "Series of the last run, by what was found", ["found"])
MESSAGES = Counter("causa_alert_messages_total", "Messages to sinks, by what became of them", ["sink", "end"])
UNSENT = Gauge("causa_alert_messages_unsent", "Messages that wait for a sink", ["sink"])

# What has not happened yet is told as 0, so that the first of it is a rise.
for _since in ("received", "coded"):
    CASE.labels(_since)
for _kind in Kind:
    PUBLISHED.labels(_kind.value)
    for _status in AlertStatus:
        REVISIONS.labels(_kind.value, _status.value)
