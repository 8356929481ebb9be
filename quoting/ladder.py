"""Our two-sided quotes of a whole chain at several venues, and the least that must be sent to change them.

A `Ladder` is two arrays whose last axes are (side, contract), side 0 the bid and 1 the ask. A side that is absent has
price 0 and size 0. All functions are pure and work on all venues in one pass.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.commands import Side
from domain.frames import QuoteFrame
from domain.price import BREAK, Tick, TickColumns, next_down, next_up

Units = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

BID: Final = 0
ASK: Final = 1

_OUTWARD: Final = np.array([[1], [-1]], dtype=np.int64)
"""A bid is better when higher, an ask when lower."""

_FAR: Final = 1 << 62
"""Above every price."""

SNAP: Final = 1e-6
"""A float within a millionth of a unit of a whole one is that one: 29,499.9999999 is no tick below 29,500."""


class Ladder(NamedTuple):
    """Prices in units and sizes in contracts, int64, shape (2, n), or (venues, 2, n)."""

    price: Units
    size: Units

    @classmethod
    def empty(cls, *shape: int) -> Ladder:
        """No quotes: shape is (n,) or (venues, n)."""
        full = (*shape[:-1], 2, shape[-1])
        return cls(np.zeros(full, dtype=np.int64), np.zeros(full, dtype=np.int64))

    def trade(self, row: int, contract: int, side: Side, quantity: int, price: int) -> None:
        """Take a fill off a book of (venues, 2, n), in place. A late one, at a price not shown any more, is ignored."""
        column = BID if side == "buy" else ASK
        if int(self.price[row, column, contract]) != price:
            return
        left = max(int(self.size[row, column, contract]) - quantity, 0)
        self.size[row, column, contract] = left
        if left == 0:
            self.price[row, column, contract] = 0

    def copy(self) -> Ladder:
        """An independent copy."""
        return Ladder(self.price.copy(), self.size.copy())


def round_out(bid: Floats, ask: Floats, tick: Tick) -> Units:
    """Put raw quotes on the grid: bids down, asks up.

    Args:
        bid: Units as floats, shape (n,). At or below 0, or NaN: no bid.
        ask: The same.
        tick: Increments.

    Returns:
        Units, int64, shape (2, n). 0 where there is no side.
    """
    # Quotients of whole floats far below 2**53 are whole only where the price is on the grid: no integer division.
    out = np.empty((2, len(bid)), dtype=np.int64)
    low = np.floor(np.fmax(bid, 0.0) + SNAP)
    step = np.where(low < BREAK, tick.below, tick.above)
    out[BID] = np.floor(low / step) * step
    high = np.ceil(np.fmax(ask, 0.0) - SNAP)
    step = np.where(high < BREAK, tick.below, tick.above)
    out[ASK] = np.ceil(high / step) * step
    return out


def hold(
    target: Ladder,
    shown: Ladder,
    *,
    limit: Units,
    tick: Units,
    requote_ticks: float,
    replenish_share: float,
) -> Ladder:
    """Leave a shown side where it is when moving it is not worth a message.

    A side keeps its price when it and its target are both there, they differ by less than `requote_ticks`, and the
    shown price is still allowed: a bid at most at its limit, an ask at least. It keeps its size too, when it shows no
    more than the target and at least `replenish_share` of it.

    Args:
        target: What we want, (2, n), the same at all venues, or (venues, 2, n).
        shown: What is working or on its way, (venues, 2, n).
        limit: Units, (2, n): the highest bid and the lowest ask that may stand.
        tick: Increment, units, (n,).
        requote_ticks: Not negative. 0 holds nothing.
        replenish_share: In (0, 1].

    Returns:
        What to show, (venues, 2, n). Equal to the target where nothing is held.
    """
    # Whole numbers against the next whole number above a bound: the same answer as against the bound, in one type.
    move = target.price - shown.price
    stays = np.abs(move, out=move) < np.ceil(requote_ticks * tick).astype(np.int64)
    stays &= shown.size > 0
    stays &= target.size > 0
    stays &= _OUTWARD * shown.price <= _OUTWARD * limit
    full = shown.size <= target.size
    full &= shown.size >= np.ceil(replenish_share * target.size).astype(np.int64)
    full &= stays
    return Ladder(np.where(stays, shown.price, target.price), np.where(full, shown.size, target.size))


def keep_apart(target: Ladder, shown: Ladder, ticks: TickColumns) -> Ladder:
    """Hold a side back, a tick away from what we show on the other side at another venue.

    Messages reach two venues at two times: a bid that moves up to where our ask still stands elsewhere would cross
    ourselves until that ask has moved. Such a side stops a tick short; the next pass, which sees the other side moved,
    takes it the rest of the way.

    Args:
        target: What to show, (venues, 2, n).
        shown: The best that may stand, now or until messages on their way arrive, (venues, 2, n).
        ticks: Tick class columns of the n contracts.

    Returns:
        The target where nothing would meet, else a copy with the sides held back; one without room is not shown.
    """
    venues = len(target.price)
    standing_bid = shown.price[:, BID, :]
    standing_ask = np.where(shown.size[:, ASK, :] > 0, shown.price[:, ASK, :], _FAR)
    if not _may_meet(target, standing_bid, standing_ask):
        return target
    result = target
    for venue in range(venues):
        others = [row for row in range(venues) if row != venue]
        if not others:
            break
        for side, wall in ((BID, standing_ask[others].min(axis=0)), (ASK, standing_bid[others].max(axis=0))):
            price, size = target.price[venue, side], target.size[venue, side]
            meets = np.flatnonzero((size > 0) & (_OUTWARD[side, 0] * (price - wall) >= 0) & (wall > 0))
            if not len(meets):
                continue
            if result is target:
                result = target.copy()
            step = next_down if side == BID else next_up
            held = step(wall[meets], TickColumns(below=ticks.below[meets], above=ticks.above[meets]))
            result.price[venue, side, meets] = held
            result.size[venue, side, meets[held == 0]] = 0
    return result


def _may_meet(target: Ladder, standing_bid: Units, standing_ask: Units) -> bool:
    """Whether any side of the target may reach the other side of anything that stands, be it at its own venue."""
    bid = target.price[:, BID, :].max(axis=0)
    ask = np.where(target.size[:, ASK, :] > 0, target.price[:, ASK, :], _FAR).min(axis=0)
    reaches = (bid >= standing_ask.min(axis=0)) | (ask <= standing_bid.max(axis=0))
    return bool(reaches.any())


def innermost(first: Units, second: Units) -> Units:
    """The better price of two on each side: the higher bid, the lower ask; the only one where the other is absent.

    Args:
        first: Units, (2, n), 0 where a side is absent.
        second: The same.

    Returns:
        Units, int64, (2, n).
    """
    out = np.maximum(first, second)
    both = (first[ASK] > 0) & (second[ASK] > 0)
    out[ASK] = np.where(both, np.minimum(first[ASK], second[ASK]), out[ASK])
    return out


def diff(target: Ladder, shown: Ladder) -> Mask:
    """Which entries must be sent to turn one book into the other: those that differ, no others. Shape (venues, n)."""
    changed = (target.price != shown.price) | (target.size != shown.size)
    mask: Mask = changed[..., BID, :] | changed[..., ASK, :]
    return mask


def rows(book: Ladder, mask: Mask, venues: npt.NDArray[np.int16]) -> QuoteFrame:
    """The entries of a mask as a frame, by venue and then by contract.

    Args:
        book: (venues, 2, n).
        mask: (venues, n).
        venues: Venue index of each row of the book, shape (venues,).
    """
    flat = np.flatnonzero(mask)
    at = np.repeat(np.arange(len(mask)), np.count_nonzero(mask, axis=1))
    n = mask.shape[1]
    contract = flat - at * n
    of_bid = flat + at * n
    sides = of_bid, of_bid + n
    bid, ask, bid_size, ask_size = (values.ravel().take(side) for values in book for side in sides)
    return QuoteFrame(venue=venues.take(at), contract=contract, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size)


def apply_rows(book: Ladder, frame: QuoteFrame, row_of: dict[int, int]) -> Ladder:
    """The book after a venue took every entry of a mass quote. `row_of` gives a venue's row of the book."""
    result = book.copy()
    at = np.array([row_of[int(venue)] for venue in frame.venue], dtype=np.intp)
    contract: npt.NDArray[Any] = frame.contract
    for side, price, size in ((BID, frame.bid, frame.bid_size), (ASK, frame.ask, frame.ask_size)):
        result.price[at, side, contract] = price
        result.size[at, side, contract] = size
    return result
