"""Our orders at one venue: accept, execute against the displayed book, rest, cancel, replace, expire."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np

from domain.commands import (
    STOCK,
    CancelAllOrders,
    CancelOrder,
    Capacity,
    OrderType,
    ReplaceOrder,
    Side,
    SubmitOrder,
    TimeInForce,
)
from domain.events import CancelRejected, ExecType, ExecutionReported, OrdStatus, SessionState
from domain.price import TickColumns, is_on_tick
from routing.nbbo import ASK, BID, Ints
from routing.queue_model import UNKNOWN_AHEAD, place_in_queue, price_time, pro_rata, reach, rotation
from routing.reports import Reports
from routing.venue_book import VenueBook
from routing.venues import Venue

Answer = ExecutionReported | CancelRejected

_PRO_RATA_SALT: Final = 0x0BDE


@dataclass(slots=True, kw_only=True)
class WorkingOrder:
    """An order that the venue accepted and that is not done."""

    clordid: str
    contract: int
    side: Side
    quantity: int
    order_type: OrderType
    price: int
    tif: TimeInForce
    capacity: Capacity
    cum: int = 0
    ahead: int = UNKNOWN_AHEAD

    @property
    def leaves(self) -> int:
        """What is left to trade."""
        return self.quantity - self.cum

    @property
    def own_side(self) -> int:
        """The side of the book on which it rests."""
        return BID if self.side == "buy" else ASK

    @property
    def status(self) -> OrdStatus:
        """Its FIX status while it works, or FILLED."""
        if self.leaves == 0:
            return OrdStatus.FILLED
        return OrdStatus.PARTIALLY_FILLED if self.cum else OrdStatus.NEW

    def reaches(self, price: int) -> bool:
        """Whether it would trade against a displayed price."""
        if self.order_type == "market":
            return True
        return self.price >= price if self.side == "buy" else self.price <= price


class OrderEntry:
    """Orders of one venue. Executions are reported in order and counted by `trades`, which the exchange books."""

    def __init__(
        self, venue: Venue, ticks: TickColumns, n: int, book: VenueBook, reports: Reports, *, max_size: int, seed: int
    ) -> None:
        self.working: dict[str, WorkingOrder] = {}
        self._done: dict[str, OrdStatus] = {}
        self._venue, self._ticks, self._n, self._book, self._reports = venue, ticks, n, book, reports
        self._max_size, self._seed = max_size, seed

    # --- from us ------------------------------------------------------------------------------------------------------
    def submit(self, order: SubmitOrder, session: SessionState, ts: int) -> list[Answer]:
        """Accept or reject an order; an accepted one trades at once as far as the displayed size goes."""
        refusal = self._refusal(order, session)
        if refusal:
            self._done.setdefault(order.clordid, OrdStatus.REJECTED)
            return [
                self._reports.execution(
                    exec_type=ExecType.REJECTED,
                    status=OrdStatus.REJECTED,
                    contract=order.contract,
                    side=order.side,
                    cum=0,
                    leaves=0,
                    clordid=order.clordid,
                    text=refusal,
                )
            ]
        working = WorkingOrder(
            clordid=order.clordid,
            contract=order.contract,
            side=order.side,
            quantity=order.quantity,
            order_type=order.order_type,
            price=order.price,
            tif=order.tif,
            capacity=order.party.capacity,
        )
        self.working[order.clordid] = working
        return [self._report(working, ExecType.NEW), *self._execute(working, ts)]

    def cancel(self, cancel: CancelOrder) -> list[Answer]:
        """Cancel one order; what is not there is refused with the status it ended in."""
        if self._is_used(cancel.clordid):
            return [self._cancel_refusal(cancel.clordid, cancel.orig_clordid, "duplicate ClOrdID")]
        order = self.working.get(cancel.orig_clordid)
        if order is None:
            return [self._cancel_refusal(cancel.clordid, cancel.orig_clordid, "no such working order")]
        self._done[cancel.clordid] = OrdStatus.CANCELED
        return [self._end(order, ExecType.CANCELED, clordid=cancel.clordid, text=cancel.reason)]

    def cancel_all(self, cancel: CancelAllOrders) -> list[Answer]:
        """Cancel every working order; each is reported under its own ClOrdID."""
        return [self._end(order, ExecType.CANCELED, text=cancel.reason) for order in list(self.working.values())]

    def replace(self, replace: ReplaceOrder, session: SessionState, ts: int) -> list[Answer]:
        """Change price and total quantity; a smaller quantity at the same price keeps its place in the queue."""
        order = self.working.get(replace.orig_clordid)
        refusal = "duplicate ClOrdID" if self._is_used(replace.clordid) else ""
        if not refusal and order is None:
            refusal = "no such working order"
        if not refusal and session != "open":
            refusal = f"session is {session}"
        if not refusal:
            refusal = self._terms_refusal(replace.contract, replace.quantity, replace.price)
        if not refusal and order is not None and (order.contract, order.side) != (replace.contract, replace.side):
            refusal = "contract and side cannot be replaced"
        if not refusal and order is not None and replace.quantity <= order.cum:
            refusal = "quantity is not above what was executed"
        if refusal or order is None:
            return [self._cancel_refusal(replace.clordid, replace.orig_clordid, refusal)]
        keeps = replace.price == order.price and replace.quantity <= order.quantity
        del self.working[order.clordid]
        self._done[order.clordid] = OrdStatus.CANCELED
        order.clordid, order.price, order.quantity = replace.clordid, replace.price, replace.quantity
        order.ahead = order.ahead if keeps else UNKNOWN_AHEAD
        self.working[order.clordid] = order
        report = self._report(order, ExecType.REPLACED, orig_clordid=replace.orig_clordid)
        return [report, *self._execute(order, ts)]

    def expire(self) -> list[Answer]:
        """End every working order: the session closed."""
        return [self._end(order, ExecType.EXPIRED, text="session closed") for order in list(self.working.values())]

    def drop(self) -> None:
        """Cancel every working order and tell nobody: the connection is gone."""
        self._done.update(dict.fromkeys(self.working, OrdStatus.CANCELED))
        self.working.clear()

    # --- from the market ----------------------------------------------------------------------------------------------
    def contracts(self) -> list[int]:
        """Return the contracts that have a working order, each once, the oldest order's first."""
        return list(dict.fromkeys(order.contract for order in self.working.values()))

    def requeue(self) -> None:
        """Follow a change of the book: where each resting order stands in its queue."""
        for order in self.working.values():
            best, size = (
                self._book.price[order.own_side, order.contract],
                self._book.size[order.own_side, order.contract],
            )
            is_first = best == 0 or (order.price > best if order.side == "buy" else order.price < best)
            ahead = place_in_queue(
                _one(order.ahead), np.array([is_first]), np.array([order.price == best]), _one(int(size))
            )
            order.ahead = int(ahead[0])

    def crossed_by(self, contract: int, part: tuple[int, int]) -> list[Answer]:
        """Trade what the recorded NBBO of a contract crossed, up to this venue's part of its bid and ask size."""
        left = list(part)
        answers: list[Answer] = []
        for order in list(self.working.values()):
            opposite = 1 - order.own_side
            best = int(self._book.nbbo.price[opposite, contract])
            crosses = 0 < best < order.price if order.side == "buy" else best > order.price
            if order.contract == contract and crosses and left[opposite]:
                quantity = min(order.leaves, left[opposite])
                left[opposite] -= quantity
                answers += self._trade(order, quantity, order.price, adds=True)
        return answers

    def printed(self, contract: int, low: int, high: int, volume: int, offset: float, ts: int) -> list[Answer]:
        """Trade resting orders of a contract against a print, by the queue model: oldest first, at most its volume."""
        answers: list[Answer] = []
        for order in list(self.working.values()):
            if order.contract != contract or volume <= 0:
                continue
            quantity = self._share_of_print(order, low, high, volume, offset, ts)
            if quantity:
                volume -= quantity
                answers += self._trade(order, quantity, order.price, adds=True)
        return answers

    def _share_of_print(self, order: WorkingOrder, low: int, high: int, volume: int, offset: float, ts: int) -> int:
        is_buy = order.side == "buy"
        price, none = _one(order.price), _one(0)
        bid, ask = (price, none) if is_buy else (none, price)
        part = reach(bid, ask, _one(low), _one(high), _one(volume), np.array([offset]))[order.own_side]
        best = int(self._book.price[order.own_side, order.contract])
        shown = int(self._book.size[order.own_side, order.contract])
        is_first = best == 0 or (order.price > best if is_buy else order.price < best)
        is_through = low < order.price if is_buy else high > order.price
        if is_first or is_through:
            return min(order.leaves, int(part[0]))
        if self._venue.allocation == "pro_rata":
            salt = _PRO_RATA_SALT + self._venue.index
            draw = rotation(self._seed, salt, _one(order.contract), ts)
            return int(pro_rata(_one(order.leaves), _one(shown), part, draw)[0])
        is_known = order.ahead != UNKNOWN_AHEAD
        quantity, left = price_time(_one(order.leaves), _one(order.ahead if is_known else shown), part)
        if is_known:
            order.ahead = int(left[0])
        return int(quantity[0])

    # --- parts --------------------------------------------------------------------------------------------------------
    def _execute(self, order: WorkingOrder, ts: int) -> list[Answer]:
        """Take displayed size; then rest a day limit order and cancel the rest of any other."""
        answers: list[Answer] = []
        opposite = 1 - order.own_side
        price, size = self._book.available(opposite, order.contract, ts)
        if price and order.reaches(price):
            quantity = min(order.leaves, size)
            self._book.take(opposite, order.contract, quantity, ts)
            answers += self._trade(order, quantity, price, adds=False)
        if order.leaves and (order.tif == "ioc" or order.order_type == "market"):
            answers.append(self._end(order, ExecType.CANCELED, text="no more displayed size"))
        elif order.leaves and order.ahead == UNKNOWN_AHEAD:
            self.requeue()
        return answers

    def _trade(self, order: WorkingOrder, quantity: int, price: int, *, adds: bool) -> list[Answer]:
        order.cum += quantity
        if order.leaves == 0:
            self._done[order.clordid] = OrdStatus.FILLED
            del self.working[order.clordid]
        return [
            self._reports.execution(
                exec_type=ExecType.TRADE,
                status=order.status,
                contract=order.contract,
                side=order.side,
                cum=order.cum,
                leaves=order.leaves,
                clordid=order.clordid,
                quantity=quantity,
                price=price,
                capacity=order.capacity,
                adds=adds,
            )
        ]

    def _report(self, order: WorkingOrder, exec_type: ExecType, *, orig_clordid: str = "") -> ExecutionReported:
        return self._reports.execution(
            exec_type=exec_type,
            status=order.status,
            contract=order.contract,
            side=order.side,
            cum=order.cum,
            leaves=order.leaves,
            clordid=order.clordid,
            orig_clordid=orig_clordid,
        )

    def _end(
        self,
        order: WorkingOrder,
        exec_type: Literal[ExecType.CANCELED, ExecType.EXPIRED],
        *,
        clordid: str = "",
        text: str = "",
    ) -> ExecutionReported:
        status = OrdStatus.CANCELED if exec_type == ExecType.CANCELED else OrdStatus.EXPIRED
        del self.working[order.clordid]
        self._done[order.clordid] = status
        return self._reports.execution(
            exec_type=exec_type,
            status=status,
            contract=order.contract,
            side=order.side,
            cum=order.cum,
            leaves=0,
            clordid=clordid or order.clordid,
            orig_clordid=order.clordid if clordid else "",
            text=text,
        )

    def _refusal(self, order: SubmitOrder, session: SessionState) -> str:
        if self._is_used(order.clordid):
            return "duplicate ClOrdID"
        if session != "open":
            return f"session is {session}"
        if not self._reports.admits(order.party.capacity):
            return "capacity is not admitted"
        if order.contract == STOCK and order.side == "sell" and not order.sale_marking:
            return "stock sale is not marked"
        price = order.price if order.order_type == "limit" else 0
        return self._terms_refusal(order.contract, order.quantity, price, is_market=order.order_type == "market")

    def _terms_refusal(self, contract: int, quantity: int, price: int, *, is_market: bool = False) -> str:
        is_listed = contract == STOCK if self._venue.kind == "stock" else 0 <= contract < self._n
        if not is_listed:
            return "unknown contract"
        if not 1 <= quantity <= self._max_size:
            return "quantity is out of range"
        tick = TickColumns(self._ticks.below[[contract]], self._ticks.above[[contract]])
        if not is_market and (price <= 0 or not is_on_tick(_one(price), tick)[0]):
            return "price is off tick"
        return ""

    def _is_used(self, clordid: str) -> bool:
        return clordid in self.working or clordid in self._done

    def _cancel_refusal(self, clordid: str, orig_clordid: str, reason: str) -> CancelRejected:
        order = self.working.get(orig_clordid)
        status = self._done.get(orig_clordid, OrdStatus.REJECTED) if order is None else order.status
        return self._reports.cancel_rejected(clordid, orig_clordid, status, reason)

    def state(self) -> dict[str, Any]:
        """Return all orders, for a snapshot."""
        return {"working": [asdict(order) for order in self.working.values()], "done": self._done}

    def take_over(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.working = {row["clordid"]: WorkingOrder(**row) for row in state["working"]}
        self._done = {clordid: OrdStatus(status) for clordid, status in state["done"].items()}


def _one(value: int) -> Ints:
    return np.array([value], np.int64)
