"""Messages on a real Kafka, for what reads it from outside the stream."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import pytest

from domain.codec import encode
from domain.events import ChainListed, GreeksComputed, NbboUpdated, PositionChanged
from domain.events_base import Event
from domain.frames import GreeksFrame, NbboFrame
from domain.instrument import parse_osi
from domain.price import PENNY
from domain.topics import TOPIC_OF
from streams.kafka_publisher import Publisher
from streams.kafka_settings import Cluster, KafkaSettings
from streams.kafka_topics import declare
from streams.messages import Headers, Outgoing

PARTITIONS: Final = 4
_sequences = itertools.count()
_letters = itertools.product("ABCDEFGHIJ", repeat=2)

Sent = tuple[Event, Headers] | Event
Publish = Callable[[Iterable[Sent]], None]


@pytest.fixture
def publish(kafka: str) -> Publish:
    """Publish events, with headers of their own where given, and wait until the broker has them."""

    def publish(sent: Iterable[Sent]) -> None:
        asyncio.run(_publish(kafka, sent))

    return publish


@pytest.fixture
def symbol() -> str:
    """An underlying that no other test uses, in this process or beside it: they share a broker."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return "Q" + chr(ord("A") + int(worker) % 26) + "".join(next(_letters))


async def _publish(bootstrap: str, sent: Iterable[Sent]) -> None:
    cluster = Cluster.of(KafkaSettings(bootstrap=bootstrap), {})
    publisher = await Publisher.open(cluster, await declare(cluster, PARTITIONS))
    for each in sent:
        event, headers = each if isinstance(each, tuple) else (each, Headers("tests", next(_sequences)))
        topic = TOPIC_OF[type(event)].name
        await publisher.publish(Outgoing(topic, None, event.underlying, headers._replace(applied=b"0"), encode(event)))
    await publisher.flush()
    await publisher.close()


class Market:
    """Events of one underlying, as the stages publish them."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol

    def chain(self, contracts: int = 2) -> ChainListed:
        listed = tuple(parse_osi(f"{self.symbol:6}151224C{1_000 * (700 + n):08d}") for n in range(contracts))
        return ChainListed(
            ts_event=1, ts_init=1, underlying=self.symbol, trade_date="2015-12-24", contracts=listed,
            tick_classes={self.symbol: PENNY},
        )  # fmt: skip

    def nbbo(self, ts: int, contracts: Iterable[int], bid: int) -> NbboUpdated:
        chosen = np.array(list(contracts))
        n = len(chosen)
        frame = NbboFrame(
            contract=chosen, bid=np.full(n, bid), bid_size=np.ones(n), ask=np.full(n, bid + 1), ask_size=np.ones(n)
        )
        return NbboUpdated(ts_event=ts, ts_init=ts, underlying=self.symbol, frame=frame)

    def greeks(self, ts: int, contracts: int = 3) -> GreeksComputed:
        columns = {
            name: (np.arange(contracts) + (0.0 if name == "contract" else ts)).astype(dtype)
            for name, dtype in GreeksFrame.dtypes.items()
        }
        frame = GreeksFrame.from_columns(columns | {"status": np.zeros(contracts, np.int8)})
        return GreeksComputed(
            ts_event=ts, ts_init=ts, underlying=self.symbol, spot=750.0, is_refresh=False, frame=frame
        )

    def position(self, ts: int, contract: int, quantity: int) -> PositionChanged:
        return PositionChanged(
            ts_event=ts,
            ts_init=ts,
            underlying=self.symbol,
            contract=contract,
            quantity=quantity,
            change=0,
            cause="fill",
        )


@pytest.fixture
def market(symbol: str) -> Market:
    """Events of that underlying."""
    return Market(symbol)
