"""The order state machine as a table keyed on (state, ExecType), and what a report must say to be believed."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from domain.events import ExecType, ExecutionReported, OrdStatus


class OrderState(StrEnum):
    """Where one of our orders is, as far as we know."""

    PENDING_NEW = "pending_new"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"


TERMINAL: Final = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED})
"""Left only by a bust, a correction or a late fill."""


class Next(NamedTuple):
    """Where a report leads: while some may still trade, when all has traded, when the venue ended it before that.

    NEW and PARTIALLY_FILLED are one state, told apart by what has traded: `PARTIALLY_FILLED` in a cell stands for both.
    """

    working: OrderState
    complete: OrderState
    closed: OrderState


_S = OrderState
_X = ExecType


def _always(state: OrderState) -> Next:
    return Next(state, state, state)


_TRADED: Final = Next(_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED)
_OPEN: Final = (_S.PENDING_NEW, _S.NEW, _S.PARTIALLY_FILLED, _S.PENDING_CANCEL, _S.PENDING_REPLACE, _S.UNKNOWN)

TABLE: Final[dict[tuple[OrderState, ExecType], Next]] = {
    # The acknowledgement; it may come after a fill, a cancel of ours, or the end.
    (_S.PENDING_NEW, _X.NEW): _always(_S.NEW),
    (_S.UNKNOWN, _X.NEW): _always(_S.PARTIALLY_FILLED),
    (_S.PARTIALLY_FILLED, _X.NEW): _always(_S.PARTIALLY_FILLED),
    (_S.PENDING_CANCEL, _X.NEW): _always(_S.PENDING_CANCEL),
    (_S.PENDING_REPLACE, _X.NEW): _always(_S.PENDING_REPLACE),
    (_S.FILLED, _X.NEW): _always(_S.FILLED),
    (_S.CANCELED, _X.NEW): _always(_S.CANCELED),
    (_S.EXPIRED, _X.NEW): _always(_S.EXPIRED),
    # A refusal; only of what has not traded.
    (_S.PENDING_NEW, _X.REJECTED): _always(_S.REJECTED),
    (_S.PENDING_CANCEL, _X.REJECTED): _always(_S.REJECTED),
    (_S.PENDING_REPLACE, _X.REJECTED): _always(_S.REJECTED),
    (_S.UNKNOWN, _X.REJECTED): _always(_S.REJECTED),
    # An execution; late ones change terminal states too, and a fill proves a rejected order alive.
    (_S.PENDING_NEW, _X.TRADE): _TRADED,
    (_S.NEW, _X.TRADE): _TRADED,
    (_S.PARTIALLY_FILLED, _X.TRADE): _TRADED,
    (_S.UNKNOWN, _X.TRADE): _TRADED,
    (_S.REJECTED, _X.TRADE): _TRADED,
    (_S.PENDING_CANCEL, _X.TRADE): Next(_S.PENDING_CANCEL, _S.FILLED, _S.CANCELED),
    (_S.PENDING_REPLACE, _X.TRADE): Next(_S.PENDING_REPLACE, _S.FILLED, _S.CANCELED),
    (_S.CANCELED, _X.TRADE): Next(_S.CANCELED, _S.FILLED, _S.CANCELED),
    (_S.EXPIRED, _X.TRADE): Next(_S.EXPIRED, _S.FILLED, _S.EXPIRED),
    # More than the order was for: booked, because the venue's word holds until it is taken back, and disputed.
    (_S.FILLED, _X.TRADE): _always(_S.FILLED),
    # A bust takes an execution back; the rest works again only where the venue says so.
    (_S.PARTIALLY_FILLED, _X.TRADE_CANCEL): _TRADED,
    (_S.FILLED, _X.TRADE_CANCEL): _TRADED,
    (_S.PENDING_CANCEL, _X.TRADE_CANCEL): Next(_S.PENDING_CANCEL, _S.PENDING_CANCEL, _S.CANCELED),
    (_S.PENDING_REPLACE, _X.TRADE_CANCEL): Next(_S.PENDING_REPLACE, _S.PENDING_REPLACE, _S.CANCELED),
    (_S.UNKNOWN, _X.TRADE_CANCEL): Next(_S.UNKNOWN, _S.UNKNOWN, _S.CANCELED),
    (_S.CANCELED, _X.TRADE_CANCEL): _always(_S.CANCELED),
    (_S.EXPIRED, _X.TRADE_CANCEL): _always(_S.EXPIRED),
    # A correction changes quantity or price of an execution.
    (_S.PARTIALLY_FILLED, _X.TRADE_CORRECT): _TRADED,
    (_S.FILLED, _X.TRADE_CORRECT): _TRADED,
    (_S.PENDING_CANCEL, _X.TRADE_CORRECT): Next(_S.PENDING_CANCEL, _S.FILLED, _S.CANCELED),
    (_S.PENDING_REPLACE, _X.TRADE_CORRECT): Next(_S.PENDING_REPLACE, _S.FILLED, _S.CANCELED),
    (_S.UNKNOWN, _X.TRADE_CORRECT): Next(_S.UNKNOWN, _S.FILLED, _S.CANCELED),
    (_S.CANCELED, _X.TRADE_CORRECT): Next(_S.CANCELED, _S.FILLED, _S.CANCELED),
    (_S.EXPIRED, _X.TRADE_CORRECT): Next(_S.EXPIRED, _S.FILLED, _S.EXPIRED),
    # The end, asked for or not; a second cancel report says nothing new.
    **{(state, _X.CANCELED): _always(_S.CANCELED) for state in (*_OPEN, _S.CANCELED)},
    **{(state, _X.EXPIRED): _always(_S.EXPIRED) for state in (*_OPEN, _S.EXPIRED)},
    # Our cancel or replacement was received.
    (_S.PENDING_CANCEL, _X.PENDING_CANCEL): _always(_S.PENDING_CANCEL),
    (_S.UNKNOWN, _X.PENDING_CANCEL): _always(_S.PENDING_CANCEL),
    (_S.FILLED, _X.PENDING_CANCEL): _always(_S.FILLED),
    (_S.CANCELED, _X.PENDING_CANCEL): _always(_S.CANCELED),
    (_S.EXPIRED, _X.PENDING_CANCEL): _always(_S.EXPIRED),
    (_S.PENDING_REPLACE, _X.PENDING_REPLACE): _always(_S.PENDING_REPLACE),
    (_S.PENDING_CANCEL, _X.PENDING_REPLACE): _always(_S.PENDING_CANCEL),
    (_S.UNKNOWN, _X.PENDING_REPLACE): _always(_S.PENDING_REPLACE),
    # New terms; they may arrive while we already cancel. What has traded may complete them.
    (_S.PENDING_REPLACE, _X.REPLACED): Next(_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED),
    (_S.UNKNOWN, _X.REPLACED): Next(_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED),
    (_S.PENDING_CANCEL, _X.REPLACED): Next(_S.PENDING_CANCEL, _S.FILLED, _S.CANCELED),
    # The answer to a status request settles an order that is open for us, and leaves alone one that has ended.
    **{(state, _X.ORDER_STATUS): _TRADED for state in (_S.PENDING_NEW, _S.NEW, _S.PARTIALLY_FILLED, _S.UNKNOWN)},
    (_S.PENDING_CANCEL, _X.ORDER_STATUS): Next(_S.PENDING_CANCEL, _S.FILLED, _S.CANCELED),
    (_S.PENDING_REPLACE, _X.ORDER_STATUS): Next(_S.PENDING_REPLACE, _S.FILLED, _S.CANCELED),
    **{(state, _X.ORDER_STATUS): _always(state) for state in (_S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED)},
}
"""(state, ExecType) to the next state. A pair that is not here is refused, reconciled, and changes nothing."""

_ENDED: Final = (OrdStatus.CANCELED, OrdStatus.EXPIRED, OrdStatus.REJECTED)
_PENDING: Final = (OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_REPLACE)
_AFTER_TRADE: Final = (
    OrdStatus.PARTIALLY_FILLED,
    OrdStatus.FILLED,
    *_PENDING,
    OrdStatus.CANCELED,
    OrdStatus.EXPIRED,
)

STATUSES: Final[dict[ExecType, tuple[OrdStatus, ...]]] = {
    _X.NEW: (OrdStatus.NEW,),
    _X.CANCELED: (OrdStatus.CANCELED,),
    _X.EXPIRED: (OrdStatus.EXPIRED,),
    _X.REJECTED: (OrdStatus.REJECTED,),
    _X.PENDING_CANCEL: (OrdStatus.PENDING_CANCEL,),
    _X.PENDING_REPLACE: (OrdStatus.PENDING_REPLACE,),
    _X.REPLACED: (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED, *_PENDING),
    _X.TRADE: _AFTER_TRADE,
    _X.TRADE_CANCEL: (OrdStatus.NEW, *_AFTER_TRADE),
    _X.TRADE_CORRECT: (OrdStatus.NEW, *_AFTER_TRADE),
    _X.ORDER_STATUS: tuple(OrdStatus),
}
"""The OrdStatus that may stand beside an ExecType."""


def next_state(cell: Next, report: ExecutionReported, cum: int, quantity: int) -> OrderState:
    """Return the state that a cell of the table gives.

    Args:
        cell: From `TABLE`.
        report: What the venue said.
        cum: What has traded by our own count, this report included: reports may come out of order, so the venue's
            CumQty is checked but not taken.
        quantity: Of the order, this report included.
    """
    if cum >= quantity:
        state = cell.complete
    elif report.ord_status in _ENDED:
        state = cell.closed
        if state == OrderState.CANCELED and report.ord_status != OrdStatus.CANCELED:
            state = OrderState.EXPIRED if report.ord_status == OrdStatus.EXPIRED else OrderState.REJECTED
    else:
        state = cell.working
    if state in (OrderState.NEW, OrderState.PARTIALLY_FILLED):
        return OrderState.PARTIALLY_FILLED if cum else OrderState.NEW
    return state


def contradiction(report: ExecutionReported, quantities: tuple[int, ...]) -> str:
    """Return why a report cannot be true by itself, or nothing.

    Args:
        report: What the venue said.
        quantities: Order quantities that it may be about: the one in force, one asked for, one replaced.
    """
    cum, leaves, status = report.cum_qty, report.leaves_qty, report.ord_status
    has_terms = report.last_qty > 0 and report.last_px > 0
    is_trade = report.exec_type == ExecType.TRADE
    is_correction = report.exec_type == ExecType.TRADE_CORRECT
    has_ended = status in _ENDED
    checks = (
        (status not in STATUSES[report.exec_type], "OrdStatus does not go with ExecType"),
        (cum < 0 or leaves < 0, "quantity is negative"),
        (has_ended and leaves > 0, "LeavesQty of an order that ended"),
        (has_ended and cum > max(quantities), "CumQty is above the order"),
        (status in (OrdStatus.NEW, OrdStatus.REJECTED) and cum > 0, "CumQty of an order that did not trade"),
        (not has_ended and cum + leaves not in quantities, "CumQty and LeavesQty do not add up to the order"),
        (not has_ended and (status == OrdStatus.FILLED) != (leaves == 0), "LeavesQty does not go with OrdStatus"),
        ((is_trade or is_correction) and not has_terms, "execution without quantity or price"),
        (is_trade and cum < report.last_qty, "CumQty is below the execution"),
    )
    return next((why for wrong, why in checks if wrong), "")
