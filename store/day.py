"""One pass over the events of a run: what its tables, statistics and report are made of."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from domain import events as e
from domain.chain import Chain
from domain.commands import STOCK, OperatorCommand
from domain.errors import DataError
from domain.events_base import Event
from domain.frames import Frame
from store.expiring import ExpiringToday, expire_today
from store.fills import FillLog
from store.ledger import PARTS, Ledger
from store.market import Bools, Market, View
from store.names import Names
from store.orders import OrderLog
from store.quality import MINUTE_NS, QualityMeter
from store.reconciliation import DOUBTS, ReconciliationLog
from store.refusals import RefusalLog
from store.resting import Resting

Item = tuple[bool, str, Event]
"""(is input, source, event), in the order of the journal."""

INCIDENTS: Final = (
    e.KillSwitchEngaged,
    e.KillSwitchReleased,
    e.ProtectionTripped,
    e.ProtectionReset,
    e.QuotingStateChanged,
    e.VenueProtectionTripped,
    e.ShardHalted,
    e.EventRejected,
    e.FeedDegraded,
    e.ReconciliationNeeded,
    e.ReconciliationEnded,
    e.ReconciliationBroken,
    e.VenueTrustChanged,
    e.CommandApplied,
    e.CommandRefused,
)


class Fit(msgspec.Struct, frozen=True):
    """A surface, the forwards that it stands on, and the market that it was fitted to."""

    surface: e.SurfaceFitted
    forwards: e.ForwardImplied
    view: View


class Day:
    """What came of one underlying in one run. Feed it every event in order, then call `finish`.

    Args:
        venues: Names of the venues by index; where there is none, the index is the name.
    """

    def __init__(self, venues: Sequence[str] = ()) -> None:
        self.ledger = Ledger()
        self.names = Names(venues)
        self.orders = OrderLog(self.names, self.ledger.order_states)
        self.refusals = RefusalLog(self.names, self.ledger.refusals)
        self.reconciliation = ReconciliationLog()
        self.inputs = 0
        self.outputs = 0
        self.feed_refused: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.quotes_sent = 0
        self.sent_in_minute: Counter[int] = Counter()
        self.run: e.RunStarted | None = None
        self.chain: Chain | None = None
        self.first_ts = 0
        self.clock = 0
        self.open_ts = 0
        self.close_ts = 0
        self.imported: Counter[int] = Counter()
        self.positions: dict[int, int] = {}
        self.settled: Counter[int] = Counter()
        self.underlying: dict[int, tuple[int, int]] = {}
        self.fit: Fit | None = None
        self._state = ""
        self._forwards: e.ForwardImplied | None = None
        self._set_up(0, [], np.empty(0, np.bool_))
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            e.RunStarted: self._begin,
            e.ChainListed: self._list,
            e.SessionChanged: self._change_session,
            e.PositionsImported: self._import,
            e.NbboUpdated: self._move,
            e.GreeksComputed: self._move,
            e.UnderlyingUpdated: self._quote_underlying,
            e.ForwardImplied: self._imply,
            e.SurfaceFitted: self._fitted,
            e.QuotesCleared: self._quote,
            e.QuotesAcknowledged: self._acknowledge,
            e.QuotesCanceled: self._rest,
            e.VenueProtectionTripped: self._rest,
            e.VenueStatusChanged: self._venue,
            e.ExecutionReported: self._report,
            e.QuotesRefused: self.refusals.apply,
            e.OrderRefused: self.refusals.apply,
            e.CancelRejected: self.refusals.apply,
            e.OrderCleared: self.orders.apply,
            e.OrderReplaceCleared: self.orders.apply,
            e.OrderRouted: self.orders.apply,
            e.OrderStateChanged: self.orders.apply,
            e.OrderFilled: self._fill,
            e.FillBusted: self._fill,
            e.FillCorrected: self._fill,
            e.PositionChanged: self._position,
            e.PositionSettled: self._settle,
            e.ExposureChanged: self._expose,
            e.PnlMarked: self._mark,
            e.HedgeDecided: self._hedge,
            e.LimitBreached: self._breach,
            e.ObligationMeasured: self._oblige,
            e.LatencyMeasured: self._latency,
            e.FeedDegraded: self._refuse_records,
        }

    def apply(self, is_input: bool, source: str, event: Event) -> None:  # noqa: FBT001  # the shape of an Item
        """Take the next event over.

        Raises:
            DataError: A second underlying, or a fill changed that was never reported.
        """
        if is_input:
            self.inputs += 1
            if event.ts_event > self.clock:
                self.clock = event.ts_event
                self.fills.until(self.clock)
        else:
            self.outputs += 1
        kind = type(event)
        self.counts[kind.__name__] += 1
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(event)
        if kind in DOUBTS:
            self.reconciliation.apply(event)
        if kind in INCIDENTS or isinstance(event, OperatorCommand):
            detail = "; ".join(f"{name} {_said(getattr(event, name))}" for name in _own_fields(kind))
            self.ledger.incidents.add(event.ts_event, kind.__name__, source, detail)

    def finish(self) -> None:
        """Mark what is due and bring the measures up to the last event.

        Raises:
            DataError: No chain was listed: there is nothing to tell of.
        """
        if self.chain is None:
            raise DataError("the journal lists no chain", inputs=self.inputs)
        self.fills.until(self.clock + 1)
        self.meter.until(self.clock)

    # --- the run ------------------------------------------------------------------------------------------------------
    def _set_up(self, n: int, multiplier: list[float], expiring: Bools) -> None:
        self.market = Market(n)
        self.resting = Resting(n)
        self.meter = QualityMeter(self.market, self.resting)
        self.fills = FillLog(self.market, multiplier)
        self.expiring = ExpiringToday(expiring, multiplier)

    def _begin(self, event: e.RunStarted) -> None:
        self.run, self.first_ts = event, event.ts_event

    def _list(self, event: e.ChainListed) -> None:
        if self.chain is not None:
            raise DataError("a second chain: a day holds one underlying", underlying=event.underlying)
        self.chain = chain = Chain(event.underlying, dt.date.fromisoformat(event.trade_date), event.contracts)
        self.names.list_chain(chain)
        self._set_up(len(chain), chain.multiplier.tolist(), expire_today(chain))
        for index, contract in enumerate(chain.contracts):
            self.ledger.contracts.add(
                index,
                contract.osi,
                contract.root,
                contract.expiry,
                contract.strike_dollars,
                contract.right,
                contract.style,
                contract.settlement,
                contract.multiplier,
            )

    def _change_session(self, event: e.SessionChanged) -> None:
        self._state = event.state
        self.open_ts, self.close_ts = event.open_ts, event.close_ts
        self.fills.close_ts = event.close_ts
        if event.state == "open":
            self.meter.open(event.ts_event)
        else:
            self.meter.close(event.ts_event)

    def _import(self, event: e.PositionsImported) -> None:
        """Take the first; a later one is a statement that the book is compared with."""
        if self.counts["PositionsImported"] > 1:
            return
        for contract, quantity in zip(event.frame.contract.tolist(), event.frame.quantity.tolist(), strict=True):
            self.imported[contract] += quantity
        self.imported[STOCK] += event.stock
        self.positions.update(self.imported)
        self.expiring.apply(event)

    # --- market and valuation -----------------------------------------------------------------------------------------
    def _move(self, event: Event) -> None:
        self.meter.until(self.clock)
        self.market.apply(event)
        self.expiring.apply(event)
        self.meter.changed()

    def _quote_underlying(self, event: e.UnderlyingUpdated) -> None:
        self.market.apply(event)
        self.underlying[event.ts_event // MINUTE_NS] = event.bid, event.ask

    def _imply(self, event: e.ForwardImplied) -> None:
        self._forwards = event
        self.ledger.forwards.extend(len(event.frame), **self._slices(event, event.frame))

    def _fitted(self, event: e.SurfaceFitted) -> None:
        self.ledger.surfaces.extend(len(event.frame), **self._slices(event, event.frame))
        if self._state == "open" and self._forwards is not None:
            self.fit = Fit(event, self._forwards, self.market.now)

    def _slices(self, event: e.ForwardImplied | e.SurfaceFitted, frame: Frame) -> dict[str, Any]:
        columns: dict[str, Any] = dict(frame.columns())
        keys = [self.chain.expiries[index] for index in columns.pop("expiry").tolist()] if self.chain else []
        return {
            "ts": event.ts_event,
            "spot": event.spot,
            "root": [root for root, _ in keys],
            "expiry": [day for _, day in keys],
            **columns,
        }

    # --- quotes -------------------------------------------------------------------------------------------------------
    def _rest(self, event: Event) -> None:
        self.meter.until(self.clock)
        if self.resting.apply(event):
            self.meter.changed()

    def _quote(self, event: e.QuotesCleared) -> None:
        self.quotes_sent += len(event.frame)
        self.sent_in_minute[event.ts_event // MINUTE_NS] += len(event.frame)
        self.resting.apply(event)

    def _acknowledge(self, event: e.QuotesAcknowledged) -> None:
        self._rest(event)
        self.refusals.apply(event)

    def _venue(self, event: e.VenueStatusChanged) -> None:
        self._rest(event)
        if not event.is_up and self._state == "open":
            detail = f"venue {self.names.venue(event.venue)}; {event.reason}"
            self.ledger.incidents.add(event.ts_event, "VenueStatusChanged", self.names.venue(event.venue), detail)

    # --- orders and fills ---------------------------------------------------------------------------------------------
    def _report(self, event: e.ExecutionReported) -> None:
        if event.quote_set_id:
            self._rest(event)
        self.refusals.apply(event)

    def _fill(self, event: Event) -> None:
        self.fills.apply(event)

    # --- what we hold -------------------------------------------------------------------------------------------------
    def _position(self, event: e.PositionChanged) -> None:
        self.positions[event.contract] = event.quantity
        self.expiring.apply(event)

    def _settle(self, event: e.PositionSettled) -> None:
        self.settled[event.contract] -= event.quantity
        self.settled[STOCK] += event.shares
        self.ledger.settlements.add(
            event.ts_event,
            event.contract,
            self.names.symbol(event.contract),
            event.quantity,
            event.outcome,
            event.settlement_price,
            event.shares,
            event.cash,
        )

    def _expose(self, event: e.ExposureChanged) -> None:
        self.ledger.exposures.add(
            event.ts_event,
            event.spot,
            event.stock,
            event.delta,
            event.gamma,
            event.vega,
            event.theta,
            *self.expiring.net(),
            event.option_delta,
            event.cause,
        )

    def _mark(self, event: e.PnlMarked) -> None:
        parts = [getattr(event, part) for part in PARTS]
        self.ledger.pnl.add(event.ts_event, event.total, *parts, event.cash, event.stock, event.open_contracts)

    def _hedge(self, event: e.HedgeDecided) -> None:
        row = (event.net_delta, event.band, event.target, event.quantity, event.reason)
        self.ledger.hedges.add(event.ts_event, *row)

    def _breach(self, event: e.LimitBreached) -> None:
        self.ledger.breaches.add(event.ts_event, event.check, event.subject, event.value, event.limit, event.count)

    def _oblige(self, event: e.ObligationMeasured) -> None:
        self.ledger.obligations.add(event.ts_event, *(getattr(event, name) for name in _own_fields(type(event))))

    def _refuse_records(self, event: e.FeedDegraded) -> None:
        self.feed_refused[event.reason] += event.count

    def _latency(self, event: e.LatencyMeasured) -> None:
        for name, value in event.percentiles.items():
            self.ledger.latencies.add(name, None, value)


def read_day(items: Iterable[Item], venues: Sequence[str] = ()) -> Day:
    """Read all events of a run, in one pass.

    Args:
        items: (is input, source, event) in the order of the journal.
        venues: Names of the venues by index.

    Raises:
        DataError: There is no chain, or there are two.
    """
    day = Day(venues)
    for is_input, source, event in items:
        day.apply(is_input, source, event)
    day.finish()
    return day


def _own_fields(kind: type[Event]) -> list[str]:
    """Fields beyond those that every event has, in declared order."""
    return [name for name in kind.__struct_fields__ if name not in Event.__struct_fields__]


def _said(value: object) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
