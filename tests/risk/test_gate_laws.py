"""Laws of the gate over random days, against a plain model that keeps venues as lists of messages.

After every step the gate's view of what may trade equals the model's, and every clearance satisfies all limits, worked
out from scratch in plain Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from risk.limits import Limits
from risk.worst_case import CHECKS, UnitRisk, added_load, base_load, over

if TYPE_CHECKING:
    from tests.risk.conftest import Desk

N, VENUES = 4, 2
LIMITS = Limits(
    max_quote_size=15,
    max_order_size=15,
    max_stock_order=3_000,
    worst_delta=2_500.0,
    worst_gamma=90.0,
    worst_vega=55_000.0,
    held_delta=600.0,
    held_gamma=20.0,
    held_vega=9_000.0,
    max_position=40,
    max_stock=4_000,
    max_notional=450_000.0,
    max_messages=5,
    max_entries=16,
    stale_ms=5_000,
)
EPS = 1e-6


class Quote(NamedTuple):
    """What may stand in one contract at one venue."""

    bid: int = 0
    bid_size: int = 0
    ask: int = 0
    ask_size: int = 0


class Message(NamedTuple):
    """A mass quote or a cancel that a venue has not answered."""

    name: str
    is_cancel: bool
    rows: dict[int, Quote]


class Model:
    """Venues as known books and unanswered messages; positions, orders and Greeks as plain numbers."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.books: list[dict[int, Quote]] = [{}, {}]
        self.names: list[dict[int, str]] = [{}, {}]
        self.waiting: list[list[Message]] = [[], []]
        self.orders: dict[str, dict[str, Any]] = {}
        self.position = [0] * N
        self.stock = 0
        self.greeks = {"delta": [0.0] * N, "gamma": [0.0] * N, "vega": [0.0] * N}
        self.theo = [0.0] * N
        self.has_theo = [False] * N
        self.nbbo = (48_000, 52_000)
        self.session = "open"
        self.is_killed = False
        self.limits = LIMITS
        self.sent: list[tuple[int, int]] = []

    def states(self, venue: int, contract: int) -> list[Quote]:
        """All that may stand: the book as known, and as each waiting message leaves it."""
        found = [self.books[venue].get(contract, Quote())]
        found += [m.rows[contract] for m in self.waiting[venue] if contract in m.rows]
        return found

    def last(self, venue: int, contract: int) -> Quote:
        return self.states(venue, contract)[-1]

    def may_trade(self, contract: int) -> tuple[int, int]:
        """Contracts that may be bought and sold, in quotes and orders."""
        buy = sum(max(q.bid_size for q in self.states(v, contract)) for v in range(VENUES))
        sell = sum(max(q.ask_size for q in self.states(v, contract)) for v in range(VENUES))
        return buy + self.open_orders(contract, "buy"), sell + self.open_orders(contract, "sell")

    def open_orders(self, contract: int, side: str) -> int:
        return sum(o["leaves"] for o in self.orders.values() if (o["contract"], o["side"]) == (contract, side))

    def held(self) -> dict[str, float]:
        sums = {k: sum(100 * p * g for p, g in zip(self.position, gs, strict=True)) for k, gs in self.greeks.items()}
        return sums | {"delta": sums["delta"] + self.stock}

    def loads(self) -> dict[str, float]:
        """Largest reachable net Greeks, the negatives of the smallest, gross notional."""
        found: dict[str, float] = {}
        reach = [self.may_trade(i) for i in range(N)]
        shares = self.open_orders(c.STOCK, "buy"), self.open_orders(c.STOCK, "sell")
        for name, values in self.greeks.items():
            long = sum(max(100 * g, 0) * b + max(-100 * g, 0) * s for g, (b, s) in zip(values, reach, strict=True))
            short = sum(max(100 * g, 0) * s + max(-100 * g, 0) * b for g, (b, s) in zip(values, reach, strict=True))
            stock = shares if name == "delta" else (0, 0)
            found[f"{name}_long"] = self.held()[name] + long + stock[0]
            found[f"{name}_short"] = -self.held()[name] + short + stock[1]
        spot = (self.desk.gate.view.market.bid + self.desk.gate.view.market.ask) / 20_000
        options = sum(100 * t * (abs(p) + b + s) for t, p, (b, s) in zip(self.theo, self.position, reach, strict=True))
        found["notional"] = options + (abs(self.stock) + sum(shares)) * spot
        return found

    def allowed(self) -> dict[str, float]:
        lim = self.limits
        one = {"delta": lim.worst_delta, "gamma": lim.worst_gamma, "vega": lim.worst_vega}
        return {f"{k}_{way}": v for k, v in one.items() for way in ("long", "short")} | {"notional": lim.max_notional}

    def collar(self, contract: int) -> tuple[float, float]:
        theo = self.theo[contract] * 10_000
        room = max(self.limits.collar_dollars * 10_000, self.limits.collar_fraction * theo)
        bid, ask = self.nbbo
        return min(theo, ask or theo) + room, max(theo, bid) - room

    def may_add(self) -> bool:
        """Whether anything may be placed at this time."""
        market, now = self.desk.gate.view.market, self.desk.now
        is_fresh = now - min(market.underlying_ts, market.theo_ts) <= self.limits.stale_ms * 1_000_000
        return self.session == "open" and not self.is_killed and is_fresh and now < self.desk.close_ts

    def count_message(self, entries: int = 0) -> None:
        self.sent.append((self.desk.now, entries))

    def recent(self) -> tuple[int, int]:
        """Messages and entries of the last second."""
        window = [x for x in self.sent if x[0] > self.desk.now - self.desk.second]
        return len(window), sum(x[1] for x in window)


