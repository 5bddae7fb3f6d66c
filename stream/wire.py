"""Bytes to values and back: Avro in the Confluent frame (magic byte 0, schema id in four bytes, body).

Writers use this software's schema; readers resolve whatever schema the frame names to it, so producers and consumers
may be one version apart.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import fastavro

from stream.errors import BadAvro, BadFrame
from stream.registry import SchemaRegistry

MAGIC = 0
_HEADER = struct.Struct(">bI")


def frame_id(value: bytes | None) -> int:
    """Schema id that the frame of `value` names.

    Raises:
        BadFrame: null, too short, or another magic byte.
    """
    if value is None:
        raise BadFrame("null value")
    if len(value) < _HEADER.size + 1:
        raise BadFrame(f"{len(value)} bytes are too few for a frame")
    magic, schema_id = _HEADER.unpack_from(value)
    if magic != MAGIC:
        raise BadFrame(f"magic byte {magic & 0xFF}, not 0")
    return int(schema_id)


class Wire:
    """Codec of all topics over one registry. Decoding a schema id for the first time may ask the registry."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._writers: dict[str, tuple[bytes, Any]] = {}
        self._readers: dict[int, Any] = {}

    def encode(self, subject: str, record: dict[str, Any]) -> bytes:
        """Framed bytes of a record.

        Raises:
            BadAvro: the record does not fit the schema (a fault of ours).
        """
        header, schema = self._writer(subject)
        buffer = io.BytesIO()
        buffer.write(header)
        try:
            fastavro.schemaless_writer(buffer, schema, record)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise BadAvro(f"record does not fit schema {subject}: {type(error).__name__}") from None
        return buffer.getvalue()

    def decode(self, subject: str, value: bytes | None) -> dict[str, Any]:
        """Record of framed bytes, in this software's schema of `subject`.

        Raises:
            BadFrame, UnknownSchema, BadAvro: the record is at fault.
            RegistryUnavailable: the registry does not answer about an id not yet seen.
        """
        schema_id = frame_id(value)
        assert value is not None
        writer = self._readers.get(schema_id)
        if writer is None:
            # Parsed apart from our own: two versions of a named type must not share one name table.
            writer = self._readers[schema_id] = _parsed(schema_id, self._registry.by_id(schema_id))
        _, reader = self._writer(subject)
        buffer = io.BytesIO(value)
        buffer.seek(_HEADER.size)
        try:
            record = fastavro.schemaless_reader(buffer, writer, reader)
        # Hostile bytes make fastavro raise nearly anything: all of it means that the bytes do not decode.
        except Exception as error:
            raise BadAvro(f"schema id {schema_id}: {type(error).__name__}") from None
        if buffer.tell() != len(value):
            raise BadAvro(f"schema id {schema_id}: {len(value) - buffer.tell()} bytes left over")
        if not isinstance(record, dict):
            raise BadAvro(f"schema id {schema_id}: not a record")
        return record

    def must_ask(self, value: bytes | None) -> bool:
        """Whether decoding would ask the registry, which may take seconds."""
        try:
            return frame_id(value) not in self._readers
        except BadFrame:
            return False

    def warm(self, subjects: tuple[str, ...]) -> None:
        """Resolve the schemas of `subjects` now, so that a fault shows at the start."""
        for subject in subjects:
            self._writer(subject)

    def _writer(self, subject: str) -> tuple[bytes, Any]:
        known = self._writers.get(subject)
        if known is None:
            schema_id, schema = self._registry.current(subject)
            parsed = fastavro.parse_schema(schema, named_schemas={})
            known = self._writers[subject] = (_HEADER.pack(MAGIC, schema_id), parsed)
        return known


def _parsed(schema_id: int, schema: Any) -> Any:
    try:
        return fastavro.parse_schema(schema, named_schemas={})
    # A registry holds what others put there: references to other schemas, mistakes, anything.
    except Exception as error:
        raise BadAvro(f"schema id {schema_id} cannot be used: {type(error).__name__}") from None
