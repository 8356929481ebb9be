from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InputError
from hedging.bands import half_width

gammas = st.floats(1e-3, 1e4)
spots = st.floats(0.5, 5e3)
costs = st.floats(1e-6, 0.05)
aversions = st.floats(1e-6, 1.0)


def test_by_hand() -> None:
    """1.5 * 0.001 * 100 * 20^2 / 0.001 = 60,000, whose cube root is 39.149."""
    assert half_width(20.0, 100.0, 0.001, 0.001) == pytest.approx(39.14867641, abs=1e-8)


@given(gamma=gammas, spot=spots, cost=costs, aversion=aversions)
def test_homogeneity(gamma: float, spot: float, cost: float, aversion: float) -> None:
    """Eight times the cost, or an eighth of the aversion, doubles the band; eight times gamma quadruples it."""
    band = half_width(gamma, spot, cost, aversion)
    assert half_width(gamma, spot, 8 * cost, aversion) == pytest.approx(2 * band)
    assert half_width(gamma, spot, cost, aversion / 8) == pytest.approx(2 * band)
    assert half_width(8 * gamma, spot, cost, aversion) == pytest.approx(4 * band)
    assert half_width(-gamma, spot, cost, aversion) == band


@given(gamma=gammas, spot=spots, cost=costs, aversion=aversions)
def test_the_band_does_not_depend_on_the_unit_of_shares(
    gamma: float, spot: float, cost: float, aversion: float
) -> None:
    """Ten new shares for each old one: a tenth of the price, a hundred times gamma, ten times the band."""
    split = half_width(100 * gamma, spot / 10, cost, aversion)
    assert split == pytest.approx(10 * half_width(gamma, spot, cost, aversion))


@given(gamma=gammas, spot=spots, cost=costs, aversion=aversions, discount=st.floats(0.1, 1.0))
def test_no_cost_or_no_gamma_means_no_band_and_discounting_narrows_it(
    gamma: float, spot: float, cost: float, aversion: float, discount: float
) -> None:
    assert half_width(gamma, spot, 0.0, aversion) == 0.0
    assert half_width(0.0, spot, cost, aversion) == 0.0
    assert half_width(gamma, spot, cost, aversion, discount) <= half_width(gamma, spot, cost, aversion)


@pytest.mark.parametrize(
    "arguments",
    [
        (math.nan, 100.0, 0.001, 0.001),
        (1.0, 0.0, 0.001, 0.001),
        (1.0, 100.0, -0.001, 0.001),
        (1.0, 100.0, 0.001, 0.0),
        (1.0, 100.0, 0.001, 0.001, 1.5),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: tuple[float, ...]) -> None:
    with pytest.raises(InputError):
        half_width(*arguments)
