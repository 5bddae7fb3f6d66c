"""The bench's pure parts: inputs that rarely repeat and never change, arithmetic, what peers write, tables and pages."""

from __future__ import annotations

import ast
import asyncio
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from worker.askers import coder, ranker
from worker.certificates import samples, spoiled

from bench import broker, docs, inputs, machine, overload, profiling, report, scale, soak
from bench.__main__ import main
from bench.direct import Asked, _requests
from bench.figures import Goal, Latency, Rung, best, edge, goals, line, percentile, ratios, steady_rate
from bench.front import MARK
from bench.ladder import NAIVE
from bench.peers import environment
from bench.peers.job import Job
from bench.series import Sample, shares
from bench.shells import answers_of, worker
from bench.stage import Answer, Counter
from bench.streaming import cached, due
from bench.usage import name_of, spent
from stream.certificate import Certificate, Line, certificate_record
from stream.coder.model import LineRequest, MemoryModel
from stream.pipeline.core import Core
from stream.pipeline.models import Models
from stream.pipeline.record import Incoming, Outgoing
from stream.registry import MemoryRegistry, load_schemas
from stream.settings import REPOSITORY, Settings
from stream.underlying.ranking import MemoryRanker
from stream.underlying.request import RankRequest
from stream.wire import Wire
from stream.worker.batch import BatchProcessor

WIRE = Wire(MemoryRegistry(load_schemas(REPOSITORY / "schemas")))


def test_certificates_are_the_same_for_a_seed_and_rarely_repeat_a_line() -> None:
    certificates = inputs.varied(300, seed=5)
    assert certificates == inputs.varied(300, seed=5)
    assert certificates != inputs.varied(300, seed=6)
    assert len({c.certificate_id for c in certificates}) == 300
    texts = [line.text for c in certificates for line in (*c.part1, *c.part2)]
    assert len(set(texts)) > 0.97 * len(texts)


def test_repeating_certificates_do_repeat() -> None:
    texts = [str(line.text).lower() for c in inputs.repeating(300) for line in (*c.part1, *c.part2)]
    assert 0.1 < 1 - len(set(texts)) / len(texts) < inputs.REPEATED


def test_mix_tells_lengths_and_repetitions() -> None:
    asked = [LineRequest("a" * n) for n in (1, 2, 3, 4)] + [LineRequest("a"), LineRequest("a", "female")]
    told = inputs.mix(3, asked)
    assert (told.lines, told.shortest, told.longest) == (6, 1, 4)
    assert told.repeated == pytest.approx(1 / 6, abs=1e-4)
    assert inputs.mix(0, []).lines == 0