class Driver:
    """Carries out one random step on the gate and the model, and checks what the gate let through."""

    def __init__(self, new_desk: type[Desk]) -> None:
        chain = new_desk.make_chain(strikes=(95, 105), expiries=(new_desk.make_chain().expiries[1][1],))
        self.desk = new_desk(limits=LIMITS, chain=chain, venues=VENUES)
        self.model = Model(self.desk)
        self.desk.open()
        self.refresh([0.5, -0.5, 0.4, -0.6], 0.02, 10.0, [5.0] * N, [0] * N)
        self.sequence = 0

    # --- steps ---
    def refresh(self, delta: list[float], gamma: float, vega: float, theo: list[float], status: list[int]) -> None:
        model = self.model
        self.desk.underlying()
        self.desk.greeks(theo=theo, delta=delta, gamma=gamma, vega=vega, status=status)
        for i in range(N):
            model.has_theo[i] = status[i] == 0
            if status[i] == 0:
                model.theo[i] = theo[i]
                model.greeks["delta"][i], model.greeks["gamma"][i], model.greeks["vega"][i] = delta[i], gamma, vega
        self.expose()

    def expose(self) -> None:
        held = self.model.held()
        self.desk.expose(delta=held["delta"], gamma=held["gamma"], vega=held["vega"], stock=self.model.stock)

    def place(self, rows: list[tuple[int, int, int, int, int, int]]) -> None:
        model = self.model
        command = self.desk.quotes(rows)
        before = model.loads()
        reach = [model.may_trade(i) for i in range(N)]
        sent = {(v, i): model.last(v, i) for v in range(VENUES) for i in range(N)}
        for event in self.check(self.desk.apply(command)):
            assert isinstance(event, e.QuotesCleared)
            taken = list(zip(*(col.tolist() for col in event.frame.columns().values()), strict=True))
            assert len({row[:2] for row in taken}) == len(taken)
            assert {row[:2] for row in taken} <= {row[:2] for row in rows}
            places = [row for row in taken if row[3] or row[5]]
            for venue in range(VENUES):
                mine = {row[1]: Quote(*row[2:]) for row in taken if row[0] == venue}
                if mine:
                    model.waiting[venue].append(Message(event.quote_set_id, False, mine))
            for venue, contract, *sides in places:
                self.check_entry(Quote(*sides), contract, sent[venue, contract], reach_of=model.states(venue, contract))
            self.check_aggregates(before, reach)
            model.count_message(len(taken))

    def check_entry(self, quote: Quote, contract: int, was: Quote, reach_of: list[Quote]) -> None:
        model, lim = self.model, self.model.limits
        earlier = reach_of[:-1]
        keeps_bid = quote.bid_size == 0 or (quote.bid == was.bid and quote.bid_size <= max(q.bid_size for q in earlier))
        keeps_ask = quote.ask_size == 0 or (quote.ask == was.ask and quote.ask_size <= max(q.ask_size for q in earlier))
        if keeps_bid and keeps_ask:
            return
        assert model.may_add()
        assert model.has_theo[contract]
        assert 0 <= quote.bid_size <= lim.max_quote_size
        assert 0 <= quote.ask_size <= lim.max_quote_size
        high, low = model.collar(contract)
        for price, size in ((quote.bid, quote.bid_size), (quote.ask, quote.ask_size)):
            assert size == 0 or (price > 0 and price % (500 if price < 30_000 else 1_000) == 0)
        assert quote.bid_size == 0 or quote.bid <= high
        assert quote.ask_size == 0 or quote.ask >= low
        assert not (quote.bid_size and quote.ask_size) or quote.bid < quote.ask
        for order in model.orders.values():
            if order["contract"] == contract and order["side"] == "sell" and quote.bid_size:
                assert quote.bid < order["price"]
            if order["contract"] == contract and order["side"] == "buy" and quote.ask_size:
                assert quote.ask > order["price"]
        messages, entries = model.recent()
        assert messages + 1 <= lim.max_messages
        assert entries + 1 <= lim.max_entries

    def check_aggregates(
        self, before: dict[str, float], reach: list[tuple[int, int]], *, is_exempt: bool = False
    ) -> None:
        model, lim = self.model, self.model.limits
        held = model.held()
        for name, load in model.loads().items():
            adds = load > before[name] + EPS
            assert not adds or load <= model.allowed()[name] + EPS or is_exempt, name
            greek, _, way = name.partition("_")
            if way and adds and not is_exempt:
                assert (held[greek] if way == "long" else -held[greek]) <= getattr(lim, f"held_{greek}") + EPS
        for i in range(N):
            buy, sell = model.may_trade(i)
            closes = abs(model.position[i] + buy) <= abs(model.position[i]) or abs(model.position[i] - sell) <= abs(
                model.position[i]
            )
            assert buy <= reach[i][0] or model.position[i] + buy <= lim.max_position or closes
            assert sell <= reach[i][1] or sell - model.position[i] <= lim.max_position or closes

    def cancel(self, venue: int, contracts: tuple[int, ...]) -> None:
        self.desk.sets += 1
        name = f"C{self.desk.sets}"
        command = c.CancelQuotes(**self.desk.head, cancel_id=name, venue=venue, contracts=contracts, reason="r")
        (event,) = self.check(self.desk.apply(command))
        assert isinstance(event, e.QuoteCancelCleared)
        self.note_cancel(name, venue, contracts)

    def note_cancel(self, name: str, venue: int, contracts: tuple[int, ...]) -> None:
        gone = {i: Quote() for i in contracts or range(N)}
        for v in range(VENUES) if venue < 0 else [venue]:
            self.model.waiting[v].append(Message(name, True, gone))
        self.model.count_message()

    def answer(self, venue: int, refused: list[int]) -> None:
        """The venue answers its oldest message."""
        model = self.model
        if not model.waiting[venue]:
            return
        message = model.waiting[venue].pop(0)
        bad = [i for i in message.rows if i in refused and not message.is_cancel]
        for i, quote in message.rows.items():
            if i not in bad:
                model.books[venue][i] = quote
                model.names[venue][i] = message.name
        if message.is_cancel:
            contracts = () if len(message.rows) == N else tuple(message.rows)
            self.desk.apply(
                e.QuotesCanceled(**self.desk.head, venue=venue, cancel_id=message.name, contracts=contracts, reason="r")
            )
        else:
            self.desk.ack(venue, message.name, len(message.rows) - len(bad), bad)

    def trade_some_quote(self, which: int, quantity: int) -> None:
        """One of the quotes that stand trades, if any does."""
        standing: list[tuple[int, int, c.Side]] = []
        for venue, book in enumerate(self.model.books):
            for contract, quote in book.items():
                standing += [(venue, contract, "buy")] if quote.bid_size else []
                standing += [(venue, contract, "sell")] if quote.ask_size else []
        if standing:
            self.trade_quote(*standing[which % len(standing)], quantity, is_early=False)

    def trade_quote(self, venue: int, contract: int, side: c.Side, quantity: int, *, is_early: bool) -> None:
        """A quote trades: what stands, or what the oldest message just put there and the venue has not answered."""
        model = self.model
        if is_early:
            if not model.waiting[venue] or model.waiting[venue][0].is_cancel:
                return
            rows, name = model.waiting[venue][0].rows, model.waiting[venue][0].name
        else:
            rows, name = model.books[venue], model.names[venue].get(contract, "")
        quote = rows.get(contract, Quote())
        size = quote.bid_size if side == "buy" else quote.ask_size
        if size == 0:
            return
        done = min(size, quantity)
        left = size - done
        if side == "buy":
            rows[contract] = quote._replace(bid_size=left, bid=quote.bid if left else 0)
        else:
            rows[contract] = quote._replace(ask_size=left, ask=quote.ask if left else 0)
        report = self.desk.report(venue=venue, quote_set_id=name, contract=contract, side=side, last_qty=done)
        self.desk.apply(report)
        self.desk.apply(report)
        self.move(contract, done if side == "buy" else -done)

    def move(self, contract: int, quantity: int) -> None:
        model = self.model
        if contract == c.STOCK:
            model.stock += quantity
        else:
            model.position[contract] += quantity
        held = model.stock if contract == c.STOCK else model.position[contract]
        self.desk.hold(contract, held)
        self.expose()

    def submit(self, contract: int, side: c.Side, quantity: int, price: int) -> None:
        model, lim = self.model, self.model.limits
        is_stock = contract == c.STOCK
        free = model.stock - model.open_orders(c.STOCK, "sell")
        marking: c.SaleMarking = "" if not (is_stock and side == "sell") else "long" if free >= quantity else "short"
        order = self.desk.order(
            contract=contract,
            side=side,
            quantity=quantity,
            price=price,
            tif="day",
            sale_marking=marking,
            market_maker_exempt=True,
        )
        before, reach, held = model.loads(), [model.may_trade(i) for i in range(N)], model.held()["delta"]
        pending = model.open_orders(contract, side)
        for event in self.check(self.desk.apply(order)):
            assert isinstance(event, e.OrderCleared)
            assert model.may_add()
            assert model.recent()[0] + 1 <= lim.max_messages
            assert 1 <= quantity <= (lim.max_stock_order if is_stock else lim.max_order_size)
            if not is_stock:
                high, low = model.collar(contract)
                assert price % (500 if price < 30_000 else 1_000) == 0
                assert price <= high if side == "buy" else price >= low
                assert model.has_theo[contract]
            opposite = "sell" if side == "buy" else "buy"
            for other in model.orders.values():
                if other["contract"] == contract and other["side"] == opposite:
                    assert price < other["price"] if side == "buy" else price > other["price"]
            towards = -held if side == "buy" else held
            if is_stock:
                after = model.stock + (quantity + pending) * (1 if side == "buy" else -1)
                assert abs(after) <= lim.max_stock or abs(after) <= abs(model.stock)
            else:
                for venue in range(VENUES):
                    for quote in model.states(venue, contract):
                        assert side == "sell" or not quote.ask_size or price < quote.ask
                        assert side == "buy" or not quote.bid_size or price > quote.bid
            model.orders[order.clordid] = {"contract": contract, "side": side, "leaves": quantity, "price": price}
            self.check_aggregates(before, reach, is_exempt=is_stock and quantity + pending <= np.ceil(towards))
            model.count_message()

    def end_order(self, which: int, quantity: int) -> None:
        """The oldest orders trade in part, or are cancelled where the quantity is 0."""
        model = self.model
        if not model.orders:
            return
        name = list(model.orders)[which % len(model.orders)]
        order = model.orders[name]
        if quantity == 0:
            del model.orders[name]
            kind, status = e.ExecType.CANCELED, e.OrdStatus.CANCELED
            self.desk.apply(self.desk.report(clordid=name, exec_type=kind, ord_status=status))
            return
        done = min(quantity, order["leaves"])
        order["leaves"] -= done
        order["done"] = order.get("done", 0) + done
        if not order["leaves"]:
            del model.orders[name]
        self.desk.apply(
            self.desk.report(
                clordid=name, contract=order["contract"], side=order["side"], last_qty=done, cum_qty=order["done"]
            )
        )
        self.move(order["contract"], done if order["side"] == "buy" else -done)

    def switch(self, what: str) -> None:
        model, desk = self.model, self.desk
        if what == "kill":
            was = model.is_killed
            model.is_killed = True
            cleared = self.check([event for event in desk.kill() if isinstance(event, e.Clearance)])
            assert was or len(cleared) == 2
            for event in cleared:
                if isinstance(event, e.QuoteCancelCleared):
                    self.note_cancel(event.cancel.cancel_id, -1, ())
                else:
                    model.count_message()
        elif what == "release":
            desk.release()
            model.is_killed = False
        else:
            model.session = what
            state: Any = what
            desk.apply(e.SessionChanged(**desk.head, state=state, open_ts=desk.open_ts, close_ts=desk.close_ts))

    # --- laws ---
    def check(self, events: list[e.Event]) -> list[e.Clearance]:
        """Sequence, seal, and that nothing but cancels leaves under a kill."""
        cleared = [event for event in events if isinstance(event, e.Clearance)]
        for event in cleared:
            self.sequence += 1
            assert event.sequence == self.sequence
            self.desk.sealer.verify(event)
        return cleared

    def check_view(self) -> None:
        quotes = self.desk.gate.view.quotes
        for v in range(VENUES):
            for i in range(N):
                states = self.model.states(v, i)
                assert quotes.bid_size[v * N + i] == max(q.bid_size for q in states)
                assert quotes.ask_size[v * N + i] == max(q.ask_size for q in states)
        for i in range(N):
            bids = [max(q.bid for q in self.model.states(v, i)) for v in range(VENUES)]
            asks = [min(q.ask or 10**9 for q in self.model.states(v, i)) for v in range(VENUES)]
            assert bids[0] < asks[1], "own quotes crossed, whatever arrives first"
            assert bids[1] < asks[0], "own quotes crossed, whatever arrives first"
        loads = dict(zip(CHECKS, self.desk.gate.view.load().tolist(), strict=True))
        assert loads == pytest.approx(self.model.loads(), rel=1e-9, abs=EPS)


