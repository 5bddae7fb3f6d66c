"""Reads two codings, compares them, and writes what was found: a page, tables as CSV, all of it as JSON."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from stream.certificate import utc_now
from stream.coding import Modality
from stream.errors import InvalidSettings
from stream.nomenclature import icd10, shortlist
from stream.replay.difference import Change, Difference
from stream.replay.manifest import Act, Manifest
from stream.replay.outcome import Outcome, outcome
from stream.replay.recorded import Key, coded_records
from stream.replay.run import RECORDED, run_of
from stream.replay.shell import Desk
from stream.settings import Settings
from stream.surveillance import groups


@dataclass
class Comparison:
    """Two codings and what differs.

    Attributes:
        before, after: names: runs, or `recorded`.
        difference: what was found.
        at: when.
        undecoded: records that could not be read.
        repeated: results of a certificate version beyond its first in one coding; the last one was compared.
    """

    before: str
    after: str
    difference: Difference
    at: datetime
    undecoded: int = 0
    repeated: int = 0

    def told(self) -> Iterator[str]:
        """In words."""
        yield f"{self.difference.pairs:,} certificate versions of {self.before} against {self.after}"
        yield from self.difference.told()
        if self.undecoded:
            yield f"{self.undecoded:>9,}           records could not be read"

    def record(self) -> dict[str, Any]:
        """JSON mapping: counts and tables, no ids."""
        found, labels = self.difference, _labels()
        return {
            "before": self.before, "after": self.after, "at": self.at.isoformat(), "compared": found.pairs,
            "kinds": dict(found.kinds), "changes": {change.value: found.changes[change] for change in Change},
            "underlying_changed": {"with_codes": found.with_codes[True], "with_the_same_codes": found.with_codes[False]},
            "flags_alone": found.flags_alone,
            "decided_by_people": found.human, "conflicts": found.conflicts, "only_before": found.only_before,
            "only_after": found.only_after, "undecoded": self.undecoded, "repeated": self.repeated,
            "by_chapter": {name: dict(row) for name, row in sorted(found.by_chapter.items())},
            "by_reason": {name: dict(row) for name, row in sorted(found.by_reason.items())},
            "versions": {
                name: [{"before": a, "after": b, "certificates": n} for (a, b), n in pairs.most_common()]
                for name, pairs in found.versions.items()
            },
            "transitions": [
                {"before": a, "after": b, "certificates": n} for (a, b), n in _ordered(found.transitions)
            ],
            "chapters": [{"before": a, "after": b, "certificates": n} for (a, b), n in _ordered(found.chapters)],
            "entities": {way: dict(_ordered(codes)) for way, codes in found.entities.items()},
            "bridge": {
                name: {
                    category: {"label": labels(name, category), **ratio.record()}
                    for category, ratio in bridge.ratios().items()
                }
                for name, bridge in found.bridges.items()
            },
        }  # fmt: skip


def _ordered(counts: Counter[Any]) -> list[tuple[Any, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _labels() -> Any:
    chapters = {name: title for name, _, _, title in icd10.CHAPTERS}
    items = {**shortlist.labels(), shortlist.OTHER: "in no category"}
    named = {group.id: group.en for group in groups.load()}

    def label(classification: str, category: str) -> str:
        table = {"chapter": chapters, "shortlist": items}.get(classification, named)
        return table.get(category, category)

    return label


async def compare(desk: Desk, settings: Settings, before: str, after: str) -> Comparison:
    """Compare two runs, or what was recorded with a run.

    Raises:
        InvalidSettings: a run that is not there, or `recorded` in the second place.
    """
    if after in (RECORDED, before):
        raise InvalidSettings("compare recorded with a run, or a run with another", hint="causa replay diff RUN")
    second, undecoded, repeated = await _outcomes(desk, run_of(settings, after).results)
    found = Comparison(before, after, Difference(groups.load()), utc_now(), undecoded, repeated)
    if before == RECORDED:
        await _recorded(desk, found, second)
    else:
        first, undecoded, repeated = await _outcomes(desk, run_of(settings, before).results)
        found.undecoded += undecoded
        found.repeated += repeated
        for key, one in first.items():
            if key in second:
                found.difference.add(*key, one, second[key])
        found.difference.only_before = len(first.keys() - second.keys())
        found.difference.only_after = len(second.keys() - first.keys())
    if not found.difference.pairs and not found.difference.conflicts:
        raise InvalidSettings(f"{before} and {after} have no certificate in common", hint="causa replay list")
    return found


async def _outcomes(desk: Desk, topic: str) -> tuple[dict[Key, Outcome], int, int]:
    found: dict[Key, Outcome] = {}
    undecoded = repeated = 0

    def failed(_: object) -> None:
        nonlocal undecoded
        undecoded += 1

    bounds = await desk.broker.bounds(topic)
    async with aclosing(coded_records(desk.broker, desk.wire, topic, bounds, failed)) as records:
        async for _, coded in records:
            key = coded.certificate_id, coded.version
            repeated += key in found
            found[key] = outcome(coded)
    return found, undecoded, repeated


async def _recorded(desk: Desk, found: Comparison, second: Mapping[Key, Outcome]) -> None:
    """Against the machine's standing result of each version; what people decided is counted apart."""
    topic = desk.topics["coded"]
    standing: dict[Key, tuple[Any, Outcome]] = {}
    human: set[Key] = set()

    def failed(_: object) -> None:
        found.undecoded += 1

    bounds, ids = await desk.broker.bounds(topic), frozenset(certificate_id.encode() for certificate_id, _ in second)
    async with aclosing(coded_records(desk.broker, desk.wire, topic, bounds, failed, ids)) as records:
        async for _, coded in records:
            key = coded.certificate_id, coded.version
            if key not in second:
                continue
            if coded.modality is Modality.HUMAN:
                human.add(key)
                continue
            rank = (coded.revision, coded.coded_at, coded.content_hash)
            if key not in standing or rank > standing[key][0]:
                standing[key] = rank, outcome(coded)
    for key, (_, before) in standing.items():
        found.difference.add(*key, before, second[key], human=key in human)
    found.difference.only_after = len(second.keys() - standing.keys())


