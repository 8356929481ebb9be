"""Whatever the quotes were, the surface has no arbitrage; where they were good, it is where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chain import Chain
from domain.errors import InputError
from domain.frames import SurfaceFrame
from pricing import arbitrage, black
from pricing.forward import Forwards, ForwardSettings, ParityPairs, imply_forwards
from pricing.smile import Observations, Terms, observe
from pricing.surface import FEWEST, SliceStatus, VolSurface, fit_surface

if TYPE_CHECKING:
    from tests.pricing.conftest import MadeUpMarket

Array = npt.NDArray[np.float64]

ROUNDING = 1e-12
STRIKES: Array = np.exp(np.linspace(-2.5, 2.5, 4_001))


def index(chain: Chain) -> npt.NDArray[np.intp]:
    return chain.expiry_index.astype(np.intp)


def fit(market: MadeUpMarket, bid: Array, ask: Array, last: VolSurface | None = None) -> tuple[VolSurface, Forwards]:
    chain, nothing = market.chain, np.zeros(len(market.chain))
    forwards = imply_forwards(
        ParityPairs.of(chain), bid, ask, nothing, market.years, market.spot, 0.01, ForwardSettings()
    )
    terms = Terms(chain.strike, chain.sign, chain.expiry_index.astype(np.intp), ~chain.is_adjusted)
    return fit_surface(observe(terms, bid, ask, nothing, forwards), forwards, last), forwards


def assert_free_of_arbitrage(surface: VolSurface) -> None:
    known = np.flatnonzero(surface.status != SliceStatus.ABSENT)
    if not len(known):
        return
    svi = surface.svi.take(known)
    assert (surface.min_g[known] >= -ROUNDING).all()
    root = np.sqrt(svi.w(np.zeros(len(known))))
    k = np.sort(np.concatenate([np.linspace(-30.0, 30.0, 2_001) * r for r in root]))
    grid = np.broadcast_to(k, (len(known), len(k)))
    assert (svi.columns().g(grid) >= -ROUNDING).all()
    assert (np.diff(svi.columns().w(grid), axis=0) >= -ROUNDING).all()
    assert not arbitrage.has_calendar(svi).any()
    for j in range(len(known)):
        call = black.price(1.0, STRIKES, np.sqrt(svi.take(slice(j, j + 1)).w(np.log(STRIKES))), 1.0, 1.0)
        slope = np.diff(call) / np.diff(STRIKES)
        assert ((slope >= -1.0 - 1e-9) & (slope <= 1e-9)).all()
        assert (np.diff(slope) >= -1e-9).all()


def test_clean_quotes_are_met_to_a_tenth_of_a_point(european: MadeUpMarket) -> None:
    bid, ask = european.quotes(half_width=0.01)
    surface, _ = fit(european, bid, ask)
    chain = european.chain
    vol = surface.vol(chain.strike, index(chain))
    traded = np.isfinite(bid) & np.isfinite(ask)
    # The last day's strikes are many standard deviations apart: its own points only.
    for j in range(1, len(european.years)):
        rows = (
            traded
            & (chain.expiry_index == j)
            & (np.abs(np.log(chain.strike / european.forward[j])) < 2.5 * surface.svi.w(np.zeros(5))[j] ** 0.5)
        )
        assert np.sqrt(np.mean((vol - european.true_vol)[rows] ** 2)) < 0.001
    assert_free_of_arbitrage(surface)


@given(
    seed=st.integers(0, 2**32 - 1),
    half_width=st.sampled_from([0.02, 0.2, 1.0]),
    gaps=st.sampled_from([0.0, 0.4, 0.8, 0.95]),
    outliers=st.sampled_from([0.0, 0.05, 0.3]),
)
def test_no_quotes_bring_arbitrage_into_the_surface(
    european: MadeUpMarket, seed: int, half_width: float, gaps: float, outliers: float
) -> None:
    """Noise, missing sides and nonsense in; a first fit and one from there on other quotes out."""
    random = np.random.default_rng(seed)
    surface: VolSurface | None = None
    for turn in range(2):
        bid, ask = european.quotes(half_width=half_width, seed=(seed + turn) % 2**32, gaps=gaps)
        wrong = random.random(len(bid)) < outliers
        factor = np.exp(random.normal(0.0, 1.0, len(bid)))
        bid, ask = np.where(wrong, bid * factor, bid), np.where(wrong, ask * factor, ask)
        surface, _ = fit(european, bid, ask, surface)
        assert_free_of_arbitrage(surface)


@given(seed=st.integers(0, 2**32 - 1))
def test_noisy_quotes_leave_the_vol_within_the_stated_error(european: MadeUpMarket, seed: int) -> None:
    surface, _ = fit(european, *european.quotes(half_width=0.05, seed=seed, gaps=0.2))
    at_money = surface.vol(european.forward, np.arange(5))
    truly = np.sqrt(0.09) * np.ones(5)
    z = (at_money - truly) / np.hypot(surface.error, surface.rmse)
    assert np.abs(z).max() < 6.0


def test_an_expiry_without_quotes_borrows_its_neighbours_shape(european: MadeUpMarket) -> None:
    bid, ask = european.quotes(half_width=0.02)
    silent = european.chain.expiry_index == 2
    bid, ask = np.where(silent, np.nan, bid), np.where(silent, np.nan, ask)
    surface, _ = fit(european, bid, ask)
    assert surface.status[2] == SliceStatus.SPARSE
    assert surface.quotes[2] == 0
    assert surface.vol(european.forward[2:3], np.array([2]))[0] == pytest.approx(0.3, abs=0.02)
    assert_free_of_arbitrage(surface)


def test_no_quotes_give_no_surface(european: MadeUpMarket) -> None:
    nothing = np.full(len(european.chain), np.nan)
    surface, _ = fit(european, nothing, nothing)
    assert (surface.status == SliceStatus.ABSENT).all()
    assert np.isnan(surface.vol(european.chain.strike, index(european.chain))).all()
    with pytest.raises(InputError, match="no expiry has a slice"):
        surface.w_at(np.zeros(1), 0.5)


def test_fewer_observations_than_it_takes_are_called_sparse(european: MadeUpMarket) -> None:
    bid, ask = european.quotes(half_width=0.02)
    rows = np.flatnonzero(european.chain.expiry_index == 3)
    hidden = np.setdiff1d(rows, rows[44 : 44 + FEWEST - 1])
    bid[hidden] = ask[hidden] = np.nan
    surface, _ = fit(european, bid, ask)
    assert surface.status[3] == SliceStatus.SPARSE
    assert surface.status[4] in (SliceStatus.FITTED, SliceStatus.REPAIRED)


def test_the_frame_carries_the_whole_surface(european: MadeUpMarket) -> None:
    surface, _ = fit(european, *european.quotes(half_width=0.02, seed=1))
    frame = surface.frame()
    again = VolSurface.from_frame(SurfaceFrame.from_columns(frame.columns()))
    chain = european.chain
    np.testing.assert_array_equal(again.vol(chain.strike, index(chain)), surface.vol(chain.strike, index(chain)))
    assert again.frame() == frame


@given(seed=st.integers(0, 2**32 - 1), k=st.floats(-1.5, 1.5))
def test_total_variance_between_expiries_never_falls(european: MadeUpMarket, seed: int, k: float) -> None:
    surface, _ = fit(european, *european.quotes(half_width=0.1, seed=seed, gaps=0.3))
    times = np.linspace(1e-5, 1.5, 60)
    w = np.array([surface.w_at(np.array([k]), float(t))[0] for t in times])
    assert (np.diff(w) >= -ROUNDING).all()
    for j, t in enumerate(surface.years):
        assert surface.w_at(np.array([k]), float(t))[0] == pytest.approx(
            surface.w(np.array([k]), np.array([j]))[0], rel=1e-12
        )
    with pytest.raises(InputError, match="must be positive"):
        surface.w_at(np.array([k]), 0.0)


def test_expiries_are_compared_in_order_of_time_not_of_the_chain(european: MadeUpMarket) -> None:
    """Roots interleave: SPX and SPXW. The same observations in another order of expiries give the same slices."""
    bid, ask = european.quotes(half_width=0.1, seed=7, gaps=0.2)
    chain, nothing = european.chain, np.zeros(len(european.chain))
    forwards = imply_forwards(ParityPairs.of(chain), bid, ask, nothing, european.years, 100.0, 0.01, ForwardSettings())
    terms = Terms(chain.strike, chain.sign, chain.expiry_index.astype(np.intp), ~chain.is_adjusted)
    rows = observe(terms, bid, ask, nothing, forwards)
    order = np.array([3, 0, 4, 1, 2])
    new = np.argsort(order)[rows.expiry]
    moved = np.argsort(new, kind="stable")
    mixed = Observations(
        rows.contract[moved], new[moved], rows.k[moved], rows.w[moved], rows.error[moved], rows.kind[moved]
    )
    columns = {name: getattr(forwards, name)[order] for name in Forwards.__slots__ if name != "spot"}
    straight = fit_surface(rows, forwards)
    shuffled = fit_surface(mixed, Forwards(spot=forwards.spot, **columns))
    for first, second in zip(straight.svi, shuffled.svi, strict=True):
        np.testing.assert_array_equal(first[order], second)
