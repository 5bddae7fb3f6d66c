"""Counts of a run, as they are committed beside its offsets."""

from __future__ import annotations

import json
from dataclasses import dataclass

SOURCE_HEADER = "causa-source"
"""Header of a result: the record that it was made of."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Records of a partition so far: read, passed over, written, dead. ``read = skipped + written + dead``."""

    read: int = 0
    skipped: int = 0
    written: int = 0
    dead: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.read + other.read, self.skipped + other.skipped, self.written + other.written, self.dead + other.dead
        )

    @property
    def note(self) -> str:
        """As it is committed beside the offset."""
        return json.dumps([self.read, self.skipped, self.written, self.dead])

    @classmethod
    def of(cls, note: str) -> Tally:
        """Tally of a note."""
        return cls(*json.loads(note)) if note else cls()
