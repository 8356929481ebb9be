"""What the close will make of the contracts that settle there: shares by the exercise rule instead of a delta."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from domain.chain import Chain
from domain.events import GreeksComputed, PositionChanged
from domain.price import PRICE_SCALE
from risk.settlement import due, settle

Floats = npt.NDArray[np.float64]


class Settling:
    """Our positions in contracts that settle at today's close, with the deltas that the net exposure counts for them.

    Shortly before the close a delta of 0.4 means: no shares, or a hundred, within the minute. What is hedged then is
    what the book will hold when trading is over, so each contract counts with the shares that `risk.settlement` gives
    at the price of the moment. Near a strike that may turn out otherwise (pin risk): the stock can cross the strike
    after the last price that we see, and a holder may instruct against the rule; neither can be hedged before it is
    known.

    Args:
        chain: The contracts; its trade date is today.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._at = np.flatnonzero(due(chain, "PM"))
        self._row = np.full(len(chain), -1, dtype=np.int64)
        self._row[self._at] = np.arange(len(self._at))
        self._quantity = np.zeros(len(self._at), dtype=np.int64)
        self._delta: Floats = np.full(len(self._at), np.nan)

    def hold(self, event: PositionChanged) -> tuple[()]:
        """Take over a position. Nothing follows."""
        if 0 <= event.contract < len(self._row) and (row := int(self._row[event.contract])) >= 0:
            self._quantity[row] = event.quantity
        return ()

    def value(self, event: GreeksComputed) -> tuple[()]:
        """Take over good deltas, per share; the last good one of a contract stands, as in the net exposure."""
        frame = event.frame
        if len(self._at) and len(frame) == len(self._row):
            self._delta = np.where(frame.status[self._at] == 0, frame.delta[self._at], self._delta)
        elif len(self._at):
            at = np.flatnonzero((self._row[frame.contract] >= 0) & (frame.status == 0))
            self._delta[self._row[frame.contract[at]]] = frame.delta[at]
        return ()

    def change(self, spot: float) -> float:
        """How net delta changes, shares, if all settle at that price of the underlying, dollars, positive.

        What cannot be settled by the rule, for want of a known deliverable, keeps its delta.
        """
        price, total = round(spot * PRICE_SCALE), 0.0
        for row in np.flatnonzero(self._quantity).tolist():
            contract, quantity = int(self._at[row]), int(self._quantity[row])
            settled = settle(self._chain.contracts[contract], quantity, price)
            if settled is not None:
                total += settled.shares - quantity * float(self._chain.multiplier[contract]) * self._known(row, spot)
        return total

    def _known(self, row: int, spot: float) -> float:
        """Delta per share as the net exposure has it: without Greeks, that at expiry."""
        delta = float(self._delta[row])
        if delta == delta:  # noqa: PLR0124 - not NaN
            return delta
        contract = int(self._at[row])
        sign, strike = float(self._chain.sign[contract]), float(self._chain.strike[contract])
        return sign if sign * (spot - strike) > 0 else 0.0

    def state(self) -> dict[str, Any]:
        """All of it, for a snapshot."""
        return {"quantity": self._quantity, "delta": self._delta}

    def take_over(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self._quantity, self._delta = state["quantity"], state["delta"]
