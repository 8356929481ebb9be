"""The repricer as a stage: full solves on a new surface, a bounded expansion between surfaces, order among theos."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import SECOND_NS, YEAR_NS
from domain.chain import Chain
from domain.errors import DataError, InputError
from domain.events import (
    Event,
    ForwardImplied,
    GreeksComputed,
    NbboUpdated,
    RunEnded,
    SessionChanged,
    SurfaceFitted,
    UnderlyingUpdated,
)
from domain.frames import GreeksFrame
from domain.stage import Stage
from pricing import american, black
from pricing.fitter import Fitter, FitterSettings
from pricing.greeks import GREEKS, ROW
from pricing.repricer import GreeksStatus, Repricer, RepricerSettings

if TYPE_CHECKING:
    from tests.pricing.conftest import MadeUpMarket, RecordedDay

Array = npt.NDArray[np.float64]


def only(events: Iterable[Event]) -> GreeksComputed:
    found = [event for event in events if isinstance(event, GreeksComputed)]
    assert len(found) == 1
    return found[0]


def surface_of(market: MadeUpMarket) -> list[Event]:
    """What the fitter says of a market."""
    fitter = Fitter(market.chain, FitterSettings(first_passes=12))
    fitter.apply(market.underlying())
    return list(fitter.apply(market.nbbo(*market.quotes(half_width=0.02))))


def ready(market: MadeUpMarket, settings: RepricerSettings | None = None) -> tuple[Repricer, GreeksComputed]:
    """A repricer that has valued its chain once."""
    repricer = Repricer(market.chain, settings)
    repricer.apply(market.underlying())
    implied, fitted = surface_of(market)
    repricer.apply(implied)
    return repricer, only(repricer.apply(fitted))


def full_solve(market: MadeUpMarket, repricer: Repricer, spot: float, ts: int) -> Array:
    """Theos and Greeks of the same vols at another spot, every American contract solved."""
    anchor = repricer._anchor
    assert anchor is not None
    years = ((market.chain.expiry_ns - ts) / YEAR_NS)[market.chain.expiry_index]
    inputs = (
        spot * anchor.scale,
        market.chain.strike,
        years,
        anchor.rate,
        anchor.carry_yield,
        anchor.vol,
        market.chain.sign,
    )
    return american.greeks(*inputs)[0] if market.chain.is_american.all() else black.greeks(*inputs)


def test_it_is_a_stage(european: MadeUpMarket) -> None:
    assert isinstance(Repricer(european.chain), Stage)
    with pytest.raises(InputError, match="not read by this stage"):
        Repricer(european.chain).apply(RunEnded(ts_event=0, ts_init=0, underlying="XYZ", reason="over"))


def test_nothing_is_valued_before_the_first_surface(european: MadeUpMarket) -> None:
    repricer = Repricer(european.chain)
    assert list(repricer.apply(european.underlying())) == []
    implied, fitted = surface_of(european)
    assert list(repricer.apply(fitted)) == []
    assert list(repricer.apply(implied)) == []
    assert only(repricer.apply(fitted)).is_refresh


@pytest.mark.parametrize("style", ["european", "american_market"])
def test_a_refresh_gives_the_values_of_the_whole_chain(style: str, request: pytest.FixtureRequest) -> None:
    market: MadeUpMarket = request.getfixturevalue(style)
    repricer, refresh = ready(market)
    frame = refresh.frame
    np.testing.assert_array_equal(frame.contract, np.arange(len(market.chain)))
    assert (frame.status == GreeksStatus.OK).all()
    solved = full_solve(market, repricer, market.spot, market.ts)
    np.testing.assert_array_equal(frame.theo, solved[ROW["price"]])
    for name in GREEKS:
        np.testing.assert_array_equal(getattr(frame, name), solved[ROW[name]])
    quoted = market.chain.expiry_index > 0
    np.testing.assert_allclose(frame.theo[quoted], market.value[quoted], atol=0.05)
    assert (frame.theo_error > 0.0).any()
    assert (frame.theo_error >= 0.0).all()


def test_an_update_of_european_contracts_is_exact(european: MadeUpMarket) -> None:
    repricer, _ = ready(european)
    ts = european.ts + SECOND_NS
    update = only(repricer.apply(european.underlying(101.0, ts)))
    assert not update.is_refresh
    np.testing.assert_array_equal(update.frame.theo, full_solve(european, repricer, 101.0, ts)[0])


@given(move=st.floats(-0.01, 0.01).filter(lambda move: abs(move) > 1e-4))
def test_the_expansion_of_american_premiums_stays_within_its_bound(american_market: MadeUpMarket, move: float) -> None:
    """Measured against full solves at a rate of 5 %; the worst contracts stand next to their exercise boundary."""
    market = american_market
    repricer, _ = ready(market)
    ts, spot = market.ts + SECOND_NS, round(market.spot * (1.0 + move), 2)
    update = only(repricer.apply(market.underlying(spot, ts))).frame
    solved = full_solve(market, repricer, spot, ts)
    off = np.abs(update.theo - solved[0])
    percent = abs(spot / market.spot - 1.0) / 0.01
    assert off.max() < 0.008 * percent * percent + 2e-4
    assert np.quantile(off, 0.99) < 0.0005
    assert np.abs(update.delta - solved[ROW["delta"]]).max() < 0.02 * percent + 0.001
    assert np.abs(update.vega - solved[ROW["vega"]]).max() < 2.5 * percent


def test_no_american_theo_is_below_its_intrinsic_value(american_market: MadeUpMarket) -> None:
    market = american_market
    repricer, refresh = ready(market)
    for spot in (97.0, 100.5, 103.0):
        frame = only(repricer.apply(market.underlying(spot, market.ts + SECOND_NS))).frame
        assert (frame.theo >= market.chain.sign * (spot - market.chain.strike) - 0.01).all()
    assert (refresh.frame.theo >= market.chain.sign * (market.spot - market.chain.strike) - 0.01).all()


def test_a_spot_that_stays_is_not_published_again(european: MadeUpMarket) -> None:
    repricer, _ = ready(european)
    assert list(repricer.apply(european.underlying(ts=european.ts + 1))) == []
    assert len(repricer.apply(european.underlying(100.02, european.ts + 2))) == 1
    assert list(repricer.apply(european.underlying(100.02, european.ts + 3))) == []


def test_moves_below_the_least_one_wait_until_they_add_up(european: MadeUpMarket) -> None:
    repricer, _ = ready(european, RepricerSettings(least_move=0.05))
    assert list(repricer.apply(european.underlying(100.03, european.ts + 1))) == []
    assert only(repricer.apply(european.underlying(100.06, european.ts + 2))).spot == pytest.approx(100.06)


def test_an_underlying_without_a_midpoint_changes_nothing(european: MadeUpMarket) -> None:
    repricer, _ = ready(european)
    for bid, ask in ((0, 1_100_000), (1_100_000, 0), (1_200_000, 1_100_000)):
        event = UnderlyingUpdated(
            ts_event=european.ts, ts_init=european.ts, underlying="XYZ", bid=bid, bid_size=1, ask=ask, ask_size=1
        )
        assert list(repricer.apply(event)) == []


def test_expired_contracts_have_no_values_and_say_so(european: MadeUpMarket) -> None:
    repricer, _ = ready(european)
    after = int(european.chain.expiry_ns[0])
    frame = only(repricer.apply(european.underlying(100.5, after))).frame
    gone = european.chain.expiry_index == 0
    assert (frame.status[gone] == GreeksStatus.EXPIRED).all()
    assert np.isnan(frame.theo[gone]).all()
    assert np.isnan(frame.delta[gone]).all()
    assert np.isnan(frame.vol[gone]).all()
    assert (frame.status[~gone] == GreeksStatus.OK).all()
    assert np.isfinite(frame.theo[~gone]).all()


def test_rows_that_the_solver_does_not_cover_have_no_values(american_market: MadeUpMarket) -> None:
    """Negative rate, yield below it: puts have two boundaries. NaN and a status, never a European guess."""
    market = american_market
    repricer = Repricer(market.chain)
    repricer.apply(market.underlying())
    implied, fitted = surface_of(market)
    assert isinstance(implied, ForwardImplied)
    columns = implied.frame.columns() | {
        "rate": np.full(len(market.years), -0.01),
        "carry_yield": np.full(len(market.years), -0.03),
    }
    repricer.apply(
        ForwardImplied(
            ts_event=implied.ts_event,
            ts_init=implied.ts_init,
            underlying="XYZ",
            spot=implied.spot,
            frame=type(implied.frame)(**columns),
        )
    )
    frame = only(repricer.apply(fitted)).frame
    unsupported = frame.status == GreeksStatus.UNSUPPORTED
    assert unsupported.any()
    assert np.isnan(frame.theo[unsupported]).all()
    assert (market.chain.sign[unsupported] < 0).all()
    later = only(repricer.apply(market.underlying(100.3, market.ts + 1))).frame
    np.testing.assert_array_equal(later.status, frame.status)
    assert np.isnan(later.theo[unsupported]).all()


def revalued(market: MadeUpMarket, rate: float, carry_yield: float) -> GreeksFrame:
    """Values on the market's surface with another rate and yield."""
    repricer = Repricer(market.chain)
    repricer.apply(market.underlying())
    implied, fitted = surface_of(market)
    assert isinstance(implied, ForwardImplied)
    size = len(market.years)
    columns = implied.frame.columns() | {"rate": np.full(size, rate), "carry_yield": np.full(size, carry_yield)}
    repricer.apply(msgspec.structs.replace(implied, frame=type(implied.frame)(**columns)))
    return only(repricer.apply(fitted)).frame


