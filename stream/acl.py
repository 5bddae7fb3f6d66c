"""Who may do what on Kafka: the rights of `acl.tsv`, and the requests that give them to the broker.

aiokafka's admin client has no requests for access control lists; those here are versions 1 of DescribeAcls and CreateAcls
(KIP-290: literal and prefixed names), which every broker since 2.0 speaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int8, Int16, Int32, Schema, String

from stream import topics
from stream.errors import BrokerUnavailable, InvalidData
from stream.settings import Settings
from stream.worker.subjects import subject_topics

DECLARED = Path(__file__).with_name("acl.tsv")
USER = "causa-"
"""A role's user is this and the role's name."""
_ANY, _ALLOW, _LITERAL, _PREFIXED = 1, 3, 3, 4
_TYPES = {"TOPIC": 2, "GROUP": 3, "CLUSTER": 4, "TRANSACTIONAL_ID": 5}
_OPERATIONS = {
    "READ": 3, "WRITE": 4, "CREATE": 5, "DELETE": 6, "ALTER": 7, "DESCRIBE": 8, "DESCRIBE_CONFIGS": 10, "ALTER_CONFIGS": 11
}  # fmt: skip
_RESOURCES = {
    "topic": ("TOPIC", False), "topics*": ("TOPIC", True), "group": ("GROUP", False), "group*": ("GROUP", True),
    "transaction*": ("TRANSACTIONAL_ID", True), "cluster": ("CLUSTER", False),
}  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One user may do one thing with one resource, or with all whose names begin so.

    Attributes:
        principal: as the broker names it, ``User:causa-worker``.
        kind: TOPIC, GROUP, CLUSTER or TRANSACTIONAL_ID.
        name: of the resource, or its beginning.
        prefixed: which of the two.
        operation: READ, WRITE, …
    """

    principal: str
    kind: str
    name: str
    prefixed: bool
    operation: str

    def __str__(self) -> str:
        return f"{self.principal} may {self.operation} {self.kind} {self.name}{'*' if self.prefixed else ''}"


def declared(settings: Settings, path: Path = DECLARED) -> list[Right]:
    """The declared rights under the settings' names of topics and group.

    Raises:
        InvalidData: a row of another form, or a resource, topic or operation that is not known.
    """
    names = subject_topics(settings)
    found: set[Right] = set()
    lines = [
        (number, line)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    for number, line in lines[1:]:
        where = f"{path.name}:{number}"
        cells = line.split("\t")
        if len(cells) != len(lines[0][1].split("\t")) or not all(cells):
            raise InvalidData(f"{where}: not four cells")
        role, resource, name, operations = cells
        if resource not in _RESOURCES:
            raise InvalidData(f"{where}: {resource} is no resource")
        kind, prefixed = _RESOURCES[resource]
        if resource == "topic" and name != "*" and name not in names:
            raise InvalidData(f"{where}: {name} is no topic of the settings")
        if unknown := set(operations.split()) - set(_OPERATIONS):
            raise InvalidData(f"{where}: {', '.join(sorted(unknown))} is no operation")
        resources = list(names.values()) if name == "*" else [names[name]] if resource == "topic" else [name]
        found |= {
            Right(f"User:{USER}{role}", kind, one.replace("{group}", settings.worker.group), prefixed, operation)
            for one in resources
            for operation in operations.split()
        }
    return sorted(found)


async def present(options: Mapping[str, Any]) -> set[Right]:
    """The rights that the broker knows, of any user from anywhere; denials and kinds of no use here are left out.

    Raises:
        BrokerUnavailable: the broker refuses, has no authorizer, or does not answer.
    """
    async with topics.connected(options) as admin:
        answer = await _asked(admin, _Describe())
        _accepted(answer.error_code, "asked for its rights")
        kinds, operations = ({number: name for name, number in names.items()} for names in (_TYPES, _OPERATIONS))
        return {
            Right(principal, kinds[kind], name, pattern == _PREFIXED, operations[operation])
            for kind, name, pattern, entries in answer.resources
            for principal, host, operation, permission in entries
            if permission == _ALLOW and host == "*" and kind in kinds and operation in operations
        }


async def grant(options: Mapping[str, Any], rights: Iterable[Right]) -> None:
    """Give rights; those that are there stay.

    Raises:
        BrokerUnavailable: the broker refuses, has no authorizer, or does not answer.
    """
    async with topics.connected(options) as admin:
        for code, _ in (await _asked(admin, _Create(list(rights)))).results:
            _accepted(code, "given rights")


async def _asked(admin: AIOKafkaAdminClient, request: Request[Any]) -> Any:
    # Private, but the one way to a node in aiokafka's admin client; its version is pinned (pyproject.toml).
    return await admin._send_request(request)


def _accepted(code: int, what: str) -> None:
    if code:
        raise BrokerUnavailable(f"the broker cannot be {what}: {for_code(code).__name__}", hint="has it an authorizer?")


class _CreateResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 30
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("results", Array(("error_code", Int16), ("error_message", String("utf-8"))))
    )


class _CreateStruct(RequestStruct):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 30
    API_VERSION = 1
    RESPONSE_TYPE = _CreateResponse
    SCHEMA = Schema(
        (
            "creations",
            Array(
                ("resource_type", Int8), ("resource_name", String("utf-8")), ("pattern_type", Int8),
                ("principal", String("utf-8")), ("host", String("utf-8")), ("operation", Int8), ("permission", Int8),
            ),
        ),
    )  # fmt: skip


class _Create(Request[_CreateStruct]):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 30

    def __init__(self, rights: list[Right]) -> None:
        self._rights = rights

    def build(self, request_struct_class: type[_CreateStruct]) -> _CreateStruct:
        rows = [
            (
                _TYPES[r.kind], r.name, _PREFIXED if r.prefixed else _LITERAL, r.principal, "*", _OPERATIONS[r.operation], _ALLOW
            )
            for r in self._rights
        ]  # fmt: skip
        return request_struct_class(rows)


class _DescribeResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 29
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", String("utf-8")),
        (
            "resources",
            Array(
                ("resource_type", Int8), ("resource_name", String("utf-8")), ("pattern_type", Int8),
                (
                    "acls",
                    Array(
                        ("principal", String("utf-8")), ("host", String("utf-8")), ("operation", Int8), ("permission", Int8)
                    ),
                ),
            ),
        ),
    )  # fmt: skip


class _DescribeStruct(RequestStruct):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 29
    API_VERSION = 1
    RESPONSE_TYPE = _DescribeResponse
    SCHEMA = Schema(
        ("resource_type", Int8), ("resource_name", String("utf-8")), ("pattern_type", Int8),
        ("principal", String("utf-8")), ("host", String("utf-8")), ("operation", Int8), ("permission", Int8),
    )  # fmt: skip


class _Describe(Request[_DescribeStruct]):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 29

    def build(self, request_struct_class: type[_DescribeStruct]) -> _DescribeStruct:
        return request_struct_class(_ANY, None, _ANY, None, None, _ANY, _ANY)
