"""The gate's own picture: market, limits, what is held, what rests, what is on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from domain.chain import Chain
from domain.commands import STOCK
from domain.events import ExposureChanged, PositionChanged, SessionChanged
from domain.price import TickClass
from risk.bounds import Market
from risk.limits import Limits
from risk.orders import OpenOrders
from risk.resting import Ints, RestingQuotes
from risk.worst_case import Floats, base_load, limits_of, stock_load


class View:
    """What every check reads. n is the number of contracts.

    Attributes:
        position: Signed contracts held of each option. Shape (n,).
        stock: Shares held, signed.
        held: Net delta, gamma and vega of the held book. Shape (3,).
        requested: Total quantity of each parent order, by its request.
        load_limits: Limits on the worst-case loads. Shape (7,).
    """

    def __init__(self, chain: Chain, tick_classes: Mapping[str, TickClass], limits: Limits, venues: int) -> None:
        self.market = Market(chain, tick_classes, venues)
        self.quotes = RestingQuotes(venues, len(chain))
        self.orders = OpenOrders()
        self.multiplier = chain.multiplier
        self.position: Ints = np.zeros(len(chain), np.int64)
        self.stock = 0
        self.held: Floats = np.zeros(3)
        self.session = "pre_open"
        self.close_ts = 0
        self.requested: dict[str, int] = {}
        self.limits = limits
        self.load_limits = limits_of(limits)
        self.set_limits(limits)

    def set_limits(self, limits: Limits) -> None:
        """Put limits in force."""
        self.limits = limits
        self.load_limits = limits_of(limits)
        self.market.set_limits(limits)

    def is_open(self, now: int) -> bool:
        """Whether the session is open at that time, ns: by its last change and before its scheduled close."""
        return self.session == "open" and now < self.close_ts

    def on_session(self, event: SessionChanged) -> None:
        """The session changed."""
        self.session, self.close_ts = event.state, event.close_ts

    def on_position(self, event: PositionChanged) -> None:
        """What is held of one option, or of the stock, changed."""
        if event.contract == STOCK:
            self.stock = event.quantity
        elif 0 <= event.contract < len(self.position):
            self.position[event.contract] = event.quantity

    def on_exposure(self, event: ExposureChanged) -> None:
        """The Greeks of what is held changed."""
        self.held[:] = event.delta, event.gamma, event.vega
        self.stock = event.stock

    def reach(self) -> tuple[Ints, Ints]:
        """Return contracts that may be bought and sold of each option, in quotes and orders. Two of shape (n,)."""
        bid, ask = self.quotes.per_contract()
        for order in self.orders:
            if order.contract != STOCK:
                (bid if order.side == "buy" else ask)[order.contract] += order.leaves
        return bid, ask

    def load(self, reach: tuple[Ints, Ints] | None = None) -> Floats:
        """Return the worst-case loads of all that is held and may trade, in the order of `worst_case.CHECKS`."""
        unit, spot = self.market.unit, self.market.spot
        notional = float((np.abs(self.position) * unit.premium).sum()) + abs(self.stock) * spot
        bid, ask = self.reach() if reach is None else reach
        load = base_load(unit, self.held, notional, bid, ask)
        if len(self.orders):
            load += stock_load(self.orders.leaves(STOCK, "buy"), self.orders.leaves(STOCK, "sell"), spot)
        return load

    def state(self) -> dict[str, Any]:
        """All of it, for a snapshot."""
        return {
            "market": self.market.state(),
            "quotes": self.quotes.state(),
            "orders": self.orders.state(),
            "position": self.position,
            "stock": self.stock,
            "held": self.held,
            "session": self.session,
            "close_ts": self.close_ts,
            "requested": self.requested,
            "limits": msgspec.structs.asdict(self.limits),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.set_limits(msgspec.convert(state["limits"], Limits))
        self.market.restore(state["market"], self.limits)
        self.quotes.restore(state["quotes"])
        self.orders.restore(state["orders"])
        self.position, self.stock, self.held = state["position"], state["stock"], state["held"]
        self.session, self.close_ts = state["session"], state["close_ts"]
        self.requested = dict(state["requested"])