@pytest.mark.parametrize(("rate", "carry_yield"), [(-1e-4, -6e-4), (-6e-4, -1e-4), (0.0, -1e-3), (-1e-3, -2e-3)])
def test_near_a_rate_of_zero_every_contract_has_a_value_whichever_way_rate_and_yield_lie(
    american_market: MadeUpMarket, rate: float, carry_yield: float
) -> None:
    """Two exercise boundaries: the European value, or exercising now, with what exercise may add as an error."""
    market = american_market
    frame, near = revalued(market, rate, carry_yield), revalued(market, 1e-6, 0.0)
    assert (frame.status == GreeksStatus.OK).all()
    chain = market.chain
    years = market.years[chain.expiry_index]
    base = np.where(chain.sign > 0, market.spot, chain.strike)
    assert (np.abs(frame.theo - near.theo) <= 2.0 * max(abs(rate), abs(carry_yield)) * base * years + 1e-6).all()
    is_double = chain.sign * (carry_yield - rate) > 0
    most = np.abs(rate - carry_yield) * base * years
    assert (frame.theo_error >= most * 0.999)[is_double].all()


@pytest.mark.parametrize(("rate", "carry_yield"), [(-0.005, -0.02), (0.0, -0.03), (-0.01, -0.015)])
@pytest.mark.parametrize("strike", [80.0, 100.0, 130.0])
def test_exercise_with_two_boundaries_earns_at_most_the_difference_of_rate_and_yield(
    rate: float, carry_yield: float, strike: float
) -> None:
    """Against a binomial tree. Source: Cox, Ross and Rubinstein (1979), J. Financial Economics 7, 229-263."""
    years, vol, steps = 1.0, 0.2, 800
    step = years / steps
    up = np.exp(vol * np.sqrt(step))
    chance = (np.exp((rate - carry_yield) * step) - 1 / up) / (up - 1 / up)
    spots = 100.0 * up ** np.arange(-steps, steps + 1, 2.0)
    american_value = european_value = np.maximum(strike - spots, 0.0)
    for _ in range(steps):
        spots = spots[:-1] * up
        discount = np.exp(-rate * step)
        european_value = discount * (chance * european_value[1:] + (1 - chance) * european_value[:-1])
        american_value = discount * (chance * american_value[1:] + (1 - chance) * american_value[:-1])
        american_value = np.maximum(american_value, strike - spots)
    premium = float(american_value[0] - european_value[0])
    assert -1e-12 <= premium <= (rate - carry_yield) * strike * years


