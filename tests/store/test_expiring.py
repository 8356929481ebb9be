"""Gamma and theta of what expires today: of those contracts alone, by what is held and what is known."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import events as e
from domain.chain import Chain
from domain.frames import GreeksFrame, PositionFrame
from domain.instrument import OptionContract
from store.day import read_day
from store.expiring import ExpiringToday, expire_today
from store.record import RunFacts, record_of
from tests.store.conftest import DAY, MINUTE, UNDERLYING, Tape

HEAD: dict[str, Any] = {"ts_event": 1, "ts_init": 1, "underlying": UNDERLYING}
MULTIPLIER = [100.0, 100.0, 10.0, 100.0]
EXPIRING = np.array([True, False, True, True])

numbers = st.floats(-1e6, 1e6)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), st.integers(-1, 3), st.integers(-50, 50)),
        st.tuples(st.just("greeks"), st.lists(st.tuples(numbers | st.just(np.nan), numbers), min_size=4, max_size=4)),
    ),
    max_size=12,
)


def greeks(rows: list[tuple[float, float]]) -> e.GreeksComputed:
    columns: dict[str, Any] = {name: np.zeros(len(rows)) for name in GreeksFrame.dtypes}
    columns |= {"contract": np.arange(len(rows)), "gamma": [row[0] for row in rows], "theta": [row[1] for row in rows]}
    return e.GreeksComputed(**HEAD, spot=100.0, is_refresh=False, frame=GreeksFrame(**columns))


def changed(contract: int, quantity: int) -> e.PositionChanged:
    return e.PositionChanged(**HEAD, contract=contract, quantity=quantity, change=0, cause="fill")


@given(steps)
def test_it_is_the_sum_over_what_is_held_and_expires_of_the_last_that_is_known(script: list[tuple[Any, ...]]) -> None:
    found = ExpiringToday(EXPIRING, MULTIPLIER)
    held, known = [0] * 4, [[0.0, 0.0] for _ in range(4)]
    for kind, *values in script:
        if kind == "hold":
            contract, quantity = values
            found.apply(changed(contract, quantity))
            if contract >= 0:
                held[contract] = quantity
        else:
            (rows,) = values
            found.apply(greeks(rows))
            known = [
                [b if np.isnan(a) else a for a, b in zip(*pair, strict=True)] for pair in zip(rows, known, strict=True)
            ]
    net = [sum(held[k] * MULTIPLIER[k] * known[k][greek] for k in range(4) if EXPIRING[k]) for greek in (0, 1)]
    assert found.net() == pytest.approx(net, rel=1e-9, abs=1e-3)


def test_imported_positions_count() -> None:
    found = ExpiringToday(EXPIRING, MULTIPLIER)
    book = PositionFrame(contract=np.array([1, 2]), quantity=np.array([7, -3]))
    found.apply(e.PositionsImported(**HEAD, stock=5, stock_price=0.0, cash=0.0, frame=book))
    found.apply(greeks([(1.0, -4.0)] * 4))
    assert found.net() == (-30.0, 120.0)


def test_a_saturday_expiry_is_settled_on_its_friday() -> None:
    expiries = [dt.date(2014, 6, 21), dt.date(2014, 6, 20), dt.date(2014, 6, 27)]
    chain = Chain("XYZ", dt.date(2014, 6, 20), [
        OptionContract(root="XYZ", underlying="XYZ", expiry=expiry, strike=100_000, right="C") for expiry in expiries
    ])  # fmt: skip
    today = {
        contract.expiry for contract, is_today in zip(chain.contracts, expire_today(chain), strict=True) if is_today
    }
    assert today == set(expiries[:2])


def test_the_tables_hold_the_part_beside_the_whole() -> None:
    tape = Tape(expiries=(DAY, dt.date(2016, 1, 15)))
    tape.begin()
    tape.say(greeks([(2.0, -365.0)] * tape.n))
    today = int(np.flatnonzero(expire_today(tape.chain))[0])
    tape.say(changed(today, 3))
    tape.say(
        e.ExposureChanged(
            **tape.stamp(MINUTE),
            spot=100.0, stock=0, delta=0.0, gamma=900.0, vega=0.0, theta=-200_000.0, option_delta=0.0, cause="fill",
        )
    )  # fmt: skip
    tape.end(2 * MINUTE)
    (row,) = record_of(read_day(tape.items), RunFacts()).day.ledger.greeks_net.records()
    assert (row["gamma"], row["gamma_expiring"]) == (900.0, 600.0)
    assert (row["theta"], row["theta_expiring"]) == (-200_000.0, -109_500.0)
