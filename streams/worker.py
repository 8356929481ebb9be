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
from typing import Any, Final

import faust
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types.auth import CredentialsT

from domain.errors import SettingsError, Unavailable
from domain.metrics import Metrics
from domain.topics import MAX_MESSAGE_BYTES, TOPICS
from streams.assignment import FAILED, Assignment, Ending
from streams.groups import Group
from streams.kafka import administered
from streams.kafka_publisher import Publisher
from streams.kafka_settings import Cluster
from streams.kafka_topics import verify
from streams.keeper import Build, Keeper
from streams.tenancy import Reports
from streams.worker_settings import WorkerSettings

ANCHOR: Final = "reference.chains"
"""The topic that Faust reads for us to hold the assignment: every group reads it, and little is on it."""

TABLE: Final = "snapshots"
_LOOK_S: Final = 1.0
_PAUSE_S: Final = 0.1
_FETCH_MS: Final = 50
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
            await asyncio.sleep(_PAUSE_S)
    if found[name].partitions != partitions:
        raise SettingsError(
            "topics are not as declared",
            problems=[f"{name}: has {found[name].partitions} partitions, expected {partitions}"],
        )
    return counts


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

    Attributes:
        assignment: What was given to it.
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
        self._settings = settings
        self._reports = reports
        begin: Callable[[int], Keeper] = partial(
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
        self.assignment = Assignment(group.name, begin, publisher, settings, reports, metrics)
        self._app = _Faust(
            application(group),
            broker=[f"kafka://{host}" for host in cluster.options()["bootstrap_servers"]],
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
            table_standby_replicas=0,  # a table in memory is read from its beginning, standby or not
            datadir=data,
            autodiscover=False,
            stream_wait_empty=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            loop=asyncio.get_running_loop(),
        )
        self._app.changes = self.assignment.changes
        self._app.on_partitions_revoked.connect(self._revoked, weak=False)
        topic = self._app.topic(ANCHOR, key_serializer="raw", value_serializer="raw")
        self._app.agent(topic, name="anchor")(_drop)
        self._table: Any = self._app.Table(TABLE, key_type=bytes, value_type=bytes, partitions=partitions)
        self._table.on_recover(self._recovered)

    async def run(self, should_stop: asyncio.Event) -> int:
        """Work until told to stop.

        Returns:
            The exit status: 0 after an orderly end, STALLED or FAILED where the process has to start again.
        """
        starting = asyncio.create_task(self._app.start(), name="faust")
        ending: Ending | None = None
        try:
            while ending is None and not should_stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(should_stop.wait(), _LOOK_S)
                ending = self._failure(starting) or await self.assignment.look()
        finally:
            if ending is not None:
                self._reports.happened("worker.ends", **ending._asdict())
            await self._stop()
        return ending.status if ending is not None else 0

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

    # --- inside -------------------------------------------------------------------------------------------------------
    async def _revoked(self, *_: object, **__: object) -> None:
        await self.assignment.revoked()

    async def _recovered(self) -> None:
        actives = self._app.assignor.assigned_actives()
        await self.assignment.assigned(tp.partition for tp in actives if tp.topic == ANCHOR)

    def _failure(self, starting: asyncio.Task[None]) -> Ending | None:
        error = starting.exception() if starting.done() and not starting.cancelled() else None
        if error is None and not self._app.crashed:
            return None
        return Ending(FAILED, "faust has failed", repr(error or self._app.crash_reason))

    async def _stop(self) -> None:
        """Leave in order, within the deadline: partitions first, then the group, so that others take over at once."""
        until = time.monotonic() + self._settings.stop_s
        await self.assignment.end(self._settings.stop_s / 2)
        stopping = asyncio.create_task(self._app.stop())
        _, late = await asyncio.wait([stopping], timeout=max(until - time.monotonic(), 0.5))
        if late:
            self._reports.happened("worker.stop_is_late", seconds=self._settings.stop_s)


class _Faust(faust.App):
    """Tells the worker at the first sign of a rebalance, and does not let the broker hold its fetches for long."""

    changes: Callable[[], None]

    def on_rebalance_start(self) -> None:
        """The assignment is about to change."""
        super().on_rebalance_start()
        self.changes()

    def _new_transport(self) -> Transport:
        return _Transport(self.conf.broker_consumer, self)


class _Thread(AIOKafkaConsumerThread):
    """Faust has the broker hold an empty fetch for 1.5 s, behind which every step of a table's recovery would wait."""

    def _create_worker_consumer(self, transport: Transport) -> Any:  # noqa: ANN401  # aiokafka has no types
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _FETCH_MS  # noqa: SLF001  # Faust has no setting for it
        return consumer


class _Consumer(Consumer):
    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class _Transport(Transport):
    Consumer = _Consumer


async def _drop(stream: faust.StreamT[bytes]) -> None:
    async for _ in stream:
        pass


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
