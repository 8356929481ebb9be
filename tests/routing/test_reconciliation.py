"""An unknown outcome is asked about until the venue's answer and our own count agree; nothing is ever resent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from domain.errors import InputError
from routing.misbehaviour import Misbehaving, Misbehaviour
from routing.order_history import UNKNOWN_ORDER
from routing.order_state import TERMINAL, OrderBook, OrderBookSettings, OrderState

if TYPE_CHECKING:
    from routing.exchange import Exchange
    from tests.routing.conftest import Market

X, S = e.ExecType, e.OrdStatus


def kinds(events: list[e.Event]) -> list[str]:
    return [r.exec_type.name if isinstance(r, e.ExecutionReported) else type(r).__name__ for r in events]


class Wire:
    """An order book, a stock venue that shows 60 shares at 100.02, and the way between them, answers lost or not."""

    def __init__(self, market: Market, how: Misbehaviour | None = None, seed: int = 5, **settings: int) -> None:
        self.market = market
        self.exchange: Exchange = market.exchange(3, join_probability=1.0)
        self.venue = Misbehaving(self.exchange, how or Misbehaviour(), seed)
        self.book = OrderBook(market.chain, "XYZ", OrderBookSettings(**settings))
        self.told: list[e.Event] = []
        self.sent: list[str] = []
        self.is_connected = True
        self.venue.on_market(market.stock(ask_size=100))

    def hear(self, event: e.Event) -> list[e.Event]:
        """Apply an event, and carry what it asks for to the venue."""
        told = list(self.book.apply(event))
        self.told += told
        for out in told:
            if isinstance(out, c.RequestOrderStatus):
                self.carry(e.OrderStatusCleared(**self.market.clearance, request=out))
            elif isinstance(out, c.CancelOrder):
                self.carry(e.OrderCancelCleared(**self.market.clearance, cancel=out))
        return told

    def carry(self, clearance: e.Clearance) -> None:
        """A clearance leaves: the book sees it, then the venue, whose answers come back."""
        if not isinstance(clearance, e.OrderStatusCleared):
            self.hear(clearance)
        if isinstance(clearance, e.OrderCleared):
            self.sent.append(clearance.order.clordid)
        if self.is_connected:
            for answer in self.venue.submit(clearance, self.market.now):
                self.hear(answer)

    def order(self, clordid: str, **terms: Any) -> None:  # noqa: ANN401 - any field
        self.carry(self.market.order(clordid, **terms))

    def wait(self, seconds: int) -> list[e.Event]:
        """Let time pass, a second at a time."""
        before = len(self.told)
        for _ in range(seconds):
            self.hear(e.TimerFired(**self.market.later().head, timer="1s"))
        return self.told[before:]

    def of(self, kind: type[e.Event]) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    @property
    def shares(self) -> int:
        """What we hold by our own count."""
        fills = {fill.fill_id: fill.quantity * (1 if fill.side == "buy" else -1) for fill in self.of(e.OrderFilled)}
        for fixed in self.of(e.FillCorrected):
            fills[fixed.fill_id] = fixed.quantity * (1 if fixed.side == "buy" else -1)
        return sum(fills.values())


def lossy(market: Market) -> Wire:
    """A venue that is cut off: what is sent now is never answered, until it is connected."""
    wire = Wire(market)
    wire.venue = Misbehaving(wire.exchange, Misbehaviour(drop_rate=1.0), 5)
    return wire


def listen(wire: Wire) -> Wire:
    wire.venue = Misbehaving(wire.exchange, Misbehaviour(), 5)
    return wire


# --- the venue's answer -----------------------------------------------------------------------------------------------
def ask(market: Market, clordid: str, name: str = "S1", venue: int = 3) -> e.OrderStatusCleared:
    request = c.RequestOrderStatus(
        **market.head, status_id=name, clordid=clordid, venue=venue, contract=c.STOCK, side="buy"
    )
    return e.OrderStatusCleared(**market.clearance, request=request)


def test_a_venue_repeats_the_executions_under_their_first_names_then_tells_the_status(market: Market) -> None:
    venue = market.exchange(3, join_probability=1.0)
    venue.on_market(market.stock(ask_size=100))
    first = venue.submit(market.order("a", quantity=500), market.now)
    (trade,) = [r for r in first if isinstance(r, e.ExecutionReported) and r.exec_type == X.TRADE]
    books = venue.positions()[1], venue.cash()
    again, status = venue.submit(ask(market.later(), "a"), market.now)
    assert isinstance(again, e.ExecutionReported)
    assert isinstance(status, e.ExecutionReported)
    assert (again.exec_id, again.last_qty, again.last_px, again.fee) == (
        trade.exec_id,
        trade.last_qty,
        trade.last_px,
        trade.fee,
    )
    assert (again.is_possible_repeat, again.status_id, again.ts_event) == (True, "S1", market.now)
    assert (status.exec_type, status.ord_status, status.status_id) == (X.ORDER_STATUS, S.CANCELED, "S1")
    assert (status.cum_qty, status.leaves_qty, status.avg_px) == (trade.last_qty, 0, float(trade.last_px))
    assert (venue.positions()[1], venue.cash()) == books, "an answer trades nothing"


def test_an_order_that_never_arrived_is_answered_as_rejected(market: Market) -> None:
    (answer,) = market.exchange(3).submit(ask(market, "nobody"), market.now)
    assert isinstance(answer, e.ExecutionReported)
    assert (answer.exec_type, answer.ord_status, answer.text) == (X.ORDER_STATUS, S.REJECTED, UNKNOWN_ORDER)
    assert (answer.clordid, answer.cum_qty, answer.leaves_qty) == ("nobody", 0, 0)


def test_a_question_is_for_one_venue(market: Market) -> None:
    with pytest.raises(InputError, match="another venue"):
        market.exchange(3).submit(ask(market, "a", venue=4), market.now)


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (lambda m, v: v.submit(m.cancel("c", "a"), m.now), S.CANCELED),
        (lambda m, v: v.submit(m.cancel_all(), m.now), S.CANCELED),
        (lambda m, v: v.submit(m.replace("b", "a", quantity=50, price=990_000), m.now), S.NEW),
        (lambda m, v: v.submit(m.order("a"), m.now), S.NEW),
        (lambda _, v: v.disconnect(), S.CANCELED),
        (lambda m, v: v.on_market(m.session("closed")), S.EXPIRED),
    ],
)
def test_a_status_is_what_the_order_is_now_by_any_name_and_after_a_snapshot(
    market: Market,
    act: Any,  # noqa: ANN401 - what happens to it
    status: e.OrdStatus,
) -> None:
    venue = market.exchange(3, join_probability=1.0)
    venue.on_market(market.stock(ask_size=100))
    venue.submit(market.order("a", price=990_000, tif="day"), market.now)
    act(market, venue)
    copy = market.exchange(3, join_probability=1.0)
    copy.restore(venue.snapshot())
    question = ask(market, "a")
    (answer,) = venue.submit(question, market.now)
    assert isinstance(answer, e.ExecutionReported)
    assert answer.ord_status == status
    assert copy.submit(question, market.now) == [answer]


# --- the loop ---------------------------------------------------------------------------------------------------------
def test_a_lost_execution_is_booked_when_the_venue_is_asked_and_the_order_is_settled(market: Market) -> None:
    wire = lossy(market)
    wire.order("a", quantity=60)
    listen(wire)
    told = wire.wait(5)
    assert [type(event).__name__ for event in told] == [
        "OrderStateChanged",
        "ReconciliationNeeded",
        "RequestOrderStatus",
        "OrderFilled",
        "OrderStateChanged",
        "ReconciliationEnded",
    ]
    assert wire.book.orders["a"].state == OrderState.FILLED
    assert wire.shares == wire.exchange.positions()[1] == 60
    (ended,) = wire.of(e.ReconciliationEnded)
    assert (ended.is_settled, ended.tries) == (True, 1)
    assert wire.sent == ["a"]


def test_an_order_that_the_venue_never_got_was_never_accepted(market: Market) -> None:
    wire = Wire(market)
    wire.is_connected = False
    wire.order("a")
    wire.is_connected = True
    wire.wait(5)
    assert wire.book.orders["a"].state == OrderState.REJECTED
    assert (wire.shares, wire.exchange.positions()[1], wire.sent) == (0, 0, ["a"])


def test_the_lost_end_of_an_order_that_never_rests_is_asked_for(market: Market) -> None:
    """Acknowledged and part filled; only the cancel of the rest was lost."""
    wire = Wire(market)
    order = market.order("a", quantity=500)
    wire.hear(order)
    for answer in wire.exchange.submit(order, market.now)[:-1]:
        wire.hear(answer)
    assert [change.after for change in wire.of(e.OrderStateChanged)][-1] == OrderState.PARTIALLY_FILLED
    wire.wait(5)
    assert wire.book.orders["a"].state == OrderState.CANCELED
    assert wire.shares == wire.exchange.positions()[1]


def test_a_venue_that_stays_silent_is_asked_with_a_growing_pause_and_then_given_up(market: Market) -> None:
    wire = lossy(market)
    wire.book = OrderBook(
        market.chain, "XYZ", OrderBookSettings(status_retry_ms=1_000, max_status_retry_ms=8_000, max_status_tries=6)
    )
    start = market.now
    wire.order("a", quantity=60)
    told = wire.wait(120)
    asked = [(event.ts_event - start) // 1_000_000_000 for event in told if isinstance(event, c.RequestOrderStatus)]
    assert asked == [5, 6, 8, 12, 20, 28]
    assert len({event.status_id for event in told if isinstance(event, c.RequestOrderStatus)}) == 6
    (ended,) = wire.of(e.ReconciliationEnded)
    assert (ended.is_settled, ended.tries, (ended.ts_event - start) // 1_000_000_000) == (False, 6, 36)
    order = wire.book.orders["a"]
    assert (order.state, order.leaves) == (OrderState.UNKNOWN, 60), "it may still have traded, and is counted so"

    listen(wire).hear(e.VenueStatusChanged(**market.head, venue=3, is_up=True, reason="back"))
    assert wire.book.orders["a"].state == OrderState.FILLED
    assert [ended.is_settled for ended in wire.of(e.ReconciliationEnded)] == [False, True]


def test_a_venue_that_is_down_is_asked_when_it_is_up_again_and_not_before(market: Market) -> None:
    wire = lossy(market)
    wire.order("a", quantity=60)
    listen(wire).hear(e.VenueStatusChanged(**market.head, venue=3, is_up=False, reason="link"))
    assert wire.wait(100) == []
    wire.hear(e.VenueStatusChanged(**market.head, venue=3, is_up=True, reason="back"))
    assert (wire.book.orders["a"].state, wire.shares) == (OrderState.FILLED, 60)


def test_what_is_open_at_the_close_is_asked_about_once_more_and_what_stays_open_is_told(market: Market) -> None:
    wire = lossy(market)
    wire.order("a", quantity=60)
    assert kinds(wire.hear(market.session("closed"))) == ["RequestOrderStatus"]
    (told,) = wire.hear(e.RunEnded(**market.head, reason="end of feed"))
    assert isinstance(told, e.ReconciliationEnded)
    assert not told.is_settled


def test_an_order_that_still_works_though_its_cancel_was_sent_is_cancelled_again(market: Market) -> None:
    wire = Wire(market)
    wire.order("a", price=990_000, tif="day")
    wire.is_connected = False
    wire.carry(market.cancel("c", "a"))
    wire.is_connected = True
    wire.wait(5)
    assert wire.book.orders["a"].state == OrderState.CANCELED
    assert wire.exchange.resting().orders == ()
    assert all(ended.is_settled for ended in wire.of(e.ReconciliationEnded))


def test_a_lost_replacement_is_found_out(market: Market) -> None:
    """By the answer: it took and its report was lost, or it never arrived."""
    for took, quantity in ((True, 80), (False, 100)):
        wire = Wire(market)
        wire.order("a", price=990_000, tif="day")
        replace = market.replace("b", "a", quantity=80, price=990_000)
        wire.hear(replace)
        if took:
            wire.exchange.submit(replace, market.now)
        wire.wait(5)
        order = wire.book.orders["a"]
        assert (order.state, order.quantity, order.pending_replace) == (OrderState.NEW, quantity, "")


# --- more than was ordered --------------------------------------------------------------------------------------------
def overfill(market: Market) -> tuple[OrderBook, e.ExecutionReported, list[e.Event]]:
    """A buy of 100 executed twice over 100, by the venue's word."""
    book = OrderBook(market.chain, "XYZ")
    order = market.order("a", quantity=100, tif="day")
    book.apply(order)
    venue = market.exchange(3, join_probability=1.0)
    venue.on_market(market.stock(ask_size=1_000))
    reports = [r for r in venue.submit(order, market.now) if isinstance(r, e.ExecutionReported)]
    trade = next(r for r in reports if r.exec_type == X.TRADE)
    for each in reports:
        book.apply(each)
    assert book.orders["a"].state == OrderState.FILLED
    second = e.ExecutionReported(**{name: getattr(trade, name) for name in trade.__struct_fields__} | {"exec_id": "Y"})
    return book, second, list(book.apply(second))


