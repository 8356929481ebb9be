"""Laws that every recording keeps: order, offsets, reading twice, and refusals that come out where they belong."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import Session, session
from domain.chain import Chain
from domain.codec import decode, encode
from domain.errors import InputError
from domain.events import ChainListed, FeedDegraded, SessionChanged
from domain.frames import NbboFrame, OpenInterestFrame, TradeFrame
from domain.instrument import option
from domain.price import NICKEL_DIME, PENNY_ALL
from streams.recorded import FeedItem, Step, StockBar, StockQuote, Tape, observed_ticks, option_hours
from streams.refusals import MINUTE_NS, Refusals, Sieve, moves_on

DAY = dt.date(2015, 12, 24)
HOURS = session(DAY, "equity_option")
CONTRACTS = Chain("SYM", DAY, [option("SYM", dt.date(2016, 1, 15), 100_000, right) for right in ("C", "P")]).contracts


def full_step(ts: int) -> Step:
    return Step(
        ts,
        TradeFrame(*(np.array([value]) for value in (0, 10_000, 10_000, 10_000, 3))),
        StockBar(1_000_000, 990_000, 1_010_000, 500),
        StockQuote(999_900, 100, 1_000_100, 200),
        NbboFrame(*(np.array([value]) for value in (1, 9_500, 4, 10_000, 5))),
    )


def tape(stamps: list[int], refusals: Refusals | None = None, hours: Session = HOURS) -> Tape:
    def steps() -> Iterator[Step]:
        return (full_step(ts) for ts in stamps)

    return Tape(
        name="test:SYM",
        is_synthetic=False,
        underlying="SYM",
        hours=hours,
        total_steps=len(stamps),
        contracts=CONTRACTS,
        ticks={"SYM": NICKEL_DIME},
        steps=steps,
        open_interest=OpenInterestFrame(np.array([0]), np.array([17])),
        degraded=() if refusals is None else refusals.events("SYM"),
    )


def names(items: list[FeedItem]) -> list[str]:
    return [type(item.event).__name__ for item in items]


def test_the_day_begins_with_its_listing_and_ends_with_the_close() -> None:
    items = list(tape([HOURS.open_ns + MINUTE_NS, HOURS.close_ns]).items())
    step = ["TradesPrinted", "UnderlyingTraded", "UnderlyingUpdated", "NbboUpdated"]
    head = ["ChainListed", "OpenInterestPublished", "SessionChanged", "SessionChanged"]
    assert names(items) == [*head, *step, *step, "SessionChanged"]
    states = [(i.event.state, i.event.ts_event) for i in items if isinstance(i.event, SessionChanged)]
    assert states == [
        ("pre_open", HOURS.open_ns - MINUTE_NS),
        ("open", HOURS.open_ns),
        ("closed", HOURS.close_ns),
    ]


MINUTES = st.lists(st.integers(1, 210), unique=True, max_size=12).map(sorted)
REFUSED = st.lists(st.tuples(st.integers(-300, 500), st.sampled_from(["a", "b"]), st.integers(1, 9)), max_size=12)


@given(minutes=MINUTES, refused=REFUSED)
def test_time_never_goes_back_offsets_are_dense_and_no_refusal_is_lost(
    minutes: list[int], refused: list[tuple[int, str, int]]
) -> None:
    refusals = Refusals(HOURS)
    for minute, reason, count in refused:
        refusals.add("file", reason, "x", ts=HOURS.open_ns + minute * MINUTE_NS, count=count)
    items = list(tape([HOURS.open_ns + minute * MINUTE_NS for minute in minutes], refusals).items())
    assert [item.offset for item in items] == list(range(len(items)))
    assert all(a.event.ts_event <= b.event.ts_event for a, b in itertools.pairwise(items))
    assert {item.source for item in items} == {"test:SYM"}
    assert all(item.event.ts_init == item.event.ts_event for item in items)
    assert sum(i.event.count for i in items if isinstance(i.event, FeedDegraded)) == sum(count for *_, count in refused)
    assert isinstance(items[-1].event, SessionChanged)


@given(start=st.integers(0, 30))
def test_reading_from_an_offset_gives_the_rest(start: int) -> None:
    recording = tape([HOURS.open_ns + minute * MINUTE_NS for minute in range(1, 6)])
    assert list(recording.items(start)) == list(recording.items())[start:]


def test_a_negative_offset_is_refused() -> None:
    with pytest.raises(InputError, match="offset must not be negative"):
        next(tape([]).items(-1))


def test_every_item_survives_the_codec() -> None:
    refusals = Refusals(HOURS)
    refusals.add("file", "reason", "example")
    for item in tape([HOURS.open_ns + MINUTE_NS], refusals).items():
        assert decode(*encode(item.event)) == item.event


@pytest.mark.parametrize(
    ("underlying", "is_index", "minutes"), [("GOOG", False, 210), ("SPY", False, 225), ("SPX", True, 225)]
)
def test_the_session_is_that_of_the_class_also_on_a_half_day(underlying: str, is_index: bool, minutes: int) -> None:  # noqa: FBT001
    hours = option_hours(underlying, DAY, is_index=is_index)
    assert hours.close_ns - hours.open_ns == minutes * MINUTE_NS


def test_ticks_come_from_the_table_where_it_has_a_row_and_from_the_quotes_where_not() -> None:
    listed = [option(root, dt.date(2016, 1, 15), 100_000, "C") for root in ("GOOG", "SYM", "SYM1", "QUIET")]
    seen = {"SYM": np.array([0, 31_100]), "SYM1": np.array([31_000]), "QUIET": np.array([0])}
    ticks = observed_ticks(listed, DAY, seen.__getitem__, Refusals(HOURS), "file")
    assert ticks == {"GOOG": NICKEL_DIME, "QUIET": NICKEL_DIME, "SYM": PENNY_ALL, "SYM1": NICKEL_DIME}


def test_the_listing_holds_the_chain_in_dense_order() -> None:
    listed = next(i.event for i in tape([]).items() if isinstance(i.event, ChainListed))
    assert Chain("SYM", DAY, reversed(listed.contracts)).contracts == listed.contracts


# --- Refusals ---------------------------------------------------------------------------------------------------------


def test_refusals_are_counted_by_minute_source_and_reason_with_the_first_example() -> None:
    refusals = Refusals(HOURS)
    ts = HOURS.open_ns + np.array([0, 1, 59, 61]) * (MINUTE_NS // 60)
    refusals.add_rows("file", "bad", ts, lambda at: f"row {at}")
    refusals.add("file", "bad", "timeless")
    found = [((e.ts_event - HOURS.open_ns) // MINUTE_NS, e.count, e.example) for e in refusals.events("SYM")]
    assert found == [(0, 2, "row 0"), (1, 2, "row 1"), (2, 1, "row 3")]
    assert refusals.total("bad") == 5


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=40), strictly=st.booleans())
def test_a_row_moves_on_when_it_is_later_than_all_before_it_of_its_key(
    *, rows: list[tuple[int, int]], strictly: bool
) -> None:
    key = np.array([row[0] for row in rows], np.int64)
    ts = np.array([row[1] for row in rows], np.int64) * 10**9 + HOURS.open_ns
    latest: dict[int, int] = {}
    expected = []
    for k, t in rows:
        expected.append(t > latest.get(k, -1) if strictly else t >= latest.get(k, -1))
        latest[k] = max(t, latest.get(k, -1))
    assert moves_on(key, ts, strictly=strictly).tolist() == expected


@given(masks=st.lists(st.lists(st.booleans(), min_size=8, max_size=8), max_size=4))
def test_a_sieve_keeps_or_counts_every_row(masks: list[list[bool]]) -> None:
    refusals = Refusals(HOURS)
    sieve = Sieve({"ts": np.full(8, HOURS.open_ns), "line": np.arange(8)}, refusals, "file", str)
    for mask in masks:
        sieve.keep(np.array(mask)[sieve.columns["line"]], "reason")
    assert len(sieve) + refusals.total("reason") == 8
    assert sieve.columns["line"].tolist() == [line for line in range(8) if all(mask[line] for mask in masks)]
