from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from exchange_calendars.exchange_calendar_xnys import XNYSExchangeCalendar
from hypothesis import given
from hypothesis import strategies as st

from domain import calendar
from domain.calendar import (
    SECOND_NS,
    YEAR_NS,
    expiry_day,
    expiry_instant,
    is_half_day,
    is_session,
    last_trading_day,
    next_session,
    ny_ns,
    ny_time,
    previous_session,
    session,
    sessions_between,
    standard_expiry,
    third_friday,
    year_fraction,
)
from domain.dated import NOT_STARTED
from domain.errors import InputError
from domain.hours_table import HOURS, SessionKind
from domain.instrument import option
from domain.sessions_table import FIRST_YEAR, LAST_YEAR
from domain.trading_time import trading_year_fraction

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
FIRST, LAST = dt.date(1990, 1, 1), dt.date(2040, 12, 31)
days = st.dates(FIRST, LAST)
inner_days = st.dates(dt.date(1990, 2, 1), dt.date(2040, 11, 30))
instants = st.integers(ny_ns(FIRST), ny_ns(LAST))


def utc_ns(moment: dt.datetime) -> int:
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 1_000


def clock(at_ns: int) -> str:
    day, rest = ny_time(at_ns)
    minutes = rest // (60 * SECOND_NS)
    return f"{day} {minutes // 60:02}:{minutes % 60:02}"


# --- New York time ----------------------------------------------------------------------------------------------------


@given(days, st.integers(0, 86_399))
def test_new_york_wall_clock_agrees_with_the_zone_database(day: dt.date, seconds: int) -> None:
    wall = dt.datetime.combine(day, dt.time(), NEW_YORK) + dt.timedelta(seconds=seconds)
    assert ny_ns(day, seconds) == utc_ns(wall.astimezone(dt.UTC))


