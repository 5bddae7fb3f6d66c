"""A run's names: its topics, its group, its transactional ids. None of them is the live workers'."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stream.errors import InvalidSettings
from stream.replay.broker import NewTopic
from stream.settings import Settings

PREFIX = "replay."
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
REPAIRS = "repairs"
"""No run: the topic of what was injected again, `replay.repairs`."""
RECORDED = "recorded"
"""No run either: what the live topic `coded` holds."""
_RESERVED = (REPAIRS, RECORDED)
_LARGE = {"max.message.bytes": "16777216"}
RETENTION = {"cleanup.policy": "delete", "retention.ms": "-1", **_LARGE}


@dataclass(frozen=True, slots=True)
class Run:
    """A replay by name.

    Attributes:
        name: small letters, digits and hyphens, 48 at most.
        live: the live workers' consumer group.
    """

    name: str
    live: str

    def __post_init__(self) -> None:
        """Raises InvalidSettings where it can be no name."""
        if not _NAME.fullmatch(self.name) or self.name in _RESERVED:
            raise InvalidSettings(
                f"{self.name!r} names no run", hint="small letters, digits and hyphens; neither recorded nor repairs"
            )

    @property
    def results(self) -> str:
        """Topic of what was coded, schema `coded`."""
        return f"{PREFIX}{self.name}"

    @property
    def dead(self) -> str:
        """Topic of its dead letters."""
        return f"{PREFIX}{self.name}.dead-letters"

    @property
    def manifest(self) -> str:
        """Topic of its plan, its end, and of who proposed and approved what; JSON."""
        return f"{PREFIX}{self.name}.manifest"

    @property
    def topics(self) -> tuple[str, str, str]:
        """All three."""
        return self.results, self.dead, self.manifest

    @property
    def group(self) -> str:
        """Group that its position is kept under; nobody is a member of it."""
        return f"{self.live}-replay-{self.name}"

    @property
    def recode_group(self) -> str:
        """The same for publishing its results."""
        return f"{self.live}-recode-{self.name}"

    def declared(self, partitions: int) -> tuple[NewTopic, ...]:
        """Its topics, as they are made: kept until somebody drops the run."""
        return (
            NewTopic(self.results, partitions, RETENTION),
            NewTopic(self.dead, partitions, RETENTION),
            NewTopic(self.manifest, 1, RETENTION),
        )


def run_of(settings: Settings, name: str) -> Run:
    """The run of a name under these settings. Raises InvalidSettings where it can be no name."""
    return Run(name, settings.worker.group)


def names(topics: set[str]) -> list[str]:
    """Runs whose topics are there."""
    suffix = ".manifest"
    found = [t.removeprefix(PREFIX).removesuffix(suffix) for t in topics if t.startswith(PREFIX) and t.endswith(suffix)]
    return sorted(name for name in found if _NAME.fullmatch(name))
