from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813 - its own documentation calls it so
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.errors import InputError
from pricing import american, black
from pricing.american import HAS_VALUE, Accuracy, Status
from pricing.backend import Array
from pricing.greeks import GREEKS, ROW, ROWS, Greek

GOLDEN = Path(__file__).parents[1] / "golden" / "option_values_american.jsonl"
GOLDEN_ROWS = [json.loads(line) for line in GOLDEN.read_text().splitlines()]

# Five rows of american_exact carry the value of an iteration that had not converged (QuantLib's high-precision scheme
# in its form B, 10 sweeps on 30 points). At 24 sweeps on 40 points and at 40 on 80, forms A and B agree on these.
CONVERGED = {
    "american_exact-1672": +1.75e-6,
    "american_exact-1786": +1.120e-5,
    "american_exact-1898": +1.230e-6,
    "american_exact-1952": +1.384e-6,
    "american_exact-2078": +1.886e-5,
}

spots = st.floats(50.0, 200.0)
moneyness = st.floats(-0.5, 0.5)
years = st.floats(1 / 365, 3.0)
vols = st.floats(0.1, 0.8)
rates = st.floats(0.0, 0.1)
carries = st.floats(-0.05, 0.1)
signs = st.sampled_from([1.0, -1.0])


def golden_inputs(kind: str) -> tuple[list[dict[str, Any]], list[Array]]:
    rows = [row for row in GOLDEN_ROWS if row["type"] == kind]
    parameters = [row["parameters"] for row in rows]
    table = [
        (
            p["spot"],
            p["strike"],
            p.get("t_eff", p["t"]),
            p["r"],
            p["q"],
            p["vol"],
            1.0 if p["option_type"] == "call" else -1.0,
        )
        for p in parameters
    ]
    return rows, list(np.array(table, dtype=np.float64).T)


def test_every_supported_exact_row_is_met_within_its_tolerance() -> None:
    rows, inputs = golden_inputs("american_exact")
    values, status = american.price(*inputs, accuracy="accurate")
    supported = status <= HAS_VALUE
    assert (len(rows), supported.sum()) == (380, 345)
    assert set(status[~supported]) == {Status.OUT_OF_RANGE}
    # What is refused is far from any listed option: vol * sqrt(T) above 3, or rates 200 times the variance.
    total, stiffness = inputs[5] * np.sqrt(inputs[2]), np.maximum(inputs[3], inputs[4]) / inputs[5] ** 2
    assert np.all((total > 3.0) | (stiffness > 200.0) | supported)
    expected = np.array([row["expected"] + CONVERGED.get(row["id"], 0.0) for row in rows])
    tolerance = np.array([row["tolerance"] for row in rows])
    missed = supported & ~(np.abs(values - expected) <= tolerance)
    assert [row["id"] for row, miss in zip(rows, missed, strict=True) if miss] == []


def test_every_supported_edge_row_is_met_within_its_tolerance() -> None:
    rows, inputs = golden_inputs("american_edge")
    values, status = american.price(*inputs, accuracy="accurate")
    supported = status <= HAS_VALUE
    # Refused: volatility 0 with the best exercise time between now and expiry (2 rows), volatility 10000 %, 170 years.
    refused = [row["id"] for row, ok in zip(rows, supported, strict=True) if not ok]
    assert refused == ["american_edge-0154", "american_edge-0155", "american_edge-0177", "american_edge-0179"]
    for row, value, ok in zip(rows, values, supported, strict=True):
        scale = abs(row["expected"]) if row["tolerance_type"] == "rel" else 1.0
        assert not ok or abs(value - row["expected"]) <= row["tolerance"] * scale, row["id"]


def test_the_published_early_exercise_premiums_are_met() -> None:
    rows, inputs = golden_inputs("american_premium_alo")
    assert len(rows) == 15
    premium, _, _, status = american.early_exercise_premium(*inputs, accuracy="accurate")
    assert np.all(status == Status.OK)
    expected = np.array([row["expected"] for row in rows])
    # The rows are those of low-order schemes; the densest ones (65, 8, 32) stand for the limit.
    dense = np.array([row["parameters"]["l"] == 65 for row in rows])
    assert dense.sum() == 4
    assert np.abs(premium - expected)[dense].max() < 1e-7
    assert np.abs(premium - expected).max() < 1e-3


