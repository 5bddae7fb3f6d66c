"""What another policy would have sent where: certificates that were coded, targeted again from their records.

Only the machine's own records are asked: what a person made of a certificate has no confidence to hold against a
threshold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from stream.coding import CodedCertificate, CodedStatus, Modality, Route
from stream.targeting.edits import Edits
from stream.targeting.policy import Policy
from stream.targeting.subject import of_coded
from stream.targeting.target import target


@dataclass(slots=True)
class Load:
    """What a policy makes of certificates.

    Attributes:
        routes: certificates by route.
        reasons: certificates by reason for the manual route; several may hold.
        strata: (automatic, all) by stratum.
        manual: certificates sent to a person, audits among them, by day of reception.
    """

    routes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    strata: dict[str, tuple[int, int]] = field(default_factory=dict)
    manual: Counter[date] = field(default_factory=Counter)

    def busy_days(self, capacity: int) -> int:
        """Days on which more was sent to people than they can do; 0 where the policy names no capacity."""
        return sum(n > capacity for n in self.manual.values()) if capacity else 0


@dataclass(slots=True)
class Comparison:
    """A policy against what was done.

    Attributes:
        before: what was done, after: what the policy would have done.
        moves: certificates by (route before, route after).
        uncalibrated: certificates coded by versions that the policy's thresholds were not fitted to.
    """

    before: Load = field(default_factory=Load)
    after: Load = field(default_factory=Load)
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    uncalibrated: int = 0

    @property
    def certificates(self) -> int:
        """How many were asked."""
        return sum(self.moves.values())


def compare(records: Iterable[CodedCertificate], policy: Policy, edits: Edits, audit_key: bytes) -> Comparison:
    """Target records again by a policy, as if the machine had been trusted by its everyday thresholds.

    Args:
        records: coded certificates; people's and withdrawn ones are passed over. One record a certificate.
        policy: the policy asked about.
        edits: severity of each edit where the policy does not say otherwise.
        audit_key: key of the audit's hash.
    """
    found = Comparison()
    for record in records:
        if record.modality is Modality.HUMAN or record.status is CodedStatus.WITHDRAWN:
            continue
        calibrated = not policy.thresholds.strangers(record.versions)
        found.uncalibrated += not calibrated
        again = target(of_coded(record), policy, edits, audit_key, calibrated=calibrated).targeting
        day = (record.received_at or record.coded_at).date()
        for load, one in ((found.before, record.targeting), (found.after, again)):
            load.routes[one.route.value] += 1
            load.reasons.update(reason.value for reason in one.reasons)
            automatic, number = load.strata.get(one.stratum, (0, 0))
            load.strata[one.stratum] = (automatic + (one.route is Route.AUTO), number + 1)
            load.manual[day] += one.route is Route.MANUAL or one.audit
        found.moves[record.targeting.route.value, again.route.value] += 1
    return found
