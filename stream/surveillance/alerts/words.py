"""Alerts in words, French and English, for people who read them in a message: no id of a certificate, no text of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from stream.surveillance.alerts.alert import Alert, Kind
from stream.surveillance.alerts.clauses import Hearing
from stream.surveillance.alerts.rules import Rules
from stream.surveillance.alerts.sinks import Message

Lang = Literal["fr", "en"]
_OCCASIONS = {
    "fr": {"RAISED": "Alerte", "VERIFIED": "Confirmée", "ESCALATED": "Niveau relevé", "ENDED": "Terminée"},
    "en": {"RAISED": "Alert", "VERIFIED": "Confirmed", "ESCALATED": "Level raised", "ENDED": "Ended"},
}
_NOTES_FR = {
    "COVERAGE": "la part des certificats reçus a changé",
    "VERSION": "les versions du codage ont changé",
    "GROUPS": "la définition des groupes a changé",
    "HISTORY": "le certificat en parle au passé",
    "UNSURE": "le code proposé est peu sûr",
    "CONFIRMED": "un codeur l'a confirmée",
    "REFUTED": "un codeur ne l'a pas retenue",
    "RECODED": "le dernier résultat ne la retient plus",
    "WITHDRAWN": "le certificat a été retiré",
    "CALM": "la dernière semaine ne dépasse plus le seuil",
    "DOWN": "avec ce qui est connu aujourd'hui, ces jours ne dépassent plus le seuil",
    "SILENT": "la série ne peut plus être jugée",
    "UNWATCHED": "cette série n'est plus surveillée",
    "CLOSED": "close après son délai",
    "LEVEL": "le niveau a été fixé par une personne",
    "ESCALATED": "le niveau a été relevé par les règles",
}
_TEXTS = {
    "fr": {
        "case": "un décès", "unverified": "à vérifier", "verified": "vérifié par un codeur", "of": "décès du",
        "to": "au", "deaths": "décès", "expected": "attendus", "threshold": "seuil", "complete": "certificats reçus",
        "in_all": "au total, une fois tous reçus", "level": "niveau", "more": "et {} de plus", "see": "Voir",
        "method": "méthode", "due": "en cause initiale", "any": "mentionné", "age": "âge", "sex": "sexe",
        "end": "Ce message ne contient aucun texte de certificat. Il est envoyé une fois par alerte et par événement.",
    },
    "en": {
        "case": "one death", "unverified": "not verified", "verified": "verified by a coder", "of": "deaths from",
        "to": "to", "deaths": "deaths", "expected": "expected", "threshold": "threshold",
        "complete": "certificates here", "in_all": "in all, once they have come", "level": "level",
        "more": "and {} more", "see": "See", "method": "method", "due": "underlying cause", "any": "any mention",
        "age": "age", "sex": "sex",
        "end": "This message holds no text of any certificate. It is sent once for each alert and occasion.",
    },
}  # fmt: skip


def subject(messages: Sequence[Message], hearing: Hearing, rules: Rules) -> str:
    """Subject of an e-mail: the message that presses most, and how many more there are."""
    first = max(messages, key=lambda message: message.alert.level)
    told = f"[Causa {first.alert.level}] {_OCCASIONS[hearing.lang][first.occasion.partition('-')[0]]}"
    told += (
        f" : {_named(first.alert, hearing, rules)}"
        if hearing.lang == "fr"
        else f": {_named(first.alert, hearing, rules)}"
    )
    others = len(messages) - 1
    return f"{told} ({_TEXTS[hearing.lang]['more'].format(others)})" if others else told


def body(messages: Sequence[Message], hearing: Hearing, rules: Rules, link: str = "") -> str:
    """Its text."""
    ordered = sorted(messages, key=lambda message: (-message.alert.level, message.alert.alert_id))
    parts = [told(message, hearing, rules, link) for message in ordered]
    return "\n\n".join([*parts, _TEXTS[hearing.lang]["end"]]) + "\n"


def told(message: Message, hearing: Hearing, rules: Rules, link: str = "") -> str:
    """One message in some lines."""
    alert, words = message.alert, _TEXTS[hearing.lang]
    head = _OCCASIONS[hearing.lang][message.occasion.partition("-")[0]]
    lines = [f"{head} – {_named(alert, hearing, rules)}", f"  {words['level']} {alert.level}, {alert.alert_id}"]
    if hearing.details:
        lines += [f"  {line}" for line in _figures(alert, words)]
        lines += [f"  - {_note(note, hearing.lang)}" for note in alert.notes]
    if link:
        lines.append(f"  {words['see']} {link.replace('{id}', quote(alert.alert_id, safe=''))}")
    return "\n".join(lines)


def _named(alert: Alert, hearing: Hearing, rules: Rules) -> str:
    words = _TEXTS[hearing.lang]
    name = rules.groups[alert.group].name(hearing.lang) if alert.group in rules.groups else alert.group
    if not hearing.details:
        return name
    where = rules.places.name(alert.place)
    told = f"{name}, {where}" if alert.place == "FR" else f"{name}, {where} ({alert.place})"
    if alert.kind is Kind.SINGLE_CASE:
        return f"{told}, {words['case']}, {words['verified' if alert.verified else 'unverified']}"
    return f"{told}, {alert.observed:.0f} {words['deaths']} ({alert.expected:.0f} {words['expected']})"


def _figures(alert: Alert, words: dict[str, str]) -> list[str]:
    if alert.kind is Kind.SINGLE_CASE:
        return [f"{words['of']} {alert.period_start}"]
    by = words["due" if alert.by == "UNDERLYING" else "any"]
    narrowed = [f"{words[name]} {value}" for name, value in (("age", alert.age), ("sex", alert.sex)) if value]
    lines = [
        f"{words['of']} {alert.period_start} {words['to']} {alert.period_end}, {', '.join([by, *narrowed])}",
        f"{alert.observed:.0f} {words['deaths']}, {alert.expected:.1f} {words['expected']}, {words['threshold']} "
        f"{alert.threshold:.0f}, {words['method']} {alert.method}",
        f"{words['complete']} : {alert.completeness:.0%}",
    ]
    if alert.estimate is not None and alert.low is not None and alert.high is not None:
        lines[-1] += f" ; {alert.estimate:.0f} ({alert.low:.0f}–{alert.high:.0f}) {words['in_all']}"
    return lines


def _note(note: str, lang: Lang) -> str:
    return note if lang == "en" else _NOTES_FR.get(note.partition(":")[0], note)
