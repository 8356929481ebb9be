"""The feed as a process: publishes days at their pace, and goes on where it was when it is killed and started again.

What it has published and the broker has acknowledged is noted every half second. Started again it publishes what came
after that note, under the same names: readers drop what they have. Its pace begins anew there: time that passed while
it was away is not made up for.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from pathlib import Path
from typing import Final

import msgspec
import structlog

from axiom.feed_plan import FeedPlan, open_day, read_plan
from axiom.health import HealthServer
from axiom.notes import claimed
from axiom.runs import write_atomically
from axiom.standing import Standing
from axiom.telemetry import PrometheusMetrics
from domain.codec import encode
from domain.errors import InputError, Unavailable
from domain.events import RunEnded
from domain.topics import TOPIC_OF
from streams.kafka_publisher import Publisher
from streams.kafka_settings import Cluster
from streams.kafka_topics import verify
from streams.messages import Headers, Outgoing
from streams.publishing import Published, merged

STATE: Final = "published.json"
_KEEP_S: Final = 0.5
_YIELD: Final = 64
_SKIP_NS: Final = 30 * 1_000_000_000
"""A gap in event time above this is not waited for, as in a run in one process."""


class FeedState(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker has: the first `published` events of the plan."""

    published: int = 0
    is_done: bool = False


class FeedProcess:
    """One feed. `run` is its life.

    Args:
        cluster: Where Kafka is.
        folder: Its folder, with the plan in it.
        health_port: Of the probes; 0 takes a free one.

    Raises:
        InputError: The folder has no plan, or another feed works with it.
    """

    def __init__(self, cluster: Cluster, folder: Path, health_port: int = 0) -> None:
        self._cluster = cluster
        self._folder = folder
        self._health_port = health_port
        self._plan: FeedPlan = read_plan(folder)
        self._lock = claimed(folder)
        self._metrics = PrometheusMetrics()
        self._standing = Standing("feed", stall_s=60.0)
        self._log = structlog.get_logger()
        self._state = feed_state(folder)
        self._next = self._state.published
        self._kept = time.monotonic()
        self._anchor: tuple[int, float] | None = None
        self._last = 0
        self._broker = ""

    async def run(self) -> bool:
        """Publish to the end, or until told to stop (SIGTERM, SIGINT); return whether everything is published.

        Raises:
            SettingsError: Topics are not as declared.
            Unavailable: The broker is away at the start, or refused a message for good.
        """
        self._stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, self._stop.set)
        partitions = await verify(self._cluster)
        self._publisher = await Publisher.open(self._cluster, partitions, self._metrics)
        standing = self._standing
        standing.needs("broker", lambda: self._broker)
        standing.tells("published", lambda: self._next)
        health = HealthServer(
            self._health_port, live=standing.live, ready=standing.ready, registry=self._metrics.registry
        )
        health.start()
        days = [open_day(config) for config in self._plan.days]
        names = [day.recording.name for day in days]
        self._log.info("feed.started", health_port=health.port, at=self._next, recordings=names)
        try:
            for number, each in enumerate(merged(days)):
                if number >= self._next and not await self._publish(each):
                    break
            is_done = not self._stop.is_set()
            await self._keep(is_done=is_done)
        finally:
            await self._publisher.close(2.0)
        self._log.info("feed.ended", published=self._next, is_done=is_done)
        return is_done

    async def _publish(self, each: Published) -> bool:
        """Publish one event when it is due; False where we are to stop."""
        source, sequence, event = each.item
        if isinstance(event, RunEnded) and not await self._sleep(self._plan.settle_s):
            return False
        if not await self._pace(each.since_open):
            return False
        headers = Headers(source, sequence)
        outgoing = Outgoing(TOPIC_OF[type(event)].name, None, event.underlying, headers, encode(event))
        while True:
            try:
                await self._publisher.publish(outgoing)
                break
            except Unavailable as error:
                if self._publisher.failure is not None or self._stop.is_set():
                    raise
                self._broker = str(error)  # no room: the broker is away; time stands still meanwhile
                self._anchor = None
        self._next += 1
        self._metrics.gauge("run.event_time", event.ts_event * 1e-9, event.underlying)
        if self._next % _YIELD == 0:
            await asyncio.sleep(0)
        if time.monotonic() - self._kept >= _KEEP_S:
            await self._keep(is_done=False)
        self._standing.beat()
        return not self._stop.is_set()

    async def _pace(self, since_open: int) -> bool:
        if not self._plan.speed:
            return not self._stop.is_set()
        if self._anchor is None or since_open - self._last > _SKIP_NS:
            self._anchor = (since_open, time.monotonic())
        begin, started = self._anchor
        self._last = since_open
        due = started + (since_open - begin) * 1e-9 / self._plan.speed
        return await self._sleep(due - time.monotonic())

    async def _sleep(self, seconds: float) -> bool:
        """Wait; False where we are told to stop meanwhile."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stop.wait()
        return not self._stop.is_set()

    async def _keep(self, *, is_done: bool) -> None:
        """Note what the broker has."""
        self._kept = time.monotonic()
        try:
            await self._publisher.flush()
        except Unavailable as error:
            if self._publisher.failure is not None or is_done:
                raise
            self._broker = str(error)
            return
        self._broker = ""
        self._state = FeedState(published=self._next, is_done=is_done)
        write_atomically(self._folder / STATE, msgspec.json.encode(self._state))


def feed_state(folder: Path) -> FeedState:
    """How far the feed of a folder is.

    Raises:
        InputError: What it noted is damaged.
    """
    try:
        return msgspec.json.decode((folder / STATE).read_bytes(), type=FeedState)
    except FileNotFoundError:
        return FeedState()
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError("feed state cannot be read", field="data", value=str(folder), error=str(error)) from error
