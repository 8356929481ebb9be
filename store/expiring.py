"""Gamma and theta of what is held and expires on the trade date.

In the last hours of an option at the money both grow without bound, and a chart of the whole book shows nothing else.
They are kept apart, so that the rest can be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from domain.calendar import expiry_day
from domain.chain import Chain
from domain.events import GreeksComputed, PositionChanged, PositionsImported
from domain.events_base import Event
from domain.frames import Column
from store.market import Bools, Floats


def expire_today(chain: Chain) -> Bools:
    """Which contracts expire on the trade date. Shape (n,)."""
    today = np.array([expiry_day(expiry) == chain.trade_date for _, expiry in chain.expiries], np.bool_)
    return np.asarray(today[chain.expiry_index])


class ExpiringGreeks(NamedTuple):
    """Gamma in shares per dollar and theta in dollars per year, as in `domain.events.ExposureChanged`."""

    gamma: float
    theta: float


class ExpiringToday:
    """Follows positions and Greeks of the contracts that expire on the trade date. m is how many there are."""

    def __init__(self, expiring: Bools, multiplier: Sequence[float]) -> None:
        """Nothing is held, and no Greeks are known. Both arguments are of each contract of the chain."""
        rows = np.flatnonzero(expiring)
        self._place = np.full(len(expiring), -1, np.int64)
        self._place[rows] = np.arange(len(rows))
        self._multiplier: Floats = np.asarray(multiplier, np.float64)[rows]
        self._shares: Floats = np.zeros(len(rows))
        self._greeks: Floats = np.zeros((2, len(rows)))

    def apply(self, event: Event) -> None:
        """Take an event over; one of another kind changes nothing. A Greek that is not known any more stays."""
        match event:
            case GreeksComputed(frame=frame):
                place = self._place[frame.contract]
                for row, values in enumerate((frame.gamma, frame.theta)):
                    known = (place >= 0) & np.isfinite(values)
                    self._greeks[row, place[known]] = values[known]
            case PositionsImported(frame=book):
                self._hold(book.contract, book.quantity)
            case PositionChanged(contract=contract, quantity=quantity) if contract >= 0:
                self._hold(np.array([contract]), np.array([quantity]))
            case _:
                pass

    def net(self) -> ExpiringGreeks:
        """Of the whole position in them."""
        gamma, theta = (self._greeks @ self._shares).tolist()
        return ExpiringGreeks(gamma, theta)

    def _hold(self, contract: Column, quantity: Column) -> None:
        place = self._place[contract]
        held = place[place >= 0]
        self._shares[held] = quantity[place >= 0] * self._multiplier[held]
