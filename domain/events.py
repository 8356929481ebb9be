"""Facts, past tense. All are frozen; `domain.codec` names their schemas and versions.

Prices are integer units of 1/10,000 dollar, money in `cash` and `pnl` fields is float dollars, sizes are contracts or shares.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Literal

import msgspec

from domain.commands import CancelAllOrders, CancelOrder, CancelQuotes, Party, ReplaceOrder, Side, SubmitOrder
from domain.events_base import Event
from domain.frames import (
    ForwardFrame,
    GreeksFrame,
    NbboFrame,
    OpenInterestFrame,
    PositionFrame,
    QuoteFrame,
    QuoteRefusalFrame,
    SurfaceFrame,
    TradeFrame,
)
from domain.instrument import OptionContract
from domain.price import TickClass

__all__ = [
    "CancelRejected",
    "ChainListed",
    "Clearance",
    "CommandApplied",
    "CommandRefused",
    "Event",
    "EventRejected",
    "ExecType",
    "ExecutionReported",
    "ExposureChanged",
    "FeedDegraded",
    "FillBusted",
    "FillCorrected",
    "ForwardImplied",
    "GreeksComputed",
    "HedgeDecided",
    "KillSwitchEngaged",
    "KillSwitchReleased",
    "LatencyMeasured",
    "LimitBreached",
    "NbboUpdated",
    "ObligationMeasured",
    "OpenInterestPublished",
    "OrdStatus",
    "OrderCancelCleared",
    "OrderCleared",
    "OrderFilled",
    "OrderRefused",
    "OrderReplaceCleared",
    "OrderRouted",
    "OrderStateChanged",
    "OrdersCancelCleared",
    "PnlMarked",
    "PositionChanged",
    "PositionSettled",
    "PositionsImported",
    "ProtectionReset",
    "ProtectionTripped",
    "QuoteCancelCleared",
    "QuoteRefusal",
    "QuotesAcknowledged",
    "QuotesCanceled",
    "QuotesCleared",
    "QuotesRefused",
    "QuotingStateChanged",
    "ReconciliationBroken",
    "ReconciliationNeeded",
    "RunEnded",
    "RunStarted",
    "SessionChanged",
    "SessionState",
    "ShardHalted",
    "SurfaceFitted",
    "TimerFired",
    "TradesPrinted",
    "UnderlyingTraded",
    "UnderlyingUpdated",
    "VenueProtectionTripped",
    "VenueStatusChanged",
]

SessionState = Literal["pre_open", "open", "halted", "closed"]


# --- the run and its reference data -----------------------------------------------------------------------------------
class RunStarted(Event, frozen=True, kw_only=True):
    """The first input of a run: all that shapes its behaviour. The digest leaves out `run`."""

    run: str
    seed: int
    source: str
    is_synthetic: bool
    trade_date: str
    settings: str


class ChainListed(Event, frozen=True, kw_only=True):
    """The contracts of one underlying for the day, in dense-index order, and the tick class of each root."""

    trade_date: str
    contracts: tuple[OptionContract, ...]
    tick_classes: dict[str, TickClass]


class SessionChanged(Event, frozen=True, kw_only=True):
    """The options session of the underlying opened, halted or closed. `close_ts` is the scheduled close."""

    state: SessionState
    open_ts: int
    close_ts: int


class PositionsImported(Event, frozen=True, kw_only=True):
    """Start-of-day positions and the cash that came with them. `price` marks of options are per share, dollars."""

    stock: int
    stock_price: float
    cash: float
    frame: PositionFrame


class TimerFired(Event, frozen=True, kw_only=True):
    """Time passed. `ts_event` is the time it was due."""

    timer: str


class RunEnded(Event, frozen=True, kw_only=True):
    """The last input of a run."""

    reason: str


# --- market data ------------------------------------------------------------------------------------------------------
class UnderlyingUpdated(Event, frozen=True, kw_only=True):
    """Best bid and offer of the underlying."""

    bid: int
    bid_size: int
    ask: int
    ask_size: int


class UnderlyingTraded(Event, frozen=True, kw_only=True):
    """Prints of the underlying: a single one, or a bar that closed."""

    price: int
    low: int
    high: int
    volume: int


class NbboUpdated(Event, frozen=True, kw_only=True):
    """The national best bid and offer of contracts changed."""

    frame: NbboFrame


class TradesPrinted(Event, frozen=True, kw_only=True):
    """Options traded."""

    frame: TradeFrame


class OpenInterestPublished(Event, frozen=True, kw_only=True):
    """Open interest of the previous close."""

    frame: OpenInterestFrame


class FeedDegraded(Event, frozen=True, kw_only=True):
    """The feed refused records: counted by reason, with one example. Nothing is dropped without one of these."""

    source: str
    reason: str
    count: int
    example: str


# --- valuation --------------------------------------------------------------------------------------------------------
class ForwardImplied(Event, frozen=True, kw_only=True):
    """Forwards and discounts from put-call parity."""

    spot: float
    frame: ForwardFrame


class SurfaceFitted(Event, frozen=True, kw_only=True):
    """A smoothed volatility slice for each expiry."""

    spot: float
    frame: SurfaceFrame


class GreeksComputed(Event, frozen=True, kw_only=True):
    """Theos and Greeks of the whole chain. `is_refresh`: American premiums were solved anew, not expanded."""

    spot: float
    is_refresh: bool
    frame: GreeksFrame


# --- clearances: what the outlet accepts ------------------------------------------------------------------------------
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


# --- refusals and breaches --------------------------------------------------------------------------------------------
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
    WIDTH = 17


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


# --- from the venues --------------------------------------------------------------------------------------------------
class ExecType(StrEnum):
    """FIX tag 150, the values that we use."""

    NEW = "0"
    CANCELED = "4"
    REPLACED = "5"
    PENDING_CANCEL = "6"
    REJECTED = "8"
    EXPIRED = "C"
    PENDING_REPLACE = "E"
    TRADE = "F"
    TRADE_CORRECT = "G"
    TRADE_CANCEL = "H"
    ORDER_STATUS = "I"


class OrdStatus(StrEnum):
    """FIX tag 39, the values that we use."""

    NEW = "0"
    PARTIALLY_FILLED = "1"
    FILLED = "2"
    CANCELED = "4"
    PENDING_CANCEL = "6"
    REJECTED = "8"
    EXPIRED = "C"
    PENDING_REPLACE = "E"


class QuotesAcknowledged(Event, frozen=True, kw_only=True):
    """A venue took a mass quote; `frame` lists the entries that it refused, the others are working."""

    venue: int
    quote_set_id: str
    accepted: int
    frame: QuoteRefusalFrame


class QuotesCanceled(Event, frozen=True, kw_only=True):
    """Quotes are gone at a venue: of the named contracts, or all. Asked for (`cancel_id`) or by its own protection."""

    venue: int
    cancel_id: str
    contracts: tuple[int, ...]
    reason: str


class ExecutionReported(Event, frozen=True, kw_only=True):
    """A venue reported on an order or on a quote that traded (then `quote_set_id` is set and `clordid` empty).

    `fee` is what the venue charges for this execution, in 1/10,000 dollar; negative is a rebate.
    `exec_ref_id` names the execution that a bust or a correction is about.
    """

    venue: int
    clordid: str
    orig_clordid: str
    quote_set_id: str
    exec_id: str
    exec_ref_id: str
    exec_type: ExecType
    ord_status: OrdStatus
    contract: int
    side: Side
    last_qty: int
    last_px: int
    cum_qty: int
    leaves_qty: int
    fee: int
    adds_liquidity: bool
    text: str


class CancelRejected(Event, frozen=True, kw_only=True):
    """A venue refused a cancel or a replacement."""

    venue: int
    clordid: str
    orig_clordid: str
    ord_status: OrdStatus
    reason: str


class VenueProtectionTripped(Event, frozen=True, kw_only=True):
    """A venue's own market-maker protection removed our quotes of this underlying."""

    venue: int
    rule: str