def test_more_than_was_ordered_is_booked_disputed_and_taken_back_by_a_bust(market: Market) -> None:
    book, second, told = overfill(market)
    assert [type(event).__name__ for event in told] == [
        "OrderFilled",
        "ReconciliationNeeded",
        "RequestOrderStatus",
        "OrderStateChanged",
        "VenueTrustChanged",
    ]
    assert (book.orders["a"].cum, book.orders["a"].leaves) == (200, 0)
    fresh = OrderBook(market.chain, "XYZ")
    fresh.restore(book.snapshot())
    fields = {name: getattr(second, name) for name in second.__struct_fields__}
    bust = e.ExecutionReported(
        **fields
        | {"exec_type": X.TRADE_CANCEL, "exec_id": "Z", "exec_ref_id": "Y", "cum_qty": 100, "ord_status": S.FILLED}
    )
    for each in (book, fresh):
        back = [event for event in each.apply(bust) if isinstance(event, e.VenueTrustChanged)]
        assert [(event.venue, event.is_trusted) for event in back] == [(3, True)]
        assert each.orders["a"].cum == 100


def test_a_person_may_trust_a_disputed_venue_again(market: Market) -> None:
    book, _, _ = overfill(market)
    other = c.ResetProtection(**market.head | {"underlying": "ABC"}, user="u", reason="r")
    assert book.apply(other) == []
    firm = c.ResetProtection(**market.head | {"underlying": ""}, user="ann", reason="they pay")
    (told,) = book.apply(firm)
    assert isinstance(told, e.VenueTrustChanged)
    assert (told.is_trusted, told.reason, told.underlying) == (True, "ann: they pay", "XYZ")


