from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import events as e
from domain.commands import STOCK
from domain.errors import DataError, InputError
from routing.venues import SIMULATED, Allocation, Protections, VenueTable
from tests.routing.conftest import Market

if TYPE_CHECKING:
    from routing.exchange import Exchange

PRICE_TIME, PRO_RATA, NO_QUOTING, STOCK_A, STOCK_B = range(5)


def trades(events: list[e.Event]) -> list[e.ExecutionReported]:
    return [r for r in events if isinstance(r, e.ExecutionReported) and r.exec_type == e.ExecType.TRADE]


def statuses(events: list[e.Event]) -> list[tuple[str, str]]:
    return [(r.exec_type.name, r.ord_status.name) for r in events if isinstance(r, e.ExecutionReported)]


def acknowledged(events: list[e.Event]) -> e.QuotesAcknowledged:
    found = [r for r in events if isinstance(r, e.QuotesAcknowledged)]
    assert len(found) == 1
    return found[0]


def protected(limits: Protections) -> VenueTable:
    first = msgspec.structs.replace(SIMULATED[0], protections=limits)
    return VenueTable((first, *SIMULATED.venues[1:]))


def whole_tape(allocation: Allocation) -> VenueTable:
    """One option venue that prints everything, so that a test can count."""
    only = msgspec.structs.replace(SIMULATED[0], tape_share=1.0, allocation=allocation)
    return VenueTable((only,))


# --- mass quotes ------------------------------------------------------------------------------------------------------
def test_a_mass_quote_is_acknowledged_with_a_reason_for_each_refused_entry(market: Market) -> None:
    exchange = market.exchange(PRICE_TIME, max_quote_size=100)
    rows = [
        (0, 10_000, 5, 12_000, 5),
        (99, 10_000, 5, 12_000, 5),
        (1, 12_000, 5, 12_000, 5),
        (2, 10_100, 5, 12_000, 5),
        (3, 10_000, 101, 12_000, 5),
        (4, 10_000, -1, 12_000, 5),
        (0, 9_000, 5, 13_000, 5),
        (5, 0, 5, 12_000, 5),
        (6, 31_500, 5, 32_000, 5),
        (7, 0, 0, 12_000, 5),
    ]
    answer = acknowledged(exchange.submit(market.quotes(PRICE_TIME, *rows), market.now))
    found = dict(zip(answer.frame.contract.tolist(), answer.frame.reason.tolist(), strict=True))
    refusal = e.QuoteRefusal
    assert found == {
        99: refusal.UNKNOWN_CONTRACT,
        1: refusal.CROSSED,
        2: refusal.OFF_TICK,
        3: refusal.SIZE,
        4: refusal.SIZE,
        0: refusal.DUPLICATE,
        5: refusal.OFF_TICK,
        6: refusal.OFF_TICK,
    }
    assert answer.accepted == 2
    assert exchange.resting().quotes.contract.tolist() == [0, 7]
    assert exchange.resting().quotes.bid.tolist() == [10_000, 0]


@pytest.mark.parametrize(
    ("index", "state", "reason"),
    [
        (NO_QUOTING, "open", e.QuoteRefusal.VENUE),
        (STOCK_A, "open", e.QuoteRefusal.VENUE),
        (PRICE_TIME, "pre_open", e.QuoteRefusal.HALTED),
        (PRICE_TIME, "halted", e.QuoteRefusal.HALTED),
        (PRICE_TIME, "closed", e.QuoteRefusal.HALTED),
    ],
)
def test_a_mass_quote_is_refused_as_a_whole(
    market: Market, index: int, state: e.SessionState, reason: e.QuoteRefusal
) -> None:
    exchange = market.exchange(index, is_open=False)
    exchange.on_market(market.session(state))
    answer = acknowledged(exchange.submit(market.quotes(index, (0, 10_000, 5, 12_000, 5)), market.now))
    assert (answer.accepted, answer.frame.reason.tolist()) == (0, [reason])


