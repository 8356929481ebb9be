"""A venue that misbehaves on purpose: rejects, is late, loses answers, lies, dies. For tests, drills and studies.

`Misbehaving` stands where an `Exchange` stands. What the venue really did stays in the inner exchange's book; what we
are told is what misbehaves. Draws depend only on the seed and a count of answers, so a run repeats.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain.errors import InputError
from domain.events import (
    CancelRejected,
    Clearance,
    Event,
    ExecType,
    ExecutionReported,
    OrderCancelCleared,
    OrderCleared,
    OrderReplaceCleared,
    OrdStatus,
    QuoteRefusal,
    QuotesAcknowledged,
    QuotesCanceled,
    QuotesCleared,
    VenueStatusChanged,
)
from domain.frames import QuoteRefusalFrame
from domain.random import hash_uniform
from domain.state import pack, unpack
from routing.exchange import Exchange, Resting
from routing.nbbo import Ints
from routing.venues import Venue

_VERSION: Final = 1
_SALT: Final = 0xBAD
_RATES: Final = (
    "drop_rate",
    "drop_ack_rate",
    "wrong_quantity_rate",
    "wrong_price_rate",
    "duplicate_rate",
    "late_fill_rate",
)


class Misbehaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a venue does wrong.

    Attributes:
        rejects_all: Refuses every quote, order, cancel and replacement of an order. Quote cancels work: a purge must.
        delay_ns: Added to the latency, each way.
        drop_rate: Chance that an answer is lost.
        drop_ack_rate: Chance that the acknowledgement of a mass quote or of a quote cancel is lost.
        wrong_quantity_rate: Chance that an execution is reported with one contract or share more.
        wrong_price_rate: Chance that an execution is reported a dollar away, against us.
        duplicate_rate: Chance that an execution is reported twice.
        late_fill_rate: Chance that executions of an order are reported after the cancel that followed them.
        dies_at: Time at which it dies, ns; 0 never. It removes what rests and says nothing but that it is down.
        returns_at: Time at which it is back, ns; 0 never.

    Raises:
        InputError: A value is out of range.
    """

    rejects_all: bool = False
    delay_ns: int = 0
    drop_rate: float = 0.0
    drop_ack_rate: float = 0.0
    wrong_quantity_rate: float = 0.0
    wrong_price_rate: float = 0.0
    duplicate_rate: float = 0.0
    late_fill_rate: float = 0.0
    dies_at: int = 0
    returns_at: int = 0

    def __post_init__(self) -> None:
        """Refuse rates that are none."""
        for name in _RATES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError("must be in [0, 1]", field=f"misbehaviour.{name}", value=getattr(self, name))
        if self.delay_ns < 0:
            raise InputError("must not be negative", field="misbehaviour.delay_ns", value=self.delay_ns)
        if self.returns_at and not 0 < self.dies_at < self.returns_at:
            raise InputError("must be after dies_at", field="misbehaviour.returns_at", value=self.returns_at)


