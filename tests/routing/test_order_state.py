from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import events as e
from domain.commands import STOCK, ReplaceOrder, RequestOrderStatus, ResetProtection, Side, SubmitOrder
from domain.errors import DataError, InputError
from domain.stage import Stage
from routing.order_state import TABLE, TERMINAL, OrderBook, OrderBookSettings, OrderState

if TYPE_CHECKING:
    from tests.routing.conftest import Market

X, S = e.ExecType, e.OrdStatus
LEAVES_TERMINAL = (X.TRADE, X.TRADE_CANCEL, X.TRADE_CORRECT)


def report(market: Market, exec_type: e.ExecType, status: e.OrdStatus, **terms: Any) -> e.ExecutionReported:  # noqa: ANN401 - any field
    """What a stock venue says about order `a`, a buy of 100."""
    plain: dict[str, Any] = {
        "venue": 3,
        "clordid": "a",
        "orig_clordid": "",
        "quote_set_id": "",
        "exec_id": f"SIMS-{next(_ids)}",
        "exec_ref_id": "",
        "contract": STOCK,
        "side": "buy",
        "last_qty": 0,
        "last_px": 1_000_000 if exec_type in LEAVES_TERMINAL else 0,
        "cum_qty": 0,
        "leaves_qty": 0,
        "fee": 0,
        "adds_liquidity": False,
        "text": "",
    }
    return e.ExecutionReported(**market.head, exec_type=exec_type, ord_status=status, **{**plain, **terms})


_ids = itertools.count(1)


def trade(market: Market, quantity: int, cum: int, leaves: int, **terms: Any) -> e.ExecutionReported:  # noqa: ANN401 - any field
    status = terms.pop("status", S.FILLED if leaves == 0 else S.PARTIALLY_FILLED)
    return report(market, X.TRADE, status, last_qty=quantity, cum_qty=cum, leaves_qty=leaves, **terms)


def book_with(market: Market, *reports: e.Event, **settings: Any) -> OrderBook:  # noqa: ANN401 - any field
    book = OrderBook(market.chain, "XYZ", OrderBookSettings(**settings))
    book.apply(market.order("a"))
    for each in reports:
        book.apply(each)
    return book


def state_of(book: OrderBook) -> OrderState:
    return book.orders["a"].state


def names(events: Iterable[e.Event]) -> list[str]:
    return [type(event).__name__ for event in events]


# --- the table --------------------------------------------------------------------------------------------------------
def test_terminal_states_are_left_only_by_a_bust_a_correction_or_a_late_fill() -> None:
    for (state, exec_type), cell in TABLE.items():
        if state in TERMINAL and exec_type not in LEAVES_TERMINAL:
            assert set(cell) == {state}


def test_every_state_is_reached_and_every_exec_type_is_used() -> None:
    reached = {state for cell in TABLE.values() for state in cell} | {OrderState.NEW}
    by_us = {OrderState.PENDING_NEW, OrderState.UNKNOWN}
    assert reached | by_us == set(OrderState)
    assert {exec_type for _, exec_type in TABLE} == set(X)


def test_it_is_a_stage(market: Market) -> None:
    assert isinstance(OrderBook(market.chain, "XYZ"), Stage)


# --- the usual lives --------------------------------------------------------------------------------------------------
def test_an_order_is_acknowledged_filled_in_parts_and_done(market: Market) -> None:
    book = book_with(market)
    told = [
        *book.apply(report(market, X.NEW, S.NEW, leaves_qty=100)),
        *book.apply(trade(market, 40, 40, 60)),
        *book.apply(trade(market, 60, 100, 0)),
    ]
    states = [(t.before, t.after, t.cum_qty, t.leaves_qty) for t in told if isinstance(t, e.OrderStateChanged)]
    assert states == [
        ("pending_new", "new", 0, 100),
        ("new", "partially_filled", 40, 60),
        ("partially_filled", "filled", 100, 0),
    ]
    fills = [t for t in told if isinstance(t, e.OrderFilled)]
    assert [(f.quantity, f.is_quote, f.intent, f.clordid) for f in fills] == [
        (40, False, "hedge", "a"),
        (60, False, "hedge", "a"),
    ]
    assert fills[0].fill_id.startswith("3:SIMS-")


