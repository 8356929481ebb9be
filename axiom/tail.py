"""What a topic carries: of a run, from its journal while it grows; of a cluster, from Kafka as it comes."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import Any, Final

import msgspec
import orjson

from axiom.runs import RunFolder
from domain.errors import InputError
from domain.events_base import Event
from domain.frames import Frame
from domain.partitioning import partition_of
from domain.topics import BY_NAME, TOPICS, Topic
from streams.journal import JournalReader, segments
from streams.kafka_message import DeadLetter, Place
from streams.kafka_reader import BEGIN, END, Reader
from streams.kafka_settings import Cluster
from streams.kafka_topics import verify
from streams.messages import Arrived

_NAP_S: Final = 0.25


def topic_of(name: str) -> Topic:
    """A topic by its name, or by the end of it when that is unique.

    Raises:
        InputError: No topic, or more than one, has that name.
    """
    if name in BY_NAME:
        return BY_NAME[name]
    found = [topic for topic in TOPICS if topic.name.endswith(f".{name}")]
    if len(found) != 1:
        raise InputError("unknown topic", field="topic", value=name, known=", ".join(BY_NAME))
    return found[0]


def follow(folder: RunFolder, topic: Topic, is_alive: Callable[[], bool]) -> Iterator[Event]:
    """Events of a topic in journal order; while `is_alive`, wait for more.

    Raises:
        InputError: The run has no journal yet and is not alive.
    """
    names = frozenset(kind.__name__ for kind in topic.carries)
    while not segments(folder.journal):
        if not is_alive():
            raise InputError("the run has no journal", field="run", value=folder.path.name)
        time.sleep(_NAP_S)
    reader = JournalReader(folder.journal)
    while True:
        was_alive = is_alive()
        for record in reader.more():
            if record.message.schema in names:
                yield record.event()
        if not was_alive:
            return
        time.sleep(_NAP_S)


class Skipped:
    """Says what cannot be read, and goes on: the topic of dead letters is the workers' to fill."""

    def __init__(self, say: Callable[[DeadLetter], None]) -> None:
        self._say = say

    async def bury(self, letters: Iterable[DeadLetter], /) -> None:
        """Say each."""
        for letter in letters:
            self._say(letter)


async def subscribe(
    cluster: Cluster, topic: Topic, underlying: str, *, is_from_begin: bool = False
) -> AsyncGenerator[Arrived, None]:
    """Messages of a topic, without end: those that come from now on, or all that the broker keeps and then those.

    Args:
        cluster: Where.
        topic: Which.
        underlying: Only of this one, from its partition alone; empty takes all.
        is_from_begin: Begin with the oldest message that is kept.

    Raises:
        SettingsError: The topic is not there, or not as declared.
        Unavailable: No broker answered in time.
    """
    partitions = (await verify(cluster, topics=(topic,)))[topic.name]
    chosen = (partition_of(underlying, partitions),) if underlying else range(partitions)
    reader = await Reader.open(cluster, letters=Skipped(_say_skipped))
    try:
        await reader.assign({Place(topic.name, number): BEGIN if is_from_begin else END for number in chosen})
        while True:
            batch = await reader.read()
            for gap in batch.gaps:
                sys.stderr.write(f"{gap.place}: {gap.found - gap.expected} messages expired before they were read\n")
            for arrived in batch.messages:
                if not underlying or arrived.event.underlying == underlying:
                    yield arrived
    finally:
        await reader.close()


def _say_skipped(letter: DeadLetter) -> None:
    sys.stderr.write(f"{letter.place}@{letter.offset} cannot be read: {letter.reason}: {letter.error}\n")


def print_event(event: Event, rows: int, arrived: Arrived | None = None) -> None:
    """One line of JSON; of a frame its length and first rows; of a message also where it stands and who sent it."""
    value: dict[str, Any] = {"event": type(event).__name__}
    if arrived is not None:
        value |= {"topic": arrived.topic, "partition": arrived.partition, "offset": arrived.offset}
        value |= {"source": arrived.headers.source, "sequence": arrived.headers.sequence}
    for name in event.__struct_fields__:
        item = getattr(event, name)
        if isinstance(item, Frame):
            value["rows"] = len(item)
            value["frame"] = {column: values[:rows] for column, values in item.columns().items()}
        else:
            value[name] = msgspec.to_builtins(item)
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")
    sys.stdout.flush()