prices = st.sampled_from(
    [28_000, 29_500, 44_000, 47_000, 48_000, 49_000, 49_500, 50_000, 51_000, 52_000, 53_000, 63_000]
)
sizes = st.sampled_from([0, 0, 1, 5, 10, 15, 16, -1])
contracts = st.integers(0, N - 1)
venues = st.integers(0, VENUES - 1)
sides = st.sampled_from(["buy", "sell"])
rows = st.tuples(st.integers(0, VENUES), st.integers(-1, N), prices, sizes, prices, sizes)
levels = st.integers(45, 54)
good_sizes = st.sampled_from([0, 1, 5, 10, 15])


def tidy_row(
    venue: int, contract: int, level: int, width: int, bid_size: int, ask_size: int
) -> tuple[int, int, int, int, int, int]:
    """An entry that is wrong only by what else stands."""
    return venue, contract, 1_000 * level, bid_size, 1_000 * (level + width), ask_size


tidy = st.builds(tidy_row, venues, contracts, levels, st.integers(1, 4), good_sizes, good_sizes)
steps = st.one_of(
    st.tuples(st.just("place"), st.lists(tidy, min_size=1, max_size=8)),
    st.tuples(st.just("place"), st.lists(tidy, min_size=1, max_size=8)),
    st.tuples(st.just("place"), st.lists(rows, min_size=1, max_size=6)),
    st.tuples(st.just("cancel"), st.integers(-1, VENUES - 1), st.lists(contracts, max_size=3, unique=True).map(tuple)),
    st.tuples(st.just("answer"), venues, st.lists(contracts, max_size=3)),
    st.tuples(st.just("answer"), venues, st.just([])),
    st.tuples(st.just("trade"), venues, contracts, sides, st.integers(1, 12), st.booleans()),
    st.tuples(st.just("submit"), contracts, sides, st.integers(0, 16), prices),
    st.tuples(st.just("submit"), contracts, sides, st.integers(1, 10), levels.map(lambda level: 1_000 * level)),
    st.tuples(
        st.just("submit"),
        st.just(c.STOCK),
        sides,
        st.integers(1, 3_001),
        st.sampled_from([999_900, 1_000_100, 1_000_200]),
    ),
    st.tuples(st.just("trade some"), st.integers(0, 15), st.integers(5, 15)),
    st.tuples(st.just("trade some"), st.integers(0, 15), st.integers(5, 15)),
    st.tuples(st.just("end"), st.integers(0, 3), st.sampled_from([0, 1, 7, 3_000])),
    st.tuples(st.just("wait"), st.sampled_from([1, 200, 900, 1_000, 6_000])),
    st.tuples(
        st.just("refresh"),
        st.lists(st.sampled_from([-0.9, -0.5, 0.1, 0.5, 1.0]), min_size=N, max_size=N),
        st.sampled_from([0.0, 0.02, 0.05, -0.001]),
        st.sampled_from([0.0, 10.0, 20.0]),
        st.lists(st.sampled_from([3.0, 4.5, 5.0, 5.5]), min_size=N, max_size=N),
        st.lists(st.sampled_from([0, 0, 0, 1]), min_size=N, max_size=N),
    ),
    st.tuples(st.just("switch"), st.sampled_from(["kill", "release", "release", "halted", "open", "open"])),
)


