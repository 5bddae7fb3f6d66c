"""Every event of one certificate, on every topic, in the order in which they can have happened.

Records of a partition keep its order. Between partitions the time of writing decides, but nothing comes before what it was
made of: a result names the place of its certificate, a dead letter that of its record. Clocks of producers may differ, and a
result written "before" its certificate would tell a reader nonsense.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from stream.coding import Origin
from stream.errors import InputError
from stream.pipeline.record import place
from stream.registry import SUBJECTS
from stream.replay.broker import Broker, Record
from stream.replay.player import RUN_HEADER
from stream.replay.run import PREFIX, REPAIRS
from stream.wire import Wire

Bounds = Mapping[int, tuple[int, int]]
_RANK = {
    "certificates": 0, "dead-letters": 1, "repairs": 2, "automation": 3, "coded": 4, "manual": 5, "corrections": 6, "alerts": 7,
    "replay": 8, "manifest": 9,
}  # fmt: skip
"""Order of what was written in the same millisecond."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a certificate.

    Attributes:
        subject: role of its topic; `replay` and `manifest` for those of runs, `repairs` for repairs.
        record: as the broker holds it.
        value: decoded; what did not decode has the one field `error`.
        needs: places of the records that it was made of.
    """

    subject: str
    record: Record
    value: Mapping[str, Any]
    needs: frozenset[str] = frozenset()

    @property
    def at(self) -> datetime:
        """When it was written."""
        return self.record.at


def subject_of(topic: str, topics: Mapping[str, str]) -> str | None:
    """Role of a topic in a certificate's history; None where it has none.

    Args:
        topic: as Kafka names it.
        topics: name of each declared subject's topic.
    """
    for subject, name in topics.items():
        if topic == name:
            return subject
    if topic == PREFIX + REPAIRS:
        return "repairs"
    if topic.startswith(PREFIX):
        end = topic.removeprefix(PREFIX).partition(".")[2]
        return {"": "replay", "dead-letters": "dead-letters", "manifest": "manifest"}.get(end)
    return None


@dataclass
class Found:
    """A certificate's events, in order, and what was looked through for them.

    Attributes:
        events: in order.
        looked: by topic and partition, the offsets that were read.
        undecoded: records of the certificate that do not decode.
    """

    events: list[Happened] = field(default_factory=list)
    looked: dict[str, Bounds] = field(default_factory=dict)
    undecoded: int = 0


async def history(
    broker: Broker,
    wire: Wire,
    topics: Mapping[str, str],
    certificate_id: str,
    tell: Callable[[str], None] = lambda _: None,
) -> Found:
    """All events of a certificate.

    Args:
        broker: holds the topics; those that may not be seen are left out, and not in `looked`.
        wire: codec.
        topics: name of each subject's topic.
        certificate_id: whose.
        tell: told which topic is read.
    """
    found = Found()
    seen: list[Happened] = []
    changes: list[Happened] = []
    manifests: dict[str, list[Happened]] = {}
    present = await broker.topics()
    letters: list[tuple[str, Record, Mapping[str, Any]]] = []
    for topic in sorted(present):
        subject = subject_of(topic, topics)
        if subject is None:
            continue
        tell(topic)
        bounds = await broker.bounds(topic)
        found.looked[topic] = bounds
        for partition, (start, end) in bounds.items():
            async with aclosing(broker.read(topic, partition, start, end)) as batches:
                async for batch in batches:
                    for record in batch:
                        if subject == "manifest":
                            run = topic.removeprefix(PREFIX).removesuffix(".manifest")
                            manifests.setdefault(run, []).append(Happened(subject, record, _json(record)))
                        elif subject == "automation":
                            changes.append(Happened(subject, record, _decoded(wire, subject, record)))
                        elif subject == "dead-letters":
                            letters.append((subject, record, {}))
                        elif _mine(subject, record, certificate_id, wire):
                            seen.append(_happened(subject, record, wire))
    places = {one.record.place for one in seen if one.subject == "certificates"}
    for subject, record, _ in letters:
        # A record that does not decode has no id: its key, or the place that it stood at, tells whose it was.
        value = _decoded(wire, subject, record)
        if record.key == certificate_id.encode() or _origin(value) in places:
            seen.append(Happened(subject, record, value, frozenset(filter(None, [_origin(value)]))))
    runs = {one.record.header(RUN_HEADER) for one in seen if one.record.header(RUN_HEADER)}
    seen += [one for run in runs for one in manifests.get(run, [])]
    strata = {
        str(one.value["targeting"]["stratum"]) for one in seen if one.subject == "coded" and "targeting" in one.value
    }
    until = max((one.record.timestamp for one in seen), default=0)
    seen += [
        one for one in changes
        if one.value.get("scope") in {*strata, "*"} and one.record.timestamp <= until and strata
    ]  # fmt: skip
    found.events = ordered(seen)
    found.undecoded = sum(_undecoded(one) and one.subject != "dead-letters" for one in found.events)
    return found


def _mine(subject: str, record: Record, certificate_id: str, wire: Wire) -> bool:
    if subject == "alerts":
        return certificate_id in (_decoded(wire, subject, record).get("certificates") or ())
    if subject == "repairs":
        return certificate_id in (_json(record).get("certificate_id"), (record.key or b"").decode("utf-8", "replace"))
    if record.key == certificate_id.encode():
        return True
    # Producers may key as they like; only a certificate's own field is sure. Other topics are written by us alone.
    return (
        subject == "certificates"
        and certificate_id.encode() in (record.value or b"")
        and (_decoded(wire, subject, record).get("certificate_id") == certificate_id)
    )


def _happened(subject: str, record: Record, wire: Wire) -> Happened:
    value = _json(record) if subject == "repairs" else _decoded(wire, subject, record)
    needs = {_origin(value)} if subject in ("coded", "replay") else set()
    if subject == "manual" and isinstance(value.get("proposal"), Mapping):
        needs = {_origin(value["proposal"])}
    if source := record.header("causa-source"):
        needs.add(source)
    if source := record.header("causa-repair-of"):
        needs.add(source)
    return Happened(subject, record, value, frozenset(filter(None, needs)))


def _decoded(wire: Wire, subject: str, record: Record) -> Mapping[str, Any]:
    schema = "coded" if subject == "replay" else subject
    assert schema in SUBJECTS
    try:
        return wire.decode(schema, record.value)
    except InputError as error:
        return {"error": error.code}


def _json(record: Record) -> Mapping[str, Any]:
    try:
        found = json.loads(record.value or b"")
    except ValueError:
        return {"error": "NOT_JSON"}
    return found if isinstance(found, dict) else {"error": "NOT_JSON"}


def _origin(value: Mapping[str, Any]) -> str:
    origin = value.get("origin")
    if not isinstance(origin, Mapping) or not origin.get("topic"):
        return ""
    return place(Origin(origin["topic"], origin["partition"], origin["offset"]))


def ordered(events: Iterable[Happened]) -> list[Happened]:
    """Events in an order that keeps each partition's, and puts nothing before what it was made of.

    Among those that may come next the one written first does. A circle of needs, which no sound log holds, is cut at the
    earliest.
    """
    lanes: dict[tuple[str, int], list[Happened]] = {}
    for one in events:
        lanes.setdefault((one.record.topic, one.record.partition), []).append(one)
    for lane in lanes.values():
        lane.sort(key=lambda one: one.record.offset)
    present = {one.record.place for lane in lanes.values() for one in lane}
    done: set[str] = set()
    found: list[Happened] = []
    heads = [(_sorting(lane[0]), key, 0) for key, lane in lanes.items()]
    heapq.heapify(heads)
    while heads:
        waiting = []
        while heads:
            _, key, number = heapq.heappop(heads)
            one = lanes[key][number]
            if (one.needs & present) - done:
                waiting.append((_sorting(one), key, number))
                continue
            break
        else:
            _, key, number = min(waiting)
            waiting.remove((_sorting(lanes[key][number]), key, number))
            one = lanes[key][number]
        found.append(one)
        done.add(one.record.place)
        if number + 1 < len(lanes[key]):
            heapq.heappush(heads, (_sorting(lanes[key][number + 1]), key, number + 1))
        for item in waiting:
            heapq.heappush(heads, item)
    return found


def _sorting(one: Happened) -> tuple[int, int, int]:
    return one.record.timestamp, _RANK[one.subject], one.record.offset


def _undecoded(one: Happened) -> bool:
    """Whether a record did not decode: letters and repairs that did have an error too, that of the letter."""
    return "error" in one.value and "detail" not in one.value and "letter" not in one.value


def told(one: Happened) -> str:
    """An event in one line: codes, versions, decisions, who; no text of a certificate."""
    describe = _TOLD.get(one.subject)
    if _undecoded(one):
        return f"does not decode: {one.value['error']}"
    return describe(one.value, one.record) if describe else ""


def _certificate(value: Mapping[str, Any], record: Record) -> str:
    lines = len(value["part1"]), len(value["part2"])
    sealed = " sealed," if any(isinstance(line["text"], Mapping) for line in (*value["part1"], *value["part2"])) else ""
    repaired = record.header("causa-repair-of")
    by = f"; repair of {repaired} by {record.header('causa-repair-by')}" if repaired else ""
    return f"version {value['version']} {value['status']} received,{sealed} {lines[0]} + {lines[1]} lines, {value['source']}{by}"


def _coded(value: Mapping[str, Any], record: Record) -> str:
    target, cause, versions = value["targeting"], value["underlying"], value["versions"]
    codes = " | ".join(
        " ".join(e["code"] for e in line["entities"]) for line in (*value["part1"], *value["part2"]) if line["entities"]
    )
    why = f" ({', '.join(target['reasons'])})" if target["reasons"] else ""
    approval = record.header("causa-approval")
    return (
        f"version {value['version']} revision {value['revision']} {value['status']} by {value['modality']}: underlying "
        f"{cause['code'] or 'none'} ({cause['confidence']:.2f}), {target['route']}{why}"
        f"{', audit' if target['audit'] else ''}, automation {target['automation']}; codes {codes or 'none'}; "
        + " ".join(f"{name} {version}" for name, version in versions.items() if version)
        + (f"; recode approved as {approval[:12]}" if approval else "")
    )


def _manual(value: Mapping[str, Any], _: Record) -> str:
    if value["state"] == "NONE":
        return f"version {value['version']}: no work, or no more"
    return f"version {value['version']}: open, priority {value['priority']:.3f}, {', '.join(value['reasons']) or 'blind audit'}"


def _correction(value: Mapping[str, Any], _: Record) -> str:
    blind = ", blind" if value["blind"] else ""
    return (
        f"version {value['version']} {value['kind']} by {value['coder']} ({value['role']}){blind}: underlying "
        f"{value['underlying_before'] or 'none'} to {value['underlying_after'] or 'none'}, {value['seconds']:.0f} s"
    )


def _dead(value: Mapping[str, Any], record: Record) -> str:
    if "detail" not in value:
        return f"does not decode: {value.get('error')}"
    return f"{value['error']}: {value['detail']}; stood at {_origin(value) or record.place}"


def _manifest(value: Mapping[str, Any], record: Record) -> str:
    run = record.topic.removeprefix(PREFIX).removesuffix(".manifest")
    return f"run {run}: {value.get('event')} by {value.get('who')}"


def _change(value: Mapping[str, Any], _: Record) -> str:
    return f"{value['scope']} {value['automation']} by {value['who'] or 'an alarm'}: {value['why']}"


_TOLD: dict[str, Callable[[Mapping[str, Any], Record], str]] = {
    "certificates": _certificate, "coded": _coded, "replay": _coded, "manual": _manual, "corrections": _correction,
    "dead-letters": _dead, "manifest": _manifest, "automation": _change,
    "alerts": lambda value, _: f"{value['group']} {value['place']}: {value['status']}, revision {value['revision']}",
    "repairs": lambda value, _: f"{value.get('letter')} ({value.get('error')}) mended by {value.get('who')}",
}  # fmt: skip


def within(events: Sequence[Happened], hide: Callable[[Any], Any]) -> list[Happened]:
    """The events with what a function makes of the values of those topics that hold text."""
    return [
        replace(one, value=hide(one.value)) if one.subject in ("certificates", "manual", "dead-letters") else one
        for one in events
    ]


def seconds(moment: datetime) -> str:
    """A moment as a person reads it, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
