"""A venue as pure code: the same in process, in a venue process and in a backtest.

It follows the recorded market (`routing.venue_book`), takes our mass quotes and orders, and trades them by the queue
model of `routing.queue_model`. Our own orders never trade with our own quotes here: the displayed book holds the
market, not us, and the risk gate refuses self-trades before they leave. Times of returned events are times at the
venue; `latency_ns` is for the runtime that carries the messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from domain.chain import Chain
from domain.commands import STOCK, Capacity
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
    OrdStatus,
    QuoteCancelCleared,
    QuoteRefusal,
    QuotesAcknowledged,
    QuotesCanceled,
    QuotesCleared,
    SessionChanged,
    SessionState,
    TradesPrinted,
    UnderlyingTraded,
    UnderlyingUpdated,
    VenueProtectionTripped,
    VenueStatusChanged,
)
from domain.frames import QuoteFrame, QuoteRefusalFrame
from domain.price import TickClass
from domain.state import pack, unpack
from routing.nbbo import BID, Ints, check_contracts
from routing.order_entry import OrderEntry, WorkingOrder
from routing.queue_model import apportion, rotation
from routing.quote_book import Match, QuoteBook
from routing.reports import CAPACITIES, SIDES, Reports
from routing.venue_book import VenueBook, chain_ticks
from routing.venue_protection import RollingProtection
from routing.venues import VenueTable

_VERSION = 1
_TAPE_SALT = 0x7A9E
_NBBO_SALT = 0xC105
_LOW, _HIGH = 0, 1
_NO_ROWS: Ints = np.empty(0, np.int64)


class ExchangeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How simulated venues behave; the queue model itself is stated in `routing.queue_model`.

    Attributes:
        join_probability: Chance that a venue shows the NBBO on a side, in [0, 1]; one always does, the others stand a
            tick behind.
        replenish_ms: Time after which displayed size that we took is shown again, if the NBBO did not change before.
        max_quote_size: Largest size of a quote side, contracts.
        max_order_size: Largest order, contracts or shares.

    Raises:
        InputError: A value is out of range.
    """

    join_probability: float = 0.5
    replenish_ms: int = 1_000
    max_quote_size: int = 1_000
    max_order_size: int = 100_000

    def __post_init__(self) -> None:
        """Refuse what no venue could do."""
        if not 0.0 <= self.join_probability <= 1.0:
            raise InputError("must be in [0, 1]", field="exchange.join_probability", value=self.join_probability)
        for name in ("replenish_ms", "max_quote_size", "max_order_size"):
            if getattr(self, name) < 1:
                raise InputError("must be positive", field=f"exchange.{name}", value=getattr(self, name))


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
        self._seed, self._settings, self._underlying = seed, settings, chain.underlying
        ticks = chain_ticks(chain, tick_classes, venue.tick)
        peers = venues.of_kind(venue.kind)
        edges = venues.tape_edges(venue.kind)
        place = peers.index(venue)
        self._tape = float(edges[place]), float(edges[place + 1])
        self._n, self._ticks = n, ticks
        self._book = VenueBook(
            venue,
            venues,
            ticks,
            n,
            seed=seed,
            join=settings.join_probability,
            replenish_ns=settings.replenish_ms * 1_000_000,
        )
        self._quotes = QuoteBook(n, venue.allocation, seed=seed, venue=index)
        self._reports = Reports(venue, chain.underlying, chain.trade_date)
        self._orders = OrderEntry(
            venue, ticks, n, self._book, self._reports, max_size=settings.max_order_size, seed=seed
        )
        self._capacity: Capacity = "market_maker"
        self._seen_sets: dict[str, None] = {}
        self._last_set = ""
        self._protection = RollingProtection(venue.protections)
        self._is_up = False
        self._position: Ints = np.zeros(n, np.int64)
        self._stock = 0

    # --- what the runtime asks ----------------------------------------------------------------------------------------
    @property
    def latency_ns(self) -> int:
        """One-way time to and from this venue, for the runtime."""
        return self.venue.latency_ns

    def positions(self) -> tuple[Ints, int]:
        """Return the sum of all executions in the venue's own book: contracts per option, shape (n,), and shares."""
        return self._position.copy(), self._stock

    def resting(self) -> Resting:
        """Return our quotes with size left and our working orders."""
        return Resting(self._quotes.resting(self.venue.index), tuple(self._orders.working.values()))

    def displayed(self) -> tuple[Ints, Ints]:
        """Return price and size of the market's book as the venue shows it. Each of shape (2, n + 1), STOCK last."""
        return self._book.price.copy(), self._book.size.copy()

    def disconnect(self) -> None:
        """Lose the connection: quotes and orders are removed, and nobody is told."""
        self._quotes.pull(())
        self._orders.cancel_silently()

    # --- from us ------------------------------------------------------------------------------------------------------
    def submit(self, clearance: Clearance, ts: int) -> list[Event]:
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
                return self._quote(clearance, ts)
            case QuoteCancelCleared():
                self._own(clearance.cancel.venue, or_all=True)
                return self._cancel_quotes(clearance)
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
            case _:
                raise InputError("not an outbound message", field="clearance", value=type(clearance).__name__)

    def _own(self, venue: int, *, or_all: bool = False) -> None:
        if venue != self.venue.index and not (or_all and venue == -1):
            raise InputError("addressed to another venue", field="venue", value=venue, expected=self.venue.index)

    def _quote(self, cleared: QuotesCleared, ts: int) -> list[Event]:
        frame = cleared.frame.take(cleared.frame.venue == self.venue.index)
        if len(frame) == 0:
            return []
        refusal = self._mass_refusal(cleared)
        reason: npt.NDArray[np.int8]
        if refusal:
            reason = np.full(len(frame), refusal, np.int8)
        else:
            reason = self._quotes.check(frame, cleared.quote_set_id, self._ticks, self._settings.max_quote_size)
            self._seen_sets[cleared.quote_set_id] = None
            self._last_set = cleared.quote_set_id
        refused = np.flatnonzero(reason)
        accepted = frame if refused.size == 0 else frame.take(np.flatnonzero(reason == 0))
        acknowledged = QuotesAcknowledged(
            **self._reports.stamps,
            venue=self.venue.index,
            quote_set_id=cleared.quote_set_id,
            accepted=len(accepted),
            frame=QuoteRefusalFrame(
                venue=frame.venue[refused], contract=frame.contract[refused], reason=reason[refused]
            ),
        )
        events: list[Event] = [acknowledged]
        if len(accepted):
            self._capacity = cleared.party.capacity
            for match in self._quotes.place(accepted, cleared.quote_set_id, self._book):
                self._book.take(1 - match.side, match.contract, match.quantity, ts)
                if self._fill(match, ts, events):
                    break
        return events

    def _mass_refusal(self, cleared: QuotesCleared) -> int:
        """Return why the whole message is refused, or 0."""
        if not self.venue.is_market_maker or not self._reports.admits(cleared.party.capacity):
            return QuoteRefusal.VENUE
        if cleared.quote_set_id in self._seen_sets and cleared.quote_set_id != self._last_set:
            return QuoteRefusal.DUPLICATE
        if self.session != "open":
            return QuoteRefusal.HALTED
        return QuoteRefusal.PROTECTION if self._protection.rule else 0

    def _cancel_quotes(self, cleared: QuoteCancelCleared) -> list[Event]:
        cancel = cleared.cancel
        if not self.venue.is_market_maker:
            return []
        self._quotes.pull(cancel.contracts)
        if not cancel.contracts:
            self._protection.reset()
        return [self._canceled(cancel.cancel_id, cancel.contracts, cancel.reason)]

    def _canceled(self, cancel_id: str, contracts: tuple[int, ...], reason: str) -> QuotesCanceled:
        return QuotesCanceled(
            **self._reports.stamps, venue=self.venue.index, cancel_id=cancel_id, contracts=contracts, reason=reason
        )

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
        events: list[Event] = []
        if rows.size == 0:
            return events
        size = self._book.nbbo.size[:, rows]
        if self.venue.is_market_maker:
            self._quotes.requeue(rows, self._book)
        self._orders.requeue()
        if self.session != "open":
            return events
        ts = event.ts_event
        ts = event.ts_event
        part: Ints = np.zeros((2, 0), np.int64)
        crossed = self._quotes.crossed_by(rows, self._book) if self.venue.is_market_maker else _NO_ROWS
        working = self._orders.contracts()
        if crossed.size or working:
            part = apportion(size, *self._tape, rotation(self._seed, _NBBO_SALT, rows, ts))
        for match in self._quotes.filled_by_nbbo(rows, crossed, part, self._book):
            part[1 - match.side, np.searchsorted(rows, match.contract)] -= match.quantity
            self._book.take(1 - match.side, match.contract, match.quantity, ts)
            if self._fill(match, ts, events):
                break
        for contract in working:
            where = np.flatnonzero(rows == contract)
            if where.size:
                bid_part, ask_part = part[:, where[0]].tolist()
                events += self._booked(self._orders.crossed_by(contract, (bid_part, ask_part)))
        return events

    def _print(self, contract: Ints, bars: Ints, tape_volume: npt.NDArray[Any], ts: int) -> list[Event]:
        """Trade against prints: quotes first, then orders with what is left of this venue's part."""
        events: list[Event] = []
        if self.session != "open" or contract.size == 0:
            return events
        is_quoted = self.venue.is_market_maker
        rows = self._quotes.touched_by(contract, bars[_LOW], bars[_HIGH]) if is_quoted else _NO_ROWS
        working = self._orders.contracts()
        if rows.size == 0 and not working:
            return events
        offset = rotation(self._seed, _TAPE_SALT, contract, ts)
        left = apportion(np.asarray(tape_volume, np.int64), *self._tape, offset)
        for some in _distinct(contract, rows):
            matches = self._quotes.printed(
                contract[some], bars[_LOW, some], bars[_HIGH, some], left[some], offset[some], self._book, ts
            )
            row_of = dict(zip(contract[some].tolist(), some.tolist(), strict=True))
            for match in matches:
                if self._protection.rule:
                    break
                left[row_of[match.contract]] -= match.quantity
                self._fill(match, ts, events)
        for wanted in working:
            for row in np.flatnonzero(contract == wanted).tolist():
                low, high = int(bars[_LOW, row]), int(bars[_HIGH, row])
                events += self._booked(self._orders.printed(wanted, low, high, int(left[row]), float(offset[row]), ts))
        return events

    def _change_session(self, event: SessionChanged) -> list[Event]:
        before, self.session = self.session, event.state
        events: list[Event] = []
        if event.state != "open" and before == "open" and self._quotes.has_any():
            self._quotes.pull(())
            events.append(self._canceled("", (), event.state))
        if event.state == "closed":
            events += self._booked(self._orders.expire())
        is_up = event.state != "closed"
        if is_up != self._is_up:
            self._is_up = is_up
            events.append(
                VenueStatusChanged(
                    **self._reports.stamps, venue=self.venue.index, is_up=is_up, reason=f"session is {event.state}"
                )
            )
        return events

    # --- executions ---------------------------------------------------------------------------------------------------
    def _fill(self, match: Match, ts: int, events: list[Event]) -> bool:
        """Book and report an execution of a quote.

        Returns:
            Whether it tripped the venue's protection: then no quote of ours is left.
        """
        quote_set_id, filled, left = self._quotes.commit(match)
        self._position[match.contract] += match.quantity if match.side == BID else -match.quantity
        events.append(
            self._reports.execution(
                exec_type=ExecType.TRADE,
                status=OrdStatus.PARTIALLY_FILLED if left else OrdStatus.FILLED,
                contract=match.contract,
                side=SIDES[match.side],
                cum=filled,
                leaves=left,
                quote_set_id=quote_set_id,
                quantity=match.quantity,
                price=match.price,
                capacity=self._capacity,
                adds=match.adds,
            )
        )
        rule = self._protection.count(match.quantity, ts)
        if rule:
            self._quotes.pull(())
            stamps = self._reports.stamps
            events.append(VenueProtectionTripped(**stamps, venue=self.venue.index, rule=rule))
            events.append(self._canceled("", (), "protection"))
        return bool(rule)

    def _booked(self, answers: Sequence[Event]) -> list[Event]:
        """Count the executions of orders in the venue's own book."""
        for answer in answers:
            if isinstance(answer, ExecutionReported) and answer.exec_type == ExecType.TRADE:
                change = answer.last_qty if answer.side == "buy" else -answer.last_qty
                if answer.contract == STOCK:
                    self._stock += change
                else:
                    self._position[answer.contract] += change
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
                "reports": self._reports.count,
                "capacity": self._capacity,
                "seen_sets": list(self._seen_sets),
                "last_set": self._last_set,
                "protection": self._protection.state(),
                "is_up": self._is_up,
                "position": self._position,
                "stock": self._stock,
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
        self._reports.count = found["reports"]
        self._capacity = next(each for each in CAPACITIES if each == found["capacity"])
        self._seen_sets = dict.fromkeys(found["seen_sets"])
        self._last_set = found["last_set"]
        self._protection.take_over(found["protection"])
        self._is_up = found["is_up"]
        self._position, self._stock = found["position"], found["stock"]


def _distinct(contract: Ints, rows: Ints) -> Iterator[Ints]:
    """Yield the rows in passes of distinct contracts, each contract's rows in their order."""
    while rows.size:
        _, first = np.unique(contract[rows], return_index=True)
        first.sort()
        yield rows[first]
        rows = np.delete(rows, first)
