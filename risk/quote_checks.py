"""Judgement of one mass quote: which entries may go, and what speaks against the others."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.commands import STOCK
from domain.events import QuoteRefusal
from domain.frames import QuoteFrame, QuoteRefusalFrame
from risk.checks import Blocked, Breach, Located, Mask, Reasons, entry_reasons, locate, self_crossed
from risk.resting import Ints
from risk.screen import screen
from risk.view import View
from risk.worst_case import CHECKS, added_load, over, over_held

STRUCTURE: Final = {QuoteRefusal.UNKNOWN_CONTRACT: "unknown_contract", QuoteRefusal.DUPLICATE: "duplicate"}


class Verdict(NamedTuple):
    """What becomes of a mass quote.

    Attributes:
        frame: Entries that may go.
        rows: Flat row of each.
        refused: The other entries, with their reasons; None where there is none.
        breaches: One for each check that failed.
    """

    frame: QuoteFrame
    rows: npt.NDArray[np.intp]
    refused: QuoteRefusalFrame | None
    breaches: list[Breach]


def judge_quotes(frame: QuoteFrame, view: View, blocked: Blocked | None) -> Verdict:
    """Judge a mass quote: pass what the screen finds beyond doubt, else ask each entry."""
    if blocked is None and (rows := screen(frame, view)) is not None:
        return Verdict(frame, rows, None, [])
    return judge_entries(frame, view, blocked)


def judge_entries(frame: QuoteFrame, view: View, blocked: Blocked | None) -> Verdict:
    """Judge each entry of a mass quote.

    Entries are judged by themselves first, then against our orders, then by what they add to the worst case, then
    against our other quotes. An entry that only takes away passes whatever else is wrong; a refused one that would have
    pulled a side goes as a pull of both, so that a pull is never held back by what is wrong with the other side.
    """
    located = locate(frame, view.quotes.venues, view.quotes.contracts)
    reasons, breaches = _judge_located(located, view, blocked)
    good, rows = located.frame, located.rows
    if reasons is not None:
        mask = (reasons == 0) | _pulls(located, view)
        good, rows = _without(good, reasons != 0).take(mask), rows[mask]
    every = reasons
    if located.reasons is not None:
        every = located.reasons
        every[located.kept] = 0 if reasons is None else reasons
        for code, check in STRUCTURE.items():
            if count := int(np.count_nonzero(every == code)):
                breaches.append(Breach(check, float(count), 0.0, count))
    if every is None:
        return Verdict(good, rows, None, breaches)
    bad = np.flatnonzero(every)
    refused = QuoteRefusalFrame(venue=frame.venue[bad], contract=frame.contract[bad], reason=every[bad])
    return Verdict(good, rows, refused, breaches)


def _judge_located(located: Located, view: View, blocked: Blocked | None) -> tuple[Reasons | None, list[Breach]]:
    """Return QuoteRefusal codes, shape (k,), None where all are 0; and the breaches."""
    reasons, breaches = entry_reasons(located, view.market, view.quotes, view.limits, blocked)
    frame = located.frame

    def refuse(mask: Mask, code: QuoteRefusal, breach: Breach) -> None:
        nonlocal reasons
        if reasons is None:
            reasons = np.zeros(len(frame), np.int8)
        reasons[mask] = code
        breaches.append(breach)

    if any(order.contract != STOCK for order in view.orders):
        mask = _meets_orders(frame, view)
        if mask.any():
            refuse(mask, QuoteRefusal.SELF_CROSS, Breach("self_trade", 1.0, 0.0, int(mask.sum())))
    more_bid, more_ask = _more(located, reasons, view)
    if more_bid.any() or more_ask.any():
        for mask, breach in _aggregate(frame, more_bid, more_ask, view):
            refuse(mask, QuoteRefusal.LIMIT, breach)
    mask = self_crossed(located, None if reasons is None else reasons == 0, view.quotes)
    if mask.any():
        refuse(mask, QuoteRefusal.SELF_CROSS, Breach("self_cross", 1.0, 0.0, int(mask.sum())))
    return reasons, breaches


def _pulls(located: Located, view: View) -> Mask:
    """Return which entries pull a side on which something may trade. Shape (k,)."""
    frame, where = located.frame, located.where
    pulls = (frame.bid_size == 0) & (view.quotes.bid_size[where] > 0)
    return np.asarray(pulls | (frame.ask_size == 0) & (view.quotes.ask_size[where] > 0))


def _without(frame: QuoteFrame, mask: Mask) -> QuoteFrame:
    """Return the frame with both sides of the entries under the mask pulled."""
    sides = {name: np.where(mask, 0, getattr(frame, name)) for name in ("bid", "bid_size", "ask", "ask_size")}
    return QuoteFrame(venue=frame.venue, contract=frame.contract, **sides)


def _meets_orders(frame: QuoteFrame, view: View) -> Mask:
    """Return which entries reach an open option order of ours on the other side. Shape (k,)."""
    mask = np.zeros(len(frame), np.bool_)
    for order in view.orders:
        if order.contract == STOCK:
            continue
        mine = frame.contract == order.contract
        for price in order.prices:
            if order.side == "sell":
                mask |= mine & (frame.bid_size > 0) & (frame.bid >= price)
            else:
                mask |= mine & (frame.ask_size > 0) & (frame.ask <= price)
    return mask


def _more(located: Located, reasons: Reasons | None, view: View) -> tuple[Ints, Ints]:
    """Return contracts by which each entry raises what may trade on either side, 0 for refused ones. Two of (k,)."""
    frame, where = located.frame, located.where
    more_bid = np.maximum(frame.bid_size - view.quotes.bid_size[where], 0)
    more_ask = np.maximum(frame.ask_size - view.quotes.ask_size[where], 0)
    if reasons is not None:
        more_bid[reasons != 0] = 0
        more_ask[reasons != 0] = 0
    return more_bid, more_ask


def _aggregate(frame: QuoteFrame, more_bid: Ints, more_ask: Ints, view: View) -> list[tuple[Mask, Breach]]:
    """Return entries to refuse for limits on positions, held Greeks and the worst case, with the breach of each."""
    limits, contract, n = view.limits, frame.contract, len(view.position)
    bid, ask = view.reach()
    all_bid, all_ask = bid + _by_contract(more_bid, contract, n), ask + _by_contract(more_ask, contract, n)
    long, short = view.position + all_bid, all_ask - view.position
    used_up = over_held(view.held, limits)
    is_within = max(long.max(), short.max()) <= limits.max_position and not used_up.any()
    if is_within and (view.load((all_bid, all_ask)) <= view.load_limits).all():
        return []

    found: list[tuple[Mask, Breach]] = []
    load, added = view.load((bid, ask)), added_load(view.market.unit, contract, more_bid, more_ask)

    def drop(mask: Mask, check: str, value: float, limit: float) -> None:
        if mask.any():
            found.append((mask, Breach(check, value, limit, int(mask.sum()))))
            added[:, mask] = 0.0

    over_long, over_short = long > limits.max_position, short > limits.max_position
    mask = (more_bid > 0) & over_long[contract] | (more_ask > 0) & over_short[contract]
    worst = np.maximum(long, short)[contract[mask]].max(initial=0)
    drop(mask, "position", float(worst), float(limits.max_position))
    for check in np.flatnonzero(used_up):
        greek = f"held_{CHECKS[check].split('_')[0]}"
        drop(added[check] > 0, greek, abs(float(view.held[check % 3])), float(getattr(limits, greek)))
    for check, limit in enumerate(view.load_limits.tolist()):
        total = float(load[check] + added[check].sum())
        if total > limit:
            drop(over(float(load[check]), added[check], limit), CHECKS[check], total, limit)
    return found


def _by_contract(values: Ints, contract: npt.NDArray[np.integer], n: int) -> Ints:
    """Return the sum of the values of each contract. Shape (n,)."""
    if not values.any():
        return np.zeros(n, np.int64)
    return np.bincount(contract, values, n).astype(np.int64)
