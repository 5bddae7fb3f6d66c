"""The main injury beside an external underlying cause (WHO ICD-10 volume 2, 2016, 4.2.7: nature of injury).

WHO ranks the codes of chapter XIX one by one; `tables/injuries.tsv` holds a coarse order in six ranks by hand, as WHO's own list
was not at hand. It is told in the steps alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stream.errors import InvalidData
from stream.underlying.codes import Codes
from stream.underlying.sequence import Mention


class Ranking:
    """Ranks of injuries, 1 the gravest; of two rows that hold a code, the first counts."""

    def __init__(self, rows: Sequence[tuple[Codes, int]]) -> None:
        self._rows = tuple(rows)

    def rank(self, code: str) -> int | None:
        """Rank of a bare code; None for what is no injury."""
        return next((rank for codes, rank in self._rows if code in codes), None)

    def main(self, mentions: Sequence[Mention]) -> str | None:
        """The step that names the main injury, the first of the gravest; None where there is no injury."""
        injuries = {m.written: rank for m in mentions if (rank := self.rank(m.code)) is not None}
        if not injuries:
            return None
        main = min(injuries, key=lambda written: injuries[written])
        others = f" of {', '.join(injuries)}" if len(injuries) > 1 else ""
        return f"main injury: {main} (rank {injuries[main]}){others}"


def read_ranking(rows: Iterable[Sequence[str]], name: str) -> Ranking:
    """Ranks from the rows of `injuries.tsv`.

    Raises:
        InvalidData: a rank that is none, or codes outside chapter XIX.
    """
    ranks = []
    for number, (codes, rank, source) in enumerate(rows, start=2):
        if not (codes and rank.isdigit() and int(rank) > 0 and source):
            raise InvalidData(f"{name}:{number}: not codes, rank, source")
        if not all(word[0] in "ST!" for word in codes.split()):
            raise InvalidData(f"{name}:{number}: an injury lies in S00-T98")
        ranks.append((Codes(codes), int(rank)))
    return Ranking(ranks)
