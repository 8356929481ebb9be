"""One tenure: this process owns a partition of a group, from the claim until it is released, replaced or fails.

Messages are read in batches and put in the order of their time, each topic in its own order. What leaves is published
before the next message is taken. Inputs without an effect are named on the effects topic in time, and something leaves
there every now and then, so that the gateway knows that the owner lives. The effects topic is read back: a claim of
another process ends the tenure, and a snapshot counts once everything that it holds was seen there with no such claim
before it. So the snapshots of an owner who was frozen and does not know that he was replaced are true ones of the past.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from domain.errors import InvariantError, Unavailable
from domain.metrics import Metrics
from domain.ownership_events import OwnershipTaken
from streams.commits import Commits
from streams.kafka_message import Gap, Place
from streams.kafka_publisher import Publisher
from streams.kafka_reader import BEGIN, Reader
from streams.messages import Arrived, Outgoing
from streams.ownership import Partition
from streams.takeover import take_over
from streams.worker_settings import WorkerSettings

PASSING: Final = frozenset(
    {
        "market.underlying",
        "market.nbbo",
        "market.trades",
        "market.health",
        "time.timers",
        "pricing.forwards",
        "pricing.surfaces",
        "pricing.greeks",
        "risk.exposure",
        "risk.pnl",
    }
)
"""Topics of which a hole can be borne: what comes next says more than what was lost."""

_POSITION_S: Final = 2.0


class Snapshots(Protocol):
    """Where snapshots of partitions are kept, so that any process finds them."""

    def of(self, number: int) -> bytes | None:
        """The last snapshot of a partition."""
        ...

    async def keep(self, number: int, state: bytes) -> None:
        """Keep a snapshot. It returns when the broker has it.

        Raises:
            Unavailable: The broker did not take it.
        """
        ...


class Reports(Protocol):
    """What people and tools are told."""

    def happened(self, what: str, **fields: object) -> None:
        """Something that a person may want to know."""
        ...

    def left(self, outgoing: Outgoing) -> None:
        """A message was published."""
        ...


class _Snapshot(NamedTuple):
    """A snapshot, the position in the effects topic behind all that it holds, and those in the inputs."""

    position: int
    state: bytes
    positions: dict[Place, int]


class Tenancy:
    """One tenure of one partition.

    Args:
        partition: Empty, or restored from a snapshot.
        reader: Reads for this tenure alone.
        commits: Where positions are committed.
        publisher: Publishes for all tenures of the process.
        snapshots: The snapshots of all partitions.
        owner: Name of this process.
        settings: Its pace.
        reports: Who is told.
        metrics: Where counts and times go.

    Attributes:
        is_owning: Claimed and caught up; it acts unless it is held.
        replaced_by: Name of the process that claimed the partition after us.
    """

    def __init__(
        self,
        partition: Partition,
        reader: Reader,
        commits: Commits,
        publisher: Publisher,
        snapshots: Snapshots,
        owner: str,
        settings: WorkerSettings,
        reports: Reports,
        metrics: Metrics,
    ) -> None:
        self.partition = partition
        self.reader = reader
        self.is_owning = False
        self.replaced_by = ""
        self._commits = commits
        self._publisher = publisher
        self._snapshots = snapshots
        self._owner = owner
        self._settings = settings
        self._reports = reports
        self._metrics = metrics
        self._effects = Place(partition.group.effects, partition.number)
        self._go = asyncio.Event()
        self._go.set()
        self._parked = asyncio.Event()
        self._is_ending = False
        self._backlog: list[Arrived] = []
        self._alive = time.monotonic()
        self._said = 0.0
        self._snapshot_due = 0.0
        self._pending: _Snapshot | None = None
        self._keeping: asyncio.Task[None] | None = None
        reader.wanted = frozenset(kind.__name__ for kind in partition.group.reads) | {OwnershipTaken.__name__}

    # --- what the process asks for ------------------------------------------------------------------------------------
    def hold(self) -> None:
        """Stop acting after the message that is being taken."""
        self._go.clear()

    async def idle(self) -> None:
        """Wait until nothing more leaves."""
        await self._parked.wait()

    def go_on(self) -> None:
        """Act again, if nobody has claimed the partition meanwhile."""
        self._go.set()

    def end(self) -> None:
        """Stop acting, name what was applied, keep a snapshot, and end."""
        self._is_ending = True
        self._go.set()

    # --- the tenure ---------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Take over, and act until the end of the tenure.

        Raises:
            InvariantError: The partition cannot be owned: its log, inputs or snapshot contradict each other.
            Unavailable: The broker was away for too long, or the disk is full. The state here is void.
        """
        began = time.monotonic()
        taken = await take_over(self.partition, self.reader, self._publisher, self._owner, self._settings.takeover_s)
        await self._publish(taken.leaving)
        streams = self.partition.streams
        starts = {place: self.partition.positions.get(stream, BEGIN) for stream, place in streams.items()}
        starts.setdefault(self._effects, self.partition.effects_position)
        await self.reader.assign(starts)
        self.is_owning = True
        seconds = time.monotonic() - began
        self._metrics.observe("worker.takeover.seconds", seconds)
        self._happened("partition.owned", epoch=taken.epoch, repeated=taken.repeated, seconds=round(seconds, 3))
        self._snapshot_due = time.monotonic() + self._settings.snapshot_s
        self._alive = time.monotonic()
        try:
            await self._act()
        finally:
            self.is_owning = False
            self._parked.set()
            if self._keeping is not None:
                self._keeping.cancel()

    async def _act(self) -> None:
        while not self._is_ending and await self._is_ours():
            if not self._go.is_set():
                await self._park()
                continue
            batch = await self.reader.read(self._settings.batch, self._settings.wait_s)
            self._judge(batch.gaps)
            if await self._take_all(batch.messages):
                await self._say_something()
                await self._snapshot_if_due()
        if not self.replaced_by:
            await self._leave()

    async def _park(self) -> None:
        await self._publish(self.partition.log(time.time_ns()))
        self._parked.set()
        await self._go.wait()
        self._parked.clear()
        self._alive = 0.0  # whatever happened meanwhile: look before acting

    async def _take_all(self, messages: Sequence[Arrived]) -> bool:
        """Take messages in the order of their time; False when the tenure has to pause or end before the last one."""
        waiting, self._backlog = merged([*self._backlog, *messages]), []
        for number, arrived in enumerate(waiting):
            if self._is_ending or not self._go.is_set():
                self._backlog = [*waiting[number:], *self._backlog]
                return False
            if self._is_claim_of_another(arrived):
                return False
            leaving = self.partition.take(arrived)
            if not await self._is_ours():
                return False
            await self._publish(leaving)
            if self.partition.unlogged:
                await self._say_something()
        return True

    async def _publish(self, leaving: Iterable[Outgoing]) -> None:
        """Effects come first in `leaving`. Each is on its way to the broker before the next message is taken."""
        did_leave = False
        for outgoing in leaving:
            await self._publisher.publish(outgoing)
            if outgoing.topic == self._effects.topic:
                self._said = time.monotonic()
            self._reports.left(outgoing)
            did_leave = True
        if did_leave:
            await asyncio.sleep(0)

    async def _say_something(self) -> None:
        now = time.monotonic()
        is_behind = self.partition.unlogged and now - self._said >= self._settings.log_s
        is_silent = now - self._said >= self._settings.beat_s and not self._publisher.queued_bytes
        if (is_behind or is_silent) and await self._is_ours():
            await self._publish([self.partition.beat(time.time_ns())])

    async def _is_ours(self) -> bool:
        """Whether we may act. After a pause as long as a lost session it is looked up: somebody may have taken over."""
        now = time.monotonic()
        if not self.replaced_by and now - self._alive > self._settings.session_s / 2:
            await self._confirm()
        self._alive = time.monotonic()
        return not self.replaced_by

    async def _confirm(self) -> None:
        """Read the effects topic to its end before anything else leaves: it says whether the partition is ours."""
        others = [place for place in self.reader.positions if place != self._effects]
        self.reader.pause(others)
        until = self.reader.positions[self._effects] + (await self.reader.lag())[self._effects]
        while self.reader.positions[self._effects] < until and not self.replaced_by:
            batch = await self.reader.read(self._settings.batch, self._settings.wait_s)
            self._backlog += [arrived for arrived in batch.messages if not self._is_claim_of_another(arrived)]
        self.reader.resume(others)

    def _is_claim_of_another(self, arrived: Arrived) -> bool:
        event = arrived.event
        is_it = (
            isinstance(event, OwnershipTaken)
            and event.group == self.partition.group.name
            and arrived.topic == self._effects.topic
            and arrived.offset > self.partition.epoch
        )
        if is_it and isinstance(event, OwnershipTaken):
            self.replaced_by = event.owner
            self._metrics.count("worker.replaced")
            self._happened("partition.replaced", epoch=arrived.offset, by=event.owner)
        return is_it

    def _judge(self, gaps: Sequence[Gap]) -> None:
        for gap in gaps:
            self._happened("partition.gap", place=str(gap.place), expected=gap.expected, found=gap.found)
            if gap.place.topic not in PASSING:
                raise InvariantError(
                    "inputs expired before they were read", place=str(gap.place), expected=gap.expected, found=gap.found
                )

    # --- snapshots ----------------------------------------------------------------------------------------------------
    async def _snapshot_if_due(self) -> None:
        if self._pending is not None:
            if self.reader.positions[self._effects] >= self._pending.position and self._is_done_keeping():
                self._keeping = asyncio.create_task(self._keep(self._pending))
                self._pending = None
        elif time.monotonic() >= self._snapshot_due:
            self._snapshot_due = time.monotonic() + self._settings.snapshot_s
            await self._snapshot()

    async def _snapshot(self) -> None:
        """Take one, to be kept when the effects topic was read up to it."""
        try:
            offset = await self._publisher.acknowledged(self.partition.beat(time.time_ns()), _POSITION_S)
        except Unavailable as error:
            if self._publisher.failure is not None:
                raise
            self._happened("partition.snapshot_put_off", error=str(error))
            return
        self._said = time.monotonic()
        if offset >= 0:  # else the broker has it and does not say where
            self.partition.acknowledged(offset)
            positions = {place: self.partition.positions.get(name, 0) for name, place in self.partition.streams.items()}
            self._pending = _Snapshot(offset + 1, self.partition.snapshot(), positions)

    async def _keep(self, taken: _Snapshot) -> None:
        try:
            await self._snapshots.keep(self.partition.number, taken.state)
            await self._commits.commit(taken.positions)
        except Unavailable as error:
            self._happened("partition.snapshot_lost", error=str(error))

    def _is_done_keeping(self) -> bool:
        return self._keeping is None or self._keeping.done()

    async def _leave(self) -> None:
        """The end that was asked for: the successor finds everything named, and a snapshot of it."""
        if self._keeping is not None:
            await self._keeping
        await self._snapshot()
        if self._pending is None:
            return
        await self._confirm()
        if not self.replaced_by and self.reader.positions[self._effects] >= self._pending.position:
            await self._keep(self._pending)

    def _happened(self, what: str, **fields: object) -> None:
        self._reports.happened(what, group=self.partition.group.name, partition=self.partition.number, **fields)


def merged(messages: Iterable[Arrived]) -> list[Arrived]:
    """Messages of several partitions by the time of their events; each partition keeps its order."""
    lanes: dict[Place, list[Arrived]] = {}
    for arrived in messages:
        lanes.setdefault(Place(arrived.topic, arrived.partition), []).append(arrived)
    if len(lanes) == 1:
        return next(iter(lanes.values()))
    timed = (list(_timed(place, lanes[place])) for place in sorted(lanes))
    return [arrived for _, arrived in heapq.merge(*timed, key=lambda pair: pair[0])]


def _timed(place: Place, lane: Sequence[Arrived]) -> Iterator[tuple[tuple[int, str, int], Arrived]]:
    """With keys that never fall: a message is not due before the one ahead of it in its partition."""
    latest = 0
    for arrived in lane:
        latest = max(latest, arrived.event.ts_event)
        yield (latest, place.topic, place.partition), arrived
