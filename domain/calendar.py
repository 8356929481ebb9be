"""NYSE sessions, expiry days and New York time, 1990 to 2040.

Pure arithmetic over built-in tables: no host clock, no zone files. Instants are int nanoseconds since the Unix epoch,
UTC; days are `datetime.date` and always a trade date in New York.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from functools import cache, lru_cache
from typing import Final, Literal, Protocol, overload

import msgspec
import numpy as np
import numpy.typing as npt

from domain.dated import in_force
from domain.errors import InputError
from domain.hours_table import FULL_DAY_CLOSE, HOURS, SessionKind
from domain.sessions_table import FIRST_YEAR, HALF_DAYS, HOLIDAYS, LAST_YEAR

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS
YEAR_NS: Final = 365 * DAY_NS
"""ACT/365 Fixed: the year of every annualised figure (rates, volatility, theta)."""

_EPOCH_ORDINAL: Final = dt.date(1970, 1, 1).toordinal()
_FIRST_ORDINAL: Final = dt.date(FIRST_YEAR, 1, 1).toordinal()
_LAST_ORDINAL: Final = dt.date(LAST_YEAR, 12, 31).toordinal()
_EST: Final = -5 * 3600
_EDT: Final = -4 * 3600
_FRIDAY: Final = 4


class Session(msgspec.Struct, frozen=True):
    """One session: trading from `open_ns` up to, not including, `close_ns`."""

    date: dt.date
    open_ns: int
    close_ns: int
    kind: SessionKind

    def is_open(self, at_ns: int) -> bool:
        """Whether the instant lies in the session."""
        return self.open_ns <= at_ns < self.close_ns


class Expiring(Protocol):
    """What the calendar needs to know of a contract."""

    @property
    def expiry(self) -> dt.date:
        """The expiration date of the contract's symbol."""
        ...

    @property
    def settlement(self) -> Literal["AM", "PM"]:
        """AM: settled on the opening prices of the expiry day. PM: on its close."""
        ...


# --- New York time ---------------------------------------------------------------------------------------


def _nth_sunday(year: int, month: int, n: int) -> int:
    """Return the ordinal of the n-th Sunday of a month, of the last one where n is 0."""
    if n == 0:
        after = dt.date(year, month + 1, 1).toordinal()
        return after - 1 - (after - 1) % 7
    first = dt.date(year, month, 1).toordinal()
    return first + (-first) % 7 + 7 * (n - 1)


@cache
def _daylight_saving(year: int) -> tuple[int, int]:
    """Return when daylight saving time begins and ends, both 02:00 local time, in wall-clock seconds since 1970.

    Source: Uniform Time Act as amended in 1986 (first Sunday of April to last of October) and by the Energy Policy Act
    of 2005 (from 2007: second Sunday of March to first of November).
    """
    if not FIRST_YEAR - 1 <= year <= LAST_YEAR + 1:
        raise InputError("outside the calendar", field="year", value=year, first=FIRST_YEAR, last=LAST_YEAR)
    if year < 2007:
        days = _nth_sunday(year, 4, 1), _nth_sunday(year, 10, 0)
    else:
        days = _nth_sunday(year, 3, 2), _nth_sunday(year, 11, 1)
    begins, ends = ((day - _EPOCH_ORDINAL) * 86_400 + 7_200 for day in days)
    return begins, ends


