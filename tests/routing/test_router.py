from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from domain.errors import DataError, InputError
from domain.stage import Stage
from routing.router import Router, RouterSettings
from routing.sale_marking import SaleRules, mark

if TYPE_CHECKING:
    from tests.routing.conftest import Market

A, B = 3, 4


def router(market: Market, *, up: tuple[int, ...] = (0, 1, 2, A, B), **settings: Any) -> Router:  # noqa: ANN401 - any field
    from tests.routing.conftest import PARTY, TICKS

    stage = Router(market.chain, TICKS, market.venues, PARTY, RouterSettings(**settings), "20151224", "XYZ")
    for venue in up:
        stage.apply(e.VenueStatusChanged(**market.head, venue=venue, is_up=True, reason="session is open"))
    stage.apply(market.stock())
    return stage


def request(market: Market, **terms: Any) -> c.RequestOrder:  # noqa: ANN401 - any field
    plain: dict[str, Any] = {
        "request_id": "R1",
        "contract": c.STOCK,
        "side": "buy",
        "quantity": 100,
        "limit": 0,
        "tif": "ioc",
        "intent": c.Intent.HEDGE,
    }
    return c.RequestOrder(**market.head, **{**plain, **terms})


def holds(market: Market, shares: int) -> e.PositionChanged:
    return e.PositionChanged(**market.head, contract=c.STOCK, quantity=shares, change=0, cause="fill")


def children(told: Sequence[e.Event]) -> list[c.SubmitOrder]:
    return [event for event in told if isinstance(event, c.SubmitOrder)]


def refusal(told: Sequence[e.Event]) -> str:
    (event,) = told
    assert isinstance(event, e.OrderRefused)
    assert event.request_id == "R1"
    return event.reason


def test_it_is_a_stage(market: Market) -> None:
    assert isinstance(router(market), Stage)


# --- venues and prices ------------------------------------------------------------------------------------------------
def test_the_best_net_price_wins_and_the_route_explains_itself(market: Market) -> None:
    told = router(market).apply(request(market))
    routed, order = told
    assert isinstance(routed, e.OrderRouted)
    assert isinstance(order, c.SubmitOrder)
    assert routed.considered == {"SIMT": 1_000_210, "SIMS": 1_000_230}
    assert (routed.venue, routed.rule, routed.clordid) == (B, "best net price", order.clordid)
    assert order.clordid == "20151224-XYZ-0000001"
    assert order.price == 1_000_200 + 500  # five basis points, on the tick
    assert (order.order_type, order.tif, order.sale_marking) == ("limit", "ioc", "")


def test_a_large_order_is_split_by_estimated_size_and_every_route_comes_before_every_order(market: Market) -> None:
    told = router(market).apply(request(market, quantity=450))
    assert [type(event).__name__ for event in told] == ["OrderRouted"] * 2 + ["SubmitOrder"] * 2
    assert [(o.venue, o.quantity) for o in children(told)] == [(B, 200), (A, 250)]
    told = router(market).apply(request(market, quantity=900))
    assert [(o.venue, o.quantity) for o in children(told)] == [(B, 600), (A, 300)]


def test_a_venue_counts_as_up_only_after_it_said_so(market: Market) -> None:
    stage = router(market, up=())
    assert refusal(stage.apply(request(market))) == "no venue is up"
    stage.apply(e.VenueStatusChanged(**market.head, venue=A, is_up=True, reason=""))
    assert [o.venue for o in children(stage.apply(request(market)))] == [A]
    stage.apply(e.VenueStatusChanged(**market.head, venue=A, is_up=False, reason=""))
    assert refusal(stage.apply(request(market))) == "no venue is up"


def test_a_stale_or_one_sided_market_is_refused(market: Market) -> None:
    stage = router(market, max_age_ms=1_000)
    market.later(1_000_000_000)
    assert children(stage.apply(request(market)))
    market.later(1)
    assert refusal(stage.apply(request(market))) == "stale market"
    stage.apply(market.stock(bid=0, bid_size=0))
    assert refusal(stage.apply(request(market))) == "one-sided market"


def test_option_fees_are_per_contract_and_prices_per_share(market: Market) -> None:
    stage = router(market)
    stage.apply(market.nbbo((4, 20_000, 10, 20_500, 10)))
    told = stage.apply(request(market, contract=4, quantity=3))
    assert isinstance(told[0], e.OrderRouted)
    assert told[0].considered == {"SIMB": 20_525, "SIMC": 20_540, "SIMA": 20_550}
    assert children(told)[0].price == 21_000  # one nickel through


def test_a_passive_day_order_goes_where_posting_pays_best(market: Market) -> None:
    told = router(market).apply(request(market, limit=1_000_000, tif="day"))
    assert [(o.venue, o.price, o.tif) for o in children(told)] == [(A, 1_000_000, "day")]


def test_what_cannot_be_an_order_is_an_input_error(market: Market) -> None:
    with pytest.raises(InputError, match="contract"):
        router(market).apply(request(market, contract=12))
    with pytest.raises(InputError, match="quantity"):
        router(market).apply(request(market, quantity=0))


# --- selling stock ----------------------------------------------------------------------------------------------------
def test_a_sale_is_split_into_what_we_own_and_what_we_do_not(market: Market) -> None:
    stage = router(market)
    stage.apply(holds(market, 60))
    orders = children(stage.apply(request(market, side="sell", quantity=100)))
    assert [(o.sale_marking, o.quantity, o.market_maker_exempt) for o in orders] == [
        ("long", 60, False),
        ("short", 40, True),
    ]


