"""A day on Kafka for tests: feeds and venues in the test's process, workers as processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from axiom.cluster import cluster_of
from axiom.compose import Composer
from axiom.settings import Settings
from domain import events as e
from domain.codec import encode
from domain.errors import Unavailable
from domain.events_base import Event
from domain.ownership_events import OwnershipTaken
from domain.topics import TOPIC_OF
from streams.direct import DirectOutlet, VenuePort
from streams.embedded import MARKET
from streams.groups import Group
from streams.kafka_message import Place
from streams.kafka_publisher import Publisher
from streams.kafka_reader import BEGIN, Reader
from streams.kafka_settings import Cluster
from streams.messages import Arrived, Headers, Outgoing
from streams.ownership import Fence
from streams.recorded import FeedItem
from streams.synthetic import SyntheticMarket
from streams.timers import Timers

KEY: Final = b"a key of the tests, 32 bytes long"
PARTITIONS: Final = 4
SECOND: Final = 1_000_000_000


def small_settings(symbol: str, minutes: int = 1) -> Settings:
    """Settings of a short day of one synthetic underlying."""
    settings = Settings()
    market = msgspec.structs.replace(
        settings.synthetic, symbol=symbol, session_minutes=minutes, contracts=200, orders_per_minute=600.0, step_ms=500
    )
    return msgspec.structs.replace(settings, synthetic=market)


class Day:
    """One synthetic underlying: what a feed publishes, in order, timers among it."""

    def __init__(self, symbol: str, minutes: int = 1) -> None:
        self.settings = small_settings(symbol, minutes)
        self.market = SyntheticMarket(self.settings.synthetic, self.settings.run.seed)
        self.events = list(self._events())
        listed = next(event for event in self.events if isinstance(event, e.ChainListed))
        composer = Composer(key=KEY, by_underlying=True)
        self.ports: Sequence[VenuePort] = composer.ports(self.settings, listed)
        self.outlet: DirectOutlet = composer.outlet(self.settings, symbol, self.ports)

    def _events(self) -> Iterator[Event]:
        market, timers = self.market, Timers("1s", SECOND, self.market.underlying)
        items: list[FeedItem] = list(market.items())
        first = items[0].event.ts_event
        yield e.RunStarted(
            ts_event=first, ts_init=first, underlying=market.underlying, run="r", seed=1, source=market.name,
            is_synthetic=True, trade_date=market.trade_date.isoformat(), settings=self.settings.to_json(),
        )  # fmt: skip
        for item in items:
            while timers.due is not None and timers.due < item.event.ts_event:
                yield timers.fire()
            if isinstance(item.event, e.SessionChanged) and item.event.state == "open":
                timers.start(item.event.ts_event)
            yield item.event


class Floor:
    """Feeds, venues, and everything that is heard on one effects topic.

    The outlet of each underlying refuses a clearance that is out of turn or badly sealed, so that hearing them all is
    the proof that their sequence is unbroken.
    """

    def __init__(self, group: Group, cluster: Cluster, publisher: Publisher, days: Sequence[Day]) -> None:
        self.group = group
        self.cluster = cluster
        self.days = {day.market.underlying: day for day in days}
        self.fences = [Fence() for _ in range(PARTITIONS)]
        self.heard: list[tuple[float, Arrived]] = []
        self.claims: list[tuple[float, Arrived]] = []
        self.clearances: defaultdict[str, int] = defaultdict(int)
        self.executions: dict[str, e.ExecutionReported] = {}
        self._publisher = publisher
        self._sequences: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._now: dict[str, int] = {}
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, bootstrap: str, group: Group, days: Sequence[Day]) -> AsyncIterator[Floor]:
        """Declare the topics, connect, and listen."""
        from streams.kafka_topics import declare

        cluster = cluster_of(bootstrap, {})
        publisher = await Publisher.open(cluster, await declare(cluster, PARTITIONS))
        floor = cls(group, cluster, publisher, days)
        floor._listening = asyncio.create_task(floor._listen())
        try:
            yield floor
            floor._check()
        finally:
            await floor._close()

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        await self._publisher.close(2.0)

    async def feed(self, begin: float, end: float, per_second: float = 400.0) -> None:
        """Publish a part of each day, from one share of it to another."""
        lanes = [
            day.events[round(begin * len(day.events)) : round(end * len(day.events))] for day in self.days.values()
        ]
        for number in range(max(map(len, lanes))):
            for lane in lanes:
                if number < len(lane):
                    await self.market(lane[number])
            self._check()
            await asyncio.sleep(len(lanes) / per_second)

    async def market(self, event: Event) -> None:
        """Publish one event of a feed; the venues see it first."""
        day = self.days[event.underlying]
        if isinstance(event, MARKET):
            self._now[event.underlying] = event.ts_event
            for port in day.ports:
                await self._answer(port, port.exchange.on_market(event))
        await self.publish(f"feed.{event.underlying}", event)

    async def publish(self, source: str, event: Event) -> None:
        """Publish an event from outside."""
        topic = TOPIC_OF[type(event)].name
        sequence = self._sequences[topic, source]
        self._sequences[topic, source] += 1
        await self._publisher.publish(Outgoing(topic, None, event.underlying, Headers(source, sequence), encode(event)))

    async def publish_as(self, outgoing: Outgoing) -> None:
        """Publish a message as it is, and wait until the broker has it."""
        await self._publisher.acknowledged(outgoing)

    async def until(self, condition: Any, what: str, seconds: float = 40.0) -> None:  # noqa: ANN401  # any callable
        """Wait until something is so; the test fails when it does not come to be."""
        end = time.monotonic() + seconds
        while not condition():
            self._check()
            assert time.monotonic() < end, f"{what}: not within {seconds} s"
            await asyncio.sleep(0.02)

    async def quiet(self, seconds: float = 0.8) -> None:
        """Wait until nothing but beats was heard for a while."""
        heard, since = -1, time.monotonic()
        while time.monotonic() - since < seconds:
            if sum(self.clearances.values()) + len(self.executions) != heard:
                heard, since = sum(self.clearances.values()) + len(self.executions), time.monotonic()
            self._check()
            await asyncio.sleep(0.05)

    def claim(self, number: int) -> Arrived:
        """The last claim of a partition."""
        found = [arrived for _, arrived in self.claims if arrived.partition == number]
        assert found, f"nobody has claimed partition {number}"
        return found[-1]

    def owner(self, number: int) -> str:
        """Who claimed a partition last."""
        last = self.claim(number).event
        assert isinstance(last, OwnershipTaken)
        return last.owner

    async def read(self, topic: str, number: int) -> list[Arrived]:
        """Everything on a partition."""
        place = Place(topic, number)
        reader = await Reader.open(self.cluster, letters=self._publisher)
        try:
            await reader.assign({place: BEGIN})
            end = reader.positions[place] + (await reader.lag())[place]
            found: list[Arrived] = []
            while reader.positions[place] < end:
                found += (await reader.read()).messages
        finally:
            await reader.close(1.0)
        return found

    async def raw(self, topic: str, number: int) -> list[bytes]:
        """The values of everything on a partition, undecoded."""
        place = TopicPartition(topic, number)
        consumer = AIOKafkaConsumer(**self.cluster.options(), auto_offset_reset="earliest", enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            found: list[bytes] = []
            while await consumer.position(place) < end:
                records = await consumer.getmany(timeout_ms=200)
                found += [record.value for lane in records.values() for record in lane]
        finally:
            await consumer.stop()
        return found

    def _check(self) -> None:
        if self._listening is not None and self._listening.done():
            self._listening.result()

    async def _listen(self) -> None:
        reader = await Reader.open(self.cluster, letters=self._publisher)
        try:
            await reader.assign({Place(self.group.effects, number): BEGIN for number in range(PARTITIONS)})
            while True:
                try:
                    batch = await reader.read(1_000, 0.05)
                except Unavailable:
                    continue
                for arrived in batch.messages:
                    await self._hear(arrived)
        finally:
            await reader.close(1.0)

    async def _hear(self, arrived: Arrived) -> None:
        fence, event = self.fences[arrived.partition], arrived.event
        self.heard.append((time.monotonic(), arrived))
        if isinstance(event, OwnershipTaken):
            self.claims.append(self.heard[-1])
            fence.raise_to(event.group, arrived.offset)
        elif fence.admits(arrived.headers) and isinstance(event, e.Clearance):
            self.clearances[event.underlying] += 1
            day = self.days[event.underlying]
            for parcel in day.outlet.send(event, self._now[event.underlying]):
                port = day.ports[parcel.venue]
                await self._answer(port, port.exchange.submit(parcel.clearance, parcel.arrives))

    async def _answer(self, port: VenuePort, answers: Sequence[Event]) -> None:
        for answer in answers:
            if isinstance(answer, e.ExecutionReported) and answer.last_qty:
                self.executions.setdefault(f"{answer.venue}:{answer.exec_id}", answer)  # a status may repeat it
            await self.publish(f"venue.{port.mic}.{answer.underlying}", answer)


class Workers:
    """Workers of one group, as processes."""

    def __init__(self, folder: Path, bootstrap: str, group: str, **settings: str) -> None:
        self.folder = folder
        self._bootstrap = bootstrap
        self._group = group
        key = folder / "seal.key"
        key.write_bytes(KEY)
        key.chmod(0o600)
        self._environment = {
            **os.environ,
            "AXIOM_SEAL_KEY_FILE": str(key),
            **{f"AXIOM_WORKER__{name}": value for name, value in settings.items()},
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, group: str = "") -> subprocess.Popen[bytes]:
        """Start one."""
        with (self.folder / f"{name}.jsonl").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [
                    sys.executable, "-m", "axiom", "worker", group or self._group, "--bootstrap", self._bootstrap,
                    "--partitions", str(PARTITIONS), "--data", str(self.folder / name), "--name", name,
                ],
                env=self._environment,
                stderr=log,
            )  # fmt: skip
        return self.running[name]

    def kill(self, name: str) -> None:
        """Kill one with -9."""
        self.running[name].kill()
        self.running.pop(name).wait()

    def freeze(self, name: str) -> None:
        """Stop one with SIGSTOP, and wait until it stands."""
        process = self.running[name]
        process.send_signal(signal.SIGSTOP)
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.01)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        self.running[name].send_signal(signal.SIGCONT)

    def stop(self, name: str, seconds: float = 15.0) -> int:
        """Ask one to stop; its exit status."""
        process = self.running.pop(name)
        process.terminate()
        return process.wait(seconds)

    def ask(self, name: str, path: str) -> tuple[int, Mapping[str, Any]]:
        """Ask an endpoint: status and what it says; status 0 where nobody answers yet."""
        told = self.folder / name / f"{name}.json"
        if not told.exists():
            return 0, {}
        port = msgspec.json.decode(told.read_bytes())["health_port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, msgspec.json.decode(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, msgspec.json.decode(error.read())
        except OSError:
            return 0, {}

    def is_ready(self, name: str) -> bool:
        """Whether one acts on all that it was given."""
        return self.ask(name, "/ready")[0] == 200

    def told(self, name: str, event: str) -> list[dict[str, Any]]:
        """What one wrote to its log about something."""
        lines = (self.folder / f"{name}.jsonl").read_bytes().splitlines()
        found = [msgspec.json.decode(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]
        return [line for line in found if line["event"] == event]


@contextmanager
def workers(folder: Path, bootstrap: str, group: str, **settings: str) -> Iterator[Workers]:
    """Workers that are killed at the end."""
    found = Workers(folder, bootstrap, group, **settings)
    try:
        yield found
    finally:
        for process in found.running.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
