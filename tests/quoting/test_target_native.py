"""The native pass over the chain against the same steps in plain NumPy: equal to the last bit, whatever comes."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from domain.price import BREAK, NICKEL_DIME, PENNY, PRICE_SCALE, TickColumns, tick_columns
from quoting import target
from quoting.ladder import ASK, BID, SNAP, Ladder
from quoting.market import Market
from quoting.settings import QuotingSettings
from quoting.target import Exposure, Target, Valuation, effective_inventory

Floats = npt.NDArray[np.float64]

N: Final = 9
NOTHING: Final = float(np.finfo(np.float64).max)
TICKS: Final = tick_columns([NICKEL_DIME, PENNY], np.arange(N) % 2)
MULTIPLIER: Final = np.where(np.arange(N) == 4, 10.0, 100.0)


class _Chain(NamedTuple):
    """What a valuation asks of a chain."""

    multiplier: Floats

    def __len__(self) -> int:
        return N


def column(low: float, high: float, *special: float) -> st.SearchStrategy[Floats]:
    return arrays(np.float64, N, elements=st.one_of(st.floats(low, high), st.sampled_from([low, *special])))


masks = arrays(np.bool_, N)
instants = arrays(np.int64, N, elements=st.integers(-(10**13), 10**13))
MASS: Final = {
    "theo": (0.0, 2e6, BREAK, BREAK + 1e-9),
    "error": (0.0, 5e4),
    "edge": (1.0, 5e4),
    "deviation": (0.0, 1e3),
}
RISK: Final = {"delta": (-1.0, 1.0, 0.0), "vega": (0.0, 300.0), "variance": (0.0, 1e6)}


@st.composite
def values(draw: st.DrawFn) -> Valuation:
    """Any valuation, one that no reprice would give too."""
    value = Valuation(_Chain(MULTIPLIER), TICKS, QuotingSettings())  # type: ignore[arg-type]
    for name, bounds in (MASS | RISK).items():
        setattr(value, name, draw(column(*bounds)))
    is_good: Any = draw(masks)
    value.is_good = is_good
    value.tick = np.where(value.theo < BREAK, TICKS.below, TICKS.above)
    value.spot_variance, value.vol_variance = draw(st.floats(0, 1e5)), draw(st.floats(0, 1))
    value.gross_delta, value.gross_vega = draw(st.floats(0, 1e7)), draw(st.floats(0, 1e10))
    return value


@st.composite
def markets(draw: st.DrawFn, settings: QuotingSettings) -> Market:
    """Any market: one-sided, crossed, absent."""
    market = Market(TICKS, MULTIPLIER, settings)
    for name, *bounds in (
        ("bid", 0.0, 2e6),
        ("ask", 0.0, 2e6),
        ("join_bid", 0.0, 2e6, NOTHING),
        ("join_ask", 0.0, 2e6),
        ("ceiling", 0.0, 2e6, NOTHING),
        ("floor", 0.0, 2e6),
        ("base", 0.0, 1e5),
        ("slope", 0.0, 1e3),
    ):
        setattr(market, name, draw(column(*bounds)))
    is_shown: Any = draw(masks)
    updated: Any = draw(instants)
    market.is_shown, market.updated = is_shown, updated
    return market


def plain(
    value: Valuation, market: Market, exposure: Exposure, ticks: TickColumns, venues: int, s: QuotingSettings, ts: int
) -> Target:
    """The steps of `quotes`, an array at a time."""
    theo, edge = value.theo, value.edge
    inventory = effective_inventory(value, exposure, MULTIPLIER, s.max_inventory)
    width = value.deviation * market.slope
    half = market.base * market.staleness(ts) + 0.5 * width + s.uncertainty_errors * value.error
    half = np.maximum(np.minimum(half, 0.5 * s.max_width * PRICE_SCALE - ticks.above), edge)
    room = half - edge
    skew = np.minimum(np.maximum(inventory * width, -room), room)
    bid_limit = np.minimum(theo - edge, market.join_bid + np.maximum(market.ask - theo, 0.0))
    bid_limit = np.minimum(bid_limit, market.ceiling)
    ask_limit = np.maximum(theo + edge, market.join_ask - np.maximum(theo - market.bid, 0.0))
    ask_limit = np.maximum(ask_limit, market.floor)
    price = np.empty((2, N), np.int64)
    low = np.floor(np.maximum(np.minimum(theo - half - skew, bid_limit), 0.0) + SNAP)
    high = np.ceil(np.maximum(np.maximum(theo + half - skew, ask_limit), 0.0) - SNAP)
    for side, whole, grid in ((BID, low, np.floor), (ASK, high, np.ceil)):
        step = np.where(whole < BREAK, ticks.below, ticks.above)
        price[side] = grid(whole / step) * step
    price *= value.is_good & market.is_shown
    scale = min(
        1.0,
        s.delta_budget / max(s.size * venues * value.gross_delta, 1e-12),
        s.vega_budget / max(s.size * venues * value.gross_vega, 1e-12),
    )
    share = inventory * (1.0 / s.max_inventory)
    full = s.size * scale * (half / (half + value.error))
    size = np.empty_like(price)
    size[BID] = np.maximum(full * np.minimum(1.0 - share, 1.0), s.min_size)
    size[ASK] = np.maximum(full * np.minimum(1.0 + share, 1.0), s.min_size)
    size *= price > 0
    limit = np.stack((np.floor(np.maximum(bid_limit, 0.0) + SNAP), np.ceil(ask_limit - SNAP))).astype(np.int64)
    return Target(quotes=Ladder(price, size), limit=limit, tick=value.tick)


exposures = st.builds(Exposure, delta=st.floats(-1e6, 1e6), vega=st.floats(-1e9, 1e9))


@given(values(), markets(QuotingSettings()), exposures, st.integers(1, 4), st.integers(-(10**13), 10**13))
def test_the_quotes_are_those_of_the_plain_text(
    value: Valuation, market: Market, exposure: Exposure, venues: int, ts: int
) -> None:
    settings = QuotingSettings()
    expected = plain(value, market, exposure, TICKS, venues, settings, ts)
    found = target.quotes(
        value, market, exposure, multiplier=MULTIPLIER, ticks=TICKS, venues=venues, settings=settings, ts=ts
    )
    for mine, theirs in ((found.quotes.price, expected.quotes.price), (found.quotes.size, expected.quotes.size)):
        assert np.array_equal(mine, theirs)
    assert np.array_equal(found.limit, expected.limit)


def test_columns_that_do_not_belong_together_are_refused() -> None:
    market = Market(TICKS, MULTIPLIER, QuotingSettings())
    market.bid = np.zeros(N + 1)
    value = Valuation(_Chain(MULTIPLIER), TICKS, QuotingSettings())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="columns differ in length"):
        target.quotes(
            value,
            market,
            Exposure(),
            multiplier=MULTIPLIER,
            ticks=TICKS,
            venues=1,
            settings=QuotingSettings(),
            ts=0,
        )
