"""Quote quality on journals whose figures can be worked out by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.day import read_day
from store.quality import QuoteStatistics, contract_totals, statistics, weighted_median

if TYPE_CHECKING:
    from tests.store.conftest import Tape

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


def measured(tape: Tape) -> QuoteStatistics:
    day = read_day(tape.items)
    return statistics(day.meter.samples(), len(day.meter.crossings))


def begin(tape: Tape) -> None:
    """Ten minutes: the call is eligible from the first second, the put never (|delta| 0.02)."""
    tape.begin()
    tape.stock(0, 99.99, 100.01)
    tape.nbbo(0, [0, 1], [1.00, 1.00], [1.20, 1.20])
    tape.greeks(0, [1.1, 1.1], [0.5, -0.02])


def test_only_contracts_with_a_two_sided_market_and_a_delta_in_range_count(tape: Tape) -> None:
    begin(tape)
    tape.show(0, [(0, 0, 1.00, 1.20), (0, 1, 1.00, 1.20)])
    tape.end(10 * MINUTE)
    found = measured(tape)
    assert (found.contracts_eligible, found.contracts_two_sided_90, found.share) == (1, 1, 1.0)


def test_quoting_time_is_weighted_by_time(tape: Tape) -> None:
    begin(tape)
    tape.show(30 * SECOND, [(0, 0, 1.00, 1.20)])
    tape.cancel(9 * MINUTE + 15 * SECOND, 0)
    tape.end(10 * MINUTE)
    found = measured(tape)
    assert found.quoted_share == pytest.approx((9 * 60 - 15) / 600)
    assert found.contracts_two_sided_90 == 0


@pytest.mark.parametrize(("begins", "passes"), [(60, 1), (61, 0)])
def test_a_contract_passes_at_ninety_percent_and_not_below(tape: Tape, begins: int, passes: int) -> None:
    begin(tape)
    tape.show(begins * SECOND, [(0, 0, 1.00, 1.20)])
    tape.end(10 * MINUTE)
    assert measured(tape).contracts_two_sided_90 == passes


def test_time_in_which_we_had_no_value_is_held_against_us(tape: Tape) -> None:
    """A contract whose quotes were pulled because its value was lost should still have been quoted."""
    begin(tape)
    tape.show(0, [(0, 0, 1.00, 1.20)])
    tape.greeks(4 * MINUTE, [math.nan, 1.1], [math.nan, -0.02])
    tape.cancel(4 * MINUTE, 0)
    tape.end(10 * MINUTE)
    found = measured(tape)
    assert found.quoted_share == pytest.approx(0.4)
    assert found.contracts_two_sided_90 == 0


def test_time_without_a_two_sided_market_is_not_held_against_us(tape: Tape) -> None:
    begin(tape)
    tape.show(0, [(0, 0, 1.00, 1.20)])
    tape.nbbo(5 * MINUTE, 0, 0.0, 1.20)
    tape.cancel(5 * MINUTE, 0)
    tape.end(10 * MINUTE)
    found = measured(tape)
    assert found.quoted_share == 1.0
    assert found.samples == 5


def test_time_in_a_halt_and_after_the_close_does_not_count(tape: Tape) -> None:
    begin(tape)
    tape.show(0, [(0, 0, 1.00, 1.20)])
    tape.session(2 * MINUTE, "halted")
    tape.cancel(2 * MINUTE, 0)
    tape.session(7 * MINUTE, "open")
    tape.show(7 * MINUTE, [(0, 0, 1.00, 1.20)])
    tape.end(10 * MINUTE)
    tape.nbbo(12 * MINUTE, 0, 1.00, 1.20)
    found = measured(tape)
    assert (found.quoted_share, found.samples) == (1.0, 5)


def test_widths_are_medians_over_contract_minutes(tape: Tape) -> None:
    begin(tape)
    tape.show(0, [(0, 0, 1.00, 1.10)])
    tape.show(4 * MINUTE, [(0, 0, 1.00, 1.30)])
    tape.nbbo(7 * MINUTE, 0, 1.00, 1.40)
    tape.end(10 * MINUTE)
    found = measured(tape)
    assert (found.median_width, found.median_width_nbbo) == (0.30, 0.20)
    assert found.median_width_ratio == pytest.approx(0.75)


def test_a_minute_with_two_widths_is_one_sample_of_their_mean(tape: Tape) -> None:
    begin(tape)
    tape.show(0, [(0, 0, 1.00, 1.10)])
    tape.show(45 * SECOND, [(0, 0, 1.00, 1.30)])
    tape.end(MINUTE)
    found = measured(tape)
    assert found.samples == 1
    assert found.median_width == pytest.approx(0.75 * 0.10 + 0.25 * 0.30)


def test_at_or_inside_is_told_by_side_and_together(tape: Tape) -> None:
    begin(tape)
    tape.show(0, [(0, 0, 1.00, 1.20)])
    tape.show(2 * MINUTE, [(0, 0, 1.05, 1.25)])
    tape.show(5 * MINUTE, [(0, 0, 0.95, 1.15)])
    tape.end(10 * MINUTE)
    found = measured(tape)
    assert found.at_or_inside_bid == pytest.approx(0.5)
    assert found.at_or_inside_ask == pytest.approx(0.7)
    assert found.at_or_inside_share == pytest.approx(0.2)


def test_the_better_of_two_venues_makes_the_width(tape: Tape) -> None:
    begin(tape)
    tape.show(0, [(0, 0, 0.90, 1.30), (1, 0, 1.00, 1.40)])
    tape.end(MINUTE)
    assert measured(tape).median_width == 0.30


def test_crossed_own_quotes_are_found_across_venues_and_named(tape: Tape) -> None:
    begin(tape)
    tape.show(0, [(0, 0, 1.00, 1.10), (1, 0, 1.00, 1.10)])
    name = tape.quote(MINUTE, [(0, 0, 1.10, 1.20), (1, 0, 1.10, 1.20)])
    tape.ack(MINUTE + 1, 0, name, 1)
    tape.ack(MINUTE + 2, 1, name, 1)
    tape.end(2 * MINUTE)
    day = read_day(tape.items)
    (crossing,) = day.meter.crossings
    assert (crossing.contract, crossing.bid, crossing.ask) == (0, 11_000, 11_000)
    assert (crossing.bid_venue, crossing.ask_venue) == (0, 1)
    assert (crossing.ts, crossing.until) == (tape.open_ts + MINUTE + 1, tape.open_ts + MINUTE + 2)


def test_what_changes_at_one_instant_is_no_crossing(tape: Tape) -> None:
    begin(tape)
    tape.show(0, [(0, 0, 1.00, 1.10), (1, 0, 1.00, 1.10)])
    tape.show(MINUTE, [(0, 0, 1.10, 1.20), (1, 0, 1.10, 1.20)])
    tape.end(2 * MINUTE)
    assert measured(tape).crossed_own_quotes == 0


def test_nothing_to_measure_gives_no_numbers_and_no_warnings(tape: Tape) -> None:
    tape.begin()
    tape.end(MINUTE)
    found = measured(tape)
    assert (found.contracts_eligible, found.samples) == (0, 0)
    assert math.isnan(found.share)
    assert math.isnan(found.median_width)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 9)), min_size=1, max_size=30))
def test_a_weighted_median_is_the_median_of_the_values_repeated(pairs: list[tuple[int, int]]) -> None:
    values, weights = (np.array(column, np.float64) for column in zip(*pairs, strict=True))
    repeated = sorted(value for value, weight in pairs for _ in range(weight))
    assert weighted_median(values, weights) == repeated[(len(repeated) - 1) // 2]


@given(cuts=st.lists(st.integers(1, 599), max_size=8))
def test_idle_events_between_two_changes_do_not_move_the_measure(cuts: list[int]) -> None:
    from tests.store.conftest import Tape

    totals = []
    for times in ([], sorted(set(cuts))):
        tape = Tape()
        begin(tape)
        tape.show(0, [(0, 0, 1.00, 1.10)])
        for second in times:
            tape.nbbo(second * SECOND, 0, 1.00, 1.20)
        tape.end(10 * MINUTE)
        totals.append(contract_totals(read_day(tape.items).meter.samples(), tape.n))
    assert np.allclose(totals[0], totals[1], rtol=1e-6)
