"""Messages of ours that the other side did not take (35=3 and 35=j), and what that means for what they carried.

A Reject breaks on the rules of the session, a BusinessMessageReject on those of the venue: either way the message had
no effect, and whoever waits for its answer is told so. What cannot be said by an answer of the venue becomes
`ReconciliationNeeded`: a cancel that was refused leaves open what became of what it was to cancel.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

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
from domain.errors import InputError
from domain.events import (
    CancelRejected,
    Event,
    ExecType,
    ExecutionReported,
    OrdStatus,
    QuoteRefusal,
    QuotesAcknowledged,
    ReconciliationNeeded,
)
from domain.frames import QuoteRefusalFrame
from fix.binding import Binding, Stamps
from fix.messages import MsgType
from fix.quote_reports import ALL_REFUSED
from fix.tags import Tag
from fix.values import bad, time_ns
from fix.wire import Record, read

_KINDS: Final = (MsgType.REJECT.value, MsgType.BUSINESS_MESSAGE_REJECT.value)


class Refusal(NamedTuple):
    """A message of ours that was not taken.

    Attributes:
        msg_type: Type of the refusing message: 3, j, or b where a whole mass quote was refused unread.
        sequence: MsgSeqNum of ours, 0 where it is not named.
        ref_msg_type: Type of ours, empty where it is not named.
        ref_id: ClOrdID, QuoteID or request identifier of ours, empty where it is not named.
        ref_tag: The tag that was wrong, 0 where none is named.
        code: Tag 373, 380 or 300, empty where there is none.
        text: In words.
        sent_at: Tag 52 of the refusing message, ns since the epoch.
    """

    msg_type: str
    sequence: int
    ref_msg_type: str
    ref_id: str
    ref_tag: int
    code: str
    text: str
    sent_at: int

    @property
    def reason(self) -> str:
        """One line for people."""
        name = {"3": "reject", "j": "business reject"}.get(self.msg_type, "mass quote refused")
        tag = f" tag {self.ref_tag}" if self.ref_tag else ""
        return f"{name} {self.code}{tag}: {self.text}".rstrip(": ")


def is_refusal(raw_type: str) -> bool:
    """Whether a type of message refuses another: 3 or j."""
    return raw_type in _KINDS


def read_refusal(raw: str) -> Refusal:
    """Read a Reject, a BusinessMessageReject, or an acknowledgement (297=5) of a mass quote that the venue never read.

    Raises:
        DataError: It is none of these, or a field is wrong or missing.
    """
    record = read(raw)
    kind = record.msg_type
    if kind == MsgType.REJECT:
        reference, reason = "", Tag.SESSION_REJECT_REASON
    elif kind == MsgType.BUSINESS_MESSAGE_REJECT:
        reference, reason = record.text(Tag.BUSINESS_REJECT_REF_ID), Tag.BUSINESS_REJECT_REASON
    elif kind == MsgType.MASS_QUOTE_ACKNOWLEDGEMENT and is_unread(record):
        reference, reason = record.must(Tag.QUOTE_ID), Tag.QUOTE_REJECT_REASON
    else:
        raise bad("message refuses nothing", Tag.MSG_TYPE, kind)
    is_quote = kind == MsgType.MASS_QUOTE_ACKNOWLEDGEMENT
    return Refusal(
        msg_type=kind,
        sequence=record.natural(Tag.REF_SEQ_NUM, 0),
        ref_msg_type=MsgType.MASS_QUOTE.value if is_quote else record.text(Tag.REF_MSG_TYPE),
        ref_id=reference,
        ref_tag=record.natural(Tag.REF_TAG_ID, 0),
        code=record.text(reason),
        text=record.free_text(),
        sent_at=time_ns(record.must(Tag.SENDING_TIME), Tag.SENDING_TIME),
    )


def is_unread(record: Record) -> bool:
    """Whether an acknowledgement refuses a mass quote as a whole and does not count its entries."""
    return record.text(Tag.QUOTE_STATUS) == ALL_REFUSED and Tag.ACCEPTED_ENTRIES not in record.values


def reference_of(sent: Outbound) -> str:
    """Return the identifier by which a refusal names a command of ours (379)."""
    match sent:
        case PlaceQuotes():
            return sent.quote_set_id
        case CancelQuotes() | CancelAllOrders():
            return sent.cancel_id
        case RequestOrderStatus():
            return sent.status_id
        case _:
            return sent.clordid


def settle(binding: Binding, refusal: Refusal, sent: Outbound) -> list[Event]:
    """Return the events that settle a command whose message was refused.

    Args:
        binding: The venue and the chain.
        refusal: What came.
        sent: The command that the sequence number or identifier of the refusal points to.

    Raises:
        InputError: No outbound command.
    """
    stamps: Stamps = {"ts_event": refusal.sent_at, "ts_init": sent.ts_init, "underlying": binding.underlying}
    match sent:
        case PlaceQuotes():
            return [_quotes_refused(binding, stamps, sent)]
        case SubmitOrder():
            return [_order_refused(binding, stamps, sent, refusal)]
        case CancelOrder() | ReplaceOrder():
            return [
                CancelRejected(
                    **stamps,
                    venue=binding.venue,
                    clordid=sent.clordid,
                    orig_clordid=sent.orig_clordid,
                    ord_status=OrdStatus.REJECTED,
                    reason=refusal.reason,
                )
            ]
        case RequestOrderStatus():
            subject = sent.clordid
        case CancelQuotes() | CancelAllOrders():
            subject = sent.cancel_id
        case _:
            raise InputError("not an outbound command", field="sent", value=type(sent).__name__)
    return [ReconciliationNeeded(**stamps, venue=binding.venue, subject=subject, reason=refusal.reason)]


def _quotes_refused(binding: Binding, stamps: Stamps, sent: PlaceQuotes) -> QuotesAcknowledged:
    contract = sent.frame.contract[sent.frame.venue == binding.venue]
    return QuotesAcknowledged(
        **stamps,
        venue=binding.venue,
        quote_set_id=sent.quote_set_id,
        accepted=0,
        frame=QuoteRefusalFrame(
            venue=np.full(len(contract), binding.venue, np.int16),
            contract=contract,
            reason=np.full(len(contract), QuoteRefusal.VENUE.value, np.int8),
        ),
    )


def _order_refused(binding: Binding, stamps: Stamps, sent: SubmitOrder, refusal: Refusal) -> ExecutionReported:
    return ExecutionReported(
        **stamps,
        venue=binding.venue,
        clordid=sent.clordid,
        orig_clordid="",
        quote_set_id="",
        exec_id=f"{refusal.msg_type}-{sent.clordid}",
        exec_ref_id="",
        exec_type=ExecType.REJECTED,
        ord_status=OrdStatus.REJECTED,
        contract=sent.contract,
        side=sent.side,
        last_qty=0,
        last_px=0,
        cum_qty=0,
        leaves_qty=0,
        fee=0,
        adds_liquidity=False,
        text=refusal.reason,
    )
