from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf

from domain.errors import InputError
from pricing import black
from pricing.backend import Array
from pricing.greeks import GREEKS, PRICE, ROW, ROWS

GOLDEN = Path(__file__).parents[1] / "golden" / "option_values_european.jsonl"
GOLDEN_ROWS = [json.loads(line) for line in GOLDEN.read_text().splitlines()]

# The reference names its calendar-time Greeks by their definition.
NAMES = {
    "charm_dDelta_dt": "charm",
    "veta_dVega_dt": "veta",
    "zomma_dGamma_dvol": "zomma",
    "color_dGamma_dt": "color",
}

spots = st.floats(1.0, 5000.0)
moneyness = st.floats(-1.5, 1.5)
years = st.floats(1 / 365, 10.0)
vols = st.floats(0.02, 3.0)
rates = st.floats(-0.05, 0.15)
signs = st.sampled_from([1.0, -1.0])


def one(rows: Array) -> Array:
    """The single contract of a result."""
    column: Array = rows[..., 0]
    return column


def golden_value(row: dict[str, Any]) -> float:
    p = row["parameters"]
    sign = 1.0 if p["option_type"] == "call" else -1.0
    values = one(black.greeks(p["spot"], p["strike"], p.get("t_eff", p["t"]), p["r"], p["q"], p["vol"], sign))
    quantity = NAMES.get(row["quantity"], row["quantity"])
    if quantity in {"elasticity", "lambda_elasticity"}:
        return float(values[ROW["delta"]] * p["spot"] / values[PRICE])
    if quantity == "theta_per_day":
        return float(values[ROW["theta"]] / 365.0)
    return float(values[ROW[quantity]])


def test_every_golden_row_is_met_within_its_tolerance() -> None:
    assert len(GOLDEN_ROWS) == 136
    missed = [row["id"] for row in GOLDEN_ROWS if not abs(golden_value(row) - row["expected"]) <= row["tolerance"]]
    assert missed == []


@given(spot=spots, k=moneyness, t=years, rate=rates, carry=rates, vol=vols)
def test_call_less_put_is_forward_less_strike(
    spot: float, k: float, t: float, rate: float, carry: float, vol: float
) -> None:
    strike = spot * np.exp(k)
    call, put = black.price_spot(spot, strike, t, rate, carry, vol, [1.0, -1.0])
    asset, cash = spot * np.exp(-carry * t), strike * np.exp(-rate * t)
    assert call - put == pytest.approx(asset - cash, abs=1e-13 * (asset + cash))


@given(spot=spots, k=moneyness, t=years, rate=rates, carry=rates, vol=vols, sign=signs)
def test_a_price_lies_between_intrinsic_value_and_its_leg(
    spot: float, k: float, t: float, rate: float, carry: float, vol: float, sign: float
) -> None:
    strike = spot * np.exp(k)
    asset, cash = spot * np.exp(-carry * t), strike * np.exp(-rate * t)
    value = one(black.price_spot(spot, strike, t, rate, carry, vol, sign))
    slack = 1e-13 * (asset + cash)
    assert max(sign * (asset - cash), 0.0) - slack <= value <= (asset if sign > 0 else cash) + slack


@given(spot=spots, t=years, rate=rates, carry=rates, vol=vols, sign=signs)
def test_prices_are_monotone_and_convex_in_strike(
    spot: float, t: float, rate: float, carry: float, vol: float, sign: float
) -> None:
    strikes = spot * np.linspace(0.4, 2.0, 81)
    values = black.price_spot(spot, strikes, t, rate, carry, vol, sign)
    slack = 1e-12 * spot
    assert np.all(sign * np.diff(values) <= slack)
    assert np.all(np.diff(values, 2) >= -slack)


@given(spot=spots, k=moneyness, t=years, rate=rates, carry=rates, sign=signs)
def test_prices_rise_with_volatility(spot: float, k: float, t: float, rate: float, carry: float, sign: float) -> None:
    values = black.price_spot(spot, spot * np.exp(k), t, rate, carry, np.linspace(0.02, 3.0, 60), sign)
    assert np.all(np.diff(values) >= -1e-12 * spot)


