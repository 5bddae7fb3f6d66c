"""The bench's pure parts: inputs that rarely repeat and never change, arithmetic, the machine's description, the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from bench import inputs, machine, profiling, report
from bench.__main__ import main
from bench.figures import Latency, Rung, percentile, ratios, steady_rate
from bench.streaming import _due, lines_of
from stream.coder.model import LineRequest


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


def test_steady_rate_leaves_the_first_batch_out() -> None:
    batches = [float(second) for second in range(11) for _ in range(64)]
    assert steady_rate(batches, 64) == 64.0
    assert steady_rate([1.0], 64) == 0.0
    assert steady_rate([], 64) == 0.0


def test_ratios_stand_against_rungs_of_the_same_run() -> None:
    rungs = [Rung("triton_64", "", 10, 100.0, 300.0), Rung("worker", "", 10, 80.0, 240.0)]
    assert ratios(rungs, ceiling="triton_64", naive="naive")["worker"] == {"of_ceiling": 0.8, "times_naive": None}


def test_open_loop_offers_the_rate_under_new_ids() -> None:
    certificates = inputs.varied(10)
    due = _due(certificates, 20.0, 2.0)
    assert [after for after, _ in due[:3]] == [0.0, 0.05, 0.1]
    assert len({c.certificate_id for _, c in due}) == 40


def test_lines_of_reads_the_workers_page() -> None:
    rows = [("coder", "cache", 3), ("coder", "server", 1), ("underlying", "server", 7)]
    page = "".join(f'causa_answers_total{{model="{m}",origin="{o}"}} {n}.0\n' for m, o, n in rows)
    assert lines_of(f"# TYPE causa_answers_total counter\n{page}") == {"cache": 3.0, "server": 1.0}


def test_machine_names_its_flags(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name\t: Some Processor\nflags\t\t: fpu avx2 amx_bf16\n")
    described = machine.describe(cpuinfo)
    assert described["cpu"] == "Some Processor"
    assert described["flags"] == ["avx2", "amx_bf16"]
    assert machine.describe(tmp_path / "none")["flags"] == []
    assert machine.versions()["aiokafka"] == "0.14.0"


def test_report_is_a_table_and_json(tmp_path: Path) -> None:
    latency = Latency(50.0, 50.0, 100, 0.02, 0.05, 0.06)
    rungs = [Rung("triton_64", "raw", 10, 100.0, 300.0), Rung("worker", "w", 10, 80.0, 240.0, latency, {"worker": 0.9})]
    against = ratios(rungs, ceiling="triton_64", naive="naive")
    console = Console(record=True, width=150, file=(tmp_path / "out").open("w"))
    console.print(report.table(rungs, against))
    shown = console.export_text()
    assert "80%" in shown and "50 ms" in shown
    console.file.close()
    report.write(tmp_path / "results" / "latest.json", {"rungs": [r.record() for r in rungs]})
    assert json.loads((tmp_path / "results" / "latest.json").read_text())["rungs"][1]["latency"]["p99"] == 0.05


def test_profile_names_causas_functions(capsys: pytest.CaptureFixture[str]) -> None:
    assert profiling._place("~", 0, "<built-in method len>") == "<built-in method len>"
    assert profiling._place(profiling.__file__, 7, "run") == "bench/profiling.py:7 run"
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "--profile" in capsys.readouterr().out
