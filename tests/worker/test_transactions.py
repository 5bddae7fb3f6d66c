from __future__ import annotations

import asyncio
import hashlib
import struct
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import ProducerFenced
from aiokafka.structs import OffsetAndMetadata
from structlog.testing import capture_logs

from stream import kafka, transaction
from stream.certificate import utc_now
from stream.coding import Origin, dead_letter_record, read_dead_letter
from stream.embedded.kafka import KafkaServer
from stream.errors import BadFrame, BrokerUnavailable
from stream.failpoints import FailPoint
from stream.pipeline.letters import TAKES, dead_letter
from stream.pipeline.record import Incoming, Outgoing, Received
from stream.registry import MemoryRegistry, load_schemas
from stream.sealing import Keyring
from stream.settings import REPOSITORY, Sealing
from stream.wire import Wire
from stream.worker import transactions
from stream.worker.lanes import Transactions
from stream.worker.transactions import KafkaTransactions, MemoryBroker, MemoryTransactions

WIRE = Wire(MemoryRegistry(load_schemas(REPOSITORY / "schemas")))


class Rig:
    """Transactions of one partition, with what a test must be able to do around them."""

    inputs: tuple[str, str]

    def __init__(self) -> None:
        self.opened: list[Transactions] = []

    def transactions(self) -> Transactions:
        """Of one more owner; closed with the rig."""
        self.opened.append(self._transactions())
        return self.opened[-1]

    async def begun(self) -> tuple[Transactions, Mapping[str, int]]:
        """An owner that has begun; a young broker is given time."""
        one = self.transactions()
        async with asyncio.timeout(60):
            while True:
                try:
                    return one, await one.begin()
                except BrokerUnavailable:
                    await asyncio.sleep(0.2)

    def _transactions(self) -> Transactions:
        raise NotImplementedError

    async def committed(self) -> list[bytes]:
        """Values that a reader of committed results sees."""
        raise NotImplementedError

    async def put(self, *, aborted: bool = False) -> int:
        """A record in the first input topic; its offset."""
        raise NotImplementedError


class MemoryRig(Rig):
    inputs = ("a", "b")

    def __init__(self) -> None:
        super().__init__()
        self._broker = MemoryBroker()
        self._broker.inputs["a", 0] = set()
        self._end = 0

    def _transactions(self) -> MemoryTransactions:
        return MemoryTransactions(self._broker, self.inputs, 0)

    async def committed(self) -> list[bytes]:
        return [record.value for _, record in self._broker.results]

    async def put(self, *, aborted: bool = False) -> int:
        if not aborted:
            self._broker.inputs["a", 0].add(self._end)
        self._end += 1
        return self._end - 1


class KafkaRig(Rig):
    def __init__(self, bootstrap: str) -> None:
        super().__init__()
        run = uuid.uuid4().hex[:8]
        self.inputs = (f"{run}-a", f"{run}-b")
        self.output, self.group = f"{run}-coded", run
        self.options: dict[str, Any] = {"bootstrap_servers": bootstrap}

    async def open(self) -> None:
        self.admin = AIOKafkaAdminClient(**self.options)
        await self.admin.start()
        await self.admin.create_topics([NewTopic(name, 1, 1) for name in (*self.inputs, self.output)])

    def _transactions(self) -> KafkaTransactions:
        return KafkaTransactions(self.inputs, 0, self.group, {"coded": self.output}, self.options)

    async def committed(self, topic: str = "") -> list[bytes]:
        place = TopicPartition(topic or self.output, 0)
        reader = AIOKafkaConsumer(**self.options, isolation_level="read_committed", auto_offset_reset="earliest")
        await reader.start()
        try:
            reader.assign([place])
            end = await self._closed(reader, place)
            values: list[bytes] = []
            while await reader.position(place) < end:
                values += [r.value for part in (await reader.getmany(timeout_ms=100)).values() for r in part]
            return values
        finally:
            await reader.stop()

    async def _closed(self, reader: AIOKafkaConsumer, place: TopicPartition) -> int:
        """The end of a partition once no transaction is open in it: a commit is answered before its marker is written."""
        anything = AIOKafkaConsumer(**self.options)
        await anything.start()
        try:
            async with asyncio.timeout(60):
                while True:
                    end = await reader.end_offsets([place])
                    if end == await anything.end_offsets([place]):
                        return int(end[place])
                    await asyncio.sleep(0.05)
        finally:
            await anything.stop()

    async def put(self, *, aborted: bool = False) -> int:
        producer = AIOKafkaProducer(**self.options, transactional_id=f"{self.group}-upstream")
        await producer.start()
        await producer.begin_transaction()
        found = await producer.send_and_wait(self.inputs[0], b"certificate")
        await (producer.abort_transaction if aborted else producer.commit_transaction)()
        await producer.stop()
        return int(found.offset)

    async def close(self) -> None:
        for one in self.opened:
            await one.close()
        await self.admin.close()


