"""Files of codes: read twice, so that answers take the form of the whole; a pipe is answered while it is still open."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice

from stream.offline.selected import BATCH, IN_FLIGHT, LOOK_AHEAD, Row, Selector, look_ahead
from stream.settings import REPOSITORY
from stream.underlying.ranking import SilentRanker


def certificate(number: int, *codes: str) -> bytes:
    return json.dumps({"certificate_id": str(number), "part1": [[code] for code in codes or ("R092", "J189")]}).encode()


def test_the_form_is_that_of_the_first_rows_and_no_row_is_lost() -> None:
    rows = [(number, certificate(number, "I10X")) for number in range(1, 4)]
    form, all_rows = look_ahead(iter(rows))
    assert list(all_rows) == rows
    assert form.write("N19", ["R092"]) == "N19X"


async def test_no_more_rows_are_held_than_are_looked_at() -> None:
    taken, given = 0, 0

    def rows() -> Iterator[Row]:
        nonlocal taken
        for taken in range(1, LOOK_AHEAD + 20 * BATCH + 1):
            yield taken, certificate(taken)

    form, all_rows = look_ahead(rows())
    assert taken == LOOK_AHEAD
    async for answer in Selector(SilentRanker(), form).answers(all_rows):
        given += 1
        assert answer["certificate_id"] == str(given)
        assert taken - given < max(LOOK_AHEAD, IN_FLIGHT * BATCH)
    assert given == taken


def test_a_pipe_that_stays_open_is_answered() -> None:
    command = [sys.executable, "-m", "stream.cli.main", "underlying", "-", "--rules-only"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY) as process:
        assert process.stdin and process.stdout
        watchdog = threading.Timer(60, process.kill)  # a command that waits for the end would wait for ever
        watchdog.start()
        try:
            rows = [certificate(number, "I10X") + b"\n" for number in range(LOOK_AHEAD)]
            process.stdin.writelines(rows)
            process.stdin.flush()
            early = [json.loads(line) for line in islice(process.stdout, BATCH)]
            assert [answer["certificate_id"] for answer in early] == [str(number) for number in range(BATCH)]
            assert {answer["underlying"] for answer in early} == {"I10X"}
            process.stdin.writelines(rows[:10])
            process.stdin.close()
            assert sum(1 for _ in process.stdout) == LOOK_AHEAD + 10 - BATCH
            assert process.wait() == 0
        finally:
            watchdog.cancel()
