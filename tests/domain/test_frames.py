"""Frames: columns of one length and of the declared types, compared by value."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InputError
from domain.frames import Frame, GreeksFrame, NbboFrame, PositionFrame

KINDS = sorted(Frame.__subclasses__(), key=lambda kind: kind.__name__)


def of(kind: type[Frame], size: int, seed: int = 0) -> Frame:
    """Any bits in every column."""
    random = np.random.default_rng(seed)
    return kind(
        **{name: np.frombuffer(random.bytes(size * dtype.itemsize), dtype) for name, dtype in kind.dtypes.items()}
    )


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_of_the_declared_type_contiguous_and_read_only(kind: type[Frame]) -> None:
    assert list(kind.dtypes) == [field.name for field in dataclasses.fields(kind)]
    wide = {name: np.arange(10).astype(dtype)[::2] for name, dtype in kind.dtypes.items()}
    frame = kind(**wide)
    assert len(frame) == 5
    for name, values in frame.columns().items():
        assert values.dtype == kind.dtypes[name]
        assert values.flags.c_contiguous
        assert not values.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_and_shapes_that_differ_are_refused_by_name(kind: type[Frame]) -> None:
    good = of(kind, 3).columns()
    last = list(kind.dtypes)[-1]
    with pytest.raises(InputError, match=f"length differs.*field='{last}' value=2 expected=3"):
        kind(**good | {last: good[last][:2]})
    with pytest.raises(InputError, match=f"one-dimensional.*field='{last}' value=2"):
        kind(**good | {last: np.zeros((3, 1), kind.dtypes[last])})
    with pytest.raises(InputError, match=f"column is missing.*field='{last}'"):
        kind.from_columns({name: values for name, values in good.items() if name != last})
    assert kind.from_columns(good | {"other": np.zeros(9)}) == kind(**good)


@pytest.mark.parametrize("kind", KINDS)
def test_equality_is_that_of_the_columns_nan_equal_to_nan(kind: type[Frame]) -> None:
    one, same = of(kind, 4), of(kind, 4)
    assert one == same
    assert one is not same
    assert kind.empty() == kind.empty()
    assert len(kind.empty()) == 0
    for name, values in one.columns().items():
        changed = values.copy()
        changed[2] = 1 if changed[2] != 1 else 2
        assert one != kind.from_columns(one.columns() | {name: changed})
    assert one != one.take(np.array([0, 1]))
    assert (one == 3) is False
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_nan_is_equal_to_nan_alone() -> None:
    columns = GreeksFrame.empty().columns()
    rows = {name: np.zeros(2, values.dtype) for name, values in columns.items()}
    bad = GreeksFrame.from_columns(rows | {"theo": np.array([np.nan, 1.0])})
    assert bad == GreeksFrame.from_columns(rows | {"theo": np.array([np.nan, 1.0])})
    assert bad != GreeksFrame.from_columns(rows | {"theo": np.array([0.0, 1.0])})


def test_frames_of_different_kinds_are_not_equal() -> None:
    assert PositionFrame.empty() != NbboFrame.empty()


@given(size=st.integers(0, 9), data=st.data())
def test_take_of_a_mask_is_take_of_its_rows(size: int, data: st.DataObject) -> None:
    frame = of(NbboFrame, size)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool)
    assert frame.take(mask) == frame.take(np.flatnonzero(mask))
    assert len(frame.take(mask)) == int(mask.sum())
    assert frame.take(np.arange(size)) == frame


@pytest.mark.parametrize("given_as", [np.float64, np.float32, np.int8, np.int64, np.uint64, np.dtype(">i4"), np.bool_])
def test_whole_numbers_in_any_form_become_the_declared_integers(given_as: npt.DTypeLike) -> None:
    numbers = np.array([0, 1, 1]).astype(given_as)
    frame = PositionFrame(contract=numbers, quantity=numbers)
    assert frame.contract.tolist() == frame.quantity.tolist() == [0, 1, 1]
    assert (frame.contract.dtype, frame.quantity.dtype) == (np.int32, np.int64)


@pytest.mark.parametrize(
    ("values", "row"),
    [
        ([1.0, 2.5], 1),
        ([np.nan], 0),
        ([0.0, np.inf], 1),
        ([1e300], 0),
        ([2.0**31], 0),
        ([-(2.0**31) - 1], 0),
        (np.array([7, 2**31], np.int64), 1),
        (np.array([-(2**31) - 1], np.int64), 0),
        (np.array([2**31], np.uint32), 0),
    ],
)
def test_numbers_that_an_integer_column_cannot_hold_are_refused_by_name(values: npt.ArrayLike, row: int) -> None:
    numbers = np.asarray(values)
    with pytest.raises(InputError, match="whole numbers in range") as caught:
        PositionFrame(contract=numbers, quantity=np.zeros(len(numbers), np.int64))
    fields = caught.value.fields
    assert (fields["field"], fields["row"], fields["type"]) == ("contract", row, "int32")
    np.testing.assert_equal(fields["value"], numbers[row].item())


@pytest.mark.parametrize("value", [2.0**63, np.uint64(2**63), np.uint64(2**64 - 1)])
def test_no_number_wraps_around_the_widest_integer(value: float) -> None:
    with pytest.raises(InputError, match="whole numbers in range"):
        PositionFrame(contract=np.zeros(1, np.int32), quantity=np.array([value]))
    low = PositionFrame(contract=np.zeros(1, np.int32), quantity=np.array([-(2.0**63)]))
    assert low.quantity.tolist() == [-(2**63)]


@given(st.lists(st.floats(width=64), max_size=5))
def test_a_frame_never_alters_a_number(values: list[float]) -> None:
    try:
        frame = PositionFrame(contract=np.zeros(len(values), np.int32), quantity=np.array(values, np.float64))
    except InputError:
        assert not all(np.isfinite(v) and v == int(v) and -(2**63) <= v < 2**63 for v in values)
    else:
        assert frame.quantity.tolist() == [int(v) for v in values]


@pytest.mark.parametrize("values", [np.array(["1"]), np.array([None]), np.array([1j])])
def test_what_is_no_number_is_refused_by_name(values: npt.NDArray[Any]) -> None:
    with pytest.raises(InputError, match=r"must be numeric.*field='quantity'"):
        PositionFrame(contract=np.zeros(1, np.int32), quantity=values)
    with pytest.raises(InputError, match=r"must be numeric.*field='theo'"):
        GreeksFrame.from_columns(GreeksFrame.empty().columns() | {"theo": values})
