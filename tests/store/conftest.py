"""Journals written by hand: short ones whose figures are known, and one of a whole small day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest

from domain import events as e
from domain.calendar import session
from domain.chain import Chain
from domain.commands import STOCK, Intent, Party, Side, SubmitOrder
from domain.events_base import Event
from domain.frames import (
    ForwardFrame,
    GreeksFrame,
    NbboFrame,
    PositionFrame,
    QuoteFrame,
    QuoteRefusalFrame,
    SurfaceFrame,
)
from domain.instrument import option
from domain.price import PENNY
from pricing.black import price
from store.day import Item

DAY: Final = dt.date(2016, 1, 4)
UNDERLYING: Final = "XYZ"
SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
LATENCY: Final = 200_000
OPEN: Final = session(DAY, "equity").open_ns
CLOSE: Final = OPEN + 40 * MINUTE
PARTY: Final = Party(account="MM1", capacity="market_maker", clearing_firm="CLR", market_maker_id="AXM")
VENUES: Final = ("VAAA", "VBBB", "VCCC", "VSTK")


def units(dollars: npt.ArrayLike) -> npt.NDArray[np.int64]:
    return np.rint(np.asarray(dollars, np.float64) * 10_000).astype(np.int64)


class Tape:
    """Writes events in the order of a journal. Times are nanoseconds after the open."""

    open_ts: Final = OPEN
    venues: Final = VENUES

    def __init__(
        self, strikes: Sequence[float] = (100.0,), expiries: Sequence[dt.date] = (dt.date(2016, 1, 15),)
    ) -> None:
        self.items: list[Item] = []
        contracts = tuple(
            option(UNDERLYING, expiry, round(strike * 1000), right)
            for expiry in expiries
            for strike in strikes
            for right in ("C", "P")
        )
        self.chain = Chain(UNDERLYING, DAY, contracts)
        self.n = len(self.chain)
        self.sets = self.fills = self.sequence = 0

    def stamp(self, at: int) -> dict[str, Any]:
        return {"ts_event": OPEN + at, "ts_init": OPEN + at, "underlying": UNDERLYING}

    def hear(self, source: str, event: Event) -> None:
        self.items.append((True, source, event))

    def say(self, event: Event) -> None:
        self.items.append((False, self.items[-1][1] if self.items else "", event))

    def begin(self, *, is_synthetic: bool = False, stock: int = 0) -> None:
        at = self.stamp(-MINUTE)
        self.hear(
            "run",
            e.RunStarted(
                **at, run="r1", seed=1, source="lean", is_synthetic=is_synthetic, trade_date=str(DAY), settings="{}"
            ),
        )
        listed = e.ChainListed(
            **at, trade_date=str(DAY), contracts=self.chain.contracts, tick_classes={UNDERLYING: PENNY}
        )
        self.hear("feed", listed)
        empty = PositionFrame.empty()
        self.hear("positions", e.PositionsImported(**at, stock=stock, stock_price=100.0, cash=0.0, frame=empty))
        self.session(0, "open")

    def session(self, at: int, state: e.SessionState) -> None:
        self.hear("feed", e.SessionChanged(**self.stamp(at), state=state, open_ts=OPEN, close_ts=CLOSE))

    def stock(self, at: int, bid: float, ask: float) -> None:
        self.hear(
            "feed",
            e.UnderlyingUpdated(**self.stamp(at), bid=int(units(bid)), bid_size=100, ask=int(units(ask)), ask_size=100),
        )

    def nbbo(self, at: int, contract: npt.ArrayLike, bid: npt.ArrayLike, ask: npt.ArrayLike) -> None:
        rows, bids, asks = np.atleast_1d(contract), units(np.atleast_1d(bid)), units(np.atleast_1d(ask))
        frame = NbboFrame(contract=rows, bid=bids, bid_size=10 * (bids > 0), ask=asks, ask_size=10 * (asks > 0))
        self.hear("feed", e.NbboUpdated(**self.stamp(at), frame=frame))

    def greeks(self, at: int, theo: npt.ArrayLike, delta: npt.ArrayLike) -> None:
        columns: dict[str, Any] = {name: np.zeros(self.n) for name in GreeksFrame.dtypes}
        columns |= {"contract": np.arange(self.n), "theo": np.asarray(theo), "delta": np.asarray(delta)}
        self.say(e.GreeksComputed(**self.stamp(at), spot=100.0, is_refresh=False, frame=GreeksFrame(**columns)))

    def quote(self, at: int, rows: Sequence[tuple[int, int, float, float]], *, size: int = 5) -> str:
        """Clear quotes: (venue, contract, bid, ask), 0 for a side that is pulled. Returns the set's identifier."""
        self.sets += 1
        name = f"q{self.sets}"
        venue, contract, bid, ask = (np.array(column) for column in zip(*rows, strict=True))
        bids, asks = units(bid), units(ask)
        frame = QuoteFrame(
            venue=venue, contract=contract, bid=bids, bid_size=size * (bids > 0), ask=asks, ask_size=size * (asks > 0)
        )
        self.sequence += 1
        self.say(
            e.QuotesCleared(
                **self.stamp(at),
                gate="g",
                sequence=self.sequence,
                seal="",
                quote_set_id=name,
                party=PARTY,
                quote_ts=OPEN + at,
                frame=frame,
            )
        )
        return name

    def ack(self, at: int, venue: int, name: str, accepted: int, refused: Sequence[int] = ()) -> None:
        frame = QuoteRefusalFrame(
            venue=np.full(len(refused), venue), contract=np.array(refused, int), reason=np.full(len(refused), 3)
        )
        self.hear(
            f"venue.{VENUES[venue]}",
            e.QuotesAcknowledged(**self.stamp(at), venue=venue, quote_set_id=name, accepted=accepted, frame=frame),
        )

    def show(self, at: int, rows: Sequence[tuple[int, int, float, float]]) -> str:
        """Clear and acknowledge quotes at once."""
        name = self.quote(at, rows)
        for venue in sorted({row[0] for row in rows}):
            self.ack(at, venue, name, sum(row[0] == venue for row in rows))
        return name

    def cancel(self, at: int, venue: int, contracts: tuple[int, ...] = ()) -> None:
        self.hear(
            f"venue.{VENUES[venue]}",
            e.QuotesCanceled(**self.stamp(at), venue=venue, cancel_id="c", contracts=contracts, reason="asked"),
        )

    def fill(
        self,
        at: int,
        contract: int,
        side: Side,
        quantity: int,
        price: float,
        *,
        venue: int = 0,
        leaves: int = 0,
        clordid: str = "",
    ) -> str:
        """A venue reports a trade, and we book it."""
        self.fills += 1
        name, is_quote = f"f{self.fills}", not clordid
        report = e.ExecutionReported(
            **self.stamp(at),
            venue=venue,
            clordid=clordid,
            orig_clordid="",
            quote_set_id=f"q{self.sets}" if is_quote else "",
            exec_id=name,
            exec_ref_id="",
            exec_type=e.ExecType.TRADE,
            ord_status=e.OrdStatus.FILLED,
            contract=contract,
            side=side,
            last_qty=quantity,
            last_px=int(units(price)),
            cum_qty=quantity,
            leaves_qty=leaves,
            fee=quantity * 100,
            adds_liquidity=is_quote,
            text="",
        )
        self.hear(f"venue.{VENUES[venue]}", report)
        self.say(
            e.OrderFilled(
                **self.stamp(at),
                fill_id=name,
                venue=venue,
                clordid=clordid,
                is_quote=is_quote,
                intent="" if is_quote else "hedge",
                contract=contract,
                side=side,
                quantity=quantity,
                price=int(units(price)),
                fee=quantity * 100,
                adds_liquidity=is_quote,
            )
        )
        return name

    def hedge(self, at: int, side: Side, quantity: int, price: float) -> None:
        """An order in the underlying: cleared, filled at once."""
        self.sequence += 1
        name = f"20160104-s-{self.sequence:07d}"
        order = SubmitOrder(
            **self.stamp(at),
            clordid=name,
            request_id=f"h{self.sequence}",
            venue=3,
            contract=STOCK,
            side=side,
            quantity=quantity,
            order_type="limit",
            price=int(units(price)),
            tif="ioc",
            intent=Intent.HEDGE,
            party=PARTY,
            sale_marking="short" if side == "sell" else "",
            locate_id="",
            market_maker_exempt=side == "sell",
        )
        self.say(
            e.OrderRouted(
                **self.stamp(at),
                request_id=order.request_id,
                clordid=name,
                venue=3,
                considered={"VSTK": order.price},
                rule="best net price",
            )
        )
        self.say(e.OrderCleared(**self.stamp(at), gate="g", sequence=self.sequence, seal="", order=order))
        self.fill(at, STOCK, side, quantity, price, venue=3, clordid=name)
        self.say(
            e.OrderStateChanged(
                **self.stamp(at), clordid=name, venue=3, before="new", after="filled", cum_qty=quantity, leaves_qty=0
            )
        )

    def end(self, at: int) -> None:
        self.session(at, "closed")
        self.hear("run", e.RunEnded(**self.stamp(at), reason="end of feed"))


