from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner, Result

from stream.cli import access, accounts
from stream.database import open_database
from stream.errors import InvalidSettings
from stream.services import Database
from stream.settings import load
from stream.web.services import open_office
from stream.web.sessions import Sessions
from stream.web.tables import access as rows
from stream.web.users import ROLES
from web.shared import PASSWORD

runner = CliRunner()
Do = Callable[..., Result]


@pytest.fixture
def do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Do]:
    monkeypatch.setenv("CAUSA_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str = "", fails: bool = False) -> Result:
        app = access.app if arguments[0] in ("verify", "export", "head") else accounts.app
        return tried(app, arguments, stdin, fails)

    yield run


def tried(app: object, arguments: tuple[str, ...], stdin: str, fails: bool) -> Result:
    result = runner.invoke(app, list(arguments), input=stdin)  # type: ignore[arg-type]
    if not fails:
        assert result.exit_code == 0, (result.output, result.exception)
    return result


def told(result: Result) -> str:
    return str(result.exception) + result.output


def test_accounts(do: Do) -> None:
    answer = do("add", "C.Dupont", "--role", "coder", "--pseudonym", "c17", "--stdin", stdin=f"{PASSWORD}\n")
    assert answer.output == "c.dupont is c17: coder\n"
    assert PASSWORD not in answer.output
    do("add", "anne", "--role", "senior", "--role", "auditor", "--own", stdin=PASSWORD)
    listed = do("list").output
    assert "password to be changed" in listed
    assert "auditor,senior" in listed
    assert "never" in listed
    with open_office(load(), "desk") as office:
        person = office.people.logged_in("anne", PASSWORD)
        assert person
        office.sessions.begin(person.user(), "Mozilla Chrome/1 Linux", "10.0.0.1")
    assert "Chromium, Linux" in do("sessions").output
    assert do("revoke", "anne").output == "1 sessions ended\n"
    assert do("sessions", "anne").output == ""
    assert do("roles", "c17", "--role", "senior").output == "c17: senior\n"
    do("passwd", "c17", "--own", stdin="un kayak dans le salon\n")
    do("disable", "anne")
    with open_office(load(), "desk") as office:
        assert office.people.logged_in("c.dupont", "un kayak dans le salon")
        assert not office.people.logged_in("anne", PASSWORD)
        acts = [(entry.act, json.loads(entry.detail)["of"]) for entry in office.access.entries()]
        assert [act for act, _ in acts] == [
            "ACCOUNT_MADE", "ACCOUNT_MADE", "SESSIONS_ENDED", "ROLES_SET", "PASSWORD_SET", "ACCOUNT_DISABLED",
        ]  # fmt: skip
    do("enable", "anne")
    with open_office(load(), "desk") as office:
        assert office.people.logged_in("anne", PASSWORD)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("add", "c1", "--role", "cook"), "a role is one of"),
        (("add", "c1", "--role", "viewer"), "desk has the roles"),
        (("add", "c 1", "--role", "coder"), "a login is made of"),
        (("add", "c1", "--role", "coder", "--pseudonym", "<b>"), "a pseudonym is made of"),
        (("add", "c1", "--role", "coder", "--service", "kitchen"), "no service"),
        (("disable", "nobody"), "nobody"),
        (("passwd", "nobody"), "nobody"),
        (("roles", "nobody", "--role", "coder"), "nobody"),
        (("revoke", "nobody"), "nobody"),
    ],
)
def test_what_accounts_refuse(do: Do, arguments: tuple[str, ...], word: str) -> None:
    answer = do(*arguments, stdin=PASSWORD, fails=True)
    assert isinstance(answer.exception, InvalidSettings)
    assert word in told(answer)


def test_weak_passwords_and_doubles_are_refused(do: Do) -> None:
    for weak in ("", "short", "azertyuiopqsdf"):
        answer = do("add", "c1", "--role", "coder", stdin=f"{weak}\n", fails=True)
        assert isinstance(answer.exception, InvalidSettings)
        assert not weak or weak not in told(answer)
    do("add", "c1", "--role", "coder", stdin=PASSWORD)
    assert "already" in told(do("add", "C1", "--role", "coder", stdin=PASSWORD, fails=True))
    for name in ("password", "secret"):
        assert do("add", "c2", "--role", "coder", f"--{name}", PASSWORD, fails=True).exit_code == 2, "never an argument"


def test_services_are_apart(do: Do) -> None:
    do("add", "amira", "--role", "epidemiologist", "--service", "dashboard", stdin=PASSWORD)
    with open_office(load(), "dashboard") as office:
        assert office.people.find("amira").roles == {ROLES["dashboard"][1]}
    with open_office(load(), "desk") as office:
        assert office.people.all() == []


def test_access(do: Do, tmp_path: Path) -> None:
    do("add", "c1", "--role", "coder", stdin=PASSWORD)
    do("roles", "c1", "--role", "senior")
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "audit.pem", tmp_path / "audit.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    head, log = tmp_path / "head.json", tmp_path / "log.jsonl"
    head.write_text(do("head", "--key", str(private)).output)
    do("export", "-o", str(log), "--key", str(private))
    assert do("verify").output.startswith("2 rows hold; head ")
    assert do("verify", str(log), "--public", str(public), "--head", str(head)).exit_code == 0
    assert do("verify", "--head", str(head), "--public", str(public)).exit_code == 0
    do("roles", "c1", "--role", "coder")
    assert do("verify", "--head", str(log)).output.startswith("3 rows hold")
    assert "ROLES_SET" in tried(access.app, ("list",), "", False).output

    database = open_database(Database(), load().root / "desk.sqlite")
    with database.begin() as connection:
        connection.execute(rows.update().where(rows.c.number == 2).values(who="c9"))
    database.dispose()
    for arguments in (("verify",), ("verify", "--head", str(head))):
        answer = do(*arguments, fails=True)
        assert (answer.exit_code, answer.output) == (1, "row 2 was changed (1 rows before it hold)\n")
    assert do("verify", str(log)).exit_code == 0, "what was exported before still holds"
    head.write_text(head.read_text().replace('"number": 2', '"number": 1'))
    assert do("verify", "--head", str(head), "--public", str(public), fails=True).exit_code == 1
    assert do("verify", "--service", "dashboard", "--head", str(log), fails=True).exit_code == 1


def test_the_commands_import_little() -> None:
    code = (
        "import sys; import stream.cli.accounts, stream.cli.access; "
        "print([name for name in ('sqlalchemy', 'starlette', 'argon2', 'jinja2', 'cryptography') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_sessions_of_an_office_are_the_pages(do: Do) -> None:
    do("add", "c1", "--role", "coder", "--own", stdin=PASSWORD)
    with open_office(load(), "desk") as office:
        value = office.sessions.begin(office.people.find("c1").user(), "", "")
        pages = Sessions(office.sessions._engine, ROLES["desk"], 60, 60)
        assert pages.find(value)
        do("disable", "c1")
        assert pages.find(value) is None
