"""The two runtimes behind one face: a shard in this process, and a partition on a real Apache Kafka."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import pytest

from axiom.cluster import cluster_of
from domain import commands as c
from domain import events as e
from domain.codec import canonical, encode
from domain.events_base import Event
from domain.metrics import NoMetrics
from domain.partitioning import partition_of
from domain.topics import CONTROL, TOPIC_OF
from streams.commits import Commits
from streams.groups import LISTING, Group
from streams.kafka_message import Place
from streams.kafka_publisher import Publisher
from streams.kafka_reader import END, Reader
from streams.kafka_topics import declare
from streams.messages import Headers, Outgoing
from streams.ownership import Fence, Partition
from streams.shard import Shard
from streams.tenancy import Tenancy
from streams.worker_settings import WorkerSettings
from tests.streams.conftest import XYZ, stages

PARTITIONS: Final = 4
TINY: Final = Group(
    name="desk",
    stages=frozenset({"pricer", "quoter", "orders", "positions", "gate"}),
    reads=LISTING
    | frozenset[type[Event]](
        (
            e.SessionChanged, e.UnderlyingUpdated, e.TimerFired, e.ExecutionReported,
            c.PauseQuoting, c.ResumeQuoting, c.EngageKillSwitch,
        )
    ),
    effects="orders.cleared",
)  # fmt: skip


class Runtime(ABC):
    """Takes inputs one after the other."""

    @abstractmethod
    async def put(self, source: str, sequence: int, event: Event) -> None:
        """Give one input; it has been applied when this returns."""

    @abstractmethod
    async def stop_and_go_on(self) -> None:
        """End in order, and begin again with what was kept."""

    @abstractmethod
    async def crash_and_go_on(self) -> None:
        """End without warning, and begin again with what was kept."""

    @abstractmethod
    async def effects(self) -> list[Event]:
        """What left through the gate, in order, as a gateway takes it."""

    @abstractmethod
    async def told(self) -> set[bytes]:
        """Everything else that was published, each once."""


def fresh() -> Shard:
    """A shard of the tiny desk."""
    return Shard("0", lambda _run, _chain: stages())


class Embedded(Runtime):
    """A shard, its snapshot and its journal."""

    def __init__(self) -> None:
        self._shard = fresh()
        self._journal: list[tuple[str, int, Event]] = []
        self._outputs: list[Event] = []

    async def put(self, source: str, sequence: int, event: Event) -> None:
        name = f"{TOPIC_OF[type(event)].name}|{source}"
        if self._shard.is_new(name, sequence):
            self._journal.append((name, sequence, event))
            self._outputs += self._shard.handle(name, sequence, event)

    async def stop_and_go_on(self) -> None:
        state, self._shard = self._shard.snapshot(), fresh()
        self._shard.restore(state)

    async def crash_and_go_on(self) -> None:
        self._shard = fresh()
        for name, sequence, event in self._journal:
            self._shard.handle(name, sequence, event)

    async def effects(self) -> list[Event]:
        return [output for output in self._outputs if TOPIC_OF[type(output)].name == TINY.effects]

    async def told(self) -> set[bytes]:
        return {name_of(output) for output in self._outputs if TOPIC_OF[type(output)].name != TINY.effects}


class Kept:
    """Snapshots of the test's own."""

    def __init__(self) -> None:
        self.states: dict[int, bytes] = {}

    def of(self, number: int) -> bytes | None:
        """The last one."""
        return self.states.get(number)

    async def keep(self, number: int, state: bytes) -> None:
        """Keep one."""
        self.states[number] = state


class Quiet:
    """Reports to nobody."""

    def happened(self, what: str, **fields: object) -> None:
        """Do nothing."""

    def left(self, outgoing: Outgoing) -> None:
        """Do nothing."""


