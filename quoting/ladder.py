"""Our two-sided quotes of a whole chain at several venues, and the least that must be sent to change them.

A `Ladder` is two arrays whose last axes are (side, contract), side 0 the bid and 1 the ask. A side that is absent has
price 0 and size 0. All functions are pure and work on all venues in one pass; what every tick needs is native code
(`quoting/native/ladder.cpp`), because a dozen small NumPy calls for each of them cost more than the work itself.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.commands import Side
from domain.frames import QuoteFrame
from domain.price import BREAK, Tick, TickColumns, next_down, next_up, tick_columns
from quoting import _ladder

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
        bid: Units as floats, shape (n,). At or below 0, NaN, or from 2**62 on: no bid.
        ask: The same.
        tick: Increments.

    Returns:
        Units, int64, shape (2, n). 0 where there is no side.
    """
    out = np.empty((2, len(bid)), dtype=np.int64)
    ticks = tick if isinstance(tick, TickColumns) else tick_columns([tick], np.zeros(len(bid), np.intp))
    _ladder.round_out(bid, ask, ticks.below, ticks.above, threshold=BREAK, snap=SNAP, out=out)
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
    book = Ladder(np.empty_like(shown.price), np.empty_like(shown.size))
    _ladder.hold(
        *target,
        *shown,
        limit,
        tick,
        requote_ticks=requote_ticks,
        replenish_share=replenish_share,
        price=book.price,
        size=book.size,
    )
    return book


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
    if not _ladder.may_meet(*target, *shown):
        return target
    venues = len(target.price)
    standing_bid = shown.price[:, BID, :]
    standing_ask = np.where(shown.size[:, ASK, :] > 0, shown.price[:, ASK, :], _FAR)
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
    mask: Mask = np.empty((len(shown.price), shown.price.shape[-1]), dtype=np.bool_)
    _ladder.diff(*target, *shown, out=mask)
    return mask


def put(out: Units, price: Units, mask: Mask) -> None:
    """Overwrite prices of one venue, (2, n), with others of the same shape where the mask, (n,), says so. In place."""
    _ladder.put(price, mask, out=out)


def rows(book: Ladder, mask: Mask, venues: npt.NDArray[np.int16]) -> QuoteFrame:
    """The entries of a mask as a frame, by venue and then by contract.

    Args:
        book: (venues, 2, n).
        mask: (venues, n).
        venues: Venue index of each row of the book, shape (venues,).
    """
    count = int(np.count_nonzero(mask))
    columns = {name: np.empty(count, dtype) for name, dtype in QuoteFrame.dtypes.items()}
    _ladder.rows(*book, mask, venues, **columns)
    return QuoteFrame(**columns)


def apply_rows(book: Ladder, frame: QuoteFrame, row_of: dict[int, int]) -> Ladder:
    """The book after a venue took every entry of a mass quote. `row_of` gives a venue's row of the book."""
    result = book.copy()
    at = np.array([row_of[int(venue)] for venue in frame.venue], dtype=np.intp)
    contract: npt.NDArray[Any] = frame.contract
    for side, price, size in ((BID, frame.bid, frame.bid_size), (ASK, frame.ask, frame.ask_size)):
        result.price[at, side, contract] = price
        result.size[at, side, contract] = size
    return result
