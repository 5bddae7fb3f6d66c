"""docker-compose.yml: valid, in step with the settings, without passwords, and with a Kafka that starts as it says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from typer.testing import CliRunner

from stream import acl
from stream.cli.main import app
from stream.embedded.kafka import VERSION, KafkaServer
from stream.kafka import client_options
from stream.settings import REPOSITORY, Settings, load

COMPOSE_FILE = REPOSITORY / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VARIABLE = re.compile(r"\$\{(\w+)([^}]*)\}")
ROLES = {right.principal.removeprefix("User:causa-") for right in acl.declared(Settings())}
SECRETS = {f"KAFKA_{role.upper()}_PASSWORD": f"hunter2{role}" for role in {*ROLES, "admin"}} | {
    "CAUSA_SEALING__KEKS": '{"2026": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}',
    "CAUSA_AUDIT_KEY": "00ff",
    "CAUSA_DESK__KEY": "00aa",
}
USERS = {
    "topics": "admin", "worker": "worker", "alerts": "surveillance", "dashboard": "surveillance", "desk": "desk",
    "publisher": "producer",
}  # fmt: skip
OPEN_TEXT = {"worker", "desk"}
# Services that live no longer than a command, and why they have no health check.
ONE_SHOT = {"topics": "ends when the topics are made", "publisher": "ends with its input"}


def environment(service: str, values: dict[str, str] = SECRETS) -> dict[str, str]:
    """What Compose would set in a container, with `values` for the variables of the host."""

    def value(found: re.Match[str]) -> str:
        return values.get(found[1], found[2].removeprefix(":-") if found[2].startswith(":-") else "")

    return {name: VARIABLE.sub(value, str(text)) for name, text in SERVICES[service].get("environment", {}).items()}


def is_setting(name: str) -> bool:
    """Whether an environment variable is a path through the settings."""
    kind: Any = Settings
    for step in name.removeprefix("CAUSA_").lower().split("__"):
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)) or step not in kind.model_fields:
            return False
        kind = kind.model_fields[step].annotation
    return True


def test_file_follows_the_compose_specification() -> None:
    schema = json.loads((Path(__file__).parent / "data" / "compose-spec.schema.json").read_text(encoding="utf-8"))
    faults = [f"{list(fault.path)}: {fault.message}" for fault in Draft202012Validator(schema).iter_errors(COMPOSE)]
    assert not faults


def test_schema_would_see_a_fault() -> None:
    schema = json.loads((Path(__file__).parent / "data" / "compose-spec.schema.json").read_text(encoding="utf-8"))
    broken = {"services": {"kafka": {**SERVICES["kafka"], "read_olny": True}}}
    assert not Draft202012Validator(schema).is_valid(broken)


@pytest.mark.parametrize("service", SERVICES)
def test_settings_know_every_variable(service: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # away from any .env
    own = {name: value for name, value in environment(service).items() if name.startswith("CAUSA_")}
    assert not [name for name in own if not is_setting(name)]
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    settings = load()
    if own:
        assert settings.kafka.bootstrap == "kafka:9094" and settings.triton.url == "triton:8001"
        assert settings.kafka.sasl.username == f"causa-{USERS[service]}"
        assert settings.kafka.sasl.password.get_secret_value() == f"hunter2{USERS[service]}"
        assert bool(settings.audit_key.get_secret_value()) == (service == "worker")
        assert client_options(settings, settings.kafka.bootstrap)["security_protocol"] == "SASL_PLAINTEXT"


def test_only_those_that_open_text_have_keys_to_it() -> None:
    keyed = {name for name in SERVICES if any("SEALING" in variable for variable in environment(name))}
    stored = {
        name
        for name, service in SERVICES.items()
        if any("keys" in (one["source"], one["target"].split("/")[-1]) for one in service.get("volumes", []))
    }
    assert keyed == stored == OPEN_TEXT
    kek = SECRETS["CAUSA_SEALING__KEKS"]
    assert {name for name in SERVICES if kek in environment(name).values()} == OPEN_TEXT


def test_each_service_knows_the_password_of_its_own_role_alone() -> None:
    for name in SERVICES:
        known = {user for user in {*ROLES, "admin"} if f"hunter2{user}" in environment(name).values()}
        assert known == ({USERS[name]} if name in USERS else set())
    told = re.findall(
        r'user_causa-([\w-]+)="([^"]*)"', environment("kafka")["KAFKA_LISTENER_NAME_CLIENT_PLAIN_SASL_JAAS_CONFIG"]
    )
    assert dict(told) == {user: f"hunter2{user}" for user in {*ROLES, "admin"}}


def test_offsets_of_a_group_that_rests_are_kept() -> None:
    """As long as Kafka can count: a signed int of minutes."""
    assert int(environment("kafka")["KAFKA_OFFSETS_RETENTION_MINUTES"]) == 2**31 - 1


def test_misspelt_variable_would_be_seen() -> None:
    assert is_setting("CAUSA_KAFKA__SASL__PASSWORD") and is_setting("CAUSA_HOME")
    assert not is_setting("CAUSA_KAFKA__PASSWORD") and not is_setting("CAUSA_KAFKA__SASL__PASSWORD__X")


def test_passwords_have_no_default() -> None:
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    for name, rest in VARIABLE.findall(text):
        assert rest.startswith(":?") or name == "CAUSA_SEALING__KEK", name
        assert is_setting(name) or name in SECRETS
    secret = re.compile(r"password|secret|key|token", re.IGNORECASE)
    for service in SERVICES:
        for name, value in environment(service, values={}).items():
            if secret.search(name) and not name.startswith("KAFKA_LISTENER_NAME"):
                # A path names the file that holds it.
                assert value == "" or re.fullmatch(r"/run/secrets/\w+", value), f"{service} {name}"
            assert not re.search(r'user_[\w-]+="[^"]', value)


def test_deployment_guide_sets_every_secret() -> None:
    guide = (REPOSITORY / "docs" / "deploy.md").read_text(encoding="utf-8")
    for name, rest in VARIABLE.findall(COMPOSE_FILE.read_text(encoding="utf-8")):
        if rest.startswith(":?") and not name.startswith("KAFKA_"):
            assert f"\n{name}=" in guide, name
    (users,) = re.findall(r"^for user in ([A-Z ]+); do$", guide, re.MULTILINE)
    assert sorted(users.lower().split()) == sorted({*ROLES, "admin"})


@pytest.mark.parametrize("service", SERVICES)
def test_images_are_pinned(service: str) -> None:
    image = SERVICES[service]["image"]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+[\w.-]*", image), image


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.triton"])
def test_base_images_and_packages_are_pinned(name: str) -> None:
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE):
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", image), image
    for line in re.findall(r"pip3? install (.*)", text):
        assert all("==" in word or word in ("${RUNTIME}", ".") for word in re.findall(r'"([^"]+)"', line)), line
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE)[-1] not in ("root", "0")


def test_runtimes_are_those_that_are_tested() -> None:
    runtimes = {service: SERVICES[service]["build"]["args"]["RUNTIME"] for service in ("triton", "triton-cpu")}
    assert all("==" in runtime for runtime in runtimes.values())
    tested = (REPOSITORY / "stream" / "embedded" / "triton-requirements.txt").read_text(encoding="utf-8")
    assert f"\n{runtimes['triton-cpu']}\n" in tested
    (tokenizers,) = re.findall(r'"(tokenizers==[\d.]+)"', (REPOSITORY / "Dockerfile.triton").read_text("utf-8"))
    assert f"\n{tokenizers}\n" in tested
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{VERSION}"


@pytest.mark.parametrize("service", SERVICES)
def test_services_are_watched(service: str) -> None:
    assert ("healthcheck" in SERVICES[service]) != (service in ONE_SHOT)


@pytest.mark.parametrize("service", SERVICES)
def test_services_are_confined(service: str) -> None:
    found = SERVICES[service]
    assert found["read_only"] is True and found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert not found.get("privileged") and int(found["user"].split(":")[0]) > 0
    assert all(port.startswith("127.0.0.1:") for port in found.get("ports", []))
    if service not in ("kafka", "grafana", "dashboard", "desk"):  # these have a port on the host
        assert list(found["networks"]) == ["inside"] and COMPOSE["networks"]["inside"]["internal"] is True


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_or_built_exists(service: str) -> None:
    found = SERVICES[service]
    for volume in found.get("volumes", []):
        assert isinstance(volume, dict)
        if volume["type"] == "bind":
            assert (REPOSITORY / volume["source"]).exists() and volume["read_only"] is True
        else:
            assert volume["source"] in COMPOSE["volumes"]
    if "build" in found:
        assert (REPOSITORY / found["build"]["context"] / found["build"]["dockerfile"]).is_file()


def test_secrets_are_files_that_git_never_sees() -> None:
    ignored = (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {secret["file"] for secret in COMPOSE["secrets"].values()} == {"./tls/web.pem", "./tls/web.key"}
    assert "/tls/" in ignored
    for service in SERVICES.values():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])


def test_what_the_image_runs_is_not_ignored() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert "*" in ignored and {"pyproject.toml", "README.md", "stream", "schemas"} <= kept
    assert not kept & {".env", ".git", ".venv", ".causa"}


def test_profiles_and_waits() -> None:
    assert SERVICES["triton"]["profiles"] == ["gpu"] and SERVICES["triton-cpu"]["profiles"] == ["cpu"]
    (device,) = SERVICES["triton"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert "deploy" not in SERVICES["triton-cpu"]
    for triton in ("triton", "triton-cpu"):
        assert SERVICES[triton]["networks"]["inside"]["aliases"] == ["triton"]
        wait = SERVICES["worker"]["depends_on"][triton]
        assert wait == {"condition": "service_healthy", "required": False}
        assert {"--model-control-mode=explicit", "--load-model=coder", "--load-model=underlying"} <= set(
            SERVICES[triton]["command"]
        )
    settings = Settings()
    health = " ".join(SERVICES["triton"]["healthcheck"]["test"])
    assert f"/v2/models/{settings.triton.coder}/versions/{settings.triton.coder_version}/ready" in health
    assert f"/v2/models/{settings.triton.underlying}/versions/{settings.triton.underlying_version}/ready" in health
    stop = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert "container_name" not in SERVICES["worker"] and stop > settings.worker.stop_s


# The broker's settings, on a real broker

PORTS = {"9092": "{host}", "9093": "{controller}", "9094": "{login}", "9095": "{client}"}
KEPT = ("log.dirs", "heap.opts")  # those of the container alone


def properties() -> dict[str, str]:
    """Lines of server.properties as Kafka's image makes them of its environment, on this machine's free ports."""
    lines = {}
    for name, value in environment("kafka").items():
        if not name.startswith("KAFKA_"):
            continue
        key = name.removeprefix("KAFKA_").lower().replace("___", "-").replace("__", "\0").replace("_", ".")
        local = value.replace("://:", "://127.0.0.1:").replace("kafka:9094", "127.0.0.1:9094")
        lines[key.replace("\0", "_")] = re.sub(r":(909[2-5])\b", lambda port: f":{PORTS[port[1]]}", local)
    return {key: value for key, value in lines.items() if key not in KEPT}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    settings = Settings(home=tmp_path_factory.mktemp("compose"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAUSA_EMBEDDED_CACHE", str(REPOSITORY / ".causa"))
        server = KafkaServer(settings, properties())
        server.install()
        server.start(False)
        yield server
        server.stop()


def clients(broker: KafkaServer, listener: str, **sasl: str) -> dict[str, Any]:
    address = f"127.0.0.1:{broker.ports[listener]}"
    kafka = {"bootstrap": address, "request_timeout_s": 5.0, "sasl": sasl}
    return client_options(Settings.model_validate({"kafka": kafka}), address)


@pytest.mark.servers
@pytest.mark.parametrize("listener", ["login", "host"])
async def test_broker_takes_the_administrators_login(broker: KafkaServer, listener: str) -> None:
    options = clients(broker, listener, mechanism="PLAIN", username="causa-admin", password="hunter2admin")
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(f"from-{listener}", 1, 1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(**options, acks="all", enable_idempotence=True) as producer:
        assert (await producer.send_and_wait(f"from-{listener}", b"x")).offset == 0


@pytest.mark.servers
def test_topics_hands_the_rights_over_and_each_user_keeps_to_his(
    broker: KafkaServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in environment("topics").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CAUSA_KAFKA__BOOTSTRAP", f"127.0.0.1:{broker.ports['login']}")
    shell, option, line = SERVICES["topics"]["command"]
    assert (shell, option) == ("sh", "-c")
    for command in line.split(" && "):
        causa, *words = command.split()
        done = CliRunner().invoke(app, words)
        assert causa == "causa" and done.exit_code == 0, done.output
    asyncio.run(given(clients(broker, "login", mechanism="PLAIN", username="causa-admin", password="hunter2admin")))
    for user, topic, may in (
        ("producer", "certificates", True), ("producer", "coded", False), ("surveillance", "alerts", True),
        ("surveillance", "manual", False), ("desk", "corrections", True), ("desk", "coded", False),
    ):  # fmt: skip
        assert asyncio.run(writes(broker, user, topic)) is may, (user, topic)


async def given(options: dict[str, Any]) -> None:
    """The broker is a moment behind itself."""
    declared = set(acl.declared(Settings()))
    async with asyncio.timeout(20):
        while not declared <= await acl.present(options):  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.1)


async def writes(broker: KafkaServer, user: str, topic: str) -> bool:
    """Whether a user's record is taken."""
    options = clients(broker, "login", mechanism="PLAIN", username=f"causa-{user}", password=f"hunter2{user}")
    async with AIOKafkaProducer(**options) as producer:
        try:
            await producer.send_and_wait(topic, b"x", key=b"c")
        except TopicAuthorizationFailedError:
            return False
    return True


@pytest.mark.servers
@pytest.mark.parametrize("listener", ["login", "host"])
@pytest.mark.parametrize(
    "sasl",
    [
        {},
        {"mechanism": "PLAIN", "username": "causa-worker", "password": "wrong"},
        {"mechanism": "PLAIN", "username": "causa-worker", "password": "hunter2admin"},
        {"mechanism": "PLAIN", "username": "ANONYMOUS", "password": "hunter2admin"},
    ],
    ids=["none", "wrong", "another's", "nobody"],
)
async def test_broker_refuses_others(broker: KafkaServer, listener: str, sasl: dict[str, str]) -> None:
    producer = AIOKafkaProducer(**clients(broker, listener, **sasl))
    with pytest.raises(KafkaError):
        await producer.start()
    await producer.stop()
