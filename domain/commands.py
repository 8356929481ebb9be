"""Intents, imperative. Outbound ones reach a venue only as a clearance of the risk gate (`domain.events`).

Prices are integer units of 1/10,000 dollar. `contract` is the dense index of the chain; STOCK (-1) is the underlying.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

import msgspec

from domain.events_base import Event
from domain.frames import QuoteFrame

STOCK: Final = -1

Side = Literal["buy", "sell"]
OrderType = Literal["limit", "market"]
TimeInForce = Literal["day", "ioc"]
Capacity = Literal["market_maker", "firm", "customer"]
SaleMarking = Literal["", "long", "short", "short_exempt"]


class Intent(StrEnum):
    """Why an order is sent."""

    HEDGE = "hedge"
    FLATTEN = "flatten"


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends: rides on every outbound message."""

    account: str
    capacity: Capacity
    clearing_firm: str
    market_maker_id: str


class Command(Event, frozen=True, kw_only=True):
    """What all commands share."""


class RequestOrder(Command, frozen=True, kw_only=True):
    """A parent order without a venue: the router turns it into children.

    `limit` 0 asks the router to cross the best net price within its own collar.
    """

    request_id: str
    contract: int
    side: Side
    quantity: int
    limit: int
    tif: TimeInForce
    intent: Intent


class PlaceQuotes(Command, frozen=True, kw_only=True):
    """A mass quote of many contracts at several venues, one message per venue on the wire."""

    quote_set_id: str
    party: Party
    quote_ts: int
    frame: QuoteFrame


class CancelQuotes(Command, frozen=True, kw_only=True):
    """Pull quotes: of one venue index (-1 all), of the named contracts (empty: all)."""

    cancel_id: str
    venue: int
    contracts: tuple[int, ...]
    reason: str


class SubmitOrder(Command, frozen=True, kw_only=True):
    """A routed order for one venue."""

    clordid: str
    request_id: str
    venue: int
    contract: int
    side: Side
    quantity: int
    order_type: OrderType
    price: int
    tif: TimeInForce
    intent: Intent
    party: Party
    sale_marking: SaleMarking
    locate_id: str
    market_maker_exempt: bool


class CancelOrder(Command, frozen=True, kw_only=True):
    """Cancel one order."""

    clordid: str
    orig_clordid: str
    venue: int
    reason: str


class ReplaceOrder(Command, frozen=True, kw_only=True):
    """Change price and total quantity of one order."""

    clordid: str
    orig_clordid: str
    venue: int
    contract: int
    side: Side
    quantity: int
    price: int
    party: Party


class CancelAllOrders(Command, frozen=True, kw_only=True):
    """Cancel every order of ours at a venue index (-1: all)."""

    cancel_id: str
    venue: int
    reason: str


class RequestOrderStatus(Command, frozen=True, kw_only=True):
    """Ask a venue what became of one order (FIX 35=H); it places and cancels nothing.

    `clordid` is the first name of the order, `status_id` the name of this question (FIX tag 790), never used twice.
    """

    status_id: str
    clordid: str
    venue: int
    contract: int
    side: Side


Outbound = PlaceQuotes | CancelQuotes | SubmitOrder | CancelOrder | ReplaceOrder | CancelAllOrders | RequestOrderStatus
"""What may reach a venue. The gate reads every one of them, and only them."""


class OperatorCommand(Command, frozen=True, kw_only=True):
    """A person acts on the running system. `underlying` empty means the firm. Journaled with user and reason."""

    user: str
    reason: str


class EngageKillSwitch(OperatorCommand, frozen=True, kw_only=True):
    """Cancel everything and let nothing through but cancels, until released."""


class ReleaseKillSwitch(OperatorCommand, frozen=True, kw_only=True):
    """Release the kill switch."""


class PauseQuoting(OperatorCommand, frozen=True, kw_only=True):
    """Pull our quotes and show none until resumed. Hedging goes on."""


class ResumeQuoting(OperatorCommand, frozen=True, kw_only=True):
    """Quote again after a pause."""


class Flatten(OperatorCommand, frozen=True, kw_only=True):
    """Pause quoting and trade the net delta of the underlying to zero."""


class ResetProtection(OperatorCommand, frozen=True, kw_only=True):
    """Unlatch a market-maker protection that tripped."""


class ChangeLimits(OperatorCommand, frozen=True, kw_only=True):
    """Replace named limits. An unknown name or a bad value refuses the whole command."""

    limits: dict[str, float]


class StopRun(OperatorCommand, frozen=True, kw_only=True):
    """Pull all quotes and end the run in order."""


def clordid(session: str, shard: str, counter: int) -> str:
    """The ClOrdID rule: derived, so that a replay gives the same and a venue can refuse the duplicate.

    Args:
        session: Trading date as YYYYMMDD.
        shard: Short name of the shard.
        counter: Grows by one for each identifier of the shard in the session.
    """
    return f"{session}-{shard}-{counter:07d}"
