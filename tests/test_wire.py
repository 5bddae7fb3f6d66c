from __future__ import annotations

import contextlib
import copy
import struct
from typing import Any

import pytest
from fastavro.utils import generate_one
from hypothesis import given
from hypothesis import strategies as st
from values import DATES, MOMENTS, SEALED, WORDS, certificates, coded

from stream.certificate import Certificate, certificate_record, read_certificate
from stream.coding import CodedCertificate, ManualTask, TaskState, coded_record, read_coded, read_task, task_record
from stream.errors import BadAvro, BadFrame, InputError, RegistryUnavailable, UnknownSchema
from stream.registry import SUBJECTS, LocalRegistry, MemoryRegistry, Schema, load_schemas
from stream.settings import REPOSITORY
from stream.wire import Wire, frame_id

SCHEMAS = load_schemas(REPOSITORY / "schemas")
WIRE = Wire(LocalRegistry(REPOSITORY / "schemas"))


def avro(schema: Any, types: dict[str, Any] | None = None) -> st.SearchStrategy[Any]:
    """Any value of an Avro schema, of the kinds of schema that we use, as it is read back."""
    types = {} if types is None else types
    if isinstance(schema, list):
        return st.one_of([avro(branch, types) for branch in schema])
    if isinstance(schema, str) and schema in types:
        return avro(types[schema], types)
    kind = schema if isinstance(schema, str) else schema["type"]
    logical = None if isinstance(schema, str) else schema.get("logicalType")
    if kind in ("record", "enum"):
        types[schema["name"]] = schema
    if kind == "record":
        return st.fixed_dictionaries({f["name"]: avro(f["type"], types) for f in schema["fields"]})
    if kind == "array":
        return st.lists(avro(schema["items"], types), max_size=2)
    if kind == "enum":
        return st.sampled_from(schema["symbols"])
    if logical == "timestamp-millis":
        return MOMENTS
    if logical == "date":
        return DATES
    return {
        "null": st.none(),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "double": st.floats(allow_nan=False),
        "string": WORDS,
        "bytes": st.binary(max_size=20),
    }[kind]


@pytest.mark.parametrize("subject", SUBJECTS)
@given(data=st.data())
def test_every_value_of_every_subject_reads_back(subject: str, data: st.DataObject) -> None:
    record = data.draw(avro(SCHEMAS[subject]))
    assert WIRE.decode(subject, WIRE.encode(subject, record)) == record


@given(certificates(WORDS | SEALED))
def test_certificates_read_back(certificate: Certificate) -> None:
    value = WIRE.encode("certificates", certificate_record(certificate))
    assert read_certificate(WIRE.decode("certificates", value)) == certificate


@given(certificates(WORDS | SEALED), coded())
def test_results_read_back(certificate: Certificate, result: CodedCertificate) -> None:
    assert read_coded(WIRE.decode("coded", WIRE.encode("coded", coded_record(result)))) == result
    task = ManualTask("c", 1, 0, TaskState.OPEN, certificate=certificate, proposal=result)
    assert read_task(WIRE.decode("manual", WIRE.encode("manual", task_record(task)))) == task


def example(subject: str = "certificates") -> bytes:
    record: dict[str, Any] = generate_one(SCHEMAS[subject])
    return WIRE.encode(subject, record)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "null value"),
        (b"", "0 bytes are too few for a frame"),
        (b"\x00\x00\x00\x00\x01", "5 bytes are too few for a frame"),
        (b"\x01\x00\x00\x00\x01x", "magic byte 1, not 0"),
        (b"\xff\x00\x00\x00\x01x", "magic byte 255, not 0"),
        (b'{"certificate_id": "infarctus"}', "magic byte 123, not 0"),
    ],
)
def test_bad_frames(value: bytes | None, told: str) -> None:
    with pytest.raises(BadFrame) as failure:
        WIRE.decode("certificates", value)
    assert failure.value.message == told


@given(st.integers(0, 2**32 - 1), st.binary(min_size=1, max_size=3))
def test_the_frame_is_confluents(schema_id: int, body: bytes) -> None:
    assert frame_id(b"\x00" + struct.pack(">I", schema_id) + body) == schema_id


def test_what_we_write_is_framed_with_the_registrys_id() -> None:
    registry = LocalRegistry(REPOSITORY / "schemas")
    for subject in SUBJECTS:
        assert frame_id(example(subject)) == registry.current(subject)[0]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_truncated_at_every_byte(subject: str) -> None:
    whole = example(subject)
    for length in [*range(min(600, len(whole))), *range(max(600, len(whole) - 600), len(whole))]:
        with pytest.raises((BadFrame, BadAvro)):
            WIRE.decode(subject, whole[:length])
    with pytest.raises(BadAvro, match="1 bytes left over"):
        WIRE.decode(subject, whole + b"\x00")


@given(st.sampled_from(SUBJECTS), st.sampled_from(SUBJECTS), st.binary(max_size=300), st.integers(0, 10))
def test_hostile_bytes_raise_input_errors_only(reader: str, writer: str, body: bytes, schema_id: int) -> None:
    good = example(writer)
    for value in (good[:5] + body, b"\x00" + struct.pack(">I", schema_id) + body, body):
        try:
            WIRE.decode(reader, value)
        except InputError as error:
            assert repr(body)[2:-1] not in error.message or len(body) < 4


