"""Workers as processes on a real Apache Kafka: killed, frozen, and started where they cannot work."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from axiom.tenures import composer_of
from domain import events as e
from domain.partitioning import partition_of
from domain.state import unpack
from streams.groups import DESK
from streams.kafka_reader import Reader
from streams.messages import Arrived
from streams.ownership import Partition
from streams.shard import Shard
from streams.takeover import Taken, take_over
from streams.worker import changelog
from tests.conftest import LocalBroker
from tests.streams.floor import KEY, PARTITIONS, Day, Floor, workers

SYN = partition_of("SYN", PARTITIONS)
SHORT_SESSIONS = {"group.min.session.timeout.ms": "1000"}
PACE = {"SESSION_S": "2", "HEARTBEAT_S": "0.5"}


@pytest.fixture
def broker(tmp_path: Path, kafka_is_there: None) -> Iterator[LocalBroker]:
    """A broker that gives members up after two seconds, so that the tests need not wait for six."""
    own = LocalBroker(tmp_path / "kafka")
    own.start(SHORT_SESSIONS)
    yield own
    own.kill()


def say(text: str) -> None:
    """A measurement, seen with `pytest -s`."""
    sys.stdout.write(f"\n{text}\n")


def fills(found: list[Arrived]) -> dict[str, e.OrderFilled]:
    """What a reader of fills counts: a message by its producer and count, a fill by its identifier."""
    seen: set[tuple[str, int]] = set()
    counted: dict[str, e.OrderFilled] = {}
    for arrived in found:
        name = (arrived.headers.source, arrived.headers.sequence)
        if name not in seen and isinstance(arrived.event, e.OrderFilled):
            assert arrived.event.fill_id not in counted
            counted[arrived.event.fill_id] = arrived.event
        seen.add(name)
    return counted


def net(executions: Sequence[tuple[int, str, int]]) -> dict[int, int]:
    held: defaultdict[int, int] = defaultdict(int)
    for contract, side, quantity in executions:
        held[contract] += quantity if side == "buy" else -quantity
    return dict(held)


async def repeated_from_nothing(floor: Floor, number: int) -> tuple[Partition, Taken]:
    """An heir without a snapshot: it applies everything that any owner ever applied, and compares every effect."""
    shard = Shard("heir", composer_of(DESK, KEY).stages)
    heir = Partition(DESK, number, shard, firm=partition_of("", PARTITIONS))
    reader = await Reader.open(floor.cluster, letters=None)
    try:
        return heir, await take_over(heir, reader, floor._publisher, "heir", 10.0)
    finally:
        await reader.close(1.0)


@pytest.mark.slow
def test_an_owner_killed_with_9_is_followed_by_one_who_goes_on_where_it_was(
    broker: LocalBroker, tmp_path: Path
) -> None:
    async def scenario() -> None:
        floor = await Floor.open(broker.bootstrap, DESK, [Day("SYN")])
        with workers(tmp_path, broker.bootstrap, "desk", **PACE, SNAPSHOT_S="1.5") as team:
            team.start("a")
            await floor.until(lambda: team.is_ready("a"), "a is ready")
            team.start("b")
            await floor.until(lambda: team.is_ready("b") and team.is_ready("a"), "both are ready")
            await floor.feed(0.0, 0.5)
            assert floor.clearances["SYN"] > 5
            dead = floor.owner(SYN)
            claims = len(floor.claims)
            feeding = asyncio.create_task(floor.feed(0.5, 1.0, per_second=80))
            await asyncio.sleep(0.3)
            killed = time.monotonic()
            team.kill(dead)
            await floor.until(lambda: floor.owner(SYN) != dead, "a successor claims")
            epoch = floor.claims[-1][1].offset
            await floor.until(
                lambda: any(
                    at > killed and arrived.partition == SYN and arrived.headers.epoch >= epoch
                    for at, arrived in floor.heard[claims:]
                ),
                "the successor acts",
            )
            first = next(
                at
                for at, arrived in floor.heard
                if at > killed and arrived.partition == SYN and arrived.headers.epoch >= epoch
            )
            say(f"kill -9 to the first effect of the successor: {first - killed:.2f} s with sessions of 2 s")
            await feeding
            await floor.quiet()
            heir = floor.owner(SYN)
            assert team.is_ready(heir)
            assert team.ask(heir, "/live")[0] == 200
            assert team.stop(heir) == 0
            await floor.quiet(0.5)

            counted = fills(await floor.read("orders.fills", SYN))
            executed = [(x.contract, x.side, x.last_qty) for x in floor.executions]
            assert executed
            assert net([(f.contract, f.side, f.quantity) for f in counted.values()]) == net(executed)
            assert set(counted) == {f"{x.venue}:{x.exec_id}" for x in floor.executions}

            last = (await floor.raw(changelog(DESK), SYN))[-1]
            again, taken = await repeated_from_nothing(floor, SYN)
            assert not [message for message in taken.leaving if message.topic == DESK.effects]
            assert unpack("partition.desk", 1, last)["shard"] == again.shard.snapshot()
            owned = [line for line in team.log(heir) if line["event"] == "partition.owned" and line["partition"] == SYN]
            say(f"takeover: {owned[-1]['repeated']} inputs repeated in {owned[-1]['seconds']} s")
            assert len(again.shard.stages("SYN")) == len(DESK.stages)
        await floor.close()

    asyncio.run(scenario())
