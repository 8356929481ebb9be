"""The hedger: keeps net delta inside a no-trade band by trading the underlying.

A stage. One hedge at a time: while an order of its own may still trade, it sends nothing, and an unknown outcome is
waited for, never resent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from domain.commands import (
    STOCK,
    Flatten,
    Intent,
    RequestOrder,
    ResumeQuoting,
    Side,
)
from domain.events import (
    Event,
    ExposureChanged,
    HedgeDecided,
    KillSwitchEngaged,
    KillSwitchReleased,
    OrderFilled,
    OrderRefused,
    OrderRouted,
    OrderStateChanged,
    ReconciliationNeeded,
    SessionChanged,
    TimerFired,
    UnderlyingUpdated,
)
from domain.state import pack, unpack
from hedging.bands import half_width
from hedging.exposure import KnownExposure
from hedging.hedge_in_flight import TERMINAL, HedgeInFlight
from hedging.settings import HedgerSettings

_KIND: Final = "hedging.hedger"
_VERSION: Final = 1
_NO_VENUE: Final = -1


class Hedge(NamedTuple):
    """A trade that the band asks for. Shares; `quantity` is signed, positive buys."""

    band: float
    target: float
    quantity: int


def hedge_to_band(delta: float, band: float, settings: HedgerSettings) -> Hedge | None:
    """Return the trade from outside the band to its edge, or nothing.

    Args:
        delta: Net delta, shares.
        band: Half-width, shares.
        settings: Where in the band a hedge ends, lots and clips.

    Returns:
        A quantity that moves delta towards the target and never past it, or None: inside the band, or less than a lot.
    """
    if abs(delta) <= band:
        return None
    target = math.copysign(band * settings.edge_fraction, delta)
    shares = min(abs(delta - target), settings.max_clip)
    quantity = int(shares // settings.lot) * settings.lot
    return Hedge(band, target, -quantity if delta > 0 else quantity) if quantity else None


def hedge_to_zero(delta: float, settings: HedgerSettings) -> Hedge | None:
    """Return the trade that flattens net delta to the nearest lot, or nothing."""
    shares = min(abs(delta), settings.max_clip)
    quantity = int(shares / settings.lot + 0.5) * settings.lot
    quantity = min(quantity, settings.max_clip // settings.lot * settings.lot)
    return Hedge(0.0, 0.0, -quantity if delta > 0 else quantity) if quantity else None


class Hedger:
    """Stage: exposures in, `HedgeDecided` and `RequestOrder` out.

    It hedges only while the session is open, before its scheduled close, and the kill switch is not engaged (the gate's
    `KillSwitchEngaged`, not the command, which may be refused). `Flatten` takes the band away until `ResumeQuoting`.
    """

    name = "hedger"
    reads: frozenset[type[Event]] = frozenset(
        {
            ExposureChanged,
            UnderlyingUpdated,
            SessionChanged,
            TimerFired,
            OrderRouted,
            OrderRefused,
            OrderStateChanged,
            OrderFilled,
            KillSwitchEngaged,
            KillSwitchReleased,
            Flatten,
            ResumeQuoting,
        }
    )

    def __init__(self, settings: HedgerSettings, underlying: str) -> None:
        self._settings = settings
        self._underlying = underlying
        self._exposure = KnownExposure()
        self._hedge = HedgeInFlight()
        self._is_open = False
        self._close_ts = 0
        self._is_killed = False
        self._is_flattening = False
        self._not_before = 0
        self._refusals = 0
        self._counter = 0

    def apply(self, event: Event) -> Sequence[Event]:
        """Apply one event.

        Raises:
            DataError: An exposure is not finite.
        """
        match event:
            case ExposureChanged():
                return self._decide(event) if self._exposure.update(event) else ()
            case TimerFired():
                return self._overdue(event) if self._hedge.is_open else self._decide(event)
            case UnderlyingUpdated():
                self._exposure.quoted(event)
            case OrderRouted() | OrderRefused() | OrderStateChanged() | OrderFilled():
                self._follow(event)
            case SessionChanged():
                self._is_open, self._close_ts = event.state == "open", event.close_ts
            case KillSwitchEngaged() if self._is_for_us(event):
                self._is_killed = True
            case KillSwitchReleased() if self._is_for_us(event):
                self._is_killed = False
            case ResumeQuoting() if self._is_for_us(event):
                self._is_flattening = False
            case Flatten() if self._is_for_us(event) and not self._is_killed:
                self._is_flattening = True
                return self._decide(event)
            case _:
                pass
        return ()

    def _is_for_us(self, event: Event) -> bool:
        return event.underlying in ("", self._underlying)

    # --- deciding -----------------------------------------------------------------------------------------------------
    def _decide(self, event: Event) -> Sequence[Event]:
        known, now = self._exposure, event.ts_event
        may_trade = self._is_open and now < self._close_ts and not self._is_killed
        if self._hedge.is_open or not may_trade or now < self._not_before or not known.is_known:
            return ()
        if self._is_flattening:
            hedge = hedge_to_zero(known.delta, self._settings)
        else:
            hedge = hedge_to_band(known.delta, self.band(), self._settings)
        return () if hedge is None else self._request(event, hedge)

    def band(self) -> float:
        """Return the half-width of the band now, shares, between the settings' narrowest and widest."""
        settings, known = self._settings, self._exposure
        if not known.is_known:
            return settings.max_band
        width = half_width(known.gamma, known.spot, known.cost(settings.fee), settings.risk_aversion, settings.discount)
        return min(max(width, settings.min_band), settings.max_band)

    def _request(self, event: Event, hedge: Hedge) -> list[Event]:
        self._counter += 1
        request_id = f"{self._underlying}-hedge-{self._counter:06d}"
        side: Side = "buy" if hedge.quantity > 0 else "sell"
        self._hedge.ask(request_id, abs(hedge.quantity), event.ts_event)
        decided = HedgeDecided(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            underlying=self._underlying,
            net_delta=self._exposure.delta,
            band=hedge.band,
            target=hedge.target,
            quantity=hedge.quantity,
        )
        request = RequestOrder(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            underlying=self._underlying,
            request_id=request_id,
            contract=STOCK,
            side=side,
            quantity=abs(hedge.quantity),
            limit=0,
            tif="ioc",
            intent=Intent.FLATTEN if self._is_flattening else Intent.HEDGE,
        )
        return [decided, request]

    # --- following our order ------------------------------------------------------------------------------------------
    def _follow(self, event: OrderRouted | OrderRefused | OrderStateChanged | OrderFilled) -> None:
        hedge = self._hedge
        match event:
            case OrderFilled():
                if event.contract == STOCK:
                    signed = event.quantity if event.side == "buy" else -event.quantity
                    self._exposure.filled(signed, event.ts_event)
                    hedge.traded += event.quantity * hedge.owns(event.clordid)
            case OrderRouted():
                if event.request_id == hedge.request_id:
                    hedge.routed(event.clordid)
            case OrderRefused():
                is_child = hedge.owns(event.clordid)
                is_parent = not event.clordid and hedge.is_open and event.request_id == hedge.request_id
                if is_parent or (is_child and hedge.end_child(event.clordid)):
                    self._end(event.ts_event, is_refused=hedge.traded == 0)
            case OrderStateChanged():
                is_over = hedge.owns(event.clordid) and event.after in TERMINAL
                if is_over and hedge.end_child(event.clordid):
                    self._end(event.ts_event, is_refused=event.after == "rejected" and hedge.traded == 0)

    def _end(self, ts: int, *, is_refused: bool) -> None:
        """Close the hedge and pause: longer where not all traded, twice as long after each refusal in a row."""
        settings = self._settings
        self._refusals = self._refusals + 1 if is_refused else 0
        pause_ms = settings.pause_ms
        if self._hedge.traded < self._hedge.wanted:
            doublings = min(max(self._refusals - 1, 0), 30)
            pause_ms = max(pause_ms, min(settings.retry_ms << doublings, settings.max_retry_ms))
        self._not_before = ts + pause_ms * 1_000_000
        self._hedge.close()

    def _overdue(self, event: TimerFired) -> Sequence[Event]:
        hedge = self._hedge
        if hedge.is_overdue or event.ts_event - hedge.asked_ts < self._settings.timeout_ms * 1_000_000:
            return ()
        hedge.is_overdue = True
        return [
            ReconciliationNeeded(
                ts_event=event.ts_event,
                ts_init=event.ts_init,
                underlying=self._underlying,
                venue=_NO_VENUE,
                subject=hedge.request_id,
                reason="hedge has no outcome in time",
            )
        ]

    # --- snapshots ----------------------------------------------------------------------------------------------------
    def snapshot(self) -> bytes:
        """Return the whole state."""
        return pack(
            _KIND,
            _VERSION,
            {
                "exposure": self._exposure.state(),
                "hedge": self._hedge.state(),
                "is_open": self._is_open,
                "close_ts": self._close_ts,
                "is_killed": self._is_killed,
                "is_flattening": self._is_flattening,
                "not_before": self._not_before,
                "refusals": self._refusals,
                "counter": self._counter,
            },
        )

    def restore(self, state: bytes) -> None:
        """Take over what `snapshot` gave.

        Raises:
            DataError: Damaged, or of another stage or version.
        """
        found = unpack(_KIND, _VERSION, state)
        self._exposure.take_over(found["exposure"])
        self._hedge.take_over(found["hedge"])
        self._is_open, self._close_ts = found["is_open"], found["close_ts"]
        self._is_killed = found["is_killed"]
        self._is_flattening = found["is_flattening"]
        self._not_before, self._refusals = found["not_before"], found["refusals"]
        self._counter = found["counter"]
