"""The orders that we sent and what became of them; every execution counted once.

A stage. The state machine is `routing.order_table.TABLE`. An outcome that is not known in time is UNKNOWN: it is
reconciled, never resent. What a venue says out of turn changes nothing and asks for reconciliation. Executions of
quotes have no order; they are counted here too, so that position = sum of `OrderFilled` whatever the venue repeats.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import msgspec

from domain.chain import Chain
from domain.commands import SubmitOrder
from domain.errors import InputError, VenueError
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
    ReconciliationNeeded,
    TimerFired,
    VenueStatusChanged,
)
from domain.state import pack, unpack
from routing.fill_ledger import FillLedger
from routing.order_records import Fill, Order
from routing.order_table import TABLE, TERMINAL, Next, OrderState, contradiction, next_state
from routing.reports import Stamps

__all__ = ["TABLE", "TERMINAL", "OrderBook", "OrderBookSettings", "OrderState"]

_KIND: Final = "routing.order_state"
_VERSION: Final = 2
_AMENDMENTS: Final = (ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT)
_ALL_VENUES: Final = -1


class OrderBookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When silence becomes an unknown outcome.

    Raises:
        InputError: The timeout is not positive.
    """

    ack_timeout_ms: int = 5_000

    def __post_init__(self) -> None:
        """Refuse a timeout that has passed before the order left."""
        if self.ack_timeout_ms < 1:
            raise InputError("must be positive", field="orders.ack_timeout_ms", value=self.ack_timeout_ms)


