"""Our mass quotes at one venue, as arrays over the chain."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.events import QuoteRefusal
from domain.frames import QuoteFrame
from domain.price import TickColumns, is_on_tick
from routing.nbbo import ASK, BID, Ints
from routing.queue_model import UNKNOWN_AHEAD, place_in_queue, price_time, pro_rata, reach, rotation
from routing.venue_book import VenueBook
from routing.venues import Allocation

Bools = npt.NDArray[np.bool_]

_PRO_RATA_SALT: Final = 0x9807
_KEPT_SETS: Final = 1_024


class Match(NamedTuple):
    """An execution that is possible. `adds`: we were resting."""

    side: int
    contract: int
    quantity: int
    price: int
    adds: bool


class QuoteBook:
    """Price, size and queue place of our two-sided quotes. n is the number of contracts.

    Attributes:
        price: Price units. Shape (2, n): bids, asks.
        size: What is left; 0 where there is no quote. Shape (2, n).
        ahead: Size ahead of us in a price-time queue, or UNKNOWN_AHEAD. Shape (2, n).
        filled: Executed since the side was placed. Shape (2, n).
    """

    def __init__(self, n: int, allocation: Allocation, *, seed: int, venue: int) -> None:
        self.n = n
        self.price: Ints = np.zeros((2, n), np.int64)
        self.size: Ints = np.zeros((2, n), np.int64)
        self.ahead: Ints = np.zeros((2, n), np.int64)
        self.filled: Ints = np.zeros((2, n), np.int64)
        self._set: Ints = np.zeros(n, np.int64)
        self._sets: list[str] = [""]
        self._is_pro_rata = allocation == "pro_rata"
        self._seed = seed
        self._salt = _PRO_RATA_SALT + venue

    def check(self, frame: QuoteFrame, quote_set_id: str, ticks: TickColumns, max_size: int) -> npt.NDArray[np.int8]:
        """Return why each row is refused, as `QuoteRefusal`, or 0.

        Of several reasons the first of: contract, named before in this quote set, size, tick, cross.
        """
        contract = frame.contract
        reason = np.zeros(len(frame), np.int8)
        known = (contract >= 0) & (contract < self.n)
        at = np.where(known, contract, 0)
        tick = TickColumns(ticks.below[at], ticks.above[at])
        has_bid, has_ask = frame.bid_size > 0, frame.ask_size > 0
        reason[has_bid & has_ask & (frame.bid >= frame.ask)] = QuoteRefusal.CROSSED
        off_bid = has_bid & ~((frame.bid > 0) & is_on_tick(frame.bid, tick))
        off_ask = has_ask & ~((frame.ask > 0) & is_on_tick(frame.ask, tick))
        reason[off_bid | off_ask] = QuoteRefusal.OFF_TICK
        smallest = np.minimum(frame.bid_size, frame.ask_size)
        reason[(smallest < 0) | (np.maximum(frame.bid_size, frame.ask_size) > max_size)] = QuoteRefusal.SIZE
        if len(contract) > 1:
            order = np.argsort(contract, kind="stable")
            again = np.zeros(len(contract), np.bool_)
            again[order[1:]] = contract[order[1:]] == contract[order[:-1]]
            reason[again] = QuoteRefusal.DUPLICATE
        if self._sets[-1] == quote_set_id:
            reason[self._set[at] == len(self._sets) - 1] = QuoteRefusal.DUPLICATE
        reason[~known] = QuoteRefusal.UNKNOWN_CONTRACT
        return reason

    def would_take(self, frame: QuoteFrame, book: VenueBook, ts: int) -> Bools:
        """Return which rows have a side that would trade on arrival: a venue refuses those that may only add."""
        contract = np.clip(frame.contract.astype(np.int64), 0, self.n - 1)
        takes = np.zeros(len(frame), np.bool_)
        for side, price, size in ((BID, frame.bid, frame.bid_size), (ASK, frame.ask, frame.ask_size)):
            for row, _, _ in self._meets(side, contract, price, size, book, ts):
                takes[row] = True
        return takes

    @staticmethod
    def _meets(
        side: int, contract: Ints, price: Ints, size: Ints, book: VenueBook, ts: int
    ) -> list[tuple[int, int, int]]:
        """Return the rows whose side locks or crosses what the venue shows, with the price and size shown there."""
        opposite = book.price[1 - side, contract]
        meets = (opposite > 0) & ((price >= opposite) if side == BID else (price <= opposite)) & (size > 0)
        found = ((row, *book.available(1 - side, int(contract[row]), ts)) for row in np.flatnonzero(meets).tolist())
        return [each for each in found if each[2]]

    def place(self, frame: QuoteFrame, quote_set_id: str, book: VenueBook, ts: int) -> list[Match]:
        """Replace both sides of the contracts of a checked frame.

        A side that repeats its price and does not grow keeps its place in the queue; any other goes to the end.

        Returns:
            What trades at once, because it locks or crosses the size that the venue shows.
        """
        contract = frame.contract.astype(np.int64)
        if self._sets[-1] != quote_set_id:
            if len(self._sets) > _KEPT_SETS:
                self._forget_sets()
            self._sets.append(quote_set_id)
        self._set[contract] = len(self._sets) - 1
        matches: list[Match] = []
        for side, price, size in ((BID, frame.bid, frame.bid_size), (ASK, frame.ask, frame.ask_size)):
            old_price, old_size = self.price[side, contract], self.size[side, contract]
            keeps = (old_size > 0) & (old_price == price) & (size <= old_size)
            ahead = np.where(keeps, self.ahead[side, contract], UNKNOWN_AHEAD)
            self.price[side, contract] = np.where(size > 0, price, 0)
            self.size[side, contract] = size
            self.filled[side, contract] = 0
            self.ahead[side, contract] = ahead
            matches += [
                Match(side, int(contract[row]), min(int(size[row]), shown), best, adds=False)
                for row, best, shown in self._meets(side, contract, price, size, book, ts)
            ]
        self.requeue(contract, book)
        return matches

    def pull(self, contracts: tuple[int, ...]) -> None:
        """Remove the quotes of the named contracts, or all of them where none is named. Unknown ones are ignored."""
        rows: Any = np.array([c for c in contracts if 0 <= c < self.n], np.int64) if contracts else slice(None)
        self.size[:, rows] = 0
        self.price[:, rows] = 0

    def requeue(self, rows: Ints, book: VenueBook) -> None:
        """Follow a change of the venue's book: where we stand in the queue of each named contract."""
        for side in (BID, ASK):
            price, best = self.price[side, rows], book.price[side, rows]
            ours_first = (price > best) if side == BID else (price < best)
            self.ahead[side, rows] = place_in_queue(
                self.ahead[side, rows], (best == 0) | ours_first, price == best, book.size[side, rows]
            )

    def crossed_by(self, rows: Ints, book: VenueBook) -> Ints:
        """Return which of the contracts whose NBBO changed have a quote that it crossed: places in `rows`."""
        bid, ask = book.nbbo.price[BID, rows], book.nbbo.price[ASK, rows]
        bid_crossed = (self.size[BID, rows] > 0) & (ask > 0) & (ask < self.price[BID, rows])
        ask_crossed = (self.size[ASK, rows] > 0) & (bid > self.price[ASK, rows])
        return np.flatnonzero(bid_crossed | ask_crossed)

    def filled_by_nbbo(self, rows: Ints, crossed: Ints, part: Ints, book: VenueBook) -> list[Match]:
        """Return what trades at our price because the recorded NBBO crossed it.

        Args:
            rows: Contracts whose NBBO changed. Shape (k,).
            crossed: Places in `rows`, from `crossed_by`.
            part: This venue's part of the NBBO's bid and ask size. Shape (2, k).
            book: Holds the NBBO.
        """
        matches: list[Match] = []
        for place in crossed.tolist():
            contract = int(rows[place])
            for side in (BID, ASK):
                price, size = int(self.price[side, contract]), int(self.size[side, contract])
                best = int(book.nbbo.price[1 - side, contract])
                is_crossed = 0 < best < price if side == BID else best > price
                quantity = min(size, int(part[1 - side, place]))
                if is_crossed and quantity:
                    matches.append(Match(side, contract, quantity, price, adds=True))
        return matches

    def has_any(self) -> bool:
        """Whether a quote of ours has size left."""
        return bool(self.size.any())

    def touched_by(self, contract: Ints, low: Ints, high: Ints) -> Ints:
        """Return the rows of prints that stand at or through a quote of ours."""
        bids = (self.size[BID, contract] > 0) & (low <= self.price[BID, contract])
        asks = (self.size[ASK, contract] > 0) & (high >= self.price[ASK, contract])
        return np.flatnonzero(bids | asks)

    def printed(
        self,
        contract: Ints,
        low: Ints,
        high: Ints,
        volume: Ints,
        offset: npt.NDArray[np.float64],
        book: VenueBook,
        ts: int,
    ) -> list[Match]:
        """Return what trades because of prints, by the queue model, and move the queues on.

        Args:
            contract: Distinct contracts. Shape (k,).
            low: Lowest print. Shape (k,).
            high: Highest print. Shape (k,).
            volume: This venue's part of the volume. Shape (k,).
            offset: Seeded, in [0, 1). Shape (k,).
            book: What the venue showed when it printed.
            ts: Time of the print; with the contract it seeds the pro-rata rounding.
        """
        live = self.size[:, contract] > 0
        ours = np.where(live, self.price[:, contract], 0)
        parts = reach(ours[BID], ours[ASK], low, high, volume, offset)
        matches: list[Match] = []
        for side in (BID, ASK):
            price, size, part = ours[side], self.size[side, contract], parts[side]
            best = book.price[side, contract]
            is_first = (best == 0) | ((price > best) if side == BID else (price < best))
            is_through = (low < price) if side == BID else (high > price)
            competing = np.where(is_first, 0, book.size[side, contract])
            if self._is_pro_rata:
                at_price = pro_rata(size, competing, part, rotation(self._seed, self._salt + 64 * side, contract, ts))
            else:
                ahead = self.ahead[side, contract]
                is_known = ahead != UNKNOWN_AHEAD
                at_price, left = price_time(size, np.where(is_known, ahead, competing), part)
                self.ahead[side, contract] = np.where(is_known, left, ahead)
            quantity = np.where(is_first | is_through, np.minimum(size, part), at_price)
            matches += [
                Match(side, int(contract[row]), int(quantity[row]), int(price[row]), adds=True)
                for row in np.flatnonzero(quantity > 0)
            ]
        return matches

    def commit(self, match: Match) -> tuple[str, int, int]:
        """Book an execution.

        Returns:
            The quote set, what the side has filled since it was placed, and what is left of it.
        """
        self.size[match.side, match.contract] -= match.quantity
        self.filled[match.side, match.contract] += match.quantity
        where = match.side, match.contract
        return self._sets[self._set[match.contract]], int(self.filled[where]), int(self.size[where])

    def resting(self, venue: int) -> QuoteFrame:
        """Return the quotes that have a side left."""
        rows = np.flatnonzero((self.size > 0).any(axis=0))
        price = np.where(self.size > 0, self.price, 0)
        return QuoteFrame(
            venue=np.full(len(rows), venue, np.int16),
            contract=rows,
            bid=price[BID, rows],
            bid_size=self.size[BID, rows],
            ask=price[ASK, rows],
            ask_size=self.size[ASK, rows],
        )

    def _forget_sets(self) -> None:
        """Keep only the identifiers of quote sets that a contract still refers to."""
        used, place = np.unique(self._set, return_inverse=True)
        self._sets = [self._sets[index] for index in used]
        self._set = place.astype(np.int64)

    def state(self) -> dict[str, Any]:
        """Return the arrays, for a snapshot."""
        return {
            "price": self.price,
            "size": self.size,
            "ahead": self.ahead,
            "filled": self.filled,
            "set": self._set,
            "sets": self._sets,
        }

    def take_over(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.price, self.size = state["price"], state["size"]
        self.ahead, self.filled = state["ahead"], state["filled"]
        self._set, self._sets = state["set"], state["sets"]
