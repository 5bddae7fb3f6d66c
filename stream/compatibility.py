"""Whether a schema may follow another: old readers must read new records and new readers old ones.

The check writes generated records with one schema and reads them with the other, so it says what really happens
rather than what a rule book promises.
"""

from __future__ import annotations

import io
from typing import Any

import fastavro
from fastavro.utils import generate_many

from stream.errors import InvalidData

SAMPLES = 20
"""A record's number chooses branches of unions and symbols of enums in turn: as many as the longest enum has, and more."""


def check(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise when records of either schema cannot be read by the other.

    Raises:
        InvalidData: which way it fails, and the schema's name.
    """
    for writer, reader, way in ((new, old, "readers of the old"), (old, new, "readers of the new")):
        fault = unreadable(writer, reader)
        if fault:
            raise InvalidData(f"schema {new.get('name')}: {way} version cannot read the other's records: {fault}")


def unreadable(writer: dict[str, Any], reader: dict[str, Any]) -> str:
    """The first fault when reading generated records of `writer` with `reader`; empty when there is none."""
    parsed_writer, parsed_reader = fastavro.parse_schema(writer), fastavro.parse_schema(reader)
    for record in generate_many(parsed_writer, SAMPLES):
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, parsed_writer, record)
        buffer.seek(0)
        try:
            fastavro.schemaless_reader(buffer, parsed_writer, parsed_reader)
        except (fastavro.read.SchemaResolutionError, ValueError, TypeError, KeyError) as error:
            return f"{type(error).__name__}: {error}"[:300]
    return ""
