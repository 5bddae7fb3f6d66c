"""Downloads: what a page shows, as CSV. Names of columns are English, days are ISO, decimals have a point."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stream.surveillance.dashboard.choice import Choice
from stream.surveillance.dashboard.curve import Curve, Point
from stream.surveillance.dashboard.figures import Parts
from stream.surveillance.dashboard.notices import Notice
from stream.surveillance.dashboard.rights import Rights

_POINT = (
    "first_day", "last_day", "deaths", "hidden", "share_here", "estimate", "estimate_low", "estimate_high", "expected",
    "threshold", "alarm", "z", "p_value", "not_judged",
)  # fmt: skip
_SERIES = ("group", "place", "by", "age", "sex", "source", "status", "as_of")


def curve(choice: Choice, found: Curve) -> str:
    """A series, a row for each step."""
    rows = ({**_series(choice), "method": found.method, **_point(point)} for point in found.points)
    return _written((*_SERIES, "method", *_POINT), rows)


def parts(choice: Choice, found: Parts) -> str:
    """A table of one week, the total first."""
    rows = [{**_series(choice), "part": "TOTAL", **_point(found.total)}] if found.total else []
    rows += [{**_series(choice), "part": part.key or "UNKNOWN", **_point(part.point)} for part in found.rows]
    return _written((*_SERIES, "part", *_POINT), rows)


def notices(found: Sequence[Notice], rights: Rights) -> str:
    """Alerts with their figures; certificates' ids stay on the alert's own page."""
    columns = (
        "alert_id", "status", "kind", "group", "place", "by", "age", "sex", "first_day", "last_day", "observed", "expected",
        "threshold", "completeness", "estimate", "estimate_low", "estimate_high", "level", "open", "held", "method",
        "raised_at", "notes",
    )  # fmt: skip
    evidence = (
        "score",
        "p_value",
        "adjusted",
        "z",
        "verified",
        "revision",
        "rules_version",
        "groups_version",
        "coded_versions",
    )
    rows = []
    for one in found:
        row: dict[str, Any] = {name: getattr(one, name) for name in columns if hasattr(one, name)}
        row |= {name: getattr(one, name) for name in evidence}
        row |= {"first_day": one.start, "last_day": one.end, "estimate_low": one.low, "estimate_high": one.high}
        row["notes"] = " ".join(filter(None, (note.code for note in one.notes)))
        rows.append(row)
    return _written((*columns, *evidence) if rights.small else columns, rows)


def _series(choice: Choice) -> dict[str, Any]:
    return {name: getattr(choice, name) for name in _SERIES}


def _point(point: Point) -> dict[str, Any]:
    return {
        "first_day": point.day, "last_day": point.last, "deaths": point.count, "hidden": point.hidden,
        "share_here": round(point.share, 4), "estimate": point.estimate, "estimate_low": point.low,
        "estimate_high": point.high, "expected": point.expected, "threshold": point.threshold, "alarm": point.alarm,
        "z": point.z, "p_value": point.p_value, "not_judged": point.reason,
    }  # fmt: skip


def _written(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"
    # A spreadsheet must not take a cell for a formula.
    text = str(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" else text
