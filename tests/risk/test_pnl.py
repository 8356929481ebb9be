"""P&L from cash and marks equals P&L from its parts, at every mark."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import events as e
from domain.calendar import YEAR_NS
from domain.commands import STOCK
from domain.errors import InputError, InvariantError
from domain.frames import NbboFrame, PositionFrame
from pricing.black import greeks
from pricing.greeks import PRICE, ROW
from risk.attribution import PARTS, Accumulator, Marks, explain
from risk.pnl import Pnl
from risk.positions import Positions

if TYPE_CHECKING:
    from tests.risk.conftest import Desk

N = 12


class Day:
    """Runs Positions and Pnl side by side, as a shard does: first in, first out."""

    def __init__(self, desk: type[Desk]) -> None:
        self.desk = desk
        self.chain = desk.make_chain()
        self.now = desk.open_ts
        self.positions = Positions(self.chain, "XYZ")
        self.pnl = Pnl(self.chain, "XYZ")
        self.spot = 100.0
        self.count = 0
        self.marks: list[e.PnlMarked] = []

    @property
    def head(self) -> dict[str, Any]:
        return {"ts_event": self.now, "ts_init": self.now, "underlying": "XYZ"}

    def feed(self, event: e.Event) -> None:
        queue = [event]
        while queue:
            current = queue.pop(0)
            for stage in (self.positions, self.pnl):
                if type(current) in stage.reads:
                    queue += stage.apply(current)
            if isinstance(current, e.PnlMarked):
                self.marks.append(current)
                parts = [getattr(current, name) for name in PARTS]
                assert abs(current.total - math.fsum(parts)) <= 1e-6

    def fill(self, contract: int, quantity: int, price: float, fee: int = 0, name: str = "") -> e.OrderFilled:
        self.count += 1
        fill = e.OrderFilled(
            **self.head,
            fill_id=name or f"F{self.count}",
            venue=0,
            clordid="",
            is_quote=contract != STOCK,
            intent="",
            contract=contract,
            side="buy" if quantity > 0 else "sell",
            quantity=abs(quantity),
            price=round(price * 10_000),
            fee=fee,
            adds_liquidity=True,
        )
        self.feed(fill)
        return fill

    def bust(self, fill: e.OrderFilled) -> None:
        names = ("fill_id", "contract", "side", "quantity", "price", "fee")
        self.feed(e.FillBusted(**self.head, **{name: getattr(fill, name) for name in names}))

    def imported(
        self,
        positions: dict[int, int],
        stock: int = 0,
        price: float = 100.0,
        cash: float = 0.0,
        option_prices: tuple[float, ...] = (),
    ) -> None:
        frame = PositionFrame(contract=np.array(list(positions), np.int32), quantity=np.array([*positions.values()]))
        event = e.PositionsImported(
            **self.head, stock=stock, stock_price=price, cash=cash, frame=frame, option_prices=option_prices
        )
        self.feed(event)

    def underlying(self, spot: float) -> None:
        self.spot = spot
        units = round(spot * 10_000)
        self.feed(e.UnderlyingUpdated(**self.head, bid=units - 100, bid_size=1, ask=units + 100, ask_size=1))

    def theos(self, theo: Any, **columns: Any) -> None:  # noqa: ANN401
        frame = self.desk.greeks_frame(self.chain, theo, **columns)
        self.feed(e.GreeksComputed(**self.head, spot=self.spot, is_refresh=True, frame=frame))

    def model(self, spot: float, vol: float) -> None:
        """Underlying, and theos and Greeks of Black's formula at one volatility."""
        self.underlying(spot)
        years = np.maximum(self.chain.expiry_ns[self.chain.expiry_index] - self.now, 0) / YEAR_NS
        found = greeks(spot, self.chain.strike, years, 0.0, 0.0, vol, self.chain.sign)
        names = ("delta", "gamma", "vega", "theta")
        self.theos(found[PRICE], vol=vol, **{name: found[ROW[name]] for name in names})

    def nbbo(self, bid: float, ask: float) -> None:
        frame = NbboFrame(
            contract=np.arange(N),
            bid=np.full(N, round(bid * 10_000)),
            bid_size=np.full(N, 10 * (bid > 0)),
            ask=np.full(N, round(ask * 10_000)),
            ask_size=np.full(N, 10),
        )
        self.feed(e.NbboUpdated(**self.head, frame=frame))

    def timer(self, seconds: int = 60) -> e.PnlMarked | None:
        self.now += seconds * self.desk.second
        before = len(self.marks)
        self.feed(e.TimerFired(**self.head, timer="1s"))
        return self.marks[-1] if len(self.marks) > before else None

    def mark(self) -> e.PnlMarked:
        marked = self.timer()
        assert marked is not None
        return marked

    def close(self) -> e.PnlMarked:
        self.now = self.desk.close_ts
        self.feed(e.SessionChanged(**self.head, state="closed", open_ts=self.desk.open_ts, close_ts=self.desk.close_ts))
        return self.marks[-1]


