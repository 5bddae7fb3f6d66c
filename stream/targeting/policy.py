"""The targeting policy: a validated, versioned file that the coding office maintains, with the thresholds fitted to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from stream.certificate import Form, Source
from stream.errors import InvalidData
from stream.nomenclature.agreement import Level
from stream.targeting import common
from stream.targeting import edits as known_edits
from stream.targeting.thresholds import NONE, Thresholds, told
from stream.targeting.thresholds import read as read_thresholds

Category = Annotated[str, Field(pattern=r"^[A-Z]\d\d$")]
Share = Annotated[float, Field(ge=0, le=1)]
Bound = Annotated[float, Field(gt=0, lt=1)]
Range = tuple[Category, Category]
Code = Annotated[str, Field(pattern=r"^[A-Z]\d\d(\.\d)?$")]


_AFTER = "~"
"""Comes after all that may follow a bound in a code."""


def _ordered(ranges: Iterable[tuple[str, str]]) -> None:
    if any(first > last for first, last in ranges):
        raise ValueError("the first category comes after the last")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Promise(_Strict):
    """How sure the promise is, and what counts as wrong."""

    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    level: Level = "exact"


class Stratum(_Strict):
    """A stratum, who falls into it, what is promised of it and how often it is audited."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    form: Form | None = None
    source: Source | None = None
    under_days: float | None = Field(None, gt=0)
    codes: tuple[Range, ...] = ()
    error: Bound
    audit_rate: Annotated[float, Field(gt=0, le=1)]

    @field_validator("codes")
    @classmethod
    def _in_order(cls, codes: tuple[Range, ...]) -> tuple[Range, ...]:
        _ordered(codes)
        return codes

    @property
    def conditional(self) -> bool:
        """Whether it takes some certificates only."""
        return bool(self.form or self.source or self.under_days or self.codes)

    def holds(self, form: Form, source: Source, age_days: float | None, code: str | None) -> bool:
        """Whether a certificate falls into it."""
        if self.form not in (None, form) or self.source not in (None, source):
            return False
        if self.under_days is not None and (age_days is None or age_days >= self.under_days):
            return False
        return not self.codes or (code is not None and any(a <= code[:3] <= b for a, b in self.codes))


class Interest(_Strict):
    """Causes that a person always sees, and how much one such death presses.

    Attributes:
        codes: both within, categories (with all that is in them) or codes of four characters.
        why: in words; results and the desk tell it.
        alert: how much it presses, 0 to 9.
        mention: wherever the cause stands; the underlying cause alone without.
        under_days: age in days that is too old; None for any age, and for one that is not known.
    """

    codes: tuple[Code, Code]
    why: Annotated[str, Field(min_length=1)]
    alert: Annotated[int, Field(ge=0, le=9)] = 0
    mention: bool = False
    under_days: float | None = Field(None, gt=0)

    @field_validator("codes")
    @classmethod
    def _in_order(cls, codes: tuple[str, str]) -> tuple[str, str]:
        if len(codes[0]) != len(codes[1]):
            raise ValueError("one bound is a category, the other none")
        _ordered([codes])
        return codes

    def holds(self, code: str) -> bool:
        """Whether a code, as Causa writes it, lies in the range."""
        return self.codes[0] <= code <= self.codes[1] + _AFTER

    def of_age(self, age_days: float | None) -> bool:
        """Whether somebody of an age is meant."""
        return self.under_days is None or (age_days is not None and age_days < self.under_days)


