"""The risk gate: the one way out. It alone issues clearances, and the outlet takes nothing else.

One instance serialises quoter, hedger and router of one underlying, so that what each may do is judged with all that
the others have on the way. A breach is an event, never an exception. Cancels pass in every state, and so do questions
about orders: neither adds risk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from domain import commands as c
from domain import events as e
from domain.chain import Chain
from domain.errors import InputError
from domain.events_base import Event
from domain.frames import QuoteRefusalFrame
from domain.price import TickClass
from domain.state import pack, unpack
from risk.bounds import MS
from risk.checks import Blocked, Breach
from risk.controls import Controls
from risk.issue import Issuer
from risk.kill_switch import KillSwitch
from risk.limits import Limits
from risk.order_checks import order_breaches, replace_breaches
from risk.quote_checks import judge_quotes
from risk.seal import Sealer
from risk.view import View

_VERSION: Final = 1


class RiskGate:
    """Stage: judges every outbound command of one underlying and seals what may go."""

    name = "gate"

    def __init__(
        self,
        chain: Chain,
        tick_classes: Mapping[str, TickClass],
        limits: Limits,
        sealer: Sealer,
        gate: str,
        underlying: str,
        venues: int = 2,
    ) -> None:
        """Build a gate that knows no price yet: it refuses all that adds risk until it does.

        Args:
            chain: The contracts.
            tick_classes: By root.
            limits: Limits in force until a command changes them.
            sealer: Holds the key that the outlet verifies with.
            gate: Name on the clearances.
            underlying: Whose commands it judges.
            venues: Venue indices that take quotes are below this number.

        Raises:
            InputError: A root has no tick class, or there is no venue.
        """
        if venues < 1:
            raise InputError("a gate needs a venue", field="venues", value=venues)
        self._underlying = underlying
        self._issuer = Issuer(sealer, gate, underlying)
        self._view = View(chain, tick_classes, limits, venues)
        self._kill = KillSwitch()
        controls = Controls(self._issuer, self._view, self._kill)
        self._clordids: dict[str, None] = {}
        self._recent: dict[str, int] = {}
        self._react: dict[type[Event], Callable[[Any], Sequence[Event] | None]] = {
            c.PlaceQuotes: self._place_quotes,
            c.CancelQuotes: self._cancel_quotes,
            c.SubmitOrder: self._submit,
            c.CancelOrder: self._cancel_order,
            c.ReplaceOrder: self._replace,
            c.CancelAllOrders: self._cancel_all,
            c.RequestOrderStatus: self._ask,
            c.RequestOrder: self._on_request,
            c.EngageKillSwitch: controls.engage,
            c.ReleaseKillSwitch: controls.release,
            c.ChangeLimits: controls.change_limits,
            c.PauseQuoting: controls.acknowledge,
            c.ResumeQuoting: controls.acknowledge,
            c.Flatten: controls.acknowledge,
            c.ResetProtection: controls.acknowledge,
            e.NbboUpdated: self._view.market.on_nbbo,
            e.UnderlyingUpdated: self._view.market.on_underlying,
            e.GreeksComputed: self._view.market.on_greeks,
            e.ExposureChanged: self._view.on_exposure,
            e.PositionChanged: self._view.on_position,
            e.SessionChanged: self._view.on_session,
            e.QuotesAcknowledged: self._on_acknowledged,
            e.QuotesCanceled: self._on_canceled,
            e.ExecutionReported: self._on_execution,
            e.CancelRejected: self._view.orders.cancel_rejected,
            e.OrderStateChanged: self._view.orders.moved,
            e.VenueStatusChanged: self._on_venue_status,
            e.VenueTrustChanged: self._on_venue_trust,
        }
        self.reads: frozenset[type[Event]] = frozenset(self._react)

    @property
    def view(self) -> View:
        """The gate's picture of what is held and what may trade. Read only."""
        return self._view

    def apply(self, event: Event) -> Sequence[Event]:
        """Apply one event; return clearances, refusals, breaches and answers to commands."""
        if event.underlying not in {self._underlying, ""}:
            return ()
        return self._react[type(event)](event) or ()

    # --- quotes -----------------------------------------------------------------------------------------------------

    def _place_quotes(self, command: c.PlaceQuotes) -> Sequence[Event]:
        frame, quotes = command.frame, self._view.quotes
        if quotes.is_known(command.quote_set_id):
            reasons = np.full(len(frame), e.QuoteRefusal.DUPLICATE, np.int8)
            refused = QuoteRefusalFrame(venue=frame.venue, contract=frame.contract, reason=reasons)
            breach = Breach("duplicate", 1.0, 0.0, len(frame))
            return [*self._pull_repeated(command), *self._refused(command, refused, [breach])]
        verdict = judge_quotes(frame, self._view, self._blocked(command.ts_event, len(frame)))
        events: list[Event] = []
        if len(verdict.frame):
            quotes.send(command.quote_set_id, verdict.frame, verdict.rows)
            events.append(self._issuer.quotes(command, verdict.frame))
        if verdict.refused is not None:
            events += self._refused(command, verdict.refused, verdict.breaches)
        return events

    def _blocked(self, now: int, entries: int) -> Blocked | None:
        """Return why nothing may be placed at that time, if so."""
        view, limits = self._view, self._view.limits
        if self._kill.is_engaged:
            return Blocked(e.QuoteRefusal.KILLED, 1.0, 0.0)
        if not view.is_open(now):
            return Blocked(e.QuoteRefusal.HALTED, 1.0, 0.0)
        if (age := view.market.age_ms(now)) > limits.stale_ms:
            return Blocked(e.QuoteRefusal.STALE, age, float(limits.stale_ms))
        messages, sent = self._issuer.rate.counts(now, limits)
        if messages + 1 > limits.max_messages:
            return Blocked(e.QuoteRefusal.RATE, float(messages + 1), float(limits.max_messages))
        if entries and sent + entries > limits.max_entries:
            return Blocked(e.QuoteRefusal.RATE, float(sent + entries), float(limits.max_entries))
        return None

    def _refused(self, command: c.PlaceQuotes, refused: QuoteRefusalFrame, breaches: Sequence[Breach]) -> list[Event]:
        head = self._issuer.head(command)
        events: list[Event] = [e.QuotesRefused(**head, quote_set_id=command.quote_set_id, frame=refused)]
        return events + self._issuer.breaches(command, command.quote_set_id, breaches)

    def _pull_repeated(self, command: c.PlaceQuotes) -> list[Event]:
        """What a repeated mass quote pulls is pulled all the same, by a cancel: its name cannot be sent again."""
        frame = command.frame
        events: list[Event] = []
        for venue in range(self._view.quotes.venues):
            pulls = (frame.venue == venue) & (frame.bid_size == 0) & (frame.ask_size == 0)
            if pulls.any():
                cancel = c.CancelQuotes(
                    **self._issuer.head(command),
                    cancel_id=f"{command.quote_set_id}-pull-{venue}-{self._issuer.sequence + 1}",
                    venue=venue,
                    contracts=tuple(frame.contract[pulls].tolist()),
                    reason="pull in a repeated mass quote",
                )
                events += self._cancel_quotes(cancel)
        return events

    # --- cancels: always pass ---------------------------------------------------------------------------------------

    def _cancel_quotes(self, cancel: c.CancelQuotes) -> Sequence[Event]:
        self._view.quotes.send_cancel(cancel.cancel_id, cancel.venue, cancel.contracts)
        return [self._issuer.quote_cancel(cancel)]

    def _cancel_order(self, cancel: c.CancelOrder) -> Sequence[Event]:
        return [self._issuer.order_cancel(cancel)]

    def _cancel_all(self, cancel: c.CancelAllOrders) -> Sequence[Event]:
        return [self._issuer.orders_cancel(cancel)]

    def _ask(self, request: c.RequestOrderStatus) -> Sequence[Event]:
        return [self._issuer.order_status(request)]

    # --- orders -----------------------------------------------------------------------------------------------------

    def _submit(self, order: c.SubmitOrder) -> Sequence[Event]:
        twin = f"{order.venue}/{order.contract}/{order.side}/{order.quantity}/{order.price}/{order.order_type}"
        breach = self._order_blocked(order, order.clordid)
        if breach is None:
            since = order.ts_event - self._recent.get(twin, order.ts_event - (1 << 60))
            window = self._view.limits.duplicate_window_ms
            if since < window * MS:
                breach = Breach("repeated", since / MS, float(window), 1)
        if breach is None:
            breach = next(order_breaches(order, self._view), None)
        if breach is not None:
            return self._refused_order(order, order.request_id, breach)
        self._clordids[order.clordid] = None
        self._recent[twin] = order.ts_event
        self._view.orders.submitted(order)
        return [self._issuer.order(order)]

    def _replace(self, replace: c.ReplaceOrder) -> Sequence[Event]:
        breach = self._order_blocked(replace, replace.clordid)
        original = self._view.orders.get(replace.orig_clordid)
        if breach is None and (original is None or original.new_clordid or original.clordid != replace.orig_clordid):
            breach = Breach("unknown_order", 1.0, 0.0, 1)
        if breach is None and original is not None:
            breach = next(replace_breaches(replace, original, self._view), None)
        if breach is not None:
            request = original.request_id if original is not None else ""
            return self._refused_order(replace, request, breach)
        self._clordids[replace.clordid] = None
        self._view.orders.replacing(replace)
        return [self._issuer.replace(replace)]

    def _order_blocked(self, order: c.SubmitOrder | c.ReplaceOrder, clordid: str) -> Breach | None:
        """Return what keeps every order back, or this name."""
        blocked = self._blocked(order.ts_event, 0)
        if blocked is not None:
            return Breach(blocked.reason.name.lower(), blocked.value, blocked.limit, 1)
        return Breach("duplicate", 1.0, 0.0, 1) if clordid in self._clordids else None

    def _refused_order(self, order: c.SubmitOrder | c.ReplaceOrder, request: str, breach: Breach) -> Sequence[Event]:
        refused = e.OrderRefused(
            **self._issuer.head(order),
            clordid=order.clordid,
            request_id=request,
            reason=breach.check,
            detail=f"value {breach.value:.10g} limit {breach.limit:.10g}",
        )
        return [refused, *self._issuer.breaches(order, order.clordid, [breach])]

    def _on_request(self, request: c.RequestOrder) -> None:
        self._view.requested[request.request_id] = request.quantity

    # --- answers of venues ------------------------------------------------------------------------------------------

    def _on_acknowledged(self, event: e.QuotesAcknowledged) -> None:
        self._view.quotes.acknowledge(event.venue, event.quote_set_id, event.accepted, event.frame)

    def _on_canceled(self, event: e.QuotesCanceled) -> None:
        self._view.quotes.cancel_confirmed(event.venue, event.cancel_id, event.contracts)

    def _on_execution(self, event: e.ExecutionReported) -> None:
        is_new = self._view.orders.reported(event)
        if is_new and event.quote_set_id and event.exec_type is e.ExecType.TRADE:
            self._view.quotes.fill(
                event.venue,
                event.quote_set_id,
                event.contract,
                is_buy=event.side == "buy",
                quantity=event.last_qty,
            )

    def _on_venue_status(self, event: e.VenueStatusChanged) -> None:
        self._view.market.set_venue(event.venue, is_up=event.is_up)

    def _on_venue_trust(self, event: e.VenueTrustChanged) -> Sequence[Event]:
        """No new risk where a venue reported more than was ordered; what stands there is cancelled."""
        self._view.market.set_trust(event.venue, is_trusted=event.is_trusted)
        if event.is_trusted:
            return ()
        head, name = self._issuer.head(event), f"{self._issuer.gate}-distrust-{self._issuer.sequence + 1}"
        why = f"venue is disputed: {event.reason}"
        quotes = c.CancelQuotes(**head, cancel_id=f"{name}-quotes", venue=event.venue, contracts=(), reason=why)
        orders = c.CancelAllOrders(**head, cancel_id=f"{name}-orders", venue=event.venue, reason=why)
        pulled = self._cancel_quotes(quotes) if event.venue < self._view.quotes.venues else ()
        return [*pulled, *self._cancel_all(orders)]

    # --- state ------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The whole state; the key is not part of it."""
        state = {
            "view": self._view.state(),
            "kill": self._kill.state(),
            "rate": self._issuer.rate.state(),
            "sequence": self._issuer.sequence,
            "clordids": list(self._clordids),
            "recent": self._recent,
        }
        return pack(self.name, _VERSION, state)

    def restore(self, state: bytes) -> None:
        """Take over what `snapshot` gave.

        Raises:
            DataError: The bytes are of another stage or version.
        """
        values = unpack(self.name, _VERSION, state)
        self._view.restore(values["view"])
        self._kill.restore(values["kill"])
        self._issuer.rate.restore(values["rate"])
        self._issuer.sequence = values["sequence"]
        self._clordids = dict.fromkeys(values["clordids"])
        self._recent = dict(values["recent"])
