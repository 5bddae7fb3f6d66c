"""Secrets come from the environment or from files, and go nowhere else."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import structlog

from security.keys import secret
from stream import kafka, log
from stream.errors import InvalidSettings
from stream.sealing.envelope import Wrapping
from stream.sealing.keyring import Keyring
from stream.sealing.vault import open_vault
from stream.secrets import secrets_of
from stream.settings import Settings, load

SECRET = "hunter2-geheim"
PLAIN = [
    name for name, mapping in ((f"CAUSA_{'__'.join(p)}".upper(), m) for p, m in secrets_of(Settings)) if not mapping
]
MAPPINGS = [
    name for name, mapping in ((f"CAUSA_{'__'.join(p)}".upper(), m) for p, m in secrets_of(Settings)) if mapping
]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No `.env` and no `CAUSA_…` of whoever runs the tests."""
    import os

    for name in [name for name in os.environ if name.startswith("CAUSA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def value(settings: Settings, name: str) -> Any:
    found: Any = settings
    for step in name.removeprefix("CAUSA_").lower().split("__"):
        found = getattr(found, step)
    return found


def test_the_secrets_are_known() -> None:
    assert set(PLAIN) == {
        "CAUSA_KAFKA__SASL__PASSWORD", "CAUSA_REGISTRY__PASSWORD", "CAUSA_AUDIT_KEY", "CAUSA_SEALING__STORE_PASSWORD",
        "CAUSA_SURVEILLANCE__DATABASE__PASSWORD", "CAUSA_SURVEILLANCE__ALERTS__MAIL__PASSWORD",
        "CAUSA_DESK__DATABASE__PASSWORD", "CAUSA_DESK__KEY", "CAUSA_WEB__OIDC__CLIENT_SECRET",
        "CAUSA_REPLAY__LOGIN__PASSWORD", "CAUSA_REPLAY__RECODE_LOGIN__PASSWORD", "CAUSA_REPLAY__REPAIR_LOGIN__PASSWORD",
        "CAUSA_REPLAY__TRACE_LOGIN__PASSWORD",
    }  # fmt: skip
    assert set(MAPPINGS) == {
        "CAUSA_SEALING__KEKS", "CAUSA_SEALING__KEYS", "CAUSA_SURVEILLANCE__ALERTS__WEBHOOKS",
        "CAUSA_SURVEILLANCE__ALERTS__WEBHOOK_KEYS",
    }  # fmt: skip


@pytest.mark.parametrize("name", [*PLAIN, *MAPPINGS])
@pytest.mark.parametrize("where", ["environment", "dotenv"])
def test_each_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, where: str) -> None:
    file = tmp_path / "secret"
    file.write_text((json.dumps({"k": SECRET}) if name in MAPPINGS else SECRET) + "\n")
    if where == "environment":
        monkeypatch.setenv(f"{name}_FILE", str(file))
    else:
        (tmp_path / ".env").write_text(f"{name}_FILE={file}\n")
    settings = load()
    found = value(settings, name)
    held = found["k"] if isinstance(found, dict) else found
    assert held.get_secret_value() == SECRET
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize("name", [*PLAIN, *MAPPINGS])
def test_faults_of_files_name_the_variable_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(f"{{{SECRET}".encode() + b"\xff")
    for path in (file, tmp_path / "missing", tmp_path):
        monkeypatch.setenv(f"{name}_FILE", str(path))
        with pytest.raises(InvalidSettings, match=f"{name}_FILE") as failure:
            load()
        assert SECRET not in str(failure.value) and failure.value.__suppress_context__
    monkeypatch.setenv(name, json.dumps({"k": SECRET}) if name in MAPPINGS else SECRET)
    with pytest.raises(InvalidSettings, match="both set") as failure:
        load()
    assert SECRET not in str(failure.value)


def test_other_settings_have_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "group").write_text("other")
    monkeypatch.setenv("CAUSA_WORKER__GROUP_FILE", str(tmp_path / "group"))
    assert load().worker.group == "causa"


def test_keys_and_passwords_are_in_no_object_that_is_shown(tmp_path: Path) -> None:
    held = secret("k")
    settings = Settings(home=tmp_path)
    settings.sealing = type(settings.sealing)(keks={"k": held}, keys={"s": held})
    settings.kafka.bootstrap = "broker:1"
    settings.kafka.sasl = type(settings.kafka.sasl).model_validate(
        {"mechanism": "SCRAM-SHA-512", "username": "u", "password": SECRET}
    )
    vault = open_vault(settings)
    assert vault is not None
    objects = [
        vault,
        vault.get_or_make(["c"]),
        Keyring(settings.sealing),
        Wrapping(settings.sealing.keks, ""),
        settings,
    ]
    vault.close()
    out = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        log.configure("debug", "json")
        handler = root.handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(out)
        structlog.get_logger("causa.test").info("x", reason=str(objects), settings=settings, options=1)
        logging.getLogger("other").error("failed %r", kafka.client_options(settings, "broker:1"))
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.reset_defaults()
    shown = repr(objects) + str(objects) + out.getvalue()
    assert SECRET not in shown and held.get_secret_value() not in shown and "k" * 32 not in shown
