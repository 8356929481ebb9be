"""American options: value, thirteen Greeks and early-exercise premium of a whole chain in one native call.

Andersen-Lake-Offengenden spectral collocation, several contracts side by side. Where early exercise has no value (a
call with carry yield <= 0 and carry yield <= rate, a put with rate <= 0 and rate <= carry yield) the European result is
returned exactly and no boundary is solved. A row that is not supported is NaN and says so in its status; it never
raises for the batch and never guesses.

Greeks in spot are analytic, those in time follow from the pricing equation, those in volatility and rate are central
differences of boundary solves. In the exercise region the value is intrinsic, delta is the sign and the rest is zero;
at the boundary itself gamma jumps, and within about 0.1 % of it the second and third volatility derivatives lose
digits.

Errors of the price on a strike of 100, by `accuracy`, against the same equations with 40 points and 50 sweeps; v is
vol * sqrt(T) and k is max(|rate|, |carry yield|) / vol^2:

    k <= 2 and v <= 0.4, or k v <= 0.6 and v <= 0.9   fast 3e-5    accurate 1e-7
    k <= 2 and v <= 0.9                               fast 3e-4    accurate 2e-6
    k <= 40 and v <= 0.4                              fast 5e-5    accurate 5e-6
    k <= 40 and v <= 3, or k <= 200 and v <= 0.9      fast 2e-5    accurate 2e-5
    beyond                                            OUT_OF_RANGE

Each line holds what the lines above it leave; `fast` takes the larger schemes itself where its own would miss.

Source: Andersen, Lake and Offengenden (2016), "High performance American option pricing", J. Computational Finance
20(1), 39-87.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal, get_args

from numpy.typing import ArrayLike

from domain.errors import InputError
from pricing import _native
from pricing.backend import Array, StatusArray, output, status_output
from pricing.greeks import ROWS
from pricing.spot_inputs import spot_columns

Accuracy = Literal["fast", "accurate"]


class Status(IntEnum):
    """What a row's value is. Rows with a status above EXPIRED are NaN."""

    OK = 0
    """Held: the European value plus the early-exercise premium."""
    EUROPEAN = 1
    """Early exercise has no value: the European result, exactly."""
    EXERCISED = 2
    """Worth exercising now: the intrinsic value."""
    EXPIRED = 3
    """No time is left: the intrinsic value."""
    DOUBLE_BOUNDARY = 4
    """A put with carry yield < rate <= 0, or a call with rate < carry yield <= 0: not supported."""
    OUT_OF_RANGE = 5
    """Parameters for which the scheme's error is not known: not supported."""
    INVALID = 6
    """An input is impossible: NaN, a negative price, strike or volatility, or a sign other than +1 and -1."""


HAS_VALUE: Final = Status.EXPIRED
"""`status <= HAS_VALUE` selects the rows that have a value."""


def price(
    spot: ArrayLike,
    strike: ArrayLike,
    expiry_years: ArrayLike,
    rate: ArrayLike,
    carry_yield: ArrayLike,
    vol: ArrayLike,
    sign: ArrayLike,
    *,
    out: tuple[Array, StatusArray] | None = None,
    accuracy: Accuracy = "fast",
) -> tuple[Array, StatusArray]:
    """Price American options on a spot with a continuous carry yield.

    Args:
        spot: Dollars per share; this and the next six as in `pricing.spot_inputs`. Shape (n,) or ().
        strike: Dollars per share. Shape (n,) or ().
        expiry_years: Years. Shape (n,) or ().
        rate: Per year. Shape (n,) or ().
        carry_yield: Per year. Shape (n,) or ().
        vol: Per square root of a year. Shape (n,) or ().
        sign: +1 call, -1 put. Shape (n,) or ().
        out: Where to write: price, float64, and status, int8, shape (n,) each; new arrays when absent.
        accuracy: Which scheme; see the module's table of errors.

    Returns:
        Premium, dollars per share, and the `Status` of each row; shape (n,) each.

    Raises:
        InputError: A shape does not match.
    """
    n, inputs = spot_columns(spot, strike, expiry_years, rate, carry_yield, vol, sign)
    values, status = _outputs(out, (n,))
    _native.american_price(*inputs, accurate=_is_accurate(accuracy), out=values, status=status)
    return values, status


def greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    expiry_years: ArrayLike,
    rate: ArrayLike,
    carry_yield: ArrayLike,
    vol: ArrayLike,
    sign: ArrayLike,
    *,
    out: tuple[Array, StatusArray] | None = None,
    accuracy: Accuracy = "fast",
) -> tuple[Array, StatusArray]:
    """Price American options and their thirteen Greeks.

    Args:
        spot: Dollars per share; this and the next six as in `pricing.spot_inputs`. Shape (n,) or ().
        strike: Dollars per share. Shape (n,) or ().
        expiry_years: Years. Shape (n,) or ().
        rate: Per year. Shape (n,) or ().
        carry_yield: Per year. Shape (n,) or ().
        vol: Per square root of a year. Shape (n,) or ().
        sign: +1 call, -1 put. Shape (n,) or ().
        out: Where to write: rows, float64, shape (14, n), rows contiguous, and status, int8, shape (n,); new arrays
            when absent.
        accuracy: Which scheme; see the module's table of errors.

    Returns:
        Shape (14, n), the price in row 0 and then `pricing.greeks.GREEKS` in order, per share, in the units of that
        module; and the `Status` of each row, shape (n,).

    Raises:
        InputError: A shape does not match.
    """
    n, inputs = spot_columns(spot, strike, expiry_years, rate, carry_yield, vol, sign)
    rows, status = _outputs(out, (ROWS, n))
    _native.american_greeks(*inputs, accurate=_is_accurate(accuracy), out=rows, status=status)
    return rows, status


def early_exercise_premium(
    spot: ArrayLike,
    strike: ArrayLike,
    expiry_years: ArrayLike,
    rate: ArrayLike,
    carry_yield: ArrayLike,
    vol: ArrayLike,
    sign: ArrayLike,
    *,
    accuracy: Accuracy = "fast",
) -> tuple[Array, Array, Array, StatusArray]:
    """Value American less European, with its first two spot derivatives.

    Between two refreshes a moved spot costs one European kernel: American(S + dS) is European(S + dS) plus
    premium + d_spot dS + d2_spot dS^2 / 2, as long as the spot stays on its side of the exercise boundary.

    Args:
        spot: Dollars per share; this and the next six as in `pricing.spot_inputs`. Shape (n,) or ().
        strike: Dollars per share. Shape (n,) or ().
        expiry_years: Years. Shape (n,) or ().
        rate: Per year. Shape (n,) or ().
        carry_yield: Per year. Shape (n,) or ().
        vol: Per square root of a year. Shape (n,) or ().
        sign: +1 call, -1 put. Shape (n,) or ().
        accuracy: Which scheme; see the module's table of errors.

    Returns:
        Premium in dollars per share, its first and its second spot derivative, and the `Status` of each row; each of
        shape (n,).

    Raises:
        InputError: A shape does not match.
    """
    n, inputs = spot_columns(spot, strike, expiry_years, rate, carry_yield, vol, sign)
    rows, status = _outputs(None, (3, n))
    _native.american_premium(*inputs, accurate=_is_accurate(accuracy), out=rows, status=status)
    return rows[0], rows[1], rows[2], status


def _outputs(out: tuple[Array, StatusArray] | None, shape: tuple[int, ...]) -> tuple[Array, StatusArray]:
    """The caller's buffers for values and status when they fit, else new ones; the last axis is that of contracts."""
    values, status = out or (None, None)
    return output(values, shape, "out[0]"), status_output(status, shape[-1], "out[1]")


def _is_accurate(accuracy: Accuracy) -> bool:
    if accuracy not in get_args(Accuracy):
        raise InputError("no such accuracy", field="accuracy", value=accuracy, known=get_args(Accuracy))
    return accuracy == "accurate"
