"""The form's box on pregnancy: when it ended, and whether the certifier says that it contributed to the death.

Forms differ (French form of 2017, WHO form of 2016, VRDR of HL7); `tables/pregnancy.tsv` says what each value means. A
number alone is VRDR's: whoever imports another form's numbers writes the words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stream.errors import InvalidData

_BETWEEN = re.compile(r"[^A-Z0-9]+")
_CONTRIBUTED = {"yes": True, "no": False, "?": None}


class Ended(StrEnum):
    """When the pregnancy ended."""

    AT_DEATH = "AT_DEATH"
    """The woman died pregnant."""
    WITHIN_42_DAYS = "WITHIN_42_DAYS"
    LATE = "LATE"
    """43 days to a year before the death."""
    OVER_A_YEAR = "OVER_A_YEAR"
    NONE = "NONE"
    """There was none within a year."""
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Pregnancy:
    """What the box says.

    Attributes:
        ended: when the pregnancy ended.
        contributed: whether the certifier says that it contributed to the death; None where the form does not tell.
    """

    ended: Ended = Ended.UNKNOWN
    contributed: bool | None = None

    @property
    def is_recent(self) -> bool:
        """Whether the woman was pregnant, or had been within 42 days."""
        return self.ended in (Ended.AT_DEATH, Ended.WITHIN_42_DAYS)


UNTOLD = Pregnancy()


class Boxes:
    """The values of the box that are known; any other tells nothing.

    Args:
        meanings: what each value means, the value as `_plain` writes it.
    """

    def __init__(self, meanings: Mapping[str, Pregnancy]) -> None:
        self._meanings = dict(meanings)

    def of(self, value: str | None) -> Pregnancy:
        """What a value of the box means, in whatever case and with whatever stands between its words."""
        return self._meanings.get(_plain(value), UNTOLD) if value else UNTOLD


def read_boxes(rows: Iterable[Sequence[str]], name: str) -> Boxes:
    """Boxes from the rows of `pregnancy.tsv`.

    Raises:
        InvalidData: a value that stands twice or is not in capitals, a time or a contribution that there is not.
    """
    meanings: dict[str, Pregnancy] = {}
    for number, (value, ended, contributed, source) in enumerate(rows, start=2):
        known = ended in Ended.__members__ and contributed in _CONTRIBUTED and source
        if not known or not value or value != _plain(value) or value in meanings:
            raise InvalidData(
                f"{name}:{number}: not a value of the box, when the pregnancy ended, yes, no or ?, source"
            )
        meanings[value] = Pregnancy(Ended(ended), _CONTRIBUTED[contributed])
    return Boxes(meanings)


def _plain(value: str) -> str:
    """A value in capitals, one underscore between its words."""
    return _BETWEEN.sub("_", value.upper()).strip("_")
