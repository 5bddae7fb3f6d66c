from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from stream import kafka
from stream.errors import InvalidSettings
from stream.settings import REPOSITORY, Sasl, Settings, Tls, load

SECRET = "hunter2-secret"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No `.env` and no `CAUSA_…` of whoever runs the tests."""
    import os

    for name in [name for name in os.environ if name.startswith("CAUSA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield


def leaves(model: BaseModel, prefix: str = "CAUSA_") -> Iterator[tuple[str, object]]:
    """Environment name and value of every setting."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", value


OTHER = {
    "CAUSA_KAFKA__SASL__MECHANISM": "", "CAUSA_LOG_LEVEL": "debug", "CAUSA_LOG_FORMAT": "json",
    "CAUSA_SEALING__KEYS": json.dumps({"a": "b"}), "CAUSA_SEALING__ACTIVE": "",
    "CAUSA_SEALING__KEKS": json.dumps({"a": "b"}), "CAUSA_SEALING__KEK": "", "CAUSA_SEALING__STORE": "sqlite:///keys",
    "CAUSA_KAFKA__BOOTSTRAP": "other:9092", "CAUSA_WORKER__DELIVERY": "at_least_once",
    "CAUSA_SURVEILLANCE__ALERTS__MAIL__SECURITY": "tls", "CAUSA_SURVEILLANCE__ALERTS__MAIL__TO": '{"a": ["b"]}',
    "CAUSA_DESK__SECOND_SHARE": "0.5",
    **{f"CAUSA_REPLAY__{one}LOGIN__MECHANISM": "" for one in ("", "RECODE_", "REPAIR_", "TRACE_")},
    "CAUSA_WEB__LANGUAGE": "en",
}  # fmt: skip


def changed(name: str, value: object) -> str:
    """A value unlike the default, as the environment spells it."""
    if name in OTHER:
        return OTHER[name]
    if isinstance(value, bool):
        return str(not value).lower()
    if isinstance(value, int | float):
        return str(value + 1)
    if isinstance(value, dict | list | tuple | set | frozenset):
        return json.dumps({"a": "b"} if isinstance(value, dict) else ["other"])
    return "sqlite:///other" if name.endswith("DATABASE__URL") else "other"


@pytest.mark.parametrize(("name", "default"), list(leaves(Settings(_env_file=None))), ids=lambda v: str(v)[:40])
def test_every_setting_has_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, default: object) -> None:
    assert dict(leaves(load()))[name] == default
    if changed(name, default):
        if name == "CAUSA_KAFKA__TLS__ENABLED":
            monkeypatch.setenv("CAUSA_KAFKA__BOOTSTRAP", "other:9092")  # the embedded broker speaks no TLS
        monkeypatch.setenv(name, changed(name, default))
        assert dict(leaves(load()))[name] != default


def test_the_examples_of_the_docstring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSA_KAFKA__BOOTSTRAP", "broker1:9093,broker2:9093")
    monkeypatch.setenv("CAUSA_TRITON__URL", "triton:8001")
    monkeypatch.setenv("CAUSA_WORKER__BATCH_MAX", "128")
    settings = load()
    assert settings.kafka.bootstrap == "broker1:9093,broker2:9093"
    assert settings.triton.url == "triton:8001"
    assert settings.worker.batch_max == 128
    assert settings.worker.batch_wait_s == Settings().worker.batch_wait_s


def test_a_dotenv_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CAUSA_WORKER__GROUP=from-file\nOTHERS_SETTING=1\n")
    assert load().worker.group == "from-file"


