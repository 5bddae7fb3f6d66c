"""The comparison as one page that needs no network; it names no certificate and quotes none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from stream.drawing import AMBER, BLUE, GREY, INK, RED, drawn, svg
from stream.nomenclature import icd10
from stream.replay.comparing import Comparison
from stream.replay.difference import CHANGED, FIGURES, IDENTICAL, NO_CODE, UNKNOWN, Change

DRAWN = 25
"""Causes in the drawing of ratios; the table holds all that moved."""
LISTED = 60
"""Transitions on the page; `transitions.csv` holds all."""
SERIES = 6
CLASSIFICATIONS = {
    "chapter": "chapter of ICD-10", "shortlist": "European shortlist", "group": "syndromic group, underlying cause",
    "mention": "syndromic group, any mention",
}  # fmt: skip
CHANGE_NAMES = {
    Change.ENTITY: "codes of the lines", Change.UNDERLYING: "underlying cause, all characters",
    Change.THREE: "underlying cause, three characters", Change.SHORTLIST: "underlying cause, European shortlist",
    Change.ROUTE: "route", Change.REASONS: "reasons for a person to look", Change.AUDIT: "drawn for the audit",
    Change.STATUS: "status", Change.FLAGS: "flags",
}  # fmt: skip


def page(found: Comparison, record: Mapping[str, Any]) -> str:
    """HTML of a comparison.

    Args:
        found: what was compared.
        record: what `report.json` holds: the same, as a mapping.
    """
    environment = Environment(
        loader=PackageLoader("stream.replay", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"count": lambda n: f"{n:,}", "percent": percent, "ratio": ratio}
    moved = {
        name: {category: row for category, row in rows.items() if row["left"] or row["came"]}
        for name, rows in record["bridge"].items()
    }
    return environment.get_template("report.html.j2").render(
        found=found, record=record, headline=headline(record), notes=notes(record), listed=record["transitions"][:LISTED],
        moved=moved, classifications=CLASSIFICATIONS, changes=CHANGE_NAMES, label=icd10.load().label,
        plots={"ratios": ratios(moved["shortlist"]), "series": series(found, record)}, matrix=matrix(record["chapters"]),
        titles={name: title for name, _, _, title in icd10.CHAPTERS}, versions=_versions(record["versions"]),
    )  # fmt: skip


def percent(part: float, whole: float) -> str:
    """A share in percent; a dash where there is none."""
    return f"{100 * part / whole:.2f} %" if whole else "–"


def ratio(value: float | None) -> str:
    """A ratio as offices print it; a dash where there is none."""
    return "–" if value is None else f"{value:.4f}"


def headline(record: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What a person wants to know first: name, figure, what it is made of."""
    whole, kinds, changes = record["compared"], record["kinds"], record["changes"]
    under = record["underlying_changed"]
    return [
        ("certificates compared", f"{whole:,}", f"{record['decided_by_people']:,} decided by people"),
        ("identical", percent(kinds.get(IDENTICAL, 0), whole), f"{kinds.get(IDENTICAL, 0):,}"),
        ("same codes, other figures", percent(kinds.get(FIGURES, 0), whole), f"{kinds.get(FIGURES, 0):,}"),
        ("changed", percent(kinds.get(CHANGED, 0), whole),
         f"{kinds.get(CHANGED, 0):,}, of them {record['flags_alone']:,} in flags alone"),
        ("underlying cause", percent(changes["underlying"], whole),
         f"{under['with_codes']:,} with other codes, {under['with_the_same_codes']:,} with the same"),
        ("shortlist", percent(changes["underlying_shortlist"], whole), f"{changes['underlying_shortlist']:,}"),
        ("route", percent(changes["route"], whole), f"{changes['route']:,}"),
    ]  # fmt: skip


