"""``python -m bench.epidemic``: how soon surveillance tells of an outbreak, and how often of none.

Without an argument the whole study: many simulated years of counts with delays (`study`), the artefact of a rising
electronic share (`artefact`), one year of certificates through Kafka, Triton, worker and counts (`year`), and the tables
and drawings of docs/surveillance.md from what they left in bench/results (`docs`). `wordings` codes every wording of the
simulator and tells those that do not belong to the groups they are meant for. All is drawn from fixed seeds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from rich.console import Console

from stream.errors import CausaError

PARTS = ("study", "artefact", "year", "docs")
WIDE = 170


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.epidemic", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)} or wordings; all but the last when none is named")
    parser.add_argument("--quick", action="store_true", help="a tenth of it, in minutes: to see that it works")
    parser.add_argument("--targets", help="of the study, by name, with commas between them")
    options = parser.parse_args(arguments)
    unknown = set(options.part) - {*PARTS, "wordings"}
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}")
    # One thread each: the products are small, and two processes share two cores. Before numpy is loaded.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    from bench.epidemic import parts

    try:
        for part in options.part or PARTS:
            began = time.monotonic()
            getattr(parts, part)(console, quick=options.quick, targets=options.targets)
            console.print(f"{part}: {time.monotonic() - began:.0f} s")
        return 0
    except CausaError as error:
        console.print(f"[red]{error}[/red]" + (f" ({error.hint})" if error.hint else ""))
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
