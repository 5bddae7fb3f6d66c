"""A coding office for the console's tests: certificates coded by the core, a desk on SQLite, its pages on a real port."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.core import WIRE, run, trusting
from sqlalchemy import Engine
from starlette.applications import Starlette

from stream.certificate import certificate_record, read_certificate
from stream.coding import CodedCertificate, Origin, coded_record
from stream.database import open_database, writing
from stream.desk.console import search
from stream.desk.console.live import Live
from stream.desk.console.site import site
from stream.desk.desk import Desk
from stream.pipeline.core import Core
from stream.reader import Read
from stream.services import Database, Pages, Web
from stream.settings import REPOSITORY, Settings
from stream.underlying.ranking import RankModel
from stream.web.application import create_app
from stream.web.serving import serve

SAMPLES = [
    json.loads(row) for row in (REPOSITORY / "samples/certificates.jsonl").read_text(encoding="utf-8").splitlines()
]
PANCREAS = {
    "certificate_id": "P1", "sex": "M", "age": {"value": 78}, "death_date": "2026-01-15",
    "place": {"kind": "HOSPITAL", "department": "33"}, "manner": "NATURAL",
    "part1": [{"text": "détresse respiratoire aiguë", "interval": "3 jours"}, "carcinose péritonéale zxqv", "adénocarcinome du pancréas"],
    "part2": ["HTA, tabagisme"],
}  # fmt: skip


def sample(number: int) -> dict[str, Any]:
    """A certificate of the samples, without its gold codes."""
    return {name: value for name, value in SAMPLES[number].items() if name != "gold"}


@dataclass
class Office:
    """A desk with its topics in memory.

    Attributes:
        desk, engine: under test.
        app: its pages.
    """

    desk: Desk
    engine: Engine
    app: Starlette
    settings: Settings
    core: Core
    _offsets: dict[str, int] = field(default_factory=lambda: {"coded": 0, "manual": 0})

    def came(self, *certificates: Mapping[str, Any], model: Any = None) -> list[CodedCertificate]:
        """Certificates through the core into the desk, as the topics bring them."""
        found, reads = [], []
        for mapping in certificates:
            value = WIRE.encode("certificates", certificate_record(read_certificate(mapping)))
            # In a thread of its own: the test may run on an event loop, and the core's twins begin one.
            with ThreadPoolExecutor(1) as pool:
                decision = pool.submit(run, value, self.core, model).result()
            assert decision.coded is not None, decision.letter
            found.append(decision.coded)
            for record in decision.outgoing:
                offset = self._offsets[record.subject]
                self._offsets[record.subject] += 1
                place = Origin(record.subject, 0, offset)
                reads.append(Read(record.subject, WIRE.decode(record.subject, record.value), place))
        with writing(self.engine) as connection:
            self.desk.fold(connection, reads)
        return found

    def recoded(self, coded: CodedCertificate, cause: str) -> CodedCertificate:
        """The machine's next revision of a record, as a recode publishes it."""
        lines = (
            *coded.part1[:-1],
            replace(coded.part1[-1], entities=(replace(coded.part1[-1].entities[0], code=cause),)),
        )
        made = replace(
            coded, revision=coded.revision + 1, underlying=replace(coded.underlying, code=cause), part1=lines
        )
        offset = self._offsets["coded"]
        self._offsets["coded"] += 1
        value = WIRE.decode("coded", WIRE.encode("coded", coded_record(made)))
        with writing(self.engine) as connection:
            self.desk.fold(connection, [Read("coded", value, Origin("coded", 0, offset))])
        return made


@cache
def seen() -> Core:
    """A core whose audit draws nothing: coders see every proposal."""
    return trusting(Core(WIRE, Settings()), audit_rate=0.0)


@cache
def unseen() -> Core:
    """A core whose audit draws everything."""
    return trusting(Core(WIRE, Settings()), audit_rate=1.0)


def settings_of(folder: Path, **desk: Any) -> Settings:
    """Settings of an office in a folder: short leases and beats, no second opinions by lot."""
    return Settings(home=folder, desk={"second_share": 0.0, "lease_s": 60.0, "beat_s": 1.0, **desk})


def office(folder: Path, *, ranker: RankModel | None = None, core: Core | None = None, **desk: Any) -> Office:
    """A new office."""
    settings = settings_of(folder, **desk)
    engine = open_database(Database(), folder / "desk.sqlite")
    made = Desk(engine, settings)
    app = create_app(site(made, search.load(), Live(ranker)), Web(), Pages(), engine)
    return Office(made, engine, app, settings, core or seen())


@contextmanager
def served(app: Starlette, background: Sequence[Callable[[], Any]] = ()) -> Iterator[str]:
    """The pages on a port of the loopback, by the real server, in a thread."""
    told: list[str] = []
    ready = threading.Event()
    stops: list[Callable[[], Any]] = []

    async def work() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        stops.append(lambda: loop.call_soon_threadsafe(task.cancel))

        def listens(url: str) -> None:
            told.append(url)
            ready.set()

        with suppress(asyncio.CancelledError):
            await serve(app, Web(), Pages(port=0), background=background, told=listens)

    thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
    thread.start()
    assert ready.wait(30), "the server did not start"
    try:
        yield told[0]
    finally:
        stops[0]()
        thread.join(20)
        assert not thread.is_alive()
