"""What a venue reports about orders: executions (35=8), refused cancels (9), mass cancels (r). Quotes trade in 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from domain.commands import STOCK, CancelAllOrders, CancelOrder, ReplaceOrder
from domain.events import CancelRejected, Event, ExecType, ExecutionReported, OrdStatus
from fix.binding import SIDE_CODES, SIDES, Binding
from fix.messages import MsgType
from fix.tags import Tag
from fix.values import (
    amount_text,
    amount_units,
    average_text,
    average_units,
    bad,
    identifier,
    limit_text,
    natural_text,
    time_text,
)
from fix.wire import SOH, Body, Record, Writer, code

_EXEC_TYPES: Final = {each.value: each for each in ExecType}
_STATUSES: Final = {each.value: each for each in OrdStatus}
_MOVES_MONEY: Final = (ExecType.TRADE, ExecType.TRADE_CORRECT, ExecType.TRADE_CANCEL)
_ADDED, _REMOVED = "1", "2"
_NO_NAME: Final = "NONE"
_OTHER: Final = "99"
_TOO_LATE, _UNKNOWN_ORDER = "0", "1"
_REFUSED, _OF_UNDERLYING = "0", "2"
_CANCEL, _REPLACEMENT = "1", "2"

_ORDER_REASONS: Final = {"unknown contract": "1", "duplicate ClOrdID": "6"}
"""What the venues of `routing.exchange` say in words, to codes of tag 103."""


class MassCancelReport(NamedTuple):
    """What a venue says that a mass cancel did; the orders are also reported one by one.

    Attributes:
        cancel_id: Our name of the mass cancel.
        is_accepted: Whether it was served.
        affected: ClOrdIDs of the orders that it removed.
        reason: Why it was refused.
    """

    cancel_id: str
    is_accepted: bool
    affected: tuple[str, ...]
    reason: str


class OrderReports:
    """Reports about orders of one chain at one venue."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    # --- executions ---------------------------------------------------------------------------------------------------
    def write_execution(self, event: ExecutionReported) -> Body:
        """Return an ExecutionReport.

        Raises:
            InputError: The contract is not in the chain, the venue another, or a value cannot be written.
        """
        binding = self._binding
        writer = binding.stamped(event)
        binding.address(writer, event.venue)
        writer.put(Tag.EXEC_ID, identifier(event.exec_id, Tag.EXEC_ID))
        writer.put(Tag.ORDER_ID, event.orig_clordid or event.clordid or event.quote_set_id or _NO_NAME)
        _put_names(writer, event)
        binding.instruments.put(writer, event.contract)
        if event.quote_set_id and event.contract != STOCK:
            writer.put(Tag.QUOTE_ENTRY_ID, binding.instruments.entry_ids[event.contract])
        writer.put(Tag.EXEC_TYPE, event.exec_type.value)
        writer.put(Tag.ORD_STATUS, event.ord_status.value)
        writer.put(Tag.SIDE, SIDE_CODES[event.side])
        writer.put(Tag.CUM_QTY, natural_text(event.cum_qty, Tag.CUM_QTY))
        writer.put(Tag.LEAVES_QTY, natural_text(event.leaves_qty, Tag.LEAVES_QTY))
        writer.put(Tag.AVG_PX, average_text(event.avg_px))
        is_money = event.exec_type in _MOVES_MONEY
        if is_money or event.last_qty or event.last_px:
            writer.put(Tag.LAST_QTY, natural_text(event.last_qty, Tag.LAST_QTY))
            writer.put(Tag.LAST_PX, limit_text(event.last_px, Tag.LAST_PX))
        if event.fee:
            fee = f"137={amount_text(event.fee)}{SOH}138=USD{SOH}139=4{SOH}"
            writer.put_group(Tag.NO_MISC_FEES, [fee])
        if is_money or event.adds_liquidity:
            writer.put(Tag.LAST_LIQUIDITY_IND, _ADDED if event.adds_liquidity else _REMOVED)
        if event.exec_type == ExecType.REJECTED:
            writer.put(Tag.ORD_REJ_REASON, _ORDER_REASONS.get(event.text, _OTHER))
        writer.put_text(event.text)
        return writer.body(MsgType.EXECUTION_REPORT, is_possible_resend=event.is_possible_repeat)

    def read_execution(self, record: Record) -> ExecutionReported:
        """Return the event of an ExecutionReport.

        Raises:
            DataError: A field is wrong or missing, or the instrument unknown.
        """
        binding = self._binding
        liquidity = record.text(Tag.LAST_LIQUIDITY_IND)
        if liquidity not in ("", _ADDED, _REMOVED):
            raise bad("code is unknown", Tag.LAST_LIQUIDITY_IND, liquidity)
        fees = record.group(Tag.NO_MISC_FEES)
        return ExecutionReported(
            **binding.stamps(record),
            venue=binding.venue,
            clordid=record.text(Tag.CL_ORD_ID),
            orig_clordid=record.text(Tag.ORIG_CL_ORD_ID),
            quote_set_id=record.text(Tag.QUOTE_ID),
            exec_id=record.must(Tag.EXEC_ID),
            exec_ref_id=record.text(Tag.EXEC_REF_ID),
            exec_type=code(record, Tag.EXEC_TYPE, _EXEC_TYPES),
            ord_status=code(record, Tag.ORD_STATUS, _STATUSES),
            contract=binding.instruments.contract_of(record),
            side=code(record, Tag.SIDE, SIDES),
            last_qty=record.quantity(Tag.LAST_QTY, 0),
            last_px=record.price(Tag.LAST_PX, 0),
            cum_qty=record.quantity(Tag.CUM_QTY),
            leaves_qty=record.quantity(Tag.LEAVES_QTY),
            fee=sum(amount_units(fee.must(Tag.MISC_FEE_AMT), Tag.MISC_FEE_AMT) for fee in fees),
            adds_liquidity=liquidity == _ADDED,
            text=record.free_text(),
            status_id=record.text(Tag.ORD_STATUS_REQ_ID),
            avg_px=average_units(record.must(Tag.AVG_PX)),
            is_possible_repeat=record.is_set(Tag.POSS_RESEND),
        )

    # --- refused cancels ----------------------------------------------------------------------------------------------
    def write_cancel_rejected(self, event: CancelRejected, about: CancelOrder | ReplaceOrder | None) -> Body:
        """Return an OrderCancelReject; with `about`, what was refused, it says whether that was a replacement.

        Raises:
            InputError: The venue is another, or a value cannot be written.
        """
        writer = self._binding.stamped(event)
        self._binding.address(writer, event.venue)
        writer.put(Tag.CL_ORD_ID, identifier(event.clordid, Tag.CL_ORD_ID))
        writer.put(Tag.ORIG_CL_ORD_ID, identifier(event.orig_clordid, Tag.ORIG_CL_ORD_ID))
        writer.put(Tag.ORDER_ID, event.orig_clordid)
        writer.put(Tag.ORD_STATUS, event.ord_status.value)
        if about is not None:
            writer.put(Tag.CXL_REJ_RESPONSE_TO, _REPLACEMENT if isinstance(about, ReplaceOrder) else _CANCEL)
        writer.put(Tag.CXL_REJ_REASON, _CANCEL_REASONS.get(event.ord_status, _OTHER))
        writer.put_text(event.reason)
        return writer.body(MsgType.ORDER_CANCEL_REJECT)

    def read_cancel_rejected(self, record: Record) -> CancelRejected:
        """Return the event of an OrderCancelReject.

        Raises:
            DataError: A field is wrong or missing.
        """
        return CancelRejected(
            **self._binding.stamps(record),
            venue=self._binding.venue,
            clordid=record.must(Tag.CL_ORD_ID),
            orig_clordid=record.must(Tag.ORIG_CL_ORD_ID),
            ord_status=code(record, Tag.ORD_STATUS, _STATUSES),
            reason=record.free_text(),
        )

    # --- mass cancels -------------------------------------------------------------------------------------------------
    def write_mass_cancel(self, cancel: CancelAllOrders, answers: Sequence[Event], ts: int, refusal: str) -> Body:
        """Return the OrderMassCancelReport that follows the single reports.

        Args:
            cancel: What was asked.
            answers: What the venue answered: the canceled orders are taken from it.
            ts: Time at the venue, ns.
            refusal: Why it was not served, empty where it was.

        Raises:
            InputError: A value cannot be written.
        """
        binding = self._binding
        names = [
            identifier(answer.orig_clordid or answer.clordid, Tag.ORIG_CL_ORD_ID)
            for answer in answers
            if isinstance(answer, ExecutionReported) and answer.exec_type == ExecType.CANCELED
        ]
        writer = binding.stamped(cancel)
        writer.put(Tag.TRANSACT_TIME, time_text(ts))
        writer.put(Tag.TS_EVENT, str(ts))
        writer.put(Tag.CL_ORD_ID, identifier(cancel.cancel_id, Tag.CL_ORD_ID))
        writer.put(Tag.ORDER_ID, cancel.cancel_id)
        writer.put(Tag.MASS_CANCEL_REQUEST_TYPE, _OF_UNDERLYING)
        writer.put(Tag.MASS_CANCEL_RESPONSE, _REFUSED if refusal else _OF_UNDERLYING)
        writer.put(Tag.MASS_CANCEL_REJECT_REASON, _OTHER if refusal else "")
        writer.put(Tag.TOTAL_AFFECTED_ORDERS, str(len(names)))
        writer.put_group(Tag.NO_AFFECTED_ORDERS, [f"41={name}{SOH}535={name}{SOH}" for name in names])
        writer.put_text(refusal)
        return writer.body(MsgType.ORDER_MASS_CANCEL_REPORT)

    def read_mass_cancel(self, record: Record) -> MassCancelReport:
        """Return what an OrderMassCancelReport says.

        Raises:
            DataError: A field is wrong or missing, or the number of orders is not that of those listed.
        """
        self._binding.stamps(record)
        response = record.must(Tag.MASS_CANCEL_RESPONSE)
        affected = tuple(entry.must(Tag.ORIG_CL_ORD_ID) for entry in record.group(Tag.NO_AFFECTED_ORDERS))
        if record.natural(Tag.TOTAL_AFFECTED_ORDERS, len(affected)) != len(affected):
            raise bad(
                "orders are not as many as the report says",
                Tag.TOTAL_AFFECTED_ORDERS,
                record.text(Tag.TOTAL_AFFECTED_ORDERS),
            )
        return MassCancelReport(record.must(Tag.CL_ORD_ID), response != _REFUSED, affected, record.free_text())


def _put_names(writer: Writer, event: ExecutionReported) -> None:
    """Add the identifiers that a report has; FIX leaves out the others."""
    for tag, name in (
        (Tag.CL_ORD_ID, event.clordid),
        (Tag.ORIG_CL_ORD_ID, event.orig_clordid),
        (Tag.QUOTE_ID, event.quote_set_id),
        (Tag.EXEC_REF_ID, event.exec_ref_id),
        (Tag.ORD_STATUS_REQ_ID, event.status_id),
    ):
        if name:
            writer.put(tag, identifier(name, tag))


_CANCEL_REASONS: Final = {
    OrdStatus.FILLED: _TOO_LATE,
    OrdStatus.CANCELED: _TOO_LATE,
    OrdStatus.EXPIRED: _TOO_LATE,
    OrdStatus.REJECTED: _UNKNOWN_ORDER,
}
