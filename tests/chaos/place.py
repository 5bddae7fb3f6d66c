"""The servers of a suite: one broker or three, a proxy before it, models with or without a front."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from chaos import front
from chaos.arena import Servers
from chaos.proxy import HOST, Proxy
from chaos.suite import Suite
from stream.embedded.kafka import KafkaServer
from stream.embedded.server import Server
from stream.embedded.triton import TritonServer
from stream.settings import REPOSITORY, Settings, Triton

CLUSTER = "Q2F1c2EtY2hhb3MtY2x1cw"
THREE = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "replica.lag.time.max.ms": "5000",
    "leader.imbalance.check.interval.seconds": "10",
}


@asynccontextmanager
async def place(suite: Suite, folder: Path) -> AsyncIterator[Servers]:
    """Servers of a suite's own, gone when it is over."""
    async with AsyncExitStack() as stack:
        proxy = None
        if suite.proxied:
            proxy = Proxy()
            await proxy.start()
            stack.push_async_callback(proxy.stop)
        kafka = [behind(proxy, folder)] if proxy else cluster(folder, suite.brokers)
        models, answers = folder / "models", None
        if suite.fronted:
            models, answers = front.repository(folder)
        else:  # a copy: somebody may train meanwhile
            shutil.copytree(REPOSITORY / "model_repo", models, ignore=shutil.ignore_patterns("__pycache__"))
        triton = TritonServer(Settings(home=folder / "triton", triton=Triton(model_repo=models)))
        servers: list[Server] = [*kafka, triton]
        if suite.disk_mib:
            stack.enter_context(mounted(kafka[0].data, suite.disk_mib))
        for server in servers:
            stack.push_async_callback(asyncio.to_thread, server.stop)
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))
        if proxy:
            proxy.target = kafka[0].ports["proxied"]
        yield Servers(kafka, triton, proxy, answers)


@contextmanager
def mounted(folder: Path, mib: int) -> Iterator[None]:
    """A file system of a folder's own, in memory: what fills it fills nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def behind(proxy: Proxy, folder: Path) -> KafkaServer:
    """A broker with a listener that tells its clients to come through the proxy; `proxied` is where it listens itself."""
    listeners = f"PLAINTEXT://{HOST}:{{client}},CONTROLLER://{HOST}:{{controller}},PROXIED://{HOST}:{{proxied}}"
    overrides = {
        "listeners": listeners,
        "advertised.listeners": f"PLAINTEXT://{HOST}:{{client}},PROXIED://{proxy.address}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT",
    }
    return KafkaServer(Settings(home=folder / "kafka"), overrides)


def cluster(folder: Path, number: int) -> list[KafkaServer]:
    """Brokers that know one another; each record is on all of three, and on two before it counts."""
    homes = [Settings(home=folder / f"kafka-{node}") for node in range(1, number + 1)]
    if number == 1:
        return [KafkaServer(homes[0])]
    ports = [KafkaServer(home).reserve()["controller"] for home in homes]
    voters = ",".join(f"{node}@{HOST}:{port}" for node, port in enumerate(ports, 1))
    return [
        KafkaServer(home, {**THREE, "node.id": str(node), "controller.quorum.voters": voters}, cluster=CLUSTER)
        for node, home in enumerate(homes, 1)
    ]
