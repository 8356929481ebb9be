"""Keeps the shared cache up to date from Kafka: one process, which reads topics and is a member of no group.

Several may run at once, for the cache takes a value from the higher offset whoever brings it. It commits nothing: on a
start it goes on where the cache says that its values stand, and reads from the oldest message what the cache lacks.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from axiom.health import Finding, HealthServer
from axiom.tail import Skipped
from axiom.telemetry import PrometheusMetrics
from domain.errors import DataError, Unavailable
from domain.events import ChainListed
from domain.frames import Frame
from domain.ownership_events import OwnershipTaken
from domain.topics import BY_NAME, TOPIC_OF
from store.cache import RedisCache
from store.cache_settings import CacheSettings
from store.cache_writer import CacheWriter
from store.cached import Cache, Cached, Kind
from store.last_values import FOLDED, LAST, TOPICS, frame_of
from streams.kafka import START_S, administered
from streams.kafka_message import DeadLetter, Place
from streams.kafka_reader import BEGIN, END, Batch, Reader
from streams.kafka_settings import Cluster
from streams.kafka_topics import verify
from streams.messages import Arrived
from streams.ownership import Fence

CHAINS: Final = "reference.chains"
RECENT: Final = 200
"""What comes again all the time is read from so many messages before the end."""

_LIMIT: Final = 500
_WAIT_S: Final = 0.1
_RETRY_S: Final = 0.5
_STALL_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """What the process is given.

    Attributes:
        cluster: Where Kafka is.
        cache: Where the cache is.
        health_port: Of liveness, readiness and metrics on loopback; 0 takes a free one.
        deadline_s: In which it ends when it is told to.
    """

    cluster: Cluster
    cache: CacheSettings
    health_port: int = 0
    deadline_s: float = 5.0


class CacheProcess:
    """One process. `run` is its life.

    Raises:
        SettingsError: A password or certificate cannot be read.
    """

    def __init__(self, options: CacheOptions, metrics: PrometheusMetrics) -> None:
        self._options = options
        self._metrics = metrics
        self._log = structlog.get_logger()
        self._cache: Cache = RedisCache.of(options.cache, os.environ)
        self._writer = CacheWriter(
            RedisCache.of(options.cache, os.environ),
            options.cache.interval_ms * 1e-3,
            metrics,
            lambda text, fields: self._log.warning(text, **fields),
        )
        self._intake = Intake(self._writer)
        self._health = HealthServer(
            options.health_port, live=self._is_live, ready=self._is_ready, registry=metrics.registry
        )
        self._broker = "not connected yet"
        self._read_at = time.monotonic()

    async def run(self) -> None:
        """Work until told to stop (SIGTERM, SIGINT).

        Raises:
            SettingsError: Topics are not as declared, or the cache refuses us.
            Unavailable: No broker answered at the start.
        """
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        self._check_cache()
        self._health.start()
        self._writer.start()
        self._log.info("cache.started", health_port=self._health.port)
        work, stop = asyncio.create_task(self._work()), asyncio.create_task(stopped.wait())
        try:
            await asyncio.wait([work, stop], return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, stop):
                task.cancel()
            await asyncio.gather(work, stop, return_exceptions=True)
            is_clean = await asyncio.to_thread(self._writer.close, self._options.deadline_s)
            self._log.info("cache.stopped", is_clean=is_clean, **self._writer.written._asdict())
            self._cache.close()
            self._health.stop()

    def _check_cache(self) -> None:
        try:
            self._cache.check()
        except Unavailable as error:
            self._log.warning("cache.unavailable_at_start", error=str(error))

    async def _work(self) -> None:
        cluster = self._options.cluster
        partitions = await verify(cluster, topics=[BY_NAME[name] for name in TOPICS])
        async with administered(cluster) as admin:
            self._intake.log = f"kafka/{await admin.cluster_id(START_S)}"
        reader = await Reader.open(cluster, letters=Skipped(self._say_skipped), metrics=self._metrics)
        try:
            await reader.assign(await self._starts(reader, partitions))
            while True:
                try:
                    batch = await reader.read(_LIMIT, _WAIT_S)
                except Unavailable as error:
                    self._broker = str(error)
                    await asyncio.sleep(_RETRY_S)
                    continue
                self._broker = ""
                self._read_at = time.monotonic()
                self._take(batch)
        finally:
            await reader.close()

    async def _starts(self, reader: Reader, partitions: dict[str, int]) -> dict[Place, int]:
        """Read which underlyings there are, and from that where to begin on each partition."""
        places = [Place(topic, number) for topic in TOPICS for number in range(partitions[topic])]
        others = [place for place in places if place.topic != CHAINS]
        await reader.assign({place: END if place in others else BEGIN for place in places})
        reader.pause(others)
        lag = await reader.lag()
        ends = {place: reader.positions[place] + lag[place] for place in places if place not in others}
        while any(reader.positions[place] < end for place, end in ends.items()):
            self._take(await reader.read(_LIMIT, _WAIT_S))
        reader.resume(others)
        folded = {TOPIC_OF[event].name: kind for event, kind in FOLDED.items()}
        starts = dict(reader.positions)
        for place in others:
            kind = folded.get(place.topic)
            recent = max(starts[place] - RECENT, 0)
            starts[place] = recent if kind is None else self._intake.resume(self._held(place, kind))
        return starts

    def _held(self, place: Place, kind: Kind) -> list[Held | None]:
        """What the cache has of a kind, for each underlying of a partition."""
        found: list[Held | None] = []
        for underlying in self._intake.underlyings(place.partition):
            try:
                is_ours = self._cache.log_of(underlying) == self._intake.log
                value = self._cache.get(underlying, kind) if is_ours else None
                found.append(None if value is None else Held(value, frame_of(value)))
            except (Unavailable, DataError) as error:
                self._log.warning("cache.not_resumed", underlying=underlying, kind=kind, error=str(error))
                found.append(None)
        return found

    def _take(self, batch: Batch) -> None:
        for gap in batch.gaps:
            self._log.error("messages.expired", place=str(gap.place), expected=gap.expected, found=gap.found)
        self._intake.take(batch.messages)

    def _say_skipped(self, letter: DeadLetter) -> None:
        self._metrics.count("kafka.dead_letters", label=letter.reason)
        self._log.warning("message.skipped", place=f"{letter.place}@{letter.offset}", reason=letter.reason)

    def _is_live(self) -> Finding:
        idle_s = time.monotonic() - self._read_at
        return Finding(idle_s < _STALL_S, {"since_last_read_s": round(idle_s, 3)})

    def _is_ready(self) -> Finding:
        facts = {"broker": self._broker or "answers", "cache": self._writer.trouble or "answers"}
        facts |= {name: str(count) for name, count in self._writer.written._asdict().items()}
        return Finding(not self._broker and not self._writer.trouble, facts)


class Held(NamedTuple):
    """What the cache has of a kind that is put together, and its frame."""

    value: Cached
    frame: Frame


class Intake:
    """Sorts messages into the writer: those that count, once, by underlying.

    Args:
        writer: Takes them.
    """

    def __init__(self, writer: CacheWriter) -> None:
        self.log = ""
        """What the cache knows the topics by: set before the first message."""

        self._writer = writer
        self._underlyings: dict[int, dict[str, None]] = {}
        self._fences: dict[tuple[str, int], Fence] = {}
        self._seen: dict[tuple[str, int, str], int] = {}

    def underlyings(self, partition: int) -> tuple[str, ...]:
        """Those that are on a partition."""
        return tuple(self._underlyings.get(partition, ()))

    def resume(self, held: Iterable[Held | None]) -> int:
        """Go on from what the cache has of a kind on a partition.

        Returns:
            Where to read on: behind the oldest of them; BEGIN where one is missing.
        """
        starts: list[int] = []
        for each in held:
            if each is None:
                starts.append(BEGIN)
                continue
            value = each.value
            self._writer.resume(value.underlying, value.kind, each.frame, value.sequence, value.ts_event)
            starts.append(value.sequence + 1)
        return min(starts, default=BEGIN)

    def take(self, messages: Iterable[Arrived]) -> None:
        """Take in what was read; chains first, because values of an underlying that nobody knows are not taken."""
        for arrived in sorted(messages, key=lambda arrived: arrived.topic != CHAINS):
            event, headers = arrived.event, arrived.headers
            # One for each topic: they are not read at one pace, and what an owner said in its time counts.
            fence = self._fences.setdefault((arrived.topic, arrived.partition), Fence())
            if isinstance(event, OwnershipTaken):
                fence.raise_to(event.group, arrived.offset)
                continue
            if not fence.admits(headers) or not self._is_first(arrived):
                continue
            if isinstance(event, ChainListed):
                self._underlyings.setdefault(arrived.partition, {})[event.underlying] = None
                self._writer.follow(event.underlying, self.log)
            self._writer.take(event, arrived.offset, arrived.message if type(event) in LAST else None)

    def _is_first(self, arrived: Arrived) -> bool:
        """Whether a message is not one that its producer sent again."""
        key = arrived.topic, arrived.partition, arrived.headers.source
        if arrived.headers.sequence <= self._seen.get(key, -1):
            return False
        self._seen[key] = arrived.headers.sequence
        return True


async def main(options: CacheOptions) -> None:
    """Be the process."""
    await CacheProcess(options, PrometheusMetrics()).run()
