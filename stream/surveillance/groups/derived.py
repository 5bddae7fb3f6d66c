"""Groups that follow from the European shortlist (`stream/nomenclature/shortlist.tsv`): its items by underlying cause.

Every death is in one of them, or in the one that takes what the shortlist leaves.
"""

from __future__ import annotations

from pathlib import Path

from stream.errors import InvalidData
from stream.nomenclature import shortlist
from stream.surveillance.groups.codes import Codes, Span
from stream.surveillance.groups.group import Group, Takes

FAMILY = "shortlist"
NAMES = Path(__file__).with_name("shortlist_en.tsv")
REST = "esl_none"
SINCE = "2026-1"
_SOURCE = "Eurostat, European Shortlist for Causes of Death, 2012, with COVID-19"


def groups() -> tuple[Group, ...]:
    """A group for each item, and the one that takes the rest.

    Raises:
        InvalidData: an item has no English name, or a name has no item.
    """
    french, english = shortlist.labels(), _english(NAMES)
    if french.keys() != english.keys():
        raise InvalidData(f"{NAMES.name}: {sorted(french.keys() ^ english.keys())[0]} is not in both tables")
    found = [_item(item, english[item], fr) for item, fr in french.items()]
    rest = Group(
        REST, FAMILY, "No item of the shortlist", "Hors liste européenne",
        "No underlying cause yet, or a code that cannot be one.",
        "Pas encore de cause initiale, ou un code qui ne peut en être une.", _SOURCE, SINCE, Takes.REST,
    )  # fmt: skip
    return (*found, rest)


def _item(item: str, en: str, fr: str) -> Group:
    spans, less = [], []
    for first, last, owner in shortlist.read():
        if owner == item:
            spans.append(Span(first, last))
    for first, last, owner in shortlist.read():
        # A range of four characters is an exception within another item's categories.
        if owner != item and len(first) > 3 and any(span.holds(first) for span in spans):
            less.append(Span(first, last))
    return Group(
        "esl_" + item.replace(".", "_"), FAMILY, en, fr,
        f"Item {item} of the European shortlist, by underlying cause.",
        f"Rubrique {item} de la liste européenne, en cause initiale.",
        _SOURCE, SINCE, underlying=Codes(tuple(spans), tuple(less)),
    )  # fmt: skip


def _english(path: Path) -> dict[str, str]:
    try:
        rows = path.read_text(encoding="utf-8").splitlines()[1:]
    except OSError as error:
        raise InvalidData(f"{path.name} cannot be read: {error.strerror}") from None
    found: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        item, _, name = row.partition("\t")
        if not item or not name or item in found:
            raise InvalidData(f"{path.name}:{number}: not an item and its name, or an item twice")
        found[item] = name
    return found
