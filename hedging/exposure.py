"""What the hedger knows of the book: the last exposure that includes all of its own fills, and what a hedge costs."""

from __future__ import annotations

import math
from typing import Any

from domain.errors import DataError
from domain.events import ExposureChanged, UnderlyingUpdated


class KnownExposure:
    """Net delta and gamma, in shares and shares per dollar.

    An exposure that was computed before one of our fills, but is read after it, would be hedged twice: it is ignored.
    Exposures of a later time always include the fills before it.
    """

    def __init__(self) -> None:
        self.is_known = False
        self.delta = 0.0
        self.gamma = 0.0
        self.spot = 0.0
        self.half_spread = 0.0
        self.ts = 0
        self._stock = 0
        self._fill_ts = 0

    def update(self, event: ExposureChanged) -> bool:
        """Take over an exposure.

        Returns:
            Whether it includes our fills so far.

        Raises:
            DataError: Delta, gamma or spot is not finite.
        """
        if not (math.isfinite(event.delta) and math.isfinite(event.gamma) and math.isfinite(event.spot)):
            raise DataError("exposure is not finite", delta=event.delta, gamma=event.gamma, spot=event.spot)
        if event.stock != self._stock and event.ts_event <= self._fill_ts:
            return False
        self.is_known, self.ts = event.spot > 0, event.ts_event
        self.delta, self.gamma, self.spot = event.delta, event.gamma, event.spot
        self._stock = event.stock
        return self.is_known

    def filled(self, shares: int, ts: int) -> None:
        """Count a fill of the underlying, signed: what is known is out of date until an exposure includes it."""
        self.is_known = False
        self._stock += shares
        self._fill_ts = ts

    def quoted(self, event: UnderlyingUpdated) -> tuple[()]:
        """Take over the spread of the underlying. A one-sided market says nothing about it; a crossed one costs 0."""
        if event.bid > 0 and event.ask > 0:
            self.half_spread = max(event.ask - event.bid, 0) / 20_000.0
        return ()

    def cost(self, fee: float) -> float:
        """Return the proportional cost of a hedge: half-spread and fee, dollars per share, over the price."""
        return (self.half_spread + fee) / self.spot

    def state(self) -> dict[str, Any]:
        """Return all of it, for a snapshot."""
        return {name.lstrip("_"): value for name, value in vars(self).items()}

    def take_over(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.is_known, self.delta, self.gamma = state["is_known"], state["delta"], state["gamma"]
        self.spot, self.half_spread = state["spot"], state["half_spread"]
        self.ts, self._stock, self._fill_ts = state["ts"], state["stock"], state["fill_ts"]
