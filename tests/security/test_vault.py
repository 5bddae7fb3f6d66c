"""Certificates' own keys: made, used, bound to their places, wrapped anew, destroyed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import certificates

from security.keys import SECRETS, full, sealing, secret
from stream.certificate import Certificate, Line, Neonatal, Sealed, certificate_record
from stream.errors import InvalidSettings, KeysUnavailable, SealedUnreadable, Shredded
from stream.sealing import Keyring, envelope
from stream.sealing.store import MemoryKeyStore, Row
from stream.sealing.vault import Vault
from stream.settings import Sealing


def vault(settings: Sealing | None = None, store: MemoryKeyStore | None = None) -> Vault:
    return Vault(settings or sealing("k"), store or MemoryKeyStore())


@given(certificates())
def test_round_trip(certificate: Certificate) -> None:
    ring = vault().get_or_make([certificate.certificate_id])
    sealed = ring.seal(certificate)
    assert ring.open(sealed) == certificate
    assert ring.seal(sealed) == sealed, "what is sealed is not sealed twice"
    assert ring.open(certificate) == certificate, "plain text passes"


def test_nothing_stays_plain_and_no_key_is_in_the_record() -> None:
    store = MemoryKeyStore()
    sealed = vault(store=store).get_or_make(["c"]).seal(full())
    record = certificate_record(sealed)
    assert not [word for word in SECRETS if word in str(record)]
    text = sealed.part1[0].text
    assert isinstance(text, Sealed) and text.key_id == "causa-2.1:c"
    assert len(text.ciphertext) == len("infarctus") + 16, "a ciphertext and its tag, no wrapped key beside them"
    assert store.get(["c"])["c"].wrapped not in str(record).encode()


def moved(certificate: Certificate) -> dict[str, Certificate]:
    """The same ciphertexts in other places."""
    first, second = certificate.part1
    text = first.text
    assert certificate.neonatal is not None and isinstance(text, Sealed)

    def again(**fields: Any) -> Certificate:
        return replace(certificate, part1=(replace(first, text=replace(text, **fields)), second))

    return {
        "another version": replace(certificate, version=2),
        "another line": replace(certificate, part1=(second, first)),
        "another part": replace(certificate, part1=(first,), part2=(second,)),
        "text and interval": replace(certificate, part1=(Line(first.interval or "", text), second)),
        "another field": replace(certificate, accident_place=text),
        "another order": replace(certificate, neonatal=Neonatal(mother=certificate.neonatal.mother[::-1])),
        "another scheme": again(key_id="causa-2.2:c"),
        "a flipped bit": again(ciphertext=bytes([text.ciphertext[0] ^ 1]) + text.ciphertext[1:]),
        "another nonce": again(nonce=b"0" * 12),
        "no nonce": again(nonce=b""),
    }


@pytest.mark.parametrize("place", sorted(moved(vault().get_or_make(["c"]).seal(full()))))
def test_a_moved_ciphertext_does_not_open(place: str) -> None:
    ring = vault().get_or_make(["c"])
    with pytest.raises(SealedUnreadable) as failure:
        ring.open(moved(ring.seal(full()))[place])
    assert not [word for word in SECRETS if word in failure.value.message]


def test_a_text_under_another_certificates_key_does_not_open_whatever_it_is_bound_to() -> None:
    ring = vault().get_or_make(["c", "d"])
    with pytest.raises(SealedUnreadable, match="another certificate's key"):
        ring.open(replace(ring.seal(full("c")), certificate_id="d"))
    borrowed = ring.seal_bytes(b"sepsis", "d", "part1.0.text", version=1, owner="c")
    with pytest.raises(SealedUnreadable, match="another certificate's key"):
        ring.open(Certificate("d", part1=(Line(borrowed),)))


@given(st.text("ab|:\n1", max_size=8), st.text("ab|:\n1", max_size=8), st.integers(0, 3), st.integers(0, 3))
def test_no_two_places_are_bound_alike(one: str, other: str, first: int, second: int) -> None:
    same = envelope.bound(one, first, "f") == envelope.bound(other, second, "f")
    assert same == ((one, first) == (other, second))


def test_what_the_static_keys_sealed_still_opens_and_seals_nothing_more() -> None:
    old = Keyring(sealing(static="a b"))
    before = old.seal(full())
    ring = vault(sealing("k", static="a b")).get_or_make(["c"])
    assert ring.open(before) == full()
    text = ring.seal(full()).part1[0].text
    assert isinstance(text, Sealed) and envelope.owner_of(text.key_id) == "c"
    with pytest.raises(SealedUnreadable, match="key is not configured"):
        vault().get_or_make(["c"]).open(before)
    mixed = replace(ring.seal(full()), part1=before.part1)
    assert ring.open(mixed) == full()


def test_a_key_that_is_not_at_hand_neither_seals_nor_opens() -> None:
    ring = vault().get_or_make(["c"])
    bare = Keyring(sealing("k"))
    assert bare.seals
    with pytest.raises(KeysUnavailable):
        bare.seal(full())
    with pytest.raises(SealedUnreadable, match="its key is not at hand"):
        bare.open(ring.seal(full()))
    assert vault().get(["c"]).open(full()) == full()


# The store


def test_one_trip_for_a_batch_and_the_same_keys_for_every_worker() -> None:
    store = MemoryKeyStore()
    owners = [f"c{number}" for number in range(64)]
    sealed = vault(store=store).get_or_make(owners).seal(full("c7"))
    assert store.trips == 1
    assert vault(store=store).get_or_make([*owners, "more"]).open(sealed) == full("c7")
    assert store.trips == 2
    assert asyncio.run(vault(store=store).keyring(["c7"])).open(sealed) == full("c7")
    assert vault(store=store).get_or_make([]).open(full()) == full()


def test_wrapped_keys_cannot_be_exchanged_or_opened_by_another_key_of_the_same_name() -> None:
    store = MemoryKeyStore()
    vault(store=store).get_or_make(["a", "b"])
    rows = store.get(["a", "b"])
    store.replace([rows["b"]], [replace(rows["a"], owner="b")])
    with pytest.raises(KeysUnavailable, match="does not open"):
        vault(store=store).get_or_make(["b"])
    with pytest.raises(KeysUnavailable, match=r"key-encryption key k\.[0-9a-f]{8} is not in the settings"):
        vault(Sealing(keks={"k": secret("x")}), store).get_or_make(["a"])
    store.replace([rows["a"]], [Row("a", rows["a"].kek, b"short")])
    with pytest.raises(KeysUnavailable, match="does not open"):
        vault(store=store).get_or_make(["a"])


@pytest.mark.parametrize("value", ["", "short", "é" * 44])
def test_a_key_encryption_key_must_be_32_bytes(value: str) -> None:
    with pytest.raises(InvalidSettings) as failure:
        vault(Sealing.model_validate({"keks": {"k1": value}}))
    assert failure.value.message == "key-encryption key k1 is not 32 bytes in base64"
    with pytest.raises(InvalidSettings, match="there is no key-encryption key"):
        vault(Sealing())


# Rotation


def test_rotation_wraps_every_key_anew_and_the_old_one_may_go() -> None:
    store = MemoryKeyStore()
    owners = [f"c{number:03}" for number in range(25)]
    sealed = [vault(sealing("a"), store).get_or_make([one]).seal(full(one)) for one in owners]
    both = vault(sealing("a", "b", active="b"), store)
    assert both.get_or_make(["c003"]).open(sealed[3]) == full("c003")
    told: list[int] = []
    assert both.rotate(lambda r: told.append(r.wrapped), at_once=10).wrapped == 25
    assert told == [10, 20, 25]
    assert both.rotate().wrapped == 0
    new = vault(sealing("b"), store)
    assert [new.get_or_make([c.certificate_id]).open(c) for c in sealed] == [full(one) for one in owners]
    with pytest.raises(KeysUnavailable):
        vault(sealing("a"), store).get_or_make(owners)


def test_an_interrupted_rotation_goes_on() -> None:
    store = MemoryKeyStore()
    vault(sealing("a"), store).get_or_make([f"c{number:03}" for number in range(25)])
    both = vault(sealing("a", "b", active="b"), store)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        both.rotate(interrupt, at_once=10)
    active, counts = both.counts()
    assert counts[active] == 10
    assert both.rotate(at_once=10).wrapped == 15
    assert both.counts()[1] == {active: 25}


def test_rotation_names_the_key_that_does_not_open() -> None:
    store = MemoryKeyStore()
    vault(sealing("a"), store).get_or_make(["good", "bad"])
    store.replace([store.get(["bad"])["bad"]], [replace(store.get(["bad"])["bad"], wrapped=b"0" * 60)])
    with pytest.raises(KeysUnavailable, match=r"under a\.[0-9a-f]{8}: bad"):
        vault(sealing("a", "b", active="b"), store).rotate()


# Shredding


def test_a_shredded_certificate_opens_nowhere_and_gets_no_new_key_until_it_is_readmitted() -> None:
    store = MemoryKeyStore()
    one = vault(store=store)
    sealed = {c: one.get_or_make([c]).seal(full(c)) for c in "cd"}
    assert one.shred(["c", "c", "unknown"], "p7", "sent by mistake") == 1
    ring = one.get_or_make(["c", "d", "unknown"])
    for doomed in ("c", "unknown"):
        with pytest.raises(Shredded):
            ring.seal(full(doomed))
    with pytest.raises(Shredded):
        ring.open(sealed["c"])
    assert ring.open(sealed["d"]) == full("d")
    assert one.rotate().wrapped == 0
    assert [(act.owner, act.who, act.why) for act in one.acts()] == [
        ("c", "p7", "sent by mistake"),
        ("unknown", "p7", "sent by mistake"),
    ]
    assert one.readmit(["c"], "p7", "wrong number") == 1
    again = one.get_or_make(["c"])
    assert again.open(again.seal(full())) == full()
    with pytest.raises(SealedUnreadable, match="does not open"):
        again.open(sealed["c"])
