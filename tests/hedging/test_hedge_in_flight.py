"""What is left to hedge while outcomes are unknown, against every outcome that there can be."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hedging.hedge_in_flight import HedgeInFlight, sure_delta


def hedge(wanted: int) -> HedgeInFlight:
    flight = HedgeInFlight()
    flight.ask("R", wanted, 0)
    flight.routed("A")
    flight.sized("A", abs(wanted))
    return flight


@given(delta=st.floats(-1_000, 1_000), wanted=st.lists(st.integers(-400, 400).filter(bool), max_size=4))
def test_it_is_the_most_that_is_towards_zero_under_every_outcome(delta: float, wanted: list[int]) -> None:
    sure = sure_delta(delta, [hedge(quantity) for quantity in wanted])
    outcomes = [delta + sum(traded) for traded in itertools.product(*((0, quantity) for quantity in wanted))]
    for outcome in outcomes:
        assert sure * outcome >= 0
        assert abs(sure) <= abs(outcome) + 1e-9
    if sure:
        assert any(abs(abs(outcome) - abs(sure)) < 1e-9 for outcome in outcomes)
    else:
        assert min(outcomes) <= 0 <= max(outcomes)


@given(shares=st.integers(1, 300), parts=st.lists(st.integers(1, 100), max_size=5))
def test_what_may_still_trade_falls_with_fills_and_with_children_that_end(shares: int, parts: list[int]) -> None:
    flight = HedgeInFlight()
    flight.ask("R", -2 * shares, 0)
    assert flight.may_trade == -2 * shares
    for name in ("A", "B"):
        flight.routed(name)
        flight.sized(name, shares)
    traded = 0
    for part in parts:
        quantity = min(part, shares - traded)
        flight.filled("A", quantity)
        traded += quantity
        assert flight.may_trade == traded - 2 * shares
    assert not flight.end_child("A")
    assert flight.may_trade == -shares
    assert flight.end_child("B")
    copy = HedgeInFlight.of(flight.state())
    assert copy.state() == flight.state()
