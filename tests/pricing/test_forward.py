"""Forwards from parity: exact quotes give exact forwards; noise, holes and outliers do not carry them away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import YEAR_NS, ny_ns
from domain.errors import InputError
from domain.events import NbboUpdated, UnderlyingUpdated
from pricing import american
from pricing.forward import Forwards, ForwardSettings, ParityPairs, imply_forwards

if TYPE_CHECKING:
    from tests.pricing.conftest import MadeUpMarket, RecordedDay

Array = npt.NDArray[np.float64]
SPOT_ERROR = 0.005


def imply(market: MadeUpMarket, bid: Array, ask: Array, premium: Array | None = None, **settings: float) -> Forwards:
    nothing = np.zeros(len(market.chain))
    return imply_forwards(
        ParityPairs.of(market.chain),
        bid,
        ask,
        nothing if premium is None else premium,
        market.years,
        market.spot,
        SPOT_ERROR,
        ForwardSettings(**settings),
    )


def test_exact_quotes_give_the_forwards_the_rate_and_the_yield(european: MadeUpMarket) -> None:
    found = imply(european, *european.quotes(half_width=0.005), rate=european.rate)
    np.testing.assert_allclose(found.forward, european.forward, atol=2e-3)
    assert found.rate[0] == pytest.approx(european.rate, abs=5e-4)
    np.testing.assert_allclose(found.carry_yield[1:], european.carry_yield, atol=1e-3)
    np.testing.assert_allclose(found.discount, np.exp(-found.rate * european.years), rtol=1e-14)


def test_slopes_over_strikes_find_the_rate_without_being_told(european: MadeUpMarket) -> None:
    found = imply(european, *european.quotes(half_width=0.005))
    assert found.rate[0] == pytest.approx(european.rate, abs=2e-3)


@given(seed=st.integers(0, 2**32 - 1))
def test_noise_and_missing_sides_stay_within_the_stated_error(european: MadeUpMarket, seed: int) -> None:
    found = imply(european, *european.quotes(half_width=0.05, seed=seed, gaps=0.4))
    z = (found.forward - european.forward) / np.hypot(found.error, SPOT_ERROR)
    assert np.abs(z).max() < 5.0
    assert (found.error[:-1] < 0.25).all()


@given(seed=st.integers(0, 2**32 - 1), jump=st.sampled_from([-40.0, -3.0, 5.0, 60.0]))
def test_an_absurd_quote_in_every_expiry_changes_little(european: MadeUpMarket, seed: int, jump: float) -> None:
    """Without the last day: two of its pairs have two sides, and of two that disagree nobody knows the wrong one."""
    random = np.random.default_rng(seed)
    bid, ask = european.quotes(half_width=0.02)
    start = european.chain.expiry_start[1:]
    rows = start[:-1] + random.integers(0, np.diff(start))
    bid[rows] = np.maximum(bid[rows] + jump, 0.01)
    ask[rows] = np.maximum(ask[rows] + jump, 0.02)
    np.testing.assert_allclose(imply(european, bid, ask).forward, european.forward, atol=0.05)


def test_crossed_contracts_are_left_out(european: MadeUpMarket) -> None:
    bid, ask = european.quotes(half_width=0.02)
    clean = imply(european, bid, ask)
    crossed = np.flatnonzero(np.isfinite(bid))[::7]
    worse = bid.copy()
    worse[crossed] = ask[crossed] + 5.0
    found = imply(european, worse, ask)
    np.testing.assert_allclose(found.forward, clean.forward, atol=0.01)
    assert (found.pairs <= clean.pairs).all()


def test_forwards_do_not_depend_on_the_units_of_money(european: MadeUpMarket) -> None:
    """Parity is linear; only the floor on a quote's error knows how much a dollar is."""
    bid, ask = european.quotes(half_width=0.5)
    found = imply(european, bid, ask)
    pairs = ParityPairs.of(european.chain)
    scaled = ParityPairs(pairs.call, pairs.put, pairs.strike * 10.0, pairs.expiry, pairs.expiries)
    other = imply_forwards(
        scaled, bid * 10, ask * 10, np.zeros(len(bid)), european.years, 1_000.0, 10 * SPOT_ERROR, ForwardSettings()
    )
    np.testing.assert_allclose(other.forward, found.forward * 10.0, rtol=1e-4)


