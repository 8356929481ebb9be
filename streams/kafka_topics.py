"""The topics as a broker should have them: declared where they are missing, checked where they are there.

A worker that starts on a topic that is missing or has too few partitions does not fail, it waits for ever; so every
process checks its topics first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Final

from domain.errors import InputError, SettingsError
from domain.topics import MAX_MESSAGE_BYTES, TOPICS, Topic
from streams.kafka import START_S, FoundTopic, administered
from streams.kafka_settings import Cluster

SEGMENT_MS: Final = 3_600_000
"""Compaction leaves the segment that is written to alone, so a compacted topic closes one every hour."""

CHECKED: Final = ("cleanup.policy", "max.message.bytes", "retention.ms")
"""The settings that are compared with a broker's."""


_PAUSE_S: Final = 0.05


async def declare(
    cluster: Cluster,
    partitions: int,
    *,
    topics: Iterable[Topic] = TOPICS,
    replicas: int = 1,
    deadline_s: float = START_S,
) -> dict[str, int]:
    """Create the topics that are missing and check all: afterwards the broker has them as declared. Safe to repeat.

    Returns:
        The number of partitions of each topic.

    Raises:
        InputError: A number is not positive.
        SettingsError: A topic that was there differs, or one was refused.
        Unavailable: The broker did not answer in time.
    """
    for name, value in (("partitions", partitions), ("replicas", replicas)):
        if value < 1:
            raise InputError("must be positive", field=name, value=value)
    wanted = list(topics)
    until = time.monotonic() + deadline_s
    async with administered(cluster, deadline_s) as admin:
        present = await admin.names(until - time.monotonic())
        new = [topic for topic in wanted if topic.name not in present]
        for topic in new:
            count = partitions_of(topic, partitions)
            await admin.create(topic.name, count, replicas, config_of(topic), until - time.monotonic())
        while True:  # a new topic takes a moment to be described
            names = [topic.name for topic in wanted]
            found = await admin.describe(names, CHECKED, until - time.monotonic())
            if not new or len(found) == len(wanted) or time.monotonic() > until:
                break
            await asyncio.sleep(_PAUSE_S)
    return _checked(cluster, wanted, found, partitions)


async def verify(
    cluster: Cluster,
    *,
    topics: Iterable[Topic] = TOPICS,
    partitions: int | None = None,
    deadline_s: float = START_S,
) -> dict[str, int]:
    """Check that a broker has the topics as declared, and create nothing.

    Args:
        cluster: Where.
        topics: Those that are needed.
        partitions: Of the co-partitioned ones; None accepts any number that is the same for all.
        deadline_s: For all of it.

    Returns:
        The number of partitions of each topic.

    Raises:
        SettingsError: One is missing or differs: `problems` says which, what was found and what was expected.
        Unavailable: The broker did not answer in time.
    """
    wanted = list(topics)
    until = time.monotonic() + deadline_s
    async with administered(cluster, deadline_s) as admin:
        found = await admin.describe([topic.name for topic in wanted], CHECKED, until - time.monotonic())
    return _checked(cluster, wanted, found, partitions)


def config_of(topic: Topic) -> dict[str, str]:
    """Kafka's settings of a topic. Retention counts from when a message was sent, not from its event time."""
    config = {
        "cleanup.policy": "compact" if topic.is_compacted else "delete",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
        "retention.ms": str(topic.retention_ms),
    }
    if topic.is_compacted:
        config["segment.ms"] = str(SEGMENT_MS)
    return config


def partitions_of(topic: Topic, partitions: int) -> int:
    """How many partitions a topic has: those that share keys all have the same; the others one, which is in order."""
    return partitions if topic.is_co_partitioned else 1


def problems(topics: Iterable[Topic], found: Mapping[str, FoundTopic], partitions: int | None) -> list[str]:
    """What is not as declared, one line each: the topic, what was found, what was expected.

    Args:
        topics: Those that are needed.
        found: Those that the broker has.
        partitions: Of the co-partitioned ones; None accepts any number that is the same for all.
    """
    told: list[str] = []
    wanted = list(topics)
    counts = {t.name: found[t.name].partitions for t in wanted if t.is_co_partitioned and t.name in found}
    most = partitions if partitions is not None else max(counts.values(), default=1)
    for topic in wanted:
        there = found.get(topic.name)
        if there is None:
            told.append(f"{topic.name}: is missing")
            continue
        expected = partitions_of(topic, most)
        if there.partitions != expected:
            why = " like the topics that share its keys" if topic.is_co_partitioned else ""
            told.append(f"{topic.name}: has {_count(there.partitions)}, expected {expected}{why}")
        told += [f"{topic.name}: {line}" for line in _settings_problems(topic, there.config)]
    return told


def _settings_problems(topic: Topic, config: Mapping[str, str]) -> list[str]:
    told: list[str] = []
    for name, expected in config_of(topic).items():
        value = config.get(name)
        if name not in CHECKED or value is None or value == expected:
            continue
        if name == "cleanup.policy":
            told.append(f"{name} is {value}, expected {expected}")
        elif name == "retention.ms" and topic.is_compacted:
            continue  # the last value of a key stays for ever
        elif 0 <= int(value) < int(expected):  # -1 is without end
            told.append(f"{name} is {value}, expected at least {expected}")
    return told


def _count(partitions: int) -> str:
    return "1 partition" if partitions == 1 else f"{partitions} partitions"


def _checked(
    cluster: Cluster, wanted: list[Topic], found: Mapping[str, FoundTopic], partitions: int | None
) -> dict[str, int]:
    if told := problems(wanted, found, partitions):
        raise SettingsError("topics are not as declared", bootstrap=cluster.settings.bootstrap, problems=told)
    return {topic.name: found[topic.name].partitions for topic in wanted}
