"""SVI formulas: the reference rows, and the laws behind them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing import arbitrage
from pricing.svi import JumpWings, RawSvi, from_jump_wings, ssvi, to_jump_wings

Array = npt.NDArray[np.float64]

GOLDEN = Path(__file__).parent.parent / "golden" / "svi.jsonl"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
K: Array = np.linspace(-3.0, 3.0, 241).astype(np.float64)


def one(a: float, b: float, rho: float, m: float, sigma: float) -> RawSvi:
    return RawSvi(*(np.array([value]) for value in (a, b, rho, m, sigma)))


@st.composite
def slices(draw: st.DrawFn) -> RawSvi:
    b, rho = draw(st.floats(0.01, 1.0)), draw(st.floats(-0.95, 0.95))
    m, sigma = draw(st.floats(-0.5, 0.5)), draw(st.floats(0.02, 1.0))
    low = draw(st.floats(1e-4, 0.3))
    return one(low - b * sigma * float(np.sqrt(1.0 - rho * rho)), b, rho, m, sigma)


@pytest.mark.parametrize("row", [pytest.param(row, id=row["id"]) for row in ROWS])
def test_reference_rows(row: dict[str, Any]) -> None:
    parameters = dict(row["parameters"])
    years = np.array([parameters.pop("t")])
    svi = one(**parameters)
    repaired = to_jump_wings(arbitrage.nearest_ssvi(svi), years)
    wings = to_jump_wings(svi, years)
    found = {
        "min_g": arbitrage.min_g(svi),
        "psi": wings.psi,
        "p": wings.p,
        "c": wings.c,
        "v": wings.v,
        "vtilde": wings.v_min,
        "c_star": repaired.c,
        "vtilde_star": repaired.v_min,
    }[row["quantity"]]
    assert float(found[0]) == pytest.approx(row["expected"], abs=row["tolerance"])


@given(slices())
def test_derivatives_are_those_of_the_curve(svi: RawSvi) -> None:
    step = 1e-5
    w, first, second = svi.derivatives(K)
    np.testing.assert_allclose(w, svi.w(K), rtol=1e-14)
    np.testing.assert_allclose(first, (svi.w(K + step) - svi.w(K - step)) / (2 * step), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        second, (svi.derivatives(K + step)[1] - svi.derivatives(K - step)[1]) / (2 * step), rtol=1e-4, atol=1e-6
    )


@given(slices())
def test_g_is_the_density_of_the_prices(svi: RawSvi) -> None:
    """The density of ln(S_T / F) is g exp(-d2^2 / 2) / sqrt(2 pi w): it sums to 1 and has the forward as its mean."""
    k: Array = np.linspace(-60.0, 60.0, 60_001).astype(np.float64)
    put, call = svi.wings()
    if max(put[0], call[0]) > 0.5 or svi.w(np.zeros(1))[0] < 2e-3:
        return  # tails beyond the grid, or a spike between its points
    w = svi.w(k)
    density = svi.g(k) / np.sqrt(2.0 * np.pi * w) * np.exp(-0.5 * (-k / np.sqrt(w) - 0.5 * np.sqrt(w)) ** 2)
    assert np.trapezoid(density, k) == pytest.approx(1.0, abs=1e-6)
    assert np.trapezoid(density * np.exp(k), k) == pytest.approx(1.0, abs=1e-5)


@given(slices(), st.floats(0.01, 3.0))
def test_jump_wings_and_back(svi: RawSvi, t: float) -> None:
    years = np.array([t])
    wings = to_jump_wings(svi, years)
    if abs(wings.psi[0]) < 1e-3:
        return  # there the coordinates do not determine the curvature
    for was, now in zip(svi, from_jump_wings(wings, years), strict=True):
        np.testing.assert_allclose(now, was, rtol=1e-5, atol=1e-7)


def test_jump_wings_without_skew_do_not_determine_a_slice() -> None:
    flat = JumpWings(*(np.array([value]) for value in (0.04, 0.0, 0.5, 0.5, 0.04)))
    assert np.isnan(from_jump_wings(flat, np.ones(1)).sigma[0])


@given(st.floats(0.001, 0.5), st.floats(0.1, 10.0), st.floats(-0.95, 0.95))
def test_ssvi_in_raw_coordinates(theta: float, phi: float, rho: float) -> None:
    svi = ssvi(np.array([theta]), np.array([phi]), np.array([rho]))
    expected = 0.5 * theta * (1.0 + rho * phi * K + np.sqrt((phi * K + rho) ** 2 + 1.0 - rho * rho))
    np.testing.assert_allclose(svi.w(K), expected, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(svi.w(np.zeros(1)), theta, rtol=1e-12)
