from __future__ import annotations

import numpy as np
import pytest

from domain.errors import InputError
from pricing import black
from pricing.backend import Array
from pricing.greeks import DEFINITION, GREEKS, ROW, ROWS, SPOT_ORDER, UNITS, per_contract, to_dollars


@pytest.fixture
def rows() -> Array:
    return black.greeks(100.0, np.array([90.0, 100.0, 110.0]), 0.25, 0.02, 0.01, 0.3, [1.0, -1.0, 1.0])


def test_every_greek_has_a_row_a_unit_and_a_definition() -> None:
    assert len(GREEKS) == 13
    assert list(ROW.values()) == list(range(ROWS))
    assert tuple(UNITS) == tuple(DEFINITION) == tuple(SPOT_ORDER) == GREEKS


def test_the_spot_order_is_the_number_of_spot_derivatives_in_the_definition() -> None:
    written = {"dS": 1, "dS2": 2, "dS3": 3}
    for name, definition in DEFINITION.items():
        denominator = definition.split(",", maxsplit=1)[0].split("/")[1].split()
        assert SPOT_ORDER[name] == sum(written.get(part, 0) for part in denominator), name


def test_a_contract_is_its_multiplier_of_shares(rows: Array) -> None:
    scaled = per_contract(rows, [100.0, 10.0, 150.0])
    assert np.array_equal(scaled, rows * np.array([100.0, 10.0, 150.0]))
    assert np.array_equal(per_contract(rows, 100.0), rows * 100.0)


def test_dollar_greeks_explain_a_relative_move_of_the_spot(rows: Array) -> None:
    dollars = to_dollars(rows, 100.0)
    move = 0.01
    moved = black.price_spot(
        100.0 * (1 + move), np.array([90.0, 100.0, 110.0]), 0.25, 0.02, 0.01, 0.3, [1.0, -1.0, 1.0]
    )
    delta, gamma, speed = (dollars[ROW[name]] for name in ("delta", "gamma", "speed"))
    explained = dollars[0] + delta * move + gamma * move**2 / 2 + speed * move**3 / 6
    assert moved == pytest.approx(explained, abs=1e-4)


def test_a_scale_of_the_wrong_shape_is_refused(rows: Array) -> None:
    with pytest.raises(InputError) as refused:
        per_contract(rows, [100.0, 100.0])
    assert refused.value.fields == {"field": "multiplier", "value": (2,), "expected": (3,)}
    with pytest.raises(InputError) as refused:
        to_dollars(rows[:5], 100.0)
    assert refused.value.fields["field"] == "rows"
