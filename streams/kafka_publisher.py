"""Publishes messages in the order of their keys, in bounded memory, and says when the broker has them.

Promised: what `flush` or `acknowledged` waited for is on the broker's log; messages of one partition are there in the
order in which they were published; while the broker is slow or gone, memory holds `buffer_bytes` of messages that
each count, and the newest of each kind that supersede each other. Not promised: exactly once. A publisher that dies
leaves messages of which nobody knows whether they arrived; who publishes them again uses the same source and
sequence, and readers drop the second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from domain.errors import AxiomError, InputError, InvariantError, Unavailable
from domain.metrics import Metrics, NoMetrics
from domain.partitioning import partition_of
from domain.topics import BY_NAME, DEAD_LETTERS, MAX_PAYLOAD_BYTES
from streams.kafka import START_S, STOP_S, Sender
from streams.kafka_message import DeadLetter, Place
from streams.kafka_outbox import Lane, Waiting, waiting
from streams.kafka_settings import Cluster
from streams.messages import Outgoing


class Publisher:
    """Publishes through one connection. One task publishes for a key; several tasks may publish for different ones.

    Args:
        cluster: Where.
        partitions: Of each topic, as `declare` or `verify` found them.
        metrics: Where counts and times go.
    """

    def __init__(self, cluster: Cluster, partitions: Mapping[str, int], metrics: Metrics | None = None) -> None:
        self._cluster = cluster
        self._settings = cluster.settings
        self._partitions = dict(partitions)
        self._metrics = metrics or NoMetrics()
        self._sender: Sender | None = None
        self._lanes: dict[Place, Lane] = {}
        self._pumps: dict[Place, asyncio.Task[None]] = {}
        self._changed = asyncio.Condition()
        self._failure: AxiomError | None = None
        self.queued_bytes = 0
        self.superseded = 0

    @classmethod
    async def open(
        cls,
        cluster: Cluster,
        partitions: Mapping[str, int],
        metrics: Metrics | None = None,
        deadline_s: float = START_S,
    ) -> Self:
        """Connect.

        Raises:
            Unavailable: No broker answered in time.
        """
        publisher = cls(cluster, partitions, metrics)
        publisher._sender = await Sender.open(cluster, deadline_s)
        return publisher

    @property
    def failure(self) -> AxiomError | None:
        """Why nothing more can be published: a message was refused for good. The process must start again."""
        return self._failure

    async def publish(self, outgoing: Outgoing) -> None:
        """Publish a message. It returns when there is room for it, mostly at once, and does not wait for the broker.

        Raises:
            InputError: The message is too long, or its topic or partition is not known.
            Unavailable: There was no room for `publish_deadline_s`, or an earlier message was refused for good.
        """
        await self._put(self._place(outgoing), waiting(outgoing, time.monotonic_ns()))

    async def acknowledged(self, outgoing: Outgoing, deadline_s: float = START_S) -> int:
        """Publish a message, wait until the broker has it, and return its offset.

        Raises:
            InputError: As `publish`.
            Unavailable: As `publish`, or the broker did not have it in time: whether it will is not known.
        """
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        place = self._place(outgoing)
        return await self._awaited(place, waiting(outgoing, time.monotonic_ns(), done), done, deadline_s)

    async def bury(self, letters: Iterable[DeadLetter], deadline_s: float = START_S) -> None:
        """Put what could not be read on the topic of dead letters, and wait until it is there.

        Raises:
            Unavailable: It was not there in time.
        """
        for letter in letters:
            self._metrics.count("kafka.dead_letters", label=letter.reason)
            key, payload, headers = letter.forwarded(MAX_PAYLOAD_BYTES)
            done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            place = Place(DEAD_LETTERS.name, letter.place.partition % self._partitions.get(DEAD_LETTERS.name, 1))
            message = Waiting(key=key, payload=payload, headers=headers, queued_ns=time.monotonic_ns(), done=done)
            await self._awaited(place, message, done, deadline_s)

    async def flush(self, deadline_s: float = START_S) -> None:
        """Wait until the broker has everything that was published.

        Raises:
            Unavailable: It did not in time.
        """
        try:
            async with asyncio.timeout(deadline_s), self._changed:
                await self._changed.wait_for(self._is_settled)
        except TimeoutError as error:
            raise Unavailable(
                "messages were not acknowledged in time",
                bootstrap=self._settings.bootstrap,
                seconds=deadline_s,
                waiting=sum(len(lane) + lane.in_flight for lane in self._lanes.values()),
            ) from error
        self._refuse_if_failed()

    async def close(self, deadline_s: float = STOP_S) -> bool:
        """Send what waits, within the deadline, and disconnect.

        Returns:
            Whether the broker has everything that was published.
        """
        until = time.monotonic() + deadline_s
        is_clean = True
        try:
            await self.flush(deadline_s)
        except Unavailable:
            is_clean = False
        for pump in self._pumps.values():
            pump.cancel()
        await asyncio.gather(*self._pumps.values(), return_exceptions=True)
        self._fail(Unavailable("publisher was closed"))
        if self._sender is not None:
            await self._sender.close(max(until - time.monotonic(), 0.5))
        return is_clean

    def _place(self, outgoing: Outgoing) -> Place:
        count = self._partitions.get(outgoing.topic)
        if count is None:
            raise InputError("topic was not declared", field="topic", value=outgoing.topic)
        if len(outgoing.message.payload) > MAX_PAYLOAD_BYTES:
            raise InputError(
                "message is too long",
                field="payload",
                value=len(outgoing.message.payload),
                limit=MAX_PAYLOAD_BYTES,
                schema=outgoing.message.schema,
            )
        number = outgoing.partition
        if number is None or not BY_NAME[outgoing.topic].is_co_partitioned:
            number = partition_of(outgoing.key, count)
        if not 0 <= number < count:
            raise InputError("no such partition", field="partition", value=number, topic=outgoing.topic, count=count)
        return Place(outgoing.topic, number)

    async def _put(self, place: Place, message: Waiting) -> None:
        self._refuse_if_failed()
        if message.supersedes is None and self.queued_bytes + message.size > self._settings.buffer_bytes:
            await self._wait_for_room(place, message)
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = Lane(place)
            self._pumps[place] = asyncio.create_task(self._pump(lane), name=f"publish {place}")
        grown, has_superseded = lane.put(message)
        self.queued_bytes += grown
        if has_superseded:
            self.superseded += 1
            self._metrics.count("kafka.superseded", label=place.topic)

    async def _wait_for_room(self, place: Place, message: Waiting) -> None:
        self._metrics.count("kafka.blocked", label=place.topic)
        limit, seconds = self._settings.buffer_bytes, self._settings.publish_deadline_s
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(
                    lambda: self._failure is not None or self.queued_bytes + message.size <= limit
                )
        except TimeoutError as error:
            raise Unavailable(
                "broker is too slow: no room for a message",
                topic=place.topic,
                partition=place.partition,
                queued_bytes=self.queued_bytes,
                limit=limit,
                seconds=seconds,
            ) from error
        self._refuse_if_failed()

    async def _awaited(self, place: Place, message: Waiting, done: asyncio.Future[int], deadline_s: float) -> int:
        await self._put(place, message)
        try:
            async with asyncio.timeout(deadline_s):
                return await done
        except TimeoutError as error:
            raise Unavailable(
                "message was not acknowledged in time",
                topic=place.topic,
                partition=place.partition,
                seconds=deadline_s,
            ) from error

    async def _pump(self, lane: Lane) -> None:
        """Send what waits in one lane, a batch at a time, for as long as the publisher lives."""
        batch: list[Waiting] = []
        try:
            while True:
                await lane.wake.wait()
                batch = lane.take(self._settings.batch_bytes)
                first = await self._send(lane.place, batch)
                self._sent(lane, batch, first)
                batch = []
                async with self._changed:
                    self._changed.notify_all()
        except (Unavailable, InvariantError) as error:
            self._fail(error)
            async with self._changed:
                self._changed.notify_all()
        finally:
            _refuse(batch, Unavailable("whether the broker has the message is not known", topic=lane.place.topic))

    def _sent(self, lane: Lane, batch: Sequence[Waiting], first: int) -> None:
        now = time.monotonic_ns()
        for ordinal, message in enumerate(batch):
            self.queued_bytes -= message.size
            if message.done is not None and not message.done.done():
                message.done.set_result(first + ordinal if first >= 0 else -1)
        lane.settle()
        topic = lane.place.topic
        self._metrics.count("kafka.published", len(batch), topic)
        self._metrics.observe("kafka.publish.seconds", (now - batch[0].queued_ns) * 1e-9, topic)
        self._metrics.gauge("kafka.queued_bytes", self.queued_bytes)

    async def _send(self, place: Place, batch: list[Waiting]) -> int:
        if self._sender is None:
            raise InvariantError("publisher is not connected")
        while True:
            try:
                return await self._sender.send(
                    place.topic, place.partition, ((each.key, each.payload, each.headers) for each in batch)
                )
            except Unavailable as error:
                if self._settings.acks == "all" or not error.fields.get("is_passing"):
                    raise  # an idempotent producer retries by itself: what it gives up is lost for good
                await asyncio.sleep(self._settings.retry_backoff_ms * 1e-3)

    def _fail(self, error: AxiomError) -> None:
        """Nothing more can be published in order: a message was refused for good. The process starts again."""
        self._failure = self._failure or error
        for lane in self._lanes.values():
            _refuse(lane.take_all(), Unavailable("message was not sent", topic=lane.place.topic))

    def _is_settled(self) -> bool:
        return self._failure is not None or all(lane.is_idle for lane in self._lanes.values())

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise Unavailable("publisher has failed", error=str(self._failure)) from self._failure


def _refuse(messages: Iterable[Waiting], error: Unavailable) -> None:
    for message in messages:
        if message.done is not None and not message.done.done():
            message.done.set_exception(error)