@settings(max_examples=max(300, settings().max_examples))
@given(day=st.lists(steps, min_size=1, max_size=50))
def test_every_clearance_of_a_random_day_is_within_every_limit(
    new_desk: type[Desk], day: list[tuple[Any, ...]]
) -> None:
    driver = Driver(new_desk)
    for what, *given_ in day:
        match what:
            case "place":
                driver.place(*given_)
            case "cancel":
                driver.cancel(*given_)
            case "answer":
                driver.answer(*given_)
            case "trade":
                driver.trade_quote(*given_[:4], is_early=given_[4])
            case "trade some":
                driver.trade_some_quote(*given_)
            case "submit":
                driver.submit(*given_)
            case "end":
                driver.end_order(*given_)
            case "wait":
                driver.desk.now += given_[0] * 1_000_000
            case "refresh":
                driver.refresh(*given_)
            case "switch":
                driver.switch(*given_)
        driver.check_view()


@given(day=st.lists(steps, min_size=2, max_size=30), cut=st.integers(0, 29))
def test_a_restored_gate_answers_as_the_original(new_desk: type[Desk], day: list[tuple[Any, ...]], cut: int) -> None:
    """The same day with a restore in the middle passes the same checks; outputs are compared event by event."""
    outputs: list[list[Any]] = []
    for restores in (False, True):
        driver = Driver(new_desk)
        desk = driver.desk
        kept: list[Any] = []
        whole = desk.apply

        def recording(event: e.Event, desk: Desk = desk, kept: list[Any] = kept) -> list[e.Event]:
            events = list(desk.gate.apply(event))
            kept.extend(events)
            return events

        assert whole is not None
        desk.apply = recording  # type: ignore[method-assign]
        for number, (what, *given_) in enumerate(day):
            if restores and number == cut:
                state = desk.gate.snapshot()
                fresh = new_desk(limits=Limits(), chain=desk.chain, venues=VENUES)
                fresh.gate.restore(state)
                desk.gate = fresh.gate
                assert desk.gate.snapshot() == state
            if what == "trade":
                driver.trade_quote(*given_[:4], is_early=given_[4])
            elif what == "wait":
                desk.now += given_[0] * 1_000_000
            else:
                name = {"end": "end_order", "trade some": "trade_some_quote"}.get(what, what)
                getattr(driver, name)(*given_)
        outputs.append(kept)
    assert outputs[0] == outputs[1]


