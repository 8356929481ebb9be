"""One hop through Apache Kafka: a Greeks frame produced in one process and in hand in another.

Open loop: messages leave on a fixed schedule and are timed from the intended send time until the other process has
them, by the clock that both share. Two ways carry the same bytes in turn: `aiokafka` alone (send, getmany, nothing
decoded), and ours (`streams.kafka_publisher`, `streams.kafka_reader`: bounded memory, headers, decoding, checks).
Encoding is left out. The broker is a local one, or the one that `--bootstrap` names.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from axiom import broker
from axiom.broker_jars import VERSION
from benchmarks._report import latency, main, table
from domain.codec import encode
from domain.events import GreeksComputed
from domain.frames import GreeksFrame
from domain.topics import BY_NAME, DEAD_LETTERS, MAX_MESSAGE_BYTES
from streams.kafka import answers
from streams.kafka_message import Place, pack
from streams.kafka_publisher import Publisher
from streams.kafka_reader import END, Reader
from streams.kafka_settings import Cluster, KafkaSettings
from streams.kafka_topics import declare
from streams.messages import Headers, Outgoing

UNDERLYING: Final = "GOOG"
PLACE: Final = Place("pricing.greeks", 0)
TOPICS: Final = (BY_NAME[PLACE.topic], DEAD_LETTERS)
PARTITIONS: Final = 4
CASES: Final = ((100, 200.0), (1_000, 100.0), (5_880, 20.0))
"""Contracts of a frame, and messages per second. 5,880 is a whole chain of GOOG."""

WARM_UP_S: Final = 2.0
"""So long a connection is used before it is measured."""


def options(parser: argparse.ArgumentParser) -> None:
    """Its own options."""
    parser.add_argument("--bootstrap", default="", help="host:port of a broker; a local one is started without it")
    parser.add_argument("--seconds", type=float, default=10.0, help="per way and size, in each of two rounds")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both ways in turn, for each size."""
    seconds = 0.5 if arguments.quick else arguments.seconds
    rounds = 1 if arguments.quick else 2
    cases = CASES[:1] if arguments.quick else CASES
    with running(arguments.bootstrap) as bootstrap:
        asyncio.run(declare(Cluster.of(KafkaSettings(bootstrap=bootstrap), {}), PARTITIONS, topics=TOPICS))
        found: list[dict[str, Any]] = []
        for contracts, rate in cases:
            times: dict[str, list[int]] = {name: [] for name in WAYS}
            for _ in range(rounds):
                for name in WAYS:
                    times[name] += hop(name, bootstrap, contracts, rate, round(seconds * rate))
            found += [
                {
                    "way": name,
                    "contracts": contracts,
                    "bytes": len(message(contracts, 0).message.payload),
                    "offered_per_second": rate,
                    "us": latency(values),
                }
                for name, values in times.items()
            ]
    return {"broker": VERSION if not arguments.bootstrap else "given", "hops": found}


@contextlib.contextmanager
def running(bootstrap: str) -> Iterator[str]:
    """The broker: the one that was given, or a local one that ends with the block."""
    if bootstrap:
        yield bootstrap
        return
    with tempfile.TemporaryDirectory(prefix="axiom-bench-") as folder:
        data = Path(folder)
        started = broker.start(
            data,
            environment=os.environ,
            is_ready=lambda found: asyncio.run(answers(found)),
            heap_mib=1_024,
            has_full_jit=True,
        )
        try:
            yield started.bootstrap
        finally:
            broker.stop(data)


def message(contracts: int, sequence: int) -> Outgoing:
    """Greeks of a chain, as the repricer publishes them."""
    columns = {
        name: np.arange(contracts).astype(dtype)
        if name == "contract"
        else np.linspace(0.0, 1.0, contracts).astype(dtype)
        for name, dtype in GreeksFrame.dtypes.items()
    }
    now = time.time_ns()
    event = GreeksComputed(
        ts_event=now, ts_init=now, underlying=UNDERLYING, spot=750.0, is_refresh=False,
        frame=GreeksFrame.from_columns(columns),
    )  # fmt: skip
    return Outgoing(PLACE.topic, PLACE.partition, UNDERLYING, Headers("bench", sequence), encode(event))


