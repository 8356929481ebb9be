"""Issuing clearances: numbers, seals and the count of what left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TypedDict

from domain.commands import (
    CancelAllOrders,
    CancelOrder,
    CancelQuotes,
    PlaceQuotes,
    ReplaceOrder,
    RequestOrderStatus,
    SubmitOrder,
)
from domain.events import (
    Event,
    LimitBreached,
    OrderCancelCleared,
    OrderCleared,
    OrderReplaceCleared,
    OrdersCancelCleared,
    OrderStatusCleared,
    QuoteCancelCleared,
    QuotesCleared,
)
from domain.frames import QuoteFrame
from risk.checks import Breach
from risk.rate import MessageRate
from risk.seal import Sealer


class Head(TypedDict):
    """What every output of the gate carries."""

    ts_event: int
    ts_init: int
    underlying: str


class _Stamp(Head):
    gate: str
    sequence: int
    seal: str


class Issuer:
    """Makes the clearances of one gate, numbered from 1. Whoever calls it has judged the command.

    Attributes:
        gate: Name on the clearances.
        sequence: Number of the last one.
        rate: What left, cancels too.
    """

    def __init__(self, sealer: Sealer, gate: str, underlying: str) -> None:
        self.gate = gate
        self.sequence = 0
        self.rate = MessageRate()
        self._sealer = sealer
        self._underlying = underlying

    def head(self, cause: Event) -> Head:
        """Return what an output carries that follows from a cause; a command for the firm is answered by underlying."""
        return {"ts_event": cause.ts_event, "ts_init": cause.ts_init, "underlying": self._underlying}

    def quotes(self, command: PlaceQuotes, frame: QuoteFrame) -> Event:
        """Clear the entries of a mass quote that passed."""
        cleared = QuotesCleared(
            **self._stamp(command, entries=len(frame)),
            quote_set_id=command.quote_set_id,
            party=command.party,
            quote_ts=command.quote_ts,
            frame=frame,
        )
        return self._sealer.sealed(cleared)

    def quote_cancel(self, cancel: CancelQuotes) -> Event:
        """Clear a quote cancel."""
        return self._sealer.sealed(QuoteCancelCleared(**self._stamp(cancel), cancel=cancel))

    def order(self, order: SubmitOrder) -> Event:
        """Clear an order."""
        return self._sealer.sealed(OrderCleared(**self._stamp(order), order=order))

    def replace(self, replace: ReplaceOrder) -> Event:
        """Clear a replacement."""
        return self._sealer.sealed(OrderReplaceCleared(**self._stamp(replace), replace=replace))

    def order_cancel(self, cancel: CancelOrder) -> Event:
        """Clear the cancel of one order."""
        return self._sealer.sealed(OrderCancelCleared(**self._stamp(cancel), cancel=cancel))

    def orders_cancel(self, cancel: CancelAllOrders) -> Event:
        """Clear a cancel of all orders."""
        return self._sealer.sealed(OrdersCancelCleared(**self._stamp(cancel), cancel=cancel))

    def order_status(self, request: RequestOrderStatus) -> Event:
        """Clear a question about an order."""
        return self._sealer.sealed(OrderStatusCleared(**self._stamp(request), request=request))

    def breaches(self, cause: Event, subject: str, breaches: Iterable[Breach]) -> list[Event]:
        """Return the events of failed checks."""
        return [LimitBreached(**self.head(cause), subject=subject, **asdict(breach)) for breach in breaches]

    def _stamp(self, cause: Event, entries: int = 0) -> _Stamp:
        """Return what a clearance carries, its seal still to come, and count it."""
        self.sequence += 1
        self.rate.add(cause.ts_event, entries)
        return {**self.head(cause), "gate": self.gate, "sequence": self.sequence, "seal": ""}