# --- the worst case ---------------------------------------------------------------------------------------------------
quote_sizes = st.lists(st.integers(0, 20), min_size=12, max_size=12)
greek_values = st.lists(st.floats(-2.0, 2.0), min_size=36, max_size=36)


@given(
    values=greek_values, bid=quote_sizes, ask=quote_sizes, picks=st.lists(st.integers(0, 20), min_size=24, max_size=24)
)
def test_no_subset_of_fills_leaves_the_worst_case(
    new_desk: type[Desk], values: list[float], bid: list[int], ask: list[int], picks: list[int]
) -> None:
    unit = UnitRisk(new_desk.make_chain())
    greeks = np.array(values).reshape(3, 12)
    unit.restore(greeks, np.abs(greeks[0]))
    buys, sells = np.array(bid), np.array(ask)
    held = np.array([3.0, -5.0, 1.0])
    load = base_load(unit, held, 0.0, buys, sells)
    filled = np.minimum(np.array(picks[:12]), buys) - np.minimum(np.array(picks[12:]), sells)
    net = held + (greeks * filled).sum(axis=1)
    assert (net <= load[:3] + 1e-9).all()
    assert (-net <= load[3:6] + 1e-9).all()


@given(values=greek_values, bid=quote_sizes, ask=quote_sizes, more=quote_sizes)
def test_what_entries_add_is_the_difference_of_worst_cases(
    new_desk: type[Desk], values: list[float], bid: list[int], ask: list[int], more: list[int]
) -> None:
    unit = UnitRisk(new_desk.make_chain())
    greeks = np.array(values).reshape(3, 12)
    unit.restore(greeks, np.abs(greeks[0]))
    buys, sells, extra = np.array(bid), np.array(ask), np.array(more)
    held = np.zeros(3)
    added = added_load(unit, np.arange(12), extra, extra[::-1])
    assert (added >= 0).all()
    before, after = (
        base_load(unit, held, 0.0, buys, sells),
        base_load(unit, held, 0.0, buys + extra, sells + extra[::-1]),
    )
    np.testing.assert_allclose(before + added.sum(axis=1), after, atol=1e-9)


@given(added=st.lists(st.floats(0, 100), min_size=1, max_size=30), load=st.floats(-50, 150), limit=st.floats(0, 100))
def test_what_is_left_after_a_refusal_is_within_the_limit(added: list[float], load: float, limit: float) -> None:
    each = np.array(added)
    refused = over(load, each, limit)
    assert not refused[each == 0].any()
    left = each[~refused].sum()
    assert left == 0 or load + left <= limit + 1e-9
