"""Laws of the quotes that we want, whatever the market, the theos and the inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from domain.price import NICKEL_DIME, PENNY, TickClass, TickColumns, is_on_tick, next_down, next_up, tick_columns
from quoting.ladder import ASK, BID
from quoting.market import Market
from quoting.settings import QuotingSettings
from quoting.target import Exposure, Target, Valuation, effective_inventory, quotes

if TYPE_CHECKING:
    from tests.quoting.conftest import Feed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

N = 44
DIME = 1_000


def columns(feed: Feed, tick: TickClass) -> TickColumns:
    return tick_columns([tick], np.zeros(feed.n, dtype=np.int64))


def build(
    feed: Feed,
    settings: QuotingSettings,
    *,
    tick: TickClass = NICKEL_DIME,
    exposure: Exposure = Exposure(),  # noqa: B008 - a named tuple is immutable
    nbbo: dict[str, Any] | None = None,
    theos: dict[str, Any] | None = None,
    age_s: float = 0.0,
) -> tuple[Target, Valuation, Market]:
    ticks = columns(feed, tick)
    market = Market(ticks, feed.chain.multiplier, settings)
    update = feed.nbbo(**(nbbo or {}))
    market.update(update.frame, update.ts_event)
    value = Valuation(feed.chain, ticks, settings)
    priced = feed.theos(**(theos or {}))
    value.update(priced.frame, priced.spot)
    target = quotes(
        value,
        market,
        exposure,
        multiplier=feed.chain.multiplier,
        ticks=ticks,
        venues=2,
        settings=settings,
        ts=feed.noon + round(age_s * feed.second),
    )
    return target, value, market


sides = arrays(np.int64, N, elements=st.integers(0, 120))
sizes = arrays(np.int64, N, elements=st.integers(0, 3))
exposures = st.builds(Exposure, delta=st.floats(-1e6, 1e6), vega=st.floats(-1e9, 1e9))
errors = arrays(np.float64, N, elements=st.floats(0.0, 5.0))
states = arrays(np.int8, N, elements=st.sampled_from([0, 0, 0, 2]))


@given(sides, sides, sizes, sizes, exposures, errors, states, st.sampled_from([NICKEL_DIME, PENNY]), st.floats(0, 1e4))
def test_quotes_keep_their_edge_their_grid_and_their_distance_to_the_market(
    feed: Feed,
    bid: Ints,
    ask: Ints,
    bid_size: Ints,
    ask_size: Ints,
    exposure: Exposure,
    error: Floats,
    status: npt.NDArray[np.int8],
    tick: TickClass,
    age_s: float,
) -> None:
    """Any NBBO, one-sided, locked and crossed ones too; any theo error; any inventory; bad theos here and there."""
    settings = QuotingSettings()
    nbbo = {
        "bid": bid * (bid_size > 0) * DIME,
        "bid_size": bid_size * (bid > 0),
        "ask": ask * (ask_size > 0) * DIME,
        "ask_size": ask_size * (ask > 0),
    }
    target, value, _ = build(
        feed,
        settings,
        tick=tick,
        exposure=exposure,
        nbbo=nbbo,
        theos={"theo_error": error, "status": status},
        age_s=age_s,
    )
    (our_bid, our_ask), (our_bid_size, our_ask_size) = target.quotes
    has_bid, has_ask = our_bid_size > 0, our_ask_size > 0
    market_bid, market_ask = nbbo["bid"], nbbo["ask"]

    quoted = (status == 0) & ((market_bid > 0) | (market_ask > 0))
    assert (has_ask == quoted).all()
    assert (has_bid <= quoted).all()
    assert ((our_bid > 0) == has_bid).all()
    assert ((our_ask > 0) == has_ask).all()
    assert is_on_tick(target.quotes.price, tick_columns([tick], np.zeros(N, np.int64))).all()

    both = has_bid & has_ask
    assert (our_bid < our_ask)[both].all()
    edge = np.maximum(settings.min_edge_ticks * value.tick, settings.min_edge_errors * error * 10_000)
    assert (our_bid <= value.theo - edge + 1e-4)[has_bid].all()
    assert (our_ask >= value.theo + edge - 1e-4)[has_ask].all()
    meets_ask, meets_bid = has_bid & (market_ask > 0), has_ask & (market_bid > 0)
    assert (our_bid <= next_down(market_ask, tick))[meets_ask].all()
    assert (our_ask >= next_up(market_bid, tick))[meets_bid].all()

    assert (our_bid <= target.limit[BID])[has_bid].all()
    assert (our_ask >= target.limit[ASK])[has_ask].all()
    assert (target.quotes.size <= settings.size).all()
    assert (target.quotes.size[target.quotes.size > 0] >= settings.min_size).all()


def test_a_flat_book_quotes_within_the_market(feed: Feed) -> None:
    """Half the market's width, decay_share of it, leaves room for rounding: we are at or inside on both sides."""
    target, value, market = build(feed, QuotingSettings(), nbbo={"width": 2.0}, theos={"error": 0.01})
    two_sided = (market.bid > 0) & (market.ask > 0)
    assert two_sided.sum() > 20
    assert (target.quotes.price[BID] >= market.bid)[two_sided].all()
    assert (target.quotes.price[ASK] <= market.ask)[two_sided].all()
    inner = np.abs(value.delta) < 0.9
    assert (target.quotes.size[:, inner] >= 9).all()


