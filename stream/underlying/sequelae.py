"""Sequelae by time: what began a year or more before the death counts by the code of its sequelae.

WHO ICD-10 volume 1 (2016), notes at I69, B91, B94.1, G09 and Y85–Y89: sequelae are conditions specified as such, and those
present, or occurring, a year or more after the onset of the condition that caused them. `tables/sequelae.tsv` pairs the codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stream.errors import InvalidData
from stream.underlying.codes import Codes, dot, is_code
from stream.underlying.external import EXTERNAL, INJURY
from stream.underlying.sequence import Mention

#: Days from which a condition is one of the past; "12 months" and "1 year" of any calendar reach it.
YEAR = 365.0


class Sequelae:
    """Codes of sequelae; of two rows that hold a code, the first counts."""

    def __init__(self, rows: Sequence[tuple[Codes, str]]) -> None:
        self._rows = tuple(rows)

    def of(self, code: str) -> str | None:
        """The code of the sequelae of a bare code, dotted; None where there is none."""
        return next((dot(result) for codes, result in self._rows if code in codes), None)


def is_past(code: str, mentions: Sequence[Mention]) -> bool:
    """Whether a cause is said to have begun a year or more before the death, wherever it is dated.

    An external cause without an interval of its own is as old as the injuries that it brought about.
    """
    stated = [m.days for m in mentions if m.code == code and m.days is not None]
    if not stated and code in EXTERNAL:
        stated = [m.days for m in mentions if m.code in INJURY and m.days is not None]
    return bool(stated) and min(stated) >= YEAR


def read_sequelae(rows: Iterable[Sequence[str]], name: str) -> Sequelae:
    """Sequelae from the rows of `sequelae.tsv`.

    Raises:
        InvalidData: a result that is no code, or that has sequelae itself.
    """
    found = []
    for number, (codes, result, source) in enumerate(rows, start=2):
        if not (codes and is_code(result) and source and result not in Codes(codes)):
            raise InvalidData(f"{name}:{number}: not codes, code of their sequelae, source")
        found.append((Codes(codes), result))
    return Sequelae(found)
