"""Plots of a report, as SVG to stand inside a page."""

from __future__ import annotations

from collections.abc import Sequence

from stream.drawing import BLUE, GREY, RED, drawn, svg
from stream.evaluation.score import Reliability, Tally


def reliability(found: Reliability, title: str) -> str:
    """Stated chances against what came true, in bins of equal size: on the diagonal they mean what they say."""
    with drawn(4.6, 4.2) as (figure, axes):
        bins = found.bins()
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
        axes.plot([p for p, _, _ in bins], [y for _, y, _ in bins], color=BLUE, marker="o", linewidth=1.5)
        low = max(0.0, min([p for p, _, _ in bins] + [y for _, y, _ in bins], default=0.0) - 0.05)
        axes.set(xlim=(low, 1.01), ylim=(low, 1.01), xlabel="stated probability", ylabel="share right", title=title)
        axes.set_aspect("equal")
        ticks = [tick / 10 for tick in range(11) if tick / 10 >= low]
        axes.set_xticks(ticks)
        axes.set_yticks(ticks)
        axes.text(
            0.97,
            0.06,
            f"calibration error {found.error:.3f}, n={len(found.chances)}",
            transform=axes.transAxes,
            ha="right",
        )
        return svg(figure, title)


def coverage(found: Reliability, title: str) -> str:
    """Error among the surest, as more and more are taken: what a threshold buys."""
    with drawn(4.6, 4.2) as (figure, axes):
        pairs = sorted(zip(found.chances, found.right, strict=True), key=lambda pair: -pair[0])
        wrong, shares, errors = 0, [], []
        for n, (chance, right) in enumerate(pairs, start=1):
            wrong += not right
            if n == len(pairs) or pairs[n][0] != chance:  # certificates of one chance are taken together
                shares.append(100 * n / len(pairs))
                errors.append(100 * wrong / n)
        axes.plot(shares, errors, color=RED, linewidth=1.5)
        axes.set(
            xlim=(0, 100),
            ylim=(0, None),
            xlabel="certificates taken, surest first (%)",
            ylabel="wrong (%)",
            title=title,
        )
        return svg(figure, title)


def chapters(found: Sequence[tuple[str, Tally]], title: str) -> str:
    """F1 of each chapter, the commonest on top."""
    with drawn(7.2, 0.28 * len(found) + 1.1) as (figure, axes):
        names = [f"{name} (n={tally.expected})" for name, tally in found]
        axes.barh(names, [tally.f1 for _, tally in found], color=BLUE, height=0.7)
        for row, (_, tally) in enumerate(found):
            axes.text(tally.f1 + 0.01, row, f"{tally.f1:.3f}", va="center", fontsize=9)
        axes.invert_yaxis()
        axes.set(xlim=(0, 1.1), xlabel="F1, exact code", title=title)
        return svg(figure, title)
