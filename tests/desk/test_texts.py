"""No word of a certificate stands in the database; the same words are found again all the same."""

from __future__ import annotations

import base64
import stat
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy import Engine

from desk.office import ANNE, BRUNO, SENIOR, Office, certificate, draft, machine, task
from stream.certificate import Line
from stream.desk.refusals import ClaimLost, NoTask
from stream.desk.tables import TABLES, TEXTS
from stream.desk.texts import WHOLE, Index, VaultOpener, desk_key
from stream.desk.values import Act
from stream.errors import SealedUnreadable, Shredded
from stream.sealing.vault import Vault, open_store
from stream.settings import Sealing, Settings

KEK = SecretStr(base64.b64encode(b"k" * 32).decode())
WORDS = ("infarctus", "myocarde", "3 jours", "pancr")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", sealing=Sealing(keks={"k": KEK}))


@pytest.fixture
def sealed(database: Callable[[], Engine], settings: Settings, tmp_path: Path) -> Office:
    """An office whose certificates come sealed."""
    office = Office(database(), tmp_path, settings=settings)
    vault = Vault(settings.sealing, open_store(settings))
    for name in ("a", "b"):
        plain = certificate(name, part1=(Line("infarctus du myocarde", "3 jours"),))
        made = vault.get_or_make([name]).seal(plain)
        coded = machine(plain, at=office.clock.now)
        office.put(coded, task(made, coded, at=office.clock.now))
    vault.close()
    return office


def whole(engine: Engine) -> bytes:
    """Every cell of every table, packed ones unpacked."""
    found = bytearray()
    with engine.connect() as connection:
        for table in TABLES.sorted_tables:
            for row in connection.execute(table.select()):
                for cell in row:
                    body = bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode()
                    found += zlib.decompress(body) if body[:1] == b"\x78" else body
    return bytes(found)


def test_sealed_text_stays_sealed_and_opens_for_its_coder(sealed: Office) -> None:
    claim = sealed.desk.take(ANNE, "a")
    opened = sealed.desk.task(ANNE, claim.claim_id)
    assert opened.certificate.part1[0] == Line("infarctus du myocarde", "3 jours")
    sealed.desk.escalate(ANNE, claim.claim_id, "DIFFICULT", "infarctus ou embolie ?")
    claim = sealed.desk.take(ANNE, "b")
    sealed.desk.keep(ANNE, claim.claim_id, draft("I21.9"))
    sealed.desk.decide(ANNE, claim.claim_id, draft("I21.9"))
    kept = whole(sealed.desk.engine)
    assert b"I21.9" in kept
    assert not [word for word in (*WORDS, "embolie") if word.encode() in kept]


def test_notes_open_for_who_holds_the_certificate(sealed: Office) -> None:
    claim = sealed.desk.take(ANNE, "a")
    sealed.desk.escalate(ANNE, claim.claim_id, "DIFFICULT", "infarctus ou embolie ?")
    held = sealed.desk.take(SENIOR, "a")
    (note,) = sealed.desk.task(SENIOR, held.claim_id).notes
    assert (note.act, note.text) == (Act.ESCALATE, "infarctus ou embolie ?")


def test_a_shredded_certificate_closes_its_task(sealed: Office, settings: Settings) -> None:
    done = sealed.desk.take(ANNE, "b")
    sealed.desk.decide(ANNE, done.claim_id, draft("I21.9"))
    claim = sealed.desk.take(ANNE, "a")
    vault = Vault(settings.sealing, open_store(settings))
    vault.shred(["a"], "p1", "sent by mistake")
    with pytest.raises(Shredded):
        sealed.desk.task(ANNE, claim.claim_id)
    with pytest.raises(ClaimLost):
        sealed.desk.renew(ANNE, claim.claim_id)
    assert sealed.ids(BRUNO) == []
    with pytest.raises(NoTask):
        sealed.desk.take(BRUNO, "a")
    vault.close()


def test_without_the_keys_nothing_opens_and_the_claim_stays(
    database: Callable[[], Engine], settings: Settings, tmp_path: Path
) -> None:
    office = Office(database(), tmp_path, settings=Settings(home=tmp_path / "other"))
    vault = Vault(settings.sealing, open_store(settings))
    plain = certificate("a")
    coded = machine(plain)
    office.put(coded, task(vault.get_or_make(["a"]).seal(plain), coded))
    claim = office.desk.take(ANNE, "a")
    with pytest.raises(SealedUnreadable):
        office.desk.task(ANNE, claim.claim_id)
    assert office.desk.renew(ANNE, claim.claim_id).claim.claim_id == claim.claim_id
    vault.close()


def test_the_same_words_coded_before(office: Office) -> None:
    for name, code in (("a", "I21.9"), ("b", "I21.9"), ("c", "C25.9")):
        office.open(name, ("I21.9", "I10"))
        claim = office.desk.take(ANNE, name)
        office.clock.pass_(1)
        last = office.desk.decide(ANNE, claim.claim_id, draft(code, "I10", reason="OTHER"))
    office.open("d", ("I21.9",))
    claim = office.desk.take(BRUNO, "d")
    alike = office.desk.task(BRUNO, claim.claim_id).alike
    assert [(one.line, one.codes, one.times) for one in alike] == [(0, ("I21.9",), 2), (0, ("C25.9",), 1)]
    office.open("e", ("I21.9", "I10"))
    claim = office.desk.take(BRUNO, "e")
    alike = office.desk.task(BRUNO, claim.claim_id).alike
    assert [(one.codes, one.underlying, one.times) for one in alike if one.line == WHOLE] == [
        (("I21.9", "I10"), "I21.9", 2), (("C25.9", "I10"), "C25.9", 1),
    ]  # fmt: skip
    office.desk.undo(ANNE, last.decision_id, "SLIP")
    alike = office.desk.task(BRUNO, claim.claim_id).alike
    assert not [one for one in alike if "C25.9" in one.codes], "what was taken back is no history"


def test_words_that_read_the_same_are_the_same() -> None:
    index, other = Index(b"key"), Index(b"other")
    first = index.hashes(certificate("a", part1=(Line("Infarctus  du MYOCARDE"), Line(""))))
    second = index.hashes(certificate("b", part1=(Line("infarctus du myocarde "), Line(" "))))
    assert first == second
    assert sorted(first) == [WHOLE, 0]
    assert first[0] != other.hashes(certificate("a"))[0]
    assert not index.hashes(certificate("a", part1=(Line("..."),), part2=()))


def test_the_index_holds_hashes_only(office: Office) -> None:
    office.open("a")
    office.desk.decide(ANNE, office.desk.take(ANNE, "a").claim_id, draft("I21.9"))
    with office.desk.engine.connect() as connection:
        rows = connection.execute(sa.select(TEXTS.c.hash, TEXTS.c.codes).order_by(TEXTS.c.line)).all()
    assert [len(row.hash) for row in rows] == [32, 32]
    assert {row.codes for row in rows} == {"I21.9"}


def test_the_key_is_made_once_and_is_nobody_else_s(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    key = desk_key(settings)
    assert desk_key(settings) == key
    (file,) = (tmp_path / "home").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    given = settings.model_copy(update={"desk": settings.desk.model_copy(update={"key": SecretStr("given")})})
    assert desk_key(given) != key
    assert len(desk_key(given)) == 32


def test_notes_without_a_key_stay_plain(tmp_path: Path) -> None:
    opener = VaultOpener(Settings(home=tmp_path))
    assert opener.words(opener.seal("à voir", "a", 1), "a", 1) == "à voir"
