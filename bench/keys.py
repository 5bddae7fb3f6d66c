"""What certificates' own keys cost on the worker's way: `python -m bench.keys`.

For micro-batches of the default size: keys made or found in one trip to the store, and texts sealed and opened, in
processor time and, for the store, in time by the clock as well, since a batch waits for the disk off the event loop.
"""

from __future__ import annotations

import base64
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from stream.certificate import Certificate
from stream.offline.files import read
from stream.sealing.store import KeyStore, MemoryKeyStore
from stream.sealing.vault import Vault, open_store
from stream.settings import REPOSITORY, Sealing, Settings, Worker

BATCHES = 100
SAMPLES = REPOSITORY / "samples" / "certificates.jsonl"


def timed(work: Callable[[int], object], times: int) -> tuple[float, float]:
    """Median of time by the clock and of processor time of one call, in microseconds."""
    clock, processor = [], []
    for number in range(times):
        began, used = time.perf_counter(), time.process_time()
        work(number)
        clock.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    return statistics.median(clock) * 1e6, statistics.median(processor) * 1e6


def measure(name: str, store: KeyStore, settings: Sealing, batch: int) -> None:
    """One store."""
    vault = Vault(settings, store)
    for what, fresh in (("new", True), ("known", False)):
        clock, processor = timed(lambda n, f=fresh: vault.get_or_make([f"{n * f}-{i}" for i in range(batch)]), BATCHES)  # type: ignore[misc]
        print(
            f"{name:>9}, {what:>5}: {clock / 1000:7.2f} ms a batch of {batch}, "
            f"{processor / batch:6.1f} µs of processor time a certificate"
        )
    store.close()


def main(url: str = "") -> None:
    """Print the figures; `url` names a PostgreSQL store to measure as well (its password in CAUSA_SEALING__STORE_PASSWORD)."""
    settings = Sealing(keks={"k": SecretStr(base64.b64encode(os.urandom(32)).decode())})
    batch = Worker().batch_max
    with tempfile.TemporaryDirectory() as folder:
        measure("memory", MemoryKeyStore(), settings, batch)
        file = Sealing(store=f"sqlite:///{Path(folder) / 'keys.sqlite'}")
        measure("sqlite", open_store(Settings(sealing=file)), settings, batch)
    if url:
        password = SecretStr(os.environ.get("CAUSA_SEALING__STORE_PASSWORD", ""))
        there = Sealing(store=url, store_password=password)
        measure("postgres", open_store(Settings(sealing=there)), settings, batch)
    certificates: list[Certificate] = [row.certificate for row in read(SAMPLES) if row.certificate][:batch]
    ring = Vault(settings, MemoryKeyStore()).get_or_make([c.certificate_id for c in certificates])
    sealed = [ring.seal(c) for c in certificates]
    for name, work in (
        ("seal", lambda _: [ring.seal(c) for c in certificates]),
        ("open", lambda _: [ring.open(c) for c in sealed]),
    ):
        _, processor = timed(work, BATCHES)
        print(f"{name:>9}        : {processor / len(certificates):6.1f} µs of processor time a certificate")


if __name__ == "__main__":
    main(*sys.argv[1:2])
