"""The only door to Faust: which partitions are ours, where their snapshots are, and when they are somebody else's.

Faust joins the group, assigns co-partitioned topics, and keeps a table of snapshots whose changelog is a compacted
topic; on a takeover it restores the table before the partition is given to us. Messages do not pass through it: each
partition is read by a `Keeper` through our own reader. Its web server is off; its signals, log and command line are
not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import faust
from faust.types.auth import CredentialsT

from domain.errors import SettingsError, Unavailable
from domain.metrics import Metrics
from domain.topics import MAX_MESSAGE_BYTES, TOPICS
from streams.groups import Group
from streams.kafka import administered
from streams.kafka_message import Place
from streams.kafka_publisher import Publisher
from streams.kafka_settings import Cluster
from streams.kafka_topics import verify
from streams.keeper import Build, Keeper
from streams.tenancy import Reports
from streams.watchdog import STALLED, Progress
from streams.worker_settings import WorkerSettings

FAILED: Final = 74
"""Exit status of a process whose connection to the broker failed for good (EX_IOERR of sysexits.h)."""

ANCHOR: Final = "reference.chains"
"""The topic that Faust reads for us to hold the assignment: every group reads it, and little is on it."""

TABLE: Final = "snapshots"
_LOOK_S: Final = 1.0
_FLUSH_S: Final = 2.0
_SESSIONS: Final = 5
_SEGMENT_BYTES: Final = 2 * MAX_MESSAGE_BYTES
_SEGMENT_MS: Final = 60_000


def application(group: Group) -> str:
    """Name of the Faust application of a group, which is the consumer group on the broker."""
    return f"axiom.{group.name}"


def changelog(group: Group) -> str:
    """The topic that holds the snapshots of a group."""
    return f"{application(group)}-{TABLE}-changelog"


async def prepare(cluster: Cluster, group: Group, partitions: int, settings: WorkerSettings) -> dict[str, int]:
    """Check the topics of a group and declare the one of its snapshots: Faust spins where one is absent.

    Returns:
        The number of partitions of each topic.

    Raises:
        SettingsError: A topic is missing or has another number of partitions.
        Unavailable: The broker did not answer in time.
    """
    counts = await verify(cluster, topics=TOPICS, partitions=partitions, deadline_s=settings.start_s)
    name = changelog(group)
    # Cleaned eagerly: a takeover reads it from its beginning.
    config = {
        "cleanup.policy": "compact",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
        "segment.bytes": str(_SEGMENT_BYTES),
        "segment.ms": str(_SEGMENT_MS),
        "min.cleanable.dirty.ratio": "0.01",
        "max.compaction.lag.ms": str(_SEGMENT_MS),
    }
    until = time.monotonic() + settings.start_s
    async with administered(cluster, settings.start_s) as admin:
        await admin.create(name, partitions, settings.replicas, config, until - time.monotonic())
        while True:
            found = await admin.describe([name], (), until - time.monotonic())
            if name in found:
                break
            await asyncio.sleep(_FLUSH_S / 20)
    if found[name].partitions != partitions:
        raise SettingsError(
            "topics are not as declared",
            problems=[f"{name}: has {found[name].partitions} partitions, expected {partitions}"],
        )
    return counts


class Standing(NamedTuple):
    """What a worker has to say of itself."""

    is_ready: bool
    partitions: dict[int, str]
    reason: str


class Worker:
    """The worker of one group.

    Args:
        group: Its stages.
        partitions: Of every topic that shares keys.
        cluster: Where, as the clients of ours reach it.
        credentials: As Faust reaches it: see `credentials`.
        publisher: Publishes for all partitions.
        build: Makes a partition.
        owner: Name of this process, which people will see; no two processes share it.
        data: Folder for Faust.
        settings: Its pace.
        reports: Who is told.
        metrics: Where counts and times go.
    """

    def __init__(
        self,
        group: Group,
        partitions: int,
        *,
        cluster: Cluster,
        credentials: CredentialsT | None,
        publisher: Publisher,
        build: Build,
        owner: str,
        data: str,
        settings: WorkerSettings,
        reports: Reports,
        metrics: Metrics,
    ) -> None:
        self._group = group
        self._settings = settings
        self._publisher = publisher
        self._reports = reports
        self._metrics = metrics
        self._progress = Progress(settings.stall_s)
        self._has_assignment = False
        self._keepers: dict[int, Keeper] = {}
        self._app = _app(self, group, cluster, credentials, data, settings)
        self._table = _table(self._app, partitions)
        self._table.on_recover(self._assigned)
        self._new: Callable[[int], Keeper] = partial(
            Keeper,
            build=build,
            cluster=cluster,
            publisher=publisher,
            snapshots=self,
            group=group.name,
            owner=owner,
            settings=settings,
            reports=reports,
            metrics=metrics,
        )

    @property
    def standing(self) -> Standing:
        """Ready: assigned, and every partition of ours acts."""
        found: dict[int, str] = {number: keeper.state for number, keeper in sorted(self._keepers.items())}
        if not self._has_assignment:
            return Standing(is_ready=False, partitions=found, reason="no assignment yet")
        idle = [f"{number} is {state}" for number, state in found.items() if state != "owning"]
        return Standing(is_ready=not idle, partitions=found, reason=", ".join(idle))

    async def run(self, should_stop: asyncio.Event) -> int:
        """Work until told to stop.

        Returns:
            The exit status: 0 after an orderly end, STALLED or FAILED where the process has to start again.
        """
        starting = asyncio.create_task(self._app.start(), name="faust")
        status: int | None = None
        try:
            while status is None and not should_stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(should_stop.wait(), _LOOK_S)
                status = await self._look(starting)
        finally:
            await self._stop()
        return status or 0

    # --- the table of snapshots ---------------------------------------------------------------------------------------
    def of(self, number: int) -> bytes | None:
        """The last snapshot of a partition."""
        found = self._table.get(_key(number))
        return bytes(found) if found else None

    async def keep(self, number: int, state: bytes) -> None:
        """Keep a snapshot. It returns when the broker has it.

        Raises:
            Unavailable: The broker did not take it.
        """
        key = _key(number)
        sent: Awaitable[Any] = self._table.send_changelog(number, key, state)
        self._table.data[key] = state
        try:
            async with asyncio.timeout(self._settings.takeover_s):
                await sent
        except Exception as error:  # whatever the client of Faust raises
            raise Unavailable(
                "snapshot was not kept", partition=number, bytes=len(state), error=f"{type(error).__name__}: {error}"
            ) from error

    # --- what Faust says ----------------------------------------------------------------------------------------------
    def changes(self) -> None:
        """The assignment is about to change: nobody acts until it is known."""
        self._has_assignment = False
        for keeper in self._keepers.values():
            keeper.hold()

    async def revoked(self) -> None:
        """Nothing of ours leaves after this returns."""
        self.changes()
        await asyncio.gather(*(keeper.idle() for keeper in self._keepers.values()))
        try:
            await self._publisher.flush(_FLUSH_S)
        except Unavailable as error:  # what leaves late has an epoch that readers refuse once there is a newer one
            self._reports.happened("worker.not_flushed", error=str(error))

    async def _assigned(self) -> None:
        """The table holds the snapshots of the partitions that are ours now."""
        actives = self._app.assignor.assigned_actives()
        ours = sorted(tp.partition for tp in actives if tp.topic == ANCHOR)
        self._reports.happened("worker.assigned", group=self._group.name, partitions=ours)
        for number in sorted(self._keepers.keys() - set(ours)):
            await self._keepers.pop(number).drop()
        for number in ours:
            self._keepers.setdefault(number, self._new(number)).start()
        self._has_assignment = True

    # --- inside -------------------------------------------------------------------------------------------------------
    async def _look(self, starting: asyncio.Task[None]) -> int | None:
        """See whether all is well; the exit status where the process has to end."""
        states = [keeper.state for keeper in self._keepers.values()]
        self._metrics.gauge("worker.owned", states.count("owning"), self._group.name)
        self._metrics.gauge("worker.halted", states.count("halted"), self._group.name)
        if self._publisher.failure is not None:
            return self._ends(FAILED, "publisher has failed", str(self._publisher.failure))
        if (starting.done() and starting.exception() is not None) or self._app.crashed:
            error = starting.exception() if starting.done() else self._app.crash_reason
            return self._ends(FAILED, "faust has failed", repr(error))
        now = time.monotonic()
        for keeper in self._keepers.values():
            if keeper.replaced_at is not None and now - keeper.replaced_at > _SESSIONS * self._settings.session_s:
                return self._ends(STALLED, "another process owns what is assigned to this one", str(keeper.number))
        stalled = await self._stalled(now)
        return self._ends(STALLED, "messages wait and are not taken", stalled) if stalled else None

    async def _stalled(self, now: float) -> str:
        positions: dict[Place, int] = {}
        lag: dict[Place, int] = {}
        for keeper in list(self._keepers.values()):
            tenancy = keeper.tenancy
            if tenancy is None or keeper.state != "owning":
                continue
            try:
                waiting = await tenancy.reader.lag()
            except Unavailable:  # the broker is away: nobody can make progress
                self._progress.excuse()
                return ""
            positions |= {
                place: tenancy.reader.positions[place] for place in waiting if place in tenancy.reader.positions
            }
            lag |= waiting
            self._metrics.gauge("worker.lag", sum(waiting.values()), f"{self._group.name}-{keeper.number}")
        return ", ".join(str(place) for place in self._progress.look(positions, lag, now))

    def _ends(self, status: int, why: str, detail: str) -> int:
        self._reports.happened("worker.ends", status=status, why=why, detail=detail)
        return status

    async def _stop(self) -> None:
        """Leave in order, within the deadline: partitions first, then the group, so that others take over at once."""
        self._has_assignment = False
        until = time.monotonic() + self._settings.stop_s
        ends = [asyncio.create_task(keeper.end()) for keeper in self._keepers.values()]
        if ends:
            _, late = await asyncio.wait(ends, timeout=self._settings.stop_s / 2)
            for keeper in self._keepers.values() if late else ():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(keeper.drop(), 0.5)
        stopping = asyncio.create_task(self._app.stop())
        _, late = await asyncio.wait([stopping], timeout=max(until - time.monotonic(), 0.5))
        if late:
            self._reports.happened("worker.stop_is_late", seconds=self._settings.stop_s)


class _Faust(faust.App):
    """Tells the worker at the first sign of a rebalance."""

    worker: Worker

    def on_rebalance_start(self) -> None:
        """The assignment is about to change."""
        super().on_rebalance_start()
        self.worker.changes()


def _app(
    worker: Worker,
    group: Group,
    cluster: Cluster,
    credentials: CredentialsT | None,
    data: str,
    settings: WorkerSettings,
) -> _Faust:
    hosts = cluster.options()["bootstrap_servers"]
    app = _Faust(
        application(group),
        broker=[f"kafka://{host}" for host in hosts],
        broker_credentials=credentials,
        broker_client_id=cluster.settings.client_id,
        broker_session_timeout=settings.session_s,
        broker_heartbeat_interval=settings.heartbeat_s,
        broker_request_timeout=max(cluster.settings.request_timeout_s, settings.session_s + 1),
        consumer_auto_offset_reset="latest",
        consumer_max_fetch_size=MAX_MESSAGE_BYTES,
        producer_max_request_size=MAX_MESSAGE_BYTES,
        producer_linger=0,
        store="memory://",
        datadir=data,
        autodiscover=False,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        loop=asyncio.get_running_loop(),
    )
    app.worker = worker

    async def hold(stream: faust.StreamT[bytes]) -> None:
        async for _ in stream:
            pass

    app.agent(app.topic(ANCHOR, key_serializer="raw", value_serializer="raw"), name="anchor")(hold)

    async def revoked(*_: object, **__: object) -> None:
        await worker.revoked()

    app.on_partitions_revoked.connect(revoked, weak=False)
    return app


def _table(app: faust.App, partitions: int) -> Any:  # noqa: ANN401  # a table has no useful type
    return app.Table(TABLE, key_type=bytes, value_type=bytes, partitions=partitions)


def _key(number: int) -> bytes:
    return b"%d" % number


def credentials(options: Mapping[str, Any]) -> CredentialsT | None:
    """The security of our clients, as Faust takes it.

    Args:
        options: Of `streams.kafka_settings.security_options`.
    """
    protocol = options["security_protocol"]
    context = options.get("ssl_context")
    if protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            ssl_context=context,
            mechanism=options["sasl_mechanism"],
        )
    return faust.SSLCredentials(context=context) if protocol == "SSL" else None