def between(rng: np.random.Generator, low: float, high: float, n: int) -> Array:
    """Spread evenly in the logarithm."""
    return np.exp(rng.uniform(np.log(low), np.log(high), n))


def quantlib_price(spot: float, strike: float, t: float, rate: float, carry: float, vol: float, sign: float) -> float:
    """The same equations by QuantLib: form B, 16 sweeps on 30 points."""
    today = ql.Date(1, 1, 2020)
    ql.Settings.instance().evaluationDate = today
    # Time is measured in days there; only rate t, carry t and vol^2 t matter.
    days, scale = 3650, t / 10.0
    flat = [ql.YieldTermStructureHandle(ql.FlatForward(today, x * scale, ql.Actual365Fixed())) for x in (carry, rate)]
    smile = ql.BlackConstantVol(today, ql.NullCalendar(), vol * scale**0.5, ql.Actual365Fixed())
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)), *flat, ql.BlackVolTermStructureHandle(smile)
    )
    right = ql.Option.Call if sign > 0 else ql.Option.Put
    option = ql.VanillaOption(ql.PlainVanillaPayoff(right, strike), ql.AmericanExercise(today, today + days))
    scheme = ql.QdFpTanhSinhIterationScheme(16, 30, 1e-12)
    option.setPricingEngine(ql.QdFpAmericanEngine(process, scheme, ql.QdFpAmericanEngine.FP_B))
    return float(option.NPV())


@pytest.mark.parametrize(
    ("stiffness", "total_vol", "fast", "accurate"),
    [
        ((0.02, 2.0), (0.02, 0.4), 3e-5, 1e-6),
        ((0.02, 2.0), (0.4, 0.9), 3e-4, 4e-6),
        ((2.0, 40.0), (0.02, 0.4), 5e-5, 1e-5),
        ((2.0, 40.0), (0.4, 0.9), 3e-5, 3e-5),
    ],
)
def test_errors_stay_within_the_stated_ones(
    stiffness: tuple[float, float], total_vol: tuple[float, float], fast: float, accurate: float
) -> None:
    rng = np.random.default_rng(7)
    n = 24
    vol = between(rng, 0.06, 0.6, n)
    top = between(rng, *stiffness, n) * vol**2
    share = rng.choice([0.0, 0.3, 0.9], n)
    flip = rng.random(n) < 0.5
    rate, carry = np.where(flip, top * share, top), np.where(flip, top, top * share)
    t = (between(rng, *total_vol, n) / vol) ** 2
    sign = np.where(carry > 0.0, rng.choice([-1.0, 1.0], n), -1.0)
    spot = 100.0 * np.exp(rng.normal(0.0, 0.5, n) * vol * np.sqrt(t))
    inputs = (spot, np.full(n, 100.0), t, rate, carry, vol, sign)
    expected = np.array([quantlib_price(*(float(x) for x in row)) for row in zip(*inputs, strict=True)])
    limits: dict[Accuracy, float] = {"fast": fast, "accurate": accurate}
    for accuracy, limit in limits.items():
        values, status = american.price(*inputs, accuracy=accuracy)
        assert np.all(status <= HAS_VALUE)
        assert np.abs(values - expected).max() <= limit, accuracy


@given(spot=spots, k=moneyness, t=years, rate=rates, carry=carries, vol=vols, sign=signs)
def test_a_value_is_at_least_european_and_intrinsic(
    spot: float, k: float, t: float, rate: float, carry: float, vol: float, sign: float
) -> None:
    strike = spot * np.exp(k)
    value, status = american.price(spot, strike, t, rate, carry, vol, sign)
    assume(status[0] <= HAS_VALUE)
    european = black.price_spot(spot, strike, t, rate, carry, vol, sign)
    assert value[0] >= max(sign * (spot - strike), european[0]) - 1e-12 * spot
    assert value[0] <= (spot if sign > 0 else strike) * np.exp(max(-rate, -carry, 0.0) * t)


