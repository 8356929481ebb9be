"""What a person who watches a run wants to know, kept up to date event by event."""

from __future__ import annotations

import datetime as dt
from collections import Counter, deque
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.calendar import ny_time
from domain.chain import Chain
from domain.commands import STOCK
from domain.events import (
    ChainListed,
    ExposureChanged,
    FeedDegraded,
    GreeksComputed,
    KillSwitchEngaged,
    KillSwitchReleased,
    LimitBreached,
    NbboUpdated,
    OrderCleared,
    OrderFilled,
    OrderRefused,
    PnlMarked,
    PositionChanged,
    ProtectionTripped,
    QuotesCleared,
    QuotesRefused,
    QuotingStateChanged,
    ReconciliationEnded,
    ReconciliationNeeded,
    ShardHalted,
    UnderlyingUpdated,
    VenueStatusChanged,
    VenueTrustChanged,
)
from domain.events_base import Event
from domain.price import PRICE_SCALE
from store.resting import Best, Resting
from streams.recorded import Recording

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_FILLS: Final = 6
_NOTES: Final = 7


class FillLine(NamedTuple):
    """A fill as it is shown. `edge` is dollars per share against our value, of stock against the middle; or NaN."""

    ts: int
    kind: str
    side: str
    quantity: int
    name: str
    price: float
    edge: float


class Quality(NamedTuple):
    """Our quotes against the NBBO now: contracts, a share of them, and median widths in dollars."""

    quotable: int
    two_sided: int
    inside_share: float
    width: float
    nbbo_width: float