def test_percentile_is_the_nearest_rank() -> None:
    values = [float(v) for v in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (50.0, 99.0, 100.0)
    assert percentile([], 0.5) == 0.0


def test_steady_rate_leaves_both_ends_out() -> None:
    batches = [float(second) for second in range(40) for _ in range(64)]
    assert steady_rate(batches) == 64.0
    # All that was begun before the first result, and the end when nothing is begun any more, say nothing.
    assert steady_rate([0.0] * 200 + batches + [100.0] * 200, 256) == 64.0
    assert steady_rate([1.0], 64) == steady_rate([], 64) == 0.0


@given(st.integers(8, 200), st.floats(0.001, 0.1), st.integers(1, 64))
def test_steady_rate_of_a_steady_stream_is_its_rate(bursts: int, apart: float, together: int) -> None:
    count = bursts * together
    stamps = [(n // together) * together * apart for n in range(count)]
    assert steady_rate(stamps) == pytest.approx(1 / apart, rel=1e-6)
    assert 1 <= edge(count) <= count // 4


def test_line_goes_through_its_points() -> None:
    assert line([(1.0, 3.0), (2.0, 5.0), (4.0, 9.0)]) == (2.0, 1.0)
    assert line([(1.0, 3.0), (1.0, 3.0)]) == (0.0, 3.0)
    assert line([]) == (0.0, 0.0)


RUNGS = [
    Rung("triton_64", "raw", 10, 100.0, 300.0, cpu_ms={"model coder": 6.0}, memory_mib={"model coder": 400.0}),
    Rung("exactly_once", "w", 10, 80.0, 240.0, Latency(40.0, 40.0, 100, 0.02, 0.05, 0.06), {"worker": 4.0}, {"worker": 250.0}),
    Rung("at_least_once", "w", 10, 82.0, 246.0),
    Rung("quix", "q", 10, 20.0, 60.0),
    Rung("cached", "c", 10, 900.0, 2_700.0, notes={"coder_cached": 0.55}),
]  # fmt: skip
BASES = {
    "of_ceiling": "triton_64",
    "of_offline": "offline",
    "of_at_least_once": "at_least_once",
    "times_naive": "naive",
}


def test_ratios_stand_against_rungs_of_the_same_run() -> None:
    against = ratios(RUNGS, BASES)["exactly_once"]
    assert against == {"of_ceiling": 0.8, "of_offline": None, "of_at_least_once": 0.976, "times_naive": None}


def test_best_of_several_rounds_remembers_the_others() -> None:
    found = best([Rung("a", "", 1, 3.0, 9.0), Rung("a", "", 1, 4.0, 12.0)])
    assert (found.rate, found.rates) == (4.0, (3.0, 4.0))


def test_goals_say_what_is_met_and_what_was_not_run() -> None:
    met = {goal.what: goal.met for goal in goals(RUNGS, "triton_64", ["quix"])}
    assert met == {
        "exactly once against at least once": True,
        "exactly once against the offline core": None,
        "exactly once against the raw models": True,
        "exactly once against quix": True,
        "certificates a second with the cache on, the better of one worker and two": False,
        "share of lines answered by the cache": True,
        "p99 of exactly_once at half rate, seconds": True,
    }


def test_ceiling_asks_each_line_of_a_chunk_once_and_both_models() -> None:
    same, long = LineRequest("a"), LineRequest("b" * 40)
    chunk = [Asked((same, long), (RankRequest("x", ("I10",)),)), Asked((same,), ())]
    requests = _requests(Settings(), chunk)
    assert [(name, inputs[0].shape()) for name, _, inputs, _ in requests] == [("coder", [2, 1]), ("underlying", [1, 1])]


def test_open_loop_offers_the_rate_under_new_ids() -> None:
    certificates = inputs.varied(10)
    offered = list(due(certificates, 20.0, 2.0))
    assert [after for after, _ in offered[:3]] == [0.0, 0.05, 0.1]
    assert len({c.certificate_id for _, c in offered}) == 40


def test_answers_are_read_from_the_workers_page() -> None:
    rows = [("coder", "cache", 3), ("coder", "server", 1), ("underlying", "server", 7)]
    page = "".join(f'causa_answers_total{{model="{m}",origin="{o}"}} {n}.0\n' for m, o, n in rows)
    answers = answers_of(f"# TYPE causa_answers_total counter\n{page}")
    assert cached(answers) == {"coder_cached": 0.75, "underlying_cached": 0.0}
    assert worker(**NAIVE).environment["CAUSA_WORKER__DELIVERY"] == "at_least_once"


class _Part:
    def __init__(self, topic: str, partition: int) -> None:
        self.topic, self.partition = topic, partition


class _Record:
    def __init__(self, key: bytes) -> None:
        self.key = key


async def test_counter_counts_each_certificate_once_and_times_those_that_were_due() -> None:
    polls = [
        {_Part("coded", 2): [_Record(b"a"), _Record(b"b")]},
        {_Part("coded", 2): [_Record(b"a")], _Part("dead", 0): [_Record(b"c")]},
    ]

    class Consumer:
        async def getmany(self, timeout_ms: int) -> dict[Any, Any]:
            await asyncio.sleep(0)
            if polls:
                return polls.pop(0)
            raise asyncio.CancelledError

    counter = Counter(Consumer(), "coded", due={b"b": 0.0})
    with pytest.raises(asyncio.CancelledError):
        await counter.follow()
    assert (counter.count, counter.twice, counter.dead) == (3, 1, 1)
    assert [(a.partition, a.latency is None) for a in counter.answers] == [(2, True), (2, False)]
    assert not counter.due


def test_share_of_a_partition_tells_its_longest_silence() -> None:
    answers = [Answer(1.0, 0, 0.5), Answer(2.0, 0, 0.5), Answer(8.0, 0, 6.0), Answer(1.5, 1, 0.1)]
    first, second = shares(answers, 2, 0.0, 4.0, 10.0)
    assert (first.results, first.rate, first.p99, first.silence_s) == (2, 0.5, 6.0, 6.0)
    assert (second.results, second.silence_s) == (1, 1.5)


def test_slow_certificates_are_slow_and_still_valid() -> None:
    core = Core(WIRE, Settings())
    plain = inputs.varied(3)[0]
    large, poisoned = overload.large(plain), overload.poisoned(plain)
    asked = inputs.requests_of([large], core)
    assert len(asked) == overload.LARGE_LINES
    assert min(len(r.text) for r in asked) > 100
    assert any(MARK in r.text for r in inputs.requests_of([poisoned], core)), "the front must recognise the line"
    ones = [(0.0, c) for c in inputs.varied(400)]
    slowed = [c for _, c in overload._slowed(iter(ones), "large", 4)]
    changed = [a.certificate_id for (_, a), b in zip(ones, slowed, strict=True) if a != b]
    assert changed
    assert {overload.partition_of(key, 4) for key in changed} == {overload.SLOW}


def _sample(at: float, mib: float, p99: float | None = None, published: int = 0, answered: int = 0) -> Sample:
    return Sample(at, published, answered, {"worker": mib}, p99, p99, 7, 40)


def test_slopes_leave_the_warming_out() -> None:
    samples = [_sample(0.0, 50.0), *(_sample(900.0 * n, 200.0 + n) for n in range(1, 5))]
    assert soak.slopes_of(samples) == {"worker": {"first_mib": 201.0, "last_mib": 204.0, "mib_per_hour": 4.0}}


def test_a_year_follows_from_the_straight_line() -> None:
    told = scale.year_of([(1_000, 100.0), (3_000, 100.0), (10_000, 100.0)])
    assert told["hours"] == pytest.approx(650_000 / 100 / 3600, abs=0.001)
    assert (told["from"], told["off_the_line"]) == (10_000, 0.0)


def _group_record(group: str, generation: int, version: int) -> tuple[bytes, bytes]:
    key = struct.pack(">hh", 2, len(group)) + group.encode()
    kind = b"consumer"
    length = struct.pack(">b", len(kind) + 1) if version >= 4 else struct.pack(">h", len(kind))
    return key, struct.pack(">h", version) + length + kind + struct.pack(">i", generation) + b"rest"


@pytest.mark.parametrize("version", [3, 4])
def test_generation_is_read_from_the_topic_of_offsets(version: int) -> None:
    key, value = _group_record("bench-a", 12, version)
    assert broker.generation_of(key, value, "bench-a") == 12
    assert broker.generation_of(key, value, "bench-b") == 0
    assert broker.generation_of(key, None, "bench-a") == 0
    assert broker.generation_of(struct.pack(">h", 1) + key[2:], value, "bench-a") == 0


def test_processes_have_names_of_their_own() -> None:
    stub = "/somewhere/triton_python_backend_stub"
    assert name_of("triton", [stub, "/models/underlying/1/model.py", "region"]) == "model underlying"
    assert name_of("kafka", ["/bin/java"]) == "kafka"
    assert report.processes_of([{"feeder": 1.0, "kafka": 1.0}, {"worker": 2.0}]) == ["worker", "kafka", "feeder"]
    assert spent([("nobody", 2**22 + 1)]) == {}


def _records(certificates: Sequence[Certificate]) -> list[Incoming]:
    return [
        Incoming(WIRE.encode("certificates", certificate_record(c)), c.certificate_id.encode()) for c in certificates
    ]


def _without_times(records: Sequence[Outgoing]) -> list[tuple[str, bytes | None, object]]:
    moments = ("coded_at", "created_at", "at", "failed_at")

    def strip(value: object) -> object:
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k not in moments}
        return value

    return [(r.subject, r.key, strip(WIRE.decode(r.subject, r.value))) for r in records]


async def test_peers_write_what_the_worker_writes() -> None:
    core, words = Core(WIRE, Settings()), {"insuffisance cardiaque": "I50.9", "cancer": "C80.9"}
    bad = [Incoming(s.value, s.key) for s in spoiled(WIRE)]
    batch = [*_records(samples()[:20]), *bad, *_records([Certificate("last", part1=(Line("cancer"),))])]
    model, ranking = MemoryModel(words), MemoryRanker({"I10": "I110"})
    told = await Job(core, Models(model, ranking)).code(batch)
    decisions = await BatchProcessor(core, coder(model), ranker(ranking)).process(batch)
    assert _without_times(told) == _without_times([r for d in decisions for r in d.outgoing])
    assert {r.subject for r in told} == {"coded", "manual", "dead-letters"}


def test_each_peer_has_its_program_and_pinned_packages() -> None:
    folder = Path(environment.__file__).parent
    assert len({peer.key for peer in environment.PEERS}) == len(environment.PEERS)
    for package in {peer.package for peer in environment.PEERS}:
        ast.parse((folder / f"{package}_app.py").read_text(encoding="utf-8"))
        rows = (folder / f"{package}.txt").read_text(encoding="utf-8").splitlines()
        assert all("==" in row for row in rows if not row.startswith("#"))


def test_machine_names_its_flags(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name\t: Some Processor\nflags\t\t: fpu avx2 amx_bf16\n")
    described = machine.describe(cpuinfo)
    assert described["cpu"] == "Some Processor"
    assert described["flags"] == ["avx2", "amx_bf16"]
    assert machine.describe(tmp_path / "none")["flags"] == []
    assert machine.versions()["aiokafka"] == "0.14.0"


def test_report_is_tables_and_json(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        console = Console(record=True, width=170, file=out)
        told = [Goal("enough", 0.7, 0.8), Goal("little", 1.0, None, most=True)]
        console.print(report.table(RUNGS, ratios(RUNGS, BASES)), report.processes(RUNGS), report.goals(told))
        shown = console.export_text()
    assert "80%" in shown
    assert "50" in shown
    assert "4.00 (250)" in shown
    report.write(tmp_path / "results" / "latest.json", {"rungs": [r.record() for r in RUNGS]})
    found = report.read(tmp_path / "results" / "latest.json")
    assert found is not None
    assert found["rungs"][1]["latency"]["p99"] == 0.05
    assert report.read(tmp_path / "none.json") is None


WHERE = {
    "at": "2026-11-26T10:00:00+00:00", "quick": True,
    "machine": {"cores": 2, "cpu": "Some", "flags": [], "memory_gib": 24, "system": "Linux", "load_before": 0.1},
}  # fmt: skip


def _measured() -> dict[str, dict[str, Any]]:
    """What each kind of run leaves, as JSON gives it back."""
    against = ratios(RUNGS, BASES)
    series = [
        {"at": s.at, "lag": s.lag, "p99": s.p99, "memory_mib": s.memory_mib}
        for s in (_sample(1.0, 250.0, 0.1, 10, 5), _sample(2.0, 251.0, None, 20, 20))
    ]
    phase = {
        "from_s": 0.0, "published_per_s": 9.0, "answered_per_s": 9.0, "largest_lag": 5, "lag_at_the_end": 0, "p50": 0.1,
        "p99": 0.2, "worker_mib": 251.0,
    }  # fmt: skip
    share = {"partition": 0, "rate": 5.0, "p50": 0.1, "p99": 0.2, "silence_s": 1.0}
    slow = {"kind": "large", "slow": 0, "dead": 0, "before": [share], "during": [share]}
    grown = [{"value": 4, **RUNGS[1].record()}]
    found: dict[str, dict[str, Any]] = {
        "ladder": {
            "rungs": [{**r.record(), **against[r.key]} for r in RUNGS], "failed": {"quix": "no"},
            "goals": [g.record() for g in goals(RUNGS, "triton_64", ["quix"])],
        },
        "overload": {
            "overload": {"capacity": 80.0, "rebalances": 0, "recovered_s": None, "phases": {"calm": phase}, "series": series},
            "slow_partition": {"large": slow, "poisoned": {**slow, "kind": "poisoned"}},
        },
        "soak": {
            "minutes": 30.0, "rate": 40.0, "published": 72_000, "dead": 0, "twice": 0, "rebalances": 0, "p50": 0.1,
            "p99": 0.2, "slopes": {"worker": {"first_mib": 250.0, "last_mib": 251.0, "mib_per_hour": 0.5}},
            "connections": [15, 15], "series": series,
        },
        "scale": {
            "year": scale.year_of([(1_000, 100.0), (3_000, 100.0)]), "certificates": grown, "partitions": grown,
            "workers": grown,
        },
    }  # fmt: skip
    told: dict[str, dict[str, Any]] = json.loads(json.dumps({name: {**WHERE, **one} for name, one in found.items()}))
    return told


def test_every_figure_has_its_place_on_the_page() -> None:
    page = docs.PAGE.read_text(encoding="utf-8")
    for name, found in _measured().items():
        parts = docs.PARTS[name](found) | docs.pictures(name, found)
        filled = docs.filled(page, parts)
        assert all(part in filled for part in parts.values())
        assert docs.filled(filled, parts) == filled
        for file, drawing in docs.drawings(name, found).items():
            assert file in filled, f"{file} is drawn and not shown"
            assert drawing.startswith("<svg ")


def test_profile_names_causas_functions(capsys: pytest.CaptureFixture[str]) -> None:
    assert profiling._place("~", 0, "<built-in method len>") == "<built-in method len>"
    assert profiling._place(profiling.__file__, 7, "run") == "bench/profiling.py:7 run"
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "--profile" in capsys.readouterr().out
