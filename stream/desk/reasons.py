"""Reasons that coders choose from: a validated file that the coding office maintains (`reasons.yaml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stream.errors import InvalidData

TABLE = Path(__file__).with_name("reasons.yaml")
ACCEPTED, BLIND, SECOND_OPINION, ADJUDICATED, DRAWN, SHREDDED = OWN = (
    "ACCEPTED", "BLIND", "SECOND_OPINION", "ADJUDICATED", "DRAWN", "SHREDDED",
)  # fmt: skip
"""Reasons that the desk gives by itself."""


class ReasonCode(BaseModel):
    """A reason: a code that stands in events, words in French and English, and whether it is no longer offered."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    code: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,39}$")]
    fr: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]
    old: bool = False


_List = Annotated[tuple[ReasonCode, ...], Field(min_length=1)]


class Reasons(BaseModel):
    """The reasons, by what they are for."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    changes: _List
    skips: _List
    escalations: _List
    returns: _List
    seconds: _List
    undos: _List
    own: _List

    @model_validator(mode="after")
    def _once(self) -> Reasons:
        for name in type(self).model_fields:
            codes = [reason.code for reason in getattr(self, name)]
            if len(set(codes)) < len(codes):
                raise ValueError(f"{name}: a code is told twice")
        if missing := sorted(set(OWN) - {reason.code for reason in self.own}):
            raise ValueError(f"own: no words for {', '.join(missing)}")
        taken = {reason.code for reason in self.own} & {reason.code for reason in self.changes}
        if taken:
            raise ValueError(f"changes: {', '.join(sorted(taken))} is the desk's own")
        return self

    def offers(self, purpose: str, code: str) -> bool:
        """Whether a reason may be chosen now, for what a field of this class names."""
        return any(reason.code == code and not reason.old for reason in getattr(self, purpose))

    def label(self, code: str, language: str) -> str:
        """Words of a code in `fr` or `en`; the code itself where the file no longer has it."""
        for name in type(self).model_fields:
            for reason in getattr(self, name):
                if reason.code == code:
                    return str(reason.fr if language == "fr" else reason.en)
        return code


@cache
def load(path: Path = TABLE) -> Reasons:
    """The reasons of a file.

    Raises:
        InvalidData: it is missing, no YAML, or breaks the schema; the message names the fields.
    """
    try:
        return Reasons.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidData(f"reasons {path.name} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise InvalidData(f"reasons {path.name}:{mark.line + 1 if mark else 1}: no YAML") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()[:5])
        raise InvalidData(f"reasons {path.name}: {faults}") from None
