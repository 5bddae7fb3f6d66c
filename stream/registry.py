"""Schemas and their ids: a local file by default, a Confluent-compatible Schema Registry when its URL is set.

A *subject* is a topic's role (`certificates`, `coded`, …); in a remote registry it is `<topic>-value`. The local
registry is `schemas/registry.json`, which gives an id to each frozen version under `schemas/history/`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import httpx
from fastavro.schema import SchemaParseException

from stream.compatibility import check
from stream.errors import InvalidData, RegistryUnavailable, UnknownSchema
from stream.settings import Registry as RegistrySettings

SUBJECTS = ("certificates", "coded", "manual", "corrections", "alerts", "dead-letters", "automation")
LARGEST_ID = 2**31 - 1
_SCHEMA_NOT_FOUND = 40403
Schema = dict[str, Any]


class SchemaRegistry(Protocol):
    """What the wire needs of a registry."""

    def current(self, subject: str) -> tuple[int, Schema]:
        """Id and schema that this software writes for a subject."""

    def by_id(self, schema_id: int) -> Schema:
        """Schema of an id.

        Raises:
            UnknownSchema: the registry answers that it has none.
            RegistryUnavailable: the registry does not answer.
        """


def load_schemas(folder: Path) -> dict[str, Schema]:
    """The schemas of `folder`, by subject, each made whole: the types it shares are written into it.

    A schema file may name types that an earlier subject defines; the first mention is replaced by the definition, so
    that each whole schema can be registered and read alone.

    Raises:
        InvalidData: a file is missing or names a type that nobody defines.
    """
    types: dict[str, Schema] = {}
    whole: dict[str, Schema] = {}
    for subject in SUBJECTS:
        path = folder / f"{subject}.avsc"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidData(f"schema {path.name} cannot be read: {type(error).__name__}") from error
        _collect(raw, types)
        whole[subject] = _inline(raw, types, set())
    return whole


def _collect(node: Any, types: dict[str, Schema]) -> None:
    if isinstance(node, dict):
        if node.get("type") in ("record", "enum"):
            types.setdefault(node["name"], {k: v for k, v in node.items() if k != "namespace"})
        for child in (node.get("fields"), node.get("items"), node.get("type")):
            _collect(child, types)
    elif isinstance(node, list):
        for child in node:
            _collect(child, types)


_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


def _inline(node: Any, types: dict[str, Schema], seen: set[str]) -> Any:
    if isinstance(node, str):
        if node in _PRIMITIVES or node in seen:
            return node
        if node not in types:
            raise InvalidData(f"schema names the type {node}, which none defines")
        return _inline(types[node], types, seen)
    if isinstance(node, list):
        return [_inline(child, types, seen) for child in node]
    if node["type"] in ("record", "enum"):
        if node["name"] in seen:
            return node["name"]
        seen.add(node["name"])
    out = dict(node)
    if "fields" in out:
        out["fields"] = [{**f, "type": _inline(f["type"], types, seen)} for f in out["fields"]]
    if "items" in out:
        out["items"] = _inline(out["items"], types, seen)
    return out


class LocalRegistry:
    """Registry in a file beside the schemas: no server needed.

    Raises:
        InvalidData: the folder holds no registry, or the current schema of a subject has not been frozen (`causa schemas
            freeze`).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, str] = {}
        self._latest: dict[str, int] = {}
        self._cache: dict[int, Schema] = {}
        try:
            self._read()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidData(
                f"{folder} holds no registry of schemas that can be read: {type(error).__name__}",
                hint="CAUSA_REGISTRY__SCHEMAS names the folder of registry.json",
            ) from error

    def _read(self) -> None:
        index = json.loads((self._folder / "registry.json").read_text(encoding="utf-8"))
        for i, row in sorted((int(i), row) for i, row in index["schemas"].items()):
            self._files[i] = row["file"]
            self._latest[row["subject"]] = i
        for subject, schema in load_schemas(self._folder).items():
            if subject not in self._latest or self.by_id(self._latest[subject]) != schema:
                raise InvalidData(
                    f"schema {subject} differs from its newest frozen version", hint="causa schemas freeze"
                )

    def current(self, subject: str) -> tuple[int, Schema]:
        """See `SchemaRegistry.current`."""
        schema_id = self._latest[subject]
        return schema_id, self.by_id(schema_id)

    def by_id(self, schema_id: int) -> Schema:
        """See `SchemaRegistry.by_id`."""
        if schema_id not in self._files:
            raise UnknownSchema(f"schema id {schema_id} is not in the local registry")
        if schema_id not in self._cache:
            path = self._folder / "history" / self._files[schema_id]
            self._cache[schema_id] = json.loads(path.read_text(encoding="utf-8"))
        return self._cache[schema_id]


class MemoryRegistry:
    """In-memory twin: numbers the schemas it is given, and can play an outage (`down = True`)."""

    def __init__(self, schemas: dict[str, Schema]) -> None:
        self._schemas = list(schemas.values())
        self._ids = {subject: i + 1 for i, subject in enumerate(schemas)}
        self.down = False

    def current(self, subject: str) -> tuple[int, Schema]:
        """See `SchemaRegistry.current`."""
        return self._ids[subject], self._schemas[self._ids[subject] - 1]

    def by_id(self, schema_id: int) -> Schema:
        """See `SchemaRegistry.by_id`."""
        if self.down:
            raise RegistryUnavailable("the registry is down")
        if not 1 <= schema_id <= len(self._schemas):
            raise UnknownSchema(f"schema id {schema_id} is not registered")
        return self._schemas[schema_id - 1]

    def add(self, schema: Schema) -> int:
        """Register one more schema (a newer producer's, say) and give its id."""
        self._schemas.append(schema)
        return len(self._schemas)


