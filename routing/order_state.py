"""The orders that we sent and what became of them; every execution counted once.

A stage. The state machine is `routing.order_table.TABLE`. An outcome that is not known in time is UNKNOWN: it is
reconciled, never resent. What a venue says out of turn is not believed (`routing.belief`). Either way the venue is
asked for the status of the order, again with a growing pause while it does not answer (`routing.reconciliation`), until
its answer and our own count agree. Executions of quotes have no order; they are counted here too, so that position =
sum of `OrderFilled` whatever the venue repeats.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from domain.chain import Chain
from domain.commands import ResetProtection, SubmitOrder
from domain.errors import InputError
from domain.events import (
    CancelRejected,
    Event,
    ExecType,
    ExecutionReported,
    OrderCancelCleared,
    OrderCleared,
    OrderReplaceCleared,
    OrdersCancelCleared,
    OrderStateChanged,
    OrdStatus,
    RunEnded,
    SessionChanged,
    TimerFired,
    VenueStatusChanged,
)
from domain.state import pack, unpack
from routing.belief import AMENDMENTS, amendment_disbelief, disbelief, is_execution_of
from routing.fill_ledger import FillLedger
from routing.inquiry import Inquiry
from routing.order_records import Order
from routing.order_table import TABLE, TERMINAL, Next, OrderState, next_state
from routing.reconciliation import OrderBookSettings
from routing.reports import stamps_of
from routing.venue_trust import VenueTrust

__all__ = ["TABLE", "TERMINAL", "OrderBook", "OrderBookSettings", "OrderState"]

_KIND: Final = "routing.order_state"
_VERSION: Final = 3
_ALL_VENUES: Final = -1


class OrderBook:
    """Stage: follows our orders and counts executions."""

    name = "orders"

    def __init__(self, chain: Chain, underlying: str, settings: OrderBookSettings | None = None) -> None:
        """Start with no orders.

        Args:
            chain: The contracts that an execution may name.
            underlying: Key of the shard.
            settings: Timeouts, and how often a venue is asked.
        """
        settings = settings or OrderBookSettings()
        self._n = len(chain)
        self._kind = f"{_KIND}.{underlying}"
        self._underlying = underlying
        self._timeout_ns = settings.ack_timeout_ms * 1_000_000
        self.orders: dict[str, Order] = {}
        self._alias: dict[str, str] = {}
        self._fills = FillLedger()
        self._inquiry = Inquiry(settings)
        self._trust = VenueTrust()
        self._deadlines: deque[tuple[int, str, str]] = deque()
        self._handlers: dict[type[Event], Callable[[Any], Sequence[Event]]] = {
            OrderCleared: self._sent,
            OrderCancelCleared: self._cancel_sent,
            OrderReplaceCleared: self._replace_sent,
            OrdersCancelCleared: self._mass_cancel_sent,
            ExecutionReported: lambda report: list(self._reported(report)),
            CancelRejected: lambda event: list(self._cancel_rejected(event)),
            VenueStatusChanged: lambda event: list(self._venue_changed(event)),
            SessionChanged: lambda event: list(self._inquiry.session_changed(event, self.orders.values())),
            TimerFired: self._timer_fired,
            ResetProtection: self._reset,
            RunEnded: lambda event: list(self._inquiry.given_up(event, self.orders)),
        }

        self.reads: frozenset[type[Event]] = frozenset(self._handlers)

    def apply(self, event: Event) -> Sequence[Event]:
        """Apply one event.

        Raises:
            InputError: A ClOrdID was sent before.
        """
        handler = self._handlers.get(type(event))
        return () if handler is None else handler(event)

    # --- what we sent -------------------------------------------------------------------------------------------------
    def _sent(self, event: OrderCleared) -> list[Event]:
        sent: SubmitOrder = event.order
        if sent.clordid in self._alias:
            raise InputError("order was sent before", field="clordid", value=sent.clordid)
        order = Order(
            clordid=sent.clordid,
            venue=sent.venue,
            contract=sent.contract,
            side=sent.side,
            quantity=sent.quantity,
            limit=sent.price if sent.order_type == "limit" else 0,
            intent=str(sent.intent),
            is_immediate=sent.tif == "ioc" or sent.order_type == "market",
        )
        self.orders[sent.clordid] = order
        self._alias[sent.clordid] = sent.clordid
        self._expect(event, order, "new")
        return [self._changed(event, order, "")]

    def _cancel_sent(self, event: OrderCancelCleared) -> list[Event]:
        cancel = event.cancel
        order = self._find(cancel.orig_clordid)
        self._alias.setdefault(cancel.clordid, order.clordid if order else "")
        if order is None or order.is_done:
            return []
        order.pending_cancel = cancel.clordid
        self._expect(event, order, cancel.clordid)
        return self._move(event, order, order.asked_state)

    def _replace_sent(self, event: OrderReplaceCleared) -> list[Event]:
        replace = event.replace
        order = self._find(replace.orig_clordid)
        self._alias.setdefault(replace.clordid, order.clordid if order else "")
        if order is None or order.is_done:
            return []
        order.pending_replace, order.pending_quantity = replace.clordid, replace.quantity
        if order.limit:
            order.limit = (max if order.side == "buy" else min)(order.limit, replace.price)
        self._expect(event, order, replace.clordid)
        return self._move(event, order, order.asked_state)

    def _mass_cancel_sent(self, event: OrdersCancelCleared) -> list[Event]:
        events: list[Event] = []
        for order in self.orders.values():
            if not order.is_done and event.cancel.venue in (_ALL_VENUES, order.venue):
                order.pending_cancel = event.cancel.cancel_id
                self._expect(event, order, order.pending_cancel)
                events += self._move(event, order, order.asked_state)
        return events

    # --- what the venues say ------------------------------------------------------------------------------------------
    def _reported(self, report: ExecutionReported) -> Iterator[Event]:
        order = None if report.quote_set_id else self._find(report.clordid) or self._find(report.orig_clordid)
        if self._fills.is_repeated(report):
            yield from self._repeated(report, order)
        elif report.quote_set_id:
            yield from self._quote_reported(report)
        elif report.exec_type in AMENDMENTS:
            yield from self._amend(report, order)
        elif order is None:
            yield from self._inquiry.disputed(report, order, "unknown order")
        else:
            yield from self._order_reported(report, order)
        if order is not None:
            yield from self._inquiry.review(report, order)

    def _order_reported(self, report: ExecutionReported, order: Order) -> Iterator[Event]:
        doubt = disbelief(report, order)
        if doubt and not is_execution_of(report, order):
            yield from self._inquiry.disputed(report, order, doubt)
            return
        cell = TABLE[order.state, report.exec_type]
        self._fills.note(report)
        cum_before = order.cum
        if report.exec_type == ExecType.REPLACED:
            order.old_quantity, order.quantity = order.quantity, report.cum_qty + report.leaves_qty
            order.pending_replace, order.pending_quantity = "", 0
        elif report.exec_type == ExecType.TRADE:
            order.cum += report.last_qty
            yield self._fills.count(report, order)
            if doubt or order.is_beyond(report.last_px):
                yield from self._inquiry.disputed(report, order, doubt or "execution beyond our limit", is_booked=True)
        elif report.exec_type == ExecType.ORDER_STATUS:
            yield from self._answered(report, order)
        if not doubt and report.exec_type not in (ExecType.NEW, ExecType.PENDING_CANCEL, ExecType.PENDING_REPLACE):
            is_last_word = report.exec_type == ExecType.ORDER_STATUS
            order.reported = report.cum_qty if is_last_word else max(order.reported, report.cum_qty)
        yield from self._settle(report, order, cell, cum_before, is_believed=not doubt)
        yield from self._catch_up(report)

    def _answered(self, report: ExecutionReported, order: Order) -> Iterator[Event]:
        """Take the status of an order: what was in doubt, what became of a replacement and of a cancel of ours."""
        self._inquiry.compare(report, order, self._fills.average_price(order.clordid))
        if order.is_unknown and order.pending_replace and report.ord_status != OrdStatus.PENDING_REPLACE:
            total = report.cum_qty + report.leaves_qty
            if (report.clordid, total) == (order.pending_replace, order.pending_quantity):
                order.old_quantity, order.quantity = order.quantity, total
            order.pending_replace, order.pending_quantity = "", 0
        is_to_end = order.is_done or (order.is_unknown and bool(order.pending_cancel))
        if is_to_end and report.leaves_qty > 0 and report.ord_status != OrdStatus.PENDING_CANCEL:
            yield self._inquiry.cancel_again(report, order)

    def _settle(
        self, report: ExecutionReported, order: Order, cell: Next, cum_before: int, *, is_believed: bool = True
    ) -> Iterator[Event]:
        """Move the order by a cell of the table, and watch for executions that the venue counted and we did not see.

        Of an execution that is booked and not believed only its quantity counts, not what the report says of the order.
        """
        is_growing = order.pending_quantity > order.quantity and report.leaves_qty > 0
        quantity = order.pending_quantity if is_growing else order.quantity
        if not is_believed:
            cell = cell._replace(closed=cell.working)
        elif order.is_unknown and report.is_possible_repeat:  # it says what traded; the status follows it
            cell = cell._replace(working=OrderState.UNKNOWN, closed=OrderState.UNKNOWN)
        state = next_state(cell, report, order.cum, quantity)
        if order.cum < order.reported:
            self._expect(report, order, "executions")
        if report.exec_type == ExecType.ORDER_STATUS and state in (OrderState.NEW, OrderState.PARTIALLY_FILLED):
            state = order.live_state
            if order.is_unknown and order.pending_cancel:
                self._expect(report, order, order.pending_cancel)
        if state in TERMINAL:
            order.pending_cancel = order.pending_replace = ""
        changed = self._move(report, order, state)
        if not changed and order.cum != cum_before:
            changed = [self._changed(report, order, order.state)]
        yield from changed
        if order.cum != cum_before:
            yield from self._trust.judge(report, order)

    def _quote_reported(self, report: ExecutionReported) -> Iterator[Event]:
        if report.exec_type in AMENDMENTS:
            yield from self._amend(report, None)
            return
        is_trade = report.exec_type == ExecType.TRADE and report.last_qty > 0 and report.last_px > 0
        if not is_trade or not 0 <= report.contract < self._n:
            yield from self._inquiry.disputed(report, None, "no execution of a quote of ours")
            return
        yield self._fills.count(report, None)
        yield from self._catch_up(report)

    # --- repeats, busts and corrections -------------------------------------------------------------------------------
    def _repeated(self, report: ExecutionReported, order: Order | None) -> Iterator[Event]:
        """Count nothing twice. Other terms are a lie, but the venue's word where it was asked."""
        if not self._fills.is_altered(report):
            return
        is_answer = bool(report.status_id) and order is not None and is_execution_of(report, order)
        if order is None or not is_answer or self._fills.is_busted(report):
            yield from self._inquiry.disputed(report, order, "execution repeated with other terms", is_booked=True)
            return
        corrected, change = self._fills.correct_repeated(report)
        yield corrected
        order.cum += change
        if change:
            is_open_again = order.state == OrderState.FILLED and order.cum < order.quantity
            before, order.state = order.state, OrderState.UNKNOWN if is_open_again else order.state
            yield self._changed(report, order, before)  # the status that comes with the answer says what it is now
            yield from self._trust.judge(report, order)

    def _amend(self, report: ExecutionReported, order: Order | None) -> Iterator[Event]:
        """Bust or correct an execution; one that has not come yet is amended when it comes."""
        fill = self._fills.amended_by(report)
        if fill is None:
            self._fills.hold(report)
            yield from self._inquiry.disputed(report, order, "amends an execution that is not known yet")
            return
        is_bust = report.exec_type == ExecType.TRADE_CANCEL
        change = (0 if is_bust else report.last_qty) - fill.quantity
        refusal = amendment_disbelief(report, order, fill, change)
        if refusal:
            yield from self._inquiry.disputed(report, order, refusal)
            return
        yield self._fills.amend(report, fill)
        if order is not None:
            cell, cum_before = TABLE[order.state, report.exec_type], order.cum
            order.cum += change
            order.reported = report.cum_qty
            yield from self._settle(report, order, cell, cum_before)
        yield from self._catch_up(report)

    def _catch_up(self, report: ExecutionReported) -> Iterator[Event]:
        """Apply the amendments that came before what they amend."""
        for early in self._fills.held_for(report):
            order = None if early.quote_set_id else self._find(early.clordid) or self._find(early.orig_clordid)
            yield from self._amend(early, order)

    # --- silence and refusals -----------------------------------------------------------------------------------------
    def _timer_fired(self, event: TimerFired) -> Sequence[Event]:
        is_late = bool(self._deadlines) and self._deadlines[0][0] <= event.ts_event
        if not is_late and not self._inquiry.is_due(event.ts_event):
            return ()
        return [*self._overdue(event), *self._inquiry.again(event, self.orders)]

    def _overdue(self, event: TimerFired) -> Iterator[Event]:
        while self._deadlines and self._deadlines[0][0] <= event.ts_event:
            _, clordid, awaited = self._deadlines.popleft()
            order = self.orders[clordid]
            if awaited == "executions":
                if order.cum < order.reported:
                    yield from self._inquiry.doubted(event, order, "executions are missing")
            elif not order.is_done and (
                order.state == OrderState.PENDING_NEW or (order.is_immediate and not order.is_unknown)
                if awaited == "new"
                else awaited in (order.pending_cancel, order.pending_replace)
            ):
                yield from self._move(event, order, OrderState.UNKNOWN)
                yield from self._inquiry.doubted(event, order, "no answer in time")

    def _cancel_rejected(self, event: CancelRejected) -> Iterator[Event]:
        order = self._find(event.orig_clordid) or self._find(event.clordid)
        if order is None:
            yield self._inquiry.needed(event, event.venue, event.orig_clordid, "cancel rejected of an unknown order")
            return
        if event.clordid == order.pending_cancel:
            order.pending_cancel = ""
        if event.clordid == order.pending_replace:
            order.pending_replace, order.pending_quantity = "", 0
        if order.is_done:
            return
        if event.ord_status in (OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED):
            yield from self._move(event, order, OrderState.UNKNOWN)
            yield from self._inquiry.doubted(event, order, f"venue says {event.ord_status.name}: {event.reason}")
        else:
            yield from self._move(event, order, order.live_state)
            yield from self._inquiry.review(event, order)

    def _venue_changed(self, event: VenueStatusChanged) -> Iterator[Event]:
        """Of what a venue held when it went down nothing is known; when it is up again it is asked."""
        mine = [order for order in self.orders.values() if order.venue == event.venue]
        if event.is_up:
            yield from self._inquiry.resume(event, mine)
            return
        self._inquiry.suspend(event.venue)
        for order in mine:
            if not order.is_done and not order.is_unknown:
                yield from self._move(event, order, OrderState.UNKNOWN)
                yield from self._inquiry.doubted(event, order, f"venue is down: {event.reason}")

    def _reset(self, event: ResetProtection) -> list[Event]:
        if event.underlying not in ("", self._underlying):
            return []
        return self._trust.reset(event, self._underlying)

    # --- parts --------------------------------------------------------------------------------------------------------
    def _find(self, clordid: str) -> Order | None:
        return self.orders.get(self._alias.get(clordid, ""))

    def _expect(self, event: Event, order: Order, awaited: str) -> None:
        self._deadlines.append((event.ts_event + self._timeout_ns, order.clordid, awaited))

    def _move(self, event: Event, order: Order, state: OrderState) -> list[Event]:
        before, order.state = order.state, state
        return [] if before == state else [self._changed(event, order, before)]

    def _changed(self, event: Event, order: Order, before: str) -> OrderStateChanged:
        return OrderStateChanged(
            **stamps_of(event),
            clordid=order.clordid,
            venue=order.venue,
            before=str(before),
            after=str(order.state),
            cum_qty=order.cum,
            leaves_qty=order.leaves,
        )

    # --- snapshots ----------------------------------------------------------------------------------------------------
    def snapshot(self) -> bytes:
        """Return the whole state."""
        return pack(
            self._kind,
            _VERSION,
            {
                "orders": [asdict(order) for order in self.orders.values()],
                "alias": self._alias,
                "fills": self._fills.state(),
                "inquiry": self._inquiry.state(),
                "trust": self._trust.state(),
                "deadlines": list(self._deadlines),
            },
        )

    def restore(self, state: bytes) -> None:
        """Take over what `snapshot` gave.

        Raises:
            DataError: Damaged, or of another stage or version.
        """
        found = unpack(self._kind, _VERSION, state)
        self.orders = {row["clordid"]: Order(**{**row, "state": OrderState(row["state"])}) for row in found["orders"]}
        self._alias = found["alias"]
        self._fills.take_over(found["fills"])
        self._inquiry.take_over(found["inquiry"])
        self._trust.take_over(found["trust"])
        self._deadlines = deque((at, clordid, awaited) for at, clordid, awaited in found["deadlines"])
