"""What a venue makes of a client's message: a clearance for its book, or a refusal that names what was wrong."""

from __future__ import annotations

from typing import Final, TypedDict

from domain.commands import (
    CancelAllOrders,
    CancelOrder,
    CancelQuotes,
    Outbound,
    PlaceQuotes,
    ReplaceOrder,
    RequestOrderStatus,
    SubmitOrder,
)
from domain.errors import AxiomError, InputError
from domain.events import (
    Clearance,
    OrderCancelCleared,
    OrderCleared,
    OrderReplaceCleared,
    OrdersCancelCleared,
    OrderStatusCleared,
    QuoteCancelCleared,
    QuotesCleared,
)
from fix.messages import MsgType
from fix.tags import Tag
from fix.wire import SOH, Body, as_text, msg_type_of

_UNSUPPORTED: Final = "3"
_OTHER: Final = "0"


class _Head(TypedDict):
    ts_event: int
    ts_init: int
    underlying: str
    gate: str
    sequence: int
    seal: str


def clearance_of(command: Outbound) -> Clearance:
    """Return the form in which a venue's book takes a command. The gate's own fields stay at home: they are empty.

    Raises:
        InputError: No outbound command.
    """
    head: _Head = {
        "ts_event": command.ts_event,
        "ts_init": command.ts_init,
        "underlying": command.underlying,
        "gate": "",
        "sequence": 0,
        "seal": "",
    }
    cleared: Clearance
    match command:
        case PlaceQuotes():
            cleared = QuotesCleared(
                **head,
                quote_set_id=command.quote_set_id,
                party=command.party,
                quote_ts=command.quote_ts,
                frame=command.frame,
            )
        case CancelQuotes():
            cleared = QuoteCancelCleared(**head, cancel=command)
        case SubmitOrder():
            cleared = OrderCleared(**head, order=command)
        case CancelOrder():
            cleared = OrderCancelCleared(**head, cancel=command)
        case ReplaceOrder():
            cleared = OrderReplaceCleared(**head, replace=command)
        case CancelAllOrders():
            cleared = OrdersCancelCleared(**head, cancel=command)
        case RequestOrderStatus():
            cleared = OrderStatusCleared(**head, request=command)
        case _:
            raise InputError("not an outbound command", field="command", value=type(command).__name__)
    return cleared


def unread(raw: bytes, error: AxiomError) -> list[Body]:
    """Return the business reject (35=j) of a message that could not be read or served; it names what was wrong."""
    text = as_text(raw)
    kind = msg_type_of(text)
    fields = {
        Tag.REF_SEQ_NUM: _field(text, Tag.MSG_SEQ_NUM),
        Tag.TEXT: str(error).encode("ascii", "replace").decode().replace(SOH, "|")[:200],
        Tag.REF_MSG_TYPE: kind,
        Tag.BUSINESS_REJECT_REF_ID: next(
            (found for tag in (Tag.CL_ORD_ID, Tag.QUOTE_ID, Tag.ORD_STATUS_REQ_ID) if (found := _field(text, tag))), ""
        ),
        Tag.BUSINESS_REJECT_REASON: _OTHER if kind in _SERVED else _UNSUPPORTED,
    }
    body = "".join(f"{tag.value}={value}{SOH}" for tag, value in sorted(fields.items()) if value)
    return [Body(MsgType.BUSINESS_MESSAGE_REJECT.value, body.encode())]


def _field(text: str, tag: Tag) -> str:
    _, found, rest = text.partition(f"{SOH}{tag.value}=")
    return rest.partition(SOH)[0] if found else ""


_SERVED: Final = frozenset(kind.value for kind in MsgType)