def notes(record: Mapping[str, Any]) -> list[str]:
    """What must be known to read the figures rightly."""
    found = []
    for number, what in (
        (record["conflicts"], "certificate versions have other contents in the two codings and are left out"),
        (record["only_before"], "certificate versions are in the first coding alone"),
        (record["only_after"], "certificate versions are in the second coding alone"),
        (record["repeated"], "results are of a certificate version that came before; the last one was compared"),
        (record["undecoded"], "records could not be read and are left out"),
        (record["decided_by_people"], "certificates have a person's result, which is the official one and stays: on these "
                                      "the two machine codings are compared all the same"),
    ):  # fmt: skip
        if number:
            found.append(f"{number:,} {what}.")
    return found


def _versions(versions: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[Mapping[str, Any]]]:
    """Pairs of versions by field, those fields that differ first."""
    differs = {name: any(pair["before"] != pair["after"] for pair in pairs) for name, pairs in versions.items()}
    return {name: list(versions[name]) for name in sorted(versions, key=lambda name: (not differs[name], name))}


def matrix(chapters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Chapters before by chapters after."""
    order = [name for name, *_ in icd10.CHAPTERS] + [NO_CODE]
    cells = {(row["before"], row["after"]): row["certificates"] for row in chapters}
    names = [name for name in order if any(name in pair for pair in cells)]
    return {"names": names, "cells": cells}


def ratios(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Comparability ratios of the shortlist's items that moved most, with their intervals."""
    shown = [(name, row) for name, row in rows.items() if row["ratio"] is not None][:DRAWN]
    if not shown:
        return ""
    title = "Comparability ratios, European shortlist"
    with drawn(7.6, 0.3 * len(shown) + 1.2) as (figure, axes):
        for place, (_, row) in enumerate(shown):
            apart = row["low"] > 1 or row["high"] < 1
            colour = GREY if not row["reliable"] else RED if apart else BLUE
            axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=4, alpha=0.45)
            axes.plot(row["ratio"], place, color=colour, marker="o", markersize=5, linestyle="none")
        axes.axvline(1, color=INK, linewidth=1)
        names = [f"{row['label'][:46]} ({row['before']:,} → {row['after']:,})" for _, row in shown]
        axes.set_yticks(range(len(shown)), names)
        axes.invert_yaxis()
        highs = [row["high"] for _, row in shown if row["reliable"]] or [row["high"] for _, row in shown]
        lows = [row["low"] for _, row in shown if row["reliable"]] or [row["low"] for _, row in shown]
        margin = max(0.01, 1.2 * max(max(highs) - 1, 1 - min(lows)))
        axes.set(xlim=(max(0.0, 1 - margin), 1 + margin), xlabel="ratio; grey: fewer than 20 deaths; red: 1 is outside")
        axes.set_title(title)
        return svg(figure, title, "; ".join(f"{row['label']}: {row['ratio']:.3f}" for _, row in shown))


def series(found: Comparison, record: Mapping[str, Any]) -> list[str]:
    """Deaths by month under both codings, for the syndromic groups that moved most."""
    months = found.difference.months
    drawings = []
    moved = [(name, row) for name, row in record["bridge"]["group"].items() if row["left"] + row["came"]]
    for category, row in moved[:SERIES]:
        points = sorted(
            (month, counts)
            for (name, month), counts in months.items()
            if name == f"group:{category}" and month != UNKNOWN
        )
        if len(points) < 2:
            continue
        title = f"{row['label']}"
        with drawn(4.6, 2.5) as (figure, axes):
            for place, (colour, said) in enumerate(((GREY, "first coding"), (AMBER, "second coding"))):
                axes.plot(
                    range(len(points)),
                    [counts[place] for _, counts in points],
                    color=colour,
                    marker="o",
                    ms=3,
                    label=said,
                )
            every = max(1, len(points) // 6)
            axes.set_xticks(range(0, len(points), every), [month for month, _ in points[::every]], rotation=30)
            axes.set_ylim(bottom=0)
            axes.set_ylabel("deaths")
            axes.legend(frameon=False, fontsize=8)
            axes.set_title(title[:60])
            drawings.append(svg(figure, f"Series {category}", f"{title}: deaths by month under both codings"))
    return drawings
