"""The only door to aiokafka: connections, topics, batches out and records in, with deadlines everywhere.

It is narrow, so that another client could take its place: `streams.kafka_publisher` and `streams.kafka_reader` hold
what we do with it. A broker that is away at the start is Unavailable after a deadline; later the clients reconnect by
themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaError,
    KafkaTimeoutError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownMemberIdError,
    for_code,
)

from domain.errors import InvariantError, SettingsError, Unavailable
from domain.topics import MAX_MESSAGE_BYTES
from streams.kafka_message import Place, RawHeaders
from streams.kafka_settings import Cluster, KafkaSettings

T = TypeVar("T")
START_S: Final = 30.0
STOP_S: Final = 10.0
_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 2.0


async def answers(bootstrap: str, deadline_s: float = 2.0) -> bool:
    """Whether a broker without security answers at `host:port`, and has a controller."""
    cluster = Cluster.of(KafkaSettings(bootstrap=bootstrap, request_timeout_s=deadline_s), {})
    try:
        async with administered(cluster, deadline_s) as admin:
            return await admin.has_controller(deadline_s)
    except Unavailable:
        return False


@contextlib.asynccontextmanager
async def administered(cluster: Cluster, deadline_s: float = START_S) -> AsyncIterator[Admin]:
    """Connect to declare and describe topics.

    Raises:
        Unavailable: No broker answered in time.
    """
    client = await _started(lambda: AIOKafkaAdminClient(**cluster.options()), deadline_s, cluster)
    try:
        yield Admin(cluster, client)
    finally:
        await _stopped(client.close(), None, 1.0, None)


class FoundTopic(NamedTuple):
    """A topic as a broker describes it."""

    partitions: int
    config: Mapping[str, str]


class Admin:
    """Declares and describes topics. Every call raises Unavailable at its deadline."""

    def __init__(self, cluster: Cluster, client: Any) -> None:  # noqa: ANN401  # aiokafka has no types
        self._cluster = cluster
        self._client = client

    async def has_controller(self, deadline_s: float) -> bool:
        """Whether the cluster has brokers and a controller."""
        found = await within(self._client.describe_cluster(), deadline_s, "describe the cluster", self._cluster)
        return bool(found["brokers"]) and found["controller_id"] >= 0

    async def cluster_id(self, deadline_s: float) -> str:
        """What the cluster calls itself: a name that no other cluster has."""
        found = await within(self._client.describe_cluster(), deadline_s, "describe the cluster", self._cluster)
        return str(found["cluster_id"])

    async def names(self, deadline_s: float) -> frozenset[str]:
        """The topics that there are."""
        return frozenset(await within(self._client.list_topics(), deadline_s, "list topics", self._cluster))

    async def create(
        self, name: str, partitions: int, replicas: int, config: Mapping[str, str], deadline_s: float
    ) -> None:
        """Create a topic. That somebody else did so at the same time is no error.

        Raises:
            SettingsError: The broker refused it.
        """
        new = NewTopic(name, partitions, replicas, topic_configs=dict(config))
        answer = await within(self._client.create_topics([new]), deadline_s, "create a topic", self._cluster)
        for _, code, *told in answer.topic_errors:
            if code and (error := for_code(code)) is not TopicAlreadyExistsError:
                raise SettingsError(
                    "topic was refused", topic=name, error=error.__name__, broker=told[0] if told else ""
                )

    async def describe(self, names: Sequence[str], settings: Sequence[str], deadline_s: float) -> dict[str, FoundTopic]:
        """The topics that there are of those, with the named settings."""
        until = time.monotonic() + deadline_s
        work = self._client.describe_topics(list(names))
        described = await within(work, deadline_s, "describe topics", self._cluster)
        counts = {topic["topic"]: len(topic["partitions"]) for topic in described if topic["error_code"] == 0}
        if not counts:
            return {}
        asked = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(settings, "")) for name in counts]
        work = self._client.describe_configs(asked)
        answers = await within(work, _left(until), "describe topics", self._cluster)
        configs = {
            name: {entry[0]: entry[1] for entry in entries}
            for answer in answers
            for code, _, _, name, entries in answer.resources
            if code == 0
        }
        return {name: FoundTopic(counts[name], configs.get(name, {})) for name in names if name in counts}


async def within(work: Awaitable[T], deadline_s: float, what: str, cluster: Cluster) -> T:
    """Wait for an answer of the broker.

    Raises:
        Unavailable: It did not come in time, or it was an error.
    """
    try:
        async with asyncio.timeout(max(deadline_s, 0.0)):
            return await work
    except (TimeoutError, KafkaTimeoutError) as error:
        raise Unavailable(
            "broker did not answer in time",
            what=what,
            bootstrap=cluster.settings.bootstrap,
            seconds=round(deadline_s, 3),
        ) from error
    except KafkaError as error:
        raise Unavailable(
            "broker refused", what=what, bootstrap=cluster.settings.bootstrap, error=f"{type(error).__name__}: {error}"
        ) from error


class Sender:
    """Sends batches to one partition at a time each, in order."""

    def __init__(self, cluster: Cluster, producer: Any) -> None:  # noqa: ANN401  # aiokafka has no types
        self._cluster = cluster
        self._producer = producer

    @classmethod
    async def open(cls, cluster: Cluster, deadline_s: float = START_S) -> Self:
        """Connect.

        Raises:
            Unavailable: No broker answered in time.
        """
        settings = cluster.settings
        producer = await _started(
            lambda: AIOKafkaProducer(
                **cluster.options(),
                acks="all" if settings.acks == "all" else 1,
                enable_idempotence=settings.acks == "all",
                compression_type=None if settings.compression == "none" else settings.compression,
                linger_ms=settings.linger_ms,
                max_batch_size=settings.batch_bytes,
                max_request_size=MAX_MESSAGE_BYTES,
            ),
            deadline_s,
            cluster,
        )
        return cls(cluster, producer)

    async def send(
        self, topic: str, partition: int, messages: Iterable[tuple[bytes | None, bytes | None, RawHeaders]]
    ) -> int:
        """Send messages as one batch and wait until the broker has it, however long that takes; cancel it to give up.

        Messages must fit into `batch_bytes` together, or be one. With `acks` of `all` a batch is retried under its
        first number, so it is on the log once.

        Returns:
            The offset of the first; -1 where the broker had it already and does not tell.

        Raises:
            Unavailable: The broker refused it; whether it is on the log is not known.
        """
        batch = self._producer.create_batch()
        for key, payload, headers in messages:
            if batch.append(key=key, value=payload, timestamp=None, headers=list(headers)) is None:
                raise InvariantError("batch is full", topic=topic, partition=partition, size=batch.size())
        try:
            sent = await (await self._producer.send_batch(batch, topic, partition=partition))
        except KafkaError as error:
            raise Unavailable(
                "broker refused a batch",
                topic=topic,
                partition=partition,
                error=f"{type(error).__name__}: {error}",
                is_passing=bool(error.retriable),
            ) from error
        return int(sent.offset)

    async def close(self, deadline_s: float = STOP_S) -> None:
        """Disconnect. What is on its way may or may not arrive."""
        # A stop waits for batches, and an idempotent batch is retried without end: it is given up at the deadline.
        await _stopped(self._producer.stop(), self._producer.client, deadline_s, self._producer._sender.sender_task)  # noqa: SLF001


class Fetcher:
    """Fetches records of partitions that it is given; it joins no group."""

    def __init__(self, cluster: Cluster, consumer: Any) -> None:  # noqa: ANN401  # aiokafka has no types
        self._cluster = cluster
        self._consumer = consumer

    @classmethod
    async def open(cls, cluster: Cluster, group: str | None, deadline_s: float = START_S) -> Self:
        """Connect. A group only names where positions are committed.

        Raises:
            Unavailable: No broker answered in time.
        """
        consumer = await _started(
            lambda: AIOKafkaConsumer(
                **cluster.options(),
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="none",
                max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
                fetch_max_wait_ms=cluster.settings.fetch_wait_ms,
            ),
            deadline_s,
            cluster,
        )
        return cls(cluster, consumer)

    def assign(self, positions: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets, and no others. What was fetched of others is dropped."""
        places = [TopicPartition(*place) for place in positions]
        self._consumer.assign(places)
        for place in places:
            self._consumer.seek(place, positions[Place(*place)])

    def seek(self, place: Place, offset: int) -> None:
        """Go on at another offset."""
        self._consumer.seek(TopicPartition(*place), offset)

    def pause(self, places: Iterable[Place], *, is_paused: bool = True) -> None:
        """Fetch nothing more of these partitions, or go on with them where they were."""
        chosen = [TopicPartition(*place) for place in places]
        (self._consumer.pause if is_paused else self._consumer.resume)(*chosen)

    async def fetch(self, limit: int, wait_s: float) -> dict[Place, list[Any]]:
        """Take up to `limit` records, waiting for the first no longer than `wait_s`. Empty while the broker is away.

        Raises:
            Expired: The broker has not kept a position.
            Unavailable: The broker refused.
        """
        try:
            found = await self._consumer.getmany(timeout_ms=round(wait_s * 1e3), max_records=limit)
        except OffsetOutOfRangeError as error:
            raise Expired([Place(*place) for place in error.args[0]]) from error
        except KafkaError as error:
            raise Unavailable("broker refused to be read", error=f"{type(error).__name__}: {error}") from error
        return {Place(*place): records for place, records in found.items()}

    async def bounds(self, places: Iterable[Place], deadline_s: float) -> dict[Place, tuple[int, int]]:
        """First offset that the broker keeps, and the next that it will give.

        Raises:
            Unavailable: The broker did not answer in time.
        """
        asked = [TopicPartition(*place) for place in places]
        until = time.monotonic() + deadline_s
        begin = await within(self._consumer.beginning_offsets(asked), deadline_s, "read offsets", self._cluster)
        end = await within(self._consumer.end_offsets(asked), _left(until), "read offsets", self._cluster)
        return {Place(*place): (begin[place], end[place]) for place in asked}

    async def committed(self, places: Iterable[Place], deadline_s: float) -> dict[Place, int]:
        """The positions that the group committed; those without one are left out.

        Raises:
            Unavailable: The broker did not answer in time.
        """
        until = time.monotonic() + deadline_s
        found: dict[Place, int] = {}
        for place in places:
            work = self._consumer.committed(TopicPartition(*place))
            offset = await within(work, _left(until), "read committed positions", self._cluster)
            if offset is not None:
                found[place] = offset
        return found

    async def commit(self, positions: Mapping[Place, int], deadline_s: float) -> bool:
        """Note what was dealt with: the next offset of each partition.

        Returns:
            False where the broker refused because the group has members: then they, not we, decide.

        Raises:
            Unavailable: The broker did not answer in time.
        """
        offsets = {TopicPartition(*place): offset for place, offset in positions.items()}
        try:
            async with asyncio.timeout(deadline_s):
                await self._consumer.commit(offsets)
        except (CommitFailedError, UnknownMemberIdError, IllegalGenerationError):
            return False
        except (TimeoutError, KafkaError) as error:
            raise Unavailable(
                "positions were not committed", seconds=deadline_s, error=f"{type(error).__name__}: {error}"
            ) from error
        return True

    async def close(self, deadline_s: float = STOP_S) -> None:
        """Disconnect."""
        await _stopped(self._consumer.stop(), self._consumer._client, deadline_s, None)  # noqa: SLF001  # no public name


