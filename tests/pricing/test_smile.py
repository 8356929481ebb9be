"""What quotes say about volatility: values with two sides, bounds with one, nothing where a quote is impossible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pricing.forward import Forwards
from pricing.smile import Observations, Terms, observe

if TYPE_CHECKING:
    from tests.pricing.conftest import MadeUpMarket

Array = npt.NDArray[np.float64]


def truth(market: MadeUpMarket, error: float = 1e-6) -> Forwards:
    m = len(market.years)
    return Forwards(
        market.spot,
        market.years,
        market.forward,
        np.full(m, error),
        np.exp(-market.rate * market.years),
        np.full(m, market.rate),
        np.full(m, market.carry_yield),
        np.full(m, 9, np.int32),
    )


def see(market: MadeUpMarket, bid: Array, ask: Array, error: float = 1e-6) -> Observations:
    chain = market.chain
    terms = Terms(chain.strike, chain.sign, chain.expiry_index.astype(np.intp), ~chain.is_adjusted)
    return observe(terms, bid, ask, np.zeros(len(chain)), truth(market, error))


def test_exact_quotes_give_the_true_variances(european: MadeUpMarket) -> None:
    worth = np.where(european.value > 1e-3, european.value, np.nan)
    rows = see(european, worth - 1e-9, worth + 1e-9)
    years = european.years[rows.expiry]
    np.testing.assert_allclose(np.sqrt(rows.w / years), european.true_vol[rows.contract], rtol=1e-5)
    assert (rows.kind == 0).all()
    assert (np.diff(rows.expiry) >= 0).all()


def test_a_missing_side_is_a_bound_and_never_a_value(european: MadeUpMarket) -> None:
    bid, ask = european.quotes(half_width=0.05)
    no_ask, no_bid = see(european, bid, np.full_like(ask, np.nan)), see(european, np.full_like(bid, np.nan), ask)
    assert (no_ask.kind == 1).all()
    assert (no_bid.kind == -1).all()
    for rows, side in ((no_ask, 1.0), (no_bid, -1.0)):
        truly = european.true_vol[rows.contract] ** 2 * european.years[rows.expiry]
        assert (side * (truly - rows.w) >= 0.0).all()


def test_wider_quotes_weigh_less(european: MadeUpMarket) -> None:
    tight, wide = (see(european, *european.quotes(half_width=half)) for half in (0.02, 0.08))
    _, first, second = np.intersect1d(
        tight.contract[tight.kind == 0], wide.contract[wide.kind == 0], return_indices=True
    )
    near = np.abs(tight.k[tight.kind == 0][first]) < 0.02
    ratio = wide.error[wide.kind == 0][second] / tight.error[tight.kind == 0][first]
    assert near.any()
    assert (ratio[near] > 1.5).all()


def test_an_uncertain_forward_makes_contracts_in_the_money_weigh_less(european: MadeUpMarket) -> None:
    bid, ask = european.quotes(half_width=0.02)
    sure, unsure = see(european, bid, ask), see(european, bid, ask, error=0.5)
    np.testing.assert_array_equal(sure.contract, unsure.contract)
    assert (unsure.error > sure.error).all()


def test_impossible_quotes_say_nothing(european: MadeUpMarket) -> None:
    bid, ask = european.quotes(half_width=0.02)
    crossed = see(european, european.value + 1.0, european.value)
    assert len(crossed.contract) == 0
    # Bids above the forward and asks below intrinsic value have no volatility.
    absurd = see(european, np.full_like(bid, 1e4), np.full_like(ask, np.nan))
    assert len(absurd.contract) == 0
    nothing = np.full_like(bid, np.nan)
    assert len(see(european, nothing, nothing).contract) == 0
