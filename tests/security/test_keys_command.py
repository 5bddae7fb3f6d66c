"""`causa keys` on an SQLite store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from security.keys import SECRETS, full, secret
from stream.certificate import certificate_json
from stream.cli.main import app
from stream.errors import CausaError


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAUSA_HOME", str(tmp_path))
    keks = {one: secret(one).get_secret_value() for one in "ab"}
    (tmp_path / "keks").write_text(json.dumps(keks))
    monkeypatch.setenv("CAUSA_SEALING__KEKS_FILE", str(tmp_path / "keks"))
    monkeypatch.setenv("CAUSA_SEALING__KEK", "a")
    rows = [json.dumps(certificate_json(full(f"c{number}"))) for number in range(3)]
    (tmp_path / "plain.jsonl").write_text("\n".join(rows), encoding="utf-8")


def causa(*arguments: str, text: str | None = None, status: int = 0) -> Result:
    result = CliRunner().invoke(app, ["keys", *arguments], input=text)
    if isinstance(result.exception, CausaError):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def test_a_life_of_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    causa("seal", "plain.jsonl", "-o", "sealed.jsonl")
    sealed = (tmp_path / "sealed.jsonl").read_text()
    assert not [word for word in SECRETS if word in sealed] and sealed.count("\n") == 3
    monkeypatch.setenv("CAUSA_SEALING__KEK", "b")
    assert "3 keys wrapped under b." in causa("rotate").output
    assert "0 left under others" in causa("rotate").output

    # The old key is destroyed.
    monkeypatch.delenv("CAUSA_SEALING__KEKS_FILE")
    monkeypatch.setenv("CAUSA_SEALING__KEKS", json.dumps({"b": secret("b").get_secret_value()}))
    causa("open", "sealed.jsonl", "-o", "opened.jsonl")
    opened = [json.loads(line) for line in (tmp_path / "opened.jsonl").read_text().splitlines()]
    assert opened == [certificate_json(full(f"c{number}")) for number in range(3)]

    told = causa("shred", "c1", "-", "--who", "p7", "--why", "sent by mistake", text="unknown\n\n").output
    assert "1 keys shredded; 1 had none" in told
    result = causa("open", "sealed.jsonl", "-o", "opened.jsonl", status=1)
    assert "line 2: SHREDDED" in result.output
    assert [json.loads(line)["certificate_id"] for line in (tmp_path / "opened.jsonl").read_text().splitlines()] == [
        "c0",
        "c2",
    ]
    assert "2  shredded" in causa("status").output
    assert "shredded c1 by p7: sent by mistake" in causa("status").output
    assert "1 certificates readmitted" in causa("readmit", "c1", "--who", "p7", "--why", "wrong number").output
    assert "line 2: SEALED_UNREADABLE" in causa("open", "sealed.jsonl", "-o", "opened.jsonl", status=1).output


def test_who_and_why_are_asked_and_keys_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (("shred", "c1"), ("shred", "c1", "--who", " ", "--why", "x"), ("readmit", "c1", "--who", "x")):
        with pytest.raises(CausaError, match="who decides, and why"):
            causa(*arguments)
    monkeypatch.delenv("CAUSA_SEALING__KEKS_FILE")
    monkeypatch.delenv("CAUSA_SEALING__KEK")
    with pytest.raises(CausaError, match="no key-encryption key"):
        causa("status")


def test_a_bad_row_is_told_and_the_others_are_sealed(tmp_path: Path) -> None:
    (tmp_path / "plain.jsonl").write_text('{"certificate_id": "x"}\n' + json.dumps(certificate_json(full("c"))))
    result = causa("seal", "plain.jsonl", "-o", "out.jsonl", status=1)
    assert "line 1: EMPTY_CERTIFICATE" in result.output
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 1
