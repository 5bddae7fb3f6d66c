"""The long form: `make chaos`, or `python -m chaos [--scale 0.1] [SUITE…]` beside the tests.

The last run of each suite stands in the report; ``--write-docs`` runs nothing, and puts the report into docs/chaos.md.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from chaos import report
from chaos.arena import Arena
from chaos.place import place
from chaos.suite import Suite, play
from chaos.suites import SUITES
from stream.settings import REPOSITORY

WATCH_S = 10.0


async def watch(name: str, arena: Arena) -> None:
    """A line now and then for whoever waits."""
    while True:
        await asyncio.sleep(WATCH_S)
        tell(f"{name}: {arena.state()}")


def tell(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


async def run(suite: Suite, folder: Path, seed: int) -> report.Row:
    """One suite on servers of its own; whatever stops it is told in its row."""
    began = time.monotonic()
    figures: dict[str, int] = {}
    try:
        async with (
            place(suite, folder) as servers,
            Arena(
                servers, folder / "workers", random.Random(seed), dict(suite.variables), min(3, suite.brokers), figures
            ) as arena,
        ):
            watching = asyncio.create_task(watch(suite.name, arena))
            try:
                return report.row(await play(suite, arena))
            finally:
                watching.cancel()
    except Exception as error:
        note = f"{type(error).__name__}: {error}"
        seconds = round(time.monotonic() - began, 1)
        return report.Row(
            suite.name, suite.about, False, 0, 0, {}, figures, seconds, note, (), suite.once, report.today()
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("suites", nargs="*", help=f"of {', '.join(s.name for s in SUITES)}; all of them by default")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the certificates of each suite")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "chaos")
    parser.add_argument("--write-docs", action="store_true", help="put the last report into docs/chaos.md, run nothing")
    options = parser.parse_args()
    if options.write_docs:
        return report.publish(options.out)
    chosen = [s for s in SUITES if not options.suites or s.name in options.suites]
    if unknown := set(options.suites) - {s.name for s in chosen}:
        parser.error(f"no suite {', '.join(sorted(unknown))}")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells every retry, and this is about retries
    os.environ.setdefault("CAUSA_EMBEDDED_CACHE", str(REPOSITORY / ".causa"))
    rows: list[report.Row] = []
    for suite in chosen:
        if suite.disk_mib and os.geteuid():
            tell(f"{suite.name}: left out, only root can mount a file system of its own")
            continue
        folder = Path(tempfile.mkdtemp(prefix="causa-chaos-"))
        scaled = replace(suite, certificates=round(suite.certificates * options.scale))
        rows.append(asyncio.run(run(scaled, folder, options.seed)))
        report.write([rows[-1]], options.out)
        tell(f"{suite.name}: {'as promised' if rows[-1].sound else 'NOT as promised, see ' + str(folder)}: {rows[-1]}")
        if rows[-1].sound:
            shutil.rmtree(folder, ignore_errors=True)
    if not rows:
        tell("no suite ran")
    return 0 if rows and all(one.sound for one in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
