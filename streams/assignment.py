"""The partitions that were given to this process: begun, held while the assignment changes, let go, and watched."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from domain.errors import Unavailable
from domain.metrics import Metrics
from streams.kafka_message import Place
from streams.kafka_publisher import Publisher
from streams.keeper import Keeper
from streams.tenancy import Reports
from streams.watchdog import STALLED, Progress
from streams.worker_settings import WorkerSettings

FAILED: Final = 74
"""Exit status of a process whose connection to the broker failed for good (EX_IOERR of sysexits.h)."""

_FLUSH_S: Final = 2.0
_SESSIONS: Final = 5


class Standing(NamedTuple):
    """What a worker has to say of itself."""

    is_ready: bool
    partitions: dict[int, str]
    reason: str


class Ending(NamedTuple):
    """Why the process has to end, and with which status."""

    status: int
    why: str
    detail: str


class Assignment:
    """What is assigned to this process.

    Args:
        group: Name of the group of stages.
        begin: Makes the keeper of a partition.
        publisher: Publishes for all partitions.
        settings: The pace.
        reports: Who is told.
        metrics: Where counts and times go.
    """

    def __init__(
        self,
        group: str,
        begin: Callable[[int], Keeper],
        publisher: Publisher,
        settings: WorkerSettings,
        reports: Reports,
        metrics: Metrics,
    ) -> None:
        self._group = group
        self._begin = begin
        self._publisher = publisher
        self._settings = settings
        self._reports = reports
        self._metrics = metrics
        self._progress = Progress(settings.stall_s)
        self._is_settled = False
        self._keepers: dict[int, Keeper] = {}

    @property
    def standing(self) -> Standing:
        """Ready: the assignment is known, and every partition of ours acts."""
        found: dict[int, str] = {number: keeper.state for number, keeper in sorted(self._keepers.items())}
        if not self._is_settled:
            return Standing(is_ready=False, partitions=found, reason="no assignment")
        idle = [f"{number} is {state}" for number, state in found.items() if state != "owning"]
        return Standing(is_ready=not idle, partitions=found, reason=", ".join(idle))

    # --- what the group says ------------------------------------------------------------------------------------------
    def changes(self) -> None:
        """The assignment is about to change: nobody acts until it is known."""
        self._is_settled = False
        for keeper in self._keepers.values():
            keeper.hold()

    async def revoked(self) -> None:
        """Stop acting. Nothing of ours leaves after this returns."""
        self.changes()
        await asyncio.gather(*(keeper.idle() for keeper in self._keepers.values()))
        try:
            await self._publisher.flush(_FLUSH_S)
        except Unavailable as error:  # what leaves late has an epoch that readers refuse once there is a newer one
            self._reports.happened("worker.not_flushed", group=self._group, error=str(error))

    async def assigned(self, numbers: Iterable[int]) -> None:
        """These partitions are ours, and no others; their snapshots are at hand."""
        ours = sorted(numbers)
        self._reports.happened("worker.assigned", group=self._group, partitions=ours)
        for number in sorted(self._keepers.keys() - set(ours)):
            await self._keepers.pop(number).drop()
        for number in ours:
            if number not in self._keepers:
                self._keepers[number] = self._begin(number)
            self._keepers[number].start()
        self._is_settled = True

    async def end(self, deadline_s: float) -> None:
        """Leave every partition to its successor in order; at the deadline, as it is."""
        self._is_settled = False
        ends = [asyncio.create_task(keeper.end()) for keeper in self._keepers.values()]
        if not ends:
            return
        _, late = await asyncio.wait(ends, timeout=deadline_s)
        for task in late:
            task.cancel()
        for keeper in self._keepers.values() if late else ():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(keeper.drop(), 0.5)

    # --- the watch ----------------------------------------------------------------------------------------------------
    async def look(self) -> Ending | None:
        """See whether all is well; None where it is, or where time will cure it."""
        states = [keeper.state for keeper in self._keepers.values()]
        self._metrics.gauge("worker.owned", states.count("owning"), self._group)
        self._metrics.gauge("worker.halted", states.count("halted"), self._group)
        if self._publisher.failure is not None:
            return Ending(FAILED, "publisher has failed", str(self._publisher.failure))
        now = time.monotonic()
        for number, keeper in self._keepers.items():
            if keeper.replaced_at is not None and now - keeper.replaced_at > _SESSIONS * self._settings.session_s:
                return Ending(STALLED, "another process owns what is assigned to this one", f"partition {number}")
        stalled = await self._stalled(now)
        return Ending(STALLED, "messages wait and are not taken", stalled) if stalled else None

    async def _stalled(self, now: float) -> str:
        positions: dict[Place, int] = {}
        lag: dict[Place, int] = {}
        for number, keeper in list(self._keepers.items()):
            tenancy = keeper.tenancy
            if tenancy is None or keeper.state != "owning":
                continue
            try:
                waiting = await tenancy.reader.lag()
            except Unavailable:  # the broker is away: nobody can make progress
                self._progress.excuse()
                return ""
            positions |= {place: at for place, at in tenancy.reader.positions.items() if place in waiting}
            lag |= waiting
            self._metrics.gauge("worker.lag", sum(waiting.values()), f"{self._group}-{number}")
        return ", ".join(str(place) for place in self._progress.look(positions, lag, now))
