from __future__ import annotations

import csv
import datetime as dt
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from domain.errors import InputError
from domain.price import (
    BREAK,
    NEGATIVE,
    NICKEL_DIME,
    NOT_A_NUMBER,
    OK,
    PENNY,
    PENNY_ALL,
    PRICE_SCALE,
    TICK_CLASSES,
    TOO_LARGE,
    TickClass,
    from_units,
    from_units_column,
    is_on_tick,
    next_down,
    next_up,
    round_down,
    round_nearest,
    round_up,
    tick_class,
    tick_class_from_prices,
    tick_columns,
    to_units,
    to_units_column,
)
from domain.ticks_table import CLASS_TICKS

ticks = st.sampled_from(TICK_CLASSES)
units = hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(0, 10**10) | st.integers(29_000, 31_000))
dollars = hnp.arrays(
    np.float64,
    st.integers(1, 30),
    elements=st.floats(0.0, 1e6) | st.floats(2.9, 3.1) | st.integers(0, 9999).map(lambda c: c / 100),
)
anything = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(width=64))
ROUNDERS = (round_down, round_up, round_nearest)


@given(units, ticks)
def test_rounding_brackets_a_price_in_units(price: npt.NDArray[Any], tick: TickClass) -> None:
    low, high, near = (rounder(price, tick) for rounder in ROUNDERS)
    assert (low <= price).all()
    assert (price <= high).all()
    assert ((near == low) | (near == high)).all()
    assert (np.abs(near - price) == np.minimum(price - low, high - price)).all()
    width = np.where(price < BREAK, tick.below, tick.above)
    assert (high - low <= width).all()


@given(dollars, ticks)
def test_rounding_brackets_a_price_in_dollars(price: npt.NDArray[Any], tick: TickClass) -> None:
    low, high, near = (rounder(price, tick) / PRICE_SCALE for rounder in ROUNDERS)
    assert (low <= price + 1e-8).all()
    assert (price <= high + 1e-8).all()
    assert ((near == low) | (near == high)).all()


@given(anything | units, ticks)
def test_whatever_goes_in_what_comes_out_stands_on_the_grid(price: npt.NDArray[Any], tick: TickClass) -> None:
    for rounder in ROUNDERS:
        rounded = rounder(price, tick)
        assert rounded.dtype == np.int64
        assert rounded.shape == price.shape
        assert is_on_tick(rounded, tick).all()
        assert (rounder(rounded, tick) == rounded).all()


@given(units | dollars, ticks)
def test_rounding_keeps_order(price: npt.NDArray[Any], tick: TickClass) -> None:
    ordered = np.sort(price)
    for rounder in ROUNDERS:
        assert (np.diff(rounder(ordered, tick)) >= 0).all()


@given(hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(0, 10**8)), ticks)
def test_dollars_on_the_grid_do_not_move(cents: npt.NDArray[Any], tick: TickClass) -> None:
    on_grid = round_down(cents, tick)
    for rounder in ROUNDERS:
        assert (rounder(on_grid / PRICE_SCALE, tick) == on_grid).all()


@given(units, ticks)
def test_a_tick_up_and_a_tick_down_cancel(price: npt.NDArray[Any], tick: TickClass) -> None:
    on_grid = round_down(price, tick)
    up = next_up(on_grid, tick)
    assert (up > on_grid).all()
    assert is_on_tick(up, tick).all()
    assert (next_down(up, tick) == on_grid).all()
    assert (round_down(up - 1, tick) == on_grid).all()


@pytest.mark.parametrize(
    ("price", "tick", "down", "up", "nearest"),
    [
        (2.97, NICKEL_DIME, 2.95, 3.00, 2.95),
        (2.98, NICKEL_DIME, 2.95, 3.00, 3.00),
        (2.975, NICKEL_DIME, 2.95, 3.00, 3.00),
        (3.00, NICKEL_DIME, 3.00, 3.00, 3.00),
        (3.0001, NICKEL_DIME, 3.00, 3.10, 3.00),
        (3.04, NICKEL_DIME, 3.00, 3.10, 3.00),
        (2.995, PENNY, 2.99, 3.00, 3.00),
        (3.01, PENNY, 3.00, 3.05, 3.00),
        (3.01, PENNY_ALL, 3.01, 3.01, 3.01),
        (0.04, NICKEL_DIME, 0.0, 0.05, 0.05),
        (0.3, NICKEL_DIME, 0.3, 0.3, 0.3),  # 0.3 * 10,000 is 2999.9999999999995 in some orders of arithmetic
        (2.95, NICKEL_DIME, 2.95, 2.95, 2.95),
    ],
)
def test_around_three_dollars(price: float, tick: TickClass, down: float, up: float, nearest: float) -> None:
    for rounder, expected in zip(ROUNDERS, (down, up, nearest), strict=True):
        assert rounder(price, tick) == to_units(expected)
        assert rounder(np.array([to_units(price)]), tick).tolist() == [to_units(expected)]


def test_no_price_becomes_no_side() -> None:
    bad = np.array([math.nan, math.inf, -math.inf, -1.0, 0.0, 1e12])
    for rounder in ROUNDERS:
        assert rounder(bad, PENNY).tolist() == [0] * 6
        assert rounder(np.array([-1, 0]), PENNY).tolist() == [0, 0]


