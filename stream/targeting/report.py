"""A policy asked about, as one page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.dates import date2num

from stream.drawing import BLUE, GREY, INK, RED, drawn, svg
from stream.targeting.calibrate import Step
from stream.targeting.policy import Policy
from stream.targeting.whatif import Comparison, Load

REASONS = ("LOW_CONFIDENCE", "MANDATORY_INTEREST", "REJECT")


def page(found: Comparison, curves: Mapping[str, Sequence[Step]], policy: Policy) -> str:
    """HTML of the page.

    Args:
        found: what was sent where, and what would have been.
        curves: error against coverage, by stratum; "all" for all of them.
        policy: the policy asked about.
    """
    environment = Environment(
        loader=PackageLoader("stream.targeting", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    drawings = [buys(steps, policy, name) for name, steps in curves.items() if steps]
    return environment.get_template("report.html.j2").render(
        found=found, policy=policy, drawings=drawings, days=per_day(found.before, found.after, policy), reasons=REASONS,
    )  # fmt: skip


def buys(steps: Sequence[Step], policy: Policy, name: str) -> str:
    """Error and its upper bound as more certificates are made automatic, beside what is promised."""
    title = f"What a threshold buys: {name}"
    errors = {s.name: s.error for s in policy.rules.strata}
    promised = errors.get(name, policy.rules.strata[-1].error)
    with drawn(5.2, 4.0) as (figure, axes):
        shares = [100 * s.coverage for s in steps]
        axes.plot(shares, [100 * s.error for s in steps], color=RED, linewidth=1.6, label="wrong")
        axes.plot(shares, [100 * s.upper for s in steps], color=GREY, linewidth=1.2, label="upper bound")
        axes.axhline(100 * promised, color=INK, linewidth=1, linestyle="--", label="promised at most")
        fitted = policy.thresholds.strata.get(name if name in errors else policy.rules.strata[-1].name)
        threshold = fitted.normal.threshold if fitted else None
        at = [s.coverage for s in steps if threshold is not None and s.threshold >= threshold]
        if at:
            axes.axvline(100 * at[-1], color=BLUE, linewidth=1, label=f"threshold {threshold:.3f}")
        # The bound of a handful of certificates says nothing, and would press the rest against the axis.
        most = max(4 * 100 * promised, 130 * max(s.error for s in steps))
        axes.set(xlim=(0, 101), ylim=(0, min(100.0, most)), xlabel="automatic, surest first (%)", ylabel="%")
        axes.set_title(f"{name}, n={steps[-1].accepted}")
        axes.legend(frameon=False, fontsize=8)
        return svg(figure, title, f"{100 * steps[-1].error:.1f} % wrong if all were automatic")


def per_day(before: Load, after: Load, policy: Policy) -> str:
    """Certificates for people day by day, as it was and as it would have been, beside what they can do."""
    title = "Certificates for people, by day of receipt"
    days = sorted({*before.manual, *after.manual})
    if len(days) < 2:
        return ""
    with drawn(8.2, 2.8) as (figure, axes):
        at = date2num(days)  # type: ignore[no-untyped-call]
        axes.plot(at, [before.manual[day] for day in days], color=GREY, linewidth=1.2, label="as it was")
        axes.plot(at, [after.manual[day] for day in days], color=BLUE, linewidth=1.4, label="with this policy")
        axes.xaxis_date()
        if policy.rules.capacity_per_day:
            axes.axhline(policy.rules.capacity_per_day, color=INK, linewidth=1, linestyle="--", label="capacity")
        axes.set(ylim=(0, None), ylabel="certificates")
        axes.set_title(title)
        axes.legend(frameon=False, fontsize=8, ncols=3)
        figure.autofmt_xdate()
        return svg(figure, title)
