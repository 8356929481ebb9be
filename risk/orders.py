"""Our orders that may still trade, as the gate must assume them.

An order counts from its clearance until it is known to be done. A replacement counts beside the original, at the larger
of the two remainders, until the venue has answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from domain.commands import ReplaceOrder, Side, SubmitOrder
from domain.events import CancelRejected, ExecType, ExecutionReported, OrderStateChanged

_DONE: Final = frozenset({ExecType.CANCELED, ExecType.REJECTED, ExecType.EXPIRED})


class OpenOrder(msgspec.Struct, kw_only=True):
    """One order. `new_*` describe a replacement in flight; `new_clordid` is empty without one."""

    clordid: str
    request_id: str
    contract: int
    side: Side
    price: int
    quantity: int
    is_short: bool
    cum: int = 0
    new_clordid: str = ""
    new_price: int = 0
    new_quantity: int = 0

    @property
    def leaves(self) -> int:
        """What may still trade: the larger remainder of the order and its replacement."""
        return max(self.quantity, self.new_quantity) - self.cum

    @property
    def prices(self) -> tuple[int, ...]:
        """Prices at which it may trade."""
        return (self.price, self.new_price) if self.new_clordid else (self.price,)


class OpenOrders:
    """Orders by ClOrdID, in the order of their clearance."""

    def __init__(self) -> None:
        """No order is open."""
        self._open: dict[str, OpenOrder] = {}
        self._alias: dict[str, str] = {}
        self._executions: dict[str, None] = {}

    def __iter__(self) -> Iterator[OpenOrder]:
        return iter(self._open.values())

    def __len__(self) -> int:
        return len(self._open)

    def get(self, clordid: str) -> OpenOrder | None:
        """Return an order by its own name or that of its replacement in flight."""
        return self._open.get(self._alias.get(clordid, clordid))

    def submitted(self, order: SubmitOrder) -> None:
        """An order was cleared."""
        self._open[order.clordid] = OpenOrder(
            clordid=order.clordid,
            request_id=order.request_id,
            contract=order.contract,
            side=order.side,
            price=order.price,
            quantity=order.quantity,
            is_short=order.sale_marking in {"short", "short_exempt"},
        )

    def replacing(self, replace: ReplaceOrder) -> None:
        """A replacement was cleared. Its original must be open."""
        order = self._open[replace.orig_clordid]
        order.new_clordid, order.new_price, order.new_quantity = replace.clordid, replace.price, replace.quantity
        self._alias[replace.clordid] = order.clordid

    def reported(self, event: ExecutionReported) -> bool:
        """A venue reported on an order or a quote. Return whether it is new; a repeated report changes nothing."""
        key = f"{event.venue}/{event.exec_id}"
        if key in self._executions:
            return False
        self._executions[key] = None
        order = self.get(event.orig_clordid) or self.get(event.clordid)
        if order is None:
            return True
        order.cum = max(order.cum, event.cum_qty)
        if event.exec_type is ExecType.REPLACED and order.new_clordid == event.clordid:
            self._renamed(order)
        if event.exec_type in _DONE or order.leaves <= 0:
            self._remove(order)
        return True

    def moved(self, event: OrderStateChanged) -> None:
        """The order state machine moved an order; nothing left means that it is done."""
        order = self.get(event.clordid)
        if order is None or order.new_clordid == event.clordid:
            return
        order.cum = max(order.cum, event.cum_qty)
        if event.leaves_qty == 0 or order.leaves <= 0:
            self._remove(order)

    def cancel_rejected(self, event: CancelRejected) -> None:
        """A cancel or a replacement was refused: the original stands as it was."""
        order = self.get(event.clordid)
        if order is not None and order.new_clordid == event.clordid:
            self._alias.pop(event.clordid, None)
            order.new_clordid, order.new_price, order.new_quantity = "", 0, 0
            if order.leaves <= 0:
                self._remove(order)

    def leaves(self, contract: int, side: Side) -> int:
        """Return what may still trade in a contract on one side, over all orders."""
        return sum(order.leaves for order in self._open.values() if order.contract == contract and order.side == side)

    def best(self, contract: int) -> tuple[int, int | None]:
        """Return our highest buying price in a contract, or 0, and our lowest selling price, or None."""
        mine = [order for order in self._open.values() if order.contract == contract]
        buys = [price for order in mine if order.side == "buy" for price in order.prices]
        sells = [price for order in mine if order.side == "sell" for price in order.prices]
        return max(buys, default=0), min(sells, default=None)

    def state(self) -> dict[str, Any]:
        """All of it, for a snapshot."""
        return {
            "open": [msgspec.structs.asdict(order) for order in self._open.values()],
            "executions": list(self._executions),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self._open = {fields["clordid"]: OpenOrder(**fields) for fields in state["open"]}
        self._alias = {o.new_clordid: o.clordid for o in self._open.values() if o.new_clordid}
        self._executions = dict.fromkeys(state["executions"])

    def _renamed(self, order: OpenOrder) -> None:
        del self._open[order.clordid]
        self._alias.pop(order.new_clordid, None)
        order.clordid, order.price, order.quantity = order.new_clordid, order.new_price, order.new_quantity
        order.new_clordid, order.new_price, order.new_quantity = "", 0, 0
        self._open[order.clordid] = order

    def _remove(self, order: OpenOrder) -> None:
        del self._open[order.clordid]
        self._alias.pop(order.new_clordid, None)
