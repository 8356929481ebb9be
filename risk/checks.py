"""Checks of a mass quote, entry by entry, on arrays.

Every check is a mask over the entries. The usual message passes them all, so each mask is first asked whether anything
failed at all; codes and counts are worked out only where something did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.events import QuoteRefusal
from domain.frames import Column, QuoteFrame
from domain.price import BREAK, PRICE_SCALE
from risk.bounds import Market
from risk.limits import Limits
from risk.resting import FAR, Ints, RestingQuotes, Rows

Mask = npt.NDArray[np.bool_]
Reasons = npt.NDArray[np.int8]

BLOCK_CHECKS: Final = {
    QuoteRefusal.RESTRICTED: "restricted",
    QuoteRefusal.NO_THEO: "no_theo",
    QuoteRefusal.VENUE: "venue_down",
}


@dataclass(frozen=True, slots=True)
class Breach:
    """A check that failed, and how often: `value` is the worst that was met, `limit` what was allowed."""

    check: str
    value: float
    limit: float
    count: int


class Blocked(NamedTuple):
    """Why nothing may be placed at all now."""

    reason: QuoteRefusal
    value: float
    limit: float


class Located(NamedTuple):
    """Entries laid over the flat rows of `RestingQuotes`.

    Attributes:
        frame: Entries whose venue and contract exist, each row once, prices 0 where the size is 0. Length k.
        rows: Flat row of each. Shape (k,).
        where: The same, as a slice where the rows follow one another: indexing then copies nothing.
        kept: Which entries of the message these are; None for all.
        reasons: Codes of the other entries, 0 for those kept, one per entry of the message; None where all were kept.
    """

    frame: QuoteFrame
    rows: npt.NDArray[np.intp]
    where: Rows
    kept: Mask | None
    reasons: Reasons | None


def locate(frame: QuoteFrame, venues: int, contracts: int) -> Located:
    """Find the row of each entry; drop unknown ones, and all but the last of those that name the same row."""
    rows = frame.venue * np.intp(contracts) + frame.contract
    if len(rows) and frame.contract.min() >= 0 and frame.contract.max() < contracts:
        first, last = int(rows[0]), int(rows[-1])
        if first >= 0 and last < venues * contracts and (rows[1:] > rows[:-1]).all():  # as the quoter writes them
            where = slice(first, last + 1) if last - first == len(rows) - 1 else rows
            return Located(_normal(frame), rows, where, None, None)
    reasons = np.zeros(len(frame), np.int8)
    known = (frame.venue >= 0) & (frame.venue < venues) & (frame.contract >= 0) & (frame.contract < contracts)
    reasons[~known] = QuoteRefusal.UNKNOWN_CONTRACT
    latest = np.zeros(venues * contracts, np.intp)
    order = np.arange(len(rows))
    latest[rows[known]] = order[known]
    repeated = np.flatnonzero(known)
    repeated = repeated[latest[rows[repeated]] != repeated]
    reasons[repeated] = QuoteRefusal.DUPLICATE
    kept = reasons == 0
    if kept.all():
        return Located(_normal(frame), rows, rows, None, None)
    return Located(_normal(frame.take(kept)), rows[kept], rows[kept], kept, reasons)


def entry_reasons(
    located: Located, market: Market, resting: RestingQuotes, limits: Limits, blocked: Blocked | None
) -> tuple[Reasons | None, list[Breach]]:
    """Judge each entry by itself: size, crossed, tick, collar, and what keeps it off the market altogether.

    An entry that only takes away from what stands there is not judged.

    Args:
        located: The entries, length k.
        market: Prices and bounds.
        resting: Our quotes.
        limits: Limits in force.
        blocked: Why nothing may be placed at all now, if so.

    Returns:
        QuoteRefusal codes, shape (k,), 0 for good, or None where all are good; and one breach per check that failed.
    """
    frame, where = located.frame, located.where
    bid, ask, bid_size, ask_size = frame.bid, frame.ask, frame.bid_size, frame.ask_size
    reasons: Reasons | None = None
    judged: Mask | None = None
    breaches: list[Breach] = []

    def fail(mask: Mask, code: QuoteRefusal, check: str, value: Column, limit: float, scale: float = 1.0) -> None:
        nonlocal reasons, judged
        if reasons is None or judged is None:
            reasons, judged = np.zeros(len(frame), np.int8), ~reduces(located, resting)
        fresh = mask & judged & (reasons == 0)
        if fresh.any():
            reasons[fresh] = code
            breaches.append(Breach(check, float(value[fresh].max()) / scale, limit, int(np.count_nonzero(fresh))))

    has_bid, has_ask = bid_size > 0, ask_size > 0
    if blocked is not None:
        code, value, limit = blocked
        fail(has_bid | has_ask, code, code.name.lower(), np.full(len(frame), value), limit)
    cap, floor = (bounds[where] for bounds in market.price_bounds())
    offer = np.where(has_ask, ask, FAR)
    high, low = bid > cap, offer < floor
    outside = high | low
    if outside.any():
        why = market.block_reason(frame.contract, frame.venue)
        for code, check in BLOCK_CHECKS.items():
            mask = outside & (why == code)
            if mask.any():
                fail(mask, code, check, mask.astype(np.int64), 0.0)
    if len(frame) and (
        max(bid_size.max(), ask_size.max()) > limits.max_quote_size or min(bid_size.min(), ask_size.min()) < 0
    ):
        largest = np.maximum(np.abs(bid_size), np.abs(ask_size)).astype(np.int64)
        too_large = (largest > limits.max_quote_size) | (np.minimum(bid_size, ask_size) < 0)
        fail(too_large, QuoteRefusal.SIZE, "size", largest, float(limits.max_quote_size))
    crossed = bid >= offer
    if crossed.any():
        fail(crossed, QuoteRefusal.CROSSED, "crossed", bid - offer, 0.0, PRICE_SCALE)
    below, above = market.tick_below[where], market.tick_above[where]
    off = _off_tick(bid, below, above) | _off_tick(ask, below, above)
    off |= ((bid > 0) != has_bid) | ((ask > 0) != has_ask)  # a size without a price, or a price below 0
    if off.any():
        fail(off, QuoteRefusal.OFF_TICK, "tick", off.astype(np.int64), 0.0)
    if outside.any():
        through = np.where(high, bid - cap, floor - offer)
        fail(outside, QuoteRefusal.COLLAR, "collar", through, 0.0, PRICE_SCALE)
    return (reasons if breaches else None), breaches


def self_crossed(located: Located, good: Mask | None, resting: RestingQuotes) -> Mask:
    """Return which entries may meet a quote of ours at another venue: locked or crossed, now or while messages travel.

    Messages reach two venues at two times, so an entry is held against everything that may stand elsewhere: what works,
    what is in flight, what this message brings. At its own venue it replaces what stood there. As no entry passes that
    meets any of it, no two venues ever show quotes of ours that cross, whatever arrives first.

    Args:
        located: The entries, length k.
        good: Which of them are still to be sent; None for all.
        resting: Our quotes.

    Returns:
        Entries to refuse, shape (k,).
    """
    frame, n = located.frame, resting.contracts
    refused = np.zeros(len(frame), np.bool_)
    at = located.where if good is None else located.rows[good]
    bid, offer = frame.bid, np.where(frame.ask_size > 0, frame.ask, FAR)
    high, low = resting.high_bid.copy(), resting.low_ask.copy()
    high[at] = np.maximum(high[at], bid if good is None else bid[good])
    low[at] = np.minimum(low[at], offer if good is None else offer[good])
    high_at, low_at = high.reshape(-1, n), low.reshape(-1, n)
    near = high_at.max(axis=0) >= low_at.min(axis=0)
    if not near.any():
        return refused
    asked = np.flatnonzero(near[frame.contract] if good is None else near[frame.contract] & good)
    own = frame.venue[asked], np.arange(len(asked))
    bids, offers = high_at[:, frame.contract[asked]], low_at[:, frame.contract[asked]]
    bids[own], offers[own] = 0, FAR
    refused[asked] = (bid[asked] >= offers.min(axis=0)) | (offer[asked] <= bids.max(axis=0))
    return refused


def reduces(located: Located, resting: RestingQuotes) -> Mask:
    """Return which entries only take away: each side is pulled, or keeps its price at no larger size. Shape (k,)."""
    frame, where = located.frame, located.where
    same_bid = (frame.bid == resting.sent_bid[where]) & (frame.bid_size <= resting.bid_size[where])
    same_ask = (frame.ask == resting.sent_ask[where]) & (frame.ask_size <= resting.ask_size[where])
    is_less = ((frame.bid_size == 0) | same_bid) & ((frame.ask_size == 0) | same_ask)
    return np.asarray(is_less & (frame.bid_size >= 0) & (frame.ask_size >= 0))


def _off_tick(price: Ints, below: Ints, above: Ints) -> Mask:
    """Return which prices are off their grid. A quotient of integers below 2**53 is whole in floats only if exact."""
    steps = price / np.where(price < BREAK, below, above)
    return np.asarray(steps != np.floor(steps))


def _normal(frame: QuoteFrame) -> QuoteFrame:
    """Return the frame with price 0 wherever the size is 0."""
    stray = ((frame.bid != 0) & (frame.bid_size == 0)) | ((frame.ask != 0) & (frame.ask_size == 0))
    if not stray.any():
        return frame
    return QuoteFrame(
        venue=frame.venue,
        contract=frame.contract,
        bid=np.where(frame.bid_size == 0, 0, frame.bid),
        bid_size=frame.bid_size,
        ask=np.where(frame.ask_size == 0, 0, frame.ask),
        ask_size=frame.ask_size,
    )
