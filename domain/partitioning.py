"""Which partition an underlying is on: the same everywhere, and the same as Kafka's own clients choose.

The hash is murmur2 over the UTF-8 key, its sign bit cleared, modulo the number of partitions. That is what Java's
default partitioner does, librdkafka's `murmur2_random`, KafkaJS and aiokafka, so a message that a stranger produces
with the underlying as its key lands where ours do. Partition counts may not change while a run lives: underlyings
would move.

Source: org.apache.kafka.common.utils.Utils.murmur2 (Apache Kafka 0.8.2 and later); A. Appleby, MurmurHash2.
"""

from __future__ import annotations

import functools
from typing import Final

from domain.errors import InputError

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Hash bytes to 32 bits, unsigned."""
    h = _SEED ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


@functools.cache
def partition_of(underlying: str, partitions: int) -> int:
    """The partition of an underlying's messages.

    Raises:
        InputError: `partitions` is not positive.
    """
    if partitions < 1:
        raise InputError("must be positive", field="partitions", value=partitions)
    return (murmur2(underlying.encode()) & 0x7FFFFFFF) % partitions
