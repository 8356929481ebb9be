"""Facts about the run, its reference data and the market.

Prices are integer units of 1/10,000 dollar, money in `cash` and `pnl` fields is float dollars, sizes are contracts or
shares.
"""

from __future__ import annotations

from typing import Literal

from domain.events_base import Event
from domain.frames import NbboFrame, OpenInterestFrame, PositionFrame, TradeFrame
from domain.instrument import OptionContract
from domain.price import TickClass

SessionState = Literal["pre_open", "open", "halted", "closed"]


class RunStarted(Event, frozen=True, kw_only=True):
    """The first input of a run: all that shapes its behaviour. The digest leaves out `run`."""

    run: str
    seed: int
    source: str
    is_synthetic: bool
    trade_date: str
    settings: str


class ChainListed(Event, frozen=True, kw_only=True):
    """The contracts of one underlying for the day, in dense-index order, and the tick class of each root."""

    trade_date: str
    contracts: tuple[OptionContract, ...]
    tick_classes: dict[str, TickClass]


class SessionChanged(Event, frozen=True, kw_only=True):
    """The options session of the underlying opened, halted or closed. `close_ts` is the scheduled close."""

    state: SessionState
    open_ts: int
    close_ts: int


class PositionsImported(Event, frozen=True, kw_only=True):
    """Start-of-day positions and the cash that came with them.

    `stock_price` and `option_prices` are the marks that they come with, dollars per share; 0 for none. There is one for
    each row of the frame, or none at all.
    """

    stock: int
    stock_price: float
    cash: float
    frame: PositionFrame
    option_prices: tuple[float, ...] = ()


class TimerFired(Event, frozen=True, kw_only=True):
    """Time passed. `ts_event` is the time it was due."""

    timer: str


class RunEnded(Event, frozen=True, kw_only=True):
    """The last input of a run."""

    reason: str


class UnderlyingUpdated(Event, frozen=True, kw_only=True):
    """Best bid and offer of the underlying."""

    bid: int
    bid_size: int
    ask: int
    ask_size: int


class UnderlyingTraded(Event, frozen=True, kw_only=True):
    """Prints of the underlying: a single one, or a bar that closed."""

    price: int
    low: int
    high: int
    volume: int


class NbboUpdated(Event, frozen=True, kw_only=True):
    """The national best bid and offer of contracts changed."""

    frame: NbboFrame


class TradesPrinted(Event, frozen=True, kw_only=True):
    """Options traded."""

    frame: TradeFrame


class OpenInterestPublished(Event, frozen=True, kw_only=True):
    """Open interest of the previous close."""

    frame: OpenInterestFrame


class FeedDegraded(Event, frozen=True, kw_only=True):
    """The feed refused records: counted by reason, with one example. Nothing is dropped without one of these."""

    source: str
    reason: str
    count: int
    example: str
