"""Variance time: the clock on which closed hours weigh less than open ones.

`domain.calendar.year_fraction` is the clock of every published figure. This one is for models of expiries days away,
where calendar time gives a weekend the variance of two sessions.
"""

from __future__ import annotations

import datetime as dt
from functools import cache

import numpy as np

from domain.calendar import YEAR_NS, Instants, Years, ny_ns, session, sessions_between
from domain.errors import InputError
from domain.sessions_table import FIRST_YEAR, LAST_YEAR


@cache
def _open_time() -> tuple[Instants, Instants]:
    """Return the opens of all sessions and the open ns before each, with a last entry for the whole table."""
    first, last = dt.date(FIRST_YEAR, 1, 1), dt.date(LAST_YEAR, 12, 31)
    sessions = [session(day) for day in sessions_between(first, last)]
    opens = np.array([each.open_ns for each in sessions], dtype=np.int64)
    lengths = np.array([each.close_ns - each.open_ns for each in sessions], dtype=np.int64)
    return opens, np.concatenate(([0], np.cumsum(lengths)))


def _open_elapsed(at_ns: Instants) -> Instants:
    """Return the ns of open sessions from the start of the calendar to each instant."""
    opens, before = _open_time()
    at = np.searchsorted(opens, at_ns, side="right")
    last = np.maximum(at - 1, 0)
    running = np.clip(at_ns - opens[last], 0, before[last + 1] - before[last])
    elapsed: Instants = before[last] + np.where(at > 0, running, 0)
    return elapsed


def trading_year_fraction(from_ns: int | Instants, to_ns: int | Instants, closed_weight: float = 0.0) -> Years:
    """Return the time between instants in years of variance: open hours count in full, closed hours by a weight.

    Args:
        from_ns: ns since the epoch, inside the calendar. Shape () or (n,).
        to_ns: ns since the epoch, inside the calendar. Shape () or (n,).
        closed_weight: Variance of a closed hour as a share of that of an open one, 0 to 1. At 1 the clock is
            `year_fraction`.

    Returns:
        Years of the same average length as calendar years: over the whole calendar both clocks agree. Negative where
        `to_ns` is the earlier. Shape () or (n,).

    Raises:
        InputError: The weight is outside 0 to 1.
    """
    if not 0.0 <= closed_weight <= 1.0:
        raise InputError("weight must be 0 to 1", field="closed_weight", value=closed_weight)
    start, end = np.asarray(from_ns, dtype=np.int64), np.asarray(to_ns, dtype=np.int64)
    opened = _open_elapsed(end) - _open_elapsed(start)
    weighted = opened * (1.0 - closed_weight) + (end - start) * closed_weight
    whole = ny_ns(dt.date(LAST_YEAR + 1, 1, 1)) - ny_ns(dt.date(FIRST_YEAR, 1, 1))
    share = int(_open_time()[1][-1]) / whole
    years: Years = weighted / (YEAR_NS * (share * (1.0 - closed_weight) + closed_weight))
    return years