@given(spot=spots, k=moneyness, t=years, rate=rates, carry=rates, vol=vols, sign=signs)
def test_spot_form_equals_forward_form(
    spot: float, k: float, t: float, rate: float, carry: float, vol: float, sign: float
) -> None:
    strike, forward, discount = spot * np.exp(k), spot * np.exp((rate - carry) * t), np.exp(-rate * t)
    by_spot = one(black.price_spot(spot, strike, t, rate, carry, vol, sign))
    by_forward = one(black.price(forward, strike, vol * np.sqrt(t), discount, sign))
    assert by_forward == pytest.approx(by_spot, rel=1e-11, abs=1e-12 * spot)


@given(spot=spots, k=moneyness, t=years, rate=rates, carry=rates, vol=vols, sign=signs)
def test_greeks_obey_the_pricing_equation(
    spot: float, k: float, t: float, rate: float, carry: float, vol: float, sign: float
) -> None:
    rows = one(black.greeks(spot, spot * np.exp(k), t, rate, carry, vol, sign))
    value, delta, gamma, theta = (rows[ROW[name]] for name in ("price", "delta", "gamma", "theta"))
    diffusion = 0.5 * vol**2 * spot**2 * gamma
    scale = abs(rate * value) + abs(theta) + diffusion + abs((rate - carry) * spot * delta) + 1e-9
    assert theta == pytest.approx(rate * value - (rate - carry) * spot * delta - diffusion, abs=1e-12 * scale)


def exact_price(s: mpf, k: mpf, t: mpf, r: mpf, q: mpf, v: mpf, c: int) -> mpf:
    d1 = (mp.log(s / k) + (r - q + v * v / 2) * t) / (v * mp.sqrt(t))
    d2 = d1 - v * mp.sqrt(t)
    return c * (s * mp.exp(-q * t) * mp.ncdf(c * d1) - k * mp.exp(-r * t) * mp.ncdf(c * d2))


# Orders of differentiation in (spot, vol, rate, time to expiry); an odd order in time changes the sign.
ORDERS = {
    "price": (0, 0, 0, 0),
    "delta": (1, 0, 0, 0),
    "gamma": (2, 0, 0, 0),
    "vega": (0, 1, 0, 0),
    "theta": (0, 0, 0, 1),
    "rho": (0, 0, 1, 0),
    "vanna": (1, 1, 0, 0),
    "charm": (1, 0, 0, 1),
    "volga": (0, 2, 0, 0),
    "veta": (0, 1, 0, 1),
    "speed": (3, 0, 0, 0),
    "zomma": (2, 1, 0, 0),
    "color": (2, 0, 0, 1),
    "ultima": (0, 3, 0, 0),
}


@pytest.mark.parametrize(
    "contract",
    [
        (100.0, 100.0, 0.5, 0.05, 0.0, 0.2, 1),
        (100.0, 125.0, 0.02, 0.01, 0.03, 0.35, 1),
        (748.4, 600.0, 2.05, 0.012, 0.0, 0.28, -1),
        (4200.0, 4199.0, 1 / 365, 0.053, 0.014, 0.11, -1),
        (12.5, 40.0, 7.0, -0.01, 0.02, 0.9, -1),
        (50.0, 20.0, 0.7, 0.12, 0.08, 2.5, 1),
    ],
)
def test_price_and_greeks_equal_fifty_digit_derivatives(contract: tuple[float, ...]) -> None:
    spot, strike, t, rate, carry, vol, sign = contract
    rows = one(black.greeks(*contract))
    with mp.workdps(50):
        for name, orders in ORDERS.items():
            exact = mp.diff(
                lambda s, v, r, u: exact_price(s, mpf(strike), u, r, mpf(carry), v, int(sign)),
                (mpf(spot), mpf(vol), mpf(rate), mpf(t)),
                orders,
            )
            expected = float(-exact if orders[3] else exact)
            assert rows[ROW[name]] == pytest.approx(expected, rel=1e-11, abs=1e-13 * abs(spot)), name


