"""The report as one page that needs no network: figures, plots, confusions and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from stream.evaluation import plots
from stream.evaluation.score import Miss, Score
from stream.nomenclature import icd10, shortlist

SHOWN = 150
"""Lines, and certificates, shown among those that went wrong."""


def page(record: Mapping[str, Any], found: Score, *, texts: bool) -> str:
    """HTML of a report.

    Args:
        record: what `report.json` holds.
        found: the counts that it was made from.
        texts: show lines that went wrong, with their text.
    """
    environment = Environment(
        loader=PackageLoader("stream.evaluation", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    nomenclature = icd10.load()
    drawn = {
        "entities": plots.reliability(found.entity_chances, "Codes of mentions"),
        "underlying": plots.reliability(found.underlying_chances, "Underlying cause"),
        "coverage": plots.coverage(found.underlying_chances, "Underlying cause: error by coverage"),
        "chapters": plots.chapters(found.by_chapter(), "F1 by chapter"),
    }
    return environment.get_template("report.html.j2").render(
        record=record, headline=_headline(found), plots=drawn, misses=_misses(found) if texts else [],
        titles={name: title for name, _, _, title in icd10.CHAPTERS}, items=shortlist.labels(),
        label=lambda code: nomenclature.label(code) if code and nomenclature.written(code) else "",
    )  # fmt: skip


def _headline(found: Score) -> list[tuple[str, str, str]]:
    exact, three = found.exact, found.three
    return [
        ("entities, F1 exact", f"{exact.f1:.3f}", f"precision {exact.precision:.3f}, recall {exact.recall:.3f}"),
        ("entities, F1 three characters", f"{three.f1:.3f}", f"precision {three.precision:.3f}, recall {three.recall:.3f}"),
        *(
            (name, f"{100 * share.rate:.1f} %", "95 %: {:.1f}–{:.1f}".format(*(100 * x for x in share.interval())))
            if share.total
            else (name, "–", "there is none")
            for name, share in (
                ("lines exact", found.lines), ("certificates exact", found.certificates),
                ("underlying cause exact", found.underlying), ("  three characters", found.underlying_three),
                ("  European shortlist", found.underlying_shortlist),
                (f"  right of {found.automatic.total} automatic", found.automatic),
            )
        ),
    ]  # fmt: skip


def _misses(found: Score) -> list[tuple[str, list[Miss]]]:
    surest = sorted(found.misses, key=lambda miss: -miss.confidence)
    return [
        ("Underlying causes", [m for m in surest if m.line is None][:SHOWN]),
        ("Lines", [m for m in surest if m.line is not None][:SHOWN]),
    ]
