"""The recorded GOOG day, and chains made up for tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from domain.calendar import YEAR_NS, ny_ns
from domain.chain import Chain
from domain.events import ChainListed, Event, NbboUpdated, UnderlyingUpdated
from domain.frames import NbboFrame
from domain.instrument import option
from domain.price import PRICE_SCALE
from pricing import american, black
from pricing.svi import ssvi
from streams.lean import open_lean

Array = npt.NDArray[np.float64]

GOOG_DAY = dt.date(2015, 12, 24)


class RecordedDay(NamedTuple):
    """A chain and the inputs of its day, in order."""

    chain: Chain
    events: Sequence[Event]


@pytest.fixture(scope="session")
def goog_day(lean_root: Path) -> RecordedDay:
    """GOOG on 24 Dec 2015: 2,192 contracts, 12 expiries of which one is that day, minute quotes until 13:00."""
    events = [item.event for item in open_lean(lean_root, "GOOG", GOOG_DAY).items()]
    listed = next(event for event in events if isinstance(event, ChainListed))
    return RecordedDay(Chain("GOOG", GOOG_DAY, listed.contracts), events)


@dataclass(frozen=True)
class MadeUpMarket:
    """A chain whose truth is known: SSVI smiles, one rate and one carry yield, quotes around the values.

    Arrays of the chain's length; `years` and `forward` of the expiries' number. `true_vol` is by contract.
    """

    chain: Chain
    ts: int
    spot: float
    rate: float
    carry_yield: float
    years: Array = field(repr=False)
    forward: Array = field(repr=False)
    true_vol: Array = field(repr=False)
    value: Array = field(repr=False)

    @classmethod
    def of(
        cls,
        *,
        style: Literal["american", "european"] = "european",
        days: Sequence[int] = (0, 7, 28, 91, 364),
        rate: float = 0.03,
        carry_yield: float = 0.01,
    ) -> MadeUpMarket:
        """Strikes 60 to 150 around a spot of 100, on expiries some days after 24 Dec 2015, 12:00 in New York."""
        ts, spot = ny_ns(GOOG_DAY, 12 * 3600), 100.0
        chain = Chain(
            "XYZ",
            GOOG_DAY,
            [
                option("XYZ", GOOG_DAY + dt.timedelta(days=day), strike * 1000, right, style=style)
                for day in days
                for strike in range(60, 151, 2)
                for right in ("C", "P")
            ],
        )
        years = (chain.expiry_ns - ts) / YEAR_NS
        forward = spot * np.exp((rate - carry_yield) * years)
        theta = 0.09 * years
        phi = 1.2 / np.sqrt(theta * (1.0 + theta))
        smile = ssvi(theta, phi, np.full(len(years), -0.4))
        at = chain.expiry_index
        true_vol = np.sqrt(smile.take(at).w(np.log(chain.strike / forward[at])) / years[at])
        inputs = (spot, chain.strike, years[at], rate, carry_yield, true_vol, chain.sign)
        value = american.price(*inputs, accuracy="accurate")[0] if style == "american" else black.price_spot(*inputs)
        return cls(chain, ts, spot, rate, carry_yield, years, forward, true_vol, value)

    def quotes(self, half_width: float = 0.02, seed: int | None = None, gaps: float = 0.0) -> tuple[Array, Array]:
        """Bid and ask around the values, dollars, none below a cent; with a seed noisy, a share of sides missing."""
        bid, ask = self.value - half_width, self.value + half_width
        if seed is not None:
            random = np.random.default_rng(seed)
            bid = bid - random.uniform(-0.5, 1.0, len(bid)) * half_width
            ask = ask + random.uniform(-0.5, 1.0, len(ask)) * half_width
            bid[random.random(len(bid)) < gaps] = np.nan
            ask[random.random(len(ask)) < gaps] = np.nan
        return np.where(bid < 0.01, np.nan, bid), np.where(ask < 0.01, np.nan, ask)

    def nbbo(self, bid: Array, ask: Array, ts: int | None = None) -> NbboUpdated:
        """An event of all contracts; sides that are not a number are absent."""
        has_bid, has_ask = np.isfinite(bid), np.isfinite(ask)
        frame = NbboFrame(
            contract=np.arange(len(self.chain)),
            bid=np.rint(np.where(has_bid, bid, 0.0) * PRICE_SCALE),
            bid_size=has_bid * 10,
            ask=np.rint(np.where(has_ask, ask, 0.0) * PRICE_SCALE),
            ask_size=has_ask * 10,
        )
        at = self.ts if ts is None else ts
        return NbboUpdated(ts_event=at, ts_init=at, underlying="XYZ", frame=frame)

    def underlying(self, spot: float | None = None, ts: int | None = None) -> UnderlyingUpdated:
        """An event of the underlying, two cents wide."""
        at, middle = self.ts if ts is None else ts, self.spot if spot is None else spot
        bid, ask = round((middle - 0.01) * PRICE_SCALE), round((middle + 0.01) * PRICE_SCALE)
        return UnderlyingUpdated(
            ts_event=at, ts_init=at, underlying="XYZ", bid=bid, bid_size=100, ask=ask, ask_size=100
        )


@pytest.fixture(scope="session")
def european() -> MadeUpMarket:
    """European contracts."""
    return MadeUpMarket.of()


@pytest.fixture(scope="session")
def american_market() -> MadeUpMarket:
    """American contracts, with a rate at which early exercise of puts matters."""
    return MadeUpMarket.of(style="american", rate=0.05, carry_yield=0.0)
