"""Against a real Apache Kafka: what is published is read, in order, whole, and never in silence."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from domain import events as e
from domain.codec import HEADER_KEY, SCHEMAS, decode, encode
from domain.errors import DataError, InputError, InvariantError, SettingsError, Unavailable
from domain.events_base import Event
from domain.frames import NbboFrame, TradeFrame
from domain.partitioning import partition_of
from domain.topics import BY_NAME, DEAD_LETTERS, MAX_PAYLOAD_BYTES, TOPIC_OF, Topic
from streams.kafka import answers
from streams.kafka_message import Place
from streams.kafka_publisher import Publisher
from streams.kafka_reader import BEGIN, END, Reader
from streams.kafka_settings import Cluster, KafkaSettings
from streams.kafka_topics import declare, verify
from streams.messages import Arrived, Headers, Outgoing

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "events"
PARTITIONS: Final = 4
names = (f"T{number}" for number in itertools.count())


class Killable(Protocol):
    bootstrap: str

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def signal(self, number: signal.Signals) -> None: ...


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def cluster_of(bootstrap: str, **settings: Any) -> Cluster:  # noqa: ANN401  # fields of KafkaSettings
    return Cluster.of(KafkaSettings(bootstrap=bootstrap, **settings), {})


def outgoing(
    event: Event, sequence: int = 0, topic: str = "", partition: int | None = None, headers: Headers | None = None
) -> Outgoing:
    headers = headers or Headers("tests", sequence)
    return Outgoing(topic or TOPIC_OF[type(event)].name, partition, event.underlying, headers, encode(event))


def quote(underlying: str, bid: int = 100, ts: int = 1) -> e.UnderlyingUpdated:
    return e.UnderlyingUpdated(
        ts_event=ts, ts_init=ts, underlying=underlying, bid=bid, bid_size=1, ask=bid + 1, ask_size=1
    )


def nbbo(underlying: str, contracts: Sequence[int], bid: int) -> e.NbboUpdated:
    n = len(contracts)
    frame = NbboFrame(
        contract=np.array(contracts),
        bid=np.full(n, bid),
        bid_size=np.ones(n),
        ask=np.full(n, bid + 1),
        ask_size=np.ones(n),
    )
    return e.NbboUpdated(ts_event=bid, ts_init=bid, underlying=underlying, frame=frame)


def prints(underlying: str, number: int, rows: int = 1) -> e.TradesPrinted:
    one = np.full(rows, number)
    frame = TradeFrame(contract=np.arange(rows), price=one, low=one, high=one, volume=one)
    return e.TradesPrinted(ts_event=number, ts_init=number, underlying=underlying, frame=frame)


class Desk(NamedTuple):
    cluster: Cluster
    partitions: dict[str, int]
    publisher: Publisher
    reader: Reader


@asynccontextmanager
async def desk(bootstrap: str, group: str | None = None, **settings: Any) -> AsyncIterator[Desk]:  # noqa: ANN401
    cluster = cluster_of(bootstrap, **settings)
    partitions = await declare(cluster, PARTITIONS)
    publisher = await Publisher.open(cluster, partitions)
    reader = await Reader.open(cluster, letters=publisher, group=group)
    try:
        yield Desk(cluster, partitions, publisher, reader)
    finally:
        await reader.close(2.0)
        await publisher.close(2.0)


async def read_until(reader: Reader, count: int, seconds: float = 20.0) -> list[Arrived]:
    """Read so many messages; the test fails when they do not come."""
    found: list[Arrived] = []
    until = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < until, f"{len(found)} of {count} messages came"
        found += (await reader.read()).messages
    return found


def test_every_event_comes_back_as_it_was_sent_with_its_headers(kafka: str) -> None:
    async def scenario() -> None:
        async with desk(kafka) as d:
            source = next(names)
            await d.reader.assign({Place(n, p): END for n, count in d.partitions.items() for p in range(count)})
            sent: list[Outgoing] = []
            for sequence, name in enumerate(sorted(SCHEMAS)):
                event = decode(name, 1, (GOLDEN / f"{name}.v1").read_bytes())
                topic = "" if type(event) in TOPIC_OF else "orders.cleared"  # ownership is told on topics of effects
                headers = Headers(source, sequence, group="quote", epoch=7, applied=b"\x00\xff", cause="a-0@1")
                message = outgoing(event, topic=topic, headers=headers)
                await d.publisher.publish(message)
                sent.append(message)
            await d.publisher.flush()
            found = await read_until(d.reader, len(sent))
            ours = {arrived.headers.sequence: arrived for arrived in found if arrived.headers.source == source}
            for message in sent:
                arrived = ours[message.headers.sequence]
                assert arrived.headers == message.headers
                assert arrived.message == message.message
                assert arrived.event == decode(*message.message)
                assert (arrived.topic, arrived.event.underlying) == (message.topic, message.key)
                if BY_NAME[message.topic].is_co_partitioned:
                    assert arrived.partition == partition_of(message.key, PARTITIONS)

    run(scenario())


@pytest.mark.parametrize("batch_bytes", [1, 2_000, 1_000_000])
def test_messages_of_a_key_keep_their_order_whatever_the_batches(kafka: str, batch_bytes: int) -> None:
    async def scenario() -> None:
        keys = [next(names) for _ in range(6)]
        async with desk(kafka, batch_bytes=batch_bytes) as d:
            await d.reader.assign({Place("market.trades", p): END for p in range(PARTITIONS)})
            for number in range(40):
                for key in keys:
                    await d.publisher.publish(outgoing(prints(key, number), number))
            await d.publisher.flush()
            found = await read_until(d.reader, 40 * len(keys))
        for key in keys:
            assert [a.headers.sequence for a in found if a.event.underlying == key] == list(range(40))

    run(scenario())


@pytest.mark.slow
def test_a_killed_broker_loses_nothing_acknowledged_and_doubles_nothing(own_kafka: Killable) -> None:
    async def scenario() -> None:
        async with desk(own_kafka.bootstrap, request_timeout_s=2.0) as d:
            key = next(names)
            acknowledged: list[tuple[int, int]] = []
            is_under_way = asyncio.Event()

            async def produce() -> None:
                for number in range(300):
                    offset = await d.publisher.acknowledged(outgoing(prints(key, number), number), 60.0)
                    acknowledged.append((offset, number))
                    if number == 100:
                        is_under_way.set()

            producing = asyncio.create_task(produce())
            await is_under_way.wait()
            await asyncio.to_thread(own_kafka.kill)
            assert not await answers(own_kafka.bootstrap, 0.5)
            await asyncio.to_thread(own_kafka.start)
            await producing
            await d.reader.assign({Place("market.trades", partition_of(key, PARTITIONS)): BEGIN})
            found = await read_until(d.reader, 300)
            assert [a.headers.sequence for a in found] == list(range(300))
            assert {(a.offset, a.headers.sequence) for a in found} >= {pair for pair in acknowledged if pair[0] >= 0}

    run(scenario())


@pytest.mark.slow
def test_a_reader_goes_on_after_its_broker_was_killed(own_kafka: Killable) -> None:
    async def scenario() -> None:
        async with desk(own_kafka.bootstrap, request_timeout_s=2.0) as d:
            key = next(names)
            place = Place("market.trades", partition_of(key, PARTITIONS))
            await d.reader.assign({place: BEGIN})
            await d.publisher.acknowledged(outgoing(prints(key, 1), 1))
            assert len(await read_until(d.reader, 1)) == 1
            await asyncio.to_thread(own_kafka.kill)
            assert (await d.reader.read()).messages == []
            with pytest.raises(Unavailable, match="bootstrap"):
                await d.reader.lag(0.5)
            await asyncio.to_thread(own_kafka.start)
            await d.publisher.acknowledged(outgoing(prints(key, 2), 2))
            assert [a.headers.sequence for a in await read_until(d.reader, 1, 30.0)] == [2]
            assert await d.reader.lag() == {place: 0}

    run(scenario())


def test_a_broker_that_is_down_at_the_start_is_unavailable_within_the_deadline() -> None:
    async def scenario() -> None:
        cluster = cluster_of("127.0.0.1:1")
        attempts: list[Callable[[], Awaitable[Any]]] = [
            lambda: Publisher.open(cluster, {}, deadline_s=1.0),
            lambda: Reader.open(cluster, letters=None, deadline_s=1.0),
            lambda: declare(cluster, 1, deadline_s=1.0),
            lambda: verify(cluster, deadline_s=1.0),
        ]
        for attempt in attempts:
            begun = time.monotonic()
            with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
                await attempt()
            assert time.monotonic() - begun < 4.0
        assert not await answers("127.0.0.1:1", 0.5)

    run(scenario())


async def fill(publisher: Publisher, key: str) -> None:
    """Publish what nothing supersedes, without end."""
    for number in itertools.count():
        await publisher.publish(outgoing(prints(key, number, 1_000), number))


@pytest.mark.slow
def test_while_the_broker_is_frozen_the_newest_quote_supersedes_and_memory_is_bounded(own_kafka: Killable) -> None:
    async def scenario() -> None:
        bound = 8 * 1024 * 1024
        async with desk(own_kafka.bootstrap, buffer_bytes=bound, publish_deadline_s=0.3) as d:
            key = next(names)
            number = partition_of(key, PARTITIONS)
            await d.reader.assign(
                {Place(n, number): BEGIN for n in ("market.underlying", "market.nbbo", "market.trades")}
            )
            await d.publisher.acknowledged(outgoing(quote(key, 1), 0))
            await d.publisher.acknowledged(outgoing(nbbo(key, [0], 1), 0))
            own_kafka.signal(signal.SIGSTOP)
            for n in range(1, 400):
                await d.publisher.publish(outgoing(quote(key, n), n))
                await d.publisher.publish(outgoing(nbbo(key, [n % 50, 50 + n % 7], n), n))
                await asyncio.sleep(0)
            held = d.publisher.queued_bytes
            assert held < 30_000
            assert d.publisher.superseded >= 790
            with pytest.raises(Unavailable, match="no room for a message"):
                await fill(d.publisher, key)
            assert d.publisher.queued_bytes <= bound + held
            with pytest.raises(Unavailable, match="not acknowledged in time"):
                await d.publisher.flush(0.2)
            own_kafka.signal(signal.SIGCONT)
            await d.publisher.flush(30.0)
            assert d.publisher.queued_bytes == 0
            batch: list[Arrived] = []
            while not all(lag == 0 for lag in (await d.reader.lag()).values()):
                batch += (await d.reader.read()).messages
            last = [a for a in batch if a.topic == "market.underlying"][-1]
            assert isinstance(last.event, e.UnderlyingUpdated)
            assert (last.event.bid, last.headers.sequence) == (399, 399)
            book: dict[int, int] = {}
            for a in batch:
                if isinstance(a.event, e.NbboUpdated):
                    book |= dict(zip(a.event.frame.contract.tolist(), a.event.frame.bid.tolist(), strict=True))
            expected: dict[int, int] = {0: 1}
            for n in range(1, 400):
                expected |= {n % 50: n, 50 + n % 7: n}
            assert book == expected
            printed = [a.headers.sequence for a in batch if a.topic == "market.trades"]
            assert printed == list(range(len(printed)))

    run(scenario())


@pytest.mark.slow
def test_clients_of_a_frozen_broker_close_within_their_deadline(own_kafka: Killable) -> None:
    async def scenario() -> None:
        cluster = cluster_of(own_kafka.bootstrap)
        partitions = await declare(cluster, PARTITIONS)
        publisher = await Publisher.open(cluster, partitions)
        reader = await Reader.open(cluster, letters=publisher, group="g")
        await reader.assign({Place("market.trades", 0): BEGIN})
        await publisher.acknowledged(outgoing(prints("X", 1), 1))
        own_kafka.signal(signal.SIGSTOP)
        await publisher.publish(outgoing(prints("X", 2), 2))
        begun = time.monotonic()
        assert not await publisher.close(1.0)
        await reader.close(1.0)
        assert time.monotonic() - begun < 6.0
        with pytest.raises(Unavailable, match="publisher"):
            await publisher.publish(outgoing(prints("X", 3), 3))
        own_kafka.signal(signal.SIGCONT)

    run(scenario())


def damaged(key: str) -> Iterator[tuple[str, bytes | None, bytes | None, list[tuple[str, bytes]]]]:
    """Reason, key, payload and headers of messages that nobody can read."""
    good = encode(prints(key, 1, 50))
    headers = [("schema", b"TradesPrinted"), ("version", b"1"), ("source", b"stranger"), ("sequence", b"1")]
    name = key.encode()
    for absent in ("schema", "version", "source", "sequence"):
        yield "header missing", name, good.payload, [pair for pair in headers if pair[0] != absent]
    yield "header malformed", name, good.payload, [*headers, ("version", b"one")]
    yield "header malformed", name, good.payload, [*headers, ("source", b"\xff")]
    yield "schema unknown", name, good.payload, [*headers, ("version", b"99")]
    yield "schema unknown", name, good.payload, [*headers, ("schema", b"Rumour")]
    yield "payload damaged", name, good.payload[:-200], headers
    yield "payload damaged", name, b"\xff\xff\xff\xff" + b"\x00" * 60, headers
    yield "payload missing", name, None, headers
    yield "key differs", b"OTHER", good.payload, headers
    yield "wrong topic", name, encode(quote(key)).payload, [*headers, ("schema", b"UnderlyingUpdated")]


def test_what_cannot_be_read_is_a_dead_letter_and_the_reading_goes_on(kafka: str) -> None:
    async def scenario() -> None:
        async with desk(kafka) as d:
            key = next(names)
            place = Place("market.trades", partition_of(key, PARTITIONS))
            await d.reader.assign({place: END, Place(DEAD_LETTERS.name, 0): END})
            start = d.reader.positions[place]
            letters_start = d.reader.positions[Place(DEAD_LETTERS.name, 0)]
            await d.reader.assign({place: start})
            bad = list(damaged(key))
            stranger = AIOKafkaProducer(bootstrap_servers=kafka)
            await stranger.start()
            for _, name, payload, headers in bad:
                await stranger.send_and_wait(place.topic, payload, name, place.partition, headers=headers)
            await stranger.stop()
            await d.publisher.acknowledged(outgoing(prints(key, 2), 2))
            messages: list[Arrived] = []
            buried = 0
            while not messages:
                batch = await d.reader.read()
                messages += batch.messages
                buried += batch.buried
            assert [a.headers.sequence for a in messages] == [2]
            assert buried == len(bad)
            watcher = AIOKafkaConsumer(bootstrap_servers=kafka)
            await watcher.start()
            letters = TopicPartition(DEAD_LETTERS.name, 0)
            watcher.assign([letters])
            watcher.seek(letters, letters_start)
            found: list[Any] = []
            while len(found) < len(bad):
                found += (await watcher.getmany(timeout_ms=500)).get(letters, [])
            await watcher.stop()
            for offset, (record, (reason, name, payload, headers)) in enumerate(zip(found, bad, strict=True), start):
                said = dict(record.headers)
                assert (record.key, record.value) == (name, payload)
                assert list(record.headers)[: len(headers)] == headers
                assert said["dead.reason"].decode() == reason
                assert said["dead.topic"].decode() == place.topic
                assert (said["dead.partition"], said["dead.offset"]) == (b"%d" % place.partition, b"%d" % offset)
                assert said["dead.error"]

    run(scenario())


def test_without_a_place_for_dead_letters_the_reading_ends_where_it_was(kafka: str) -> None:
    async def scenario() -> None:
        async with desk(kafka) as d:
            key = next(names)
            place = Place("market.trades", partition_of(key, PARTITIONS))
            reader = await Reader.open(d.cluster, letters=None)
            await reader.assign({place: END})
            before = dict(reader.positions)
            stranger = AIOKafkaProducer(bootstrap_servers=kafka)
            await stranger.start()
            await stranger.send_and_wait(place.topic, b"?", key.encode(), place.partition)
            await stranger.stop()
            for _ in range(2):
                with pytest.raises(DataError, match="header missing"):
                    await read_until(reader, 1)
                assert reader.positions == before
            await reader.close()

    run(scenario())


def test_messages_that_expired_are_a_gap_and_a_shorter_topic_is_a_broken_promise(kafka: str) -> None:
    async def scenario() -> None:
        async with desk(kafka) as d:
            key = next(names)
            place = Place("risk.pnl", partition_of(key, PARTITIONS))
            await d.reader.assign({place: END})
            first = d.reader.positions[place]
            for number in range(5):
                event = decode("PnlMarked", 1, (GOLDEN / "PnlMarked.v1").read_bytes())
                message = outgoing(event, number, partition=place.partition)
                await d.publisher.acknowledged(message)
            admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
            await admin.start()
            await admin.delete_records({TopicPartition(*place): RecordsToDelete(before_offset=first + 3)})
            await admin.close()
            await d.reader.assign({place: first})
            found: list[Arrived] = []
            gaps = []
            while len(found) < 2:
                batch = await d.reader.read()
                found += batch.messages
                gaps += batch.gaps
            assert [(gap.place, gap.expected, gap.found) for gap in gaps] == [(place, first, first + 3)]
            assert gaps[0].event(9).count == 3
            assert [a.offset for a in found] == [first + 3, first + 4]
            await d.reader.assign({place: first + 1_000})
            with pytest.raises(InvariantError, match="shorter"):
                await read_until(d.reader, 1)

    run(scenario())


def test_a_paused_partition_waits_and_goes_on_where_it_was(kafka: str) -> None:
    async def scenario() -> None:
        async with desk(kafka) as d:
            places = [Place("market.trades", p) for p in (0, 1)]
            await d.reader.assign(dict.fromkeys(places, END))
            d.reader.pause([places[0]])
            for place in places:
                await d.publisher.acknowledged(outgoing(prints(next(names), 1), 1, partition=place.partition))
            assert [a.partition for a in await read_until(d.reader, 1)] == [1]
            assert (await d.reader.read(wait_s=0.3)).messages == []
            assert (await d.reader.lag())[places[0]] == 1
            d.reader.resume([places[0]])
            assert [a.partition for a in await read_until(d.reader, 1)] == [0]
            with pytest.raises(InputError, match=r"market\.nbbo-0"):
                d.reader.pause([Place("market.nbbo", 0)])

    run(scenario())


def test_what_was_committed_is_where_the_next_owner_goes_on(kafka: str) -> None:
    async def scenario() -> None:
        group = f"offsets.{next(names)}"
        mine, other = Place("market.trades", 2), Place("market.trades", 3)
        async with desk(kafka, group) as d:
            await d.reader.assign({mine: END})
            assert await d.reader.committed([mine]) == {}
            assert await d.reader.commit({mine: 1})
            assert not await d.reader.commit({mine: 2, other: 7})  # taken away from us meanwhile
            assert await d.reader.committed([mine, other]) == {mine: 2}
        async with desk(kafka, group) as d:
            assert await d.reader.committed([mine]) == {mine: 2}
            member = AIOKafkaConsumer("market.nbbo", bootstrap_servers=kafka, group_id=group)
            await member.start()
            await d.reader.assign({mine: END})
            assert not await d.reader.commit({mine: 3})
            await member.stop()

    run(scenario())


def test_declaring_twice_changes_nothing_and_verifying_agrees(kafka: str) -> None:
    async def scenario() -> None:
        cluster = cluster_of(kafka)
        once, again = await declare(cluster, PARTITIONS), await declare(cluster, PARTITIONS)
        assert once == again == await verify(cluster) == await verify(cluster, partitions=PARTITIONS)
        assert {n for n, count in once.items() if count == 1} == {
            t.name for t in BY_NAME.values() if not t.is_co_partitioned
        }

    run(scenario())


def test_topics_that_differ_are_named_with_what_was_found_and_expected(kafka: str) -> None:
    def topic(name: str, **facts: Any) -> Topic:  # noqa: ANN401  # fields of Topic
        return Topic(name=name, about="a test", carries=(), **facts)

    async def scenario() -> None:
        cluster = cluster_of(kafka)
        here, there, gone = (f"tests.{next(names).lower()}" for _ in range(3))
        await declare(cluster, 2, topics=[topic(here)])
        await declare(cluster, 4, topics=[topic(there, is_compacted=True)])
        with pytest.raises(SettingsError, match="has 2 partitions, expected 4"):
            await declare(cluster, 4, topics=[topic(here)])
        with pytest.raises(SettingsError) as refused:
            await verify(cluster, topics=[topic(here, retention_ms=10**12), topic(there), topic(gone)])
        assert refused.value.fields["problems"] == [
            f"{here}: has 2 partitions, expected 4 like the topics that share its keys",
            f"{here}: retention.ms is 86400000, expected at least 1000000000000",
            f"{there}: cleanup.policy is compact, expected delete",
            f"{gone}: is missing",
        ]

    run(scenario())


def test_a_message_that_cannot_be_sent_is_refused_by_name(kafka: str) -> None:
    async def scenario() -> None:
        async with desk(kafka) as d:
            with pytest.raises(InputError, match="partition"):
                await d.publisher.publish(outgoing(quote("X"), 1, partition=PARTITIONS))
            with pytest.raises(InputError, match="topic was not declared"):
                await d.publisher.publish(outgoing(quote("X"), 1, "no.such"))
            large = outgoing(prints("X", 1))
            message = large.message._replace(payload=bytes(MAX_PAYLOAD_BYTES + 1))
            with pytest.raises(InputError, match="too long"):
                await d.publisher.publish(large._replace(message=message))

    run(scenario())


def test_the_largest_message_travels(kafka: str) -> None:
    async def scenario() -> None:
        async with desk(kafka) as d:
            rows = (MAX_PAYLOAD_BYTES - 4_096) // 36
            event = prints(next(names), 5, rows)
            place = Place("market.trades", partition_of(event.underlying, PARTITIONS))
            await d.reader.assign({place: END})
            await d.publisher.acknowledged(outgoing(event))
            assert (await read_until(d.reader, 1))[0].event == event

    run(scenario())


def test_a_stock_arrow_reader_reads_the_greeks(kafka: str) -> None:
    async def scenario() -> None:
        async with desk(kafka) as d:
            event = decode("GreeksComputed", 1, (GOLDEN / "GreeksComputed.v1").read_bytes())
            assert isinstance(event, e.GreeksComputed)
            place = TopicPartition("pricing.greeks", partition_of(event.underlying, PARTITIONS))
            offset = await d.publisher.acknowledged(outgoing(event))
            stock = AIOKafkaConsumer(bootstrap_servers=kafka)
            await stock.start()
            stock.assign([place])
            stock.seek(place, offset)
            record = await asyncio.wait_for(stock.getone(), 10.0)
            await stock.stop()
            assert record.key == event.underlying.encode()
            assert dict(record.headers)["content-type"] == b"application/vnd.apache.arrow.stream"
            table = pa.ipc.open_stream(record.value).read_all()
            assert table.column_names == list(event.frame.columns())
            assert table.column("theo").to_pylist() == pytest.approx(event.frame.theo.tolist(), nan_ok=True)
            assert HEADER_KEY in table.schema.metadata

    run(scenario())