@given(spot=spots, k=moneyness, t=years, rate=rates, carry=rates, vol=vols)
def test_a_call_is_the_mirrored_put(spot: float, k: float, t: float, rate: float, carry: float, vol: float) -> None:
    strike = spot * np.exp(k)
    call, call_status = american.price(spot, strike, t, rate, carry, vol, 1.0, accuracy="accurate")
    put, put_status = american.price(strike, spot, t, carry, rate, vol, -1.0, accuracy="accurate")
    assert call_status == put_status
    assert call == pytest.approx(put, rel=1e-12, abs=1e-12 * spot, nan_ok=True)


@given(spot=spots, t=years, rate=rates, carry=carries, vol=vols, sign=signs)
def test_values_are_monotone_and_convex_in_strike(
    spot: float, t: float, rate: float, carry: float, vol: float, sign: float
) -> None:
    strikes = spot * np.linspace(0.5, 1.8, 53)
    values, status = american.price(spot, strikes, t, rate, carry, vol, sign, accuracy="accurate")
    assume(np.all(status <= HAS_VALUE))
    slack = 1e-6 * spot
    assert np.all(sign * np.diff(values) <= slack)
    assert np.all(np.diff(values, 2) >= -slack)


@given(spot=spots, k=moneyness, rate=rates, carry=rates, vol=vols, sign=signs)
def test_values_rise_with_time_and_volatility(
    spot: float, k: float, rate: float, carry: float, vol: float, sign: float
) -> None:
    strike = spot * np.exp(k)
    for t, sigma in ((np.linspace(0.02, 2.0, 34), vol), (0.5, np.linspace(0.1, 1.0, 34))):
        values, status = american.price(spot, strike, t, rate, carry, sigma, sign, accuracy="accurate")
        held = values[status <= HAS_VALUE]
        assert np.all(np.diff(held) >= -2e-6 * spot)


@given(spot=spots, k=moneyness, t=years, rate=rates, carry=st.floats(-0.05, 0.0), vol=vols)
def test_a_call_without_carry_yield_is_european_exactly(
    spot: float, k: float, t: float, rate: float, carry: float, vol: float
) -> None:
    inputs = (spot, spot * np.exp(k), t, rate, carry, vol, 1.0)
    rows, status = american.greeks(*inputs)
    assert status[0] == Status.EUROPEAN
    assert np.array_equal(rows, black.greeks(*inputs))
    premium, d_spot, d2_spot, _ = american.early_exercise_premium(*inputs)
    assert (premium[0], d_spot[0], d2_spot[0]) == (0.0, 0.0, 0.0)


def test_a_put_without_interest_is_european_exactly() -> None:
    inputs = (100.0, np.linspace(70.0, 140.0, 29), 0.7, 0.0, 0.02, 0.3, -1.0)
    rows, status = american.greeks(*inputs)
    assert set(status) == {Status.EUROPEAN}
    assert np.array_equal(rows, black.greeks(*inputs))


# Contracts held on both sides of the boundary's neighbourhood, none across it within the bumps below.
CHAIN = (
    np.tile([100.0], 24),
    np.tile([80.0, 90.0, 97.0, 103.0, 108.0, 115.0], 4),
    np.repeat([0.08, 0.4, 0.9, 1.8], 6),
    np.tile([0.05, 0.03], 12),
    np.tile([0.03, 0.0, 0.06], 8),
    np.repeat([0.45, 0.35, 0.3, 0.25], 6),
)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("accuracy", ["fast", "accurate"])
def test_greeks_are_the_derivatives_of_the_value(sign: float, accuracy: Accuracy) -> None:
    names = ("spot", "strike", "expiry_years", "rate", "carry_yield", "vol")
    one = np.ones_like(CHAIN[0])
    contracts = [*CHAIN, sign * one]
    rows, status = american.greeks(*contracts, accuracy=accuracy)
    checks: dict[str, tuple[Array, dict[str, Greek]]] = {
        "spot": (1e-3 * CHAIN[0], {"price": "delta", "delta": "gamma", "gamma": "speed"}),
        "vol": (2e-3 * one, {"price": "vega", "delta": "vanna", "vega": "volga", "gamma": "zomma", "volga": "ultima"}),
        "rate": (1e-4 * one, {"price": "rho"}),
        "expiry_years": (1e-3 * CHAIN[2], {"price": "theta", "delta": "charm", "vega": "veta", "gamma": "color"}),
    }
    seen = set()
    for name, (step, pairs) in checks.items():
        moved = names.index(name)
        above = [x + (i == moved) * step for i, x in enumerate(contracts)]
        below = [x - (i == moved) * step for i, x in enumerate(contracts)]
        up, up_status = american.greeks(*above, accuracy="accurate")
        down, down_status = american.greeks(*below, accuracy="accurate")
        held = (status == Status.OK) & (up_status == Status.OK) & (down_status == Status.OK)
        assert held.sum() >= 12
        for of, greek in pairs.items():
            slope = (up[ROW[of]] - down[ROW[of]]) / (2 * step) * (-1.0 if name == "expiry_years" else 1.0)
            error = np.abs(rows[ROW[greek]] - slope)[held].max()
            scale = np.abs(rows[ROW[greek]][held]).max()
            assert error <= (5e-3 if accuracy == "fast" else 2e-3) * scale, greek
            seen.add(greek)
    assert seen == set(GREEKS)


