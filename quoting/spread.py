"""How far from the theo to quote: Avellaneda-Stoikov and Guéant-Lehalle-Fernandez-Tapia, as pure functions.

Both models ask the same question. The mid moves as a Brownian motion of `sigma` (dollars per square root of time),
orders reach a quote at distance d from it with intensity A exp(-k d), and the dealer has constant absolute risk
aversion gamma. Units must agree: gamma in 1/dollar per unit traded, k in 1/dollar, A and the horizon in one unit of
time, inventory q in units traded. Everything broadcasts, so that a chain is one call.

Distances are measured outward from the mid: a bid stands at mid - delta_bid, an ask at mid + delta_ask. They are not
floored: with a large inventory one side goes through the mid, and it is the caller who says whether he wants that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh_tridiagonal

from domain.errors import InputError

Array = npt.NDArray[np.float64]


def _check_positive(**values: npt.ArrayLike) -> None:
    for name, value in values.items():
        if not bool(np.all(np.asarray(value) > 0)):
            raise InputError("must be positive", field=name, value=np.asarray(value).min())


def as_reservation_price(
    mid: npt.ArrayLike, inventory: npt.ArrayLike, gamma: npt.ArrayLike, sigma: npt.ArrayLike, time_left: npt.ArrayLike
) -> Array:
    """Price at which a dealer is indifferent to his inventory: s - q gamma sigma^2 (T - t).

    Args:
        mid: s, dollars.
        inventory: q, units held; negative is short.
        gamma: Absolute risk aversion, 1/dollar.
        sigma: Dollars per square root of time.
        time_left: T - t.

    Returns:
        Dollars, of the broadcast shape.

    Source: Avellaneda and Stoikov (2008), Quantitative Finance 8(3), 217-224, equation 29 in the limit of one step.
    """
    return np.asarray(np.subtract(mid, np.multiply(inventory, gamma) * np.square(sigma) * time_left))


def as_constant_spread(gamma: npt.ArrayLike, k: npt.ArrayLike) -> Array:
    """Distance from bid to ask that is left at the horizon: (2 / gamma) ln(1 + gamma / k).

    The published tables print this number in their spread column.

    Raises:
        InputError: gamma or k is not positive.

    Source: Avellaneda and Stoikov (2008), Quantitative Finance 8(3), 217-224, equation 30 at t = T.
    """
    _check_positive(gamma=gamma, k=k)
    return np.asarray(2.0 * np.log1p(np.divide(gamma, k)) / gamma)


def as_spread(gamma: npt.ArrayLike, k: npt.ArrayLike, sigma: npt.ArrayLike, time_left: npt.ArrayLike) -> Array:
    """Distance from bid to ask: gamma sigma^2 (T - t) + (2 / gamma) ln(1 + gamma / k).

    It is centred on the reservation price.

    Raises:
        InputError: gamma or k is not positive.

    Source: Avellaneda and Stoikov (2008), Quantitative Finance 8(3), 217-224, equation 30.
    """
    return np.asarray(np.multiply(gamma, np.square(sigma)) * time_left + as_constant_spread(gamma, k))


def glft_coefficients(
    gamma: npt.ArrayLike, k: npt.ArrayLike, arrival: npt.ArrayLike, sigma: npt.ArrayLike
) -> tuple[Array, Array]:
    """The two numbers of the asymptotic quotes: c, what is earned at zero inventory, and w, the shift per unit held.

    c = (1 / gamma) ln(1 + gamma / k) and w = sqrt(sigma^2 gamma / (2 k A) (1 + gamma / k)^(1 + k / gamma)). w is
    proportional to sigma: a caller with one sigma per contract may ask for sigma = 1 once and scale.

    Args:
        gamma: Absolute risk aversion, 1/dollar per unit traded. A unit of m shares has m times the gamma of a share.
        k: Decay of the intensity, 1/dollar.
        arrival: A, orders per unit of time at distance zero.
        sigma: Dollars per square root of that unit.

    Returns:
        c and w in dollars, each of the broadcast shape.

    Raises:
        InputError: gamma, k or arrival is not positive.

    Source: Guéant, Lehalle and Fernandez-Tapia (2013), Mathematics and Financial Economics 7, 477-507, section 4.
    """
    _check_positive(gamma=gamma, k=k, arrival=arrival)
    growth = np.log1p(np.divide(gamma, k))
    c = np.divide(growth, gamma)
    power = np.exp((1.0 + np.divide(k, gamma)) * growth)
    w = sigma * np.sqrt(np.divide(gamma, np.multiply(2.0, k) * arrival) * power)
    return np.asarray(c), np.asarray(w)


def glft_asymptotic(inventory: npt.ArrayLike, c: npt.ArrayLike, w: npt.ArrayLike) -> tuple[Array, Array]:
    """Distances of the stationary quotes: c + (2q + 1) w / 2 for the bid, c - (2q - 1) w / 2 for the ask.

    Half the width is c + w / 2 whatever the inventory; q w is how far both sides are shifted down.

    Returns:
        delta_bid and delta_ask in dollars, each of the broadcast shape.

    Source: Guéant, Lehalle and Fernandez-Tapia (2013), Mathematics and Financial Economics 7, 477-507, section 4.
    """
    half = np.add(c, np.multiply(0.5, w))
    skew = np.multiply(inventory, w)
    return np.asarray(half + skew), np.asarray(half - skew)


@dataclass(frozen=True, slots=True)
class GlftTable:
    """Exact quotes at one instant for every inventory from -limit to limit.

    Attributes:
        limit: Q, the largest inventory allowed on either side.
        delta_bid: Dollars, float64, shape (2 Q + 1,); infinite at q = Q, where nothing more may be bought.
        delta_ask: The same for the ask; infinite at q = -Q.
    """

    limit: int
    delta_bid: Array
    delta_ask: Array

    def at(self, inventory: int) -> tuple[float, float]:
        """delta_bid and delta_ask at an inventory.

        Raises:
            InputError: Outside the table.
        """
        if abs(inventory) > self.limit:
            raise InputError("inventory is outside the table", field="inventory", value=inventory, limit=self.limit)
        row = inventory + self.limit
        return float(self.delta_bid[row]), float(self.delta_ask[row])


def glft_exact(*, gamma: float, k: float, arrival: float, sigma: float, time_left: float, limit: int) -> GlftTable:
    """Optimal quotes with a finite horizon and a bounded inventory.

    v(t) = exp(-M (T - t)) 1 on q = -Q..Q, where M is tridiagonal with (k / 2) gamma sigma^2 q^2 on the diagonal and
    -A (1 + gamma / k)^-(1 + k / gamma) beside it. Then delta_bid = c + ln(v_q / v_(q+1)) / k and
    delta_ask = c + ln(v_q / v_(q-1)) / k. M is symmetric: the exponential is taken on its eigenvalues, shifted by the
    smallest, which cancels in the ratios and keeps a long horizon from underflow.

    Args:
        gamma: Absolute risk aversion, 1/dollar per unit traded.
        k: Decay of the intensity, 1/dollar.
        arrival: A, orders per unit of time at distance zero.
        sigma: Dollars per square root of that unit, not negative.
        time_left: T - t in that unit, not negative.
        limit: Q, units, at least 1.

    Raises:
        InputError: A parameter is out of range.

    Source: Guéant, Lehalle and Fernandez-Tapia (2013), Mathematics and Financial Economics 7, 477-507, theorem 1.
    """
    _check_positive(gamma=gamma, k=k, arrival=arrival)
    if sigma < 0:
        raise InputError("must not be negative", field="sigma", value=sigma)
    if time_left < 0:
        raise InputError("must not be negative", field="time_left", value=time_left)
    if limit < 1:
        raise InputError("must be at least 1", field="limit", value=limit)
    inventory = np.arange(-limit, limit + 1, dtype=np.float64)
    growth = float(np.log1p(gamma / k))
    coupling = arrival * float(np.exp(-(1.0 + k / gamma) * growth))
    values, vectors = eigh_tridiagonal(0.5 * k * gamma * sigma**2 * inventory**2, np.full(2 * limit, -coupling))
    v = vectors @ (np.exp(-(values - values[0]) * time_left) * vectors.sum(axis=0))
    step = np.log(v[:-1] / v[1:]) / k
    c = growth / gamma
    delta_bid = np.append(c + step, np.inf)
    delta_ask = np.insert(c - step, 0, np.inf)
    return GlftTable(limit=limit, delta_bid=delta_bid, delta_ask=delta_ask)