@given(st.floats(0.2, 20.0), st.floats(1.1, 4.0))
def test_a_wider_market_is_quoted_wider(feed: Feed, width: float, factor: float) -> None:
    tight, _, _ = build(feed, QuotingSettings(), nbbo={"width": width})
    wide, _, _ = build(feed, QuotingSettings(), nbbo={"width": width * factor})
    both = (tight.quotes.size > 0).all(axis=0) & (wide.quotes.size > 0).all(axis=0)
    grown = np.diff(wide.quotes.price, axis=0) - np.diff(tight.quotes.price, axis=0)
    assert (grown[0, both] >= -2 * DIME).all()  # rounding moves each side by less than a tick


@pytest.mark.parametrize(
    "worse",
    [
        {"theos": {"error": 0.40}},
        {"age_s": 1_500.0},
        {"nbbo": {"bid_size": np.zeros(N, np.int64), "bid": np.zeros(N, np.int64)}},
    ],
    ids=["theo error", "stale NBBO", "one-sided market"],
)
def test_doubt_widens_quotes_and_never_tightens_them(feed: Feed, worse: dict[str, Any]) -> None:
    sure, _, _ = build(feed, QuotingSettings())
    unsure, _, _ = build(feed, QuotingSettings(), **worse)
    both = (sure.quotes.size > 0).all(axis=0) & (unsure.quotes.size > 0).all(axis=0)
    width = [np.diff(target.quotes.price, axis=0)[0, both] for target in (sure, unsure)]
    assert both.sum() > 10
    assert (width[1] >= width[0]).all()
    assert (width[1] > width[0]).mean() > 0.8


def test_doubt_about_the_theo_shrinks_sizes(feed: Feed) -> None:
    sure, _, _ = build(feed, QuotingSettings(), theos={"error": 0.01})
    unsure, _, _ = build(feed, QuotingSettings(), theos={"error": 1.0})
    assert (unsure.quotes.size <= sure.quotes.size).all()
    assert unsure.quotes.size.sum() < 0.8 * sure.quotes.size.sum()


@given(st.floats(1e4, 1e8))
def test_long_vega_lowers_quotes_and_shrinks_bids(feed: Feed, vega: float) -> None:
    settings = QuotingSettings()
    flat, _, _ = build(feed, settings)
    long, _, _ = build(feed, settings, exposure=Exposure(vega=vega))
    short, _, _ = build(feed, settings, exposure=Exposure(vega=-vega))
    assert (long.quotes.price <= flat.quotes.price).all()
    assert (short.quotes.price[ASK] >= flat.quotes.price[ASK]).all()
    assert (long.quotes.size[BID] <= flat.quotes.size[BID]).all()
    assert (short.quotes.size[ASK] <= flat.quotes.size[ASK]).all()


def test_long_delta_lowers_calls_and_raises_puts(feed: Feed) -> None:
    settings = QuotingSettings(risk_aversion=1e-4)
    flat, value, _ = build(feed, settings)
    long, _, _ = build(feed, settings, exposure=Exposure(delta=20_000.0))
    calls, puts = value.delta > 0.2, value.delta < -0.2
    assert (long.quotes.price[:, calls] <= flat.quotes.price[:, calls]).all()
    assert (long.quotes.price[:, puts] >= flat.quotes.price[:, puts]).all()
    assert (long.quotes.price[:, calls] < flat.quotes.price[:, calls]).any()


def test_the_inventory_of_one_contract_alone_is_itself(feed: Feed) -> None:
    _, value, _ = build(feed, QuotingSettings())
    m = feed.chain.multiplier
    for i in (10, 25):
        held = Exposure(delta=7 * m[i] * value.delta[i], vega=7 * m[i] * value.vega[i])
        assert effective_inventory(value, held, m, 100.0)[i] == pytest.approx(7.0, rel=1e-12)


def test_a_bid_worth_nothing_is_no_bid(feed: Feed) -> None:
    worthless = np.full(N, 0.01)
    target, _, _ = build(
        feed,
        QuotingSettings(),
        theos={"theo": worthless},
        nbbo={"bid": np.zeros(N), "bid_size": np.zeros(N), "ask": np.full(N, 500)},
    )
    assert not target.quotes.size[BID].any()
    assert not target.quotes.price[BID].any()
    assert (target.quotes.price[ASK] == 500).all()
    assert (target.quotes.size[ASK] > 0).all()


