"""A venue as pure code: the same in process, in a venue process and in a backtest.

It follows the recorded market (`routing.venue_book`), takes our mass quotes and orders, and trades them by the queue
model of `routing.queue_model`. Our own orders never trade with our own quotes here: the displayed book holds the
market, not us, and the risk gate refuses self-trades before they leave. Times of returned events are times at the
venue; `latency_ns` is for the runtime that carries the messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from domain.chain import Chain
from domain.commands import STOCK
from domain.errors import InputError
from domain.events import (
    Clearance,
    Event,
    ExecType,
    ExecutionReported,
    NbboUpdated,
    OrderCancelCleared,
    OrderCleared,
    OrderReplaceCleared,
    OrdersCancelCleared,
    OrderStatusCleared,
    OrdStatus,
    QuoteCancelCleared,
    QuotesCleared,
    SessionChanged,
    SessionState,
    TradesPrinted,
    UnderlyingTraded,
    UnderlyingUpdated,
    VenueStatusChanged,
)
from domain.frames import QuoteFrame
from domain.price import TickClass
from domain.state import pack, unpack
from routing.nbbo import Ints, check_contracts
from routing.order_entry import OrderEntry, WorkingOrder
from routing.order_history import OrderHistory
from routing.queue_model import apportion, rotation
from routing.quote_entry import HIGH, LOW, QuoteEntry
from routing.reports import Reports
from routing.venue_book import VenueBook, chain_ticks
from routing.venues import VenueTable

_VERSION = 3
_TAPE_SALT = 0x7A9E
_NBBO_SALT = 0xC105


class ExchangeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How simulated venues behave; the queue model itself is stated in `routing.queue_model`.

    Attributes:
        join_probability: Chance that a venue shows the NBBO on a side, in [0, 1]; one always does, the others stand a
            tick behind.
        replenish_ms: Time after which displayed size that we took is shown again, if the NBBO did not change before.
        max_quote_size: Largest size of a quote side, contracts.
        max_order_size: Largest order, contracts or shares.
        post_only: Whether quotes may only add liquidity: an entry that would trade on arrival is refused. Otherwise it
            trades at once, at the taker's fee.

    Raises:
        InputError: A value is out of range.
    """

    join_probability: float = 0.5
    replenish_ms: int = 1_000
    max_quote_size: int = 1_000
    max_order_size: int = 100_000
    post_only: bool = True

    def __post_init__(self) -> None:
        """Refuse what no venue could do."""
        if not 0.0 <= self.join_probability <= 1.0:
            raise InputError("must be in [0, 1]", field="exchange.join_probability", value=self.join_probability)
        for name in ("replenish_ms", "max_quote_size", "max_order_size"):
            if getattr(self, name) < 1:
                raise InputError("must be positive", field=f"exchange.{name}", value=getattr(self, name))


MARKET_OF: Final[dict[str, tuple[type[Event], ...]]] = {
    "option": (NbboUpdated, TradesPrinted, SessionChanged),
    "stock": (UnderlyingUpdated, UnderlyingTraded, SessionChanged),
}
"""The market events that a venue of each kind follows; `Exchange.on_market` makes nothing of others."""


class Resting(NamedTuple):
    """What of ours rests at a venue."""

    quotes: QuoteFrame
    orders: tuple[WorkingOrder, ...]


