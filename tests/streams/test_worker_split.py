"""The split topology on a real Apache Kafka: pricing, quoting and hedging in processes of their own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from domain import commands as c
from domain import events as e
from domain.partitioning import partition_of
from domain.topics import TOPICS
from streams.groups import QUOTE, SPLIT
from streams.messages import Arrived
from tests.conftest import LocalBroker
from tests.streams.floor import PARTITIONS, Day, Floor, workers

OTHER = "SYE"
"""An underlying on another partition than SYN."""


def produced(found: list[Arrived]) -> dict[str, set[str]]:
    """Which groups produced which schemas."""
    by_schema: dict[str, set[str]] = {}
    for arrived in found:
        if arrived.headers.group:
            by_schema.setdefault(arrived.message.schema, set()).add(arrived.headers.group)
    return by_schema


@pytest.mark.slow
def test_three_groups_trade_two_underlyings_and_hear_the_whole_firm(own_kafka: LocalBroker, tmp_path: Path) -> None:
    numbers = [partition_of(symbol, PARTITIONS) for symbol in ("SYN", OTHER)]
    assert len({*numbers, partition_of("", PARTITIONS)}) == 3

    async def scenario() -> None:
        async with Floor.open(own_kafka.bootstrap, QUOTE, [Day("SYN"), Day(OTHER)]) as floor:
            with workers(tmp_path, own_kafka.bootstrap, "quote") as team:
                for group in SPLIT:
                    team.start(group.name, group.name)
                for group in SPLIT:
                    await floor.until(lambda name=group.name: team.is_ready(name), f"{group.name} is ready")
                await floor.feed(0.0, 0.6, per_second=150)
                await floor.quiet()
                assert min(floor.clearances["SYN"], floor.clearances[OTHER]) > 5
                ts = max(floor._now.values())
                pause = c.PauseQuoting(ts_event=ts, ts_init=ts, underlying="", user="tests", reason="all of it")
                await floor.publish("ops", pause)
                await floor.quiet()
                for number, symbol in zip(numbers, ("SYN", OTHER), strict=True):
                    stopped = [
                        arrived.event
                        for _, arrived in floor.heard
                        if arrived.partition == number and isinstance(arrived.event, e.QuoteCancelCleared)
                    ]
                    assert stopped, f"quotes of {symbol} were not pulled"
                    found = [
                        a for topic in TOPICS if topic.is_co_partitioned for a in await floor.read(topic.name, number)
                    ]
                    by_schema = produced(found)
                    assert by_schema["GreeksComputed"] == {"reprice"}
                    assert by_schema["QuotesCleared"] == {"quote"}
                    assert by_schema["ExposureChanged"] == {"quote"}
                    assert by_schema.get("RequestOrder", {"hedge"}) == {"hedge"}
                    assert by_schema["InputsApplied"] == {"reprice", "quote", "hedge"}
                    named = {a.event.order.clordid for a in found if isinstance(a.event, e.OrderCleared)}
                    assert all(f"-{symbol}-" in name for name in named)
                    rejected = [a.event for a in found if isinstance(a.event, e.EventRejected)]
                    assert not rejected, rejected[0]
                for group in SPLIT:
                    assert team.stop(group.name) == 0

    asyncio.run(scenario())