def test_a_fill_before_the_acknowledgement_counts_and_the_late_acknowledgement_changes_nothing(market: Market) -> None:
    book = book_with(market, trade(market, 40, 40, 60))
    assert state_of(book) == OrderState.PARTIALLY_FILLED
    assert book.apply(report(market, X.NEW, S.NEW, leaves_qty=100)) == []
    assert book.orders["a"].cum == 40


def test_a_late_fill_after_a_cancel_counts(market: Market) -> None:
    book = book_with(market, report(market, X.CANCELED, S.CANCELED))
    told = book.apply(trade(market, 30, 30, 0, status=S.CANCELED))
    assert names(told) == ["OrderFilled", "OrderStateChanged"]
    assert (state_of(book), book.orders["a"].cum) == (OrderState.CANCELED, 30)


def test_fills_in_the_wrong_order_end_filled(market: Market) -> None:
    book = book_with(market, trade(market, 60, 100, 0), trade(market, 40, 40, 60))
    assert (state_of(book), book.orders["a"].cum) == (OrderState.FILLED, 100)


def test_executions_that_the_venue_counted_and_we_did_not_see_are_reconciled(market: Market) -> None:
    book = book_with(market, report(market, X.CANCELED, S.CANCELED, cum_qty=40), ack_timeout_ms=1_000)
    told = book.apply(e.TimerFired(**market.later().head, timer="1s"))
    assert [t.reason for t in told if isinstance(t, e.ReconciliationNeeded)] == ["executions are missing"]


def test_silence_is_unknown_asks_for_reconciliation_once_and_sends_nothing(market: Market) -> None:
    book = book_with(market, ack_timeout_ms=5_000)
    assert book.apply(e.TimerFired(**market.later(4_999_999_999).head, timer="1s")) == ()
    told = book.apply(e.TimerFired(**market.later(1).head, timer="1s"))
    assert names(told) == ["OrderStateChanged", "ReconciliationNeeded", "RequestOrderStatus"]
    assert state_of(book) == OrderState.UNKNOWN
    assert names(book.apply(e.TimerFired(**market.later().head, timer="1s"))) == ["RequestOrderStatus"]
    told = book.apply(trade(market, 100, 100, 0))
    assert names(told) == ["OrderFilled", "OrderStateChanged", "ReconciliationEnded"]
    assert state_of(book) == OrderState.FILLED


@pytest.mark.parametrize(
    ("status", "cum", "leaves", "state"),
    [
        (S.NEW, 0, 100, OrderState.NEW),
        (S.CANCELED, 0, 0, OrderState.CANCELED),
        (S.REJECTED, 0, 0, OrderState.REJECTED),
        (S.EXPIRED, 0, 0, OrderState.EXPIRED),
    ],
)
def test_a_status_report_settles_an_unknown_outcome(
    market: Market, status: e.OrdStatus, cum: int, leaves: int, state: OrderState
) -> None:
    book = book_with(market, e.VenueStatusChanged(**market.head, venue=3, is_up=False, reason="gone"))
    assert state_of(book) == OrderState.UNKNOWN
    book.apply(report(market, X.ORDER_STATUS, status, cum_qty=cum, leaves_qty=leaves))
    assert state_of(book) == state


def test_cancel_and_its_refusal(market: Market) -> None:
    book = book_with(market, report(market, X.NEW, S.NEW, leaves_qty=100))
    book.apply(market.cancel("c", "a"))
    assert state_of(book) == OrderState.PENDING_CANCEL
    refused = e.CancelRejected(
        **market.head, venue=3, clordid="c", orig_clordid="a", ord_status=S.NEW, reason="too late"
    )
    book.apply(refused)
    assert state_of(book) == OrderState.NEW
    book.apply(market.cancel("c2", "a"))
    book.apply(report(market, X.CANCELED, S.CANCELED, clordid="c2", orig_clordid="a"))
    assert state_of(book) == OrderState.CANCELED


