"""Quotes on a recorded chain: an hour of GOOG, 24 Dec 2015, 2,192 contracts at two venues.

Theos here are a stand-in, the mid of the NBBO one minute before, so that the test is about quoting alone.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from domain.calendar import ny_ns
from domain.chain import Chain
from domain.commands import Party, PlaceQuotes
from domain.events import ExposureChanged, GreeksComputed, NbboUpdated, SessionChanged, UnderlyingUpdated
from domain.frames import GreeksFrame, NbboFrame
from domain.instrument import option
from domain.price import is_on_tick, tick_class_from_prices
from pricing.black import greeks
from pricing.greeks import GREEKS
from pricing.implied_vol import implied_vol
from quoting.ladder import ASK, BID
from quoting.quoter import Quoter
from quoting.settings import QuotingSettings

pytestmark = pytest.mark.data

Floats = npt.NDArray[np.float64]

DAY = dt.date(2015, 12, 24)
SPOT = 750.0  # it stayed within two dollars of it
FIRST, LAST = 34_200_000, 37_800_000  # bars stamped 09:30 to 10:29, milliseconds
MINUTE = 60_000
SETTLED = 20  # minutes until most contracts were quoted once
_GREEKS = (
    "delta",
    "gamma",
    "vega",
    "theta",
    "rho",
    "vanna",
    "charm",
    "volga",
    "veta",
    "speed",
    "zomma",
    "color",
    "ultima",
)


class Day:
    """The recorded bars as arrays in dense-index order."""

    def __init__(self, path: Path) -> None:
        table = pq.read_table(path).to_pydict()
        names = [
            option("GOOG", dt.date.fromisoformat(f"{e[:4]}-{e[4:6]}-{e[6:]}"), round(k * 1000), r)
            for e, k, r in zip(table["expiry"], table["strike"], table["right"], strict=True)
        ]
        self.chain = Chain("GOOG", DAY, set(names))
        self.stamp = np.array(table["ms_since_midnight_et"])
        self.contract = np.array([self.chain.index_of(name) for name in names])
        self.bid, self.ask = (np.rint(np.array(table[name]) * 10_000).astype(np.int64) for name in ("bid", "ask"))
        self.bid_size, self.ask_size = np.array(table["bid_size"]), np.array(table["ask_size"])
        self.tick = tick_class_from_prices(np.concatenate([self.bid, self.ask]))

    def minute(self, stamp: int) -> NbboFrame:
        at = self.stamp == stamp
        return NbboFrame(
            contract=self.contract[at],
            bid=self.bid[at],
            bid_size=self.bid_size[at],
            ask=self.ask[at],
            ask_size=self.ask_size[at],
        )


def theos(day: Day, mid: Floats, ts: int) -> GreeksFrame:
    """Theo is the mid, NaN before there was one; Greeks come from the volatility that it implies."""
    chain = day.chain
    years = (chain.expiry_ns - ts)[chain.expiry_index] / (365 * 86_400 * 1e9)
    vol, _ = implied_vol(mid, SPOT, chain.strike, years, 1.0, chain.sign)
    vol = np.nan_to_num(vol, nan=0.3)
    values = greeks(SPOT, chain.strike, years, 0.0, 0.0, vol, chain.sign)
    return GreeksFrame(
        contract=np.arange(len(chain)),
        theo=mid,
        theo_error=np.full(len(chain), 0.02),
        vol=vol,
        status=np.isnan(mid),
        **dict(zip(GREEKS, values[1:], strict=True)),
    )


def test_an_hour_is_quoted_two_sided_within_the_market_and_never_crossed(shared_data: Path) -> None:
    day = Day(shared_data / "lean" / "goog_20151224_option_nbbo_1min.parquet")
    n = len(day.chain)
    assert n == 2_192
    party = Party(account="A", capacity="market_maker", clearing_firm="C", market_maker_id="M")
    stage = Quoter(day.chain, {"GOOG": day.tick}, QuotingSettings(), party, (0, 1), "20151224", "goog")
    midnight = ny_ns(DAY)
    head: dict[str, Any] = {"ts_init": 0, "underlying": "GOOG"}
    close = midnight + 13 * 3_600 * 1_000_000_000
    stage.apply(SessionChanged(**head, ts_event=midnight, state="open", open_ts=midnight, close_ts=close))

    bid, ask, mid = np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, np.nan)
    was_quoted, was_shown = np.zeros(n, int), np.zeros(n, int)
    widths: list[npt.NDArray[np.int64]] = []
    touches = sides = 0
    for stamp in range(FIRST, LAST, MINUTE):
        ts = midnight + (stamp + MINUTE) * 1_000_000
        priced = theos(day, mid, ts)
        frame = day.minute(stamp)
        events = [
            UnderlyingUpdated(**head, ts_event=ts, bid=7_499_000, bid_size=1, ask=7_501_000, ask_size=1),
            GreeksComputed(**head, ts_event=ts, spot=SPOT, is_refresh=True, frame=priced),
            NbboUpdated(**head, ts_event=ts, frame=frame),
            ExposureChanged(
                **head, ts_event=ts, spot=SPOT, stock=0, delta=0.0, gamma=0.0, vega=0.0, theta=0.0, option_delta=0.0,
                cause="greeks",
            ),
        ]  # fmt: skip
        placed = [out for event in events for out in stage.apply(event) if isinstance(out, PlaceQuotes)]
        assert len(placed) <= 1
        bid[frame.contract], ask[frame.contract] = frame.bid, frame.ask
        market = (bid > 0) & (ask > 0)
        mid[market] = ((bid + ask) / 20_000)[market]

        book = stage.shown
        assert is_on_tick(book.price, day.tick).all()
        both = (book.size[:, BID] > 0) & (book.size[:, ASK] > 0)
        assert (book.price[:, BID] < book.price[:, ASK])[both].all()
        locked = market & (ask <= bid)
        assert ((book.price[:, BID] < ask) | ~market | locked).all()
        if stamp < FIRST + SETTLED * MINUTE:
            continue
        shown = market & (np.abs(priced.delta) >= 0.05) & (np.abs(priced.delta) <= 0.95)
        quoted = shown & both[0]
        was_shown += shown
        was_quoted += quoted
        widths.append(np.stack([(book.price[0, ASK] - book.price[0, BID])[quoted], (ask - bid)[quoted]]))
        touches += int((book.price[0, BID] >= bid)[quoted].sum() + (book.price[0, ASK] <= ask)[quoted].sum())
        sides += 2 * int(quoted.sum())

    measured = was_shown > 0
    share = was_quoted[measured] / was_shown[measured]
    ours, theirs = np.median(np.concatenate(widths, axis=1), axis=1)
    assert (share >= 0.9).mean() >= 0.5
    assert ours <= theirs
    assert touches >= 0.5 * sides
