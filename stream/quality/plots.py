"""Plots of the report on the coding's quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stream.drawing import AMBER, BLUE, GREEN, GREY, INK, RED, drawn, svg
from stream.quality.counts import Corrected
from stream.quality.delays import Delay
from stream.quality.estimate import Agreement, Promised, Verdict
from stream.quality.rates import MODALITIES, Week

_COLOURS = {Verdict.KEPT: GREEN, Verdict.NOT_YET_PROVEN: AMBER, Verdict.BROKEN: RED}
_BY_WHOM = {"RULES": "#0b3b8c", "MODEL": BLUE, "HUMAN": GREEN, "AWAITED": "#c9d2da"}
SHOWN = 25
"""Categories that are drawn; the table holds all."""
DECIDED = 30
"""Audits of a month under which its interval says next to nothing: it is drawn, but the scale is not made for it."""


def promised(found: Sequence[Promised]) -> str:
    """Error of each stratum between its bounds, beside what is promised."""
    title = "Error of the automatic certificates"
    with drawn(7.2, 0.5 * len(found) + 1.3) as (figure, axes):
        for row, one in enumerate(found):
            colour = _COLOURS[one.verdict]
            low, high = 100 * one.found.low, 100 * one.found.high
            axes.plot([low, high], [row, row], color=colour, linewidth=5, alpha=0.45, solid_capstyle="butt")
            if one.audited:
                axes.plot(100 * one.found.value, row, color=colour, marker="o", markersize=6, linestyle="none")
            axes.plot([100 * one.error] * 2, [row - 0.32, row + 0.32], color=INK, linewidth=2)
        most = [100 * x for one in found for x in (one.error, one.found.high if one.audited >= DECIDED else 0)]
        axes.set_yticks(range(len(found)), [f"{one.stratum} ({one.audited} audits)" for one in found])
        axes.invert_yaxis()
        axes.set(xlim=(0, min(100.0, 1.25 * max(most, default=1.0))), xlabel="wrong (%); the black mark is promised")
        axes.set_title(title)
        return svg(figure, title, "; ".join(f"{one.stratum}: {one.verdict.value.lower()}" for one in found))


def agreement(found: Mapping[str, Mapping[str, Agreement]], title: str) -> str:
    """Agreement with its interval at each level, group by group."""
    colours = {"exact": BLUE, "three": AMBER, "shortlist": GREEN}
    named = {"exact": "all characters", "three": "three characters", "shortlist": "European shortlist"}
    names = sorted({name for groups in found.values() for name in groups})
    with drawn(7.2, 3.4) as (figure, axes):
        lows = []
        for shift, (level, groups) in enumerate(found.items()):
            for at, name in enumerate(names):
                one = groups.get(name)
                if one is None or not one.audited:
                    continue
                x = at + (shift - 1) * 0.2
                axes.plot([x, x], [100 * one.share.low, 100 * one.share.high], color=colours[level], alpha=0.5, lw=2)
                axes.plot(x, 100 * one.share.value, color=colours[level], marker="o", ms=4, linestyle="none")
                if one.audited >= DECIDED:
                    lows.append(100 * one.share.low)
            axes.plot([], [], color=colours[level], marker="o", ms=4, label=named[level])
        axes.set_xticks(range(len(names)), names, rotation=45 if len(names) > 8 else 0)
        axes.set(ylim=(max(0.0, min(lows, default=0.0) - 3), 100.5), ylabel="agreement (%)")
        axes.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.22))
        axes.set_title(title)
        return svg(figure, title, "points with 95 % intervals, from the audit of automatic certificates")


def overestimation(found: Sequence[Corrected], labels: Mapping[str, str]) -> str:
    """How far the machine's count of each of the commonest categories is off."""
    title = "Over- and underestimation of each category"
    shown = [one for one in found if one.deviation is not None][:SHOWN]
    with drawn(7.2, 0.29 * len(shown) + 1.2) as (figure, axes):
        widest = 10.0
        for row, one in enumerate(shown):
            off = one.deviation
            assert off is not None
            certain = off.low > 0 or off.high < 0
            colour = RED if certain else GREY
            axes.plot([off.low, min(off.high, 1e4)], [row, row], color=colour, linewidth=2)
            axes.plot(off.value, row, color=colour, marker="o", markersize=4)
            widest = max(widest, 1.5 * abs(off.value))
        axes.axvline(0, color=INK, linewidth=0.8)
        short = [labels.get(one.category, "other") for one in shown]
        texts = [
            f"{text if len(text) < 42 else text[:40] + '…'} ({one.counted})"
            for text, one in zip(short, shown, strict=True)
        ]
        axes.set_yticks(range(len(shown)), texts, fontsize=8.5)
        axes.invert_yaxis()
        axes.set(
            xlim=(-min(100.0, widest * 2), widest * 2), xlabel="machine counts too many (%), negative: too few; 95 %"
        )
        axes.set_title(title)
        return svg(figure, title, "intervals in red leave zero out; the table below holds the figures")


