"""What a replay is of: a topic, a range of it, and which of its certificates.

A filter on codes, routes or versions looks at what was recorded for a certificate version: the standing machine result in
`coded`. Conditions of one kind are alternatives; those of different kinds must all hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from stream.coding import CodedStatus, Reason, Route, Versions
from stream.errors import InvalidSettings
from stream.nomenclature import icd10
from stream.replay.outcome import Outcome

SOURCES = ("certificates", "coded", "dead-letters")
_VERSIONS = tuple(field.name for field in fields(Versions))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which certificates.

    Attributes:
        ids: certificate ids; empty for any.
        underlying: beginnings of recorded underlying causes, bare: ``I50``, ``J18.9``, ``C``.
        mentions: beginnings of any recorded code.
        routes: recorded routes.
        reasons: recorded reasons for a person to look.
        statuses: recorded statuses.
        versions: beginnings of recorded versions, by field of `Versions`: ``{"coder": ("coder-1",)}``.
        errors: codes of dead letters; only for that source.
    """

    ids: frozenset[str] = frozenset()
    underlying: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    versions: Mapping[str, tuple[str, ...]] | None = None
    errors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises InvalidSettings where a condition names what cannot be."""
        for given, known, what in (
            (self.routes, Route, "route"), (self.reasons, Reason, "reason"), (self.statuses, CodedStatus, "status")
        ):  # fmt: skip
            for value in given:
                if value not in [str(member) for member in known]:
                    raise InvalidSettings(f"{value} is no {what}", hint=", ".join(known))
        for name in self.versions or {}:
            if name not in _VERSIONS:
                raise InvalidSettings(f"{name} is no version of a result", hint=", ".join(_VERSIONS))

    @property
    def asks_recorded(self) -> bool:
        """Whether it asks what was recorded."""
        return bool(self.underlying or self.mentions or self.routes or self.reasons or self.statuses or self.versions)

    def of_id(self, certificate_id: str) -> bool:
        """Whether it takes a certificate of an id."""
        return not self.ids or certificate_id in self.ids

    def of_recorded(self, outcome: Outcome | None) -> bool:
        """Whether it takes a certificate version of which this was recorded; None for nothing."""
        if not self.asks_recorded:
            return True
        if outcome is None:
            return False
        versions = asdict(outcome.versions)
        return (
            (not self.underlying or _begins(outcome.underlying or "", self.underlying))
            and (not self.mentions or any(_begins(code, self.mentions) for code in outcome.codes))
            and (not self.routes or outcome.route in self.routes)
            and (not self.reasons or any(reason in self.reasons for reason in outcome.reasons))
            and (not self.statuses or outcome.status in self.statuses)
            and all(versions[name].startswith(starts) for name, starts in (self.versions or {}).items())
        )

    def of_error(self, code: str) -> bool:
        """Whether it takes a dead letter of an error."""
        return not self.errors or code in self.errors

    def record(self) -> dict[str, Any]:
        """JSON mapping; `read` is its inverse."""
        return {
            **{f.name: list(getattr(self, f.name)) for f in fields(self) if f.name not in ("ids", "versions")},
            "ids": sorted(self.ids), "versions": {k: list(v) for k, v in (self.versions or {}).items()},
        }  # fmt: skip

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Selection:
        """Selection of its JSON mapping."""
        given: dict[str, Any] = {
            f.name: tuple(record[f.name]) for f in fields(cls) if f.name not in ("ids", "versions")
        }
        versions = {name: tuple(starts) for name, starts in record["versions"].items()}
        return cls(**given, ids=frozenset(record["ids"]), versions=versions or None)

    def told(self) -> str:
        """In words."""
        parts = [f"{len(self.ids):,} ids"] if self.ids else []
        for what, given in (
            ("underlying cause", self.underlying), ("any code", self.mentions), ("route", self.routes),
            ("reason", self.reasons), ("status", self.statuses), ("error", self.errors),
            *((f"{name} version", starts) for name, starts in (self.versions or {}).items()),
        ):  # fmt: skip
            if given:
                parts.append(f"{what} {' or '.join(given)}")
        return "; ".join(parts) or "all"


def _begins(code: str, starts: tuple[str, ...]) -> bool:
    return code.startswith(starts)


def prefix(text: str) -> str:
    """Beginning of a code as it is compared: with its dot, in capitals."""
    return icd10.dotted(text.rstrip("*"))


def read_ids(path: Path) -> frozenset[str]:
    """Ids of a file: one a line, or JSON objects with a `certificate_id`.

    Raises:
        InvalidSettings: it cannot be read, or a line holds no id.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: JSON may hold U+2028 and U+0085
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{path.name} cannot be read: {type(error).__name__}") from None
    found = set()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("{"):
            try:
                text = json.loads(text)["certificate_id"]
            except (ValueError, KeyError):
                text = ""
        if not isinstance(text, str) or not text or any(c.isspace() for c in text):
            raise InvalidSettings(f"{path.name}:{number}: no certificate id")
        found.add(text)
    if not found:
        raise InvalidSettings(f"{path.name} holds no certificate id")
    return frozenset(found)