def test_a_cancel_refused_because_the_order_is_gone_is_unknown(market: Market) -> None:
    book = book_with(market)
    book.apply(market.cancel("c", "a"))
    gone = e.CancelRejected(
        **market.head, venue=3, clordid="c", orig_clordid="a", ord_status=S.REJECTED, reason="no such order"
    )
    assert names(book.apply(gone)) == ["OrderStateChanged", "ReconciliationNeeded", "RequestOrderStatus"]
    assert state_of(book) == OrderState.UNKNOWN


def test_replace_changes_the_quantity_and_fills_may_overtake_it(market: Market) -> None:
    book = book_with(market, report(market, X.NEW, S.NEW, leaves_qty=100))
    book.apply(market.replace("b", "a", quantity=150))
    assert state_of(book) == OrderState.PENDING_REPLACE
    book.apply(trade(market, 100, 100, 50, clordid="b"))
    assert state_of(book) == OrderState.PENDING_REPLACE
    book.apply(report(market, X.REPLACED, S.NEW, clordid="b", orig_clordid="a", leaves_qty=150))
    assert (state_of(book), book.orders["a"].quantity) == (OrderState.PARTIALLY_FILLED, 150)
    book.apply(trade(market, 50, 150, 0, clordid="b"))
    assert state_of(book) == OrderState.FILLED


def test_cancel_all_marks_every_working_order(market: Market) -> None:
    book = book_with(market)
    book.apply(market.order("b"))
    assert len(book.apply(market.cancel_all(3))) == 2
    assert {order.state for order in book.orders.values()} == {OrderState.PENDING_CANCEL}


def test_an_order_is_sent_once(market: Market) -> None:
    with pytest.raises(InputError, match="sent before"):
        book_with(market).apply(market.order("a"))


# --- busts and corrections --------------------------------------------------------------------------------------------
def test_a_bust_takes_the_fill_back_and_the_venue_says_whether_the_rest_works(market: Market) -> None:
    for status, leaves, state in ((S.NEW, 100, OrderState.NEW), (S.CANCELED, 0, OrderState.CANCELED)):
        fill = trade(market, 100, 100, 0)
        book = book_with(market, fill)
        bust = report(market, X.TRADE_CANCEL, status, exec_ref_id=fill.exec_id, leaves_qty=leaves)
        told = book.apply(bust)
        assert names(told) == ["FillBusted", "OrderStateChanged"]
        assert (state_of(book), book.orders["a"].cum) == (state, 0)
        assert book.apply(bust) == []
        again = report(market, X.TRADE_CANCEL, status, exec_ref_id=fill.exec_id, leaves_qty=leaves)
        assert names(book.apply(again)) == ["ReconciliationNeeded", "RequestOrderStatus"]


def test_a_correction_changes_terms_and_a_later_bust_takes_the_corrected_ones_back(market: Market) -> None:
    fill = trade(market, 100, 100, 0)
    book = book_with(market, fill)
    correction = report(
        market, X.TRADE_CORRECT, S.PARTIALLY_FILLED, exec_ref_id=fill.exec_id, last_qty=70, cum_qty=70, leaves_qty=30
    )
    told = book.apply(correction)
    assert isinstance(told[0], e.FillCorrected)
    assert (told[0].old_quantity, told[0].quantity) == (100, 70)
    assert state_of(book) == OrderState.PARTIALLY_FILLED
    bust = report(market, X.TRADE_CANCEL, S.NEW, exec_ref_id=correction.exec_id, leaves_qty=100)
    (busted, _) = book.apply(bust)
    assert isinstance(busted, e.FillBusted)
    assert (busted.quantity, busted.fill_id) == (70, told[0].fill_id)


