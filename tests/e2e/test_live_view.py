"""What a person sees while a run goes on: the label, our quotes against the NBBO, position, P&L, fills, latencies."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

from axiom.live import LiveView
from axiom.live_state import LiveState, told
from axiom.screen import draw
from domain import events as e
from domain.metrics import NoMetrics
from domain.price import PRICE_SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from axiom.launch import Launch
    from tests.e2e.conftest import Prepare

SECOND_NS = 1_000_000_000
HEAD: dict[str, Any] = {"ts_event": 1_772_461_800_000_000_000, "ts_init": 0, "underlying": "SYN"}


class Watched:
    """A run half a minute into its session, watched from its beginning."""

    def __init__(self, prepare: Prepare) -> None:
        self.state = LiveState()
        self.launch: Launch = prepare({"synthetic": {"session_minutes": 1}}, sinks=[self])
        self.state.begin(self.launch.recording, self.launch.listed)
        self.launch.run.run(self.launch.recording.open_ns + 30 * SECOND_NS)

    def on_input(self, source: str, event: e.Event, outputs: Sequence[e.Event]) -> None:  # noqa: ARG002  # of Sink  # noqa: ARG002  # the sink protocol
        for each in (event, *outputs):
            self.state.take(each)

    def text(self, width: int = 140, height: int = 48) -> str:
        return printed(self.state, self.launch.run.tick_to_quote_ns, width=width, height=height)


def printed(state: LiveState, ticks_ns: Sequence[int] = (), *, width: int = 140, height: int = 48) -> str:
    """The screen as text."""
    console = Console(record=True, width=width, height=height, file=io.StringIO())
    console.print(draw(state, ticks_ns, width=width, height=height))
    return console.export_text()


@pytest.fixture
def watched(prepare: Prepare) -> Watched:
    return Watched(prepare)


def test_screen_says_what_is_running_and_how_far(watched: Watched) -> None:
    text = watched.text()
    assert "SYNTHETIC MARKET" in text
    assert "09:30:30 New York" in text
    assert "50 % of the day" in text
    assert "seed=1" in text


def test_recorded_market_is_not_called_synthetic(watched: Watched) -> None:
    watched.state.is_synthetic = False
    text = watched.text()
    assert "recorded market, simulated fills" in text
    assert "SYNTHETIC" not in text


def test_our_best_prices_are_those_that_rest_at_the_venues(watched: Watched) -> None:
    """Recounted from the venues' own books."""
    watched.launch.run.drain()
    best = watched.state.best
    bid, ask = np.zeros_like(best.bid), np.full_like(best.ask, np.iinfo(np.int64).max)
    for port in watched.launch.ports:
        resting: Any = port.exchange
        frame = resting.resting().quotes
        np.maximum.at(bid, frame.contract, np.where(frame.bid_size > 0, frame.bid, 0))
        np.minimum.at(ask, frame.contract, np.where(frame.ask_size > 0, frame.ask, np.iinfo(np.int64).max))
    np.testing.assert_array_equal(best.bid, bid)
    np.testing.assert_array_equal(best.ask, np.where(ask == np.iinfo(np.int64).max, 0, ask))
    assert watched.state.quality().two_sided > 100


def test_chain_near_the_money_shows_nbbo_and_ours_for_calls_and_puts(watched: Watched) -> None:
    state = watched.state
    text = watched.text()
    assert state.chain is not None
    spot = state.mid
    near = int(np.abs(state.chain.strike - spot).argmin())
    strike = state.chain.strike[near]
    line = next(line for line in text.splitlines() if re.search(rf"\s{strike:.2f}".removesuffix(".00") + r"\s", line))
    best = state.best
    for row in (near, int(state.chain.partner[near])):
        for price in (*state.nbbo[:, row].tolist(), int(best.bid[row]), int(best.ask[row])):
            assert f"{price / PRICE_SCALE:.2f}" in line


def test_position_and_pnl_are_those_of_the_last_events(watched: Watched) -> None:
    state, text = watched.state, watched.text()
    assert state.exposure is not None
    assert state.pnl is not None
    for value in (state.exposure.delta, state.exposure.vega / 100, state.exposure.theta / 365, state.pnl.total):
        assert f"{value:,.0f}" in text
    for name in ("spread", "gamma", "rest", "hedging", "fees", "delta, $", "vega, $ per point"):
        assert name in text
    ledger: Any = watched.launch.shard.stages("SYN")[3]
    np.testing.assert_array_equal(state.held, ledger.ledger.quantity)


