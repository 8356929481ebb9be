"""Positions are the sum of fills, whatever is repeated and in whatever order it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import events as e
from domain.chain import Chain
from domain.commands import STOCK
from domain.errors import DataError, InputError
from domain.frames import PositionFrame
from domain.instrument import OptionContract
from risk.pnl import Pnl
from risk.positions import Positions

if TYPE_CHECKING:
    from tests.risk.conftest import Desk


class Book:
    """Drives one Positions stage."""

    def __init__(self, desk: type[Desk], chain: Chain | None = None) -> None:
        self.desk = desk
        self.chain = chain or desk.make_chain()
        self.now = desk.open_ts
        self.stage = Positions(self.chain, "XYZ")

    @property
    def head(self) -> dict[str, Any]:
        return {"ts_event": self.now, "ts_init": self.now, "underlying": "XYZ"}

    def apply(self, event: e.Event) -> list[e.Event]:
        return list(self.stage.apply(event))

    def fill(self, name: str, contract: int, quantity: int, price: int = 50_000, fee: int = 0) -> e.OrderFilled:
        return e.OrderFilled(
            **self.head,
            fill_id=name,
            venue=0,
            clordid="",
            is_quote=True,
            intent="",
            contract=contract,
            side="buy" if quantity > 0 else "sell",
            quantity=abs(quantity),
            price=price,
            fee=fee,
            adds_liquidity=True,
        )

    def bust(self, fill: e.OrderFilled) -> e.FillBusted:
        names = ("fill_id", "contract", "side", "quantity", "price", "fee")
        return e.FillBusted(**self.head, **{name: getattr(fill, name) for name in names})

    def correct(self, fill: e.OrderFilled, quantity: int, price: int) -> e.FillCorrected:
        return e.FillCorrected(
            **self.head,
            fill_id=fill.fill_id,
            contract=fill.contract,
            side=fill.side,
            old_quantity=fill.quantity,
            old_price=fill.price,
            quantity=quantity,
            price=price,
        )

    def imported(self, positions: dict[int, int], stock: int = 0, cash: float = 0.0) -> e.PositionsImported:
        frame = PositionFrame(contract=np.array(list(positions), np.int32), quantity=np.array([*positions.values()]))
        return e.PositionsImported(**self.head, stock=stock, stock_price=100.0, cash=cash, frame=frame)

    def greeks(self, **columns: Any) -> list[e.Event]:  # noqa: ANN401
        frame = self.desk.greeks_frame(self.chain, 5.0, **columns)
        return self.apply(e.GreeksComputed(**self.head, spot=100.0, is_refresh=True, frame=frame))

    def underlying(self, bid: int, ask: int) -> list[e.Event]:
        return self.apply(e.UnderlyingUpdated(**self.head, bid=bid, bid_size=1, ask=ask, ask_size=1))

    def traded(self, price: int) -> list[e.Event]:
        return self.apply(e.UnderlyingTraded(**self.head, price=price, low=price, high=price, volume=1))

    def session(self, state: e.SessionState) -> list[e.Event]:
        self.now = self.desk.close_ts if state == "closed" else self.desk.open_ts
        return self.apply(
            e.SessionChanged(**self.head, state=state, open_ts=self.desk.open_ts, close_ts=self.desk.close_ts)
        )

    @property
    def totals(self) -> tuple[list[int], int, int]:
        ledger = self.stage.ledger
        return ledger.quantity.tolist(), ledger.stock, ledger.cash


@pytest.fixture
def book(new_desk: type[Desk]) -> Book:
    return Book(new_desk)


@given(
    fills=st.lists(
        st.tuples(
            st.integers(-1, 11),
            st.integers(-20, 20).filter(bool),
            st.integers(1, 10**7),
            st.integers(-900, 900),
            st.sampled_from(["stands", "bust", "corrected", "both"]),
        ),
        min_size=1,
        max_size=15,
    ),
    data=st.data(),
)
def test_position_and_cash_are_the_sum_of_fills_under_repetition_and_reordering(
    new_desk: type[Desk], fills: list[tuple[int, int, int, int, str]], data: st.DataObject
) -> None:
    book = Book(new_desk)
    events: list[e.Event] = [book.imported({0: 7, 3: -2}, stock=50, cash=1_000.25)]
    quantity, stock, cash = [7, 0, 0, -2] + [0] * 8, 50, 10_002_500
    for number, (contract, signed, price, fee, fate) in enumerate(fills):
        fill = book.fill(f"F{number}", contract, signed, price, fee)
        events.append(fill)
        way = 1 if signed > 0 else -1
        final, last = signed, price
        if fate in ("corrected", "both"):
            final, last = signed + way, price + 500
            events.append(book.correct(fill, abs(final), last))
        if fate in ("bust", "both"):
            events.append(book.bust(book.fill(f"F{number}", contract, final, last, fee)))
            final = 0
        cash -= final * last * (1 if contract == STOCK else 100) + (fee if final else 0)
        if contract == STOCK:
            stock += final
        else:
            quantity[contract] += final
    repeats = data.draw(st.lists(st.sampled_from(events[1:]), max_size=10))
    for event in data.draw(st.permutations(events + repeats)):
        book.apply(event)
    assert book.totals == (quantity, stock, cash)


def test_every_change_is_told_once(book: Book) -> None:
    fill = book.fill("A", 2, -5)
    changed, exposure = book.apply(fill)
    assert isinstance(changed, e.PositionChanged)
    assert (changed.contract, changed.quantity, changed.change, changed.cause) == (2, -5, -5, "fill")
    assert isinstance(exposure, e.ExposureChanged)
    assert exposure.cause == "fill"
    assert book.apply(fill) == []
    (changed, _) = book.apply(book.bust(fill))
    assert isinstance(changed, e.PositionChanged)
    assert (changed.quantity, changed.change) == (0, 5)


def test_net_greeks_are_sums_over_what_is_held(book: Book) -> None:
    book.apply(book.imported({0: 2, 1: -3}, stock=-40))
    (exposure,) = book.greeks(delta=book.chain.sign * 0.5, gamma=0.02, vega=10.0, theta=-20.0)
    assert isinstance(exposure, e.ExposureChanged)
    assert exposure.cause == "greeks"
    assert exposure.option_delta == pytest.approx(100 * (2 * 0.5 + 3 * 0.5))
    assert exposure.delta == pytest.approx(exposure.option_delta - 40)
    assert exposure.gamma == pytest.approx(-100 * 0.02)
    assert exposure.vega == pytest.approx(-100 * 10)
    assert exposure.theta == pytest.approx(100 * 20)
    (_, exposure) = book.apply(book.fill("A", STOCK, 15, 1_000_000))
    assert isinstance(exposure, e.ExposureChanged)
    assert (exposure.stock, exposure.spot) == (-25, 100.0)


def test_a_contract_without_greeks_counts_with_its_last_ones_or_its_delta_at_expiry(book: Book) -> None:
    n = len(book.chain)
    book.apply(book.imported({0: 1, 5: 1, 4: 1}))  # call 90, put 110, call 110 of the first expiry, spot 100
    bad = np.ones(n)
    nan = np.full(n, np.nan)
    (first,) = book.greeks(delta=nan, gamma=nan, vega=nan, theta=nan, status=bad)
    assert isinstance(first, e.ExposureChanged)
    assert (first.option_delta, first.gamma) == (100 - 100 + 0, 0)
    book.greeks(delta=0.3)
    (last,) = book.greeks(delta=nan, gamma=nan, vega=nan, theta=nan, status=bad)
    assert isinstance(last, e.ExposureChanged)
    assert last.option_delta == pytest.approx(90)


def test_a_later_statement_is_compared_and_changes_nothing(book: Book) -> None:
    book.apply(book.imported({0: 5, 1: 2}, stock=10, cash=5.0))
    before = book.totals
    assert book.apply(book.imported({0: 5, 1: 2}, stock=10)) == []
    broken = book.apply(book.imported({0: 4, 2: 1}, stock=11))
    assert all(isinstance(event, e.ReconciliationBroken) for event in broken)
    assert [(b.contract, b.ours, b.theirs) for b in broken if isinstance(b, e.ReconciliationBroken)] == [
        (0, 5, 4),
        (1, 2, 0),
        (2, 0, 1),
        (STOCK, 10, 11),
    ]
    assert book.totals == before


def test_what_expires_becomes_shares_and_cash_at_the_close(book: Book) -> None:
    book.session("open")
    book.apply(book.imported({0: 3, 1: 4, 5: -2, 6: 9}))  # calls 90, puts 90, puts 110; the last one of January
    book.greeks(delta=0.5)
    book.underlying(1_000_000, 1_000_200)
    book.traded(1_000_000)
    events = book.session("closed")
    settled = {event.contract: event for event in events if isinstance(event, e.PositionSettled)}
    assert {i: (s.outcome, s.shares, s.cash) for i, s in settled.items()} == {
        0: ("exercised", 300, -27_000.0),
        1: ("worthless", 0, 0.0),
        5: ("assigned", 200, -22_000.0),
    }
    assert all(s.settlement_price == 100.0 for s in settled.values())
    changes = {event.contract: event.quantity for event in events if isinstance(event, e.PositionChanged)}
    assert changes == {0: 0, 1: 0, 5: 0, STOCK: 500}
    assert isinstance(events[-1], e.ExposureChanged)
    assert events[-1].cause == "settlement"
    assert events[-1].delta == pytest.approx(500 + 450)
    assert book.totals == ([0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0], 500, -490_000_000)
    assert book.session("closed") == []


def test_a_late_fill_or_bust_of_a_settled_contract_is_settled_with_it(book: Book) -> None:
    book.session("open")
    fill = book.fill("A", 0, 3)
    book.apply(fill)
    book.traded(1_000_000)
    book.session("closed")
    before = book.totals
    book.apply(book.fill("B", 0, 2, fee=7))
    assert book.totals == (before[0], before[1] + 200, before[2] - 2 * 5_000_000 - 7 - 180_000_000)
    book.apply(book.bust(fill))
    assert book.totals[1] == 200


def test_without_a_price_nothing_is_settled_and_it_is_said(book: Book) -> None:
    book.apply(book.imported({0: 3, 7: 1}))
    (broken, _) = book.session("closed")
    assert isinstance(broken, e.ReconciliationBroken)
    assert (broken.contract, broken.ours, broken.theirs) == (0, 3, 0)


def test_am_contracts_settle_at_the_first_price_from_the_open(new_desk: type[Desk]) -> None:
    listed = OptionContract(
        root="XYZ",
        underlying="XYZ",
        expiry=new_desk.make_chain().trade_date,
        strike=90_000,
        right="C",
        settlement="AM",
        delivery="cash",
    )
    book = Book(new_desk, Chain("XYZ", listed.expiry, [listed]))
    book.apply(book.imported({0: 2}))
    assert book.underlying(950_000, 950_000) == []
    book.session("open")
    events = book.underlying(1_000_000, 1_000_000)
    assert isinstance(events[0], e.PositionSettled)
    assert events[0].cash == 2_000.0
    assert not any(isinstance(event, e.PositionSettled) for event in book.underlying(1, 1))


def test_unknown_contracts_are_refused_before_anything_changes(book: Book) -> None:
    before = book.stage.snapshot()
    wrong = [book.fill("A", 12, 1), book.fill("A", -2, 1), book.imported({12: 1}), book.imported({-1: 1})]
    for event in wrong:
        with pytest.raises(InputError):
            book.apply(event)
    assert book.stage.snapshot() == before
    with pytest.raises(DataError):
        book.stage.restore(Pnl(book.chain, "XYZ").snapshot())


def test_a_restored_book_answers_as_the_original(new_desk: type[Desk]) -> None:
    def day(book: Book) -> list[list[e.Event]]:
        steps: list[Any] = [
            lambda: book.apply(book.imported({0: 5, 3: -4}, stock=3, cash=1.5)),
            lambda: book.session("open"),
            lambda: book.greeks(delta=0.4, gamma=0.1),
            lambda: book.apply(book.fill("A", 0, -2)),
            lambda: book.underlying(999_000, 1_001_000),
            lambda: book.apply(book.fill("A", 0, -2)),
            lambda: book.session("closed"),
            lambda: book.apply(book.fill("B", 0, 2)),
        ]
        found = []
        for step in steps:
            found.append(step())
            if resumes:
                fresh = Positions(book.chain, "XYZ")
                fresh.restore(book.stage.snapshot())
                book.stage = fresh
        return found

    resumes = False
    expected = day(Book(new_desk))
    resumes = True
    assert day(Book(new_desk)) == expected
