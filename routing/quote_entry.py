"""Our mass quotes at one venue: accept, replace, pull, trade, protect. Orders are in `routing.order_entry`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from domain.commands import CancelQuotes, Capacity
from domain.events import (
    Event,
    ExecType,
    OrdStatus,
    QuoteRefusal,
    QuotesAcknowledged,
    QuotesCanceled,
    QuotesCleared,
    SessionState,
    VenueProtectionTripped,
)
from domain.frames import QuoteFrame, QuoteRefusalFrame
from domain.price import TickColumns
from routing.nbbo import Ints
from routing.quote_book import Match, QuoteBook
from routing.reports import CAPACITIES, SIDES, Reports
from routing.venue_book import VenueBook
from routing.venue_protection import RollingProtection
from routing.venues import Venue

LOW, HIGH = 0, 1
"""Rows of the bars of a frame of prints."""

_NO_ROWS: Ints = np.empty(0, np.int64)


class QuoteEntry:
    """Quotes of one venue. What trades is reported in order; the exchange books it.

    Where quotes are post-only, an entry that would trade on arrival is refused with both its sides (`WOULD_TAKE`): the
    quote that it was to replace stays. Otherwise it takes what the venue shows, at the taker's fee, and the rest rests.
    """

    def __init__(
        self,
        venue: Venue,
        ticks: TickColumns,
        n: int,
        book: VenueBook,
        reports: Reports,
        *,
        max_size: int,
        post_only: bool,
        seed: int,
    ) -> None:
        self._venue, self._ticks, self._book, self._reports = venue, ticks, book, reports
        self._max_size, self._is_post_only = max_size, post_only
        self._quotes = QuoteBook(n, venue.allocation, seed=seed, venue=venue.index)
        self._protection = RollingProtection(venue.protections)
        self._capacity: Capacity = "market_maker"
        self._seen_sets: dict[str, None] = {}
        self._last_set = ""

    # --- from us ------------------------------------------------------------------------------------------------------
    def submit(self, cleared: QuotesCleared, session: SessionState, ts: int) -> list[Event]:
        """Take the rows of a mass quote that are for this venue; no rows, no answer."""
        frame = cleared.frame.take(cleared.frame.venue == self._venue.index)
        if len(frame) == 0:
            return []
        refusal = self._mass_refusal(cleared, session)
        reason: npt.NDArray[np.int8]
        if refusal:
            reason = np.full(len(frame), refusal, np.int8)
        else:
            reason = self._quotes.check(frame, cleared.quote_set_id, self._ticks, self._max_size)
            if self._is_post_only:
                reason[(reason == 0) & self._quotes.would_take(frame, self._book, ts)] = QuoteRefusal.WOULD_TAKE
            self._seen_sets[cleared.quote_set_id] = None
            self._last_set = cleared.quote_set_id
        refused = np.flatnonzero(reason)
        accepted = frame if refused.size == 0 else frame.take(np.flatnonzero(reason == 0))
        acknowledged = QuotesAcknowledged(
            **self._reports.stamps,
            venue=self._venue.index,
            quote_set_id=cleared.quote_set_id,
            accepted=len(accepted),
            frame=QuoteRefusalFrame(
                venue=frame.venue[refused], contract=frame.contract[refused], reason=reason[refused]
            ),
        )
        return [acknowledged, *(self._place(accepted, cleared, ts) if len(accepted) else ())]

    def _mass_refusal(self, cleared: QuotesCleared, session: SessionState) -> int:
        """Return why the whole message is refused, or 0."""
        if not self._venue.is_market_maker or not self._reports.admits(cleared.party.capacity):
            return QuoteRefusal.VENUE
        if cleared.quote_set_id in self._seen_sets and cleared.quote_set_id != self._last_set:
            return QuoteRefusal.DUPLICATE
        if session != "open":
            return QuoteRefusal.HALTED
        return QuoteRefusal.PROTECTION if self._protection.rule else 0

    def _place(self, frame: QuoteFrame, cleared: QuotesCleared, ts: int) -> list[Event]:
        self._capacity = cleared.party.capacity
        events: list[Event] = []
        for match in self._quotes.place(frame, cleared.quote_set_id, self._book, ts):
            self._book.take(1 - match.side, match.contract, match.quantity, ts)
            if self._trade(match, ts, events):
                break
        return events

    def cancel(self, cancel: CancelQuotes) -> list[Event]:
        """Pull quotes; one that names no contracts also resets a protection that tripped."""
        if not self._venue.is_market_maker:
            return []
        self._quotes.pull(cancel.contracts)
        if not cancel.contracts:
            self._protection.reset()
        return [self._canceled(cancel.cancel_id, cancel.contracts, cancel.reason)]

    def withdraw(self, reason: str) -> list[Event]:
        """Remove all quotes because of the venue's own state."""
        if not self._quotes.has_any():
            return []
        self._quotes.pull(())
        return [self._canceled("", (), reason)]

    def drop(self) -> None:
        """Remove all quotes and tell nobody: the connection is gone."""
        self._quotes.pull(())

    def resting(self) -> QuoteFrame:
        """Return the quotes that have a side left."""
        return self._quotes.resting(self._venue.index)

    # --- from the market ----------------------------------------------------------------------------------------------
    def requeue(self, rows: Ints) -> Ints:
        """Follow a change of the book.

        Returns:
            The places in `rows` whose NBBO crossed a quote of ours.
        """
        if not self._quotes.has_any():
            return _NO_ROWS
        self._quotes.requeue(rows, self._book)
        return self._quotes.crossed_by(rows, self._book)

    def crossed_by(self, rows: Ints, crossed: Ints, part: Ints, ts: int) -> list[Event]:
        """Trade what the NBBO crossed; `part`, this venue's part of its size, shape (2, k), is used up in place."""
        events: list[Event] = []
        for match in self._quotes.filled_by_nbbo(rows, crossed, part, self._book):
            part[1 - match.side, np.searchsorted(rows, match.contract)] -= match.quantity
            self._book.take(1 - match.side, match.contract, match.quantity, ts)
            if self._trade(match, ts, events):
                break
        return events

    def touched_by(self, contract: Ints, bars: Ints) -> Ints:
        """Return the rows of prints that stand at or through a quote of ours."""
        return self._quotes.touched_by(contract, bars[LOW], bars[HIGH]) if self._quotes.has_any() else _NO_ROWS

    def printed(
        self, contract: Ints, bars: Ints, rows: Ints, left: Ints, offset: npt.NDArray[np.float64], ts: int
    ) -> list[Event]:
        """Trade against prints; `left`, this venue's part of their volume, is used up in place.

        Args:
            contract: Of all prints. Shape (k,).
            bars: Low and high. Shape (2, k).
            rows: From `touched_by`.
            left: Shape (k,).
            offset: Seeded, in [0, 1). Shape (k,).
            ts: Time of the prints.
        """
        events: list[Event] = []
        for some in _distinct(contract, rows):
            matches = self._quotes.printed(
                contract[some], bars[LOW, some], bars[HIGH, some], left[some], offset[some], self._book, ts
            )
            row_of = dict(zip(contract[some].tolist(), some.tolist(), strict=True))
            for match in matches:
                left[row_of[match.contract]] -= match.quantity
                if self._trade(match, ts, events):
                    return events
        return events

    # --- parts --------------------------------------------------------------------------------------------------------
    def _trade(self, match: Match, ts: int, events: list[Event]) -> bool:
        """Report an execution.

        Returns:
            Whether it tripped the venue's protection: then no quote of ours is left.
        """
        quote_set_id, filled, left = self._quotes.commit(match)
        events.append(
            self._reports.execution(
                exec_type=ExecType.TRADE,
                status=OrdStatus.PARTIALLY_FILLED if left else OrdStatus.FILLED,
                contract=match.contract,
                side=SIDES[match.side],
                cum=filled,
                leaves=left,
                quote_set_id=quote_set_id,
                quantity=match.quantity,
                price=match.price,
                capacity=self._capacity,
                adds=match.adds,
            )
        )
        rule = self._protection.count(match.quantity, ts)
        if rule:
            self._quotes.pull(())
            events.append(VenueProtectionTripped(**self._reports.stamps, venue=self._venue.index, rule=rule))
            events.append(self._canceled("", (), "protection"))
        return bool(rule)

    def _canceled(self, cancel_id: str, contracts: Iterable[int], reason: str) -> QuotesCanceled:
        return QuotesCanceled(
            **self._reports.stamps,
            venue=self._venue.index,
            cancel_id=cancel_id,
            contracts=tuple(contracts),
            reason=reason,
        )

    def state(self) -> dict[str, Any]:
        """Return quotes and protection, for a snapshot."""
        return {
            "quotes": self._quotes.state(),
            "protection": self._protection.state(),
            "capacity": self._capacity,
            "seen_sets": list(self._seen_sets),
            "last_set": self._last_set,
        }

    def take_over(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self._quotes.take_over(state["quotes"])
        self._protection.take_over(state["protection"])
        self._capacity = next(each for each in CAPACITIES if each == state["capacity"])
        self._seen_sets = dict.fromkeys(state["seen_sets"])
        self._last_set = state["last_set"]


def _distinct(contract: Ints, rows: Ints) -> Iterator[Ints]:
    """Yield the rows in passes of distinct contracts, each contract's rows in their order."""
    while rows.size:
        _, first = np.unique(contract[rows], return_index=True)
        first.sort()
        yield rows[first]
        rows = np.delete(rows, first)
