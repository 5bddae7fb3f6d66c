"""Do the wordings code to what they are meant to? Each is coded by the real coder, in a few hands."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass

from bench.epidemic import tables
from bench.epidemic.tables import Wording
from stream.certificate import Age, Certificate, Line, Sex
from stream.cli.serving import models, triton
from stream.coding import CodedCertificate
from stream.pipeline.core import Core
from stream.pipeline.models import code
from stream.pipeline.record import Incoming
from stream.settings import Settings
from stream.surveillance.groups import load as load_groups

HANDS = 4
"""Certificates of each wording."""
BATCH = 200
COMPANIONS = ("hypothyroïdie", "arthrose", "surdité", "dyslipidémie")
"""What stands in Part II beside the cause, in the same few words as everywhere; none changes a group of the study."""
ILL_DEFINED = frozenset(("sudden", "senility", "unknown"))
"""Causes beside which any disease would become the underlying cause."""
UPPER, ADDED = 0.2, 0.25
"""Shares of certificates in capitals, and with one of those words added."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A wording's certificate and what became of it.

    Attributes:
        wording: as in the table.
        underlying: cause that the coder chose.
        missing, added: groups of the study that it should belong to and does not, and the reverse.
    """

    wording: Wording
    underlying: str
    missing: frozenset[str]
    added: frozenset[str]


def lines(wording: Wording, rng: random.Random) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Part I and Part II as one certifier writes them."""
    upper = rng.random() < UPPER

    def written(text: str) -> str:
        told = text.replace("{n}", str(rng.randrange(2, 10)))
        return told.upper() if upper else told

    part1 = tuple(Line(written(text), written(interval) if interval else None) for text, interval in wording.part1)
    second = [wording.part2] if wording.part2 else []
    if rng.random() < ADDED and wording.cause not in ILL_DEFINED:
        second += [word for word in rng.sample(COMPANIONS, 1) if word not in wording.part2]
    return part1, (Line(written(", ".join(second))),) if second else ()


async def _coded(certificates: list[Certificate], settings: Settings, url: str) -> list[CodedCertificate]:
    core, asked = Core(None, settings), models(url, settings)
    found: list[CodedCertificate] = []
    try:
        for first in range(0, len(certificates), BATCH):
            batch = [core.prepare_certificate(one, Incoming(None)) for one in certificates[first : first + BATCH]]
            found += [one for one in await code(batch, core, asked) if isinstance(one, CodedCertificate)]
    finally:
        await asked.close()
    return found


def check(settings: Settings, seed: int = 1) -> list[Checked]:
    """Code `HANDS` certificates of every wording by the configured or the embedded Triton."""
    rng = random.Random(seed)
    all_words = [wording for told in tables.wordings().values() for wording in told for _ in range(HANDS)]
    certificates = []
    for number, wording in enumerate(all_words):
        part1, part2 = lines(wording, rng)
        cause = tables.causes()[wording.cause]
        sex = Sex.M if cause.men > 0.5 else Sex.F
        certificates.append(
            Certificate(f"wording-{number}", part1, part2, sex=sex, age=Age(78), manner=cause.manner)
        )  # fmt: skip
    with triton(settings) as url:
        coded = asyncio.run(_coded(certificates, settings, url))
    groups, study = load_groups(), frozenset(tables.groups()) - {tables.ALL_CAUSES}
    found = []
    for wording, one in zip(all_words, coded, strict=True):
        got = groups.of(one) & study
        found.append(Checked(wording, one.underlying.code or "", wording.groups - got, got - wording.groups))
    return found


def wrong(checked: Iterable[Checked]) -> list[Checked]:
    """Those whose groups are not the ones wanted."""
    return [one for one in checked if one.missing or one.added]