def test_a_quote_set_is_taken_once_and_rows_of_other_venues_are_not_read(market: Market) -> None:
    exchange = market.exchange(PRICE_TIME)
    assert exchange.submit(market.quotes(PRO_RATA, (0, 10_000, 5, 12_000, 5)), market.now) == []
    first = market.quotes(PRICE_TIME, (0, 10_000, 5, 12_000, 5), name="same")
    assert acknowledged(exchange.submit(first, market.now)).accepted == 1
    again = acknowledged(exchange.submit(first, market.now))
    assert (again.accepted, again.frame.reason.tolist()) == (0, [e.QuoteRefusal.DUPLICATE])


def test_cancels_pull_what_they_name_and_are_answered_always(market: Market) -> None:
    exchange = market.exchange(PRICE_TIME)
    exchange.submit(market.quotes(PRICE_TIME, *[(k, 10_000, 5, 12_000, 5) for k in range(4)]), market.now)
    (answer,) = exchange.submit(market.purge(PRICE_TIME, (1, 2, 77)), market.now)
    assert isinstance(answer, e.QuotesCanceled)
    assert exchange.resting().quotes.contract.tolist() == [0, 3]
    exchange.submit(market.purge(), market.now)
    assert len(exchange.resting().quotes) == 0
    (answer,) = exchange.submit(market.purge(), market.now)
    assert isinstance(answer, e.QuotesCanceled)


@pytest.mark.parametrize(
    "quote", [(9_000, 5, 10_000, 7), (9_000, 5, 9_500, 7), (12_000, 1, 13_000, 5), (12_500, 5, 0, 0)]
)
@pytest.mark.parametrize("index", [PRICE_TIME, PRO_RATA])
def test_an_entry_that_would_take_is_refused_whole_and_what_it_was_to_replace_stays(
    market: Market, index: int, quote: tuple[int, int, int, int]
) -> None:
    exchange = market.exchange(index, join_probability=1.0)
    exchange.on_market(market.nbbo((0, 10_000, 10, 12_000, 10), (1, 10_000, 10, 12_000, 10)))
    exchange.submit(market.quotes(index, (0, 9_500, 5, 12_500, 5)), market.now)
    answers = exchange.submit(market.quotes(index, (0, *quote), (1, 9_500, 5, 11_500, 5)), market.now)
    (answer,) = answers
    refused = acknowledged([answer])
    assert (refused.accepted, refused.frame.contract.tolist()) == (1, [0])
    assert refused.frame.reason.tolist() == [e.QuoteRefusal.WOULD_TAKE]
    resting = exchange.resting().quotes
    assert (resting.bid.tolist(), resting.ask.tolist()) == ([9_500, 9_500], [12_500, 11_500])
    again = acknowledged(exchange.submit(market.quotes(index, (0, 9_500, 5, 11_500, 5)), market.now))
    assert again.accepted == 1


def test_an_entry_at_a_price_whose_size_we_took_adds(market: Market) -> None:
    exchange = market.exchange(PRICE_TIME, join_probability=1.0)
    exchange.on_market(market.nbbo((0, 10_000, 10, 12_000, 10)))
    exchange.submit(market.order("O1", PRICE_TIME, contract=0, side="sell", quantity=4, price=10_000), market.now)
    answer = acknowledged(exchange.submit(market.quotes(PRICE_TIME, (0, 9_000, 5, 10_000, 5)), market.now))
    assert answer.accepted == 1


def test_where_quotes_may_take_one_that_crosses_the_displayed_book_does(market: Market) -> None:
    exchange = market.exchange(PRICE_TIME, join_probability=1.0, post_only=False)
    exchange.on_market(market.nbbo((0, 10_000, 10, 12_000, 10)))
    reports = trades(exchange.submit(market.quotes(PRICE_TIME, (0, 9_000, 5, 9_500, 7)), market.now))
    assert [(r.side, r.last_qty, r.last_px, r.leaves_qty, r.adds_liquidity) for r in reports] == [
        ("sell", 4, 10_000, 3, False)
    ]
    assert reports[0].fee == 4 * 5_000


