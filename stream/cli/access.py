"""`causa access`: the log of who saw or did what with which certificate; checked, listed, given out."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.output import STANDARD, opened
from stream.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.web.export import Statement
    from stream.web.services import Office

app = typer.Typer(
    help="The access log: who saw or did what with which certificate, each row bound to the one before.",
    no_args_is_help=True,
)
Service = Annotated[str, typer.Option(help="desk or dashboard: each has its own log.")]
Key = Annotated[Path | None, typer.Option(help="Ed25519 private key, PEM: the head is signed.")]
Heads = Annotated[
    list[Path] | None, typer.Option("--head", help="A head or an export kept from before; several may be given.")
]


@app.command()
def verify(
    file: Annotated[Path | None, typer.Argument(help="An export; none means the service's database.")] = None,
    *,
    service: Service = "desk",
    head: Heads = None,
    public: Annotated[Path | None, typer.Option(help="Ed25519 public key, PEM: signatures are checked.")] = None,
) -> None:
    """Check that no row was changed, taken out, put in or cut off.

    By itself the chain shows changed, missing and inserted rows. That its end was cut off, or that all of it was written
    anew, shows against a head that was kept elsewhere: export one every night, signed. Exit status: 0 it holds, 1 it does not.
    Examples: `causa access verify --head monday.json`, `causa access verify log.jsonl --public audit.pub`
    """
    from stream.web.export import public_key, read_statement, verify_file

    key = public_key(public) if public else None
    statements = {path: read_statement(path) for path in head or []}
    for path, statement in statements.items():
        if key is not None and not statement.genuine(key):
            _fault(f"{path.name}: not signed by this key, or changed")
        if file is None and statement.service != service:
            _fault(f"{path.name}: the head of another service's log, {statement.service}")
    heads = [statement.head for statement in statements.values()]
    if file is not None:
        verdict = verify_file(file, key, heads)
    else:
        with _office(service) as office:
            verdict = office.access.verify(heads)
    if not verdict.holds:
        _fault(f"{verdict.fault} ({verdict.rows} rows before it hold)")
    typer.echo(f"{verdict.rows} rows hold; head {verdict.head.hash}")


@app.command()
def export(
    output: Annotated[str, typer.Option("-o", "--output", help="JSON Lines; - is standard output.")] = STANDARD,
    *,
    service: Service = "desk",
    key: Key = None,
) -> None:
    """Write all rows, and the head as the last line. Example: `causa access export -o log.jsonl --key audit.pem`."""
    from stream.web.export import lines

    with _office(service) as office:
        statement = _statement(office, key)
        with opened(output, STANDARD) as out:
            for line in lines(office.access.entries(), statement):
                out.write(line)


@app.command()
def head(service: Service = "desk", key: Key = None) -> None:
    """Write the head alone: the number and the hash of the last row. Example: `causa access head --key audit.pem > monday.json`."""
    with _office(service) as office:
        typer.echo(json.dumps(_statement(office, key).record()))


@app.command("list")
def list_(
    *,
    service: Service = "desk",
    certificate: Annotated[str | None, typer.Option(help="Only what was done with this one.")] = None,
    who: Annotated[str | None, typer.Option(help="Only what this pseudonym has done.")] = None,
) -> None:
    """Tell who saw or did what. Example: `causa access list --certificate 2026-0042`."""
    with _office(service) as office:
        for entry in office.access.entries(certificate_id=certificate, who=who):
            version = f" v{entry.version}" if entry.version is not None else ""
            about = f"{entry.certificate_id or '-'}{version}"
            typer.echo(f"{entry.number:>8}  {entry.at}  {entry.who:<16} {entry.act:<20} {about:<28} {entry.detail}")


@contextmanager
def _office(service: str) -> Iterator[Office]:
    from stream.web.services import open_office

    with open_office(load(), service) as office:
        yield office


def _statement(office: Office, key: Path | None) -> Statement:
    from stream.web.export import Statement, private_key

    now = datetime.now(UTC).isoformat(timespec="seconds")
    told = Statement(office.service, office.access.head(), now)
    return told.signed(private_key(key)) if key else told


def _fault(told: str) -> None:
    typer.echo(told, file=sys.stderr)
    raise typer.Exit(1)