def test_the_embedded_servers_are_the_default() -> None:
    settings = load()
    assert settings.kafka.bootstrap == settings.triton.url == settings.registry.url == ""
    assert settings.triton.model_repo == REPOSITORY / "model_repo"
    assert settings.root == Path.cwd() / ".causa"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAUSA_WORKER__BATCH_MAX", SECRET),
        ("CAUSA_WORKER__BATCH_MAX", "0"),
        ("CAUSA_WORKER__BATCH_WAIT_S", "0"),
        ("CAUSA_TRITON__DEADLINE_S", "-1"),
        ("CAUSA_KAFKA__SASL__MECHANISM", SECRET),
        ("CAUSA_KAFKA__TLS__ENABLED", SECRET),
        ("CAUSA_KAFKA__TOPICS__CODED", None),
        ("CAUSA_LOG_LEVEL", SECRET),
        ("CAUSA_WORKER__METRICS_PORT", "65536"),
        *(("CAUSA_KAFKA__BOOTSTRAP", value) for value in (SECRET, "a:b:c,,", "a:1,", "a:0", "a:65536", "http://a:1", ":1")),
        ("CAUSA_SEALING__KEYS", f'{{"a": ["{SECRET}"]}}'),
        ("CAUSA_SEALING__ACTIVE", SECRET),
        ("CAUSA_SEALING__KEYS", SECRET),
    ],
)  # fmt: skip
def test_faults_name_the_setting_and_never_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    monkeypatch.setenv(name if value else "CAUSA_KAFKA__TOPICS", value or f'{{"coded": ["{SECRET}"]}}')
    with pytest.raises(InvalidSettings) as failure:
        load()
    assert SECRET not in failure.value.message
    assert failure.value.__suppress_context__
    told = failure.value.message.upper().replace(".", "__")
    assert name.removeprefix("CAUSA_") in told


def test_a_login_needs_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSA_KAFKA__SASL__MECHANISM", "PLAIN")
    monkeypatch.setenv("CAUSA_KAFKA__SASL__PASSWORD", SECRET)
    with pytest.raises(InvalidSettings, match=r"kafka\.sasl\.username") as failure:
        load()
    assert SECRET not in failure.value.message


@pytest.mark.parametrize("value", ["", " ", "a:1", "127.0.0.1:9092", "[::1]:9092", "a.example:1, b-2.example:65535"])
def test_brokers_are_addresses(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CAUSA_KAFKA__BOOTSTRAP", value)
    assert load().kafka.bootstrap == value.replace(" ", "")


@pytest.mark.parametrize(
    "fields", [{"SASL__MECHANISM": "PLAIN", "SASL__USERNAME": "u"}, {"TLS__ENABLED": "true"}], ids=["sasl", "tls"]
)
def test_a_login_or_tls_needs_a_broker_of_ones_own(monkeypatch: pytest.MonkeyPatch, fields: dict[str, str]) -> None:
    for name, value in fields.items():
        monkeypatch.setenv(f"CAUSA_KAFKA__{name}", value)
    with pytest.raises(InvalidSettings, match=r"kafka\.sasl/tls need kafka\.bootstrap"):
        load()
    monkeypatch.setenv("CAUSA_KAFKA__BOOTSTRAP", "broker:9093")
    load()


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSA_KAFKA__SASL__PASSWORD", SECRET)
    monkeypatch.setenv("CAUSA_REGISTRY__PASSWORD", SECRET)
    monkeypatch.setenv("CAUSA_AUDIT_KEY", SECRET)
    monkeypatch.setenv("CAUSA_SEALING__KEYS", json.dumps({"a": SECRET}))
    settings = load()
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.sealing.keys["a"].get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("tls", "mechanism", "protocol"),
    [
        (False, "", "PLAINTEXT"),
        (True, "", "SSL"),
        (False, "PLAIN", "SASL_PLAINTEXT"),
        (True, "SCRAM-SHA-512", "SASL_SSL"),
    ],
)
def test_connection_options(tls: bool, mechanism: str, protocol: str) -> None:
    settings = Settings()
    settings.kafka.bootstrap = "broker:9093"
    settings.kafka.tls = Tls(enabled=tls)
    settings.kafka.sasl = Sasl.model_validate({"mechanism": mechanism, "username": "u", "password": SECRET})
    options = kafka.client_options(settings, settings.kafka.bootstrap)
    assert options["security_protocol"] == protocol
    assert ("ssl_context" in options) is tls
    assert options.get("sasl_plain_password") == (SECRET if mechanism else None)
    settings.kafka.bootstrap = ""
    assert set(kafka.client_options(settings, "local:1")) == {"bootstrap_servers", "request_timeout_ms", "client_id"}


def test_tls_off_has_no_context() -> None:
    assert Tls(ca_file=Path("missing")).context() is None


def test_tls_files_at_fault(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for tls in (Tls(enabled=True, ca_file=tmp_path / "missing.pem"), Tls(enabled=True, ca_file=tmp_path / "no.pem"),
                Tls(enabled=True, cert_file=tmp_path / "no.pem")):  # fmt: skip
        with pytest.raises(InvalidSettings, match="TLS files cannot be read"):
            tls.context()
    assert Tls(enabled=True).context() is not None
