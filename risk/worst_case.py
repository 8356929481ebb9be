"""The worst case: every quote and order of ours that may trade does, in the direction that hurts.

For one Greek g per contract, b contracts bid and a offered, the net Greek cannot rise by more than the sum of
max(g, 0) b + max(-g, 0) a, nor fall by more than the sum of max(g, 0) a + max(-g, 0) b, whatever subset trades.
Sums are numpy's pairwise ones, not BLAS: the same bits on every machine.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from domain.chain import Chain
from domain.frames import GreeksFrame
from risk.limits import Limits

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CHECKS: Final = (
    "delta_long",
    "gamma_long",
    "vega_long",
    "delta_short",
    "gamma_short",
    "vega_short",
    "notional",
)
"""The order of every array of loads and limits below."""


class UnitRisk:
    """Greeks and premium of one contract of each option, the last good ones.

    Attributes:
        greeks: Delta (shares), gamma (shares per dollar), vega (dollars per 1.00 vol) of one contract. Shape (3, n).
        premium: Theo of one contract, dollars. Shape (n,).
    """

    def __init__(self, chain: Chain) -> None:
        """Nothing is known: all zero."""
        self.multiplier = chain.multiplier
        self.greeks: Floats = np.zeros((3, len(chain)))
        self.premium: Floats = np.zeros(len(chain))

    def update(self, frame: GreeksFrame, good: npt.NDArray[np.bool_]) -> None:
        """Take over the good rows. `good` has shape (len(frame),)."""
        at = frame.contract[good]
        scale = self.multiplier[at]
        for row, values in enumerate((frame.delta, frame.gamma, frame.vega)):
            self.greeks[row, at] = values[good] * scale
        self.premium[at] = frame.theo[good] * scale

    def replace(self, frame: GreeksFrame) -> None:
        """Take over a frame that holds every contract, in order and good."""
        np.multiply(frame.delta, self.multiplier, out=self.greeks[0])
        np.multiply(frame.gamma, self.multiplier, out=self.greeks[1])
        np.multiply(frame.vega, self.multiplier, out=self.greeks[2])
        np.multiply(frame.theo, self.multiplier, out=self.premium)

    def restore(self, greeks: Floats, premium: Floats) -> None:
        """Take over Greeks and premiums of a snapshot."""
        self.greeks, self.premium = greeks, premium


def limits_of(limits: Limits) -> Floats:
    """Return the limits on the loads, in the order of CHECKS. Shape (7,)."""
    one_way = (limits.worst_delta, limits.worst_gamma, limits.worst_vega)
    return np.array([*one_way, *one_way, limits.max_notional])


def base_load(unit: UnitRisk, held: Floats, held_notional: float, bid: Ints, ask: Ints) -> Floats:
    """Return the loads of the held book and all that rests.

    Args:
        unit: Risk of one contract of each option.
        held: Net delta, gamma and vega of the held book. Shape (3,).
        held_notional: Gross dollars of the held book.
        bid: Contracts that may be bought of each option. Shape (n,).
        ask: Contracts that may be sent short of each option. Shape (n,).

    Returns:
        Largest reachable net Greeks, the negatives of the smallest ones, and gross notional. Shape (7,), as CHECKS.
    """
    both, more = (bid + ask).astype(np.float64), (bid - ask).astype(np.float64)
    gross = (np.abs(unit.greeks) * both).sum(axis=1)
    net = (unit.greeks * more).sum(axis=1)
    notional = held_notional + float((unit.premium * both).sum())
    return np.concatenate([(gross + net) / 2 + held, (gross - net) / 2 - held, [notional]])


def added_load(unit: UnitRisk, contract: npt.NDArray[np.integer], bid: Ints, ask: Ints) -> Floats:
    """Return what each entry adds to the loads, none negative.

    Args:
        unit: Risk of one contract of each option.
        contract: Option of each entry. Shape (k,).
        bid: Contracts that each entry adds to what may be bought, >= 0. Shape (k,).
        ask: Contracts that each entry adds to what may be sold, >= 0. Shape (k,).

    Returns:
        Shape (7, k), as CHECKS.
    """
    greeks = unit.greeks.take(contract, axis=1)
    long, short = np.maximum(greeks, 0.0), np.maximum(-greeks, 0.0)
    return np.concatenate([long * bid + short * ask, short * bid + long * ask, [unit.premium[contract] * (bid + ask)]])


def stock_load(buy: float, sell: float, spot: float) -> Floats:
    """Return what stock orders add to the loads: shares that may be bought and sold, dollars per share. Shape (7,)."""
    return np.array([buy, 0.0, 0.0, sell, 0.0, 0.0, (buy + sell) * spot])


def over(load: float, added: Floats, limit: float) -> npt.NDArray[np.bool_]:
    """Return which entries to refuse so that the rest stays within one limit.

    Entries are taken in their order until the limit is met; those that add nothing to the load pass.

    Args:
        load: Before the entries.
        added: Of each entry, none negative. Shape (k,).
        limit: On the load.

    Returns:
        Shape (k,).
    """
    return np.asarray((added > 0) & (load + np.cumsum(added) > limit))


def over_held(held: Floats, limits: Limits) -> npt.NDArray[np.bool_]:
    """Return which directions of the held book are used up: delta, gamma, vega long, then short. Shape (6,)."""
    limit = np.array([limits.held_delta, limits.held_gamma, limits.held_vega])
    return np.concatenate([held > limit, -held > limit])