def test_a_bust_that_comes_first_waits_for_its_execution(market: Market) -> None:
    fill = trade(market, 100, 100, 0)
    bust = report(market, X.TRADE_CANCEL, S.CANCELED, exec_ref_id=fill.exec_id)
    book = book_with(market)
    assert names(book.apply(bust)) == ["ReconciliationNeeded", "RequestOrderStatus"]
    assert [name for name in names(book.apply(fill)) if name.startswith("Order") is False] == ["FillBusted"]
    assert book.orders["a"].cum == 0


def test_executions_of_quotes_are_counted_once_too(market: Market) -> None:
    book = OrderBook(market.chain, "XYZ")
    fill = trade(market, 5, 5, 0, clordid="", quote_set_id="Q1", contract=3, venue=0)
    (filled,) = book.apply(fill)
    assert isinstance(filled, e.OrderFilled)
    assert (filled.is_quote, filled.intent, filled.contract) == (True, "quote", 3)
    assert book.apply(fill) == []
    bust = report(market, X.TRADE_CANCEL, S.CANCELED, clordid="", quote_set_id="Q1", venue=0, exec_ref_id=fill.exec_id)
    assert names(book.apply(bust)) == ["FillBusted"]


# --- what is not believed ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("terms", "unbooked"),
    [
        ({"last_qty": 0, "cum_qty": 0, "leaves_qty": 100}, 0),
        ({"last_qty": 40, "cum_qty": 40, "leaves_qty": 60, "side": "sell"}, 40),
        ({"last_qty": 40, "cum_qty": 40, "leaves_qty": 60, "contract": 3}, 40),
        ({"last_qty": 40, "cum_qty": 40, "leaves_qty": 60, "venue": 4}, 40),
        ({"last_qty": 40, "cum_qty": 40, "leaves_qty": 60, "last_px": 0}, 40),
        ({"last_qty": 40, "cum_qty": 40, "leaves_qty": 60, "clordid": "nobody"}, 40),
    ],
)
def test_what_cannot_be_an_execution_of_our_order_is_not_booked_but_told(
    market: Market, terms: dict[str, Any], unbooked: int
) -> None:
    book = book_with(market, report(market, X.NEW, S.NEW, leaves_qty=100))
    told = book.apply(report(market, X.TRADE, S.PARTIALLY_FILLED, **terms))
    is_ours = terms.get("clordid") != "nobody"
    assert names(told) == ["ReconciliationNeeded", *["RequestOrderStatus"] * is_ours]
    assert isinstance(told[0], e.ReconciliationNeeded)
    assert (told[0].unbooked, told[0].exec_id != "") == (unbooked, True)
    assert (state_of(book), book.orders["a"].cum) == (OrderState.NEW, 0)


@pytest.mark.parametrize(
    "terms",
    [
        {"last_qty": 40, "cum_qty": 40, "leaves_qty": 50},
        {"last_qty": 40, "cum_qty": 30, "leaves_qty": 70},
        {"last_qty": 40, "cum_qty": 40, "leaves_qty": 60, "ord_status": S.FILLED},
        {"last_qty": 40, "cum_qty": 40, "leaves_qty": 60, "ord_status": S.NEW},
        {"last_qty": 40, "cum_qty": 140, "leaves_qty": 0, "ord_status": S.CANCELED},
    ],
)
def test_an_execution_whose_totals_are_wrong_is_booked_and_disputed(market: Market, terms: dict[str, Any]) -> None:
    """The venue's word on what traded holds; what it says of the order does not."""
    book = book_with(market, report(market, X.NEW, S.NEW, leaves_qty=100))
    status = terms.pop("ord_status", S.PARTIALLY_FILLED)
    told = book.apply(report(market, X.TRADE, status, **terms))
    assert names(told) == ["OrderFilled", "ReconciliationNeeded", "RequestOrderStatus", "OrderStateChanged"]
    assert (state_of(book), book.orders["a"].cum) == (OrderState.PARTIALLY_FILLED, 40)
    assert not book.orders["a"].is_settled


