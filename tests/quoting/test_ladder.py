"""Laws of the ladder: rounding, holding and the minimal difference."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from domain.price import NICKEL_DIME, PENNY, TickClass, is_on_tick, tick_columns
from quoting.ladder import ASK, BID, Ladder, apply_rows, diff, hold, keep_apart, round_out, rows

Floats = npt.NDArray[np.float64]

N = 6
VENUES = np.array([1, 4, 9], dtype=np.int16)
ROW_OF = {1: 0, 4: 1, 9: 2}

raw_prices = arrays(np.float64, N, elements=st.floats(-1e4, 5e5))
ticks = st.sampled_from([NICKEL_DIME, PENNY])


@st.composite
def ladders(draw: st.DrawFn, *shape: int) -> Ladder:
    """Books in which an absent side has price and size 0."""
    full = (*shape, 2, N)
    size = draw(arrays(np.int64, full, elements=st.integers(0, 3)))
    price = draw(arrays(np.int64, full, elements=st.integers(1, 8))) * 1_000
    return Ladder(price * (size > 0), size)


@given(raw_prices, raw_prices, ticks)
def test_bids_round_down_and_asks_up_by_less_than_a_tick(bid: Floats, ask: Floats, tick: TickClass) -> None:
    price = round_out(bid, ask, tick)
    assert is_on_tick(price, tick).all()
    assert (price[BID] <= np.maximum(bid, 0) + 1e-5).all()
    assert (price[ASK] >= ask - 1e-5).all()
    assert (np.maximum(bid, 0) - price[BID] < tick.above).all()
    assert (price[ASK] - np.maximum(ask, 0) < tick.above).all()


def test_rounding_forgives_the_noise_of_floats_and_takes_nan_for_no_side() -> None:
    noisy = np.array([29_499.9999999999, 30_000.0000000001, np.nan, -3.0])
    assert round_out(noisy, noisy, NICKEL_DIME).tolist() == [[29_500, 30_000, 0, 0], [29_500, 30_000, 0, 0]]


@given(ladders(3), ladders(3))
def test_sending_the_difference_gives_the_target(target: Ladder, shown: Ladder) -> None:
    frame = rows(target, diff(target, shown), VENUES)
    result = apply_rows(shown, frame, ROW_OF)
    assert np.array_equal(result.price, target.price)
    assert np.array_equal(result.size, target.size)


@given(ladders(3), ladders(3))
def test_the_difference_is_minimal(target: Ladder, shown: Ladder) -> None:
    """Leaving out any entry of it leaves the book short of the target."""
    frame = rows(target, diff(target, shown), VENUES)
    for row in range(len(frame)):
        venue, contract = ROW_OF[int(frame.venue[row])], int(frame.contract[row])
        same_price = np.array_equal(target.price[venue, :, contract], shown.price[venue, :, contract])
        same_size = np.array_equal(target.size[venue, :, contract], shown.size[venue, :, contract])
        assert not (same_price and same_size)
    assert not diff(target, target).any()


@given(ladders(), ladders(3), st.floats(0, 3), st.floats(0.1, 1.0))
def test_a_held_side_is_near_its_target_and_within_its_limit(
    target: Ladder, shown: Ladder, requote_ticks: float, replenish: float
) -> None:
    limit = np.array([[5_000], [4_000]]) + np.zeros((2, N), np.int64)
    tick = np.full(N, 1_000)
    held = hold(target, shown, limit=limit, tick=tick, requote_ticks=requote_ticks, replenish_share=replenish)
    moved = held.price != target.price
    assert (held.price[moved] == shown.price[moved]).all()
    assert (np.abs(held.price - target.price)[moved] < requote_ticks * 1_000).all()
    assert (held.price[:, BID][moved[:, BID]] <= 5_000).all()
    assert (held.price[:, ASK][moved[:, ASK]] >= 4_000).all()
    assert ((held.price == 0) == (target.price == 0)).all()  # a side is never held against its wish to go
    assert (held.size <= np.maximum(target.size, 0)).all()
    resized = held.size != target.size
    assert (held.size[resized] >= replenish * np.broadcast_to(target.size, held.size.shape)[resized]).all()


@given(ladders(), ladders(3))
def test_without_slack_the_target_itself_is_shown(target: Ladder, shown: Ladder) -> None:
    held = hold(
        target,
        shown,
        limit=np.zeros((2, N), np.int64),
        tick=np.full(N, 1_000),
        requote_ticks=0.0,
        replenish_share=1.0,
    )
    assert (held.price == target.price).all()
    assert (held.size == target.size).all()


@given(ladders(3), st.integers(0, 2), st.integers(0, N - 1), st.integers(1, 5))
def test_a_fill_takes_size_and_leaves_no_price_without_size(
    book: Ladder, row: int, contract: int, quantity: int
) -> None:
    before = int(book.size[row, BID, contract])
    price = int(book.price[row, BID, contract])
    book.trade(row, contract, "buy", quantity, price)
    left = int(book.size[row, BID, contract])
    assert left == max(before - quantity, 0)
    assert (int(book.price[row, BID, contract]) == 0) == (left == 0)


def test_a_late_fill_at_another_price_changes_nothing() -> None:
    book = Ladder.empty(1, 1)
    book.price[0, ASK, 0], book.size[0, ASK, 0] = 5_000, 4
    book.trade(0, 0, "sell", 2, 4_900)
    assert book.size[0, ASK, 0] == 4


def test_a_side_stops_short_of_what_we_show_elsewhere() -> None:
    """Venue 0 asks 1.00 and venue 1 bids 0.90: a new bid of 1.00 stops at 0.95, a new ask of 0.90 at 0.95."""
    ticks = tick_columns([NICKEL_DIME], np.zeros(1, np.int64))
    shown = Ladder(np.array([[[8_000], [10_000]], [[9_000], [11_000]]]), np.full((2, 2, 1), 5))
    target = Ladder(np.array([[[10_000], [12_000]], [[10_000], [12_000]]]), np.full((2, 2, 1), 5))
    held = keep_apart(target, shown, ticks)
    assert held.price[:, 0, 0].tolist() == [10_000, 9_500]
    assert held.price[:, 1, 0].tolist() == [12_000, 12_000]
    lower = Ladder(np.array([[[7_000], [9_000]], [[7_000], [9_000]]]), np.full((2, 2, 1), 5))
    assert keep_apart(lower, shown, ticks).price[:, 1, 0].tolist() == [9_500, 9_000]
    assert keep_apart(shown, shown, ticks) is shown