_PAIR = ("before", "after", "certificates")
_RATIO = ("before", "after", "both", "left", "came", "ratio", "standard_error", "low", "high", "p", "reliable")
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "transitions.csv": _PAIR,
    "chapters.csv": _PAIR,
    "bridge.csv": ("classification", "category", "label", *_RATIO),
    "series.csv": ("series", "month", "before", "after"),
    "changes.csv": (
        "certificate_id", "version", "changes", "underlying_before", "underlying_after", "route_before", "route_after",
        "reasons_before", "reasons_after", "codes_before", "codes_after", "decided_by_a_person",
    ),
}  # fmt: skip
"""Tables, and what their columns are."""


def write(found: Comparison, folder: Path) -> str:
    """Write the report into a folder; the hash of `report.json`.

    Raises:
        InvalidSettings: the folder cannot be written.
    """
    from stream.replay import report

    record = found.record()
    text = json.dumps(record, ensure_ascii=False, indent=1) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(text, encoding="utf-8")
        (folder / "report.html").write_text(report.page(found, record), encoding="utf-8")
        for name, rows in _tables(found, record):
            with (folder / name).open("w", encoding="utf-8", newline="") as file:
                table = csv.DictWriter(file, COLUMNS[name])
                table.writeheader()
                table.writerows(rows)
    except OSError as error:
        raise InvalidSettings(f"{folder} cannot be written: {error.strerror}", hint="-o names another folder") from None
    return hashlib.sha256(text.encode()).hexdigest()


def _tables(found: Comparison, record: Mapping[str, Any]) -> Iterator[tuple[str, Iterable[dict[str, Any]]]]:
    yield "transitions.csv", record["transitions"]
    yield "chapters.csv", record["chapters"]
    yield (
        "bridge.csv",
        (
            {"classification": name, "category": category, **row}
            for name, rows in record["bridge"].items()
            for category, row in rows.items()
        ),
    )
    yield (
        "series.csv",
        (
            {"series": series, "month": month, "before": a, "after": b}
            for (series, month), (a, b) in sorted(found.difference.months.items())
            if a != b
        ),
    )
    yield (
        "changes.csv",
        (one.row() for one in sorted(found.difference.changed, key=lambda one: (one.certificate_id, one.version))),
    )


async def noted(desk: Desk, settings: Settings, found: Comparison, digest: str, who: str) -> None:
    """Write into the second run's manifest that it was compared: what a recode rests on."""
    difference = found.difference
    body = {
        "with": found.before, "report": digest, "compared": difference.pairs, "kinds": dict(difference.kinds),
        "changes": {change.value: difference.changes[change] for change in Change},
    }  # fmt: skip
    await Manifest(desk.broker, run_of(settings, found.after)).write(Act.COMPARED, who, body)
