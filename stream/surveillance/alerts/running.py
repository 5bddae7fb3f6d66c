"""The service put together from settings: a database, Kafka, the sinks that are named, metrics and health beside it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence

import structlog

from stream import kafka, metrics
from stream.database import open_database
from stream.errors import InvalidSettings
from stream.reader import KafkaReader
from stream.registry import open_registry
from stream.services import Alerts
from stream.settings import Settings
from stream.surveillance.alerts import rules as ruling
from stream.surveillance.alerts.keeper import Keeper
from stream.surveillance.alerts.mail import MailSink
from stream.surveillance.alerts.publisher import KafkaTopic, Publisher
from stream.surveillance.alerts.register import Register
from stream.surveillance.alerts.rules import Rules
from stream.surveillance.alerts.service import Service
from stream.surveillance.alerts.sinks import Sink
from stream.surveillance.alerts.webhook import Webhook
from stream.surveillance.counts import Counts
from stream.wire import Wire
from stream.worker.subjects import subject_topics

log = structlog.get_logger("causa.alerts")
FILE = "surveillance.sqlite"


def rules_of(settings: Settings) -> Rules:
    """The office's rules, else the packaged ones.

    Raises:
        InvalidData: they do not pass their validation.
    """
    return ruling.load(settings.surveillance.alerts.rules)


def register_of(settings: Settings) -> Register:
    """The register of alerts in the settings' database."""
    engine = open_database(settings.surveillance.database, settings.root / FILE)
    return Register(engine, rules=rules_of(settings))


def sinks_of(settings: Settings, rules: Rules) -> list[Sink]:
    """The sinks that the settings name.

    Raises:
        InvalidSettings: an address is none, or a name stands for two.
    """
    options: Alerts = settings.surveillance.alerts
    stray = sorted(set(options.webhook_keys) - set(options.webhooks))
    twice = sorted(set(options.webhooks) & set(options.mail.to))
    if stray or twice:
        raise InvalidSettings(
            f"alerts: {stray[0]} has a key and no webhook" if stray else f"alerts: {twice[0]} is a webhook and a mail"
        )
    if options.mail.to and not options.mail.host:
        raise InvalidSettings("alerts: mail has addresses and no server", hint="CAUSA_SURVEILLANCE__ALERTS__MAIL__HOST")
    found: list[Sink] = [
        Webhook(
            name, url, options.webhook_keys.get(name), timeout_s=options.webhook_timeout_s,
            ca_file=options.webhook_ca_file,
        )
        for name, url in options.webhooks.items()
    ]  # fmt: skip
    public = settings.surveillance.pages.public_url.rstrip("/")
    link = f"{public}/alerts/{{id}}" if public else ""
    found += [MailSink(name, options.mail, rules.hearing(name), rules, link) for name in options.mail.to]
    return found


def service_of(settings: Settings, bootstrap: str) -> Service:
    """The service on the settings' servers.

    Raises:
        InvalidSettings, InvalidData: what a person must set right.
    """
    rules = rules_of(settings)
    engine = open_database(settings.surveillance.database, settings.root / FILE)
    counts = Counts(engine, rules.groups)
    topics = subject_topics(settings)
    wire, options = Wire(open_registry(settings.registry, topics)), kafka.client_options(settings, bootstrap)
    wire.warm(("coded", "alerts"))
    # The same for all processes of an office: whoever begins last is the one that writes.
    name = f"{settings.worker.group}-surveillance-alerts"
    publisher = Publisher(
        engine, KafkaTopic(wire, topics["alerts"], name, options), lambda: KafkaReader(settings, bootstrap)
    )
    return Service(
        engine, Keeper(engine, counts, rules), publisher, lambda: KafkaReader(settings, bootstrap),
        sinks_of(settings, rules), every_s=settings.surveillance.alerts.every_s,
    )  # fmt: skip


async def run(settings: Settings, bootstrap: str) -> int:
    """Work until SIGTERM or SIGINT; the exit status: 0, or 1 where something had to be cut off.

    Raises:
        InvalidSettings, InvalidData: what a person must set right.
    """
    service = service_of(settings, bootstrap)
    options = settings.surveillance.alerts
    try:
        metrics.serve(options.metrics_port, service.health.pages())
    except InvalidSettings:
        raise InvalidSettings(
            f"port {options.metrics_port} is in use or out of range", hint="CAUSA_SURVEILLANCE__ALERTS__METRICS_PORT"
        ) from None
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    log.info("alerts starting")
    work, stop = asyncio.create_task(service.run()), asyncio.create_task(stopping.wait())
    await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        stop.cancel()
        work.result()
        return 1
    work.cancel()
    late = await _within([work], options.stop_s)
    log.info("alerts stopped", state="cut off" if late else "all done")
    return 1 if late else 0


async def _within(tasks: Sequence[asyncio.Task[None]], seconds: float) -> bool:
    """Whether some were not done in time."""
    done, late = await asyncio.wait(tasks, timeout=seconds)
    for task in done:
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.warning("a part did not end cleanly", exc_info=fault)
    return bool(late)
