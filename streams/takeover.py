"""How a new owner gets to where the last one was: claim, read the log, fetch the inputs that it names, repeat.

The rules are `streams.ownership`'s; here are the reads and the deadlines.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from domain.errors import Unavailable
from streams.kafka_message import Place
from streams.kafka_publisher import Publisher
from streams.kafka_reader import BEGIN, Reader
from streams.messages import Arrived, Outgoing
from streams.ownership import Partition, Tenure
from streams.references import Reference


class Taken(NamedTuple):
    """What a takeover came to.

    Attributes:
        epoch: Ours.
        repeated: Inputs of earlier owners that were applied again.
        leaving: What must be published before anything else.
    """

    epoch: int
    repeated: int
    leaving: list[Outgoing]


async def take_over(partition: Partition, reader: Reader, publisher: Publisher, owner: str, quiet_s: float) -> Taken:
    """Make `owner` the owner of a partition that is empty or restored, and bring it to where the last owner was.

    Args:
        partition: The partition; afterwards it may take what comes.
        reader: Reads for it alone; its assignment is not kept.
        publisher: Publishes the claim.
        owner: Name of this process.
        quiet_s: Reading is given up after so long without a message.

    Raises:
        InvariantError: The log or the inputs do not give the state that they should: the partition may not act.
        Unavailable: The broker was away.
    """
    wanted, reader.wanted = reader.wanted, None
    try:
        epoch = -1
        while epoch < 0:  # the broker may have a claim and not tell where: then another one settles it
            epoch = await publisher.acknowledged(partition.claim(owner, time.time_ns()))
        effects = Place(partition.group.effects, partition.number)
        log: list[Arrived] = []
        if partition.effects_position < epoch:
            start = partition.effects_position or BEGIN
            log = [arrived async for arrived in _stretch(reader, {effects: (start, epoch)}, quiet_s)]
        tenures = partition.tenures(log, epoch)
        inputs = await _inputs(partition.streams, tenures, reader, quiet_s)
        parts: list[list[Outgoing]] = []
        for part in partition.repeating(tenures, inputs, epoch):
            parts.append(part)
            await asyncio.sleep(0)  # other partitions of this process go on
    finally:
        reader.wanted = wanted
    leaving = [message for part in (parts[-1], *parts[:-1]) for message in part]
    return Taken(epoch, len(inputs), leaving)


async def _inputs(
    streams: Mapping[str, Place], tenures: Sequence[Tenure], reader: Reader, quiet_s: float
) -> dict[Reference, Arrived]:
    """The messages that tenures name. One that the broker has not kept is left out."""
    names = {place: stream for stream, place in streams.items()}
    wanted = {reference for tenure in tenures for reference in tenure.references}
    ends: dict[Place, tuple[int, int]] = {}
    for stream, place in streams.items():
        offsets = [reference.offset for reference in wanted if reference.topic == stream]
        if offsets:
            ends[place] = (min(offsets), max(offsets) + 1)
    found: dict[Reference, Arrived] = {}
    async for arrived in _stretch(reader, ends, quiet_s):
        reference = Reference(names[Place(arrived.topic, arrived.partition)], arrived.offset)
        if reference in wanted:
            found[reference] = arrived
    return found


async def _stretch(reader: Reader, ends: Mapping[Place, tuple[int, int]], quiet_s: float) -> AsyncIterator[Arrived]:
    """Messages of some partitions from one offset to another, which is not among them."""
    await reader.assign({place: start for place, (start, _) in ends.items()})
    until = time.monotonic() + quiet_s
    ahead = dict(ends)
    while ahead:
        batch = await reader.read()
        for arrived in batch.messages:
            if arrived.offset < ends[Place(arrived.topic, arrived.partition)][1]:
                yield arrived
        if batch.messages or batch.gaps or batch.buried:
            until = time.monotonic() + quiet_s
        done = [place for place, (_, end) in ahead.items() if reader.positions[place] >= end]
        reader.pause(done)
        for place in done:
            del ahead[place]
        if ahead and time.monotonic() > until:
            place = next(iter(ahead))
            raise Unavailable(
                "what earlier owners did cannot be read", place=str(place), at=reader.positions[place], seconds=quiet_s
            )
    reader.resume(ends)
