"""Deaths that civil registration counted: what the certificates are to add up to."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from stream.database import prepare, upsert, writing
from stream.errors import InvalidData
from stream.surveillance.counts.numbering import SERVICE
from stream.surveillance.counts.older import count_in, day_in, rows_of
from stream.surveillance.counts.places import WHOLE, department_code
from stream.surveillance.counts.tables import EXPECTED, FORM, TABLES, day_number

NEEDED = ("day", "department", "deaths")


def import_expected(engine: Engine, path: Path) -> int:
    """Take a file: CSV with `day`, `department`, `deaths`; ``FR`` is a number of the whole. What it tells replaces what
    was told before of the same day and department.

    Returns:
        Rows taken.

    Raises:
        InvalidData: names file and line.
        InvalidSettings: the file cannot be read.
        DatabaseUnavailable: the server is away.
    """
    told: dict[tuple[int, str], int] = {}
    for where, row in rows_of(path, NEEDED):
        place = WHOLE if row["department"] == WHOLE else department_code(row["department"])
        if not place:
            raise InvalidData(f"{where}: {row['department']!r} is no department")
        key = day_number(day_in(row, "day", where)), place
        if key in told:
            raise InvalidData(f"{where}: {row['day']} and {place} come twice")
        told[key] = count_in(row, "deaths", where)
    prepare(engine, TABLES, service=SERVICE, version=FORM)
    with writing(engine) as connection:
        upsert(connection, EXPECTED, [
            {"day": day, "place": place, "deaths": deaths} for (day, place), deaths in sorted(told.items())
        ])  # fmt: skip
    return len(told)
