"""What is coded: certificates framed by the samples, their lines written anew so that they rarely repeat.

Ages, dates, boxes, numbers of lines and intervals are those of `samples/certificates.jsonl`. A line's text comes from
the sample, varied, or from the training corpus' generator, whose lines hold as many causes as real ones do. Nothing
is drawn that the seed does not decide.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from stream.certificate import Certificate, Line
from stream.coder.model import LineRequest
from stream.demo.run import samples
from stream.pipeline.core import Core
from stream.pipeline.record import Incoming
from training import noise
from training.corpus import Corpus

GENERATED = 0.6
"""Share of the varied lines that the generator writes; the rest are the sample's, varied."""
REPEATED = 0.65
"""Share of lines taken from the samples as they are where repetition is wanted: of a backlog of 6,000 a good half of the lines
then repeat one before. An assumption, not a measurement."""
_TAILS = (
    " depuis {} ans", " depuis {} mois", " depuis {} jours", " il y a {} ans", " ({} épisodes)", " en 20{:02}",
    " J{}", " stade {}", ", hospitalisé {} jours",
)  # fmt: skip


def varied(count: int, seed: int = 1) -> list[Certificate]:
    """Certificates whose lines rarely repeat."""
    corpus, rng = Corpus(seed), random.Random(seed)

    def line(text: str) -> str:
        if rng.random() < GENERATED:
            return corpus.example().text
        level = rng.choice([0.0, 0.5, 1.0])
        tail = rng.choice(_TAILS).format(rng.randrange(2, 26)) if rng.random() < 0.85 else ""
        return noise.apply_hand(noise.entity(text, rng, level) + tail, noise.hand(rng))

    return [_written(frame, f"bench-{seed}-{i:07d}", line) for i, frame in enumerate(_frames(count, rng))]


def repeating(count: int, seed: int = 2) -> list[Certificate]:
    """Certificates of which `REPEATED` of the lines are the samples' own, in another hand; the rest rarely repeat.

    The samples' lines are drawn as words of a language are, the k-th with a weight of 1/k (Zipf), those that the
    samples hold most often first.
    """
    rng = random.Random(seed)
    counts = Counter(_text(line).lower() for c in samples() for line in (*c.part1, *c.part2))
    own = [text for text, _ in counts.most_common()]
    weights = [1 / rank for rank in range(1, len(own) + 1)]

    def line(text: str) -> str:
        if rng.random() >= REPEATED:
            return text
        return noise.apply_hand(rng.choices(own, weights)[0], noise.hand(rng))

    return [_written(c, c.certificate_id, line) for c in varied(count, seed)]


def _frames(count: int, rng: random.Random) -> Iterator[Certificate]:
    pool = samples()
    for number in range(count):
        if number % len(pool) == 0:
            rng.shuffle(pool)
        yield pool[number % len(pool)]


def _written(frame: Certificate, identifier: str, line: Callable[[str], str]) -> Certificate:
    def part(lines: Sequence[Line]) -> tuple[Line, ...]:
        return tuple(replace(each, text=line(_text(each))) for each in lines)

    return replace(frame, certificate_id=identifier, part1=part(frame.part1), part2=part(frame.part2))


def _text(line: Line) -> str:
    return line.text if isinstance(line.text, str) else ""


def requests_of(certificates: Sequence[Certificate], core: Core) -> list[LineRequest]:
    """What the model is asked for, in order, repetitions included."""
    nothing = Incoming(None)
    return [r for c in certificates for r in core.prepare_certificate(c, nothing).requests]


@dataclass(frozen=True, slots=True)
class Mix:
    """What the lines are like: characters at the quantiles, and the share that an earlier line already asked."""

    certificates: int
    lines: int
    shortest: int
    p25: int
    p50: int
    p75: int
    p95: int
    longest: int
    repeated: float

    def __str__(self) -> str:
        return (
            f"{self.certificates:,} certificates, {self.lines:,} lines of {self.p50} characters (p25 {self.p25}, "
            f"p75 {self.p75}, p95 {self.p95}, longest {self.longest}); {self.repeated:.1%} of the lines repeat one before"
        )

    def record(self) -> dict[str, Any]:
        """For the JSON file."""
        return asdict(self)


def mix(certificates: int, requests: Sequence[LineRequest]) -> Mix:
    """Describe lines as they are sent: normalised, with their context."""
    lengths = sorted(len(r.text) for r in requests) or [0]

    def at(share: float) -> int:
        return lengths[min(len(lengths) - 1, int(share * len(lengths)))]

    repeated = 1 - len(set(requests)) / len(requests) if requests else 0.0
    return Mix(
        certificates, len(requests), lengths[0], at(0.25), at(0.5), at(0.75), at(0.95), lengths[-1], round(repeated, 4)
    )
