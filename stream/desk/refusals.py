"""What the desk refuses, each with a code that a page has words for. None quotes a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.errors import Refused

if TYPE_CHECKING:
    from stream.desk.drafts import Fault
    from stream.desk.values import Banner
    from stream.targeting.edits import Edit


class NoTask(Refused):
    """There is no such task, or it waits for nobody any more."""

    code = "NO_TASK"


class NotReady(Refused):
    """The desk is still reading the topics: a task may look undecided that is decided."""

    code = "NOT_READY"


class NotAllowed(Refused):
    """The task, or the act, is not for this person."""

    code = "NOT_ALLOWED"


class Held(Refused):
    """Somebody else holds the certificate."""

    code = "HELD"


class TooMany(Refused):
    """This person holds as many certificates as one may."""

    code = "TOO_MANY"


class ClaimLost(Refused):
    """The claim is over: its lease ran out and somebody else took the certificate, or a senior took it away."""

    code = "CLAIM_LOST"


class Superseded(Refused):
    """A newer version of the certificate came meanwhile.

    Attributes:
        banner: what came.
    """

    code = "SUPERSEDED"

    def __init__(self, banner: Banner) -> None:
        super().__init__(f"version {banner.version} came meanwhile: {banner.kind}")
        self.banner = banner


class Invalid(Refused):
    """The draft is no coding of this certificate.

    Attributes:
        faults: what is wrong, each with its place.
    """

    code = "INVALID"

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"{fault.where}: {fault.code}" for fault in faults[:5]))
        self.faults = faults


class Unconfirmed(Refused):
    """The draft breaks edits that its author has not yet confirmed.

    Attributes:
        warnings: those edits.
    """

    code = "UNCONFIRMED"

    def __init__(self, warnings: tuple[Edit, ...]) -> None:
        super().__init__(", ".join(edit.id for edit in warnings))
        self.warnings = warnings


class ReasonMissing(Refused):
    """The proposal is changed and no reason is given, or one that does not exist."""

    code = "REASON_MISSING"


class AlreadyDecided(Refused):
    """The claim has led to another decision than this one.

    Attributes:
        decision_id: that decision.
    """

    code = "ALREADY_DECIDED"

    def __init__(self, decision_id: str) -> None:
        super().__init__(f"the claim has led to decision {decision_id}")
        self.decision_id = decision_id


class StandsOn(Refused):
    """The decision cannot be undone: a later one, or a newer version, stands on it."""

    code = "STANDS_ON"
