"""Terms of option roots that are not plain 100-share American equity options, as dated rows.

The row of a contract is the one in force on its expiration date: terms belong to the series, not to the day it trades.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

from domain.dated import Dated, Evidence

Style = Literal["american", "european"]
Settlement = Literal["AM", "PM"]
Delivery = Literal["physical", "cash"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RootTerms(Dated):
    """What a root says about its contracts and its symbol does not."""

    root: str
    underlying: str
    style: Style
    settlement: Settlement
    delivery: Delivery
    multiplier: int = 100


_FIRST: Final = dt.date(1990, 1, 1)


def _index(
    root: str,
    underlying: str,
    settlement: Settlement,
    source: str,
    evidence: Evidence,
    *,
    style: Style = "european",
    valid_from: dt.date = _FIRST,
    valid_to: dt.date | None = None,
) -> RootTerms:
    return RootTerms(
        root=root,
        underlying=underlying,
        style=style,
        settlement=settlement,
        delivery="cash",
        valid_from=valid_from,
        valid_to=valid_to,
        source=source,
        evidence=evidence,
    )


_MINI_LAUNCH: Final = dt.date(2013, 3, 18)


def _mini(root: str, underlying: str) -> RootTerms:
    return RootTerms(
        root=root,
        underlying=underlying,
        style="american",
        settlement="PM",
        delivery="physical",
        multiplier=10,
        valid_from=_MINI_LAUNCH,
        source="CBOE product page, mini options: 10 shares, launched 18 March 2013",
        evidence="published",
    )


def _class_share(root: str, underlying: str) -> RootTerms:
    return RootTerms(
        root=root,
        underlying=underlying,
        style="american",
        settlement="PM",
        delivery="physical",
        valid_from=_FIRST,
        source="a root has no room for the dot of a share class",
        evidence="memory",
    )


_XSP_PM: Final = dt.date(2013, 11, 5)

ROOT_TERMS: Final[tuple[RootTerms, ...]] = (
    _index("SPX", "SPX", "AM", "Cboe SPX specification", "memory"),
    _index("SPXW", "SPX", "PM", "Cboe SPXW specification", "memory"),
    _index("SPXPM", "SPX", "PM", "Cboe SPXPM specification", "memory"),
    _index("SPXQ", "SPX", "PM", "Cboe SPX quarterlies", "memory"),
    _index("XSP", "XSP", "AM", "marketswiki.com, Mini-SPX before November 2013", "published", valid_to=_XSP_PM),
    _index("XSP", "XSP", "PM", "cboe.com/micro/xsp: PM from 5 November 2013", "published", valid_from=_XSP_PM),
    _index("VIX", "VIX", "AM", "Cboe VIX specification", "memory"),
    _index("VIXW", "VIX", "AM", "Cboe VIX specification", "memory"),
    _index("NDX", "NDX", "AM", "Nasdaq-100 index options", "memory"),
    _index("NDXP", "NDX", "PM", "Nasdaq-100 index options", "memory"),
    _index("XND", "XND", "PM", "Nasdaq-100 micro index options", "memory"),
    _index("RUT", "RUT", "AM", "Cboe RUT specification", "memory"),
    _index("RUTW", "RUT", "PM", "Cboe RUT specification", "memory"),
    _index("MRUT", "MRUT", "PM", "Cboe Mini-RUT specification", "memory"),
    _index("DJX", "DJX", "AM", "Cboe DJX specification", "memory"),
    _index("OEX", "OEX", "PM", "Cboe OEX specification", "memory", style="american"),
    _index("XEO", "OEX", "PM", "Cboe XEO specification", "memory"),
    _mini("AAPL7", "AAPL"),
    _mini("AMZN7", "AMZN"),
    _mini("GLD7", "GLD"),
    _mini("GOOG7", "GOOG"),
    _mini("GOGL7", "GOOG"),
    _mini("SPY7", "SPY"),
    _class_share("BRKB", "BRK.B"),
    _class_share("BFB", "BF.B"),
)
