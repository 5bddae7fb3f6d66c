"""Checks on what the form states beside the causes: model, dates, age, durations, the newborn's measures."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations

from stream.certificate import Age, AgeUnit, Certificate, Form
from stream.targeting.edits.facts import Facts, check

_NEONATAL_DAYS = 28
_YEAR = 365.25
_GESTATION = 280.0
_OLDEST = 125 * _YEAR
"""Nobody is known to have passed 122 years and 164 days."""
_FORMS = frozenset({"", "1997", "2017"})
"""Models of the French certificate (arrêtés of 24 December 1996 and 17 July 2017); empty when not told."""
_WEIGHT = (200, 6_500)
_WEEKS = (20, 44)
#: (completed weeks up to which, weight in grams that none reaches): far above the 97th centile (Fenton and Kim, 2013).
_HEAVIEST = ((24, 1_500), (27, 2_200), (30, 3_000), (33, 4_000))
_LIGHTEST_AT_TERM = 900
_TERM = 37
#: A line below that began so many times, and so many days, later than one above it is no cause of it.
_TIMES, _LATER = 10, 30.0


@check("FORM_VERSION")
def _form_version(facts: Facts) -> bool:
    return facts.certificate.form_version not in _FORMS


@check("NEONATAL_FORM_LATE")
def _neonatal_form_late(facts: Facts) -> bool:
    return facts.certificate.form is Form.NEONATAL and facts.age_days is not None and facts.age_days >= _NEONATAL_DAYS


@check("GENERAL_FORM_NEWBORN")
def _general_form_newborn(facts: Facts) -> bool:
    return facts.certificate.form is Form.GENERAL and _newborn(facts.certificate)


@check("NEONATAL_BLOCK_GENERAL")
def _neonatal_block_general(facts: Facts) -> bool:
    told = facts.certificate.neonatal
    if facts.certificate.form is Form.NEONATAL or told is None:
        return False
    return bool(told.birth_weight_g or told.gestation_weeks or told.mother)


@check("NEONATAL_MEASURES")
def _neonatal_measures(facts: Facts) -> bool:
    """Weight or gestation that no living newborn has, or that do not go together."""
    told = facts.certificate.neonatal
    if told is None:
        return False
    weight, weeks = told.birth_weight_g, told.gestation_weeks
    if weight is not None and not _WEIGHT[0] <= weight <= _WEIGHT[1]:
        return True
    if weeks is not None and not _WEEKS[0] <= weeks <= _WEEKS[1]:
        return True
    if weight is None or weeks is None:
        return False
    most = next((grams for up_to, grams in _HEAVIEST if weeks <= up_to), _WEIGHT[1])
    return weight > most or (weeks >= _TERM and weight < _LIGHTEST_AT_TERM)


@check("AGE_IMPOSSIBLE")
def _age_impossible(facts: Facts) -> bool:
    return facts.age_days is not None and facts.age_days > _OLDEST


@check("DEATH_BEFORE_BIRTH")
def _death_before_birth(facts: Facts) -> bool:
    born, died = facts.certificate.birth_date, facts.certificate.death_date
    return born is not None and died is not None and died < born


@check("DEATH_AFTER_RECEIPT")
def _death_after_receipt(facts: Facts) -> bool:
    died, received = facts.certificate.death_date, facts.certificate.received_at
    # A day is allowed: received_at is in UTC, the date of death in the time of the place, overseas too.
    return died is not None and received is not None and died - received.date() > timedelta(days=1)


@check("AGE_AGAINST_DATES")
def _age_against_dates(facts: Facts) -> bool:
    """The age stated and the dates of birth and death are more than a year apart."""
    lived, age = _dated(facts.certificate), facts.certificate.age
    if lived is None or age is None:
        return False
    return not age.days - _YEAR <= lived <= _at_most(age) + _YEAR


@check("DURATION_LIFE")
def _duration_life(facts: Facts) -> bool:
    """A condition said to be older than the person, life in the womb included; vague words are let be."""
    lived = _lived(facts.certificate)
    if lived is None:
        return False
    told = [line.interval for line in facts.part1 if line.interval is not None]
    return any(interval.days > lived + _GESTATION for interval in told if not interval.approximate)


@check("DURATION_NEGATIVE")
def _duration_negative(facts: Facts) -> bool:
    return any(line.interval is not None and line.interval.days < 0 for line in facts.part1)


@check("DURATION_ORDER")
def _duration_order(facts: Facts) -> bool:
    """A line below began by far later than one above it, whose cause it should be."""
    told = [line.interval.days for line in facts.part1 if line.interval is not None and line.entities]
    return any(above > _TIMES * below and above - below > _LATER for above, below in combinations(told, 2))


def _newborn(certificate: Certificate) -> bool:
    """Whether a person surely died before 28 days; an age of no whole year may be eleven months, and its dates tell."""
    age, lived = certificate.age, _dated(certificate)
    if age is None or (age.unit is AgeUnit.YEARS and age.value == 0):
        return lived is not None and lived < _NEONATAL_DAYS
    return age.days < _NEONATAL_DAYS


def _at_most(age: Age) -> float:
    """Days lived at most at an age in completed units."""
    return Age(age.value + 1, age.unit).days


def _dated(certificate: Certificate) -> float | None:
    """Days between birth and death by their dates; None where they do not tell."""
    born, died = certificate.birth_date, certificate.death_date
    return float((died - born).days) if born is not None and died is not None and died >= born else None


def _lived(certificate: Certificate) -> float | None:
    """Days lived at most, by age or dates, whichever is more; None where neither tells."""
    by_age = _at_most(certificate.age) if certificate.age else None
    by_dates = _dated(certificate)
    known = [days for days in (by_age, by_dates) if days is not None]
    return max(known) if known else None