def test_no_values_after_the_close(european: MadeUpMarket) -> None:
    repricer, _ = ready(european)
    at = european.ts + 1
    repricer.apply(SessionChanged(ts_event=at, ts_init=at, underlying="XYZ", state="closed", open_ts=at, close_ts=at))
    assert list(repricer.apply(european.underlying(101.0, at + 1))) == []


def test_published_frames_are_never_written_again(european: MadeUpMarket) -> None:
    repricer, refresh = ready(european)
    before = {name: values.copy() for name, values in refresh.frame.columns().items()}
    repricer.apply(european.underlying(102.0, european.ts + 1))
    assert refresh.frame == GreeksFrame(**before)


@given(cut=st.integers(0, 6))
def test_a_restored_repricer_goes_on_as_the_original(american_market: MadeUpMarket, cut: int) -> None:
    market = american_market
    implied, fitted = surface_of(market)
    events: list[Event] = [market.underlying(), implied, fitted]
    events += [market.underlying(100.0 + move, market.ts + 1 + i) for i, move in enumerate((0.1, -0.2, 0.3, 0.3))]
    original, fresh = Repricer(market.chain), Repricer(market.chain)
    for event in events[:cut]:
        original.apply(event)
    fresh.restore(original.snapshot())
    outs = [[out for event in events[cut:] for out in stage.apply(event)] for stage in (original, fresh)]
    assert outs[0] == outs[1]
    assert original.snapshot() == fresh.snapshot()


def test_a_snapshot_of_another_chain_or_stage_is_refused(european: MadeUpMarket) -> None:
    small = Chain("XYZ", european.chain.trade_date, european.chain.contracts[:4])
    with pytest.raises(DataError, match="another chain"):
        Repricer(small).restore(Repricer(european.chain).snapshot())
    with pytest.raises(DataError):
        Repricer(small).restore(Fitter(small).snapshot())


