"""`causa publish`: certificates from a file or standard input to Kafka."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from typing import Annotated

import typer
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from stream.errors import BrokerUnavailable, InvalidSettings
from stream.kafka import client_options, compression, refusal, stopped
from stream.offline.files import STANDARD, Format, Row, read, size
from stream.publishing import SUBJECT, Report, publish, repeated
from stream.registry import open_registry
from stream.settings import Settings, load
from stream.wire import Wire

INTERRUPTED = 130
_STOP_S, _GIVE_UP_S = 10.0, 1.0


def command(
    file: Annotated[str, typer.Argument(help="JSONL or CSV file of certificates; - is standard input.")],
    *,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Certificates a second; as fast as can be.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Send no more than so many.")] = None,
    loop: Annotated[int, typer.Option(min=1, help="Send the file so many times, ids ending in ~2, ~3, …")] = 1,
    form: Annotated[Format, typer.Option("--format", help="What the file holds; auto asks its name.")] = "auto",
    topic: Annotated[str, typer.Option(help="Topic, where it is not that of the settings.")] = "",
) -> None:
    """Publish certificates to Kafka, each acknowledged by the broker.

    Examples: `causa publish deaths.csv`, `causa publish deaths.jsonl --rate 50`, `zcat old.jsonl.gz | causa publish -`

    Exit status: 0 all sent; 1 some rows could not be read (the others are sent); 130 stopped by Ctrl-C;
    3 the broker does not answer, not within 10 s after Ctrl-C either.
    """
    if loop > 1 and file == STANDARD:
        raise InvalidSettings("standard input cannot be read twice", hint="--loop wants a file")
    settings = load()
    console = Console(stderr=True)
    report = asyncio.run(
        _publish(settings, file, form=form, rate=rate, limit=limit, loop=loop, topic=topic, console=console)
    )
    status = tell(report, console)
    if status:
        raise typer.Exit(status)


def tell(report: Report, console: Console) -> int:
    """Prints how a publication went; its exit status."""
    rate = report.sent / report.seconds if report.seconds else 0.0
    console.print(
        f"{report.sent:,} certificates published in {report.seconds:.1f} s ({rate:,.0f}/s)",
        highlight=False,
        soft_wrap=True,
    )
    for number, error in report.first_bad:
        hint = f" ({error.hint})" if error.hint else ""
        told = f"  line {number}: {error.code} {error}{hint}"
        console.print(told, style="yellow", highlight=False, markup=False, soft_wrap=True)
    if report.bad:
        more = report.bad - len(report.first_bad)
        told = f"{report.bad:,} bad rows not published" + (f", {more:,} not shown" if more else "")
        console.print(told, style="red", soft_wrap=True)
    if report.stopped:
        console.print("stopped; what was sent is acknowledged", soft_wrap=True)
        return INTERRUPTED
    return 1 if report.bad else 0


async def _publish(
    settings: Settings,
    file: str,
    *,
    form: Format,
    rate: float | None,
    limit: int | None,
    loop: int,
    topic: str,
    console: Console,
) -> Report:
    names = settings.kafka.topics
    wire = Wire(open_registry(settings.registry, {SUBJECT: names.certificates}))
    wire.warm((SUBJECT,))

    def rows() -> Iterator[Row]:
        return read(file, form=form, limits=settings.limits)

    source = repeated(rows, loop) if loop > 1 else rows()
    report, stop = Report(), asyncio.Event()
    producer = await _producer(settings)
    running = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(number, _ask, stop, console)
    patience = _STOP_S
    try:
        with _Bar(report, console, limit, size(file), loop) as bar:
            shown = asyncio.create_task(bar.follow())
            try:
                await publish(
                    source,
                    producer,
                    wire,
                    topic or names.certificates,
                    rate=rate,
                    limit=limit,
                    stop=stop,
                    report=report,
                )
            except (BrokerUnavailable, asyncio.CancelledError):
                patience = _GIVE_UP_S  # the broker has been waited for, or a second Ctrl-C says not to
                raise
            finally:
                shown.cancel()
                bar.update()
    finally:
        await stopped(producer, patience)
        for number in (signal.SIGINT, signal.SIGTERM):
            running.remove_signal_handler(number)
    return report


def _ask(stop: asyncio.Event, console: Console) -> None:
    """First signal: end in order. The second has its usual force."""
    console.print("stopping; Ctrl-C again to give up", soft_wrap=True)
    stop.set()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)


async def _producer(settings: Settings) -> AIOKafkaProducer:
    bootstrap = settings.kafka.bootstrap
    if not bootstrap:
        from stream.embedded.servers import Embedded

        bootstrap = Embedded(settings).bootstrap()
    producer = AIOKafkaProducer(
        **client_options(settings, bootstrap), acks="all", enable_idempotence=True, compression_type=compression(),
        linger_ms=5, max_batch_size=1 << 17,
    )  # fmt: skip
    try:
        await producer.start()
    except KafkaError as error:
        await producer.stop()
        if isinstance(refused := await refusal(client_options(settings, bootstrap), error), InvalidSettings):
            raise refused from None
        raise BrokerUnavailable(
            f"Kafka does not answer at {bootstrap}: {type(error).__name__}",
            hint="causa status; for another broker set CAUSA_KAFKA__BOOTSTRAP",
        ) from error
    return producer


class _Bar:
    """Progress: by certificates where a limit is set, by bytes where the file's size is known, else a mere count."""

    def __init__(self, report: Report, console: Console, limit: int | None, length: int | None, loop: int) -> None:
        self._report, self._by_count = report, limit is not None
        total = limit if limit is not None else length * loop if length else None
        columns = [TextColumn("{task.fields[told]}")]
        if total:
            self._progress = Progress(
                *columns, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=console, transient=True
            )
        else:
            self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task("", total=total, told="")

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self) -> None:
        """Show where the report is now."""
        sent, seconds = self._report.sent, self._report.seconds
        told = f"{sent:,} published · {sent / seconds if seconds else 0:,.0f}/s"
        if self._report.bad:
            told += f" · {self._report.bad:,} bad"
        self._progress.update(self._task, completed=sent if self._by_count else self._report.read, told=told)

    async def follow(self) -> None:
        """Update until cancelled."""
        while True:
            self.update()
            await asyncio.sleep(0.2)
