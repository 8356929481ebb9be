"""Facts from the risk gate and about what we hold, quote and hedge.

Prices are integer units of 1/10,000 dollar, money in `cash` and `pnl` fields is float dollars, sizes are contracts or
shares.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

import msgspec

from domain.commands import (
    CancelAllOrders,
    CancelOrder,
    CancelQuotes,
    Party,
    ReplaceOrder,
    RequestOrderStatus,
    SubmitOrder,
)
from domain.events_base import Event
from domain.frames import QuoteFrame, QuoteRefusalFrame


class Clearance(Event, frozen=True, kw_only=True):
    """Issued by the risk gate. `seal` binds the content to the gate; the digest leaves it out."""

    gate: str
    sequence: int
    seal: str


class QuotesCleared(Clearance, frozen=True, kw_only=True):
    """Quotes may go. Entries that failed a check are not among them."""

    quote_set_id: str
    party: Party
    quote_ts: int
    frame: QuoteFrame


class QuoteCancelCleared(Clearance, frozen=True, kw_only=True):
    """A quote cancel goes; it is never blocked."""

    cancel: CancelQuotes


class OrderCleared(Clearance, frozen=True, kw_only=True):
    """An order may go."""

    order: SubmitOrder


class OrderCancelCleared(Clearance, frozen=True, kw_only=True):
    """An order cancel goes; it is never blocked."""

    cancel: CancelOrder


class OrderReplaceCleared(Clearance, frozen=True, kw_only=True):
    """A replacement may go."""

    replace: ReplaceOrder


class OrdersCancelCleared(Clearance, frozen=True, kw_only=True):
    """A cancel of all orders goes; it is never blocked."""

    cancel: CancelAllOrders


class OrderStatusCleared(Clearance, frozen=True, kw_only=True):
    """A question about an order goes; like a cancel it is never blocked."""

    request: RequestOrderStatus


class QuoteRefusal(IntEnum):
    """Why a quote entry was refused, by our gate or by a venue."""

    UNKNOWN_CONTRACT = 1
    CROSSED = 2
    OFF_TICK = 3
    SIZE = 4
    COLLAR = 5
    STALE = 6
    NO_THEO = 7
    SELF_CROSS = 8
    RESTRICTED = 9
    HALTED = 10
    KILLED = 11
    LIMIT = 12
    RATE = 13
    DUPLICATE = 14
    PROTECTION = 15
    VENUE = 16
    WOULD_TAKE = 18  # 17 was never sent and is not used again


class QuotesRefused(Event, frozen=True, kw_only=True):
    """Our gate refused entries of a mass quote."""

    quote_set_id: str
    frame: QuoteRefusalFrame


class OrderRefused(Event, frozen=True, kw_only=True):
    """Our gate or router refused an order before it left."""

    clordid: str
    request_id: str
    reason: str
    detail: str


class LimitBreached(Event, frozen=True, kw_only=True):
    """A check of the gate failed. `value` met `limit`; `subject` is a ClOrdID, quote set or underlying."""

    check: str
    subject: str
    value: float
    limit: float
    count: int


class CommandRefused(Event, frozen=True, kw_only=True):
    """An operator's command was refused."""

    command: str
    user: str
    reason: str


class CommandApplied(Event, frozen=True, kw_only=True):
    """An operator's command took effect."""

    command: str
    user: str
    reason: str


class KillSwitchEngaged(Event, frozen=True, kw_only=True):
    """Nothing but cancels passes the gate until the switch is released."""

    user: str
    reason: str


class KillSwitchReleased(Event, frozen=True, kw_only=True):
    """The kill switch was released by command."""

    user: str
    reason: str


class ProtectionTripped(Event, frozen=True, kw_only=True):
    """Our market-maker protection tripped: quotes are purged and stay away until a command resets it."""

    rule: str
    value: float
    limit: float


class ProtectionReset(Event, frozen=True, kw_only=True):
    """A tripped protection was reset by command."""

    user: str
    reason: str


class ShardHalted(Event, frozen=True, kw_only=True):
    """The shard met a contradiction in its own state and stopped acting."""

    stage: str
    error: str


class EventRejected(Event, frozen=True, kw_only=True):
    """A stage refused an input; it is kept in the journal and counted here."""

    stage: str
    event: str
    family: str
    error: str


class PositionChanged(Event, frozen=True, kw_only=True):
    """A position after a fill, an import or a settlement. Signed contracts, or shares for STOCK."""

    contract: int
    quantity: int
    change: int
    cause: str


class PositionSettled(Event, frozen=True, kw_only=True):
    """An expiring position left the book: exercised, assigned or worthless. `shares` and `cash` are what came in."""

    contract: int
    quantity: int
    outcome: Literal["exercised", "assigned", "worthless"]
    settlement_price: float
    shares: int
    cash: float


class ExposureChanged(Event, frozen=True, kw_only=True):
    """Net Greeks of the position in shares and dollars.

    delta: shares. gamma: shares per dollar. vega: dollars per 1.00 of vol. theta: dollars per year.
    `cause`: greeks, fill or settlement.
    """

    spot: float
    stock: int
    delta: float
    gamma: float
    vega: float
    theta: float
    option_delta: float
    cause: str


class PnlMarked(Event, frozen=True, kw_only=True):
    """P&L of the day since the import, dollars. The parts add up to `total`.

    `spread` is the edge against our mark at each fill of an option; `hedging` the same for stock fills. `delta`,
    `gamma`, `vega`, `theta` and `rest` are the revaluation of what was held; `fees` are negative when paid.
    """

    total: float
    spread: float
    delta: float
    gamma: float
    vega: float
    theta: float
    rest: float
    hedging: float
    fees: float
    cash: float
    stock: int
    open_contracts: int


class ReconciliationBroken(Event, frozen=True, kw_only=True):
    """Positions differ from an outside statement of them."""

    contract: int
    ours: int
    theirs: int


class QuotingStateChanged(Event, frozen=True, kw_only=True):
    """Quoting was stopped or may go on: which latches hold it back (pause, kill, protection, halt, stale)."""

    is_quoting: bool
    held_by: tuple[str, ...]


class HedgeDecided(Event, frozen=True, kw_only=True):
    """The hedger left its no-trade band. Shares.

    Without a quantity: what it could not hedge when the session closed, after exercise and assignment, and why.
    """

    net_delta: float
    band: float
    target: float
    quantity: int
    reason: str = ""


class ObligationMeasured(Event, frozen=True, kw_only=True):
    """Quoting time and width against one dated rule: so far, and what the day will give if the rate stays."""

    rule: str
    quoted_seconds: float
    required_share: float
    elapsed_seconds: float
    share: float
    forecast_share: float
    shortfall_seconds: float
    wide_share: float


class LatencyMeasured(Event, frozen=True, kw_only=True):
    """Wall-clock percentiles of the run, microseconds. Never part of the digest."""

    percentiles: dict[str, float] = msgspec.field(default_factory=dict)
