"""Targeting: which certificate is coded automatically, which by a person, and which is drawn for the audit.

The three reasons are kept apart, because only the audit is an unbiased sample: LOW_CONFIDENCE (probability under the
threshold of its stratum, too many unknown words, or no threshold that holds), MANDATORY_INTEREST (a cause that a person
always sees) and REJECT (an edit is broken).
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from stream.coding import Automation, CodedLine, Reason, Route, Targeting, Why
from stream.targeting.edits import Edits
from stream.targeting.policy import Policy
from stream.targeting.subject import EDIT, Subject

NORMAL: Mapping[str, Automation] = MappingProxyType({})
"""The machine is trusted by its everyday thresholds in every stratum."""


AUDIT = 0.9999
"""Place of an audit among the tasks that press as much: the first, for they are few, and nothing is proven without them."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The targeting, the flags that explain it (edit ids, listed causes) and the place in the manual queue."""

    targeting: Targeting
    flags: tuple[str, ...]
    priority: float


def unknown_share(texts: Sequence[str], lines: Sequence[CodedLine]) -> float:
    """Share of the characters written that neither coder could read, 0 to 1, rounded to four places."""
    written = sum(len(t.strip()) for t in texts)
    unknown = sum(u.end - u.start for line in lines for u in line.uncoded if u.why is Why.UNKNOWN_WORDS)
    return round(min(1.0, unknown / written), 4) if written else 0.0


def drawn(certificate_id: str, rate: float, key: bytes) -> bool:
    """Whether the audit draws a certificate: a keyed hash below `rate`."""
    digest = hmac.new(key, certificate_id.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") < rate * 2**64


def target(
    subject: Subject,
    policy: Policy,
    edits: Edits,
    audit_key: bytes,
    *,
    calibrated: bool = True,
    automation: Mapping[str, Automation] = NORMAL,
) -> Decision:
    """Route of a certificate.

    Args:
        subject: what is known of it.
        policy: the office's rules and their thresholds.
        edits: severity of each edit where the policy does not say otherwise.
        audit_key: key of the audit's hash.
        calibrated: whether the thresholds were fitted to the versions that coded it.
        automation: how far the machine is trusted just now, by stratum; NORMAL where none is named.
    """
    rules, code = policy.rules, subject.code
    stratum = rules.stratum(subject.form, subject.source, subject.age_days, code)
    fits = calibrated and not policy.stale(stratum)
    trusted = automation.get(stratum.name, Automation.NORMAL)
    threshold = policy.thresholds.strata[stratum.name].least(trusted) if fits else None
    reasons: list[Reason] = []
    flags: list[str] = []
    if not fits:
        flags.append("UNCALIBRATED")
    elif not policy.thresholds.certified:
        flags.append("UNCERTIFIED")
    unreadable = _unreadable(subject, policy)
    if code is None or threshold is None or subject.confidence < threshold or unreadable:
        reasons.append(Reason.LOW_CONFIDENCE)
    if unreadable:
        flags.append("UNKNOWN_WORDS")
    listed = _listed(subject, policy)
    if listed:
        reasons.append(Reason.MANDATORY_INTEREST)
        flags += [f"INTEREST:{why}" for why in dict.fromkeys(why for why, _ in listed)]
    flags += [EDIT + edit for edit in subject.edits]
    if _rejected(subject, policy, edits):
        reasons.append(Reason.REJECT)
    audit = drawn(subject.certificate_id, stratum.audit_rate, audit_key)
    route = Route.MANUAL if reasons else Route.AUTO
    targeting = Targeting(
        route, tuple(reasons), audit, stratum.audit_rate, policy.version, stratum.name, threshold,
        fits and policy.thresholds.certified, trusted,
    )  # fmt: skip
    alert = max((alert for _, alert in listed), default=0)
    # Audits are worked off in the order they came; a place that tells the confidence would tell the coder, too.
    place = alert + AUDIT if audit else priority(alert, subject.confidence)
    return Decision(targeting, tuple(flags), place)


def never_automatic(subject: Subject, policy: Policy, edits: Edits) -> bool:
    """Whether a person sees a certificate whatever its confidence: no threshold has any bearing on it."""
    return (
        subject.code is None
        or _unreadable(subject, policy)
        or bool(_listed(subject, policy))
        or _rejected(subject, policy, edits)
    )


def _unreadable(subject: Subject, policy: Policy) -> bool:
    return subject.unknown > policy.rules.max_unknown_words


def _rejected(subject: Subject, policy: Policy, edits: Edits) -> bool:
    return any(policy.rules.edits.get(edit, edits.severity(edit)) == "reject" for edit in subject.edits)


def _listed(subject: Subject, policy: Policy) -> list[tuple[str, int]]:
    """Why a person must see it whatever the confidence, and how much that presses."""
    code = subject.code
    listed = [
        (entry.why, entry.alert)
        for entry in policy.rules.interest
        if entry.of_age(subject.age_days)
        and ((code and entry.holds(code)) or (entry.mention and any(map(entry.holds, subject.mentions))))
    ]
    if subject.age_days is not None and subject.age_days < policy.rules.infant_days:
        listed.append(("infant death", 0))
    if code and policy.is_rare(code):
        listed.append(("rare cause", 0))
    return listed


def priority(alert: int, confidence: float) -> float:
    """Place in the queue, higher first: how much the cause presses, then what a person's answer would teach.

    The whole part is the alert level, 0 to 9; the rest is the entropy of the machine's confidence (Shannon, in bits).
    Among equals the desk takes the oldest first.
    """
    p = min(max(confidence, 1e-9), 1 - 1e-9)
    entropy = -(p * math.log2(p) + (1 - p) * math.log2(1 - p))
    return alert + round(min(entropy, 0.9999), 4)