@given(st.floats(-3.0, 3.0))
def test_a_quote_never_passes_the_mirror_image_of_the_theo_in_the_mid(feed: Feed, off: float) -> None:
    theo = np.maximum(feed.values()[0] + off, 0.0)
    target, _, market = build(feed, QuotingSettings(), theos={"theo": theo})
    both = (market.bid > 0) & (market.ask > 0)
    mirror = market.bid + market.ask - theo * 10_000
    inside = both & (theo * 10_000 > market.bid) & (theo * 10_000 < market.ask)
    assert (target.quotes.price[BID] <= mirror + 1e-4)[inside].all()
    assert (target.quotes.price[ASK] >= mirror - 1e-4)[inside].all()


def test_a_theo_beyond_the_market_only_joins_it(feed: Feed) -> None:
    base = feed.values()[0]
    above, _, market = build(feed, QuotingSettings(), theos={"theo": base + 3.0})
    below, _, _ = build(feed, QuotingSettings(), theos={"theo": np.maximum(base - 3.0, 0.0)})
    both = (market.bid > 0) & (market.ask > 0)
    assert (above.quotes.price[BID] <= market.bid)[both].all()
    assert (below.quotes.price[ASK] >= market.ask)[both].all()


def test_no_quote_is_wider_than_allowed_when_edge_and_market_permit(feed: Feed) -> None:
    target, _, market = build(feed, QuotingSettings(max_width=5.0), nbbo={"width": 40.0})
    both = (target.quotes.size > 0).all(axis=0)
    assert (np.diff(target.quotes.price, axis=0)[0, both] <= 50_000).all()
    assert both.any()
    assert (market.ask - market.bid).max() > 200_000


@given(st.floats(1_000.0, 1e6), st.floats(1e5, 1e8))
def test_sizes_fit_the_budgets_down_to_the_smallest_size(feed: Feed, delta_budget: float, vega_budget: float) -> None:
    settings = QuotingSettings(delta_budget=delta_budget, vega_budget=vega_budget, min_size=1, size=50)
    target, value, _ = build(feed, settings)
    size = target.quotes.size
    m = feed.chain.multiplier
    beyond = np.maximum(size - settings.min_size, 0)
    up = np.where(value.delta > 0, beyond[BID], beyond[ASK])
    assert 2 * (up * np.abs(value.delta) * m).sum() <= delta_budget * (1 + 1e-9)
    assert 2 * (beyond[BID] * value.vega * m).sum() <= vega_budget * (1 + 1e-9)


def test_a_frame_of_some_contracts_leaves_the_others_without_a_theo(feed: Feed) -> None:
    settings = QuotingSettings()
    ticks = columns(feed, NICKEL_DIME)
    value = Valuation(feed.chain, ticks, settings)
    some = np.arange(3, 20, 4)
    whole = feed.theos()
    value.update(whole.frame.take(some), whole.spot)
    assert np.flatnonzero(value.is_good).tolist() == some.tolist()
    assert value.theo[some] == pytest.approx(whole.frame.theo[some] * 10_000, rel=1e-15)
    assert not value.theo[~value.is_good].any()


def test_bad_rows_do_not_leak_into_the_others(feed: Feed) -> None:
    clean, _, _ = build(feed, QuotingSettings())
    nan = np.array(feed.values()[0])
    nan[5] = np.nan
    status = np.zeros(N, np.int8)
    status[5] = 3
    dirty, value, _ = build(feed, QuotingSettings(), theos={"theo": nan, "delta": nan / nan * 0.5, "status": status})
    assert not dirty.quotes.size[:, 5].any()
    assert np.isfinite(value.variance).all()
    assert clean.quotes.size[:, 5].any()


def test_the_market_remembers_widths_and_follows_a_tightening_at_once(feed: Feed) -> None:
    settings = QuotingSettings(width_memory=0.5)
    market = Market(columns(feed, NICKEL_DIME), feed.chain.multiplier, settings)
    atm = 21
    for width in (4.0, 4.0, 8.0):
        market.update(feed.nbbo(width=width).frame, feed.noon)
    widened = float(market.base[atm])
    market.update(feed.nbbo(width=1.0).frame, feed.noon)
    tightened = float(market.base[atm])
    assert tightened < 0.3 * widened
    one_sided = feed.nbbo(width=1.0, ask=np.zeros(N), ask_size=np.zeros(N))
    market.update(one_sided.frame, feed.noon)
    assert float(market.base[atm]) > tightened  # widened, from what was known
    assert float(market.ask[atm]) == 0.0