@given(data=st.data())
def test_post_only_refuses_exactly_what_would_have_traded(data: st.DataObject) -> None:
    market = Market()
    ticks = st.integers(18, 26).map(lambda tick: tick * 500)
    sizes = st.integers(0, 9)
    index = data.draw(st.sampled_from([PRICE_TIME, PRO_RATA]))
    shown = market.nbbo(*[(k, 10_000, data.draw(sizes), 12_000, data.draw(sizes)) for k in range(4)])
    rows = [(k, data.draw(ticks), data.draw(sizes), data.draw(ticks), data.draw(sizes)) for k in range(4)]
    quotes = market.quotes(index, *rows)
    adding, taking = (market.exchange(index, post_only=only) for only in (True, False))
    for exchange in (adding, taking):
        exchange.on_market(shown)
    answers, others = (exchange.submit(quotes, market.now) for exchange in (adding, taking))
    assert trades(answers) == []
    frame, plain = acknowledged(answers).frame, acknowledged(others).frame
    kept = frame.reason != e.QuoteRefusal.WOULD_TAKE
    assert frame.take(kept) == plain
    assert frame.contract[~kept].tolist() == sorted({report.contract for report in trades(others)})


def test_a_quote_set_may_come_in_parts_and_names_a_contract_once(market: Market) -> None:
    exchange = market.exchange(PRICE_TIME)
    parts = [
        market.quotes(PRICE_TIME, *[(k, 10_000, 5, 12_000, 5) for k in part], name="S1") for part in ((0, 1), (2, 1))
    ]
    answers = [acknowledged(exchange.submit(part, market.now)) for part in parts]
    assert [answer.accepted for answer in answers] == [2, 1]
    assert answers[1].frame.contract.tolist() == [1]
    exchange.submit(market.quotes(PRICE_TIME, (3, 10_000, 5, 12_000, 5), name="S2"), market.now)
    stale = acknowledged(exchange.submit(market.quotes(PRICE_TIME, (4, 10_000, 5, 12_000, 5), name="S1"), market.now))
    assert stale.frame.reason.tolist() == [e.QuoteRefusal.DUPLICATE]


# --- prints -----------------------------------------------------------------------------------------------------------
def test_prints_at_or_through_our_price_fill_us(market: Market) -> None:
    for low, high, side in ((10_500, 11_000, None), (11_000, 11_500, "sell"), (9_500, 10_000, "buy")):
        exchange = market.exchange(0, venues=whole_tape("price_time"))
        exchange.on_market(market.nbbo((0, 9_000, 10, 12_000, 10)))
        exchange.submit(market.quotes(0, (0, 10_000, 5, 11_500, 5)), market.now)
        found = trades(exchange.on_market(market.prints((0, low, high, 100))))
        assert [r.side for r in found] == ([side] if side else [])
        assert all(r.last_px == (11_500 if side == "sell" else 10_000) for r in found)
        assert all(r.adds_liquidity and r.fee == -2_500 * r.last_qty for r in found)


def test_price_time_waits_for_the_size_ahead(market: Market) -> None:
    exchange = market.exchange(0, venues=whole_tape("price_time"))
    exchange.on_market(market.nbbo((0, 10_000, 10, 12_000, 30)))
    exchange.submit(market.quotes(0, (0, 10_000, 5, 12_000, 5)), market.now)
    filled = [
        sum(r.last_qty for r in trades(exchange.on_market(market.later().prints((0, 12_000, 12_000, 12)))))
        for _ in range(4)
    ]
    assert filled == [0, 0, 5, 0]


def test_a_requote_keeps_its_place_only_where_price_stays_and_size_does_not_grow(market: Market) -> None:
    for price, size, expected in ((12_000, 5, 5), (12_000, 4, 4), (12_000, 6, 0), (12_500, 5, 0)):
        exchange = market.exchange(0, venues=whole_tape("price_time"))
        exchange.on_market(market.nbbo((0, 10_000, 10, 12_000, 30)))
        exchange.submit(market.quotes(0, (0, 10_000, 5, 12_000, 5)), market.now)
        exchange.on_market(market.later().prints((0, 12_000, 12_000, 30)))
        exchange.submit(market.quotes(0, (0, 10_000, 5, price, size)), market.now)
        found = trades(exchange.on_market(market.later().prints((0, 12_000, 12_000, 20))))
        assert sum(r.last_qty for r in found) == expected