class Rules(_Strict):
    """What the file says; see `policy.yaml` for the meaning of each field."""

    version: Annotated[str, Field(min_length=1)]
    promise: Promise = Promise()
    strata: Annotated[tuple[Stratum, ...], Field(min_length=1)]
    strict: Bound = 0.5
    interest: tuple[Interest, ...] = ()
    infant_days: float = Field(0, ge=0)
    rare_below: float = Field(0, ge=0)
    edits: dict[str, Literal["reject", "warn", "off"]] = {}
    max_unknown_words: Share = 1.0
    capacity_per_day: int = Field(0, ge=0)

    @field_validator("edits", mode="before")
    @classmethod
    def _off_is_a_word(cls, edits: Any) -> Any:
        """YAML 1.1 reads a bare ``off`` as false."""
        return {k: "off" if v is False else v for k, v in edits.items()} if isinstance(edits, dict) else edits

    @field_validator("edits")
    @classmethod
    def _edits_known(cls, edits: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(edits) - {edit.id for edit in known_edits.load().edits})
        if unknown:
            raise ValueError(f"there is no edit {', '.join(unknown)}")
        return edits

    @model_validator(mode="after")
    def _strata_end(self) -> Rules:
        names = [stratum.name for stratum in self.strata]
        if len(set(names)) != len(names):
            raise ValueError("two strata bear one name")
        if self.strata[-1].conditional or not all(s.conditional for s in self.strata[:-1]):
            raise ValueError("the last stratum, and it alone, takes what is left: it has no condition")
        return self

    @cached_property
    def division(self) -> str:
        """Who falls into which stratum, and what an alarm asks for, as a hash: thresholds hold for no other."""
        told = [stratum.model_dump(mode="json", exclude={"error", "audit_rate"}) for stratum in self.strata]
        return hashlib.blake2b(json.dumps([told, self.strict]).encode(), digest_size=4).hexdigest()

    def stratum(self, form: Form, source: Source, age_days: float | None, code: str | None) -> Stratum:
        """The stratum of a certificate."""
        return next(s for s in self.strata if s.holds(form, source, age_days, code))


@dataclass(frozen=True, slots=True)
class Policy:
    """The office's rules, the thresholds fitted to them, and what identifies both in results.

    Attributes:
        rules: what a person maintains.
        thresholds: what calibration found; where it is out of date, nothing is automatic.
        version: version of the rules and hash of both files.
        rare: categories that are rare are those not in this set.
    """

    rules: Rules
    thresholds: Thresholds
    version: str
    common: frozenset[str] = frozenset()

    def is_rare(self, code: str) -> bool:
        """Whether deaths of this cause are rarer than the policy's limit."""
        return self.rules.rare_below > 0 and code[:3] not in self.common

    def stale(self, stratum: Stratum) -> bool:
        """Whether the stratum's threshold was fitted to another promise than the one made now, or to other strata."""
        if self.thresholds.division not in ("", self.rules.division):
            return True
        fitted = self.thresholds.strata.get(stratum.name)
        promise = self.rules.promise
        return fitted is None or (fitted.error, fitted.confidence, fitted.level) != (
            stratum.error, promise.confidence, promise.level,
        )  # fmt: skip


@lru_cache(maxsize=8)
def load(path: Path, thresholds: Path | None) -> Policy:
    """Policy of a file, with the thresholds of another; with none, nothing is automatic.

    Raises:
        InvalidData: a file is missing, no YAML, or breaks the schema; the message names the fields.
    """
    text = _text(path)
    rules = read(text, path.name)
    fitted = read_thresholds(thresholds) if thresholds else NONE
    digest = hashlib.blake2b(f"{text}\n{told(fitted)}".encode(), digest_size=4).hexdigest()
    return Policy(rules, fitted, f"{rules.version}+{digest}", common.at_least(rules.rare_below))


def read_file(path: Path) -> Rules:
    """Rules of a file.

    Raises:
        InvalidData: see `load`.
    """
    return read(_text(path), path.name)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidData(f"policy {path.name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidData(f"policy {path.name} is no YAML") from error


class _Twice(yaml.constructor.ConstructorError):
    """A field that one mapping names twice."""


class _Loader(yaml.SafeLoader):
    """YAML in which a second ``interest:`` at the end does not silently take the place of the first."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _Twice(None, None, f"{key.value} is told twice", key.start_mark)
                seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def read(text: str, name: str = "policy") -> Rules:
    """Rules of a policy's text.

    Raises:
        InvalidData: it is no YAML or breaks the schema; the message names the fields.
    """
    try:
        return Rules.model_validate(yaml.load(text, Loader=_Loader))  # noqa: S506 - a safe loader all the same
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        raise InvalidData(
            f"policy {where}: {error.problem}" if isinstance(error, _Twice) else f"policy {where} is no YAML"
        ) from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'policy'}: {e['msg']}" for e in error.errors())
        raise InvalidData(f"policy {name}: {faults}") from None
