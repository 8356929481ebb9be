"""Exercise and assignment."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chain import Chain
from domain.instrument import Deliverable, OptionContract
from risk.settlement import due, settle

if TYPE_CHECKING:
    from tests.risk.conftest import Desk

DAY = dt.date(2015, 12, 24)


def contract(right: str = "C", strike: int = 100_000, **fields: Any) -> OptionContract:  # noqa: ANN401
    values: dict[str, Any] = {"root": "XYZ", "underlying": "XYZ", "expiry": DAY, "strike": strike, "right": right}
    return OptionContract(**(values | fields))


@pytest.mark.parametrize(
    ("right", "quantity", "price", "expected"),
    [
        ("C", 3, 1_010_000, ("exercised", 300, -300_000_000)),
        ("C", -3, 1_010_000, ("assigned", -300, 300_000_000)),
        ("P", 3, 990_000, ("exercised", -300, 300_000_000)),
        ("P", -3, 990_000, ("assigned", 300, -300_000_000)),
        ("C", 3, 990_000, ("worthless", 0, 0)),
        ("P", -3, 1_010_000, ("worthless", 0, 0)),
        # OCC Rule 805: from one cent in the money
        ("C", 1, 1_000_100, ("exercised", 100, -100_000_000)),
        ("C", 1, 1_000_099, ("worthless", 0, 0)),
        ("P", 1, 999_900, ("exercised", -100, 100_000_000)),
        ("P", 1, 999_901, ("worthless", 0, 0)),
    ],
)
def test_physical_settlement(right: str, quantity: int, price: int, expected: tuple[str, int, int]) -> None:
    assert settle(contract(right), quantity, price) == expected


def test_cash_settlement_pays_the_intrinsic_value() -> None:
    assert settle(contract("C", delivery="cash"), 2, 1_010_000) == ("exercised", 0, 2_000_000)
    assert settle(contract("P", delivery="cash"), -2, 985_500) == ("assigned", 0, -2_900_000)


def test_an_adjusted_contract_delivers_what_it_says() -> None:
    mixed = contract(root="XYZ1", deliverable=(Deliverable("XYZ", 150.0), Deliverable("USD", 12.5)))
    assert settle(mixed, 1, 1_100_000) == ("exercised", 150, -100_000_000 + 125_000)
    assert settle(contract("P", root="XYZ1", deliverable=mixed.deliverable), 1, 900_000) == (
        "exercised",
        -150,
        100_000_000 - 125_000,
    )


def test_what_is_not_known_is_not_settled() -> None:
    assert settle(contract(root="XYZ1"), 1, 1_100_000) is None
    assert settle(contract(root="XYZ1", deliverable=(Deliverable("ABC", 100.0),)), 1, 1_100_000) is None
    assert settle(contract(root="XYZ1", deliverable=(Deliverable("XYZ", 33.5),)), 1, 1_100_000) is None
    assert settle(contract(root="XYZ1"), 1, 900_000) == ("worthless", 0, 0)


@given(
    right=st.sampled_from("CP"),
    strike=st.integers(1, 2_000_000),
    quantity=st.integers(-500, 500).filter(bool),
    price=st.integers(1, 20_000_000),
)
def test_settlement_is_worth_the_intrinsic_value_and_the_two_sides_cancel(
    right: str, strike: int, quantity: int, price: int
) -> None:
    mine, theirs = settle(contract(right, strike), quantity, price), settle(contract(right, strike), -quantity, price)
    assert mine is not None
    assert theirs is not None
    assert (mine.shares + theirs.shares, mine.cash + theirs.cash) == (0, 0)
    intrinsic = max((price - strike * 10) * (1 if right == "C" else -1), 0)
    expected = intrinsic * 100 * quantity if intrinsic >= 100 else 0
    assert mine.shares * price + mine.cash == expected


def test_pm_contracts_are_due_at_the_close_of_their_expiry_day(new_desk: type[Desk]) -> None:
    chain = new_desk.make_chain(expiries=(DAY, dt.date(2015, 12, 25), dt.date(2015, 12, 31)))
    days = [chain.expiries[j][1] for j in chain.expiry_index]
    # 25 December is no session: what carries that date settles on the session before it
    assert due(chain, "PM").tolist() == [day != dt.date(2015, 12, 31) for day in days]
    assert not due(chain, "AM").any()


def test_am_contracts_are_due_at_the_open_of_their_expiry_day() -> None:
    kinds = [contract(settlement="AM", root="SPX"), contract(settlement="PM", root="SPXW")]
    chain = Chain("XYZ", DAY, kinds)
    assert due(chain, "AM").tolist() == [True, False]
    assert due(chain, "PM").tolist() == [False, True]
