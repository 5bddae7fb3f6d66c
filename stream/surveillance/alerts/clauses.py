"""The clauses of `alerts.yaml`: what each part may say, and what it means where it says nothing."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from stream.errors import InvalidSettings
from stream.surveillance.alerts.alert import Kind
from stream.surveillance.counts import By
from stream.surveillance.detection import methods
from stream.surveillance.detection.series import Series, Step

Level = Annotated[int, Field(ge=0, le=9)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Occasion = Literal["RAISED", "VERIFIED", "ESCALATED", "ENDED"]


class Strict(BaseModel):
    """No field that is not known: a misspelt one is a fault, not a rule that never speaks."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Judge(Strict):
    """A method and its options, by R's names."""

    name: str
    options: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _texts(cls, data: Any) -> Any:
        """Options are written as YAML has them, and read as text."""
        if isinstance(data, dict) and isinstance(data.get("options"), dict):
            return {**data, "options": {key: _text(value) for key, value in data["options"].items()}}
        return data

    @model_validator(mode="after")
    def _made(self) -> Self:
        try:
            methods.judge(self.name, Series(date(2000, 1, 3), (), Step.WEEK), self.options, ())
        except InvalidSettings as error:
            raise ValueError(error.message) from None
        return self


class Nowcasting(Strict):
    """How late arrivals are foreseen: longest delay and days learned from; a series of fewer than `own` deaths in them
    borrows the delays of all deaths of its place, or of France.
    """

    longest: Annotated[int, Field(ge=1)] = 30
    m: Annotated[int, Field(ge=2)] = 120
    weekday: bool = True
    own: Annotated[int, Field(ge=1)] = 400

    @model_validator(mode="after")
    def _longer(self) -> Self:
        if self.m <= self.longest:
            raise ValueError("m is to be longer than the longest delay")
        return self


class Covering(Strict):
    """When the share of deaths that arrive has changed: by this ratio between now (the last `weeks`) and before, or by so
    much of the electronic share from the weeks before to this one.
    """

    least: Annotated[float, Field(ge=0, lt=1)] = 0.2
    ratio: Annotated[float, Field(gt=1)] = 1.15
    jump: Annotated[float, Field(gt=0, lt=1)] = 0.1
    weeks: Annotated[int, Field(ge=2, le=26)] = 8


class Coding(Strict):
    """A change of what codes: alarms are held for `hold` days after it, and tell of it for `note` days."""

    hold: Annotated[int, Field(ge=0)] = 14
    note: Annotated[int, Field(ge=0, le=366)] = 180


class Living(Strict):
    """Days without an alarm after which an alert is over; days without a judgement after which it is, too."""

    calm: Annotated[int, Field(ge=1)] = 7
    silent: Annotated[int, Field(ge=1)] = 28


class Section(Strict):
    """Series that are judged together: their alarms share one control of false ones."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]
    groups: Annotated[tuple[str, ...], Field(min_length=1)]
    less: Annotated[tuple[str, ...], Field(alias="except")] = ()
    places: Annotated[tuple[str, ...], Field(min_length=1)] = ("FR",)
    by: By = By.ANY
    ages: Annotated[tuple[str, ...], Field(min_length=1)] = ("all",)
    sexes: Annotated[tuple[Literal["all", "M", "F"], ...], Field(min_length=1)] = ("all",)
    method: Judge | None = None
    otherwise: Judge | None = None
    least: Annotated[int, Field(ge=1)] | None = None
    q: Annotated[float, Field(gt=0, lt=1)] | None = None
    level: Level = 3


class Single(Strict):
    """Deaths that matter one by one: those of groups with `alert` from `least` on, or with a level of `levels`.

    `beside`: a group is not told where the other one, which holds it, is told of the same death. `days`: deaths coded
    longer ago than that raise nothing, as when a database is built anew. `close`: an alert ends by itself after it.
    """

    least: Annotated[int, Field(ge=1, le=9)] = 1
    levels: dict[str, Level] = {}
    beside: dict[str, str] = {}
    days: Annotated[int, Field(ge=1)] = 90
    close: Annotated[int, Field(ge=1)] = 60


class Chosen(Strict):
    """Which alerts a rule is about; what it does not name plays no part."""

    kind: Kind | None = None
    groups: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


class Muting(Chosen):
    """Alerts that no sink hears of, to the end of a day."""

    until: date
    why: Words


class Escalating(Chosen):
    """Alerts that press more: from this level on, with this score, unacknowledged or going on for so long."""

    why: Words
    least: Annotated[Level, Field(alias="from")] = 0
    score: float | None = None
    unacknowledged_hours: Annotated[float, Field(gt=0)] | None = None
    ongoing_days: Annotated[int, Field(ge=1)] | None = None
    verified: bool | None = None
    to: Level

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.to <= self.least:
            raise ValueError("to is a level above from")
        return self


class Hearing(Chosen):
    """What a sink hears of, and how it is told."""

    level: Level = 1
    occasions: tuple[Occasion, ...] = ("RAISED", "VERIFIED", "ESCALATED", "ENDED")
    unverified: bool = True
    lang: Literal["fr", "en"] = "fr"
    details: bool = True


class File(Strict):
    """All of `alerts.yaml`."""

    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{1,3}$")]
    behind: Annotated[int, Field(ge=0, le=30)] = 0
    years: Annotated[int, Field(ge=1, le=30)] = 8
    method: Judge
    otherwise: Judge | None = None
    least: Annotated[int, Field(ge=1)] = 5
    q: Annotated[float, Field(gt=0, lt=1)] = 0.05
    adjust: Literal["BH", "BY", "none"] = "BH"
    exclude: tuple[str, ...] = ()
    nowcast: Nowcasting = Nowcasting()
    coverage: Covering = Covering()
    coding: Coding = Coding()
    lifecycle: Living = Living()
    series: tuple[Section, ...] = ()
    single: Single = Single()
    mute: tuple[Muting, ...] = ()
    escalate: tuple[Escalating, ...] = ()
    sinks: dict[str, Hearing] = {}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
