"""Values of certificates and tasks in a reader's language; what has no words of its own is shown as it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta

from stream.certificate import Age, Certificate
from stream.coding import Duration, Underlying
from stream.desk.checking import SOURCE
from stream.desk.console.screen import plain
from stream.desk.console.steps import told
from stream.nomenclature import icd10
from stream.targeting import edits
from stream.targeting.subject import EDIT
from stream.web.language import Texts

INTEREST = "INTEREST:"
_MINUTE, _HOUR, _DAY = 1 / 1440, 1 / 24, 1.0
_UNITS = ((365.25, "years"), (30.4375, "months"), (_DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes"))


def word(t: Texts, kind: str, value: object) -> str:
    """Words of a value of a closed set (``desk.<kind>.<VALUE>``); empty for None."""
    if value is None:
        return ""
    key = f"desk.{kind}.{value}"
    return t(key) if t.has(key) else str(value)


def age(t: Texts, value: Age | None) -> str:
    """An age at death with its unit."""
    return t("desk.age.unknown") if value is None else t(f"desk.age.{value.unit}", count=value.value)


def duration(t: Texts, value: Duration | None) -> str:
    """An interval in the largest unit that it fills; "about" where the words were vague."""
    if value is None:
        return ""
    return ("≈\u00a0" if value.approximate else "") + _span(t, value.days)


def since(t: Texts, span: timedelta) -> str:
    """How long something has waited."""
    return _span(t, max(span / timedelta(days=1), 0.0))


def _span(t: Texts, days: float) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if abs(days) >= size), _UNITS[-1])
    return t(f"desk.span.{unit}", count=round(days / size))


def step(t: Texts, text: str) -> str:
    """A step of the rules."""
    return told(text, t.language)


def label(code: str | None) -> str:
    """French label of a code; there is no other in the nomenclature."""
    return icd10.load().label(code) if code else ""


def flag(t: Texts, name: str) -> str:
    """A flag of the targeting: an edit's message, a cause of interest, or a word of ours."""
    if name.startswith(EDIT):
        return edit(t, name.removeprefix(EDIT))
    if name.startswith(INTEREST):
        return interest(t, name.removeprefix(INTEREST))
    return word(t, "flag", name)


def interest(t: Texts, name: str) -> str:
    """A name of the policy's list of interest; one that has no words of ours is shown as the policy writes it."""
    key = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return t(f"desk.interest.{key}") if t.has(f"desk.interest.{key}") else name


def edit(t: Texts, name: str) -> str:
    """The message of an edit; its id where there is no such edit any more."""
    found = next((e for e in edits.load().edits if e.id == name), None)
    return name if found is None else found.fr if t.language == "fr" else found.en


def source(t: Texts, name: str) -> str:
    """Where a code comes from: a row of the lexicon, a label, a person, a model."""
    if name == SOURCE:
        return t("desk.source.coder")
    if name == "cim10":
        return t("desk.source.label")
    if re.fullmatch(r"ch\d\d:\d+", name):
        return t("desk.source.lexicon", row=name)
    return t("desk.source.model", name=name.partition("+")[0])


def boxes(t: Texts, certificate: Certificate) -> tuple[tuple[str, str], ...]:
    """What the form states beside the causes, name and value; boxes left empty are left out."""
    c = certificate
    yes = {True: t("desk.yes"), False: t("desk.no"), None: ""}
    found: list[tuple[str, str]] = [
        ("manner", word(t, "manner", c.manner)),
        ("pregnancy", word(t, "pregnancy", c.pregnancy)),
        ("work_accident", yes[c.work_accident]),
        ("accident_place", plain(c.accident_place)),
        ("autopsy", word(t, "autopsy", c.autopsy)),
    ]
    if c.surgery is not None:
        parts = [yes[c.surgery.within_4_weeks], plain(c.surgery.reason)]
        found.append(("surgery", " · ".join(part for part in parts if part)))
    if c.neonatal is not None:
        n = c.neonatal
        found += [
            ("birth_weight", t("desk.grams", count=n.birth_weight_g) if n.birth_weight_g is not None else ""),
            ("gestation", t("desk.weeks", count=n.gestation_weeks) if n.gestation_weeks is not None else ""),
            ("multiple", yes[n.multiple]),
            ("mother", " · ".join(filter(None, map(plain, n.mother)))),
        ]
    return tuple((t(f"desk.box.{name}"), value) for name, value in found if value)


def way(t: Texts, cause: Underlying) -> str:
    """Who selected a cause."""
    return word(t, "method", cause.method)


#: What the templates know of all this, as filters: ``{{ row.age|age(t) }}``.
FILTERS: Mapping[str, Callable[..., str]] = {
    "age": lambda value, t: age(t, value),
    "duration": lambda value, t: duration(t, value),
    "since": lambda value, t: since(t, value),
    "step": lambda value, t: step(t, value),
    "code_label": label,
    "flag": lambda value, t: flag(t, value),
    "interest": lambda value, t: interest(t, value),
    "edit": lambda value, t: edit(t, value),
    "source": lambda value, t: source(t, value),
    "word": lambda value, t, kind: word(t, kind, value),
}
