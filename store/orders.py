"""Orders that the gate cleared, each with its route and its last state."""

from __future__ import annotations

from typing import Any

from domain.commands import SubmitOrder
from domain.events import OrderCleared, OrderReplaceCleared, OrderRouted, OrderStateChanged
from domain.events_base import Event
from domain.price import PRICE_SCALE
from store.names import Names
from store.rows import Rows


class OrderLog:
    """One row per ClOrdID. A replacement is an order of its own that names the one it replaced."""

    def __init__(self, names: Names, states: Rows) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self._rules: dict[str, str] = {}
        self._names = names
        self._states = states

    def apply(self, event: Event) -> None:
        """Take an event over; one that is not about an order of ours is ignored."""
        match event:
            case OrderRouted():
                self._rules[event.clordid] = event.rule
                if event.clordid in self.orders:
                    self.orders[event.clordid]["rule"] = event.rule
            case OrderCleared():
                self._clear(event.order, event.ts_event)
            case OrderReplaceCleared():
                self._replace(event)
            case OrderStateChanged():
                self._change(event)
            case _:
                pass

    def _clear(self, order: SubmitOrder, ts: int) -> None:
        self.orders[order.clordid] = {
            "ts": ts,
            "clordid": order.clordid,
            "request_id": order.request_id,
            "orig_clordid": "",
            "venue": self._names.venue(order.venue),
            "contract": order.contract,
            "symbol": self._names.symbol(order.contract),
            "side": order.side,
            "quantity": order.quantity,
            "order_type": order.order_type,
            "price": order.price / PRICE_SCALE,
            "tif": order.tif,
            "intent": str(order.intent),
            "account": order.party.account,
            "capacity": order.party.capacity,
            "sale_marking": order.sale_marking,
            "market_maker_exempt": order.market_maker_exempt,
            "rule": self._rules.get(order.clordid, ""),
            "state": "cleared",
            "state_ts": ts,
            "cum_qty": 0,
            "leaves_qty": order.quantity,
        }

    def _replace(self, event: OrderReplaceCleared) -> None:
        replace, before = event.replace, self.orders.get(event.replace.orig_clordid)
        if before is None:
            return
        self.orders[replace.clordid] = before | {
            "ts": event.ts_event,
            "clordid": replace.clordid,
            "orig_clordid": replace.orig_clordid,
            "quantity": replace.quantity,
            "price": replace.price / PRICE_SCALE,
            "state": "cleared",
            "state_ts": event.ts_event,
            "leaves_qty": replace.quantity - before["cum_qty"],
        }

    def _change(self, event: OrderStateChanged) -> None:
        ts, venue = event.ts_event, self._names.venue(event.venue)
        self._states.add(ts, event.clordid, venue, event.before, event.after, event.cum_qty, event.leaves_qty)
        order = self.orders.get(event.clordid)
        if order is not None:
            order.update(state=event.after, state_ts=ts, cum_qty=event.cum_qty, leaves_qty=event.leaves_qty)