def hop(way: str, bootstrap: str, contracts: int, rate: float, count: int) -> list[int]:
    """Send messages on a schedule; nanoseconds from each intended send time to its arrival."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    warm_up = round(WARM_UP_S * rate)
    total = warm_up + count
    reader = multiprocessing.get_context("spawn").Process(target=receive, args=(way, bootstrap, total, theirs))
    reader.start()
    try:
        if not ours.poll(60.0) or ours.recv() != "ready":
            raise SystemExit("the reading process did not start")
        intended = asyncio.run(send(way, bootstrap, contracts, rate, total))
        if not ours.poll(60.0):
            raise SystemExit("messages were lost")
        arrived: list[int] = ours.recv()
    finally:
        reader.join(10.0)
        reader.kill()
    return [there - here for here, there in zip(intended, arrived, strict=True)][warm_up:]


async def send(way: str, bootstrap: str, contracts: int, rate: float, total: int) -> list[int]:
    """Publish on the schedule; return the intended times."""
    interval = round(1e9 / rate)
    ready = message(contracts, 0)
    async with WAYS[way][0](bootstrap) as publish:
        begin = time.monotonic_ns() + 50_000_000
        intended = [begin + number * interval for number in range(total)]
        for number, due in enumerate(intended):
            await asyncio.sleep(max(due - time.monotonic_ns(), 0) * 1e-9)  # a late wake-up counts: times are from `due`
            await publish(ready._replace(headers=Headers("bench", number)))
    return intended


Publish = Callable[[Outgoing], Awaitable[Any]]


@contextlib.asynccontextmanager
async def bare_publisher(bootstrap: str) -> AsyncIterator[Publish]:
    """The client alone."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=1024 * 1024,
        max_request_size=MAX_MESSAGE_BYTES,
    )
    await producer.start()

    async def publish(outgoing: Outgoing) -> None:
        key, headers = outgoing.key.encode(), pack(outgoing)
        await producer.send(PLACE.topic, outgoing.message.payload, key, PLACE.partition, headers=headers)

    try:
        yield publish
    finally:
        await producer.stop()


@contextlib.asynccontextmanager
async def our_publisher(bootstrap: str) -> AsyncIterator[Publish]:
    """Ours. Nothing supersedes here: a message that names inputs is a log."""
    cluster = Cluster.of(KafkaSettings(bootstrap=bootstrap), {})
    publisher = await Publisher.open(cluster, {PLACE.topic: PARTITIONS, DEAD_LETTERS.name: 1})

    async def publish(outgoing: Outgoing) -> None:
        await publisher.publish(outgoing._replace(headers=outgoing.headers._replace(applied=b"1")))

    try:
        yield publish
    finally:
        await publisher.close()


def receive(way: str, bootstrap: str, total: int, pipe: Connection) -> None:
    """The reading process: say ready, take `total` messages, send back when each was in hand."""
    asyncio.run(WAYS[way][1](bootstrap, total, pipe))


async def bare_reader(bootstrap: str, total: int, pipe: Connection) -> None:
    """The client alone."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, max_partition_fetch_bytes=MAX_MESSAGE_BYTES)
    await consumer.start()
    place = TopicPartition(*PLACE)
    consumer.assign([place])
    await consumer.seek_to_end(place)
    await consumer.position(place)
    pipe.send("ready")
    arrived: list[int] = []
    while len(arrived) < total:
        for records in (await consumer.getmany(timeout_ms=200, max_records=1_000)).values():
            arrived += [time.monotonic_ns() for _ in records]
    pipe.send(arrived)
    await consumer.stop()


async def our_reader(bootstrap: str, total: int, pipe: Connection) -> None:
    """Ours, without a place for dead letters: there are none."""
    reader = await Reader.open(Cluster.of(KafkaSettings(bootstrap=bootstrap), {}), letters=None)
    await reader.assign({PLACE: END})
    pipe.send("ready")
    arrived: list[int] = []
    while len(arrived) < total:
        arrived += [time.monotonic_ns() for _ in (await reader.read()).messages]
    pipe.send(arrived)
    await reader.close()


Way = tuple[
    Callable[[str], contextlib.AbstractAsyncContextManager[Publish]],
    Callable[[str, int, Connection], Coroutine[Any, Any, None]],
]
WAYS: Final[dict[str, Way]] = {"aiokafka alone": (bare_publisher, bare_reader), "ours": (our_publisher, our_reader)}


def markdown(result: dict[str, Any]) -> str:
    """The table of the page."""
    columns = ("p50", "p90", "p99", "p99.9", "max", "n")
    rows = [
        [
            f"{hop['contracts']:,} rows, {hop['bytes'] / 1e3:,.0f} kB, {hop['offered_per_second']:g}/s: {hop['way']}",
            *(hop["us"][name] for name in columns),
        ]
        for hop in result["hops"]
    ]
    facts = f"Apache Kafka {result['broker']}, one partition, one node on loopback; open loop, from intended send time."
    return f"{facts}\n\n{table(['microseconds', *columns], rows)}"


if __name__ == "__main__":
    raise SystemExit(main("kafka_hop", measure, markdown, options))
