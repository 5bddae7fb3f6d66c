"""A foreign producer that takes the transactional ids of a group for its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from chaos.arena import Arena
from chaos.faults.fault import Fault, known

WITHIN_S = 20.0


@known("steal-transactions")
class StealTransactions(Fault):
    """Fences the owner of every partition and leaves a record without an end behind, which nobody must ever see.

    The owner comes back within a second and fences the thief in his turn, who may then come away with nothing: that is
    counted beside what he stole.
    """

    figure = "transactions stolen"

    async def strike(self, arena: Arena) -> None:
        for part in arena.parts["coded"]:
            producer = AIOKafkaProducer(**arena.options, transactional_id=f"{arena.run}-{part.partition}")
            try:
                async with asyncio.timeout(WITHIN_S):
                    await producer.start()
                    await producer.begin_transaction()
                    await producer.send_and_wait(part.topic, b"not ours", partition=part.partition)
                    self.count(arena)
            except (KafkaError, TimeoutError):
                arena.count("thefts in vain")
            with suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(producer.stop(), WITHIN_S)
