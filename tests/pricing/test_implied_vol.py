from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf

from domain.errors import InputError
from pricing import black
from pricing.implied_vol import Status, implied_vol

GOLDEN = Path(__file__).parents[1] / "golden" / "option_values_implied_vol.jsonl"
GOLDEN_ROWS = [json.loads(line) for line in GOLDEN.read_text().splitlines()]


def test_every_golden_row_is_met_within_its_tolerance() -> None:
    assert len(GOLDEN_ROWS) == 30
    for row in GOLDEN_ROWS:
        p = row["parameters"]
        sign = 1.0 if p["option_type"] == "call" else -1.0
        vol, status = implied_vol(p["price"], p["forward"], p["strike"], p["t"], p["discount"], sign)
        assert status[0] == Status.OK
        assert abs(vol[0] - row["expected"]) <= row["tolerance"], row["id"]


@given(
    k=st.floats(-3.0, 3.0),
    vol=st.floats(0.01, 3.0),
    t=st.floats(1 / 365, 10.0),
    discount=st.floats(0.5, 1.0),
)
def test_price_to_volatility_and_back(k: float, vol: float, t: float, discount: float) -> None:
    strike = 100.0 * np.exp(k)
    sign = 1.0 if k >= 0 else -1.0  # the side out of the money, whose price is all time value
    price = black.price(100.0, strike, vol * np.sqrt(t), discount, sign)
    found, status = implied_vol(price, 100.0, strike, t, discount, sign)
    if price[0] < 1e-305:
        assert status[0] == Status.NO_TIME_VALUE
        return
    assert status[0] == Status.OK
    again = black.price(100.0, strike, found * np.sqrt(t), discount, sign)
    assert again == pytest.approx(price, rel=1e-11)


def test_volatility_is_right_to_the_last_digits_over_the_wide_domain() -> None:
    rng = np.random.default_rng(20151224)
    n = 300
    k = rng.uniform(-3.0, 3.0, n) * np.where(np.arange(n) % 3 == 0, 0.02, 1.0)
    vol = np.exp(rng.uniform(np.log(0.01), np.log(3.0), n))
    t = np.exp(rng.uniform(np.log(1 / 365), np.log(10.0), n))
    total = vol * np.sqrt(t)
    sign = np.where(k >= 0, 1.0, -1.0)
    strike = 100.0 * np.exp(k)
    price, condition = np.empty(n), np.empty(n)
    with mp.workdps(40):
        for i in range(n):
            s = mpf(vol[i]) * mp.sqrt(mpf(t[i]))
            d1 = mp.log(100 / mpf(strike[i])) / s + s / 2
            c = int(sign[i])
            exact = c * (100 * mp.ncdf(c * d1) - mpf(strike[i]) * mp.ncdf(c * (d1 - s)))
            price[i] = float(exact)
            condition[i] = float(exact / (100 * mp.npdf(d1) * s))
    found, status = implied_vol(price, 100.0, strike, t, 1.0, sign)
    has_price = price > 1e-300
    assert has_price.sum() > 200
    assert np.all(status[has_price] == Status.OK)
    # Attainable: the rounding of the price, seen through price / (vega vol).
    error = np.abs(found / vol - 1.0) / np.maximum(condition, 1.0)
    assert error[has_price].max() < 16 * np.finfo(float).eps
    assert total[has_price].max() > 5.0


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((4.9, 100.0, 95.0, 1.0, 1.0, 1.0), Status.BELOW_INTRINSIC),
        ((-0.1, 100.0, 105.0, 1.0, 1.0, 1.0), Status.BELOW_INTRINSIC),
        ((100.0, 100.0, 95.0, 1.0, 1.0, 1.0), Status.ABOVE_BOUND),
        ((95.0, 100.0, 95.0, 1.0, 1.0, -1.0), Status.ABOVE_BOUND),
        ((8.0, 100.0, 95.0, 0.0, 1.0, 1.0), Status.EXPIRED),
        ((8.0, 100.0, 95.0, -0.1, 1.0, 1.0), Status.EXPIRED),
        ((5.0, 100.0, 95.0, 1.0, 1.0, 1.0), Status.NO_TIME_VALUE),
        ((0.0, 100.0, 105.0, 1.0, 1.0, 1.0), Status.NO_TIME_VALUE),
        ((np.nan, 100.0, 95.0, 1.0, 1.0, 1.0), Status.INVALID),
        ((8.0, 0.0, 95.0, 1.0, 1.0, 1.0), Status.INVALID),
        ((8.0, 100.0, -95.0, 1.0, 1.0, 1.0), Status.INVALID),
        ((8.0, 100.0, 95.0, 1.0, 0.0, 1.0), Status.INVALID),
        ((8.0, 100.0, 95.0, 1.0, 1.0, 0.0), Status.INVALID),
        ((8.0, 100.0, 95.0, 1.0, 1.0, 1.0), Status.OK),
    ],
)
def test_a_row_without_a_volatility_says_why(row: tuple[float, ...], expected: Status) -> None:
    # Among healthy neighbours, which it must not disturb.
    inputs = [np.full(11, x) for x in (8.0, 100.0, 95.0, 1.0, 1.0, 1.0)]
    healthy = implied_vol(*inputs)[0][0]
    for column, value in zip(inputs, row, strict=True):
        column[4] = value
    vol, status = implied_vol(*inputs)
    assert status[4] == expected
    assert np.isnan(vol[4]) == (expected != Status.OK)
    assert np.all(np.delete(vol, 4) == healthy)
    assert np.all(np.delete(status, 4) == Status.OK)


@given(price=st.floats(allow_nan=True, allow_infinity=True), k=st.floats(-5.0, 5.0), t=st.floats(-1.0, 50.0))
def test_any_price_gives_a_finite_positive_volatility_or_a_reason(price: float, k: float, t: float) -> None:
    vol, status = implied_vol(price, 100.0, 100.0 * np.exp(k), t, 0.9, [1.0, -1.0])
    ok = status == Status.OK
    assert np.all(np.isfinite(vol[ok]) & (vol[ok] > 0.0))
    assert np.isnan(vol[~ok]).all()
    assert not np.any(status == Status.NOT_CONVERGED)


def test_results_go_where_the_caller_says() -> None:
    vol, status = np.empty(5), np.empty(5, dtype=np.int8)
    result = implied_vol(np.linspace(1.0, 9.0, 5), 100.0, 105.0, 1.0, 1.0, 1.0, out=(vol, status))
    assert result[0] is vol
    assert result[1] is status
    with pytest.raises(InputError) as refused:
        implied_vol(np.linspace(1.0, 9.0, 5), 100.0, 105.0, 1.0, 1.0, 1.0, out=(vol, np.empty(4, dtype=np.int8)))
    assert refused.value.fields == {"field": "out[1]", "value": (4,), "expected": (5,)}
