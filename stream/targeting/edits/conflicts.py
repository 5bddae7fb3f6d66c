"""Checks on the causes of a certificate: what its codes lack, and what they say against one another or against the form."""

from __future__ import annotations

from stream.certificate import Manner, Sealed, Sex
from stream.coding import CodedLine, Entity, Why
from stream.nomenclature import edits, icd10
from stream.targeting.edits.facts import Facts, check
from stream.targeting.edits.unsuitable import Kind
from stream.targeting.edits.unsuitable import load as unsuitable
from stream.underlying.codes import Codes, bare
from stream.underlying.external import EXTERNAL, INJURY
from stream.underlying.faults import asterisks

_SUICIDE = Codes("X60-X84 Y870 U03")
_HOMICIDE = Codes("X85-Y09 Y35 Y871 Y890 U01-U02")
#: Events of their own: a complication of care may well leave no injury but a disease, and a sequela is told by itself.
_EVENT = Codes("V01-Y36")
#: Care, its drugs and their sequelae: physicians tick such a death as natural, and the form leaves them free to.
_CARE = Codes("Y40-Y84 Y88")
#: Falls and food gone the wrong way: of thirteen such deaths of the old in home-written gold that were ticked as natural,
#: the careful coder kept all as external, and rightly (volume 2, 2016, 4.2.6).
_OF_THE_OLD = Codes("W00-W19 W78-W80 X59")
_UNKNOWN = Codes("R98-R99")
#: Prematurity and weight at birth, disregarded when anything else is known (volume 2, 2016, 4.3, P1).
_IMMATURE = Codes("P07-P08")
_PREGNANT = frozenset({"AT_DEATH", "WITHIN_42_DAYS", "WITHIN_1_YEAR"})
_FERTILE_DAYS = (3652.0, 21915.0)
_READ = frozenset({Why.NEGATED, Why.NOT_A_CAUSE})


def _words(text: str | Sealed) -> bool:
    return isinstance(text, Sealed) or any(character.isalpha() for character in text)


# What is not coded


@check("NO_CODE")
def _no_code(facts: Facts) -> bool:
    written = (*facts.certificate.part1, *facts.certificate.part2)
    return not facts.entities and any(_words(line.text) for line in written)


@check("NO_UNDERLYING")
def _no_underlying(facts: Facts) -> bool:
    return not facts.underlying


@check("LINE_WITHOUT_CODE")
def _line_without_code(facts: Facts) -> bool:
    """A line of Part I said something that was neither coded nor understood as no cause."""
    lines = zip(facts.certificate.part1, facts.part1, strict=False)
    return any(_words(line.text) and not coded.entities and not _understood(coded) for line, coded in lines)


def _understood(line: CodedLine) -> bool:
    return bool(line.uncoded) and all(stretch.why in _READ for stretch in line.uncoded)


@check("CODE_INVALID")
def _code_invalid(facts: Facts) -> bool:
    codes = [entity.code for entity in facts.entities] + ([facts.cause.code] if facts.cause.code else [])
    return not all(map(icd10.load().valid, codes))


# The underlying cause by itself


@check("UNDERLYING_MANIFESTATION")
def _underlying_manifestation(facts: Facts) -> bool:
    return facts.underlying in asterisks()


@check("UNDERLYING_NOT_USED")
def _underlying_not_used(facts: Facts) -> bool:
    return _is(facts, Kind.NOT_USED)


@check("UNLIKELY_CAUSE")
def _unlikely_cause(facts: Facts) -> bool:
    return _is(facts, Kind.UNLIKELY)


@check("NONSPECIFIC_CAUSE")
def _nonspecific_cause(facts: Facts) -> bool:
    return _is(facts, Kind.NONSPECIFIC)


@check("UNSUITABLE_BETTER")
def _unsuitable_better(facts: Facts) -> bool:
    return _poor(facts) and _better(facts)


@check("UNSUITABLE_ALONE")
def _unsuitable_alone(facts: Facts) -> bool:
    return _poor(facts) and not _better(facts)


@check("ONLY_UNKNOWN")
def _only_unknown(facts: Facts) -> bool:
    return facts.underlying in _UNKNOWN and all(code in _UNKNOWN or code[0] == "Z" for code in facts.mentions)


def _is(facts: Facts, kind: Kind) -> bool:
    return facts.underlying in unsuitable().codes[kind]


def _poor(facts: Facts) -> bool:
    return _is(facts, Kind.ILL_DEFINED) or _is(facts, Kind.IMMEDIATE)


