"""Price to volatility, for a whole chain in one native call.

The solver runs a fixed number of fourth-order steps on every row, so its time does not depend on the data. The result
is as accurate as the price allows: the relative error of the volatility is that of the time value, times time value /
(vega * vol). A price in the money carries few digits of time value: feed the out-of-the-money side where there is a
choice.

Source: Jaeckel (2015), "Let's be rational", Wilmott.
"""

from __future__ import annotations

from enum import IntEnum

from numpy.typing import ArrayLike

from pricing import _native
from pricing.backend import Array, StatusArray, columns, output, status_output


class Status(IntEnum):
    """Why a row has a volatility, or has none."""

    OK = 0
    BELOW_INTRINSIC = 1
    """The price is below the discounted intrinsic value: an arbitrage or a bad quote."""
    ABOVE_BOUND = 2
    """The price reaches the discounted forward (call) or strike (put): no finite volatility."""
    EXPIRED = 3
    """No time is left."""
    NO_TIME_VALUE = 4
    """The price equals the intrinsic value to its last digits: any small volatility fits."""
    INVALID = 5
    """An input is impossible: NaN, a price of the wrong kind, a forward, strike or discount that is not positive."""
    NOT_CONVERGED = 6
    """The steps did not settle. No input is known to cause it."""


def implied_vol(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    expiry_years: ArrayLike,
    discount: ArrayLike,
    sign: ArrayLike,
    *,
    out: tuple[Array, StatusArray] | None = None,
) -> tuple[Array, StatusArray]:
    """Volatility that gives European options their price.

    Args:
        price: Premium, dollars per share. Shape (n,) or ().
        forward: Dollars per share, positive. Shape (n,) or ().
        strike: Dollars per share, positive. Shape (n,) or ().
        expiry_years: Years to expiry; zero or less is expired. Shape (n,) or ().
        discount: Discount factor to expiry, positive. Shape (n,) or ().
        sign: +1 call, -1 put. Shape (n,) or ().
        out: Where to write: volatility, float64, and status, int8, shape (n,) each; new arrays when absent.

    Returns:
        Volatility per square root of a year, NaN where the status is not OK, and the `Status` of each row; each of
        shape (n,).

    Raises:
        InputError: A shape does not match.

    Source: Jaeckel (2015), "Let's be rational", Wilmott.
    """
    n, inputs = columns(
        price=price, forward=forward, strike=strike, expiry_years=expiry_years, discount=discount, sign=sign
    )
    vol = output(out and out[0], (n,), "out[0]")
    status = status_output(out and out[1], n, "out[1]")
    _native.implied_vol(*inputs, out=vol, status=status)
    return vol, status
