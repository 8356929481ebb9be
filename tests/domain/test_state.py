"""A snapshot gives back what it took, bit for bit, and nothing else passes for one."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from domain.errors import DataError
from domain.state import pack, unpack

ARRAYS = hnp.arrays(
    st.sampled_from(["f8", "f4", "i8", "i4", "i2", "i1", "u8", "?", "S3", "U2"]),
    hnp.array_shapes(min_dims=0, min_side=0),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=5), st.binary(max_size=5)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@pytest.mark.fuzz
@given(state=st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_plain_values_come_back_equal(state: dict[str, Any]) -> None:
    assert unpack("k", 1, pack("k", 1, state)) == state


@pytest.mark.fuzz
@given(array=ARRAYS)
def test_arrays_come_back_bit_for_bit_and_writable(array: np.ndarray[Any, Any]) -> None:
    found = unpack("k", 1, pack("k", 1, {"a": array, "b": [array.T]}))
    for mine, theirs in ((array, found["a"]), (array.T, found["b"][0])):
        assert (theirs.dtype, theirs.shape) == (mine.dtype, mine.shape)
        assert theirs.tobytes() == mine.tobytes()
        assert theirs.flags.writeable


@given(bits=st.integers(0, 2**64 - 1))
def test_floats_come_back_bit_for_bit(bits: int) -> None:
    (number,) = struct.unpack("<d", struct.pack("<Q", bits))
    found = unpack("k", 1, pack("k", 1, {"x": number, "y": np.float64(number)}))
    if number == number:  # noqa: PLR0124  # a NaN keeps being one; its payload is nobody's state
        assert struct.pack("<d", found["x"]) == struct.pack("<d", number) == struct.pack("<d", found["y"])
    else:
        assert np.isnan([found["x"], found["y"]]).all()


def test_restored_array_is_a_copy() -> None:
    data = pack("k", 1, {"a": np.arange(3)})
    unpack("k", 1, data)["a"][0] = 9
    assert unpack("k", 1, data)["a"].tolist() == [0, 1, 2]


def test_tuples_come_back_as_lists_and_numpy_scalars_plain() -> None:
    found = unpack("k", 1, pack("k", 1, {"t": (1, (2,)), "i": np.int32(4), "b": np.bool_(1)}))
    assert found == {"t": [1, [2]], "i": 4, "b": True}
    assert type(found["b"]) is bool


@pytest.mark.parametrize("value", [object(), np.array([object()]), np.zeros(2, [("a", "i4")])])
def test_what_would_not_come_back_is_refused(value: object) -> None:
    """An array of objects is one of addresses, and a structured one loses its names."""
    with pytest.raises(TypeError, match="cannot hold"):
        pack("k", 1, {"v": value})


@pytest.mark.fuzz
@given(cut=st.integers(0, 60), noise=st.binary(max_size=12))
def test_damaged_bytes_are_a_data_error(cut: int, noise: bytes) -> None:
    data = pack("k", 1, {"a": np.arange(4), "b": "text"})
    with pytest.raises(DataError):
        unpack("k", 1, data[: min(cut, len(data) - 1)])
    with pytest.raises(DataError):
        unpack("k", 1, noise)


def test_snapshot_of_another_kind_or_version_is_refused() -> None:
    data = pack("quoter", 2, {})
    for kind, version in (("hedger", 2), ("quoter", 1), ("quoter", 3)):
        with pytest.raises(DataError, match="another kind"):
            unpack(kind, version, data)