class OrderBook:
    """Stage: follows our orders and counts executions."""

    name = "orders"
    reads: frozenset[type[Event]] = frozenset(
        {
            OrderCleared,
            OrderCancelCleared,
            OrderReplaceCleared,
            OrdersCancelCleared,
            ExecutionReported,
            CancelRejected,
            VenueStatusChanged,
            TimerFired,
        }
    )

    def __init__(self, chain: Chain, underlying: str, settings: OrderBookSettings | None = None) -> None:
        """Start with no orders.

        Args:
            chain: The contracts that an execution may name.
            underlying: Key of the shard.
            settings: Timeouts.
        """
        self._n = len(chain)
        self._kind = f"{_KIND}.{underlying}"
        self._timeout_ns = (settings or OrderBookSettings()).ack_timeout_ms * 1_000_000
        self.orders: dict[str, Order] = {}
        self._alias: dict[str, str] = {}
        self._fills = FillLedger()
        self._deadlines: deque[tuple[int, str, str]] = deque()
        self._handlers: dict[type[Event], Callable[[Any], Sequence[Event]]] = {
            OrderCleared: self._sent,
            OrderCancelCleared: self._cancel_sent,
            OrderReplaceCleared: self._replace_sent,
            OrdersCancelCleared: self._mass_cancel_sent,
            ExecutionReported: lambda report: list(self._reported(report)),
            CancelRejected: self._cancel_rejected,
            VenueStatusChanged: self._venue_changed,
            TimerFired: self._timer_fired,
        }

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
        if self._fills.is_repeated(report):
            if self._fills.is_altered(report):
                yield self._refuse(report, "execution repeated with other terms")
            return
        if report.quote_set_id:
            yield from self._quote_reported(report)
            return
        order = self._find(report.clordid) or self._find(report.orig_clordid)
        if report.exec_type in _AMENDMENTS:
            yield from self._amend(report, order)
            return
        refusal = "unknown order" if order is None else self._disbelief(report, order)
        if refusal or order is None:
            yield self._refuse(report, refusal)
            return
        cell = TABLE[order.state, report.exec_type]
        self._fills.note(report)
        cum_before = order.cum
        if report.exec_type == ExecType.REPLACED:
            order.old_quantity, order.quantity = order.quantity, report.cum_qty + report.leaves_qty
            order.pending_replace, order.pending_quantity = "", 0
        if report.exec_type == ExecType.TRADE:
            order.cum += report.last_qty
            yield self._fills.count(report, order)
            if order.is_beyond(
                report.last_px
            ):  # booked, as the venue's word holds until it is taken back; and disputed
                yield self._refuse(report, "execution beyond our limit")
        if report.exec_type not in (ExecType.NEW, ExecType.PENDING_CANCEL, ExecType.PENDING_REPLACE):
            order.reported = max(order.reported, report.cum_qty)
        yield from self._settle(report, order, cell, cum_before)
        yield from self._catch_up(report)

    def _settle(self, report: ExecutionReported, order: Order, cell: Next, cum_before: int) -> Iterator[Event]:
        """Move the order by a cell of the table, and watch for executions that the venue counted and we did not see."""
        is_growing = order.pending_quantity > order.quantity and report.leaves_qty > 0
        state = next_state(cell, report, order.cum, order.pending_quantity if is_growing else order.quantity)
        if order.cum < order.reported:
            self._expect(report, order, "executions")
        if state in TERMINAL:
            order.pending_cancel = order.pending_replace = ""
        changed = self._move(report, order, state)
        if not changed and order.cum != cum_before:
            changed = [self._changed(report, order, order.state)]
        yield from changed

    def _disbelief(self, report: ExecutionReported, order: Order) -> str:
        """Return why a report about an order is refused, or nothing."""
        if (order.state, report.exec_type) not in TABLE:
            return f"{report.exec_type.name} does not follow {order.state}"
        is_trade, is_replaced = report.exec_type == ExecType.TRADE, report.exec_type == ExecType.REPLACED
        asked = order.pending_replace, order.pending_quantity
        checks = (
            (report.venue != order.venue, "order is at another venue"),
            (report.exec_type == ExecType.REJECTED and order.cum > 0, "rejected after an execution"),
            (
                is_replaced and (report.clordid, report.cum_qty + report.leaves_qty) != asked,
                "replacement that was not asked for",
            ),
            (
                is_trade and (report.contract, report.side) != (order.contract, order.side),
                "execution of another contract or side",
            ),
            (is_replaced and order.cum > order.pending_quantity, "replacement below what was executed"),
            (is_trade and order.cum + report.last_qty > max(order.quantities), "executions above the order"),
        )
        return contradiction(report, order.quantities) or next((why for wrong, why in checks if wrong), "")

    def _quote_reported(self, report: ExecutionReported) -> Iterator[Event]:
        if report.exec_type in _AMENDMENTS:
            yield from self._amend(report, None)
            return
        is_trade = report.exec_type == ExecType.TRADE and report.last_qty > 0 and report.last_px > 0
        if not is_trade or not 0 <= report.contract < self._n:
            yield self._refuse(report, "no execution of a quote of ours")
            return
        yield self._fills.count(report, None)
        yield from self._catch_up(report)

    # --- busts and corrections ----------------------------------------------------------------------------------------
    def _amend(self, report: ExecutionReported, order: Order | None) -> Iterator[Event]:
        """Bust or correct an execution; one that has not come yet is amended when it comes."""
        fill = self._fills.amended_by(report)
        if fill is None:
            self._fills.hold(report)
            yield self._refuse(report, "amends an execution that is not known yet")
            return
        is_bust = report.exec_type == ExecType.TRADE_CANCEL
        change = (0 if is_bust else report.last_qty) - fill.quantity
        refusal = self._amendment_disbelief(report, order, fill, change)
        if refusal:
            yield self._refuse(report, refusal)
            return
        yield self._fills.amend(report, fill)
        if order is not None:
            cell, cum_before = TABLE[order.state, report.exec_type], order.cum
            order.cum += change
            order.reported = report.cum_qty
            yield from self._settle(report, order, cell, cum_before)
        yield from self._catch_up(report)

    def _amendment_disbelief(self, report: ExecutionReported, order: Order | None, fill: Fill, change: int) -> str:
        """Return why a bust or correction is refused, or nothing."""
        if fill.is_busted:
            return "execution was busted before"
        if (order.clordid if order else "") != fill.clordid:
            return "amends an execution of another order"
        if order is None:
            is_sound = report.exec_type == ExecType.TRADE_CANCEL or (report.last_qty > 0 and report.last_px > 0)
            return "" if is_sound else "correction without quantity or price"
        reason = self._disbelief(report, order)
        if not reason and order.cum + change > max(order.quantities):
            reason = "executions above the order"
        return reason

    def _catch_up(self, report: ExecutionReported) -> Iterator[Event]:
        """Apply the amendments that came before what they amend."""
        for early in self._fills.held_for(report):
            order = None if early.quote_set_id else self._find(early.clordid) or self._find(early.orig_clordid)
            yield from self._amend(early, order)

    # --- silence and refusals -----------------------------------------------------------------------------------------
    def _timer_fired(self, event: TimerFired) -> Sequence[Event]:
        if not self._deadlines or self._deadlines[0][0] > event.ts_event:
            return ()
        return list(self._overdue(event))

    def _overdue(self, event: TimerFired) -> Iterator[Event]:
        while self._deadlines and self._deadlines[0][0] <= event.ts_event:
            _, clordid, awaited = self._deadlines.popleft()
            order = self.orders[clordid]
            if awaited == "executions":
                if order.cum < order.reported:
                    yield self._reconcile(event, order.venue, clordid, "executions are missing")
            elif not order.is_done and (
                order.state == OrderState.PENDING_NEW
                if awaited == "new"
                else awaited in (order.pending_cancel, order.pending_replace)
            ):
                yield from self._move(event, order, OrderState.UNKNOWN)
                yield self._reconcile(event, order.venue, clordid, "no answer in time")

    def _cancel_rejected(self, event: CancelRejected) -> list[Event]:
        order = self._find(event.orig_clordid) or self._find(event.clordid)
        if order is None:
            return [self._reconcile(event, event.venue, event.orig_clordid, "cancel rejected of an unknown order")]
        if event.clordid == order.pending_cancel:
            order.pending_cancel = ""
        if event.clordid == order.pending_replace:
            order.pending_replace, order.pending_quantity = "", 0
        if order.is_done:
            return []
        if event.ord_status in (OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED):
            reason = f"venue says {event.ord_status.name}: {event.reason}"
            moved = self._move(event, order, OrderState.UNKNOWN)
            return [*moved, self._reconcile(event, order.venue, order.clordid, reason)]
        return self._move(event, order, order.live_state)

    def _venue_changed(self, event: VenueStatusChanged) -> list[Event]:
        events: list[Event] = []
        if not event.is_up:
            for order in self.orders.values():
                if order.venue == event.venue and not order.is_done and not order.is_unknown:
                    events += self._move(event, order, OrderState.UNKNOWN)
                    events.append(self._reconcile(event, order.venue, order.clordid, f"venue is down: {event.reason}"))
        return events

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
            **self._stamps(event),
            clordid=order.clordid,
            venue=order.venue,
            before=str(before),
            after=str(order.state),
            cum_qty=order.cum,
            leaves_qty=order.leaves,
        )

    def _refuse(self, report: ExecutionReported, why: str) -> ReconciliationNeeded:
        subject = report.clordid or report.quote_set_id
        error = VenueError(why, exec_id=report.exec_id, exec_type=report.exec_type.name, status=report.ord_status.name)
        return self._reconcile(report, report.venue, subject, str(error))

    def _reconcile(self, event: Event, venue: int, subject: str, reason: str) -> ReconciliationNeeded:
        return ReconciliationNeeded(**self._stamps(event), venue=venue, subject=subject, reason=reason)

    @staticmethod
    def _stamps(event: Event) -> Stamps:
        return {"ts_event": event.ts_event, "ts_init": event.ts_init, "underlying": event.underlying}

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
        self._deadlines = deque((at, clordid, awaited) for at, clordid, awaited in found["deadlines"])
