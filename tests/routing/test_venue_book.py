from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.commands import STOCK
from domain.errors import InputError, UnknownContract
from routing.nbbo import ASK, BID

if TYPE_CHECKING:
    from tests.routing.conftest import Market

nickels = st.integers(1, 1_000).map(lambda n: n * 1_000)
sizes = st.integers(0, 300)
rows = st.tuples(st.integers(0, 11), nickels, sizes, nickels, sizes)


@given(rows=st.lists(rows, min_size=1, max_size=12, unique_by=lambda r: r[0]), ts=st.integers(1, 2**60), data=st.data())
def test_venues_together_show_the_nbbo_and_nothing_better(rows: list[Any], ts: int, data: st.DataObject) -> None:
    from tests.routing.conftest import Market

    market = Market()
    seed, join = data.draw(st.integers(0, 2**31)), data.draw(st.floats(0, 1))
    market.now = ts
    books = []
    for index in range(3):
        exchange = market.exchange(index, seed=seed, join_probability=join)
        exchange.on_market(market.nbbo(*rows))
        books.append(exchange.displayed())
    for contract, bid, bid_size, ask, ask_size in rows:
        for side, best, size in ((BID, bid, bid_size), (ASK, ask, ask_size)):
            shown = [(int(price[side, contract]), int(shown[side, contract])) for price, shown in books]
            if size == 0:
                assert shown == [(0, 0)] * 3
                continue
            assert sum(s for p, s in shown if p == best) == size
            for p, s in shown:
                assert (p == 0) == (s == 0)
                assert p <= best if side == BID else (p >= best)
                tick = 500 if p < 30_000 else 1_000
                assert p == 0 or abs(p - best) <= max(tick, 1_000)


def test_a_stock_venue_follows_the_underlying_alone(market: Market) -> None:
    exchange = market.exchange(3)
    exchange.on_market(market.nbbo((0, 1_000, 5, 2_000, 5)))
    exchange.on_market(market.stock())
    price, size = exchange.displayed()
    assert not price[:, :-1].any()
    assert price[BID, STOCK] in (1_000_000, 999_900)
    assert size[BID, STOCK] > 0


def test_what_we_take_is_gone_and_comes_back(market: Market) -> None:
    exchange = market.exchange(3, join_probability=1.0, replenish_ms=1_000)
    exchange.on_market(market.stock(ask_size=100))
    first = exchange.submit(market.order("a", quantity=500), market.now)
    again = exchange.submit(market.order("b", quantity=500), market.now + 999_999_999)
    back = exchange.submit(market.order("c", quantity=500), market.now + 1_000_000_000)
    assert [sum(r.last_qty for r in reports) for reports in (first, again, back)] == [60, 0, 60]  # type: ignore[attr-defined]


@pytest.mark.parametrize("contract", [-1, 12])
def test_an_unknown_contract_changes_nothing(market: Market, contract: int) -> None:
    exchange = market.exchange(0)
    before = exchange.snapshot()
    with pytest.raises(UnknownContract):
        exchange.on_market(market.nbbo((0, 1_000, 5, 2_000, 5), (contract, 1_000, 5, 2_000, 5)))
    assert exchange.snapshot() == before


def test_a_negative_quote_changes_nothing(market: Market) -> None:
    exchange = market.exchange(0)
    before = exchange.snapshot()
    with pytest.raises(InputError, match="negative"):
        exchange.on_market(market.nbbo((0, 1_000, 5, 2_000, -5)))
    assert exchange.snapshot() == before


def test_a_contract_named_twice_shows_its_last_row(market: Market) -> None:
    exchange = market.exchange(0, join_probability=1.0)
    exchange.on_market(market.nbbo((4, 1_000, 50, 2_000, 50), (4, 3_000, 100, 4_000, 100)))
    price, size = exchange.displayed()
    np.testing.assert_array_equal(price[:, 4], [3_000, 4_000])
    np.testing.assert_array_equal(size[:, 4], [40, 40])
