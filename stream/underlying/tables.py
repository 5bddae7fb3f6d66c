"""Everything the rules look up, read once: see `tables/` for the files and where each row comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stream.errors import InvalidData
from stream.underlying.causal import Causal, read_causal
from stream.underlying.codes import Codes, is_code
from stream.underlying.confidence import Confidence, read_confidence
from stream.underlying.injury import Ranking, read_ranking
from stream.underlying.intent import Intents, read_intents
from stream.underlying.linkages import Linkages, Obvious, read_limits, read_linkages, read_obvious
from stream.underlying.pregnancy import Boxes, read_boxes
from stream.underlying.sequelae import Sequelae, read_sequelae

FOLDER = Path(__file__).with_name("tables")


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The tables of one version.

    Attributes:
        causal: which condition can cause which.
        linkages: what a tentative cause becomes with mention of another condition (M1, M2, M4).
        derived: the same, derived from certificates; they apply after the hand-written ones.
        obvious: which conditions are an obvious consequence of which (SP6).
        ill_defined: conditions to disregard when there is another (SP7).
        trivial: conditions unlikely to cause death (SP8).
        confidence: how often each path of rules is right.
        unsuitable: code or category not to be used for the underlying cause, and what is used in its place.
        boxes: what the values of the box on pregnancy mean.
        intents: the same event by accident, suicide, homicide and of undetermined intent.
        injuries: how grave an injury is beside another (main injury).
        sequelae: what a cause is coded to a year or more after its onset.
        version: content hash of all the files.
    """

    causal: Causal
    linkages: Linkages
    derived: Linkages
    obvious: Obvious
    ill_defined: Codes
    trivial: Codes
    confidence: Confidence
    unsuitable: Mapping[str, str]
    boxes: Boxes
    intents: Intents
    injuries: Ranking
    sequelae: Sequelae
    version: str


def read_rows(path: Path, columns: int) -> list[list[str]]:
    """Rows of a tab-separated file below its header.

    Raises:
        InvalidData: a row with another number of columns, the header too.
    """
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        row = line.split("\t")
        if len(row) != columns:
            raise InvalidData(f"{path.name}:{number}: {len(row)} columns instead of {columns}")
        rows.append(row)
    return rows[1:]


def read_unsuitable(rows: list[list[str]]) -> dict[str, str]:
    """Codes and categories that are not used for the underlying cause, bare, with what takes their place.

    Raises:
        InvalidData: a row that names no code.
    """
    for row in rows:
        if not is_code(row[0]) or not is_code(row[1]):
            raise InvalidData("unsuitable.tsv: not a code and its replacement")
    return {code: result for code, result, _ in rows}


def read_tables(folder: Path = FOLDER) -> Tables:
    """All tables of a folder.

    Raises:
        InvalidData: a file is missing or a row does not hold.
    """
    try:
        return _read(folder)
    except (OSError, EOFError, UnicodeDecodeError) as fault:
        raise InvalidData(f"underlying tables: {fault}") from fault


def _read(folder: Path) -> Tables:
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(folder.iterdir()):
        if path.name.endswith((".tsv", ".tsv.gz", ".txt")):
            digest.update(path.read_bytes())
    aliases = {code: older for code, older, _ in read_rows(folder / "aliases.tsv", 3)}
    limits = read_limits(read_rows(folder / "limits.tsv", 3), "limits.tsv")
    return Tables(
        causal=read_causal(
            folder / "causal.tsv.gz",
            aliases,
            read_rows(folder / "overrides.tsv", 4),
            read_rows(folder / "sequences.tsv", 4),
        ),
        linkages=read_linkages(read_rows(folder / "linkages.tsv", 5), "linkages.tsv"),
        derived=read_linkages(read_rows(folder / "derived.tsv", 5), "derived.tsv"),
        obvious=read_obvious(read_rows(folder / "obvious.tsv", 3), "obvious.tsv"),
        ill_defined=limits["SP7"],
        trivial=limits["SP8"],
        confidence=read_confidence(read_rows(folder / "confidence.tsv", 4)),
        unsuitable=read_unsuitable(read_rows(folder / "unsuitable.tsv", 3)),
        boxes=read_boxes(read_rows(folder / "pregnancy.tsv", 4), "pregnancy.tsv"),
        intents=read_intents(read_rows(folder / "intents.tsv", 6), "intents.tsv"),
        injuries=read_ranking(read_rows(folder / "injuries.tsv", 3), "injuries.tsv"),
        sequelae=read_sequelae(read_rows(folder / "sequelae.tsv", 3), "sequelae.tsv"),
        version="und-" + digest.hexdigest(),
    )


@cache
def load() -> Tables:
    """The packaged tables."""
    return read_tables()