class RemoteRegistry:
    """A Confluent-compatible Schema Registry (Confluent, Karapace, Apicurio's ccompat, Redpanda)."""

    def __init__(self, settings: RegistrySettings, subjects: dict[str, str], *, timeout_s: float = 5.0) -> None:
        """Args:
        settings: url and login.
        subjects: registry subject (`<topic>-value`) of each of ours.
        timeout_s: longest wait for one answer.
        """
        auth = (settings.username, settings.password.get_secret_value()) if settings.username else None
        self._http = httpx.Client(base_url=settings.url.rstrip("/"), auth=auth, timeout=timeout_s)
        self._subjects = subjects
        self._schemas = load_schemas(settings.schemas)
        self._ids: dict[str, int] = {}
        self._cache: dict[int, Schema] = {}

    def current(self, subject: str) -> tuple[int, Schema]:
        """Register our schema (idempotent) and give its id."""
        if subject not in self._ids:
            body = {"schema": json.dumps(self._schemas[subject], ensure_ascii=False), "schemaType": "AVRO"}
            answer = self._ask("POST", f"/subjects/{self._subjects.get(subject, subject)}/versions", body)
            if answer.status_code == httpx.codes.CONFLICT:
                raise InvalidData(f"the registry refuses schema {subject}: incompatible with its newest version")
            if answer.status_code != httpx.codes.OK:
                raise RegistryUnavailable(f"the registry answers {answer.status_code} to a registration")
            schema_id = _body(answer).get("id")
            if not isinstance(schema_id, int):
                raise RegistryUnavailable("the registry answers a registration without an id")
            self._ids[subject] = schema_id
        return self._ids[subject], self._schemas[subject]

    def by_id(self, schema_id: int) -> Schema:
        """See `SchemaRegistry.by_id`."""
        if schema_id > LARGEST_ID:  # registries choke on it, and an error of theirs would hold the stream
            raise UnknownSchema(f"schema id {schema_id} is more than any registry gives")
        if schema_id not in self._cache:
            answer = self._ask("GET", f"/schemas/ids/{schema_id}", None)
            body = _body(answer) if answer.status_code in (httpx.codes.OK, httpx.codes.NOT_FOUND) else {}
            # A bare 404 is a proxy's or a wrong path's: only the registry itself can say that it has no such schema.
            if answer.status_code == httpx.codes.NOT_FOUND and body.get("error_code") == _SCHEMA_NOT_FOUND:
                raise UnknownSchema(f"schema id {schema_id} is not registered")
            if answer.status_code != httpx.codes.OK:
                raise RegistryUnavailable(f"the registry answers {answer.status_code} for a schema id")
            self._cache[schema_id] = _avro(schema_id, body)
        return self._cache[schema_id]

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _ask(self, method: str, path: str, body: dict[str, str] | None) -> httpx.Response:
        headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"} if body else {}
        try:
            return self._http.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise RegistryUnavailable(f"the registry does not answer: {type(error).__name__}") from error


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise RegistryUnavailable("the registry's answer is no JSON object: is its URL right?")
    return body


def _avro(schema_id: int, body: dict[str, Any]) -> Schema:
    if body.get("schemaType", "AVRO") != "AVRO":
        raise UnknownSchema(f"schema id {schema_id} is no Avro schema")
    try:
        schema: Schema = json.loads(body["schema"])
    except (KeyError, TypeError, ValueError):
        raise RegistryUnavailable(f"the registry's answer for schema id {schema_id} holds no schema") from None
    return schema


def freeze(folder: Path) -> list[str]:
    """Give an id to every schema that changed since its newest frozen version; the names of those frozen.

    Raises:
        InvalidData: a change that readers of the previous version could not follow.
    """
    index_path = folder / "registry.json"
    index = json.loads(index_path.read_text(encoding="utf-8")) if index_path.exists() else {"schemas": {}}
    frozen = []
    for subject, schema in load_schemas(folder).items():
        versions = [(int(i), r) for i, r in index["schemas"].items() if r["subject"] == subject]
        if versions:
            newest = json.loads((folder / "history" / max(versions)[1]["file"]).read_text(encoding="utf-8"))
            if newest == schema:
                continue
            try:
                check(newest, schema)
            except SchemaParseException as error:
                raise InvalidData(f"schema {subject} is no Avro schema: {error}") from None
        number = len(versions) + 1
        name = f"{subject}.v{number}.avsc"
        (folder / "history").mkdir(exist_ok=True)
        (folder / "history" / name).write_text(
            json.dumps(schema, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
        index["schemas"][str(1 + max((int(i) for i in index["schemas"]), default=0))] = {
            "subject": subject, "version": number, "file": name,
        }  # fmt: skip
        frozen.append(name)
    index_path.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return frozen


def open_registry(settings: RegistrySettings, topics: dict[str, str]) -> SchemaRegistry:
    """Registry that the settings name.

    Args:
        settings: url or folder.
        topics: topic name of each subject.
    """
    if settings.url:
        return RemoteRegistry(settings, {subject: f"{topic}-value" for subject, topic in topics.items()})
    return LocalRegistry(settings.schemas)