def modalities(found: Mapping[str, Mapping[str, int]]) -> str:
    """Who coded the certificates of each month."""
    title = "Who gave the official cause, by month"
    names = sorted(found)
    with drawn(7.2, 3.2) as (figure, axes):
        bottom = [0.0] * len(names)
        for modality in MODALITIES:
            shares = [100 * found[name].get(modality, 0) / max(1, sum(found[name].values())) for name in names]
            axes.bar(
                range(len(names)), shares, bottom=bottom, color=_BY_WHOM[modality], width=0.8, label=modality.lower()
            )
            bottom = [b + s for b, s in zip(bottom, shares, strict=True)]
        axes.set_xticks(range(len(names)), names, rotation=45 if len(names) > 8 else 0)
        axes.set(ylim=(0, 100), ylabel="certificates (%)")
        axes.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.22))
        axes.set_title(title)
        return svg(figure, title)


def delays(found: Mapping[str, Delay]) -> str:
    """Share of certificates that have been coded, by time since receipt."""
    title = "Delay from receipt"
    named = {
        "first": ("first code", BLUE),
        "final": ("official cause", INK),
        "final_by_people": ("official, by people", GREEN),
    }
    with drawn(5.2, 3.4) as (figure, axes):
        for name, told in found.items():
            label, colour = named[name]
            days, shares = [d for d, _ in told.curve], [100 * share for _, share in told.curve]
            axes.plot(days, shares, color=colour, label=label, linewidth=1.6)
        axes.set_xscale("log")
        axes.set_xticks([0.01, 0.1, 1, 7, 30, 180], ["15 min", "2 h", "1 d", "7 d", "30 d", "180 d"])
        axes.minorticks_off()
        axes.set(ylim=(0, 101), ylabel="coded (%)")
        axes.legend(frameon=False, loc="lower right")
        axes.set_title(title)
        return svg(figure, title)


def weeks(found: Mapping[str, Week]) -> str:
    """What the texts were like: unknown words, and the machine's mean confidence."""
    title = "Unknown words and confidence by week"
    names = sorted(name for name, week in found.items() if week.certificates)
    step = max(1, len(names) // 10)
    with drawn(7.2, 3.2) as (figure, axes):
        axes.plot(range(len(names)), [100 * found[n].unknown / found[n].certificates for n in names], color=RED, lw=1.5)
        axes.set(ylim=(0, None), ylabel="unknown words (%)")
        axes.yaxis.label.set_color(RED)
        other = axes.twinx()
        sure = [found[n].confidence / found[n].coded if found[n].coded else float("nan") for n in names]
        other.plot(range(len(names)), sure, color=BLUE, lw=1.5)
        other.set_ylabel("mean confidence", color=BLUE)
        other.spines["right"].set_visible(True)
        axes.set_xticks(range(0, len(names), step), names[::step], rotation=45)
        axes.set_title(title)
        return svg(figure, title)
