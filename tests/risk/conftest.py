"""A small desk: a chain, a market that is easy to reason about, and a gate in front of it."""

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
from domain.frames import GreeksFrame, NbboFrame, QuoteFrame, QuoteRefusalFrame
from domain.instrument import OptionContract
from domain.price import NICKEL_DIME
from risk.gate import RiskGate
from risk.limits import Limits
from risk.seal import Sealer

DAY = dt.date(2015, 12, 24)
OPEN = 1_450_967_400_000_000_000  # 09:30 New York
CLOSE = 1_450_980_000_000_000_000  # 13:00 New York, a half day
SECOND = 1_000_000_000
KEY = b"a key of the tests alone"
PARTY = c.Party(account="A1", capacity="market_maker", clearing_firm="CF", market_maker_id="MM")


def make_chain(
    strikes: Sequence[int] = (90, 100, 110), expiries: Sequence[dt.date] = (DAY, dt.date(2016, 1, 15))
) -> Chain:
    return Chain(
        "XYZ",
        DAY,
        [
            OptionContract(root="XYZ", underlying="XYZ", expiry=expiry, strike=strike * 1000, right=right)
            for expiry in expiries
            for strike in strikes
            for right in ("C", "P")
        ],
    )


def greeks_frame(chain: Chain, theo: npt.ArrayLike, **columns: npt.ArrayLike) -> GreeksFrame:
    """Greeks of the whole chain; what is not given is 0."""
    n = len(chain)
    values: dict[str, Any] = {name: np.zeros(n) for name in GreeksFrame.dtypes}
    values |= {
        "contract": np.arange(n),
        "theo": np.broadcast_to(theo, n),
        "vol": np.full(n, 0.3),
        "status": np.zeros(n),
    }
    return GreeksFrame.from_columns(values | {k: np.broadcast_to(v, n) for k, v in columns.items()})


