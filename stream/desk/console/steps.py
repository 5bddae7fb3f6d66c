"""The rules' steps in French: the core tells them in English, the coders work in French.

`steps.tsv` holds each sentence of the rules with ``{a}`` for what varies, and its French; ``{a:manner}`` puts the name of a
manner of death into French too. A sentence that is not there is shown as the core tells it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stream.errors import InvalidData

TABLE = Path(__file__).with_name("steps.tsv")
_PLACE = re.compile(r"\{([a-d])(:manner)?\}")
_MANNERS = {
    "natural": "mort naturelle",
    "accident": "accident",
    "suicide": "suicide",
    "homicide": "homicide",
    "war": "guerre",
    "undetermined": "intention indéterminée",
    "care_complication": "complication de soins",
    "investigation": "enquête en cours",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the rules and its French."""

    pattern: re.Pattern[str]
    fr: str

    def told(self, step: str) -> str | None:
        """The French of a step; None where it is another sentence."""
        found = self.pattern.fullmatch(step)
        if found is None:
            return None

        def put(place: re.Match[str]) -> str:
            value = found[place[1]]
            return _MANNERS.get(value, value) if place[2] else value

        return _PLACE.sub(put, self.fr)


@cache
def load(path: Path = TABLE) -> tuple[Sentence, ...]:
    """The packaged sentences.

    Raises:
        InvalidData: a row without both sentences, or whose French has another place than its English.
    """
    found = []
    for number, row in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], start=2):
        english, _, french = row.partition("\t")
        if (
            not english
            or not french
            or {p[0] for p in _PLACE.findall(french)} - {p[0] for p in _PLACE.findall(english)}
        ):
            raise InvalidData(f"{path.name}:{number}: not a step and its French")
        pattern = "".join(
            f"(?P<{piece[1]}>.+?)" if (piece := _PLACE.fullmatch(part)) else re.escape(part)
            for part in re.split(r"(\{[a-d]\})", english)
        )
        found.append(Sentence(re.compile(pattern), french))
    return tuple(found)


def told(step: str, language: str) -> str:
    """A step of the rules in a language, "fr" or "en"."""
    if language != "fr":
        return step
    return next((said for sentence in load() if (said := sentence.told(step)) is not None), step)
