"""Prices as integers, and the ticks they may stand on.

On the wire and in every book a price is an int64 count of units of 0.0001 dollars; 0 means that there is no such side.
Functions on arrays take either units (integer dtype) or dollars (float dtype) and always return units: the dtype says
which, so that no value is scaled twice.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.dated import grouped, in_force
from domain.errors import InputError
from domain.ticks_table import CLASS_TICKS, DECIMAL_FROM, TickName

Units = npt.NDArray[np.int64]

PRICE_SCALE: Final = 10_000
"""Units per dollar."""

NO_SIDE: Final = 0
"""The price of a side that is not there."""

MAX_DOLLARS: Final = 1_000_000.0
"""Above this a premium is a mistake, not a price."""

BREAK: Final = 3 * PRICE_SCALE
"""Every class changes its increment at 3 dollars, which stands on both grids. Source: penny interval program."""

_SNAP: Final = 1e-4
"""A float within a ten-thousandth of a unit of a whole unit is that unit: 2.95 dollars is 29,500 units, not 29,501."""

OK: Final = 0
NOT_A_NUMBER: Final = 1
NEGATIVE: Final = 2
TOO_LARGE: Final = 3


@dataclass(frozen=True, slots=True)
class TickClass:
    """Increments of an option class, in price units.

    Attributes:
        name: Which kind of class.
        below: Increment below 3 dollars.
        above: Increment from 3 dollars.
    """

    name: TickName
    below: int
    above: int


PENNY_ALL: Final = TickClass("penny_all", 100, 100)
PENNY: Final = TickClass("penny", 100, 500)
NICKEL_DIME: Final = TickClass("nickel_dime", 500, 1_000)

TICK_CLASSES: Final = (NICKEL_DIME, PENNY, PENNY_ALL)
"""Coarsest first. Each grid contains the one before it."""

_BY_NAME: Final = {tick.name: tick for tick in TICK_CLASSES}


@dataclass(frozen=True, slots=True)
class TickColumns:
    """Increments per row, for a batch of several classes. Both int64, shape (n,)."""

    below: Units
    above: Units


Tick = TickClass | TickColumns


_ROWS: Final = grouped(CLASS_TICKS, lambda row: row.root)


def tick_class(root: str, day: dt.date) -> TickClass:
    """Return the increments of an option class on a trade date.

    Adjusted series take the class of the unadjusted ones. A class without a row in `domain.ticks_table` is outside the
    penny program.

    Raises:
        InputError: Options quoted in fractions on that day.

    Source: penny interval program, 84 FR 68960; rows in `domain.ticks_table`.
    """
    if day < DECIMAL_FROM:
        raise InputError("options quoted in fractions on that day", field="day", value=day.isoformat(), root=root)
    rows = _ROWS.get(root) or _ROWS.get(root.rstrip("0123456789"), ())
    row = in_force(rows, day)
    return NICKEL_DIME if row is None else _BY_NAME[row.tick]


def tick_class_from_prices(prices: npt.ArrayLike) -> TickClass:
    """Return the coarsest class whose grid holds every observed quote: for recorded feeds of classes without a row.

    Args:
        prices: Quotes, not trades (trades print off the tick), integers in price units. 0 is ignored. Any shape.

    Raises:
        InputError: A price is negative or on no grid, or there is none.
    """
    units = np.unique(np.asarray(prices))
    if not np.issubdtype(units.dtype, np.integer):
        raise InputError("prices must be integer units", field="prices", value=str(units.dtype))
    units = units[units != NO_SIDE].astype(np.int64)
    if units.size == 0:
        raise InputError("no price to infer a tick from", field="prices", value=0)
    if units[0] < 0:
        raise InputError("price must not be negative", field="prices", value=int(units[0]))
    for tick in TICK_CLASSES:
        if is_on_tick(units, tick).all():
            return tick
    off = units[~is_on_tick(units, TICK_CLASSES[-1])]
    raise InputError("price is on no tick grid", field="prices", value=int(off[0]))


def tick_columns(ticks: Iterable[TickClass], index: npt.ArrayLike) -> TickColumns:
    """Spread classes over rows.

    Args:
        ticks: The classes, for instance one per root of a chain.
        index: Position of each row's class in `ticks`. Shape (n,).
    """
    table = np.array([(tick.below, tick.above) for tick in ticks], dtype=np.int64)
    rows = table[np.asarray(index)]
    return TickColumns(np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1]))


# --- Dollars and units ------------------------------------------------------------------------------------------------


def to_units(dollars: float) -> int:
    """Return a dollar price in units, rounded to the nearest.

    Raises:
        InputError: Not a number, infinite, negative or above a million dollars.
    """
    if not math.isfinite(dollars):
        raise InputError("price must be a finite number", field="price", value=dollars)
    if dollars < 0:
        raise InputError("price must not be negative", field="price", value=dollars)
    if dollars > MAX_DOLLARS:
        raise InputError("price must be at most a million dollars", field="price", value=dollars)
    return round(dollars * PRICE_SCALE)


def from_units(units: int) -> float:
    """Return a price in dollars.

    Raises:
        InputError: Negative.
    """
    if units < 0:
        raise InputError("price must not be negative", field="price", value=units)
    return units / PRICE_SCALE


def to_units_column(dollars: npt.ArrayLike) -> tuple[Units, npt.NDArray[np.uint8]]:
    """Return dollar prices in units, each rounded to the nearest, and what was wrong with a row.

    Args:
        dollars: Any shape.

    Returns:
        Units, 0 where the row is bad, and status of the same shape: OK, NOT_A_NUMBER, NEGATIVE or TOO_LARGE.
    """
    values = np.asarray(dollars, dtype=np.float64)
    status = np.zeros(values.shape, dtype=np.uint8)
    status[np.isnan(values)] = NOT_A_NUMBER
    status[values < 0] = NEGATIVE
    status[values > MAX_DOLLARS] = TOO_LARGE
    units = np.rint(np.where(status == OK, values, 0.0) * PRICE_SCALE).astype(np.int64)
    return units, status


def from_units_column(units: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return prices in dollars, NaN where there is no side or the count is negative. Any shape."""
    values = np.asarray(units, dtype=np.int64)
    return np.where(values > NO_SIDE, values / PRICE_SCALE, np.nan)


