"""Puts the figures of the last runs into docs/surveillance.md, between the marks that stand there, and draws the plots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from bench import report
from bench.epidemic import drawings, judging
from bench.epidemic.parts import ARTEFACT, STUDY, YEAR
from bench.epidemic.scores import METHODS, NOWCAST
from stream.errors import InvalidData
from stream.settings import REPOSITORY

PAGE = REPOSITORY / "docs" / "surveillance.md"
_PLACE = re.compile(r"<!-- epidemic:(\w+) -->\n.*?<!-- /epidemic -->", re.DOTALL)
_SCENARIOS = {"electronic": "All electronic", "was": "France as it was", "is": "France as it is"}
TABLES = "surveillance_tables.md"
Found = Mapping[str, Any]


def write(console: Console) -> None:
    """Fill the page; runs that are not there leave their part as it is.

    Raises:
        InvalidData: the page has no place for what was measured.
    """
    parts: dict[str, str] = {}
    plots: dict[str, str] = {"surveillance_series.svg": drawings.simulated()}
    for name, of in ((STUDY, _study), (ARTEFACT, _artefact), (YEAR, _year)):
        told = report.read(report.RESULTS / f"{name}.json")
        if told is None:
            console.print(f"{name}: not measured yet")
            continue
        some, drawn = of(told)
        parts |= some
        plots |= drawn
    for file, drawing in plots.items():
        (PAGE.parent / file).write_text(drawing, encoding="utf-8")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), parts), encoding="utf-8")
    console.print(f"{', '.join(parts) or 'nothing'} written to {PAGE}")


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with its parts in their places.

    Raises:
        InvalidData: a part has no place.
    """
    if missing := set(parts) - set(_PLACE.findall(page)):
        raise InvalidData(f"{PAGE.name}: no place for {', '.join(sorted(missing))}")

    def put(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- epidemic:{name} -->\n{parts[name]}\n<!-- /epidemic -->" if name in parts else found[0]

    return _PLACE.sub(put, page)


def _study(told: Found) -> tuple[dict[str, str], dict[str, str]]:
    targets = told["targets"]
    sizes = told["series"]
    series = "; ".join(
        f"{one['text']} ({one['deaths_a_week']:,.0f} deaths a week; electronic as it was {one['electronic_share']['was']:.0%}, "
        f"as it is {one['electronic_share']['is']:.0%})"
        for one in targets.values()
    )
    parts = {
        "size": f"Series: {series}. {sizes['tuning']} simulated years of each tuned the knobs, {sizes['reported']} others "
        "are reported.",
        "sudden": _summary(targets, "sudden"), "slow": _summary(targets, "slow"), "alarms": _alarms(targets),
        "steep": _steep(targets),
    }  # fmt: skip
    plots = {f"surveillance_{name}.svg": drawings.found(one, "sudden") for name, one in targets.items()}
    plots["surveillance_price.svg"] = drawings.price(list(targets.values()), "sudden")
    plots[TABLES] = _tables(targets)
    return parts, plots


def _summary(targets: Mapping[str, Found], shape: str) -> str:
    """One large size of each target: share found and median days in the three scenarios."""
    sizes = {name: list(_sizes(one, "is", NOWCAST, shape))[_LARGE[shape]] for name, one in targets.items()}
    rows = ["| method | " + " | ".join(f"{one['text']}, {int(sizes[name]):,}" for name, one in targets.items()) + " |"]
    rows.append("| --- " * (len(targets) + 1) + "|")
    for method in METHODS:
        cells = []
        for name, target in targets.items():
            here = [_sizes(target, scenario, method, shape)[sizes[name]] for scenario in _SCENARIOS]
            cells.append(" · ".join(_short(one) for one in here))
        rows.append(f"| {method} | " + " | ".join(cells) + " |")
    chance = [
        _sizes(target, scenario, NOWCAST, shape)[sizes[name]]["alert_without_outbreak"]
        for name, target in targets.items()
        for scenario in _SCENARIOS
    ]
    told = [value for value in chance if value is not None]
    rows.append(f"\nBy chance, without any outbreak (first method): {min(told):.0%} to {max(told):.0%}.")
    return "\n".join(rows)


_LARGE = {"sudden": 3, "slow": 3}
"""Which of the sizes the page itself shows."""


def _sizes(target: Found, scenario: str, method: str, shape: str) -> Found:
    found: Found = target["scenarios"][scenario][method]["outbreaks"][shape]
    return found


def _short(told: Found) -> str:
    share, days = told["sensitivity"]["value"], told["median_days"]["value"]
    if share is None:
        return "–"
    return f"{share:.0%} {'–' if days is None else f'**{days:.0f}**'}"


def _tables(targets: Mapping[str, Found]) -> str:
    """All sizes, with intervals: a page of its own."""
    parts = [
        "# Outbreaks found, by size, delay and method", "",
        "Written by `python -m bench.epidemic docs`; what it means stands in [surveillance.md](surveillance.md). Cells: share "
        "found (95 % interval), median days from the first excess death to the alert (interval; ∞ beyond what half of the "
        "outbreaks reach). One false alert a series-year. n: outbreaks without an alert open before; by chance: alerts in "
        "the same windows without outbreak.",
    ]  # fmt: skip
    for shape in ("sudden", "slow"):
        parts += ["", f"## {shape.capitalize()}"]
        for target in targets.values():
            parts += ["", _found(target, shape)]
    return "\n".join(parts) + "\n"


def _found(target: Found, shape: str) -> str:
    """Sensitivity and days by size, one row for each method and scenario."""
    any_method = target["scenarios"]["is"][NOWCAST]["outbreaks"][shape]
    columns = list(any_method)
    rows = [
        f"**{target['text']}**",
        "",
        "| scenario | method | " + " | ".join(f"{int(size):,}" for size in columns) + " | n | by chance |",
        "| --- | --- | " + "--- | " * (len(columns) + 2),
    ]
    for scenario, name in _SCENARIOS.items():
        for method in METHODS:
            sizes = target["scenarios"][scenario][method]["outbreaks"][shape]
            cells = [_cell(sizes[size]) for size in columns]
            first = sizes[columns[0]]
            chance = first["alert_without_outbreak"]
            rows.append(
                f"| {name} | {method} | "
                + " | ".join(cells)
                + f" | {first['outbreaks']} | {'–' if chance is None else f'{chance:.0%}'} |"
            )
    return "\n".join(rows).replace(
        "| --- | --- | " + "--- | " * (len(columns) + 2), "| --- " * (len(columns) + 4) + "|"
    )


def _cell(told: Found) -> str:
    """``93 % (89–96), 6 d (5–7)``."""
    share, days = told["sensitivity"], told["median_days"]
    if share["value"] is None:
        return "–"
    found = f"{share['value']:.0%} ({share['low']:.0%}–{share['high']:.0%})".replace("%–", "–")
    if days["value"] is None:
        return found
    low, high = (("∞" if days[name] is None else f"{days[name]:.0f}") for name in ("low", "high"))
    return f"{found}, **{days['value']:.0f} d** ({low}–{high})"


def _alarms(targets: Mapping[str, Found]) -> str:
    """False alerts a year on the reported seeds."""
    rows = ["| method | " + " | ".join(f"{one['text']}" for one in targets.values()) + " |"]
    rows.append("| --- " * (len(targets) + 1) + "|")
    for method in METHODS:
        cells = []
        for target in targets.values():
            told = [target["scenarios"][name][method]["false_alerts_a_year"] for name in _SCENARIOS]
            cells.append(" / ".join(f"{one['value']:.2f}" for one in told))
        rows.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _steep(targets: Mapping[str, Found]) -> str:
    """False alerts with the knobs of a steady country."""
    rows = ["| method | " + " | ".join(f"{one['text']}" for one in targets.values()) + " |"]
    rows.append("| --- " * (len(targets) + 1) + "|")
    for method in METHODS:
        cells = [_measured(target["steep_false_alerts_a_year"][method]) for target in targets.values()]
        rows.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _measured(told: Found) -> str:
    return f"{told['value']:.2f} ({told['low']:.2f}–{told['high']:.2f})"


def _artefact(told: Found) -> tuple[dict[str, str], dict[str, str]]:
    rows = [
        "| electronic certificates alone | offset | false alerts a year, slow rise | steep rise | outbreak found, slow rise | steep rise |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for target in told["targets"].values():
        for way in ("without offset", "with completeness offset"):
            one = target[way]
            rows.append(
                f"| {target['text']} | {'none' if way.startswith('without') else 'completeness'} | {_measured(one['slow'])} | "
                f"{_measured(one['steep'])} | {one['found_slow']:.0%} | {one['found_steep']:.0%} |"
            )
    number = told["series"]
    rows.append(
        f"\n{number['tuning']} series tuned, {number['reported']} reported; tuned to {judging.RATE:g} false alert a year "
        "where the share rises slowly. Outbreaks: "
        + ", ".join(f"{one['size']} deaths ({one['text']})" for one in told["targets"].values())
        + ", over in two weeks, while the share rises; found within five weeks."
    )
    return {"artefact": "\n".join(rows)}, {"surveillance_artefact.svg": drawings.artefact(told["targets"])}


def _year(told: Found) -> tuple[dict[str, str], dict[str, str]]:
    pipeline, groups = told["pipeline"], told["against_truth"]["groups"]
    differ = sum(one["days_that_differ"] for one in groups.values())
    cells = sum(one["of"] for one in groups.values())
    quiet = told["quiet"]
    rows = [
        f"{told['place']}, departments {', '.join(told['departments'])}: {told['older_deaths']:,} deaths of seven years "
        f"entered as {told['older']['rows']:,} rows of counts; {told['certificates']:,} certificates of {told['year']} were "
        f"published, coded and counted ({pipeline['certificates_a_second']:.0f} a second, {pipeline['dead_letters']} dead "
        f"letters). Of {cells:,} cells (group, department, day), {differ:,} differ from what was simulated; on "
        f"{told['against_truth']['known']['looks']} evenings the counts knew what had arrived, to within "
        f"{told['against_truth']['known']['largest_difference']} deaths.",
        "",
        "| outbreak | where | deaths | course | days to the alert | deaths by then | without nowcast |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    plots: dict[str, str] = {}
    for one in told["outbreaks"]:
        days, dead = one["days_to_alert"], one["deaths_before_alert"]
        shown = [("not found" if days[way] is None else f"{days[way]}", dead[way]) for way in ("nowcast", "raw")]
        rows.append(
            f"| {one['name']} (`{one['group']}`) | {one['place']} | {one['size']} | {one['shape']} | {shown[0][0]} | "
            f"{shown[0][1] if shown[0][1] is not None else '–'} | {shown[1][0]} |"
        )
        plots[f"surveillance_outbreak_{one['name']}.svg"] = drawings.outbreak(
            one, f"{one['size']} deaths, {one['shape']}, in {one['place']}"
        )
    rows.append(
        f"\nOf {quiet['weeks_judged']:,} weeks of all groups of the study judged at alpha 0.01, {len(quiet['alarms'])} were "
        f"alarms; {quiet['unexplained']} of them without outbreak or wave, where {quiet['weeks_judged'] / 100:.0f} are to be "
        "expected of so many."
    )
    return {"year": "\n".join(rows)}, plots