class Misbehaving:
    """An exchange behind `Misbehaviour`."""

    def __init__(self, exchange: Exchange, misbehaviour: Misbehaviour, seed: int) -> None:
        self._exchange = exchange
        self._how = misbehaviour
        self._seed = seed
        self._draws = 0
        self._is_dead = False

    @property
    def venue(self) -> Venue:
        """The venue."""
        return self._exchange.venue

    @property
    def latency_ns(self) -> int:
        """One-way time, with the delay."""
        return self._exchange.latency_ns + self._how.delay_ns

    def positions(self) -> tuple[Ints, int]:
        """Return what really traded: the inner exchange's book."""
        return self._exchange.positions()

    def cash(self) -> int:
        """Return what really was paid: the inner exchange's book."""
        return self._exchange.cash()

    def resting(self) -> Resting:
        """Return what really rests."""
        return self._exchange.resting()

    def behave(self, misbehaviour: Misbehaviour) -> None:
        """Do wrong otherwise from now on."""
        self._how = misbehaviour

    def disconnect(self) -> None:
        """Lose the connection, as `Exchange.disconnect` does."""
        self._exchange.disconnect()

    def submit(self, clearance: Clearance, ts: int) -> list[Event]:
        """Take a message as `Exchange.submit` does, and answer badly."""
        events = self._life(ts, clearance)
        if self._is_dead:
            return events
        refusal = self._rejected(clearance, ts) if self._how.rejects_all else None
        answers = self._exchange.submit(clearance, ts) if refusal is None else refusal
        return events + self._garble(answers)

    def on_market(self, event: Event) -> list[Event]:
        """Follow the market as `Exchange.on_market` does, and report badly. A dead venue has nothing to trade."""
        events = self._life(event.ts_event, event)
        answers = self._exchange.on_market(event)
        return events if self._is_dead else events + self._garble(answers)

    # --- what goes wrong ----------------------------------------------------------------------------------------------
    def _life(self, ts: int, cause: Event) -> list[Event]:
        """Die or come back when it is time."""
        how = self._how
        is_dead = how.dies_at > 0 and ts >= how.dies_at and not (how.returns_at and ts >= how.returns_at)
        if is_dead == self._is_dead:
            return []
        self._is_dead = is_dead
        if is_dead:
            self._exchange.disconnect()
        return [
            VenueStatusChanged(
                ts_event=ts,
                ts_init=cause.ts_init,
                underlying=cause.underlying,
                venue=self.venue.index,
                is_up=not is_dead,
                reason="connection lost" if is_dead else "connection back",
            )
        ]

    def _rejected(self, clearance: Clearance, ts: int) -> list[Event] | None:
        """Return the refusal of a message, or None where it is not refused."""
        match clearance:
            case QuotesCleared():
                return self._quotes_rejected(clearance, ts)
            case OrderCleared():
                return [self._order_rejected(clearance, ts)]
            case OrderCancelCleared():
                names = clearance.cancel.clordid, clearance.cancel.orig_clordid
            case OrderReplaceCleared():
                names = clearance.replace.clordid, clearance.replace.orig_clordid
            case _:
                return None
        return [
            CancelRejected(
                ts_event=ts,
                ts_init=clearance.ts_init,
                underlying=clearance.underlying,
                venue=self.venue.index,
                clordid=names[0],
                orig_clordid=names[1],
                ord_status=OrdStatus.REJECTED,
                reason="misbehaviour: rejects all",
            )
        ]

    def _quotes_rejected(self, cleared: QuotesCleared, ts: int) -> list[Event]:
        rows = np.flatnonzero(cleared.frame.venue == self.venue.index)
        if rows.size == 0:
            return []
        frame = QuoteRefusalFrame(
            venue=cleared.frame.venue[rows],
            contract=cleared.frame.contract[rows],
            reason=np.full(len(rows), QuoteRefusal.VENUE, np.int8),
        )
        return [
            QuotesAcknowledged(
                ts_event=ts,
                ts_init=cleared.ts_init,
                underlying=cleared.underlying,
                venue=self.venue.index,
                quote_set_id=cleared.quote_set_id,
                accepted=0,
                frame=frame,
            )
        ]

    def _order_rejected(self, cleared: OrderCleared, ts: int) -> ExecutionReported:
        self._draws += 1
        order = cleared.order
        return ExecutionReported(
            ts_event=ts,
            ts_init=cleared.ts_init,
            underlying=cleared.underlying,
            venue=self.venue.index,
            clordid=order.clordid,
            orig_clordid="",
            quote_set_id="",
            exec_id=f"{self.venue.mic}-R{self._draws}",
            exec_ref_id="",
            exec_type=ExecType.REJECTED,
            ord_status=OrdStatus.REJECTED,
            contract=order.contract,
            side=order.side,
            last_qty=0,
            last_px=0,
            cum_qty=0,
            leaves_qty=0,
            fee=0,
            adds_liquidity=False,
            text="misbehaviour: rejects all",
        )

    def _happens(self, rate: float) -> bool:
        """Draw once; a rate of 0 draws nothing."""
        if rate <= 0.0:
            return False
        self._draws += 1
        return float(hash_uniform(self._seed, _SALT, self.venue.index, self._draws)) < rate

    def _garble(self, answers: list[Event]) -> list[Event]:
        garbled: list[Event] = []
        for answer in self._late(answers):
            told = self._lie(answer)
            if self._happens(self._how.drop_rate):
                continue
            is_ack = isinstance(told, QuotesAcknowledged | QuotesCanceled)
            if is_ack and self._happens(self._how.drop_ack_rate):
                continue
            garbled.append(told)
            if _is_trade(told) and self._happens(self._how.duplicate_rate):
                garbled.append(told)
        return garbled

    def _lie(self, answer: Event) -> Event:
        if not (isinstance(answer, ExecutionReported) and answer.exec_type == ExecType.TRADE):
            return answer
        if self._happens(self._how.wrong_quantity_rate):
            answer = msgspec.structs.replace(answer, last_qty=answer.last_qty + 1, cum_qty=answer.cum_qty + 1)
        if self._happens(self._how.wrong_price_rate):
            against = 10_000 if answer.side == "buy" else -10_000
            answer = msgspec.structs.replace(answer, last_px=max(answer.last_px + against, 1))
        return answer

    def _late(self, answers: list[Event]) -> list[Event]:
        """Tell the end of an order before the executions that came before it."""
        last = answers[-1] if answers else None
        is_end = isinstance(last, ExecutionReported) and last.exec_type == ExecType.CANCELED
        if not is_end or not any(map(_is_trade, answers)) or not self._happens(self._how.late_fill_rate):
            return answers
        first = next(place for place, answer in enumerate(answers) if _is_trade(answer))
        return [*answers[:first], answers[-1], *answers[first:-1]]

    # --- snapshots ----------------------------------------------------------------------------------------------------
    def snapshot(self) -> bytes:
        """Return the whole state, the inner exchange's included."""
        inner = self._exchange.snapshot()
        return pack(
            f"misbehaving.{self.venue.mic}",
            _VERSION,
            {"draws": self._draws, "is_dead": self._is_dead, "exchange": inner},
        )

    def restore(self, state: bytes) -> None:
        """Take over what `snapshot` gave.

        Raises:
            DataError: Damaged, or of another venue or version.
        """
        found = unpack(f"misbehaving.{self.venue.mic}", _VERSION, state)
        self._exchange.restore(found["exchange"])
        self._draws, self._is_dead = found["draws"], found["is_dead"]


def _is_trade(answer: Event) -> bool:
    return isinstance(answer, ExecutionReported) and answer.exec_type == ExecType.TRADE