@pytest.fixture
def day(new_desk: type[Desk]) -> Day:
    return Day(new_desk)


# --- the identity -----------------------------------------------------------------------------------------------------
moves = st.one_of(
    st.tuples(st.just("fill"), st.integers(-1, N - 1), st.integers(-30, 30).filter(bool), st.floats(0.01, 30)),
    st.tuples(st.just("fill"), st.just(STOCK), st.integers(-900, 900).filter(bool), st.floats(90, 110)),
    st.tuples(st.just("bust"), st.integers(0, 9)),
    st.tuples(st.just("underlying"), st.floats(80, 120)),
    st.tuples(st.just("theos"), st.lists(st.floats(0, 40), min_size=N, max_size=N), st.floats(0.1, 0.9)),
    st.tuples(st.just("bad theos"), st.lists(st.booleans(), min_size=N, max_size=N)),
    st.tuples(st.just("nbbo"), st.floats(0.1, 9), st.floats(9, 20)),
    st.tuples(
        st.just("import"),
        st.dictionaries(st.integers(0, N - 1), st.integers(-50, 50)),
        st.integers(-400, 400),
        st.sampled_from([None, 0.0, 3.25]),
    ),
    st.tuples(st.just("timer")),
)


@given(path=st.lists(moves, max_size=25), settles=st.booleans())
def test_the_parts_are_the_whole_at_every_mark(
    new_desk: type[Desk], path: list[tuple[Any, ...]], *, settles: bool
) -> None:
    day = Day(new_desk)
    fills: list[e.OrderFilled] = []
    for what, *given_ in path:
        match what:
            case "fill":
                fills.append(day.fill(given_[0], given_[1], given_[2], fee=len(fills) * 13 - 40))
            case "bust" if fills:
                day.bust(fills[given_[0] % len(fills)])
            case "underlying":
                day.underlying(given_[0])
            case "theos":
                day.theos(np.array(given_[0]), vol=given_[1], delta=0.3, gamma=0.01, vega=9.0, theta=-30.0)
            case "bad theos":
                bad = np.array(given_[0])
                nan = np.where(bad, np.nan, 1.0)
                day.theos(5.0 * nan, delta=nan, gamma=nan, vega=nan, theta=nan, vol=nan, status=bad)
            case "nbbo":
                day.nbbo(*given_)
            case "import":
                prices = () if given_[2] is None else (given_[2],) * len(given_[0])
                day.imported(given_[0], given_[1], price=99.5, cash=12_345.67, option_prices=prices)
            case "timer":
                day.mark()
    day.mark()
    if settles:
        day.underlying(101.0)
        day.close()
    assert day.pnl._ledger.cash == day.positions.ledger.cash
    assert day.pnl._ledger.quantity.tolist() == day.positions.ledger.quantity.tolist()
    assert day.pnl._ledger.stock == day.positions.ledger.stock


@given(
    steps=st.lists(st.tuples(st.floats(-0.1, 0.1), st.floats(-0.001, 0.001)), min_size=5, max_size=30),
    positions=st.dictionaries(st.integers(6, N - 1), st.integers(-20, 20).filter(bool), min_size=1),
)
def test_little_is_left_unexplained_on_smooth_paths(
    new_desk: type[Desk], steps: list[tuple[float, float]], positions: dict[int, int]
) -> None:
    day = Day(new_desk)
    spot, vol = 100.0, 0.3
    day.model(spot, vol)
    day.imported(positions)
    day.mark()
    size = sum(abs(quantity) for quantity in positions.values()) * 100
    for d_spot, d_vol in steps:
        spot, vol = spot + d_spot, vol + d_vol
        day.model(spot, vol)
        before = day.marks[-1]
        marked = day.mark()
        # next order: speed dS^3 / 6, vanna dS dv, charm dS dt: below a hundredth of a cent a share for these steps
        assert abs(marked.rest - before.rest) <= 1e-4 * size