@given(st.data())
def test_one_spoilt_byte_raises_input_errors_only(data: st.DataObject) -> None:
    value = bytearray(example())
    value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        assert isinstance(WIRE.decode("certificates", bytes(value)), dict)


def test_a_length_beyond_all_memory() -> None:
    with pytest.raises(BadAvro):
        WIRE.decode("certificates", example()[:5] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01")


def test_text_that_is_no_utf8() -> None:
    value = WIRE.encode("certificates", {"certificate_id": "XX", "part1": [{"text": "a"}]})
    with pytest.raises(BadAvro) as failure:
        WIRE.decode("certificates", value.replace(b"XX", b"\xff\xfe"))
    assert failure.value.message == "schema id 1: UnicodeDecodeError"
    assert failure.value.__suppress_context__


def test_an_unknown_schema() -> None:
    with pytest.raises(UnknownSchema):
        WIRE.decode("certificates", b"\x00\x00\x00\x27\x0f" + example()[5:])


def changed(subject: str, change: Any) -> tuple[Wire, MemoryRegistry, Schema]:
    """A registry that also knows a newer schema, and a writer of it."""
    newer = copy.deepcopy(SCHEMAS[subject])
    change(newer)
    registry = MemoryRegistry(SCHEMAS)
    registry.add(newer)
    return Wire(registry), registry, newer


def written(newer: Schema, record: dict[str, Any], schema_id: int = len(SUBJECTS) + 1) -> bytes:
    value = Wire(MemoryRegistry({"x": newer})).encode("x", record)
    return value[:1] + struct.pack(">I", schema_id) + value[5:]


LEAST = {"certificate_id": "c", "part1": [{"text": "sepsis"}]}


def test_a_newer_producers_field_is_passed_over() -> None:
    def add(schema: Schema) -> None:
        schema["fields"].insert(1, {"name": "novelty", "type": ["null", "string"], "default": None, "doc": "New."})

    wire, _, newer = changed("certificates", add)
    record = wire.decode("certificates", written(newer, {**LEAST, "novelty": "x"}))
    assert "novelty" not in record
    assert read_certificate(record) == read_certificate(LEAST)


def test_an_older_producers_missing_field_takes_its_default() -> None:
    def remove(schema: Schema) -> None:
        schema["fields"] = [field for field in schema["fields"] if field["name"] != "form_version"]

    wire, _, older = changed("certificates", remove)
    assert wire.decode("certificates", written(older, dict(LEAST)))["form_version"] == "2017"


def test_a_symbol_that_we_do_not_know_is_read_as_the_default() -> None:
    def add(schema: Schema) -> None:
        (sex,) = [field for field in schema["fields"] if field["name"] == "sex"]
        sex["type"]["symbols"].append("X")

    wire, _, newer = changed("certificates", add)
    assert wire.decode("certificates", written(newer, {**LEAST, "sex": "X"}))["sex"] == "U"
    assert wire.decode("certificates", written(newer, {**LEAST, "sex": "F"}))["sex"] == "F"


@pytest.mark.parametrize(
    "schema",
    ["string", {"type": "record"}, {"type": "record", "name": "R", "fields": [{"name": "a", "type": "Elsewhere"}]}, 3,
     None, {"type": "array", "items": "int"}],
    ids=str,
)  # fmt: skip
def test_a_schema_of_the_registry_that_cannot_be_used(schema: Any) -> None:
    registry = MemoryRegistry(SCHEMAS)
    number = registry.add(schema)
    with pytest.raises(BadAvro):
        Wire(registry).decode("certificates", b"\x00" + struct.pack(">I", number) + b"\x02a")


def test_an_outage_of_the_registry_is_no_fault_of_the_record() -> None:
    registry = MemoryRegistry(SCHEMAS)
    wire, value = Wire(registry), Wire(registry).encode("certificates", LEAST)
    registry.down = True
    with pytest.raises(RegistryUnavailable):
        wire.decode("certificates", value)
    registry.down = False
    wire.decode("certificates", value)
    registry.down = True
    wire.decode("certificates", value)  # what was once resolved needs no registry


@pytest.mark.parametrize(
    "record", [{}, {"certificate_id": None}, {"certificate_id": "\ud800"},
               {**LEAST, "sex": "Q"}, {**LEAST, "part1": [3]}, {**LEAST, "death_date": "infarctus"}],
    ids=str,
)  # fmt: skip
def test_a_record_that_does_not_fit(record: dict[str, Any]) -> None:
    with pytest.raises(BadAvro) as failure:
        WIRE.encode("certificates", record)
    assert "infarctus" not in failure.value.message


def test_warming_asks_for_each_schema_once() -> None:
    registry = MemoryRegistry(SCHEMAS)
    asked: list[str] = []
    current = registry.current

    def ask(subject: str) -> tuple[int, Schema]:
        asked.append(subject)
        return current(subject)

    registry.current = ask  # type: ignore[method-assign]
    wire = Wire(registry)
    wire.warm(SUBJECTS)
    wire.encode("certificates", LEAST)
    assert asked == list(SUBJECTS)
