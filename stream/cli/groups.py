"""`causa groups`: the syndromic groups listed, one explained, those of coded certificates."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from stream.certificate import Age, AgeUnit, Form, Sex
from stream.cli.output import STANDARD, utf8_stdout
from stream.coding import CodedStatus
from stream.errors import InvalidSettings
from stream.surveillance.groups import Groups, Membership, load, words

_NONE = Membership(frozenset(), frozenset())


def command(
    group: Annotated[str, typer.Argument(metavar="[ID]", help="A group to explain; all are listed without.")] = "",
    *,
    lang: Annotated[Literal["fr", "en"], typer.Option(help="Language of names and sentences.")] = "en",
    family: Annotated[str, typer.Option(help="List this family alone.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    markdown: Annotated[bool, typer.Option(help="The tables of docs/groups.md.")] = False,
    of: Annotated[Path | None, typer.Option(help="JSONL of coded records: tell the groups of each.")] = None,
) -> None:
    """List the syndromic groups that surveillance counts, or explain one.

    In lists of codes, [U] stands before those of the underlying cause, [*] before those of any mention, [+] before those
    of which one must stand on the certificate too; without a mark they count both as underlying cause and as mention.
    --of reads what `causa code` or `causa tail coded` wrote (- for standard input) and writes one JSON line for each record.
    Examples: `causa groups`, `causa groups meningococcal --lang fr`, `causa groups --json`,
    `causa groups --of coded.jsonl`

    Exit status: 0; 1 some lines of --of were no coded record; 2 no such group or family.
    """
    groups = load()
    if of is not None:
        raise typer.Exit(_told(groups, of))
    if markdown:
        typer.echo(words.tables(groups), nl=False)
        return
    one = groups.named(group) if group else None
    known = [found.id for found in groups.families]
    if family and family not in known:
        raise InvalidSettings(f"there is no family {family}", hint=f"one of {', '.join(known)}")
    shown = [one] if one else [found for found in groups if family in ("", found.family)]
    if as_json:
        typer.echo(json.dumps(
            words.record(shown[0]) if group else {"version": groups.version, "groups": [words.record(g) for g in shown]},
            ensure_ascii=False, indent=1,
        ))  # fmt: skip
        return
    console = Console()
    if group:
        for line in words.explained(groups, shown[0], lang):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        return
    table = Table("id", "name", "family", "codes", "limits", "alert")
    for found in shown:
        table.add_row(
            found.id, found.name(lang), found.family, words.codes(found, lang).replace("[", r"\["),
            words.limits(found, lang), str(found.alert or ""),
        )  # fmt: skip
    console.print(table)
    console.print(f"{len(shown)} groups, version {groups.version}", highlight=False)


def _told(groups: Groups, path: Path) -> int:
    """Groups of each record of a file, as JSON lines; the exit status."""
    unread = 0
    out = utf8_stdout()
    try:
        with nullcontext(sys.stdin) if str(path) == STANDARD else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                    found, name = membership(groups, value), value["certificate_id"]
                except (ValueError, TypeError, KeyError, AttributeError):
                    unread += 1
                    out.write(json.dumps({"error": "no coded record", "line": number}) + "\n")
                    continue
                out.write(json.dumps({"certificate_id": name, "due": sorted(found.due),
                                      "mentioned": sorted(found.mentioned)}, ensure_ascii=False) + "\n")  # fmt: skip
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8'}"
        ) from None
    return 1 if unread else 0


def membership(groups: Groups, record: dict[str, Any]) -> Membership:
    """Groups of a coded record in its JSON form; an answer of `causa code` has more fields, which say nothing here.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is no coded record.
    """
    if CodedStatus(record["status"]) is CodedStatus.WITHDRAWN:
        return _NONE
    lines: Iterable[dict[str, Any]] = (*record["part1"], *record["part2"])
    age = record.get("age")
    return groups.of_codes(
        record["underlying"]["code"],
        [entity["code"] for line in lines for entity in line["entities"]],
        sex=Sex(record.get("sex") or Sex.U),
        age_days=Age(int(age["value"]), AgeUnit(age.get("unit") or AgeUnit.YEARS)).days if age else None,
        form=Form(record.get("form") or Form.GENERAL),
        flags=record.get("flags") or (),
    )
