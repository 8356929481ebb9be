"""What a process does about its partitions, on a real Apache Kafka: held, given back, stalled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import NamedTuple

from axiom.cluster import cluster_of
from domain.codec import encode
from domain.errors import InvariantError
from domain.metrics import NoMetrics
from domain.ownership_events import OwnershipTaken
from domain.partitioning import partition_of
from streams.assignment import Assignment
from streams.kafka_message import Place
from streams.kafka_publisher import Publisher
from streams.kafka_reader import END, Reader
from streams.kafka_topics import declare
from streams.keeper import Keeper
from streams.messages import Headers, Outgoing
from streams.ownership import Partition
from streams.watchdog import STALLED
from streams.worker_settings import WorkerSettings
from tests.contract.conftest import PARTITIONS, TINY, Kept, Quiet, fresh
from tests.streams.conftest import OPEN, XYZ, tick

NUMBER = partition_of(XYZ, PARTITIONS)
EFFECTS = Place(TINY.effects, NUMBER)


class Desk(NamedTuple):
    """An assignment, and what it takes to watch it."""

    assignment: Assignment
    publisher: Publisher
    effects: Reader

    def keeper(self) -> Keeper:
        return self.assignment._keepers[NUMBER]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20.0):
            while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
                await asyncio.sleep(0.01)

    async def heard(self) -> int:
        """How many messages came on the effects topic since the last time."""
        before = self.effects.positions[EFFECTS]
        end = before + (await self.effects.lag())[EFFECTS]
        while self.effects.positions[EFFECTS] < end:
            await self.effects.read()
        return self.effects.positions[EFFECTS] - before


@asynccontextmanager
async def desk(bootstrap: str, *, is_broken: bool = False, **settings: float) -> AsyncIterator[Desk]:
    cluster = cluster_of(bootstrap, {"AXIOM_KAFKA__FETCH_WAIT_MS": "50"})
    publisher = await Publisher.open(cluster, await declare(cluster, PARTITIONS))
    effects = await Reader.open(cluster, letters=publisher)
    place = WorkerSettings(**settings, wait_s=0.01)  # type: ignore[arg-type]
    streams = Partition(TINY, NUMBER, fresh()).streams.values()
    await effects.assign(dict.fromkeys((*streams, EFFECTS), END))
    ends = dict(effects.positions)
    await effects.assign({EFFECTS: ends[EFFECTS]})

    @contextmanager
    def build(number: int, state: bytes | None) -> Iterator[Partition]:
        if is_broken:
            raise InvariantError("it cannot be")
        partition = Partition(TINY, number, fresh())
        partition.positions = {name: ends[each] for name, each in partition.streams.items()}
        partition.effects_position = ends[EFFECTS]
        if state:
            partition.restore(state)
        yield partition

    begin = partial(
        Keeper, build=build, cluster=cluster, publisher=publisher, snapshots=Kept(), group=TINY.name, owner="tests",
        settings=place, reports=Quiet(), metrics=NoMetrics(),
    )  # fmt: skip
    assignment = Assignment(TINY.name, begin, publisher, place, Quiet(), NoMetrics())
    try:
        yield Desk(assignment, publisher, effects)
    finally:
        await assignment.end(5.0)
        await effects.close(1.0)
        await publisher.close(2.0)


def run(kafka: str, scenario: Callable[[Desk], Awaitable[None]], *, is_broken: bool = False, **settings: float) -> None:
    async def whole() -> None:
        async with desk(kafka, is_broken=is_broken, **settings) as opened:
            await scenario(opened)

    asyncio.run(whole())


async def owned(desk: Desk) -> None:
    await desk.assignment.assigned([NUMBER])
    await desk.until(lambda: desk.assignment.standing.is_ready)


def test_nothing_leaves_after_a_revocation_and_the_same_owner_goes_on_with_its_epoch(kafka: str) -> None:
    async def scenario(desk: Desk) -> None:
        assert not desk.assignment.standing.is_ready
        await owned(desk)
        tenancy = desk.keeper().tenancy
        assert tenancy is not None
        epoch = tenancy.partition.epoch
        await desk.assignment.revoked()
        assert desk.assignment.standing.partitions == {NUMBER: "held"}
        await desk.heard()
        await asyncio.sleep(0.6)
        assert await desk.heard() == 0
        await desk.assignment.assigned([NUMBER])
        await asyncio.sleep(0.6)
        assert await desk.heard() > 0
        assert tenancy.partition.epoch == epoch
        assert desk.keeper().tenancy is tenancy

    run(kafka, scenario, beat_s=0.1)


def test_a_claim_of_another_while_held_ends_the_tenure_before_anything_leaves(kafka: str) -> None:
    async def scenario(desk: Desk) -> None:
        await owned(desk)
        await desk.assignment.revoked()
        await desk.heard()
        event = OwnershipTaken(ts_event=1, ts_init=1, underlying="", group=TINY.name, partition=NUMBER, owner="other")
        claim = Outgoing(TINY.effects, NUMBER, "", Headers("claim.other", 1, TINY.name), encode(event))
        await desk.publisher.acknowledged(claim)
        await desk.assignment.assigned([NUMBER])
        await desk.until(lambda: desk.keeper().state == "replaced")
        assert await desk.heard() == 1
        await desk.assignment.revoked()
        await desk.assignment.assigned([NUMBER])  # and when it is ours again, we claim it
        await desk.until(lambda: desk.assignment.standing.is_ready)
        assert await desk.heard() >= 1

    run(kafka, scenario, beat_s=0.1)


def test_a_partition_that_is_given_away_is_let_go(kafka: str) -> None:
    async def scenario(desk: Desk) -> None:
        await owned(desk)
        await desk.assignment.revoked()
        await desk.assignment.assigned([])
        assert desk.assignment.standing.partitions == {}
        await desk.heard()
        await asyncio.sleep(0.4)
        assert await desk.heard() == 0

    run(kafka, scenario, beat_s=0.1)


def test_messages_that_wait_and_are_not_taken_end_the_process(kafka: str) -> None:
    async def scenario(desk: Desk) -> None:
        await owned(desk)
        assert await desk.assignment.look() is None
        tenancy = desk.keeper().tenancy
        assert tenancy is not None
        tenancy.reader.pause(list(tenancy.reader.positions))  # as a client that has stopped to fetch
        quote = tick(OPEN)
        message = Outgoing("market.underlying", NUMBER, XYZ, Headers("stall", OPEN), encode(quote))
        await desk.publisher.acknowledged(message)
        async with asyncio.timeout(10.0):
            while (ending := await desk.assignment.look()) is None:  # noqa: ASYNC110  # as a worker looks
                await asyncio.sleep(0.05)
        assert ending.status == STALLED
        assert "market.underlying" in ending.detail

    run(kafka, scenario, stall_s=0.5)


def test_a_partition_that_cannot_be_owned_is_halted_and_the_process_lives(kafka: str) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.assignment.assigned([NUMBER])
        await desk.until(lambda: desk.keeper().state == "halted")
        assert desk.assignment.standing.reason == f"{NUMBER} is halted"
        assert await desk.assignment.look() is None
        await desk.assignment.revoked()
        await desk.assignment.assigned([NUMBER])
        assert desk.keeper().state == "halted"

    run(kafka, scenario, is_broken=True)