def test_one_sided_pairs_bound_the_forward_alone(european: MadeUpMarket) -> None:
    """Calls and puts that show one side each, never two: the forward lies between the bounds."""
    bid, ask = european.quotes(half_width=0.03)
    strike = np.rint(european.chain.strike).astype(int) // 2
    shows_bid = (strike % 2 == 0) == (european.chain.sign > 0)
    bid, ask = np.where(shows_bid, bid, np.nan), np.where(shows_bid, np.nan, ask)
    found = imply(european, bid, ask)
    assert (found.pairs == 0).all()
    np.testing.assert_allclose(found.forward, european.forward, atol=0.05)


def test_an_expiry_without_quotes_is_carried_from_its_neighbours_with_a_larger_error(european: MadeUpMarket) -> None:
    bid, ask = european.quotes(half_width=0.01)
    silent = european.chain.expiry_index == 3
    clean = imply(european, bid, ask)
    found = imply(european, np.where(silent, np.nan, bid), np.where(silent, np.nan, ask))
    assert found.pairs[3] == 0
    assert found.forward[3] == pytest.approx(european.forward[3], abs=0.15)
    assert found.error[3] > clean.error[3]
    assert abs(found.forward[3] - european.forward[3]) < 3.0 * found.error[3]


def test_no_quotes_at_all_leave_the_spot_carried_at_the_prior_rate(european: MadeUpMarket) -> None:
    nothing = np.full(len(european.chain), np.nan)
    found = imply(european, nothing, nothing, rate=0.02)
    np.testing.assert_allclose(found.forward, european.spot * np.exp(0.02 * european.years), rtol=1e-3)
    assert (found.error[1:] > 0.0).all()


def test_a_dividend_between_two_expiries_stays_between_them(european: MadeUpMarket) -> None:
    """A drop of the forward that no smooth carry explains is believed where the pairs are precise."""
    bid, ask = european.quotes(half_width=0.01)
    late = european.chain.expiry_index >= 2
    shift = np.where(late, -0.8 * european.chain.sign / 2.0, 0.0)
    found = imply(european, bid + shift, ask + shift, rate=european.rate)
    drop = np.where(np.arange(5) >= 2, 0.8 * np.exp(european.rate * european.years), 0.0)
    np.testing.assert_allclose(found.forward, european.forward - drop, atol=0.03)


def test_the_basis_is_the_midpoints_error_and_the_yield_stays_a_yield(european: MadeUpMarket) -> None:
    """The stock's midpoint is 5 cents off: on the last day that is basis, not a yield of hundreds of percent."""
    found = imply_forwards(
        ParityPairs.of(european.chain),
        *european.quotes(half_width=0.01),
        np.zeros(len(european.chain)),
        european.years,
        european.spot + 0.05,
        0.1,
        ForwardSettings(rate=european.rate),
    )
    np.testing.assert_allclose(found.forward, european.forward, atol=0.01)
    np.testing.assert_allclose(found.carry_yield, european.carry_yield, atol=0.01)
    rebuilt = found.spot * found.spot_scale * np.exp((found.rate - found.carry_yield) * found.years)
    np.testing.assert_allclose(rebuilt, found.forward, rtol=1e-14)


def test_american_quotes_need_their_premium_taken_off(american_market: MadeUpMarket) -> None:
    market, at = american_market, american_market.chain.expiry_index
    premium = american.early_exercise_premium(
        market.spot,
        market.chain.strike,
        market.years[at],
        market.rate,
        market.carry_yield,
        market.true_vol,
        market.chain.sign,
    )[0]
    bid, ask = market.quotes(half_width=0.01)
    with_premium = imply(market, bid, ask, premium, rate=market.rate)
    without = imply(market, bid, ask, rate=market.rate)
    np.testing.assert_allclose(with_premium.forward, market.forward, atol=0.02)
    assert abs(without.forward[-1] - market.forward[-1]) > 0.1


