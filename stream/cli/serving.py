"""The model server that a command without Kafka asks: the configured Triton, else the embedded one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stream.coder.model import TritonModel, by_length
from stream.embedded.servers import Embedded
from stream.pipeline.models import Models
from stream.settings import Settings
from stream.underlying.ranking import RankModel, TritonRanker, by_size
from stream.worker.stages import CachedModel, RetryingModel, SplitModel


@contextmanager
def triton(settings: Settings) -> Iterator[str]:
    """Address of Triton; the embedded one is started if need be, and shared with other commands that use it meanwhile."""
    if settings.triton.url:
        yield settings.triton.url
        return
    with Embedded(settings).triton.leased() as url:
        yield url


def models(url: str, settings: Settings) -> Models:
    """Coder and ranker behind retries, splitting and the cache, as the worker asks them."""
    asked = RetryingModel(TritonModel(url, settings.triton), settings.worker.retry)
    coder = CachedModel(SplitModel(asked), settings.worker.cache_lines, by_length)
    return Models(coder, ranker(url, settings))


def ranker(url: str, settings: Settings) -> RankModel:
    """The ranker alone, likewise."""
    asked = RetryingModel(TritonRanker(url, settings.triton), settings.worker.retry)
    return CachedModel(SplitModel(asked), settings.worker.cache_lines, by_size)