@pytest.mark.parametrize(("side", "limit", "asked"), [("buy", 1_001_000, 1_002_000), ("sell", 999_000, 998_000)])
def test_an_execution_beyond_our_limit_is_booked_and_disputed(
    market: Market, side: Side, limit: int, asked: int
) -> None:
    outward = 1 if side == "buy" else -1
    book = OrderBook(market.chain, "XYZ")
    book.apply(market.order("a", side=side, price=limit, tif="day"))
    assert names(book.apply(trade(market, 10, 10, 90, side=side, last_px=limit))) == [
        "OrderFilled",
        "OrderStateChanged",
    ]
    beyond = book.apply(trade(market, 10, 20, 80, side=side, last_px=limit + outward))
    assert names(beyond) == ["OrderFilled", "ReconciliationNeeded", "RequestOrderStatus", "OrderStateChanged"]
    book.apply(market.replace("b", "a", side=side, price=asked))
    assert "ReconciliationNeeded" not in names(book.apply(trade(market, 10, 30, 70, side=side, last_px=asked)))


def test_a_market_order_has_no_limit_to_go_beyond(market: Market) -> None:
    book = OrderBook(market.chain, "XYZ")
    book.apply(market.order("a", order_type="market", price=0))
    assert "ReconciliationNeeded" not in names(book.apply(trade(market, 100, 100, 0, last_px=9_999_999)))


def test_an_execution_repeated_unasked_with_other_terms_is_a_lie(market: Market) -> None:
    fill = trade(market, 40, 40, 60, exec_id="same")
    book = book_with(market, fill)
    assert book.apply(fill) == []
    told = book.apply(trade(market, 50, 50, 50, exec_id="same"))
    assert names(told) == ["ReconciliationNeeded", "RequestOrderStatus"]
    assert book.orders["a"].cum == 40


# --- laws -------------------------------------------------------------------------------------------------------------
any_report = st.fixed_dictionaries(
    {
        "exec_type": st.sampled_from(list(X)),
        "status": st.sampled_from(list(S)),
        "last_qty": st.sampled_from([0, 30, 40, 60, 100]),
        "cum_qty": st.sampled_from([0, 30, 40, 60, 100]),
        "leaves_qty": st.sampled_from([0, 40, 60, 70, 100]),
        "exec_id": st.integers(1, 8).map(str),
        "exec_ref_id": st.integers(1, 8).map(str),
        "clordid": st.sampled_from(["a", "a", "a", "b", "c"]),
        "status_id": st.sampled_from(["", "", "a-S1"]),
        "avg_px": st.sampled_from([0.0, 1_000_000.0]),
    }
)
acts = st.sampled_from(["cancel", "replace", "mass", "down", "up", "refuse", "timer", "close", "reset"])


def act(market: Market, what: str) -> e.Event:  # noqa: PLR0911  # one line for each
    match what:
        case "cancel":
            return market.cancel("c", "a")
        case "replace":
            return market.replace("b", "a", quantity=100)
        case "mass":
            return market.cancel_all()
        case "down":
            return e.VenueStatusChanged(**market.head, venue=3, is_up=False, reason="gone")
        case "up":
            return e.VenueStatusChanged(**market.head, venue=3, is_up=True, reason="back")
        case "close":
            return market.session("closed")
        case "reset":
            return ResetProtection(**market.head, user="u", reason="r")
        case "refuse":
            return e.CancelRejected(
                **market.head, venue=3, clordid="c", orig_clordid="a", ord_status=S.NEW, reason="no"
            )
        case _:
            return e.TimerFired(**market.head, timer="1s")


def messages(market: Market, steps: list[Any]) -> list[e.Event]:
    found: list[e.Event] = []
    for step in steps:
        market.later()
        if isinstance(step, str):
            found.append(act(market, step))
        else:
            terms = dict(step)
            found.append(report(market, terms.pop("exec_type"), terms.pop("status"), **terms))
    return found


