"""Checks of mass quotes, each both ways: what is within a limit passes, what is beyond it is taken out and named."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from domain import commands as c
from domain import events as e
from domain.events import QuoteRefusal

if TYPE_CHECKING:
    from tests.risk.conftest import Desk

Row = tuple[int, int, int, int, int, int]
GOOD: Row = (0, 0, 49_000, 10, 51_000, 10)


def cleared(events: list[e.Event]) -> list[Row]:
    """Rows that passed."""
    frames = [event.frame for event in events if isinstance(event, e.QuotesCleared)]
    assert len(frames) <= 1
    return [row for frame in frames for row in zip(*(col.tolist() for col in frame.columns().values()), strict=True)]


def refused(events: list[e.Event]) -> dict[tuple[int, int], int]:
    """Reason by (venue, contract)."""
    frames = [event.frame for event in events if isinstance(event, e.QuotesRefused)]
    return {
        (v, i): r
        for frame in frames
        for v, i, r in zip(frame.venue.tolist(), frame.contract.tolist(), frame.reason.tolist(), strict=True)
    }


def breached(events: list[e.Event]) -> dict[str, e.LimitBreached]:
    """The breach of each check."""
    found = [event for event in events if isinstance(event, e.LimitBreached)]
    assert len({event.check for event in found}) == len(found), "one event for each check"
    return {event.check: event for event in found}


def nothing(desk: Desk) -> None:
    pass


def halt(desk: Desk) -> None:
    desk.apply(e.SessionChanged(**desk.head, state="halted", open_ts=desk.open_ts, close_ts=desk.close_ts))


def close(desk: Desk) -> None:
    desk.now = desk.close_ts
    desk.underlying()
    desk.greeks()


def age(desk: Desk) -> None:
    desk.now += 65 * desk.second + 1


def age_theo_only(desk: Desk) -> None:
    age(desk)
    desk.underlying()


def lose_theo(desk: Desk) -> None:
    desk.greeks(status=[1] + [0] * (len(desk.chain) - 1))


def restrict(name: str) -> Callable[[Desk], object]:
    def act(desk: Desk) -> None:
        desk.limit(**{f"restricted:{name}": 1})

    return act


def lose_venue(desk: Desk) -> None:
    desk.apply(e.VenueStatusChanged(**desk.head, venue=0, is_up=False, reason="link"))


def kill(desk: Desk) -> None:
    desk.kill()


CASES: list[tuple[str, Callable[[Desk], object], Row, QuoteRefusal, str]] = [
    ("contract above", nothing, (0, 12, 49_000, 10, 51_000, 10), QuoteRefusal.UNKNOWN_CONTRACT, "unknown_contract"),
    ("stock", nothing, (0, -1, 49_000, 10, 51_000, 10), QuoteRefusal.UNKNOWN_CONTRACT, "unknown_contract"),
    ("venue", nothing, (2, 0, 49_000, 10, 51_000, 10), QuoteRefusal.UNKNOWN_CONTRACT, "unknown_contract"),
    ("no venue", nothing, (-1, 0, 49_000, 10, 51_000, 10), QuoteRefusal.UNKNOWN_CONTRACT, "unknown_contract"),
    ("crossed", nothing, (0, 0, 51_000, 10, 50_000, 10), QuoteRefusal.CROSSED, "crossed"),
    ("locked", nothing, (0, 0, 50_000, 10, 50_000, 10), QuoteRefusal.CROSSED, "crossed"),
    ("bid off tick", nothing, (0, 0, 49_500, 10, 51_000, 10), QuoteRefusal.OFF_TICK, "tick"),
    ("ask off tick", nothing, (0, 0, 49_000, 10, 51_500, 10), QuoteRefusal.OFF_TICK, "tick"),
    ("bid without price", nothing, (0, 0, 0, 10, 51_000, 10), QuoteRefusal.OFF_TICK, "tick"),
    ("negative bid", nothing, (0, 0, -1_000, 10, 51_000, 10), QuoteRefusal.OFF_TICK, "tick"),
    ("too large", nothing, (0, 0, 49_000, 101, 51_000, 10), QuoteRefusal.SIZE, "size"),
    ("negative size", nothing, (0, 0, 49_000, -1, 51_000, 10), QuoteRefusal.SIZE, "size"),
    ("bid above theo", nothing, (0, 0, 61_000, 10, 62_000, 10), QuoteRefusal.COLLAR, "collar"),
    ("ask below theo", nothing, (0, 0, 38_000, 10, 39_000, 10), QuoteRefusal.COLLAR, "collar"),
    ("no theo", lose_theo, GOOD, QuoteRefusal.NO_THEO, "no_theo"),
    ("stale", age, GOOD, QuoteRefusal.STALE, "stale"),
    ("stale theo", age_theo_only, GOOD, QuoteRefusal.STALE, "stale"),
    ("halted", halt, GOOD, QuoteRefusal.HALTED, "halted"),
    ("closed", close, GOOD, QuoteRefusal.HALTED, "halted"),
    ("killed", kill, GOOD, QuoteRefusal.KILLED, "killed"),
    ("restricted", restrict("XYZ151224C00090000"), GOOD, QuoteRefusal.RESTRICTED, "restricted"),
    ("restricted all", restrict("XYZ"), GOOD, QuoteRefusal.RESTRICTED, "restricted"),
    ("venue down", lose_venue, GOOD, QuoteRefusal.VENUE, "venue_down"),
    ("rate", lambda desk: desk.limit(max_messages=0), GOOD, QuoteRefusal.RATE, "rate"),
    ("entries", lambda desk: desk.limit(max_entries=0), GOOD, QuoteRefusal.RATE, "rate"),
    ("position", lambda desk: desk.hold(0, 1_995), GOOD, QuoteRefusal.LIMIT, "position"),
    ("short position", lambda desk: desk.hold(0, -1_991), GOOD, QuoteRefusal.LIMIT, "position"),
    ("held delta", lambda desk: desk.expose(delta=1e6), GOOD, QuoteRefusal.LIMIT, "held_delta"),
    ("held gamma", lambda desk: desk.expose(gamma=-1e6), GOOD, QuoteRefusal.LIMIT, "held_gamma"),
    ("held vega", lambda desk: desk.expose(vega=1e8), GOOD, QuoteRefusal.LIMIT, "held_vega"),
    ("delta", lambda desk: desk.limit(worst_delta=499), GOOD, QuoteRefusal.LIMIT, "delta_long"),
    ("gamma", lambda desk: desk.limit(worst_gamma=19), GOOD, QuoteRefusal.LIMIT, "gamma_long"),
    ("vega", lambda desk: desk.limit(worst_vega=9_999), GOOD, QuoteRefusal.LIMIT, "vega_long"),
    ("notional", lambda desk: desk.limit(max_notional=9_999), GOOD, QuoteRefusal.LIMIT, "notional"),
]


@pytest.mark.parametrize(("prepare", "bad", "code", "check"), [case[1:] for case in CASES], ids=[x[0] for x in CASES])
def test_what_fails_a_check_is_taken_out_and_named(
    desk: Desk, prepare: Callable[[Desk], object], bad: Row, code: QuoteRefusal, check: str
) -> None:
    prepare(desk)
    events = desk.place(bad)
    assert cleared(events) == []
    assert refused(events) == {(bad[0], bad[1]): code}
    breach = breached(events)[check]
    assert breach.count == 1
    assert breach.subject == "Q1"


@pytest.mark.parametrize(
    "row",
    [
        GOOD,
        (1, 11, 49_000, 100, 51_000, 1),
        (0, 0, 49_000, 10, 0, 0),
        (0, 0, 0, 0, 51_000, 10),
        (0, 0, 29_500, 10, 51_000, 10),  # nickels below three dollars
        (0, 0, 57_000, 10, 60_000, 10),  # at the collar: the national offer and 1 dollar, 20 % of theo
        (0, 0, 1_000, 10, 900_000, 10),  # far away is no danger
    ],
)
def test_what_is_within_the_limits_passes_unchanged(desk: Desk, row: Row) -> None:
    events = desk.place(row)
    assert cleared(events) == [row]
    assert refused(events) == {}
    assert breached(events) == {}


@pytest.mark.parametrize(
    ("limit", "value"),
    [("worst_delta", 500), ("worst_gamma", 20), ("worst_vega", 10_000), ("max_notional", 10_000), ("max_position", 10)],
)
def test_a_limit_may_be_met(desk: Desk, limit: str, value: float) -> None:
    desk.limit(**{limit: value})
    assert cleared(desk.place(GOOD)) == [GOOD]


def test_the_collar_holds_against_the_national_market_too(desk: Desk) -> None:
    desk.nbbo(bid=29_000, ask=31_000)  # theo says 5.00, the market 3.00
    row = (0, 0, 42_000, 10, 51_000, 10)
    assert refused(desk.place(row)) == {(0, 0): QuoteRefusal.COLLAR}
    assert cleared(desk.place((0, 0, 41_000, 10, 51_000, 10))) != []
    desk.nbbo(bid=69_000, ask=71_000)
    assert refused(desk.place((0, 1, 41_000, 10, 58_000, 10))) == {(0, 1): QuoteRefusal.COLLAR}
    assert cleared(desk.place((0, 1, 41_000, 10, 59_000, 10))) != []


def test_good_entries_pass_beside_bad_ones(desk: Desk) -> None:
    bad: Row = (0, 1, 51_000, 10, 49_000, 10)
    other: Row = (1, 2, 49_000, 10, 51_000, 10)
    events = desk.place(GOOD, bad, other, (0, 3, 49_000, 500, 51_000, 10), (1, 3, 49_000, 500, 51_000, 10))
    assert cleared(events) == [GOOD, other]
    assert refused(events) == {(0, 1): 2, (0, 3): 4, (1, 3): 4}
    assert {name: breach.count for name, breach in breached(events).items()} == {"crossed": 1, "size": 2}
    assert breached(events)["size"].value == 500
    assert breached(events)["size"].limit == 100


def test_a_quote_across_venues_may_not_cross_or_lock_another_of_ours(desk: Desk) -> None:
    desk.place((0, 0, 49_000, 10, 50_000, 10))
    locked = desk.place((1, 0, 50_000, 10, 52_000, 10))
    assert refused(locked) == {(1, 0): QuoteRefusal.SELF_CROSS}
    assert breached(locked)["self_cross"].count == 1
    assert cleared(desk.place((1, 0, 49_000, 10, 52_000, 10))) != []


def test_at_its_own_venue_a_quote_may_jump_over_what_it_replaces(desk: Desk) -> None:
    desk.place((0, 0, 48_000, 10, 49_000, 10))
    up: Row = (0, 0, 50_000, 10, 51_000, 10)
    assert cleared(desk.place(up)) == [up]


def test_a_bid_waits_until_our_offer_elsewhere_has_moved(desk: Desk) -> None:
    desk.place((0, 0, 47_000, 10, 49_000, 10), (1, 0, 47_000, 10, 49_000, 10), name="first")
    desk.ack(0, "first", 1)
    desk.ack(1, "first", 1)
    both: list[Row] = [(0, 0, 49_000, 10, 51_000, 10), (1, 0, 49_000, 10, 51_000, 10)]
    assert refused(desk.place(*both)) == {(0, 0): QuoteRefusal.SELF_CROSS, (1, 0): QuoteRefusal.SELF_CROSS}
    short_of_it: list[Row] = [(0, 0, 48_000, 10, 51_000, 10), (1, 0, 48_000, 10, 51_000, 10)]
    assert cleared(desk.place(*short_of_it, name="second")) == short_of_it
    assert set(refused(desk.place(*both)).values()) == {QuoteRefusal.SELF_CROSS}, "the move is not answered yet"
    desk.ack(0, "second", 1)
    desk.ack(1, "second", 1)
    assert cleared(desk.place(*both)) == both


def test_a_refused_entry_leaves_what_stood_there_in_the_way_of_others(desk: Desk) -> None:
    desk.place((0, 0, 48_000, 10, 49_000, 10), name="first")
    desk.ack(0, "first", 1)
    events = desk.place((0, 0, 50_000, 500, 51_000, 10), (1, 0, 50_000, 10, 51_000, 10))
    assert cleared(events) == []
    assert refused(events) == {(0, 0): QuoteRefusal.SIZE, (1, 0): QuoteRefusal.SELF_CROSS}


def test_a_quote_may_not_reach_an_order_of_ours(desk: Desk) -> None:
    desk.submit(contract=0, side="sell", quantity=5, price=51_000, tif="day", venue=1)
    assert refused(desk.place((0, 0, 51_000, 10, 53_000, 10))) == {(0, 0): QuoteRefusal.SELF_CROSS}
    assert cleared(desk.place(GOOD)) == [GOOD]


def test_a_row_named_twice_keeps_the_last(desk: Desk) -> None:
    last: Row = (0, 0, 48_000, 10, 52_000, 10)
    events = desk.place(GOOD, last)
    assert cleared(events) == [last]
    assert refused(events) == {(0, 0): QuoteRefusal.DUPLICATE}


def test_a_mass_quote_is_taken_once_but_what_it_pulls_is_pulled(desk: Desk) -> None:
    first = desk.quotes([GOOD, (1, 2, 0, 0, 0, 0)])
    desk.apply(first)
    again = desk.apply(first)
    assert cleared(again) == []
    assert set(refused(again).values()) == {QuoteRefusal.DUPLICATE}
    cancels = [event.cancel for event in again if isinstance(event, e.QuoteCancelCleared)]
    assert [(cancel.venue, cancel.contracts) for cancel in cancels] == [(1, (2,))]


@pytest.mark.parametrize("prepare", [kill, halt, close, age, lose_theo, lose_venue, restrict("XYZ")])
def test_pulls_pass_in_every_state(desk: Desk, prepare: Callable[[Desk], object]) -> None:
    desk.full()
    prepare(desk)
    desk.limit(max_messages=0, max_entries=0, worst_delta=0, max_position=0, max_notional=0)
    pull: Row = (0, 0, 0, 0, 0, 0)
    assert cleared(desk.place(pull)) == [pull]


@pytest.mark.parametrize("prepare", [halt, close, age, lose_theo, lose_venue, restrict("XYZ")])
def test_a_smaller_size_at_the_same_price_passes(desk: Desk, prepare: Callable[[Desk], object]) -> None:
    desk.place(GOOD)
    prepare(desk)
    less: Row = (0, 0, 49_000, 3, 51_000, 10)
    assert cleared(desk.place(less)) == [less]
    assert refused(desk.place((0, 0, 49_000, 11, 51_000, 10))) != {}
    assert refused(desk.place((0, 0, 48_000, 3, 51_000, 10))) != {}


def test_a_refused_entry_that_pulls_a_side_goes_as_a_pull_of_both(desk: Desk) -> None:
    desk.place(GOOD)
    events = desk.place((0, 0, 0, 0, 39_000, 10))  # pulls the bid, offers far below theo
    assert cleared(events) == [(0, 0, 0, 0, 0, 0)]
    assert refused(events) == {(0, 0): QuoteRefusal.COLLAR}


def test_the_worst_case_is_met_in_the_order_of_the_entries(desk: Desk) -> None:
    desk.limit(worst_delta=1_250)
    rows: list[Row] = [(0, 2 * i, 49_000, 10, 0, 0) for i in range(4)]  # calls bid: 500 shares of delta each
    events = desk.place(*rows)
    assert cleared(events) == rows[:2]
    assert breached(events)["delta_long"].count == 2
    assert breached(events)["delta_long"].value == 2_000
    puts: Row = (0, 1, 49_000, 10, 0, 0)
    assert cleared(desk.place(puts)) == [puts], "the other direction is free"


def test_resting_and_in_flight_quotes_count_at_the_larger_size(desk: Desk) -> None:
    desk.limit(worst_delta=1_000)
    desk.place((0, 0, 49_000, 20, 0, 0), name="first")
    desk.ack(0, "first", 1)
    desk.place((0, 0, 48_000, 5, 0, 0), name="second")
    assert refused(desk.place((0, 2, 49_000, 10, 0, 0))) == {(0, 2): QuoteRefusal.LIMIT}, "20 may still trade"
    desk.ack(0, "second", 1)
    assert refused(desk.place((0, 2, 49_000, 10, 0, 0))) == {}


def test_a_refused_quote_leaves_the_earlier_one_counted(desk: Desk) -> None:
    desk.limit(worst_delta=1_000)
    desk.place((0, 0, 49_000, 20, 0, 0), name="first")
    desk.ack(0, "first", 1)
    desk.place((0, 0, 0, 0, 0, 0), name="second")
    desk.ack(0, "second", 0, refused=[0])
    assert refused(desk.place((0, 2, 49_000, 1, 0, 0))) == {(0, 2): QuoteRefusal.LIMIT}


def test_a_cancel_frees_risk_only_when_confirmed(desk: Desk) -> None:
    desk.limit(worst_delta=1_000)
    desk.place((0, 0, 49_000, 20, 0, 0), name="first")
    desk.ack(0, "first", 1)
    cancel = c.CancelQuotes(**desk.head, cancel_id="C", venue=0, contracts=(0,), reason="r")
    desk.apply(cancel)
    assert refused(desk.place((0, 2, 49_000, 1, 0, 0))) != {}
    desk.apply(e.QuotesCanceled(**desk.head, venue=0, cancel_id="C", contracts=(0,), reason="r"))
    assert refused(desk.place((0, 2, 49_000, 20, 0, 0))) == {}


def test_fills_free_risk_once_whatever_the_venue_repeats(desk: Desk) -> None:
    desk.limit(worst_delta=1_000)
    desk.place((0, 0, 49_000, 20, 0, 0), name="first")
    report = desk.report(quote_set_id="first", contract=0, last_qty=10, last_px=49_000)
    for _ in range(3):
        desk.apply(report)
    desk.ack(0, "first", 1)
    assert refused(desk.place((0, 2, 49_000, 11, 0, 0))) != {}
    assert refused(desk.place((0, 4, 49_000, 10, 0, 0))) == {}


def test_a_late_fill_of_a_replaced_quote_leaves_the_new_one_counted(desk: Desk) -> None:
    desk.limit(worst_delta=1_000)
    for name in ("first", "second"):
        desk.place((0, 0, 49_000, 20, 0, 0), name=name)
        desk.ack(0, name, 1)
    desk.apply(desk.report(quote_set_id="first", contract=0, last_qty=20, last_px=49_000))
    assert refused(desk.place((0, 2, 49_000, 1, 0, 0))) != {}


def test_an_answer_in_parts_covers_the_first_entries(desk: Desk) -> None:
    desk.limit(worst_delta=1_000)
    desk.place((0, 0, 49_000, 10, 0, 0), (0, 2, 49_000, 10, 0, 0), name="first")
    desk.ack(0, "first", 1)
    desk.ack(0, "first", 0, refused=[2])
    assert refused(desk.place((0, 4, 49_000, 11, 0, 0))) != {}
    assert refused(desk.place((0, 4, 49_000, 10, 0, 0))) == {}


def test_the_rate_window_rolls_with_event_time(desk: Desk) -> None:
    desk.limit(max_messages=2)
    for _ in range(2):
        assert cleared(desk.place(GOOD)) != []
    assert set(refused(desk.place((0, 1, 49_000, 10, 51_000, 10))).values()) == {QuoteRefusal.RATE}
    desk.now += desk.second
    assert cleared(desk.place((0, 1, 49_000, 10, 51_000, 10))) != []


def test_nothing_is_placed_before_prices_and_an_open_session(new_desk: type[Desk]) -> None:
    assert set(refused(new_desk().place(GOOD)).values()) == {QuoteRefusal.HALTED}


def test_commands_of_other_underlyings_are_left_alone(desk: Desk) -> None:
    command = desk.quotes([GOOD])
    fields = {name: getattr(command, name) for name in command.__struct_fields__} | {"underlying": "ABC"}
    assert desk.apply(c.PlaceQuotes(**fields)) == []


def test_a_quote_that_a_venue_refused_to_move_still_stands_for_the_self_cross(desk: Desk) -> None:
    desk.place((0, 0, 48_000, 10, 49_000, 10), name="first")
    desk.ack(0, "first", 1)
    desk.place((0, 0, 50_000, 10, 51_000, 10), name="second")
    desk.ack(0, "second", 0, refused=[0])
    assert refused(desk.place((1, 0, 49_000, 10, 51_000, 10))) == {(1, 0): QuoteRefusal.SELF_CROSS}
    assert refused(desk.place((1, 0, 47_000, 10, 51_000, 10))) == {}


def test_a_message_that_was_never_answered_counts_as_taken_and_as_lost(desk: Desk) -> None:
    desk.limit(worst_delta=1_000)
    desk.place((0, 0, 48_000, 5, 50_000, 5), name="first")
    desk.ack(0, "first", 1)
    desk.place((0, 0, 45_000, 10, 47_000, 1), name="lost")
    desk.place((0, 2, 45_000, 1, 0, 0), name="next")
    desk.ack(0, "next", 1)
    assert refused(desk.place((0, 4, 45_000, 10, 0, 0))) != {}, "10 and 1 may be bought"
    assert refused(desk.place((0, 4, 45_000, 9, 0, 0))) == {}
    assert refused(desk.place((1, 0, 0, 0, 48_000, 1))) == {(1, 0): QuoteRefusal.SELF_CROSS}
    assert refused(desk.place((1, 0, 47_000, 0, 49_000, 1))) == {}


def test_quotes_whose_acknowledgement_is_lost_count_until_a_cancel_is_confirmed_however_many_were_lost(
    desk: Desk,
) -> None:
    def purge(name: str) -> None:
        (event,) = desk.apply(c.CancelQuotes(**desk.head, cancel_id=name, venue=0, contracts=(), reason="no answer"))
        assert isinstance(event, e.QuoteCancelCleared)

    def may_trade() -> tuple[int, int]:
        sizes = desk.gate.view.quotes.bid_size.reshape(2, -1).sum(axis=1)
        return int(sizes[0]), int(sizes[1])

    n = len(desk.chain)
    desk.full(size=10)
    desk.ack(1, "Q1", n)
    purge("C1")
    purge("C2")
    desk.gate.restore(desk.gate.snapshot())
    assert may_trade() == (10 * n, 10 * n)
    gone = e.QuotesCanceled(**desk.head, venue=0, cancel_id="C2", contracts=(), reason="")
    desk.apply(gone)
    assert may_trade() == (0, 10 * n)
    desk.apply(e.QuotesCanceled(**desk.head, venue=0, cancel_id="C1", contracts=(), reason=""))
    assert may_trade() == (0, 10 * n)
