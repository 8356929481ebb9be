"""Every kernel on a spot takes the same seven inputs, in one order, and refuses each by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from domain.errors import InputError
from pricing import american, black
from pricing.spot_inputs import spot_columns

INPUTS: dict[str, float] = {
    "spot": 100.0,
    "strike": 105.0,
    "expiry_years": 0.25,
    "rate": 0.03,
    "carry_yield": 0.01,
    "vol": 0.2,
    "sign": -1.0,
}
KERNELS: tuple[Callable[..., Any], ...] = (
    black.price_spot,
    black.greeks,
    american.price,
    american.greeks,
    american.early_exercise_premium,
)


def test_columns_come_in_the_order_of_the_kernels() -> None:
    n, inputs = spot_columns(**INPUTS | {"strike": np.array([90.0, 100.0, 110.0])})
    assert n == 3
    assert [column[0] for column in inputs] == [value if name != "strike" else 90.0 for name, value in INPUTS.items()]


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_each_input_is_refused_by_its_name(kernel: Callable[..., Any], name: str) -> None:
    strikes = np.array([90.0, 100.0, 110.0])
    other = "strike" if name != "strike" else "spot"
    with pytest.raises(InputError) as caught:
        kernel(**INPUTS | {other: strikes, name: np.ones((2, 2))})
    assert caught.value.fields["field"] == name
    with pytest.raises(InputError, match="length differs"):
        kernel(**INPUTS | {other: strikes, name: np.ones(2)})
