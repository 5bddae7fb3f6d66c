"""Injuries and external causes: an injury is never the underlying cause, what brought it about is.

M4 of WHO ICD-10 volume 2 (2016), section 4.2.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from stream.underlying.codes import Codes
from stream.underlying.intent import Intents
from stream.underlying.sequence import Mention

EXTERNAL = Codes("V01-Y89 U01-U03")
INJURY = Codes("S00-T98")
_FRACTURE = Codes("S02 S12 S22 S32 S42 S52 S62 S72 S82 S92 T02 T08 T10 T12 T142")

#: What an injury's own code says about the external cause when none is written, accidents first (volume 3, and X59).
_IMPLIED: tuple[tuple[Codes, str], ...] = (
    (Codes("T39"), "X40"),
    (Codes("T40"), "X42"),
    (Codes("T420-T428 T43"), "X41"),
    (Codes("T44"), "X43"),
    (Codes("T36-T50"), "X44"),
    (Codes("T51"), "X45"),
    (Codes("T52-T53"), "X46"),
    (Codes("T58-T59"), "X47"),
    (Codes("T60"), "X48"),
    (Codes("T54-T57 T61-T65"), "X49"),
    (Codes("T17-T18"), "W80"),
    (Codes("T20-T32"), "X09"),
    (Codes("T67"), "X30"),
    (Codes("T68-T69"), "X31"),
    (Codes("T71"), "W84"),
    (Codes("T750"), "X33"),
    (Codes("T751"), "W74"),
    (Codes("T754"), "W87"),
    (Codes("T80-T88"), "Y84.9"),
    (Codes("T90-T98"), "Y86"),
    (_FRACTURE, "X59.0"),
)

_POISONS = Codes("T36-T65")
_DRUGS = Codes("T36-T50")
_ALCOHOL_POISONING = Codes("T51")
_ANY_DRUG, _ANY_DRUGS = "T509", "X44"

#: Unspecified external cause by the manner the physician ticked.
_BY_MANNER = {"SUICIDE": "X84", "HOMICIDE": "Y09", "UNDETERMINED": "Y34", "WAR": "Y36.9", "CARE_COMPLICATION": "Y84.9"}
_VAGUE = ("X31", "X59", "Y34")
_ALCOHOL = Codes("X45 X65 Y15")
_CARE = Codes("Y83-Y84")
_TREATED = Codes("C00-D48 E66 I00-I99 J00-J99 K00-K93 N00-N99 !I46 !I95-I99 !J95-J96 !K91-K92 !N99")
#: Drugs properly given that did harm: anticoagulants, any other.
_DRUGS_IN_CARE = ((Codes("T455"), "Y44.2"), (Codes("T36-T50"), "Y57.9"))


def external_cause(
    injury: Mention, mentions: Sequence[Mention], manner: str | None, intents: Intents
) -> tuple[str, str]:
    """(external cause behind an injury, step that says so): the one written, else what injury and manner imply."""
    written = [mention for mention in mentions if mention.code in EXTERNAL]
    if written:
        # The one nearest below the injury in Part I, else the first of Part II: an accident is often noted there.
        below = [m for m in written if m.line >= injury.line >= 0] or written
        # A named drug stands above alcohol, and both above cold or an unspecified event.
        first = min(below, key=lambda m: 3 if m.code[:3] in _VAGUE else 2 if m.code in _ALCOHOL else 0)
        return first.written, f"M4: {first.written} is the external cause of {injury.written}"
    implied = _implied(injury, mentions)
    if manner in _BY_MANNER:
        implied = intents.like(implied, manner) or _BY_MANNER[manner]
    if manner == "CARE_COMPLICATION":
        implied = next((code for codes, code in _DRUGS_IN_CARE if injury.code in codes), implied)
    return implied, f"M4: {injury.written} without an external cause → {implied}"


def _implied(injury: Mention, mentions: Sequence[Mention]) -> str:
    """What an injury's code, and those of the other poisons, say about the external cause, as by accident.

    Drugs come before alcohol; drugs of several groups are X44, whatever an unspecified drug beside them (volume 2, 2016,
    4.2.6, poisoning; so coded on 98 % of the US certificates of train). Any other poison comes before alcohol too.
    """
    poisons = [m.code for m in mentions if m.code in _POISONS]
    drugs = [code for code in poisons if code in _DRUGS]
    if injury.code in _DRUGS or (injury.code in _ALCOHOL_POISONING and drugs):
        named = {_by_code(code) for code in drugs if code != _ANY_DRUG}
        return named.pop() if len(named) == 1 else _ANY_DRUGS
    if injury.code in _ALCOHOL_POISONING:
        return _by_code(next((code for code in poisons if code not in _ALCOHOL_POISONING), injury.code))
    return _by_code(injury.code)


def _by_code(code: str) -> str:
    return next((implied for codes, implied in _IMPLIED if code in codes), "X59.9")


def reason_for_care(found: str, everything: Sequence[Mention]) -> Mention | None:
    """The condition that was operated or treated, when a complication of care is the tentative cause.

    It is the condition noted right after the procedure (Y83–Y84) on the same line (volume 2, 2016, 4.2.6, surgery).
    """
    if found not in _CARE:
        return None
    for one, two in pairwise(everything):
        if one.code == found and one.line == two.line and two.code in _TREATED:
            return two
    return None
