"""What a key store promises, whichever it is."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from security.postgres import PASSWORD, running
from stream.database import open_database
from stream.errors import InvalidSettings, KeysUnavailable
from stream.sealing.sqlite import SqliteKeyStore
from stream.sealing.store import Act, KeyStore, MemoryKeyStore, Row
from stream.sealing.vault import open_store
from stream.services import Database
from stream.settings import Sealing, Settings

AT = datetime(2026, 1, 16, 12, 0, tzinfo=UTC)


def row(owner: str, mark: str = "1", kek: str = "k.1") -> Row:
    return Row(owner, kek, f"wrapped {owner} {mark}".encode())


def act(owner: str, what: str = "shredded", minutes: int = 0) -> Act:
    return Act(owner, what, "p7", "sent by mistake", AT + timedelta(minutes=minutes))


class StoreBehaviour:
    """A subclass gives the fixture `store`."""

    def test_the_first_key_stays(self, store: KeyStore) -> None:
        assert store.get_or_put([row("a"), row("b")]) == {"a": row("a"), "b": row("b")}
        assert store.get_or_put([row("b", "2"), row("c", "2")]) == {"b": row("b"), "c": row("c", "2")}
        assert store.get(["c", "a", "nobody"]) == {"a": row("a"), "c": row("c", "2")}
        assert store.get([]) == {}
        assert store.counts() == {"k.1": 3}

    def test_many_at_once(self, store: KeyStore) -> None:
        rows = [row(f"{number:05}") for number in range(1_300)]
        assert len(store.get_or_put(rows)) == len(rows) == len(store.get([r.owner for r in rows]))

    def test_two_workers_agree_on_one_key(self, store: KeyStore) -> None:
        def ask(mark: int) -> dict[str, Row]:
            return store.get_or_put([row(f"o{number}", str(mark)) for number in range(50)])

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))
        assert all(answer == answers[0] for answer in answers)

    def test_pages_and_replacing(self, store: KeyStore) -> None:
        store.get_or_put([row("a"), row("b", kek="k.2"), row("c"), row("d")])
        store.shred([act("d")])
        assert store.page("k.2", "", 10) == [row("a"), row("c")]
        assert store.page("k.2", "a", 10) == [row("c")]
        assert store.page("k.2", "", 1) == [row("a")]
        old, new = [row("a"), row("c", "other")], [row("a", "2", "k.2"), row("c", "2", "k.2")]
        assert store.replace(old, new) == 1, "what changed meanwhile is left alone"
        assert store.get(["a", "c"]) == {"a": row("a", "2", "k.2"), "c": row("c")}
        assert store.replace([row("d")], [row("d", "2", "k.2")]) == 0, "what was shredded stays shredded"

    def test_a_shredded_key_is_gone_for_good(self, store: KeyStore) -> None:
        store.get_or_put([row("a"), row("b")])
        assert store.shred([act("a"), act("never seen")]) == 1
        assert store.shred([act("a", minutes=1)]) == 0
        for owner in ("a", "never seen"):
            (found,) = store.get_or_put([row(owner, "2")]).values()
            assert found == Row(owner, "", b"") and found.shredded
        assert store.counts() == {"": 2, "k.1": 1}
        assert store.readmit([act("a", "readmitted", 2), act("b", "readmitted", 2)]) == 1
        assert store.get_or_put([row("a", "3"), row("b", "3")]) == {"a": row("a", "3"), "b": row("b")}
        assert store.acts() == [act("a"), act("never seen"), act("a", minutes=1), act("a", "readmitted", 2),
                                act("b", "readmitted", 2)]  # fmt: skip


class TestMemory(StoreBehaviour):
    @pytest.fixture
    def store(self) -> KeyStore:
        return MemoryKeyStore()


class TestSqlite(StoreBehaviour):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[KeyStore]:
        store = SqliteKeyStore(tmp_path / "keys" / "keys.sqlite")
        yield store
        store.close()

    def test_a_shredded_key_is_in_no_file(self, store: KeyStore, tmp_path: Path) -> None:
        store.get_or_put([row("a"), row("b")])
        kept = row("a").wrapped

        def files() -> bytes:
            return b"".join(file.read_bytes() for file in (tmp_path / "keys").iterdir())

        assert kept in files()
        store.shred([act("a")])
        assert kept not in files() and row("b").wrapped in files()
        assert all(stat.S_IMODE(f.stat().st_mode) == 0o600 for f in (tmp_path / "keys").iterdir())

    def test_keys_outlive_the_process_and_two_share_them(self, store: KeyStore, tmp_path: Path) -> None:
        store.get_or_put([row("a")])
        other = SqliteKeyStore(tmp_path / "keys" / "keys.sqlite")
        assert other.get_or_put([row("a", "2"), row("b", "2")]) == {"a": row("a"), "b": row("b", "2")}
        assert store.get(["b"]) == {"b": row("b", "2")}
        other.close()

    def test_a_file_that_is_no_store(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("not a database, but long enough to be looked at" * 40)
        for path in (tmp_path / "text", tmp_path / "text" / "below", tmp_path):
            with pytest.raises(KeysUnavailable, match="key store: "):
                SqliteKeyStore(path).get_or_put([row("a")])

    def test_a_locked_store_is_asked_again_later(
        self, store: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("stream.sealing.sqlite.BUSY_S", 0.01)
        store.get_or_put([row("a")])
        store.close()
        other = sqlite3.connect(tmp_path / "keys" / "keys.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(KeysUnavailable, match="OperationalError"):
            store.get_or_put([row("b")])
        other.execute("ROLLBACK")
        other.close()
        assert store.get_or_put([row("a", "2")]) == {"a": row("a")}


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # whoever the server runs as must reach its own folder in it
        with running(Path(folder) / "server") as url:
            yield url


class TestPostgres(StoreBehaviour):
    @pytest.fixture
    def store(self, postgres: str) -> Iterator[KeyStore]:
        import psycopg

        store = open_store(settings(postgres))
        yield store
        store.close()
        with psycopg.connect(postgres, password=PASSWORD) as connection:
            connection.execute("DROP TABLE IF EXISTS causa_keys, causa_key_acts")

    def test_two_stores_agree(self, store: KeyStore, postgres: str) -> None:
        stores: list[KeyStore] = [store, *(open_store(settings(postgres)) for _ in range(3))]
        store.counts()  # makes the tables

        def ask(mark: int) -> dict[str, Row]:
            return stores[mark].get_or_put([row(f"o{number}", str(mark)) for number in range(200)])

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, range(4)))
        assert all(answer == answers[0] for answer in answers) and len(answers[0]) == 200
        for one in stores[1:]:
            one.close()

    def test_a_wrong_password_is_told_without_it(self, postgres: str) -> None:
        for refused in (settings(postgres, "wrong-password"), settings("postgresql://causa@127.0.0.1:1/none")):
            with pytest.raises(KeysUnavailable) as failure:
                open_store(refused).get(["a"])
            assert "password" not in str(failure.value) + str(failure.value.__context__ and failure.value.message)

    @pytest.mark.parametrize("which", ["keys", "database"])
    def test_a_host_that_vanishes_is_noticed(self, store: KeyStore, postgres: str, which: str) -> None:
        """Else the system waits two hours for what a dead machine acknowledged and never answered."""
        engine = open_database(Database(url=postgres, password=SecretStr(PASSWORD), timeout_s=5.0), Path("unused"))
        with engine.connect() as connection:
            file: int = connection.connection.fileno()
            if which == "keys":
                assert store.counts() == {}
                file = store._connection.fileno()  # type: ignore[attr-defined]
            with socket.socket(fileno=os.dup(file)) as wire:
                assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
                if not all(hasattr(socket, name) for name in names):
                    pytest.skip("this system does not tell them")
                found = [wire.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names]
        engine.dispose()
        assert found == [5, 2, 3, 5_000]

    def test_a_connection_that_broke_is_made_anew(self, store: KeyStore, postgres: str) -> None:
        import psycopg

        store.get_or_put([row("a")])
        with psycopg.connect(postgres, password=PASSWORD, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        with pytest.raises(KeysUnavailable):
            store.get(["a"])
        assert store.get(["a"]) == {"a": row("a")}


def settings(url: str, password: str = PASSWORD) -> Settings:
    return Settings(sealing=Sealing.model_validate({"store": url, "store_password": password}))


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("mysql://host/base", "neither"),
        ("postgresql:///base", "neither"),
        ("keys.sqlite", "neither"),
        ("postgresql://user:hunter2@host/base", "sealing.store_password"),
        ("postgresql://user@host/base?password=hunter2", "sealing.store_password"),
    ],
)
def test_what_names_no_store(url: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Sealing(store=url)


def test_a_store_that_needs_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "stream.sealing.postgres", None)
    with pytest.raises(InvalidSettings, match="psycopg"):
        open_store(settings("postgresql://u@h/b"))


def test_the_store_of_the_settings(tmp_path: Path) -> None:
    make: Callable[[str], KeyStore] = lambda url: open_store(Settings(home=tmp_path, sealing=Sealing(store=url)))  # noqa: E731
    for url, file in (("", tmp_path / "keys" / "keys.sqlite"), (f"sqlite:///{tmp_path}/mine", tmp_path / "mine")):
        store = make(url)
        store.get_or_put([row("a")])
        store.close()
        assert file.exists()
