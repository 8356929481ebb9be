"""Exercise and assignment of expiring contracts."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.calendar import expiry_day
from domain.chain import Chain
from domain.instrument import OptionContract
from domain.price import PRICE_SCALE
from domain.roots_table import Settlement

THRESHOLD: Final = 100
"""Price units in the money from which a contract is exercised without instruction: 0.01 dollar.

Source: OCC Rule 805, exercise by exception.
"""

_STRIKE_UNITS: Final = 10
"""Price units per thousandth of a dollar, the unit of strikes."""

Outcome = Literal["exercised", "assigned", "worthless"]


class Settled(NamedTuple):
    """What a position turned into: signed shares and cash in 1/10,000 dollar."""

    outcome: Outcome
    shares: int
    cash: int


def due(chain: Chain, settlement: Settlement) -> npt.NDArray[np.bool_]:
    """Return which contracts are settled in the session of the chain's trade date: PM at its close, AM at its open.

    Args:
        chain: The contracts; its trade date is the session.
        settlement: AM or PM.

    Returns:
        Shape (n,).
    """
    today = [expiry_day(date) == chain.trade_date for _, date in chain.expiries]
    kind = np.array([contract.settlement == settlement for contract in chain.contracts])
    return np.asarray(np.array(today)[chain.expiry_index] & kind)


def settle(contract: OptionContract, quantity: int, price: int) -> Settled | None:
    """Return what an expiring position becomes.

    Long options in the money by the threshold are exercised, short ones are assigned: a holder who instructs otherwise
    is not foreseen. The rest is worthless.

    Args:
        contract: The option.
        quantity: Signed contracts, not 0.
        price: Settlement price of the underlying, units.

    Returns:
        None where the deliverable is not known or not whole shares of the underlying and dollars: a person decides.
    """
    strike = contract.strike * _STRIKE_UNITS
    intrinsic = (price - strike) if contract.is_call else (strike - price)
    if intrinsic < THRESHOLD:
        return Settled("worthless", 0, 0)
    outcome: Outcome = "exercised" if quantity > 0 else "assigned"
    if contract.delivery == "cash":
        return Settled(outcome, 0, intrinsic * contract.multiplier * quantity)
    if not contract.is_deliverable_known:
        return None
    shares, dollars = float(contract.multiplier if not contract.deliverable else 0), 0.0
    for part in contract.deliverable:
        if part.asset == contract.underlying:
            shares += part.quantity
        elif part.asset == "USD":
            dollars += part.quantity
        else:
            return None
    if shares != int(shares):
        return None
    way = quantity if contract.is_call else -quantity
    paid = strike * contract.multiplier - round(dollars * PRICE_SCALE)
    return Settled(outcome, int(shares) * way, -paid * way)