def test_settings_that_cannot_be_meant_are_refused_by_name() -> None:
    with pytest.raises(InputError) as refused:
        RepricerSettings(accuracy="rough")  # type: ignore[arg-type]
    assert refused.value.fields["field"] == "repricer.accuracy"
    with pytest.raises(InputError) as refused:
        RepricerSettings(least_move=-1.0)
    assert refused.value.fields["field"] == "repricer.least_move"


def assert_theos_are_ordered(chain: Chain, frame: GreeksFrame, tolerance: float) -> None:
    """By strike: calls fall, puts rise, no vertical is worth more than its width, no butterfly less than nothing."""
    for j in range(len(chain.expiries)):
        for sign in (1.0, -1.0):
            rows = np.flatnonzero((chain.expiry_index == j) & (chain.sign == sign) & (frame.status == 0))
            if len(rows) < 3:
                continue
            width = np.diff(chain.strike[rows])
            slope = np.diff(frame.theo[rows]) / width
            assert (sign * slope <= tolerance / width).all()
            assert (np.abs(slope) <= 1.0 + tolerance / width).all()
            butterfly = np.diff(slope)
            assert (butterfly >= -tolerance * (1.0 / width[1:] + 1.0 / width[:-1])).all()


@pytest.mark.parametrize("style", ["european", "american_market"])
def test_theos_are_ordered_by_strike(style: str, request: pytest.FixtureRequest) -> None:
    market: MadeUpMarket = request.getfixturevalue(style)
    repricer, refresh = ready(market)
    assert_theos_are_ordered(market.chain, refresh.frame, 1e-6)
    moved = only(repricer.apply(market.underlying(100.4, market.ts + 1))).frame
    assert_theos_are_ordered(market.chain, moved, 0.005)


@pytest.mark.data
def test_goog_theos_lie_inside_the_nbbo_and_are_ordered(goog_day: RecordedDay) -> None:
    """Forty minutes, the contracts with two sides and |delta| from 0.05 to 0.95.

    At least 95 % of theos lie inside the NBBO each minute, 98 % on average, and 90 % within half of its half width. No
    theo is out of order by strike, and no call is worth less than one of the same strike that expires earlier.
    """
    chain = goog_day.chain
    fitter, repricer = Fitter(chain), Repricer(chain)
    start = next(event.ts_event for event in goog_day.events if isinstance(event, NbboUpdated))
    inside: list[float] = []
    central: list[float] = []
    for event in goog_day.events:
        if event.ts_event >= start + 40 * 60 * SECOND_NS:
            break
        queue: list[Event] = [event]
        frame: GreeksFrame | None = None
        while queue:
            head = queue.pop(0)
            for stage in (fitter, repricer):
                if type(head) in stage.reads:
                    queue.extend(stage.apply(head))
            if isinstance(head, GreeksComputed) and head.is_refresh:
                frame = head.frame
        if frame is None:
            continue
        bid, ask = fitter._bid / 1e4, fitter._ask / 1e4
        judged = (
            (bid > 0) & (ask > 0) & (np.abs(frame.delta) > 0.05) & (np.abs(frame.delta) < 0.95) & (frame.status == 0)
        )
        inside.append(float(((frame.theo >= bid) & (frame.theo <= ask))[judged].mean()))
        central.append(float((np.abs(frame.theo - 0.5 * (bid + ask)) <= 0.25 * (ask - bid))[judged].mean()))
        assert_theos_are_ordered(chain, frame, 1e-4)
        calls = chain.sign > 0
        for j in range(len(chain.expiries) - 1):
            early, late = (np.flatnonzero((chain.expiry_index == i) & calls) for i in (j, j + 1))
            _, first, second = np.intersect1d(chain.strike[early], chain.strike[late], return_indices=True)
            # The forwards of neighbours carry their own errors, a few cents, against each other.
            slack = 2.0 * float(np.nanmax(frame.theo_error[late[second]])) + 1e-6
            assert (frame.theo[late[second]] - frame.theo[early[first]] >= -slack).all()
    assert len(inside) == 40
    assert min(inside) > 0.95
    assert np.mean(inside) > 0.98
    assert np.mean(central) > 0.90


def test_the_inputs_of_a_refresh_arrive_before_it(european: MadeUpMarket) -> None:
    """The fitter emits forwards first: a surface is never valued on the forwards of another fit."""
    out = surface_of(european)
    assert [type(event) for event in out] == [ForwardImplied, SurfaceFitted]
