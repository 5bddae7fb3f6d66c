"""`causa repair`: dead letters told, and their corrected certificates put into the stream again, each once."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.output import STANDARD, opened
from stream.cli.replay import Who, person
from stream.cli.trace import allowed, desk_log
from stream.errors import InvalidSettings
from stream.settings import Settings, load

if TYPE_CHECKING:
    from stream.replay.shell import Desk

app = typer.Typer(no_args_is_help=True, help="Mend dead letters.")
Errors = Annotated[list[str] | None, typer.Option("--error", help="Only letters of this error code.")]
SHOWN = 20


def _desk(settings: Settings, *, looking: bool = True) -> Desk:
    from stream.embedded.servers import Embedded
    from stream.replay import shell
    from stream.replay.kafka_broker import KafkaBroker
    from stream.replay.versions import logged_in

    own = logged_in(settings, settings.replay.repair_login, "replay.repair_login")
    return shell.desk_of(own, KafkaBroker(own, Embedded(settings).bootstrap()), looking=looking)


@app.command("list")
def list_(
    *,
    error: Errors = None,
    everything: Annotated[bool, typer.Option("--all", help="Every letter, mended ones too.")] = False,
) -> None:
    """Print the dead letters by error code: how many, how many are mended, and where the first of the others stand.

    No text is printed: places, keys that are ids, and what is wrong by fields and limits.
    Examples: `causa repair list`, `causa repair list --error OVERSIZED_TEXT --all`
    """
    raise typer.Exit(asyncio.run(_list(load(), frozenset(error or ()), everything)))


async def _list(settings: Settings, errors: frozenset[str], everything: bool) -> int:
    from stream.hiding import CODES
    from stream.replay.letters import letters

    count: Counter[str] = Counter()
    mended: Counter[str] = Counter()
    rows: dict[str, list[str]] = {}
    async with aclosing(letters(_desk(settings), errors=errors)) as found:
        async for one in found:
            code = one.letter.error
            count[code] += 1
            mended[code] += one.mended is not None
            if one.mended is not None and not everything:
                continue
            if everything or len(rows.get(code, ())) < SHOWN:
                key = (one.letter.key or b"").decode("latin-1")
                shown = key if CODES["key"].fullmatch(key) else f"[{len(key)} hidden]"
                by = f"  mended by {one.mended['who']} at {one.mended['at']}" if one.mended else ""
                rows.setdefault(code, []).append(
                    f"  {one.place:<28} {one.letter.at:%Y-%m-%d %H:%M} {shown}  {one.letter.detail}{by}"
                )
    for code, number in count.most_common():
        typer.echo(f"{code}: {number:,} letters, {mended[code]:,} mended")
        for row in rows.get(code, ()):
            typer.echo(row)
    if not count:
        typer.echo("no dead letter")
    return 0


@app.command("export")
def export(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL to be mended by hand.")],
    *,
    error: Errors = None,
    text: Annotated[bool, typer.Option(help="Yes: the file holds what the certificates say.")] = False,
    key: Annotated[Path | None, typer.Option(help="Your private key (PEM, Ed25519).")] = None,
    who: Who = "",
) -> None:
    """Write the letters that are not mended into a file: a line each with `letter`, `error` and `certificate`.

    Correct the certificates there, delete the lines that are to stay dead, and give the file to `causa repair fix`. It
    needs the key of a person whom CAUSA_REPLAY__PEOPLE names with the role `text`; each line is a row of the desk's access
    log first. The file is for this user alone.
    Example: `causa repair export letters.jsonl --error OVERSIZED_TEXT --text --as anne --key anne.pem`
    """
    if not text:
        raise InvalidSettings("the file holds text of certificates", hint="--text, and treat it as you treat them")
    settings, name = load(), person(who)
    allowed(settings, name, key)
    if str(output) != STANDARD and output.is_file():
        output.chmod(0o600)
    mask = os.umask(0o077)  # for this user alone from its first byte on, not once it is whole
    try:
        asyncio.run(_export(settings, output, frozenset(error or ()), name))
    finally:
        os.umask(mask)


async def _export(settings: Settings, output: Path, errors: frozenset[str], who: str) -> None:
    from stream.hiding import CODES
    from stream.replay.letters import exported, letters
    from stream.web.access import Event

    desk, number = _desk(settings), 0
    with opened(str(output), STANDARD) as file, desk_log(settings) as log:
        async with aclosing(letters(desk, errors=errors)) as found:
            async for one in found:
                if one.mended is None:
                    key = (one.letter.key or b"").decode("latin-1")
                    seen = Event(
                        who, "CERTIFICATE_SEEN", certificate_id=key if CODES["key"].fullmatch(key) else None,
                        detail={"by": "repair", "letter": one.place},
                    )  # fmt: skip
                    await asyncio.to_thread(log.record, seen)
                    file.write(json.dumps(await exported(desk, one), ensure_ascii=False) + "\n")
                    number += 1
    typer.echo(f"{output}: {number:,} letters", err=True)


@app.command("fix")
def fix(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSONL: letter (topic/partition/offset) and certificate.")
    ],
    *,
    execute: Annotated[
        bool, typer.Option(help="Do it. Without this the plan is printed and nothing is written.")
    ] = False,
    other_ids: Annotated[
        bool, typer.Option(help="Also certificates whose id is not the key of the letter's record.")
    ] = False,
    who: Who = "",
) -> None:
    """Put corrected certificates into the stream, each once: a letter that is mended is refused, whatever happened since.

    What cannot be mended is told with the code of its error, and the others go on: a certificate whose key was shredded, an
    id that is not the record's key (unless --other-ids says that it may be). Headers of the new record tell the letter, its
    error, who mended it and when; `replay.repairs` keeps the same for ever.
    Examples: `causa repair fix letters.jsonl`, `causa repair fix letters.jsonl --execute --as anne`

    Exit status: 0; 1 some were refused.
    """
    raise typer.Exit(asyncio.run(_fix(load(), rows(path), execute, person(who), other_ids=other_ids)))


def rows(path: Path) -> list[str]:
    """Lines of a file of JSON Lines. Raises InvalidSettings where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").split("\n")  # not splitlines: texts may hold U+2028 and U+0085
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{path.name} cannot be read: {type(error).__name__}") from None


async def _fix(settings: Settings, lines: list[str], execute: bool, who: str, *, other_ids: bool = False) -> int:
    from stream.replay.letters import read
    from stream.replay.repairing import planned, repair

    desk = _desk(settings, looking=not execute)
    mended, refused = read(lines, desk)
    work = repair(desk, mended, who, other_ids=other_ids) if execute else planned(desk, mended, other_ids=other_ids)
    outcome = await work
    for one in refused:
        typer.echo(f"line {one.line} refused: {one.why}", err=True)
    for name in outcome.before:
        typer.echo(f"{name} refused: it is mended", err=True)
    for name in outcome.unknown:
        typer.echo(f"{name} refused: no dead letter stands there", err=True)
    for unfit in outcome.unfit:
        typer.echo(f"{unfit.letter} refused: {unfit.code}: {unfit.why}", err=True)
    typer.echo(f"{len(outcome.injected):,} certificates {'injected' if execute else 'to be injected'}")
    if not execute:
        typer.echo("nothing was done: --execute does it", err=True)
    return 1 if refused or outcome.refused else 0
