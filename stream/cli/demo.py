"""`causa demo`: real certificates coded on the embedded servers, in under a minute."""

from __future__ import annotations

from rich.console import Console

from stream.coding import Route
from stream.demo import run, show
from stream.settings import load

SHOWN = 5


def command() -> None:
    """Start both servers, publish the samples, code them, show what came out, stop everything.

    Example: `causa demo` (or `make demo`, which installs first)
    """
    console = Console(highlight=False)
    outcome = run.demonstrate(load(), console)
    tally = outcome.tally
    console.print()
    sources = {c.certificate_id: c for c in run.samples()}
    first = [(sources[i.split("~")[0]], coded) for i, coded in tally.coded.items() if i.endswith("~0")]
    auto = [p for p in first if p[1].targeting.route is Route.AUTO and len(p[1].entities()) > 2]
    manual = [p for p in first if p[1].targeting.route is Route.MANUAL and len(p[1].entities()) > 1]
    # Those with most to see: several entities a line, causes that the text itself puts in order.
    auto.sort(key=lambda pair: -sum(e.due_to is not None for e in pair[1].entities()))
    manual.sort(key=lambda pair: -sum(e.due_to is not None for e in pair[1].entities()))
    for source, coded in [*auto[: SHOWN - 2], *manual[:2]]:
        console.print(show.certificate(source, coded))
    console.print(
        "under the text: code and probability; [green]rules and model agree[/], [cyan]rules[/], [magenta]model[/]\n"
    )
    console.print(show.commonest(coded for _, coded in first))
    dead = ", ".join(f"{code} {count}" for code, count in sorted(tally.dead.items()))
    console.print(
        f"\n{len(tally.latencies)} certificates coded, {tally.repeated} of them twice ({tally.auto} automatic, {tally.manual} to a person), "
        f"{tally.dead.total()} dead letters ({dead}); {tally.rate:.0f}/s as sent, "
        f"p50 {tally.percentile(0.5) * 1000:.0f} ms, p99 {tally.percentile(0.99) * 1000:.0f} ms; "
        f"{outcome.seconds:.0f} s in all. Everything is stopped."
    )
    console.print(
        "\nnext:  causa up                                   servers that stay\n"
        "       causa worker &                             as many as you like\n"
        "       causa publish samples/certificates.jsonl   or your own JSONL or CSV\n"
        "       causa tail coded --beginning               results as JSON\n"
        "       causa code samples/certificates.jsonl -o out.jsonl    without Kafka\n"
        "       causa down",
        markup=False,
    )
