"""The desk: all that a person does at it. Every method is one transaction, or one that writes behind others that read.

Everything here blocks; in an event loop it runs in a thread. Two desks on one database, on one machine or on several, are
one desk.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from stream import intake
from stream.certificate import utc_now
from stream.coding import DecisionKind
from stream.database import open_database, prepare
from stream.desk import claims, deciding, opening, queue, reasons, rebuild, store
from stream.desk.context import Context
from stream.desk.drafts import Draft
from stream.desk.figures import Supervision, supervise
from stream.desk.folding import fold
from stream.desk.life import KINDS, Stage, may
from stream.desk.past import past, recent, visible
from stream.desk.refusals import NotAllowed, NoTask, TooMany
from stream.desk.status import status
from stream.desk.tables import ACTS, TABLES, TASKS, VERSION, Found
from stream.desk.texts import Index, Opener, VaultOpener, desk_key
from stream.desk.values import (
    Act,
    Checked,
    Claim,
    Coder,
    Decided,
    Facets,
    Filters,
    Listing,
    Opened,
    Page,
    Past,
    Renewed,
    Status,
    Undone,
)
from stream.settings import Settings
from stream.targeting import policy

FILE = "desk.sqlite"
NOTE_CHARS = 500
"""Longest note."""


class Desk:
    """See the module.

    Args:
        engine: the database; the desk's tables are made in it.
        settings: leases, reasons, policy, keys.
        opener: opens texts; that of the settings' vault where it is None.
        clock: now, for tests.

    Attributes:
        engine: the database.
        reasons: reasons that may be chosen.
        beat_s: seconds between a browser's heartbeats.
        fold: takes a batch of the topics, for `stream.intake.Intake`.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        opener: Opener | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Raises InvalidSettings, InvalidData, DatabaseUnavailable."""
        prepare(engine, TABLES, service=rebuild.SERVICE, version=VERSION)
        prepare(engine, intake.TABLES, service="intake", version=1)
        self.engine, self.reasons = engine, reasons.load(settings.desk.reasons or reasons.TABLE)
        self.beat_s = settings.desk.beat_s
        self.fold = fold
        self.context = Context(
            engine, settings.desk, opener or VaultOpener(settings), Index(desk_key(settings)), self.reasons,
            policy.read_file(settings.policy), clock,
        )  # fmt: skip

    # The queue

    def queue(self, who: Coder, filters: Filters, page: Page) -> Listing:
        """A page of the tasks that a person may do, in the order in which `next` gives them."""
        now = self.context.clock()
        return self.context.read(lambda connection: queue.listing(connection, who, filters, page, now))

    def facets(self, who: Coder, filters: Filters) -> Facets:
        """How many of these tasks there are by each value that they can be filtered by."""
        now = self.context.clock()
        return self.context.read(lambda connection: queue.facets(connection, who, filters, now))

    def status(self, who: Coder) -> Status:
        """What a person wants to see above every page."""
        now = self.context.clock()
        return self.context.read(lambda connection: status(connection, who, now))

    # Claims

    def held(self, who: Coder) -> tuple[Claim, ...]:
        """What a person holds."""
        return self.context.read(lambda c: tuple(claims.claim_of(row) for row in claims.held_by(c, who)))

    def next(self, who: Coder, filters: Filters) -> Claim | None:
        """A certificate to work on: one that the person holds already, else the first of the queue that nobody holds.

        A browser that crashed finds its certificate again. None where the queue is empty.

        Raises:
            NotReady: the topics are still being read.
        """

        def taken(connection: Connection) -> Claim | None:
            now = self.context.clock()
            rebuild.check_ready(connection)
            for row in claims.held_by(connection, who):
                return self._renewed(connection, row, 0.0)
            chosen = queue.candidate(connection, who, filters, now)
            task = store.lock(connection, chosen) if chosen else None
            return self._take(connection, task, who) if task is not None else None

        return self.context.write(taken)

    def take(self, who: Coder, certificate_id: str) -> Claim:
        """A particular certificate; the claim that the person has on it already, where there is one.

        Raises:
            NoTask: nobody needs to look at it.
            NotAllowed: it is for somebody else.
            Held: somebody else has it.
            TooMany: the person holds as many as one may.
            NotReady: the topics are still being read.
        """

        def taken(connection: Connection) -> Claim:
            task = store.lock(connection, certificate_id)
            rebuild.check_ready(connection)
            held = claims.held_by(connection, who)
            for row in held:
                if row.certificate_id == certificate_id:
                    return self._renewed(connection, row, 0.0)
            if len(held) >= self.context.settings.most_held:
                raise TooMany("finish or give back what you hold first")
            if task is None:
                raise NoTask("there is no such task")
            return self._take(connection, task, who)

        return self.context.write(taken)

    def _take(self, connection: Connection, task: Found, who: Coder) -> Claim:
        stage = Stage(task.stage)
        if stage not in KINDS:
            raise NoTask(f"the task waits for nobody: {stage}")
        if not may(stage, senior_only=task.senior, first_by=task.first_by, second_by=task.second_by,
                   who=who.pseudonym, senior=who.senior):  # fmt: skip
            raise NotAllowed("the task is for somebody else")
        return claims.take(connection, task, KINDS[stage], who, self.context.clock(), self.context.lease)

    def renew(self, who: Coder, claim_id: str, idle_s: float = 0.0) -> Renewed:
        """A heartbeat: the lease begins anew, and what came meanwhile is told.

        Args:
            who: the holder.
            claim_id: of his claim.
            idle_s: seconds since the last beat without key or pointer.

        Raises:
            ClaimLost: the certificate is in other hands.
        """

        def renewed(connection: Connection) -> Renewed:
            row = claims.mine(connection, who, claim_id)
            banner = opening.banner_of(store.case(connection, row.certificate_id), row.version)
            return Renewed(self._renewed(connection, row, idle_s), banner)

        return self.context.write(renewed)

    def _renewed(self, connection: Connection, row: Found, idle_s: float) -> Claim:
        context = self.context
        return claims.renew(connection, row, context.clock(), context.lease, beat_s=self.beat_s, idle_s=idle_s)

    def refresh(self, who: Coder, claim_id: str) -> Claim:
        """The claim on the newest version, after an amendment; what was typed comes along where it fits.

        Raises:
            ClaimLost: the certificate is in other hands.
            NoTask: the newest version waits for nobody; the claim is over.
            NotAllowed: it waits for somebody else; the claim is over.
        """

        def refreshed(connection: Connection) -> Claim | NoTask | NotAllowed:
            row = claims.mine(connection, who, claim_id)
            task = store.lock(connection, row.certificate_id)
            if task is not None and task.version == row.version and Stage(task.stage) in KINDS:
                return self._renewed(connection, row, 0.0)
            claims.drop(connection, claim_id)
            if task is None:
                return NoTask("there is no task any more")
            try:
                return self._take(connection, task, who)
            except (NoTask, NotAllowed) as refusal:
                return refusal

        found = self.context.write(refreshed)
        if isinstance(found, Claim):
            return found
        raise found

    def release(self, who: Coder, claim_id: str) -> None:
        """Give a certificate back; what was typed is kept for its author.

        Raises:
            ClaimLost: it is in other hands already.
        """

        def released(connection: Connection) -> None:
            claims.mine(connection, who, claim_id)
            claims.drop(connection, claim_id)

        self.context.write(released)

    def skip(self, who: Coder, claim_id: str, why: str, note: str = "") -> None:
        """Leave a task for later: it comes last in this person's queue, and stays where it is in everybody else's.

        Raises:
            ReasonMissing: `why` is no reason to skip.
            ClaimLost: the certificate is in other hands.
        """
        self.context.offered("skips", why)
        self._acted(who, claim_id, Act.SKIP, why, note)

    def escalate(self, who: Coder, claim_id: str, why: str, note: str = "") -> None:
        """Give a task to a senior.

        Raises:
            ReasonMissing: `why` is no reason to escalate.
            NotAllowed: a senior escalates nothing.
            ClaimLost: the certificate is in other hands.
            NoTask: a newer version came.
        """
        self.context.offered("escalations", why)
        if who.senior:
            raise NotAllowed("there is nobody above a senior")
        self._acted(who, claim_id, Act.ESCALATE, why, note)

    def send_back(self, who: Coder, claim_id: str, why: str, note: str = "") -> None:
        """Give an escalated task back to all coders, by a senior who holds it. Raises as `escalate` does."""
        self.context.offered("returns", why)
        if not who.senior:
            raise NotAllowed("a senior sends back")
        self._acted(who, claim_id, Act.RETURN, why, note)

    def _acted(self, who: Coder, claim_id: str, act: Act, why: str, note: str) -> None:
        held = self.context.read(lambda connection: claims.mine(connection, who, claim_id))
        sealed = self._sealed(note, held.certificate_id, held.version)

        def acted(connection: Connection) -> None:
            store.lock(connection, held.certificate_id)
            row = claims.mine(connection, who, claim_id)
            if act is not Act.SKIP and opening.banner_of(store.case(connection, row.certificate_id), row.version):
                raise NoTask("a newer version came")
            same = sa.and_(ACTS.c.certificate_id == row.certificate_id, ACTS.c.version == row.version)
            if act is Act.RETURN:
                connection.execute(sa.update(ACTS).where(same, ACTS.c.act == Act.ESCALATE).values(holds=False))
            connection.execute(
                ACTS.insert().values(
                    certificate_id=row.certificate_id, version=row.version, act=act.value, who=who.pseudonym, why=why,
                    note=sealed, at=self.context.clock(), holds=act is not Act.RETURN,
                )
            )  # fmt: skip
            claims.drop(connection, claim_id)
            store.refresh(connection, [row.certificate_id])

        self.context.write(acted)

    def _sealed(self, note: str, certificate_id: str, version: int) -> bytes | None:
        words = note.strip()[:NOTE_CHARS]
        return self.context.opener.seal(words, certificate_id, version) if words else None

    def revoke(self, who: Coder, certificate_id: str) -> None:
        """Take a claim away, by a senior; who held it is told at his next heartbeat.

        Raises:
            NotAllowed: by a senior only.
            NoTask: nobody holds it.
        """
        if not who.senior:
            raise NotAllowed("a senior takes claims away")

        def revoked(connection: Connection) -> None:
            row = claims.row_of(connection, certificate_id)
            if row is None:
                raise NoTask("nobody holds it")
            claims.drop(connection, row.claim_id)

        self.context.write(revoked)

    # Work

    def task(self, who: Coder, claim_id: str) -> Opened:
        """A certificate opened for its holder; nothing of the machine's where the task is blind.

        Raises:
            ClaimLost: the certificate is in other hands.
            NoTask: the version is kept no more.
            Shredded: its key was destroyed; the task is closed and the claim is over.
            SealedUnreadable, KeysUnavailable: it does not open here, or not now.
        """
        context = self.context
        found = context.read(lambda connection: opening.work(connection, who, claim_id))
        certificate = opening.opened(context, found.certificate, claim_id)
        claim = self.renew(who, claim_id).claim

        def told(connection: Connection) -> Opened:
            decisions = past(connection, who, found.case)
            judged = found.kind is DecisionKind.ADJUDICATION
            version = found.row.version
            opinions = tuple(
                one
                for one in decisions
                if one.version == version and one.standing and one.kind is not DecisionKind.UNDO
            )
            base = None if found.blind else found.base
            return Opened(
                claim, certificate, base, base.targeting.reasons if base else (), base.flags if base else (),
                base.targeting.stratum if base else "", opinions if judged else (),
                () if found.blind else tuple(one for one in decisions if one.version < version),
                opening.notes(connection, context, found),
                () if found.blind else context.index.alike(connection, certificate),
                deciding.draft_of(connection, who, found), found.banner,
                claims.seconds(found.row, context.clock(), beat_s=self.beat_s),
            )  # fmt: skip

        return context.read(told)

    def keep(self, who: Coder, claim_id: str, draft: Draft) -> None:
        """Keep what was typed: it comes back with the task, after a crash too.

        Raises:
            ClaimLost: the certificate is in other hands.
        """
        deciding.keep(self.context, who, claim_id, draft)

    def check(self, who: Coder, claim_id: str, draft: Draft) -> Checked:
        """What a draft would meet; nothing is written. Raises as `task` does."""
        return deciding.ready(self.context, who, claim_id, draft).checked

    def decide(self, who: Coder, claim_id: str, draft: Draft) -> Decided:
        """Write a decision with the row that sends it, in one transaction; the claim ends.

        Asked for again with the same codes, it gives the decision that was written.

        Raises:
            Invalid: the draft is no coding of the certificate.
            ReasonMissing: the proposal is changed, and no reason is given.
            Unconfirmed: the draft breaks edits that are not confirmed.
            Superseded: a newer version came; the draft is kept. With `keep_old` the decision is written all the same, for
                the version that was shown, and the new one stays open.
            ClaimLost: the certificate is in other hands.
            AlreadyDecided: the claim has led to another decision.
            NoTask, NotAllowed: the task waits for something else by now.
        """
        return deciding.decide(self.context, who, claim_id, draft)

    def undo(self, who: Coder, decision_id: str, why: str) -> Undone:
        """Take a decision back by an event of its own; its codes come back as the author's draft.

        Raises:
            ReasonMissing: `why` is no reason to undo.
            NoTask: there is no such decision.
            NotAllowed: by its author or a senior only.
            StandsOn: a later decision or a newer version stands on it.
            Held: somebody works on the certificate.
        """
        return deciding.undo(self.context, who, decision_id, why)

    def ask_second(self, who: Coder, certificate_id: str, why: str, note: str = "") -> None:
        """Ask for a second opinion on a first coding that stands, by its author or a senior.

        Raises:
            ReasonMissing: `why` is no reason to ask.
            NotAllowed: by the author or a senior only.
            NoTask: no first coding stands, or somebody was asked already.
        """
        self.context.offered("seconds", why)
        found = self.context.read(lambda connection: store.case(connection, certificate_id))
        if found.manual is None:
            raise NoTask("there is no such task")
        sealed = self._sealed(note, certificate_id, found.manual.version)

        def asked(connection: Connection) -> None:
            task = store.lock(connection, certificate_id)
            if task is None or task.stage != Stage.DONE or task.second_by is not None or task.first_by is None:
                raise NoTask("there is no first coding to be held against a second")
            if not who.senior and task.first_by != who.pseudonym:
                raise NotAllowed("its author or a senior asks for a second opinion")
            connection.execute(
                ACTS.insert().values(
                    certificate_id=certificate_id, version=task.version, act=Act.SECOND.value, who=who.pseudonym,
                    why=why, note=sealed, at=self.context.clock(), holds=True,
                )
            )  # fmt: skip
            store.refresh(connection, [certificate_id])
            now = connection.execute(sa.select(TASKS.c.stage).where(TASKS.c.certificate_id == certificate_id)).scalar()
            if now != Stage.SECOND:
                raise NoTask("it was judged already")

        self.context.write(asked)

    def recent(self, who: Coder, limit: int = 20) -> tuple[Past, ...]:
        """A person's own decisions, the newest first."""
        return self.context.read(lambda connection: recent(connection, who, limit))

    def past(self, who: Coder, certificate_id: str) -> tuple[Past, ...]:
        """The decisions on a certificate that a person may see, by time."""
        return self.context.read(lambda c: visible(c, who, store.case(c, certificate_id), self.context.clock()))

    # Supervision and upkeep

    def figures(self, start: date, end: date) -> Supervision:
        """What the office did from a day on, up to another that is left out, and what waits now."""
        context = self.context
        return context.read(lambda connection: supervise(connection, context.office, start, end, context.clock()))

    def rebuild(self) -> None:
        """Empty what comes from the topics, and begin them again; claims, acts, drafts and the outbox stay."""
        self.context.write(lambda connection: rebuild.rebuild(connection, self.context.clock()))


def open_desk(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> Desk:
    """The desk of the settings.

    Raises:
        InvalidSettings, InvalidData: a setting, the policy or the reasons are at fault.
        DatabaseUnavailable: the database's server is away.
    """
    return Desk(open_database(settings.desk.database, settings.root / FILE), settings, clock=clock)
