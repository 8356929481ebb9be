"""The quoter as a stage: what it sends, when it pulls, and that its view of what is shown is true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.commands import (
    CancelQuotes,
    Flatten,
    PauseQuoting,
    PlaceQuotes,
    ResetProtection,
    ResumeQuoting,
    Side,
    StopRun,
)
from domain.errors import DataError
from domain.events import (
    Event,
    KillSwitchEngaged,
    KillSwitchReleased,
    OrderFilled,
    ProtectionReset,
    ProtectionTripped,
    QuoteRefusal,
    QuotesCanceled,
    QuotesRefused,
    QuotingStateChanged,
    SessionState,
    TimerFired,
    VenueProtectionTripped,
    VenueStatusChanged,
)
from domain.frames import QuoteRefusalFrame
from domain.price import NICKEL_DIME
from domain.stage import Stage
from quoting.ladder import ASK, BID, Ladder, apply_rows
from quoting.quoter import Quoter
from quoting.settings import MmpSettings, QuotingSettings

if TYPE_CHECKING:
    from tests.quoting.conftest import Feed

Clock = Callable[[float], int]

ATM = 21  # a put of the first expiry, its strike at the money


def quoter(feed: Feed, **settings: Any) -> Quoter:  # noqa: ANN401 - any field
    return Quoter(
        feed.chain,
        {"GOOG": NICKEL_DIME},
        QuotingSettings(**settings),
        feed.party,
        feed.venues,
        "20151224",
        "goog",
    )


class Venues:
    """What would stand at the venues if they did all that they are told, at once."""

    def __init__(self, feed: Feed) -> None:
        self.book = Ladder.empty(len(feed.venues), feed.n)
        self._row_of = {venue: row for row, venue in enumerate(feed.venues)}

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, PlaceQuotes):
                self.book = apply_rows(self.book, event.frame, self._row_of)
            elif isinstance(event, CancelQuotes):
                rows = [self._row_of[event.venue]] if event.venue >= 0 else list(self._row_of.values())
                at = list(event.contracts) or slice(None)
                for row in rows:
                    self.book.price[row][:, at] = 0
                    self.book.size[row][:, at] = 0

    def agrees_with(self, stage: Quoter) -> bool:
        return np.array_equal(self.book.price, stage.shown.price) and np.array_equal(self.book.size, stage.shown.size)


def only(events: Sequence[Event], kind: type[Any]) -> Any:  # noqa: ANN401 - of that kind
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


def start(feed: Feed, stage: Quoter, length: int = 100_000) -> PlaceQuotes:
    """Open a session of so many seconds and bring spot, market, theos and exposure: the first quotes."""
    events: list[Event] = []
    for event in (feed.session(length=length), feed.spot_quote(), feed.nbbo(), feed.theos(), feed.exposure()):
        events += stage.apply(event)
    return only(events, PlaceQuotes)  # type: ignore[no-any-return]


def fill(feed: Feed, ts: int, venue: int, contract: int, side: Side, quantity: int, price: int) -> OrderFilled:
    return OrderFilled(
        **feed.head(ts),
        fill_id=f"F{ts}",
        venue=venue,
        clordid="",
        is_quote=True,
        intent="",
        contract=contract,
        side=side,
        quantity=quantity,
        price=price,
        fee=0,
        adds_liquidity=True,
    )


def command(feed: Feed, kind: Callable[..., Event], ts: int, **fields: str) -> Event:
    return kind(**(feed.head(ts) | {"user": "jo", "reason": "test"} | fields))


def timer(feed: Feed, ts: int) -> TimerFired:
    return TimerFired(**feed.head(ts), timer="1s")


def test_it_is_a_stage(feed: Feed) -> None:
    stage = quoter(feed)
    assert isinstance(stage, Stage)
    assert stage.name == "quoter"


def test_the_first_pass_quotes_the_chain_at_every_venue_in_one_command(feed: Feed) -> None:
    stage = quoter(feed)
    place = start(feed, stage)
    assert place.quote_set_id == "20151224-goog-Q0000001"
    assert place.party == feed.party
    assert (place.ts_event, place.ts_init, place.underlying) == (feed.noon, feed.noon + 7, "GOOG")
    assert place.quote_ts == feed.noon
    assert sorted(set(place.frame.venue.tolist())) == list(feed.venues)
    assert len(place.frame) == 2 * feed.n
    both = (place.frame.bid_size > 0) & (place.frame.ask_size > 0)
    assert (place.frame.bid < place.frame.ask)[both].all()
    assert both.mean() > 0.9


def test_nothing_is_sent_before_session_spot_and_theos_are_there(feed: Feed) -> None:
    stage = quoter(feed)
    parts = [feed.session(), feed.spot_quote(), feed.theos()]
    for missing in range(3):
        stage = quoter(feed)
        events: list[Event] = []
        for part in [*parts[:missing], *parts[missing + 1 :], feed.nbbo(), feed.exposure()]:
            events += stage.apply(part)
        assert not [event for event in events if isinstance(event, PlaceQuotes)]


def test_the_same_state_sends_nothing_again(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed)
    start(feed, stage)
    assert not stage.apply(feed.exposure(clock(1)))
    assert not stage.apply(feed.nbbo(clock(2)))
    assert not stage.apply(feed.theos(clock(2)))
    assert not stage.apply(feed.exposure(clock(2)))


def test_a_move_of_the_underlying_sends_only_what_changed(feed: Feed, clock: Clock) -> None:
    stage, venues = quoter(feed), Venues(feed)
    venues.take([start(feed, stage)])
    stage.apply(feed.theos(clock(1), spot=750.2))
    before = stage.shown.copy()
    place = only(stage.apply(feed.exposure(clock(1))), PlaceQuotes)
    assert 0 < len(place.frame) < 2 * feed.n
    for row in range(len(place.frame)):
        venue, contract = feed.venues.index(int(place.frame.venue[row])), int(place.frame.contract[row])
        moved = (before.price[venue, :, contract] != stage.shown.price[venue, :, contract]).any()
        assert moved or (before.size[venue, :, contract] != stage.shown.size[venue, :, contract]).any()
    venues.take([place])
    assert venues.agrees_with(stage)


def test_a_small_move_is_not_worth_a_message_unless_the_edge_is_lost(feed: Feed, clock: Clock) -> None:
    base = feed.values()[0]
    calm = quoter(feed, requote_ticks=5.0)
    start(feed, calm)
    calm.apply(feed.theos(clock(1), theo=base + 0.15))
    assert not calm.apply(feed.exposure(clock(1)))

    eager = quoter(feed, requote_ticks=0.0)
    start(feed, eager)
    eager.apply(feed.theos(clock(1), theo=base + 0.15))
    assert eager.apply(feed.exposure(clock(1)))

    calm.apply(
        feed.theos(clock(2), theo=np.maximum(base - 0.45, 0.0))
    )  # the shown bids stand above the theo's edge now
    place = only(calm.apply(feed.exposure(clock(2))), PlaceQuotes)
    assert len(place.frame)
    value = np.maximum(base - 0.45, 0.0) * 10_000
    assert (calm.shown.price[:, BID] <= value - 250 + 1e-3)[calm.shown.size[:, BID] > 0].all()


def test_a_contract_that_loses_its_theo_is_pulled_by_a_row_of_size_zero(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed)
    start(feed, stage)
    status = np.zeros(feed.n, np.int8)
    status[ATM] = 4
    stage.apply(feed.theos(clock(1), status=status))
    frame = only(stage.apply(feed.exposure(clock(1))), PlaceQuotes).frame
    assert frame.contract.tolist() == [ATM, ATM]
    assert not frame.bid_size.any()
    assert not frame.ask_size.any()
    assert not frame.bid.any()


LATCHES: list[tuple[str, Any, Any]] = [
    ("kill", KillSwitchEngaged, KillSwitchReleased),
    ("pause", PauseQuoting, ResumeQuoting),
    ("pause", Flatten, ResumeQuoting),
    ("stop", StopRun, None),
    ("halt", "halted", "open"),
    ("closed", "closed", "open"),
]


def latch_event(feed: Feed, what: Any, ts: int) -> Event:  # noqa: ANN401 - a session state or a command
    return feed.session(what, ts) if what in get_args(SessionState) else command(feed, what, ts)


@pytest.mark.parametrize(("name", "on", "off"), LATCHES)
def test_a_latch_pulls_everything_once_and_its_release_quotes_again(
    feed: Feed,
    clock: Clock,
    name: str,
    on: Any,  # noqa: ANN401 - see LATCHES
    off: Any,  # noqa: ANN401
) -> None:
    stage, venues = quoter(feed, silence_s=1e6), Venues(feed)
    venues.take([start(feed, stage)])
    engage = latch_event(feed, on, clock(1))
    events = stage.apply(engage)
    state, cancel = only(events, QuotingStateChanged), only(events, CancelQuotes)
    assert (state.is_quoting, state.held_by) == (False, (name,))
    assert (cancel.venue, cancel.contracts) == (-1, ())
    venues.take(events)
    assert not venues.book.size.any()
    assert venues.agrees_with(stage)

    assert not stage.apply(engage)
    stage.apply(feed.theos(clock(2), spot=760.0))
    assert not stage.apply(feed.exposure(clock(2)))
    assert not stage.apply(timer(feed, clock(60)))

    if off is not None:
        events = stage.apply(latch_event(feed, off, clock(61)))
        assert only(events, QuotingStateChanged).is_quoting
        assert len(only(events, PlaceQuotes).frame) == 2 * feed.n


def test_a_command_to_the_whole_firm_is_obeyed_and_one_to_another_underlying_is_not(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed)
    start(feed, stage)
    assert not stage.apply(command(feed, PauseQuoting, clock(1), underlying="MSFT"))
    events = stage.apply(command(feed, PauseQuoting, clock(1), underlying=""))
    assert {event.underlying for event in events} == {"GOOG"}
    assert only(events, CancelQuotes)


def test_a_stale_underlying_pulls_quotes_within_a_second_and_a_new_one_brings_them_back(
    feed: Feed, clock: Clock
) -> None:
    stage = quoter(feed, feed_interval_s=5.0, stale_intervals=2.0, silence_s=1e6)
    start(feed, stage)
    events = [event for second in range(1, 12) for event in stage.apply(timer(feed, clock(second)))]
    assert only(events, QuotingStateChanged).held_by == ("stale",)
    assert only(events, CancelQuotes).ts_event == clock(11)
    stage.apply(feed.spot_quote(clock(20)))
    stage.apply(feed.theos(clock(20)))
    events = list(stage.apply(feed.exposure(clock(20))))
    assert only(events, QuotingStateChanged).is_quoting
    assert only(events, PlaceQuotes)


def test_nothing_is_shown_from_the_scheduled_close_on_even_if_nobody_says_so(feed: Feed) -> None:
    stage = quoter(feed, feed_interval_s=1e6, silence_s=1e6, stale_check_s=1e6, pull_before_close_s=0.0)
    start(feed, stage, length=3_600)
    close = feed.session(length=3_600).close_ts
    assert not stage.apply(timer(feed, close - 1))
    events = stage.apply(timer(feed, close))
    assert only(events, QuotingStateChanged).held_by == ("closed",)
    assert only(events, CancelQuotes)
    assert not stage.apply(feed.exposure(close, vega=1e9))
    assert not stage.apply(feed.session("open", close))


def test_a_missing_minute_widens_and_does_not_pull_and_a_second_one_pulls(feed: Feed, clock: Clock) -> None:
    stage, venues = quoter(feed, silence_s=1e6), Venues(feed)
    venues.take([start(feed, stage)])
    told: dict[int, list[Event]] = {}
    widths = {}
    for second in range(1, 152):
        told[second] = list(stage.apply(timer(feed, clock(second))))
        venues.take(told[second])
        widths[second] = venues.book.price[:, ASK] - venues.book.price[:, BID]
        both = (venues.book.size > 0).all(axis=1)
        if second <= 150:
            assert both.mean() > 0.9
    assert not any(told[second] for second in range(1, 61))
    assert only(told[61], PlaceQuotes)
    atm = np.abs(feed.values()[1]) > 0.4
    assert (widths[121][:, atm] > widths[60][:, atm]).all()
    assert only(told[151], CancelQuotes).reason == "stale"

    stage.apply(feed.spot_quote(clock(180)))
    stage.apply(feed.nbbo(clock(180)))
    stage.apply(feed.theos(clock(180)))
    venues.take(stage.apply(feed.exposure(clock(180))))
    assert (venues.book.price[:, ASK] - venues.book.price[:, BID] == widths[60]).all()


LENGTH = 3_600  # seconds to the close, of a session of 12,600: quotes are pulled 60 seconds before it

late_events = st.lists(
    st.tuples(
        st.floats(0, 130),
        st.sampled_from(["timer", "tick", "pause", "resume", "halted", "open", "reset", "venue", "fill"]),
    ),
    max_size=25,
)


@given(late_events)
def test_no_quote_is_placed_or_stands_in_the_last_minute(feed: Feed, path: list[tuple[float, str]]) -> None:
    stage, venues = quoter(feed, mmp=MmpSettings(max_fills=2)), Venues(feed)
    venues.take([start(feed, stage, LENGTH)])
    pull, close = feed.noon + (LENGTH - 60) * feed.second, feed.noon + LENGTH * feed.second
    heard = [(pull + round((after - 65) * feed.second), what) for after, what in path]
    seconds = [(pull + second * feed.second, "timer") for second in range(-70, 62)]
    for ts, what in sorted(heard + seconds):
        events: list[Event] = [timer(feed, ts)]
        if what == "tick":
            events = [feed.spot_quote(ts), feed.nbbo(ts), feed.theos(ts, spot=750 + ts % 7), feed.exposure(ts)]
        elif what in ("pause", "resume"):
            events = [command(feed, PauseQuoting if what == "pause" else ResumeQuoting, ts)]
        elif what in ("halted", "open") and ts < close:
            events = [feed.session(what, ts, LENGTH)]  # type: ignore[arg-type]  # a state
        elif what == "reset":
            events = [command(feed, ResetProtection, ts)]
        elif what == "venue":
            up = VenueStatusChanged(**feed.head(ts), venue=2, is_up=True, reason="")
            events = [up]
        elif what == "fill":
            events = [fill(feed, ts, 0, ATM, "buy", 1, 10_000)]
        for event in events:
            told = stage.apply(event)
            if ts >= pull:
                assert not [one for one in told if isinstance(one, PlaceQuotes)]
            venues.take(told)
        if ts >= pull:
            assert not venues.book.size.any()
    assert venues.agrees_with(stage)


def test_old_nbbos_are_looked_at_again_by_the_timer(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed, feed_interval_s=1e6, nbbo_fresh_s=60.0, stale_check_s=30.0, silence_s=1e6)
    start(feed, stage)
    sent = [e for second in range(1, 301) for e in stage.apply(timer(feed, clock(second)))]
    moments = [event.ts_event for event in sent if isinstance(event, PlaceQuotes)]
    assert moments
    assert moments[0] >= clock(60)
    assert all((moment - feed.noon) % (30 * feed.second) == 0 for moment in moments)


def test_fills_reduce_what_is_shown_and_the_next_pass_replenishes(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed, replenish_share=0.7)
    start(feed, stage)
    price, size = int(stage.shown.price[1, BID, ATM]), int(stage.shown.size[1, BID, ATM])
    stage.apply(fill(feed, clock(1), feed.venues[1], ATM, "buy", 1, price))
    assert stage.shown.size[1, BID, ATM] == size - 1
    assert not stage.apply(feed.exposure(clock(1)))  # most of it is left
    stage.apply(fill(feed, clock(2), feed.venues[1], ATM, "buy", size - 1, price))
    assert stage.shown.price[1, BID, ATM] == 0
    frame = only(stage.apply(feed.exposure(clock(2))), PlaceQuotes).frame
    assert (frame.venue.tolist(), frame.contract.tolist()) == ([feed.venues[1]], [ATM])
    assert frame.bid_size.tolist() == [size]


def test_protection_trips_purges_latches_and_needs_a_command(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed, mmp=MmpSettings(max_contracts=5))
    start(feed, stage)
    price = int(stage.shown.price[0, ASK, ATM])
    assert not stage.apply(fill(feed, clock(1), 0, ATM, "sell", 2, price))
    events = stage.apply(fill(feed, clock(1), 0, ATM, "sell", 3, price))
    tripped = only(events, ProtectionTripped)
    assert (tripped.rule, tripped.value, tripped.limit) == ("contracts", 5.0, 5.0)
    assert only(events, CancelQuotes).venue == -1
    assert only(events, QuotingStateChanged).held_by == ("protection",)
    stage.apply(feed.theos(clock(30)))
    assert not stage.apply(feed.exposure(clock(30)))
    resume = ResumeQuoting(**feed.head(clock(31)), user="jo", reason="not enough")
    assert not stage.apply(resume)
    reset = ResetProtection(**feed.head(clock(32)), user="jo", reason="looked at")
    events = stage.apply(reset)
    assert only(events, ProtectionReset).user == "jo"
    assert only(events, PlaceQuotes)
    assert not stage.apply(reset)


def test_orders_and_stock_do_not_count_for_protection(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed, mmp=MmpSettings(max_fills=1))
    start(feed, stage)
    hedge = fill(feed, clock(1), 0, -1, "sell", 500, 7_500_000)
    assert not stage.apply(hedge)
    order = OrderFilled(**{f: getattr(hedge, f) for f in hedge.__struct_fields__} | {"is_quote": False, "contract": 3})
    assert not stage.apply(order)


@pytest.mark.parametrize("refused_by", ["gate", "venue"])
def test_a_refused_entry_pulls_the_old_quote_and_stays_away_for_a_while(
    feed: Feed, clock: Clock, refused_by: str
) -> None:
    stage, venues = quoter(feed, refusal_backoff_s=5.0, requote_ticks=0.0), Venues(feed)
    venues.take([start(feed, stage)])
    stage.apply(feed.theos(clock(1), theo=feed.values()[0] + 0.3))
    place = only(stage.apply(feed.exposure(clock(1))), PlaceQuotes)
    assert ATM in place.frame.contract
    refused = QuoteRefusalFrame(venue=np.array([2]), contract=np.array([ATM]), reason=np.array([QuoteRefusal.COLLAR]))
    if refused_by == "gate":
        events = stage.apply(QuotesRefused(**feed.head(clock(1)), quote_set_id=place.quote_set_id, frame=refused))
    else:
        events = stage.apply(feed.acknowledged(2, place.quote_set_id, clock(1), contract=ATM, reason=5))
    cancel = only(events, CancelQuotes)
    assert (cancel.venue, cancel.contracts, cancel.reason) == (2, (ATM,), "refused")
    assert not stage.shown.size[1, :, ATM].any()
    assert stage.shown.size[0, :, ATM].all()  # the other venue's is untouched

    stage.apply(feed.theos(clock(2), theo=feed.values()[0]))
    again = only(stage.apply(feed.exposure(clock(2))), PlaceQuotes).frame
    assert ATM not in again.contract[again.venue == 2]
    back = only(stage.apply(feed.exposure(clock(7))), PlaceQuotes).frame
    assert (back.venue.tolist(), back.contract.tolist()) == ([2], [ATM])


def test_a_refusal_of_an_earlier_mass_quote_leaves_the_newer_one_alone(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed, requote_ticks=0.0)
    first = start(feed, stage)
    stage.apply(feed.theos(clock(1), theo=feed.values()[0] + 0.3))
    second = only(stage.apply(feed.exposure(clock(1))), PlaceQuotes)
    assert ATM in second.frame.contract
    assert not stage.apply(feed.acknowledged(0, first.quote_set_id, clock(2), contract=ATM, reason=16))
    assert stage.shown.size[0, :, ATM].all()


def test_unasked_cancels_are_repaired_and_what_is_in_flight_is_not_forgotten(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed)
    first = start(feed, stage)
    gone = QuotesCanceled(**feed.head(clock(1)), venue=0, cancel_id="", contracts=(ATM, 3), reason="venue")
    stage.apply(gone)
    assert stage.shown.size[0, :, ATM].all()  # not acknowledged yet: it will arrive after that cancel
    stage.apply(feed.acknowledged(0, first.quote_set_id, clock(2)))
    stage.apply(gone)
    assert not stage.shown.size[0, :, [3, ATM]].any()
    frame = only(stage.apply(feed.exposure(clock(3))), PlaceQuotes).frame
    assert (frame.venue.tolist(), frame.contract.tolist()) == ([0, 0], [3, ATM])


def test_the_answer_to_our_own_cancel_does_not_remove_newer_quotes(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed)
    first = start(feed, stage)
    cancel = only(stage.apply(command(feed, PauseQuoting, clock(1))), CancelQuotes)
    second = only(stage.apply(command(feed, ResumeQuoting, clock(1))), PlaceQuotes)
    for quote_set_id in (first.quote_set_id, second.quote_set_id):
        stage.apply(feed.acknowledged(0, quote_set_id, clock(2)))
    stage.apply(
        QuotesCanceled(**feed.head(clock(2)), venue=0, cancel_id=cancel.cancel_id, contracts=(), reason="asked")
    )
    assert stage.shown.size[0].any()


def test_a_venue_that_is_down_is_left_out_and_gets_everything_when_it_returns(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed, requote_ticks=0.0)
    start(feed, stage)
    stage.apply(VenueStatusChanged(**feed.head(clock(1)), venue=0, is_up=False, reason="logout"))
    assert not stage.shown.size[0].any()
    stage.apply(feed.theos(clock(2), theo=feed.values()[0] + 0.3))
    assert set(only(stage.apply(feed.exposure(clock(2))), PlaceQuotes).frame.venue.tolist()) == {2}
    up = stage.apply(VenueStatusChanged(**feed.head(clock(3)), venue=0, is_up=True, reason="logon"))
    frame = only(up, PlaceQuotes).frame
    assert set(frame.venue.tolist()) == {0}
    assert len(frame) == feed.n
    unknown = VenueStatusChanged(**feed.head(clock(4)), venue=7, is_up=False, reason="not ours")
    assert not stage.apply(unknown)


def test_a_venues_own_protection_is_purged_and_needs_the_reset(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed)
    start(feed, stage)
    cancel = only(stage.apply(VenueProtectionTripped(**feed.head(clock(1)), venue=2, rule="count")), CancelQuotes)
    assert (cancel.venue, cancel.contracts) == (2, ())
    assert not stage.apply(feed.exposure(clock(2)))
    assert stage.shown.size[0].any()
    events = stage.apply(ResetProtection(**feed.head(clock(3)), user="jo", reason="fine"))
    assert only(events, ProtectionReset)
    assert set(only(events, PlaceQuotes).frame.venue.tolist()) == {2}


def test_a_venue_that_does_not_answer_is_purged_and_quoted_at_again_when_it_confirms_that(
    feed: Feed, clock: Clock
) -> None:
    stage = quoter(feed, silence_s=5.0, refusal_backoff_s=5.0)
    first = start(feed, stage)
    stage.apply(feed.acknowledged(0, first.quote_set_id, clock(1)))
    events = [event for second in range(1, 9) for event in stage.apply(timer(feed, clock(second)))]
    cancel = only(events, CancelQuotes)
    assert (cancel.venue, cancel.reason, cancel.ts_event) == (2, "no answer", clock(5))
    assert stage.shown.size[0].any()
    assert not stage.shown.size[1].any()
    assert not [event for event in stage.apply(feed.exposure(clock(9))) if isinstance(event, PlaceQuotes)]
    gone = QuotesCanceled(**feed.head(clock(9)), venue=2, cancel_id=cancel.cancel_id, contracts=(), reason="")
    frame = only(stage.apply(gone), PlaceQuotes).frame
    assert set(frame.venue.tolist()) == {2}


def test_purges_of_a_venue_that_stays_silent_are_repeated_with_a_growing_pause_and_nothing_is_quoted_there(
    feed: Feed, clock: Clock
) -> None:
    stage = quoter(feed, silence_s=5.0, feed_interval_s=1e6, stale_check_s=1e6, pull_before_close_s=0.0)
    first = start(feed, stage)
    stage.apply(feed.acknowledged(0, first.quote_set_id, clock(1)))
    events: list[Event] = []
    for second in range(1, 200):
        if second == 60:
            fresh = quoter(feed, silence_s=5.0, feed_interval_s=1e6, stale_check_s=1e6, pull_before_close_s=0.0)
            fresh.restore(stage.snapshot())
            stage = fresh
        events += stage.apply(timer(feed, clock(second)))
    purges = [event for event in events if isinstance(event, CancelQuotes)]
    assert [(purge.venue, purge.ts_event) for purge in purges] == [
        (2, clock(second)) for second in (5, 10, 20, 40, 80, 160)
    ]
    assert not any((event.frame.venue == 2).any() for event in events if isinstance(event, PlaceQuotes))
    late = QuotesCanceled(**feed.head(clock(200)), venue=2, cancel_id=purges[0].cancel_id, contracts=(), reason="")
    assert not stage.apply(late), "an answer to an earlier purge is none to the last"
    gone = QuotesCanceled(**feed.head(clock(201)), venue=2, cancel_id=purges[-1].cancel_id, contracts=(), reason="")
    assert set(only(stage.apply(gone), PlaceQuotes).frame.venue.tolist()) == {2}


def test_a_cancel_that_is_not_confirmed_is_repeated_until_it_is(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed, silence_s=5.0)
    first = start(feed, stage)
    for venue in feed.venues:
        stage.apply(feed.acknowledged(venue, first.quote_set_id, clock(1)))
    asked = only(stage.apply(command(feed, PauseQuoting, clock(2))), CancelQuotes)
    answer = {"cancel_id": asked.cancel_id, "contracts": (), "reason": "asked"}
    stage.apply(QuotesCanceled(**feed.head(clock(3)), venue=0, **answer))
    events = [event for second in range(3, 14) for event in stage.apply(timer(feed, clock(second)))]
    assert [(e.venue, e.ts_event) for e in events if isinstance(e, CancelQuotes)] == [(2, clock(7)), (2, clock(12))]
    again = events[-1]
    assert isinstance(again, CancelQuotes)
    stage.apply(QuotesCanceled(**feed.head(clock(14)), venue=2, **(answer | {"cancel_id": again.cancel_id})))
    assert not [event for second in range(14, 40) for event in stage.apply(timer(feed, clock(second)))]


def test_a_part_of_a_mass_quote_that_is_lost_is_noticed(feed: Feed, clock: Clock) -> None:
    stage = quoter(feed, silence_s=5.0)
    first = start(feed, stage)
    stage.apply(feed.acknowledged(0, first.quote_set_id, clock(1)))
    for accepted in (20, feed.n - 21):  # one entry is missing
        stage.apply(feed.acknowledged(2, first.quote_set_id, clock(1), accepted=accepted))
    events = [event for second in range(1, 7) for event in stage.apply(timer(feed, clock(second)))]
    assert (only(events, CancelQuotes).venue, only(events, CancelQuotes).reason) == (2, "no answer")


steps = st.lists(
    st.one_of(
        st.tuples(st.just("theo"), st.floats(-0.5, 0.5)),
        st.tuples(st.just("nbbo"), st.floats(0.2, 3.0)),
        st.tuples(st.just("vega"), st.floats(-1e7, 1e7)),
        st.tuples(st.just("fill"), st.integers(0, 43)),
        st.tuples(st.just("refuse"), st.integers(0, 43)),
        st.tuples(st.just("pause"), st.just(0)),
        st.tuples(st.just("resume"), st.just(0)),
        st.tuples(st.just("timer"), st.integers(1, 200)),
    ),
    min_size=1,
    max_size=25,
)


class Play:
    """Feeds a quoter and stands for gate and venues, which take at once what is sent and answer it."""

    def __init__(self, feed: Feed, stage: Quoter, venues: Venues, second: int = 1) -> None:
        self.feed, self.stage, self.venues, self.second = feed, stage, venues, second
        self.outputs: list[Event] = []
        self.refuses = -1

    def play(self, *events: Event) -> None:
        for event in events:
            for sent in self.stage.apply(event):
                self.outputs.append(sent)
                if isinstance(sent, PlaceQuotes):
                    self.judge(sent)
                elif isinstance(sent, CancelQuotes):
                    self.venues.take([sent])
                    self.play(*(self.canceled(sent, v) for v in self.feed.venues if sent.venue in {-1, v}))

    def judge(self, sent: PlaceQuotes) -> None:
        """The gate refuses one contract at the second venue, where it was told to; the rest reaches the venues."""
        refuse = (sent.frame.venue == self.feed.venues[1]) & (sent.frame.contract == self.refuses)
        passed = sent.frame.take(~refuse)
        fields = {name: getattr(sent, name) for name in sent.__struct_fields__}
        self.venues.take([PlaceQuotes(**(fields | {"frame": passed}))])
        if refuse.any():
            self.refuses = -1
            at = sent.frame.take(refuse)
            refused = QuoteRefusalFrame(venue=at.venue, contract=at.contract, reason=np.full(len(at), 5))
            head = self.feed.head(sent.ts_event)
            self.play(QuotesRefused(**head, quote_set_id=sent.quote_set_id, frame=refused))
        for venue in sorted(set(passed.venue.tolist())):
            self.play(self.feed.acknowledged(venue, sent.quote_set_id, sent.ts_event))

    def canceled(self, sent: CancelQuotes, venue: int) -> QuotesCanceled:
        head = self.feed.head(sent.ts_event)
        return QuotesCanceled(
            **head, venue=venue, cancel_id=sent.cancel_id, contracts=sent.contracts, reason=sent.reason
        )

    def step(self, kind: str, value: Any) -> None:  # noqa: ANN401 - one of `steps`
        self.second += 3
        feed, ts = self.feed, self.feed.noon + self.second * self.feed.second
        match kind:
            case "theo":
                theos = feed.theos(ts, theo=np.maximum(feed.values()[0] + value, 0.0))
                self.play(feed.spot_quote(ts), theos, feed.exposure(ts))
            case "nbbo":
                self.play(feed.nbbo(ts, width=value))
            case "vega":
                self.play(feed.exposure(ts, vega=value))
            case "fill":
                book = self.venues.book
                if size := min(int(book.size[0, BID, value]), 3):
                    price = int(book.price[0, BID, value])
                    book.trade(0, value, "buy", size, price)
                    self.play(fill(feed, ts, 0, value, "buy", size, price))
            case "refuse":
                self.refuses = value
            case "pause" | "resume":
                self.play(command(feed, PauseQuoting if kind == "pause" else ResumeQuoting, ts))
            case _:
                self.second += value
                self.play(timer(feed, ts + value * feed.second))


def run(feed: Feed, stage: Quoter, path: list[tuple[str, Any]], venues: Venues, second: int = 1) -> list[Event]:
    """Play a path from the first quotes on."""
    player = Play(feed, stage, venues, second)
    player.play(*(feed.acknowledged(venue, "20151224-goog-Q0000001", feed.noon) for venue in feed.venues))
    for kind, value in path:
        player.step(kind, value)
    return player.outputs


@given(steps)
def test_the_view_of_what_is_shown_is_what_venues_hold_and_never_crosses(
    feed: Feed, path: list[tuple[str, Any]]
) -> None:
    stage, venues = quoter(feed), Venues(feed)
    venues.take([start(feed, stage)])
    run(feed, stage, path, venues)
    assert venues.agrees_with(stage)
    book = venues.book
    both = (book.size > 0).all(axis=1)
    assert (book.price[:, BID] < book.price[:, ASK])[both].all()
    assert ((book.price == 0) == (book.size == 0)).all()


@given(steps, steps)
def test_a_restored_quoter_answers_as_the_original(
    feed: Feed, before: list[tuple[str, Any]], after: list[tuple[str, Any]]
) -> None:
    original, venues = quoter(feed), Venues(feed)
    venues.take([start(feed, original)])
    run(feed, original, before, venues)
    restored, copies = quoter(feed), Venues(feed)
    restored.restore(original.snapshot())
    copies.book = venues.book.copy()
    assert restored.snapshot() == original.snapshot()
    assert run(feed, original, after, venues, 9_000) == run(feed, restored, after, copies, 9_000)
    assert restored.snapshot() == original.snapshot()


def test_a_snapshot_of_another_stage_is_refused(feed: Feed) -> None:
    with pytest.raises(DataError):
        quoter(feed).restore(b"nonsense")


def test_it_reads_every_event_that_it_reacts_to_and_ignores_others(feed: Feed) -> None:
    stage = quoter(feed)
    assert TimerFired in stage.reads
    assert not stage.apply(ProtectionReset(**feed.head(), user="jo", reason="an output"))
