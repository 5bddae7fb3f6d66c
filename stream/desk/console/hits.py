"""What the search of the ICD is asked for and answers."""

from __future__ import annotations

from dataclasses import dataclass

from stream.certificate import Certificate, Sex
from stream.coder.context import conditions


@dataclass(frozen=True, slots=True)
class Person:
    """Who died, as far as a code depends on it.

    Attributes:
        holds: conditions that hold (`stream.coder.context`).
        sex: as on the certificate.
        age_days: age at death in days; None where unknown.
    """

    holds: frozenset[str] = frozenset()
    sex: Sex = Sex.U
    age_days: float | None = None

    @classmethod
    def of(cls, certificate: Certificate) -> Person:
        """The person of a certificate."""
        return cls(conditions(certificate), certificate.sex, certificate.age_days)


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer of the search.

    Attributes:
        code: main code, as Causa writes it.
        codes: every code that the expression stands for, main one first.
        label: label of the main code.
        matched: the expression or label that answers the query.
        source: row of the lexicon ("ch09:123"), "cim10" for a label, "code" for a code.
        score: how well, up to about 1; only good for comparing hits of one query.
        unfit: whether the main code is not for a person of that sex or age.
    """

    code: str
    codes: tuple[str, ...]
    label: str
    matched: str
    source: str
    score: float
    unfit: bool = False
