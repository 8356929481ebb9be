"""Obligations, measured against a count second by second."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chain import Chain
from domain.errors import InputError
from domain.events import (
    Event,
    ObligationMeasured,
    OrderFilled,
    QuotesCanceled,
    QuotesCleared,
    TimerFired,
    VenueProtectionTripped,
    VenueStatusChanged,
)
from domain.frames import QuoteFrame
from domain.instrument import option
from domain.stage import Stage
from quoting.ladder import ASK, BID
from quoting.obligation_rules import OBLIGATION_RULES, ObligationRule, add_months, in_scope, is_quarterly
from quoting.obligations import Obligations, ObligationSettings

if TYPE_CHECKING:
    from tests.quoting.conftest import Feed

DAY = dt.date(2015, 12, 24)
LENGTH = 3_600  # seconds from noon to the close of the small market's session


def rule(**fields: Any) -> ObligationRule:  # noqa: ANN401 - any field
    terms: dict[str, Any] = {
        "name": "role",
        "measure": "collective",
        "required_share": 0.6,
        "valid_from": dt.date(2000, 1, 1),
        "source": "this test",
        "evidence": "verified",
    }
    return ObligationRule(**(terms | fields))


def stage(feed: Feed, *rules: ObligationRule, cadence_s: float = 60.0) -> Obligations:
    roles: dict[str, tuple[int, ...]] = {row.name: () for row in rules}
    return Obligations(feed.chain, ObligationSettings(roles=roles, cadence_s=cadence_s), feed.venues, rules)


def cleared(feed: Feed, ts: int, number: int, venue: int, contracts: list[int], width: int, size: int) -> QuotesCleared:
    n = len(contracts)
    bid = np.full(n, 20_000 if size else 0)
    return QuotesCleared(
        **feed.head(ts),
        gate="gate",
        sequence=number,
        seal="",
        quote_set_id=f"Q{number}",
        party=feed.party,
        quote_ts=ts,
        frame=QuoteFrame(
            venue=np.full(n, venue),
            contract=np.array(contracts),
            bid=bid,
            bid_size=np.full(n, size),
            ask=bid + width if size else bid,
            ask_size=np.full(n, size),
        ),
    )


def fill(feed: Feed, ts: int, venue: int, contract: int) -> OrderFilled:
    return OrderFilled(
        **feed.head(ts),
        fill_id="F",
        venue=venue,
        clordid="",
        is_quote=True,
        intent="",
        contract=contract,
        side="buy",
        quantity=10,
        price=20_000,
        fee=0,
        adds_liquidity=True,
    )


contract_sets = st.lists(st.integers(0, 43), min_size=1, max_size=44, unique=True)
actions = st.lists(
    st.tuples(
        st.integers(0, 400),  # seconds since the one before
        st.sampled_from([0, 2]),  # venue
        st.one_of(
            st.tuples(st.just("quote"), contract_sets, st.sampled_from([1_000, 50_000, 50_500])),
            st.tuples(st.just("pull"), contract_sets, st.just(0)),
            st.tuples(st.just("cancel"), contract_sets, st.just(0)),
            st.tuples(st.just("cancel"), st.just([]), st.just(0)),
            st.tuples(st.just("fill"), contract_sets, st.just(0)),
            st.tuples(st.just("down"), st.just([]), st.just(0)),
            st.tuples(st.just("trip"), st.just([]), st.just(0)),
            st.tuples(st.just("halt"), st.just([]), st.just(0)),
            st.tuples(st.just("open"), st.just([]), st.just(0)),
        ),
    ),
    max_size=20,
)


def events_of(feed: Feed, ts: int, number: int, venue: int, action: tuple[str, list[int], int]) -> list[Event]:
    kind, contracts, width = action
    head = feed.head(ts)
    match kind:
        case "quote" | "pull":
            size = 10 if kind == "quote" else 0
            return [
                cleared(feed, ts, number, venue, contracts, width, size),
                # In two parts, as a long one travels.
                feed.acknowledged(venue, f"Q{number}", ts, accepted=len(contracts) // 2),
                feed.acknowledged(venue, f"Q{number}", ts, accepted=len(contracts) - len(contracts) // 2),
            ]
        case "cancel":
            return [QuotesCanceled(**head, venue=venue, cancel_id="C", contracts=tuple(contracts), reason="")]
        case "fill":
            return [fill(feed, ts, venue, contract) for contract in contracts]
        case "down":
            return [VenueStatusChanged(**head, venue=venue, is_up=False, reason="")]
        case "trip":
            return [VenueProtectionTripped(**head, venue=venue, rule="")]
        case _:
            return [feed.session("halted" if kind == "halt" else "open", ts)]


class Naive:
    """The definition: a book, and for each second of the session what every series at every venue shows in it."""

    def __init__(self, feed: Feed, rules: list[ObligationRule]) -> None:
        self.rules = {row.name: (row, in_scope(row, feed.chain)) for row in rules}
        self.width = {venue: np.zeros(feed.n, np.int64) for venue in feed.venues}  # 0: not two-sided
        self.is_open = True
        self.sums = {row.name: np.zeros(4, np.int64) for row in rules}
        self.now = {row.name: self.look(row.name) for row in rules}

    def look(self, name: str) -> list[int]:
        """What one second adds: quoted, elapsed, wide, two-sided."""
        row, scope = self.rules[name]
        limit = 10**18 if row.max_width is None else row.max_width * 10_000
        good = [int(((w > 0) & (w <= limit) & scope).sum()) for w in self.width.values()]
        wide = sum(int(((w > limit) & scope).sum()) for w in self.width.values())
        series = int(scope.sum())
        if row.measure == "collective":
            return [sum(good), series * len(good), wide, wide + sum(good)]
        need = min(np.ceil(row.series_share * series), series - 2)
        return [sum(count >= need for count in good), len(good), wide, wide + sum(good)]

    def second(self) -> None:
        if self.is_open:
            for name, adds in self.now.items():
                self.sums[name] += adds

    def act(self, venue: int, action: tuple[str, list[int], int]) -> None:
        kind, contracts, width = action
        if kind == "quote":
            self.width[venue][contracts] = width
        elif kind in {"pull", "fill"} or (kind == "cancel" and contracts):
            self.width[venue][contracts] = 0
        elif kind in {"cancel", "down", "trip"}:
            self.width[venue][:] = 0
        else:
            self.is_open = kind == "open"
        self.now = {name: self.look(name) for name in self.rules}


RULES = [
    rule(name="part", required_share=0.6, long_term_months=2),
    rule(name="all", required_share=0.9, long_term_months=None, max_width=None),
    rule(name="once", measure="at_once", required_share=0.9, series_share=0.5, max_width=5.0),
]


@given(actions)
def test_it_counts_what_a_look_at_every_second_would_count(feed: Feed, path: list[Any]) -> None:
    measured, naive = stage(feed, *RULES), Naive(feed, RULES)
    measured.apply(feed.session("open", feed.noon))
    now = 0
    for number, (gap, venue, action) in enumerate(path, 1):
        for _ in range(min(now + gap, LENGTH) - min(now, LENGTH)):
            naive.second()
        now += gap
        for event in events_of(feed, feed.noon + now * feed.second, number, venue, action):
            measured.apply(event)
        naive.act(venue, action)
    measured.apply(feed.session("open", feed.noon + now * feed.second))
    naive.is_open = True
    for _ in range(LENGTH - min(now, LENGTH)):
        naive.second()
    reports = measured.apply(feed.session("closed", feed.noon + max(LENGTH, now) * feed.second))
    assert [type(report) for report in reports] == [ObligationMeasured] * len(RULES)
    for report in reports:
        assert isinstance(report, ObligationMeasured)
        quoted, elapsed, wide, two_sided = naive.sums[report.rule]
        assert report.quoted_seconds == pytest.approx(quoted, abs=1e-6)
        assert report.elapsed_seconds == pytest.approx(elapsed, abs=1e-6)
        assert report.share == pytest.approx(quoted / elapsed if elapsed else 0.0, abs=1e-9)
        assert report.forecast_share == pytest.approx(report.share, abs=1e-9)  # the day is over: nothing to forecast
        assert report.shortfall_seconds == pytest.approx(max(report.required_share * elapsed - quoted, 0), abs=1e-6)
        assert report.wide_share == pytest.approx(wide / two_sided if two_sided else 0.0, abs=1e-9)


@given(actions, actions)
def test_a_restored_monitor_answers_as_the_original(feed: Feed, before: list[Any], after: list[Any]) -> None:
    original, restored = stage(feed, *RULES), stage(feed, *RULES)

    def play(target: Obligations, path: list[Any], start: int) -> list[Event]:
        outputs: list[Event] = []
        now = start
        for number, (gap, venue, action) in enumerate(path, start):
            now += gap
            ts = feed.noon + now * feed.second
            for event in [*events_of(feed, ts, number, venue, action), TimerFired(**feed.head(ts), timer="1s")]:
                outputs += target.apply(event)
        return outputs

    original.apply(feed.session("open", feed.noon))
    play(original, before, 1)
    original.apply(cleared(feed, feed.noon, 77_777, 0, [1, 2], 1_000, 5))  # in flight across the snapshot
    restored.restore(original.snapshot())
    for target in (original, restored):
        target.apply(feed.acknowledged(0, "Q77777", feed.noon + 1_000 * feed.second))
    assert play(original, after, 2_000) == play(restored, after, 2_000)
    assert original.snapshot() == restored.snapshot()


@given(cut=st.integers(1, 3_500))
def test_the_forecast_knows_that_quotes_are_pulled_before_the_close(feed: Feed, cut: int) -> None:
    settings = ObligationSettings(roles={"role": ()}, cadence_s=1.0)
    measured = Obligations(feed.chain, settings, (0,), (rule(),), pull_before_close_s=60.0)
    measured.apply(feed.session("open", feed.noon))
    measured.apply(cleared(feed, feed.noon, 1, 0, [1, 2], 1_000, 5))
    measured.apply(feed.acknowledged(0, "Q1", feed.noon, accepted=2))
    (early,) = measured.apply(TimerFired(**feed.head(feed.noon + cut * feed.second), timer="1s"))
    pulled = feed.noon + (LENGTH - 60) * feed.second
    measured.apply(QuotesCanceled(**feed.head(pulled), venue=0, cancel_id="C1", contracts=(), reason="closing"))
    (final,) = measured.apply(feed.session("closed", feed.noon + LENGTH * feed.second))
    assert isinstance(early, ObligationMeasured)
    assert isinstance(final, ObligationMeasured)
    assert early.forecast_share == pytest.approx(final.share)


def test_it_is_a_stage_that_reports_at_its_cadence_and_at_the_close(feed: Feed) -> None:
    measured = stage(feed, RULES[0], cadence_s=60.0)
    assert isinstance(measured, Stage)
    assert not measured.apply(TimerFired(**feed.head(), timer="1s"))
    measured.apply(feed.session("open", feed.noon))
    moments = [
        second
        for second in range(1, 200)
        if measured.apply(TimerFired(**feed.head(feed.noon + second * feed.second), timer="1s"))
    ]
    assert moments == [60, 120, 180]
    assert measured.apply(feed.session("closed", feed.noon + 200 * feed.second))
    assert not measured.apply(TimerFired(**feed.head(feed.noon + 300 * feed.second), timer="1s"))


def test_the_forecast_tells_early_that_the_day_is_lost(feed: Feed) -> None:
    measured = stage(feed, rule(required_share=0.9, long_term_months=None))
    every = list(range(feed.n))
    measured.apply(feed.session("open", feed.noon))
    late = feed.noon + 900 * feed.second  # a quarter of the session without a quote
    for venue in feed.venues:
        measured.apply(cleared(feed, late, venue + 1, venue, every, 1_000, 5))
        measured.apply(feed.acknowledged(venue, f"Q{venue + 1}", late))
    (report,) = measured.apply(TimerFired(**feed.head(feed.noon + 1_800 * feed.second), timer="1s"))
    assert isinstance(report, ObligationMeasured)
    assert report.share == pytest.approx(0.5)
    assert report.forecast_share == pytest.approx(0.75)
    assert report.shortfall_seconds == pytest.approx(0.15 * LENGTH * feed.n * 2)


def test_a_refused_entry_and_an_unanswered_mass_quote_do_not_count(feed: Feed) -> None:
    measured = stage(feed, rule(long_term_months=None))
    measured.apply(feed.session("open", feed.noon))
    measured.apply(cleared(feed, feed.noon, 1, 0, [0, 1, 2], 1_000, 5))
    measured.apply(cleared(feed, feed.noon, 2, 2, [0, 1, 2], 1_000, 5))
    measured.apply(feed.acknowledged(0, "Q1", feed.noon, contract=1, reason=16))
    (report,) = measured.apply(TimerFired(**feed.head(feed.noon + 100 * feed.second), timer="1s"))
    assert isinstance(report, ObligationMeasured)
    assert report.quoted_seconds == pytest.approx(200.0)


def test_a_part_of_a_mass_quote_counts_from_its_own_answer(feed: Feed) -> None:
    measured = stage(feed, rule(long_term_months=None))
    measured.apply(feed.session("open", feed.noon))
    measured.apply(cleared(feed, feed.noon, 1, 0, [5, 6, 7], 1_000, 5))
    for seconds, accepted in ((10, 2), (50, 1)):
        measured.apply(feed.acknowledged(0, "Q1", feed.noon + seconds * feed.second, accepted=accepted))
    (report,) = measured.apply(TimerFired(**feed.head(feed.noon + 100 * feed.second), timer="1s"))
    assert isinstance(report, ObligationMeasured)
    assert report.quoted_seconds == pytest.approx(2 * 90.0 + 50.0)


def test_one_side_is_not_a_quote(feed: Feed) -> None:
    measured = stage(feed, rule(long_term_months=None))
    measured.apply(feed.session("open", feed.noon))
    one = cleared(feed, feed.noon, 1, 0, [4], 1_000, 5).frame
    for side, number in ((BID, 1), (ASK, 2)):
        none = np.zeros(1, np.int64)
        columns = one.columns() | ({"bid_size": none, "bid": none} if side == BID else {"ask_size": none, "ask": none})
        clearance = cleared(feed, feed.noon, number, 0, [4], 1_000, 5)
        fields = {name: getattr(clearance, name) for name in clearance.__struct_fields__}
        measured.apply(QuotesCleared(**(fields | {"frame": QuoteFrame(**columns)})))
        measured.apply(feed.acknowledged(0, f"Q{number}", feed.noon))
    (report,) = measured.apply(TimerFired(**feed.head(feed.noon + 100 * feed.second), timer="1s"))
    assert isinstance(report, ObligationMeasured)
    assert report.quoted_seconds == 0.0


def test_an_unknown_role_or_one_not_yet_in_force_is_refused_by_name(feed: Feed) -> None:
    with pytest.raises(InputError, match="nobody"):
        Obligations(feed.chain, ObligationSettings(roles={"nobody": (0,)}))
    future = rule(valid_from=dt.date(2020, 1, 1))
    with pytest.raises(InputError, match="role"):
        stage(feed, future)


@pytest.mark.parametrize("name", sorted({row.name for row in OBLIGATION_RULES}))
def test_published_rules_follow_each_other_without_gap_or_overlap(name: str) -> None:
    dated = [row for row in OBLIGATION_RULES if row.name == name]
    for earlier, later in pairwise(dated):
        assert earlier.valid_to == later.valid_from
    assert dated[-1].valid_to is None
    assert all(row.source and 0 < row.required_share <= 1 for row in dated)


def test_scope_leaves_out_long_terms_adjusted_and_quarterly_series() -> None:
    month, nine, leap, quarter = (
        dt.date(2016, 1, 15),
        dt.date(2016, 9, 16),
        dt.date(2017, 1, 20),
        dt.date(2016, 3, 31),
    )
    contracts = [option("SPY", day, 200_000, "C") for day in (month, nine, leap, quarter)]
    chain = Chain("SPY", DAY, [*contracts, option("SPY1", month, 200_000, "C")])
    kept = {(root, day) for (root, day), keep in zip(chain.expiries, in_scope(rule(), chain), strict=True) if keep}
    assert kept == {("SPY", month), ("SPY", nine)}  # 16 Sep 2016 is less than nine months from 24 Dec 2015
    everything = rule(skips_adjusted=False, skips_quarterly=False, long_term_months=None)
    assert in_scope(everything, chain).all()


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (dt.date(2016, 3, 31), True),  # a Thursday; that Friday was a session
        (dt.date(2015, 12, 31), False),  # a Thursday before a Friday holiday: the weekly series
        (dt.date(2016, 9, 30), False),  # a Friday
        (dt.date(2016, 1, 29), False),
        (dt.date(2019, 12, 31), True),
    ],
)
def test_quarterly_expiries_are_told_from_weekly_ones(day: dt.date, expected: bool) -> None:  # noqa: FBT001
    assert is_quarterly(day) is expected


@given(st.dates(dt.date(2000, 1, 1), dt.date(2035, 1, 1)), st.integers(0, 30))
def test_adding_months_keeps_the_day_or_the_months_last(day: dt.date, months: int) -> None:
    later = add_months(day, months)
    assert (later.year - day.year) * 12 + later.month - day.month == months
    assert later.day == day.day or ((later + dt.timedelta(days=1)).day == 1 and later.day < day.day)
