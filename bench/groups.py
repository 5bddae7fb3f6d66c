"""``python -m bench.groups GOLD.jsonl…``: how well each syndromic group is found on certificates with gold codes.

Certificates are coded as `causa evaluate` codes them (configured Triton, else the embedded one); a group's members by the
machine's codes are held against its members by the gold codes, sex and age being the certificate's own in both. Recall is
the share of the gold's members that were found, precision the share of those found that are right, with Clopper and
Pearson's intervals at 95 %. Groups of every death, of a flag and of the shortlist's rest are left out: no code makes them.
A certificate that cannot be read counts as found in no group.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from stream.certificate import utc_now
from stream.cli.serving import models, triton
from stream.coding import CodedCertificate
from stream.errors import CausaError
from stream.evaluation import gold as golden
from stream.evaluation.gold import Gold
from stream.evaluation.run import run
from stream.pipeline.core import Core
from stream.quality.intervals import clopper_pearson
from stream.settings import Settings, load
from stream.surveillance.groups import Group, Groups
from stream.surveillance.groups import load as load_groups
from stream.surveillance.groups.derived import FAMILY
from stream.surveillance.groups.group import Takes
from stream.surveillance.groups.words import limits

ENOUGH = 5
"""Members by gold below which a group is told but not judged."""
GOOD = 0.95
"""Recall and precision of the anchor: 31 of 60 groups of Santé publique France are above both (SHTI190359)."""
Way = Literal["of", "due", "mentioned"]
WAYS: tuple[Way, ...] = ("of", "due", "mentioned")


@dataclass
class Counts:
    """Members of groups: by gold, found, and found rightly."""

    gold: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)

    def add(self, gold: frozenset[str], found: frozenset[str]) -> None:
        """Count one certificate."""
        self.gold.update(gold)
        self.found.update(found)
        self.right.update(gold & found)

    def recall(self, group: str) -> float | None:
        """Share of the members that were found; None without members."""
        return self.right[group] / self.gold[group] if self.gold[group] else None

    def precision(self, group: str) -> float | None:
        """Share of those found that are members; None where none was found."""
        return self.right[group] / self.found[group] if self.found[group] else None

    def good(self, group: str) -> bool:
        """Whether both are above `GOOD`; a group of which nothing was found is not good."""
        return (self.recall(group) or 0.0) > GOOD and (self.precision(group) or 0.0) > GOOD

    def judged(self, groups: Iterable[Group]) -> list[Group]:
        """Groups with enough members."""
        return [group for group in groups if self.gold[group.id] >= ENOUGH]

    def record(self, group: Group) -> dict[str, Any]:
        """Mapping for JSON."""
        right, gold, found = self.right[group.id], self.gold[group.id], self.found[group.id]
        shares = {
            name: {"value": round(right / of, 4), "interval95": [round(v, 4) for v in clopper_pearson(right, of)]} if of else None
            for name, of in (("recall", gold), ("precision", found))
        }  # fmt: skip
        return {"gold": gold, "found": found, "right": right, **shares}


def compare(pairs: Iterable[tuple[Gold, CodedCertificate | None]], groups: Groups) -> dict[Way, Counts]:
    """Counts by membership, and by underlying cause and by mention apart."""
    counts: dict[Way, Counts] = {way: Counts() for way in WAYS}
    nothing: frozenset[str] = frozenset()
    for gold, coded in pairs:
        certificate = gold.certificate
        if certificate is None:
            continue
        told = groups.of_codes(
            gold.underlying, (code for line in gold.lines for code in line), sex=certificate.sex,
            age_days=certificate.age_days, form=certificate.form,
        )  # fmt: skip
        found = groups.apart(coded) if coded else None
        counts["due"].add(told.due, found.due if found else nothing)
        counts["mentioned"].add(told.mentioned, found.mentioned if found else nothing)
        counts["of"].add(told.due | told.mentioned, found.due | found.mentioned if found else nothing)
    return counts


def by_codes(groups: Groups) -> list[Group]:
    """Groups that codes make."""
    return [group for group in groups if group.takes is Takes.CODES and not group.flag]


async def coded(gold: list[Gold], settings: Settings, url: str) -> list[tuple[Gold, CodedCertificate | None]]:
    """Each certificate with what the core makes of it."""
    asked = models(url, settings)
    try:
        return [pair async for pair in run(gold, Core(None, settings), asked)]
    finally:
        await asked.close()


def table(groups: Iterable[Group], counts: Counts) -> Table:
    """Groups with enough members, recall and precision with intervals."""
    made = Table("group", "n", "found", "right", "recall", "95 %", "precision", "95 %", "")
    for group in groups:
        told = counts.record(group)
        cells = []
        for name in ("recall", "precision"):
            share = told[name]
            cells += [f"{share['value']:.3f}", "{:.2f}–{:.2f}".format(*share["interval95"])] if share else ["–", ""]
        sizes = (str(told[name]) for name in ("gold", "found", "right"))
        made.add_row(group.id, *sizes, *cells, "" if counts.good(group.id) else "*")
    return made


def summary(groups: Groups, counts: dict[Way, Counts]) -> dict[str, Any]:
    """How many groups with enough members are good: syndromic ones and items of the shortlist apart."""
    told: dict[str, Any] = {}
    for name, ours in (("syndromic", True), ("shortlist", False)):
        some = [group for group in by_codes(groups) if (group.family != FAMILY) is ours]
        for way in WAYS:
            judged = counts[way].judged(some)
            if judged:
                good = sum(counts[way].good(group.id) for group in judged)
                told[f"{name}, {way}"] = {"groups": len(some), "judged": len(judged), "good": good}
    return told


def rate(certificates: list[CodedCertificate], groups: Groups) -> float:
    """Certificates whose groups are found in a second of one core, warm: the best of five rounds."""
    rounds = []
    for _ in range(5):
        begun = time.process_time()
        for _ in range(5):
            for certificate in certificates:
                groups.of(certificate)
        rounds.append(time.process_time() - begun)
    return 5 * len(certificates) / max(min(rounds), 1e-9)


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.groups", description=__doc__)
    parser.add_argument("gold", nargs="+", type=Path, help="certificates with gold codes")
    parser.add_argument("-o", "--output", type=Path, help="JSON of all counts")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        settings, groups = load(), load_groups()
        gold = [row for path in options.gold for row in golden.read(path, settings.limits)]
        with triton(settings) as url:
            pairs = asyncio.run(coded(gold, settings, url))
    except CausaError as error:
        console.print(f"[red]{error}[/red]" + (f" ({error.hint})" if error.hint else ""))
        return 1
    counts = compare(pairs, groups)
    of = counts["of"]
    judged = of.judged(by_codes(groups))
    console.print(table((g for g in judged if g.family != FAMILY), of))
    console.print(table((g for g in judged if g.family == FAMILY), counts["due"]))
    told = summary(groups, counts)
    for name, row in told.items():
        console.print(
            f"{name}: {row['good']} of {row['judged']} groups with n ≥ {ENOUGH} above {GOOD} on both, of {row['groups']}"
        )
    versions = next((c.versions for _, c in pairs if c), None)
    speed = rate([c for _, c in pairs if c], groups)
    console.print(f"{speed:,.0f} certificates a second of one core find their groups")
    record = {
        "measured_at": utc_now().isoformat(timespec="seconds"), "files": [path.name for path in options.gold],
        "certificates": len(gold), "unreadable": sum(c is None for _, c in pairs), "groups_version": groups.version,
        "coder": versions.coder if versions else "", "summary": told,
        "certificates_per_cpu_second": round(speed),
        "groups": {
            group.id: {"name": group.en, "limits": limits(group, "en"), **{way: counts[way].record(group) for way in WAYS}}
            for group in by_codes(groups) if of.gold[group.id] or of.found[group.id]
        },
    }  # fmt: skip
    if options.output:
        options.output.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        console.print(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
