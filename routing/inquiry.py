"""Doubt about orders put into events: what is disputed, what a venue is asked, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from domain.commands import CancelOrder, RequestOrderStatus
from domain.errors import VenueError
from domain.events import (
    Event,
    ExecutionReported,
    ReconciliationEnded,
    ReconciliationNeeded,
    RunEnded,
    SessionChanged,
    TimerFired,
    VenueStatusChanged,
)
from routing.belief import MOVES_MONEY
from routing.order_records import Order
from routing.order_table import OrderState
from routing.reconciliation import OrderBookSettings, Question, Questions
from routing.reports import stamps_of

_PRICE_TOLERANCE: Final = 1e-6
"""Relative: a venue may write its average price with six digits after the point."""


class Inquiry:
    """Says what is in doubt, asks the venue, and says how it ended. `routing.reconciliation` keeps the time."""

    def __init__(self, settings: OrderBookSettings) -> None:
        self._questions = Questions(settings)

    # --- doubt --------------------------------------------------------------------------------------------------------
    def needed(
        self, event: Event, venue: int, subject: str, reason: str, *, exec_id: str = "", unbooked: int = 0
    ) -> ReconciliationNeeded:
        """Say what is in doubt."""
        return ReconciliationNeeded(
            **stamps_of(event), venue=venue, subject=subject, reason=reason, exec_id=exec_id, unbooked=unbooked
        )

    def doubted(self, event: Event, order: Order, reason: str) -> Iterator[Event]:
        """The outcome of an order is not known: say so, and ask."""
        yield self.needed(event, order.venue, order.clordid, reason)
        yield from self._ask(event, order, self._questions.open(order))

    def disputed(
        self, report: ExecutionReported, order: Order | None, why: str, *, is_booked: bool = False
    ) -> Iterator[Event]:
        """Dispute a report: say what it moves that is not booked, and ask about the order, if it is one of ours."""
        error = VenueError(why, exec_id=report.exec_id, exec_type=report.exec_type.name, status=report.ord_status.name)
        subject = report.clordid or report.quote_set_id
        moved = report.last_qty if report.exec_type in MOVES_MONEY and not is_booked else 0
        yield self.needed(report, report.venue, subject, str(error), exec_id=report.exec_id, unbooked=moved)
        if order is not None:
            order.doubt = why
            yield from self._ask(report, order, self._questions.open(order))

    # --- answers ------------------------------------------------------------------------------------------------------
    def compare(self, report: ExecutionReported, order: Order, average_price: float) -> None:
        """Hold a venue's answer against our own count and average price, units: where both agree, no doubt is left."""
        if order.clordid not in self._questions:
            return
        order.doubt = ""
        if report.cum_qty != order.cum:
            order.doubt = f"venue counts {report.cum_qty} executed, we {order.cum}"
        elif report.avg_px > 0 and abs(report.avg_px - average_price) > _PRICE_TOLERANCE * average_price:
            order.doubt = f"venue's average price is {report.avg_px:.10g}, ours {average_price:.10g}"

    def cancel_again(self, report: ExecutionReported, order: Order) -> CancelOrder:
        """Cancel an order that works by the venue's answer and has ended, or was to end, by ours.

        A cancel may be repeated, an order never.
        """
        return CancelOrder(
            **stamps_of(report),
            clordid=f"{report.status_id or report.exec_id}-C",
            orig_clordid=report.clordid,
            venue=order.venue,
            reason="still works by the venue's answer",
        )

    def review(self, event: Event, order: Order) -> Iterator[Event]:
        """Close the question about an order that is settled now."""
        if order.is_settled and (question := self._questions.settle(order.clordid)) is not None:
            yield self._ended(event, order, question, is_settled=True)

    # --- time and venues ----------------------------------------------------------------------------------------------
    def is_due(self, ts: int) -> bool:
        """Whether `again` has something to ask or to give up at that time."""
        return self._questions.is_due(ts)

    def again(self, event: TimerFired, orders: Mapping[str, Order]) -> Iterator[Event]:
        """Ask again what was not answered in time, or give it up."""
        for question, is_over in self._questions.due(event.ts_event):
            order = orders[question.clordid]
            if is_over:
                yield self._ended(event, order, question, is_settled=False)
            else:
                yield from self._ask(event, order, question)

    def suspend(self, venue: int) -> None:
        """A venue went down: it is not asked."""
        self._questions.suspend(venue)

    def resume(self, event: VenueStatusChanged, orders: Iterable[Order]) -> Iterator[Event]:
        """A venue is up again: ask about each of its orders that is not settled, given up before or not."""
        self._questions.resume(event.venue)
        for order in orders:
            if not order.is_settled:
                yield from self._ask(event, order, self._questions.open(order))

    def session_changed(self, event: SessionChanged, orders: Iterable[Order]) -> Iterator[Event]:
        """Timers end with the session: whatever has no answer then is asked about at once, and what was asked again."""
        if event.state != "closed":
            return
        for order in orders:
            is_awaited = order.state == OrderState.PENDING_NEW or order.pending_cancel or order.pending_replace
            if not order.is_settled or (is_awaited and not order.is_done):
                yield from self._ask(event, order, self._questions.reopen(order))

    def given_up(self, event: RunEnded, orders: Mapping[str, Order]) -> Iterator[Event]:
        """The run ends: nothing more will be answered."""
        for question in list(self._questions):
            self._questions.give_up(question)
            yield self._ended(event, orders[question.clordid], question, is_settled=False)

    # --- parts --------------------------------------------------------------------------------------------------------
    def _ask(self, event: Event, order: Order, question: Question | None) -> Iterator[Event]:
        if question is not None:
            yield RequestOrderStatus(
                **stamps_of(event),
                status_id=self._questions.asked(question, event.ts_event),
                clordid=order.clordid,
                venue=order.venue,
                contract=order.contract,
                side=order.side,
            )

    @staticmethod
    def _ended(event: Event, order: Order, question: Question, *, is_settled: bool) -> ReconciliationEnded:
        outcome = f"{order.state}, {order.cum} of {order.quantity} executed"
        return ReconciliationEnded(
            **stamps_of(event),
            venue=order.venue,
            clordid=order.clordid,
            is_settled=is_settled,
            tries=question.tries,
            outcome=f"{outcome}; {order.doubt}" if order.doubt else outcome,
        )

    def state(self) -> dict[str, Any]:
        """Return all of it, for a snapshot."""
        return self._questions.state()

    def take_over(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self._questions.take_over(state)
