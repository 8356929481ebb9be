"""Avellaneda-Stoikov and GLFT: the reference rows, and the laws behind them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InputError
from quoting.spread import (
    as_constant_spread,
    as_reservation_price,
    as_spread,
    glft_asymptotic,
    glft_coefficients,
    glft_exact,
)

GOLDEN = Path(__file__).parent.parent / "golden" / "quoting_as_glft.jsonl"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]

gammas = st.floats(1e-6, 2.0)
decays = st.floats(0.05, 50.0)
arrivals = st.floats(0.1, 10_000.0)
sigmas = st.floats(0.01, 50.0)
inventories = st.floats(-50.0, 50.0)


def rows(kind: str) -> list[Any]:
    return [pytest.param(row, id=row["id"]) for row in ROWS if row["type"] == kind]


@pytest.mark.parametrize("row", rows("glft_quotes_asymptotic"))
def test_asymptotic_quotes_are_the_reference_rows(row: dict[str, Any]) -> None:
    p = row["parameters"]
    c, w = glft_coefficients(p["gamma"], p["k"], p["A"], p["sigma"])
    bid, ask = glft_asymptotic(p["q"], c, w)
    got = {"delta_bid": bid, "delta_ask": ask}[row["quantity"]]
    assert got == pytest.approx(row["expected"], rel=0, abs=1e-12)


@pytest.mark.parametrize("row", rows("glft_quotes"))
def test_exact_quotes_are_the_reference_rows(row: dict[str, Any]) -> None:
    p = row["parameters"]
    table = glft_exact(gamma=p["gamma"], k=p["k"], arrival=p["A"], sigma=p["sigma"], time_left=p["T"], limit=p["Q"])
    bid, ask = table.at(p["q"])
    got = {"delta_bid": bid, "delta_ask": ask}[row["quantity"]]
    assert got == pytest.approx(row["expected"], rel=0, abs=1e-12)


@pytest.mark.parametrize("row", [r for r in rows("avellaneda_stoikov_2008") if r.values[0]["quantity"] == "spread"])
def test_constant_spread_is_the_published_column(row: dict[str, Any]) -> None:
    p = row["parameters"]
    assert as_constant_spread(p["gamma"], p["k"]) == pytest.approx(row["expected"], rel=0, abs=row["tolerance"])


@pytest.mark.parametrize(("gamma", "limit", "time_left"), [(0.01, 6, 0.7), (0.5, 4, 5.0), (1e-4, 8, 100.0)])
def test_exact_quotes_agree_with_a_matrix_exponential_in_fifty_digits(
    gamma: float, limit: int, time_left: float
) -> None:
    k, arrival, sigma = 1.3, 0.9, 0.4
    with mpmath.workdps(50):
        ratio = mpmath.mpf(gamma) / k
        eta = arrival * (1 + ratio) ** (-(1 + 1 / ratio))
        size = 2 * limit + 1
        matrix = mpmath.matrix(size, size)
        for row in range(size):
            matrix[row, row] = -mpmath.mpf(k) / 2 * gamma * mpmath.mpf(sigma) ** 2 * (row - limit) ** 2 * time_left
            if row:
                matrix[row, row - 1] = matrix[row - 1, row] = eta * time_left
        v = mpmath.expm(matrix) * mpmath.ones(size, 1)
        c = mpmath.log(1 + ratio) / gamma
        expected = [float(c + mpmath.log(v[row] / v[row + 1]) / k) for row in range(size - 1)]
    table = glft_exact(gamma=gamma, k=k, arrival=arrival, sigma=sigma, time_left=time_left, limit=limit)
    assert table.delta_bid[:-1] == pytest.approx(expected, rel=0, abs=1e-11)
    assert table.delta_ask[1:] == pytest.approx(table.delta_bid[:-1][::-1], rel=0, abs=1e-11)  # mirror image


def test_exact_quotes_stop_at_the_inventory_limit() -> None:
    table = glft_exact(gamma=0.1, k=1.5, arrival=2.0, sigma=1.0, time_left=1.0, limit=3)
    assert table.at(3)[0] == np.inf
    assert table.at(-3)[1] == np.inf
    with pytest.raises(InputError, match="outside the table"):
        table.at(4)


def test_exact_quotes_at_the_horizon_forget_the_inventory() -> None:
    table = glft_exact(gamma=0.1, k=1.5, arrival=2.0, sigma=1.0, time_left=0.0, limit=3)
    assert np.allclose(table.delta_bid[:-1], as_constant_spread(0.1, 1.5) / 2, rtol=0, atol=1e-12)


def test_exact_quotes_tend_to_the_asymptotic_ones() -> None:
    c, w = glft_coefficients(0.01, 0.3, 0.9, 0.3)
    table = glft_exact(gamma=0.01, k=0.3, arrival=0.9, sigma=0.3, time_left=10_000.0, limit=60)
    for q in range(-8, 9):
        bid, ask = glft_asymptotic(q, c, w)
        assert table.at(q) == pytest.approx((float(bid), float(ask)), abs=0.002)


@given(gammas, decays, arrivals, sigmas)
def test_quotes_are_symmetric_without_inventory(gamma: float, k: float, arrival: float, sigma: float) -> None:
    bid, ask = glft_asymptotic(0.0, *glft_coefficients(gamma, k, arrival, sigma))
    assert bid == ask > 0
    assert as_reservation_price(100.0, 0.0, gamma, sigma, 1.0) == 100.0


@given(gammas, decays, arrivals, sigmas, st.tuples(inventories, inventories))
def test_more_inventory_lowers_both_quotes(
    gamma: float, k: float, arrival: float, sigma: float, pair: tuple[float, float]
) -> None:
    less, more = sorted(pair)
    c, w = glft_coefficients(gamma, k, arrival, sigma)
    bid_less, ask_less = glft_asymptotic(less, c, w)
    bid_more, ask_more = glft_asymptotic(more, c, w)
    assert bid_less <= bid_more
    assert ask_less >= ask_more
    assert as_reservation_price(100.0, less, gamma, sigma, 1.0) >= as_reservation_price(100.0, more, gamma, sigma, 1.0)


@given(gammas, decays, arrivals, sigmas, inventories)
def test_width_does_not_depend_on_inventory(
    gamma: float, k: float, arrival: float, sigma: float, inventory: float
) -> None:
    c, w = glft_coefficients(gamma, k, arrival, sigma)
    bid, ask = glft_asymptotic(inventory, c, w)
    assert np.allclose(bid + ask, 2 * c + w, rtol=1e-9, atol=1e-9 * (1 + abs(inventory) * float(w)))


@given(gammas, decays, arrivals, sigmas)
def test_a_long_and_a_short_dealer_are_mirror_images(gamma: float, k: float, arrival: float, sigma: float) -> None:
    c, w = glft_coefficients(gamma, k, arrival, sigma)
    assert glft_asymptotic(3.0, c, w) == glft_asymptotic(-3.0, c, w)[::-1]


@given(gammas, decays, sigmas, st.floats(0.0, 10.0))
def test_spread_shrinks_to_the_constant_one_at_the_horizon(
    gamma: float, k: float, sigma: float, time_left: float
) -> None:
    assert as_spread(gamma, k, sigma, 0.0) == as_constant_spread(gamma, k)
    assert as_spread(gamma, k, sigma, time_left) >= as_constant_spread(gamma, k)


@given(decays)
def test_spread_of_a_nearly_risk_neutral_dealer_is_two_over_k(k: float) -> None:
    assert as_constant_spread(1e-12, k) == pytest.approx(2 / k, rel=1e-9)


def test_coefficients_broadcast_and_scale_with_sigma() -> None:
    k = np.array([0.5, 1.0, 2.0])
    sigma = np.array([1.0, 2.0, 3.0])
    c, w = glft_coefficients(0.1, k, 5.0, sigma)
    _, unit = glft_coefficients(0.1, k, 5.0, 1.0)
    assert c.shape == w.shape == (3,)
    assert w == pytest.approx(sigma * unit, rel=1e-15)
    for i in range(3):
        assert np.allclose((c[i], w[i]), glft_coefficients(0.1, k[i], 5.0, sigma[i]), rtol=1e-14, atol=0)


@pytest.mark.parametrize("bad", [{"gamma": 0.0}, {"k": -1.0}, {"arrival": 0.0}, {"sigma": -1.0}, {"time_left": -1.0}])
def test_a_parameter_out_of_range_is_refused_by_name(bad: dict[str, float]) -> None:
    good = {"gamma": 0.1, "k": 1.0, "arrival": 1.0, "sigma": 1.0, "time_left": 1.0}
    with pytest.raises(InputError, match=next(iter(bad))):
        glft_exact(**(good | bad), limit=3)