def test_every_hour_around_every_clock_change_agrees_with_the_zone_database() -> None:
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        for month in (3, 4, 10, 11):
            day = dt.date(year, month, 1)
            while day.month == month:
                if day.weekday() == 6:
                    for half_hour in range(48):
                        wall = dt.datetime.combine(day, dt.time(half_hour // 2, half_hour % 2 * 30), NEW_YORK)
                        assert ny_ns(day, half_hour * 1_800) == utc_ns(wall.astimezone(dt.UTC)), wall
                day += dt.timedelta(days=1)


@given(instants)
def test_an_instant_has_the_day_and_time_of_the_zone_database(at_ns: int) -> None:
    day, rest = ny_time(at_ns)
    wall = dt.datetime.fromtimestamp(at_ns // SECOND_NS, NEW_YORK)
    assert day == wall.date()
    assert rest == (wall.hour * 3600 + wall.minute * 60 + wall.second) * SECOND_NS + at_ns % SECOND_NS


@given(inner_days, st.integers(-86_400, 2 * 86_400))
def test_seconds_outside_the_day_count_into_its_neighbours(day: dt.date, seconds: int) -> None:
    extra, rest = divmod(seconds, 86_400)
    assert ny_ns(day, seconds) == ny_ns(day + dt.timedelta(days=extra), rest)


# --- Sessions ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Series.values returning:Warning")  # inside exchange_calendars
def test_the_table_is_the_calendar_that_built_it() -> None:
    source = XNYSExchangeCalendar(start=pd.Timestamp(FIRST), end=pd.Timestamp(LAST)).schedule
    ours = sessions_between(FIRST, LAST)
    assert list(ours) == [stamp.date() for stamp in source.index]
    opens = source["open"].dt.tz_convert("UTC").dt.as_unit("ns").astype("int64")
    closes = source["close"].dt.tz_convert("UTC").dt.as_unit("ns").astype("int64")
    assert [session(day).open_ns for day in ours] == opens.tolist()
    assert [session(day).close_ns for day in ours] == closes.tolist()


@pytest.mark.filterwarnings("ignore:Series.values returning:Warning")  # inside exchange_calendars
def test_the_generated_module_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    from domain import sessions_table
    from tools import build_calendar

    build_calendar.main()
    generated: dict[str, object] = {}
    exec(capsys.readouterr().out, generated)  # noqa: S102  our own generator's output
    assert generated["HOLIDAYS"] == sessions_table.HOLIDAYS
    assert generated["HALF_DAYS"] == sessions_table.HALF_DAYS


def test_published_holidays_and_half_days_of_2026() -> None:
    closed = ["01-01", "01-19", "02-16", "04-03", "05-25", "06-19", "07-03", "09-07", "11-26", "12-25"]
    weekdays = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(365)]
    assert [f"{day:%m-%d}" for day in weekdays if day.weekday() < 5 and not is_session(day)] == closed
    assert [f"{day:%m-%d}" for day in weekdays if is_half_day(day)] == ["11-27", "12-24"]


def test_christmas_eve_2015_closes_at_one() -> None:
    day = dt.date(2015, 12, 24)
    assert clock(session(day).open_ns) == "2015-12-24 09:30"
    assert clock(session(day, "equity").close_ns) == "2015-12-24 13:00"
    assert clock(session(day, "equity_option").close_ns) == "2015-12-24 13:00"
    assert clock(session(day, "etf_option").close_ns) == "2015-12-24 13:15"
    assert clock(session(day, "index_option").close_ns) == "2015-12-24 13:15"
    assert clock(session(day, "equity_extended").close_ns) == "2015-12-24 17:00"


def test_extended_sessions_of_the_index_classes_follow_their_dates() -> None:
    monday = session(dt.date(2023, 6, 26), "index_global")
    assert (clock(monday.open_ns), clock(monday.close_ns)) == ("2023-06-25 20:15", "2023-06-26 09:15")
    curb = session(dt.date(2023, 6, 26), "index_curb")
    assert (clock(curb.open_ns), clock(curb.close_ns)) == ("2023-06-26 16:15", "2023-06-26 17:00")
    assert clock(session(dt.date(2019, 6, 26), "index_global").open_ns) == "2019-06-26 03:00"
    assert clock(session(dt.date(2025, 6, 26), "index_global").close_ns) == "2025-06-26 09:25"
    with pytest.raises(InputError, match="no hours known"):
        session(dt.date(2022, 4, 22), "index_curb")


def test_approved_sessions_without_a_first_day_are_never_open() -> None:
    assert any(row.valid_from == NOT_STARTED for row in HOURS)
    with pytest.raises(InputError, match="no hours known"):
        session(dt.date(2040, 12, 31), "equity_option_early")


def test_hours_of_one_kind_never_overlap_and_leave_no_gap() -> None:
    for kind in get_args(SessionKind):
        rows = [row for row in HOURS if row.kind == kind]
        assert rows, kind
        for before, after in itertools.pairwise(rows):
            assert before.valid_to == after.valid_from
        for row in rows:
            assert row.opens < row.closes
            assert row.source


@given(inner_days, st.sampled_from(["equity", "etf_option", "index_option", "equity_option"]))
def test_a_session_lies_inside_its_day(day: dt.date, kind: SessionKind) -> None:
    if is_session(day):
        found = session(day, kind)
        assert ny_ns(day) < found.open_ns < found.close_ns < ny_ns(day, 86_400)
        assert found.is_open(found.open_ns)
        assert not found.is_open(found.close_ns)
    else:
        with pytest.raises(InputError, match="no session"):
            session(day, kind)


@given(inner_days)
def test_next_and_previous_are_inverse_on_sessions(day: dt.date) -> None:
    after, before = next_session(day), previous_session(day)
    assert before < day < after
    assert is_session(before)
    assert is_session(after)
    assert sessions_between(before, after) == ((before, day, after) if is_session(day) else (before, after))
    if is_session(day):
        assert previous_session(after) == day == next_session(before)


@pytest.mark.parametrize("day", [dt.date(1989, 12, 31), dt.date(2041, 1, 1)])
def test_a_day_outside_the_table_is_refused_by_name(day: dt.date) -> None:
    for ask in (is_session, is_half_day, next_session, previous_session, session, expiry_day):
        with pytest.raises(InputError, match="outside the calendar") as refused:
            ask(day)
        assert refused.value.fields["value"] == day.isoformat()


def test_the_ends_of_the_table_have_no_neighbour_outside_it() -> None:
    with pytest.raises(InputError, match="outside the calendar"):
        previous_session(dt.date(1990, 1, 1))
    with pytest.raises(InputError, match="outside the calendar"):
        next_session(dt.date(2040, 12, 31))


# --- Expiries ---------------------------------------------------------------------------------------------------------


@given(st.integers(1990, 2040), st.integers(1, 12))
def test_the_third_friday_is_a_friday_from_the_15th_to_the_21st(year: int, month: int) -> None:
    day = third_friday(year, month)
    assert day.weekday() == 4
    assert 15 <= day.day <= 21


@pytest.mark.parametrize(
    ("year", "month", "expected"),
    [
        (2014, 6, dt.date(2014, 6, 21)),  # recorded TWX contracts: a Saturday
        (2015, 1, dt.date(2015, 1, 17)),  # the last Saturday
        (2015, 2, dt.date(2015, 2, 20)),  # the first Friday, SR-OCC-2013-04
        (2016, 1, dt.date(2016, 1, 15)),  # recorded GOOG contracts
        (2022, 4, dt.date(2022, 4, 14)),  # Good Friday: a Thursday, recorded SPX contracts
        (2026, 6, dt.date(2026, 6, 18)),  # Juneteenth: a Thursday
    ],
)
def test_standard_expiry(year: int, month: int, expected: dt.date) -> None:
    assert standard_expiry(year, month) == expected


def test_last_trading_day_and_settlement_instant() -> None:
    twx = option("TWX", dt.date(2014, 6, 21), 70_000, "C")
    assert last_trading_day(twx) == dt.date(2014, 6, 20)
    assert clock(expiry_instant(twx)) == "2014-06-20 16:00"

    good_friday_saturday = option("TWX", dt.date(2014, 4, 19), 70_000, "C")
    assert last_trading_day(good_friday_saturday) == dt.date(2014, 4, 17)

    spx = option("SPX", dt.date(2022, 3, 18), 4_000_000, "C")
    spxw = option("SPXW", dt.date(2022, 3, 18), 4_000_000, "C")
    assert last_trading_day(spx) == dt.date(2022, 3, 17)
    assert clock(expiry_instant(spx)) == "2022-03-18 09:30"
    assert last_trading_day(spxw) == dt.date(2022, 3, 18)
    assert clock(expiry_instant(spxw)) == "2022-03-18 16:00"

    thursday = option("SPX", dt.date(2022, 4, 14), 4_000_000, "P")
    assert last_trading_day(thursday) == dt.date(2022, 4, 13)
    assert clock(expiry_instant(thursday)) == "2022-04-14 09:30"

    goog = option("GOOG", dt.date(2015, 12, 24), 750_000, "C")
    assert clock(expiry_instant(goog)) == "2015-12-24 13:00"


@given(inner_days, st.sampled_from(["SPX", "SPXW", "AAPL"]))
def test_no_contract_trades_after_it_settles(expiry: dt.date, root: str) -> None:
    contract = option(root, expiry, 100_000, "C")
    assert last_trading_day(contract) <= expiry_day(expiry) <= expiry
    assert session(last_trading_day(contract)).close_ns <= expiry_instant(contract)


# --- Year fractions ---------------------------------------------------------------------------------------------------


def test_a_year_is_365_days_to_the_nanosecond() -> None:
    assert year_fraction(0, YEAR_NS) == 1.0
    assert year_fraction(0, 1) * YEAR_NS == pytest.approx(1.0, rel=1e-15)
    ends = np.array([YEAR_NS, -YEAR_NS, 0], dtype=np.int64)
    assert year_fraction(0, ends).tolist() == [1.0, -1.0, 0.0]


@given(instants, instants, instants, st.floats(0.0, 1.0))
def test_both_clocks_add_up_and_never_run_backwards(a: int, b: int, c: int, weight: float) -> None:
    a, b, c = sorted((a, b, c))
    for clock_of in (year_fraction, lambda x, y: float(trading_year_fraction(x, y, weight))):
        assert clock_of(a, b) + clock_of(b, c) == pytest.approx(clock_of(a, c), abs=1e-9)
        assert clock_of(a, b) >= 0.0
        assert clock_of(b, a) == -clock_of(a, b)


@given(instants, instants)
def test_at_weight_one_the_trading_clock_is_the_calendar(a: int, b: int) -> None:
    assert float(trading_year_fraction(a, b, 1.0)) == pytest.approx(year_fraction(a, b), rel=1e-12)


def test_a_weekend_has_no_trading_time_and_a_session_has_all_of_it() -> None:
    friday, monday = session(dt.date(2024, 1, 5)), session(dt.date(2024, 1, 8))
    assert float(trading_year_fraction(friday.close_ns, monday.open_ns)) == 0.0
    whole = float(trading_year_fraction(monday.open_ns, monday.close_ns))
    # 12,833 sessions, 104 of them 3 hours and 4 of them 2 hours short of 6.5, in 18,628 days.
    assert whole == pytest.approx(18_628 / 365 / (12_833 - (104 * 3 + 4 * 2) / 6.5), rel=1e-12)
    days_of_2024 = ny_ns(dt.date(2024, 1, 1)), ny_ns(dt.date(2025, 1, 1))
    assert float(trading_year_fraction(*days_of_2024)) == pytest.approx(1.0, abs=0.01)


def test_a_weight_outside_its_range_is_refused() -> None:
    with pytest.raises(InputError, match="weight"):
        trading_year_fraction(0, 1, 1.5)


def test_the_calendar_reads_no_host_clock_or_zone_file() -> None:
    assert not {"zoneinfo", "time", "os"} & set(vars(calendar))
