"""Execution reports as a venue writes them: identifiers in sequence, fees by capacity."""

from __future__ import annotations

import datetime as dt
from typing import Final, Literal, TypedDict

from domain.commands import Capacity, Side
from domain.errors import InputError
from domain.events import CancelRejected, Event, ExecType, ExecutionReported, OrdStatus
from routing.venues import Venue

CAPACITIES: Final[tuple[Capacity, ...]] = ("market_maker", "firm", "customer")
SIDES: Final[tuple[Literal["buy"], Literal["sell"]]] = ("buy", "sell")
"""By the index of the side of a book that it rests on: bids buy, asks sell."""


class Stamps(TypedDict):
    """What every event carries."""

    ts_event: int
    ts_init: int
    underlying: str


def stamps_of(event: Event) -> Stamps:
    """What an event carries on from its cause."""
    return {"ts_event": event.ts_event, "ts_init": event.ts_init, "underlying": event.underlying}


class Reports:
    """Writes one venue's reports. `at` sets the time that the next ones carry."""

    def __init__(self, venue: Venue, underlying: str, day: dt.date) -> None:
        self.count = 0
        self._venue = venue
        self._underlying = underlying
        self._ts = self._ts_init = 0
        self._fees: dict[tuple[str, bool], int] = {}
        for capacity in CAPACITIES:
            for adds in (True, False):
                try:
                    self._fees[capacity, adds] = venue.fee(capacity, adds=adds, day=day)
                except InputError:
                    continue  # the venue does not serve that capacity: `admits` says so

    def at(self, ts: int, ts_init: int) -> None:
        """Set the time at the venue and the time of the cause."""
        self._ts, self._ts_init = ts, ts_init

    @property
    def stamps(self) -> Stamps:
        """What every event of this venue carries now."""
        return {"ts_event": self._ts, "ts_init": self._ts_init, "underlying": self._underlying}

    def admits(self, capacity: Capacity) -> bool:
        """Whether the venue has a fee for that capacity on this day, and so serves it."""
        return (capacity, True) in self._fees

    def execution(
        self,
        *,
        exec_type: ExecType,
        status: OrdStatus,
        contract: int,
        side: Side,
        cum: int,
        leaves: int,
        clordid: str = "",
        orig_clordid: str = "",
        quote_set_id: str = "",
        quantity: int = 0,
        price: int = 0,
        capacity: Capacity = "market_maker",
        adds: bool = False,
        text: str = "",
    ) -> ExecutionReported:
        """Write one report; only a trade has a quantity, a price and a fee."""
        self.count += 1
        return ExecutionReported(
            ts_event=self._ts,
            ts_init=self._ts_init,
            underlying=self._underlying,
            venue=self._venue.index,
            clordid=clordid,
            orig_clordid=orig_clordid,
            quote_set_id=quote_set_id,
            exec_id=f"{self._venue.mic}-{self.count}",
            exec_ref_id="",
            exec_type=exec_type,
            ord_status=status,
            contract=contract,
            side=side,
            last_qty=quantity,
            last_px=price,
            cum_qty=cum,
            leaves_qty=leaves,
            fee=self._fees[capacity, adds] * quantity if quantity else 0,
            adds_liquidity=adds,
            text=text,
        )

    def cancel_rejected(self, clordid: str, orig_clordid: str, status: OrdStatus, reason: str) -> CancelRejected:
        """Write the refusal of a cancel or a replacement."""
        return CancelRejected(
            ts_event=self._ts,
            ts_init=self._ts_init,
            underlying=self._underlying,
            venue=self._venue.index,
            clordid=clordid,
            orig_clordid=orig_clordid,
            ord_status=status,
            reason=reason,
        )
