"""The pure core: bytes in, decisions out. One certificate, one answer, and no text where none may be."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stream
from stream.certificate import Line, Sealed, certificate_record, read_certificate
from stream.coder.model import MemoryModel
from stream.coding import Automation, CodedStatus, Method, Modality, Route, read_coded, read_dead_letter, read_task
from stream.pipeline.core import Core, Prepared, Worded
from stream.pipeline.record import Incoming
from stream.sealing import Keyring
from stream.settings import REPOSITORY, Limits, Settings
from stream.underlying.ranking import SILENT, MemoryRanker
from stream.underlying.together import Together
from stream.wire import Wire
from training.stamp import stamp_of

from .core import NOW, ORIGIN, PLAIN, SEALING, WIRE, coded, framed, records, run, trusting

AUTOMATIC: dict[str, Any] = {"part1": ["cancer du pancréas"], "sex": "F", "age": {"value": 78}, "manner": "NATURAL"}
MANUAL: dict[str, Any] = {"part1": ["pendaison"], "sex": "M", "age": {"value": 40}, "manner": "SUICIDE"}
MODEL = MemoryModel({"cancer du pancreas": "C25.9"})


# Records


def test_a_certificate_coded_automatically() -> None:
    decision = run(framed(**AUTOMATIC), model=MODEL)
    found = records(decision)
    assert set(found) == {"coded", "manual"} and {record.key for record in decision.outgoing} == {b"A1"}
    assert found["coded"]["status"] == "FINAL" and found["coded"]["underlying"]["code"] == "C25.9"
    assert found["coded"]["targeting"]["route"] == "AUTO" and found["coded"]["targeting"]["reasons"] == []
    assert found["coded"]["origin"] == {"topic": "certificates", "partition": 3, "offset": 42}
    task = read_task(found["manual"])
    assert task.state == "NONE" and task.certificate is None and task.proposal is None and task.priority == 0
    assert decision.letter is None


def test_a_certificate_for_a_person() -> None:
    decision = run(framed(**MANUAL))
    found = records(decision)
    assert set(found) == {"coded", "manual"}
    assert found["coded"]["status"] == "PROVISIONAL" and found["coded"]["targeting"]["route"] == "MANUAL"
    task = read_task(found["manual"])
    assert task.state == "OPEN" and task.proposal == decision.coded and task.priority > 0
    assert task.certificate is not None and task.certificate.part1 == (Line("pendaison"),)
    assert "MANDATORY_INTEREST" in found["manual"]["reasons"] and decision.coded is not None
    assert "INTEREST:suicide" in decision.coded.flags


@pytest.mark.parametrize(
    "fields", [{}, {"part1": ["pendaison"]}, {"part1": [{"text": "OAP", "interval": "3 j"}], "part2": ["HTA"]}]
)
def test_a_void_withdraws_whatever_it_repeats(fields: dict[str, Any]) -> None:
    decision = run(framed(status="VOID", version=2, **fields), model=MemoryModel({}, poison="e"))
    found = records(decision)
    assert found["coded"]["status"] == "WITHDRAWN" and found["coded"]["version"] == 2
    assert found["coded"]["part1"] == found["coded"]["part2"] == [] and found["coded"]["underlying"]["code"] is None
    assert found["manual"]["state"] == "NONE" and found["manual"]["certificate"] is None


def test_an_audit_is_blind_whatever_else_brings_the_certificate() -> None:
    core = trusting(Core(WIRE, Settings()), audit_rate=1.0)
    blind = read_task(records(run(framed(**AUTOMATIC), core, MODEL))["manual"])
    assert (blind.state, blind.audit, blind.proposal, blind.reasons) == ("OPEN", True, None, ())
    assert blind.certificate is not None
    both = read_task(records(run(framed(**MANUAL), core))["manual"])
    # Its reasons would tell what the machine was sure of; the coded record keeps them.
    assert both.audit and both.proposal is None and not both.reasons
    void = read_task(records(run(framed(status="VOID"), core))["manual"])
    assert void.state == "NONE" and not void.audit


def test_confidences_of_versions_that_no_threshold_was_fitted_to_make_nothing_automatic() -> None:
    fitted = run(framed(**AUTOMATIC), model=MODEL).coded
    foreign = run(framed(**AUTOMATIC), trusting(Core(WIRE, Settings()), coder="memory-2"), MODEL).coded
    assert fitted is not None and foreign is not None
    assert fitted.targeting.route == "AUTO" and "UNCERTIFIED" in fitted.flags and not fitted.targeting.certified
    assert foreign.targeting.reasons == ("LOW_CONFIDENCE",) and "UNCALIBRATED" in foreign.flags
    assert foreign.underlying == fitted.underlying and foreign.targeting.threshold is None


def test_a_halted_stratum_goes_to_people_until_it_is_trusted_again() -> None:
    core = trusting(Core(WIRE, Settings()))
    routes = []
    for automation in (Automation.NORMAL, Automation.HALTED, Automation.NORMAL):
        core.automation = {"rest": automation}
        coded = run(framed(**AUTOMATIC), core, MODEL).coded
        assert coded is not None and coded.targeting.automation is automation
        routes.append(coded.targeting.route.value)
    assert routes == ["AUTO", "MANUAL", "AUTO"]


def test_the_packaged_thresholds_fit_what_is_packaged() -> None:
    core = Core(None, Settings())
    served = {name: stamp_of(REPOSITORY / "model_repo" / name / "1") for name in ("coder", "underlying")}
    versions = replace(
        core.versions, coder=f"coder-1+{served['coder']}",
        underlying=f"{core.versions.underlying}+underlying-1+{served['underlying']}",
    )  # fmt: skip
    assert core._policy.thresholds.strangers(versions) == (), "run make calibrate"


# Dead letters

SMALL = Core(WIRE, Settings(limits=Limits(line_chars=20, lines=2)))
ID = WIRE.encode("certificates", certificate_record(read_certificate({"certificate_id": "A1", "part1": ["x"]})))[:5]


def unvalidated(**fields: Any) -> bytes:
    record = certificate_record(read_certificate({"certificate_id": "A1", "part1": ["x"]}))
    return WIRE.encode("certificates", {**record, **fields})


LETTERS: dict[str, tuple[bytes | None, str]] = {
    "null": (None, "BAD_FRAME"),
    "empty": (b"", "BAD_FRAME"),
    "four bytes": (b"\0\0\0\0", "BAD_FRAME"),
    "JSON": (b'{"certificate_id": "A"}', "BAD_FRAME"),
    "unknown schema": (struct.pack(">bI", 0, 999) + b"x", "UNKNOWN_SCHEMA"),
    "cut short": (framed(part1=["sepsis"])[:-3], "BAD_AVRO"),
    "bytes left over": (framed(part1=["sepsis"]) + b"\0", "BAD_AVRO"),
    "noise": (ID + b"\xff" * 40, "BAD_AVRO"),
    "no id": (unvalidated(certificate_id=""), "INVALID_CERTIFICATE"),
    "id of blanks": (unvalidated(certificate_id="a b"), "INVALID_CERTIFICATE"),
    "version 0": (unvalidated(version=0), "INVALID_CERTIFICATE"),
    "negative age": (unvalidated(age={"value": -1, "unit": "YEARS"}), "INVALID_CERTIFICATE"),
    "no lines": (unvalidated(part1=[]), "EMPTY_CERTIFICATE"),
    "blank lines": (unvalidated(part1=[{"text": " \n", "interval": None}]), "EMPTY_CERTIFICATE"),
    "long line": (framed(part1=["x" * 21]), "OVERSIZED_TEXT"),
    "long interval": (framed(part1=[{"text": "x", "interval": "y" * 21}]), "OVERSIZED_TEXT"),
    "many lines": (framed(part1=["x"] * 3), "OVERSIZED_TEXT"),
    "unknown key": (
        framed(part1=[{"text": {"key_id": "k9", "nonce": "AAAA", "ciphertext": "AAAA"}}]), "SEALED_UNREADABLE",
    ),
}  # fmt: skip


@pytest.mark.parametrize("seals", [False, True], ids=["plain", "sealed"])
@pytest.mark.parametrize(("value", "code"), LETTERS.values(), ids=LETTERS.keys())
def test_a_record_at_fault_is_one_dead_letter_with_its_bytes(value: bytes | None, code: str, seals: bool) -> None:
    core = Core(WIRE, SEALING.model_copy(update={"limits": Limits(line_chars=20, lines=2)})) if seals else SMALL
    decision = run(value, core)
    (record,) = decision.outgoing
    assert record.subject == "dead-letters" and record.key == b"A1" and decision.coded is None
    letter = read_dead_letter(WIRE.decode("dead-letters", record.value))
    assert (letter.error, letter.key, letter.origin, letter.software) == (code, b"A1", ORIGIN, stream.__version__)
    payload = letter.payload
    if seals and value is not None:
        assert isinstance(payload, Sealed)
        payload = Keyring(SEALING.sealing).open_bytes(payload, "certificates/3/42", "payload")
    assert payload == value and letter.detail


# Sealed text


def sealed(key: str = "k1", **fields: Any) -> bytes:
    certificate = read_certificate({"certificate_id": "A1", **fields})
    keyring = Keyring(SEALING.sealing.model_copy(update={"active": key}))
    return WIRE.encode("certificates", certificate_record(keyring.seal(certificate)))


@pytest.mark.parametrize("key", ["k1", "k2"])
def test_sealed_text_is_opened_coded_and_sealed_again(key: str) -> None:
    value = sealed(key, **MANUAL, part2=["cardiopathie"])
    assert b"pendaison" not in value
    decision = run(value, Core(WIRE, SEALING))
    assert decision.coded is not None and [e.code for e in decision.coded.part1[0].entities] == ["X70", "T71"]
    assert not [record for record in decision.outgoing if b"pendaison" in record.value]
    task = read_task(records(decision)["manual"])
    assert task.certificate is not None
    assert Keyring(SEALING.sealing).open(task.certificate).part1 == (Line("pendaison"),)
    text = task.certificate.part1[0].text
    assert isinstance(text, Sealed) and text.key_id == key  # what came sealed stays as it came


def test_plain_text_is_sealed_on_its_way_to_the_office() -> None:
    decision = run(framed(**MANUAL), Core(WIRE, SEALING))
    assert not [record for record in decision.outgoing if b"pendaison" in record.value]
    task = read_task(records(decision)["manual"])
    assert task.certificate is not None and Keyring(SEALING.sealing).open(task.certificate).part1 == (
        Line("pendaison"),
    )


def test_sealed_and_plain_text_are_coded_alike_and_limits_hold_inside() -> None:
    one, other = (
        run(framed(**AUTOMATIC), Core(WIRE, SEALING), MODEL),
        run(sealed(**AUTOMATIC), Core(WIRE, SEALING), MODEL),
    )
    assert one.coded is not None and other.coded is not None
    assert replace(one.coded, content_hash="") == replace(other.coded, content_hash="")
    core = Core(WIRE, SEALING.model_copy(update={"limits": Limits(line_chars=60)}))
    assert run(sealed(part1=["y" * 60]), core).letter is None
    letter = run(sealed(part1=["y" * 61]), core).letter
    assert letter is not None and letter.error == "OVERSIZED_TEXT"


def test_sealed_text_moved_to_another_certificate_does_not_open() -> None:
    record = WIRE.decode("certificates", sealed(part1=["sepsis"]))
    letter = run(WIRE.encode("certificates", {**record, "certificate_id": "B2"}), Core(WIRE, SEALING)).letter
    assert letter is not None and letter.error == "SEALED_UNREADABLE"


# One certificate, one answer


def test_the_same_bytes_give_the_same_answer_but_for_the_moment() -> None:
    for fields in (AUTOMATIC, MANUAL, {"status": "VOID"}):
        one, other = run(framed(**fields), model=MODEL), run(framed(**fields), trusting(Core(WIRE, Settings())), MODEL)
        later = run(framed(**fields), model=MODEL, now=NOW + timedelta(days=1))
        assert one == other
        assert one.coded is not None and later.coded is not None
        assert replace(later.coded, coded_at=NOW) == one.coded


def test_content_hash_is_of_the_content_alone() -> None:
    base = coded(**AUTOMATIC)
    assert len(base.content_hash) == 32
    assert coded(**AUTOMATIC, received_at="2026-01-16T08:30:00Z").content_hash == base.content_hash
    for change in ({"part1": ["cancer du pancreas"]}, {"sex": "M"}, {"version": 2}, {"part2": ["HTA"]}):
        assert coded(**{**AUTOMATIC, **change}).content_hash != base.content_hash


def test_versions_say_what_could_change_the_answer() -> None:
    found = run(framed(**AUTOMATIC), model=MODEL).coded
    assert found is not None
    versions = found.versions
    assert versions.software == stream.__version__ and versions.coder == "memory-1"
    assert versions.policy == found.targeting.policy
    for name in ("nomenclature", "lexicon", "rules", "underlying", "policy"):
        assert re.search(r"[-+][0-9a-f]{8}\b|[0-9a-f]{8}", getattr(versions, name)), name


def test_modality_and_method_say_who_coded() -> None:
    alone = coded(**AUTOMATIC)
    assert alone.modality is Modality.RULES and {e.method for e in alone.entities()} == {Method.RULES}
    both = run(framed(**AUTOMATIC), model=MODEL).coded
    assert both is not None and both.modality is Modality.MODEL and {e.method for e in both.entities()} == {Method.BOTH}


def test_rules_may_be_silenced() -> None:
    core = Core(WIRE, Settings())
    core.silence_rules()
    found = run(framed(part1=["cancer du pancréas, HTA"]), core, MODEL).coded
    assert found is not None and [(e.code, e.method) for e in found.entities()] == [("C25.9", Method.MODEL)]


def test_offline_there_is_no_wire() -> None:
    core = Core(None, Settings())
    prepared = core.prepare_certificate(core.certificate({"certificate_id": "A1", **AUTOMATIC}), run(None).incoming)
    worded = core.worded(prepared, {}, "none")
    found, _ = core.code(worded, SILENT, "none", NOW)
    assert found.underlying.code == "C25.9" and core.decide(worded, {}, "none", NOW).outgoing[0].value == b""


# The ranker

SEVERAL: dict[str, Any] = {**AUTOMATIC, "part1": ["embolie pulmonaire", "cancer du pancréas"], "part2": ["HTA"]}
HTA = MemoryRanker({"C259": "I10"}, version="ranker-3")


def worded(**fields: Any) -> Worded:
    prepared = PLAIN.prepare(PLAIN.receive(Incoming(framed(**fields), b"A1", ORIGIN)), NOW)
    assert isinstance(prepared, Prepared)
    found = PLAIN.word(prepared, {}, "none", NOW)
    assert isinstance(found, Worded)
    return found


@pytest.mark.parametrize("fields", [AUTOMATIC, {"part1": ["xyzzy plugh"]}, {**SEVERAL, "status": "VOID"}])
def test_the_ranker_is_not_asked_where_there_is_nothing_to_choose(fields: dict[str, Any]) -> None:
    assert worded(**fields).requests == ()
    assert run(framed(**fields), ranker=HTA).letter is None


def test_the_ranker_is_asked_of_the_codes_on_the_lines() -> None:
    (request,) = worded(**SEVERAL).requests
    assert request.codes[:3] == ("I26.9", "C25.9", "I10")
    assert worded(**{**SEVERAL, "age": {"value": 8}}).requests != (request,)


def test_rules_and_ranker_speak_together() -> None:
    core = Core(WIRE, Settings())
    core._together = Together({"both": 1.0, "ranker": 1.0})
    silent = run(framed(**SEVERAL), core).coded
    assert silent is not None and (silent.underlying.code, silent.underlying.method) == ("C25.9", Method.RULES)
    assert silent.modality is Modality.RULES and silent.versions.underlying.endswith("+none")
    both = run(framed(**SEVERAL), core, ranker=MemoryRanker({"C259": "C259"})).coded
    assert both is not None and (both.underlying.code, both.underlying.method) == ("C25.9", Method.BOTH)
    assert both.modality is Modality.MODEL and both.underlying.steps == silent.underlying.steps
    other = run(framed(**SEVERAL), core, ranker=HTA).coded
    assert other is not None and (other.underlying.code, other.underlying.method) == ("I10", Method.MODEL)
    assert other.modality is Modality.MODEL and "C25.9" in [a.code for a in other.underlying.alternatives]
    assert other.versions.underlying == f"{core.versions.underlying}+ranker-3" and 0 <= other.underlying.confidence <= 1
    assert other.entities() == silent.entities(), "codes of the lines are the coder's business"


def test_an_answer_that_is_missing_is_a_fault_of_ours_and_of_this_certificate() -> None:
    decision = PLAIN.decide(worded(**SEVERAL), {}, "none", NOW)
    assert decision.letter is not None and decision.letter.error == "CORE_FAILED"


@pytest.mark.parametrize("step", ["worded", "selected"])
def test_a_fault_of_ours_is_a_dead_letter_that_tells_its_place_alone(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def faulty(*_: Any) -> Any:
        raise KeyError("pendaison")

    core = Core(WIRE, Settings())
    monkeypatch.setattr(core, step, faulty)
    decision = run(framed(**MANUAL), core)
    assert decision.letter is not None and decision.letter.error == "CORE_FAILED"
    assert "KeyError at " in decision.letter.detail and "pendaison" not in decision.letter.detail
    assert decision.letter.payload == framed(**MANUAL)


# No text leaves with the codes

phrases = st.sampled_from(
    ["Zébulonite fulminante", "cancer du pancréas métastatique", "œdème aigu du poumon", "décès constaté à domicile", "pendaison",
     "fracture ouverte du fémur droit", "AVC en 2015, hypertension artérielle", "pneumopathie d'inhalation sur démence", "mort naturelle"]
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    st.lists(phrases, min_size=1, max_size=4),
    st.lists(phrases, max_size=2),
    st.sampled_from([None, "3 semaines environ"]),
)
def test_no_word_of_a_certificate_is_in_its_coded_record(
    part1: list[str], part2: list[str], interval: str | None
) -> None:
    decision = run(framed(part1=[{"text": t, "interval": interval} for t in part1], part2=part2), model=MODEL)
    (value,) = (record.value for record in decision.outgoing if record.subject == "coded")
    written = value.decode("utf-8", "replace").lower()
    words = {word for text in (*part1, *part2, interval or "") for word in re.findall(r"[^\W\d_]{4,}", text.lower())}
    assert words and not {word for word in words if word in written}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=4), st.lists(st.text(max_size=40), max_size=2))
def test_any_text_gives_one_coded_and_one_manual_record_or_one_dead_letter(part1: list[str], part2: list[str]) -> None:
    clean = [[t.encode("utf-8", "ignore").decode() for t in part] for part in (part1, part2)]
    record = certificate_record(read_certificate({"certificate_id": "A1", "part1": ["x"]}))
    lines = [[{"text": text, "interval": None} for text in part] for part in clean]
    decision = run(WIRE.encode("certificates", {**record, "part1": lines[0], "part2": lines[1]}))
    if not any(text.strip() for part in clean for text in part):
        assert decision.letter is not None and decision.letter.error == "EMPTY_CERTIFICATE"
        return
    assert [r.subject for r in decision.outgoing] == ["coded", "manual"]
    found = decision.coded
    assert found is not None and len(found.part1) == len(clean[0]) and len(found.part2) == len(clean[1])
    assert (found.status is CodedStatus.PROVISIONAL) == (found.targeting.route is Route.MANUAL)
    for lines_coded, texts in zip((found.part1, found.part2), clean, strict=True):
        for line, text in zip(lines_coded, texts, strict=True):
            assert all(0 <= e.start < e.end <= len(text) for e in line.entities)
    assert read_coded(Wire.decode(WIRE, "coded", decision.outgoing[0].value)) == found
    assert PLAIN.versions.software == found.versions.software
