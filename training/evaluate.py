"""Measure the coder against certificates with gold codes.

``python -m training.evaluate GOLD.jsonl [--rules-only|--model-only] [--errors N]``. Gold format: the certificate with
``"gold": {"part1": [[codes of line 1], …], "part2": [[…]], "underlying": code}``. Entities are compared line by line,
as bags of codes: precision, recall and F1, micro-averaged, exact (four characters) and at three.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream.certificate import utc_now
from stream.coder.model import LineModel
from stream.coding import CodedCertificate
from stream.nomenclature import icd10
from stream.pipeline.core import Core
from stream.pipeline.record import Incoming
from stream.settings import load


@dataclass
class Score:
    """Counts of entities right, proposed and expected."""

    right: int = 0
    proposed: int = 0
    expected: int = 0

    def add(self, proposed: Counter[str], expected: Counter[str]) -> None:
        """Count one line."""
        self.right += sum((proposed & expected).values())
        self.proposed += proposed.total()
        self.expected += expected.total()

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / max(1, self.proposed + self.expected)

    def __str__(self) -> str:
        precision, recall = self.right / max(1, self.proposed), self.right / max(1, self.expected)
        return f"P {precision:.4f}  R {recall:.4f}  F1 {self.f1:.4f}  (n={self.expected})"


@dataclass
class Report:
    """All measures of a run."""

    exact: Score = field(default_factory=Score)
    three: Score = field(default_factory=Score)
    chapters: dict[str, Score] = field(default_factory=dict)
    certificates: int = 0
    underlying: int = 0
    underlying_three: int = 0
    underlying_from_gold: int = 0
    automatic: int = 0
    automatic_right: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)


def read_gold(path: Path) -> list[dict[str, Any]]:
    """Certificates with their gold."""
    return [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines() if row.strip()]


async def run(gold: Sequence[dict[str, Any]], core: Core, model: LineModel) -> list[CodedCertificate]:
    """Coded certificates, in order."""
    coded = []
    for row in gold:
        certificate = core.certificate({k: v for k, v in row.items() if k not in ("gold", "comment")})
        prepared = core.prepare_certificate(certificate, Incoming(None))
        answers = dict(zip(prepared.requests, await model.tag(prepared.requests), strict=True))
        coded.append(core.code(prepared, answers, model.version, utc_now())[0])
    return coded


def score(gold: Iterable[dict[str, Any]], coded: Iterable[CodedCertificate]) -> Report:
    """Compare."""
    report = Report()
    for row, result in zip(gold, coded, strict=True):
        truth = row["gold"]
        lines = [*truth.get("part1", []), *truth.get("part2", [])]
        texts = [
            line["text"] if isinstance(line, dict) else line for p in ("part1", "part2") for line in row.get(p, [])
        ]
        for text, expected, line in zip(texts, lines, (*result.part1, *result.part2), strict=True):
            got, want = Counter(e.code for e in line.entities), Counter(expected)
            report.exact.add(got, want)
            report.three.add(Counter(c[:3] for c in got.elements()), Counter(c[:3] for c in want.elements()))
            for code in want | got:
                chapter = report.chapters.setdefault(icd10.chapter(code), Score())
                chapter.add(Counter({code: got[code]}), Counter({code: want[code]}))
            if got != want:
                found = [(text[e.start : e.end], e.code, e.method.value, e.confidence) for e in line.entities]
                report.errors.append({"id": row["certificate_id"], "text": text, "gold": expected, "found": found})
        cause = result.underlying.code or ""
        report.certificates += 1
        report.underlying += cause == truth["underlying"]
        report.underlying_three += cause[:3] == truth["underlying"][:3]
        if result.targeting.route == "AUTO":
            report.automatic += 1
            report.automatic_right += cause == truth["underlying"]
        if cause != truth["underlying"]:
            report.errors.append(
                {"id": row["certificate_id"], "underlying": truth["underlying"], "found": cause,
                 "steps": list(result.underlying.steps), "confidence": result.underlying.confidence,
                 "lines": [[e.code for e in line.entities] for line in (*result.part1, *result.part2)]}
            )  # fmt: skip
    return report


class Silent:
    """A model that says nothing: the rules alone."""

    version = "none"

    async def tag(self, lines: Sequence[Any]) -> list[Any]:
        """No entity on any line."""
        return [() for _ in lines]

    async def close(self) -> None:
        """Nothing to do."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gold", type=Path)
    parser.add_argument("--rules-only", action="store_true")
    parser.add_argument("--model-only", action="store_true")
    parser.add_argument("--errors", type=int, default=0)
    options = parser.parse_args()
    from training.local import LocalModel

    core = Core(None, load())
    if options.model_only:
        core.silence_rules()
    model: LineModel = Silent() if options.rules_only else LocalModel()
    gold = read_gold(options.gold)
    report = score(gold, asyncio.run(run(gold, core, model)))
    print("entities, exact:           ", report.exact)
    print("entities, three characters:", report.three)
    n = report.certificates
    print(
        f"underlying cause: exact {report.underlying / n:.4f}, three characters {report.underlying_three / n:.4f} (n={n})"
    )
    right = report.automatic_right / max(1, report.automatic)
    print(f"automatic: {report.automatic / n:.4f} of certificates, underlying right in {right:.4f} of them")
    for chapter, one in sorted(report.chapters.items(), key=lambda item: -item[1].expected):
        print(f"  chapter {chapter:6} {one}")
    for error in report.errors[: options.errors]:
        print(json.dumps(error, ensure_ascii=False))


if __name__ == "__main__":
    main()
