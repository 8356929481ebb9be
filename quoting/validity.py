"""How long quotes may stand: the age of what they rest on, and the time that is left to the close."""

from __future__ import annotations

import copy
import math
from typing import Any, Final

import numpy as np

from domain.price import PRICE_SCALE
from quoting.market import NEVER, Market
from quoting.settings import QuotingSettings
from quoting.target import Valuation

_NS: Final = 1_000_000_000
_TRADING_YEAR_S: Final = 252 * 6.5 * 3_600
"""Seconds of trading in a year, over which a year's variance is spread: 252 sessions of six and a half hours."""

_FAR: Final = np.iinfo(np.int64).max // 2


class Validity:
    """One rule for what time alone does to our quotes.

    Quotes rest on the underlying and on the theos; the older of the two counts. Up to one interval of the feed it is
    fresh. Then it is late: theos grow uncertain (`aged`), so that quotes widen and shrink. After `stale_intervals` it
    is stale, and quotes are pulled. They are also pulled shortly before the scheduled close (`pull_ns`).

    Attributes:
        underlying_ts: Time of the last two-sided quote of the underlying, ns.
        theo_ts: Time of the last theos, ns.
        close_ts: Scheduled close, ns; 0 before it is known, when all is closed.
        pull_ts: When quotes are pulled before it, ns.
    """

    def __init__(self, settings: QuotingSettings) -> None:
        self.underlying_ts = self.theo_ts = NEVER
        self.close_ts = self.pull_ts = 0
        self._interval_ns = round(settings.feed_interval_s * _NS)
        self._stale_ns = round(settings.stale_s * _NS)
        self._pull_before_close_s = settings.pull_before_close_s

    def session(self, open_ts: int, close_ts: int) -> None:
        """Take over the hours of the session, ns."""
        self.close_ts = close_ts
        self.pull_ts = close_ts - pull_ns(self._pull_before_close_s, open_ts, close_ts)

    def latches(self, ts: int) -> dict[str, bool]:
        """What time alone sets and releases at that moment. Nothing opens a session but the word of the market."""
        if ts >= self.close_ts:
            return {"closed": True, "closing": False}
        is_stale = ts - min(self.underlying_ts, self.theo_ts) > self._stale_ns
        return {"closing": ts >= self.pull_ts, "stale": is_stale}

    def unseen_s(self, ts: int) -> float:
        """For how long the underlying or the theos are overdue, seconds; 0 while they are fresh."""
        return max(ts - min(self.underlying_ts, self.theo_ts) - self._interval_ns, 0) / _NS

    def late_after(self, ts: int) -> int:
        """When quotes become late after `ts`, ns; far away where they are already."""
        return _first((min(self.underlying_ts, self.theo_ts) + self._interval_ns + 1,), ts)

    def next_change(self, ts: int) -> int:
        """When a latch of time alone will change after `ts`, ns: stale, near the close, closed."""
        stale_ts = min(self.underlying_ts, self.theo_ts) + self._stale_ns + 1
        return _first((stale_ts, self.pull_ts, self.close_ts), ts)

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        return {name: getattr(self, name) for name in _STATE}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        for name in _STATE:
            setattr(self, name, state[name])


_STATE: Final = ("underlying_ts", "theo_ts", "close_ts", "pull_ts")


def pull_ns(pull_before_close_s: float, open_ts: int, close_ts: int) -> int:
    """How long before the close quotes are pulled, ns: as asked for, at most a twentieth of the session.

    The strictest time that `quoting.obligation_rules` asks for is 90 %, so that half of what it leaves stays for halts
    and trips.
    """
    return min(round(pull_before_close_s * _NS), (close_ts - open_ts) // 20)


def _first(moments: tuple[int, ...], ts: int) -> int:
    """The first moment after `ts`, far away where there is none."""
    return min((moment for moment in moments if moment > ts), default=_FAR)


def aged(value: Valuation, market: Market, unseen_s: float, settings: QuotingSettings) -> tuple[Valuation, Market]:
    """Theos and market as uncertain as they are when nothing was seen for a while.

    Who trades with us then may have seen what we have not. A contract's own standard deviation over that time is added
    to the half spread, `unseen_deviations` times, and as a variance to the theo's error, which asks for more edge and
    shrinks sizes.

    Args:
        value: Theos and Greeks of the chain; it is not changed.
        market: Its NBBO and widths; it is not changed.
        unseen_s: Seconds of trading that were not seen.
        settings: See `QuotingSettings`.

    Returns:
        Both as they are where nothing was missed.
    """
    if unseen_s <= 0.0:
        return value, market
    moved = value.deviation * (math.sqrt(unseen_s / _TRADING_YEAR_S) * PRICE_SCALE)
    older, wider = copy.copy(value), copy.copy(market)
    older.error = np.hypot(value.error, moved)
    older.edge = np.maximum(value.edge, settings.min_edge_errors * older.error)
    wider.base = market.base + settings.unseen_deviations * moved
    return older, wider
