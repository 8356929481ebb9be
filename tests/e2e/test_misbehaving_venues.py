"""A venue rejects, is late, loses, lies, repeats or dies: the run goes on, counts once, resends and hides nothing."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from domain import events as e
from streams.embedded import Outcome
from tests.e2e.conftest import Ran, launch_of

QUOTING, STOCK_VENUE = "SIMA", "SIMS"
DEATH = 1_772_461_830_000_000_000
"""Half a minute after the open of the synthetic day."""

HOWS: dict[str, dict[str, Any]] = {
    "rejects": {"rejects_all": True},
    "delays": {"delay_ns": 300_000_000},
    "drops": {"drop_rate": 0.3},
    "drops acknowledgements": {"drop_ack_rate": 0.3},
    "lies of quantity": {"wrong_quantity_rate": 0.3},
    "lies of price": {"wrong_price_rate": 0.3},
    "repeats": {"duplicate_rate": 1.0},
    "tells late": {"late_fill_rate": 1.0},
    "dies": {"dies_at": DEATH},
    "dies and returns": {"dies_at": DEATH, "returns_at": DEATH + 15_000_000_000},
}
HONEST = ("rejects", "drops acknowledgements", "delays", "repeats", "tells late", "dies", "dies and returns")
"""Where what we are told, each once, is what happened."""


_ABOUT_QUOTES = {"QuoteCancelCleared", "QuotesCanceled", "QuotesCleared"}

Run = Callable[[str, str], Ran]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A minute in which one venue misbehaves; each is run once."""

    @functools.cache
    def run(how: str, mic: str) -> Ran:
        tree = {"misbehaviour": {mic: HOWS[how]}, "synthetic": {"session_minutes": 1}}
        return Ran(launch_of(tmp_path_factory.mktemp("run"), tree))

    return run


@pytest.mark.parametrize("mic", [QUOTING, STOCK_VENUE])
@pytest.mark.parametrize("how", HOWS)
def test_run_ends_in_order_whatever_a_venue_does(run: Run, how: str, mic: str) -> None:
    ran = run(how, mic)
    summary = ran.summary
    assert ran.outcome is Outcome.FINISHED
    assert ran.launch.shard.halted == set()
    assert summary["crossed_own_quotes"] == 0
    assert summary["gate_bypasses"] == 0
    assert summary["fills"] > 0

    told = [report for report in ran.events(e.ExecutionReported) if report.exec_type == e.ExecType.TRADE]
    counted = Counter(fill.fill_id for fill in ran.events(e.OrderFilled))
    assert max(counted.values()) == 1
    assert len(counted) <= len({(report.venue, report.exec_id) for report in told})

    sent = Counter(cleared.order.clordid for cleared in ran.events(e.OrderCleared))
    assert max(sent.values()) == 1
    assert_nothing_resent(ran)

    if how in HONEST or mic == STOCK_VENUE:  # what is lost or untrue about an order is put right by asking
        assert not ran.differs
        assert ran.problems == []
    elif ran.differs:
        assert any("differ" in problem for problem in ran.problems)


def assert_nothing_resent(ran: Ran) -> None:
    """While the outcome of an order is unknown, its parent sends no other for the same shares."""
    routed = {event.clordid: event.request_id for event in ran.events(e.OrderRouted)}
    unknown: set[str] = set()
    for record in ran.records:
        if record.message.schema == "OrderStateChanged":
            event = record.event()
            assert isinstance(event, e.OrderStateChanged)
            request = routed.get(event.clordid, "")
            (unknown.add if event.after == "unknown" else unknown.discard)(request)
        elif record.message.schema == "OrderCleared":
            cleared = record.event()
            assert isinstance(cleared, e.OrderCleared)
            assert cleared.order.request_id not in unknown


def test_rejects_are_counted_by_origin_and_reason(run: Run) -> None:
    quoting = run("rejects", QUOTING).summary["rejects"]["venues"]
    assert set(quoting) == {"venue"}
    assert quoting["venue"] > 100
    assert set(run("rejects", STOCK_VENUE).summary["rejects"]["venues"]) == {"misbehaviour: rejects all"}


def test_rejected_hedges_go_to_the_venue_that_takes_them(run: Run) -> None:
    """A known outcome may be tried again elsewhere."""
    fills = [fill for fill in run("rejects", STOCK_VENUE).events(e.OrderFilled) if not fill.is_quote]
    assert len(fills) > 5
    assert {fill.venue for fill in fills} == {4}


def test_quotes_leave_a_venue_that_rejects_and_stay_at_the_other(run: Run) -> None:
    ran = run("rejects", QUOTING)
    assert {fill.venue for fill in ran.events(e.OrderFilled) if fill.is_quote} == {1}
    assert not ran.launch.ports[0].exchange.positions()[0].any()


