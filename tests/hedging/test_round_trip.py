"""Hedger, router, order state and venues together: what is hedged is what the venues traded."""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from domain.chain import Chain
from domain.instrument import OptionContract
from domain.price import NICKEL_DIME
from hedging.hedger import Hedger
from hedging.settings import HedgerSettings
from routing.exchange import Exchange, ExchangeSettings
from routing.misbehaviour import Misbehaving, Misbehaviour
from routing.order_state import TERMINAL, OrderBook
from routing.router import Router, RouterSettings
from routing.venues import SIMULATED

OPEN = 1_450_967_400_000_000_000
SECOND = 1_000_000_000
PARTY = c.Party(account="A1", capacity="market_maker", clearing_firm="CF", market_maker_id="MM")


class World:
    """One book of options whose delta we set, hedged at two stock venues. Clearances pass as they are."""

    def __init__(self, how: Misbehaviour, seed: int) -> None:
        contract = OptionContract(root="XYZ", underlying="XYZ", expiry=dt.date(2016, 1, 15), strike=100_000, right="C")
        chain = Chain("XYZ", dt.date(2015, 12, 24), [contract])
        ticks = {"XYZ": NICKEL_DIME}
        self.now = OPEN
        self.hedger = Hedger(HedgerSettings(risk_aversion=1e-3, max_band=300.0), chain)
        self.book = OrderBook(chain, "XYZ")
        self.router = Router(chain, ticks, SIMULATED, PARTY, RouterSettings(), "20151224", "0")
        self.venues = {
            index: Misbehaving(Exchange(SIMULATED, index, chain, ticks, ExchangeSettings(), seed), how, seed)
            for index in (3, 4)
        }
        self.option_delta = 0.0
        self.shares = 0
        self.sent: list[c.SubmitOrder] = []
        self.sequence = 0
        self.market(e.SessionChanged(**self.head, state="open", open_ts=OPEN, close_ts=OPEN + 3_600 * SECOND))

    @property
    def head(self) -> dict[str, Any]:
        return {"ts_event": self.now, "ts_init": 7, "underlying": "XYZ"}

    @property
    def traded(self) -> int:
        return sum(venue.positions()[1] for venue in self.venues.values())

    def market(self, event: e.Event) -> None:
        """An event of the market: to the venues, and to us."""
        answers = [answer for venue in self.venues.values() for answer in venue.on_market(event)]
        for told in (event, *answers):
            self.run(told)

    def run(self, event: e.Event) -> None:
        """One input through the stages until nothing follows; answers of venues are later inputs."""
        inputs = deque([event])
        while inputs:
            queue = deque([inputs.popleft()])
            while queue:
                current = queue.popleft()
                for stage in (self.book, self.hedger, self.router):
                    if type(current) in stage.reads:
                        queue.extend(stage.apply(current))
                if isinstance(current, e.OrderFilled):
                    queue.extend(self.fill(current))
                if isinstance(current, c.SubmitOrder):
                    self.sent.append(current)
                    self.sequence += 1
                    cleared = e.OrderCleared(**self.head, gate="XYZ", sequence=self.sequence, seal="", order=current)
                    queue.append(cleared)
                    inputs.extend(self.venues[current.venue].submit(cleared, self.now))

    def fill(self, filled: e.OrderFilled) -> list[e.Event]:
        change = filled.quantity if filled.side == "buy" else -filled.quantity
        self.shares += change
        position = e.PositionChanged(**self.head, contract=c.STOCK, quantity=self.shares, change=change, cause="fill")
        return [position, self.exposure("fill")]

    def exposure(self, cause: str) -> e.ExposureChanged:
        return e.ExposureChanged(
            **self.head,
            spot=100.0,
            stock=self.shares,
            delta=self.option_delta + self.shares,
            gamma=10.0,
            vega=0.0,
            theta=0.0,
            option_delta=self.option_delta,
            cause=cause,
        )

    def second(self, option_delta: float | None = None) -> None:
        """A second passes; the market quotes, the book may have changed."""
        self.now += SECOND
        self.market(e.UnderlyingUpdated(**self.head, bid=1_000_000, bid_size=300, ask=1_000_200, ask_size=300))
        if option_delta is not None:
            self.option_delta = option_delta
            self.run(self.exposure("greeks"))
        self.run(e.TimerFired(**self.head, timer="1s"))


deltas = st.lists(st.floats(-900, 900), min_size=1, max_size=8)


@settings(max_examples=25)
@given(deltas=deltas, seed=st.integers(0, 1_000))
def test_honest_venues_leave_net_delta_in_the_band_and_the_books_equal(deltas: list[float], seed: int) -> None:
    world = World(Misbehaviour(), seed)
    for delta in deltas:
        world.second(delta)
    for _ in range(60):
        world.second()
    assert world.shares == world.traded
    assert abs(world.option_delta + world.shares) <= world.hedger.band() + 1
    assert all(order.state in TERMINAL for order in world.book.orders.values())


@settings(max_examples=25)
@given(deltas=deltas, seed=st.integers(0, 1_000))
def test_repeated_and_late_reports_change_nothing(deltas: list[float], seed: int) -> None:
    world = World(Misbehaviour(duplicate_rate=0.5, late_fill_rate=0.5), seed)
    for delta in deltas:
        world.second(delta)
    for _ in range(60):
        world.second()
    assert world.shares == world.traded
    assert abs(world.option_delta + world.shares) <= world.hedger.band() + 1


@settings(max_examples=25)
@given(deltas=deltas, seed=st.integers(0, 1_000), drop=st.floats(0.05, 1.0))
def test_whatever_unknown_orders_did_no_order_moves_net_delta_past_zero(
    deltas: list[float], seed: int, drop: float
) -> None:
    world = World(Misbehaviour(drop_rate=drop), seed)
    for delta in deltas * 5:
        before, shares = len(world.sent), world.shares
        unknown = [order for order in world.book.orders.values() if order.state not in TERMINAL]
        left = [(1 if order.side == "buy" else -1) * order.leaves for order in unknown]
        world.second(delta)
        for place, order in enumerate(world.sent[before:], before):
            bounds = [delta + shares + sum(part for part in left if part * way > 0) for way in (-1, 1)]
            sent = (1 if order.side == "buy" else -1) * sum(o.quantity for o in world.sent[before : place + 1])
            assert all(bound * sent < 0 and abs(sent) <= abs(bound) for bound in bounds)
    assert len({order.clordid for order in world.sent}) == len(world.sent)


@pytest.mark.parametrize("how", [Misbehaviour(rejects_all=True), Misbehaviour(dies_at=OPEN + 5 * SECOND)])
def test_a_venue_that_refuses_or_dies_is_not_flooded(how: Misbehaviour) -> None:
    world = World(how, 1)
    for _ in range(10):
        world.second()
    for _ in range(120):
        world.second(700.0)
    assert len(world.sent) <= 20
    assert world.shares == world.traded == 0
