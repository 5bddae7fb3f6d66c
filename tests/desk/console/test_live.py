"""The underlying cause as the coder edits: the worker's core, and what is done where Triton is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from pipeline.core import coded

from stream.certificate import read_certificate
from stream.coding import Method
from stream.desk.console.live import AGAIN_S, LATE, Live
from stream.desk.console.screen import coded_lines, empty_draft
from stream.desk.drafts import Draft, DraftCode, DraftLine
from stream.errors import ModelUnavailable
from stream.underlying.ranking import MemoryRanker, Ranked
from stream.underlying.request import RankRequest

FIELDS = {
    "sex": "F", "age": {"value": 84}, "manner": "NATURAL", "part1": ["OAP", "rétrécissement aortique serré"], "part2": ["HTA, ACFA"],
}  # fmt: skip
CERTIFICATE = read_certificate({"certificate_id": "A1", **FIELDS})
PROPOSAL = coded(**FIELDS)


class Slow:
    """A ranker that never answers."""

    version = "slow"

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, requests: Sequence[RankRequest]) -> list[Ranked]:
        self.asked += 1
        await asyncio.sleep(60)
        raise AssertionError

    async def close(self) -> None:
        """Nothing."""


def lines(draft: Draft):  # type: ignore[no-untyped-def]
    return coded_lines(CERTIFICATE, PROPOSAL, draft)


async def test_the_proposals_codes_give_the_workers_cause_confidence_and_steps() -> None:
    answer = await Live(None).answer(CERTIFICATE, *lines(Draft.of(PROPOSAL)))
    assert answer.cause == PROPOSAL.underlying
    assert [edit.id for edit in answer.edits] == [
        f.removeprefix("EDIT:") for f in PROPOSAL.flags if f.startswith("EDIT:")
    ]


async def test_the_ranker_has_its_say_as_in_the_worker() -> None:
    answer = await Live(MemoryRanker({"I350": "I350"})).answer(CERTIFICATE, *lines(Draft.of(PROPOSAL)))
    assert (answer.cause.code, answer.cause.method, answer.ranked) == ("I35.0", Method.BOTH, True)


async def test_a_late_ranker_is_done_without_and_left_alone_for_a_while() -> None:
    now, slow = [0.0], Slow()
    live = Live(slow, patience_s=0.01, clock=lambda: now[0])
    for expected in (1, 2, 3, 3, 3):
        answer = await live.answer(CERTIFICATE, *lines(Draft.of(PROPOSAL)))
        assert (answer.cause.method, answer.ranked, slow.asked) == (Method.RULES, False, expected)
    now[0] = AGAIN_S + 1
    assert not (await live.answer(CERTIFICATE, *lines(Draft.of(PROPOSAL)))).ranked
    assert slow.asked == LATE + 1


async def test_a_ranker_that_is_away_is_done_without() -> None:
    ranker = MemoryRanker({"I350": "I350"})
    ranker.failures.append(ModelUnavailable("away"))
    live = Live(ranker)
    for _ in range(2):
        answer = await live.answer(CERTIFICATE, *lines(Draft.of(PROPOSAL)))
        assert answer.cause.code == "I35.0" and not answer.ranked
    assert ranker.calls == [1]
    ranker.failures.append(ModelUnavailable("still away"))
    await live.warm()
    await Live(None).warm()


async def test_edits_follow_the_codes() -> None:
    draft = Draft.of(PROPOSAL)
    changed = replace(draft, part1=(DraftLine((DraftCode("C61"),)), DraftLine(())))
    answer = await Live(None).answer(CERTIFICATE, *lines(changed))
    assert answer.cause.code == "C61"
    assert any(edit.severity == "reject" for edit in answer.edits)
    emptied = await Live(None).answer(CERTIFICATE, *coded_lines(CERTIFICATE, None, empty_draft(CERTIFICATE)))
    assert emptied.cause.code is None
    assert {"NO_CODE", "NO_UNDERLYING"} <= {edit.id for edit in emptied.edits}
