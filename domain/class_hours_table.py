"""Option classes that trade longer than those on single stocks, as dated rows. A class without a row keeps their hours.

Index classes are not here: their terms say that they are (`domain/roots_table.py`). Exchanges publish the list class by
class and change it without a rule filing: an operator loads the list of the day over these rows.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from domain.dated import Dated, Evidence, grouped, in_force
from domain.hours_table import SessionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassHours(Dated):
    """Whose hours the options on an underlying keep."""

    underlying: str
    kind: SessionKind


def _etfs(underlyings: str, valid_from: dt.date, source: str, evidence: Evidence) -> tuple[ClassHours, ...]:
    return tuple(
        ClassHours(underlying=each, kind="etf_option", valid_from=valid_from, source=source, evidence=evidence)
        for each in underlyings.split()
    )


_FIRST: Final = dt.date(1990, 1, 1)
_LISTS_SINCE: Final = dt.date(2022, 3, 30)
"""First day of UVIX, which both lists name: neither is older."""

_LISTS: Final = "named by the lists of two brokers, IG and Firstrade, of options that trade until 16:15"

CLASS_HOURS: Final[tuple[ClassHours, ...]] = (
    *_etfs("SPY", _FIRST, "recorded minute quotes: SPY 2023, last bar starts 16:14; earlier years assumed", "verified"),
    *_etfs("QQQ IWM DIA", _FIRST, f"{_LISTS}; before 2022 from memory", "memory"),
    *_etfs(
        "DBA DBB DBC DBO EEM EFA GAZ IWN IWO IWV JJC KBE KRE MDY MOO OEF OIL SLX SVXY UNG UUP UVIX UVXY VIXM VIXY VXX "
        "VXZ XHB XLB XLE XLF XLI XLK XLP XLU XLV XLY XME XRT",
        _LISTS_SINCE,
        _LISTS,
        "memory",
    ),
)

_BY_UNDERLYING: Final = grouped(CLASS_HOURS, lambda row: row.underlying)


def class_hours(underlying: str, day: dt.date) -> SessionKind:
    """Whose hours the options on a stock or an ETF keep on a day."""
    row = in_force(_BY_UNDERLYING.get(underlying, ()), day)
    return "equity_option" if row is None else row.kind
