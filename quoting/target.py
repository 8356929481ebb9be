"""The quotes that we want: one pass over the chain from theos, market and inventory to prices and sizes."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.chain import Chain
from domain.frames import GreeksFrame
from domain.price import BREAK, PRICE_SCALE, TickColumns
from quoting import _target
from quoting.ladder import SNAP, Ladder, Units, round_out
from quoting.market import Market
from quoting.settings import QuotingSettings

Floats = npt.NDArray[np.float64]

_TINY: Final = 1e-12


class Exposure(NamedTuple):
    """What the portfolio is exposed to: delta in shares, vega in dollars per 1.00 of volatility."""

    delta: float = 0.0
    vega: float = 0.0


class Target(NamedTuple):
    """Quotes of the whole chain, the same at every venue, and the bounds within which a shown price may stay.

    `limit` is the highest bid and the lowest ask that keep the least edge and do not meet the market: units, int64,
    shape (2, n). `tick` is the increment at the theo, units, shape (n,).
    """

    quotes: Ladder
    limit: Units
    tick: Units


class Valuation:
    """Theos of a chain as the quoter needs them. Columns have the chain's length; a contract without a good theo is 0.

    Attributes:
        theo, error: Units.
        edge: Least distance to the theo, units.
        delta, vega: Per share: shares, dollars per 1.00 of volatility.
        variance: Of one share's worth of the contract, dollars squared per year.
        deviation: Its root.
        tick: Increment at the theo, units, int64.
        is_good: Whether there is a theo.
        spot_variance: (spot sigma)^2, dollars squared per year, with sigma the chain's vega-weighted volatility.
        vol_variance: (vol_of_vol sigma)^2 per year.
        gross_delta, gross_vega: Sums of absolute delta and vega of one contract of each, shares and dollars per 1.00.
        computed: Time of the theos, ns.
    """

    def __init__(self, chain: Chain, ticks: TickColumns, settings: QuotingSettings) -> None:
        n = len(chain)
        self._ticks = ticks
        self._multiplier = chain.multiplier
        self._settings = settings
        self._everything = np.arange(n, dtype=np.int32)
        for name in _FLOATS:
            setattr(self, name, np.zeros(n))
        self.tick: Units = np.ones(n, dtype=np.int64)
        self.is_good = np.zeros(n, dtype=np.bool_)
        self.spot_variance = self.vol_variance = 0.0
        self.gross_delta = self.gross_vega = 0.0

    theo: Floats
    error: Floats
    edge: Floats
    delta: Floats
    vega: Floats
    variance: Floats
    deviation: Floats

    def update(self, frame: GreeksFrame, spot: float) -> None:
        """Take over the theos of one reprice. Contracts that it does not name have no theo any more."""
        settings, status = self._settings, frame.status
        columns: tuple[Floats, ...] = (frame.theo, frame.theo_error, frame.delta, frame.vega, frame.vol)
        if not np.array_equal(frame.contract, self._everything):
            columns = tuple(self._spread(frame.contract, values, np.nan) for values in columns)
            status = self._spread(frame.contract, status, -1)
        good = (status == 0) & (columns[0] >= 0.0) & (columns[1] >= 0.0)
        # NaN to 0 by choice of rows: a bad row cannot leak into sums.
        theo, error, delta, vega, vol = columns if good.all() else (np.where(good, values, 0.0) for values in columns)
        weight = float(vega.sum())
        sigma = float((vega * vol).sum()) / weight if weight > _TINY else 0.0
        self.spot_variance = (spot * sigma) ** 2
        self.vol_variance = (settings.vol_of_vol * sigma) ** 2
        self.theo = theo * PRICE_SCALE
        self.error = error * PRICE_SCALE
        self.delta, self.vega, self.is_good = delta, vega, good
        self.variance = delta * delta * self.spot_variance + vega * vega * self.vol_variance
        self.deviation = np.sqrt(self.variance)
        self.tick = np.where(self.theo < BREAK, self._ticks.below, self._ticks.above)
        self.edge = np.maximum(settings.min_edge_ticks * self.tick, settings.min_edge_errors * self.error)
        self.gross_delta = float((np.abs(delta) * self._multiplier).sum())
        self.gross_vega = float((np.abs(vega) * self._multiplier).sum())

    def _spread(self, at: npt.NDArray[np.int32], values: npt.NDArray[Any], absent: float) -> npt.NDArray[Any]:
        full = np.full(len(self._everything), absent, dtype=values.dtype)
        full[at] = values
        return full

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        return {name: getattr(self, name) for name in _STATE}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        for name in _STATE:
            setattr(self, name, state[name])


_FLOATS: Final = ("theo", "error", "edge", "delta", "vega", "variance", "deviation")
_STATE: Final = (
    *_FLOATS, "tick", "is_good", "spot_variance", "vol_variance", "gross_delta", "gross_vega"
)  # fmt: skip


def effective_inventory(value: Valuation, exposure: Exposure, multiplier: Floats, bound: float) -> Floats:
    """The portfolio's risk as a position in each contract, contracts.

    q_i = cov_i / (m_i var_i): the position in contract i alone whose price covaries with contract i as the portfolio
    does. Spot and volatility move independently: cov_i = delta_i D (S sigma)^2 + vega_i V sigma_v^2 and var_i is the
    same with the contract's own Greeks. A contract that does not move carries no risk: 0.

    Args:
        value: Greeks of the chain.
        exposure: D and V of the portfolio.
        multiplier: Shares per contract, shape (n,).
        bound: Largest absolute value returned.

    Source: the many-asset extension of GLFT in Guéant (2016), The Financial Mathematics of Market Liquidity, chapter
    13, reduced to the diagonal: the quote of a contract sees the portfolio through its covariance only.
    """
    from_spot = exposure.delta * value.spot_variance
    from_vol = exposure.vega * value.vol_variance
    covariance = value.delta * from_spot + value.vega * from_vol
    inventory: Floats = covariance / (multiplier * np.maximum(value.variance, _TINY))
    bounded: Floats = np.minimum(np.maximum(inventory, -bound), bound)
    return bounded


def quotes(
    value: Valuation,
    market: Market,
    exposure: Exposure,
    *,
    multiplier: Floats,
    ticks: TickColumns,
    venues: int,
    settings: QuotingSettings,
    ts: int,
) -> Target:
    """Price and size the whole chain.

    1. Half spread: c of the model, widened by the age of the NBBO and by a one-sided market, plus w / 2, plus a share
       of the theo's error; at most half of `max_width` less the rounding, at least the least edge.
    2. Skew: both sides shift by q w, never so far that the near side loses its least edge: what inventory cannot do in
       price it does in size.
    3. Market: where it is two-sided, a bid improves on the market's bid by no more than the market's ask stands above
       our theo. In other words it stays below the theo's mirror image in the market's mid: the further we disagree with
       the market, the less we act on it, and a theo at or through the ask only joins the bid. A bid always stays a tick
       away from the ask. Asks mirror.
    4. Rounding away from the theo. A bid that rounds to nothing is no bid.
    5. Size: shrinks with the theo's error against the half spread, and on the side that adds to the inventory.

    By construction bid < theo < ask, so that quotes never cross or lock. The steps but the fourth are native code, in
    their order and with these names (`quoting/native/target.cpp`).
    """
    n = len(value.theo)
    raw, size, limit = np.empty((2, n)), np.empty((2, n), dtype=np.int64), np.empty((2, n), dtype=np.int64)
    scale = min(
        1.0,
        settings.delta_budget / max(settings.size * venues * value.gross_delta, _TINY),
        settings.vega_budget / max(settings.size * venues * value.gross_vega, _TINY),
    )
    _target.quotes(
        theo=value.theo,
        error=value.error,
        edge=value.edge,
        deviation=value.deviation,
        inventory=effective_inventory(value, exposure, multiplier, settings.max_inventory),
        is_good=value.is_good,
        base=market.base * market.staleness(ts),
        slope=market.slope,
        bid=market.bid,
        ask=market.ask,
        join_bid=market.join_bid,
        join_ask=market.join_ask,
        ceiling=market.ceiling,
        floor=market.floor,
        is_shown=market.is_shown,
        tick_above=ticks.above,
        uncertainty=settings.uncertainty_errors,
        widest=0.5 * settings.max_width * PRICE_SCALE,
        most_inventory=settings.max_inventory,
        full_size=settings.size * scale,
        min_size=settings.min_size,
        snap=SNAP,
        price=raw,
        size=size,
        limit=limit,
    )
    price = round_out(raw[0], raw[1], ticks)
    size *= price > 0
    return Target(quotes=Ladder(price, size), limit=limit, tick=value.tick)
