"""What we show at each venue, as far as we know: the last that was sent, less what was refused, canceled or filled.

A venue takes our messages in the order in which we send them, so that the last quote sent is what will stand there.
Each entry remembers the mass quote that wrote it: an answer to an earlier one leaves it alone. It also remembers the
best prices that stood before: until the venue has answered, those may be what others see.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.commands import Side
from domain.frames import QuoteRefusalFrame
from quoting.ladder import Ladder, Mask, Units, innermost, put
from quoting.unanswered import Silence

Ints = npt.NDArray[np.int64]

_FAR: Final = np.iinfo(np.int64).max // 2


class _Awaited(NamedTuple):
    """A message that a venue has not answered in full. `key`: number of a mass quote, or minus that of a cancel."""

    key: int
    sent: int
    entries: int


class Shown:
    """Our quotes at all venues where we are a market maker.

    Attributes:
        book: Prices and sizes last sent, (venues, 2, n), less fills.
        venues: Venue index of each row of the book.
        is_up: Whether the venue is reachable, bool, (venues,).
        is_protected: Whether its own protection tripped, bool, (venues,).
        away_until: When an entry may be tried again after a refusal, ns, (venues, n).
        last_away: The latest of them.
    """

    def __init__(self, venues: Sequence[int], contracts: int) -> None:
        shape = len(venues), contracts
        self.venues = np.array(venues, dtype=np.int16)
        self._row = {venue: row for row, venue in enumerate(venues)}
        self.book = Ladder.empty(*shape)
        self.is_up = np.ones(len(venues), dtype=np.bool_)
        self.is_protected = np.zeros(len(venues), dtype=np.bool_)
        self._silence = Silence(len(venues))
        self.away_until: Ints = np.zeros(shape, dtype=np.int64)
        self.last_away = 0
        self._written_by: Ints = np.zeros(shape, dtype=np.int64)
        self._before: Units = np.zeros((shape[0], 2, shape[1]), dtype=np.int64)
        self._acknowledged: Ints = np.zeros(len(venues), dtype=np.int64)
        self._awaiting: list[list[_Awaited]] = [[] for _ in venues]

    def row_of(self, venue: int) -> int | None:
        """Row of a venue in the book, None where we do not quote."""
        return self._row.get(venue)

    def is_empty(self) -> bool:
        """Whether nothing of ours is known to stand anywhere."""
        return not self.book.size.any()

    def open_entries(self, ts: int) -> Mask | None:
        """Where quotes may be shown, (venues, n); None where that is everywhere."""
        is_open = self.is_up & ~self.is_protected & ~self._silence.is_silent
        if is_open.all() and ts >= self.last_away:
            return None
        entries: Mask = is_open[:, None] & (self.away_until <= ts)
        return entries

    def silent_from(self, silence_ns: int) -> int:
        """When a venue will have left a message without an answer for too long, ns; far away where none is awaited."""
        return min((self._overdue(row, silence_ns) for row in range(len(self._awaiting))), default=_FAR)

    def _overdue(self, row: int, silence_ns: int) -> int:
        awaiting = self._awaiting[row]
        return awaiting[0].sent + self._silence.wait(row, silence_ns) if awaiting else _FAR

    def release_protected(self) -> bool:
        """Venues whose protection tripped may be quoted at again. Returns whether there were any."""
        there_were = bool(self.is_protected.any())
        self.is_protected[:] = False
        return there_were

    def disconnected(self, venue_row: int) -> None:
        """A venue went down: it cancels on disconnect, and what it has not answered is lost."""
        self.is_up[venue_row] = False
        self.clear(venue_row)
        self._awaiting[venue_row] = []
        self._silence.lift(venue_row)

    def sent(self, book: Ladder, mask: Mask, number: int, ts: int) -> None:
        """Take over what was just sent: the entries of a mask, in the mass quote of that number."""
        for row, entries in enumerate(np.count_nonzero(mask, axis=1).tolist()):
            if entries:
                self._remember(row, mask[row])
                self._awaiting[row].append(_Awaited(number, ts, entries))
        np.putmask(self._written_by, mask, number)
        self.book = book

    def may_stand(self) -> Ladder:
        """The best prices of ours that others may see, (venues, 2, n): those of the book where all is answered."""
        rows = [row for row, awaiting in enumerate(self._awaiting) if awaiting]
        if not rows:
            return self.book
        price = self.book.price.copy()
        for row in rows:
            unsure = self._is_unsure(row)
            price[row] = np.where(unsure, innermost(self._before[row], price[row]), price[row])
        return Ladder(price, (price > 0).astype(np.int64))

    def _is_unsure(self, row: int) -> Mask:
        """Where a venue has not answered what was sent last, (n,). A cancel of ours on its way is about all entries."""
        if any(awaited.key < 0 for awaited in self._awaiting[row]):
            return np.ones(self._written_by.shape[1], dtype=np.bool_)
        unsure: Mask = self._written_by[row] > self._acknowledged[row]
        return unsure

    def _remember(self, row: int, mask: Mask) -> None:
        """Keep the prices of a venue that are about to be replaced, and any before them that may still stand."""
        book, before = self.book.price[row], self._before[row]
        kept = np.where(self._is_unsure(row), innermost(before, book), book) if self._awaiting[row] else book
        put(before, kept, mask)

    def clear(self, venue_row: int | slice = slice(None)) -> None:
        """Nothing of ours is meant to stand at a venue, or anywhere."""
        for row in range(len(self.venues))[venue_row] if isinstance(venue_row, slice) else (venue_row,):
            self._remember(row, np.ones(self._written_by.shape[1], dtype=np.bool_))
        self.book.price[venue_row] = 0
        self.book.size[venue_row] = 0

    def refused(self, number: int, frame: QuoteRefusalFrame, until: int) -> dict[int, list[int]]:
        """Entries of a mass quote were refused: they stay away for a while.

        Returns:
            Venue index to the contracts whose earlier quote may still stand there, at a price that we meant to change:
            it must be pulled.
        """
        stands: dict[int, list[int]] = {}
        for row, venue in enumerate(self.venues.tolist()):
            at = frame.contract[frame.venue == venue]
            at = at[(at >= 0) & (at < self.away_until.shape[1])]
            at = at[self._written_by[row, at] == number]
            if not len(at):
                continue
            self.book.price[row][:, at] = 0
            self.book.size[row][:, at] = 0
            self.away_until[row, at] = until
            self.last_away = max(self.last_away, until)
            self._written_by[row, at] = 0
            if earlier := at[self._before[row][:, at].any(axis=0)].tolist():
                stands[venue] = earlier
        return stands

    def acknowledged(self, venue: int, number: int, entries: int) -> None:
        """A venue answered that many entries of a mass quote. A long one travels in parts, each answered on its own."""
        row = self._row.get(venue)
        if row is not None and self._answered(row, number, entries):
            self._acknowledged[row] = max(int(self._acknowledged[row]), number)

    def not_sent(self, number: int, frame: QuoteRefusalFrame) -> None:
        """Entries of a mass quote never left us: no venue will answer them."""
        for venue, row in self._row.items():
            if entries := int(np.count_nonzero(frame.venue == venue)):
                self._answered(row, number, entries)

    def canceling(self, venue: int, number: int, ts: int) -> None:
        """A cancel of ours was sent to a venue, -1 all: it must be answered too."""
        for row in range(len(self.venues)) if venue < 0 else [self._row[venue]]:
            if self.is_up[row]:
                self._awaiting[row].append(_Awaited(-number, ts, 1))

    def cancel_answered(self, venue: int, number: int) -> bool:
        """A venue did what a cancel of ours asked for. What was sent after it stands.

        Returns:
            Whether the venue was silent and has answered everything now: it may be quoted at again.
        """
        row = self._row.get(venue)
        if row is None or not self._answered(row, -number, 1) or self._awaiting[row]:
            return False
        return self._silence.lift(row)

    def forget_silent(self, ts: int, silence_ns: int) -> list[int]:
        """Venues that did not answer a message in time: what stands there is unknown (`quoting.unanswered`).

        They are taken as empty and get no quotes until a purge is confirmed; the caller purges them.
        """
        silent = [row for row in range(len(self._awaiting)) if self._overdue(row, silence_ns) <= ts]
        for row in silent:
            self.clear(row)
            self._awaiting[row] = []
            self._silence.fall(row)
        return [int(self.venues[row]) for row in silent]

    def _answered(self, row: int, key: int, entries: int) -> bool:
        """Note an answer; returns whether that message is answered in full now."""
        for place, awaited in enumerate(self._awaiting[row]):
            if awaited.key == key:
                if awaited.entries > entries:
                    self._awaiting[row][place] = awaited._replace(entries=awaited.entries - entries)
                    return False
                del self._awaiting[row][place]
                return True
        return False

    def canceled(self, venue: int, contracts: Sequence[int]) -> None:
        """A venue removed quotes unasked. What was sent and not yet acknowledged will still arrive there."""
        row = self._row.get(venue)
        if row is None:
            return
        gone = self._written_by[row] <= self._acknowledged[row]
        if contracts:
            named = np.zeros_like(gone)
            named[[c for c in contracts if 0 <= c < len(named)]] = True
            gone &= named
        self.book.price[row][:, gone] = 0
        self.book.size[row][:, gone] = 0

    def filled(self, venue: int, contract: int, side: Side, quantity: int, price: int) -> None:
        """A quote traded: less of it is left."""
        row = self._row.get(venue)
        if row is not None and 0 <= contract < self.away_until.shape[1]:
            self.book.trade(row, contract, side, quantity, price)

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        return {name: getattr(self, name) for name in _STATE} | {
            "price": self.book.price,
            "size": self.book.size,
            "awaiting": self._awaiting,
            "silence": self._silence.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        for name in _STATE:
            setattr(self, name, state[name])
        self.book = Ladder(state["price"], state["size"])
        self._silence.restore(state["silence"])
        self._awaiting = [[_Awaited(*awaited) for awaited in awaiting] for awaiting in state["awaiting"]]


_STATE: Final = (
    "is_up", "is_protected", "away_until", "last_away", "_written_by", "_before", "_acknowledged"
)  # fmt: skip
