"""The seven inputs of every kernel that prices from a spot with a continuous carry yield, said and checked once."""

from __future__ import annotations

from numpy.typing import ArrayLike

from pricing.backend import Array, columns


def spot_columns(
    spot: ArrayLike,
    strike: ArrayLike,
    expiry_years: ArrayLike,
    rate: ArrayLike,
    carry_yield: ArrayLike,
    vol: ArrayLike,
    sign: ArrayLike,
) -> tuple[int, list[Array]]:
    """Return the number of contracts and the inputs as columns, in the order of the kernels.

    Args:
        spot: Dollars per share, >= 0. Shape (n,) or ().
        strike: Dollars per share, >= 0. Shape (n,) or ().
        expiry_years: Years to expiry; zero or less is expired. Shape (n,) or ().
        rate: Continuously compounded, per year. Shape (n,) or ().
        carry_yield: Dividends and borrow fee, continuously compounded, per year. Shape (n,) or ().
        vol: Per square root of a year, >= 0. Shape (n,) or ().
        sign: +1 call, -1 put. Shape (n,) or ().

    Raises:
        InputError: An input is not numeric, has more than one dimension, or two lengths differ.
    """
    return columns(
        spot=spot, strike=strike, expiry_years=expiry_years, rate=rate, carry_yield=carry_yield, vol=vol, sign=sign
    )
