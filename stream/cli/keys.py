"""`causa keys`: certificates' own keys, wrapped anew, destroyed, and used on files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Annotated

import typer

from stream.certificate import Certificate, certificate_json
from stream.cli.output import STANDARD, opened
from stream.errors import InputError, InvalidSettings
from stream.offline.files import read
from stream.sealing import Keyring
from stream.sealing.vault import Rotation, Vault, open_vault
from stream.settings import load

app = typer.Typer(
    help="The certificates' own keys: text in Kafka is sealed under them, and without them nobody reads it.",
    no_args_is_help=True,
)
AT_ONCE = 500
Ids = Annotated[
    list[str], typer.Argument(help="certificate_id, several; - reads them from standard input, one a line.")
]
Who = Annotated[str, typer.Option(help="Your pseudonym.")]
Why = Annotated[str, typer.Option(help="Your reason. It is kept for good: quote no certificate.")]
Source = Annotated[str, typer.Argument(help="Certificates, JSONL or CSV; - is standard input.")]
Output = Annotated[str, typer.Option("-o", "--output", help="JSONL; - is standard output.")]


def _vault() -> Vault:
    vault = open_vault(load())
    if vault is None:
        raise InvalidSettings("there is no key-encryption key", hint="set CAUSA_SEALING__KEKS (docs/security.md)")
    return vault


@app.command()
def status() -> None:
    """Count the keys by the key-encryption key that wraps them. Example: `causa keys status`."""
    vault = _vault()
    active, counts = vault.counts()
    for name in sorted({active, *counts} - {""}):
        typer.echo(f"{counts.get(name, 0):>12,}  {name}{'  (wraps new ones)' if name == active else ''}")
    typer.echo(f"{counts.get('', 0):>12,}  shredded")
    for act in vault.acts()[-10:]:
        typer.echo(f"{act.at:%Y-%m-%d %H:%M} UTC  {act.what} {act.owner} by {act.who}: {act.why}")


@app.command()
def rotate(at_once: Annotated[int, typer.Option("--batch", min=1, help="Keys wrapped at once.")] = AT_ONCE) -> None:
    """Wrap every key anew under the key-encryption key `CAUSA_SEALING__KEK`; the others may then be taken away.

    First add the new key-encryption key to the settings of every worker, beside the old one; then name it in
    CAUSA_SEALING__KEK everywhere; then rotate. Interrupted, it goes on where it stopped. No record is written anew.
    Example: `CAUSA_SEALING__KEK=2027 causa keys rotate`
    """
    vault = _vault()

    def tell(rotation: Rotation) -> None:
        typer.echo(f"{rotation.wrapped:,} wrapped", err=True)

    done = vault.rotate(tell, at_once=at_once)
    active, counts = vault.counts()
    left = sum(count for name, count in counts.items() if name not in (active, ""))
    typer.echo(f"{done.wrapped:,} keys wrapped under {active}; {left:,} left under others")
    if left:
        typer.echo("a worker that still wraps under another key is at work: change its settings, and rotate again")
        raise typer.Exit(1)


@app.command()
def shred(ids: Ids, *, who: Who = "", why: Why = "") -> None:
    """Destroy certificates' keys: what was sealed under them opens nowhere any more, and no new key is made.

    Later records of these certificates become dead letters without their bytes. What came in plain text stays readable on
    `certificates` until its retention ends. Example: `causa keys shred 2026-0042 --who c17 --why "sent by mistake"`
    """
    who, why = _answered(who, why)
    owners = list(_ids(ids))
    count = _vault().shred(owners, who, why)
    unknown = f"; {len(owners) - count} had none, and will be given none" if count < len(owners) else ""
    typer.echo(f"{count} keys shredded{unknown}")


@app.command()
def readmit(ids: Ids, *, who: Who = "", why: Why = "") -> None:
    """Let shredded certificates be coded again, under new keys; what was sealed before stays unreadable.

    Example: `causa keys readmit 2026-0042 --who c17 --why "the wrong number was shredded"`
    """
    who, why = _answered(who, why)
    typer.echo(f"{_vault().readmit(list(_ids(ids)), who, why)} certificates readmitted")


@app.command()
def seal(source: Source, output: Output = STANDARD) -> None:
    """Seal the certificates of a file, as a producer does before it publishes. Example: `causa keys seal a.jsonl | causa publish -`."""
    vault = _vault()
    _each(source, output, lambda batch: vault.get_or_make([c.certificate_id for c in batch]), Keyring.seal)


@app.command("open")
def open_(source: Source, output: Output = STANDARD) -> None:
    """Write the certificates of a file in plain text. Example: `causa keys open sealed.jsonl -o plain.jsonl`."""
    vault = _vault()
    _each(source, output, lambda batch: vault.get([c.certificate_id for c in batch]), Keyring.open)


def _each(
    source: str,
    output: str,
    keys: Callable[[list[Certificate]], Keyring],
    change: Callable[[Keyring, Certificate], Certificate],
) -> None:
    """Certificates of a file, changed with the keys of a batch; exit status 1 where a row was at fault."""
    failed = False
    rows = read(source, limits=load().limits)
    with opened(output, source) as out:
        while batch := list(islice(rows, AT_ONCE)):
            ring = keys([row.certificate for row in batch if row.certificate])
            for row in batch:
                try:
                    if row.certificate is None:
                        raise row.error or InputError("an empty row")
                    out.write(json.dumps(certificate_json(change(ring, row.certificate)), ensure_ascii=False) + "\n")
                except InputError as error:
                    failed = True
                    typer.echo(f"line {row.number}: {error.code}: {error.message}", err=True)
    if failed:
        raise typer.Exit(1)


def _ids(ids: Iterable[str]) -> Iterator[str]:
    for one in ids:
        if one == STANDARD:
            yield from (line.strip() for line in sys.stdin if line.strip())
        else:
            yield one


def _answered(who: str, why: str) -> tuple[str, str]:
    if not who.strip() or not why.strip():
        raise InvalidSettings("who decides, and why?", hint="--who NAME --why TEXT")
    return who.strip(), why.strip()
