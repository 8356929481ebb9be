"""The usual mass quote in a few native passes: one against which nothing at all speaks needs no further questions.

A screen judges nothing. It says of a message that it is beyond doubt, or leaves it to `quote_checks`, which names what
is wrong with each entry. It is stricter than that judgement in every respect and never looser: what is unusual (rows
out of order, an entry that only takes away, an open option order, a load within rounding of its limit) is left to it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from domain.commands import STOCK
from domain.frames import QuoteFrame
from risk import _screen
from risk.view import View
from risk.worst_case import Ints

_MARGIN: Final = 1.0 + 1e-9
"""Factor by which a load must stay below its limit: sums in another order differ by less than 1e-11 of it."""

_DOUBTFUL: Final = 0
_GROWS: Final = 2


def screen(frame: QuoteFrame, view: View) -> npt.NDArray[np.intp] | None:
    """Return the flat row of each entry, shape (k,), where nothing speaks against any; None where something may.

    Nothing else may be in the way: the caller has asked whether anything may be placed at all.
    """
    market, quotes = view.market, view.quotes
    if not len(frame) or any(order.contract != STOCK for order in view.orders):
        return None
    cap, floor = market.price_bounds()
    rows = np.empty(len(frame), np.intp)
    bid, ask = np.empty(quotes.contracts, np.int64), np.empty(quotes.contracts, np.int64)
    found = _screen.entries(
        *frame.columns().values(),
        cap=cap,
        floor=floor,
        below=market.tick_below,
        above=market.tick_above,
        resting_bid=quotes.bid_size,
        resting_ask=quotes.ask_size,
        most=min(view.limits.max_quote_size, np.iinfo(np.int32).max),
        rows=rows,
        bid_reach=bid,
        ask_reach=ask,
    )
    if found == _DOUBTFUL or (found == _GROWS and not _is_within(view, bid, ask)):
        return None
    is_crossed = _screen.self_crossed(
        rows,
        frame.contract,
        frame.bid,
        frame.ask,
        frame.ask_size,
        high_bid=quotes.high_bid,
        low_ask=quotes.low_ask,
        contracts=quotes.contracts,
    )
    return None if is_crossed else rows


def _is_within(view: View, bid: Ints, ask: Ints) -> bool:
    """Whether positions, held Greeks and the worst case are within their limits, beyond all doubt of rounding.

    Args:
        view: What is held, and the limits.
        bid: Contracts that may be bought of each option with the message. Shape (n,).
        ask: The same to be sold.
    """
    limits, unit, spot = view.limits, view.market.unit, view.market.spot
    totals = np.empty(9)
    _screen.totals(unit.greeks, unit.premium, view.position, bid, ask, out=totals)
    *sums, reach, held_premium, longest = totals.tolist()
    shares = sum(view.orders.leaves(STOCK, side) for side in ("buy", "sell")) if len(view.orders) else 0
    used = zip(
        sums[:3],
        sums[3:],
        view.held.tolist(),
        (shares, 0, 0),
        (limits.held_delta, limits.held_gamma, limits.held_vega),
        (limits.worst_delta, limits.worst_gamma, limits.worst_vega),
        strict=True,
    )
    notional = reach + held_premium + (abs(view.stock) + shares) * spot
    return (
        longest <= limits.max_position
        and notional * _MARGIN <= limits.max_notional
        and all(  # the worse of both directions; false where a sum is not a number
            abs(held) <= most and ((gross + abs(net)) / 2 + abs(held) + extra) * _MARGIN <= worst
            for gross, net, held, extra, most, worst in used
        )
    )
