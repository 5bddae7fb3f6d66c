"""What comes while somebody holds a certificate: he is told, nothing is taken for something else, nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desk.office import ALL, ANNE, BRUNO, EVERY, SENIOR, Office, certificate, draft, machine, none, task
from stream.coding import CodedCertificate, CodedStatus, ManualTask, Route
from stream.desk import deciding
from stream.desk.drafts import Draft, DraftCode, DraftLine
from stream.desk.life import Stage
from stream.desk.refusals import Held, NoTask, ReasonMissing, StandsOn, Superseded
from stream.desk.values import Change


def amended(office: Office, codes: tuple[str, ...] = ("C25.9",), *, first: str = "coded", audit: bool = False) -> None:
    """Version 2, its two records in either order."""
    made = certificate("a", codes, 2)
    coded = machine(made, codes, at=office.clock.now, audit=audit)
    waiting = task(made, coded, at=office.clock.now)
    office.put(*((coded, waiting) if first == "coded" else (waiting, coded)))


@pytest.mark.parametrize("first", ["coded", "manual"])
@pytest.mark.parametrize("audit", [False, True])
def test_an_amendment_refuses_the_decision_and_keeps_the_draft(office: Office, first: str, audit: bool) -> None:
    office.open("a", audit=audit)
    claim = office.desk.take(ANNE, "a")
    amended(office, first=first, audit=audit)
    banner = office.desk.renew(ANNE, claim.claim_id).banner
    assert banner is not None
    assert (banner.kind, banner.version) == (Change.AMENDED, 2)
    opened = office.desk.task(ANNE, claim.claim_id)
    assert (opened.certificate.version, opened.banner) == (1, banner), "the version that was given is still shown"
    with pytest.raises(Superseded) as refusal:
        office.desk.decide(ANNE, claim.claim_id, draft("J18.9", reason="OTHER"))
    assert refusal.value.banner == banner
    with pytest.raises(Held):
        office.desk.take(BRUNO, "a")
    fresh = office.desk.refresh(ANNE, claim.claim_id)
    assert fresh.version == 2
    opened = office.desk.task(ANNE, fresh.claim_id)
    assert opened.certificate.part1[0].text == "cancer du pancréas"
    assert opened.draft is not None
    assert opened.draft.codes() == (("J18.9",),)
    done = office.desk.decide(ANNE, fresh.claim_id, draft("C25.9"))
    assert (done.version, done.stage, done.old) == (2, Stage.DONE, False)


@pytest.mark.parametrize("late", [False, True])
def test_a_proposal_that_nobody_changed_is_no_draft(
    office: Office, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """What the machine proposed for one version must not stand in the place of its proposal for the next."""
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    proposal = office.desk.task(ANNE, claim.claim_id).proposal
    assert proposal is not None
    untouched = Draft.of(proposal)
    office.desk.keep(ANNE, claim.claim_id, draft("J18.9"))
    if late:  # between the look at the draft and its writing
        reason = deciding._reason

        def slow(*given: object) -> str:
            amended(office)
            return reason(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(deciding, "_reason", slow)
    else:
        amended(office)
    with pytest.raises(Superseded):
        office.desk.decide(ANNE, claim.claim_id, untouched)
    assert office.desk.task(ANNE, claim.claim_id).draft is None, "what was typed before was put back"
    fresh = office.desk.refresh(ANNE, claim.claim_id)
    assert office.desk.task(ANNE, fresh.claim_id).draft is None


def test_a_cause_or_a_place_that_was_chosen_is_kept(office: Office) -> None:
    office.open("a", ("I21.9", "I10"))
    claim = office.desk.take(ANNE, "a")
    proposal = office.desk.task(ANNE, claim.claim_id).proposal
    assert proposal is not None
    untouched = Draft.of(proposal)
    for typed in (
        replace(untouched, underlying="I10"),
        replace(untouched, part1=(replace(untouched.part1[0], codes=()), *untouched.part1[1:])),
        replace(untouched, part1=(DraftLine((DraftCode("I21.9", 0, 3),)), *untouched.part1[1:])),
    ):
        office.desk.keep(ANNE, claim.claim_id, typed)
        assert office.desk.task(ANNE, claim.claim_id).draft == typed
    office.desk.keep(ANNE, claim.claim_id, untouched)
    assert office.desk.task(ANNE, claim.claim_id).draft is None


@pytest.mark.parametrize("how", ["refreshed", "given back before", "given back after"])
def test_a_draft_with_the_proposal_in_sight_is_not_carried_into_an_audit(office: Office, how: str) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    office.desk.keep(ANNE, claim.claim_id, draft("I21.9"))
    if how == "given back before":
        office.desk.release(ANNE, claim.claim_id)
    amended(office, audit=True)
    if how == "refreshed":
        fresh = office.desk.refresh(ANNE, claim.claim_id)
    else:
        if how == "given back after":
            office.desk.release(ANNE, claim.claim_id)
        fresh = office.desk.take(ANNE, "a")
    assert fresh.blind
    assert office.desk.task(ANNE, fresh.claim_id).draft is None


def test_kept_as_told_it_is_written_for_the_old_version(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    amended(office)
    done = office.desk.decide(ANNE, claim.claim_id, draft("I21.9", keep_old=True))
    assert (done.version, done.old, done.stage) == (1, True, Stage.OPEN)
    assert office.ids(BRUNO) == ["a"], "the new version is still to be coded"
    row = office.desk.queue(BRUNO, ALL, EVERY).rows[0]
    assert (row.version, row.amended) == (2, True)
    held = office.desk.take(BRUNO, "a")
    (earlier,) = office.desk.task(BRUNO, held.claim_id).earlier
    assert (earlier.version, earlier.coder, earlier.underlying) == (1, "anne", "I21.9")
    with pytest.raises(StandsOn):
        office.desk.undo(ANNE, done.decision_id, "SLIP")


def test_an_amendment_that_needs_nobody(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    made = certificate("a", version=2)
    office.put(machine(made, route=Route.AUTO), none("a", 2))
    banner = office.desk.renew(ANNE, claim.claim_id).banner
    assert banner is not None
    assert (banner.kind, banner.version) == (Change.AMENDED_DONE, 2)
    with pytest.raises(Superseded):
        office.desk.decide(ANNE, claim.claim_id, draft("I21.9"))
    with pytest.raises(NoTask):
        office.desk.refresh(ANNE, claim.claim_id)
    assert office.ids(ANNE) == []
    assert office.desk.held(ANNE) == ()


@pytest.mark.parametrize("turn", [1, -1])
def test_a_void(office: Office, turn: int) -> None:
    office.open("a")
    office.open("b")
    claim = office.desk.take(ANNE, "a")
    records: list[CodedCertificate | ManualTask] = [
        machine(certificate("a", version=2), status=CodedStatus.WITHDRAWN, route=Route.AUTO),
        none("a", 2),
    ]
    office.put(*records[::turn])
    banner = office.desk.renew(ANNE, claim.claim_id).banner
    assert banner is not None
    assert (banner.kind, banner.version) == (Change.VOIDED, 2)
    assert office.desk.task(ANNE, claim.claim_id).certificate.version == 1
    with pytest.raises(Superseded):
        office.desk.decide(ANNE, claim.claim_id, draft("I21.9"))
    with pytest.raises(Superseded):  # nobody insists on coding what is no certificate any more
        office.desk.decide(ANNE, claim.claim_id, draft("I21.9", keep_old=True))
    assert office.ids(ANNE) == ["b"]
    with pytest.raises(NoTask):
        office.desk.refresh(ANNE, claim.claim_id)
    assert office.desk.held(ANNE) == ()


def test_a_void_between_look_and_writing_is_not_insisted_on(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    reason = deciding._reason

    def late(*given: object) -> str:
        gone = machine(certificate("a", version=2), status=CodedStatus.WITHDRAWN, route=Route.AUTO)
        office.put(gone, none("a", 2))
        return reason(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(deciding, "_reason", late)
    with pytest.raises(Superseded) as refusal:
        office.desk.decide(ANNE, claim.claim_id, draft("I21.9", keep_old=True))
    assert refusal.value.banner.kind is Change.VOIDED
    assert office.desk.recent(ANNE) == ()


def test_an_amendment_between_look_and_writing_is_seen(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version came after the draft was checked and before it was written."""
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    reason = deciding._reason

    def late(*given: object) -> str:
        amended(office)
        return reason(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(deciding, "_reason", late)
    with pytest.raises(Superseded):
        office.desk.decide(ANNE, claim.claim_id, draft("I21.9"))
    opened = office.desk.task(ANNE, claim.claim_id)
    assert opened.draft is not None
    assert opened.draft.codes() == (("I21.9",),)


def test_a_newer_revision_of_the_machine_is_the_proposal(office: Office) -> None:
    made = office.open("a")
    office.put(machine(made, ("C25.9",), revision=1))
    row = office.desk.queue(ANNE, ALL, EVERY).rows[0]
    assert row.proposed == "C25.9"
    claim = office.desk.take(ANNE, "a")
    opened = office.desk.task(ANNE, claim.claim_id)
    assert opened.proposal is not None
    assert opened.proposal.revision == 1
    assert office.desk.decide(ANNE, claim.claim_id, draft("C25.9")).stage is Stage.DONE


def revised(office: Office, first: str = "coded") -> None:
    """Another proposal for the same version, its two records in either order."""
    made = certificate("a")
    coded = machine(made, ("C25.9",), revision=1, at=office.clock.now)
    waiting = task(made, coded, at=office.clock.now)
    office.put(*((coded, waiting) if first == "coded" else (waiting, coded)))


@pytest.mark.parametrize("first", ["coded", "manual"])
def test_a_new_proposal_is_told_to_who_has_seen_the_one_before(office: Office, first: str) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    assert office.desk.renew(ANNE, claim.claim_id, seen=0).banner is None
    revised(office, first)
    assert office.desk.renew(ANNE, claim.claim_id).banner is None, "who does not say what he sees is not told"
    banner = office.desk.renew(ANNE, claim.claim_id, seen=0).banner
    assert banner is not None
    assert (banner.kind, banner.version, banner.revision) == (Change.REVISED, 1, 1)
    for insists in (False, True):  # it is no older version that one could keep to
        with pytest.raises(Superseded) as refusal:
            office.desk.decide(ANNE, claim.claim_id, draft("I21.9", seen=0, keep_old=insists), kept=True)
        assert refusal.value.banner == banner
    # To see it nobody need lose the certificate, and the old proposal does not lie upon the new one.
    assert office.desk.refresh(ANNE, claim.claim_id).claim_id == claim.claim_id
    opened = office.desk.task(ANNE, claim.claim_id)
    assert opened.proposal is not None
    assert (opened.proposal.revision, opened.draft, opened.banner) == (1, None, None)
    assert office.desk.renew(ANNE, claim.claim_id, seen=1).banner is None
    with pytest.raises(ReasonMissing):  # against what he knows to be proposed now
        office.desk.decide(ANNE, claim.claim_id, draft("I21.9", seen=1))
    assert office.desk.decide(ANNE, claim.claim_id, draft("C25.9", seen=1)).stage is Stage.DONE


def test_what_was_typed_outlives_a_new_proposal(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    office.desk.keep(ANNE, claim.claim_id, draft("J18.9"))
    revised(office)
    with pytest.raises(Superseded):
        office.desk.decide(ANNE, claim.claim_id, draft("J18.9", reason="OTHER", seen=0), kept=True)
    opened = office.desk.task(ANNE, claim.claim_id)
    assert opened.draft is not None
    assert opened.draft.codes() == (("J18.9",),)
    # What presses more is told first.
    amended(office)
    banner = office.desk.renew(ANNE, claim.claim_id, seen=0).banner
    assert banner is not None
    assert banner.kind is Change.AMENDED


def test_the_blind_are_told_of_no_proposal(office: Office) -> None:
    made = office.open("b", audit=True)
    claim = office.desk.take(ANNE, "b")
    office.put(machine(made, ("C25.9",), revision=1, audit=True, at=office.clock.now))
    assert office.desk.renew(ANNE, claim.claim_id, seen=0).banner is None
    assert office.desk.decide(ANNE, claim.claim_id, draft("I21.9", seen=0)).stage is Stage.DONE


@pytest.mark.parametrize("code", ["I21.9", "C25.9"])
def test_an_undone_acceptance_is_no_draft(office: Office, code: str) -> None:
    """What the machine proposed and a person took as it was does not stand in the place of a later proposal."""
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    proposal = office.desk.task(ANNE, claim.claim_id).proposal
    assert proposal is not None
    codes = replace(
        Draft.of(proposal), underlying=code, reason="OTHER",
        part1=(DraftLine((replace(Draft.of(proposal).part1[0].codes[0], code=code),)),),
        confirmed=draft(code).confirmed,
    )  # fmt: skip
    done = office.desk.decide(ANNE, claim.claim_id, codes)
    undone = office.desk.undo(ANNE, done.decision_id, "SLIP")
    assert undone.claim is not None
    kept = office.desk.task(ANNE, undone.claim.claim_id).draft
    assert (kept is None) == (code == "I21.9")


def test_an_adjudication_that_nobody_touched_is_no_draft(office: Office) -> None:
    """Its beginning is not the proposal but what both coders hold: only who keeps each edit knows what was touched."""
    office.open("a")
    for who, code in ((ANNE, "C25.9"), (BRUNO, "I21.9")):
        claim = office.desk.take(who, "a")
        office.desk.decide(who, claim.claim_id, draft(code, reason="OTHER", second=who is ANNE))
    claim = office.desk.take(SENIOR, "a")
    amended(office)
    with pytest.raises(Superseded):
        office.desk.decide(SENIOR, claim.claim_id, draft("J18.9"), kept=True)
    fresh = office.desk.refresh(SENIOR, claim.claim_id)
    assert office.desk.task(SENIOR, fresh.claim_id).draft is None