def _better(facts: Facts) -> bool:
    """Whether a coder could do better.

    A symptom gives way to any condition, wherever it stands. An intermediate cause gives way to what is written below it as
    its cause only: what stands above is its effect, and Part II contributed without being its cause (atrial fibrillation
    stays the cause of the stroke above it; volume 2, 2016, 4.2.1).
    """
    if _is(facts, Kind.ILL_DEFINED):
        return any(map(_suitable, facts.mentions))
    return any(_suitable(bare(entity.code)) for entity in _below(facts))


def _suitable(code: str) -> bool:
    return not (code in unsuitable() or code in INJURY or code in _IMMATURE or code in asterisks())


def _below(facts: Facts) -> list[Entity]:
    """Entities of Part I told as causes of the underlying one: on lower lines, or "due to" on its own."""
    places = [
        (number, entity)
        for number, line in enumerate(facts.part1)
        for entity in line.entities
        if bare(entity.code) == facts.underlying
    ]
    if not places:
        return []
    lowest, found = places[-1]
    below = [entity for line in facts.part1[lowest + 1 :] for entity in line.entities]
    beside = facts.part1[lowest].entities
    if found.due_to is not None and found.due_to < len(beside):
        below.append(beside[found.due_to])
    return below


# The other conditions


@check("MENTION_SEX")
def _mention_sex(facts: Facts) -> bool:
    sex = facts.certificate.sex
    return any(edit.sex and sex is not Sex.U and edit.sex != sex for edit in _broken_by_others(facts))


@check("MENTION_AGE")
def _mention_age(facts: Facts) -> bool:
    return any(edit.min_days is not None or edit.max_days is not None for edit in _broken_by_others(facts))


def _broken_by_others(facts: Facts) -> list[edits.Edit]:
    """Edits of sex and age that conditions beside the underlying cause break."""
    others = {entity.code for entity in facts.entities if entity.code != facts.cause.code}
    sex, age = facts.certificate.sex, facts.age_days
    return [edit for code in sorted(others) for edit in edits.load().check(code, sex, age)]


# External causes, injuries and the boxes for the circumstances


@check("EXTERNAL_WITHOUT_INJURY")
def _external_without_injury(facts: Facts) -> bool:
    return facts.underlying in _EVENT and not any(code in INJURY for code in facts.mentions)


@check("INJURY_WITHOUT_EXTERNAL")
def _injury_without_external(facts: Facts) -> bool:
    """The rules had to take the external cause from the injury and the box, for nothing wrote it."""
    injured = any(code in INJURY for code in facts.mentions)
    return injured and facts.underlying in EXTERNAL and not any(code in EXTERNAL for code in facts.mentions)


@check("MANNER_SUICIDE")
def _manner_suicide(facts: Facts) -> bool:
    return _ticked(facts, Manner.SUICIDE) and facts.underlying not in _SUICIDE


@check("MANNER_HOMICIDE")
def _manner_homicide(facts: Facts) -> bool:
    return _ticked(facts, Manner.HOMICIDE) and facts.underlying not in _HOMICIDE


@check("MANNER_NATURAL")
def _manner_natural(facts: Facts) -> bool:
    external = facts.underlying in EXTERNAL and facts.underlying not in _CARE
    return _ticked(facts, Manner.NATURAL) and external and facts.underlying not in _OF_THE_OLD


@check("MANNER_NATURAL_FALL")
def _manner_natural_fall(facts: Facts) -> bool:
    return _ticked(facts, Manner.NATURAL) and facts.underlying in _OF_THE_OLD


@check("MANNER_ACCIDENT")
def _manner_accident(facts: Facts) -> bool:
    intended = facts.underlying in _SUICIDE or facts.underlying in _HOMICIDE
    return _ticked(facts, Manner.ACCIDENT) and (facts.underlying not in EXTERNAL or intended)


@check("WORK_ACCIDENT_NATURAL")
def _work_accident_natural(facts: Facts) -> bool:
    return facts.certificate.work_accident is True and bool(facts.underlying) and facts.underlying not in EXTERNAL


def _ticked(facts: Facts, manner: Manner) -> bool:
    return facts.certificate.manner is manner and bool(facts.underlying)


@check("PREGNANCY_IMPOSSIBLE")
def _pregnancy_impossible(facts: Facts) -> bool:
    if facts.certificate.pregnancy not in _PREGNANT:
        return False
    low, high = _FERTILE_DAYS
    return facts.certificate.sex is Sex.M or (facts.age_days is not None and not low <= facts.age_days <= high)
