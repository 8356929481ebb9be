"""The hedger: keeps net delta inside a no-trade band by trading the underlying, and flattens it before the close.

A stage. One hedge at a time: while an order of its own may still trade, it sends nothing. One that has no outcome in
time is reported and never resent; what it cannot have done is hedged without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from domain.chain import Chain
from domain.commands import (
    STOCK,
    Flatten,
    Intent,
    RequestOrder,
    ResumeQuoting,
    Side,
    SubmitOrder,
)
from domain.events import (
    Event,
    ExposureChanged,
    GreeksComputed,
    HedgeDecided,
    KillSwitchEngaged,
    KillSwitchReleased,
    OrderFilled,
    OrderRefused,
    OrderRouted,
    OrderStateChanged,
    PositionChanged,
    ReconciliationNeeded,
    SessionChanged,
    TimerFired,
    UnderlyingUpdated,
)
from domain.state import pack, unpack
from hedging.bands import half_width
from hedging.exposure import KnownExposure
from hedging.hedge_in_flight import TERMINAL, HedgeInFlight, sure_delta
from hedging.settings import HedgerSettings
from hedging.settling import Settling
from hedging.sizing import Hedge, hedge_to_band, hedge_to_zero

_KIND: Final = "hedging.hedger"
_VERSION: Final = 2
_NO_VENUE: Final = -1
_MS: Final = 1_000_000
_NS: Final = 1_000_000_000


class Hedger:
    """Stage: exposures in, `HedgeDecided` and `RequestOrder` out.

    It hedges only while the session is open, before its scheduled close, and the kill switch is not engaged (the gate's
    `KillSwitchEngaged`, not the command, which may be refused). `Flatten` takes the band away until `ResumeQuoting`;
    option positions stay. In the last `closing_s` the book is made flat as it will be after settlement; what is left of
    it at the close is stated in a `HedgeDecided` without a quantity, with the reason.

    Args:
        settings: See `HedgerSettings`.
        chain: The contracts of the underlying.
    """

    name = "hedger"

    def __init__(self, settings: HedgerSettings, chain: Chain) -> None:
        self._settings = settings
        self._underlying = chain.underlying
        self._exposure = KnownExposure()
        self._settling = Settling(chain)
        self._hedge = HedgeInFlight()
        self._in_doubt: list[HedgeInFlight] = []
        self._is_open = False
        self._close_ts = 0
        self._is_killed = False
        self._is_flattening = False
        self._ended_ts = 0
        self._not_before = 0
        self._refusals = 0
        self._counter = 0
        self._react: dict[type[Event], Callable[[Any], Sequence[Event]]] = {
            ExposureChanged: self._on_exposure,
            GreeksComputed: self._settling.value,
            PositionChanged: self._settling.hold,
            UnderlyingUpdated: self._exposure.quoted,
            SessionChanged: self._on_session,
            TimerFired: self._on_timer,
            OrderRouted: self._on_routed,
            SubmitOrder: self._follow,
            OrderRefused: self._on_refused,
            OrderStateChanged: self._follow,
            OrderFilled: self._on_fill,
            KillSwitchEngaged: self._on_kill,
            KillSwitchReleased: self._on_kill,
            Flatten: self._on_flatten,
            ResumeQuoting: self._on_resume,
        }
        self.reads: frozenset[type[Event]] = frozenset(self._react)

    def apply(self, event: Event) -> Sequence[Event]:
        """Apply one event.

        Raises:
            DataError: An exposure is not finite.
        """
        if event.underlying not in ("", self._underlying):
            return ()
        return self._react[type(event)](event)

    # --- events -------------------------------------------------------------------------------------------------------
    def _on_exposure(self, event: ExposureChanged) -> Sequence[Event]:
        return self._decide(event) if self._exposure.update(event) else ()

    def _on_timer(self, event: TimerFired) -> Sequence[Event]:
        return self._overdue(event) if self._hedge.is_open else self._decide(event)

    def _on_session(self, event: SessionChanged) -> Sequence[Event]:
        was_open = self._is_open
        self._is_open, self._close_ts = event.state == "open", event.close_ts
        return self._hand_over(event) if was_open and event.state == "closed" else ()

    def _on_kill(self, event: KillSwitchEngaged | KillSwitchReleased) -> Sequence[Event]:
        self._is_killed = isinstance(event, KillSwitchEngaged)
        return ()

    def _on_flatten(self, event: Flatten) -> Sequence[Event]:
        if self._is_killed:
            return ()
        self._is_flattening = True
        return self._decide(event)

    def _on_resume(self, _event: ResumeQuoting) -> Sequence[Event]:
        self._is_flattening = False
        return ()

    # --- deciding -----------------------------------------------------------------------------------------------------
    def _decide(self, event: Event) -> Sequence[Event]:
        known, now, settings = self._exposure, event.ts_event, self._settings
        may_trade = self._is_open and now < self._close_ts and not self._is_killed
        is_closing = now >= self._close_ts - round(settings.closing_s * _NS)
        is_urgent = is_closing or self._is_flattening
        wait_until = min(self._not_before, self._ended_ts + settings.retry_ms * _MS) if is_urgent else self._not_before
        if self._hedge.is_open or not may_trade or now < wait_until or not known.is_known:
            return ()
        delta = sure_delta(self._net_delta(is_closing=is_closing), self._in_doubt)
        if not is_urgent:
            hedge = hedge_to_band(delta, self.band(), settings)
        else:
            is_flat = abs(delta) <= settings.min_band and not self._is_flattening
            hedge = None if is_flat else hedge_to_zero(delta, settings)
        return () if hedge is None else self._request(event, hedge, delta)

    def _net_delta(self, *, is_closing: bool) -> float:
        """Net delta, shares; before the close, that of the book after settlement at the price of the moment."""
        known = self._exposure
        return known.delta + self._settling.change(known.spot) if is_closing and known.spot > 0 else known.delta

    def _hand_over(self, event: SessionChanged) -> Sequence[Event]:
        """State what trading ended with, where it is more than the closing hedge would have left, and why."""
        delta = self._net_delta(is_closing=True)
        if abs(delta) <= self._settings.min_band and not self._hedge.is_open and not self._in_doubt:
            return ()
        if self._is_killed:
            reason = "kill switch engaged"
        elif self._hedge.is_open or self._in_doubt:
            reason = "outcome of a hedge not known"
        elif self._exposure.ts >= self._close_ts:
            reason = "price known at the close only"
        elif self._refusals:
            reason = "hedges refused"
        else:
            reason = "no time left"
        return [self._decided(event, Hedge(self._settings.min_band, 0.0, 0), delta, reason)]

    def band(self) -> float:
        """Return the half-width of the band now, shares, between the settings' narrowest and widest."""
        settings, known = self._settings, self._exposure
        if not known.is_known:
            return settings.max_band
        width = half_width(known.gamma, known.spot, known.cost(settings.fee), settings.risk_aversion, settings.discount)
        return min(max(width, settings.min_band), settings.max_band)

    def _decided(self, event: Event, hedge: Hedge, delta: float, reason: str = "") -> HedgeDecided:
        return HedgeDecided(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            underlying=self._underlying,
            net_delta=delta,
            band=hedge.band,
            target=hedge.target,
            quantity=hedge.quantity,
            reason=reason,
        )

    def _request(self, event: Event, hedge: Hedge, delta: float) -> list[Event]:
        self._counter += 1
        request_id = f"{self._underlying}-hedge-{self._counter:06d}"
        side: Side = "buy" if hedge.quantity > 0 else "sell"
        self._hedge.ask(request_id, hedge.quantity, event.ts_event)
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
        return [self._decided(event, hedge, delta), request]

    # --- following our orders -----------------------------------------------------------------------------------------
    def _on_fill(self, event: OrderFilled) -> Sequence[Event]:
        if event.contract != STOCK:
            return ()
        self._exposure.filled(event.quantity if event.side == "buy" else -event.quantity, event.ts_event)
        return self._follow(event)

    def _on_routed(self, event: OrderRouted) -> Sequence[Event]:
        if event.request_id == self._hedge.request_id:
            self._hedge.routed(event.clordid)
        return ()

    def _on_refused(self, event: OrderRefused) -> Sequence[Event]:
        if event.clordid:
            return self._follow(event)
        if self._hedge.is_open and event.request_id == self._hedge.request_id:
            self._end(self._hedge, event.ts_event, is_refused=True)
        return ()

    def _follow(self, event: SubmitOrder | OrderRefused | OrderStateChanged | OrderFilled) -> Sequence[Event]:
        """Follow one child of ours: its size, what it trades, its end."""
        hedge = next((hedge for hedge in (self._hedge, *self._in_doubt) if hedge.owns(event.clordid)), None)
        if hedge is None:
            return ()
        match event:
            case SubmitOrder():
                hedge.sized(event.clordid, event.quantity)
            case OrderFilled():
                hedge.filled(event.clordid, event.quantity)
            case OrderRefused():
                if hedge.end_child(event.clordid):
                    self._end(hedge, event.ts_event, is_refused=hedge.traded == 0)
            case OrderStateChanged():
                if event.after in TERMINAL and hedge.end_child(event.clordid):
                    self._end(hedge, event.ts_event, is_refused=event.after == "rejected" and hedge.traded == 0)
        return ()

    def _end(self, hedge: HedgeInFlight, ts: int, *, is_refused: bool) -> None:
        """Close a hedge and pause: longer where not all traded, twice as long after each refusal in a row."""
        if hedge is not self._hedge:
            self._in_doubt.remove(hedge)
            return
        settings = self._settings
        self._refusals = self._refusals + 1 if is_refused else 0
        pause_ms = settings.pause_ms
        if hedge.traded < abs(hedge.wanted):
            doublings = min(max(self._refusals - 1, 0), 30)
            pause_ms = max(pause_ms, min(settings.retry_ms << doublings, settings.max_retry_ms))
        self._ended_ts, self._not_before = ts, ts + pause_ms * _MS
        hedge.close()

    def _overdue(self, event: TimerFired) -> Sequence[Event]:
        """Report a hedge that has no outcome in time, and go on without it."""
        hedge = self._hedge
        if event.ts_event - hedge.asked_ts < self._settings.timeout_ms * _MS:
            return ()
        self._in_doubt.append(hedge)
        self._hedge = HedgeInFlight()
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
                "settling": self._settling.state(),
                "hedge": self._hedge.state(),
                "in_doubt": [hedge.state() for hedge in self._in_doubt],
                "is_open": self._is_open,
                "close_ts": self._close_ts,
                "is_killed": self._is_killed,
                "is_flattening": self._is_flattening,
                "ended_ts": self._ended_ts,
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
        self._settling.take_over(found["settling"])
        self._hedge = HedgeInFlight.of(found["hedge"])
        self._in_doubt = [HedgeInFlight.of(hedge) for hedge in found["in_doubt"]]
        self._is_open, self._close_ts = found["is_open"], found["close_ts"]
        self._is_killed = found["is_killed"]
        self._is_flattening = found["is_flattening"]
        self._ended_ts, self._not_before = found["ended_ts"], found["not_before"]
        self._refusals = found["refusals"]
        self._counter = found["counter"]