@given(hnp.arrays(np.int64, 8, elements=st.integers(0, 10**6)), st.lists(ticks, min_size=8, max_size=8))
def test_a_batch_of_several_classes_rounds_as_each_alone(price: npt.NDArray[Any], each: list[TickClass]) -> None:
    columns = tick_columns(TICK_CLASSES, [TICK_CLASSES.index(tick) for tick in each])
    for rounder in ROUNDERS:
        alone = [int(rounder(price[i : i + 1], tick)[0]) for i, tick in enumerate(each)]
        assert rounder(price, columns).tolist() == alone


@given(units)
def test_each_grid_contains_the_coarser_one(price: npt.NDArray[Any]) -> None:
    for coarse, fine in itertools.pairwise(TICK_CLASSES):
        assert is_on_tick(round_down(price, coarse), fine).all()


# --- Dollars and units ------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**10))
def test_units_to_dollars_and_back(count: int) -> None:
    assert to_units(from_units(count)) == count
    column, status = to_units_column([from_units(count)])
    assert (column[0], status[0]) == (count, OK)


@pytest.mark.parametrize("price", [math.nan, math.inf, -math.inf, -0.01, 1_000_001.0])
def test_a_number_that_is_no_price_is_refused(price: float) -> None:
    with pytest.raises(InputError) as refused:
        to_units(price)
    assert refused.value.fields["field"] == "price"


def test_negative_units_are_refused() -> None:
    with pytest.raises(InputError, match="negative"):
        from_units(-1)


def test_a_bad_row_does_not_stop_the_batch_and_is_never_silent() -> None:
    column, status = to_units_column([1.0, math.nan, -1.0, 2e6, 0.0, -math.inf, math.inf])
    assert column.tolist() == [10_000, 0, 0, 0, 0, 0, 0]
    assert status.tolist() == [OK, NOT_A_NUMBER, NEGATIVE, TOO_LARGE, OK, NEGATIVE, TOO_LARGE]


def test_no_side_is_not_a_number_in_dollars() -> None:
    assert np.isnan(from_units_column([0, -5])).all()
    assert from_units_column([12_345]).tolist() == [1.2345]


# --- Classes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "day", "tick"),
    [
        ("GOOG", dt.date(2015, 12, 24), NICKEL_DIME),
        ("TWX", dt.date(2014, 6, 6), PENNY),
        ("SPY", dt.date(2023, 9, 14), PENNY_ALL),
        ("SPY", dt.date(2009, 12, 31), PENNY),
        ("SPY", dt.date(2010, 2, 1), PENNY_ALL),
        ("MSFT", dt.date(2007, 2, 1), NICKEL_DIME),
        ("MSFT", dt.date(2007, 2, 2), PENNY),
        ("MSFT1", dt.date(2021, 1, 4), PENNY),
        ("VIX", dt.date(2022, 11, 28), NICKEL_DIME),
        ("VIX", dt.date(2022, 11, 29), PENNY),
        ("NOSUCH", dt.date(2024, 1, 2), NICKEL_DIME),
    ],
)
def test_class_by_date(root: str, day: dt.date, tick: TickClass) -> None:
    assert tick_class(root, day) == tick


def test_fractions_are_refused() -> None:
    with pytest.raises(InputError, match="fractions"):
        tick_class("IBM", dt.date(2000, 1, 3))


def test_rows_of_one_class_never_overlap() -> None:
    for root in {row.root: None for row in CLASS_TICKS}:
        rows = sorted((row for row in CLASS_TICKS if row.root == root), key=lambda row: row.valid_from)
        for before, after in itertools.pairwise(rows):
            assert before.valid_to is not None, root
            assert before.valid_to <= after.valid_from, root


@given(st.lists(st.integers(1, 10**6), min_size=1), ticks)
def test_the_inferred_class_holds_every_price_and_no_coarser_one_does(prices: list[int], tick: TickClass) -> None:
    on_grid = round_up(np.array(prices), tick)
    found = tick_class_from_prices(on_grid)
    assert is_on_tick(on_grid, found).all()
    for coarser in TICK_CLASSES[: TICK_CLASSES.index(found)]:
        assert not is_on_tick(on_grid, coarser).all()


@pytest.mark.parametrize("prices", [[], [0], [-100], [150], [1.5]])
def test_prices_that_name_no_class_are_refused(prices: list[float]) -> None:
    with pytest.raises(InputError) as refused:
        tick_class_from_prices(np.array(prices, dtype=np.float64 if prices == [1.5] else np.int64))
    assert refused.value.fields["field"] == "prices"


@pytest.mark.parametrize(
    ("name", "roots"),
    [("spx_20220204", "SPX SPXW"), ("spx_20230914", "SPX SPXW"), ("spy_20230914", "SPY"), ("xsp_20230914", "XSP")],
)
def test_recorded_quotes_stand_on_the_grid_of_their_class(shared_data: Path, name: str, roots: str) -> None:
    day = dt.datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=dt.UTC).date()
    seen: dict[str, list[float]] = {}
    with (shared_data / "cboe" / f"{name}.csv").open(encoding="utf-8") as lines:
        for row in csv.reader(lines):
            for column in (1, 12):
                if len(row) > 16 and row[column][-9:-8] in {"C", "P"}:
                    seen.setdefault(row[column][:-15], []).extend(float(row[column + n]) for n in (3, 4))
    assert sorted(seen) == roots.split()
    for root, prices in seen.items():
        quotes, status = to_units_column(prices)
        assert (status == OK).all()
        assert tick_class_from_prices(quotes) == tick_class(root, day)
