"""A replay from beginning to end: connect, plan, play, count. The command says what, and shows what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from time import monotonic

from stream import kafka
from stream.automation import KafkaChanges, fold
from stream.certificate import utc_now
from stream.coding import Automation
from stream.errors import InvalidSettings
from stream.registry import open_registry
from stream.replay import other
from stream.replay.broker import Broker
from stream.replay.feed import CertificateFeed, Choices, Chosen, Feed, LetterFeed, choices
from stream.replay.looking import Looking
from stream.replay.manifest import Act, Manifest, last
from stream.replay.plan import SAMPLE, Plan, Range, bounds_of, counted
from stream.replay.player import Player
from stream.replay.reconciling import Reconciled, reconcile
from stream.replay.recorded import Bounds
from stream.replay.run import Run
from stream.replay.selection import SOURCES, Selection
from stream.replay.versions import Speaking, Trusting
from stream.replay.voice import TritonVoice, Voice
from stream.sealing import Keyring
from stream.sealing.vault import Vault, open_store, open_vault
from stream.settings import Settings
from stream.targeting import policy
from stream.wire import Wire
from stream.worker.subjects import subject_topics

Tell = Callable[[str], None]
MOST_SAMPLED = 5_000
"""Records that are looked through for a sample."""


@dataclass
class Desk:
    """What a shell works with.

    Attributes:
        settings: with the shell's own login.
        broker: Kafka, or its twin.
        wire: codec.
        topics: name of each subject's topic.
        vault: certificates' own keys; None where there are none.
    """

    settings: Settings
    broker: Broker
    wire: Wire
    topics: Mapping[str, str]
    vault: Vault | None = None

    @property
    def plain(self) -> Keyring:
        """The keys of the settings."""
        return Keyring(self.settings.sealing)


def desk_of(settings: Settings, broker: Broker, *, looking: bool = False) -> Desk:
    """What the settings give.

    Args:
        settings: with the shell's own login.
        broker: Kafka.
        looking: only to look: no key is made in the key store.

    Raises:
        InvalidSettings, InvalidData: they cannot.
    """
    topics = subject_topics(settings)
    vault = open_vault(settings)
    if vault is not None and looking:
        vault = Vault(settings.sealing, Looking(open_store(settings)))
    return Desk(settings, broker, Wire(open_registry(settings.registry, topics)), topics, vault)


async def trust_now(settings: Settings, bootstrap: str, wire: Wire) -> dict[str, Automation]:
    """How far the machine is trusted now, by stratum.

    Raises:
        BrokerUnavailable: Kafka does not answer.
    """
    strata = [s.name for s in policy.load(settings.policy, settings.thresholds).rules.strata]
    changes = KafkaChanges(wire, subject_topics(settings)["automation"], kafka.client_options(settings, bootstrap))
    try:
        return fold(await changes.read()).over(strata)
    finally:
        await changes.close()


@asynccontextmanager
async def voiced(
    desk: Desk, speaking: Speaking, url: str, now: Mapping[str, Automation] | None = None, tell: Tell = lambda _: None
) -> AsyncIterator[Voice]:
    """The voice of some versions, closed at the end.

    Args:
        desk: settings, codec, keys.
        speaking: which versions.
        url: Triton's address.
        now: how far the machine is trusted at large.
        tell: told what is waited for.
    """
    settings = speaking.settings(desk.settings)
    voice: Voice
    if speaking.python:
        voice = other.OtherRelease(speaking.python, settings, desk.wire, url, desk.vault)
    else:
        voice = TritonVoice(settings, desk.wire, url, now, desk.vault)
    try:
        if isinstance(voice, TritonVoice):
            await voice.ready(tell)
        yield voice
    finally:
        await voice.close()


async def feed_of(desk: Desk, plan: Plan) -> Feed:
    """What a plan reads; the same whenever it is asked, since everything it looks at is bounded."""
    if plan.source == "dead-letters":
        return LetterFeed(desk.wire, plan.selection, desk.topics["certificates"], desk.plain, desk.vault)
    known: Choices | None = None
    if plan.source == "coded" or plan.selection.asks_recorded or plan.speaking.trusting is Trusting.RECORDED:
        known = await _known(desk, plan.coded, plan.selection, plan.within)
    if plan.source == "coded":
        assert known is not None
        return CertificateFeed(desk.wire, Selection(), replace(known, matching=set()), _places(known))
    return CertificateFeed(desk.wire, plan.selection, known)


async def _known(desk: Desk, bounds: Bounds, selection: Selection, within: Bounds | None) -> Choices:
    topics = desk.topics
    return await choices(desk.broker, desk.wire, topics["coded"], bounds, selection, topics["certificates"], within)


def _places(known: Choices) -> dict[int, frozenset[int]]:
    found: dict[int, set[int]] = {}
    for origin in known.places.values():
        found.setdefault(origin.partition, set()).add(origin.offset)
    return {partition: frozenset(offsets) for partition, offsets in found.items()}


async def planned(
    desk: Desk,
    run: Run,
    source: str,
    wanted: Range,
    selection: Selection,
    speaking: Speaking,
    *,
    rate: float | None,
    who: str,
) -> tuple[Plan, Feed]:
    """A plan, but for what only a voice can tell; nothing is written.

    Raises:
        InvalidSettings: a source, partition or filter that cannot be.
    """
    if source not in SOURCES:
        raise InvalidSettings(f"{source} cannot be replayed", hint=", ".join(SOURCES))
    if selection.errors and source != "dead-letters":
        raise InvalidSettings("only dead letters have errors", hint="--from dead-letters")
    if selection.asks_recorded and source == "dead-letters":
        raise InvalidSettings("a dead letter has no recorded result to choose by", hint="--error, --id")
    within: dict[int, tuple[int, int]] | None = None
    topic = desk.topics["certificates" if source == "coded" else source]
    coded = await desk.broker.bounds(desk.topics["coded"])
    bounds: dict[int, tuple[int, int]]
    gone = 0
    if source == "coded":
        within = await bounds_of(desk.broker, desk.topics["coded"], wanted)
        known = await _known(desk, coded, selection, within)
        held = await desk.broker.bounds(topic)
        places = _places(known)
        kept = {p: sorted(o for o in offsets if o >= held[p][0]) for p, offsets in places.items() if p in held}
        gone = len(known.matching) - sum(map(len, kept.values()))
        bounds = {p: (offsets[0], offsets[-1] + 1) for p, offsets in kept.items() if offsets} or {0: (0, 0)}
    else:
        bounds = await bounds_of(desk.broker, topic, wanted)
    plan = Plan(
        run.name, source, topic, bounds, coded, within, selection, speaking, 0, 0, gone, {}, rate, None, who, utc_now()
    )  # fmt: skip
    feed = await feed_of(desk, plan)
    records, selected = await counted(desk.broker, topic, bounds, feed)
    return replace(plan, records=records, selected=selected), feed


async def measured(desk: Desk, plan: Plan, feed: Feed, voice: Voice) -> Plan:
    """The plan with the versions that speak, and their speed on the first certificates; what they say is thrown away."""
    chosen: list[Chosen] = []
    looked = 0
    wanted = SAMPLE * 4 if plan.speaking.python else SAMPLE
    for partition, (start, end) in plan.bounds.items():
        async with aclosing(desk.broker.read(plan.topic, partition, start, end, SAMPLE)) as batches:
            async for batch in batches:
                looked += len(batch)
                chosen += [one for one in await feed.choose(batch) if one is not None and one.refused is None]
                if len(chosen) >= wanted or looked >= MOST_SAMPLED:
                    break
        if len(chosen) >= wanted or looked >= MOST_SAMPLED:
            break
    sample = chosen[:wanted]
    speed = None
    if sample:
        first = sample[:1] if plan.speaking.python else sample[: len(sample) // 2] or sample
        begun = await _timed(voice, first)  # the first request warms up; or it tells what a process costs to start
        rest = sample[len(first) :] or first
        each = await _timed(voice, rest) / len(rest)
        if plan.speaking.python:
            each = max(1e-6, each - begun / len(rest)) + begun / other.AT_ONCE
        speed = 1 / each
    return replace(plan, versions=voice.versions(), speed=speed)


async def _timed(voice: Voice, sample: Sequence[Chosen]) -> float:
    """Seconds that a batch takes."""
    began = monotonic()
    await voice.code([one.incoming for one in sample], [one.level for one in sample])
    return max(1e-6, monotonic() - began)


async def same_voice(desk: Desk, plan: Plan, feed: Feed, voice: Voice) -> None:
    """Refuse to go on with other versions than those that a run was begun with: its results would be of two kinds.

    Raises:
        InvalidSettings: the versions differ; they are named.
    """
    if plan.speaking.python:  # what another installation is, only its answers tell
        await measured(desk, plan, feed, voice)
    now = voice.versions()
    changed = sorted(name for name in {*plan.versions, *now} if plan.versions.get(name) != now.get(name))
    if changed:
        told = ", ".join(f"{name} {plan.versions.get(name, '')} is {now.get(name, '')}" for name in changed)
        raise InvalidSettings(f"run {plan.run} was begun with other versions: {told}", hint="begin a new run")


async def settled(desk: Desk, run: Run) -> Plan | None:
    """The plan that a run was begun with; None where it never was.

    Raises:
        InvalidSettings: it was made by another release.
    """
    if run.manifest not in await desk.broker.topics():
        return None
    known = last(await Manifest(desk.broker, run).read(), Act.PLANNED)
    return Plan.read(known.body["plan"]) if known else None


async def begin(desk: Desk, run: Run, plan: Plan, who: str) -> None:
    """Make the run's topics and write its plan, once.

    Raises:
        InvalidSettings: another process began the run meanwhile, with another plan; or a run of this name was dropped, and
            its position is still known.
    """
    if run.manifest not in await desk.broker.topics():
        for partition in plan.bounds:
            # Kafka keeps offsets for days after a run was dropped: this one would take its records for coded.
            if await desk.broker.position(run.group, plan.topic, partition) is not None:
                raise InvalidSettings(f"the name {run.name} was used before", hint="another name")
    await desk.broker.create(run.declared(len(await desk.broker.bounds(desk.topics["coded"]))))
    known = await Manifest(desk.broker, run).write(Act.PLANNED, who, {"plan": plan.record()}, once=True)
    # As it is written down: the cache, which changes no answer, is no part of it.
    if Plan.read(known.body["plan"]) != Plan.read(plan.record()):
        raise InvalidSettings(
            f"run {run.name} was begun meanwhile, otherwise", hint="another name, or the same command"
        )


def player(desk: Desk, run: Run, plan: Plan, feed: Feed, voice: Voice) -> Player:
    """What plays a plan."""
    options = desk.settings.replay
    return Player(
        desk.broker, run, plan.topic, plan.bounds, feed, voice, desk.wire, desk.plain, rate=plan.rate,
        at_once=other.AT_ONCE if plan.speaking.python else options.batch_max, in_flight=options.in_flight,
    )  # fmt: skip


async def finish(desk: Desk, run: Run, plan: Plan, voice: Voice, who: str) -> Reconciled:
    """Count the run, and write in its manifest how it ended."""
    found = await reconcile(desk.broker, run, plan.topic, plan.bounds, plan.records)
    tally = found.tally
    await Manifest(desk.broker, run).write(
        Act.FINISHED, who,
        {
            "read": tally.read, "skipped": tally.skipped, "written": tally.written, "dead": tally.dead,
            "faults": found.faults, "versions": voice.versions(),
        },
    )  # fmt: skip
    return found


async def played(playing: Player, show: Callable[[Player], None], every_s: float = 0.5) -> bool:
    """Play, and show how far it is meanwhile."""
    task = asyncio.create_task(playing.play())
    while not task.done():
        await asyncio.wait([task], timeout=every_s)
        show(playing)
    return task.result()
