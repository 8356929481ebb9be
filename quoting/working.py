"""What works at the venues, by their own word: a quote counts from its acknowledgement until it is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.commands import Side
from domain.frames import QuoteFrame, QuoteRefusalFrame
from quoting.ladder import ASK, BID, Ladder

Indices = npt.NDArray[np.intp]

UNTOUCHED: Final[Indices] = np.empty(0, dtype=np.intp)
"""No contract."""


class WorkingQuotes:
    """Our quotes as acknowledged. `quoting.shown` is what we meant; this is what an exchange would count.

    Every change returns the contracts that it touched, so that what is derived follows without a look at the chain.
    """

    def __init__(self, venues: Sequence[int], contracts: int) -> None:
        self.book = Ladder.empty(len(venues), contracts)
        self._row = {venue: row for row, venue in enumerate(venues)}
        # Mass quotes on their way: the entries, and how many of them each venue (row) has answered.
        self._sent: dict[str, tuple[QuoteFrame, dict[int, int]]] = {}
        self._all: Indices = np.arange(contracts)

    def row_of(self, venue: int) -> int | None:
        """Row of a venue in the book, None where we are not measured."""
        return self._row.get(venue)

    def send(self, quote_set_id: str, frame: QuoteFrame) -> None:
        """A mass quote left for the venues that it names."""
        answered = {row: 0 for venue, row in self._row.items() if bool((frame.venue == venue).any())}
        if answered:
            self._sent[quote_set_id] = (frame, answered)

    def acknowledge(self, venue: int, quote_set_id: str, accepted: int, refused: QuoteRefusalFrame) -> Indices:
        """A venue took entries of a mass quote and refused others.

        A long one travels in parts, in order, each answered on its own: an answer is about the next entries, as many as
        it counts. Earlier mass quotes that the venue has not answered are lost.
        """
        row = self._row.get(venue)
        if row is None or quote_set_id not in self._sent:
            return UNTOUCHED
        frame, answered = self._sent[quote_set_id]
        if row not in answered:
            return UNTOUCHED
        entries = np.flatnonzero(frame.venue == venue)
        first, last = answered[row], answered[row] + accepted + len(refused)
        answered[row] = last
        self._forget(row, quote_set_id, is_complete=last >= len(entries))
        here = entries[first:last]
        if len(refused):
            here = here[~np.isin(frame.contract[here], refused.contract[refused.venue == venue])]
        at: Indices = frame.contract[here].astype(np.intp)
        for side, price, size in ((BID, frame.bid, frame.bid_size), (ASK, frame.ask, frame.ask_size)):
            self.book.price[row, side, at] = price[here]
            self.book.size[row, side, at] = size[here]
        return at

    def _forget(self, row: int, quote_set_id: str, *, is_complete: bool) -> None:
        """A venue will not answer mass quotes before this one any more, nor this one when it is complete."""
        for name in list(self._sent):
            answered = self._sent[name][1]
            if name != quote_set_id or is_complete:
                answered.pop(row, None)
            if not answered:
                del self._sent[name]
            if name == quote_set_id:
                break

    def remove(self, venue: int, contracts: Sequence[int]) -> Indices:
        """Quotes are gone at a venue: of the named contracts, or all where none is named."""
        row = self._row.get(venue)
        if row is None:
            return UNTOUCHED
        named = np.array([c for c in contracts if 0 <= c < len(self._all)], dtype=np.intp)
        at = named if contracts else self._all
        self.book.price[row][:, at] = 0
        self.book.size[row][:, at] = 0
        return at

    def fill(self, venue: int, contract: int, side: Side, quantity: int, price: int) -> Indices:
        """A quote traded."""
        row = self._row.get(venue)
        if row is None or not 0 <= contract < len(self._all):
            return UNTOUCHED
        self.book.trade(row, contract, side, quantity, price)
        return np.array([contract], dtype=np.intp)

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        sent = [[name, frame.columns(), list(rows.items())] for name, (frame, rows) in self._sent.items()]
        return {"price": self.book.price, "size": self.book.size, "sent": sent}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.book = Ladder(state["price"], state["size"])
        self._sent = {name: (QuoteFrame.from_columns(columns), dict(rows)) for name, columns, rows in state["sent"]}
