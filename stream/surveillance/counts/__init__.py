"""Counts of deaths by cause, with the history of what was known when (docs/counts.md)."""

from stream.surveillance.counts.ages import AGES, age_group
from stream.surveillance.counts.counts import Counts
from stream.surveillance.counts.older import Imported, OlderCount, import_counts, put_counts
from stream.surveillance.counts.places import UNPLACED, WHOLE, Department, Places, Region, load_places
from stream.surveillance.counts.query import (
    Basis,
    By,
    Coding,
    Completeness,
    Estimate,
    Folded,
    Known,
    KnownDeath,
    Query,
    Stratum,
)
from stream.surveillance.counts.rebuild import Rebuilt, rebuild
from stream.surveillance.counts.registration import import_expected

__all__ = [
    "AGES", "UNPLACED", "WHOLE", "Basis", "By", "Coding", "Completeness", "Counts", "Department", "Estimate", "Folded",
    "Imported", "Known", "KnownDeath", "OlderCount", "Places", "Query", "Rebuilt", "Region", "Stratum", "age_group",
    "import_counts", "import_expected", "load_places", "put_counts", "rebuild",
]  # fmt: skip
