"""The stage that shows our quotes: one pass over the chain for each change of theos or positions, differences sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from domain.chain import Chain
from domain.commands import (
    CancelQuotes,
    Flatten,
    Party,
    PauseQuoting,
    PlaceQuotes,
    ResetProtection,
    ResumeQuoting,
    StopRun,
)
from domain.events import (
    Event,
    ExposureChanged,
    GreeksComputed,
    KillSwitchEngaged,
    KillSwitchReleased,
    NbboUpdated,
    OrderFilled,
    ProtectionReset,
    ProtectionTripped,
    QuotesAcknowledged,
    QuotesCanceled,
    QuotesRefused,
    QuotingStateChanged,
    SessionChanged,
    TimerFired,
    UnderlyingUpdated,
    VenueProtectionTripped,
    VenueStatusChanged,
)
from domain.price import TickClass, tick_columns
from domain.state import pack, unpack
from quoting import target
from quoting.identifiers import Identifiers
from quoting.ladder import Ladder, diff, hold, keep_apart, rows
from quoting.latches import Latches
from quoting.market import Market
from quoting.mmp import Protection
from quoting.settings import QuotingSettings
from quoting.shown import Shown
from quoting.validity import Validity, aged

_VERSION: Final = 4
_NS: Final = 1_000_000_000
_NOTHING: Final[tuple[Event, ...]] = ()


class Quoter:
    """Quotes every live contract of a chain at every venue where we are a market maker.

    A pass runs when the exposure changed, which follows each reprice and each fill, and again when nothing happened
    for `stale_check_s`, because widths grow with age. It computes prices once, leaves alone what is not worth a
    message, and sends the rest of all venues as one `PlaceQuotes`. Quotes are pulled, all of them, while any latch
    holds: session not open or about to close, halt, kill switch, pause, our own market-maker protection, stale
    underlying or theos, end of the run.

    What is shown is known from what was sent. Refusals, fills and cancels correct it and the next pass repairs the
    quotes; an entry that was refused, and a venue that does not answer, are pulled first, because an old quote of ours
    may still stand there.

    Args:
        chain: The contracts of the underlying.
        tick_classes: Increments by root; every root of the chain must be there.
        settings: See `QuotingSettings`.
        party: Who sends.
        venues: Indices of the venues to quote at.
        session: Trading date as YYYYMMDD.
        shard: Short name of the shard; with the session it prefixes identifiers.

    Raises:
        KeyError: A root of the chain has no tick class.
    """

    name = "quoter"

    def __init__(
        self,
        chain: Chain,
        tick_classes: dict[str, TickClass],
        settings: QuotingSettings,
        party: Party,
        venues: tuple[int, ...],
        session: str,
        shard: str,
    ) -> None:
        self._chain = chain
        self._settings = settings
        self._party = party
        self._identifiers = Identifiers(session, shard)
        roots = list(dict.fromkeys(root for root, _ in chain.expiries))
        root_of_expiry = np.array([roots.index(root) for root, _ in chain.expiries])
        self._ticks = tick_columns([tick_classes[root] for root in roots], root_of_expiry[chain.expiry_index])

        self._market = Market(self._ticks, chain.multiplier, settings)
        self._value = target.Valuation(chain, self._ticks, settings)
        self._shown = Shown(venues, len(chain))
        self._protection = Protection(settings.mmp)
        self._exposure = target.Exposure()
        self._latches = Latches()
        self._validity = Validity(settings)
        self._next_pass = self._next_look = 0
        self._check_ns = round(settings.stale_check_s * _NS)
        self._silence_ns = round(settings.silence_s * _NS)
        self._backoff_ns = round(settings.refusal_backoff_s * _NS)

        self._react: dict[type[Event], Callable[[Any], Sequence[Event]]] = {
            TimerFired: self._on_timer,
            NbboUpdated: self._on_nbbo,
            UnderlyingUpdated: self._on_underlying,
            GreeksComputed: self._on_greeks,
            ExposureChanged: self._on_exposure,
            OrderFilled: self._on_fill,
            QuotesAcknowledged: self._on_acknowledged,
            QuotesRefused: self._on_refused,
            QuotesCanceled: self._on_canceled,
            VenueProtectionTripped: self._on_venue_protection,
            VenueStatusChanged: self._on_venue_status,
            SessionChanged: self._on_session,
            KillSwitchEngaged: lambda event: self._latch(event, kill=True),
            KillSwitchReleased: lambda event: self._latch(event, kill=False),
            PauseQuoting: lambda event: self._latch(event, pause=True),
            Flatten: lambda event: () if "kill" in self._latches else self._latch(event, pause=True),
            ResumeQuoting: lambda event: self._latch(event, pause=False),
            StopRun: lambda event: self._latch(event, stop=True),
            ResetProtection: self._on_reset,
        }
        self.reads: frozenset[type[Event]] = frozenset(self._react)

    @property
    def shown(self) -> Ladder:
        """What we show, (venues, 2, n): for the operator's view. Read only."""
        return self._shown.book

    def apply(self, event: Event) -> Sequence[Event]:
        """Apply one event; return quotes, cancels and changes of state that follow."""
        if event.underlying and event.underlying != self._chain.underlying:
            return _NOTHING
        react = self._react.get(type(event))
        return react(event) if react is not None else _NOTHING

    # --- market, theos, exposure --------------------------------------------------------------------------------------
    def _on_timer(self, event: TimerFired) -> Sequence[Event]:
        ts = event.ts_event
        if ts < self._next_look:
            return _NOTHING
        # A venue did not answer in time: nobody knows what stands there. Purge it, until it confirms.
        silent = self._shown.forget_silent(ts, self._silence_ns)
        result: list[Event] = [self._cancel(event, venue, (), "no answer") for venue in silent]
        is_pass_due = ts >= self._next_pass
        if is_pass_due:
            self._next_pass = ts + self._check_ns
        result += self._freshen(event, is_pass_due=is_pass_due)
        self._plan(ts)
        return result

    def _on_nbbo(self, event: NbboUpdated) -> Sequence[Event]:
        self._market.update(event.frame, event.ts_event)
        return _NOTHING

    def _on_underlying(self, event: UnderlyingUpdated) -> Sequence[Event]:
        if event.bid > 0 and event.ask > 0:
            self._validity.underlying_ts = event.ts_event
        return _NOTHING

    def _on_greeks(self, event: GreeksComputed) -> Sequence[Event]:
        self._value.update(event.frame, event.spot)
        self._validity.theo_ts = event.ts_event
        return _NOTHING

    def _on_exposure(self, event: ExposureChanged) -> Sequence[Event]:
        self._exposure = target.Exposure(event.delta, event.vega)
        return self._freshen(event, is_pass_due=True)

    # --- answers ------------------------------------------------------------------------------------------------------
    def _on_fill(self, event: OrderFilled) -> Sequence[Event]:
        if not event.is_quote or not 0 <= event.contract < len(self._chain):
            return _NOTHING
        self._shown.filled(event.venue, event.contract, event.side, event.quantity, event.price)
        signed = event.quantity * float(self._chain.multiplier[event.contract]) * (1.0 if event.side == "buy" else -1.0)
        trip = self._protection.record(
            event.ts_event,
            event.quantity,
            signed * float(self._value.delta[event.contract]),
            signed * float(self._value.vega[event.contract]),
        )
        if trip is None:
            return _NOTHING
        tripped = ProtectionTripped(**self._head(event), rule=trip.rule, value=trip.value, limit=trip.limit)
        return (tripped, *self._latch(event, protection=True))

    def _on_acknowledged(self, event: QuotesAcknowledged) -> Sequence[Event]:
        number = self._identifiers.set_number(event.quote_set_id)
        self._shown.acknowledged(event.venue, number, event.accepted + len(event.frame))
        if not len(event.frame):
            return _NOTHING
        return self._pull_refused(event, number)

    def _on_refused(self, event: QuotesRefused) -> Sequence[Event]:
        number = self._identifiers.set_number(event.quote_set_id)
        self._shown.not_sent(number, event.frame)
        return self._pull_refused(event, number)

    def _pull_refused(self, event: QuotesAcknowledged | QuotesRefused, number: int) -> Sequence[Event]:
        """An entry that was refused leaves our earlier quote standing at a price that we meant to leave: pull it."""
        stands = self._shown.refused(number, event.frame, event.ts_event + self._backoff_ns)
        return [self._cancel(event, venue, contracts, "refused") for venue, contracts in stands.items()]

    def _on_canceled(self, event: QuotesCanceled) -> Sequence[Event]:
        number = self._identifiers.cancel_number(event.cancel_id)
        if number < 0:
            self._shown.canceled(event.venue, event.contracts)
        elif self._shown.cancel_answered(event.venue, number):
            return self._freshen(event, is_pass_due=True)
        return _NOTHING

    def _on_venue_protection(self, event: VenueProtectionTripped) -> Sequence[Event]:
        """Stay away from the venue until the reset; purge it, which venues ask for before they take quotes again."""
        row = self._shown.row_of(event.venue)
        if row is None:
            return _NOTHING
        self._shown.clear(row)
        self._shown.is_protected[row] = True
        return [self._cancel(event, event.venue, (), "venue protection")]

    def _on_venue_status(self, event: VenueStatusChanged) -> Sequence[Event]:
        row = self._shown.row_of(event.venue)
        if row is None:
            return _NOTHING
        if not event.is_up:
            self._shown.disconnected(row)
            return _NOTHING
        self._shown.is_up[row] = True
        return self._freshen(event, is_pass_due=True)

    # --- latches ------------------------------------------------------------------------------------------------------
    def _on_session(self, event: SessionChanged) -> Sequence[Event]:
        is_halted = event.state == "halted"
        is_closed = event.state != "open" and not is_halted
        self._validity.session(event.open_ts, event.close_ts)
        return self._latch(event, closed=is_closed or event.ts_event >= event.close_ts, halt=is_halted)

    def _on_reset(self, event: ResetProtection) -> Sequence[Event]:
        was_away = self._shown.release_protected()
        was_tripped = self._protection.reset()
        if not was_tripped and not was_away:
            return _NOTHING
        reset = ProtectionReset(**self._head(event), user=event.user, reason=event.reason)
        if was_tripped:
            return (reset, *self._latch(event, protection=False))
        return (reset, *self._freshen(event, is_pass_due=True))

    def _latch(self, event: Event, **latches: bool) -> Sequence[Event]:
        """Set or release latches, those of time alone with them; say so, and pull or place quotes, on a change."""
        before = self._latches.held_by
        if not self._latches.change(**{**self._validity.latches(event.ts_event), **latches}):
            return _NOTHING
        held_by = self._latches.held_by
        result: list[Event] = [QuotingStateChanged(**self._head(event), is_quoting=not held_by, held_by=held_by)]
        if not held_by:
            result += self._pass(event)
        elif not before:
            result += self._pull(event, ", ".join(held_by))
        return result

    def _freshen(self, event: Event, *, is_pass_due: bool) -> Sequence[Event]:
        """Set the latches that time alone sets: the close, and the age of what quotes rest on. Then quote if due."""
        if changed := self._latch(event):
            return changed
        return self._pass(event) if is_pass_due and self._latches.is_free else _NOTHING

    # --- quoting ------------------------------------------------------------------------------------------------------
    def _pass(self, event: Event) -> Sequence[Event]:
        """Compute the whole chain once and send what differs, all venues in one command."""
        settings, shown, ts = self._settings, self._shown, event.ts_event
        self._next_pass = min(ts + self._check_ns, self._validity.late_after(ts))
        value, market = aged(self._value, self._market, self._validity.unseen_s(ts), settings)
        wanted = target.quotes(
            value,
            market,
            self._exposure,
            multiplier=self._chain.multiplier,
            ticks=self._ticks,
            venues=len(shown.venues),
            settings=settings,
            ts=event.ts_event,
        )
        quotes = wanted.quotes
        if (entries := shown.open_entries(event.ts_event)) is not None:
            quotes = Ladder(quotes.price * entries[:, None, :], quotes.size * entries[:, None, :])
        book = hold(
            quotes,
            shown.book,
            limit=wanted.limit,
            tick=wanted.tick,
            requote_ticks=settings.requote_ticks,
            replenish_share=settings.replenish_share,
        )
        apart = keep_apart(book, shown.may_stand(), self._ticks)
        if apart is not book:  # sides wait a tick away until the venues have answered: look again at the next timer
            book, self._next_pass = apart, event.ts_event
        changed = diff(book, shown.book)
        if not changed.any():
            self._plan(ts)
            return _NOTHING
        quote_set_id = self._identifiers.next_set()
        frame = rows(book, changed, shown.venues)
        shown.sent(book, changed, self._identifiers.sets, ts)
        self._plan(ts)
        return [
            PlaceQuotes(
                **self._head(event),
                quote_set_id=quote_set_id,
                party=self._party,
                quote_ts=event.ts_event,
                frame=frame,
            )
        ]

    def _pull(self, event: Event, reason: str) -> Sequence[Event]:
        """Cancel everything everywhere, once."""
        if self._shown.is_empty():
            return _NOTHING
        self._shown.clear()
        return [self._cancel(event, -1, (), reason)]

    def _cancel(self, event: Event, venue: int, contracts: Sequence[int], reason: str) -> CancelQuotes:
        cancel_id = self._identifiers.next_cancel()
        self._shown.canceling(venue, self._identifiers.cancels, event.ts_event)
        self._plan(event.ts_event)
        return CancelQuotes(
            **self._head(event),
            cancel_id=cancel_id,
            venue=venue,
            contracts=tuple(contracts),
            reason=reason,
        )

    def _head(self, event: Event) -> dict[str, Any]:
        """What an output copies from its input; a command to the whole firm is answered for our underlying."""
        return {"ts_event": event.ts_event, "ts_init": event.ts_init, "underlying": self._chain.underlying}

    def _plan(self, ts: int) -> None:
        """Note when a timer will have something to do: a pass, what time alone changes, a venue that is silent."""
        silence = self._shown.silent_from(self._silence_ns)
        self._next_look = min(self._next_pass, silence, self._validity.next_change(ts))

    # --- state --------------------------------------------------------------------------------------------------------
    def snapshot(self) -> bytes:
        """The whole state."""
        return pack(self.name, _VERSION, {
            "market": self._market.state(),
            "value": self._value.state(),
            "shown": self._shown.state(),
            "protection": self._protection.state(),
            "exposure": list(self._exposure),
            "held_by": self._latches.held_by,
            "validity": self._validity.state(),
            "next_pass": self._next_pass,
            "next_look": self._next_look,
            "sets": self._identifiers.sets,
            "cancels": self._identifiers.cancels,
        })  # fmt: skip

    def restore(self, state: bytes) -> None:
        """Take over the state that `snapshot` gave.

        Raises:
            DataError: The bytes are of another stage or version.
        """
        found = unpack(self.name, _VERSION, state)
        self._market.restore(found["market"])
        self._value.restore(found["value"])
        self._shown.restore(found["shown"])
        self._protection.restore(found["protection"])
        self._exposure = target.Exposure(*found["exposure"])
        self._latches.restore(found["held_by"])
        self._validity.restore(found["validity"])
        self._next_pass, self._next_look = found["next_pass"], found["next_look"]
        self._identifiers.sets, self._identifiers.cancels = found["sets"], found["cancels"]
