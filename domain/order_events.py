"""Facts about orders: what venues answered, states, fills and routes.

Prices are integer units of 1/10,000 dollar, money in `cash` and `pnl` fields is float dollars, sizes are contracts or
shares.
"""

from __future__ import annotations

from enum import StrEnum

from domain.commands import Side
from domain.events_base import Event
from domain.frames import QuoteRefusalFrame


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
    `exec_ref_id` names the execution that a bust or a correction is about. `status_id` is set in what answers a
    `RequestOrderStatus`; of the executions that it repeats under their first identifiers, `is_possible_repeat` warns
    (FIX tag 97). `avg_px` is the average price of what has traded, price units, where the venue names it.
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
    status_id: str = ""
    avg_px: float = 0.0
    is_possible_repeat: bool = False


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
    """The outcome at a venue is unknown or disputed: nothing is resent until it is known.

    `exec_id` names the report in dispute, if there is one; `unbooked` says how many contracts or shares it moves that
    were not booked.
    """

    venue: int
    subject: str
    reason: str
    exec_id: str = ""
    unbooked: int = 0


class ReconciliationEnded(Event, frozen=True, kw_only=True):
    """The venue was asked about an order: it is settled, or every question went without a good answer.

    What is not settled stays as it is, counted at its worst by the risk gate, and a person has to call the venue.
    """

    venue: int
    clordid: str
    is_settled: bool
    tries: int
    outcome: str


class VenueTrustChanged(Event, frozen=True, kw_only=True):
    """A venue reported more than an order was for: booked, disputed, and no new risk goes there until it is taken back.

    A bust or a correction restores trust, and so does a person's `ResetProtection`.
    """

    venue: int
    is_trusted: bool
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
