"""``python -m bench``: what Causa costs, rung by rung, and how it behaves under too much load and over a long time.

Without an option the ladder: raw Triton, the core offline, the worker exactly once and at least once, the naive design,
the worker with its cache, and the peers; all code the same certificates on the same servers in one run. Every run leaves
its figures in bench/results; ``--write-docs`` puts them into docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from rich.console import Console

from bench import docs, front, ladder, machine, overload, profiling, report, scale, soak
from stream.certificate import utc_now
from stream.embedded.servers import Embedded, Endpoints
from stream.errors import CausaError
from stream.settings import Settings, load

Measure = Callable[[Settings, Endpoints, Mapping[str, int], Console], Coroutine[Any, Any, dict[str, Any]]]
BUSY = 0.5
"""Load from which on something else is running."""
WIDE = 170

MIDDLING_S = 15.0
"""How long latency is measured where the number of certificates is chosen, seconds."""


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the certificates: to see that it works")
    parser.add_argument("--no-peers", action="store_true", help="the ladder without the other frameworks")
    parser.add_argument("--certificates", type=int, metavar="N", help="the ladder once, with so many certificates")
    parser.add_argument("--rounds", type=int, default=ladder.FULL.rounds, metavar="N", help="rounds of the ladder")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--overload", action="store_true", help="more than it can do, then less; one slow partition")
    what.add_argument("--soak", type=float, metavar="MINUTES", help="half load for so long: memory and connections")
    what.add_argument("--scale", action="store_true", help="cost against certificates, partitions, workers")
    what.add_argument("--profile", action="store_true", help="profile the pure core; no servers")
    what.add_argument("--write-docs", action="store_true", help="put the last figures into docs/performance.md")
    options = parser.parse_args(arguments)
    # A file is as wide as the tables want.
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    # A topic just made has no leader for a moment: aiokafka tries again, and says so each time.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        if options.write_docs:
            return docs.write(console)
        settings = load()
        if options.profile:
            profiling.run(settings, console, 200 if options.quick else 2_000)
            return 0
        # SIGTERM ends like Ctrl-C: topics deleted, workers and servers ended.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        _measure(settings, console, options)
        return 0
    except CausaError as error:
        console.print(f"[red]{error}[/red]" + (f" ({error.hint})" if error.hint else ""))
        return 1
    except KeyboardInterrupt:
        return 130


def _measure(settings: Settings, console: Console, options: argparse.Namespace) -> None:
    quick: bool = options.quick
    if options.overload:
        pressed = overload.QUICK if quick else overload.FULL
        _run(
            settings,
            console,
            "overload",
            lambda s, e, p, c: overload.run(s, e, p, c, pressed),
            quick=quick,
            fronted=True,
        )
    elif options.soak:
        _run(settings, console, "soak", lambda s, e, p, c: soak.run(s, e, p, c, options.soak), quick=quick)
    elif options.scale:
        grown = scale.QUICK if quick else scale.FULL
        _run(settings, console, "scale", lambda s, e, p, c: scale.run(s, e, p, c, grown), quick=quick)
    else:
        size = ladder.QUICK if quick else replace(ladder.FULL, rounds=options.rounds)
        if options.certificates:
            size = ladder.Size(options.certificates, MIDDLING_S, 1)
        _run(
            settings,
            console,
            "ladder",
            lambda s, e, p, c: ladder.run(s, e, p, c, size, not options.no_peers),
            quick=quick or bool(options.certificates),
        )


def _run(
    settings: Settings, console: Console, name: str, measure: Measure, *, quick: bool, fronted: bool = False
) -> None:
    described = machine.describe()
    console.print(
        f"{described['cores']} cores, {described['cpu']} ({' '.join(described['flags']) or 'no flags of interest'}), "
        f"{described['memory_gib']} GiB, load {described['load_before']} before the run"
    )
    if described["load_before"] > BUSY:
        console.print("[yellow]the machine is busy with something else: take ratios, not figures[/yellow]")
    with _served(settings, console, fronted) as (own, endpoints, pids):
        found = asyncio.run(measure(own, endpoints, pids, console))
    described["load_after"] = round(os.getloadavg()[0], 2)
    path = report.RESULTS / f"{name}.json"
    report.write(path, {"at": utc_now().isoformat(), "quick": quick, "machine": described, **found})
    console.print(f"written to {path}")


@contextmanager
def _served(
    settings: Settings, console: Console, fronted: bool
) -> Iterator[tuple[Settings, Endpoints, dict[str, int]]]:
    """Both servers, and the settings that belong to them; with `fronted` models that fail on some certificates."""
    own = front.before(settings) if fronted else settings
    embedded = Embedded(own)
    with console.status("starting Kafka and Triton"):
        embedded.up()
    try:
        pids = {s.name.lower(): s.pid for s in embedded.status() if s.pid is not None}
        yield own, embedded.endpoints(), pids
    finally:
        embedded.release()


if __name__ == "__main__":
    sys.exit(main())
