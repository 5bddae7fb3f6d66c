"""What may stand between the topics: `causa worker`, or a peer that does the same job; each a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from stream.embedded.servers import Endpoints
from stream.settings import REPOSITORY, Settings

STOP_S = 25.0
ANSWERS = "causa_answers_total"
READY = 200


@dataclass(frozen=True, slots=True)
class Shell:
    """A program that codes certificates from Kafka.

    Attributes:
        command: how it starts.
        environment: its settings beyond the defaults.
        process: its name among the processes of a run.
        pages: whether it serves metrics.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: str = "worker"
    pages: bool = True


def worker(**settings: str) -> Shell:
    """`causa worker` under some settings: ``worker(batch_max="1")`` is ``CAUSA_WORKER__BATCH_MAX=1``."""
    variables = {f"CAUSA_WORKER__{name.upper()}": value for name, value in settings.items()}
    return Shell((sys.executable, "-m", "stream.cli.main", "worker"), variables)


@dataclass(frozen=True, slots=True)
class Running:
    """A shell that was started."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not help."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    async def answers(self) -> dict[tuple[str, str], float]:
        """Answers so far by model and origin ("server" or "cache"); empty where no metrics are served."""
        if not self.port:
            return {}
        async with httpx.AsyncClient(trust_env=False) as client:
            return answers_of((await client.get(f"http://127.0.0.1:{self.port}/metrics")).text)

    async def ready(self) -> bool:
        """Whether it says that it is; True where it has no page to say so."""
        if not self.port:
            return True
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                return (await client.get(f"http://127.0.0.1:{self.port}/health/ready")).status_code == READY
        except httpx.HTTPError:
            return False


def answers_of(page: str) -> dict[tuple[str, str], float]:
    """A worker's counts of answers by model and origin, from its Prometheus page."""
    return {
        (sample.labels["model"], sample.labels["origin"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == ANSWERS
    }


def start(settings: Settings, endpoints: Endpoints, group: str, shell: Shell, number: int) -> Running:
    """Start a shell on the topics of the settings, as a member of a group."""
    folder = settings.root / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{shell.process}-{number}.log"
    port = _free() if shell.pages else 0
    environment = {
        **os.environ,
        **{f"CAUSA_KAFKA__TOPICS__{k.upper()}": v for k, v in settings.kafka.topics.model_dump().items()},
        "CAUSA_KAFKA__BOOTSTRAP": endpoints.bootstrap, "CAUSA_TRITON__URL": endpoints.triton,
        "CAUSA_HOME": str(settings.root), "CAUSA_LOG_FORMAT": "json", "CAUSA_WORKER__GROUP": group,
        "CAUSA_WORKER__METRICS_PORT": str(port), **shell.environment,
    }  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(shell.command, env=environment, cwd=REPOSITORY, stdout=out, stderr=subprocess.STDOUT)
    return Running(process, log, port)


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
