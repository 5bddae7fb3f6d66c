from __future__ import annotations

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from sqlalchemy import Engine

from stream.errors import WeakPassword
from stream.web import passwords, tables
from stream.web.people import People
from stream.web.users import Role
from web.conftest import DESK, Clock

GOOD = "soixante lampes au grenier"


def test_ours_is_argon2id_of_64_mib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    found = extract_parameters(passwords.hashed(GOOD))
    assert (found.type, found.memory_cost, found.time_cost, found.parallelism) == (Type.ID, 65_536, 3, 4)


def test_verified() -> None:
    stored = passwords.hashed(GOOD)
    assert passwords.verified(stored, GOOD)
    assert not passwords.verified(stored, GOOD + " ")
    assert not passwords.verified(stored, "")
    assert not passwords.verified("", GOOD)
    assert not passwords.verified("", "nobody has this one")
    assert not passwords.verified("$argon2id$nonsense", GOOD)
    assert stored != passwords.hashed(GOOD), "salted"


def test_one_word_typed_in_two_forms_is_one_word() -> None:
    assert passwords.verified(passwords.hashed("e\u0301te\u0301 a\u0300 la mer"), "été à la mer")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("elevenchars", "short"),
        ("a b" * 50, "long"),
        ("Password1234", "common"),
        ("!!iloveyou2026", "common"),
        ("basketballbasketball", "common"),
        ("abababababab", "simple"),
        ("azertyuiopqsdfgh", "simple"),
        ("345678909876", "simple"),
        ("kayak c1desk-dupont", "personal"),
    ],
)
def test_not_taken(password: str, reason: str) -> None:
    with pytest.raises(WeakPassword) as failure:
        passwords.check(password, 12, ("c1", "Dupont"))
    assert failure.value.reason == reason
    assert password not in failure.value.message


@pytest.mark.parametrize("password", [GOOD, "🦊 court la nuit", "x7!kQp2#mVz9", "a" * 3 + "bcde kayak rouge vif"])
def test_taken(password: str) -> None:
    passwords.check(password, 12, ("c1", "Dupont"))


def test_a_hash_of_other_parameters_is_made_anew_at_login(
    engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.make(engine)
    people = People(engine, DESK, 12, "desk", lambda: clock().timestamp())
    person = people.add("c1", GOOD, frozenset({Role.CODER}), own=True)
    before = people._stored("c1").password
    assert people.logged_in("c1", GOOD) == people.find(person.pseudonym)
    assert people._stored("c1").password == before
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=2, memory_cost=128, parallelism=1))
    assert people.logged_in("c1", "wrong") is None
    assert people._stored("c1").password == before
    assert people.logged_in("c1", GOOD)
    after = people._stored("c1").password
    assert after != before
    assert extract_parameters(after).time_cost == 2
    assert people.logged_in("c1", GOOD)
