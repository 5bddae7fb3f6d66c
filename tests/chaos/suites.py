"""The suites of the long form."""

from __future__ import annotations

from collections.abc import Sequence

from chaos.front import KINDS
from chaos.suite import Strike, Suite
from stream.failpoints import POINTS

KILL, RESTART = Strike("kill-worker"), Strike("roll-workers")


def _at(point: str) -> Strike:
    return Strike("kill-worker-at", options={"point": point})


SUITES: Sequence[Suite] = (
    Suite(
        "kills", "workers are killed at random, and at every named point of their code",
        20_000, [strike for point in POINTS for strike in (_at(point), KILL, _at(point))], poison=0.01,
    ),
    Suite(
        "zombies", "a worker stands still past its session, and wakes up to go on",
        2_000, [Strike("pause-worker", 12.0), *(Strike("pause-worker-at", 12.0, {"point": p}) for p in POINTS[2:5])] * 2, rate=80,
    ),
    Suite(
        "rebalances", "workers join and leave all the time",
        3_000, [Strike("add-worker", 2.0)] * 10, workers=2, rate=80,
    ),
    Suite(
        "one to eight", "one worker, then eight at once, then one again",
        3_000, [Strike("add-worker", 5.0, {"more": 7})] * 2, workers=1, rate=60,
    ),
    Suite("rolling restart", "each worker in turn is told to stop", 2_000, [RESTART] * 3, rate=80),
    Suite(
        "broker", "the broker is killed and started again, and stands still",
        3_000, [Strike("kill-broker", 2.0), Strike("pause-broker", 20.0)] * 2, rate=80,
    ),
    Suite(
        "full disk", "no byte is left for the broker's records, until somebody makes room",
        2_000, [Strike("fill-disk", 10.0)] * 3, disk_mib=384, rate=80,
    ),
    Suite(
        "connection", "the way to the broker is slow, silent, cut",
        3_000,
        [
            Strike("slow-connection", 10.0), Strike("reset-connections", 3.0), Strike("silent-connection", 8.0),
            Strike("reset-connections", 1.0), Strike("silent-connection", 25.0), Strike("reset-connections", 8.0),
        ],
        proxied=True, rate=80,
    ),
    Suite(
        "model", "Triton is killed, stands still, serves no model, answers nonsense of every kind",
        4_000,
        [
            Strike("kill-model", 5.0), Strike("pause-model", 15.0), Strike("unload-model", 8.0),
            Strike("unload-model", 8.0, {"model": "underlying"}), *(Strike("nonsense", 8.0, {"kind": k}) for k in KINDS),
        ],
        fronted=True, rate=80,
    ),
    Suite("poison", "every third record cannot be read", 3_000, [KILL] * 3, poison=0.5, rate=80),
    Suite(
        "silence", "workers are told to stop while the broker says nothing",
        2_000, [Strike("stop-in-silence")] * 3, proxied=True, rate=80,
    ),
    Suite("thief", "a stranger takes the transactional ids", 2_000, [Strike("steal-transactions", 2.0)] * 6, rate=80),
    Suite(
        "three brokers", "three brokers, two of which must have a record; each in turn is killed, and workers too",
        3_000, [Strike("kill-broker", 8.0), KILL] * 3, brokers=3, rate=60,
    ),
    Suite(
        "at least once", "for comparison, without transactions: nothing may be lost, but this check must see doubles",
        2_000, [KILL] * 6, rate=120, once=False, variables={"CAUSA_WORKER__DELIVERY": "at_least_once"},
    ),
)  # fmt: skip
