"""The figures, the page, and the command that prints them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from pydantic import TypeAdapter
from typer.testing import CliRunner

from stream.cli.ledgers import fold
from stream.cli.main import app
from stream.coding import CodedCertificate, Correction, DecisionKind, Origin, Route, coded_json
from stream.nomenclature.agreement import LEVELS
from stream.quality import report
from stream.quality.figures import Figures, measure, publish
from stream.quality.ledger import Ledger
from stream.reader import MemoryReader, Read
from stream.targeting.policy import Promise, Rules, Stratum

from .records import T0, coded, decision, ledger

RULES = Rules(version="t-1", promise=Promise(), capacity_per_day=5,
              strata=(Stratum(name="external", codes=(("V01", "Y98"),), error=0.05, audit_rate=1.0),
                      Stratum(name="rest", error=0.05, audit_rate=1.0)))  # fmt: skip
VOID = {"meta", "path", "use", "br"}


def office(wrong: int = 30) -> list[CodedCertificate | Correction]:
    records: list[CodedCertificate | Correction] = []
    for n in range(60):
        name, cause = f"SECRET-{n}", "C34.9" if n < wrong else "I21.9"
        records += [coded(name, audit=True, inclusion=1.0), decision(name, cause)]
        if n % 20 == 0:
            records.append(decision(name, cause, kind=DecisionKind.SECOND, hours=25))
    return [*records, coded("SECRET-m", "J18.9", route=Route.MANUAL, flags=("UNCERTIFIED",))]


@pytest.fixture(scope="module")
def figures() -> Figures:
    return measure(ledger(office()), RULES, T0)


class Outline(HTMLParser):
    """Elements that stay open, and every address named."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.drawings: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.ids += [named["id"]] if named.get("id") else []  # type: ignore[list-item]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        if tag == "svg":
            self.drawings.append(named)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_needs_no_network_and_names_no_certificate(figures: Figures) -> None:
    text = report.page(figures, figures.record(), "a <file>")
    found = Outline(text)
    assert found.open == []
    assert all(address.startswith("#") for address in found.addresses)
    assert "url(http" not in text and "@import" not in text and "<script" not in text
    assert len(found.drawings) == 6 and all(d["role"] == "img" and d["aria-label"] for d in found.drawings)
    assert len(set(found.ids)) == len(found.ids)
    assert "SECRET" not in text and "a &lt;file&gt;" in text
    assert "Agreement of two coders" in text and "3 of 3" in text
    assert "BROKEN" in text and "The promise of stratum rest is broken." in text


def test_the_page_of_an_office_without_audits_is_whole_too() -> None:
    figures = measure(ledger([coded("a", None, route=Route.MANUAL, received=None)]), RULES, T0)
    page = report.page(figures, figures.record(), "x")
    assert Outline(page).open == [] and "two coders" not in page


def test_the_record_is_json_without_ids(figures: Figures) -> None:
    text = json.dumps(figures.record(), allow_nan=False)
    assert "SECRET" not in text
    record = json.loads(text)
    assert record["promises"]["rest"]["verdict"] == "BROKEN"
    assert record["audit"]["agreement"]["exact"]["automatic"]["agreement"] == 0.5
    assert record["audit"]["by"]["chapter"]["exact"]["IX"]["audited"] == 60
    assert record["counts"]["2.1.8"]["corrected"] == 30.0
    assert record["rates"]["queue"]["manual"] == 1
    assert {level: (one["agree"], one["pairs"]) for level, one in record["coders"].items()} == dict.fromkeys(
        LEVELS, (3, 3)
    )


def test_gauges_show_the_figures(figures: Figures) -> None:
    publish(figures)

    def gauge(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(name, labels)

    assert gauge("causa_promise_verdict", stratum="rest") == -1
    assert gauge("causa_audit_agreement", level="exact", part="automatic", bound="value") == 0.5
    assert gauge("causa_automatic_error", stratum="rest", bound="value") == 0.5
    assert gauge("causa_deaths", category="2.1.8", figure="corrected") == 30
    assert gauge("causa_open_tasks", kind="manual") == 1


async def test_a_ledger_is_folded_from_topics() -> None:
    place = Origin("coded", 0, 0)
    decided = TypeAdapter(Correction).dump_python(decision("a"))
    found = Ledger()
    await fold(
        found, MemoryReader([Read("corrections", decided, place), Read("coded", coded_json(coded("a")), place)]), None
    )
    case = found.get("a")
    assert case is not None and case.machine is not None and len(case.decisions) == 1


def written(folder: Path, wrong: int) -> list[str]:
    """Arguments of the command over files of an office."""
    decisions = TypeAdapter(Correction)
    for record in office(wrong):
        one = isinstance(record, Correction)
        text = (
            decisions.dump_json(record).decode() if isinstance(record, Correction) else json.dumps(coded_json(record))
        )
        with (folder / ("corrections.jsonl" if one else "coded.jsonl")).open("a") as file:
            file.write(text + "\n")
    return [
        "quality", "--coded", str(folder / "coded.jsonl"), "--corrections", str(folder / "corrections.jsonl"),
        "-o", str(folder / "report"), "--disagreements", str(folder / "differing.tsv"),
    ]  # fmt: skip


@pytest.mark.parametrize(("wrong", "status"), [(30, 1), (0, 0)])
def test_the_command_ends_with_the_verdict(tmp_path: Path, wrong: int, status: int) -> None:
    arguments = written(tmp_path, wrong)
    with (tmp_path / "coded.jsonl").open("a") as file:
        file.write("no json\n\n[1]\n")
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == status, result.output
    assert "agreement" in result.output and "two coders" in result.output and "SECRET" not in result.output
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    assert record["unread"] == 2 and record["rates"]["certificates"] == 61
    assert re.search(r"<h1>Quality of coding", (tmp_path / "report" / "report.html").read_text())
    rows = (tmp_path / "differing.tsv").read_text().splitlines()
    assert len(rows) == wrong + 1
    if wrong:
        assert rows[1].split("\t") == ["SECRET-0", "AUTO", "rest", "I21.9", "C34.9"]


@pytest.mark.parametrize(
    "arguments",
    [["--corrections", "x"], ["--coded", "nowhere.jsonl"], ["--coded", "empty.jsonl"], ["--coded", "empty.jsonl", "--since", "2026-01-01"],
     ["--watch", "--coded", "x"]],
)  # fmt: skip
def test_what_cannot_be_done_is_told(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.jsonl").touch()
    result = CliRunner().invoke(app, ["quality", *arguments])
    assert type(result.exception).__name__ == "InvalidSettings"
