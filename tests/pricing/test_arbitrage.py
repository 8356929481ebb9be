"""No slice and no set of slices leaves a repair with arbitrage."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing import arbitrage, black
from pricing.svi import RawSvi, ssvi

Array = npt.NDArray[np.float64]

VOGT = RawSvi(*(np.array([value]) for value in (-0.0410, 0.1331, 0.3060, 0.3586, 0.4153)))
"""Looks like a smile and has negative density. Source: Gatheral, Jacquier (2014), example 3.1 (A. Vogt)."""

ROUNDING = 1e-12


@st.composite
def sets_of_slices(draw: st.DrawFn) -> RawSvi:
    """Positive slices with anything else wrong: butterflies, steep wings, crossings."""
    seed, count = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 6))
    random = np.random.default_rng(seed)
    scale = np.exp(random.uniform(np.log(1e-5), np.log(0.5), count))
    root = np.sqrt(scale)
    b = root * np.exp(random.uniform(np.log(0.02), np.log(6.0), count))
    rho = np.tanh(random.normal(0.0, 1.5, count))
    m, sigma = root * random.normal(0.0, 1.5, count), root * np.exp(random.uniform(np.log(0.02), np.log(5.0), count))
    low = scale * np.exp(random.uniform(np.log(1e-3), 0.0, count))
    return RawSvi(low - b * sigma * np.sqrt(1.0 - rho * rho), b, rho, m, sigma)


def dense(svi: RawSvi) -> Array:
    """Log-moneyness, shape (m, g): other points than the repairs use."""
    root = np.sqrt(svi.w(np.zeros_like(svi.a)))
    reach = 60.0 * np.maximum(np.maximum(root, svi.sigma), np.abs(svi.m))
    u = np.linspace(-1.0, 1.0, 3_001) * np.arcsinh(reach / svi.sigma)[:, None]
    return np.asarray(svi.m[:, None] + svi.sigma[:, None] * np.sinh(u))


def test_the_vogt_smile_is_caught() -> None:
    assert arbitrage.has_butterfly(VOGT)[0]
    k: Array = np.linspace(-1.5, 1.5, 3_001).astype(np.float64)
    g = VOGT.g(k)
    assert g.min() == pytest.approx(-0.03286, abs=1e-5)
    assert k[g.argmin()] == pytest.approx(0.879, abs=1e-3)


def test_the_vogt_smile_has_butterflies_in_prices_and_its_repair_has_none() -> None:
    strike = np.exp(np.linspace(-1.5, 1.5, 2_001))
    for svi, is_convex in ((VOGT, False), (arbitrage.repair_butterflies(VOGT), True)):
        call = black.price(1.0, strike, np.sqrt(svi.w(np.log(strike))), 1.0, 1.0)
        slope = np.diff(call) / np.diff(strike)
        assert bool((np.diff(slope) >= -1e-12).all()) is is_convex


@given(sets_of_slices())
def test_repaired_slices_have_no_negative_density(svi: RawSvi) -> None:
    repaired = arbitrage.repair_butterflies(svi)
    assert (repaired.columns().g(dense(repaired)) >= -ROUNDING).all()
    assert max(side.max() for side in repaired.wings()) < 2.0
    assert not arbitrage.has_butterfly(repaired).any()


@given(sets_of_slices())
def test_repaired_sets_rise_with_expiry_and_keep_their_density(svi: RawSvi) -> None:
    repaired = arbitrage.repair_calendar(arbitrage.repair_butterflies(svi))
    assert (repaired.columns().g(dense(repaired)) >= -ROUNDING).all()
    k = np.concatenate([dense(repaired).ravel(), np.linspace(-50.0, 50.0, 1_001)])
    w = repaired.columns().w(np.broadcast_to(k, (len(repaired.a), len(k))))
    assert (np.diff(w, axis=0) >= -ROUNDING * np.maximum(w[1:], 1.0)).all()
    assert not arbitrage.has_calendar(repaired).any()


@given(sets_of_slices())
def test_good_slices_are_left_alone(svi: RawSvi) -> None:
    once = arbitrage.repair_calendar(arbitrage.repair_butterflies(svi))
    twice = arbitrage.repair_calendar(arbitrage.repair_butterflies(once))
    for first, second in zip(once, twice, strict=True):
        np.testing.assert_array_equal(first, second)


def test_far_crossing_is_repaired_in_the_wing_not_at_the_money() -> None:
    theta = np.array([0.01, 0.02])
    svi = ssvi(theta, np.array([8.0, 3.95]), np.array([-0.3, -0.3]))
    assert arbitrage.has_calendar(svi)[0]
    repaired = arbitrage.repair_calendar(svi)
    assert not arbitrage.has_calendar(repaired).any()
    np.testing.assert_allclose(repaired.w(np.zeros(2)), theta, rtol=1e-6)


def test_one_slice_has_no_calendar() -> None:
    assert arbitrage.has_calendar(VOGT).shape == (0,)


def test_slices_that_are_not_positive_have_no_g() -> None:
    below = VOGT._replace(a=np.array([-1.0]))
    assert arbitrage.min_g(below)[0] == -np.inf
    assert arbitrage.has_butterfly(below)[0]