def results(*values: bytes) -> Sequence[Outgoing]:
    return [Outgoing("coded", b"k", value) for value in values]


class Behaviour:
    """What lanes rely on, of the twin and of the broker."""

    async def test_results_and_offsets_of_all_inputs_go_together(self, rig: Rig) -> None:
        a, b = rig.inputs
        one, position = await rig.begun()
        assert position == {a: 0, b: 0}
        await one.commit(results(b"1", b"2"), {a: 2, b: 0})
        await one.commit(results(b"3"), {a: 2, b: 1})
        assert await rig.committed() == [b"1", b"2", b"3"]
        _, position = await rig.begun()
        assert position == {a: 2, b: 1}

    async def test_who_begins_fences_whoever_was_before(self, rig: Rig) -> None:
        a, b = rig.inputs
        old, _ = await rig.begun()
        await old.commit(results(b"old"), {a: 1, b: 0})
        new, position = await rig.begun()
        assert position == {a: 1, b: 0}
        with pytest.raises(BrokerUnavailable):
            await old.commit(results(b"zombie"), {a: 2, b: 0})
        await new.commit(results(b"new"), {a: 2, b: 0})
        assert await old.begin() == {a: 2, b: 0}
        with pytest.raises(BrokerUnavailable):
            await new.commit(results(b"too late"), {a: 3, b: 0})
        await old.commit(results(b"old again"), {a: 3, b: 0})
        assert await rig.committed() == [b"old", b"new", b"old again"]

    async def test_only_records_that_can_be_read_count_as_between(self, rig: Rig) -> None:
        first = await rig.put()
        await rig.put(aborted=True)
        third = await rig.put()
        one = rig.transactions()
        assert await one.between(rig.inputs[0], first, third)
        assert not await one.between(rig.inputs[0], first + 1, third)


class TestTwin(Behaviour):
    @pytest.fixture
    def rig(self) -> MemoryRig:
        return MemoryRig()


@pytest.mark.servers
class TestKafka(Behaviour):
    @pytest.fixture
    async def rig(self, kafka_server: KafkaServer) -> AsyncIterator[KafkaRig]:
        rig = KafkaRig(kafka_server.bootstrap)
        await rig.open()
        try:
            yield rig
        finally:
            await rig.close()

    async def test_an_owner_that_goes_in_mid_write_leaves_nothing_behind(self, rig: KafkaRig) -> None:
        a, b = rig.inputs
        gone, _ = await rig.begun()
        assert isinstance(gone, KafkaTransactions)
        assert gone._writer._producer is not None
        await gone._writer._producer.send_and_wait(rig.output, b"half")
        one, position = await rig.begun()
        assert position == {a: 0, b: 0}
        await one.commit(results(b"whole"), {a: 1, b: 0})
        assert await rig.committed() == [b"whole"]

    @pytest.mark.parametrize("written", [0, 1])
    async def test_a_fence_that_is_met_in_the_background_is_one_more_end_that_is_not_known(
        self, rig: KafkaRig, written: int
    ) -> None:
        """aiokafka takes what comes behind it for a mistake of its caller's, and says so with errors that are not Kafka's."""
        a, b = rig.inputs
        one, _ = await rig.begun()
        assert isinstance(one, KafkaTransactions)
        for number in range(written):
            await one.commit(results(b"before"), {a: number + 1, b: 0})
        assert one._writer._producer is not None
        transaction = one._writer._producer._txn_manager
        transaction._transaction_waiter = asyncio.get_running_loop().create_future()
        transaction.fatal_error(ProducerFenced())
        assert isinstance(transaction.wait_for_transaction_end().exception(), ProducerFenced)
        with pytest.raises(BrokerUnavailable, match="AssertionError" if written else "IllegalOperation"):
            await one.commit(results(b"behind"), {a: 2, b: 0})
        assert await one.begin() == {a: written, b: 0}
        await one.commit(results(b"after"), {a: written + 1, b: 0})
        assert await rig.committed() == [b"before"] * written + [b"after"]

    async def test_what_retention_has_deleted_is_not_between(self, rig: KafkaRig) -> None:
        first, last = await rig.put(), await rig.put()
        place = TopicPartition(rig.inputs[0], 0)
        one = rig.transactions()
        for before in (last, last + 1):
            await rig.admin.delete_records({place: RecordsToDelete(before_offset=before)})
            assert not await one.between(place.topic, first, last)

    async def test_a_record_that_was_compressed_below_the_limit_of_its_topic_is_a_dead_letter_all_the_same(
        self, rig: KafkaRig
    ) -> None:
        """The broker counts a batch's bytes as the producer compressed them; we write what comes out of it."""
        source, dead = f"{rig.group}-certificates", f"{rig.group}-dead-letters"
        for name, subject in ((source, "coded"), (dead, "dead-letters")):
            limit = {"max.message.bytes": str(TAKES[subject])}
            await rig.admin.create_topics([NewTopic(name, 1, 1, topic_configs=limit)])
        value = b"z" * (18 * 1024 * 1024)
        producer = AIOKafkaProducer(**rig.options, compression_type="gzip", max_request_size=2 * len(value))
        await producer.start()
        await producer.send_and_wait(source, value, key=b"k")
        await producer.stop()
        (came,) = await rig.committed(source)
        received = Received(Incoming(came, b"k", Origin(source, 0, 0)), None, BadFrame("nothing"))
        letter = dead_letter(received, BadFrame("nothing"), utc_now(), Keyring(Sealing()))
        written = WIRE.encode("dead-letters", dead_letter_record(letter))
        one = KafkaTransactions((source,), 0, rig.group, {"dead-letters": dead}, rig.options)
        rig.opened.append(one)
        assert await one.begin() == {source: 0}
        await one.commit([Outgoing("dead-letters", letter.key, written)], {source: 1})
        (found,) = [read_dead_letter(WIRE.decode("dead-letters", value)) for value in await rig.committed(dead)]
        assert found.payload is None and f"{len(value)} bytes" in found.detail
        assert hashlib.sha256(value).hexdigest() in found.detail
        assert await one.begin() == {source: 1}


