"""CSV files of certificates in two shapes, told apart by their header (columns: `stream.offline.columns`).

*One row a certificate* has columns ``part1_1``, …, ``part2``; *one row a line* has a column ``text``, and its
consecutive rows of one ``certificate_id`` and ``version`` make a certificate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from stream.errors import InputError, InvalidCertificate, OversizedText
from stream.offline import columns
from stream.offline.lines import Line
from stream.offline.records import Record, Records
from stream.offline.rows import Row, build
from stream.settings import Limits

SEPARATORS = (";", ",", "\t")
_DOCS = "see docs/files.md"


def rows(header: Line, lines: Iterable[Line], limits: Limits) -> Iterator[Row]:
    """Rows of a file whose first line is `header`."""
    try:
        header.text()
        separator, names = _header(header)
        _check(names)
    except InputError as error:
        yield Row(header.number, None, error, end=header.end)
        return
    records = Records(lines, separator)
    yield from (_lines(names, records, limits) if "text" in names else _certificates(names, records, limits))


def _header(line: Line) -> tuple[str, list[str]]:
    """Separator and names of the columns: the separator that makes most sense of the line."""
    tries = []
    for separator in SEPARATORS:
        record = next(Records([line], separator), None)
        names = [name.strip().lower() for name in record.fields] if record and not record.error else []
        tries.append((sum(columns.is_known(name) for name in names), separator, names))
    _, separator, names = max(tries, key=lambda found: found[0])
    return separator, names


def _check(names: list[str]) -> None:
    """Raises: InvalidCertificate, with positions for names: a file without header would show its text."""
    if "certificate_id" not in names:
        raise InvalidCertificate("the header names no column certificate_id", hint=_DOCS)
    shapes = "text" in names, any(columns.is_text(name) for name in names)
    if not any(shapes):
        raise InvalidCertificate("the header names no column of text: part1_1, part2 or text", hint=_DOCS)
    if all(shapes) or (not shapes[0] and columns.LINE_COLUMNS.intersection(names)):
        raise InvalidCertificate("the header mixes one row a line with one row a certificate", hint=_DOCS)
    for position, name in enumerate(names, 1):
        if name and not columns.is_known(name):
            raise InvalidCertificate(f"the header's column {position} is none that is known", hint=_DOCS)
        if name and name in names[: position - 1]:
            raise InvalidCertificate(f"the header's column {position} repeats an earlier one", hint=_DOCS)


def _cells(names: list[str], record: Record) -> dict[str, str]:
    """Cell of each column, stripped.

    Raises:
        InputError: the record's own error, or another number of cells than columns.
    """
    if record.error:
        raise record.error
    cells = record.fields
    if len(cells) < len(names) or any(cell.strip() for cell in cells[len(names) :]):
        raise InvalidCertificate(f"{len(cells)} cells under {len(names)} columns")
    return {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name}


def _certificates(names: list[str], records: Records, limits: Limits) -> Iterator[Row]:
    for record in records:
        try:
            cells = _cells(names, record)
        except InputError as error:
            yield Row(record.number, None, error, end=record.end)
        else:
            yield build(record.number, columns.wide(cells), limits, end=record.end)


@dataclass(slots=True)
class _Group:
    """Rows of one certificate, as they come; after its first fault it only remembers that."""

    number: int
    key: tuple[str, str]
    error: InputError | None = None
    end: int = 0
    cells: dict[str, str] = field(default_factory=dict)
    parts: dict[int, dict[int, dict[str, str]]] = field(default_factory=lambda: {1: {}, 2: {}})

    def add(self, cells: dict[str, str], most: int) -> None:
        """Take a row in."""
        try:
            self._add(cells, most)
        except InputError as error:
            self.error = self.error or error

    def _add(self, cells: dict[str, str], most: int) -> None:
        for name, cell in cells.items():
            if cell and name not in columns.LINE_COLUMNS and self.cells.setdefault(name, cell) != cell:
                raise InvalidCertificate(f"{name}: the rows of the certificate contradict one another")
        text, interval = cells["text"], cells.get("interval", "")
        if not text and not interval and not cells.get("line"):
            return  # a certificate without lines still has its row: a VOID, say
        lines = self.parts[columns.part(cells.get("part", ""))]
        if len(lines) >= most:
            raise OversizedText(f"more than {most} lines")
        position = columns.place(cells.get("line", ""), max(lines, default=0), most)
        if position in lines:
            raise InvalidCertificate("line: two rows of the certificate have the same")
        lines[position] = columns.line(text, interval)

    def row(self, limits: Limits) -> Row:
        """The certificate, or its first fault."""
        if self.error:
            return Row(self.number, None, self.error, end=self.end)
        fields = columns.common(self.cells)
        fields["part1"], fields["part2"] = (columns.filled(self.parts[part]) for part in (1, 2))
        return build(self.number, fields, limits, end=self.end)


def _lines(names: list[str], records: Records, limits: Limits) -> Iterator[Row]:
    """Certificates of consecutive rows.

    A certificate never goes on without one of its lines: a row that cannot be read makes an error of the certificate
    that it names, or, where it names none, of those before and after it.
    """
    group: _Group | None = None
    doubt: InputError | None = None
    for record in records:
        try:
            cells, fault = _cells(names, record), None
        except InputError as error:
            cells = {n: c.strip() for n, c in zip(names, record.fields, strict=False) if n}
            fault = error
        key = cells.get("certificate_id", ""), cells.get("version", "")
        if fault and (not group or key != group.key):
            # Whose line it is cannot be trusted: it stands alone, and its neighbours are not whole for certain.
            doubt = InvalidCertificate(f"line {record.number}, beside it, cannot be read and may belong to it")
            if group:
                group.error = group.error or doubt
            yield Row(record.number, None, fault, end=record.end)
            continue
        if group is None or key != group.key:
            if group:
                yield group.row(limits)
            group = _Group(record.number, key, error=doubt)
        doubt = None
        group.end = record.end
        group.error = group.error or fault
        if not fault:
            group.add(cells, limits.lines)
    if group:
        yield group.row(limits)
