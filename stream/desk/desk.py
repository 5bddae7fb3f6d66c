"""The desk: all that a person does at it. Every method is one transaction, or one that writes behind others that read.

Everything here blocks; in an event loop it runs in a thread. Two desks on one database, on one machine or on several, are
one desk.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from sqlalchemy import Engine

from stream import intake
from stream.certificate import utc_now
from stream.database import open_database, prepare
from stream.desk import (
    acts,
    claims,
    deciding,
    holding,
    queue,
    reasons,
    rebuild,
    sheet,
    store,
    typed,
    undoing,
)
from stream.desk.context import Context
from stream.desk.drafts import Draft
from stream.desk.figures import Supervision, supervise
from stream.desk.folding import fold
from stream.desk.past import recent, visible
from stream.desk.refusals import NotAllowed
from stream.desk.status import status
from stream.desk.tables import TABLES, VERSION
from stream.desk.texts import Index, Opener, VaultOpener, desk_key
from stream.desk.trail import NO_TRAIL, Trail
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
        return holding.next_claim(self.context, who, filters)

    def take(self, who: Coder, certificate_id: str) -> Claim:
        """A particular certificate; the claim that the person has on it already, where there is one.

        Raises:
            NoTask: nobody needs to look at it.
            NotAllowed: it is for somebody else.
            Held: somebody else has it.
            TooMany: the person holds as many as one may.
            NotReady: the topics are still being read.
        """
        return holding.take(self.context, who, certificate_id)

    def renew(self, who: Coder, claim_id: str, idle_s: float = 0.0, seen: int | None = None) -> Renewed:
        """A heartbeat: the lease begins anew, and what came meanwhile is told.

        Args:
            who: the holder.
            claim_id: of his claim.
            idle_s: seconds since the last beat without key or pointer.
            seen: revision of the proposal that he has seen; None where nobody tells.

        Raises:
            ClaimLost: the certificate is in other hands.
        """
        return holding.renew(self.context, who, claim_id, idle_s, seen)

    def refresh(self, who: Coder, claim_id: str) -> Claim:
        """The claim on the newest version, after an amendment; what was typed comes along where it fits.

        Raises:
            ClaimLost: the certificate is in other hands.
            NoTask: the newest version waits for nobody; the claim is over.
            NotAllowed: it waits for somebody else; the claim is over.
        """
        return holding.refresh(self.context, who, claim_id)

    def release(self, who: Coder, claim_id: str) -> None:
        """Give a certificate back; what was typed is kept for its author.

        Raises:
            ClaimLost: it is in other hands already.
        """
        holding.release(self.context, who, claim_id)

    def skip(self, who: Coder, claim_id: str, why: str, note: str = "", trail: Trail = NO_TRAIL) -> None:
        """Leave a task for later: it comes last in this person's queue, and stays where it is in everybody else's.

        Raises:
            ReasonMissing: `why` is no reason to skip.
            ClaimLost: the certificate is in other hands.
        """
        self.context.offered("skips", why)
        acts.hand_on(self.context, who, claim_id, Act.SKIP, why, note, trail)

    def escalate(self, who: Coder, claim_id: str, why: str, note: str = "", trail: Trail = NO_TRAIL) -> None:
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
        acts.hand_on(self.context, who, claim_id, Act.ESCALATE, why, note, trail)

    def send_back(self, who: Coder, claim_id: str, why: str, note: str = "", trail: Trail = NO_TRAIL) -> None:
        """Give an escalated task back to all coders, by a senior who holds it. Raises as `escalate` does."""
        self.context.offered("returns", why)
        if not who.senior:
            raise NotAllowed("a senior sends back")
        acts.hand_on(self.context, who, claim_id, Act.RETURN, why, note, trail)

    def revoke(self, who: Coder, certificate_id: str) -> None:
        """Take a claim away, by a senior; who held it is told at his next heartbeat.

        Raises:
            NotAllowed: by a senior only.
            NoTask: nobody holds it.
        """
        holding.revoke(self.context, who, certificate_id)

    # Work

    def task(self, who: Coder, claim_id: str) -> Opened:
        """A certificate opened for its holder; nothing of the machine's where the task is blind.

        Raises:
            ClaimLost: the certificate is in other hands.
            NoTask: the version is kept no more.
            Shredded: its key was destroyed; the task is closed and the claim is over.
            SealedUnreadable, KeysUnavailable: it does not open here, or not now.
        """
        return sheet.task(self.context, who, claim_id)

    def keep(self, who: Coder, claim_id: str, draft: Draft) -> None:
        """Keep what was typed: it comes back with the task, after a crash too.

        Raises:
            ClaimLost: the certificate is in other hands.
        """
        typed.keep(self.context, who, claim_id, draft)

    def check(self, who: Coder, claim_id: str, draft: Draft) -> Checked:
        """What a draft would meet; nothing is written. Raises as `task` does."""
        return deciding.ready(self.context, who, claim_id, draft).checked

    def decide(
        self, who: Coder, claim_id: str, draft: Draft, trail: Trail = NO_TRAIL, *, kept: bool = False
    ) -> Decided:
        """Write a decision with the row that sends it, in one transaction; the claim ends.

        Asked for again with the same codes, it gives the decision that was written; its row of the access log is written
        with it, once.

        Args:
            who: the holder.
            claim_id: of his claim.
            draft: his codes.
            trail: writes the row of the access log.
            kept: each of his edits was kept when he made it (`keep`): a refusal keeps nothing more, so that what nobody
                touched is no draft.

        Raises:
            Invalid: the draft is no coding of the certificate.
            ReasonMissing: the proposal is changed, and no reason is given.
            Unconfirmed: the draft breaks edits that are not confirmed.
            Superseded: a newer version came, or another proposal than the draft says was `seen`; what was typed is kept. With
                `keep_old` the decision is written all the same for the version that was shown, and the newer one stays
                open; never for a certificate that was withdrawn.
            ClaimLost: the certificate is in other hands.
            AlreadyDecided: the claim has led to another decision.
            NoTask, NotAllowed: the task waits for something else by now.
        """
        return deciding.decide(self.context, who, claim_id, draft, trail, kept=kept)

    def undo(self, who: Coder, decision_id: str, why: str, trail: Trail = NO_TRAIL) -> Undone:
        """Take a decision back by an event of its own; its codes come back as the author's draft, where they are not
        the proposal's.

        Raises:
            ReasonMissing: `why` is no reason to undo.
            NoTask: there is no such decision.
            NotAllowed: by its author or a senior only.
            StandsOn: a later decision or a newer version stands on it.
            Held: somebody works on the certificate.
        """
        return undoing.undo(self.context, who, decision_id, why, trail)

    def ask_second(self, who: Coder, certificate_id: str, why: str, note: str = "") -> None:
        """Ask for a second opinion on a first coding that stands, by its author or a senior.

        Raises:
            ReasonMissing: `why` is no reason to ask.
            NotAllowed: by the author or a senior only.
            NoTask: no first coding stands, or somebody was asked already.
        """
        acts.ask_second(self.context, who, certificate_id, why, note)

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