class LiveState:
    """Takes every event of a run. n is the number of contracts.

    Attributes:
        span: Open and close of the session, ns.
        spot: Bid and ask of the underlying, price units.
        mid, first_mid: Its middle now and at first, dollars; 0 before a quote.
        nbbo: Bid and ask of each contract, price units, 0 absent. Shape (2, n).
        theo: Our values, dollars. Shape (n,), or (0,) before the first.
        held: Signed contracts. Shape (n,).
        counts: Of quote sets, entries, refusals, orders and fills.
    """

    def __init__(self) -> None:
        self.name = ""
        self.underlying = ""
        self.is_synthetic = False
        self.span = (0, 1)
        self.now = 0
        self.chain: Chain | None = None
        self.spot = (0, 0)
        self.mid = 0.0
        self.first_mid = 0.0
        self.is_quoting = False
        self.held_by: tuple[str, ...] = ()
        self.exposure: ExposureChanged | None = None
        self.pnl: PnlMarked | None = None
        self.nbbo: Ints = np.zeros((2, 0), np.int64)
        self.theo: Floats = np.zeros(0)
        self.held: Ints = np.zeros(0, np.int64)
        self.counts: Counter[str] = Counter()
        self.fills: deque[FillLine] = deque(maxlen=_FILLS)
        self.notes: deque[tuple[int, str]] = deque(maxlen=_NOTES)
        self._resting = Resting(0)
        self._best: Best | None = None

    def begin(self, recording: Recording, listed: ChainListed) -> None:
        """Know what will run."""
        self.name, self.is_synthetic = recording.name, recording.is_synthetic
        self.underlying = recording.underlying
        self.span = (recording.open_ns, recording.close_ns)
        self._list(listed)

    @property
    def best(self) -> Best:
        """Our best prices over all venues, as the venues hold them."""
        if self._best is None:
            self._best = self._resting.best()
        return self._best

    @property
    def open_contracts(self) -> int:
        """Contracts held, long and short together."""
        return int(np.abs(self.held).sum())

    def quality(self) -> Quality:
        """Our quotes against the NBBO as both stand now, over contracts whose NBBO has two sides."""
        best, (bid, ask) = self.best, self.nbbo
        is_quotable = (bid > 0) & (ask > 0)
        ours = is_quotable & best.is_two_sided
        count = int(np.count_nonzero(ours))
        if not count:
            return Quality(int(np.count_nonzero(is_quotable)), 0, 0.0, 0.0, 0.0)
        inside = ours & (best.bid >= bid) & (best.ask <= ask)
        return Quality(
            quotable=int(np.count_nonzero(is_quotable)),
            two_sided=count,
            inside_share=np.count_nonzero(inside) / count,
            width=float(np.median((best.ask - best.bid)[ours])) / PRICE_SCALE,
            nbbo_width=float(np.median((ask - bid)[ours])) / PRICE_SCALE,
        )

    def take(self, event: Event) -> None:  # noqa: C901, PLR0912  # one branch for each kind of event
        """Take over one event."""
        self.now = max(self.now, event.ts_event)
        if self._resting.apply(event):
            self._best = None
        match event:
            case UnderlyingUpdated(bid=bid, ask=ask) if bid > 0 and ask > 0:
                self.spot, self.mid = (bid, ask), (bid + ask) / 2 / PRICE_SCALE
                self.first_mid = self.first_mid or self.mid
            case NbboUpdated():
                self._quoted(event)
            case GreeksComputed():
                self._value(event)
            case QuotesCleared(frame=quotes):
                self.counts.update(quote_sets=1, entries=len(quotes))
            case QuotesRefused(frame=refused):
                self.counts["refused"] += len(refused)
            case OrderCleared():
                self.counts["orders"] += 1
            case OrderRefused():
                self.counts["orders_refused"] += 1
                self._note(event, f"order refused: {event.reason} {event.detail}")
            case OrderFilled():
                self._filled(event)
            case PositionChanged() if event.contract != STOCK and event.contract < len(self.held):
                self.held[event.contract] = event.quantity
            case ExposureChanged():
                self.exposure = event
            case PnlMarked():
                self.pnl = event
            case QuotingStateChanged():
                self.is_quoting, self.held_by = event.is_quoting, event.held_by
                self._note(event, "quoting" if event.is_quoting else f"not quoting: {', '.join(event.held_by)}")
            case _:
                if text := told(event):
                    self._note(event, text)

    def _list(self, listed: ChainListed) -> None:
        self.chain = chain = Chain(listed.underlying, dt.date.fromisoformat(listed.trade_date), listed.contracts)
        self.nbbo = np.zeros((2, len(chain)), np.int64)
        self.held = np.zeros(len(chain), np.int64)
        self._resting = Resting(len(chain))
        self._best = None

    def _quoted(self, event: NbboUpdated) -> None:
        frame = event.frame
        is_known = (frame.contract >= 0) & (frame.contract < self.nbbo.shape[1])
        self.nbbo[:, frame.contract[is_known]] = frame.bid[is_known], frame.ask[is_known]

    def _value(self, event: GreeksComputed) -> None:
        if self.chain is not None:
            if len(self.theo) != len(self.chain):
                self.theo = np.full(len(self.chain), np.nan)
            self.theo[event.frame.contract] = event.frame.theo

    def _filled(self, fill: OrderFilled) -> None:
        self.counts["quote_fills" if fill.is_quote else "order_fills"] += 1
        is_stock = fill.contract == STOCK or self.chain is None
        value = self.mid if is_stock else float(self.theo[fill.contract]) if len(self.theo) else float("nan")
        price = fill.price / PRICE_SCALE
        self.fills.append(
            FillLine(
                ts=fill.ts_event,
                kind="quote" if fill.is_quote else fill.intent,
                side=fill.side,
                quantity=fill.quantity,
                name=fill.underlying if is_stock or self.chain is None else self.chain.contracts[fill.contract].osi,
                price=price,
                edge=(value - price) * (1 if fill.side == "buy" else -1),
            )
        )

    def _note(self, event: Event, text: str) -> None:
        self.notes.append((event.ts_event, text))


def told(event: Event) -> str:  # noqa: PLR0911  # one line for each kind of event
    """What a person is told of an event that should not pass unseen; empty of the others."""
    match event:
        case ProtectionTripped():
            return f"protection tripped: {event.rule} {event.value:g} against {event.limit:g}"
        case KillSwitchEngaged():
            return f"KILL SWITCH engaged by {event.user}: {event.reason}"
        case KillSwitchReleased():
            return f"kill switch released by {event.user}: {event.reason}"
        case LimitBreached():
            return f"limit {event.check}: {event.value:,.6g} against {event.limit:,.6g} ({event.subject})"
        case ReconciliationNeeded():
            return f"outcome unknown: {event.subject} {event.reason}"
        case ReconciliationEnded(is_settled=False):
            return f"CALL VENUE {event.venue}: order {event.clordid} is not settled: {event.outcome}"
        case VenueTrustChanged():
            return f"venue {event.venue} is {'trusted again' if event.is_trusted else 'DISPUTED'}: {event.reason}"
        case VenueStatusChanged(is_up=False):
            return f"venue {event.venue} is down: {event.reason}"
        case ShardHalted():
            return f"HALTED in {event.stage}: {event.error}"
        case FeedDegraded():
            return f"feed: {event.count:,} {event.reason} ({event.source})"
        case _:
            return ""


def clock_of(ts: int) -> str:
    """New York time of day as HH:MM:SS."""
    seconds = ny_time(ts)[1] // 1_000_000_000
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
