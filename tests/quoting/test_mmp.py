"""Laws of market-maker protection, against the definition written as a sum over all fills."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InputError
from domain.state import pack, unpack
from quoting.mmp import Protection, Trip
from quoting.settings import MmpSettings

MS = 1_000_000
OFF: dict[str, Any] = {"max_fills": 10**9, "max_contracts": 10**9, "max_delta": 1e18, "max_vega": 1e18}

fills = st.lists(
    st.tuples(
        st.integers(0, 400),  # milliseconds since the fill before
        st.integers(1, 50),
        st.floats(-500, 500),
        st.floats(-5_000, 5_000),
    ),
    max_size=40,
)


def first_trip(settings: MmpSettings, path: list[tuple[int, int, float, float]]) -> int | None:
    """Index of the first fill at which any limit is met, by the definition."""
    times: list[int] = []
    for i, (gap, *_) in enumerate(path):
        times.append((times[-1] if times else 0) + gap)
        window = [j for j in range(i + 1) if times[j] > times[i] - settings.window_ms]
        if (
            len(window) >= settings.max_fills
            or sum(path[j][1] for j in window) >= settings.max_contracts
            or abs(sum(path[j][2] for j in window)) > settings.max_delta
            or abs(sum(path[j][3] for j in window)) > settings.max_vega
        ):
            return i
    return None


def play(protection: Protection, path: list[tuple[int, int, float, float]], start: int = 0) -> list[Trip | None]:
    ts, trips = start, []
    for gap, contracts, delta, vega in path:
        ts += gap * MS
        trips.append(protection.record(ts, contracts, delta, vega))
    return trips


@pytest.mark.parametrize(
    "limits",
    [
        {"max_fills": 5},
        {"max_contracts": 120},
        {"max_delta": 900.0},
        {"max_vega": 9_000.0},
        {"max_fills": 6, "max_contracts": 150, "max_delta": 1_000.0, "max_vega": 10_000.0},
    ],
    ids="+".join,
)
@given(path=fills)
def test_it_trips_at_the_first_fill_that_meets_any_limit_and_only_once(
    limits: dict[str, Any], path: list[tuple[int, int, float, float]]
) -> None:
    settings = MmpSettings(window_ms=1_000, **(OFF | limits))
    trips = play(Protection(settings), path)
    expected = first_trip(settings, path)
    assert [i for i, trip in enumerate(trips) if trip is not None] == ([] if expected is None else [expected])


@given(fills)
def test_it_stays_tripped_until_reset_and_starts_afresh(path: list[tuple[int, int, float, float]]) -> None:
    settings = MmpSettings(window_ms=1_000, **(OFF | {"max_fills": 1}))
    protection = Protection(settings)
    assert protection.record(0, 1, 0.0, 0.0) == Trip("fills", 1.0, 1.0)
    assert play(protection, path) == [None] * len(path)
    assert protection.is_tripped
    assert [protection.reset(), protection.reset()] == [True, False]
    assert protection.record(10**12, 1, 0.0, 0.0) is not None


@given(fills, fills)
def test_a_snapshot_goes_on_as_the_original(
    first: list[tuple[int, int, float, float]], second: list[tuple[int, int, float, float]]
) -> None:
    settings = MmpSettings(window_ms=700, max_fills=8, max_contracts=160, max_delta=1_200.0, max_vega=9_000.0)
    original = Protection(settings)
    play(original, first)
    copy = Protection(settings)
    copy.restore(unpack("mmp", 1, pack("mmp", 1, original.state())))
    assert play(original, second, start=10**12) == play(copy, second, start=10**12)
    assert original.trip == copy.trip


def test_a_fill_leaves_the_window_exactly_one_window_later() -> None:
    settings = MmpSettings(window_ms=100, **(OFF | {"max_fills": 2}))
    late = Protection(settings)
    late.record(0, 1, 0.0, 0.0)
    assert late.record(100 * MS, 1, 0.0, 0.0) is None
    early = Protection(settings)
    early.record(0, 1, 0.0, 0.0)
    assert early.record(100 * MS - 1, 1, 0.0, 0.0) is not None


def test_hedged_fills_net_out_and_a_missing_theo_counts_as_none() -> None:
    protection = Protection(MmpSettings(window_ms=1_000, **(OFF | {"max_delta": 100.0})))
    for i in range(20):
        assert protection.record(i, 1, 90.0 if i % 2 else -90.0, float("nan")) is None


@pytest.mark.parametrize("name", ["window_ms", "max_fills", "max_contracts", "max_delta", "max_vega"])
def test_a_limit_that_is_not_positive_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=f"mmp.{name}"):
        MmpSettings(**{name: 0})
