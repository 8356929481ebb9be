from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from routing.queue_model import UNKNOWN_AHEAD, Ints, apportion, place_in_queue, price_time, pro_rata, reach, rotation
from routing.venues import SIMULATED

volumes = st.integers(0, 10_000_000)
cents = st.integers(1, 400).map(lambda n: n * 100)
offsets = st.integers(0, (1 << 20) - 1).map(lambda n: n / (1 << 20))
sizes = st.integers(0, 5_000)


def ints(*values: int) -> Ints:
    return np.array(values, np.int64)


@given(volume=volumes, contract=st.integers(0, 5_000), ts=st.integers(0, 2**62), seed=st.integers(0, 2**31))
def test_parts_of_a_print_sum_to_its_volume(volume: int, contract: int, ts: int, seed: int) -> None:
    edges = SIMULATED.tape_edges("option")
    offset = rotation(seed, 1, ints(contract), ts)
    parts = [int(apportion(ints(volume), edges[i], edges[i + 1], offset)[0]) for i in range(len(edges) - 1)]
    assert sum(parts) == volume
    shares = np.diff(edges) * volume
    assert all(abs(part - share) < 1 + 1e-6 for part, share in zip(parts, shares, strict=True))


def test_a_one_lot_goes_to_one_venue_and_to_each_by_its_share() -> None:
    edges = SIMULATED.tape_edges("option")
    contracts = np.arange(20_000)
    offset = rotation(3, 1, contracts, 17)
    ones = np.ones(len(contracts), np.int64)
    parts = np.array([apportion(ones, edges[i], edges[i + 1], offset) for i in range(len(edges) - 1)])
    assert (parts.sum(axis=0) == 1).all()
    np.testing.assert_allclose(parts.mean(axis=1), np.diff(edges), atol=0.015)


@given(bid=cents, spread=cents, low=cents, span=st.integers(0, 300), volume=st.integers(1, 100_000), offset=offsets)
def test_both_sides_together_never_reach_more_than_the_volume(
    bid: int, spread: int, low: int, span: int, volume: int, offset: float
) -> None:
    high = low + span * 100
    to_bid, to_ask = reach(ints(bid), ints(bid + spread), ints(low), ints(high), ints(volume), np.array([offset]))
    assert to_bid[0] >= 0
    assert to_ask[0] >= 0
    assert to_bid[0] + to_ask[0] <= volume
    assert (to_bid[0] == 0) or low <= bid
    assert (to_ask[0] == 0) or high >= bid + spread
    if low > bid:
        assert to_bid[0] == 0
    if low >= bid + spread:
        assert to_ask[0] == volume
    if high <= bid:
        assert to_bid[0] == volume


@given(price=cents, side=st.booleans(), volume=st.integers(1, 1_000), offset=offsets)
def test_an_absent_side_is_not_reached(price: int, side: bool, volume: int, offset: float) -> None:  # noqa: FBT001
    bid, ask = (price, 0) if side else (0, price)
    to_bid, to_ask = reach(ints(bid), ints(ask), ints(100), ints(90_000), ints(volume), np.array([offset]))
    assert (to_ask if side else to_bid)[0] == 0


@given(size=st.integers(1, 500), competing=sizes, volume=sizes, offset=offsets)
def test_pro_rata_is_our_share_rounded_and_never_above_size_or_volume(
    size: int, competing: int, volume: int, offset: float
) -> None:
    ours = int(pro_rata(ints(size), ints(competing), ints(volume), np.array([offset]))[0])
    share = volume * size / (size + competing)
    assert 0 <= ours <= min(size, volume)
    assert ours <= share + 1
    assert ours >= min(size, np.floor(share)) - 1e-9
    if competing == 0:
        assert ours == min(size, volume)


@given(size=st.integers(1, 500), ahead=sizes, volumes=st.lists(sizes, max_size=6))
def test_price_time_trades_what_is_ahead_first_and_loses_nothing(size: int, ahead: int, volumes: list[int]) -> None:
    left, queue, filled = size, ints(ahead), 0
    for volume in volumes:
        part, queue = price_time(ints(left), queue, ints(volume))
        left -= int(part[0])
        filled += int(part[0])
    assert filled == min(size, max(sum(volumes) - ahead, 0))


@given(ahead=st.one_of(st.just(UNKNOWN_AHEAD), sizes), displayed=sizes)
def test_the_queue_ahead_never_grows_while_it_is_known(ahead: int, displayed: int) -> None:
    yes, no = np.array([True]), np.array([False])
    assert place_in_queue(ints(ahead), yes, no, ints(displayed))[0] == 0
    assert place_in_queue(ints(ahead), no, no, ints(displayed))[0] == UNKNOWN_AHEAD
    level = place_in_queue(ints(ahead), no, yes, ints(displayed))[0]
    assert level <= displayed
    assert ahead == UNKNOWN_AHEAD or level <= ahead
