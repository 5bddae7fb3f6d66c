"""What of a certificate, beside the line itself, may change a code: a small closed set of conditions.

A condition is a word that an expression of the lexicon may require (column `when`). The conditions that hold make
the CONTEXT string of the Triton contract, so that two lines with the same text and context share one answer.
"""

from __future__ import annotations

from stream import underlying
from stream.certificate import Certificate, Form, Manner, Sex

CONDITIONS = (
    "newborn",
    "child",
    "female",
    "male",
    "pregnancy",
    "suicide",
    "accident",
    "homicide",
    "undetermined",
    "care",
)

NEWBORN_DAYS = 28
CHILD_DAYS = 15 * 365.25

_MANNERS = {
    Manner.SUICIDE: "suicide",
    Manner.ACCIDENT: "accident",
    Manner.HOMICIDE: "homicide",
    Manner.UNDETERMINED: "undetermined",
    Manner.CARE_COMPLICATION: "care",
}


def conditions(certificate: Certificate) -> frozenset[str]:
    """Conditions that hold for a certificate."""
    holds = set()
    days = certificate.age_days
    if certificate.form is Form.NEONATAL or (days is not None and days < NEWBORN_DAYS):
        holds.add("newborn")
    elif days is not None and days < CHILD_DAYS:
        holds.add("child")
    if certificate.sex is not Sex.U:
        holds.add("female" if certificate.sex is Sex.F else "male")
    if certificate.pregnancy and underlying.load().boxes.of(certificate.pregnancy).is_recent:
        holds.add("pregnancy")
    if certificate.manner in _MANNERS:
        holds.add(_MANNERS[certificate.manner])
    return frozenset(holds)


def context_string(holds: frozenset[str]) -> str:
    """The CONTEXT of the Triton contract: conditions in their fixed order, blanks between."""
    return " ".join(c for c in CONDITIONS if c in holds)
