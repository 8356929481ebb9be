from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from domain.errors import DataError, InputError
from domain.stage import Stage
from hedging.hedge_in_flight import TERMINAL
from hedging.settings import HedgerSettings
from hedging.sizing import hedge_to_band, hedge_to_zero
from risk.limits import Limits
from risk.settlement import settle
from routing import order_state

if TYPE_CHECKING:
    from tests.hedging.conftest import Desk

SECOND = 1_000_000_000


def test_it_is_a_stage_and_knows_the_terminal_states_of_orders(desk: Desk) -> None:
    assert isinstance(desk.hedger, Stage)
    assert {str(state) for state in order_state.TERMINAL} == TERMINAL


# --- how much ---------------------------------------------------------------------------------------------------------
@given(
    delta=st.floats(-1e5, 1e5),
    band=st.floats(0, 500),
    fraction=st.floats(0, 1),
    lot=st.sampled_from([1, 10, 100]),
    clip=st.integers(100, 5_000),
)
def test_a_hedge_moves_towards_its_target_and_never_past_it(
    delta: float, band: float, fraction: float, lot: int, clip: int
) -> None:
    settings = HedgerSettings(edge_fraction=fraction, lot=lot, max_clip=clip)
    hedge = hedge_to_band(delta, band, settings)
    if abs(delta) <= band:
        assert hedge is None
        return
    if hedge is None:
        assert abs(delta) - band * fraction < lot
        return
    assert hedge.quantity * delta < 0
    assert abs(hedge.quantity) <= clip
    assert hedge.quantity % lot == 0
    after = delta + hedge.quantity
    assert abs(after) >= abs(hedge.target) - 1e-6
    assert abs(after) < abs(delta)