def test_an_expired_expiry_has_the_spot(european: MadeUpMarket) -> None:
    years = european.years.copy()
    years[0] = -1e-6
    found = imply_forwards(
        ParityPairs.of(european.chain),
        *european.quotes(),
        np.zeros(len(european.chain)),
        years,
        european.spot,
        SPOT_ERROR,
        ForwardSettings(),
    )
    assert (found.years[0], found.forward[0], found.discount[0], found.pairs[0]) == (0.0, european.spot, 1.0, 0)
    assert np.isfinite(found.forward).all()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"rate_error": 0.0}, "forward.rate_error"),
        ({"carry_error": -1.0}, "forward.carry_error"),
        ({"reach": float("nan")}, "forward.reach"),
        ({"rate_floor": 0.2}, "forward.rate_floor"),
        ({"rate": 0.5}, "forward.rate"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(settings: dict[str, float], field: str) -> None:
    with pytest.raises(InputError) as refused:
        ForwardSettings(**settings)
    assert refused.value.fields["field"] == field


def test_a_spot_that_is_no_price_is_refused(european: MadeUpMarket) -> None:
    with pytest.raises(InputError, match="must be positive"):
        imply_forwards(
            ParityPairs.of(european.chain),
            *european.quotes(),
            np.zeros(len(european.chain)),
            european.years,
            0.0,
            SPOT_ERROR,
            ForwardSettings(),
        )


@pytest.mark.data
def test_goog_at_noon(goog_day: RecordedDay) -> None:
    """Bars stamped 12:00: spot 750.59; the middle pairs give 750.638, 750.625 and 755.05 to Jan 2017, undiscounted."""
    chain = goog_day.chain
    noon = ny_ns(chain.trade_date, 12 * 3600 + 60)
    bid, ask = np.full(len(chain), np.nan), np.full(len(chain), np.nan)
    spot = width = 0.0
    for event in goog_day.events:
        if event.ts_event > noon:
            break
        if isinstance(event, NbboUpdated):
            rows = event.frame.contract
            bid[rows] = np.where(event.frame.bid > 0, event.frame.bid / 1e4, np.nan)
            ask[rows] = np.where(event.frame.ask > 0, event.frame.ask / 1e4, np.nan)
        elif isinstance(event, UnderlyingUpdated):
            spot, width = (event.bid + event.ask) / 2e4, (event.ask - event.bid) / 1e4
    assert spot == pytest.approx(750.59)
    years = (chain.expiry_ns - noon) / YEAR_NS
    found = imply_forwards(
        ParityPairs.of(chain), bid, ask, np.zeros(len(chain)), years, spot, width / 4, ForwardSettings()
    )
    expiry = [day.isoformat() for _, day in chain.expiries]
    near, week, january = (expiry.index(day) for day in ("2015-12-24", "2015-12-31", "2017-01-20"))
    assert found.forward[near] == pytest.approx(spot, abs=0.05)
    assert found.forward[week] == pytest.approx(750.625, abs=0.05)
    # Two pairs three dollars wide say 755.05; the bounds of all others lie between 754.8 and 757.2.
    assert abs(found.forward[january] - 755.05) < 2.0 * found.error[january]
    assert 754.8 < found.forward[january] < 757.2
    assert 0.0 < found.rate[0] < 0.015
    assert np.abs(found.carry_yield).max() < 0.01
    middle = 0.5 * (bid + ask)
    naive = [
        float(np.median((chain.strike + middle - middle[chain.partner])[rows]))
        for j in (near, january)
        for rows in [
            (chain.expiry_index == j)
            & (chain.sign > 0)
            & (np.abs(np.log(chain.strike / spot)) < 0.05)
            & np.isfinite(middle)
            & np.isfinite(middle[chain.partner])
        ]
    ]
    assert naive == pytest.approx([750.638, 755.0], abs=0.06)
