"""Records of a CSV file: lines to fields, where one bad record does not take its neighbours with it.

A quote that nobody closes would swallow the rest of the file: a record that runs over `RECORD_LINES` lines, that
ends with the file inside quotes, or that is otherwise no CSV is an error of its first line alone, and reading starts
again on the next.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stream.errors import InputError, InvalidCertificate, OversizedText
from stream.offline.lines import ROW_BYTES, Line

RECORD_LINES = 50


@dataclass(frozen=True, slots=True)
class Record:
    """Fields of one record, which begins on line `number`.

    Attributes:
        number: line, counted from 1.
        fields: what it holds; what could be made out of it where `error` is set.
        error: why it is no record.
        end: bytes of the file up to its end.
    """

    number: int
    fields: list[str]
    error: InputError | None = None
    end: int = 0


class Records:
    """Iterator of the records in `lines`, separated by `separator`; a line of empty fields gives none."""

    def __init__(self, lines: Iterable[Line], separator: str) -> None:
        self._lines = iter(lines)
        self._separator = separator
        self._again: deque[Line] = deque()
        self._taken: list[Line] = []
        self._feed = _Feed(self)
        self._reader = csv.reader(self._feed, delimiter=separator, strict=True)

    def __iter__(self) -> Iterator[Record]:
        """Itself."""
        return self

    def __next__(self) -> Record:
        """Next record, good or bad."""
        while True:
            self._taken = []
            try:
                fields = next(self._reader)
            except (csv.Error, InputError) as error:
                return self._bad(error)
            if any(field.strip() for field in fields):
                return Record(self._taken[0].number, fields, end=self._taken[-1].end)

    def take(self) -> str:
        """Next line for the CSV reader.

        Raises:
            InputError: the line or the record that it goes on cannot be read.
        """
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        if len(self._taken) > RECORD_LINES or sum(len(taken.data) for taken in self._taken) > ROW_BYTES:
            raise InvalidCertificate(f"quotes are not closed within {RECORD_LINES} lines")
        text = line.text()
        if "\0" in text:
            raise InvalidCertificate("a NUL character")
        return text + "\n"

    def _bad(self, cause: Exception) -> Record:
        first, *others = self._taken
        self._again.extendleft(reversed(others))
        if isinstance(cause, InputError):
            error: InputError = cause
        elif "field larger" in str(cause):
            error = OversizedText("a field is over 131072 characters")
        elif "new-line" in str(cause):
            error = InvalidCertificate("a carriage return amid the row")
        elif not first.whole:
            error = InvalidCertificate("quotes are not closed: the last line may have been cut short")
        else:
            error = InvalidCertificate("quotes are not closed, or stand amid the text of a quoted field")
        made_out = first.data[: 1 << 16].decode("utf-8", "replace").split(self._separator)
        return Record(first.number, [field.strip('"') for field in made_out], error, first.end)


class _Feed:
    """Lines as the CSV reader pulls them; unlike a generator it goes on after it has raised."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return self._records.take()
