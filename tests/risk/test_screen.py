"""Laws of the screen: it passes nothing that the judgement of each entry would not, and its native passes are plain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from domain import commands as c
from domain.frames import QuoteFrame
from risk import _screen
from risk.checks import entry_reasons, locate, self_crossed
from risk.limits import Limits
from risk.quote_checks import judge_entries
from risk.resting import FAR
from risk.screen import screen

if TYPE_CHECKING:
    from tests.risk.conftest import Desk

Ints = npt.NDArray[np.int64]

N, VENUES = 12, 2
SIZE: Final = VENUES * N
TIGHT: Final = Limits(
    max_quote_size=12,
    max_position=45,
    worst_delta=14_000.0,
    worst_gamma=600.0,
    worst_vega=300_000.0,
    held_delta=900.0,
    held_gamma=40.0,
    held_vega=9_000.0,
    max_notional=3_000_000.0,
    stale_ms=65_000,
)
"""Near what a full quote of the desk's chain takes, so that both sides of every limit are met."""

# Mostly what a quoter sends; now and then a price or a size that is wrong in some way.
bids = st.one_of(st.sampled_from([48_000, 48_500, 49_000]), st.sampled_from([0, -500, 49_050, 51_000, 56_000, 1 << 59]))
asks = st.one_of(st.sampled_from([51_000, 51_500, 52_000]), st.sampled_from([0, -500, 51_050, 49_000, 1_000, 1 << 59]))
sizes = st.one_of(st.integers(1, 12), st.sampled_from([0, 13, -1]))
usual = st.tuples(
    st.sampled_from([48_000, 49_000]), st.integers(1, 12), st.sampled_from([51_000, 52_000]), st.integers(1, 12)
)
odd = st.tuples(bids, sizes, asks, sizes)
places = st.tuples(st.integers(0, VENUES - 1), st.integers(0, N - 1))


@st.composite
def messages(draw: st.DrawFn) -> list[tuple[int, int, int, int, int, int]]:
    """Entries in the order of the quoter; now and then out of order, twice, or of an unknown contract or venue."""
    at = sorted(draw(st.sets(places, min_size=1, max_size=SIZE)))
    if draw(st.integers(0, 9)) == 0:
        at.append(draw(st.tuples(st.integers(-1, VENUES), st.integers(-1, N))))
    is_odd = draw(st.integers(0, 2)) == 0
    return [
        (venue, contract, *draw(odd if is_odd and not draw(st.integers(0, 3)) else usual)) for venue, contract in at
    ]


@st.composite
def situations(draw: st.DrawFn, new_desk: type[Desk]) -> Desk:
    """A desk with quotes that work and quotes on their way, positions, held Greeks, orders and theos, or some of it."""
    desk = new_desk(limits=TIGHT if draw(st.booleans()) else None).open()
    for turn in range(draw(st.integers(0, 2))):
        desk.place(*draw(messages()), name=f"M{turn}")
        for venue in range(VENUES):
            if draw(st.booleans()):
                desk.ack(venue, f"M{turn}", draw(st.integers(0, N)))
    if draw(st.booleans()):
        held = draw(st.integers(-40, 40))
        desk.hold(draw(st.integers(0, N - 1)), held)
        desk.expose(delta=draw(st.floats(-1e3, 1e3)), gamma=draw(st.floats(-50, 50)), vega=draw(st.floats(-1e4, 1e4)))
    if draw(st.booleans()):
        desk.submit(contract=draw(st.sampled_from([c.STOCK, 3])), price=draw(st.sampled_from([51_000, 1_000_200])))
    if draw(st.integers(0, 3)) == 0:
        status = draw(st.lists(st.sampled_from([0, 0, 0, 2]), min_size=N, max_size=N))
        desk.greeks(theo=draw(st.floats(3.0, 7.0)), status=status)
    return desk


@pytest.mark.fuzz
@given(data=st.data(), rows=messages())
def test_what_passes_the_screen_passes_every_check(
    new_desk: type[Desk], data: st.DataObject, rows: list[tuple[int, int, int, int, int, int]]
) -> None:
    desk = data.draw(situations(new_desk))
    view, frame = desk.gate.view, desk.quotes(rows).frame
    passed = screen(frame, view)
    if passed is None:
        return
    verdict = judge_entries(frame, view, None)
    assert verdict.refused is None
    assert not verdict.breaches
    assert verdict.frame == frame
    assert np.array_equal(passed, verdict.rows)


