"""Checks of orders, each both ways, and what people may do at the gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from domain import commands as c
from domain import events as e

if TYPE_CHECKING:
    from tests.risk.conftest import Desk


def reason(events: list[e.Event]) -> str:
    """Why an order was refused; empty where it was cleared."""
    if any(isinstance(event, e.OrderCleared | e.OrderReplaceCleared) for event in events):
        assert len(events) == 1
        return ""
    refusal, breach = events
    assert isinstance(refusal, e.OrderRefused)
    assert isinstance(breach, e.LimitBreached)
    assert (breach.check, breach.subject) == (refusal.reason, refusal.clordid)
    return refusal.reason


def expire(desk: Desk) -> None:
    desk.now += 66 * desk.second


def halt(desk: Desk) -> None:
    desk.apply(e.SessionChanged(**desk.head, state="halted", open_ts=desk.open_ts, close_ts=desk.close_ts))


def nothing(desk: Desk) -> None:
    pass


OPTION: dict[str, Any] = {"contract": 0, "price": 50_000, "quantity": 10}

CASES: list[tuple[str, Callable[[Desk], object], dict[str, Any], dict[str, Any]]] = [
    ("unknown_contract", nothing, {"contract": 12}, OPTION),
    ("size", nothing, {"quantity": 50_001, "price": 1_000_000}, {"quantity": 50_000, "price": 1_000_000}),
    ("size", nothing, {"quantity": 0}, {"quantity": 1}),
    ("size", nothing, OPTION | {"quantity": 201}, OPTION | {"quantity": 200}),
    ("tick", nothing, {"price": 1_000_050}, {"price": 1_000_100}),
    ("tick", nothing, OPTION | {"price": 50_500}, OPTION | {"price": 51_000}),
    ("collar", nothing, {"price": 1_010_300}, {"price": 1_010_200}),
    ("collar", lambda d: d.expose(stock=500), {"side": "sell", "price": 989_900, "sale_marking": "long"}, {}),
    ("collar", nothing, OPTION | {"price": 61_000}, OPTION | {"price": 60_000}),
    ("market_order", nothing, {"order_type": "market", "price": 0}, {}),
    ("no_theo", lambda d: d.greeks(status=1), OPTION, {}),
    ("stale", expire, {}, {}),
    ("halted", halt, {}, {}),
    ("killed", lambda d: d.kill(), {}, {}),
    ("restricted", lambda d: d.limit(**{"restricted:XYZ": 1}), {}, {}),
    ("restricted", lambda d: d.limit(**{"restricted:XYZ151224C00090000": 1}), OPTION, {"contract": c.STOCK}),
    ("order_notional", lambda d: d.limit(max_order_notional=9_999), {}, {"quantity": 99}),
    ("stock_position", lambda d: d.limit(max_stock=99), {}, {"quantity": 99}),
    ("position", lambda d: d.limit(max_position=9), OPTION, OPTION | {"quantity": 9}),
    ("delta_long", lambda d: d.limit(worst_delta=99), {}, {"quantity": 99}),
    ("delta_long", lambda d: d.limit(worst_delta=499), OPTION, OPTION | {"quantity": 9}),
    ("gamma_long", lambda d: d.limit(worst_gamma=19), OPTION, OPTION | {"quantity": 9}),
    ("vega_short", lambda d: d.limit(worst_vega=9_999), OPTION | {"side": "sell"}, OPTION | {"quantity": 9}),
    ("notional", lambda d: d.limit(max_notional=10_000), {}, {"quantity": 99}),
    ("held_delta", lambda d: d.expose(delta=100_001), {}, {"side": "sell", "sale_marking": "short", "locate_id": "L"}),
    ("held_vega", lambda d: d.expose(vega=3e7), OPTION, OPTION | {"side": "sell"}),
    ("rate", lambda d: d.limit(max_messages=0), {}, {}),
    ("sale_marking", nothing, {"side": "sell", "price": 1_000_000}, {}),
]


@pytest.mark.parametrize(("check", "prepare", "bad", "good"), CASES)
def test_an_order_beyond_a_limit_is_refused_by_name(
    desk: Desk, check: str, prepare: Callable[[Desk], object], bad: dict[str, Any], good: dict[str, Any]
) -> None:
    prepare(desk)
    assert reason(desk.submit(**bad)) == check


@pytest.mark.parametrize(("check", "prepare", "bad", "good"), [case for case in CASES if case[3]])
def test_an_order_at_a_limit_passes(
    desk: Desk, check: str, prepare: Callable[[Desk], object], bad: dict[str, Any], good: dict[str, Any]
) -> None:
    prepare(desk)
    assert reason(desk.submit(**good)) == ""


def test_a_name_is_used_once_and_an_equal_order_not_at_once(desk: Desk) -> None:
    first = desk.order(clordid="A")
    assert reason(desk.apply(first)) == ""
    assert reason(desk.apply(first)) == "duplicate"
    assert reason(desk.submit(clordid="B")) == "repeated"
    assert reason(desk.submit(clordid="C", quantity=101)) == ""
    desk.now += desk.second // 10
    assert reason(desk.submit(clordid="D")) == ""


def test_a_market_order_passes_where_the_limits_allow_it(desk: Desk) -> None:
    desk.limit(allow_market_orders=1)
    assert reason(desk.submit(order_type="market", price=0)) == ""


def test_a_venue_that_is_down_takes_no_order(desk: Desk) -> None:
    desk.apply(e.VenueStatusChanged(**desk.head, venue=0, is_up=False, reason="link"))
    assert reason(desk.submit(venue=0)) == "venue_down"
    assert reason(desk.submit(venue=1)) == ""
    assert reason(desk.submit(venue=4, quantity=50)) == "", "a stock venue"
    assert reason(desk.submit(venue=-1, quantity=51)) == "venue_down"


# --- self-trade -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("acknowledged", [False, True])
def test_an_order_may_not_reach_our_own_quote_at_any_venue(desk: Desk, *, acknowledged: bool) -> None:
    desk.place((1, 0, 49_000, 10, 51_000, 10), name="Q")
    if acknowledged:
        desk.ack(1, "Q", 1)
    assert reason(desk.submit(contract=0, quantity=5, price=51_000)) == "self_trade"
    assert reason(desk.submit(contract=0, quantity=5, price=50_000)) == ""
    assert reason(desk.submit(contract=0, quantity=5, price=49_000, side="sell")) == "self_trade"
    assert reason(desk.submit(contract=0, quantity=5, price=51_000, side="sell")) == ""
    desk.limit(allow_market_orders=1)
    assert reason(desk.submit(contract=0, quantity=5, price=0, order_type="market")) == "self_trade"


def test_orders_of_ours_may_not_meet(desk: Desk) -> None:
    desk.submit(price=1_000_000, tif="day", clordid="A")
    short = {"side": "sell", "sale_marking": "short", "locate_id": "L"}
    assert reason(desk.submit(price=1_000_000, **short)) == "self_trade"
    assert reason(desk.submit(price=1_000_100, **short)) == ""
    done = e.ExecType.CANCELED
    desk.apply(desk.report(clordid="A", exec_type=done, ord_status=e.OrdStatus.CANCELED))
    assert reason(desk.submit(price=1_000_000, **short)) == ""


# --- hedges and what is open ------------------------------------------------------------------------------------------
def test_a_hedge_towards_flat_passes_when_the_worst_case_is_used_up(desk: Desk) -> None:
    desk.expose(delta=-2_000)
    desk.limit(worst_delta=100, held_delta=100, max_notional=0)
    assert reason(desk.submit(quantity=2_101)) == "delta_long"
    assert reason(desk.submit(quantity=2_001)) == "notional"
    assert reason(desk.submit(quantity=2_000)) == ""
    assert reason(desk.submit(quantity=1)) == "notional", "the open order counts"


def test_an_open_order_counts_until_it_is_done(desk: Desk) -> None:
    desk.limit(max_stock=150)
    desk.submit(clordid="A", tif="day")
    assert reason(desk.submit(clordid="B", quantity=51)) == "stock_position"
    desk.apply(desk.report(clordid="A", last_qty=40, cum_qty=40, leaves_qty=60))
    desk.hold(c.STOCK, 40)
    assert reason(desk.submit(clordid="C", quantity=51)) == "stock_position"
    desk.apply(
        e.OrderStateChanged(**desk.head, clordid="A", venue=0, before="new", after="canceled", cum_qty=40, leaves_qty=0)
    )
    assert reason(desk.submit(clordid="D", quantity=110)) == ""


def test_a_replacement_counts_at_the_larger_size_until_it_is_answered(desk: Desk) -> None:
    desk.limit(max_stock=300)
    desk.submit(clordid="A", tif="day")
    replace = c.ReplaceOrder(
        **desk.head,
        clordid="B",
        orig_clordid="A",
        venue=0,
        contract=c.STOCK,
        side="buy",
        quantity=250,
        price=1_000_100,
        party=desk.party,
    )
    changed: Callable[..., c.ReplaceOrder] = lambda **f: msgspec.structs.replace(replace, **f)  # noqa: E731
    assert reason(desk.apply(changed(clordid="C", orig_clordid="Z"))) == "unknown_order"
    assert reason(desk.apply(changed(clordid="D", side="sell"))) == "replace_terms"
    assert reason(desk.apply(changed(clordid="E", quantity=301))) == "stock_position"
    assert reason(desk.apply(changed(clordid="F", price=1_100_000))) == "collar"
    assert reason(desk.apply(changed(clordid="A"))) == "duplicate"
    assert reason(desk.apply(replace)) == ""
    assert reason(desk.apply(changed(clordid="G"))) == "unknown_order", "one replacement at a time"
    assert reason(desk.submit(clordid="H", quantity=51)) == "stock_position"
    desk.apply(
        e.CancelRejected(
            **desk.head, venue=0, clordid="B", orig_clordid="A", ord_status=e.OrdStatus.NEW, reason="too late"
        )
    )
    assert reason(desk.submit(clordid="I", quantity=52)) == ""
    assert reason(desk.apply(changed(clordid="J", quantity=50))) == ""
    replaced = desk.report(clordid="J", orig_clordid="A", exec_type=e.ExecType.REPLACED, leaves_qty=50)
    desk.apply(replaced)
    assert reason(desk.submit(clordid="K", quantity=199)) == "stock_position"
    assert reason(desk.submit(clordid="L", quantity=198)) == ""


# --- short sales ------------------------------------------------------------------------------------------------------
SELL: dict[str, Any] = {"side": "sell", "price": 1_000_200}


@pytest.mark.parametrize(
    ("stock", "fields", "expected"),
    [
        (100, {"sale_marking": "long"}, ""),
        (100, {"sale_marking": ""}, "sale_marking"),
        (99, {"sale_marking": "long"}, "sale_marking"),
        (100, {"sale_marking": "short", "locate_id": "L"}, "sale_marking"),
        (99, {"sale_marking": "short", "locate_id": "L"}, ""),
        (99, {"sale_marking": "short", "market_maker_exempt": True}, ""),
        (99, {"sale_marking": "short"}, "locate"),
        (-50, {"sale_marking": "short_exempt", "market_maker_exempt": True}, ""),
        (-50, {"sale_marking": "short_exempt"}, "locate"),
    ],
)
def test_a_sale_is_marked_as_the_position_says(desk: Desk, stock: int, fields: dict[str, Any], expected: str) -> None:
    desk.hold(c.STOCK, stock)
    assert reason(desk.submit(**SELL, **fields)) == expected


def test_open_sales_use_the_position_up(desk: Desk) -> None:
    desk.hold(c.STOCK, 150)
    assert reason(desk.submit(**SELL, sale_marking="long", tif="day")) == ""
    assert reason(desk.submit(**SELL | {"quantity": 51}, sale_marking="long")) == "sale_marking"
    assert reason(desk.submit(**SELL | {"quantity": 51}, sale_marking="short", locate_id="L")) == ""


def test_a_child_may_carry_the_marking_of_its_parent(desk: Desk) -> None:
    desk.hold(c.STOCK, 150)
    parent = c.RequestOrder(
        **desk.head,
        request_id="P",
        contract=c.STOCK,
        side="sell",
        quantity=300,
        limit=0,
        tif="ioc",
        intent=c.Intent.HEDGE,
    )
    desk.apply(parent)
    assert reason(desk.submit(**SELL, request_id="P", sale_marking="short", locate_id="L")) == ""
    assert reason(desk.submit(**SELL | {"quantity": 200}, request_id="P", sale_marking="short", locate_id="L")) == ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"price": 1_000_000, "sale_marking": "short"}, "short_sale_restricted"),
        ({"price": 1_000_100, "sale_marking": "short"}, ""),
        ({"price": 1_000_000, "sale_marking": "short_exempt"}, ""),
    ],
)
def test_under_a_restriction_a_short_sale_stands_above_the_national_bid(
    desk: Desk, fields: dict[str, Any], expected: str
) -> None:
    desk.limit(short_sale_restricted=1)
    assert reason(desk.submit(side="sell", market_maker_exempt=True, **fields)) == expected
    desk.limit(short_sale_restricted=0)
    assert reason(desk.submit(side="sell", market_maker_exempt=True, quantity=7, **fields)) == ""


# --- cancels and the kill switch --------------------------------------------------------------------------------------
def cancels(desk: Desk) -> list[c.Command]:
    return [
        c.CancelQuotes(**desk.head, cancel_id="C1", venue=-1, contracts=(), reason="r"),
        c.CancelOrder(**desk.head, clordid="C2", orig_clordid="A", venue=0, reason="r"),
        c.CancelAllOrders(**desk.head, cancel_id="C3", venue=-1, reason="r"),
    ]


def question(desk: Desk, name: str = "S1", clordid: str = "A") -> c.RequestOrderStatus:
    return c.RequestOrderStatus(**desk.head, status_id=name, clordid=clordid, venue=0, contract=c.STOCK, side="buy")


def test_questions_about_orders_pass_in_every_state_and_count_as_messages(desk: Desk) -> None:
    assert reason(desk.submit(clordid="A")) == ""
    before = desk.gate.view.orders.leaves(c.STOCK, "buy")
    desk.limit(max_messages=2)
    (asked,) = desk.apply(question(desk))
    assert isinstance(asked, e.OrderStatusCleared)
    desk.sealer.verify(asked)
    assert desk.gate.view.orders.leaves(c.STOCK, "buy") == before, "a question settles nothing"
    assert reason(desk.submit(clordid="B", quantity=7)) == "rate"
    desk.kill()
    halt(desk)
    (again,) = desk.apply(question(desk, "S2"))
    assert isinstance(again, e.OrderStatusCleared)


def test_a_disputed_venue_is_emptied_and_gets_no_new_risk_until_it_is_trusted(desk: Desk) -> None:
    def trust(*, is_trusted: bool, venue: int = 0) -> list[e.Event]:
        change = e.VenueTrustChanged(**desk.head, venue=venue, is_trusted=is_trusted, reason="r")
        return desk.apply(change)

    names = [type(event).__name__ for event in trust(is_trusted=False)]
    assert names == ["QuoteCancelCleared", "OrdersCancelCleared"]
    (refused, _) = desk.place((0, 1, 49_000, 5, 51_000, 5))
    assert isinstance(refused, e.QuotesRefused)
    assert refused.frame.reason.tolist() == [e.QuoteRefusal.VENUE]
    assert isinstance(desk.place((1, 1, 49_000, 5, 51_000, 5))[0], e.QuotesCleared), "the other venue is not touched"
    assert reason(desk.submit(venue=0)) == "venue_disputed"
    assert [type(event).__name__ for event in trust(is_trusted=False, venue=5)] == ["OrdersCancelCleared"]
    assert reason(desk.submit(venue=5)) == "venue_disputed"
    desk.gate.restore(desk.gate.snapshot())
    assert reason(desk.submit(venue=5)) == "venue_disputed"
    trust(is_trusted=True, venue=5)
    assert reason(desk.submit(venue=5)) == ""
    trust(is_trusted=True)
    assert isinstance(desk.place((0, 1, 49_000, 5, 51_000, 5))[0], e.QuotesCleared)


def test_cancels_pass_in_every_state(desk: Desk, new_desk: type[Desk]) -> None:
    desk.kill()
    halt(desk)
    expire(desk)
    desk.limit(max_messages=0, **{"restricted:XYZ": 1})
    for each in (desk, new_desk()):
        for cancel in cancels(each):
            (event,) = each.apply(cancel)
            assert isinstance(event, e.Clearance)
            each.sealer.verify(event)


def test_the_kill_switch_cancels_first_then_latches_until_released(desk: Desk) -> None:
    desk.full()
    names = [type(event).__name__ for event in desk.kill()]
    assert names == ["QuoteCancelCleared", "OrdersCancelCleared", "KillSwitchEngaged", "CommandApplied"]
    assert reason(desk.submit()) == "killed"
    for command in (c.ResumeQuoting, c.ResetProtection, c.PauseQuoting):
        desk.apply(command(**desk.head, user="u", reason="r"))
    assert reason(desk.submit()) == "killed"
    assert [type(event).__name__ for event in desk.release()] == ["KillSwitchReleased", "CommandApplied"]
    assert reason(desk.submit()) == ""
    assert [type(event) for event in desk.release()] == [e.CommandRefused]


def test_a_kill_repeated_within_a_second_does_not_spam_the_venues(desk: Desk) -> None:
    desk.kill()
    assert [type(event) for event in desk.kill()] == [e.CommandApplied]
    desk.now += desk.second
    again = desk.kill()
    assert [type(event).__name__ for event in again] == ["QuoteCancelCleared", "OrdersCancelCleared", "CommandApplied"]


def test_a_kill_for_the_firm_is_answered_by_the_underlying(desk: Desk) -> None:
    head = desk.head | {"underlying": ""}
    events = desk.apply(c.EngageKillSwitch(**head, user="u", reason="r"))
    assert {event.underlying for event in events} == {"XYZ"}
    assert any(isinstance(event, e.KillSwitchEngaged) for event in events)
    other = desk.head | {"underlying": "ABC"}
    assert desk.apply(c.ReleaseKillSwitch(**other, user="u", reason="r")) == []


@pytest.mark.parametrize(("first", "second"), [("", "XYZ"), ("XYZ", "")])
def test_firm_and_underlying_are_released_each_by_itself(desk: Desk, first: str, second: str) -> None:
    def act(kind: type[c.OperatorCommand], underlying: str) -> list[str]:
        events = desk.apply(kind(**desk.head | {"underlying": underlying}, user="u", reason="r"))
        return [type(event).__name__ for event in events]

    act(c.EngageKillSwitch, first)
    assert act(c.ReleaseKillSwitch, second) == ["CommandRefused"]
    assert reason(desk.submit()) == "killed"
    act(c.EngageKillSwitch, second)
    assert act(c.ReleaseKillSwitch, second) == ["CommandApplied"]
    assert reason(desk.submit()) == "killed"
    assert act(c.ReleaseKillSwitch, first) == ["KillSwitchReleased", "CommandApplied"]
    assert reason(desk.submit()) != "killed"


def test_a_release_names_user_and_reason(desk: Desk) -> None:
    desk.kill()
    (event,) = desk.apply(c.ReleaseKillSwitch(**desk.head, user="u", reason=""))
    assert isinstance(event, e.CommandRefused)
    assert reason(desk.submit()) == "killed"


def test_limits_change_whole_or_not_at_all(desk: Desk) -> None:
    (event,) = desk.limit(max_stock_order=50, max_everything=1)
    assert isinstance(event, e.CommandRefused)
    assert "max_everything" in event.reason
    assert reason(desk.submit()) == ""
    (event,) = desk.limit(max_stock_order=50)
    assert isinstance(event, e.CommandApplied)
    assert reason(desk.submit(quantity=99)) == "size"
    (event,) = desk.apply(c.ChangeLimits(**desk.head, user="", reason="r", limits={"max_stock_order": 500}))
    assert isinstance(event, e.CommandRefused)


def test_other_commands_are_answered(desk: Desk) -> None:
    for command in (c.PauseQuoting, c.ResumeQuoting, c.Flatten, c.ResetProtection):
        (event,) = desk.apply(command(**desk.head, user="u", reason="r"))
        assert isinstance(event, e.CommandApplied)
        assert (event.command, event.user, event.reason) == (command.__name__, "u", "r")
    desk.kill()
    (event,) = desk.apply(c.Flatten(**desk.head, user="u", reason="r"))
    assert isinstance(event, e.CommandRefused)