class Expired(Exception):  # a condition, which the reader turns into a gap
    """Positions that the broker has not kept."""

    def __init__(self, places: list[Place]) -> None:
        super().__init__(places)
        self.places = places


async def _started(make: Callable[[], Any], deadline_s: float, cluster: Cluster) -> Any:  # noqa: ANN401
    """A client that has connected; each attempt has a new one, with longer pauses between."""
    until = time.monotonic() + deadline_s
    pause = _BACKOFF_S
    while True:
        client = make()
        try:
            async with asyncio.timeout(max(_left(until), 0.001)):
                await client.start()
        except (TimeoutError, KafkaError) as error:
            await _stopped(
                client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop(), None, 1.0, None
            )
            if _left(until) <= pause:
                raise Unavailable(
                    "broker cannot be reached",
                    bootstrap=cluster.settings.bootstrap,
                    seconds=deadline_s,
                    error=f"{type(error).__name__}: {error}",
                ) from error
        else:
            return client
        await asyncio.sleep(pause)
        pause = min(2.0 * pause, _LONGEST_BACKOFF_S)


async def _stopped(stop: Awaitable[Any], client: Any, deadline_s: float, task: asyncio.Task[Any] | None) -> None:  # noqa: ANN401
    """Wait for a client to stop; at the deadline close its connections under it."""
    stopping = asyncio.ensure_future(stop)
    done, _ = await asyncio.wait([stopping], timeout=deadline_s)
    if not done:
        if task is not None:
            task.cancel()
        if client is not None:
            await client.close()
        done, _ = await asyncio.wait([stopping], timeout=1.0)
        if not done:
            stopping.cancel()
            with contextlib.suppress(asyncio.CancelledError, KafkaError):
                await stopping
            return
    with contextlib.suppress(KafkaError, asyncio.CancelledError):
        stopping.result()


def _left(until: float) -> float:
    return until - time.monotonic()
