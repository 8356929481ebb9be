"""References to applied inputs: (topic, offset) pairs in the order in which they were applied, a few bytes each.

They ride in a header of the messages on an effects topic (`docs/decisions/0004-ownership-and-recovery-on-kafka.md`).
An owner reads one partition of each of its topics, so the partition is not repeated. Encoded as unsigned LEB128
integers: the ordinal of the first reference, then for each the index of its topic and the zigzag of its offset's
difference from the one before it in that topic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from domain.errors import DataError

_MORE: Final = 0x80
_MAX_BYTES: Final = 10


class Reference(NamedTuple):
    """One applied input."""

    topic: str
    offset: int


class Applied(NamedTuple):
    """A stretch of applied inputs. `first` is the ordinal of the first one since the shard began."""

    first: int
    references: tuple[Reference, ...]


def encode_applied(applied: Applied, topics: Sequence[str]) -> bytes:
    """Write a stretch.

    Args:
        applied: What was applied.
        topics: The topics of the group, in its order; the reader has the same.
    """
    index = {topic: place for place, topic in enumerate(topics)}
    last = [0] * len(topics)
    out = bytearray()
    _put(out, applied.first)
    for topic, offset in applied.references:
        place = index[topic]
        change = offset - last[place]
        last[place] = offset
        _put(out, place)
        _put(out, change << 1 if change >= 0 else (-change << 1) - 1)
    return bytes(out)


def decode_applied(data: bytes, topics: Sequence[str]) -> Applied:
    """Read a stretch.

    Raises:
        DataError: It is cut off, or names a topic that the group does not have.
    """
    last = [0] * len(topics)
    references: list[Reference] = []
    first, at = _take(data, 0)
    while at < len(data):
        place, at = _take(data, at)
        coded, at = _take(data, at)
        if place >= len(topics):
            raise DataError("reference to an unknown topic", topic=place, topics=len(topics))
        last[place] += -((coded + 1) >> 1) if coded & 1 else coded >> 1
        references.append(Reference(topics[place], last[place]))
    return Applied(first, tuple(references))


def _put(out: bytearray, value: int) -> None:
    while value >= _MORE:
        out.append(value & (_MORE - 1) | _MORE)
        value >>= 7
    out.append(value)


def _take(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for place in range(at, min(at + _MAX_BYTES, len(data))):
        value |= (data[place] & (_MORE - 1)) << shift
        if data[place] < _MORE:
            return value, place + 1
        shift += 7
    raise DataError("references are cut off", position=at, length=len(data))
