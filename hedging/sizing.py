"""How much a hedge trades: to the edge of the band, or to zero."""

from __future__ import annotations

import math
from typing import NamedTuple

from hedging.settings import HedgerSettings


class Hedge(NamedTuple):
    """A trade that the band asks for. Shares; `quantity` is signed, positive buys."""

    band: float
    target: float
    quantity: int


def hedge_to_band(delta: float, band: float, settings: HedgerSettings) -> Hedge | None:
    """Return the trade from outside the band to its edge, or nothing.

    Args:
        delta: Net delta, shares.
        band: Half-width, shares.
        settings: Where in the band a hedge ends, lots and clips.

    Returns:
        A quantity that moves delta towards the target and never past it, or None: inside the band, or less than a lot.
    """
    if abs(delta) <= band:
        return None
    target = math.copysign(band * settings.edge_fraction, delta)
    shares = min(abs(delta - target), settings.max_clip)
    quantity = int(shares // settings.lot) * settings.lot
    return Hedge(band, target, -quantity if delta > 0 else quantity) if quantity else None


def hedge_to_zero(delta: float, settings: HedgerSettings) -> Hedge | None:
    """Return the trade that flattens net delta to the nearest lot, or nothing."""
    shares = min(abs(delta), settings.max_clip)
    quantity = int(shares / settings.lot + 0.5) * settings.lot
    quantity = min(quantity, settings.max_clip // settings.lot * settings.lot)
    return Hedge(0.0, 0.0, -quantity if delta > 0 else quantity) if quantity else None
