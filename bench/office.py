"""``python -m bench.office OUT``: a year of a simulated coding office, for `causa quality` to read.

The gold certificates are coded once; copies of them, drawn again and again, are spread over twelve months with sources,
departments and delays, targeted by the policy, and decided by people who say what gold says but for a share of errors.
In one month a new disease appears, in words that the machine does not know. Everything but the coding is made up, and
decided by the seed; it shows what the report shows, and measures nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter

from stream.certificate import Place, Source
from stream.cli.serving import models
from stream.coder.model import SilentModel
from stream.coding import (
    CodedCertificate,
    CodedStatus,
    Correction,
    DecisionKind,
    Route,
    coded_json,
)
from stream.embedded.servers import Embedded
from stream.errors import EmbeddedServerError
from stream.evaluation import gold as golden
from stream.evaluation.gold import Gold
from stream.evaluation.run import run
from stream.pipeline.core import Core
from stream.pipeline.models import Models
from stream.settings import REPOSITORY, Settings, load
from stream.targeting import edits, policy
from stream.targeting.policy import Policy
from stream.targeting.subject import of_coded
from stream.targeting.target import target
from stream.underlying.ranking import SilentRanker

FILES = ("gold.jsonl", "gold_2.jsonl", "held_out.jsonl")
DEPARTMENTS = ("13", "31", "33", "59", "69", "75", "971", "2A")
END = datetime(2026, 1, 1, tzinfo=UTC)
EPISODE = 8
"""Month with the new disease."""
EPISODE_SHARE = 0.15
NEW = "U07.1"
PAPER_SHARE = 0.4
DOUBLE = 0.1
"""Share of tasks that two people code."""
_CORRECTION = TypeAdapter(Correction)


@dataclass(frozen=True, slots=True)
class Pair:
    """A coded certificate and the cause that careful coders gave it."""

    coded: CodedCertificate
    cause: str


def year(
    pairs: Sequence[Pair], rules: Policy, count: int, *, error: float, seed: int
) -> Iterator[tuple[CodedCertificate, list[Correction]]]:
    """Certificates of a year, each with the decisions that people came to before its end.

    Args:
        pairs: drawn from, with replacement.
        rules: the policy; its thresholds are taken as if fitted to whatever coded the pairs.
        count: certificates.
        error: share of a person's codings that are wrong.
        seed: of everything.
    """
    rng = random.Random(seed)
    severity = edits.load()
    causes = sorted({pair.cause for pair in pairs})
    for number in range(count):
        pair = rng.choice(pairs)
        day = date(2025, 1, 1) + timedelta(days=rng.randrange(365))
        paper = rng.random() < PAPER_SHARE
        late = timedelta(days=rng.lognormvariate(3.2, 0.4)) if paper else timedelta(hours=rng.lognormvariate(2, 0.8))
        received = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + late
        coded_at = received + timedelta(minutes=rng.lognormvariate(1.5, 1))
        if coded_at > END:
            continue
        coded, cause = pair.coded, pair.cause
        if day.month == EPISODE and rng.random() < EPISODE_SHARE:
            cause = NEW
            unsure = coded.underlying.confidence * rng.uniform(0.8, 1.0)
            coded = replace(
                coded, unknown=rng.uniform(0.1, 0.45), underlying=replace(coded.underlying, confidence=unsure)
            )
        coded = replace(
            coded, certificate_id=f"office-{seed}-{number:06}", death_date=day, received_at=received, coded_at=coded_at,
            place=Place(coded.place.kind, rng.choice(DEPARTMENTS)), part1=(), part2=(),
            source=Source.PAPER if paper else Source.ELECTRONIC,
        )  # fmt: skip
        found = target(of_coded(coded), rules, severity, b"office")
        manual = found.targeting.route is Route.MANUAL
        coded = replace(
            coded, targeting=found.targeting, flags=found.flags,
            status=CodedStatus.PROVISIONAL if manual else CodedStatus.FINAL,
        )  # fmt: skip
        yield coded, list(_decided(coded, cause, causes, rng, error))


def _decided(
    coded: CodedCertificate, cause: str, causes: Sequence[str], rng: random.Random, error: float
) -> Iterator[Correction]:
    targeting = coded.targeting
    if targeting.route is Route.AUTO and not targeting.audit:
        return
    wait = timedelta(days=rng.lognormvariate(1.1 if targeting.route is Route.MANUAL else 2.0, 0.7))

    def decision(kind: DecisionKind, code: str, days: float, coder: str) -> Correction:
        return Correction(
            f"{coded.certificate_id}-{kind.lower()}", kind, coded.certificate_id, coded.version, coder,
            "senior" if kind is DecisionKind.ADJUDICATION else "coder", "CODED",
            coded.coded_at + wait + timedelta(days=days), coded.content_hash, underlying_after=code,
            blind=targeting.audit and kind is not DecisionKind.ADJUDICATION, seconds=rng.lognormvariate(3.5, 0.5),
        )  # fmt: skip

    def says() -> str:
        return rng.choice(causes) if rng.random() < error else cause

    made = [decision(DecisionKind.FIRST, says(), 0, f"c{rng.randrange(12)}")]
    if rng.random() < DOUBLE:
        made.append(decision(DecisionKind.SECOND, says(), 1, "c12"))
        if made[0].underlying_after != made[1].underlying_after:
            made.append(decision(DecisionKind.ADJUDICATION, cause, 4, "s1"))
    yield from (d for d in made if d.decided_at <= END)


async def coded_gold(settings: Settings) -> list[Pair]:
    """The gold certificates as the core codes them: with the models where Triton runs, else by the rules alone."""
    rows = [row for name in FILES for row in golden.read(REPOSITORY / "samples" / name, settings.limits)]
    try:
        asked = models(Embedded(settings).triton_url(), settings)
    except EmbeddedServerError:
        asked = Models(SilentModel(), SilentRanker())
    try:
        return [pair async for pair in _pairs(rows, Core(None, settings), asked)]
    finally:
        await asked.close()


async def _pairs(rows: Sequence[Gold], core: Core, asked: Models) -> AsyncIterator[Pair]:
    async for row, coded in run(rows, core, asked):
        if coded is not None:
            yield Pair(coded, row.underlying)


def main(arguments: list[str] | None = None) -> int:
    """Write ``coded.jsonl`` and ``corrections.jsonl``; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.office", description=__doc__)
    parser.add_argument("output", type=Path, help="folder for coded.jsonl and corrections.jsonl")
    parser.add_argument("--certificates", type=int, default=20_000)
    parser.add_argument("--error", type=float, default=0.02, help="share of a person's codings that are wrong")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    settings = load()
    pairs = asyncio.run(coded_gold(settings))
    rules = policy.load(settings.policy, settings.thresholds)
    options.output.mkdir(parents=True, exist_ok=True)
    written = decided = 0
    with (
        (options.output / "coded.jsonl").open("w", encoding="utf-8") as records,
        (options.output / "corrections.jsonl").open("w", encoding="utf-8") as decisions,
    ):
        for coded, made in year(pairs, rules, options.certificates, error=options.error, seed=options.seed):
            records.write(json.dumps(coded_json(coded), ensure_ascii=False) + "\n")
            for one in made:
                decisions.write(_CORRECTION.dump_json(one).decode() + "\n")
            written, decided = written + 1, decided + len(made)
    print(f"{written:,} certificates of {len(pairs):,} gold ones, {decided:,} decisions: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
