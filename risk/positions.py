"""What we hold: positions from fills, their net Greeks, their settlement, and whether others agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypedDict

import numpy as np
import numpy.typing as npt

from domain.chain import Chain
from domain.commands import STOCK
from domain.events import (
    Event,
    ExposureChanged,
    FillBusted,
    FillCorrected,
    GreeksComputed,
    OrderFilled,
    PositionChanged,
    PositionSettled,
    PositionsImported,
    ReconciliationBroken,
    SessionChanged,
    UnderlyingTraded,
    UnderlyingUpdated,
)
from domain.frames import GreeksFrame
from domain.price import PRICE_SCALE
from domain.roots_table import Settlement
from domain.state import pack, unpack
from risk.ledger import Fill, Ledger
from risk.settlement import due, settle

Floats = npt.NDArray[np.float64]

_VERSION: Final = 2


class _Head(TypedDict):
    ts_event: int
    ts_init: int
    underlying: str


class Positions:
    """Stage: the book of one underlying.

    Emits PositionChanged for every change, ExposureChanged with the net Greeks when theos, fills or a settlement change
    them, PositionSettled for expiring contracts, and ReconciliationBroken where an outside statement differs.

    The first PositionsImported starts the day; any later one is such a statement. Expiring PM contracts are settled
    when the session closes, AM contracts at the first price of the underlying from the open on. The settlement price is
    the last trade of the underlying, or the middle of its quote where none was seen; it stands in for the official one.
    A fill of a settled contract that comes late is settled with it, at the same price. What cannot be settled, for want
    of a price or a known deliverable, stays in the book and is reported as ReconciliationBroken against 0.
    """

    name = "positions"

    def __init__(self, chain: Chain, underlying: str) -> None:
        """Nothing is held, and no Greeks are known.

        Args:
            chain: The contracts.
            underlying: Whose events to read.
        """
        self._chain = chain
        self._underlying = underlying
        self._ledger = Ledger(chain)
        self._greeks: Floats = np.zeros((4, len(chain)))
        self._has_greeks = np.zeros(len(chain), np.bool_)
        self._spot = 0.0
        self._trade = 0
        self._mid = 0
        self._due = {"AM": due(chain, "AM"), "PM": due(chain, "PM")}
        self._settles: dict[str, int] = {}
        self._is_am_open = False
        self._react: dict[type[Event], Callable[[Any], Sequence[Event]]] = {
            OrderFilled: self._on_fill,
            FillBusted: self._on_fill,
            FillCorrected: self._on_fill,
            PositionsImported: self._on_import,
            GreeksComputed: self._on_greeks,
            SessionChanged: self._on_session,
            UnderlyingUpdated: self._on_underlying,
            UnderlyingTraded: self._on_trade,
        }
        self.reads: frozenset[type[Event]] = frozenset(self._react)

    @property
    def ledger(self) -> Ledger:
        """Positions and cash. Read only."""
        return self._ledger

    def apply(self, event: Event) -> Sequence[Event]:
        """Apply one event.

        Raises:
            InputError: A fill or an import names a contract that the chain does not list.
        """
        if event.underlying not in {self._underlying, ""}:
            return ()
        return self._react[type(event)](event)

    # --- fills and statements ---------------------------------------------------------------------------------------

    def _on_fill(self, event: Fill) -> Sequence[Event]:
        changes = self._ledger.book(event)
        if not changes:
            return ()
        change = sum(change.quantity for change in changes)
        events: list[Event] = [self._changed(event, event.contract, change, "fill")]
        settlement = self._settlement_of(event.contract)
        if settlement in self._settles:
            return events + self._settle(event, settlement, only=event.contract)
        return [*events, self._exposure(event, "fill")]

    def _on_import(self, event: PositionsImported) -> Sequence[Event]:
        if self._ledger.is_imported:
            return self._compare(event)
        self._ledger.take_over(event)
        rows = zip(event.frame.contract.tolist(), event.frame.quantity.tolist(), strict=True)
        imported = [(contract, quantity) for contract, quantity in rows if quantity] + [(STOCK, event.stock)]
        events: list[Event] = [self._changed(event, contract, change, "import") for contract, change in imported]
        return [*events, self._exposure(event, "import")] if self._spot else events

    def _compare(self, event: PositionsImported) -> Sequence[Event]:
        """Compare an outside statement: a drop copy or the clearing firm's positions."""
        theirs = np.zeros(len(self._chain), np.int64)
        theirs[event.frame.contract] = event.frame.quantity
        differs = np.flatnonzero(theirs != self._ledger.quantity).tolist()
        pairs = [(i, self._ledger.held(i), int(theirs[i])) for i in differs]
        if event.stock != self._ledger.stock:
            pairs.append((STOCK, self._ledger.stock, event.stock))
        return [ReconciliationBroken(**self._head(event), contract=i, ours=o, theirs=t) for i, o, t in pairs]

    # --- market -----------------------------------------------------------------------------------------------------

    def _on_greeks(self, event: GreeksComputed) -> Sequence[Event]:
        self._take_greeks(event.frame)
        self._spot = event.spot
        return (self._exposure(event, "greeks"),)

    def _take_greeks(self, frame: GreeksFrame) -> None:
        """Keep the last good Greeks of each contract."""
        good = frame.status == 0
        at = slice(None) if len(frame) == len(self._chain) and good.all() else frame.contract[good]
        for row, values in enumerate((frame.delta, frame.gamma, frame.vega, frame.theta)):
            self._greeks[row, at] = values if isinstance(at, slice) else values[good]
        self._has_greeks[at] = True

    def _on_underlying(self, event: UnderlyingUpdated) -> Sequence[Event]:
        if event.bid > 0 and event.ask > 0:
            self._mid = (event.bid + event.ask + 1) // 2
        return self._settle_am(event)

    def _on_trade(self, event: UnderlyingTraded) -> Sequence[Event]:
        self._trade = event.price
        return self._settle_am(event)

    # --- settlement -------------------------------------------------------------------------------------------------

    def _on_session(self, event: SessionChanged) -> Sequence[Event]:
        if event.state == "open" and "AM" not in self._settles:
            self._is_am_open = bool(self._due["AM"].any())
        if event.state == "closed" and event.ts_event >= event.close_ts and "PM" not in self._settles:
            return self._start_settling(event, "PM")
        return ()

    def _settle_am(self, event: Event) -> Sequence[Event]:
        if not self._is_am_open:
            return ()
        self._is_am_open = False
        return self._start_settling(event, "AM")

    def _start_settling(self, event: Event, settlement: Settlement) -> Sequence[Event]:
        if not self._due[settlement].any():
            return ()
        self._settles[settlement] = self._trade or self._mid
        return self._settle(event, settlement)

    def _settlement_of(self, contract: int) -> Settlement | Literal[""]:
        """Return how a contract is settled today, empty where it is not."""
        if contract == STOCK:
            return ""
        return "AM" if self._due["AM"][contract] else "PM" if self._due["PM"][contract] else ""

    def _settle(self, event: Event, settlement: str, only: int | None = None) -> list[Event]:
        """Turn what is held of the contracts that are due into shares and cash."""
        price = self._settles[settlement]
        held = np.flatnonzero(self._due[settlement] & (self._ledger.quantity != 0)).tolist()
        events: list[Event] = []
        stock = self._ledger.stock
        for i in held if only is None else [i for i in held if i == only]:
            quantity = self._ledger.held(i)
            settled = settle(self._chain.contracts[i], quantity, price) if price else None
            if settled is None:
                events.append(ReconciliationBroken(**self._head(event), contract=i, ours=quantity, theirs=0))
                continue
            fact = PositionSettled(
                **self._head(event),
                contract=i,
                quantity=quantity,
                outcome=settled.outcome,
                settlement_price=price / PRICE_SCALE,
                shares=settled.shares,
                cash=settled.cash / PRICE_SCALE,
            )
            self._ledger.settle(fact)
            events += [fact, self._changed(event, i, -quantity, "settlement")]
        if self._ledger.stock != stock:
            events.append(self._changed(event, STOCK, self._ledger.stock - stock, "settlement"))
        return [*events, self._exposure(event, "settlement")]

    # --- parts of outputs -------------------------------------------------------------------------------------------

    def _head(self, cause: Event) -> _Head:
        return {"ts_event": cause.ts_event, "ts_init": cause.ts_init, "underlying": self._underlying}

    def _changed(self, cause: Event, contract: int, change: int, why: str) -> PositionChanged:
        quantity = self._ledger.held(contract)
        return PositionChanged(**self._head(cause), contract=contract, quantity=quantity, change=change, cause=why)

    def _exposure(self, cause: Event, why: str) -> ExposureChanged:
        """Return the net Greeks of what is held. An option without Greeks counts with its delta at expiry."""
        held = np.flatnonzero(self._ledger.quantity)
        size = self._ledger.quantity[held] * self._chain.multiplier[held]
        greeks = self._greeks[:, held]
        unknown = ~self._has_greeks[held]
        if unknown.any():
            sign, strike = self._chain.sign[held], self._chain.strike[held]
            greeks[0] = np.where(unknown, np.where(sign * (self._spot - strike) > 0, sign, 0.0), greeks[0])
        delta, gamma, vega, theta = (greeks * size).sum(axis=1).tolist()
        return ExposureChanged(
            **self._head(cause),
            spot=self._spot,
            stock=self._ledger.stock,
            delta=delta + self._ledger.stock,
            gamma=gamma,
            vega=vega,
            theta=theta,
            option_delta=delta,
            cause=why,
        )

    # --- state ------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The whole state."""
        state = {
            "ledger": self._ledger.state(),
            "greeks": self._greeks,
            "has_greeks": self._has_greeks,
            "spot": self._spot,
            "trade": self._trade,
            "mid": self._mid,
            "settles": self._settles,
            "is_am_open": self._is_am_open,
        }
        return pack(self.name, _VERSION, state)

    def restore(self, state: bytes) -> None:
        """Take over what `snapshot` gave.

        Raises:
            DataError: The bytes are of another stage or version.
        """
        values = unpack(self.name, _VERSION, state)
        self._ledger.restore(values["ledger"])
        self._greeks, self._has_greeks = values["greeks"], values["has_greeks"]
        self._spot, self._trade, self._mid = values["spot"], values["trade"], values["mid"]
        self._settles, self._is_am_open = dict(values["settles"]), values["is_am_open"]