class OnKafka(Runtime):
    """A partition that lives on topics: inputs are published, a tenancy takes them, what left is read back."""

    number = partition_of(XYZ, PARTITIONS)

    def __init__(self, publisher: Publisher, bootstrap: str) -> None:
        self._publisher = publisher
        self._cluster = cluster_of(bootstrap, {})
        self._kept = Kept()
        self._settings = WorkerSettings(snapshot_s=0.3, wait_s=0.01)
        self._ends: dict[Place, int] = {}
        self._tenancy: Tenancy | None = None
        self._task: asyncio.Task[None] | None = None
        self._owners = 0

    async def begin(self) -> None:
        """Start a tenure on the topics as they are."""
        self._owners += 1
        partition = Partition(TINY, self.number, fresh(), firm=partition_of("", PARTITIONS))
        reader = await Reader.open(self._cluster, letters=None)
        if not self._ends:
            names = {TOPIC_OF[kind].name for kind in TOPIC_OF if TOPIC_OF[kind].is_co_partitioned}
            places = [Place(name, self.number) for name in sorted(names)] + [Place("ops.events", 0)]
            await reader.assign(dict.fromkeys([*places, *partition.streams.values()], END))
            self._ends = dict(reader.positions)
        if state := self._kept.of(self.number):
            partition.restore(state)
        else:  # the broker is shared: what other tests left is not ours
            partition.positions = {name: self._ends[place] for name, place in partition.streams.items()}
            partition.effects_position = self._ends[Place(TINY.effects, self.number)]
        commits = Commits(self._cluster, "tests.contract")
        self._tenancy = Tenancy(
            partition, reader, commits, self._publisher, self._kept, f"owner{self._owners}", self._settings, Quiet(),
            NoMetrics(),
        )  # fmt: skip
        self._task = asyncio.create_task(self._live(self._tenancy, reader, commits))
        await self._until(lambda: self._now().is_owning)

    async def end(self) -> None:
        """End the tenure."""
        assert self._task is not None
        self._now().end()
        await self._task

    async def put(self, source: str, sequence: int, event: Event) -> None:
        topic = TOPIC_OF[type(event)].name
        message = Outgoing(topic, None, event.underlying, Headers(source, sequence), encode(event))
        offset = await self._publisher.acknowledged(message)
        at = partition_of(event.underlying, PARTITIONS)
        streams = self._now().partition.streams.items()
        name = next(name for name, place in streams if place == Place(topic, at))
        await self._until(lambda: self._now().partition.positions.get(name, 0) > offset)
        await self._publisher.flush()

    async def stop_and_go_on(self) -> None:
        await self.end()
        assert self._kept.of(self.number)
        await self.begin()

    async def crash_and_go_on(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        await self.begin()

    async def effects(self) -> list[Event]:
        return [event for topic, event in await self._left() if topic == TINY.effects]

    async def told(self) -> set[bytes]:
        return {name_of(event) for topic, event in await self._left() if topic != TINY.effects}

    async def _left(self) -> list[tuple[str, Event]]:
        await self._publisher.flush()
        reader = await Reader.open(self._cluster, letters=None)
        fence, found = Fence(), []
        try:
            await reader.assign(self._ends)
            lag = await reader.lag()
            ends = {place: at + lag[place] for place, at in reader.positions.items()}
            while any(reader.positions[place] < end for place, end in ends.items()):
                for arrived in (await reader.read()).messages:
                    if isinstance(arrived.event, e.OwnershipTaken):
                        fence.raise_to(arrived.event.group, arrived.offset)
                    elif arrived.headers.group and arrived.topic == TINY.effects and not fence.admits(arrived.headers):
                        continue
                    elif arrived.headers.group and not isinstance(arrived.event, CONTROL):
                        found.append((arrived.topic, arrived.event))
        finally:
            await reader.close(1.0)
        return found

    async def _live(self, tenancy: Tenancy, reader: Reader, commits: Commits) -> None:
        try:
            await tenancy.run()
        finally:
            await asyncio.gather(reader.close(1.0), commits.close())

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30.0):
            while not condition():
                assert self._task is not None
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.005)

    def _now(self) -> Tenancy:
        assert self._tenancy is not None
        return self._tenancy


def name_of(event: Event) -> bytes:
    """The content of an event, as far as it counts."""
    return b"|".join(canonical(event))


Open = Callable[[], AbstractAsyncContextManager[Runtime]]


@pytest.fixture(params=["embedded", "kafka"])
def runtime(request: pytest.FixtureRequest) -> Open:
    """Opens a runtime; the laws hold for both."""
    if request.param == "embedded":

        @asynccontextmanager
        async def embedded() -> AsyncIterator[Runtime]:
            yield Embedded()

        return embedded
    bootstrap: str = request.getfixturevalue("kafka")

    @asynccontextmanager
    async def on_kafka() -> AsyncIterator[Runtime]:
        cluster = cluster_of(bootstrap, {})
        publisher = await Publisher.open(cluster, await declare(cluster, PARTITIONS))
        runtime = OnKafka(publisher, bootstrap)
        try:
            await runtime.begin()
            yield runtime
            await runtime.end()
        finally:
            await publisher.close(2.0)

    return on_kafka