def ny_ns(day: dt.date, seconds: int = 0) -> int:
    """Return the instant of a New York wall-clock time.

    Args:
        day: Day in New York.
        seconds: Wall-clock seconds since midnight. Negative or above 86,400 counts into the neighbouring days.

    Returns:
        Nanoseconds since the epoch, UTC. In the hour that autumn repeats, the first of the two; in the hour that spring
        skips, the instant that the old offset names (PEP 495, fold 0).

    Raises:
        InputError: The year lies outside the calendar.
    """
    wall = (day.toordinal() - _EPOCH_ORDINAL) * 86_400 + seconds
    begins, ends = _daylight_saving(dt.date.fromordinal(wall // 86_400 + _EPOCH_ORDINAL).year)
    summer = begins + 3_600 <= wall < ends
    return (wall - (_EDT if summer else _EST)) * SECOND_NS


def ny_time(at_ns: int) -> tuple[dt.date, int]:
    """Return the New York day of an instant and the wall-clock nanoseconds since that day's midnight."""
    standard = at_ns // SECOND_NS + _EST
    begins, ends = _daylight_saving(dt.date.fromordinal(standard // 86_400 + _EPOCH_ORDINAL).year)
    summer = begins <= standard < ends - 3_600
    days, rest = divmod(at_ns + (_EDT if summer else _EST) * SECOND_NS, DAY_NS)
    return dt.date.fromordinal(days + _EPOCH_ORDINAL), rest


# --- Sessions --------------------------------------------------------------------------------------------


def _session_ordinals() -> list[int]:
    """Return the ordinals of all sessions, ascending: weekdays less holidays."""
    closed = {
        dt.date(year, int(mmdd[:2]), int(mmdd[2:])).toordinal()
        for year, days in HOLIDAYS.items()
        for mmdd in days.split()
    }
    return [o for o in range(_FIRST_ORDINAL, _LAST_ORDINAL + 1) if (o - 1) % 7 < 5 and o not in closed]


_SESSIONS: Final = _session_ordinals()
_EARLY: Final = {
    dt.date(year, int(day[:2]), int(day[2:4])): int(day[5:7]) * 3_600 + int(day[7:9]) * 60
    for year, days in HALF_DAYS.items()
    for day in days.split()
}


def _inside(day: dt.date) -> int:
    """Return the ordinal of a day that the calendar covers."""
    ordinal = day.toordinal()
    if not _FIRST_ORDINAL <= ordinal <= _LAST_ORDINAL:
        raise InputError("outside the calendar", field="date", value=day.isoformat(), first=FIRST_YEAR, last=LAST_YEAR)
    return ordinal


def _session_at(index: int, day: dt.date) -> dt.date:
    if not 0 <= index < len(_SESSIONS):
        raise InputError("outside the calendar", field="date", value=day.isoformat(), first=FIRST_YEAR, last=LAST_YEAR)
    return dt.date.fromordinal(_SESSIONS[index])


def is_session(day: dt.date) -> bool:
    """Whether the exchange opens on that day."""
    ordinal = _inside(day)
    index = bisect_left(_SESSIONS, ordinal)
    return index < len(_SESSIONS) and _SESSIONS[index] == ordinal


def is_half_day(day: dt.date) -> bool:
    """Whether that day is a session that closes early."""
    _inside(day)
    return day in _EARLY


def next_session(day: dt.date) -> dt.date:
    """Return the first session after the day."""
    return _session_at(bisect_right(_SESSIONS, _inside(day)), day)


def previous_session(day: dt.date) -> dt.date:
    """Return the last session before the day."""
    return _session_at(bisect_left(_SESSIONS, _inside(day)) - 1, day)


def sessions_between(first: dt.date, last: dt.date) -> tuple[dt.date, ...]:
    """Return the sessions from `first` to `last`, both included."""
    low, high = bisect_left(_SESSIONS, _inside(first)), bisect_right(_SESSIONS, _inside(last))
    return tuple(dt.date.fromordinal(ordinal) for ordinal in _SESSIONS[low:high])


@lru_cache(maxsize=4096)
def session(day: dt.date, kind: SessionKind = "equity") -> Session:
    """Return the session of a trade date.

    Args:
        day: Trade date. The global hours of a Monday open on Sunday evening.
        kind: Which market; see `domain.hours_table.SessionKind`.

    Raises:
        InputError: The day is no session, or no hours of that kind are known for it.
    """
    if not is_session(day):
        raise InputError("no session on that day", field="date", value=day.isoformat())
    hours = in_force((row for row in HOURS if row.kind == kind), day)
    if hours is None:
        raise InputError("no hours known for that kind of session", field="kind", value=kind, date=day.isoformat())
    shift = _EARLY.get(day, FULL_DAY_CLOSE) - FULL_DAY_CLOSE
    return Session(
        date=day,
        open_ns=ny_ns(day, hours.opens + shift * hours.opens_follows_close),
        close_ns=ny_ns(day, hours.closes + shift * hours.closes_follows_close),
        kind=kind,
    )


# --- Expiries --------------------------------------------------------------------------------------------

FRIDAY_EXPIRY_FROM: Final = dt.date(2015, 2, 1)
"""Standard monthly options that expire before this day carry the Saturday after the third Friday.

Source: OCC, SR-OCC-2013-04, Federal Register 78 FR 26413.
"""


def third_friday(year: int, month: int) -> dt.date:
    """Return the third Friday of a month."""
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(_FRIDAY - first.weekday()) % 7 + 14)


def standard_expiry(year: int, month: int) -> dt.date:
    """Return the expiration date that a standard monthly contract carries in its symbol.

    The third Friday, or the session before it where that Friday is a holiday; before February 2015 the Saturday after
    the third Friday, holiday or not.
    """
    friday = third_friday(year, month)
    if friday < FRIDAY_EXPIRY_FROM:
        return friday + dt.timedelta(days=1)
    return expiry_day(friday)


def expiry_day(expiry: dt.date) -> dt.date:
    """Return the session that settles an expiration date: the date itself, or the last session before it.

    A Saturday expiry is settled on Friday's prices; a Friday that became a holiday on Thursday's.
    """
    return expiry if is_session(expiry) else previous_session(expiry)


def last_trading_day(contract: Expiring) -> dt.date:
    """Return the last trade date in regular hours: the expiry day, or the session before it where settlement is AM."""
    settles = expiry_day(contract.expiry)
    return previous_session(settles) if contract.settlement == "AM" else settles


@lru_cache(maxsize=4096)
def settlement_ns(expiry: dt.date, settlement: Literal["AM", "PM"]) -> int:
    """Return the instant at which the settlement price is struck: the time to which an option is valued.

    PM is the primary market's close of the expiry day, also for classes whose unexpired series trade 15 minutes
    longer; AM is its open. Early closes count.
    """
    day = session(expiry_day(expiry), "equity")
    return day.open_ns if settlement == "AM" else day.close_ns


def expiry_instant(contract: Expiring) -> int:
    """Return `settlement_ns` of a contract."""
    return settlement_ns(contract.expiry, contract.settlement)


# --- Year fractions ---------------------------------------------------------------------------------------------------

Instants = npt.NDArray[np.int64]
Years = npt.NDArray[np.float64]


@overload
def year_fraction(from_ns: int, to_ns: int) -> float: ...
@overload
def year_fraction(from_ns: int | Instants, to_ns: Instants) -> Years: ...
@overload
def year_fraction(from_ns: Instants, to_ns: int) -> Years: ...
def year_fraction(from_ns: int | Instants, to_ns: int | Instants) -> float | Years:
    """Return the calendar time between instants in years, ACT/365 Fixed to the nanosecond.

    This is the clock of every published figure: implied volatility, rates, theta per day (1/365).

    Args:
        from_ns: ns since the epoch. Shape () or (n,).
        to_ns: ns since the epoch. Shape () or (n,).

    Returns:
        Years; negative where `to_ns` is the earlier, so the caller sees an expired contract. Shape () or (n,).
    """
    return (to_ns - from_ns) / YEAR_NS