def test_relative_accuracy_holds_far_out_of_the_money() -> None:
    strikes = np.array([150.0, 200.0, 300.0, 500.0])
    values = black.price_spot(100.0, strikes, 0.25, 0.02, 0.01, 0.2, 1.0)
    with mp.workdps(50):
        exact = [float(exact_price(mpf(100), mpf(k), mpf("0.25"), mpf(0.02), mpf(0.01), mpf(0.2), 1)) for k in strikes]
    assert values == pytest.approx(exact, rel=1e-11)
    assert values[-1] < 1e-50


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_without_time_or_volatility_the_price_is_intrinsic(sign: float) -> None:
    strikes = np.array([80.0, 100.0, 125.0])
    intrinsic = np.maximum(sign * (100.0 - strikes), 0.0)
    for t, vol in ((0.0, 0.3), (-1.0, 0.3)):
        rows = black.greeks(100.0, strikes, t, 0.05, 0.02, vol, sign)
        assert rows[PRICE] == pytest.approx(intrinsic)
        assert rows[ROW["delta"]] == pytest.approx(sign * np.array([sign > 0, 0.5, sign < 0]))
        assert not rows[2:].any()
    discounted = np.maximum(sign * (100.0 * np.exp(-0.02) - strikes * np.exp(-0.05)), 0.0)
    assert black.price_spot(100.0, strikes, 1.0, 0.05, 0.02, 0.0, sign) == pytest.approx(discounted, rel=1e-14)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("column", range(7))
def test_a_bad_row_is_nan_and_leaves_its_neighbours_alone(column: int, bad: float) -> None:
    n = 19
    inputs = [np.full(n, x) for x in (100.0, 105.0, 0.5, 0.03, 0.01, 0.25, 1.0)]
    clean = black.greeks(*inputs)
    inputs[column][11] = bad
    rows = black.greeks(*inputs)
    others = np.arange(n) != 11
    assert np.array_equal(rows[:, others], clean[:, others])
    may_be_negative = {2, 3, 4, 6}  # expired, a negative rate, a negative yield, a put
    assert np.isnan(rows[:, 11]).all() == (not (bad == -1.0 and column in may_be_negative))


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 17])
def test_a_row_does_not_depend_on_its_place_in_the_batch(n: int) -> None:
    strikes = np.linspace(80.0, 120.0, n)
    together = black.greeks(100.0, strikes, 0.3, 0.02, 0.0, 0.25, -1.0)
    alone = np.hstack([black.greeks(100.0, strike, 0.3, 0.02, 0.0, 0.25, -1.0) for strike in strikes])
    assert together.shape == (ROWS, n)
    assert np.array_equal(together, alone)


def test_a_single_value_stands_for_every_contract() -> None:
    strikes = np.linspace(80.0, 120.0, 21)
    short = black.greeks(100.0, strikes, 0.3, 0.02, [0.01], 0.25, 1.0)
    full = black.greeks(*(np.broadcast_to(x, 21) for x in (100.0, strikes, 0.3, 0.02, 0.01, 0.25, 1.0)))
    assert np.array_equal(short, full)


def test_an_empty_chain_is_an_empty_result() -> None:
    assert black.greeks(100.0, np.empty(0), 0.3, 0.02, 0.0, 0.25, 1.0).shape == (ROWS, 0)


def test_results_go_where_the_caller_says() -> None:
    wide = np.full((ROWS, 40), 7.0)
    out = wide[:, :21]
    assert black.greeks(100.0, np.linspace(80.0, 120.0, 21), 0.3, 0.02, 0.0, 0.25, 1.0, out=out) is out
    assert np.array_equal(out, black.greeks(100.0, np.linspace(80.0, 120.0, 21), 0.3, 0.02, 0.0, 0.25, 1.0))
    assert np.all(wide[:, 21:] == 7.0)


def test_a_wrong_shape_names_the_field_and_the_value() -> None:
    with pytest.raises(InputError) as refused:
        black.price(np.ones(3), np.ones(4), 0.2, 1.0, 1.0)
    assert refused.value.fields == {"field": "strike", "value": 4, "expected": 3}
    with pytest.raises(InputError) as refused:
        black.price_spot(np.ones((2, 2)), 100.0, 1.0, 0.0, 0.0, 0.2, 1.0)
    assert refused.value.fields == {"field": "spot", "value": (2, 2)}
    with pytest.raises(InputError) as refused:
        black.price("a hundred", 100.0, 0.2, 1.0, 1.0)
    assert refused.value.fields["field"] == "forward"


@pytest.mark.parametrize(
    "out",
    [np.empty((ROWS, 4)), np.empty((13, 3)), np.empty((ROWS, 3), dtype=np.float32), np.empty((3, ROWS)).T],
)
def test_a_buffer_that_does_not_fit_is_refused(out: Array) -> None:
    with pytest.raises(InputError) as refused:
        black.greeks(100.0, np.ones(3), 1.0, 0.0, 0.0, 0.2, 1.0, out=out)
    assert refused.value.fields["field"] == "out"


def test_greek_names_are_the_thirteen() -> None:
    assert tuple(ORDERS)[1:] == GREEKS
