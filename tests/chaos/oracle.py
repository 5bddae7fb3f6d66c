"""What must have come out: the pure core's own answers, computed apart from any worker, against what readers saw."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic

from aiokafka import TopicPartition

from chaos.arena import INPUTS, RESULTS, Arena
from chaos.reader import Read, read_all
from stream.certificate import utc_now
from stream.coder.model import LineAnswer, LineRequest, TritonModel
from stream.coding import Origin
from stream.errors import ModelUnavailable
from stream.pipeline.core import Core, Prepared, Worded
from stream.pipeline.record import Decision, Incoming
from stream.registry import LocalRegistry
from stream.settings import REPOSITORY, Settings
from stream.triton import A, Endpoint, Q
from stream.underlying.ranking import Ranked, TritonRanker
from stream.underlying.request import RankRequest
from stream.wire import Wire

MOMENTS = ("coded_at", "created_at", "at")
BATCH = 320
ROWS = 256
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """A record of a result topic, its moments taken out: what two codings of one certificate share.

    Attributes:
        subject: topic.
        name: certificate and version, or the place of a record that could not be read.
        content: everything else, packed.
    """

    subject: str
    name: str
    content: bytes


@dataclass
class Verdict:
    """What a run has shown; it is sound when every list is empty.

    Attributes:
        records: input records, each of which must have its answers once.
        lost, duplicated, wrong, strange: answers that are missing, there twice, other than the core's, or to nothing.
        disordered: places where the answers to one key stand in another order than their certificates.
        unsteady: partitions where the reader during the run saw something else than the reader after it.
        unfinished: input records whose offset is not committed.
    """

    records: int = 0
    answers: int = 0
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    unsteady: list[str] = field(default_factory=list)
    unfinished: int = 0

    @property
    def sound(self) -> bool:
        return not any(self.faults.values())

    @property
    def faults(self) -> dict[str, int]:
        return {
            "lost": len(self.lost), "duplicated": len(self.duplicated), "wrong": len(self.wrong),
            "strange": len(self.strange), "disordered": len(self.disordered), "unsteady": len(self.unsteady),
            "unfinished": self.unfinished,
        }  # fmt: skip

    def __str__(self) -> str:
        shown = {
            name: getattr(self, name)[:SHOWN] for name, found in self.faults.items() if found and name != "unfinished"
        }
        return f"{self.records} records, {self.answers} answers, {self.faults} {shown or ''}"


def compare(expected: Sequence[Sequence[Answer]], found: Mapping[Any, Sequence[Answer]], verdict: Verdict) -> None:
    """Enter into the verdict how far the answers that were found, by partition, are those expected, by input record."""
    wanted = Counter(answer for answers in expected for answer in answers)
    seen = Counter(answer for answers in found.values() for answer in answers)
    verdict.records, verdict.answers = len(expected), seen.total()
    missing, surplus = wanted - seen, seen - wanted
    names = {(answer.subject, answer.name) for answer in wanted}
    lacking = {(answer.subject, answer.name): answer for answer in missing}
    for answer in surplus.elements():
        place = (answer.subject, answer.name)
        told = " ".join(place)
        if place not in names:
            verdict.strange.append(told)
        elif place in lacking:
            verdict.wrong.append(f"{told}: {', '.join(difference(lacking[place], answer))}")
        else:
            verdict.duplicated.append(told)
    changed = {wrong.partition(":")[0] for wrong in verdict.wrong}
    verdict.lost += [told for a in missing.elements() if (told := f"{a.subject} {a.name}") not in changed]


def difference(one: Answer, other: Answer) -> list[str]:
    """Names of the fields in which two answers differ, never what they hold."""

    def paths(value: Any, at: str) -> dict[str, Any]:
        if isinstance(value, dict):
            return {k: v for key, part in value.items() for k, v in paths(part, f"{at}.{key}".strip(".")).items()}
        return {at: value}

    left, right = (paths(json.loads(zlib.decompress(one.content)), "") for one in (one, other))
    return sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))


def disorder(inputs: Iterable[tuple[bytes | None, str]], outputs: Iterable[tuple[bytes | None, str]]) -> list[str]:
    """Keys whose answers stand in another order than what they answer.

    Args:
        inputs: key and name of each input record of a partition, in order.
        outputs: key and name of each answer in the partition of the same number.
    """
    asked: dict[bytes | None, list[str]] = defaultdict(list)
    given: dict[bytes | None, list[str]] = defaultdict(list)
    for key, name in inputs:
        asked[key].append(name)
    for key, name in outputs:
        given[key].append(name)
    return [str(key) for key, names in given.items() if names != [n for n in asked[key] if n in set(names)]]


def answer(wire: Wire, subject: str, value: bytes | None) -> Answer:
    """An answer as it is compared."""
    record = wire.decode(subject, value)
    if subject == "dead-letters":
        origin = record["origin"]
        name = f"{origin['topic']}/{origin['partition']}/{origin['offset']}"
    else:
        name = f"{record['certificate_id']} {record['version']}"
    content = json.dumps(_timeless(record), sort_keys=True, default=repr)
    return Answer(subject, name, zlib.compress(content.encode(), 1))


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(part) for key, part in value.items() if key not in MOMENTS}
    if isinstance(value, list):
        return [_timeless(part) for part in value]
    return value


class Memory(Generic[Q, A]):
    """A model whose answers are kept: samples come again and again."""

    def __init__(self, model: Endpoint, ask: Callable[[Sequence[Q]], Awaitable[Sequence[A]]]) -> None:
        self._model, self._ask = model, ask
        self.known: dict[Q, A] = {}

    @property
    def version(self) -> str:
        return self._model.version

    async def learn(self, requests: Iterable[Q]) -> None:
        """Ask for what is not known yet."""
        if not await self._model.ready():
            raise ModelUnavailable("the reference needs the served models")
        new = list(dict.fromkeys(request for request in requests if request not in self.known))
        for at in range(0, len(new), ROWS):
            some = new[at : at + ROWS]
            self.known.update(zip(some, await self._ask(some), strict=True))

    async def close(self) -> None:
        await self._model.close()


@cache
def _core() -> Core:
    """The lexicon takes seconds to load: once for all runs of a process."""
    return Core(Wire(LocalRegistry(REPOSITORY / "schemas")), Settings())


class Reference:
    """The pure core with the served models, asked directly: none of the worker's code is in the way.

    Args:
        triton: address of the served models.
        corrections: topic of coders' decisions.
    """

    def __init__(self, triton: str, corrections: str) -> None:
        settings = Settings()
        self._core, self._corrections = _core(), corrections
        coder, ranker = TritonModel(triton, settings.triton), TritonRanker(triton, settings.triton)
        self._coder: Memory[LineRequest, LineAnswer] = Memory(coder, coder.ask)
        self._ranker: Memory[RankRequest, Ranked] = Memory(ranker, ranker.ask)

    async def decide(self, incoming: Sequence[Incoming]) -> list[Decision]:
        """What must become of each record."""
        now = utc_now()
        received = [
            self._core.fold(one) if one.origin.topic == self._corrections else self._core.receive(one)
            for one in incoming
        ]
        prepared = [one if isinstance(one, Decision) else self._core.prepare(one, now) for one in received]
        await self._coder.learn(request for one in prepared if isinstance(one, Prepared) for request in one.requests)
        coder, ranker = self._coder.version, self._ranker
        worded: list[Worded | Decision] = [
            self._core.word(one, self._coder.known, coder, now) if isinstance(one, Prepared) else one
            for one in prepared
        ]
        await ranker.learn(request for one in worded if isinstance(one, Worded) for request in one.requests)
        return [
            self._core.decide(one, ranker.known, ranker.version, now) if isinstance(one, Worded) else one
            for one in worded
        ]

    async def close(self) -> None:
        await self._coder.close()
        await self._ranker.close()


async def judge(arena: Arena) -> Verdict:
    """The verdict on a run that has settled: a last reader of committed records against the core and the first reader."""
    verdict = Verdict(unfinished=await arena.behind())
    inputs = await read_all(arena.options, [part for subject in INPUTS for part in arena.parts[subject]])
    final = await read_all(arena.options, [part for subject in RESULTS for part in arena.parts[subject]])
    subjects = {name: subject for subject, name in arena.topics.items()}
    incoming = [
        Incoming(read.value, read.key, Origin(part.topic, part.partition, read.offset))
        for part, records in inputs.items() for read in records
    ]  # fmt: skip
    reference = Reference(arena.servers.triton.url, arena.topics["corrections"])
    expected: list[list[Answer]] = []
    try:
        for at in range(0, len(incoming), BATCH):
            for decision in await reference.decide(incoming[at : at + BATCH]):
                expected.append([answer(arena.wire, one.subject, one.value) for one in decision.outgoing])
            await asyncio.sleep(0)
    finally:
        await reference.close()
    found = {
        part: [answer(arena.wire, subjects[part.topic], read.value) for read in records]
        for part, records in final.items()
    }
    compare(expected, found, verdict)
    verdict.unsteady = [str(part) for part, records in final.items() if records != arena.reader.records[part]]
    for subject in ("coded", "manual"):
        _order(arena, subject, incoming, expected, final, found, verdict)
    return verdict


def _order(
    arena: Arena, subject: str, incoming: Sequence[Incoming], expected: Sequence[Sequence[Answer]],
    final: Mapping[TopicPartition, Sequence[Read]], found: Mapping[TopicPartition, Sequence[Answer]], verdict: Verdict,
) -> None:  # fmt: skip
    asked: dict[int, list[tuple[bytes | None, str]]] = defaultdict(list)
    for one, answers in zip(incoming, expected, strict=True):
        asked[one.origin.partition] += [(one.key, a.name) for a in answers if a.subject == subject]
    for part in arena.parts[subject]:
        given = [(read.key, a.name) for read, a in zip(final[part], found[part], strict=True)]
        verdict.disordered += [f"{subject} {key}" for key in disorder(asked[part.partition], given)]