@given(steps=st.lists(st.one_of(any_report, acts), max_size=30))
def test_whatever_a_venue_says_the_laws_of_orders_hold(steps: list[Any]) -> None:
    """Terminal states, counting once, no more than ordered from a venue that is trusted, nothing ever resent."""
    from tests.routing.conftest import Market

    market = Market()
    book = book_with(market)
    counted: dict[str, int] = {}
    asked: set[str] = set()
    is_trusted, is_reset = True, False
    for message in messages(market, steps):
        order = book.orders["a"]
        before, cum = order.state, order.cum
        told = list(book.apply(message))
        assert not any(isinstance(fact, SubmitOrder | ReplaceOrder | e.OrderCleared) for fact in told)
        for fact in told:
            if isinstance(fact, RequestOrderStatus):
                assert fact.status_id not in asked
                asked.add(fact.status_id)
            elif isinstance(fact, e.VenueTrustChanged):
                assert is_trusted != fact.is_trusted
                is_trusted = fact.is_trusted
        for fact in told:
            if isinstance(fact, e.OrderFilled):
                assert fact.fill_id not in counted
                counted[fact.fill_id] = fact.quantity
            elif isinstance(fact, e.FillCorrected):
                assert counted[fact.fill_id] == fact.old_quantity
                counted[fact.fill_id] = fact.quantity
            elif isinstance(fact, e.FillBusted):
                assert counted[fact.fill_id] == fact.quantity
                counted[fact.fill_id] = 0
        assert order.cum == sum(counted.values())
        assert order.cum >= 0
        is_reset |= isinstance(message, ResetProtection)
        assert is_reset or is_trusted == (order.cum <= 100)
        if before in TERMINAL and order.state != before:
            assert isinstance(message, e.ExecutionReported)
            assert message.exec_type in LEAVES_TERMINAL
        if isinstance(message, e.ExecutionReported) and (before, message.exec_type) not in TABLE:
            assert (order.state, order.cum) == (before, cum)
        if (order.state, order.cum) != (before, cum):
            assert any(isinstance(fact, e.OrderStateChanged) for fact in told)


@given(steps=st.lists(st.one_of(any_report, acts), max_size=30), cut=st.integers(0, 30))
def test_a_restored_order_book_goes_on_as_the_original_would(steps: list[Any], cut: int) -> None:
    from tests.routing.conftest import Market

    market = Market()
    first, second = book_with(market), book_with(market)
    for place, message in enumerate(messages(market, steps)):
        if place == cut:
            fresh = OrderBook(market.chain, "XYZ")
            fresh.restore(second.snapshot())
            second = fresh
        assert list(first.apply(message)) == list(second.apply(message))
    assert first.snapshot() == second.snapshot()


@given(data=st.data(), seed=st.integers(0, 1_000))
def test_position_is_the_venues_own_book_under_repetition_and_reordering(data: st.DataObject, seed: int) -> None:
    from tests.routing.conftest import Market

    market = Market()
    exchange = market.exchange(3, seed=seed)
    book = OrderBook(market.chain, "XYZ")
    reports: list[e.Event] = []
    for count in range(data.draw(st.integers(1, 5))):
        market.later()
        exchange.on_market(market.stock(ask_size=data.draw(st.integers(1, 300))))
        order = market.order(f"O{count}", quantity=data.draw(st.integers(1, 200)))
        book.apply(order)
        reports += exchange.submit(order, market.now)
    told = data.draw(st.permutations(reports + data.draw(st.lists(st.sampled_from(reports), max_size=5))))
    shares = sum(fact.quantity for message in told for fact in book.apply(message) if isinstance(fact, e.OrderFilled))
    assert shares == exchange.positions()[1]
    assert all(order.state in TERMINAL for order in book.orders.values())


def test_a_snapshot_of_another_stage_is_refused(market: Market) -> None:
    with pytest.raises(DataError):
        OrderBook(market.chain, "XYZ").restore(market.exchange(0).snapshot())
