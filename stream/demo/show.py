"""What the demonstration prints: the live table, certificates with their codes under the text, the commonest causes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stream.certificate import Certificate, Line
from stream.coding import CodedCertificate, CodedLine, Route
from stream.demo.watch import Tally
from stream.nomenclature import icd10

_COLOURS = {"BOTH": "green", "RULES": "cyan", "MODEL": "magenta"}


def live(tally: Tally, expected: int) -> Table:
    """The table that the demonstration keeps up to date."""
    table = Table(title=f"{expected} certificates through Kafka, Faust and Triton", title_style="bold")
    for name in ("sent", "coded", "auto", "manual", "audit", "dead", "per s", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    table.add_row(
        str(len(tally.sent)), str(len(tally.latencies)), str(tally.auto), str(tally.manual),
        str(tally.audit), str(tally.dead.total()), f"{tally.rate:.0f}",
        f"{tally.percentile(0.5) * 1000:.0f}", f"{tally.percentile(0.99) * 1000:.0f}",
    )  # fmt: skip
    return table


def certificate(source: Certificate, coded: CodedCertificate) -> Panel:
    """One certificate: its text with codes under the spans, the underlying cause, the route and why."""
    nomenclature = icd10.load()
    body: list[RenderableType] = []
    for part, lines, results in (("I ", source.part1, coded.part1), ("II", source.part2, coded.part2)):
        for number, (line, result) in enumerate(zip(lines, results, strict=True)):
            name = f"{part} {'abcdefghij'[number % 10]}" if part == "I " else part
            body += _line(name, line, result)
    cause = coded.underlying
    label = nomenclature.label(cause.code) if cause.code else "none could be coded"
    body.append(Text(""))
    body.append(
        Text.assemble(
            "underlying cause  ", (cause.code or "—", "bold yellow"), f"  {label}  (p={cause.confidence:.2f})"
        )
    )
    body += [Text(f"    {step}", style="dim") for step in cause.steps]
    why = ", ".join([*coded.targeting.reasons, *coded.flags]) or "confident, no edit broken"
    style = "green" if coded.targeting.route is Route.AUTO else "red"
    body.append(Text.assemble("route             ", (str(coded.targeting.route), f"bold {style}"), f"  {why}"))
    who = f"{source.sex}, {source.age.value} {source.age.unit.lower()}" if source.age else str(source.sex)
    return Panel(Group(*body), title=f"{source.certificate_id} · {who}", title_align="left", border_style="blue")


def _line(name: str, line: Line, result: CodedLine) -> list[RenderableType]:
    text = line.text if isinstance(line.text, str) else "[sealed]"
    shown = Text(f"{name}  ", style="dim")
    shown.append(text, style="white")
    if isinstance(line.interval, str):
        days = f" = {result.interval.days:g} d" if result.interval else ""
        shown.append(f"   [{line.interval}{days}]", style="dim")
    marks: list[RenderableType] = [shown]
    offset = len(name) + 2
    for stretch in result.uncoded:
        shown.stylize("dim strike" if stretch.why == "NEGATED" else "dim", offset + stretch.start, offset + stretch.end)
    rows: list[Text] = []
    ends: list[int] = []
    for entity in result.entities:
        shown.stylize(f"underline {_COLOURS[entity.method]}", offset + entity.start, offset + entity.end)
        mark = f"{entity.code} {entity.confidence:.2f}"
        level = next((i for i, end in enumerate(ends) if end < offset + entity.start), len(ends))
        if level == len(ends):
            rows.append(Text())
            ends.append(0)
        rows[level].append(" " * (offset + entity.start - len(rows[level].plain)))
        rows[level].append(mark, style=_COLOURS[entity.method])
        ends[level] = offset + entity.start + len(mark)
    return [*marks, *rows]


def commonest(coded: Iterable[CodedCertificate], count: int = 8) -> Table:
    """The commonest underlying causes."""
    nomenclature = icd10.load()
    causes = Counter(record.underlying.code or "none" for record in coded)
    table = Table(title="commonest underlying causes", title_style="bold")
    table.add_column("code")
    table.add_column("cause")
    table.add_column("deaths", justify="right")
    for code, number in causes.most_common(count):
        table.add_row(code, nomenclature.label(code), str(number))
    return table
