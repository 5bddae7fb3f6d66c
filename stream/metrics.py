"""Metrics of the process, in Prometheus form. Labels are closed sets: no id, no text."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import choose_encoder

from stream import pages
from stream.errors import InputError, InvalidSettings
from stream.pages import Answer, Page

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_UP_TO_DAYS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 6 * 3_600, 86_400, 7 * 86_400)

CODED = Counter("causa_coded_total", "Certificates coded and acknowledged by the broker", ["route", "modality"])
DEAD = Counter("causa_dead_letters_total", "Dead letters written", ["error"])
REASONS = Counter("causa_manual_reasons_total", "Reasons for the manual route; several may hold", ["reason"])
BATCH = Histogram("causa_batch_certificates", "Certificates in a micro-batch", buckets=(1, 4, 16, 32, 64, 128, 256))
LATENCY = Histogram("causa_stage_seconds", "Time of a micro-batch in a stage", ["stage"], buckets=_SECONDS)
RECEIPT = Histogram(
    "causa_receipt_seconds", "From a certificate's receipt to its committed result", ["route"], buckets=_UP_TO_DAYS
)
AHEAD = Counter("causa_received_ahead_total", "Certificates received, by their own account, after they were coded")
IN_FLIGHT = Gauge("causa_batches_in_flight", "Micro-batches under way")
MODEL_ERRORS = Counter("causa_model_errors_total", "Failed requests to a model", ["model", "error"])
ANSWERS = Counter(
    "causa_answers_total", "Answers to lines and to certificates, by where they came from", ["model", "origin"]
)
TRANSACTIONS = Counter("causa_transactions_total", "Transactions of input partitions, by how they ended", ["end"])
TRANSACTION = Histogram("causa_transaction_seconds", "Time of a transaction that was committed", buckets=_SECONDS)
TRANSACTED = Histogram(
    "causa_transaction_certificates", "Certificates in a transaction", buckets=(1, 4, 16, 64, 128, 256, 512)
)
REPEATED = Counter("causa_repeated_total", "Records read again after their results were committed; not written twice")
BREAKER = Gauge("causa_breaker_open", "1 while a model's circuit breaker holds the stream", ["model"])
LAG = Gauge(
    "causa_lag_records", "Records of an input partition whose results are not committed", ["topic", "partition"]
)
ASSIGNED = Gauge("causa_partition_assigned", "1 while this process holds a partition", ["topic", "partition"])
ASKED = Gauge("causa_lag_asked_timestamp_seconds", "When the broker last told how far the group is behind")
READY = Gauge("causa_ready", "1 where a condition of being ready holds", ["check"])
LATE = Histogram(
    "causa_loop_late_seconds", "How late a turn of the event loop comes", buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30)
)
VERSIONS = Info("causa_versions", "Versions of all that could change an answer")
AUTOMATION = Gauge("causa_automation", "How far the machine is trusted: 0 normal, 1 strict, 2 halted", ["stratum"])
EVIDENCE = Gauge(
    "causa_promise_evidence", "Evidence that a promise is broken; the alarm is at 1 / (1 - confidence)", ["stratum"]
)
DRIFT = Gauge("causa_drift_mean", "Recent mean of what is watched for drift", ["source", "measure"])
ALARMS = Counter("causa_alarms_total", "Alarms and warnings while the watch runs", ["alarm", "action"])

# Services that keep topics in a database (`stream.intake`).
TAKEN = Counter("causa_intake_records_total", "Records of topics taken into a service's database", ["service"])
BEHIND = Gauge("causa_intake_lag_records", "Records of topics that a service's database has not taken", ["service"])

# What `causa quality --watch` measures; `bound` is value, low or high.
AGREEMENT = Gauge(
    "causa_audit_agreement", "Share of certificates on which machine and people agree", ["level", "part", "bound"]
)
PROMISE = Gauge("causa_promised_error", "Share wrong that is promised at most", ["stratum"])
AUTOMATIC_ERROR = Gauge("causa_automatic_error", "Share wrong that the audit tells", ["stratum", "bound"])
VERDICT = Gauge("causa_promise_verdict", "1 kept, 0 not yet proven, -1 broken", ["stratum"])
DEATHS = Gauge("causa_deaths", "Deaths by category of the European shortlist", ["category", "figure"])
CERTIFICATES = Gauge("causa_certificates", "Certificates by who gave the official cause", ["modality"])
DELAY = Gauge("causa_delay_seconds", "From receipt to the first, or to the official cause", ["until", "quantile"])
OPEN_TASKS = Gauge("causa_open_tasks", "Certificates that wait for a person", ["kind"])
OLDEST_TASK = Gauge("causa_oldest_task_seconds", "How long the oldest of them has waited")
AWAITED_AUDITS = Gauge("causa_awaited_audits", "Certificates drawn by the audit that nobody has decided")


# A rate needs a first value: what has not happened yet is told as 0.
for _end in ("committed", "begun again", "refused"):
    TRANSACTIONS.labels(_end)
for _kind in InputError.__subclasses__():
    DEAD.labels(_kind.code)


def serve(port: int, others: Mapping[str, Page] | None = None) -> None:
    """Serve `/metrics`, and other pages beside it, on a port; nothing when it is 0.

    Raises:
        InvalidSettings: somebody else listens there, or it is no port.
    """
    if not port:
        return
    try:
        pages.serve(port, {"/": _page, "/metrics": _page, **(others or {})})
    except (OSError, OverflowError) as error:
        raise InvalidSettings(
            f"worker.metrics_port {port} is in use or out of range",
            hint="set CAUSA_WORKER__METRICS_PORT to a free port for each worker of this machine; 0 is off",
        ) from error


def _page(accepted: str) -> Answer:
    encode, kind = choose_encoder(accepted)
    return Answer(200, kind, encode(REGISTRY))
