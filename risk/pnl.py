"""P&L of the day, twice: from cash and marks, and from its parts. Both must agree at every mark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from domain.calendar import SECOND_NS
from domain.chain import Chain
from domain.commands import STOCK
from domain.errors import InvariantError
from domain.events import (
    Event,
    ExposureChanged,
    FillBusted,
    FillCorrected,
    GreeksComputed,
    NbboUpdated,
    OrderFilled,
    PnlMarked,
    PositionSettled,
    PositionsImported,
    SessionChanged,
    TimerFired,
    UnderlyingUpdated,
)
from domain.frames import GreeksFrame
from domain.price import PRICE_SCALE
from domain.state import pack, unpack
from risk.attribution import Accumulator, Floats, Marks, explain
from risk.ledger import Fill, Ledger

_VERSION: Final = 1
TOLERANCE: Final = 0.01
"""Dollars by which total and parts may differ before it is a contradiction. Rounding stays below a millionth."""


class Pnl:
    """Stage: marks the book each minute of event time, at the close, and after a settlement.

    An option's mark is our theo where it is good, else the middle of the NBBO, else the last mark; the stock's is the
    middle of its quote. A fill is judged against the mark in force, which is brought up to date just before the fill is
    booked. What was imported enters at the price that came with it, else at its first mark. The change from that price
    to the first mark is delta for the stock and rest for an option, which had no Greeks yet.
    """

    name = "pnl"

    def __init__(self, chain: Chain, underlying: str, mark_every_s: int = 60) -> None:
        """Nothing is held, and there is no mark.

        Args:
            chain: The contracts.
            underlying: Whose events to read.
            mark_every_s: Event time between two marks, seconds, counted from the epoch.
        """
        n = len(chain)
        self._chain = chain
        self._underlying = underlying
        self._ledger = Ledger(chain)
        self._parts = Accumulator()
        self._marks = Marks.unknown(n)
        self._stock_mark = math.nan
        self._opening: list[float] = []
        self._bid: Floats = np.full(n, np.nan)
        self._ask: Floats = np.full(n, np.nan)
        self._spot_mid = math.nan
        self._greeks: GreeksComputed | None = None
        self._is_stale = False
        self._every_ns = mark_every_s * SECOND_NS
        self._interval = -1
        self._react: dict[type[Event], Callable[[Any], Sequence[Event]]] = {
            TimerFired: self._on_timer,
            OrderFilled: self._on_fill,
            FillBusted: self._on_fill,
            FillCorrected: self._on_fill,
            GreeksComputed: self._on_greeks,
            NbboUpdated: self._on_nbbo,
            UnderlyingUpdated: self._on_underlying,
            PositionsImported: self._on_import,
            PositionSettled: self._on_settled,
            ExposureChanged: self._on_exposure,
            SessionChanged: self._on_session,
        }
        self.reads: frozenset[type[Event]] = frozenset(self._react)

    def apply(self, event: Event) -> Sequence[Event]:
        """Apply one event.

        Raises:
            InputError: A fill or an import names a contract that the chain does not list.
            InvariantError: Total and parts differ by more than a cent.
        """
        if event.underlying not in {self._underlying, ""}:
            return ()
        return self._react[type(event)](event)

    # --- fills, imports, settlements --------------------------------------------------------------------------------

    def _on_fill(self, event: Fill) -> Sequence[Event]:
        if not self._ledger.changes(event):
            return ()
        self._revalue()
        contract = event.contract
        self._start_mark(contract, event.price / PRICE_SCALE)
        mark, scale = self._mark(contract), self._ledger.scale(contract)
        for change in self._ledger.book(event):
            edge = (mark - change.price / PRICE_SCALE) * change.quantity * scale
            self._parts.add(fees=-change.fee / PRICE_SCALE, **{"hedging" if contract == STOCK else "spread": edge})
        return ()

    def _on_import(self, event: PositionsImported) -> Sequence[Event]:
        if self._ledger.is_imported:
            return ()
        self._revalue()
        had_stock_mark = math.isfinite(self._stock_mark)
        before = self._ledger.quantity.copy()
        self._ledger.take_over(event)
        came = (self._ledger.quantity - before) * self._chain.multiplier
        marked = np.isfinite(self._marks.price)
        self._opening = [*self._opening, event.cash, *(came[marked] * self._marks.price[marked]).tolist()]
        for contract, price in zip(event.frame.contract.tolist(), event.option_prices, strict=False):
            if price > 0 and marked[contract]:
                gap = float(came[contract]) * (self._mark(contract) - price)
                self._opening.append(-gap)
                self._parts.add(rest=gap)
            elif price > 0:
                self._start_mark(contract, price)
        if event.stock_price > 0:
            self._opening.append(event.stock * event.stock_price)
            if had_stock_mark:
                self._parts.add(delta=event.stock * (self._stock_mark - event.stock_price))
            else:
                self._opening.append((self._ledger.stock - event.stock) * event.stock_price)
                self._stock_mark = event.stock_price
        elif had_stock_mark:
            self._opening.append(event.stock * self._stock_mark)
        return ()

    def _on_settled(self, event: PositionSettled) -> Sequence[Event]:
        """An expiring position became shares and cash: the step from its mark to them is part of the rest."""
        self._revalue()
        if event.shares:
            self._start_mark(STOCK, event.settlement_price)
        came = event.cash + (event.shares * self._stock_mark if event.shares else 0.0)
        size = event.quantity * self._ledger.scale(event.contract)
        if math.isfinite(mark := self._mark(event.contract)):
            self._parts.add(rest=came - size * mark)
        else:
            self._opening.append(came)
        self._ledger.settle(event)
        return ()

    # --- market -----------------------------------------------------------------------------------------------------

    def _on_greeks(self, event: GreeksComputed) -> Sequence[Event]:
        self._greeks, self._is_stale = event, True
        return ()

    def _on_nbbo(self, event: NbboUpdated) -> Sequence[Event]:
        frame = event.frame
        self._bid[frame.contract] = np.where(frame.bid_size > 0, frame.bid / PRICE_SCALE, np.nan)
        self._ask[frame.contract] = np.where(frame.ask_size > 0, frame.ask / PRICE_SCALE, np.nan)
        self._is_stale = True
        return ()

    def _on_underlying(self, event: UnderlyingUpdated) -> Sequence[Event]:
        if event.bid > 0 and event.ask > 0:
            self._spot_mid, self._is_stale = (event.bid + event.ask) / (2 * PRICE_SCALE), True
        return ()

    # --- when to mark -----------------------------------------------------------------------------------------------

    def _on_timer(self, event: TimerFired) -> Sequence[Event]:
        interval = event.ts_event // self._every_ns
        if interval == self._interval:
            return ()
        self._interval = interval
        return (self._marked(event),)

    def _on_session(self, event: SessionChanged) -> Sequence[Event]:
        return (self._marked(event),) if event.state == "closed" else ()

    def _on_exposure(self, event: ExposureChanged) -> Sequence[Event]:
        return (self._marked(event),) if event.cause == "settlement" else ()

    def _marked(self, cause: Event) -> PnlMarked:
        """Bring the marks up to date and state the P&L, from cash and marks and from its parts."""
        self._revalue()
        ledger, price = self._ledger, self._marks.price
        held = np.flatnonzero((ledger.quantity != 0) & np.isfinite(price))
        values = ledger.quantity[held] * self._chain.multiplier[held] * price[held]
        stock = ledger.stock * self._stock_mark if math.isfinite(self._stock_mark) else 0.0
        cash = ledger.cash / PRICE_SCALE
        total = math.fsum([cash, stock, *values.tolist(), *(-value for value in self._opening)])
        parts = self._parts.parts()
        if not abs(total - math.fsum(parts.values())) <= TOLERANCE:
            raise InvariantError("P&L differs from the sum of its parts", total=total, parts=parts)
        return PnlMarked(
            ts_event=cause.ts_event,
            ts_init=cause.ts_init,
            underlying=self._underlying,
            total=total,
            cash=cash,
            stock=ledger.stock,
            open_contracts=int(np.abs(ledger.quantity).sum()),
            **parts,
        )

    # --- marks ------------------------------------------------------------------------------------------------------

    def _mark(self, contract: int) -> float:
        return self._stock_mark if contract == STOCK else float(self._marks.price[contract])

    def _start_mark(self, contract: int, price: float) -> None:
        """Give a contract, or the stock, a first mark; what is held of it enters at that."""
        if math.isfinite(self._mark(contract)):
            return
        self._opening.append(self._ledger.held(contract) * self._ledger.scale(contract) * price)
        if contract == STOCK:
            self._stock_mark = price
        else:
            prices = self._marks.price.copy()
            prices[contract] = price
            self._marks = replace(self._marks, price=prices)

    def _revalue(self) -> None:
        """Bring all marks up to date, and explain the change of what is held."""
        if not self._is_stale:
            return
        self._is_stale = False
        if math.isfinite(self._spot_mid):
            self._start_mark(STOCK, self._spot_mid)
            self._parts.add(delta=self._ledger.stock * (self._spot_mid - self._stock_mark))
            self._stock_mark = self._spot_mid
        before, after = self._marks, self._new_marks()
        held = np.flatnonzero(self._ledger.quantity)
        size = self._ledger.quantity[held] * self._chain.multiplier[held]
        first = np.isnan(before.price[held]) & np.isfinite(after.price[held])
        self._opening += (size[first] * after.price[held[first]]).tolist()
        known = np.isfinite(before.price[held])
        if known.any():
            self._parts.add(**explain(before, after, held[known], size[known]))
        self._marks = after

    def _new_marks(self) -> Marks:
        """Return the marks that follow from the last theos, NBBO and marks."""
        before, event = self._marks, self._greeks
        middle = (self._bid + self._ask) / 2
        price = np.where(np.isfinite(middle), middle, before.price)
        if event is None:
            return replace(before, price=price)
        frame, n = event.frame, len(self._chain)
        good = frame.status == 0
        at = frame.contract[good]
        price[at] = frame.theo[good]
        greeks, vol = np.full((4, n), np.nan), np.full(n, np.nan)
        for row, values in enumerate((frame.delta, frame.gamma, frame.vega, frame.theta)):
            greeks[row, at] = values[good]
        vol[at] = frame.vol[good]
        return Marks(price, greeks, vol, event.spot, event.ts_event)

    # --- state ------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The whole state."""
        marks = self._marks
        state = {
            "ledger": self._ledger.state(),
            "parts": self._parts.state(),
            "marks": [marks.price, marks.greeks, marks.vol, marks.spot, marks.ts],
            "numbers": [self._stock_mark, self._spot_mid, self._is_stale, self._interval],
            "opening": self._opening,
            "nbbo": [self._bid, self._ask],
            "greeks": _packed(self._greeks),
        }
        return pack(self.name, _VERSION, state)

    def restore(self, state: bytes) -> None:
        """Take over what `snapshot` gave.

        Raises:
            DataError: The bytes are of another stage or version.
        """
        values = unpack(self.name, _VERSION, state)
        self._ledger.restore(values["ledger"])
        self._parts.restore(values["parts"])
        self._marks = Marks(*values["marks"])
        self._stock_mark, self._spot_mid, self._is_stale, self._interval = values["numbers"]
        self._opening = list(values["opening"])
        self._bid, self._ask = values["nbbo"]
        packed = values["greeks"]
        self._greeks = None
        if packed is not None:
            self._greeks = GreeksComputed(**packed["head"], frame=GreeksFrame.from_columns(packed["columns"]))


def _packed(event: GreeksComputed | None) -> dict[str, Any] | None:
    if event is None:
        return None
    head = {name: getattr(event, name) for name in event.__struct_fields__ if name != "frame"}
    return {"head": head, "columns": event.frame.columns()}
