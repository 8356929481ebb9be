"""Keeps one partition for as long as the process is assigned to it: tenure after tenure, and a halt where none can be.

A fault that trying again does not cure halts this partition alone: an alarm goes out, nothing more leaves for it, and
the gateway's dead-man timer pulls its quotes. The broker's absence is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, Literal

from domain.codec import encode
from domain.errors import Unavailable
from domain.events import ShardHalted
from domain.metrics import Metrics
from domain.topics import TOPIC_OF
from streams.commits import Commits
from streams.kafka_publisher import Publisher
from streams.kafka_reader import Reader
from streams.kafka_settings import Cluster
from streams.messages import Headers, Outgoing
from streams.ownership import Partition
from streams.tenancy import Reports, Snapshots, Tenancy
from streams.worker_settings import WorkerSettings

State = Literal["waiting", "taking over", "owning", "held", "replaced", "halted"]

Build = Callable[[int, bytes | None], AbstractContextManager[Partition]]
"""Makes a partition from its number and its snapshot, with the journal of the tenure, which ends with the context."""

_LONGEST_RETRY_S: Final = 10.0


class Keeper:
    """One assigned partition.

    Args:
        number: The partition.
        build: Makes the partition of a tenure.
        cluster: Where.
        publisher: Publishes for all partitions of the process.
        snapshots: The snapshots of all partitions.
        group: Name of the group of stages.
        owner: Name of this process.
        settings: Its pace.
        reports: Who is told.
        metrics: Where counts and times go.
    """

    def __init__(
        self,
        number: int,
        *,
        build: Build,
        cluster: Cluster,
        publisher: Publisher,
        snapshots: Snapshots,
        group: str,
        owner: str,
        settings: WorkerSettings,
        reports: Reports,
        metrics: Metrics,
    ) -> None:
        self.number = number
        self.tenancy: Tenancy | None = None
        self._build = build
        self._cluster = cluster
        self._publisher = publisher
        self._snapshots = snapshots
        self._group = group
        self._owner = owner
        self._settings = settings
        self._reports = reports
        self._metrics = metrics
        self._task: asyncio.Task[None] | None = None
        self._is_held = False
        self._has_halted = False
        self.replaced_at: float | None = None
        """Since when another process owns the partition, by the monotonic clock."""

    @property
    def state(self) -> State:
        """What it does."""
        if self._has_halted:
            return "halted"
        if self._is_held:
            return "held"
        if self.replaced_at is not None:
            return "replaced"
        if self.tenancy is None:
            return "waiting"
        return "owning" if self.tenancy.is_owning else "taking over"

    def start(self) -> None:
        """Begin a tenure, or go on with the one that was held if nobody has claimed the partition meanwhile."""
        self._is_held = False
        if self._has_halted:
            return
        if self._task is not None and not self._task.done():
            if self.tenancy is not None:
                self.tenancy.go_on()
            return
        self.replaced_at = None
        self._task = asyncio.create_task(self._keep(), name=f"{self._group}-{self.number}")

    def hold(self) -> None:
        """Stop acting after the message that is being taken: the assignment is about to change."""
        self._is_held = True
        if self.tenancy is not None and self.tenancy.is_owning:
            self.tenancy.hold()
        elif self._task is not None:
            self._task.cancel()

    async def idle(self) -> None:
        """Wait until nothing more leaves."""
        if self._task is None or self._task.done():
            return
        if self.tenancy is not None and self.tenancy.is_owning:
            await self.tenancy.idle()
        else:
            await asyncio.wait([self._task])

    async def end(self) -> None:
        """Stop acting, and leave everything to the successor in order."""
        if self.tenancy is not None and self.tenancy.is_owning:
            self.tenancy.end()
            if self._task is not None:
                await asyncio.wait([self._task])
        await self.drop()

    async def drop(self) -> None:
        """Let go of the partition at once; it is another's."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep(self) -> None:
        pause = self._settings.retry_s
        while True:
            try:
                await self._tenure()
            except Unavailable as error:
                self._happened("partition.unavailable", error=str(error), seconds=pause)
                if self._publisher.failure is not None:
                    return  # the process ends
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_RETRY_S)
            except Exception as fault:  # noqa: BLE001  # as in a shard: the fault of one partition leaves the others alone
                await self._halt(fault)
                return
            else:
                return

    async def _tenure(self) -> None:
        reader = await Reader.open(
            self._cluster,
            letters=self._publisher,
            metrics=self._metrics,
            deadline_s=self._settings.takeover_s,
        )
        commits = Commits(self._cluster, f"axiom.{self._group}.positions")
        try:
            with self._build(self.number, self._snapshots.of(self.number)) as partition:
                self.tenancy = Tenancy(
                    partition,
                    reader,
                    commits,
                    self._publisher,
                    self._snapshots,
                    self._owner,
                    self._settings,
                    self._reports,
                    self._metrics,
                )
                await self.tenancy.run()
                if self.tenancy.replaced_by:
                    self.replaced_at = time.monotonic()
        finally:
            self.tenancy = None
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(reader.close(1.0), commits.close())

    async def _halt(self, fault: Exception) -> None:
        self._has_halted = True
        text = f"{type(fault).__name__}: {fault}"
        self._happened("partition.halted", error=text)
        ts = time.time_ns()
        event = ShardHalted(
            ts_event=ts,
            ts_init=ts,
            underlying="",
            stage=self._group,
            error=f"partition {self.number} of {self._group} cannot be owned: {text}",
        )
        headers = Headers(f"halt.{self._owner}", ts)
        alarm = Outgoing(TOPIC_OF[ShardHalted].name, self.number, "", headers, encode(event))
        try:
            await self._publisher.publish(alarm)
        except Unavailable as error:
            self._happened("partition.alarm_lost", error=str(error))

    def _happened(self, what: str, **fields: object) -> None:
        self._reports.happened(what, group=self._group, partition=self.number, **fields)
