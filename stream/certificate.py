"""What comes in: a death certificate as the physician wrote it.

The JSON form and the Avro form have the same fields (`schemas/certificate.avsc`). Values are frozen; they are
built by `read_certificate`, which validates, and never change afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from stream.errors import EmptyCertificate, InvalidCertificate, OversizedText

_STRICT = ConfigDict(extra="forbid", hide_input_in_errors=True, ser_json_bytes="base64")
ID_MAX = 128
AGE_MAX = 200_000
"""Largest number of an age, whatever its unit: 547 years in days, 138 days in minutes."""
_TAG_BYTES = 16
_SURROGATE = re.compile("[\ud800-\udfff]")


class Status(StrEnum):
    """What a version says of its certificate; VOID withdraws it."""

    INITIAL = "INITIAL"
    AMENDED = "AMENDED"
    VOID = "VOID"


class Source(StrEnum):
    """The way the certificate came."""

    ELECTRONIC = "ELECTRONIC"
    PAPER = "PAPER"


class Form(StrEnum):
    """Model of certificate: NEONATAL up to day 27 of life, GENERAL from day 28 (arrêté of 17 July 2017)."""

    GENERAL = "GENERAL"
    NEONATAL = "NEONATAL"


class Sex(StrEnum):
    """Sex on the certificate; U is unknown."""

    M = "M"
    F = "F"
    U = "U"


class Manner(StrEnum):
    """The form's box for the circumstances of death."""

    NATURAL = "NATURAL"
    ACCIDENT = "ACCIDENT"
    SUICIDE = "SUICIDE"
    HOMICIDE = "HOMICIDE"
    WAR = "WAR"
    CARE_COMPLICATION = "CARE_COMPLICATION"
    INVESTIGATION = "INVESTIGATION"
    UNDETERMINED = "UNDETERMINED"


class AgeUnit(StrEnum):
    """Unit of an age at death."""

    YEARS = "YEARS"
    MONTHS = "MONTHS"
    DAYS = "DAYS"
    HOURS = "HOURS"
    MINUTES = "MINUTES"


_DAYS_IN = {
    AgeUnit.YEARS: 365.25,
    AgeUnit.MONTHS: 30.4375,
    AgeUnit.DAYS: 1.0,
    AgeUnit.HOURS: 1 / 24,
    AgeUnit.MINUTES: 1 / 1440,
}


class PlaceKind(StrEnum):
    """Where the death happened."""

    HOSPITAL = "HOSPITAL"
    CLINIC = "CLINIC"
    NURSING_HOME = "NURSING_HOME"
    HOME = "HOME"
    PUBLIC_ROAD = "PUBLIC_ROAD"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Age:
    """Age at death in its own unit."""

    __pydantic_config__ = _STRICT
    value: Annotated[int, Field(ge=0, le=AGE_MAX)]
    unit: AgeUnit = AgeUnit.YEARS

    @property
    def days(self) -> float:
        """Age in days."""
        return self.value * _DAYS_IN[self.unit]

    @property
    def years(self) -> float:
        """Age in years."""
        return self.days / _DAYS_IN[AgeUnit.YEARS]


@dataclass(frozen=True, slots=True)
class Place:
    """Place of death: kind, department and commune codes (Insee)."""

    __pydantic_config__ = _STRICT
    kind: PlaceKind | None = None
    department: Annotated[str, Field(max_length=3)] | None = None
    commune: Annotated[str, Field(max_length=5)] | None = None


@dataclass(frozen=True, slots=True)
class Residence:
    """Residence of the deceased: department and commune codes (Insee)."""

    __pydantic_config__ = _STRICT
    department: Annotated[str, Field(max_length=3)] | None = None
    commune: Annotated[str, Field(max_length=5)] | None = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """Text encrypted under a named key (AES-256-GCM); see `stream.sealing`."""

    __pydantic_config__ = _STRICT
    key_id: str
    nonce: bytes
    ciphertext: bytes


Text = str | Sealed


def _sealed_from_json(value: Any) -> Any:
    """JSON has no bytes: sealed text travels there as base64, in either alphabet."""
    if isinstance(value, dict) and any(isinstance(value.get(name), str) for name in _SEALED_BYTES):
        try:
            plain = {name: base64.b64decode(value[name].translate(_URL_SAFE), validate=True) for name in _SEALED_BYTES}
        except (KeyError, ValueError, TypeError, AttributeError):
            raise ValueError("sealed text is no base64") from None
        return {**value, **plain}
    return value


_SEALED_BYTES = ("nonce", "ciphertext")
_URL_SAFE = str.maketrans("-_", "+/")
AnyText = Annotated[Text, BeforeValidator(_sealed_from_json)]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of Part I or Part II: its text and, in Part I, the interval between onset and death as written."""

    __pydantic_config__ = _STRICT
    text: AnyText
    interval: AnyText | None = None


def _line_from_string(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


AnyLine = Annotated[Line, BeforeValidator(_line_from_string)]


def _in_utc(moment: datetime) -> datetime:
    """A moment that names no zone is in UTC: on the wire it would else hang on the zone of the producer's machine."""
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the years 1 to 9999") from None


Moment = Annotated[datetime, AfterValidator(_in_utc)]


@dataclass(frozen=True, slots=True)
class Surgery:
    """Operation within four weeks before death."""

    __pydantic_config__ = _STRICT
    within_4_weeks: bool | None = None
    reason: AnyText | None = None