@pytest.fixture
def tape() -> Tape:
    """A tape of a call (0) and a put (1) at 100, nothing on it."""
    return Tape()


@pytest.fixture
def venues() -> tuple[str, ...]:
    """Names of the venues that tapes speak of."""
    return VENUES


@pytest.fixture(scope="session")
def small_day() -> list[Item]:
    """Forty minutes of 40 contracts: quotes at two venues, fills of quotes and hedges, refusals, a settlement."""
    return _SmallDay().items


class _SmallDay(Tape):
    def __init__(self) -> None:
        strikes = [90.0 + 2 * step for step in range(10)]
        super().__init__(strikes, (dt.date(2016, 1, 4), dt.date(2016, 2, 19)))
        self.random = np.random.default_rng(7)
        self.years = np.where(self.chain.expiry_index == 0, 6.5 / 24 / 365, 46 / 365)
        self.net: dict[int, int] = {}
        self.begin()
        spot = self.spot = 100.0
        for minute in range(1, 41):
            spot += float(self.random.normal(0.0, 0.06))
            self.minute(minute, spot)
        self.settle(spot)
        self.end(40 * MINUTE)

    def minute(self, minute: int, spot: float) -> None:
        at = minute * MINUTE
        rng = self.random
        if minute > 3:
            for _ in range(int(rng.integers(0, 4))):
                self.trade(at, minute)
        half = 0.01 + 0.02 * rng.random()
        self.spot = spot
        self.stock(at, spot - half, spot + half)
        vol = 0.25 + 0.1 * (np.log(self.chain.strike / spot)) ** 2 - 0.2 * np.log(self.chain.strike / spot)
        root = np.sqrt(self.years)
        theo = np.asarray(price(np.full(self.n, spot), self.chain.strike, vol * root, np.ones(self.n), self.chain.sign))
        d1 = np.log(spot / self.chain.strike) / (vol * root) + vol * root / 2
        call = 1 / (1 + np.exp(-1.702 * d1))
        delta = np.where(self.chain.sign > 0, call, call - 1)
        width = np.maximum(np.round(0.04 + 0.03 * theo + 0.05 * rng.random(self.n), 2), 0.02)
        bid = np.maximum(np.floor((theo - width / 2) * 100) / 100, 0.0)
        ask = bid + width
        self.nbbo(at, np.arange(self.n), bid, ask)
        self.surface(at, spot)
        self.greeks(at, theo, delta)
        self.show_all(at, theo, width)
        self.expose(at, spot, minute)

    def surface(self, at: int, spot: float) -> None:
        ones = np.ones(2)
        years = np.array([6.5 / 24 / 365, 46 / 365])
        self.say(
            e.ForwardImplied(
                **self.stamp(at),
                spot=spot,
                frame=ForwardFrame(
                    expiry=np.arange(2),
                    years=years,
                    forward=spot * ones,
                    forward_error=0.01 * ones,
                    discount=ones,
                    rate=0.0 * ones,
                    carry_yield=0.0 * ones,
                    pairs=np.array([10, 10]),
                ),
            )
        )
        self.say(
            e.SurfaceFitted(
                **self.stamp(at),
                spot=spot,
                frame=SurfaceFrame(
                    expiry=np.arange(2),
                    years=years,
                    forward=spot * ones,
                    a=0.0556 * years,
                    b=0.1 * years,
                    rho=-0.7 * ones,
                    m=0.0 * ones,
                    sigma=0.1 * ones,
                    rmse=0.004 * ones,
                    error=0.002 * ones,
                    min_g=0.2 * ones,
                    quotes=np.array([14, 20]),
                    status=np.zeros(2),
                ),
            )
        )

    def show_all(self, at: int, theo: npt.NDArray[np.float64], width: npt.NDArray[np.float64]) -> None:
        own = np.maximum(0.8 * width, 0.02)
        bid = np.maximum(np.floor((theo - own / 2) * 100) / 100, 0.0)
        ask = np.ceil((theo + own / 2) * 100) / 100
        rows = [
            (venue, contract, float(bid[contract]), float(ask[contract]))
            for venue in (0, 1)
            for contract in range(self.n)
            if theo[contract] > 0.03
        ]
        name = self.quote(at, rows)
        self.own = {row[1]: row[2:] for row in rows}
        refused = [rows[0][1]] if at % (7 * MINUTE) == 0 else []
        per_venue = len(rows) // 2
        self.ack(at + LATENCY, 0, name, per_venue - len(refused), refused)
        self.ack(at + LATENCY, 1, name, per_venue)
        if at % (10 * MINUTE) == 0:
            frame = QuoteRefusalFrame(venue=np.zeros(2), contract=np.array([1, 2]), reason=np.array([5, 5]))
            self.say(e.QuotesRefused(**self.stamp(at), quote_set_id=name, frame=frame))
            self.say(e.LimitBreached(**self.stamp(at), check="collar", subject=name, value=0.31, limit=0.25, count=2))

    def trade(self, at: int, minute: int) -> None:
        rng = self.random
        contract = int(rng.choice(list(self.own)))
        side: Side = "buy" if rng.random() < 0.5 else "sell"
        bid, ask = self.own[contract]
        price = bid if side == "buy" else ask
        if not price:
            return
        quantity = int(rng.integers(1, 5))
        self.fill(at, contract, side, quantity, price, venue=int(rng.integers(0, 2)), leaves=5 - quantity)
        self.move(at, contract, quantity if side == "buy" else -quantity, "fill")
        if minute % 4 == 0:
            self.say(e.HedgeDecided(**self.stamp(at), net_delta=60.0, band=40.0, target=0.0, quantity=-60))
            self.hedge(at + 5 * LATENCY, "sell", 60, round(self.spot - 0.02, 2))
            self.move(at + 5 * LATENCY, STOCK, -60, "fill")

    def move(self, at: int, contract: int, change: int, cause: str) -> None:
        self.net[contract] = self.net.get(contract, 0) + change
        self.say(
            e.PositionChanged(
                **self.stamp(at), contract=contract, quantity=self.net[contract], change=change, cause=cause
            )
        )

    def expose(self, at: int, spot: float, minute: int) -> None:
        wave = float(np.sin(minute / 6))
        self.say(
            e.ExposureChanged(
                **self.stamp(at),
                spot=spot,
                stock=self.net.get(STOCK, 0),
                delta=55 * wave,
                gamma=12 * wave + minute / 4,
                vega=900 * wave - 10 * minute,
                theta=-4_000.0 - 50 * minute,
                option_delta=55 * wave - self.net.get(STOCK, 0),
                cause="greeks",
            )
        )
        parts: dict[str, Any] = {
            "spread": 14.0 * minute,
            "delta": 90 * wave,
            "gamma": 1.5 * minute,
            "vega": -30 * wave,
            "theta": -0.8 * minute,
            "rest": 4 * wave,
            "hedging": -2.0 * minute,
            "fees": -1.1 * minute,
        }
        self.hear("timer", e.TimerFired(**self.stamp(at), timer="1s"))
        self.say(
            e.PnlMarked(**self.stamp(at), total=sum(parts.values()), **parts, cash=100.0, stock=0, open_contracts=12)
        )
        self.say(
            e.ObligationMeasured(
                **self.stamp(at),
                rule="60 % of the session",
                quoted_seconds=58.0 * minute,
                required_share=0.6,
                elapsed_seconds=60.0 * minute,
                share=58 / 60,
                forecast_share=0.96,
                shortfall_seconds=0.0,
                wide_share=0.01,
            )
        )

    def settle(self, spot: float) -> None:
        at = 40 * MINUTE
        expiring = [c for c in sorted(self.net) if c != STOCK and self.chain.expiry_index[c] == 0 and self.net[c]]
        for contract in expiring:
            held, sign = self.net[contract], int(self.chain.sign[contract])
            is_in = sign * (spot - float(self.chain.strike[contract])) > 0
            shares = sign * held * 100 if is_in else 0
            outcome: Any = "worthless" if not is_in else "exercised" if held > 0 else "assigned"
            self.say(
                e.PositionSettled(
                    **self.stamp(at),
                    contract=contract,
                    quantity=held,
                    outcome=outcome,
                    settlement_price=spot,
                    shares=shares,
                    cash=-shares * float(self.chain.strike[contract]),
                )
            )
            self.move(at, contract, -held, "settlement")
            if shares:
                self.move(at, STOCK, shares, "settlement")
