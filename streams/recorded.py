"""What every recorded or synthetic day has in common: the order of its events, their times, and what was refused.

Sans I/O: openers such as `streams.lean.open_lean` read files and hand the decoded day to `Tape`.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from domain.calendar import Session, session
from domain.class_hours_table import class_hours
from domain.errors import InputError
from domain.events import (
    ChainListed,
    Event,
    FeedDegraded,
    NbboUpdated,
    OpenInterestPublished,
    SessionChanged,
    SessionState,
    TradesPrinted,
    UnderlyingTraded,
    UnderlyingUpdated,
)
from domain.frames import NbboFrame, OpenInterestFrame, TradeFrame
from domain.instrument import OptionContract
from domain.price import TickClass, Units, tick_class, tick_class_from_prices
from domain.ticks_table import CLASS_TICKS
from streams.refusals import MINUTE_NS, Refusals

LISTED_BEFORE_OPEN_NS: Final = MINUTE_NS
"""The chain, the open interest and the pre-open state are published this long before the open."""


class FeedItem(NamedTuple):
    """An input and its place in its source: the pair (source, offset) names it for ever."""

    source: str
    offset: int
    event: Event


class Recording(Protocol):
    """One day of one underlying with its chain, as inputs in time order. Reading it twice gives the same items."""

    @property
    def name(self) -> str:
        """Where it comes from, for instance `lean:GOOG:2015-12-24`. It is the source of its items."""
        ...

    @property
    def is_synthetic(self) -> bool:
        """Whether the market was made up."""
        ...

    @property
    def underlying(self) -> str:
        """Symbol of the underlying."""
        ...

    @property
    def trade_date(self) -> dt.date:
        """Trade date, New York."""
        ...

    @property
    def open_ns(self) -> int:
        """Open of the options session, ns since the epoch, UTC."""
        ...

    @property
    def close_ns(self) -> int:
        """Close of the options session, ns since the epoch, UTC."""
        ...

    @property
    def total_steps(self) -> int:
        """Publication times that the session has room for: bars or flush windows. Not all need to hold data."""
        ...

    def items(self, start: int = 0) -> Iterator[FeedItem]:
        """Yield the inputs from offset `start` on; `ts_event` never decreases, offsets are dense from 0."""
        ...


class StockQuote(NamedTuple):
    """Best bid and offer of the underlying: price units, shares. An index has a level on both sides and size 0."""

    bid: int
    bid_size: int
    ask: int
    ask_size: int


class StockBar(NamedTuple):
    """Prints of the underlying since the last step: last price, range, volume. Price units, shares."""

    price: int
    low: int
    high: int
    volume: int


class Step(NamedTuple):
    """All that became known at one instant."""

    ts: int
    trades: TradeFrame | None = None
    stock_bar: StockBar | None = None
    stock_quote: StockQuote | None = None
    nbbo: NbboFrame | None = None

    def events(self, underlying: str) -> Iterator[Event]:
        """Yield its events in the order in which they are published.

        Prints come before quotes: they happened against what was quoted before this instant.
        """
        if self.trades is not None and len(self.trades):
            yield TradesPrinted(ts_event=self.ts, ts_init=self.ts, underlying=underlying, frame=self.trades)
        if self.stock_bar is not None:
            price, low, high, volume = self.stock_bar
            yield UnderlyingTraded(
                ts_event=self.ts, ts_init=self.ts, underlying=underlying, price=price, low=low, high=high, volume=volume
            )
        if self.stock_quote is not None:
            bid, bid_size, ask, ask_size = self.stock_quote
            yield UnderlyingUpdated(
                ts_event=self.ts,
                ts_init=self.ts,
                underlying=underlying,
                bid=bid,
                bid_size=bid_size,
                ask=ask,
                ask_size=ask_size,
            )
        if self.nbbo is not None and len(self.nbbo):
            yield NbboUpdated(ts_event=self.ts, ts_init=self.ts, underlying=underlying, frame=self.nbbo)


@dataclass(frozen=True, kw_only=True)
class Tape:
    """A `Recording` made of decoded parts.

    Attributes:
        contracts: In dense-index order, as `domain.chain.Chain` sorts them.
        ticks: Tick class of each root.
        steps: Returns a fresh iterator of steps, ascending in time and inside the session, for each reading.
        degraded: Refusals, ascending in time and inside the session.
    """

    name: str
    is_synthetic: bool
    underlying: str
    hours: Session
    total_steps: int
    contracts: tuple[OptionContract, ...]
    ticks: dict[str, TickClass]
    steps: Callable[[], Iterator[Step]]
    open_interest: OpenInterestFrame
    degraded: tuple[FeedDegraded, ...] = ()

    @property
    def trade_date(self) -> dt.date:
        """Trade date, New York."""
        return self.hours.date

    @property
    def open_ns(self) -> int:
        """Open of the options session, ns."""
        return self.hours.open_ns

    @property
    def close_ns(self) -> int:
        """Close of the options session, ns."""
        return self.hours.close_ns

    def items(self, start: int = 0) -> Iterator[FeedItem]:
        """Yield the inputs from offset `start` on.

        Raises:
            InputError: `start` is negative.
        """
        if start < 0:
            raise InputError("offset must not be negative", field="start", value=start)
        for offset, event in enumerate(itertools.islice(self._events(), start, None), start):
            yield FeedItem(self.name, offset, event)

    def _events(self) -> Iterator[Event]:
        early = self.open_ns - LISTED_BEFORE_OPEN_NS
        at: dict[str, Any] = {"ts_event": early, "ts_init": early, "underlying": self.underlying}
        yield ChainListed(
            **at, trade_date=self.trade_date.isoformat(), contracts=self.contracts, tick_classes=self.ticks
        )
        if len(self.open_interest):
            yield OpenInterestPublished(**at, frame=self.open_interest)
        yield self._state("pre_open", early)
        yield self._state("open", self.open_ns)
        pending = 0
        for step in self.steps():
            pending_to = pending
            while pending_to < len(self.degraded) and self.degraded[pending_to].ts_event < step.ts:
                pending_to += 1
            yield from self.degraded[pending:pending_to]
            pending = pending_to
            yield from step.events(self.underlying)
        yield from self.degraded[pending:]
        yield self._state("closed", self.close_ns)

    def _state(self, state: SessionState, ts: int) -> SessionChanged:
        return SessionChanged(
            ts_event=ts,
            ts_init=ts,
            underlying=self.underlying,
            state=state,
            open_ts=self.open_ns,
            close_ts=self.close_ns,
        )


def option_hours(underlying: str, trade_date: dt.date, *, is_index: bool) -> Session:
    """Return the regular options session of an underlying.

    Raises:
        InputError: The day is no session.
    """
    return session(trade_date, "index_option" if is_index else class_hours(underlying, trade_date))


def observed_ticks(
    contracts: Iterable[OptionContract],
    trade_date: dt.date,
    prices: Callable[[str], Units],
    refusals: Refusals,
    source: str,
) -> dict[str, TickClass]:
    """Return the tick class of each root: from the table where it has a row, else the coarsest that its quotes keep to.

    Args:
        contracts: The chain.
        trade_date: Trade date.
        prices: Returns the quoted prices of a root, price units, any order; asked only where the table lacks a row.
        refusals: Counts a root whose quotes keep to no grid: it takes the class of roots outside the penny program.
        source: Name of the quotes' source.
    """
    known = {row.root for row in CLASS_TICKS if row.holds_on(trade_date)}
    ticks: dict[str, TickClass] = {}
    for root in sorted({contract.root for contract in contracts}):
        ticks[root] = tick_class(root, trade_date)
        if root in known or root.rstrip("0123456789") in known:
            continue
        seen = prices(root)
        try:
            ticks[root] = tick_class_from_prices(seen) if seen.any() else ticks[root]
        except InputError as e:
            refusals.add(source, "prices on no tick grid", f"{root}: {e}")
    return ticks
