"""From quotes to what a volatility fit sees: total variances with errors, and bounds where a side is missing.

Every quote enters less its early-exercise premium. Two sides give the total variance of the middle price, with an error
from the width; one side gives a bound that speaks only when it is broken. No side is ever invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pricing.forward import Forwards
from pricing.implied_vol import implied_vol

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

WIDTH_TO_ERROR: Final = 0.25
"""One standard error of a middle, as a share of the width; as for parity pairs."""

_LEAST_ERROR: Final = 5e-4
"""In volatility: a locked market is not perfect knowledge."""

_DEEPEST: Final = 6.0
"""Beyond this many standard deviations a quote says how venues fill a screen, not what the volatility is."""

_DEEPEST_IN: Final = 1.5
"""The same for contracts in the money, whose price is mostly intrinsic value."""


@dataclass(frozen=True, slots=True)
class Observations:
    """Rows of all expiries, by expiry. Shape (r,) each.

    Attributes:
        contract: Position in the chain.
        expiry: Expiry index.
        k: ln(K / F).
        w: Total variance, or its bound.
        error: One standard error of `w`.
        kind: 0 where `w` is the value, +1 where it is at least that, -1 where it is at most that.
    """

    contract: Index
    expiry: Index
    k: Array
    w: Array
    error: Array
    kind: npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the chain says of its contracts: dollars, +1 or -1, and the expiry index. Shape (n,) each."""

    strike: Array
    sign: Array
    expiry: Index
    usable: Mask


def observe(terms: Terms, bid: Array, ask: Array, premium: Array, forwards: Forwards) -> Observations:
    """Read total variances off the quotes of a chain.

    Args:
        terms: Of the contracts; where `usable` is false a contract is left out.
        bid: Dollars per share, not a number where absent. Shape (n,).
        ask: The same for the ask. Where the bid is above it, both are left out.
        premium: Early-exercise premium, dollars. Shape (n,).
        forwards: Of each expiry.

    Returns:
        One row per contract that says something.
    """
    live = (forwards.years > 0.0)[terms.expiry] & terms.usable & ~(bid > ask)
    rows = np.flatnonzero(live & ~(np.isnan(bid) & np.isnan(ask)))
    expiry = terms.expiry[rows]
    strike, sign, years = terms.strike[rows], terms.sign[rows], forwards.years[expiry]
    forward, discount = forwards.forward[expiry], forwards.discount[expiry]
    bid, ask = bid[rows] - premium[rows], ask[rows] - premium[rows]
    middle = 0.5 * (bid + ask)
    low, mid, high = (_vol(price, forward, strike, years, discount, sign) for price in (bid, middle, ask))

    # A bid below intrinsic value bounds nothing; with a good middle it is a volatility of 0.
    has_mid = np.isfinite(mid) & np.isfinite(high)
    kind = np.where(has_mid, 0, np.where(np.isnan(ask), 1, -1)).astype(np.int8)
    vol = np.where(has_mid, mid, np.where(kind > 0, low, high))
    k = np.log(strike / forward)
    depth = k / np.maximum(vol * np.sqrt(years), 1e-12)
    known = (vol > 0.0) & (np.abs(depth) <= _DEEPEST) & (-sign * depth <= _DEEPEST_IN)

    with np.errstate(invalid="ignore"):
        width = high - np.where(np.isfinite(low), low, 0.0)
        vega = (
            discount
            * forward
            * np.sqrt(years / (2.0 * np.pi))
            * np.exp(-0.5 * (0.5 * vol * np.sqrt(years) - depth) ** 2)
        )
    in_the_money = sign * k < 0.0
    from_forward = np.where(in_the_money, 1.0, 0.5) * discount * forwards.error[expiry] / np.maximum(vega, 1e-12)
    own = np.where(kind == 0, WIDTH_TO_ERROR * width, np.nan)
    own = np.where(kind == 0, own, _typical(own, expiry, known, len(forwards.years))[expiry])
    error = np.sqrt(own * own + from_forward * from_forward + _LEAST_ERROR**2)
    kept = known & np.isfinite(error)
    return Observations(
        rows[kept],
        expiry[kept],
        k[kept],
        (vol * vol * years)[kept],
        (2.0 * vol * error * years)[kept],
        kind[kept],
    )


def _vol(price: Array, forward: Array, strike: Array, years: Array, discount: Array, sign: Array) -> Array:
    return implied_vol(price, forward, strike, years, discount, sign)[0]


def _typical(own: Array, expiry: Index, known: Mask, expiries: int) -> Array:
    """The median error of each expiry's two-sided rows, shape (m,); of all rows where an expiry has none."""
    rows = np.flatnonzero(known & np.isfinite(own))
    order = rows[np.lexsort((own[rows], expiry[rows]))]
    count = np.bincount(expiry[rows], minlength=expiries)
    middle = np.cumsum(count) - count + count // 2
    found = np.full(expiries, np.median(own[rows]) if len(rows) else 0.05)
    found[count > 0] = own[order[middle[count > 0]]]
    return found
