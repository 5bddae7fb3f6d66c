"""Targeting: which certificate is coded automatically, which by a person, and which is drawn for the audit.

The three reasons are kept apart, because only the audit is an unbiased sample: LOW_CONFIDENCE (probability under the
policy's threshold, or too many unknown words), MANDATORY_INTEREST (a cause that a person always sees) and REJECT (an
edit is broken, or the underlying cause is ill-defined).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from stream.certificate import Certificate
from stream.coding import CodedLine, Reason, Route, Targeting, Underlying, Why
from stream.nomenclature.edits import Edits
from stream.targeting.policy import Policy


@dataclass(frozen=True, slots=True)
class Decision:
    """The targeting, the flags that explain it (edit ids, listed causes) and the place in the manual queue."""

    targeting: Targeting
    flags: tuple[str, ...]
    priority: float


def unknown_share(texts: Sequence[str], lines: Sequence[CodedLine]) -> float:
    """Share of the characters written that neither coder could read, 0 to 1."""
    written = sum(len(t.strip()) for t in texts)
    unknown = sum(u.end - u.start for line in lines for u in line.uncoded if u.why is Why.UNKNOWN_WORDS)
    return min(1.0, unknown / written) if written else 0.0


def drawn(certificate_id: str, rate: float, key: bytes) -> bool:
    """Whether the audit draws a certificate: a keyed hash below `rate`."""
    digest = hmac.new(key, certificate_id.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") < rate * 2**64


def target(
    certificate: Certificate,
    underlying: Underlying,
    unknown: float,
    policy: Policy,
    edits: Edits,
    audit_key: bytes,
) -> Decision:
    """Route of a certificate.

    Args:
        certificate: what was written.
        underlying: what it was coded to; its confidence is the certificate's.
        unknown: share of unreadable text.
        policy: the office's rules.
        edits: checks of the nomenclature.
        audit_key: key of the audit's hash.
    """
    rules = policy.rules
    reasons: list[Reason] = []
    flags: list[str] = []
    code = underlying.code
    low = code is None or underlying.confidence < rules.min_confidence
    if low or unknown > rules.max_unknown_words:
        reasons.append(Reason.LOW_CONFIDENCE)
        if unknown > rules.max_unknown_words:
            flags.append("UNKNOWN_WORDS")
    listed = [r.why for r in rules.mandatory_interest if code and r.holds(code)]
    if certificate.age_days is not None and certificate.age_days < rules.infant_days:
        listed.append("infant death")
    if listed:
        reasons.append(Reason.MANDATORY_INTEREST)
        flags += [f"INTEREST:{why}" for why in listed]
    if code:
        broken = edits.check(code, certificate.sex, certificate.age_days)
        flags += [f"EDIT:{edit.id}" for edit in broken]
        ill = any(r.holds(code) for r in rules.ill_defined)
        if ill:
            flags.append("ILL_DEFINED")
        if ill or any(edit.severity == "reject" for edit in broken):
            reasons.append(Reason.REJECT)
    audit = drawn(certificate.certificate_id, rules.audit_rate, audit_key)
    targeting = Targeting(
        Route.MANUAL if reasons else Route.AUTO, tuple(reasons), audit, rules.audit_rate, policy.version
    )
    return Decision(targeting, tuple(flags), _priority(reasons, underlying))


def _priority(reasons: Sequence[Reason], underlying: Underlying) -> float:
    """Place in the queue, higher first: causes of interest, then uncertainty (a person teaches most there)."""
    interest = 2.0 if Reason.MANDATORY_INTEREST in reasons else 0.0
    return round(interest + 1.0 - abs(2 * underlying.confidence - 1.0), 4)