@dataclass(frozen=True, slots=True)
class Neonatal:
    """What the neonatal form adds: weight in grams, gestation in completed weeks, the mother's conditions."""

    __pydantic_config__ = _STRICT
    birth_weight_g: Annotated[int, Field(ge=0, le=10_000)] | None = None
    gestation_weeks: Annotated[int, Field(ge=0, le=50)] | None = None
    multiple: bool | None = None
    mother: tuple[AnyText, ...] = ()


@dataclass(frozen=True, slots=True)
class Certificate:
    """One version of a certificate, whole as known then. A higher version replaces a lower one."""

    __pydantic_config__ = _STRICT
    certificate_id: Annotated[str, Field(min_length=1, max_length=ID_MAX, pattern=r"^[\x21-\x7e]+$")]
    part1: tuple[AnyLine, ...] = ()
    part2: tuple[AnyLine, ...] = ()
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    status: Status = Status.INITIAL
    parts: tuple[Annotated[str, Field(pattern="^(INITIAL|COMPLEMENTARY)$")], ...] = ("INITIAL",)
    source: Source = Source.ELECTRONIC
    form: Form = Form.GENERAL
    form_version: Annotated[str, Field(max_length=32)] = "2017"
    received_at: Moment | None = None
    death_date: date | None = None
    birth_date: date | None = None
    sex: Sex = Sex.U
    age: Age | None = None
    place: Place = field(default_factory=Place)
    residence: Residence = field(default_factory=Residence)
    manner: Manner | None = None
    pregnancy: Annotated[str, Field(max_length=64, pattern="^[A-Z0-9_]+$")] | None = None
    work_accident: bool | None = None
    accident_place: AnyText | None = None
    autopsy: Annotated[str, Field(max_length=64, pattern="^[A-Z0-9_]+$")] | None = None
    surgery: Surgery | None = None
    neonatal: Neonatal | None = None

    @property
    def age_days(self) -> float | None:
        """Age at death in days: as stated, else from the dates, else None."""
        if self.age is not None:
            return self.age.days
        if self.birth_date and self.death_date:
            return float(max(0, (self.death_date - self.birth_date).days))
        return None

    @property
    def content_hash(self) -> str:
        """Hash of everything but the moment of receipt: two records of a version must agree on it."""
        content = _ADAPTER.dump_python(self, mode="json", exclude={"received_at"})
        canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


_ADAPTER = TypeAdapter(Certificate)


def read_certificate(value: Any, *, line_chars: int = 2_000, lines: int = 30, chars: int = 10_000) -> Certificate:
    """Certificate from its JSON or Avro mapping.

    Args:
        value: mapping of the fields; only `certificate_id` and one of `part1`, `part2` are required.
        line_chars: most characters in a line.
        lines: most lines in a part.
        chars: most characters in all: the time that a certificate takes must be less than a worker may be silent for.

    Raises:
        InvalidCertificate: the fields at fault, without their values.
        EmptyCertificate: no text anywhere, and the version is not a VOID.
        OversizedText: over the limits.
    """
    try:
        certificate: Certificate = _ADAPTER.validate_python(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = "; ".join(f"{_path(e['loc'])}: {e['type']}" for e in faults[:3])
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise InvalidCertificate(told + more) from None
    written = [*certificate.part1, *certificate.part2]
    mother = certificate.neonatal.mother if certificate.neonatal else ()
    if max(len(certificate.part1), len(certificate.part2), len(mother)) > lines:
        raise OversizedText(f"more than {lines} lines")
    texts = [t for line in written for t in (line.text, line.interval) if t is not None]
    others = [certificate.accident_place, certificate.surgery.reason if certificate.surgery else None]
    texts += [*(t for t in others if t is not None), *(certificate.neonatal.mother if certificate.neonatal else ())]
    if any(isinstance(t, str) and not t.isascii() and _SURROGATE.search(t) for t in texts):
        raise InvalidCertificate("a text holds half a character (a lone surrogate)")
    # Sealed text is bytes of UTF-8 and a tag: it is measured in characters once it is open.
    sealed_bytes = 4 * line_chars + _TAG_BYTES
    if any(len(t) > line_chars if isinstance(t, str) else len(t.ciphertext) > sealed_bytes for t in texts):
        raise OversizedText(f"a text is longer than {line_chars} characters")
    if sum(len(t) for t in texts if isinstance(t, str)) > chars:
        raise OversizedText(f"the texts are longer than {chars} characters together")
    if certificate.status is not Status.VOID and not any(
        isinstance(line.text, Sealed) or line.text.strip() for line in written
    ):
        raise EmptyCertificate("no text in Part I nor Part II")
    return certificate


def _path(location: tuple[int | str, ...]) -> str:
    """Field path of a fault. Only our own field names: a stranger's key might be text from a certificate."""
    known = [str(part) for part in location if isinstance(part, int) or part in _FIELD_NAMES]
    return ".".join(known) or ("unknown field" if location else "certificate")


_FIELD_NAMES = frozenset(
    name
    for kind in (Certificate, Line, Age, Place, Residence, Surgery, Neonatal, Sealed)
    for name in kind.__dataclass_fields__
)


def certificate_record(certificate: Certificate) -> dict[str, Any]:
    """Mapping with dates and enums as Python objects' plain values, as the Avro schema takes them."""
    record: dict[str, Any] = _ADAPTER.dump_python(certificate)
    return record


def certificate_json(certificate: Certificate) -> dict[str, Any]:
    """Mapping of JSON values only."""
    record: dict[str, Any] = _ADAPTER.dump_python(certificate, mode="json")
    return record


def utc_now() -> datetime:
    """Now, in UTC, at the millisecond that Avro keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