# --- the parts --------------------------------------------------------------------------------------------------------
def parts(marked: e.PnlMarked) -> dict[str, float]:
    return {name: getattr(marked, name) for name in PARTS if abs(getattr(marked, name)) > 1e-9}


def test_a_fill_earns_its_edge_against_the_mark_in_force(day: Day) -> None:
    day.underlying(100.0)
    day.theos(5.0)
    day.fill(0, -10, 5.2, fee=6_500)
    day.fill(1, 4, 4.9)
    marked = day.mark()
    assert parts(marked) == pytest.approx({"spread": 0.2 * 1_000 + 0.1 * 400, "fees": -0.65})
    assert (marked.open_contracts, marked.stock) == (14, 0)
    assert marked.cash == pytest.approx(5_200 - 1_960 - 0.65)


def test_a_stock_fill_is_hedging(day: Day) -> None:
    day.underlying(100.0)
    day.fill(STOCK, 300, 100.02, fee=900)
    assert parts(day.mark()) == pytest.approx({"hedging": -6.0, "fees": -0.09})
    day.underlying(101.0)
    assert parts(day.mark()) == pytest.approx({"hedging": -6.0, "fees": -0.09, "delta": 300.0})


def test_moves_are_split_by_the_greeks_of_the_earlier_mark(day: Day) -> None:
    day.underlying(100.0)
    day.theos(5.0, delta=0.5, gamma=0.1, vega=20.0, theta=-365.0, vol=0.3)
    day.imported({6: 10})
    day.mark()
    day.now += 86_400 * day.desk.second - 60 * day.desk.second
    day.underlying(102.0)
    day.theos(7.0, delta=0.9, gamma=0.9, vega=90.0, theta=-900.0, vol=0.31)
    change = {"delta": 1_000.0, "gamma": 200.0, "vega": 200.0, "theta": -1_000.0 * (86_400 - 60 + 60) / 86_400}
    marked = day.mark()
    assert marked.total == pytest.approx(2_000)
    assert parts(marked) == pytest.approx(change | {"rest": 2_000 - sum(change.values())})


def test_at_the_expiry_the_move_of_the_underlying_is_still_delta(day: Day) -> None:
    day.underlying(100.0)
    day.theos(5.0, delta=0.5, gamma=0.0, vega=20.0, theta=0.0, vol=0.3)
    day.nbbo(4.9, 5.1)
    day.imported({0: 10})
    day.mark()
    day.underlying(102.0)
    day.nbbo(5.8, 6.2)
    day.theos(np.nan, delta=np.nan, gamma=np.nan, vega=np.nan, theta=np.nan, vol=np.nan, status=1)
    assert parts(day.mark()) == pytest.approx({"delta": 1_000.0})
    day.underlying(103.0)
    assert parts(day.mark()) == pytest.approx({"delta": 1_000.0}), "no Greeks, no parts"


def test_a_bust_takes_back_spread_and_fee(day: Day) -> None:
    day.underlying(100.0)
    day.theos(5.0)
    fill = day.fill(0, -10, 5.2, fee=6_500)
    day.bust(fill)
    assert parts(day.mark()) == {}


def test_marks_fall_back_to_the_middle_of_the_market_then_to_the_last_mark(day: Day) -> None:
    day.underlying(100.0)
    day.theos(5.0)
    day.imported({0: 1})
    day.mark()
    day.nbbo(5.9, 6.1)
    assert day.mark().total == 0, "our theo is good"
    day.theos(np.nan, status=1)
    assert day.mark().total == pytest.approx(100)
    day.nbbo(0.0, 6.1)
    assert day.mark().total == pytest.approx(100)


def test_what_is_imported_enters_at_its_first_mark_and_stock_at_the_price_that_came(day: Day) -> None:
    day.imported({0: 10, 1: -5}, stock=100, price=99.0, cash=500.0)
    assert day.mark().total == 0
    day.underlying(100.0)
    day.theos(5.0)
    marked = day.mark()
    assert parts(marked) == pytest.approx({"delta": 100.0})
    assert marked.cash == 500.0


