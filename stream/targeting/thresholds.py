"""The thresholds that a calibration found: a file that `causa calibrate` writes and nobody edits by hand.

It names the versions of coder, lexicon, rules and ranker whose confidences it was fitted on. Confidences of any other
version mean something else: until it is calibrated again, nothing is coded automatically.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stream.coding import Automation, Versions
from stream.errors import InvalidData
from stream.nomenclature.agreement import Level

VERSIONED = ("lexicon", "rules", "coder", "underlying")
"""Versions that confidences depend on."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Found(_Strict):
    """A threshold and what speaks for it; see `risk.Chosen`."""

    threshold: Annotated[float, Field(ge=0, le=1)] | None
    accepted: int = 0
    wrong: int = 0
    upper: float = 1.0


class Threshold(_Strict):
    """What calibration found for a stratum.

    Attributes:
        error, confidence, level: the promise that it was fitted to.
        n: calibration certificates of the stratum, or of the strata that it was pooled with.
        pooled: strata that were fitted together because each alone had too few certificates; the promise then holds
            for them taken together.
        normal: the threshold of everyday.
        strict: the one after an alarm.
    """

    error: float
    confidence: float
    level: Level
    n: int
    pooled: tuple[str, ...] = ()
    normal: Found
    strict: Found

    def least(self, automation: Automation) -> float | None:
        """Least confidence for the automatic route; None where nothing is automatic.

        The two searches begin with different sets, so that `strict` may, by luck, come out below `normal`: an alarm
        never lowers the threshold all the same.
        """
        normal, strict = self.normal.threshold, self.strict.threshold
        if automation is Automation.HALTED or normal is None:
            return None
        if automation is Automation.NORMAL:
            return normal
        return None if strict is None else max(normal, strict)


class Thresholds(_Strict):
    """What calibration found for a policy.

    Attributes:
        certified: whether it was calibrated on an office's own random audits; else results are marked UNCERTIFIED.
        source: what it was calibrated on.
        made_at: when, UTC.
        versions: versions that confidences depend on.
        strata: by stratum.
        division: hash of the strata's conditions that it was fitted to; empty in files of before it was kept.
    """

    certified: bool
    source: str
    made_at: datetime
    versions: dict[str, str]
    strata: dict[str, Threshold]
    division: str = ""

    def strangers(self, versions: Versions) -> tuple[str, ...]:
        """Names of the versions that are others than those calibrated on."""
        return tuple(name for name in VERSIONED if self.versions.get(name) != getattr(versions, name))


NONE = Thresholds(certified=False, source="none", made_at=datetime.fromtimestamp(0, UTC), versions={}, strata={})
"""No thresholds: nothing is automatic."""


def read(path: Path) -> Thresholds:
    """Thresholds of a file.

    Raises:
        InvalidData: the file is missing, no YAML, or breaks the schema.
    """
    try:
        return Thresholds.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidData(
            f"thresholds {path.name} cannot be read: {error.strerror}", hint="causa calibrate makes them"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidData(f"thresholds {path.name} is no YAML") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'thresholds'}: {e['msg']}" for e in error.errors())
        raise InvalidData(f"thresholds {path.name}: {faults}", hint="causa calibrate makes them") from None


def told(thresholds: Thresholds) -> str:
    """One text for one content, for a hash."""
    return json.dumps(thresholds.model_dump(mode="json"), sort_keys=True)


def written(thresholds: Thresholds) -> str:
    """The file's text."""
    head = "# Written by `causa calibrate`; not to be edited: its hash is in every result.\n"
    return head + yaml.safe_dump(thresholds.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
