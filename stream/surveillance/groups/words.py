"""Groups told in words, in French and English: one explained, all of them in tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from stream.certificate import Sex
from stream.nomenclature import icd10
from stream.surveillance.groups.codes import Codes, Span
from stream.surveillance.groups.group import Family, Group, Takes
from stream.surveillance.groups.matcher import Groups

Language = Literal["en", "fr"]
_MARK = re.compile(r"\*\*\* \w+ \*\*\* ")
"""ATIH's mark before labels of codes that French hospitals do not use."""
_SAID: dict[str, dict[Language, str]] = {
    "every": {"en": "Every death within its limits.", "fr": "Tout décès dans ses limites."},
    "rest": {
        "en": "Deaths due to no other group of its family.",
        "fr": "Décès imputés à aucun autre groupe de sa famille.",
    },
    "both": {
        "en": "Due to it by the underlying cause, mentioned by any code:",
        "fr": "En cause initiale, ou mentionné par n'importe quel code :",
    },
    "underlying": {"en": "Due to it by the underlying cause:", "fr": "En cause initiale :"},
    "any": {"en": "Mentioned by any code:", "fr": "Mentionné par n'importe quel code :"},
    "having": {"en": "And only with a code of:", "fr": "Et seulement avec un code parmi :"},
    "less": {"en": "except", "fr": "sauf"},
    "flag": {"en": "Also where the record bears the flag", "fr": "Aussi quand l'enregistrement porte l'indicateur"},
    "men": {"en": "men only", "fr": "hommes seulement"},
    "women": {"en": "women only", "fr": "femmes seulement"},
    "limits": {"en": "Limits:", "fr": "Limites :"},
    "alert": {"en": "One such death raises an alert, severity", "fr": "Un seul décès déclenche une alerte, gravité"},
    "source": {"en": "Source:", "fr": "Source :"},
    "since": {"en": "Since version", "fr": "Depuis la version"},
}
_AGES = (("from ", "à partir de "), ("under ", "avant "), ("years", "ans"), ("year", "an"), ("months", "mois"),
         ("month", "mois"), ("days", "jours"), ("day", "jour"))  # fmt: skip


def family(groups: Groups, group: Group) -> Family:
    """Family of a group."""
    return next(found for found in groups.families if found.id == group.family)


def limits(group: Group, language: Language) -> str:
    """Limits of sex and age, parted by commas; empty without any."""
    sexes = {Sex.M: "men", Sex.F: "women"}
    told = [_SAID[sexes[group.limits.sex]][language]] if group.limits.sex else []
    for age in group.limits.told:
        if language == "fr":
            for english, french in _AGES:
                age = age.replace(english, french)  # noqa: PLW2901 - the same words in another language
        told.append(age)
    return ", ".join(told)


def codes(group: Group, language: Language = "en") -> str:
    """Codes in one line: ``A39``, or those of the underlying cause and of any mention apart."""
    if group.takes is not Takes.CODES:
        return _SAID[group.takes.lower()][language]
    told = []
    if group.underlying == group.any:
        told.append(str(group.any) if group.any else "")
    else:
        told += [f"[{name}] {found}" for name, found in (("U", group.underlying), ("*", group.any)) if found]
    told += [f"[+] {found}" for found in group.having]
    told += [f"[{group.flag}]"] if group.flag else []
    return " ".join(filter(None, told))


def explained(groups: Groups, group: Group, language: Language) -> Iterator[str]:
    """A group in words, line by line, its codes with their labels (in French: the nomenclature has no others)."""

    def say(key: str) -> str:
        return _SAID[key][language]

    of = family(groups, group)
    yield f"{group.id}: {group.name(language)} ({of.fr if language == 'fr' else of.en})"
    yield group.dit if language == "fr" else group.says
    if group.takes is Takes.REST:
        yield say("rest")
    parts: list[tuple[str, Codes | None]] = [("underlying", group.underlying), ("any", group.any)]
    if group.underlying == group.any:
        parts = [("both", group.any)]
    for key, found in (*parts, *(("having", found) for found in group.having)):
        if found:
            yield say(key)
            yield from (f"  {span}  {label(span)}" for span in found.spans)
            yield from (f"  {say('less')} {span}  {label(span)}" for span in found.less)
    if group.flag:
        yield f"{say('flag')} {group.flag}."
    told = limits(group, language)
    if told:
        yield f"{say('limits')} {told}."
    if group.alert:
        yield f"{say('alert')} {group.alert}/9."
    yield f"{say('source')} {group.source}."
    yield f"{say('since')} {group.since}."
    yield from (f"  {change.version}: {change.what}" for change in group.changes)


def label(span: Span) -> str:
    """French labels of a range: of its code, or of its first and last."""
    known = icd10.load()
    return " … ".join(_MARK.sub("", known.label(bound)) for bound in dict.fromkeys((span.first, span.last)))


def record(group: Group) -> dict[str, Any]:
    """Mapping for JSON."""

    def told(found: Codes | None) -> dict[str, list[str]] | None:
        if found is None:
            return None
        return {"ranges": [f"{s.first}-{s.last}" if s.first != s.last else s.first for s in found.spans],
                "except": [f"{s.first}-{s.last}" if s.first != s.last else s.first for s in found.less]}  # fmt: skip

    within = group.limits
    return {
        "id": group.id, "family": group.family, "en": group.en, "fr": group.fr, "says": group.says, "dit": group.dit,
        "takes": group.takes, "underlying": told(group.underlying), "any": told(group.any),
        "with": [told(found) for found in group.having],
        "limits": {"sex": within.sex, "from_days": within.from_days, "under_days": within.under_days},
        "alert": group.alert, "flag": group.flag or None, "source": group.source, "since": group.since,
        "changes": [{"version": change.version, "what": change.what} for change in group.changes],
    }  # fmt: skip


def tables(groups: Groups) -> str:
    """All groups as the Markdown tables of docs/groups.md."""
    lines = []
    for of in groups.families:
        lines += [f"### {of.en} · {of.fr}", "| id | name | nom | codes | limits | alert | says |",
                  "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
        for group in groups:
            if group.family == of.id:
                cells = (f"`{group.id}`", group.en, group.fr, codes(group), limits(group, "en"),
                         str(group.alert or ""), group.says)  # fmt: skip
                lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)
