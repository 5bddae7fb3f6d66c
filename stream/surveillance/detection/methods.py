"""The methods by name, and their options from text, for commands and settings files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from stream.errors import InvalidSettings
from stream.surveillance.detection import cusum, ears, euromomo, farrington, flexible
from stream.surveillance.detection.series import Period, Series
from stream.surveillance.detection.verdict import Verdict

Judge = Callable[[Series, Any, Iterable[int] | None], tuple[Verdict, ...]]


@dataclass(frozen=True, slots=True)
class Method:
    """A method of detection.

    Attributes:
        options: dataclass of its options.
        judge: its function.
        fixed: options that the name settles.
        weekly: whether it wants weeks.
        summed: whether its scores are summed (CUSUM), with options of their own: k, ARL0, h, reset.
    """

    options: type[Any]
    judge: Judge
    fixed: Mapping[str, Any]
    weekly: bool
    summed: bool = False


_NOUFAILY = {"noPeriods": 10, "pastWeeksNotIncluded": 26, "pThresholdTrend": 1.0, "thresholdMethod": "nbPlugin"}
METHODS: Mapping[str, Method] = {
    "farrington": Method(farrington.Options, farrington.judge, {}, weekly=True),
    "farringtonFlexible": Method(flexible.Options, flexible.judge, {}, weekly=True),
    "noufaily": Method(flexible.Options, flexible.judge, _NOUFAILY, weekly=True),
    "C1": Method(ears.Options, ears.judge, {"method": "C1"}, weekly=False),
    "C2": Method(ears.Options, ears.judge, {"method": "C2"}, weekly=False),
    "C3": Method(ears.Options, ears.judge, {"method": "C3"}, weekly=False),
    "euromomo": Method(euromomo.Options, euromomo.judge, {}, weekly=True),
    "cusum": Method(euromomo.Options, euromomo.judge, {}, weekly=True, summed=True),
}
"""`noufaily` is `farringtonFlexible` with the options of its paper; `cusum` sums EuroMOMO's scores."""


def judge(
    name: str, series: Series, options: Mapping[str, str] | None = None, points: Iterable[int] | None = None
) -> tuple[Verdict, ...]:
    """Verdicts of a method.

    Args:
        name: one of `METHODS`.
        series: by days or weeks; a method that wants weeks makes them of days.
        options: as text, by R's names: `b`: `4`, `limit54`: `5,4`, `exclude`: `2020:2022` or
            `2020-03-01:2021-06-30`, several of them separated by commas.
        points: places in the series (of weeks, where the method wants weeks); all when None.

    Raises:
        InvalidSettings: an unknown method or option, or a value it does not take.
    """
    method = METHODS.get(name)
    if method is None:
        raise InvalidSettings(f"there is no method {name}", hint=f"one of {', '.join(METHODS)}")
    given = dict(options or {})
    summed = {key: given.pop(key) for key in _names(cusum.Options) if key in given} if method.summed else {}
    made = _made(name, method.options, given, method.fixed)
    verdicts = method.judge(series.weeks() if method.weekly else series, made, points)
    return cusum.judge(verdicts, _made(name, cusum.Options, summed, {})) if method.summed else verdicts


def described() -> dict[str, dict[str, Any]]:
    """Options of each method with their defaults."""
    found: dict[str, dict[str, Any]] = {}
    for name, method in METHODS.items():
        values = {field.name: field.default for field in fields(method.options)} | dict(method.fixed)
        if method.summed:
            values |= {field.name: field.default for field in fields(cusum.Options)}
        found[name] = values
    return found


def _names(options: type[Any]) -> dict[str, str]:
    """Names of options and their types as written."""
    return {field.name: str(field.type) for field in fields(options)}


def _made(name: str, options: type[Any], given: Mapping[str, str], fixed: Mapping[str, Any]) -> Any:
    types = _names(options)
    unknown = sorted(key for key in given if key not in types)
    if unknown:
        raise InvalidSettings(f"{name} has no option {unknown[0]}", hint=f"it has {', '.join(types)}")
    try:
        values = {key: _value(key, text.strip(), types[key]) for key, text in given.items()}
        return options(**{**fixed, **values})
    except InvalidSettings as error:
        # Two methods may share their options: who is told of a fault is told by the name that was asked for.
        raise InvalidSettings(f"{name}: {error.message}", hint=error.hint) from None


def _value(key: str, text: str, kind: str) -> Any:
    try:
        if kind.startswith("tuple[Period"):
            return tuple(_period(part) for part in text.split(",") if part.strip())
        if kind.startswith("tuple[int"):
            first, second = (int(part) for part in text.split(","))
            return first, second
        if kind.startswith("bool"):
            return {"true": True, "false": False}[text.lower()]
        if "None" in kind and text.upper() in ("", "NULL", "NONE"):
            return None
        return int(text) if kind.startswith("int") else float(text) if kind.startswith("float") else text
    except (ValueError, KeyError):
        raise InvalidSettings(f"option {key} does not take {text!r}") from None


def _period(text: str) -> Period:
    first, _, last = (part.strip() for part in text.partition(":"))
    last = last or first
    if len(first) == 4 and len(last) == 4:
        return Period.years(int(first), int(last))
    return Period(date.fromisoformat(first), date.fromisoformat(last))
