"""A hedger and the little world around it: exposures in, the fate of its orders back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from domain import commands as c
from domain import events as e
from domain.chain import Chain
from domain.frames import GreeksFrame
from domain.instrument import option
from hedging.hedger import Hedger
from hedging.settings import HedgerSettings

OPEN = 1_450_967_400_000_000_000
SECOND = 1_000_000_000
TODAY = dt.date(2015, 12, 24)
PARTY = c.Party(account="A1", capacity="market_maker", clearing_firm="CF", market_maker_id="MM")

CHAIN = Chain(
    "XYZ",
    TODAY,
    [
        option("XYZ", expiry, strike, right)
        for expiry in (TODAY, dt.date(2016, 1, 15))
        for strike in (95_000, 100_000, 105_000)
        for right in ("C", "P")
    ],
)
"""Three strikes around the price, half of the contracts settle at today's close."""


class Desk:
    """Drives one hedger. Stock at 100.00 by 100.02; `shares` is the true position of stock."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - any field
        self.settings = HedgerSettings(**{"risk_aversion": 1e-3, "max_band": 300.0, **settings})
        self.hedger = Hedger(self.settings, CHAIN)
        self.now = OPEN
        self.shares = 0
        self.option_delta = 0.0
        self.gamma = 10.0
        self.spot = 100.0
        self.close = OPEN + 1_000 * SECOND
        self.orders = 0
        self.fills = 0
        self.session("open")
        self.apply(e.UnderlyingUpdated(**self.head, bid=1_000_000, bid_size=500, ask=1_000_200, ask_size=500))

    @property
    def head(self) -> dict[str, Any]:
        return {"ts_event": self.now, "ts_init": 7, "underlying": "XYZ"}

    def apply(self, event: e.Event) -> list[c.RequestOrder]:
        """Apply an event; what is requested, each with its decision before it."""
        told = list(self.hedger.apply(event))
        requests = [event for event in told if isinstance(event, c.RequestOrder)]
        decided = [event for event in told if isinstance(event, e.HedgeDecided)]
        assert [abs(d.quantity) for d in decided] == [r.quantity for r in requests]
        return requests

    def later(self, ns: int = SECOND) -> Desk:
        self.now += ns
        return self

    def session(self, state: e.SessionState) -> None:
        self.apply(e.SessionChanged(**self.head, state=state, open_ts=OPEN, close_ts=self.close))

    def hand_over(self) -> e.HedgeDecided | None:
        """The session closes on time; what the hedger states."""
        self.now = self.close
        closed = e.SessionChanged(**self.head, state="closed", open_ts=OPEN, close_ts=self.close)
        told = list(self.hedger.apply(closed))
        assert all(isinstance(event, e.HedgeDecided) for event in told)
        return told[0] if told and isinstance(told[0], e.HedgeDecided) else None

    def hold(self, contract: int, quantity: int) -> None:
        """A position in one contract."""
        changed = e.PositionChanged(**self.head, contract=contract, quantity=quantity, change=quantity, cause="import")
        assert self.apply(changed) == []

    def greeks(self, delta: dict[int, float]) -> None:
        """Deltas of some contracts; nothing is known of the others."""
        columns: dict[str, npt.NDArray[Any]] = {name: np.zeros(len(delta)) for name in GreeksFrame.dtypes}
        columns |= {"contract": np.array(list(delta)), "delta": np.array(list(delta.values()))}
        computed = e.GreeksComputed(**self.head, spot=self.spot, is_refresh=True, frame=GreeksFrame(**columns))
        assert self.apply(computed) == []

    def exposure(self, option_delta: float | None = None, *, stock: int | None = None) -> list[c.RequestOrder]:
        """The exposure of the book as it is, or with an older stock position."""
        self.option_delta = self.option_delta if option_delta is None else option_delta
        shares = self.shares if stock is None else stock
        return self.apply(
            e.ExposureChanged(
                **self.head,
                spot=self.spot,
                stock=shares,
                delta=self.option_delta + shares,
                gamma=self.gamma,
                vega=0.0,
                theta=0.0,
                option_delta=self.option_delta,
                cause="greeks",
            )
        )

    def timer(self) -> list[e.Event]:
        return list(self.hedger.apply(e.TimerFired(**self.head, timer="1s")))

    # --- the fate of a request ----------------------------------------------------------------------------------------
    def route(self, request: c.RequestOrder, children: int = 1) -> list[str]:
        names = []
        for _ in range(children):
            self.orders += 1
            names.append(f"O{self.orders}")
            routed = e.OrderRouted(
                **self.head, request_id=request.request_id, clordid=names[-1], venue=3, considered={}, rule="test"
            )
            assert self.apply(routed) == []
        for place, name in enumerate(names):
            share = request.quantity // children + (place < request.quantity % children)
            assert self.apply(self.order(name, request, share)) == []
        return names

    def order(self, clordid: str, request: c.RequestOrder, quantity: int) -> c.SubmitOrder:
        return c.SubmitOrder(
            **self.head,
            clordid=clordid,
            request_id=request.request_id,
            party=PARTY,
            venue=3,
            contract=c.STOCK,
            side=request.side,
            quantity=quantity,
            order_type="limit",
            price=1_000_000,
            tif="ioc",
            intent=request.intent,
            sale_marking="",
            locate_id="",
            market_maker_exempt=False,
        )

    def fill(self, clordid: str, request: c.RequestOrder, quantity: int) -> None:
        self.fills += 1
        self.shares += quantity if request.side == "buy" else -quantity
        filled = e.OrderFilled(
            **self.head,
            fill_id=f"3:{self.fills}",
            venue=3,
            clordid=clordid,
            is_quote=False,
            intent="hedge",
            contract=c.STOCK,
            side=request.side,
            quantity=quantity,
            price=1_000_200,
            fee=0,
            adds_liquidity=False,
        )
        assert self.apply(filled) == []

    def end(self, clordid: str, state: str) -> None:
        changed = e.OrderStateChanged(
            **self.head, clordid=clordid, venue=3, before="new", after=state, cum_qty=0, leaves_qty=0
        )
        assert self.apply(changed) == []

    def refuse(self, request: c.RequestOrder, clordid: str = "") -> None:
        refused = e.OrderRefused(**self.head, clordid=clordid, request_id=request.request_id, reason="test", detail="")
        assert self.apply(refused) == []

    def settle(self, requests: Sequence[c.RequestOrder]) -> None:
        """Fill every request in full."""
        for request in requests:
            (name,) = self.route(request)
            self.fill(name, request, request.quantity)
            self.end(name, "filled")


@pytest.fixture
def desk() -> Desk:
    return Desk()