def test_fast_greeks_are_close_to_accurate_ones() -> None:
    for sign in (1.0, -1.0):
        fast, _ = american.greeks(*CHAIN, sign, accuracy="fast")
        accurate, status = american.greeks(*CHAIN, sign, accuracy="accurate")
        scale = np.abs(accurate).max(axis=1, keepdims=True)
        assert np.all(status <= HAS_VALUE)
        assert (np.abs(fast - accurate) / scale).max() < 2e-3


def test_the_price_row_is_the_price() -> None:
    for accuracy in ("fast", "accurate"):
        rows, status = american.greeks(*CHAIN, -1.0, accuracy=accuracy)
        price, price_status = american.price(*CHAIN, -1.0, accuracy=accuracy)
        assert rows[0] == pytest.approx(price, abs=1e-12)
        assert np.array_equal(status, price_status)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_value_and_delta_meet_the_payoff_at_the_boundary(sign: float) -> None:
    # Smooth pasting: from the boundary on, the value leaves the payoff with its slope and not its curvature.
    spot = np.linspace(60.0, 160.0, 5001)
    rows, status = american.greeks(spot, 100.0, 0.6, 0.06, 0.05, 0.25, sign, accuracy="accurate")
    exercised = status == Status.EXERCISED
    assert exercised.any()
    edge = np.flatnonzero(np.diff(exercised))
    assert edge.size == 1
    first_held = edge[0] + 1 if sign < 0 else edge[0]
    assert rows[0, first_held] == pytest.approx(sign * (spot[first_held] - 100.0), abs=1e-5)
    assert rows[ROW["delta"], first_held] == pytest.approx(sign, abs=2e-3)
    # The curvature just inside, from the pricing equation with the payoff put in.
    at = spot[first_held]
    curvature = 2.0 * sign * (0.05 * at - 0.06 * 100.0) / (0.25 * at) ** 2
    assert rows[ROW["gamma"], first_held] == pytest.approx(curvature, rel=2e-2)
    # In the exercise region the payoff and its slope only.
    assert np.array_equal(rows[0, exercised], sign * (spot[exercised] - 100.0))
    assert np.all(rows[ROW["delta"], exercised] == sign)
    assert not rows[2:, exercised].any()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_premium_completes_the_european_value_as_the_spot_moves(sign: float) -> None:
    inputs = (CHAIN[1], *CHAIN[2:], sign)
    premium, d_spot, d2_spot, status = american.early_exercise_premium(100.0, *inputs)
    rows, _ = american.greeks(100.0, *inputs)
    european = black.greeks(100.0, *inputs)
    for row, part in ((0, premium), (ROW["delta"], d_spot), (ROW["gamma"], d2_spot)):
        assert european[row] + part == pytest.approx(rows[row], abs=1e-9)
    for move in (-0.3, 0.3):
        moved, moved_status = american.price(100.0 + move, *inputs)
        held = (status == Status.OK) & (moved_status == Status.OK)
        cheap = black.price_spot(100.0 + move, *inputs) + premium + d_spot * move + d2_spot * move**2 / 2
        assert np.abs(cheap - moved)[held].max() < 5e-5


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((100.0, 95.0, 0.0, 0.05, 0.0, 0.3, -1.0), Status.EXPIRED),
        ((100.0, 105.0, -0.2, 0.05, 0.0, 0.3, -1.0), Status.EXPIRED),
        ((20.0, 100.0, 1.0, 0.05, 0.0, 0.3, -1.0), Status.EXERCISED),
        ((100.0, 100.0, 1.0, -0.01, -0.03, 0.3, -1.0), Status.DOUBLE_BOUNDARY),
        ((100.0, 100.0, 1.0, -0.03, -0.01, 0.3, 1.0), Status.DOUBLE_BOUNDARY),
        ((100.0, 100.0, 1.0, -0.01, 0.0, 0.3, -1.0), Status.EUROPEAN),
        ((100.0, 100.0, 40.0, 0.05, 0.0, 0.9, -1.0), Status.OUT_OF_RANGE),
        ((100.0, 100.0, 1.0, 0.05, 0.0, -0.3, -1.0), Status.INVALID),
        ((np.nan, 100.0, 1.0, 0.05, 0.0, 0.3, -1.0), Status.INVALID),
        ((100.0, 100.0, 1.0, np.inf, 0.0, 0.3, -1.0), Status.INVALID),
        ((100.0, 100.0, 1.0, 0.05, 0.0, 0.3, 2.0), Status.INVALID),
    ],
)
def test_a_row_that_is_not_solved_says_why(row: tuple[float, ...], expected: Status) -> None:
    # Among healthy neighbours, which it must not disturb.
    inputs = [np.full(19, x) for x in (100.0, 105.0, 0.5, 0.05, 0.01, 0.3, -1.0)]
    clean, _ = american.greeks(*inputs)
    for column, value in zip(inputs, row, strict=True):
        column[11] = value
    rows, status = american.greeks(*inputs)
    assert status[11] == expected
    assert np.isnan(rows[:, 11]).all() == (expected > HAS_VALUE)
    others = np.arange(19) != 11
    assert np.array_equal(rows[:, others], clean[:, others])
    assert np.all(status[others] == Status.OK)
    if expected in {Status.EXPIRED, Status.EXERCISED}:
        assert rows[0, 11] == max(row[6] * (row[0] - row[1]), 0.0)


