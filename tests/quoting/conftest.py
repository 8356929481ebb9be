"""A small chain and the events that drive the quoting stages, seeded and in round numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from domain.calendar import ny_ns
from domain.chain import Chain
from domain.commands import Party
from domain.events import (
    ExposureChanged,
    GreeksComputed,
    NbboUpdated,
    QuotesAcknowledged,
    SessionChanged,
    SessionState,
    UnderlyingUpdated,
)
from domain.frames import GreeksFrame, NbboFrame, QuoteRefusalFrame
from domain.instrument import option
from pricing.black import greeks

DAY = dt.date(2015, 12, 24)
NOON = ny_ns(DAY, 12 * 3600)
SECOND = 1_000_000_000
UNDERLYING = "GOOG"
VENUES = (0, 2)
PARTY = Party(account="MM01", capacity="market_maker", clearing_firm="001", market_maker_id="AXM")


class Feed:
    """Builds the events of one small market: theos from one volatility, an NBBO around them, a shared clock."""

    underlying = UNDERLYING
    venues = VENUES
    party = PARTY
    noon = NOON
    second = SECOND

    def __init__(self) -> None:
        expiries = (dt.date(2016, 1, 15), dt.date(2016, 3, 18))
        self.chain = Chain(
            UNDERLYING,
            DAY,
            [option(UNDERLYING, e, k * 1000, r) for e in expiries for k in range(700, 810, 10) for r in ("C", "P")],
        )
        self.n = len(self.chain)
        self.spot = 750.0
        self.years = (self.chain.expiry_ns[self.chain.expiry_index] - NOON) / (365 * 86_400 * SECOND)

    def head(self, ts: int = NOON) -> dict[str, Any]:
        return {"ts_event": ts, "ts_init": ts + 7, "underlying": UNDERLYING}

    def values(self, spot: float | None = None) -> npt.NDArray[np.float64]:
        chain = self.chain
        return greeks(spot or self.spot, chain.strike, self.years, 0.0, 0.0, 0.25, chain.sign)

    def session(self, state: SessionState = "open", ts: int = NOON, length: int = 3_600) -> SessionChanged:
        """The session opened hours ago and closes `length` seconds after noon."""
        return SessionChanged(
            **self.head(ts), state=state, open_ts=NOON - 9_000 * SECOND, close_ts=NOON + length * SECOND
        )

    def spot_quote(self, ts: int = NOON) -> UnderlyingUpdated:
        mid = round(self.spot * 10_000)
        return UnderlyingUpdated(**self.head(ts), bid=mid - 100, bid_size=100, ask=mid + 100, ask_size=100)

    def theos(
        self, ts: int = NOON, spot: float | None = None, error: float = 0.02, **columns: npt.ArrayLike
    ) -> GreeksComputed:
        rows = self.values(spot)
        frame: dict[str, Any] = {name: rows[i] for i, name in enumerate(_ROWS)} | {
            "contract": np.arange(self.n),
            "theo_error": np.full(self.n, error),
            "vol": np.full(self.n, 0.25),
            "status": np.zeros(self.n, np.int8),
        }
        return GreeksComputed(
            **self.head(ts), spot=spot or self.spot, is_refresh=True, frame=GreeksFrame(**(frame | columns))
        )

    def nbbo(self, ts: int = NOON, width: float = 1.0, **columns: npt.ArrayLike) -> NbboUpdated:
        """Bids on a dime at or below theo - width / 2, asks at or above theo + width / 2."""
        theo = self.values()[0]
        frame: dict[str, Any] = {
            "contract": np.arange(self.n),
            "bid": np.maximum(np.floor((theo - width / 2) * 10), 0).astype(np.int64) * 1_000,
            "ask": np.ceil((theo + width / 2) * 10).astype(np.int64) * 1_000,
            "ask_size": np.full(self.n, 20),
        }
        frame["bid_size"] = np.where(frame["bid"] > 0, 20, 0)
        return NbboUpdated(**self.head(ts), frame=NbboFrame(**(frame | columns)))

    def exposure(self, ts: int = NOON, delta: float = 0.0, vega: float = 0.0, cause: str = "greeks") -> ExposureChanged:
        return ExposureChanged(
            **self.head(ts),
            spot=self.spot,
            stock=0,
            delta=delta,
            gamma=0.0,
            vega=vega,
            theta=0.0,
            option_delta=delta,
            cause=cause,
        )

    def acknowledged(
        self, venue: int, quote_set_id: str, ts: int, *, accepted: int | None = None, **refused: int
    ) -> QuotesAcknowledged:
        """A venue's answer, by default to every entry that the chain can have there."""
        frame = QuoteRefusalFrame.empty()
        if refused:
            columns = {"venue": venue} | refused
            frame = QuoteRefusalFrame(**{name: np.array([value]) for name, value in columns.items()})
        took = self.n - len(frame) if accepted is None else accepted
        return QuotesAcknowledged(**self.head(ts), venue=venue, quote_set_id=quote_set_id, accepted=took, frame=frame)


_ROWS = (
    "theo", "delta", "gamma", "vega", "theta", "rho", "vanna", "charm", "volga", "veta", "speed", "zomma", "color",
    "ultima",
)  # fmt: skip


@pytest.fixture(scope="session")
def feed() -> Feed:
    """The small market. It has no state but its constants."""
    return Feed()


@pytest.fixture
def clock() -> Callable[[float], int]:
    """Seconds after noon to event time."""
    return lambda seconds: NOON + round(seconds * SECOND)
