from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from domain.errors import InputError
from pricing import american, backend, black, implied_vol
from pricing.backend import Array


@pytest.fixture(autouse=True)
def best_isa_afterwards() -> Iterator[None]:
    yield
    backend.force_isa(backend.supported_isas()[0])


def chain() -> tuple[Array, ...]:
    rng = np.random.default_rng(2015)
    n = 501
    return (
        np.full(n, 748.4),
        748.4 * np.exp(rng.normal(0.0, 0.3, n)),
        rng.choice([1 / 365, 0.08, 0.5, 2.0], n),
        rng.choice([0.001, 0.03], n),
        rng.choice([0.0, 0.02], n),
        rng.uniform(0.12, 0.8, n),
        np.where(rng.random(n) < 0.5, 1.0, -1.0),
    )


def everything(inputs: tuple[Array, ...]) -> list[Array]:
    """All kernels on one chain; statuses as numbers, so that one comparison serves."""
    spot, strike, t, rate, carry, vol, _ = inputs
    forward, discount = spot * np.exp((rate - carry) * t), np.exp(-rate * t)
    out = np.where(strike >= forward, 1.0, -1.0)
    price = black.price(forward, strike, vol * np.sqrt(t), discount, out)
    solved, solved_status = implied_vol.implied_vol(price, forward, strike, t, discount, out)
    rows, status = american.greeks(*inputs)
    premium = american.early_exercise_premium(*inputs)
    return [
        black.price_spot(*inputs)[np.newaxis],
        black.greeks(*inputs),
        price[np.newaxis],
        solved[np.newaxis],
        solved_status[np.newaxis].astype(np.float64),
        american.price(*inputs)[0][np.newaxis],
        rows,
        status[np.newaxis].astype(np.float64),
        np.array(premium[:3]),
    ]


def test_the_best_instruction_set_is_chosen_and_described() -> None:
    described = backend.describe()
    assert described.device == "cpu"
    assert described.isa == described.supported_isas[0]
    assert described.lanes in {2, 4, 8}


def test_every_instruction_set_gives_the_same_numbers() -> None:
    inputs = chain()
    reference = everything(inputs)
    for isa in backend.supported_isas()[1:]:
        backend.force_isa(isa)
        assert backend.describe().isa == isa
        for expected, found in zip(reference, everything(inputs), strict=True):
            assert np.array_equal(np.isnan(found), np.isnan(expected))
            scale = np.nanmax(np.abs(expected), axis=1, keepdims=True) + 1e-300
            # Third derivatives in volatility are differences: they magnify rounding the most.
            assert np.nanmax(np.abs(found - expected) / scale) < 1e-6
        for expected, found in zip(reference[:4], everything(inputs)[:4], strict=True):
            scale = np.nanmax(np.abs(expected), axis=1, keepdims=True)
            assert np.nanmax(np.abs(found - expected) / scale) < 1e-12


def test_one_instruction_set_gives_the_same_bits_every_time() -> None:
    inputs = chain()
    for isa in backend.supported_isas():
        backend.force_isa(isa)
        for first, second in zip(everything(inputs), everything(inputs), strict=True):
            assert np.array_equal(first, second, equal_nan=True)


def test_an_instruction_set_that_is_not_here_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        backend.force_isa("x86_64_v9")
    assert refused.value.fields == {
        "field": "isa",
        "value": "x86_64_v9",
        "supported": backend.supported_isas(),
    }


def test_inputs_of_any_layout_and_numeric_type_give_the_same_result() -> None:
    strikes = np.arange(80, 120, dtype=np.int64)
    expected = black.greeks(100.0, strikes.astype(np.float64), 0.5, 0.02, 0.0, 0.3, 1.0)
    strided = np.repeat(strikes.astype(np.float64), 2)[::2]
    frozen = strikes.astype(np.float64)
    frozen.flags.writeable = False
    for form in (strikes, strided, frozen, strikes.tolist(), strikes.astype(np.float32)):
        assert np.array_equal(black.greeks(100, form, 0.5, 0.02, 0, 0.3, 1), expected)