def test_pro_rata_shares_a_print_by_size(market: Market) -> None:
    filled = []
    for _ in range(300):
        exchange = market.exchange(0, venues=whole_tape("pro_rata"))
        exchange.on_market(market.later().nbbo((0, 10_000, 10, 12_000, 30)))
        exchange.submit(market.quotes(0, (0, 10_000, 5, 12_000, 10)), market.now)
        filled.append(sum(r.last_qty for r in trades(exchange.on_market(market.prints((0, 12_000, 12_000, 6))))))
    assert set(filled) == {1, 2}
    assert abs(np.mean(filled) - 1.5) < 0.1


def test_better_than_the_venue_is_first_and_through_needs_no_queue(market: Market) -> None:
    allocations: tuple[Allocation, ...] = ("price_time", "pro_rata")
    for allocation in allocations:
        exchange = market.exchange(0, venues=whole_tape(allocation))
        exchange.on_market(market.nbbo((0, 10_000, 10, 12_000, 1_000), (1, 10_000, 10, 12_000, 1_000)))
        exchange.submit(market.quotes(0, (0, 10_500, 5, 11_500, 5), (1, 9_500, 5, 12_000, 5)), market.now)
        found = trades(exchange.on_market(market.prints((0, 11_500, 11_500, 3), (1, 12_100, 12_100, 4))))
        assert [(r.contract, r.last_qty) for r in found] == [(0, 3), (1, 4)]


def test_a_crossing_nbbo_fills_us_at_our_price_up_to_its_size(market: Market) -> None:
    total = 0
    for index in (PRICE_TIME, PRO_RATA):
        exchange = market.exchange(index)
        exchange.on_market(market.nbbo((0, 10_000, 10, 12_000, 10)))
        exchange.submit(market.quotes(index, (0, 10_000, 50, 12_000, 50)), market.now)
        assert not trades(exchange.on_market(market.nbbo((0, 12_000, 20, 12_500, 10))))
        found = trades(exchange.on_market(market.nbbo((0, 12_500, 20, 13_000, 10))))
        assert all((r.side, r.last_px) == ("sell", 12_000) for r in found)
        total += sum(r.last_qty for r in found)
    assert 14 <= total <= 16  # 75 % of the tape, each part rounded


def test_a_contract_that_prints_twice_in_a_frame_never_fills_more_than_we_show(market: Market) -> None:
    exchange = market.exchange(0, venues=whole_tape("price_time"))
    exchange.submit(market.quotes(0, (0, 10_000, 5, 12_000, 5)), market.now)
    found = trades(exchange.on_market(market.prints((0, 12_000, 12_000, 3), (1, 500, 500, 1), (0, 12_500, 12_500, 9))))
    assert [r.last_qty for r in found] == [3, 2]
    assert [(r.cum_qty, r.leaves_qty, r.ord_status.name) for r in found] == [
        (3, 2, "PARTIALLY_FILLED"),
        (5, 0, "FILLED"),
    ]


nickels = st.integers(18, 26).map(lambda n: n * 500)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("nbbo"), st.integers(0, 3), nickels, nickels, st.integers(0, 40)),
        st.tuples(st.just("print"), st.integers(0, 3), nickels, st.integers(0, 8), st.integers(1, 60)),
        st.tuples(st.just("quote"), st.integers(0, 3), nickels, st.integers(1, 8), st.integers(0, 30)),
        st.tuples(st.just("order"), st.integers(0, 3), nickels, st.booleans(), st.integers(1, 30)),
        st.tuples(st.just("purge"), st.integers(0, 3), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("cancel"), st.integers(0, 3), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=40,
)


def play(market: Market, exchanges: list[Exchange], step: tuple[Any, ...], count: int) -> list[list[e.Event]]:
    """Do one step at all venues; the answers by venue."""
    kind, contract, price, other, size = step
    market.later()
    if kind == "nbbo":
        event = market.nbbo((contract, min(price, other), size, max(price, other), size))
        return [exchange.on_market(event) for exchange in exchanges]
    if kind == "print":
        event = market.prints((contract, price, price + other * 100, size))  # type: ignore[assignment]
        return [exchange.on_market(event) for exchange in exchanges]
    answers: list[list[e.Event]] = []
    for exchange in exchanges:
        venue = exchange.venue.index
        message: e.Clearance
        if kind == "quote":
            message = market.quotes(venue, (contract, price, size, price + other * 500, size))
        elif kind == "order":
            side = "buy" if other else "sell"
            terms = {"contract": contract, "price": price, "quantity": size, "side": side, "tif": "day"}
            message = market.order(f"O{venue}-{count}", venue, **terms)
        elif kind == "purge":
            message = market.purge(venue, (contract,))
        else:
            message = market.cancel_all(venue)
        answers.append(exchange.submit(message, market.now))
    return answers


