"""What a report must say of an order of ours to be believed, and what is booked even so.

An execution that names our order, at its venue, in its contract and side, with a quantity and a price, moves money
whatever else the report says: it is booked, because the venue's word holds until it is taken back, and what does not
fit is disputed. Every other report that contradicts itself or the order changes nothing.
"""

from __future__ import annotations

from typing import Final

from domain.events import ExecType, ExecutionReported, OrdStatus
from routing.order_records import Fill, Order
from routing.order_table import TABLE, contradiction

AMENDMENTS: Final = (ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT)
MOVES_MONEY: Final = (ExecType.TRADE, *AMENDMENTS)


def is_execution_of(report: ExecutionReported, order: Order) -> bool:
    """Whether a report says that this very order traded, in terms that can be booked."""
    return (
        report.exec_type == ExecType.TRADE
        and (report.venue, report.contract, report.side) == (order.venue, order.contract, order.side)
        and report.last_qty > 0
        and report.last_px > 0
    )


def disbelief(report: ExecutionReported, order: Order) -> str:
    """Return why a report about an order is not believed as it stands, or nothing."""
    if (order.state, report.exec_type) not in TABLE:
        return f"{report.exec_type.name} does not follow {order.state}"
    is_trade, is_replaced = report.exec_type == ExecType.TRADE, report.exec_type == ExecType.REPLACED
    is_end = report.exec_type in (ExecType.REJECTED, ExecType.ORDER_STATUS) and report.ord_status == OrdStatus.REJECTED
    asked = order.pending_replace, order.pending_quantity
    checks = (
        (report.venue != order.venue, "order is at another venue"),
        (is_end and order.cum > 0, "rejected after an execution"),
        (
            is_replaced and (report.clordid, report.cum_qty + report.leaves_qty) != asked,
            "replacement that was not asked for",
        ),
        (
            is_trade and (report.contract, report.side) != (order.contract, order.side),
            "execution of another contract or side",
        ),
        (is_replaced and order.cum > order.pending_quantity, "replacement below what was executed"),
        (is_trade and order.cum + report.last_qty > max(order.quantities), "executions above the order"),
    )
    return next((why for wrong, why in checks if wrong), "") or contradiction(report, _quantities(report, order))


def _quantities(report: ExecutionReported, order: Order) -> tuple[int, ...]:
    """The quantities that a report may add up to: once we hold more than was ordered, a status may say so too."""
    is_agreed = order.is_overfilled and report.exec_type == ExecType.ORDER_STATUS
    return (*order.quantities, order.cum) if is_agreed else order.quantities


def amendment_disbelief(report: ExecutionReported, order: Order | None, fill: Fill, change: int) -> str:
    """Return why a bust or correction is refused, or nothing.

    Args:
        report: The bust or correction.
        order: Of the execution; None of a quote's.
        fill: The execution as it stands.
        change: By how much its quantity changes.
    """
    if fill.is_busted:
        return "execution was busted before"
    if (order.clordid if order else "") != fill.clordid:
        return "amends an execution of another order"
    if order is None:
        is_sound = report.exec_type == ExecType.TRADE_CANCEL or (report.last_qty > 0 and report.last_px > 0)
        return "" if is_sound else "correction without quantity or price"
    reason = disbelief(report, order)
    if not reason and change > 0 and order.cum + change > max(order.quantities):
        reason = "executions above the order"
    return reason