# --- Ticks ------------------------------------------------------------------------------------------------------------


def _scaled(dollars: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return units as floats, whole ones where they are whole but for float noise; rows that are no price become 0."""
    scaled = np.where((dollars > 0) & (dollars <= MAX_DOLLARS), dollars, 0.0) * PRICE_SCALE  # NaN compares false
    nearest = np.rint(scaled)
    return np.where(np.abs(scaled - nearest) <= _SNAP, nearest, scaled)


def _units(price: npt.NDArray[np.generic]) -> Units | None:
    """Return the price where it is already in units, None where it is in dollars."""
    if not np.issubdtype(price.dtype, np.integer):
        return None
    return np.maximum(price.astype(np.int64, copy=False), 0)


def _increment(units: Units, tick: Tick) -> Units:
    return np.where(units < BREAK, tick.below, tick.above)


def round_down(price: npt.ArrayLike, tick: Tick) -> Units:
    """Return the highest price on the grid that is not above the given one: where a bid may stand.

    Args:
        price: Units (integers) or dollars (floats). Any shape.
        tick: One class, or columns that match the shape.

    Returns:
        Units of the same shape. 0, no side, where the price is below the first tick, NaN, negative or above a million
        dollars.
    """
    units = _units(np.asarray(price))
    if units is None:
        units = np.floor(_scaled(np.asarray(price, dtype=np.float64))).astype(np.int64)
    return units - units % _increment(units, tick)


def round_up(price: npt.ArrayLike, tick: Tick) -> Units:
    """Return the lowest price on the grid that is not below the given one: where an offer may stand.

    Arguments and result are those of `round_down`; a price of 0 stays 0, no side.
    """
    units = _units(np.asarray(price))
    if units is None:
        units = np.ceil(_scaled(np.asarray(price, dtype=np.float64))).astype(np.int64)
    return units + -units % _increment(units, tick)


def round_nearest(price: npt.ArrayLike, tick: Tick) -> Units:
    """Return the price on the grid that is nearest to the given one, the higher of two that are equally near.

    Arguments and result are those of `round_down`.
    """
    units = _units(np.asarray(price))
    exact = _scaled(np.asarray(price, dtype=np.float64)) if units is None else units
    low, high = round_down(price, tick), round_up(price, tick)
    return np.where(exact - low < high - exact, low, high)


def is_on_tick(units: npt.ArrayLike, tick: Tick) -> npt.NDArray[np.bool_]:
    """Whether each price, in units, stands on the grid. 0, no side, does; a negative count does not. Any shape."""
    values = np.asarray(units, dtype=np.int64)
    on: npt.NDArray[np.bool_] = (values >= 0) & (values % _increment(values, tick) == 0)
    return on


def next_up(units: npt.ArrayLike, tick: Tick) -> Units:
    """Return the price one tick above each price on the grid. Any shape."""
    values = np.asarray(units, dtype=np.int64)
    return round_up(values + 1, tick)


def next_down(units: npt.ArrayLike, tick: Tick) -> Units:
    """Return the price one tick below each price on the grid; below the first tick that is 0, no side. Any shape."""
    values = np.asarray(units, dtype=np.int64)
    return round_down(values - 1, tick)