def test_a_row_does_not_depend_on_its_place_in_the_batch() -> None:
    rng = np.random.default_rng(3)
    n = 700  # more than two chunks of the native loop
    strike = rng.uniform(60.0, 140.0, n)
    t = rng.choice([0.05, 0.4, 1.5, 3.0], n)
    sign = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    vol = rng.choice([0.1, 0.3, 0.7], n)
    rows, status = american.greeks(100.0, strike, t, 0.06, 0.04, vol, sign)
    assert {Status.OK, Status.EXERCISED} <= set(status)
    order = rng.permutation(n)
    shuffled, shuffled_status = american.greeks(100.0, strike[order], t[order], 0.06, 0.04, vol[order], sign[order])
    assert np.array_equal(shuffled, rows[:, order])
    assert np.array_equal(shuffled_status, status[order])


def test_buffers_and_shapes_are_checked() -> None:
    strikes = np.linspace(90.0, 110.0, 5)
    rows, status = np.empty((ROWS, 5)), np.empty(5, dtype=np.int8)
    result = american.greeks(100.0, strikes, 0.5, 0.05, 0.0, 0.3, -1.0, out=(rows, status))
    assert result[0] is rows
    assert result[1] is status
    with pytest.raises(InputError) as refused:
        american.price(100.0, strikes, np.ones(4), 0.05, 0.0, 0.3, -1.0)
    assert refused.value.fields == {"field": "expiry_years", "value": 4, "expected": 5}
    with pytest.raises(InputError) as refused:
        american.greeks(100.0, strikes, 0.5, 0.05, 0.0, 0.3, -1.0, out=(rows[:5], status))
    assert refused.value.fields["field"] == "out[0]"
    with pytest.raises(InputError) as refused:
        american.greeks(100.0, strikes, 0.5, 0.05, 0.0, 0.3, -1.0, accuracy="exact")  # type: ignore[arg-type]
    assert refused.value.fields["field"] == "accuracy"
