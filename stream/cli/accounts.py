"""`causa accounts`: who may log in to the desk and the dashboard by password, and everybody's sessions."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from stream.errors import InvalidSettings
from stream.settings import load

if TYPE_CHECKING:
    from stream.web.services import Office
    from stream.web.users import Role

app = typer.Typer(
    help="People who log in to the pages by password, their roles, and everybody's sessions.", no_args_is_help=True
)
Service = Annotated[str, typer.Option(help="desk or dashboard: each has its own people.")]
Name = Annotated[str, typer.Argument(help="Login or pseudonym.")]
Roles = Annotated[
    list[str], typer.Option("--role", help="Several may be given. desk: coder, senior, auditor, admin; dashboard: viewer, epidemiologist, admin.")
]  # fmt: skip
Stdin = Annotated[bool, typer.Option("--stdin", help="Read the password from standard input, its first line.")]


@app.command()
def add(
    login: Annotated[str, typer.Argument(help="What is typed to log in.")],
    *,
    role: Roles,
    service: Service = "desk",
    name: Annotated[str, typer.Option(help="Shown to the person alone.")] = "",
    pseudonym: Annotated[str, typer.Option(help="Stands for the person in events and logs; drawn where empty.")] = "",
    own: Annotated[bool, typer.Option("--own", help="The person types the password: it need not be changed.")] = False,
    stdin: Stdin = False,
) -> None:
    """Make an account. The password is asked for, twice, and must be changed at the first login, within a week.

    Examples: `causa accounts add c.dupont --role coder`, `causa accounts add amira --service dashboard --role epidemiologist`
    """
    with _office(service) as office:
        person = office.people.add(
            login, _password(stdin), _roles(role), name=name, pseudonym=pseudonym, own=own
        )  # fmt: skip
        _told(office, "ACCOUNT_MADE", person.pseudonym, roles=",".join(sorted(person.roles)))
        typer.echo(f"{person.login} is {person.pseudonym}: {', '.join(sorted(person.roles))}")


@app.command("list")
def list_(service: Service = "desk") -> None:
    """List everybody who may log in, or could. Example: `causa accounts list --service dashboard`."""
    with _office(service) as office:
        for person in office.people.all():
            state = "disabled" if person.disabled else "password to be changed" if person.temporary else ""
            seen = _moment(person.seen) if person.seen else "never"
            roles = ",".join(sorted(person.roles)) or "no role"
            typer.echo(
                f"{person.pseudonym:<16} {person.login:<24} {person.origin:<6} {roles:<28} {seen:<17} {state}".rstrip()
            )


@app.command()
def disable(name: Name, service: Service = "desk") -> None:
    """Shut a person out at once, of a provider too; the account stays, for what it has done. Example: `causa accounts disable c17`."""
    with _office(service) as office:
        person = office.people.set_disabled(name, True)
        _told(office, "ACCOUNT_DISABLED", person.pseudonym)
        typer.echo(f"{person.pseudonym} is disabled; their sessions are closed")


@app.command()
def enable(name: Name, service: Service = "desk") -> None:
    """Let a disabled person in again. Example: `causa accounts enable c17`."""
    with _office(service) as office:
        person = office.people.set_disabled(name, False)
        _told(office, "ACCOUNT_ENABLED", person.pseudonym)
        typer.echo(f"{person.pseudonym} may log in again")


@app.command()
def passwd(
    name: Name,
    *,
    service: Service = "desk",
    own: Annotated[bool, typer.Option("--own", help="The person types it: it need not be changed.")] = False,
    stdin: Stdin = False,
) -> None:
    """Set another password; all sessions of the person end. Example: `causa accounts passwd c.dupont`."""
    with _office(service) as office:
        person = office.people.set_password(name, _password(stdin), own=own)
        _told(office, "PASSWORD_SET", person.pseudonym)
        typer.echo(f"{person.pseudonym} has another password" + ("" if own else ", to be changed at the next login"))


@app.command()
def roles(name: Name, *, role: Roles, service: Service = "desk") -> None:
    """Give a person other roles, instead of those there were. Example: `causa accounts roles c17 --role coder --role senior`."""
    with _office(service) as office:
        person = office.people.set_roles(name, _roles(role))
        _told(office, "ROLES_SET", person.pseudonym, roles=",".join(sorted(person.roles)))
        typer.echo(f"{person.pseudonym}: {', '.join(sorted(person.roles))}")


@app.command()
def sessions(
    name: Annotated[str, typer.Argument(help="Login or pseudonym; nobody means all.")] = "", service: Service = "desk"
) -> None:
    """List open sessions. Example: `causa accounts sessions`."""
    with _office(service) as office:
        pseudonym = office.people.find(name).pseudonym if name else ""
        for one in office.sessions.of(pseudonym):
            seen, made = _moment(one.seen), _moment(one.made)
            typer.echo(f"{one.hash[:12]}  {one.pseudonym:<16} {made} .. {seen}  {one.address:<15} {one.browser}")


@app.command()
def revoke(name: Name, service: Service = "desk") -> None:
    """End all sessions of a person, who may log in again. Example: `causa accounts revoke c17`."""
    with _office(service) as office:
        pseudonym = office.people.find(name).pseudonym
        count = office.sessions.end(pseudonym=pseudonym)
        _told(office, "SESSIONS_ENDED", pseudonym, count=count)
        typer.echo(f"{count} sessions ended")


@contextmanager
def _office(service: str) -> Iterator[Office]:
    from stream.web.services import open_office

    with open_office(load(), service) as office:
        yield office


def _roles(names: list[str]) -> frozenset[Role]:
    from stream.web.users import Role

    try:
        return frozenset(Role(name.lower()) for name in names)
    except ValueError:
        raise InvalidSettings("a role is one of " + ", ".join(Role)) from None


def _password(stdin: bool) -> str:
    """From a prompt or standard input: an argument would stand in the history and in the list of processes."""
    if stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("password: ")
    if getpass.getpass("once more: ") != first:
        raise InvalidSettings("the two are not the same")
    return first


def _told(office: Office, act: str, pseudonym: str, **detail: str | int) -> None:
    """A row of the access log; who sits at the machine is told by its own account."""
    from stream.web.access import Event

    told = {"by": "command", "of": pseudonym, "operator": os.environ.get("SUDO_USER") or getpass.getuser(), **detail}
    office.access.record(Event("-", act, detail=told))


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%MZ}"