@given(steps=steps, seed=st.integers(0, 1_000))
def test_books_balance_whatever_happens(steps: list[tuple[Any, ...]], seed: int) -> None:
    """Positions are the sum of reports, prints fill at most their volume, execution identifiers never repeat."""
    market = Market()
    exchanges = [market.exchange(index, seed=seed) for index in (PRICE_TIME, PRO_RATA)]
    position = np.zeros((2, len(market.chain)), np.int64)
    seen: dict[str, None] = {}
    for count, step in enumerate(steps):
        answers = play(market, exchanges, step, count)
        for place, events in enumerate(answers):
            for report in (r for r in events if isinstance(r, e.ExecutionReported)):
                assert report.exec_id not in seen
                seen[report.exec_id] = None
                assert report.ts_event == market.now
                assert report.ts_init == 7
                if report.exec_type != e.ExecType.TRADE:
                    continue
                assert report.last_qty > 0
                assert report.leaves_qty >= 0
                position[place, report.contract] += report.last_qty if report.side == "buy" else -report.last_qty
                if step[0] == "print":
                    low, high = step[2], step[2] + step[3] * 100
                    assert report.last_px <= high if report.side == "sell" else report.last_px >= low
        if step[0] == "print":
            assert sum(r.last_qty for events in answers for r in trades(events)) <= step[4]
    for place, exchange in enumerate(exchanges):
        options, stock = exchange.positions()
        np.testing.assert_array_equal(options, position[place])
        assert stock == 0


@given(steps=steps, cut=st.integers(0, 40), seed=st.integers(0, 100))
def test_a_restored_exchange_answers_as_the_original_would(steps: list[tuple[Any, ...]], cut: int, seed: int) -> None:

    market, other = Market(), Market()
    first = [market.exchange(index, seed=seed) for index in (PRICE_TIME, PRO_RATA)]
    second = [other.exchange(index, seed=seed) for index in (PRICE_TIME, PRO_RATA)]
    for count, step in enumerate(steps):
        if count == cut:
            fresh = [other.exchange(index, seed=seed, is_open=False) for index in (PRICE_TIME, PRO_RATA)]
            for new, old in zip(fresh, second, strict=True):
                new.restore(old.snapshot())
            second = fresh
        assert play(market, first, step, count) == play(other, second, step, count)
    assert [x.snapshot() for x in first] == [x.snapshot() for x in second]


def test_a_snapshot_of_another_venue_is_refused(market: Market) -> None:
    with pytest.raises(DataError):
        market.exchange(PRO_RATA).restore(market.exchange(PRICE_TIME).snapshot())


def test_a_bar_without_volume_is_no_print(market: Market) -> None:
    exchange = market.exchange(PRICE_TIME)
    exchange.submit(market.quotes(PRICE_TIME, (0, 500, 5, 12_000, 5)), market.now)
    assert exchange.on_market(market.prints((0, 0, 0, 0), (1, 500, 500, 0))) == []


@pytest.mark.parametrize("row", [(0, 0, 500, 1), (0, 600, 500, 1), (0, 500, 500, -1)])
def test_a_malformed_print_is_refused_and_changes_nothing(market: Market, row: tuple[int, int, int, int]) -> None:
    exchange = market.exchange(PRICE_TIME)
    exchange.submit(market.quotes(PRICE_TIME, (0, 500, 5, 12_000, 5)), market.now)
    before = exchange.snapshot()
    with pytest.raises(InputError, match="malformed"):
        exchange.on_market(market.prints(row))
    assert exchange.snapshot() == before