class VenueStatusChanged(Event, frozen=True, kw_only=True):
    """A venue came up or went down for us."""

    venue: int
    is_up: bool
    reason: str


# --- orders, fills and routes -----------------------------------------------------------------------------------------
class OrderRouted(Event, frozen=True, kw_only=True):
    """Why an order went where it went: the venues considered, their net prices in units, and the rule."""

    request_id: str
    clordid: str
    venue: int
    considered: dict[str, int]
    rule: str


class OrderStateChanged(Event, frozen=True, kw_only=True):
    """An order moved to another state of the table in `routing.order_state`."""

    clordid: str
    venue: int
    before: str
    after: str
    cum_qty: int
    leaves_qty: int


class ReconciliationNeeded(Event, frozen=True, kw_only=True):
    """The outcome at a venue is unknown: nothing is resent until it is known."""

    venue: int
    subject: str
    reason: str


class OrderFilled(Event, frozen=True, kw_only=True):
    """One execution of ours, counted once whatever the venue repeats."""

    fill_id: str
    venue: int
    clordid: str
    is_quote: bool
    intent: str
    contract: int
    side: Side
    quantity: int
    price: int
    fee: int
    adds_liquidity: bool


class FillBusted(Event, frozen=True, kw_only=True):
    """A venue took an execution back."""

    fill_id: str
    contract: int
    side: Side
    quantity: int
    price: int
    fee: int


class FillCorrected(Event, frozen=True, kw_only=True):
    """A venue changed an execution: the old and the new terms."""

    fill_id: str
    contract: int
    side: Side
    old_quantity: int
    old_price: int
    quantity: int
    price: int


# --- what we hold -----------------------------------------------------------------------------------------------------
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

    `spread` is the edge against our mark at each fill of an option; `hedging` the same for stock fills. `delta`, `gamma`, `vega`,
    `theta` and `rest` are the revaluation of what was held; `fees` are negative when paid.
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


# --- quoting and hedging ----------------------------------------------------------------------------------------------
class QuotingStateChanged(Event, frozen=True, kw_only=True):
    """Quoting was stopped or may go on: which latches hold it back (pause, kill, protection, halt, stale)."""

    is_quoting: bool
    held_by: tuple[str, ...]


class HedgeDecided(Event, frozen=True, kw_only=True):
    """The hedger left its no-trade band. Shares."""

    net_delta: float
    band: float
    target: float
    quantity: int


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
