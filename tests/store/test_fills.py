"""Edge and markouts: against what stood before the fill, and what the market said later."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.commands import STOCK
from domain.errors import DataError
from domain.events import FillBusted, FillCorrected
from store.day import Day, read_day
from store.fills import HORIZONS, Fill, clustered_mean, good, markout_statistics

if TYPE_CHECKING:
    from tests.store.conftest import Tape

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


def begin(tape: Tape) -> None:
    """A call at theo 1.12 and delta 0.5 from the first minute on."""
    tape.begin()
    minute(tape, 1, 1.10, 100.0)


def minute(tape: Tape, number: int, mid: float, spot: float) -> None:
    at = number * MINUTE
    tape.stock(at, spot - 0.01, spot + 0.01)
    tape.nbbo(at, 0, mid - 0.05, mid + 0.05)
    tape.greeks(at, [mid + 0.02, 1.0], [0.5, -0.5])


def only(day: Day) -> Fill:
    (fill,) = day.fills.fills.values()
    return fill


@pytest.mark.parametrize(("side", "sign"), [("buy", 1), ("sell", -1)])
def test_edge_and_markouts_are_positive_when_good_for_us(tape: Tape, side: str, sign: int) -> None:
    begin(tape)
    tape.show(MINUTE, [(0, 0, 1.05, 1.15)])
    tape.fill(2 * MINUTE, 0, side, 3, 1.10)  # type: ignore[arg-type]  # the parameters are sides
    for number in range(2, 35):
        minute(tape, number, 1.10 + 0.01 * number, 100.0 + 0.02 * number)
    tape.end(40 * MINUTE)
    fill = only(read_day(tape.items))
    assert (fill.theo, fill.mid, fill.spot) == pytest.approx((1.12, 1.10, 100.0))
    assert fill.edge == pytest.approx(sign * 0.02)
    assert [fill.markout[h] for h in HORIZONS] == pytest.approx([sign * 0.01 * (2 + h) for h in HORIZONS])
    assert [fill.hedged[h] for h in HORIZONS] == pytest.approx([0.0] * len(HORIZONS), abs=1e-9)


def test_a_fill_is_judged_by_what_stood_before_its_instant_however_late_it_is_reported(tape: Tape) -> None:
    begin(tape)
    tape.show(MINUTE, [(0, 0, 1.05, 1.15)])
    minute(tape, 2, 1.50, 101.0)
    tape.fill(2 * MINUTE, 0, "sell", 1, 1.15)
    tape.end(40 * MINUTE)
    fill = only(read_day(tape.items))
    assert (fill.theo, fill.mid) == pytest.approx((1.12, 1.10))
    assert fill.markout[0] == pytest.approx(1.15 - 1.50)


def test_a_one_sided_market_and_the_close_leave_no_mark(tape: Tape) -> None:
    begin(tape)
    tape.show(MINUTE, [(0, 0, 1.05, 1.15)])
    tape.fill(2 * MINUTE, 0, "buy", 1, 1.05)
    tape.nbbo(7 * MINUTE, 0, 0.0, 1.20)
    tape.fill(20 * MINUTE, 0, "buy", 1, 1.05)
    tape.end(40 * MINUTE)
    fills = list(read_day(tape.items).fills.fills.values())
    assert math.isnan(fills[0].markout[5])
    assert 30 not in fills[1].markout
    assert markout_statistics(fills, 30).unmarked == 2


def test_stock_is_marked_against_its_own_quote_and_has_no_hedge(tape: Tape) -> None:
    begin(tape)
    tape.hedge(MINUTE + SECOND, "sell", 100, 99.99)
    minute(tape, 2, 1.10, 99.0)
    tape.end(40 * MINUTE)
    fill = only(read_day(tape.items))
    assert (fill.contract, fill.kind, fill.multiplier) == (STOCK, "hedge", 1.0)
    assert fill.edge == pytest.approx(-0.01)
    assert fill.markout[1] == pytest.approx(0.99)
    assert fill.hedged == {}


def test_a_bust_takes_a_fill_out_and_a_correction_moves_its_marks(tape: Tape) -> None:
    begin(tape)
    tape.show(MINUTE, [(0, 0, 1.05, 1.15)])
    first = tape.fill(2 * MINUTE, 0, "buy", 2, 1.05)
    second = tape.fill(2 * MINUTE, 0, "buy", 2, 1.05)
    minute(tape, 3, 1.10, 100.0)
    minute(tape, 4, 1.10, 100.0)
    terms = {"contract": 0, "side": "buy"}
    tape.say(FillBusted(**tape.stamp(4 * MINUTE), fill_id=first, quantity=2, price=10_500, fee=0, **terms))  # type: ignore[arg-type]
    tape.say(
        FillCorrected(
            **tape.stamp(4 * MINUTE),
            fill_id=second,
            old_quantity=2,
            old_price=10_500,
            quantity=1,
            price=10_000,
            **terms,  # type: ignore[arg-type]
        )
    )
    tape.end(40 * MINUTE)
    day = read_day(tape.items)
    (fill,) = good(list(day.fills.fills.values()))
    assert (fill.fill_id, fill.quantity, fill.price) == (second, 1, 1.0)
    assert [fill.markout[h] for h in (1, 5)] == pytest.approx([0.10, 0.10])


def test_a_bust_of_an_unknown_fill_is_refused(tape: Tape) -> None:
    begin(tape)
    tape.say(FillBusted(**tape.stamp(2 * MINUTE), fill_id="x", contract=0, side="buy", quantity=1, price=1, fee=0))
    with pytest.raises(DataError, match="unknown fill"):
        read_day(tape.items)


values = st.lists(st.floats(-5, 5), min_size=2, max_size=30)


@given(values)
def test_clusters_of_one_give_the_usual_standard_error(marks: list[float]) -> None:
    column = np.array(marks)
    mean, error = clustered_mean(column, np.ones(len(column)), np.arange(len(column)))
    assert mean == pytest.approx(column.mean(), abs=1e-12)
    assert error == pytest.approx(column.std(ddof=1) / math.sqrt(len(column)), abs=1e-12)


@given(values, st.integers(2, 5))
def test_repeating_every_fill_inside_its_minute_adds_no_certainty(marks: list[float], times: int) -> None:
    column, cluster = np.array(marks), np.arange(len(marks))
    once = clustered_mean(column, np.ones(len(column)), cluster)
    often = clustered_mean(np.repeat(column, times), np.ones(len(column) * times), np.repeat(cluster, times))
    assert often == pytest.approx(once, abs=1e-12)


def test_one_minute_has_no_standard_error() -> None:
    mean, error = clustered_mean(np.array([1.0, 3.0]), np.ones(2), np.zeros(2, np.int64))
    assert mean == 2.0
    assert math.isnan(error)
