"""A small market: a chain of twelve contracts, the simulated venues, and short names for messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from domain import commands as c
from domain import events as e
from domain.chain import Chain
from domain.frames import NbboFrame, QuoteFrame, TradeFrame
from domain.instrument import OptionContract
from domain.price import NICKEL_DIME
from routing.exchange import Exchange, ExchangeSettings
from routing.venues import SIMULATED, VenueTable

DAY = dt.date(2015, 12, 24)
OPEN = 1_450_967_400_000_000_000  # 09:30 New York
CLOSE = 1_450_980_000_000_000_000  # 13:00 New York, a half day
SECOND = 1_000_000_000
PARTY = c.Party(account="A1", capacity="market_maker", clearing_firm="CF", market_maker_id="MM")
TICKS = {"XYZ": NICKEL_DIME}

Row = tuple[int, int, int, int, int]
"""contract, bid, bid size, ask, ask size"""


class Market:
    """Builds messages at `now`; every clearance has its own sequence number."""

    def __init__(self) -> None:
        self.chain = Chain(
            "XYZ",
            DAY,
            [
                OptionContract(root="XYZ", underlying="XYZ", expiry=expiry, strike=strike * 1000, right=right)
                for expiry in (dt.date(2016, 1, 15), dt.date(2016, 2, 19))
                for strike in (90, 100, 110)
                for right in ("C", "P")
            ],
        )
        self.venues = SIMULATED
        self.now = OPEN
        self.sequence = 0

    @property
    def head(self) -> dict[str, Any]:
        return {"ts_event": self.now, "ts_init": 7, "underlying": "XYZ"}

    def later(self, ns: int = SECOND) -> Market:
        self.now += ns
        return self

    # --- the market ---------------------------------------------------------------------------------------------------
    def session(self, state: e.SessionState = "open") -> e.SessionChanged:
        return e.SessionChanged(**self.head, state=state, open_ts=OPEN, close_ts=CLOSE)

    def nbbo(self, *rows: Row) -> e.NbboUpdated:
        return e.NbboUpdated(**self.head, frame=NbboFrame(*_columns(rows, 5)))

    def stock(
        self, bid: int = 1_000_000, bid_size: int = 500, ask: int = 1_000_200, ask_size: int = 500
    ) -> e.UnderlyingUpdated:
        return e.UnderlyingUpdated(**self.head, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size)

    def prints(self, *rows: tuple[int, int, int, int]) -> e.TradesPrinted:
        contract, low, high, volume = _columns(rows, 4)
        return e.TradesPrinted(
            **self.head, frame=TradeFrame(contract=contract, price=high, low=low, high=high, volume=volume)
        )

    def stock_prints(self, low: int, high: int, volume: int) -> e.UnderlyingTraded:
        return e.UnderlyingTraded(**self.head, price=high, low=low, high=high, volume=volume)

    # --- ours ---------------------------------------------------------------------------------------------------------
    @property
    def clearance(self) -> dict[str, Any]:
        self.sequence += 1
        return {**self.head, "gate": "XYZ-gate", "sequence": self.sequence, "seal": ""}

    def quotes(self, venue: int, *rows: Row, name: str = "") -> e.QuotesCleared:
        columns = _columns(rows, 5)
        frame = QuoteFrame(np.full(len(rows), venue), *columns)
        clearance = self.clearance
        return e.QuotesCleared(
            **clearance, quote_set_id=name or f"Q{self.sequence}", party=PARTY, quote_ts=self.now, frame=frame
        )

    def purge(self, venue: int = -1, contracts: tuple[int, ...] = ()) -> e.QuoteCancelCleared:
        cancel = c.CancelQuotes(**self.head, cancel_id=f"C{self.sequence}", venue=venue, contracts=contracts, reason="")
        return e.QuoteCancelCleared(**self.clearance, cancel=cancel)

    def order(self, clordid: str, venue: int = 3, **terms: Any) -> e.OrderCleared:  # noqa: ANN401 - any field
        """A buy of 100 shares at 100.10, immediate or cancel, unless said otherwise."""
        plain: dict[str, Any] = {
            "request_id": "R1",
            "contract": c.STOCK,
            "side": "buy",
            "quantity": 100,
            "order_type": "limit",
            "price": 1_001_000,
            "tif": "ioc",
            "intent": c.Intent.HEDGE,
            "party": PARTY,
            "sale_marking": "long" if terms.get("side") == "sell" else "",
            "locate_id": "",
            "market_maker_exempt": False,
        }
        order = c.SubmitOrder(**self.head, clordid=clordid, venue=venue, **{**plain, **terms})
        return e.OrderCleared(**self.clearance, order=order)

    def cancel(self, clordid: str, orig: str, venue: int = 3) -> e.OrderCancelCleared:
        cancel = c.CancelOrder(**self.head, clordid=clordid, orig_clordid=orig, venue=venue, reason="asked")
        return e.OrderCancelCleared(**self.clearance, cancel=cancel)

    def cancel_all(self, venue: int = 3) -> e.OrdersCancelCleared:
        cancel = c.CancelAllOrders(**self.head, cancel_id=f"X{self.sequence}", venue=venue, reason="asked")
        return e.OrdersCancelCleared(**self.clearance, cancel=cancel)

    def replace(self, clordid: str, orig: str, venue: int = 3, **terms: Any) -> e.OrderReplaceCleared:  # noqa: ANN401 - any field
        plain: dict[str, Any] = {
            "contract": c.STOCK,
            "side": "buy",
            "quantity": 100,
            "price": 1_001_000,
            "party": PARTY,
        }
        replace = c.ReplaceOrder(**self.head, clordid=clordid, orig_clordid=orig, venue=venue, **{**plain, **terms})
        return e.OrderReplaceCleared(**self.clearance, replace=replace)

    # --- venues -------------------------------------------------------------------------------------------------------
    def exchange(
        self,
        index: int,
        *,
        venues: VenueTable | None = None,
        seed: int = 1,
        is_open: bool = True,
        **settings: Any,  # noqa: ANN401 - any field
    ) -> Exchange:
        exchange = Exchange(venues or self.venues, index, self.chain, TICKS, ExchangeSettings(**settings), seed)
        if is_open:
            exchange.on_market(self.session())
        return exchange


def _columns(rows: Sequence[Sequence[int]], width: int) -> list[np.ndarray[Any, Any]]:
    table = np.array(rows, np.int64).reshape(-1, width)
    return [table[:, column] for column in range(width)]


@pytest.fixture
def market() -> Market:
    return Market()
