"""The native ladder against the same arithmetic in plain NumPy: equal to the last bit, whatever comes."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from domain.frames import QuoteFrame
from domain.price import BREAK, NICKEL_DIME, PENNY, TickColumns, tick_columns
from quoting import _ladder, ladder
from quoting.ladder import ASK, BID, SNAP, Ladder, Mask, Units

Floats = npt.NDArray[np.float64]

N: Final = 11
VENUES: Final = 3
FAR: Final = 1 << 62
MIXED: Final = tick_columns([NICKEL_DIME, PENNY], np.arange(N) % 2)

# Absent sides, whole prices, the noise of floats around them, and the break between two increments.
raw = arrays(
    np.float64,
    N,
    elements=st.one_of(
        st.floats(-1e4, 5e5),
        st.sampled_from([np.nan, 0.0, -0.0, 1e300, np.inf, -np.inf, 1e-7, 499.9999999, BREAK - 1e-9, BREAK + 1e-9]),
        st.integers(0, 400).map(lambda step: step * 500.0),
    ),
)
prices = st.one_of(st.just(0), st.integers(1, 12).map(lambda step: step * 500), st.integers(0, 1 << 40))
sizes = st.one_of(st.just(0), st.integers(0, 6))


@st.composite
def books(draw: st.DrawFn, *shape: int) -> Ladder:
    """Any books: also ones that are crossed, or have a price without a size."""
    full = (*shape, 2, N)
    return Ladder(draw(arrays(np.int64, full, elements=prices)), draw(arrays(np.int64, full, elements=sizes)))


def plain_round_out(bid: Floats, ask: Floats, ticks: TickColumns) -> Units:
    out = np.empty((2, len(bid)), dtype=np.int64)
    low = np.floor(np.where(bid > 0.0, bid, 0.0) + SNAP)
    high = np.ceil(np.where(ask > 0.0, ask, 0.0) - SNAP)
    for side, whole, grid in ((BID, low, np.floor), (ASK, high, np.ceil)):
        step = np.where(whole < BREAK, ticks.below, ticks.above)
        with np.errstate(invalid="ignore"):
            price = grid(whole / step) * step
        out[side] = np.where(np.abs(price) < FAR, price, 0.0).astype(np.int64)
    return out


def plain_hold(target: Ladder, shown: Ladder, limit: Units, tick: Units, requote: float, replenish: float) -> Ladder:
    outward = np.array([[1], [-1]])
    stays = np.abs(target.price - shown.price) < requote * tick
    stays &= (shown.size > 0) & (target.size > 0) & (outward * shown.price <= outward * limit)
    full = stays & (shown.size <= target.size) & (shown.size >= replenish * target.size)
    return Ladder(np.where(stays, shown.price, target.price), np.where(full, shown.size, target.size))


def plain_may_meet(target: Ladder, shown: Ladder) -> bool:
    asks = [np.where(book.size[:, ASK] > 0, book.price[:, ASK], FAR).min(axis=0) for book in (target, shown)]
    bids = [book.price[:, BID].max(axis=0) for book in (target, shown)]
    return bool(((bids[0] >= asks[1]) | (asks[0] <= bids[1])).any())


def plain_diff(target: Ladder, shown: Ladder) -> Mask:
    differs: Mask = ((target.price != shown.price) | (target.size != shown.size)).any(axis=-2)
    return differs


def plain_rows(book: Ladder, mask: Mask, venues: npt.NDArray[np.int16]) -> QuoteFrame:
    row, contract = np.nonzero(mask)
    (bid, ask), (bid_size, ask_size) = ([values[row, side, contract] for side in (BID, ASK)] for values in book)
    return QuoteFrame(venue=venues[row], contract=contract, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size)


def same(first: Ladder, second: Ladder) -> bool:
    return np.array_equal(first.price, second.price) and np.array_equal(first.size, second.size)


@given(raw, raw)
def test_rounding_is_that_of_the_plain_text(bid: Floats, ask: Floats) -> None:
    assert np.array_equal(ladder.round_out(bid, ask, MIXED), plain_round_out(bid, ask, MIXED))


@given(st.one_of(books(), books(VENUES)), books(VENUES), books(), st.floats(0, 3), st.floats(0.01, 1.0))
def test_holding_is_that_of_the_plain_text(
    target: Ladder, shown: Ladder, limit: Ladder, requote: float, replenish: float
) -> None:
    """A target of (2, n) stands for all venues; one of (venues, 2, n) names each."""
    tick = np.where(limit.price[0] < BREAK, MIXED.below, MIXED.above)
    held = ladder.hold(target, shown, limit=limit.price, tick=tick, requote_ticks=requote, replenish_share=replenish)
    assert same(held, plain_hold(target, shown, limit.price, tick, requote, replenish))


@given(books(VENUES), books(VENUES))
def test_meeting_is_that_of_the_plain_text(target: Ladder, shown: Ladder) -> None:
    assert _ladder.may_meet(*target, *shown) == plain_may_meet(target, shown)
    apart = Ladder(
        target.price + (1 << 41) * np.array([[-1], [1]]), target.size
    )  # nothing of it reaches the other side
    assert _ladder.may_meet(*apart, *apart) == plain_may_meet(apart, apart)


@given(books(VENUES), books(VENUES), arrays(np.bool_, (VENUES, 1, N)))
def test_the_difference_is_that_of_the_plain_text(target: Ladder, shown: Ladder, copied: Mask) -> None:
    partly = Ladder(np.where(copied, shown.price, target.price), np.where(copied, shown.size, target.size))
    mask = ladder.diff(partly, shown)
    assert np.array_equal(mask, plain_diff(partly, shown))
    assert not mask[copied[:, 0]].any()


@given(books(VENUES), arrays(np.bool_, (VENUES, N)))
def test_the_rows_are_those_of_the_plain_text(book: Ladder, mask: Mask) -> None:
    venues = np.array([1, 4, 9], dtype=np.int16)
    assert ladder.rows(book, mask, venues) == plain_rows(book, mask, venues)


@given(books(), books(), arrays(np.bool_, N))
def test_prices_are_put_where_the_mask_says_so(kept: Ladder, book: Ladder, mask: Mask) -> None:
    out = kept.price.copy()
    ladder.put(out, book.price, mask)
    assert np.array_equal(out, np.where(mask, book.price, kept.price))


def test_strided_arrays_are_read_as_they_are() -> None:
    """What is not contiguous is copied on the way in: only outputs must lie as the native code writes them."""
    wide = Ladder(np.arange(4 * N).reshape(1, 2, 2 * N)[:, :, ::2], np.ones((1, 2, 2 * N), np.int64)[:, :, ::2])
    mask = np.ones((1, N), np.bool_)
    assert ladder.rows(wide, mask, np.zeros(1, np.int16)) == plain_rows(wide, mask, np.zeros(1, np.int16))
    assert not ladder.diff(wide, wide).any()


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    book, other = Ladder.empty(VENUES, N), Ladder.empty(VENUES, N + 1)
    with pytest.raises(ValueError, match="shape"):
        ladder.diff(book, other)
    with pytest.raises(ValueError, match="row for each venue"):
        _ladder.may_meet(*Ladder.empty(N), *book)
    with pytest.raises(ValueError, match="lengths differ"):
        ladder.round_out(np.zeros(N), np.zeros(N + 1), NICKEL_DIME)
    with pytest.raises(ValueError, match="limit or tick"):
        ladder.hold(
            book,
            book,
            limit=np.zeros((2, N), np.int64),
            tick=np.ones(1, np.int64),
            requote_ticks=1.0,
            replenish_share=1.0,
        )


def test_an_output_is_never_written_outside_its_bounds() -> None:
    """A mask that holds more or fewer entries than the columns have room for is refused."""
    book, mask, venues = Ladder.empty(1, N), np.ones((1, N), np.bool_), np.zeros(1, np.int16)
    for room, message in ((N - 1, "more entries"), (N + 1, "fewer entries")):
        columns = {name: np.empty(room, dtype) for name, dtype in QuoteFrame.dtypes.items()}
        with pytest.raises(ValueError, match=message):
            _ladder.rows(*book, mask, venues, **columns)