@given(data=st.data(), rows=messages())
def test_an_entry_is_doubted_only_if_a_check_fails_or_it_is_out_of_order(
    new_desk: type[Desk], data: st.DataObject, rows: list[tuple[int, int, int, int, int, int]]
) -> None:
    """The other direction, so that the screen is worth its name: what it stops has a reason."""
    desk = data.draw(situations(new_desk))
    view, frame = desk.gate.view, desk.quotes(rows).frame
    keys = frame.venue * np.intp(N) + frame.contract
    located = locate(frame, VENUES, N)
    is_plain = located.reasons is None and (np.diff(keys) > 0).all() and located.frame == frame
    found = _entries(frame, desk)
    if not is_plain:
        assert found[0] == 0
        return
    reasons, _ = entry_reasons(located, view.market, view.quotes, view.limits, None)
    if found[0] == 0:  # what only takes away is doubted too, and then judged
        far = max(frame.bid.max(), frame.ask.max()) >= 1 << 53
        assert reasons is not None or far or _is_reducing(desk, frame)
    else:
        assert reasons is None
        more_bid = np.maximum(frame.bid_size - view.quotes.bid_size[keys], 0)
        more_ask = np.maximum(frame.ask_size - view.quotes.ask_size[keys], 0)
        reach = view.quotes.per_contract()
        assert (found[0] == 2) == bool(more_bid.any() or more_ask.any())
        assert np.array_equal(found[1], reach[0] + np.bincount(frame.contract, more_bid, N))
        assert np.array_equal(found[2], reach[1] + np.bincount(frame.contract, more_ask, N))
        crossed = _screen.self_crossed(
            keys,
            frame.contract,
            frame.bid,
            frame.ask,
            frame.ask_size,
            high_bid=view.quotes.high_bid,
            low_ask=view.quotes.low_ask,
            contracts=N,
        )
        assert crossed == bool(self_crossed(located, None, view.quotes).any())


def _entries(frame: QuoteFrame, desk: Desk) -> tuple[int, Ints, Ints]:
    view = desk.gate.view
    cap, floor = view.market.price_bounds()
    bid, ask = np.empty(N, np.int64), np.empty(N, np.int64)
    code = _screen.entries(
        *frame.columns().values(),
        cap=cap,
        floor=floor,
        below=view.market.tick_below,
        above=view.market.tick_above,
        resting_bid=view.quotes.bid_size,
        resting_ask=view.quotes.ask_size,
        most=view.limits.max_quote_size,
        rows=np.empty(len(frame), np.intp),
        bid_reach=bid,
        ask_reach=ask,
    )
    return code, bid, ask


def _is_reducing(desk: Desk, frame: QuoteFrame) -> bool:
    """Whether some entry is let through although a check of its prices fails, because it adds nothing."""
    view = desk.gate.view
    keys = frame.venue * np.intp(N) + frame.contract
    same_bid = (frame.bid == view.quotes.sent_bid[keys]) & (frame.bid_size <= view.quotes.bid_size[keys])
    same_ask = (frame.ask == view.quotes.sent_ask[keys]) & (frame.ask_size <= view.quotes.ask_size[keys])
    less = ((frame.bid_size == 0) | same_bid) & ((frame.ask_size == 0) | same_ask)
    return bool(less.any())


def test_the_usual_message_passes_the_screen(new_desk: type[Desk]) -> None:
    desk = new_desk().open()
    rows = [(v, i, 49_000, 10, 51_000, 10) for v in range(VENUES) for i in range(N)]
    passed = screen(desk.quotes(rows).frame, desk.gate.view)
    assert passed is not None
    assert passed.tolist() == list(range(SIZE))
    desk.place(*rows, name="Q")
    moved = [(v, i, 50_000, 10, 52_000, 10) for v in range(VENUES) for i in range(N)]
    assert screen(desk.quotes(moved).frame, desk.gate.view) is not None


@pytest.mark.parametrize(
    ("limit", "load"),
    [
        ("worst_delta", 24 * 10 * 50.0),
        ("worst_gamma", 24 * 10 * 2.0),
        ("worst_vega", 24 * 10 * 1_000.0),
        ("max_notional", 24 * 20 * 500.0),
        ("max_position", 20.0),
    ],
)
def test_a_load_near_its_limit_is_left_to_the_judgement(new_desk: type[Desk], limit: str, load: float) -> None:
    """One part in a billion below the limit decides nothing here: the judgement sums as it always did."""
    rows = [(v, i, 49_000, 10, 51_000, 10) for v in range(VENUES) for i in range(N)]
    for limit_value, is_passed in ((load * 1.01, True), (load * 0.99, False)):
        desk = new_desk().open()
        is_whole = limit == "max_position"
        desk.limit(
            **{limit: float(np.ceil(limit_value) if is_passed else np.floor(limit_value)) if is_whole else limit_value}
        )
        frame = desk.quotes(rows).frame
        assert (screen(frame, desk.gate.view) is not None) == is_passed
        assert (judge_entries(frame, desk.gate.view, None).refused is None) == is_passed
    if limit != "max_position":
        desk = new_desk().open()
        desk.limit(**{limit: load * (1 + 1e-10)})
        frame = desk.quotes(rows).frame
        assert screen(frame, desk.gate.view) is None
        assert judge_entries(frame, desk.gate.view, None).refused is None


def test_greeks_that_are_no_numbers_pass_no_screen(new_desk: type[Desk]) -> None:
    desk = new_desk().open()
    desk.greeks(gamma=np.where(np.arange(N) == 3, np.nan, 0.02))
    assert screen(desk.quotes([(0, 0, 49_000, 1, 51_000, 1)]).frame, desk.gate.view) is None


