"""The queue model: which part of a recorded print is ours.

The recorded market is not changed by us, knows no venue and, in minute bars, no single print. What is assumed:

1. A print's volume is split over the venues of its kind by tape share (`apportion`): each venue gets its share rounded
   down or up, the parts sum to the volume, and a 1-lot goes to exactly one venue, drawn by a seeded hash.
2. A bar's volume is spread evenly over the cent prices from its low to its high (`reach`). The part at or above our
   offer is what could have bought from us, the part at or below our bid what could have sold to us. The two parts never
   overlap, so both sides of a quote share the volume and together never fill more than it.
3. A print strictly through our price, or at our price where the venue shows nothing as good, is ours up to our size.
4. A print at our price where the venue shows size there or better goes by the venue's allocation:
   price-time: the size ahead of us trades first. It is what the venue showed when we came; it shrinks with prints and
   when less is shown, never grows; while the venue's best is better than our price it is unknown, and taken as what
   the venue shows at its best.
   pro-rata: our size over our size and the displayed size, rounded by the seeded hash so that the mean is exact.
5. A recorded NBBO that crosses our price fills us at our price, up to its displayed size, split over venues as in 1.

There is no market impact: size that we take is shown again after a stated time. This is good for small size only, and
fills on minute data support no claim about fill rates or profit.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.random import hash_uniform

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CENT: Final = 100
"""Trades print on cents whatever the quote tick: complex legs and price improvement."""

UNKNOWN_AHEAD: Final = -1
"""Size ahead of us at a price that the venue's best is better than."""

_GRID: Final = 1 << 20
"""Rotations stand on multiples of 2^-20, so that volume + rotation is exact in float64 for any volume below 2^32."""


def rotation(seed: int, salt: int, contract: npt.NDArray[Any], ts: int) -> Floats:
    """Return the seeded offset in [0, 1) of each contract at a time, the same at every venue of a run."""
    return np.asarray(np.floor(hash_uniform(seed, salt, contract, ts) * _GRID) / _GRID, np.float64)


def apportion(volume: Ints, low_edge: float, high_edge: float, offset: Floats) -> Ints:
    """Return one venue's part of volumes: systematic rounding of the interval [low_edge, high_edge) of the tape.

    Args:
        volume: Contracts or shares, >= 0. Shape (n,).
        low_edge: Tape share of the venues before this one.
        high_edge: The same with this one: `VenueTable.tape_edges`.
        offset: From `rotation`, the same for all venues. Shape (n,).

    Returns:
        Shape (n,). Over all venues it sums to the volume; each part is its share rounded down or up; its mean over the
        offset is the share.
    """
    high = np.floor(volume * high_edge + offset)
    return np.asarray(high - np.floor(volume * low_edge + offset), dtype=np.int64)


def reach(bid: Ints, ask: Ints, low: Ints, high: Ints, volume: Ints, offset: Floats) -> tuple[Ints, Ints]:
    """Return the part of bars that reaches our bid and the part that reaches our ask.

    Args:
        bid: Our bids in price units, 0 for none; below the ask where both are there. Shape (n,).
        ask: Our asks, 0 for none. Shape (n,).
        low: Lowest print. Shape (n,).
        high: Highest print. Shape (n,).
        volume: This venue's volume. Shape (n,).
        offset: In [0, 1). Shape (n,).

    Returns:
        Volume at or below the bid, and at or above the ask. Their sum never exceeds the volume.
    """
    prices = (high - low) // CENT + 1
    bid_prices = np.where(bid > 0, np.clip((bid - low) // CENT + 1, 0, prices), 0)
    ask_prices = np.where(ask > 0, np.clip((high - ask) // CENT + 1, 0, prices), 0)
    draw = np.floor(offset * prices).astype(np.int64)
    to_bid = (volume * bid_prices + draw) // prices
    to_ask = volume - (volume * (prices - ask_prices) + draw) // prices
    return to_bid, to_ask


def pro_rata(size: Ints, competing: Ints, volume: Ints, offset: Floats) -> Ints:
    """Return our part of volumes at our price, in proportion to size.

    Args:
        size: Ours, > 0. Shape (n,).
        competing: Displayed by others at the price, >= 0. Shape (n,).
        volume: What printed. Shape (n,).
        offset: In [0, 1), rounds so that the mean is exact. Shape (n,).
    """
    part = np.floor(volume * size / np.maximum(size + competing, 1) + offset)
    return np.asarray(np.minimum(np.minimum(size, volume), part), np.int64)


def price_time(size: Ints, ahead: Ints, volume: Ints) -> tuple[Ints, Ints]:
    """Return our part of volumes at our price behind the size ahead of us, and what is still ahead after it."""
    return np.minimum(size, np.maximum(volume - ahead, 0)), np.maximum(ahead - volume, 0)


def place_in_queue(
    ahead: Ints, is_better: npt.NDArray[np.bool_], is_level: npt.NDArray[np.bool_], displayed: Ints
) -> Ints:
    """Return the size ahead of us after the venue's book changed.

    Args:
        ahead: Before, or UNKNOWN_AHEAD. Shape (n,).
        is_better: Our price is better than the venue's best, or it has none. Shape (n,).
        is_level: Our price is the venue's best. Shape (n,).
        displayed: Size at the venue's best. Shape (n,).
    """
    level = np.where(ahead == UNKNOWN_AHEAD, displayed, np.minimum(ahead, displayed))
    return np.asarray(np.where(is_better, 0, np.where(is_level, level, UNKNOWN_AHEAD)), np.int64)
