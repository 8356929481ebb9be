from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from domain import events as e
from domain.errors import InputError
from routing.misbehaviour import Misbehaving, Misbehaviour
from routing.order_state import TERMINAL, OrderBook

if TYPE_CHECKING:
    from tests.routing.conftest import Market


def bad(market: Market, index: int = 3, **how: Any) -> Misbehaving:  # noqa: ANN401 - any field
    venue = Misbehaving(market.exchange(index, join_probability=1.0), Misbehaviour(**how), seed=5)
    venue.on_market(market.stock(ask_size=100))
    return venue


def kinds(events: list[e.Event]) -> list[str]:
    return [r.exec_type.name if isinstance(r, e.ExecutionReported) else type(r).__name__ for r in events]


def test_good_behaviour_changes_nothing(market: Market) -> None:
    honest = market.exchange(3, join_probability=1.0)
    honest.on_market(market.stock(ask_size=100))
    order = market.order("a", quantity=500)
    assert bad(market).submit(order, market.now) == honest.submit(order, market.now)


def test_a_venue_that_rejects_everything_does_nothing(market: Market) -> None:
    venue = bad(market, 0, rejects_all=True)
    answer = venue.submit(market.quotes(0, (0, 10_000, 5, 12_000, 5), (1, 10_000, 5, 12_000, 5)), market.now)
    assert isinstance(answer[0], e.QuotesAcknowledged)
    assert (answer[0].accepted, answer[0].frame.reason.tolist()) == (0, [e.QuoteRefusal.VENUE] * 2)
    stock = bad(market, rejects_all=True)
    assert kinds(stock.submit(market.order("a"), market.now)) == ["REJECTED"]
    assert kinds(stock.submit(market.cancel("c", "a"), market.now)) == ["CancelRejected"]
    assert kinds(stock.submit(market.replace("d", "a"), market.now)) == ["CancelRejected"]
    assert stock.positions()[1] == 0
    assert kinds(venue.submit(market.purge(0), market.now)) == ["QuotesCanceled"]


def test_lost_answers_leave_the_truth_at_the_venue_and_the_order_unknown(market: Market) -> None:
    venue = bad(market, drop_rate=1.0)
    book = OrderBook(market.chain, "XYZ")
    order = market.order("a", quantity=60)
    book.apply(order)
    assert venue.submit(order, market.now) == []
    assert venue.positions()[1] == 60
    told = book.apply(e.TimerFired(**market.later(10_000_000_000).head, timer="1s"))
    assert [type(event).__name__ for event in told] == [
        "OrderStateChanged",
        "ReconciliationNeeded",
        "RequestOrderStatus",
    ]


def test_lies_about_terms(market: Market) -> None:
    honest = bad(market).submit(market.order("a", quantity=10), market.now)[1]
    more = bad(market, wrong_quantity_rate=1.0).submit(market.order("a", quantity=10), market.now)[1]
    worse = bad(market, wrong_price_rate=1.0).submit(market.order("a", quantity=10), market.now)[1]
    assert isinstance(honest, e.ExecutionReported)
    assert isinstance(more, e.ExecutionReported)
    assert isinstance(worse, e.ExecutionReported)
    assert more.last_qty == honest.last_qty + 1
    assert worse.last_px == honest.last_px + 10_000


def test_an_execution_above_the_order_is_booked_disputed_and_no_more_is_sent_there(market: Market) -> None:
    book = OrderBook(market.chain, "XYZ")
    order = market.order("a", quantity=10)
    book.apply(order)
    told = [
        fact for answer in bad(market, wrong_quantity_rate=1.0).submit(order, market.now) for fact in book.apply(answer)
    ]
    assert "ReconciliationNeeded" in [type(fact).__name__ for fact in told]
    assert [fact.quantity for fact in told if isinstance(fact, e.OrderFilled)] == [11]
    assert [(fact.venue, fact.is_trusted) for fact in told if isinstance(fact, e.VenueTrustChanged)] == [(3, False)]


def test_repeated_and_late_executions_are_counted_once_each(market: Market) -> None:
    venue = bad(market, duplicate_rate=1.0, late_fill_rate=1.0)
    book = OrderBook(market.chain, "XYZ")
    order = market.order("a", quantity=500)
    book.apply(order)
    answers = venue.submit(order, market.now)
    assert kinds(answers) == ["NEW", "CANCELED", "TRADE", "TRADE"]
    filled = sum(f.quantity for answer in answers for f in book.apply(answer) if isinstance(f, e.OrderFilled))
    assert filled == venue.positions()[1] == 60
    assert book.orders["a"].state in TERMINAL


def test_a_dead_venue_is_silent_holds_nothing_and_comes_back(market: Market) -> None:
    venue = bad(market, 0, dies_at=market.now + 10, returns_at=market.now + 20)
    venue.submit(market.quotes(0, (0, 10_000, 5, 12_000, 5)), market.now)
    assert len(venue.resting().quotes) == 1
    (down,) = venue.on_market(market.later(10).prints((0, 12_500, 12_500, 100)))
    assert isinstance(down, e.VenueStatusChanged)
    assert not down.is_up
    assert len(venue.resting().quotes) == 0
    assert venue.submit(market.quotes(0, (0, 10_000, 5, 12_000, 5)), market.now) == []
    up = venue.on_market(market.later(10).stock())[0]
    assert isinstance(up, e.VenueStatusChanged)
    assert up.is_up
    assert kinds(venue.submit(market.quotes(0, (0, 10_000, 5, 12_000, 5)), market.now)) == ["QuotesAcknowledged"]


def test_a_delay_adds_to_the_latency(market: Market) -> None:
    assert bad(market, delay_ns=5_000).latency_ns == market.venues[3].latency_ns + 5_000


def test_the_same_seed_misbehaves_the_same_and_goes_on_after_a_restore(market: Market) -> None:
    how: dict[str, Any] = {"drop_rate": 0.3, "duplicate_rate": 0.4, "wrong_price_rate": 0.3, "late_fill_rate": 0.5}
    first, second, third = bad(market, **how), bad(market, **how), bad(market, **how)
    for count in range(40):
        event, order = market.later().stock(ask_size=100), market.order(f"O{count}", quantity=100)
        answers = [(venue.on_market(event), venue.submit(order, market.now)) for venue in (first, second)]
        assert answers[0] == answers[1]
        if count == 20:
            third.restore(second.snapshot())
            second = third
    np.testing.assert_array_equal(first.positions()[1], second.positions()[1])
    assert first.snapshot() == second.snapshot()


@pytest.mark.parametrize("how", [{"drop_rate": 1.1}, {"delay_ns": -1}, {"returns_at": 5}])
def test_a_bad_setting_is_refused(how: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="misbehaviour"):
        Misbehaviour(**how)
