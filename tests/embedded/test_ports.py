from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.embedded import ports
from stream.embedded.ports import FIRST, HOST, LAST, Ports, is_free, is_open
from stream.errors import EmbeddedServerError


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    ports._promised.clear()
    yield
    ports._promised.clear()


def test_chosen_ports_are_free_distinct_and_remembered(tmp_path: Path) -> None:
    chosen = Ports(tmp_path / "a" / "ports.json").choose(["grpc", "http"])
    assert len(set(chosen.values())) == 2
    assert all(FIRST <= port < LAST and is_free(port) for port in chosen.values())
    again = Ports(tmp_path / "a" / "ports.json")
    assert again.remembered() == chosen
    assert again.choose(["grpc", "http"]) == chosen


def test_a_port_that_is_taken_is_replaced_alone(tmp_path: Path) -> None:
    mine = Ports(tmp_path / "ports.json")
    before = mine.choose(["grpc", "http"])
    with socket.create_server((HOST, before["grpc"])):
        assert is_open(before["grpc"])
        after = mine.choose(["grpc", "http"])
    assert after["grpc"] != before["grpc"]
    assert after["http"] == before["http"]
    assert not is_open(before["grpc"])


def test_two_servers_that_start_at_once_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zlib.crc32", lambda _: 7)  # the same place to search from
    first, second = Ports(tmp_path / "a.json").choose("ab"), Ports(tmp_path / "b.json").choose("cd")
    assert not set(first.values()) & set(second.values())


@pytest.mark.parametrize("content", ["", "[]", '{"grpc": "x"}', '{"grpc": 80}', "null"])
def test_a_broken_memory_is_forgotten(tmp_path: Path, content: str) -> None:
    file = tmp_path / "ports.json"
    file.write_text(content)
    assert FIRST <= Ports(file).choose(["grpc"])["grpc"] < LAST


def test_no_port_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _: False)
    with pytest.raises(EmbeddedServerError, match="no free port"):
        Ports(tmp_path / "ports.json").choose(["grpc"])
