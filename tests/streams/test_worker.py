"""Workers as processes on a real Apache Kafka: killed, frozen, and started where they cannot work."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from axiom.cluster import cluster_of
from axiom.tenures import composer_of, shard_at_the_beginning
from domain import events as e
from domain.codec import canonical, encode
from domain.ownership_events import InputsApplied
from domain.partitioning import partition_of
from domain.state import unpack
from streams.groups import DESK
from streams.journal import JournalReader
from streams.kafka_reader import Reader
from streams.kafka_topics import declare
from streams.messages import Arrived, Headers, Outgoing
from streams.ownership import FIRM_STREAM, Partition
from streams.references import Applied, encode_applied
from streams.replay import Replay, grouped
from streams.shard import Shard
from streams.takeover import Taken, take_over
from streams.worker import changelog
from tests.conftest import LocalBroker
from tests.streams.floor import KEY, PARTITIONS, Day, Floor, Workers, workers

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
    """What a reader of fills counts: by identifier, because an input without an effect may be applied twice."""
    counted: dict[str, e.OrderFilled] = {}
    for arrived in found:
        if isinstance(fill := arrived.event, e.OrderFilled):
            assert canonical(counted.setdefault(fill.fill_id, fill)) == canonical(fill)
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


async def nothing_is_lost_or_doubled(floor: Floor, team: Workers, *, has_traded: bool = False) -> None:
    """Stop all workers in order; then every fill counts once, and the last state is that of all inputs in their order.

    That the sequence of clearances is unbroken and each is sealed was seen by the outlet of the floor.
    """
    for name in list(team.running):
        assert team.stop(name) == 0
    await floor.quiet(0.5)
    counted = fills(await floor.read("orders.fills", SYN))
    assert floor.executions or not has_traded  # a slow machine may quote too late for the prints of so short a day
    assert set(counted) == set(floor.executions)
    held = [(f.contract, f.side, f.quantity) for f in counted.values()]
    assert net(held) == net([(x.contract, x.side, x.last_qty) for x in floor.executions.values()])
    last = (await floor.raw(changelog(DESK), SYN))[-1]
    again, taken = await repeated_from_nothing(floor, SYN)
    assert not [message for message in taken.leaving if message.topic == DESK.effects]
    assert unpack("partition.desk", 1, last)["shard"] == again.shard.snapshot()


@pytest.mark.slow
def test_an_owner_killed_with_9_is_followed_by_one_who_goes_on_where_it_was(
    broker: LocalBroker, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with Floor.open(broker.bootstrap, DESK, [Day("SYN")]) as floor:
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
                epoch = floor.claim(SYN).offset
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
                await nothing_is_lost_or_doubled(floor, team, has_traded=True)
                owned = [line for line in team.told(heir, "partition.owned") if line["partition"] == SYN][-1]
                say(f"takeover: {owned['repeated']} inputs repeated in {owned['seconds']} s")

    asyncio.run(scenario())
    tenures = list(tmp_path.glob(f"*/desk/{SYN}/*"))
    assert len(tenures) > 1
    for tenure in tenures:
        replayed = Replay(shard_at_the_beginning(tenure)).run(grouped(JournalReader(tenure / "journal")))
        assert replayed.is_equal, replayed.difference


@pytest.mark.slow
def test_an_owner_who_was_frozen_comes_back_and_nobody_listens(broker: LocalBroker, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Floor.open(broker.bootstrap, DESK, [Day("SYN")]) as floor:
            with workers(tmp_path, broker.bootstrap, "desk", **PACE) as team:
                team.start("a")
                team.start("b")
                await floor.until(lambda: team.is_ready("b") and team.is_ready("a"), "both are ready")
                await floor.feed(0.0, 0.4)
                frozen = floor.owner(SYN)
                team.freeze(frozen)
                await floor.feed(0.4, 0.6)
                await floor.until(lambda: floor.owner(SYN) != frozen, "a successor claims")
                epoch = floor.claim(SYN).offset
                team.thaw(frozen)
                await floor.feed(0.6, 1.0)
                await floor.until(lambda: team.is_ready("b") and team.is_ready("a"), "both are ready again")
                await floor.quiet()
                late = [
                    arrived
                    for _, arrived in floor.heard
                    if arrived.partition == SYN and arrived.offset > epoch and -1 < arrived.headers.epoch < epoch
                ]
                say(f"the frozen owner published {len(late)} messages after the takeover, all refused")
                assert floor.fences[SYN].refused == len(late)
                assert team.told(frozen, "partition.replaced")
                await nothing_is_lost_or_doubled(floor, team)

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_broker_that_dies_and_comes_back_is_waited_for(broker: LocalBroker, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Floor.open(broker.bootstrap, DESK, [Day("SYN")]) as floor:
            with workers(tmp_path, broker.bootstrap, "desk", **PACE) as team:
                process = team.start("a")
                await floor.until(lambda: team.is_ready("a"), "a is ready")
                await floor.feed(0.0, 0.4)
                broker.kill()
                feeding = asyncio.create_task(floor.feed(0.4, 0.6, per_second=60))
                await asyncio.sleep(3.0)
                assert process.poll() is None
                assert team.ask("a", "/live")[0] == 200
                await asyncio.to_thread(broker.start, SHORT_SESSIONS)
                await feeding
                await floor.feed(0.6, 1.0)
                await floor.until(lambda: team.is_ready("a"), "a is ready again", 30.0)
                await floor.quiet(3.0)
                assert process.poll() is None
                await nothing_is_lost_or_doubled(floor, team)

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_log_that_contradicts_itself_halts_its_partition_alone(broker: LocalBroker, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Floor.open(broker.bootstrap, DESK, [Day("SYN")]) as floor:
            with workers(tmp_path, broker.bootstrap, "desk", **PACE, SNAPSHOT_S="60") as team:
                team.start("a")
                await floor.until(lambda: team.is_ready("a"), "a is ready")
                await floor.feed(0.0, 0.2)
                await floor.quiet(0.5)
                team.kill("a")
                epoch = floor.claim(SYN).offset
                applied = encode_applied(Applied(10**6, ()), (*DESK.topics, FIRM_STREAM))
                event = InputsApplied(ts_event=1, ts_init=1, underlying="", group="desk", partition=SYN, count=0)
                headers = Headers(f"desk.{SYN}.{epoch}", 10**6, "desk", epoch, applied)
                forged = Outgoing(DESK.effects, SYN, "", headers, encode(event))
                await floor.publish_as(forged)
                process = team.start("b")
                await floor.until(lambda: bool(team.told("b", "partition.halted")), "b halts")
                await floor.until(
                    lambda: team.ask("b", "/ready")[1].get("reason") == f"{SYN} is halted", "the others act"
                )
                assert team.ask("b", "/ready")[0] == 503
                assert team.ask("b", "/live")[0] == 200
                alarms = [arrived.event for arrived in await floor.read("risk.events", SYN)]
                alarm = next(event for event in alarms if isinstance(event, e.ShardHalted))
                assert "gap" in alarm.error
                spent = cpu_seconds(process.pid)
                await asyncio.sleep(1.0)
                assert cpu_seconds(process.pid) - spent < 0.5
                assert team.stop("b") == 0

    asyncio.run(scenario())


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
def test_a_worker_that_cannot_work_says_why_and_ends(broker: LocalBroker, tmp_path: Path) -> None:
    with workers(tmp_path, broker.bootstrap, "desk", START_S="10") as team:
        assert team.start("early").wait(20) == 2
        assert b"orders.cleared: is missing" in (tmp_path / "early.jsonl").read_bytes()
        asyncio.run(declare_two(broker.bootstrap))
        assert team.start("narrow").wait(20) == 2
        assert b"has 2 partitions, expected 4" in (tmp_path / "narrow.jsonl").read_bytes()
    with workers(tmp_path, "127.0.0.1:1", "desk", START_S="1") as team:
        assert team.start("alone").wait(20) == 2
        assert b"broker cannot be reached" in (tmp_path / "alone.jsonl").read_bytes()
        (tmp_path / "seal.key").chmod(0o644)
        assert team.start("open").wait(20) == 2
        assert b"the seal key can be read by others" in (tmp_path / "open.jsonl").read_bytes()
        assert team.start("none", "none").wait(20) == 2
        assert b"unknown group" in (tmp_path / "none.jsonl").read_bytes()


async def declare_two(bootstrap: str) -> None:
    await declare(cluster_of(bootstrap, {}), 2)