# --- the native passes alone ------------------------------------------------------------------------------------------
theos = arrays(np.float64, N, elements=st.one_of(st.floats(0.0, 500.0), st.sampled_from([0.0, np.nan, np.inf, 1e300])))
units = arrays(np.int64, N, elements=st.one_of(st.just(0), st.integers(0, 5_000_000)))


@given(theos, arrays(np.bool_, N), units, units, st.floats(0, 5), st.floats(0, 1))
def test_the_collar_is_that_of_the_plain_text(
    theo: npt.NDArray[np.float64],
    is_open: npt.NDArray[np.bool_],
    bid: Ints,
    ask: Ints,
    dollars: float,
    fraction: float,
) -> None:
    cap, floor = np.empty(N, np.int64), np.empty(N, np.int64)
    _screen.collar(theo, is_open, bid, ask, dollars=dollars, fraction=fraction, scale=10_000.0, cap=cap, floor=floor)
    known = is_open & (theo < 1e12)  # a theo that is no price opens nothing
    value = np.where(known, theo, 0.0) * 10_000.0
    room = np.maximum(dollars * 10_000.0, fraction * value)
    high = np.floor(np.where(ask > 0, np.minimum(value, ask), value) + room)
    low = np.ceil(np.maximum(np.maximum(value, bid) - room, 1.0))
    assert np.array_equal(cap, np.where(known, high, 0.0).astype(np.int64))
    assert np.array_equal(floor, np.where(known, low, float(FAR)).astype(np.int64))


counts = arrays(np.int64, N, elements=st.integers(0, 500))
signed = arrays(np.int64, N, elements=st.integers(-500, 500))
greeks = arrays(np.float64, (3, N), elements=st.floats(-1e4, 1e4))
premiums = arrays(np.float64, N, elements=st.floats(0, 1e5))


@given(greeks, premiums, signed, counts, counts)
def test_the_totals_are_those_of_the_plain_text(
    one: npt.NDArray[np.float64], premium: npt.NDArray[np.float64], position: Ints, bid: Ints, ask: Ints
) -> None:
    totals = np.empty(9)
    _screen.totals(one, premium, position, bid, ask, out=totals)
    gross, net = (np.abs(one) * (bid + ask)).sum(axis=1), (one * (bid - ask)).sum(axis=1)
    np.testing.assert_allclose(totals[:3], gross, rtol=1e-12)
    np.testing.assert_array_less(np.abs(totals[3:6] - net), 1e-12 * gross + 1e-300)
    money = [(premium * (bid + ask)).sum(), (premium * np.abs(position)).sum()]
    np.testing.assert_allclose(totals[6:8], money, rtol=1e-12)
    assert totals[8] == max(0, (position + bid).max(), (ask - position).max())


@given(st.data())
def test_what_is_taken_up_is_that_of_the_plain_text(data: st.DataObject) -> None:
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, SIZE - 1), max_size=SIZE))), np.intp)
    k = len(rows)
    bid_size, ask_size = (data.draw(arrays(np.int32, k, elements=st.integers(0, 9))) for _ in range(2))
    bid, ask = (data.draw(arrays(np.int64, k, elements=st.integers(1, 9))) for _ in range(2))
    bid, ask = bid * (bid_size > 0), ask * (ask_size > 0)
    names = ("may_buy", "may_sell", "high_bid", "low_ask", "sent_bid", "sent_ask", "sent_by")
    state: dict[str, Any] = {name: data.draw(arrays(np.int64, SIZE, elements=st.integers(0, 9))) for name in names}
    expected = {name: values.copy() for name, values in state.items()}
    offer = np.where(ask_size > 0, ask, FAR)
    expected["may_buy"][rows] = np.maximum(expected["may_buy"][rows], bid_size)
    expected["may_sell"][rows] = np.maximum(expected["may_sell"][rows], ask_size)
    expected["high_bid"][rows] = np.maximum(expected["high_bid"][rows], bid)
    expected["low_ask"][rows] = np.minimum(expected["low_ask"][rows], offer)
    expected["sent_bid"][rows], expected["sent_ask"][rows], expected["sent_by"][rows] = bid, offer, 7
    _screen.take_up(rows, bid, bid_size, ask, ask_size, number=7, **state)
    for name in names:
        assert np.array_equal(state[name], expected[name]), name


def test_rows_outside_the_books_are_refused_before_anything_is_written() -> None:
    state: dict[str, Any] = {
        name: np.zeros(SIZE, np.int64)
        for name in ("may_buy", "may_sell", "high_bid", "low_ask", "sent_bid", "sent_ask", "sent_by")
    }
    one, sizes_ = np.ones(2, np.int64), np.ones(2, np.int32)
    for row in (-1, SIZE):
        with pytest.raises(ValueError, match="out of range"):
            _screen.take_up(np.array([0, row]), one, sizes_, one, sizes_, number=1, **state)
        with pytest.raises(ValueError, match="out of range"):
            _screen.self_crossed(
                np.array([0, row]),
                np.zeros(2, np.int32),
                one,
                one,
                sizes_,
                high_bid=state["high_bid"],
                low_ask=state["low_ask"],
                contracts=N,
            )
    assert not any(values.any() for values in state.values())
