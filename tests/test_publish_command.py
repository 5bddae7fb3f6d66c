"""`causa publish`: what it says, how it exits, and that it publishes to a real broker."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from rich.console import Console
from shared import LONG
from typer.testing import CliRunner

from stream.cli import publish as command_line
from stream.embedded.kafka import KafkaServer
from stream.errors import BrokerUnavailable, InvalidCertificate, InvalidData, InvalidSettings
from stream.publishing import Report
from stream.registry import MemoryRegistry, load_schemas
from stream.settings import REPOSITORY, Settings
from stream.wire import Wire

WIRE = Wire(MemoryRegistry(load_schemas(Settings().registry.schemas)))
app = typer.Typer()
app.command()(command_line.command)


def test_command_tells_setup_errors_before_it_connects(tmp_path: Path) -> None:
    assert isinstance(CliRunner().invoke(app, ["-", "--loop", "2"]).exception, InvalidSettings)
    assert isinstance(CliRunner().invoke(app, [str(tmp_path / "no.csv")]).exception, InvalidData)


def test_report_is_told_with_its_exit_status() -> None:
    out = io.StringIO()
    console = Console(file=out, width=200)
    assert command_line.tell(Report(sent=2, seconds=1.0), console) == 0
    bad = Report(sent=1, bad=12, first_bad=[(7, InvalidCertificate("not UTF-8", hint="iconv"))], seconds=1.0)
    assert command_line.tell(bad, console) == 1
    assert command_line.tell(Report(stopped=True), console) == 130
    assert "line 7: INVALID_CERTIFICATE not UTF-8 (iconv)" in out.getvalue() and "11 not shown" in out.getvalue()


def test_a_long_report_is_not_wrapped() -> None:
    out = io.StringIO()
    command_line.tell(
        Report(bad=1, first_bad=[(1, InvalidCertificate("part1.0.text: string_type " * 9))], seconds=1.0),
        Console(file=out),
    )
    assert len(out.getvalue().splitlines()) == 3


@pytest.mark.servers
@pytest.mark.skipif(not LONG, reason="waits for a broker that hangs: make chaos")
def test_ctrl_c_ends_it_though_the_broker_hangs(tmp_path: Path, installed: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"certificate_id": "A", "part1": ["x"]}\n' * 100_000, encoding="utf-8")
    with KafkaServer(Settings(home=tmp_path / "home")) as server:
        asyncio.run(make(server, "hangs"))
        process = run(server, str(tmp_path / "a.jsonl"), "--topic", "hangs", "--rate", "500")
        time.sleep(4)
        pid = server.status().pid
        assert pid
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(1)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)
        finally:
            os.kill(pid, signal.SIGCONT)
            process.kill()
    assert time.monotonic() - began > 5 and process.returncode not in (0, 130)
    assert "stopping; Ctrl-C again to give up" in told and "the others may or may not be there" in told


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAUSA_EMBEDDED_CACHE", str(REPOSITORY / ".causa"))
        server = KafkaServer(Settings(home=tmp_path_factory.mktemp("publish")))
        server.install()
        server.start(False)
        yield server
        server.stop()


async def make(broker: KafkaServer, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 4, 1)])
    await admin.close()


async def consumed(broker: KafkaServer, topic: str) -> list[tuple[str, str]]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found: list[tuple[str, str]] = []
        while len(found) < sum(ends.values()):
            for records in (await consumer.getmany(timeout_ms=1_000)).values():
                for record in records:
                    assert record.key and record.value
                    found.append((record.key.decode(), WIRE.decode("certificates", record.value)["certificate_id"]))
        return found
    finally:
        await consumer.stop()


def run(broker: KafkaServer, *words: str, **options: Any) -> subprocess.Popen[str]:
    code = "import typer; from stream.cli.publish import command; app = typer.Typer(); app.command()(command); app()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY,
        env={**os.environ, "CAUSA_KAFKA__BOOTSTRAP": broker.bootstrap}, **options,
    )  # fmt: skip


@pytest.mark.servers
async def test_command_publishes_to_a_real_broker(broker: KafkaServer, tmp_path: Path) -> None:
    await make(broker, "real")
    lines = [json.dumps({"certificate_id": f"C{i}", "part1": ["x"]}) for i in range(500)]
    (tmp_path / "a.jsonl").write_text("\n".join([*lines[:250], "{", *lines[250:]]), encoding="utf-8")
    process = run(broker, str(tmp_path / "a.jsonl"), "--topic", "real", "--loop", "2")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and "1,000 certificates published" in told and "line 251: INVALID" in told
    found = await consumed(broker, "real")
    assert all(key == identifier for key, identifier in found)
    assert sorted(key for key, _ in found) == sorted(f"C{i}{s}" for i in range(500) for s in ("", "~2"))


@pytest.mark.servers
async def test_command_reads_standard_input_and_ends_in_order_on_ctrl_c(broker: KafkaServer) -> None:
    await make(broker, "input")
    process = run(broker, "-", "--topic", "input")
    assert process.stdin
    process.stdin.write("certificate_id;text\n" + "".join(f"C{i};x\n" for i in range(101)))
    process.stdin.flush()
    for _ in range(200):  # sent while the pipe stays open: the last row still waits for the one that ends it
        if len(await consumed(broker, "input")) == 100:
            break
        await asyncio.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    _, told = process.communicate(timeout=5)
    assert "100 certificates published" in told and "Fatal" not in told and "Traceback" not in told


@pytest.mark.servers
def test_command_tells_when_kafka_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("certificate_id,text\nA,x\n", encoding="utf-8")
    monkeypatch.setenv("CAUSA_KAFKA__BOOTSTRAP", "127.0.0.1:1")
    result = CliRunner().invoke(app, [str(tmp_path / "a.csv")])
    assert isinstance(result.exception, BrokerUnavailable) and "127.0.0.1:1" in result.exception.message
