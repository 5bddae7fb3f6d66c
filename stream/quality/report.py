"""The report as one page that needs no network; it names no certificate and quotes none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from stream.nomenclature import icd10, shortlist
from stream.nomenclature.agreement import LEVELS
from stream.quality import plots
from stream.quality.estimate import NO_CODE, Audit
from stream.quality.figures import Figures
from stream.quality.intervals import Interval
from stream.quality.rates import AWAITED, MODALITIES

LEVEL_NAMES = {"exact": "all characters", "three": "three characters", "shortlist": "European shortlist"}
GROUP_NAMES = {
    "stratum": "stratum", "chapter": "chapter of the machine's cause", "source": "source", "month": "month of death",
}  # fmt: skip


def page(figures: Figures, record: Mapping[str, Any], source: str) -> str:
    """HTML of a report.

    Args:
        figures: what was measured.
        record: what `report.json` holds: the same, as a mapping.
        source: what was read, in words.
    """
    environment = Environment(
        loader=PackageLoader("stream.quality", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"percent": percent, "days": days, "count": count}
    audit, rates = figures.audit, figures.rates
    titles = {f"chapter {name}": title for name, _, _, title in icd10.CHAPTERS}
    labels = {**shortlist.labels(), shortlist.OTHER: "in no category"}
    drawn = {
        "promised": plots.promised(figures.promises),
        "months": plots.agreement({level: audit.by("month", level) for level in LEVELS}, "Agreement by month of death"),
        "overestimation": plots.overestimation(figures.counts, labels),
        "modalities": plots.modalities(rates.groups["month"]),
        "delays": plots.delays(rates.delays),
        "weeks": plots.weeks(rates.weeks),
    }
    return environment.get_template("report.html.j2").render(
        record=record, figures=figures, source=source, headline=headline(figures), notes=notes(figures), plots=drawn, titles=titles,
        labels=labels, levels=LEVEL_NAMES, groups=GROUP_NAMES, modalities=MODALITIES, promises=figures.promises,
        counts=figures.counts, agreement=figures.agreement(), by=_groups(audit), no_code=NO_CODE,
    )  # fmt: skip


def _groups(audit: Audit) -> dict[str, dict[str, dict[str, Any]]]:
    """Group, its name, level: agreement."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for group in GROUP_NAMES:
        levels = {level: audit.by(group, level) for level in LEVELS}
        found[group] = {name: {level: levels[level][name] for level in LEVELS} for name in levels["exact"]}
    return found


def headline(figures: Figures) -> list[tuple[str, str, str]]:
    """What a person wants to know first: name, figure, what it is made of."""
    rates, audit = figures.rates, figures.audit
    whole = max(1, rates.certificates)
    machine = rates.modalities["RULES"] + rates.modalities["MODEL"]
    exact = figures.agreement()["exact"]["automatic"]
    queue, final = rates.queue, rates.delays["final"]
    verdicts = [one.verdict.value for one in figures.promises]
    return [
        ("certificates", f"{rates.certificates:,}", f"{rates.withdrawn:,} withdrawn"),
        ("official cause by the machine", f"{100 * machine / whole:.1f} %",
         f"people {100 * rates.modalities['HUMAN'] / whole:.1f} %, awaited {100 * rates.modalities[AWAITED] / whole:.1f} %"),
        ("agreement, automatic, exact", percent(exact.share.value if exact.audited else None),
         f"95 %: {span(exact.share)}; {exact.audited:,} audits" if exact.audited else "no audit is decided"),
        ("promises", f"{verdicts.count('KEPT')} of {len(verdicts)} kept",
         f"{verdicts.count('NOT YET PROVEN')} not yet proven, {verdicts.count('BROKEN')} broken"),
        ("official within 7 days", percent(final.week), f"half within {days(final.p50)}, 90 % within {days(final.p90)}"),
        ("waiting for people", f"{queue.manual + queue.audits:,}",
         f"{'?' if queue.days is None else f'{queue.days:.1f}'} days of work; oldest {days(queue.oldest_days)}"),
        ("audits awaited", f"{audit.awaited:,}", f"of {audit.drawn.total():,} drawn"),
    ]  # fmt: skip


def notes(figures: Figures) -> list[str]:
    """What must be known to read the figures rightly."""
    rates, audit = figures.rates, figures.audit
    found = [f"The promise of stratum {name} is broken." for name in figures.broken]
    drawn = audit.drawn.total()
    if drawn and audit.awaited > 0.2 * drawn:
        found.append(
            f"{audit.awaited:,} of {drawn:,} drawn certificates are not decided: the figures take them to be like those "
            "that are. Where people take some of them first, the machine may look better or worse than it is."
        )
    for mark, what in (("UNCERTIFIED", "a threshold that was not fitted on an office's own audits"),
                       ("UNCALIBRATED", "versions that no threshold was fitted to: nothing of it was automatic")):  # fmt: skip
        if rates.marks[mark]:
            found.append(
                f"{rates.marks[mark]:,} of {rates.certificates:,} certificates were routed by {what} ({mark})."
            )
    lowered = sum(n for name, n in rates.automation.items() if name != "NORMAL")
    if lowered:
        found.append(f"{lowered:,} certificates were coded while automation was lowered.")
    for number, what in (
        (rates.conflicts, "certificates have two contents under one version; the standing one counts"),
        (rates.strangers, "certificates have no record of the machine's: they count nowhere"),
        (figures.unread, "records could not be read and are left out"),
    ):
        if number:
            found.append(f"{number:,} {what}.")
    return found


def percent(share: float | None) -> str:
    """A share in percent; a dash where there is none."""
    return "–" if share is None else f"{100 * share:.1f} %"


def span(interval: Interval) -> str:
    """The bounds of a share, in percent."""
    return f"{100 * interval.low:.1f}–{100 * interval.high:.1f}"


def days(value: float | None) -> str:
    """A time that a person reads at a glance."""
    if value is None or math.isnan(value):
        return "–"
    if value < 1 / 24:
        return f"{1440 * value:.0f} min"
    return f"{24 * value:.0f} h" if value < 2 else f"{value:.1f} days"


def count(value: float) -> str:
    """A number of deaths."""
    return f"{value:,.0f}"