# --- orders -----------------------------------------------------------------------------------------------------------
def stock_exchange(market: Market, **settings: Any) -> Exchange:  # noqa: ANN401 - any field
    exchange = market.exchange(STOCK_A, join_probability=1.0, **settings)
    exchange.on_market(market.stock(ask_size=500))  # shows 300 of 500
    return exchange


def test_an_immediate_order_takes_what_is_displayed_and_the_rest_is_canceled(market: Market) -> None:
    exchange = stock_exchange(market)
    reports = exchange.submit(market.order("a", quantity=400), market.now + 5)
    assert statuses(reports) == [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("CANCELED", "CANCELED")]
    fill = trades(reports)[0]
    assert (fill.last_qty, fill.last_px, fill.cum_qty, fill.leaves_qty, fill.fee) == (300, 1_000_200, 300, 100, 9_000)
    assert all(r.ts_event == market.now + 5 for r in reports)
    assert exchange.positions()[1] == 300


def test_a_limit_below_the_market_does_not_trade_and_a_market_order_does(market: Market) -> None:
    exchange = stock_exchange(market)
    assert statuses(exchange.submit(market.order("a", price=1_000_100), market.now))[-1] == ("CANCELED", "CANCELED")
    order = market.order("b", order_type="market", price=0, quantity=10)
    assert statuses(exchange.submit(order, market.now))[-1] == ("TRADE", "FILLED")


def test_a_day_order_rests_trades_with_prints_and_expires(market: Market) -> None:
    exchange = stock_exchange(market)
    order = market.order("a", price=1_000_100, tif="day")  # better than the bid: first
    assert statuses(exchange.submit(order, market.now)) == [("NEW", "NEW")]
    found = exchange.on_market(market.stock_prints(1_000_100, 1_000_100, 50))
    assert statuses(found) == [("TRADE", "PARTIALLY_FILLED")]
    assert trades(found)[0].last_qty == 30
    assert trades(found)[0].fee == -20 * 30
    assert statuses(exchange.on_market(market.session("closed"))) == [("EXPIRED", "EXPIRED")]
    assert exchange.resting().orders == ()


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ({"price": 1_000_150}, "off tick"),
        ({"price": 0}, "off tick"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": 1_000_000}, "quantity"),
        ({"contract": 3}, "unknown contract"),
        ({"side": "sell", "sale_marking": ""}, "not marked"),
    ],
)
def test_a_bad_order_is_rejected_with_a_reason(market: Market, terms: dict[str, Any], text: str) -> None:
    (report,) = stock_exchange(market).submit(market.order("a", **terms), market.now)
    assert isinstance(report, e.ExecutionReported)
    assert (report.exec_type, report.ord_status) == (e.ExecType.REJECTED, e.OrdStatus.REJECTED)
    assert text in report.text


def test_a_clordid_is_taken_once(market: Market) -> None:
    exchange = stock_exchange(market)
    exchange.submit(market.order("a"), market.now)
    (report,) = exchange.submit(market.order("a"), market.now)
    assert isinstance(report, e.ExecutionReported)
    assert "duplicate" in report.text


def test_cancel_and_replace_need_a_working_order(market: Market) -> None:
    exchange = stock_exchange(market)
    (missing,) = exchange.submit(market.cancel("c1", "nobody"), market.now)
    assert isinstance(missing, e.CancelRejected)
    assert missing.ord_status == e.OrdStatus.REJECTED
    exchange.submit(market.order("a", quantity=10), market.now)
    (late,) = exchange.submit(market.cancel("c2", "a"), market.now)
    assert isinstance(late, e.CancelRejected)
    assert late.ord_status == e.OrdStatus.FILLED
    exchange.submit(market.order("b", price=999_000, tif="day"), market.now)
    replaced = exchange.submit(market.replace("b2", "b", price=1_000_200, quantity=40), market.now)
    assert statuses(replaced) == [("REPLACED", "NEW"), ("TRADE", "FILLED")]
    exchange.submit(market.order("d", price=999_000, tif="day"), market.now)
    (done,) = exchange.submit(market.cancel("c3", "d"), market.now)
    assert isinstance(done, e.ExecutionReported)
    assert (done.clordid, done.orig_clordid, done.leaves_qty) == ("c3", "d", 0)


