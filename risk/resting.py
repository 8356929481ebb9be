"""Our quotes as the gate must assume them: working at a venue, on their way there, or being cancelled.

One row per venue and contract, flat: row = venue * contracts + contract. Between the sending of a quote and its
acknowledgement a venue may show the old one or the new one, so both count: `bid_size` and `ask_size` are the
elementwise maximum over the working quote and every one in flight. A cancelled quote counts until the venue says that
it is gone.

Not promised: a quote that trades while its replacement is in flight may trade again at the replacement. The first fill
moves the position, and what is sent next is judged on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from domain.frames import QuoteFrame, QuoteRefusalFrame
from risk import _screen
from risk.in_flight import FAR, InFlight, Ints, Rows

__all__ = ["FAR", "Ints", "RestingQuotes", "Rows"]


class RestingQuotes:
    """Quotes of ours at all venues.

    Attributes:
        sent_bid: Bid as last sent, units, 0 where none stands. Shape (venues * contracts,), like all that follow.
        sent_ask: Offer as last sent, units, FAR where none stands.
        bid_size: Contracts that may trade on the bid, working and in flight.
        ask_size: The same on the offer.
    """

    def __init__(self, venues: int, contracts: int) -> None:
        """Nothing rests."""
        size = venues * contracts
        self.venues = venues
        self.contracts = contracts
        self.size = size
        self.sent_bid: Ints = np.zeros(size, np.int64)
        self.sent_ask: Ints = np.full(size, FAR)
        self._sent_by: Ints = np.zeros(size, np.int64)
        self._working_bid: Ints = np.zeros(size, np.int64)
        self._working_bid_size: Ints = np.zeros(size, np.int64)
        self._working_ask: Ints = np.full(size, FAR)
        self._working_ask_size: Ints = np.zeros(size, np.int64)
        self._working_by: Ints = np.zeros(size, np.int64)
        self._bid_size: Ints = np.zeros(size, np.int64)
        self._ask_size: Ints = np.zeros(size, np.int64)
        self._high_bid: Ints = np.zeros(size, np.int64)
        self._low_ask: Ints = np.full(size, FAR)
        self._is_dirty = False
        self._in_flight: list[InFlight] = []
        self._number = 0
        self._by_id: dict[str, int] = {}
        self._cancels: dict[str, int] = {}

    # --- what may trade ---------------------------------------------------------------------------------------------

    @property
    def bid_size(self) -> Ints:
        """Contracts that may trade on each bid. Shape (venues * contracts,)."""
        self._settle()
        return self._bid_size

    @property
    def ask_size(self) -> Ints:
        """Contracts that may trade on each offer. Shape (venues * contracts,)."""
        self._settle()
        return self._ask_size

    @property
    def high_bid(self) -> Ints:
        """Highest bid that may stand in each row, units, 0 without one. Shape (venues * contracts,)."""
        self._settle()
        return self._high_bid

    @property
    def low_ask(self) -> Ints:
        """Lowest offer that may stand in each row, units, FAR without one. Shape (venues * contracts,)."""
        self._settle()
        return self._low_ask

    def per_contract(self) -> tuple[Ints, Ints]:
        """Return what may trade on bids and on offers of each contract, over all venues. Two of shape (contracts,)."""
        self._settle()
        shape = self.venues, self.contracts
        return self._bid_size.reshape(shape).sum(axis=0), self._ask_size.reshape(shape).sum(axis=0)

    def best(self, contract: int) -> tuple[int, int]:
        """Return our highest bid and lowest offer in a contract that may stand anywhere; 0 and FAR if none."""
        rows = slice(contract, None, self.contracts)
        return int(self.high_bid[rows].max()), int(self.low_ask[rows].min())

    def is_known(self, quote_set_id: str) -> bool:
        """Whether a mass quote of that name was sent before."""
        return quote_set_id in self._by_id

    # --- what we send -----------------------------------------------------------------------------------------------

    def send(self, quote_set_id: str, frame: QuoteFrame, rows: npt.NDArray[np.intp]) -> None:
        """Take up a mass quote that was cleared.

        Args:
            quote_set_id: Its name, not used before.
            frame: Its entries, each row once, prices 0 where the size is 0.
            rows: Flat row of each entry.
        """
        self._settle()
        self._number += 1
        _screen.take_up(
            rows,
            frame.bid,
            frame.bid_size,
            frame.ask,
            frame.ask_size,
            number=self._number,
            may_buy=self._bid_size,
            may_sell=self._ask_size,
            high_bid=self._high_bid,
            low_ask=self._low_ask,
            sent_bid=self.sent_bid,
            sent_ask=self.sent_ask,
            sent_by=self._sent_by,
        )
        self._by_id[quote_set_id] = self._number
        self._in_flight.append(
            InFlight(
                number=self._number,
                rows=rows,
                bid=frame.bid,
                bid_size=frame.bid_size,
                ask=frame.ask,
                ask_size=frame.ask_size,
                is_open=np.ones(len(rows), np.bool_),
            )
        )

    def send_cancel(self, cancel_id: str, venue: int, contracts: Sequence[int]) -> None:
        """Take up a quote cancel: nothing of ours is meant to stand there, but it counts until the venue confirms."""
        rows = self._rows(venue, contracts)
        self._number += 1
        self._cancels[cancel_id] = self._number
        self.sent_bid[rows] = 0
        self.sent_ask[rows] = FAR
        self._sent_by[rows] = self._number

    # --- what venues answer -----------------------------------------------------------------------------------------

    def acknowledge(self, venue: int, quote_set_id: str, accepted: int, refused: QuoteRefusalFrame) -> None:
        """A venue took entries of a mass quote and refused others, whose earlier quote stays.

        A venue answers in order, and a long message in parts: an answer is about as many entries, the first that are
        still open, as it counts. What was sent before and never answered may have been taken or lost: it is counted as
        taken.
        """
        number = self._by_id.get(quote_set_id)
        if number is None or not 0 <= venue < self.venues:
            return
        for sent in self._in_flight:
            if sent.number > number:
                break
            mine = sent.is_open & (sent.rows // self.contracts == venue)
            if sent.number == number:
                mine &= np.cumsum(mine) <= accepted + len(refused)
            sent.is_open &= ~mine
            if sent.number == number and len(refused):
                gone = venue * self.contracts + refused.contract[refused.venue == venue].astype(np.intp)
                was_refused = mine & np.isin(sent.rows, gone)
                self._retract(sent.rows[was_refused], number)
                mine &= ~was_refused
            self._work(sent, mine, is_certain=sent.number == number)
        self._in_flight = [sent for sent in self._in_flight if sent.is_open.any()]
        self._is_dirty = True
        if not self._in_flight:  # all is answered: no need to leave the work to the next quote
            self._settle()

    def cancel_confirmed(self, venue: int, cancel_id: str, contracts: Sequence[int]) -> None:
        """A venue says that quotes are gone. One that we did not ask for leaves in-flight quotes counted."""
        if not 0 <= venue < self.venues:
            return
        number = self._cancels.get(cancel_id)
        rows = self._rows(venue, contracts)
        named = np.zeros(self.size, np.bool_)
        named[rows] = True
        last = self._number if number is None else number
        gone = np.flatnonzero(named & (self._working_by <= last))
        self._working_bid_size[gone] = 0
        self._working_ask_size[gone] = 0
        pending = np.zeros(self.size, np.bool_)
        for sent in self._in_flight:
            mine = sent.is_open & named[sent.rows]
            if number is not None and sent.number < number:
                sent.is_open &= ~mine
            else:
                pending[sent.rows[mine]] = True
        absent = gone[~pending[gone]]
        self.sent_bid[absent] = 0
        self.sent_ask[absent] = FAR
        self._in_flight = [sent for sent in self._in_flight if sent.is_open.any()]
        self._is_dirty = True

    def fill(self, venue: int, quote_set_id: str, contract: int, *, is_buy: bool, quantity: int) -> None:
        """A quote traded: what remains of it is smaller. A late fill of a replaced quote leaves the newer one alone."""
        number = self._by_id.get(quote_set_id)
        if number is None or not (0 <= venue < self.venues and 0 <= contract < self.contracts):
            return
        row = venue * self.contracts + contract
        remaining = -1
        if self._working_by[row] == number:
            working = self._working_bid_size if is_buy else self._working_ask_size
            remaining = max(int(working[row]) - quantity, 0)
            working[row] = remaining
        else:
            for sent in self._in_flight:
                if sent.number == number:
                    remaining = sent.fill(row, is_buy=is_buy, quantity=quantity)
        if remaining == 0 and self._sent_by[row] == number:
            if is_buy:
                self.sent_bid[row] = 0
            else:
                self.sent_ask[row] = FAR
        self._is_dirty = True

    # --- state ------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All of it, for a snapshot."""
        names = ("sent_bid", "sent_ask", "_sent_by", "_working_bid", "_working_bid_size", "_working_ask")
        arrays = {name: getattr(self, name) for name in (*names, "_working_ask_size", "_working_by")}
        flights = [
            [
                s.number,
                s.rows.astype(np.int64),
                *(np.asarray(a, np.int64) for a in (s.bid, s.bid_size, s.ask, s.ask_size)),
                s.is_open,
            ]
            for s in self._in_flight
        ]
        return arrays | {"flights": flights, "number": self._number, "by_id": self._by_id, "cancels": self._cancels}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                setattr(self, name, value)
        self._in_flight = [
            InFlight(
                number=f[0], rows=f[1].astype(np.intp), bid=f[2], bid_size=f[3], ask=f[4], ask_size=f[5], is_open=f[6]
            )
            for f in state["flights"]
        ]
        self._number, self._by_id, self._cancels = state["number"], dict(state["by_id"]), dict(state["cancels"])
        self._is_dirty = True

    # --- inside -----------------------------------------------------------------------------------------------------

    def _rows(self, venue: int, contracts: Sequence[int]) -> npt.NDArray[np.intp]:
        venues = np.arange(self.venues) if venue < 0 else np.array([venue])
        named = np.arange(self.contracts) if not contracts else np.asarray(contracts, np.intp)
        named = named[(named >= 0) & (named < self.contracts)]
        rows: npt.NDArray[np.intp] = np.add.outer(venues[venues < self.venues] * self.contracts, named).ravel()
        return rows

    def _settle(self) -> None:
        """Recompute the envelope after answers; sending keeps it current."""
        if not self._is_dirty:
            return
        np.copyto(self._bid_size, self._working_bid_size)
        np.copyto(self._ask_size, self._working_ask_size)
        np.copyto(self._high_bid, np.where(self._working_bid_size > 0, self._working_bid, 0))
        np.copyto(self._low_ask, np.where(self._working_ask_size > 0, self._working_ask, FAR))
        for sent in self._in_flight:
            rows, bid_size, ask_size = sent.rows[sent.is_open], sent.bid_size[sent.is_open], sent.ask_size[sent.is_open]
            self._bid_size[rows] = np.maximum(self._bid_size[rows], bid_size)
            self._ask_size[rows] = np.maximum(self._ask_size[rows], ask_size)
            bid = np.where(bid_size > 0, sent.bid[sent.is_open], 0)
            offer = np.where(ask_size > 0, sent.ask[sent.is_open], FAR)
            self._high_bid[rows] = np.maximum(self._high_bid[rows], bid)
            self._low_ask[rows] = np.minimum(self._low_ask[rows], offer)
        self._is_dirty = False

    def _work(self, sent: InFlight, mine: npt.NDArray[np.bool_], *, is_certain: bool) -> None:
        """Entries of a message are working now; where that is uncertain, the worse of the two on each side is."""
        mine = mine & (self._working_by[sent.rows] < sent.number)
        rows, bid_size, ask_size = sent.rows[mine], sent.bid_size[mine], sent.ask_size[mine]
        bid, ask = np.where(bid_size > 0, sent.bid[mine], 0), np.where(ask_size > 0, sent.ask[mine], FAR)
        if not is_certain:
            was_bid, was_ask = self._working_bid_size[rows], self._working_ask_size[rows]
            bid = np.maximum(bid, np.where(was_bid > 0, self._working_bid[rows], 0))
            ask = np.minimum(ask, np.where(was_ask > 0, self._working_ask[rows], FAR))
            bid_size, ask_size = np.maximum(bid_size, was_bid), np.maximum(ask_size, was_ask)
        self._working_bid[rows], self._working_bid_size[rows] = bid, bid_size
        self._working_ask[rows], self._working_ask_size[rows] = ask, ask_size
        self._working_by[rows] = sent.number

    def _retract(self, rows: npt.NDArray[np.intp], number: int) -> None:
        """What we last meant to stand there was refused: what stands is the working quote, as far as we know."""
        rows = rows[self._sent_by[rows] == number]
        self.sent_bid[rows] = np.where(self._working_bid_size[rows] > 0, self._working_bid[rows], 0)
        self.sent_ask[rows] = np.where(self._working_ask_size[rows] > 0, self._working_ask[rows], FAR)
