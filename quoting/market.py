"""What the quoter knows of the market in each contract: best prices, their age, and how wide it is."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.frames import NbboFrame
from domain.price import PRICE_SCALE, TickColumns, next_down, next_up
from quoting.settings import QuotingSettings
from quoting.spread import glft_coefficients

Floats = npt.NDArray[np.float64]

NEVER: Final = np.iinfo(np.int64).min // 2
"""Time of something that has not happened."""

_NO_CEILING: Final = float(np.finfo(np.float64).max)


class Market:
    """The NBBO of a chain and what follows from it alone, so that a quote pass finds it ready.

    The width of the market is smoothed over its updates and sets k of the GLFT model in each contract: with the
    market's half width h, 1 / k = decay_share * h, where h is the smaller of the smoothed and the latest one. A locked,
    crossed or one-sided market teaches no width. Before the first, half the ask stands for it, as if the bid were zero:
    true of a worthless contract; without an ask it is as wide as an obligation allows.

    Attributes (all of the chain's length, prices in units as floats):
        bid, ask: 0 where the side is absent.
        join_bid, join_ask: The same where the market is two-sided; beyond all prices where it is not, and says nothing
            of the value.
        ceiling: The highest bid that does not meet the market's ask: a tick below it.
        floor: The lowest ask that does not meet the market's bid: a tick above it, 0 without a bid.
        is_shown: Whether there is any side.
        half_width: Smoothed, units; NaN before the first.
        base: c of the model, units, widened where the market is one-sided.
        slope: w of the model for a sigma of one dollar per square root of year, units.
        updated: Time of the last update, ns.
    """

    def __init__(self, ticks: TickColumns, multiplier: Floats, settings: QuotingSettings) -> None:
        n = len(multiplier)
        self._ticks = ticks
        self._gamma = settings.risk_aversion * multiplier
        self._settings = settings
        self.bid = np.zeros(n)
        self.ask = np.zeros(n)
        self.join_bid = np.full(n, _NO_CEILING)
        self.join_ask = np.zeros(n)
        self.ceiling = np.full(n, _NO_CEILING)
        self.floor = np.zeros(n)
        self.is_shown = np.zeros(n, dtype=np.bool_)
        self.half_width = np.full(n, np.nan)
        self.base: Floats = np.zeros(n)
        self.slope = np.zeros(n)
        self.updated = np.full(n, NEVER, dtype=np.int64)

    def update(self, frame: NbboFrame, ts: int) -> None:
        """Take over changed contracts. Where a contract occurs twice, the last row holds."""
        at, settings = frame.contract, self._settings
        ticks = TickColumns(self._ticks.below[at], self._ticks.above[at])
        bid = np.where(frame.bid_size > 0, frame.bid, 0)
        ask = np.where(frame.ask_size > 0, frame.ask, 0)
        has_bid, has_ask = bid > 0, ask > 0
        is_two_sided = has_bid & has_ask
        self.bid[at] = bid
        self.ask[at] = ask
        self.join_bid[at] = np.where(is_two_sided, bid, _NO_CEILING)
        self.join_ask[at] = np.where(is_two_sided, ask, 0.0)
        self.ceiling[at] = np.where(has_ask, next_down(ask, ticks), _NO_CEILING)
        self.floor[at] = np.where(has_bid, next_up(bid, ticks), 0.0)
        self.is_shown[at] = has_bid | has_ask
        self.updated[at] = ts

        seen = np.where(is_two_sided & (ask > bid), 0.5 * (ask - bid), np.nan)
        half = self.half_width[at]
        half = np.where(
            np.isnan(half), seen, np.where(np.isnan(seen), half, half + settings.width_memory * (seen - half))
        )
        self.half_width[at] = half
        # fmin and fmax pass over NaN. A market that tightens is followed at once, one that widens is followed slowly.
        widest = 0.5 * settings.max_width * PRICE_SCALE
        guess = np.where(has_ask, 0.5 * ask, widest)
        half = np.where(np.isnan(half), guess, np.fmin(half, seen))
        one_over_k = settings.decay_share * np.clip(half, 0.5 * ticks.below, widest) / PRICE_SCALE
        c, w = glft_coefficients(self._gamma[at], 1.0 / one_over_k, settings.arrival_rate, 1.0)
        widening = np.where(is_two_sided, 1.0, settings.one_sided_widening)
        self.base[at] = c * widening * PRICE_SCALE
        self.slope[at] = w * PRICE_SCALE

    def staleness(self, ts: int) -> Floats:
        """Factor on the base half spread for the age of each contract's NBBO, 1 while it is fresh."""
        settings = self._settings
        fresh = settings.nbbo_fresh_s * 1e9
        late = np.subtract(ts - fresh, self.updated) * (settings.stale_widening / fresh)
        factor: Floats = 1.0 + np.minimum(np.maximum(late, 0.0), settings.max_stale_widening)
        return factor

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        return {name: getattr(self, name) for name in _COLUMNS}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        for name in _COLUMNS:
            setattr(self, name, state[name])


_COLUMNS: Final = (
    "bid", "ask", "join_bid", "join_ask", "ceiling", "floor", "is_shown", "half_width", "base", "slope", "updated"
)  # fmt: skip