def test_a_message_for_another_venue_is_an_input_error(market: Market) -> None:
    with pytest.raises(InputError, match="another venue"):
        stock_exchange(market).submit(market.order("a", venue=STOCK_B), market.now)


# --- sessions and protections -----------------------------------------------------------------------------------------
def test_a_halt_removes_quotes_keeps_orders_and_trades_nothing(market: Market) -> None:
    exchange = market.exchange(PRICE_TIME)
    exchange.submit(market.quotes(PRICE_TIME, (0, 10_000, 5, 12_000, 5)), market.now)
    exchange.submit(market.order("a", PRICE_TIME, contract=0, price=9_000, tif="day"), market.now)
    halted = exchange.on_market(market.session("halted"))
    assert [type(event) for event in halted] == [e.QuotesCanceled]
    assert exchange.on_market(market.prints((0, 9_000, 12_000, 100))) == []
    assert len(exchange.resting().orders) == 1
    (rejected,) = exchange.submit(market.order("b", PRICE_TIME, contract=0, price=9_000), market.now)
    assert isinstance(rejected, e.ExecutionReported)
    assert rejected.exec_type == e.ExecType.REJECTED


def test_a_venue_says_that_it_is_up_and_that_it_closed(market: Market) -> None:
    exchange = market.exchange(STOCK_A, is_open=False)
    states: tuple[e.SessionState, ...] = ("pre_open", "open", "halted", "open", "closed")
    said = [exchange.on_market(market.session(state)) for state in states]
    found = [event.is_up for events in said for event in events if isinstance(event, e.VenueStatusChanged)]
    assert found == [True, False]


@pytest.mark.parametrize(
    ("limits", "rule"),
    [(Protections(max_fills=3), "fills"), (Protections(max_contracts=15), "contracts")],
)
def test_the_venues_protection_purges_latches_and_is_reset_by_a_purge(
    market: Market, limits: Protections, rule: str
) -> None:
    exchange = market.exchange(PRICE_TIME, venues=protected(limits))
    rows = [(k, 10_000, 5, 12_000, 5) for k in range(6)]
    exchange.submit(market.quotes(PRICE_TIME, *rows), market.now)
    events = exchange.on_market(market.prints(*[(k, 12_500, 12_500, 500) for k in range(6)]))
    assert [type(event).__name__ for event in events[-2:]] == ["VenueProtectionTripped", "QuotesCanceled"]
    assert isinstance(events[-2], e.VenueProtectionTripped)
    assert events[-2].rule == rule
    assert len(trades(events)) == 3
    assert len(exchange.resting().quotes) == 0
    refused = acknowledged(exchange.submit(market.quotes(PRICE_TIME, rows[0]), market.now))
    assert refused.frame.reason.tolist() == [e.QuoteRefusal.PROTECTION]
    exchange.submit(market.purge(PRICE_TIME), market.now)
    assert acknowledged(exchange.submit(market.quotes(PRICE_TIME, rows[0]), market.now)).accepted == 1


def test_the_window_of_the_protection_rolls(market: Market) -> None:
    exchange = market.exchange(PRICE_TIME, venues=protected(Protections(max_fills=2, window_ms=1_000)))
    exchange.submit(market.quotes(PRICE_TIME, *[(k, 10_000, 5, 12_000, 5) for k in range(6)]), market.now)
    for contract in range(6):
        events = exchange.on_market(market.later().prints((contract, 12_500, 12_500, 500)))
        assert len(trades(events)) == 1
    assert len(exchange.resting().quotes) == 6


def test_stock_and_option_venues_ignore_each_others_market(market: Market) -> None:
    option, stock = market.exchange(PRICE_TIME), market.exchange(STOCK_A)
    assert option.on_market(market.stock()) == []
    assert option.on_market(market.stock_prints(1, 2, 3)) == []
    assert stock.on_market(market.nbbo((0, 1_000, 5, 2_000, 5))) == []
    assert stock.on_market(market.prints((0, 1_000, 1_000, 5))) == []
    assert not stock.displayed()[0].any()
    assert not option.displayed()[0][:, STOCK].any()