def test_fills_are_listed_with_their_edge(watched: Watched) -> None:
    state, text = watched.state, watched.text()
    assert state.counts["quote_fills"] > 0
    assert state.counts["order_fills"] > 0
    assert len(state.fills) == 6
    for fill in state.fills:
        assert fill.name in text
        assert f"{fill.price:,.2f}" in text
    assert sum(fill.edge for fill in state.fills if fill.kind == "quote") > 0


def test_latencies_are_shown_as_the_run_measured_them(watched: Watched) -> None:
    ticks = watched.launch.run.tick_to_quote_ns
    assert ticks
    assert f"p50 {np.median(ticks) / 1e6:.2f}" in watched.text()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 34), (140, 48), (220, 70)])
def test_screen_fits_its_terminal(watched: Watched, width: int, height: int) -> None:
    text = watched.text(width, height)
    assert all(len(line) <= width for line in text.splitlines())
    if height >= 34:
        assert len(text.rstrip().splitlines()) <= height


def test_before_anything_is_known_there_is_a_screen_too(prepare: Prepare) -> None:
    launch = prepare({"synthetic": {"session_minutes": 1}})
    state = LiveState()
    assert "no mark yet" in printed(state)
    state.begin(launch.recording, launch.listed)
    text = printed(state)
    assert "no quote yet" in text
    assert "not quoting" in text


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (e.KillSwitchEngaged(**HEAD, user="ann", reason="odd fills"), "KILL SWITCH engaged by ann: odd fills"),
        (e.ShardHalted(**HEAD, stage="pnl", error="IndexError: x"), "HALTED in pnl"),
        (e.VenueStatusChanged(**HEAD, venue=1, is_up=False, reason="connection lost"), "venue 1 is down"),
        (e.ReconciliationNeeded(**HEAD, venue=3, subject="O7", reason="no answer in time"), "outcome unknown: O7"),
        (
            e.ReconciliationEnded(**HEAD, venue=3, clordid="O7", is_settled=False, tries=8, outcome="unknown"),
            "CALL VENUE 3: order O7 is not settled",
        ),
        (e.VenueTrustChanged(**HEAD, venue=3, is_trusted=False, reason="order O7"), "venue 3 is DISPUTED: order O7"),
        (e.ProtectionTripped(**HEAD, rule="contracts", value=210.0, limit=200.0), "protection tripped: contracts 210"),
        (e.FeedDegraded(**HEAD, source="f", reason="negative price", count=3, example=""), "3 negative price"),
        (e.OrderRefused(**HEAD, clordid="O", request_id="", reason="limit", detail="d"), "order refused: limit"),
        (e.QuotingStateChanged(**HEAD, is_quoting=False, held_by=("kill", "stale")), "not quoting: kill, stale"),
    ],
)
def test_what_should_not_pass_unseen_is_noted_with_its_time(event: e.Event, text: str) -> None:
    state = LiveState()
    state.take(event)
    (line,) = [line for line in printed(state).splitlines() if text in line and "09:30:00" in line]
    assert line


def test_what_happens_all_the_time_is_no_note() -> None:
    assert told(e.TimerFired(**HEAD, timer="1s")) == ""
    assert told(e.VenueStatusChanged(**HEAD, venue=1, is_up=True, reason="")) == ""


def test_live_view_draws_on_a_terminal_and_leaves_nothing_behind(prepare: Prepare) -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=140, height=48)
    view = LiveView(is_shown=True, metrics=NoMetrics(), console=console)
    launch = prepare({"synthetic": {"session_minutes": 1}}, sinks=[view])
    view.begin(launch.recording, launch.listed, launch.run.tick_to_quote_ns)
    with view:
        launch.run.run(launch.recording.open_ns + 10 * SECOND_NS)
    drawn = terminal.getvalue()
    assert "SYNTHETIC MARKET" in drawn
    assert "nearest the money" in drawn
    assert drawn.endswith(("\x1b[2K", "\x1b[?25h"))  # the screen is wiped and the cursor is back
