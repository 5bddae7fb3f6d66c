"""A draft: codes by line as a coder leaves them, before they are a decision. Codes and places only, never text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from stream.coding import CodedCertificate, CodedLine
from stream.desk.refusals import Invalid

_STRICT = ConfigDict(extra="forbid", hide_input_in_errors=True)
CODES = 40
"""Most codes on a line."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a draft.

    Attributes:
        where: path of the field, such as ``part1.0.codes.2.code``.
        code: what is wrong, in capitals.
    """

    where: str
    code: str


@dataclass(frozen=True, slots=True)
class DraftCode:
    """A code on a line.

    Attributes:
        code: as typed; `i219` is taken for `I21.9`.
        start, end: characters of the raw line that it stands for; None where it stands for the line.
        due_to: index in this line of the code that the text says caused this one.
    """

    __pydantic_config__ = _STRICT
    code: Annotated[str, Field(max_length=16)]
    start: Annotated[int, Field(ge=0)] | None = None
    end: Annotated[int, Field(ge=0)] | None = None
    due_to: Annotated[int, Field(ge=0)] | None = None


@dataclass(frozen=True, slots=True)
class DraftLine:
    """The codes of a line, in order."""

    __pydantic_config__ = _STRICT
    codes: Annotated[tuple[DraftCode, ...], Field(max_length=CODES)] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A coding of a certificate.

    Attributes:
        part1, part2: a line for each of the certificate's.
        underlying: code of the underlying cause; empty while there is none.
        reason: code of the reason, where the proposal is changed.
        confirmed: ids of broken edits that the coder has seen and keeps.
        second: ask another coder for a second opinion.
        keep_old: decide on the version that was shown although a newer one came; not where the certificate was withdrawn.
        seen: revision of the proposal that its author has seen; None where nobody tells.
    """

    __pydantic_config__ = _STRICT
    part1: Annotated[tuple[DraftLine, ...], Field(max_length=100)] = ()
    part2: Annotated[tuple[DraftLine, ...], Field(max_length=100)] = ()
    underlying: Annotated[str, Field(max_length=16)] = ""
    reason: Annotated[str, Field(max_length=64)] = ""
    confirmed: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=100)] = ()
    second: bool = False
    keep_old: bool = False
    seen: Annotated[int, Field(ge=0)] | None = None

    @classmethod
    def of(cls, record: CodedCertificate) -> Draft:
        """The draft that takes a record as it is."""
        return cls(_lines(record.part1), _lines(record.part2), record.underlying.code or "")

    def codes(self) -> tuple[tuple[str, ...], ...]:
        """Codes by line, Part I first."""
        return tuple(tuple(code.code for code in line.codes) for line in (*self.part1, *self.part2))


def _lines(part: tuple[CodedLine, ...]) -> tuple[DraftLine, ...]:
    return tuple(DraftLine(tuple(DraftCode(e.code, e.start, e.end, e.due_to) for e in line.entities)) for line in part)


_ADAPTER: TypeAdapter[Draft] = TypeAdapter(Draft)


def draft_json(draft: Draft) -> dict[str, Any]:
    """JSON mapping of a draft."""
    found: dict[str, Any] = _ADAPTER.dump_python(draft, mode="json")
    return found


def read_draft(value: Mapping[str, Any] | str | bytes) -> Draft:
    """Draft of its JSON mapping, or of JSON itself.

    Raises:
        Invalid: it is none; the faults name the fields.
    """
    try:
        if isinstance(value, str | bytes):
            return _ADAPTER.validate_json(value)
        return _ADAPTER.validate_python(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        names = {*Draft.__dataclass_fields__, *DraftLine.__dataclass_fields__, *DraftCode.__dataclass_fields__}
        places = [".".join(str(p) for p in e["loc"] if isinstance(p, int) or p in names) for e in faults]
        raise Invalid(tuple(Fault(place or "draft", "FORM") for place in places[:10])) from None
