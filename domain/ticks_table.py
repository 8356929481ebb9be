"""Quote increments of option classes, as dated rows.

A class that has no row is taken to be outside the penny program, 0.05 and 0.10: a price on that grid is on every finer
one, so the default may be wide but is never refused for its tick. Membership in the program is reviewed every year: an
operator loads the exchange's list over these rows.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

from domain.dated import Dated, Evidence

TickName = Literal[
    # 0.01 at every price: SPY, QQQ, IWM, XSP
    "penny_all",
    # in the penny program (before July 2020: the pilot): 0.01 below 3 dollars, 0.05 from 3 dollars
    "penny",
    # everything else: 0.05 below 3 dollars, 0.10 from 3 dollars
    "nickel_dime",
]

DECIMAL_FROM: Final = dt.date(2001, 4, 9)
"""Options quote in decimals from this day, in fractions before. Source: SEC decimals order, Release 34-42914."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTick(Dated):
    """The increment of one option class."""

    root: str
    tick: TickName


def _rows(
    tick: TickName,
    roots: str,
    source: str,
    evidence: Evidence,
    *days: dt.date,
) -> tuple[ClassTick, ...]:
    """Return one row per root, in force from the first of `days` and, where a second is given, up to it."""
    valid_from, valid_to = days if len(days) == 2 else (days[0], None)
    return tuple(
        ClassTick(root=root, tick=tick, valid_from=valid_from, valid_to=valid_to, source=source, evidence=evidence)
        for root in roots.split()
    )


_PILOT: Final = dt.date(2007, 1, 26)
_PILOT_2: Final = dt.date(2007, 2, 2)
_PILOT_3: Final = dt.date(2007, 2, 9)
_ALL_PENNY: Final = dt.date(2010, 2, 1)
_PROGRAM: Final = dt.date(2020, 7, 1)
_VIX_PENNY: Final = dt.date(2022, 11, 29)
_ANNOUNCED = "brokers' notice of the thirteen pilot classes, January 2007"

CLASS_TICKS: Final[tuple[ClassTick, ...]] = (
    # Penny pilot, first thirteen classes.
    *_rows("penny", "WFMI", _ANNOUNCED, "published", _PILOT, _PROGRAM),
    *_rows("penny", "GE MSFT", _ANNOUNCED, "published", _PILOT_2),
    *_rows("penny", "AMD INTC CAT TXN", _ANNOUNCED, "published", _PILOT_3),
    *_rows("penny", "SMH FLEX SUNW A", _ANNOUNCED, "published", _PILOT_3, _PROGRAM),
    *_rows("penny", "IWM", _ANNOUNCED, "published", _PILOT_3, _ALL_PENNY),
    # A penny at every price.
    *_rows("penny_all", "QQQQ", _ANNOUNCED, "published", _PILOT_3, dt.date(2011, 3, 23)),
    *_rows("penny_all", "QQQ", "MIAX, 30 June 2020: 0.01 at every price", "published", dt.date(2011, 3, 23)),
    *_rows(
        "penny_all", "SPY IWM", "penny pilot, all series of SPY and IWM from 1 February 2010", "published", _ALL_PENNY
    ),
    *_rows("penny_all", "XSP", "cboe.com XSP specification; recorded quotes 2023", "verified", dt.date(2013, 11, 5)),
    *_rows("penny_all", "VIXW", "Cboe, 29 November 2022: VIXW stays at 0.01", "published", _VIX_PENNY),
    # Index classes.
    *_rows("nickel_dime", "SPX SPXW", "recorded quotes 2021, 2022, 2023", "verified", DECIMAL_FROM),
    *_rows(
        "nickel_dime", "VIX", "Cboe, 29 November 2022: the increment until then", "published", DECIMAL_FROM, _VIX_PENNY
    ),
    *_rows("penny", "VIX", "Cboe, 29 November 2022", "published", _VIX_PENNY),
    # Single stocks.
    *_rows("penny", "TWX", "recorded quotes of June 2014; the first day from memory", "verified", dt.date(2010, 2, 1)),
    *_rows("nickel_dime", "GOOG", "recorded quotes of December 2015", "verified", DECIMAL_FROM, dt.date(2023, 1, 1)),
    *_rows("penny", "SPY", "penny pilot, second phase", "memory", dt.date(2007, 9, 28), _ALL_PENNY),
    *_rows(
        "penny", "AAPL AMZN BAC C CSCO DIA F JPM QCOM T XLF", "penny pilot, by 2009", "memory", dt.date(2009, 11, 2)
    ),
    *_rows("penny", "META NFLX NVDA TSLA", "penny program of July 2020", "memory", _PROGRAM),
)