@pytest.mark.parametrize("is_marked", [False, True])
def test_a_book_that_came_with_prices_shows_the_whole_gap_and_not_that_of_the_stock_alone(
    day: Day, *, is_marked: bool
) -> None:
    def market() -> None:
        day.underlying(104.0)
        day.theos(7.0)

    if is_marked:
        market()
        day.mark()
    day.imported({0: 10, 1: 0}, stock=-500, price=100.0, option_prices=(5.0, 9.0))
    market()
    assert parts(day.mark()) == pytest.approx({"delta": -2_000.0, "rest": 2_000.0})


def test_prices_of_imported_options_stand_one_to_a_row(day: Day) -> None:
    with pytest.raises(InputError, match="one price for each"):
        day.imported({0: 10, 1: 5}, option_prices=(5.0,))


def test_an_unmarked_contract_is_marked_at_its_first_fill(day: Day) -> None:
    day.imported({0: 10})
    day.fill(0, -3, 4.0)
    assert parts(day.mark()) == {}
    day.underlying(100.0)
    day.theos(5.0)
    assert parts(day.mark()) == pytest.approx({"rest": 700.0})


def test_settlement_keeps_the_whole(day: Day) -> None:
    day.underlying(104.0)
    day.theos(14.1)
    day.imported({0: 10, 1: -5, 6: 2})
    day.mark()
    marked = day.close()
    # the call of 90 was marked at 14.10 and is worth 14; the put was marked at 14.10 and is worth nothing
    assert marked.total == pytest.approx(10 * 100 * (14.0 - 14.1) + 5 * 100 * 14.1)
    assert parts(marked) == pytest.approx({"rest": marked.total})
    assert (marked.stock, marked.open_contracts) == (1_000, 2)


def test_marks_come_with_the_minute_the_close_and_the_settlement(day: Day) -> None:
    assert day.timer(0) is not None
    assert all(day.timer(1) is None for _ in range(59))
    assert day.timer(1) is not None
    day.underlying(100.0)
    day.theos(5.0)
    day.fill(0, 1, 5.0)
    count = len(day.marks)
    day.close()
    assert len(day.marks) == count + 2


def test_a_contradiction_halts(day: Day) -> None:
    day.underlying(100.0)
    day.theos(5.0)
    day.pnl._parts.add(spread=0.02)
    with pytest.raises(InvariantError, match="sum of its parts"):
        day.mark()


def test_a_restored_stage_marks_as_the_original(new_desk: type[Desk]) -> None:
    def run(*, resumes: bool) -> list[e.PnlMarked]:
        day = Day(new_desk)
        steps: list[Any] = [
            lambda: day.imported({0: 4, 7: -3}, stock=10),
            lambda: day.model(100.0, 0.3),
            lambda: day.fill(2, 5, 3.3, fee=11, name="A"),
            lambda: day.nbbo(4.0, 4.2),
            day.mark,
            lambda: day.model(100.7, 0.31),
            lambda: day.fill(2, 5, 3.3, fee=11, name="A"),
            day.mark,
            lambda: day.theos(np.nan, status=1),
            day.mark,
            day.close,
        ]
        for step in steps:
            step()
            if resumes:
                fresh = Pnl(day.chain, "XYZ")
                fresh.restore(day.pnl.snapshot())
                day.pnl = fresh
        return day.marks

    assert run(resumes=True) == run(resumes=False)


# --- attribution ------------------------------------------------------------------------------------------------------
@given(
    values=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200),
)
def test_sums_do_not_drift(values: list[float]) -> None:
    sums = Accumulator()
    for value in values:
        sums.add(rest=value)
    assert sums.parts()["rest"] == pytest.approx(math.fsum(values), rel=1e-15, abs=1e-6)


def test_what_has_no_greeks_is_rest() -> None:
    before = Marks(np.array([1.0, 2.0]), np.array([[0.5, np.nan]] * 4), np.array([0.3, 0.3]), 100.0, 0)
    after = Marks(np.array([1.5, 2.5]), before.greeks, np.array([0.3, 0.3]), 101.0, 0)
    found = explain(before, after, np.array([0, 1]), np.array([100.0, 10.0]))
    assert found == pytest.approx({"delta": 50.0, "gamma": 25.0, "vega": 0.0, "theta": 0.0, "rest": -25.0 + 5.0})
