"""The targeting policy: a validated, versioned file that the coding office maintains."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stream.errors import InvalidData

Category = Annotated[str, Field(pattern=r"^[A-Z]\d\d$")]
Share = Annotated[float, Field(ge=0, le=1)]


class CodeRange(BaseModel):
    """Categories from first to last, and why they are listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    codes: tuple[Category, Category]
    why: str = ""

    @field_validator("codes")
    @classmethod
    def _in_order(cls, codes: tuple[str, str]) -> tuple[str, str]:
        if codes[0] > codes[1]:
            raise ValueError("the first category comes after the last")
        return codes

    def holds(self, code: str) -> bool:
        """Whether a code lies in the range."""
        return self.codes[0] <= code[:3] <= self.codes[1]


class Rules(BaseModel):
    """What the file says; see `policy.yaml` for the meaning of each field."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: str
    min_confidence: Share
    audit_rate: Share
    mandatory_interest: tuple[CodeRange, ...] = ()
    infant_days: float = Field(0, ge=0)
    ill_defined: tuple[CodeRange, ...] = ()
    max_unknown_words: Share = 1.0


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules and what identifies them in results: version and hash of the file."""

    rules: Rules
    version: str


@lru_cache(maxsize=8)
def load(path: Path) -> Policy:
    """Policy of a file.

    Raises:
        InvalidData: the file is missing, no YAML, or breaks the schema; the message names the fields.
    """
    try:
        text = path.read_text(encoding="utf-8")
        rules = Rules.model_validate(yaml.safe_load(text))
    except OSError as error:
        raise InvalidData(f"policy {path.name} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidData(f"policy {path.name} is no YAML") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidData(f"policy {path.name}: {faults}") from None
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    return Policy(rules, f"{rules.version}+{digest}")
