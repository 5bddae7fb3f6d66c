"""Sub-words of normalised lines, and lines as arrays: ids, tags and entities.

The first tokens of a row are the conditions of its context (`stream.coder.context`), one special token each; then
the line's sub-words. The same layout is built by the Triton front (`model_repo/coder/1/model.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from stream.coder.context import CONDITIONS
from stream.coder.vocabulary import speller
from stream.text.normal import Hints, NormalText, normalise
from stream.text.spelling import Speller
from training.corpus import Example

VOCABULARY = 8_000
LONGEST = 96
"""Sub-words read of a line, context included; certificate lines hold about ten words."""

SPECIAL = ["[PAD]", "[UNK]", *(f"[{c}]" for c in CONDITIONS)]


def train_tokenizer(lines: Iterable[str]) -> Tokenizer:
    """Byte-pair encoding over normalised lines."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))  # noqa: S106 - a sub-word, not a password
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(True)])
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, min_frequency=2, special_tokens=SPECIAL)
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


@dataclass(frozen=True, slots=True)
class Row:
    """A line ready for the network; entities are (first token, last token, codes)."""

    ids: list[int]
    tags: list[int]
    entities: list[tuple[int, int, tuple[str, ...]]]


def normal_span(text: NormalText, start: int, end: int) -> tuple[int, int] | None:
    """Span of the normalised line that stands for a raw span; None when nothing of it is left."""
    inside = [i for i in range(len(text.text)) if text.starts[i] >= start and text.ends[i] <= end]
    return (inside[0], inside[-1] + 1) if inside else None


class Rows:
    """Turns examples into rows.

    Args:
        tokenizer: trained by `train_tokenizer`.
        spelled: share of lines whose typing errors are corrected first, as the rules do when they can.
    """

    def __init__(self, tokenizer: Tokenizer, spelled: float = 0.7) -> None:
        self._tokenizer = tokenizer
        self._spelled = spelled
        self._speller: Speller = speller()
        self._special = {c: tokenizer.token_to_id(f"[{c}]") for c in CONDITIONS}

    def context(self, context: str) -> list[int]:
        """Ids of the context's conditions."""
        return [self._special[c] for c in context.split()]

    def normal(self, example: Example, number: int) -> NormalText:
        """The example's line in its normal form; `number` decides whether errors are corrected."""
        holds = example.context.split()
        hints = Hints(
            example.around,
            sex="F" if "female" in holds else "M" if "male" in holds else "U",
            newborn="newborn" in holds,
        )
        spelled = (number * 7919) % 1000 < self._spelled * 1000
        return normalise(example.text, hints, self._speller if spelled else None)

    def row(self, example: Example, number: int) -> Row | None:
        """Row of an example; None when the line is longer than the network reads or an entity vanished."""
        text = self.normal(example, number)
        encoded = self._tokenizer.encode(text.text)
        prefix = self.context(example.context)
        ids = prefix + encoded.ids
        if not encoded.ids or len(ids) > LONGEST:
            return None
        tags = [0] * len(ids)
        entities = []
        for span in example.spans:
            place = normal_span(text, span.start, span.end)
            inside = [i for i, (a, b) in enumerate(encoded.offsets) if place and a < place[1] and b > place[0]]
            if not inside:
                return None
            first, last = inside[0] + len(prefix), inside[-1] + len(prefix)
            if tags[first]:
                return None
            tags[first : last + 1] = [1] + [2] * (last - first)
            entities.append((first, last, span.codes))
        return Row(ids, tags, entities)


def rows(examples: Iterator[Example], maker: Rows, count: int) -> Iterator[Row]:
    """The first `count` examples that make a row."""
    made = 0
    for number, example in enumerate(examples):
        row = maker.row(example, number)
        if row is not None:
            yield row
            made += 1
            if made == count:
                return


def load_tokenizer(path: Path) -> Tokenizer:
    """Tokenizer of a file."""
    return Tokenizer.from_file(str(path))


def pad(batch: Sequence[Sequence[int]], width: int) -> list[list[int]]:
    """Rows filled with 0 up to `width`."""
    return [list(row) + [0] * (width - len(row)) for row in batch]
