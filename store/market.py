"""What the market and our own valuation said at each instant of a run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from domain.commands import STOCK
from domain.events import GreeksComputed, NbboUpdated, UnderlyingUpdated
from domain.events_base import Event
from domain.price import PRICE_SCALE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class View(NamedTuple):
    """What was known at one instant. Arrays are never written to again: a change makes new ones.

    Attributes:
        ts: Time of the last change, ns.
        bid: Best bid of each contract in price units, 0 where there is none. Shape (n,).
        ask: Best offer in price units, 0 where there is none. Shape (n,).
        theo: Our value, dollars per share, NaN where there is none. Shape (n,).
        delta: Of one share of the option, the last that was known, NaN before the first: a contract that lost its value
            is still one that we should be quoting. Shape (n,).
        stock_bid: Best bid of the underlying in price units, 0 where there is none.
        stock_ask: Best offer of the underlying in price units, 0 where there is none.
    """

    ts: int
    bid: Ints
    ask: Ints
    theo: Floats
    delta: Floats
    stock_bid: int
    stock_ask: int

    @classmethod
    def empty(cls, n: int) -> View:
        """Before anything is known of n contracts."""
        nothing, unknown = np.zeros(n, np.int64), np.full(n, np.nan)
        return cls(0, nothing, nothing, unknown, unknown, 0, 0)

    def mid(self, contract: int) -> float:
        """Middle of the NBBO in dollars, NaN where it is one-sided. STOCK is the underlying."""
        if contract == STOCK:
            bid, ask = self.stock_bid, self.stock_ask
        else:
            bid, ask = int(self.bid[contract]), int(self.ask[contract])
        return (bid + ask) / 2 / PRICE_SCALE if bid and ask else float("nan")


class Market:
    """Follows quotes and Greeks, and keeps the view of the instant before.

    A recording has many events of one instant (a minute that closed). What stood before it is what our quotes were
    made of; what stands after it is what a fill of that instant is marked with.
    """

    def __init__(self, n: int) -> None:
        """Begin with nothing known of n contracts."""
        self.n = n
        self.now = View.empty(n)
        self._before = self.now

    def before(self, ts: int) -> View:
        """The last view strictly before an instant, as far back as is kept: one instant."""
        return self.now if self.now.ts < ts else self._before

    def at(self, ts: int) -> View:
        """The last view at an instant, as far back as is kept: one instant."""
        return self.now if self.now.ts <= ts else self._before

    def apply(self, event: Event) -> bool:
        """Take an event over; return whether it changed anything."""
        match event:
            case NbboUpdated(frame=nbbo):
                now = self._at(event.ts_event)
                bid, ask = now.bid.copy(), now.ask.copy()
                bid[nbbo.contract] = np.where(nbbo.bid_size > 0, nbbo.bid, 0)
                ask[nbbo.contract] = np.where(nbbo.ask_size > 0, nbbo.ask, 0)
                self.now = now._replace(bid=bid, ask=ask)
            case GreeksComputed(frame=greeks):
                now = self._at(event.ts_event)
                theo, delta = np.full(self.n, np.nan), now.delta.copy()
                theo[greeks.contract] = greeks.theo
                is_known = np.isfinite(greeks.delta)
                delta[greeks.contract[is_known]] = greeks.delta[is_known]
                self.now = now._replace(theo=theo, delta=delta)
            case UnderlyingUpdated():
                self.now = self._at(event.ts_event)._replace(
                    stock_bid=event.bid if event.bid_size else 0, stock_ask=event.ask if event.ask_size else 0
                )
            case _:
                return False
        return True

    def _at(self, ts: int) -> View:
        if ts > self.now.ts:
            self._before = self.now
            return self.now._replace(ts=ts)
        return self.now
