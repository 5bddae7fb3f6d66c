"""In which of a few shades a place is shown: how far it is from what is expected, measured by its threshold."""

from __future__ import annotations

from enum import StrEnum

from stream.surveillance.dashboard.curve import Point


class Shade(StrEnum):
    """From fewer than usual to far above the threshold; shown by a mark as well as by a colour."""

    HIDDEN = "hidden"
    UNJUDGED = "unjudged"
    BELOW = "below"
    USUAL = "usual"
    RAISED = "raised"
    ALARM = "alarm"
    STRONG = "strong"


def shade(point: Point) -> Shade:
    """RAISED from half of the way to the threshold on, STRONG from twice the way on, BELOW as far on the other side."""
    if point.hidden:
        return Shade.HIDDEN
    if point.level is None or point.expected is None or point.threshold is None:
        return Shade.UNJUDGED
    way = (point.level - point.expected) / max(1.0, point.threshold - point.expected)
    if point.alarm:
        return Shade.STRONG if way >= 2 else Shade.ALARM
    return Shade.RAISED if way >= 0.5 else Shade.BELOW if way <= -1 else Shade.USUAL
