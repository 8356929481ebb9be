"""Trading hours as dated rows. Hours are New York time; a day's early close comes from `domain/sessions_table.py`.

Not here: the sessions of the index classes on days when the stock market is closed, and the closing at 16:00 of index
series on their last trading day.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

from domain.dated import NOT_STARTED, Dated

SessionKind = Literal[
    # the primary market of stocks and ETFs
    "equity",
    # stocks and ETFs with the early and the late session
    "equity_extended",
    # options on single stocks
    "equity_option",
    # options on broad ETFs (SPY, QQQ, IWM, DIA, ...)
    "etf_option",
    # options on indices (SPX, SPXW, XSP, VIX, RUT, ...), regular hours
    "index_option",
    # SPX, SPXW, VIX and XSP before the regular hours; belongs to the trade date that follows
    "index_global",
    # SPX, SPXW, VIX and XSP after the regular hours; belongs to the same trade date
    "index_curb",
    # multi-listed options before and after the regular hours
    "equity_option_early",
    "equity_option_late",
]


def _at(hour: int, minute: int = 0) -> int:
    return hour * 3600 + minute * 60


FULL_DAY_CLOSE: Final = _at(16)
"""Seconds after midnight at which the primary market closes on a full day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours(Dated):
    """Opening and closing time of one kind of session.

    Times are seconds after New York midnight of the trade date; a negative one is the evening before. A time that
    `follows_close` is written for a full day and moves with the primary market's close on a half day.
    """

    kind: SessionKind
    opens: int
    closes: int
    opens_follows_close: bool = False
    closes_follows_close: bool = True


_FIRST: Final = dt.date(1990, 1, 1)
_GTH_TO_0925: Final = dt.date(2024, 7, 18)

HOURS: Final[tuple[Hours, ...]] = (
    Hours(
        kind="equity",
        opens=_at(9, 30),
        closes=FULL_DAY_CLOSE,
        valid_from=_FIRST,
        source="exchange_calendars XNYS",
        evidence="verified",
    ),
    Hours(
        kind="equity_extended",
        opens=_at(4),
        closes=_at(20),
        valid_from=dt.date(2006, 3, 1),
        source="NYSE Arca early and late trading sessions; four hours after an early close",
        evidence="memory",
    ),
    Hours(
        kind="equity_option",
        opens=_at(9, 30),
        closes=_at(16, 10),
        valid_from=_FIRST,
        valid_to=dt.date(1997, 6, 23),
        source="CBOE hours before 1997",
        evidence="memory",
    ),
    Hours(
        kind="equity_option",
        opens=_at(9, 30),
        closes=_at(16, 2),
        valid_from=dt.date(1997, 6, 23),
        valid_to=dt.date(2006, 2, 1),
        source="CBOE hours 1997 to 2006",
        evidence="memory",
    ),
    Hours(
        kind="equity_option",
        opens=_at(9, 30),
        closes=_at(16),
        valid_from=dt.date(2006, 2, 1),
        source="recorded minute quotes: TWX 2014 to 16:00, GOOG 24 Dec 2015 to 13:00",
        evidence="verified",
    ),
    Hours(
        kind="etf_option",
        opens=_at(9, 30),
        closes=_at(16, 15),
        valid_from=_FIRST,
        source="recorded minute quotes: SPY 2023, last bar starts 16:14; earlier years from memory",
        evidence="verified",
    ),
    Hours(
        kind="index_option",
        opens=_at(9, 30),
        closes=_at(16, 15),
        valid_from=_FIRST,
        source="recorded minute quotes: SPXW 2021, last bar starts 16:14; earlier years from memory",
        evidence="verified",
    ),
    Hours(
        kind="index_global",
        opens=_at(3),
        closes=_at(9, 15),
        closes_follows_close=False,
        valid_from=dt.date(2015, 3, 9),
        valid_to=dt.date(2021, 11, 22),
        source="cboe.com, extended trading hours: 02:00 to 08:15 Chicago, launched in March 2015; the day from memory",
        evidence="published",
    ),
    Hours(
        kind="index_global",
        opens=-_at(3, 45),
        closes=_at(9, 15),
        closes_follows_close=False,
        valid_from=dt.date(2021, 11, 22),
        valid_to=_GTH_TO_0925,
        source="Cboe, 8 April 2021: nearly 24 hours from the fourth quarter; the day from memory",
        evidence="published",
    ),
    Hours(
        kind="index_global",
        opens=-_at(3, 45),
        closes=_at(9, 25),
        closes_follows_close=False,
        valid_from=_GTH_TO_0925,
        source="SR-CBOE-2024-031, 89 FR 58428; its day of publication, the first day may be later",
        evidence="published",
    ),
    Hours(
        kind="index_curb",
        opens=_at(16, 15),
        closes=_at(17),
        opens_follows_close=True,
        valid_from=dt.date(2022, 4, 25),
        source="Cboe 24x5 page: 16:15 to 17:00 from 25 April 2022; half days from memory",
        evidence="published",
    ),
    Hours(
        kind="equity_option_early",
        opens=_at(7, 30),
        closes=_at(9, 25),
        closes_follows_close=False,
        valid_from=NOT_STARTED,
        source="SR-CBOE-2025-079, 91 FR 33005, approved 28 May 2026; first day not announced",
        evidence="published",
    ),
    Hours(
        kind="equity_option_late",
        opens=_at(16),
        closes=_at(16, 15),
        opens_follows_close=True,
        valid_from=NOT_STARTED,
        source="SR-CBOE-2025-079, 91 FR 33005, approved 28 May 2026; first day not announced",
        evidence="published",
    ),
)
