"""``python -m bench.replay N``: the same versions give identical results, whatever batches, caches and deaths lie between.

N certificates are published and coded by `causa worker`, as live ones are. Replays of all of them follow, each in batches of
another size, with another cache, some killed (SIGKILL) at named points of their transactions and gone on with. Each of
their results is held against what the worker recorded, and against the other replays', in all fields but `coded_at`,
`origin` and `revision`; `causa replay run --check-identity` says the same by itself, and its exit status is asked too.
The table is printed and written to bench/results/replay.json; the exit status is 1 where anything differs.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import inputs, machine, report
from bench.shells import worker
from bench.stage import Stage, staged
from stream.certificate import utc_now
from stream.embedded.servers import Embedded, Endpoints
from stream.errors import CausaError, EmbeddedServerError
from stream.replay.kafka_broker import KafkaBroker
from stream.replay.outcome import digest
from stream.replay.recorded import Key, coded_records
from stream.replay.run import Run
from stream.settings import REPOSITORY, Settings, load

POINTS = ("before-offsets", "after-commit", "mid-produce", "after-offsets")
"""Where replays are killed: amid results, before and behind the offsets, behind a commit."""
WIDE = 150
KILLED = -signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Way:
    """A way to replay.

    Attributes:
        name: of the run.
        batch, in_flight: certificates in a batch, and batches at once.
        cache: lines remembered; None as the settings say.
        kills: processes that are killed on the way.
    """

    name: str
    batch: int
    in_flight: int
    cache: int | None
    kills: int


WAYS = (Way("usual", 64, 2, None, 0), Way("small", 17, 3, 0, 6), Way("large", 250, 1, 500, 2))


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a replay.

    Attributes:
        way: how it was done.
        results: records of its topic.
        twice: certificate versions with more than one.
        identical: with the worker's record.
        other: that differ from it, or that it lacks.
        alike: whether all are the first replay's too.
        status: of the last process, with `--check-identity`.
        seconds: of all processes, their starts included.
    """

    way: Way
    results: int
    twice: int
    identical: int
    other: int
    alike: bool
    status: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether all is as it should be."""
        return self.alike and not (self.twice or self.other or self.status)


async def digests(broker: KafkaBroker, stage: Stage, topic: str) -> tuple[dict[Key, bytes], int]:
    """Digest of each result of a topic, and how many certificate versions have more than one."""
    found: dict[Key, bytes] = {}
    twice = 0
    async for _, coded in coded_records(broker, stage.wire, topic, await broker.bounds(topic)):
        key = coded.certificate_id, coded.version
        twice += key in found
        found[key] = digest(coded)
    return found, twice


def variables(stage: Stage, way: Way) -> dict[str, str]:
    """Environment of a replay's process, but for where it dies."""
    topics = stage.settings.kafka.topics.model_dump()
    return {
        **os.environ, **{f"CAUSA_KAFKA__TOPICS__{k.upper()}": v for k, v in topics.items()},
        "CAUSA_KAFKA__BOOTSTRAP": stage.endpoints.bootstrap, "CAUSA_TRITON__URL": stage.endpoints.triton,
        "CAUSA_HOME": str(stage.settings.root), "CAUSA_WORKER__GROUP": stage.group, "CAUSA_REPLAY__NICE": "0",
        "CAUSA_REPLAY__BATCH_MAX": str(way.batch), "CAUSA_REPLAY__IN_FLIGHT": str(way.in_flight),
    }  # fmt: skip