class Exchange:
    """One venue.

    Its own market-maker protection (`Venue.protections`) counts executions of our quotes in a rolling window. When it
    trips, all our quotes are removed and new ones refused until we purge: a quote cancel that names no contracts.
    Orders are not touched by it.

    A quote set may come in several messages, one after the other, and names a contract once; what comes again is
    refused as a duplicate.

    A halt removes our quotes and keeps orders, which then do not trade; the close removes quotes and expires orders.
    """

    def __init__(
        self,
        venues: VenueTable,
        index: int,
        chain: Chain,
        tick_classes: dict[str, TickClass],
        settings: ExchangeSettings,
        seed: int,
    ) -> None:
        """Open a venue for one underlying.

        Args:
            venues: All venues: how a print is split depends on the others' shares.
            index: Which of them this is.
            chain: The contracts.
            tick_classes: By root, as in `ChainListed`.
            settings: Behaviour.
            seed: Of the run; the same for all venues, so that they split a print without talking.
        """
        n = len(chain)
        venue = venues[index]
        self.venue = venue
        self.session: SessionState = "pre_open"
        self._seed = seed
        ticks = chain_ticks(chain, tick_classes, venue.tick)
        peers = venues.of_kind(venue.kind)
        edges = venues.tape_edges(venue.kind)
        place = peers.index(venue)
        self._tape = float(edges[place]), float(edges[place + 1])
        self._n = n
        self._book = VenueBook(
            venue,
            venues,
            ticks,
            n,
            seed=seed,
            join=settings.join_probability,
            replenish_ns=settings.replenish_ms * 1_000_000,
        )
        self._reports = Reports(venue, chain.underlying, chain.trade_date)
        self._quotes = QuoteEntry(
            venue,
            ticks,
            n,
            self._book,
            self._reports,
            max_size=settings.max_quote_size,
            post_only=settings.post_only,
            seed=seed,
        )
        self._orders = OrderEntry(
            venue, ticks, n, self._book, self._reports, max_size=settings.max_order_size, seed=seed
        )
        self._history = OrderHistory(self._reports)
        self._is_up = False
        self._multiplier = [contract.multiplier for contract in chain.contracts]
        self._position: Ints = np.zeros(n, np.int64)
        self._stock = 0
        self._cash = 0

    # --- what the runtime asks ----------------------------------------------------------------------------------------
    @property
    def latency_ns(self) -> int:
        """One-way time to and from this venue, for the runtime."""
        return self.venue.latency_ns

    def positions(self) -> tuple[Ints, int]:
        """Return the sum of all executions in the venue's own book: contracts per option, shape (n,), and shares."""
        return self._position.copy(), self._stock

    def cash(self) -> int:
        """Return what all executions in the venue's own book paid us, fees taken off, in 1/10,000 dollar."""
        return self._cash

    def resting(self) -> Resting:
        """Return our quotes with size left and our working orders."""
        return Resting(self._quotes.resting(), tuple(self._orders.working.values()))

    def displayed(self) -> tuple[Ints, Ints]:
        """Return price and size of the market's book as the venue shows it. Each of shape (2, n + 1), STOCK last."""
        return self._book.price.copy(), self._book.size.copy()

    def disconnect(self) -> None:
        """Lose the connection: quotes and orders are removed, and nobody is told."""
        self._quotes.drop()
        for clordid in self._orders.working:
            self._history.ended(clordid, OrdStatus.CANCELED, "connection lost")
        self._orders.drop()

    # --- from us ------------------------------------------------------------------------------------------------------
    def submit(self, clearance: Clearance, ts: int) -> list[Event]:  # noqa: PLR0911  # one line for each message
        """Take a message of ours.

        Args:
            clearance: What the gate let through; of quotes only the rows of this venue are read.
            ts: Time at which it reaches the venue, ns.

        Returns:
            The venue's answers in order, stamped `ts`.

        Raises:
            InputError: Addressed to another venue, or no outbound message.
        """
        self._reports.at(ts, clearance.ts_init)
        match clearance:
            case QuotesCleared():
                return self._booked(self._quotes.submit(clearance, self.session, ts))
            case QuoteCancelCleared():
                self._own(clearance.cancel.venue, or_all=True)
                return self._quotes.cancel(clearance.cancel)
            case OrderCleared():
                self._own(clearance.order.venue)
                return self._booked(self._orders.submit(clearance.order, self.session, ts))
            case OrderCancelCleared():
                self._own(clearance.cancel.venue)
                return self._booked(self._orders.cancel(clearance.cancel))
            case OrderReplaceCleared():
                self._own(clearance.replace.venue)
                return self._booked(self._orders.replace(clearance.replace, self.session, ts))
            case OrdersCancelCleared():
                self._own(clearance.cancel.venue, or_all=True)
                return self._booked(self._orders.cancel_all(clearance.cancel))
            case OrderStatusCleared():
                self._own(clearance.request.venue)
                return list(self._history.answer(clearance.request))
            case _:
                raise InputError("not an outbound message", field="clearance", value=type(clearance).__name__)

    def _own(self, venue: int, *, or_all: bool = False) -> None:
        if venue != self.venue.index and not (or_all and venue == -1):
            raise InputError("addressed to another venue", field="venue", value=venue, expected=self.venue.index)

    # --- from the market ----------------------------------------------------------------------------------------------
    def on_market(self, event: Event) -> list[Event]:
        """Follow the recorded market; other events are ignored.

        Returns:
            What it did to our quotes and orders, stamped with the time of the event.

        Raises:
            InputError: The event is malformed, or names a contract outside the chain; nothing changed.
        """
        self._reports.at(event.ts_event, event.ts_init)
        is_stock = self.venue.kind == "stock"
        match event:
            case NbboUpdated() if not is_stock:
                return self._follow(event)
            case UnderlyingUpdated() if is_stock:
                return self._follow(event)
            case TradesPrinted() if not is_stock:
                frame = event.frame
                check_contracts(frame.contract, self._n)
                bars = np.stack((frame.low, frame.high))
                return self._print(frame.contract.astype(np.int64), bars, frame.volume, event.ts_event)
            case UnderlyingTraded() if is_stock:
                bars = np.array([[event.low], [event.high]], np.int64)
                return self._print(np.array([STOCK], np.int64), bars, np.array([event.volume]), event.ts_event)
            case SessionChanged():
                return self._change_session(event)
            case _:
                return []

    def _follow(self, event: NbboUpdated | UnderlyingUpdated) -> list[Event]:
        rows = self._book.apply(event)
        crossed = self._quotes.requeue(rows)
        self._orders.requeue()
        working = self._orders.contracts()
        if self.session != "open" or (crossed.size == 0 and not working):
            return []
        ts = event.ts_event
        size = self._book.nbbo.size[:, rows]
        part = apportion(size, *self._tape, rotation(self._seed, _NBBO_SALT, rows, ts))
        events = self._quotes.crossed_by(rows, crossed, part, ts)
        for contract in working:
            where = np.flatnonzero(rows == contract)
            if where.size:
                bid_part, ask_part = part[:, where[0]].tolist()
                events += self._orders.crossed_by(contract, (bid_part, ask_part))
        return self._booked(events)

    def _print(self, contract: Ints, bars: Ints, tape_volume: npt.NDArray[Any], ts: int) -> list[Event]:
        """Trade against prints: quotes first, then orders with what is left of this venue's part.

        Raises:
            InputError: A volume is negative, or a print has no positive price or a low above its high.
        """
        bad = (tape_volume < 0) | ((tape_volume > 0) & ((bars[LOW] <= 0) | (bars[LOW] > bars[HIGH])))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                "print is malformed",
                field="frame",
                value=(int(bars[LOW, row]), int(bars[HIGH, row]), int(tape_volume[row])),
                contract=int(contract[row]),
            )
        if self.session != "open":
            return []
        if not tape_volume.all():
            traded = np.flatnonzero(tape_volume)
            contract, bars, tape_volume = contract[traded], bars[:, traded], tape_volume[traded]
        rows = self._quotes.touched_by(contract, bars)
        working = self._orders.contracts()
        if rows.size == 0 and not working:
            return []
        offset = rotation(self._seed, _TAPE_SALT, contract, ts)
        left = apportion(np.asarray(tape_volume, np.int64), *self._tape, offset)
        events = self._quotes.printed(contract, bars, rows, left, offset, ts)
        for wanted in working:
            for row in np.flatnonzero(contract == wanted).tolist():
                low, high = int(bars[LOW, row]), int(bars[HIGH, row])
                events += self._orders.printed(wanted, low, high, int(left[row]), float(offset[row]), ts)
        return self._booked(events)

    def _change_session(self, event: SessionChanged) -> list[Event]:
        before, self.session = self.session, event.state
        events: list[Event] = []
        if event.state != "open" and before == "open":
            events += self._quotes.withdraw(event.state)
        if event.state == "closed":
            events += self._orders.expire()
        is_up = event.state != "closed"
        if is_up != self._is_up:
            self._is_up = is_up
            events.append(
                VenueStatusChanged(
                    **self._reports.stamps, venue=self.venue.index, is_up=is_up, reason=f"session is {event.state}"
                )
            )
        return self._booked(events)

    def _booked(self, answers: Sequence[Event]) -> list[Event]:
        """Count executions in the venue's own book, and remember what was said of each order."""
        for answer in answers:
            if isinstance(answer, ExecutionReported) and answer.clordid:
                self._history.note(answer)
            if isinstance(answer, ExecutionReported) and answer.exec_type == ExecType.TRADE:
                change = answer.last_qty if answer.side == "buy" else -answer.last_qty
                scale = 1
                if answer.contract == STOCK:
                    self._stock += change
                else:
                    self._position[answer.contract] += change
                    scale = self._multiplier[answer.contract]
                self._cash -= answer.last_px * change * scale + answer.fee
        return list(answers)

    # --- snapshots ----------------------------------------------------------------------------------------------------
    def snapshot(self) -> bytes:
        """Return the whole state."""
        return pack(
            f"exchange.{self.venue.mic}",
            _VERSION,
            {
                "session": self.session,
                "book": self._book.state(),
                "quotes": self._quotes.state(),
                "orders": self._orders.state(),
                "history": self._history.state(),
                "reports": self._reports.count,
                "is_up": self._is_up,
                "position": self._position,
                "stock": self._stock,
                "cash": self._cash,
            },
        )

    def restore(self, state: bytes) -> None:
        """Take over what `snapshot` gave.

        Raises:
            DataError: Damaged, or of another venue or version.
        """
        found = unpack(f"exchange.{self.venue.mic}", _VERSION, state)
        self.session = found["session"]
        self._book.take_over(found["book"])
        self._quotes.take_over(found["quotes"])
        self._orders.take_over(found["orders"])
        self._history.take_over(found["history"])
        self._reports.count = found["reports"]
        self._is_up = found["is_up"]
        self._position, self._stock, self._cash = found["position"], found["stock"], found["cash"]
