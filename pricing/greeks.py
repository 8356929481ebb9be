"""The thirteen Greeks: names, order, units, and scaling from one share to money.

Every kernel that returns Greeks returns an array of shape (14, n): row 0 is the price, row 1 + i is `GREEKS[i]`. Values
are per share of the underlying, per 1.00 of volatility and of rate, and per year; all time derivatives are in calendar
time, d/dt = -d/dT (many texts give veta and color as d/dT, with the opposite sign).
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from domain.errors import InputError

Greek = Literal[
    "delta", "gamma", "vega", "theta", "rho", "vanna", "charm", "volga", "veta", "speed", "zomma", "color", "ultima"
]

GREEKS: Final[tuple[Greek, ...]] = get_args(Greek)

ROWS: Final = 1 + len(GREEKS)
"""Rows of a kernel's result: the price, then the Greeks."""

PRICE: Final = 0
"""Row of the price."""

ROW: Final[dict[str, int]] = {"price": PRICE} | {name: 1 + i for i, name in enumerate(GREEKS)}
"""Row of each quantity by name."""

DEFINITION: Final[dict[Greek, str]] = {
    "delta": "dV/dS",
    "gamma": "d2V/dS2",
    "vega": "dV/dsigma",
    "theta": "dV/dt",
    "rho": "dV/dr, carry yield held",
    "vanna": "d2V/dS dsigma",
    "charm": "d2V/dS dt",
    "volga": "d2V/dsigma2",
    "veta": "d2V/dsigma dt",
    "speed": "d3V/dS3",
    "zomma": "d3V/dS2 dsigma",
    "color": "d3V/dS2 dt",
    "ultima": "d3V/dsigma3",
}

UNITS: Final[dict[Greek, str]] = {
    "delta": "shares",
    "gamma": "shares per dollar",
    "vega": "dollars per 1.00 of volatility",
    "theta": "dollars per year",
    "rho": "dollars per 1.00 of rate",
    "vanna": "shares per 1.00 of volatility",
    "charm": "shares per year",
    "volga": "dollars per 1.00 of volatility squared",
    "veta": "dollars per 1.00 of volatility and year",
    "speed": "shares per dollar squared",
    "zomma": "shares per dollar and 1.00 of volatility",
    "color": "shares per dollar and year",
    "ultima": "dollars per 1.00 of volatility cubed",
}

SPOT_ORDER: Final[dict[Greek, int]] = {
    "delta": 1,
    "gamma": 2,
    "vega": 0,
    "theta": 0,
    "rho": 0,
    "vanna": 1,
    "charm": 1,
    "volga": 0,
    "veta": 0,
    "speed": 3,
    "zomma": 2,
    "color": 2,
    "ultima": 0,
}
"""How often the spot is differentiated: the power of the spot that makes the Greek a dollar amount."""

_SPOT_POWERS: Final = np.array([0, *SPOT_ORDER.values()], dtype=np.float64)[:, np.newaxis]


def per_contract(rows: NDArray[np.float64], multiplier: ArrayLike) -> NDArray[np.float64]:
    """Scale values per share to values per contract.

    Args:
        rows: A kernel's result, shape (14, n).
        multiplier: Shares per contract, positive. Shape (n,) or ().

    Returns:
        A new array, shape (14, n).

    Raises:
        InputError: A shape does not match.
    """
    _check(rows, multiplier, "multiplier")
    return rows * np.asarray(multiplier, dtype=np.float64)


def to_dollars(rows: NDArray[np.float64], spot: ArrayLike) -> NDArray[np.float64]:
    """Turn sensitivities to the spot into money: delta S, gamma S^2, speed S^3, vanna S, and so on.

    Dollar delta is the money that moves like the underlying; dollar gamma is its change per 1.00 (100 %) of relative
    move, so divide by 100 for the usual "per 1 %".

    Args:
        rows: A kernel's result, shape (14, n), per share or per contract.
        spot: Dollars per share, positive. Shape (n,) or ().

    Returns:
        A new array, shape (14, n).

    Raises:
        InputError: A shape does not match.
    """
    _check(rows, spot, "spot")
    powers: NDArray[np.float64] = np.asarray(spot, dtype=np.float64) ** _SPOT_POWERS
    return rows * powers


def _check(rows: NDArray[np.float64], scale: ArrayLike, field: str) -> None:
    if rows.ndim != 2 or rows.shape[0] != ROWS:
        raise InputError("not a kernel's result", field="rows", value=rows.shape, expected=(ROWS, "n"))
    shape = np.shape(scale)
    if shape not in ((), (1,), (rows.shape[1],)):
        raise InputError("neither one value nor one per contract", field=field, value=shape, expected=(rows.shape[1],))