def test_shares_offered_already_are_not_sold_long_again(market: Market) -> None:
    stage = router(market)
    stage.apply(holds(market, 100))
    (first,) = children(stage.apply(request(market, side="sell", quantity=70)))
    assert first.sale_marking == "long"
    again = request(market, side="sell", quantity=70)
    assert [(o.sale_marking, o.quantity) for o in children(stage.apply(again))] == [("long", 30), ("short", 40)]
    assert [(o.sale_marking, o.quantity) for o in children(stage.apply(again))] == [("short", 70)]
    canceled = e.OrderStateChanged(
        **market.head, clordid=first.clordid, venue=A, before="new", after="canceled", cum_qty=0, leaves_qty=0
    )
    stage.apply(canceled)
    stage.apply(holds(market, 200))  # of which 140 are offered
    assert [(o.sale_marking, o.quantity) for o in children(stage.apply(again))] == [("long", 60), ("short", 10)]


def test_a_short_sale_needs_a_locate_or_the_exemption(market: Market) -> None:
    bare = SaleRules(is_market_maker_exempt=False)
    assert refusal(router(market, sale=bare).apply(request(market, side="sell"))) == "no locate"
    located = SaleRules(is_market_maker_exempt=False, locate_id="L7")
    (order,) = children(router(market, sale=located).apply(request(market, side="sell")))
    assert (order.locate_id, order.market_maker_exempt) == ("L7", False)


def test_a_fall_of_ten_percent_starts_the_price_test(market: Market) -> None:
    stage = router(market, sale=SaleRules(prior_close=1_100_000))
    assert children(stage.apply(request(market, side="sell")))
    stage.apply(market.stock_prints(990_001, 1_000_000, 10))
    assert children(stage.apply(request(market, side="sell")))
    stage.apply(market.stock_prints(990_000, 1_000_000, 10))
    assert refusal(stage.apply(request(market, side="sell"))) == "short sale restricted"
    stage.apply(holds(market, 1_000))
    assert children(stage.apply(request(market, side="sell")))


@given(
    side=st.sampled_from(["buy", "sell"]),
    quantity=st.integers(1, 2_000),
    limit=st.one_of(st.just(0), st.integers(9_000, 11_000).map(lambda n: n * 100)),
    tif=st.sampled_from(["ioc", "day"]),
    bid=st.integers(9_500, 10_500).map(lambda n: n * 100),
    spread=st.integers(1, 50).map(lambda n: n * 100),
    position=st.integers(-500, 500),
    up=st.lists(st.sampled_from([A, B]), unique=True),
    basis=st.sampled_from(["", "201(d)(1)"]),
)
def test_no_short_sale_at_or_below_the_bid_while_restricted_and_no_share_is_lost(
    side: c.Side,
    quantity: int,
    limit: int,
    tif: c.TimeInForce,
    bid: int,
    spread: int,
    position: int,
    up: list[int],
    basis: str,
) -> None:
    from tests.routing.conftest import Market

    market = Market()
    stage = router(market, up=tuple(up), sale=SaleRules(is_restricted=True, short_exempt_basis=basis))
    stage.apply(market.stock(bid=bid, ask=bid + spread))
    stage.apply(holds(market, position))
    told = stage.apply(request(market, side=side, quantity=quantity, limit=limit, tif=tif))
    orders = children(told)
    if not orders:
        assert refusal(told)
        return
    assert sum(o.quantity for o in orders) == quantity
    assert all(o.quantity > 0 and o.venue in up and o.price > 0 and o.price % 100 == 0 for o in orders)
    assert len({o.clordid for o in orders}) == len(orders)
    routes = [event for event in told if isinstance(event, e.OrderRouted)]
    assert [r.clordid for r in routes] == [o.clordid for o in orders]
    assert all(set(r.considered) == {market.venues[v].mic for v in up} and r.rule for r in routes)
    for order in orders:
        assert bool(order.sale_marking) == (side == "sell")
        if order.sale_marking == "short":
            assert order.price > bid
        if limit and side == "buy":
            assert order.price <= limit
        if limit and side == "sell":
            assert order.price >= limit
    assert sum(o.quantity for o in orders if o.sale_marking == "long") <= max(position, 0)


@given(quantity=st.integers(1, 1_000), owned=st.integers(-1_000, 1_000), restricted=st.booleans())
def test_marked_parts_sum_to_the_sale(quantity: int, owned: int, restricted: bool) -> None:  # noqa: FBT001
    parts = mark(quantity, owned, SaleRules(), is_restricted=restricted)
    assert sum(part.quantity for part in parts) == quantity
    assert all(part.quantity > 0 for part in parts)
    assert sum(part.quantity for part in parts if part.marking == "long") == min(quantity, max(owned, 0))


# --- state ------------------------------------------------------------------------------------------------------------
def test_a_restored_router_goes_on_as_the_original_would(market: Market) -> None:
    first, second = router(market), router(market, up=())
    first.apply(holds(market, 60))
    first.apply(request(market, side="sell", quantity=40))
    second.restore(first.snapshot())
    for terms in ({"side": "sell", "quantity": 80}, {"quantity": 700}, {"contract": 0}):
        assert list(first.apply(request(market, **terms))) == list(second.apply(request(market, **terms)))
    assert first.snapshot() == second.snapshot()
    with pytest.raises(DataError):
        second.restore(market.exchange(0).snapshot())


@pytest.mark.parametrize(
    ("settings", "field"),
    [({"max_age_ms": 0}, "max_age_ms"), ({"collar_bps": -1.0}, "collar_bps"), ({"collar_ticks": -1}, "collar_ticks")],
)
def test_a_bad_setting_is_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field):
        RouterSettings(**settings)
