"""The intent behind an external cause: it is what the certifier states (WHO ICD-10 volume 2, 2016, 4.2.6).

`tables/intents.tsv` holds, for each kind of event, its code by accident, suicide, homicide and of undetermined intent. An
event coded as an accident, or as of undetermined intent, becomes the like event of the intent that was ticked; an intent
that the certificate's words already tell stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stream.errors import InvalidData
from stream.underlying.codes import Codes, bare, dot, is_code

_ACCIDENT = Codes("V01-X59 Y85-Y86")
_SUICIDE = Codes("X60-X84 Y870")
_HOMICIDE = Codes("X85-Y09 Y871")
_UNDETERMINED = Codes("Y10-Y34 Y872")
_TOLD = {"SUICIDE": _SUICIDE, "HOMICIDE": _HOMICIDE}
#: What is ticked beside an intent without contradicting it.
_SILENT = (None, "INVESTIGATION")
_NONE = "-"


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One row: a kind of event, and its bare codes.

    Attributes:
        accident: codes by accident.
        by: code by manner; a manner that is absent has none.
        is_open: whether the accident is an unspecified one, which an undetermined intent turns.
    """

    accident: Codes
    by: dict[str, str]
    is_open: bool


class Intents:
    """All kinds of events; of two that hold a code, the first counts."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = tuple(events)

    def like(self, code: str, manner: str) -> str | None:
        """The code, dotted, of the like event of another intent; None where there is none."""
        event = self._event(bare(code))
        found = event.by.get(manner) if event else None
        return dot(found) if found else None

    def told(self, code: str, manner: str | None) -> tuple[str, str] | None:
        """(code by the manner that was ticked, step) for an external cause that was written; None where nothing is to tell.

        Where what is written contradicts what is ticked and stands, the step says so and the code is the same.
        """
        plain = bare(code)
        if manner == "UNDETERMINED":
            event = self._event(plain)
            if event and event.is_open and plain in _ACCIDENT:
                like = dot(event.by[manner])
                return like, f"manner: undetermined intent is ticked, {code} → {like}"
        elif manner in _TOLD and (plain in _ACCIDENT or plain in _UNDETERMINED):
            found = self.like(plain, manner)
            if found is None:
                return code, f"manner: {manner.lower()} is ticked, no like event, {code} stands"
            return found, f"manner: {manner.lower()} is ticked, {code} → {found}"
        other = next((m for m, codes in _TOLD.items() if plain in codes and manner not in (*_SILENT, m)), None)
        if other is not None and manner is not None:
            return code, f"manner: {manner.lower()} is ticked, {code} says {other.lower()} and stands"
        return None

    def _event(self, plain: str) -> Event | None:
        return next(
            (e for e in self._events if plain in e.accident or e.by.get("UNDETERMINED") in (plain, plain[:3])), None
        )


def read_intents(rows: Iterable[Sequence[str]], name: str) -> Intents:
    """Events from the rows of `intents.tsv`.

    Raises:
        InvalidData: a code that is not of the intent of its column.
    """
    wanted = {"SUICIDE": _SUICIDE, "HOMICIDE": _HOMICIDE, "UNDETERMINED": _UNDETERMINED}
    events = []
    for number, (accident, *codes, is_open, source) in enumerate(rows, start=2):
        by = {manner: code for manner, code in zip(wanted, codes, strict=True) if code != _NONE}
        sound = all(is_code(code) and code in wanted[manner] for manner, code in by.items())
        if not (sound and by and source and is_open in ("yes", "no")):
            raise InvalidData(f"{name}:{number}: not an event by accident, suicide, homicide, of undetermined intent")
        accidents = Codes(accident)
        if is_open == "yes" and "UNDETERMINED" not in by:
            raise InvalidData(f"{name}:{number}: an open event needs a code of undetermined intent")
        events.append(Event(accidents, by, is_open == "yes"))
    return Intents(events)