def test_delay_is_felt(run: Run) -> None:
    """An answer comes back a delay after the venue gave it."""
    answers = [answer for answer in run("delays", QUOTING).events(e.QuotesAcknowledged) if answer.venue == 0]
    assert answers
    assert min(answer.ts_init - answer.ts_event for answer in answers) >= HOWS["delays"]["delay_ns"]


@pytest.mark.parametrize("how", ["lies of quantity", "lies of price", "drops"])
def test_lies_and_losses_about_quotes_are_found_when_books_are_compared(run: Run, how: str) -> None:
    ran = run(how, QUOTING)
    assert ran.differs
    assert any("differ" in problem for problem in ran.problems)


@pytest.mark.parametrize("how", ["lies of quantity", "lies of price"])
def test_lies_about_orders_are_disputed_at_once_and_put_right_by_asking(run: Run, how: str) -> None:
    ran = run(how, STOCK_VENUE)
    assert ran.events(e.ReconciliationNeeded)
    assert ran.events(e.FillCorrected)
    assert all(ended.is_settled for ended in ran.events(e.ReconciliationEnded))
    assert not ran.differs


def test_a_venue_that_executes_more_than_was_ordered_gets_nothing_until_it_is_taken_back(run: Run) -> None:
    ran = run("lies of quantity", STOCK_VENUE)
    changes = ran.events(e.VenueTrustChanged)
    assert {change.venue for change in changes} == {3}
    assert [change.is_trusted for change in changes] == [bool(place % 2) for place in range(len(changes))]
    trusted = True
    for record in ran.records:
        event = record.event() if record.message.schema in {"VenueTrustChanged", "OrderCleared"} else None
        if isinstance(event, e.VenueTrustChanged):
            trusted = event.is_trusted
        elif isinstance(event, e.OrderCleared):
            assert trusted or event.order.venue != 3


def test_lost_answers_about_orders_are_asked_for_nothing_is_resent_and_hedging_goes_on(run: Run) -> None:
    """An unknown outcome lasts seconds: the venue is asked, what it did is booked, and the next hedge may go."""
    ran = run("drops", STOCK_VENUE)
    unknown: dict[str, int] = {}
    lasted: list[int] = []
    for change in ran.events(e.OrderStateChanged):
        if change.after == "unknown":
            unknown[change.clordid] = change.ts_event
        elif change.clordid in unknown:
            lasted.append(change.ts_event - unknown.pop(change.clordid))
    assert lasted
    assert not unknown
    assert max(lasted) < 10_000_000_000
    assert all(ended.is_settled for ended in ran.events(e.ReconciliationEnded))
    settled_at = min(ended.ts_event for ended in ran.events(e.ReconciliationEnded))
    assert [order for order in ran.events(e.OrderCleared) if order.ts_event > settled_at], "hedging went on"
    told = ran.summary["reconciliation"]
    assert told["settled"] == len(ran.events(e.ReconciliationEnded)) > 0
    assert told["questions"] == len(ran.events(e.OrderStatusCleared)) >= told["settled"]
    assert (told["unsettled"], told["unbooked"], told["disputed_venues"]) == (0, 0, 0)
    assert ran.problems == []


def test_quotes_without_an_acknowledgement_are_cancelled_and_quoting_goes_on_when_that_is_confirmed(run: Run) -> None:
    """From the purge of a silent venue to its confirmation nothing is quoted there, and after it something is."""
    ran = run("drops acknowledgements", QUOTING)
    asked: dict[str, int] = {}
    is_silent, spells, quoted_after = False, 0, 0
    for record in ran.records:
        event = record.event() if record.message.schema in _ABOUT_QUOTES else None
        if isinstance(event, e.QuoteCancelCleared) and event.cancel.reason == "no answer":
            assert event.cancel.venue == 0
            asked = {event.cancel.cancel_id: event.ts_event}
            spells += not is_silent
            is_silent = True
        elif isinstance(event, e.QuotesCanceled) and event.venue == 0 and event.cancel_id in asked:
            is_silent = False
        elif isinstance(event, e.QuotesCleared) and (event.frame.venue == 0).any():
            assert not is_silent
            quoted_after += spells > 0
    assert spells > 0
    assert quoted_after > 0


def test_dead_venue_is_known_to_be_down_and_gets_no_quotes(run: Run) -> None:
    ran = run("dies", QUOTING)
    (down,) = [change for change in ran.events(e.VenueStatusChanged) if "lost" in change.reason]
    assert (down.venue, down.is_up) == (0, False)
    later = [quotes for quotes in ran.events(e.QuotesCleared) if quotes.ts_event > down.ts_event]
    assert later
    assert not any((quotes.frame.venue == 0).any() for quotes in later)


def test_venue_that_comes_back_is_quoted_at_again(run: Run) -> None:
    ran = run("dies and returns", QUOTING)
    back = next(change.ts_event for change in ran.events(e.VenueStatusChanged) if "back" in change.reason)
    assert any((quotes.frame.venue == 0).any() for quotes in ran.events(e.QuotesCleared) if quotes.ts_event > back)