def play(stage: Stage, way: Way, number: int, console: Console) -> tuple[int, float]:
    """Replay all, process after process; exit status of the last one, and the seconds of all. What differs is told.

    Raises:
        EmbeddedServerError: a process that was to die did not.
    """
    command = [sys.executable, "-m", "stream.cli.main", "replay", "run", way.name, "--execute", "--check-identity"]
    command += [] if way.cache is None else ["--cache", str(way.cache)]
    each = max(1, number // way.batch // (way.kills + 2))
    began = time.monotonic()
    for turn in range(way.kills):
        point = f"{POINTS[turn % len(POINTS)]}:kill:{each}"
        died = _run(command, {**variables(stage, way), "CAUSA_FAILPOINT": point})
        if died.returncode != KILLED:
            raise EmbeddedServerError(f"{way.name} did not die at {point}", hint=died.stderr[-300:].strip())
    done = _run(command, variables(stage, way))
    if done.returncode:
        told = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if "differ" in line or "fault" in line]
        console.print("\n".join(told) or done.stderr[-300:], highlight=False)
    return done.returncode, time.monotonic() - began


def _run(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, cwd=REPOSITORY, text=True, capture_output=True, check=False)


async def run(
    settings: Settings, endpoints: Endpoints, console: Console, number: int, ways: Sequence[Way] = WAYS
) -> list[Played]:
    """Code live, replay in each way, compare."""
    async with staged(settings, endpoints, {}, "replay") as stage:
        console.print(f"coding {number:,} certificates live")
        await stage.backlog(inputs.repeating(number))
        stage.start(worker())
        await stage.until(number)
        await asyncio.gather(*(asyncio.to_thread(one.stop) for one in stage.running))
        broker = KafkaBroker(stage.settings, endpoints.bootstrap)
        recorded, _ = await digests(broker, stage, stage.settings.kafka.topics.coded)
        found: list[Played] = []
        first: dict[Key, bytes] = {}
        for way in ways:
            topics = Run(way.name, stage.group)
            console.print(f"replaying: {way.name}")
            try:
                status, seconds = await asyncio.to_thread(play, stage, way, number, console)
                results, twice = await digests(broker, stage, topics.results)
            finally:
                present = await broker.topics()
                await broker.delete([one for one in topics.topics if one in present])
            first = first or results
            same = sum(recorded.get(key) == value for key, value in results.items())
            missing = len(recorded.keys() - results.keys())
            found.append(
                Played(way, len(results) + twice, twice, same, len(results) - same + missing, results == first, status, seconds)
            )  # fmt: skip
        return found


def table(found: Sequence[Played], number: int) -> Table:
    """For the console."""
    made = Table(title=f"{number:,} certificates coded live, then replayed", title_justify="left")
    for name in (
        "run",
        "batch",
        "in flight",
        "cache",
        "SIGKILLs",
        "results",
        "twice",
        "identical",
        "other",
        "alike",
        "s",
        "/s",
    ):
        made.add_column(name, justify="left" if name == "run" else "right")
    for one in found:
        way = one.way
        made.add_row(
            way.name, str(way.batch), str(way.in_flight), "as set" if way.cache is None else f"{way.cache:,}", str(way.kills),
            f"{one.results:,}", f"{one.twice:,}", f"{one.identical:,}", f"{one.other:,}", "yes" if one.alike else "no",
            f"{one.seconds:,.0f}", f"{one.results / one.seconds:,.0f}",
        )  # fmt: skip
    return made


def record(found: Sequence[Played], number: int) -> dict[str, Any]:
    """Content of the results' file."""
    return {"certificates": number, "runs": [{**asdict(one), "holds": one.holds} for one in found]}


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.replay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("certificates", type=int, nargs="?", default=1_000, metavar="N", help="1,000 unless told")
    number = max(1, parser.parse_args(arguments).certificates)
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    described, settings = machine.describe(), load()
    embedded = Embedded(settings)
    try:
        with console.status("starting Kafka and Triton"):
            embedded.up()
        try:
            found = asyncio.run(run(settings, embedded.endpoints(), console, number))
        finally:
            embedded.release()
    except CausaError as error:
        console.print(f"[red]{error}[/red]" + (f" ({error.hint})" if error.hint else ""))
        return 1
    except KeyboardInterrupt:
        return 130
    console.print(table(found, number))
    path = report.RESULTS / "replay.json"
    report.write(path, {"at": utc_now().isoformat(), "machine": described, **record(found, number)})
    console.print(f"written to {path}")
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
