"""No-trade bands: how far net delta may drift before a hedge is worth its cost."""

from __future__ import annotations

import math

from domain.errors import InputError


def half_width(gamma: float, spot: float, cost: float, risk_aversion: float, discount: float = 1.0) -> float:
    """Return the half-width of the asymptotically optimal no-trade band around zero net delta.

        H = (3/2 * discount * cost * spot * gamma^2 / risk_aversion)^(1/3)

    Args:
        gamma: Of the book: change of net delta, in shares, per dollar of the underlying. Any sign.
        spot: Dollars per share, positive.
        cost: Proportional cost of trading one dollar of stock, dimensionless, >= 0: half-spread over price plus fees.
        risk_aversion: Absolute risk aversion of exponential utility, per dollar, positive.
        discount: exp(-r tau) to the horizon of the position, in (0, 1].

    Returns:
        Shares, >= 0. Units: ($/share) * (shares per $/share)^2 / (1/$) = shares^3 under the cube root.

    Raises:
        InputError: An argument is out of range or not finite.

    Source: Whalley and Wilmott (1997), Mathematical Finance 7, 307-324: proportional costs, small-cost expansion.
    """
    if not (math.isfinite(gamma) and math.isfinite(spot) and spot > 0):
        raise InputError("gamma must be finite and spot positive", field="gamma", value=gamma, spot=spot)
    if not (math.isfinite(cost) and cost >= 0):
        raise InputError("cost must not be negative", field="cost", value=cost)
    if not (math.isfinite(risk_aversion) and risk_aversion > 0):
        raise InputError("risk aversion must be positive", field="risk_aversion", value=risk_aversion)
    if not 0.0 < discount <= 1.0:
        raise InputError("discount must be in (0, 1]", field="discount", value=discount)
    return math.cbrt(1.5 * discount * cost * spot * gamma * gamma / risk_aversion)