@given(delta=st.floats(-1e5, 1e5), lot=st.sampled_from([1, 10, 100]), clip=st.integers(100, 5_000))
def test_flattening_ends_at_the_nearest_lot(delta: float, lot: int, clip: int) -> None:
    settings = HedgerSettings(lot=lot, max_clip=clip)
    for _ in range(100_000 // 100 + 2):
        hedge = hedge_to_zero(delta, settings)
        if hedge is None:
            break
        assert abs(hedge.quantity) <= clip
        delta += hedge.quantity
    assert abs(delta) <= lot / 2 + 1e-6


def test_inside_the_band_nothing_happens_and_outside_it_trades_to_the_edge(desk: Desk) -> None:
    cost = (0.01 + 0.003) / 100
    band = math.cbrt(1.5 * cost * 100 * 10.0**2 / 1e-3)
    assert band > desk.settings.min_band
    assert desk.exposure(band - 0.01) == []
    (request,) = desk.exposure(200.0)
    assert (request.contract, request.side, request.tif, request.limit) == (c.STOCK, "sell", "ioc", 0)
    assert (request.intent, request.quantity) == (c.Intent.HEDGE, math.floor(200 - band))


def test_a_buy_hedges_a_short_delta_and_an_order_is_never_above_the_clip(desk: Desk) -> None:
    (request,) = desk.exposure(-5_000.0)
    assert (request.side, request.quantity) == ("buy", desk.settings.max_clip)


# --- one at a time ----------------------------------------------------------------------------------------------------
def test_one_hedge_at_a_time(desk: Desk) -> None:
    (request,) = desk.exposure(400.0)
    assert desk.exposure(900.0) == []
    (name,) = desk.route(request)
    assert desk.later().exposure(900.0) == []
    desk.fill(name, request, request.quantity)
    assert desk.exposure() == []
    desk.end(name, "filled")
    assert desk.exposure() == []
    (second,) = desk.later().exposure()
    assert second.request_id != request.request_id


def test_an_exposure_from_before_our_fill_is_not_hedged_again(desk: Desk) -> None:
    (request,) = desk.exposure(400.0)
    (name,) = desk.route(request)
    desk.later().fill(name, request, request.quantity)
    desk.end(name, "filled")
    assert desk.exposure(stock=0) == []
    assert desk.timer() == []
    assert desk.exposure() == []
    assert len(desk.later().exposure(900.0)) == 1


def test_every_child_must_end_and_an_unknown_one_is_waited_for(desk: Desk) -> None:
    (request,) = desk.exposure(400.0)
    first, second = desk.route(request, children=2)
    desk.end(first, "canceled")
    desk.end(second, "unknown")
    for _ in range(desk.settings.timeout_ms // 1_000 - 1):
        desk.later()
        assert not any(isinstance(event, c.RequestOrder) for event in desk.timer())
        assert desk.exposure() == []
    desk.end(second, "canceled")
    assert len(desk.later().exposure()) == 1


def test_only_what_an_unknown_order_cannot_have_done_is_hedged_without_it(desk: Desk) -> None:
    (request,) = desk.exposure(400.0)
    first, second = desk.route(request, children=2)
    desk.end(first, "canceled")
    desk.end(second, "unknown")
    told = desk.later(20 * SECOND).timer()
    assert [type(event) for event in told] == [e.ReconciliationNeeded]
    (again,) = (event for event in desk.later().timer() if isinstance(event, c.RequestOrder))
    in_doubt = request.quantity // 2
    assert (again.side, again.quantity) == ("sell", request.quantity - in_doubt)
    desk.settle([again])
    assert desk.later().exposure() == []  # either nothing is left to do, or the unknown order has done it

    desk.fill(second, request, 50)  # it had done a part
    desk.end(second, "canceled")
    (rest,) = desk.later().exposure()
    assert rest.quantity == in_doubt - 50


def test_a_request_that_nobody_answers_blocks_no_more_than_itself(desk: Desk) -> None:
    (request,) = desk.exposure(400.0)
    desk.later(20 * SECOND).timer()
    assert desk.later().exposure(400.0) == []
    (more,) = desk.later().exposure(450.0)
    assert (more.side, more.quantity) == ("sell", 50)
    assert desk.later(20 * SECOND).exposure(-450.0) == []
    assert request.request_id != more.request_id


def test_a_hedge_without_an_outcome_is_reported_once_and_never_resent(desk: Desk) -> None:
    (request,) = desk.exposure(400.0)
    told: list[e.Event] = []
    for _ in range(60):
        told += desk.later().timer()
    assert [type(event) for event in told] == [e.ReconciliationNeeded]
    assert isinstance(told[0], e.ReconciliationNeeded)
    assert told[0].subject == request.request_id


def test_what_did_not_trade_is_tried_again_after_a_pause(desk: Desk) -> None:
    (request,) = desk.exposure(400.0)
    (name,) = desk.route(request)
    desk.fill(name, request, 10)
    desk.end(name, "canceled")
    assert desk.exposure() == []
    told = desk.later().timer()
    assert [type(event) for event in told] == [e.HedgeDecided, c.RequestOrder]


def test_refusals_in_a_row_pause_longer_and_longer(desk: Desk) -> None:
    asked: list[int] = []
    requests = desk.exposure(400.0)
    for second in range(200):
        for request in requests:
            asked.append(second)
            desk.refuse(request)
        requests = [event for event in desk.later().timer() if isinstance(event, c.RequestOrder)]
    assert [after - before for before, after in itertools.pairwise(asked)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_refused_child_ends_like_any_other(desk: Desk) -> None:
    (request,) = desk.exposure(400.0)
    first, second = desk.route(request, children=2)
    desk.refuse(request, first)
    assert desk.later().exposure() == []
    desk.fill(second, request, 50)
    desk.end(second, "filled")
    assert len(desk.later().exposure()) == 1


# --- when not ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", ["pre_open", "halted", "closed"])
def test_no_hedge_outside_an_open_session(desk: Desk, state: e.SessionState) -> None:
    desk.session(state)
    assert desk.exposure(4_000.0) == []
    assert desk.apply(c.Flatten(**desk.head, user="ann", reason="test")) == []
    assert desk.later().timer() == []


def test_nothing_is_asked_from_the_scheduled_close_on_even_before_the_session_says_so(desk: Desk) -> None:
    assert desk.later(1_000 * SECOND).exposure(4_000.0) == []
    assert desk.apply(c.Flatten(**desk.head, user="ann", reason="test")) == []


def test_hedges_keep_apart_so_that_the_gate_takes_none_for_a_repetition(desk: Desk) -> None:
    apart_ns = HedgerSettings().pause_ms * 1_000_000
    assert HedgerSettings().pause_ms >= Limits().duplicate_window_ms
    desk.settle(desk.exposure(400.0))
    assert desk.later(apart_ns - 1).exposure(900.0) == []
    assert len(desk.later(1).exposure(900.0)) == 1


def test_the_kill_switch_stops_and_its_release_resumes(desk: Desk) -> None:
    desk.apply(e.KillSwitchEngaged(**{**desk.head, "underlying": ""}, user="ann", reason="test"))
    assert desk.exposure(4_000.0) == []
    assert desk.later().timer() == []
    desk.apply(e.KillSwitchReleased(**{**desk.head, "underlying": "ABC"}, user="ann", reason="test"))
    assert desk.exposure(4_000.0) == []
    desk.apply(e.KillSwitchReleased(**desk.head, user="ann", reason="test"))
    assert len(desk.exposure(4_000.0)) == 1


def test_flatten_takes_the_band_away_until_quoting_resumes(desk: Desk) -> None:
    assert desk.exposure(9.6) == []
    (request,) = desk.apply(c.Flatten(**desk.head, user="ann", reason="test"))
    assert (request.quantity, request.side, request.intent) == (10, "sell", c.Intent.FLATTEN)
    desk.settle([request])
    assert desk.later().exposure() == []
    assert desk.later().exposure(10.4) == []
    desk.settle(desk.later().exposure(13.0))
    desk.apply(c.ResumeQuoting(**desk.head, user="ann", reason="test"))
    assert desk.later().exposure(18.0) == []


@pytest.mark.parametrize("why", ["flatten", "close"])
def test_neither_a_flatten_nor_the_close_waits_for_a_long_pause(desk: Desk, why: str) -> None:
    requests = desk.exposure(400.0)
    for _ in range(40):
        for request in requests:
            desk.refuse(request)
        requests = [event for event in desk.later().timer() if isinstance(event, c.RequestOrder)]
    assert requests == []
    if why == "close":
        desk.now = desk.close - 60 * SECOND
        requests = desk.exposure()
    else:
        requests = desk.apply(c.Flatten(**desk.head, user="ann", reason="test"))
    asked = []
    for second in range(10):
        for request in requests:
            asked.append(second)
            desk.refuse(request)
        requests = [event for event in desk.later().timer() if isinstance(event, c.RequestOrder)]
    assert asked == list(range(10))  # and no faster than that


# --- the close --------------------------------------------------------------------------------------------------------
def test_before_the_close_the_band_gives_way_to_a_flat_book(desk: Desk) -> None:
    desk.gamma, desk.now = 100.0, desk.close - 61 * SECOND
    desk.exposure(0.0)
    band = desk.hedger.band()
    assert desk.exposure(band / 2) == []
    (request,) = desk.later().exposure()
    assert (request.side, request.quantity, request.intent) == ("sell", round(band / 2), c.Intent.HEDGE)
    desk.settle([request])
    assert desk.later().exposure(band / 2 + desk.settings.min_band * 0.9) == []


def test_the_band_stays_to_the_end_where_no_closing_hedge_is_wanted() -> None:
    from tests.hedging.conftest import Desk

    desk = Desk(closing_s=0.0)
    desk.gamma, desk.now = 100.0, desk.close - SECOND
    desk.exposure(0.0)
    assert desk.exposure(desk.hedger.band() - 1) == []


@given(
    held=st.lists(st.integers(-40, 40), min_size=6, max_size=6),
    deltas=st.lists(st.floats(0, 1), min_size=6, max_size=6),
    spot=st.floats(90, 110),
    others=st.floats(-2_000, 2_000),
)
def test_after_settlement_net_delta_is_inside_the_closing_band(
    held: list[int], deltas: list[float], spot: float, others: float
) -> None:
    from tests.hedging.conftest import CHAIN, Desk

    desk = Desk()
    desk.now, desk.spot = desk.close - 60 * SECOND, spot
    today = list(range(6))
    desk.greeks({i: deltas[i] * float(CHAIN.sign[i]) for i in today})
    for i in today:
        desk.hold(i, held[i])
    model = sum(held[i] * 100 * deltas[i] * float(CHAIN.sign[i]) for i in today)
    desk.settle(desk.exposure(others + model))
    for _ in range(59):
        desk.settle(desk.later().exposure())
    settled = [settle(CHAIN.contracts[i], held[i], round(spot * 10_000)) for i in today if held[i]]
    after = others + sum(one.shares for one in settled if one is not None) + desk.shares
    assert abs(after) <= desk.settings.min_band + 1e-6
    assert desk.hand_over() is None


REASONS: list[tuple[str, str]] = [
    ("kill", "kill switch engaged"),
    ("unknown", "outcome of a hedge not known"),
    ("late price", "price known at the close only"),
    ("refused", "hedges refused"),
    ("late", "no time left"),
]


@pytest.mark.parametrize(("what", "reason"), REASONS)
def test_what_could_not_be_hedged_by_the_close_is_stated_with_its_reason(desk: Desk, what: str, reason: str) -> None:
    desk.now = desk.close - 30 * SECOND
    if what == "kill":
        desk.apply(e.KillSwitchEngaged(**desk.head, user="ann", reason="test"))
    if what == "late price":
        desk.now = desk.close
    requests = desk.exposure(400.0)
    if what == "refused":
        desk.refuse(requests[0])
    elif what == "late":
        (name,) = desk.route(requests[0])
        desk.end(name, "canceled")
    desk.now = desk.close
    stated = desk.hand_over()
    assert stated is not None
    assert (stated.net_delta, stated.quantity, stated.reason) == (400.0, 0, reason)


def test_an_exposure_that_is_not_finite_changes_nothing(desk: Desk) -> None:
    before = desk.hedger.snapshot()
    with pytest.raises(DataError, match="not finite"):
        desk.exposure(math.nan)
    assert desk.hedger.snapshot() == before


# --- laws -------------------------------------------------------------------------------------------------------------
fates = st.sampled_from(["filled", "part", "none", "refused", "rejected"])


@given(moves=st.lists(st.tuples(st.floats(-3_000, 3_000), fates), max_size=25), fraction=st.floats(0, 1))
def test_left_alone_net_delta_ends_inside_the_band(moves: list[tuple[float, str]], fraction: float) -> None:
    from tests.hedging.conftest import Desk

    desk = Desk(edge_fraction=fraction)
    for delta, fate in moves:
        requests = desk.later().exposure(delta)
        assert len(requests) <= 1
        for request in requests:
            before = desk.option_delta + desk.shares
            if fate == "refused":
                desk.refuse(request)
                continue
            (name,) = desk.route(request)
            done = {"filled": request.quantity, "part": request.quantity // 2}.get(fate, 0)
            if done:
                desk.fill(name, request, done)
            desk.end(name, {"filled": "filled", "rejected": "rejected"}.get(fate, "canceled"))
            after = desk.option_delta + desk.shares
            assert abs(after) <= abs(before)
            assert before * after >= -1e-6  # rounding of the sum of option delta and shares
    for _ in range(100):
        desk.later(60_000_000_000).settle(desk.exposure())
    assert abs(desk.option_delta + desk.shares) <= desk.hedger.band() + 1


@given(moves=st.lists(st.tuples(st.floats(-3_000, 3_000), fates), max_size=20), cut=st.integers(0, 20))
def test_a_restored_hedger_goes_on_as_the_original_would(moves: list[tuple[float, str]], cut: int) -> None:
    from tests.hedging.conftest import Desk

    def run(*, is_cut: bool) -> tuple[list[Any], bytes]:
        desk = Desk()
        told: list[e.Event] = []
        for place, (delta, fate) in enumerate(moves):
            if is_cut and place == cut:
                fresh = Desk().hedger
                fresh.restore(desk.hedger.snapshot())
                desk.hedger = fresh
            requests = desk.later().exposure(delta)
            told += requests
            for request in requests:
                if fate == "refused":
                    desk.refuse(request)
                elif fate != "none":
                    desk.settle([request])
            told += desk.later().timer()
        return told, desk.hedger.snapshot()

    assert run(is_cut=True) == run(is_cut=False)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"risk_aversion": 0.0}, "risk_aversion"),
        ({"max_band": 1.0}, "max_band"),
        ({"edge_fraction": 1.5}, "edge_fraction"),
        ({"lot": 600}, "max_clip"),
        ({"retry_ms": 90_000}, "max_retry_ms"),
        ({"pause_ms": -1}, "pause_ms"),
        ({"fee": -1.0}, "fee"),
    ],
)
def test_a_bad_setting_is_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field):
        HedgerSettings(**settings)
