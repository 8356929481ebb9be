"""What is remembered of one order and of one execution."""

from __future__ import annotations

from dataclasses import dataclass

from domain.commands import Side
from routing.order_table import TERMINAL, OrderState


@dataclass(slots=True, kw_only=True)
class Order:
    """One order of ours.

    Attributes:
        clordid: Its first ClOrdID: it keeps that name when it is replaced.
        is_immediate: Whether the venue must end it at once: an IOC or a market order never rests.
        limit: The furthest limit that it ever had or was to have, price units; 0 of a market order.
        quantity: In force; `old_quantity` the one before the last replacement, `pending_quantity` one asked for, or 0.
        cum: Sum of its executions by our count.
        reported: Highest CumQty that the venue named.
        pending_cancel: ClOrdID or cancel id of a cancel without an answer, or empty.
        pending_replace: ClOrdID of a replacement without an answer, or empty.
        doubt: Why a report about it was not believed, until the venue's answer agrees with our count; or empty.
    """

    clordid: str
    venue: int
    contract: int
    side: Side
    quantity: int
    limit: int
    intent: str
    is_immediate: bool = False
    state: OrderState = OrderState.PENDING_NEW
    cum: int = 0
    reported: int = 0
    old_quantity: int = 0
    pending_cancel: str = ""
    pending_replace: str = ""
    pending_quantity: int = 0
    doubt: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether we know its outcome, as far as there is one, and have all executions that the venue counted."""
        has_no_end = self.is_immediate and not self.is_done
        return not (self.is_unknown or has_no_end or self.doubt or self.cum < self.reported)

    @property
    def is_overfilled(self) -> bool:
        """Whether more was executed than it was ever for."""
        return self.cum > max(self.quantities)

    @property
    def is_done(self) -> bool:
        """Whether the state is terminal."""
        return self.state in TERMINAL

    @property
    def is_unknown(self) -> bool:
        """Whether the outcome is unknown."""
        return self.state == OrderState.UNKNOWN

    @property
    def leaves(self) -> int:
        """What may still trade."""
        return 0 if self.is_done else max(self.quantity - self.cum, 0)

    @property
    def quantities(self) -> tuple[int, ...]:
        """The order quantities that a report may be about."""
        return tuple(each for each in (self.quantity, self.pending_quantity, self.old_quantity) if each)

    def is_beyond(self, price: int) -> bool:
        """Whether a price is worse for us than any limit that we gave."""
        return self.limit > 0 and (price > self.limit if self.side == "buy" else price < self.limit)

    @property
    def live_state(self) -> OrderState:
        """The state of an order that works, by what is pending and what has traded."""
        if self.pending_cancel:
            return OrderState.PENDING_CANCEL
        if self.pending_replace:
            return OrderState.PENDING_REPLACE
        return OrderState.PARTIALLY_FILLED if self.cum else OrderState.NEW

    @property
    def asked_state(self) -> OrderState:
        """The state after we asked for a cancel or a replacement: an unknown outcome stays unknown."""
        return OrderState.UNKNOWN if self.is_unknown else self.live_state


@dataclass(slots=True, kw_only=True)
class Fill:
    """An execution in the terms that hold now. `clordid` is the order's first one, empty for a quote."""

    clordid: str
    contract: int
    side: Side
    quantity: int
    price: int
    fee: int
    first_quantity: int
    first_price: int
    is_busted: bool = False
