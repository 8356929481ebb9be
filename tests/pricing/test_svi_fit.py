"""The fit of slices: its derivatives are right, and clean smiles are found again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing import arbitrage
from pricing.smile import Observations
from pricing.svi import RawSvi, ssvi
from pricing.svi_fit import SliceFitter
from pricing.svi_scaled import PRIOR, column, curve, density, from_free, parts_of, to_free, wings

Array = npt.NDArray[np.float64]

X: Array = np.linspace(-8.0, 8.0, 33).astype(np.float64)
STEP = 1e-6

frees = st.lists(
    st.tuples(*(st.floats(low, high) for low, high in ((-3, 0.5), (-2, 1), (-2, 2), (-2, 2), (-1.5, 1.5)))),
    min_size=1,
    max_size=4,
).map(lambda rows: np.array(rows, dtype=np.float64))


def nudged(free: Array, parameter: int, by: float) -> Array:
    moved = free.copy()
    moved[:, parameter] += by
    return moved


@given(frees)
def test_derivatives_of_the_curve_the_wings_and_the_density(free: Array) -> None:
    scale = np.full((len(free), 1), 0.04)
    _, of_curve = curve(column(parts_of(free)), X)
    _, of_wings = wings(parts_of(free))
    _, of_density = density(column(parts_of(free)), scale, X)
    for parameter in range(5):
        up, down = parts_of(nudged(free, parameter, STEP)), parts_of(nudged(free, parameter, -STEP))
        for slopes, high, low in (
            (of_curve, curve(column(up), X)[0], curve(column(down), X)[0]),
            (of_wings, wings(up)[0], wings(down)[0]),
            (of_density, density(column(up), scale, X)[0], density(column(down), scale, X)[0]),
        ):
            size = 1.0 + np.abs(slopes[parameter]) + np.abs(high)
            np.testing.assert_allclose(slopes[parameter] / size, (high - low) / (2 * STEP) / size, atol=2e-7)


@given(frees, st.floats(1e-5, 1.0))
def test_scaled_coordinates_and_back(free: Array, s: float) -> None:
    scale = np.full(len(free), s)
    svi = from_free(free, scale)
    np.testing.assert_allclose(to_free(svi, scale), free, atol=1e-6)
    assert (svi.minimum() > 0.0).all()
    np.testing.assert_allclose(svi.columns().w(np.sqrt(s) * X), curve(column(parts_of(free)), X)[0] * s, rtol=1e-9)
    np.testing.assert_allclose(
        svi.columns().g(np.sqrt(s) * X), density(column(parts_of(free)), scale[:, None], X)[0], rtol=1e-6, atol=1e-9
    )


def observed(svi: RawSvi, k: Array, error: float = 1e-4, noise: Array | None = None) -> Observations:
    """The same k in every slice."""
    count = len(svi.a)
    w = svi.columns().w(np.broadcast_to(k, (count, len(k))))
    if noise is not None:
        w = w + noise
    n = count * len(k)
    expiry = np.repeat(np.arange(count), len(k))
    return Observations(np.arange(n), expiry, np.tile(k, count), w.ravel(), np.full(n, error), np.zeros(n, np.int8))


@given(st.floats(0.1, 0.6), st.floats(-0.8, 0.4), st.floats(0.3, 1.2), st.floats(0.02, 2.0))
def test_a_clean_smile_is_found_again_to_a_tenth_of_a_point(vol: float, rho: float, skew: float, years: float) -> None:
    theta = np.array([vol * vol * years])
    truth = ssvi(theta, skew / np.sqrt(theta * (1.0 + theta)), np.array([rho]))
    k = np.sqrt(theta[0]) * np.linspace(-3.0, 2.5, 41)
    rows = observed(truth, k, error=0.002 * 2 * vol * years)
    fitter = SliceFitter(rows, theta, PRIOR[None])
    found = fitter.fit(fitter.run(PRIOR[None], 40))
    off = np.sqrt(found.svi.w(k) / years) - np.sqrt(truth.w(k) / years)
    assert np.sqrt(np.mean(off * off)) < 0.001
    assert found.misfit[0] < 0.6


def test_a_bound_speaks_only_where_it_is_broken() -> None:
    theta = np.array([0.04])
    truth = ssvi(theta, np.array([2.0]), np.array([-0.3]))
    k: Array = np.linspace(-0.5, 0.5, 21).astype(np.float64)
    rows = observed(truth, k)
    below, above = np.append(rows.w, 0.01), np.append(rows.w, 0.09)
    fits = []
    for w, kind in ((rows.w, None), (below, 1), (above, -1), (above, 1)):
        extra = kind is not None
        fitter = SliceFitter(
            Observations(
                np.arange(len(w)),
                np.zeros(len(w), np.intp),
                np.append(rows.k, 0.0) if extra else rows.k,
                w,
                np.append(rows.error, 1e-4) if extra else rows.error,
                np.append(rows.kind, np.int8(kind or 0)).astype(np.int8) if extra else rows.kind,
            ),
            theta,
            PRIOR[None],
        )
        fits.append(float(fitter.fit(fitter.run(PRIOR[None], 40)).svi.w(np.zeros(1))[0]))
    assert fits[1] == pytest.approx(fits[0], abs=1e-6)
    assert fits[2] == pytest.approx(fits[0], abs=1e-6)
    assert fits[3] > fits[0] + 1e-6


@given(st.integers(0, 2**32 - 1))
def test_joint_steps_part_slices_that_cross_without_leaving_their_quotes(seed: int) -> None:
    """Two smiles whose noisy quotes touch: they end apart, and both within a few errors of what was quoted."""
    random = np.random.default_rng(seed)
    theta = np.array([0.04, 0.0404])
    truth = ssvi(theta, np.array([2.5, 2.5]), np.array([-0.3, -0.3]))
    k: Array = np.linspace(-0.6, 0.5, 31).astype(np.float64)
    rows = observed(truth, k, error=1e-3, noise=random.normal(0.0, 1e-3, (2, 31)))
    centre = np.tile(PRIOR, (2, 1))
    fitter = SliceFitter(rows, theta, centre)
    apart = fitter.fit(fitter.run_together(fitter.run(centre, 40), 20)).svi
    assert (arbitrage.min_g(apart) > 0.0).all()
    assert arbitrage.calendar_gap(apart.take(slice(0, 1)), apart.take(slice(1, 2)))[0] > -1e-3
    np.testing.assert_allclose(apart.w(np.zeros(2)), theta, atol=2e-3)


def test_the_error_shrinks_as_quotes_are_added() -> None:
    theta = np.array([0.04])
    truth = ssvi(theta, np.array([2.0]), np.array([-0.3]))
    errors = []
    for count in (7, 28, 112):
        fitter = SliceFitter(observed(truth, np.linspace(-0.4, 0.4, count).astype(np.float64)), theta, PRIOR[None])
        errors.append(float(fitter.fit(fitter.run(PRIOR[None], 40)).error[0]))
    assert errors[0] > 1.5 * errors[1] > 2.25 * errors[2]