async def test_what_was_not_begun_writes_nothing() -> None:
    one = KafkaTransactions(("a",), 0, "g", {"coded": "coded"}, {})
    with pytest.raises(BrokerUnavailable):
        await one.commit(results(b"1"), {"a": 1})
    await one.close()


async def test_a_broker_that_is_not_there_is_told() -> None:
    one = KafkaTransactions(("a",), 0, "g", {}, {"bootstrap_servers": "127.0.0.1:9", "request_timeout_ms": 1000})
    for ask in (one.begin(), one.between("a", 0, 1)):
        with pytest.raises(BrokerUnavailable):
            await ask
    await one.close()


class Odd:
    """A client of a broker's that raises what nobody expects of it, from the call that it is told."""

    def __init__(self, call: str, fault: BaseException) -> None:
        self._call, self._fault = call, fault

    def __getattr__(self, name: str) -> Any:
        async def call(*_: Any, **__: Any) -> Any:
            if name == self._call:
                raise self._fault
            if name == "send":
                sent = asyncio.get_running_loop().create_future()
                sent.set_result(None)
                return sent
            if name == "list_consumer_group_offsets":
                return {TopicPartition("a", 0): OffsetAndMetadata(3, "")}
            return None

        return call

    def __call__(self, *_: Any, **__: Any) -> Odd:
        return self

    def assign(self, *_: Any) -> None:
        """Nothing to be told."""


CALLS = {
    "producer": ("start", "begin_transaction", "send", "send_offsets_to_transaction", "commit_transaction"),
    "admin": ("start", "list_consumer_group_offsets"),
    "reader": ("start", "beginning_offsets"),
}


@pytest.mark.parametrize("kind", [ValueError, AttributeError, struct.error, FailPoint, asyncio.CancelledError])
@pytest.mark.parametrize(("client", "call"), [(client, call) for client, calls in CALLS.items() for call in calls])
async def test_whatever_a_client_raises_is_one_more_end_that_is_not_known(
    monkeypatch: pytest.MonkeyPatch, client: str, call: str, kind: type[BaseException]
) -> None:
    classes = {
        "producer": (transaction, "AIOKafkaProducer"), "admin": (kafka, "AIOKafkaAdminClient"),
        "reader": (transactions, "AIOKafkaConsumer"),
    }  # fmt: skip
    for name, (module, attribute) in classes.items():
        monkeypatch.setattr(module, attribute, Odd(call if name == client else "", kind("infarctus")))
    one = KafkaTransactions(("a",), 0, "g", {"coded": "coded"}, {})

    async def all_of_it() -> None:
        assert await one.begin() == {"a": 3}
        await one.commit(results(b"1", b"2"), {"a": 4})
        await one.between("a", 0, 1)

    ours = kind in (FailPoint, asyncio.CancelledError)
    with capture_logs() as said, pytest.raises(kind if ours else BrokerUnavailable) as raised:
        await all_of_it()
    if not ours:
        assert str(raised.value) == f"transaction: {kind.__name__}"
    assert [entry["event"] for entry in said] == (
        [] if ours else ["a client of the broker's failed in a way that is not known"]
    )
    await one.close()


@pytest.mark.parametrize("fault", ["lost", "late", "fenced"])
async def test_the_twin_can_fail_in_every_way_that_is_not_known(fault: str) -> None:
    broker = MemoryBroker()
    one = MemoryTransactions(broker, ("a",), 0)
    await one.begin()
    broker.faults = [fault]
    with pytest.raises(BrokerUnavailable):
        await one.commit(results(b"1"), {"a": 1})
    assert bool(broker.results) == bool(broker.offsets) == (fault == "late")
    assert await asyncio.wait_for(one.begin(), 1) == {"a": int(fault == "late")}