# --- laws -------------------------------------------------------------------------------------------------------------
rates = st.sampled_from([0.0, 0.0, 0.3])


@given(
    drop=st.sampled_from([0.0, 0.3, 0.7]),
    quantity=rates,
    price=rates,
    twice=rates,
    late=rates,
    seed=st.integers(0, 1_000),
    wanted=st.lists(st.integers(1, 150), min_size=1, max_size=4),
)
def test_whatever_is_lost_repeated_or_untrue_our_book_becomes_the_venues_and_nothing_is_resent(
    drop: float, quantity: float, price: float, twice: float, late: float, seed: int, wanted: list[int]
) -> None:
    """A liar that is asked often enough tells the truth once; then count, price and state are what happened."""
    from tests.routing.conftest import Market

    how = Misbehaviour(
        drop_rate=drop, wrong_quantity_rate=quantity, wrong_price_rate=price, duplicate_rate=twice, late_fill_rate=late
    )
    wire = Wire(Market(), how, seed, max_status_tries=400, max_status_retry_ms=2_000)
    for number, shares in enumerate(wanted):
        wire.venue.on_market(wire.market.later().stock(ask_size=100 + number))
        wire.order(f"O{number}", quantity=shares)
        wire.wait(1)
    for _ in range(60):
        wire.wait(15)
        if all(order.is_done and order.is_settled for order in wire.book.orders.values()):
            break
    assert all(order.is_done and order.is_settled for order in wire.book.orders.values())
    assert wire.shares == wire.exchange.positions()[1]
    assert wire.sent == [f"O{number}" for number in range(len(wanted))]
    trust = wire.of(e.VenueTrustChanged)
    assert not trust or trust[-1].is_trusted
    assert {order.state for order in wire.book.orders.values()} <= TERMINAL


@given(cut=st.integers(0, 40), seed=st.integers(0, 200))
def test_a_restored_order_book_asks_on_as_the_original_would(cut: int, seed: int) -> None:
    from tests.routing.conftest import Market

    wires = [Wire(Market(), Misbehaviour(drop_rate=0.6, wrong_quantity_rate=0.3), seed) for _ in range(2)]
    for wire in wires:
        wire.order("a", quantity=60)
    for second in range(40):
        if second == cut:
            fresh = OrderBook(wires[1].market.chain, "XYZ", OrderBookSettings())
            fresh.restore(wires[1].book.snapshot())
            wires[1].book = fresh
            venue = Wire(Market(), Misbehaviour(drop_rate=0.6, wrong_quantity_rate=0.3), seed).venue
            venue.restore(wires[1].venue.snapshot())
            wires[1].venue = venue
        assert wires[0].wait(1) == wires[1].wait(1)
    assert wires[0].book.snapshot() == wires[1].book.snapshot()


@pytest.mark.parametrize(
    "wrong", [{"status_retry_ms": 0}, {"max_status_tries": 0}, {"status_retry_ms": 10, "max_status_retry_ms": 9}]
)
def test_settings_that_would_never_ask_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"must be"):
        OrderBookSettings(**wrong)
