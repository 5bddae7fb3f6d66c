"""An office for tests: a desk on a clock of its own, and the records that a worker would have written for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine

from stream.certificate import Age, Certificate, Line, Manner, Place, Sex, Source
from stream.coding import (
    CodedCertificate,
    CodedLine,
    CodedStatus,
    Correction,
    Entity,
    ManualTask,
    Method,
    Modality,
    Origin,
    Reason,
    Route,
    Targeting,
    TaskState,
    Underlying,
    Versions,
    coded_record,
    correction_record,
    task_record,
)
from stream.database import open_database, writing
from stream.desk.desk import Desk
from stream.desk.drafts import Draft, DraftCode, DraftLine
from stream.desk.texts import Opener
from stream.desk.values import Coder, Filters, Page
from stream.reader import Read
from stream.registry import open_registry
from stream.services import Database
from stream.services import Desk as DeskSettings
from stream.settings import Registry, Settings
from stream.wire import Wire
from stream.worker.subjects import subject_topics

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ANNE, BRUNO, CHLOE = Coder("anne"), Coder("bruno"), Coder("chloe")
SENIOR, DORIS = Coder("senior", senior=True), Coder("doris", senior=True)
ALL = Filters()
EVERY = Page(size=500)
_SETTINGS = Settings()
WIRE = Wire(open_registry(Registry(), subject_topics(_SETTINGS)))
TEXTS = {"I21.9": "infarctus du myocarde", "C25.9": "cancer du pancréas", "J18.9": "pneumopathie", "I10": "HTA"}


class Clock:
    """A clock that moves when told to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        """Let time go by."""
        self.now += timedelta(seconds=seconds)


def certificate(name: str, codes: Sequence[str] = ("I21.9",), version: int = 1, **changes: object) -> Certificate:
    """A certificate with a line for each code."""
    lines = tuple(Line(TEXTS[code]) for code in codes)
    made = Certificate(
        name, lines, version=version, death_date=date(2026, 3, 1), sex=Sex.F, age=Age(78), source=Source.ELECTRONIC,
        place=Place(None, "33"), manner=Manner.NATURAL, received_at=NOON,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def machine(
    of: Certificate, codes: Sequence[str] = ("I21.9",), *, audit: bool = False, route: Route = Route.MANUAL,
    status: CodedStatus | None = None, revision: int = 0, at: datetime = NOON, flags: tuple[str, ...] = (),
    stratum: str = "rest", confidence: float = 0.6,
) -> CodedCertificate:  # fmt: skip
    """The machine's record of a certificate: a code for each line, the first one underlying."""
    texts = [line.text if isinstance(line.text, str) else "x" * 20 for line in of.part1]
    lines = tuple(
        CodedLine((Entity(code, 0, len(text), confidence, Method.RULES, "lexicon"),))
        for code, text in zip(codes, texts, strict=True)
    )
    reasons = (Reason.LOW_CONFIDENCE,) if route is Route.MANUAL else ()
    wanted = CodedStatus.PROVISIONAL if route is Route.MANUAL else CodedStatus.FINAL
    return CodedCertificate(
        of.certificate_id, of.version, of.content_hash, status or wanted, Modality.RULES,
        Underlying(codes[0] if codes else None, confidence, Method.RULES, (), ("as the machine has it",)),
        Targeting(route, reasons, audit, 0.02, "policy", stratum), Versions(software="1"), at, revision,
        death_date=of.death_date, sex=of.sex, age=of.age, place=of.place, source=of.source, manner=of.manner,
        part1=lines, flags=flags, received_at=of.received_at,
    )  # fmt: skip


def task(of: Certificate, coded: CodedCertificate, *, priority: float = 0.5, at: datetime = NOON) -> ManualTask:
    """The task that the worker writes beside the record; for an audit without a proposal."""
    blind = coded.targeting.audit
    reasons = () if blind else coded.targeting.reasons
    return ManualTask(
        of.certificate_id, of.version, coded.revision, TaskState.OPEN, reasons, priority, blind, of,
        None if blind else coded, at,
    )  # fmt: skip


def none(name: str, version: int, at: datetime = NOON) -> ManualTask:
    """The task that takes work away."""
    return ManualTask(name, version, 0, TaskState.NONE, created_at=at)


def reads(values: Iterable[ManualTask | CodedCertificate | Correction], start: int = 0) -> list[Read]:
    """Values as a reader gives them: through Avro and back."""
    found = []
    for offset, value in enumerate(values, start):
        if isinstance(value, ManualTask):
            subject, record = "manual", task_record(value)
        elif isinstance(value, CodedCertificate):
            subject, record = "coded", coded_record(value)
        else:
            subject, record = "corrections", correction_record(value)
        found.append(Read(subject, WIRE.decode(subject, WIRE.encode(subject, record)), Origin(subject, 0, offset)))
    return found


class Office:
    """A desk and what its topics hold.

    Attributes:
        desk: the desk.
        clock: its clock.
        topics: all that was written, in its order.
    """

    def __init__(
        self, engine: Engine, home: Path, *, clock: Callable[[], datetime] | None = None, opener: Opener | None = None,
        settings: Settings | None = None, **desk: object,
    ) -> None:  # fmt: skip
        given = {"second_share": 0.0, "key": SecretStr("key of the tests"), **desk}
        settings = settings or Settings(home=home)
        self.settings = settings.model_copy(update={"desk": DeskSettings(**given)})
        self.clock = clock if isinstance(clock, Clock) else Clock()
        self.desk = Desk(engine, self.settings, opener=opener, clock=clock or self.clock)
        self.topics: list[ManualTask | CodedCertificate | Correction] = []

    def put(self, *values: ManualTask | CodedCertificate | Correction) -> None:
        """Write to the topics, and let the desk read it."""
        self.topics += values
        with writing(self.desk.engine) as connection:
            self.desk.fold(connection, reads(values))

    def open(self, name: str, codes: Sequence[str] = ("I21.9",), **options: object) -> Certificate:
        """A certificate with its task, as the worker writes them."""
        version = options.pop("version", 1)
        priority = options.pop("priority", 0.5)
        proposed = options.pop("machine_codes", codes)
        made = certificate(name, codes, version)  # type: ignore[arg-type]
        coded = machine(made, proposed, at=self.clock.now, **options)  # type: ignore[arg-type]
        self.put(coded, task(made, coded, priority=priority, at=self.clock.now))  # type: ignore[arg-type]
        return made

    def ids(self, who: Coder, filters: Filters = ALL) -> list[str]:
        """The queue as somebody sees it."""
        return [row.certificate_id for row in self.desk.queue(who, filters, EVERY).rows]


def draft(*codes: str, reason: str = "", underlying: str = "", **more: object) -> Draft:
    """A draft with a code on each line."""
    lines = tuple(DraftLine((DraftCode(code),)) for code in codes)
    confirmed = ("UNSUITABLE_ALONE", "UNSUITABLE_BETTER", "NONSPECIFIC_CAUSE", "UNLIKELY_CAUSE")
    return Draft(lines, (), underlying or codes[0], reason, confirmed, **more)  # type: ignore[arg-type]


def memory() -> Engine:
    """A database that ends with the test."""
    return open_database(Database(url="sqlite:///:memory:"), Path("unused"))
