"""An underlying is on the partition on which Kafka's own clients would put it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InputError
from domain.partitioning import murmur2, partition_of


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # Apache Kafka 4.2, clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java, testMurmur2.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_that_of_the_java_client(data: bytes, expected: int) -> None:
    assert murmur2(data) == expected & 0xFFFFFFFF


def test_underlyings_stay_where_they_are() -> None:
    """A change would move the log of a running system to other partitions."""
    placed = {name: partition_of(name, 4) for name in ("GOOG", "SPY", "AAPL", "SPX", "BRK.B", "")}
    assert placed == {"GOOG": 1, "SPY": 3, "AAPL": 1, "SPX": 0, "BRK.B": 3, "": 1}


@given(st.text(max_size=12), st.integers(1, 64))
def test_every_underlying_has_a_partition(underlying: str, partitions: int) -> None:
    assert 0 <= partition_of(underlying, partitions) < partitions


@pytest.mark.parametrize("partitions", [0, -1])
def test_no_partitions_are_refused(partitions: int) -> None:
    with pytest.raises(InputError, match="partitions"):
        partition_of("GOOG", partitions)
