"""What made the P&L: the edge of each fill, what the market did to what was held, and fees.

Between two marks of an option with Greeks of the earlier one, spot moved by dS, volatility by dv and time by dt:

    delta dS,   gamma dS^2 / 2,   vega dv,   theta dt,   and the rest up to the change of its mark.

`rest` holds the higher orders, and all of it where the earlier mark had no Greeks. Where the later mark has no
volatility, as at the expiry, there is no vega part and the others stand. Parts accumulate by compensated sums
(Neumaier), so that they close with the whole after any number of marks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.calendar import YEAR_NS

Floats = npt.NDArray[np.float64]

PARTS: Final = ("spread", "delta", "gamma", "vega", "theta", "rest", "hedging", "fees")


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks of all options at one time, and what explains their next change.

    Attributes:
        price: Dollars per share, NaN where there never was one. Shape (n,).
        greeks: Delta, gamma, vega and theta per share, NaN where unknown. Shape (4, n).
        vol: Volatility that goes with the Greeks. Shape (n,).
        spot: Underlying that goes with the Greeks, dollars.
        ts: Time that goes with the Greeks, ns.
    """

    price: Floats
    greeks: Floats
    vol: Floats
    spot: float
    ts: int

    @classmethod
    def unknown(cls, n: int) -> Marks:
        """No mark yet."""
        return cls(np.full(n, np.nan), np.full((4, n), np.nan), np.full(n, np.nan), 0.0, 0)


def explain(before: Marks, after: Marks, held: npt.NDArray[np.intp], size: Floats) -> dict[str, float]:
    """Explain the change of the marks of what was held.

    Args:
        before: Earlier marks, with their Greeks.
        after: Later marks; of the contracts held, all are known in both.
        held: Contracts held in between. Shape (k,).
        size: Signed contracts times multiplier of each. Shape (k,).

    Returns:
        Dollars of delta, gamma, vega, theta and rest; they add up to the sum of size times the change of the mark.
    """
    d_spot = after.spot - before.spot
    d_time = (after.ts - before.ts) / YEAR_NS
    d_vol = after.vol[held] - before.vol[held]
    d_vol[~np.isfinite(d_vol)] = 0.0
    delta, gamma, vega, theta = before.greeks[:, held]
    terms = np.stack([delta * d_spot, gamma * (d_spot * d_spot / 2), vega * d_vol, theta * d_time])
    terms[:, ~np.isfinite(terms).all(axis=0)] = 0.0
    change = after.price[held] - before.price[held]
    parts = (terms * size).sum(axis=1)
    rest = ((change - terms.sum(axis=0)) * size).sum()
    return {**dict(zip(("delta", "gamma", "vega", "theta"), parts.tolist(), strict=True)), "rest": float(rest)}


class Accumulator:
    """Running sums of the parts, dollars."""

    def __init__(self) -> None:
        """All zero."""
        self._sum: Floats = np.zeros(len(PARTS))
        self._lost: Floats = np.zeros(len(PARTS))

    def add(self, **parts: float) -> None:
        """Add dollars to the named parts."""
        for name, value in parts.items():
            at = PARTS.index(name)
            before = float(self._sum[at])
            total = before + value
            self._lost[at] += (before - total) + value if abs(before) >= abs(value) else (value - total) + before
            self._sum[at] = total

    def parts(self) -> dict[str, float]:
        """Return the sums, by part."""
        return dict(zip(PARTS, (self._sum + self._lost).tolist(), strict=True))

    def state(self) -> dict[str, Any]:
        """All of it, for a snapshot."""
        return {"sum": self._sum, "lost": self._lost}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self._sum, self._lost = state["sum"], state["lost"]