class Desk:
    """Drives one gate: stock 100.00 by 100.02, every option theo 5.00 and NBBO 4.80 by 5.20, delta sign * 0.5."""

    open_ts = OPEN
    close_ts = CLOSE
    second = SECOND
    party = PARTY
    key = KEY
    make_chain = staticmethod(make_chain)
    greeks_frame = staticmethod(greeks_frame)

    def __init__(self, limits: Limits | None = None, chain: Chain | None = None, venues: int = 2) -> None:
        self.chain = chain or make_chain()
        self.sealer = Sealer(KEY)
        self.now = OPEN + SECOND
        self.venues = venues
        self.sets = 0
        self.gate = RiskGate(
            self.chain, {"XYZ": NICKEL_DIME}, limits or Limits(stale_ms=65_000), self.sealer, "XYZ-gate", "XYZ", venues
        )

    @property
    def head(self) -> dict[str, Any]:
        return {"ts_event": self.now, "ts_init": self.now, "underlying": "XYZ"}

    def apply(self, event: e.Event) -> list[e.Event]:
        return list(self.gate.apply(event))

    def open(self) -> Desk:
        self.apply(e.SessionChanged(**self.head, state="open", open_ts=OPEN, close_ts=CLOSE))
        self.underlying()
        self.greeks()
        self.nbbo()
        return self

    def underlying(self, bid: int = 1_000_000, ask: int = 1_000_200) -> None:
        self.apply(e.UnderlyingUpdated(**self.head, bid=bid, bid_size=100, ask=ask, ask_size=100))

    def greeks(self, theo: npt.ArrayLike = 5.0, **columns: npt.ArrayLike) -> None:
        given: dict[str, npt.ArrayLike] = {"delta": self.chain.sign * 0.5, "gamma": 0.02, "vega": 10.0, **columns}
        frame = greeks_frame(self.chain, theo, **given)
        self.apply(e.GreeksComputed(**self.head, spot=100.01, is_refresh=True, frame=frame))

    def nbbo(self, bid: int = 48_000, ask: int = 52_000) -> None:
        n = len(self.chain)
        size = np.full(n, 10)
        frame = NbboFrame(contract=np.arange(n), bid=np.full(n, bid), bid_size=size, ask=np.full(n, ask), ask_size=size)
        self.apply(e.NbboUpdated(**self.head, frame=frame))

    def quotes(self, rows: Sequence[tuple[int, int, int, int, int, int]], name: str = "") -> c.PlaceQuotes:
        """Rows of (venue, contract, bid, bid size, ask, ask size)."""
        self.sets += 1
        columns = np.array(rows, dtype=np.int64).reshape(-1, 6).T
        frame = QuoteFrame(**dict(zip(QuoteFrame.dtypes, columns, strict=True)))
        return c.PlaceQuotes(
            **self.head, quote_set_id=name or f"Q{self.sets}", party=PARTY, quote_ts=self.now, frame=frame
        )

    def place(self, *rows: tuple[int, int, int, int, int, int], name: str = "") -> list[e.Event]:
        return self.apply(self.quotes(rows, name))

    def full(self, size: int = 10, bid: int = 49_000, ask: int = 51_000) -> list[e.Event]:
        n = len(self.chain)
        return self.place(*((v, i, bid, size, ask, size) for v in range(self.venues) for i in range(n)))

    def order(self, **fields: object) -> c.SubmitOrder:
        self.sets += 1
        values: dict[str, Any] = {
            "clordid": f"O{self.sets}",
            "request_id": f"R{self.sets}",
            "venue": 0,
            "contract": c.STOCK,
            "side": "buy",
            "quantity": 100,
            "order_type": "limit",
            "price": 1_000_200,
            "tif": "ioc",
            "intent": c.Intent.HEDGE,
            "party": PARTY,
            "sale_marking": "",
            "locate_id": "",
            "market_maker_exempt": False,
        }
        return c.SubmitOrder(**self.head, **(values | fields))

    def submit(self, **fields: object) -> list[e.Event]:
        return self.apply(self.order(**fields))

    def ack(self, venue: int, name: str, accepted: int, refused: Sequence[int] = ()) -> None:
        frame = QuoteRefusalFrame(
            venue=np.full(len(refused), venue), contract=np.array(refused, np.int64), reason=np.full(len(refused), 16)
        )
        self.apply(e.QuotesAcknowledged(**self.head, venue=venue, quote_set_id=name, accepted=accepted, frame=frame))

    def report(self, **fields: object) -> e.ExecutionReported:
        self.sets += 1
        values: dict[str, Any] = {
            "venue": 0,
            "clordid": "",
            "orig_clordid": "",
            "quote_set_id": "",
            "exec_id": f"X{self.sets}",
            "exec_ref_id": "",
            "exec_type": e.ExecType.TRADE,
            "ord_status": e.OrdStatus.PARTIALLY_FILLED,
            "contract": 0,
            "side": "buy",
            "last_qty": 0,
            "last_px": 0,
            "cum_qty": 0,
            "leaves_qty": 0,
            "fee": 0,
            "adds_liquidity": True,
            "text": "",
        }
        return e.ExecutionReported(**self.head, **(values | fields))

    def hold(self, contract: int, quantity: int) -> None:
        self.apply(
            e.PositionChanged(**self.head, contract=contract, quantity=quantity, change=quantity, cause="import")
        )

    def expose(self, delta: float = 0.0, gamma: float = 0.0, vega: float = 0.0, stock: int = 0) -> None:
        self.apply(
            e.ExposureChanged(
                **self.head,
                spot=100.01,
                stock=stock,
                delta=delta,
                gamma=gamma,
                vega=vega,
                theta=0.0,
                option_delta=delta - stock,
                cause="greeks",
            )
        )

    def limit(self, **limits: float) -> list[e.Event]:
        return self.apply(c.ChangeLimits(**self.head, user="u", reason="r", limits=limits))

    def kill(self) -> list[e.Event]:
        return self.apply(c.EngageKillSwitch(**self.head, user="u", reason="r"))

    def release(self) -> list[e.Event]:
        return self.apply(c.ReleaseKillSwitch(**self.head, user="u", reason="r"))


@pytest.fixture(scope="session")
def new_desk() -> type[Desk]:
    return Desk


@pytest.fixture
def desk() -> Desk:
    """An open market and default limits."""
    return Desk().open()
