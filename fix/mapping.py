"""Commands and events to FIX and back: one `Mapper` for each chain and venue, pure.

What is written is a `Body`, a message without the envelope that the engine adds; what is read is the whole text of a
message, as the engine gives it. The gate's seal and sequence never go on the wire, nor does the venue: the session says
which one it is. For every command and event `read(write(x)) == x`, to the nanosecond and the 1/10,000 dollar.

`docs/fix.md` has the rules of engagement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from domain.chain import Chain
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
    Clearance,
    Event,
    ExecutionReported,
    OrderCancelCleared,
    OrderCleared,
    OrderReplaceCleared,
    OrdersCancelCleared,
    OrderStatusCleared,
    QuoteCancelCleared,
    QuotesAcknowledged,
    QuotesCanceled,
    QuotesCleared,
    VenueProtectionTripped,
    VenueStatusChanged,
)
from fix.binding import Binding
from fix.control import (
    BookReport,
    BookRequest,
    ClockAdvance,
    ClockReached,
    Control,
    Controls,
    ExecutionsDone,
    ExecutionsRequest,
)
from fix.messages import MsgType
from fix.orders import Orders
from fix.quote_reports import QuoteReports
from fix.quotes import QuoteFragment, Quotes
from fix.refusals import Refusal, is_refusal, is_unread, read_refusal, settle
from fix.reports import MassCancelReport, OrderReports
from fix.tags import Tag
from fix.values import bad
from fix.wire import SOH, Body, Record, as_text, msg_type_of, read

MAX_ENTRIES: Final = 1_000
"""Entries of one mass quote message; more go in fragments."""

Answer = (
    ExecutionReported
    | CancelRejected
    | QuotesAcknowledged
    | QuotesCanceled
    | VenueProtectionTripped
    | VenueStatusChanged
)
"""What a venue reports."""

Message = Outbound | Answer | QuoteFragment | MassCancelReport | Refusal | Control
"""What a message says."""


class Mapper:
    """FIX for one chain at one venue."""

    def __init__(self, chain: Chain, venue: int, *, max_entries: int = MAX_ENTRIES) -> None:
        """Write every contract of the chain once.

        Args:
            chain: The contracts that messages may name.
            venue: Index of the venue at the other end of the session, on either side of it.
            max_entries: Entries of one mass quote message.

        Raises:
            InputError: `max_entries` is not positive.
        """
        if max_entries < 1:
            raise InputError("must be positive", field="max_entries", value=max_entries)
        binding = Binding(chain, venue)
        self._binding = binding
        quotes, orders, controls = Quotes(binding, max_entries), Orders(binding), Controls(binding)
        self._quotes, self._order_reports = quotes, OrderReports(binding)
        reports, about_quotes = self._order_reports, QuoteReports(binding)
        self._write: dict[type, Callable[[Any], Body]] = {
            CancelQuotes: quotes.write_cancel,
            SubmitOrder: orders.write_submit,
            CancelOrder: orders.write_cancel,
            ReplaceOrder: orders.write_replace,
            RequestOrderStatus: orders.write_status_request,
            CancelAllOrders: orders.write_cancel_all,
            ExecutionReported: reports.write_execution,
            CancelRejected: lambda event: reports.write_cancel_rejected(event, None),
            QuotesAcknowledged: about_quotes.write_acknowledged,
            QuotesCanceled: about_quotes.write_canceled,
            VenueProtectionTripped: about_quotes.write_protection,
            VenueStatusChanged: about_quotes.write_status,
            **dict.fromkeys(_CONTROLS, controls.write),
        }
        self._read: dict[str, Callable[[Record], Message]] = {
            MsgType.QUOTE_CANCEL.value: quotes.read_cancel,
            MsgType.NEW_ORDER_SINGLE.value: orders.read_submit,
            MsgType.ORDER_CANCEL_REQUEST.value: orders.read_cancel,
            MsgType.ORDER_CANCEL_REPLACE_REQUEST.value: orders.read_replace,
            MsgType.ORDER_STATUS_REQUEST.value: orders.read_status_request,
            MsgType.ORDER_MASS_CANCEL_REQUEST.value: orders.read_cancel_all,
            MsgType.EXECUTION_REPORT.value: reports.read_execution,
            MsgType.ORDER_CANCEL_REJECT.value: reports.read_cancel_rejected,
            MsgType.ORDER_MASS_CANCEL_REPORT.value: reports.read_mass_cancel,
            MsgType.MASS_QUOTE_ACKNOWLEDGEMENT.value: about_quotes.read_answer,
            MsgType.TRADING_SESSION_STATUS.value: about_quotes.read_status,
            **dict.fromkeys(_CONTROL_TYPES, controls.read),
        }

    @property
    def underlying(self) -> str:
        """Symbol of the underlying."""
        return self._binding.underlying

    @property
    def venue(self) -> int:
        """Index of the venue."""
        return self._binding.venue

    # --- to the wire --------------------------------------------------------------------------------------------------
    def write(self, message: Outbound | Answer | Control) -> list[Body]:
        """Return the messages of a command, an event or a control message.

        One, but for mass quotes: none where no row is for this venue, several where the rows are too many for one.

        Raises:
            InputError: Nothing that travels; of another venue, underlying or chain; or a value that FIX cannot carry.
        """
        if isinstance(message, PlaceQuotes):
            return self._quotes.write(message)
        write = self._write.get(type(message))
        if write is None:
            raise InputError("type does not travel over FIX", field="type", value=type(message).__name__)
        return [write(message)]

    def write_cleared(self, clearance: Clearance) -> list[Body]:
        """Return the messages of what the gate let through; raises as `write` does."""
        return self.write(command_of(clearance))

    def write_answer(self, answer: Answer, about: Outbound) -> list[Body]:
        """Return the messages of an answer to a command of the other side; a refused cancel says what was refused."""
        if isinstance(answer, CancelRejected) and isinstance(about, CancelOrder | ReplaceOrder):
            return [self._order_reports.write_cancel_rejected(answer, about)]
        return self.write(answer)

    def write_mass_cancel(self, cancel: CancelAllOrders, answers: Sequence[Event], ts: int, refusal: str = "") -> Body:
        """Return the report of a mass cancel, sent behind those of the single orders.

        Args:
            cancel: What was asked.
            answers: What the venue answered.
            ts: Time at the venue, ns.
            refusal: Why it was not served; empty where it was.
        """
        return self._order_reports.write_mass_cancel(cancel, answers, ts, refusal)

    # --- from the wire ------------------------------------------------------------------------------------------------
    def read(self, raw: str | bytes) -> Message:
        """Return what a message says.

        A part of a quote set is a `QuoteFragment` (join it with `fix.quotes.Assembly`); what refuses a message of ours
        is a `Refusal` (find what was sent and ask `rejection`).

        Raises:
            DataError: The message is malformed, of a type that says nothing here (session messages), about another
                underlying, names an unknown instrument, or a field is wrong or missing; the tag and its value are in
                the fields of the error.
        """
        text = as_text(raw)
        kind = msg_type_of(text)
        if kind == MsgType.MASS_QUOTE:
            return self._quotes.read(text)
        if is_refusal(kind):
            return read_refusal(text)
        parse = self._read.get(kind)
        if parse is None:
            raise bad("message type says nothing here", Tag.MSG_TYPE, kind)
        record = read(text)
        if kind == MsgType.MASS_QUOTE_ACKNOWLEDGEMENT and is_unread(record):
            return read_refusal(text)
        return parse(record)

    def rejection(self, refusal: Refusal | str | bytes, sent: Outbound) -> list[Event]:
        """Return the events that settle a command whose message was refused.

        Args:
            refusal: What `read` gave, or the text of the refusing message.
            sent: The command that its sequence number (45) or identifier (379, 117) points to.

        Raises:
            DataError: The message refuses nothing, or is malformed.
            InputError: No outbound command.
        """
        if not isinstance(refusal, Refusal):
            refusal = read_refusal(as_text(refusal))
        return settle(self._binding, refusal, sent)


def command_of(clearance: Clearance) -> Outbound:
    """Return what a clearance lets through, without the gate's own fields.

    Raises:
        InputError: No clearance of an outbound message.
    """
    match clearance:
        case QuotesCleared():
            return PlaceQuotes(
                ts_event=clearance.ts_event,
                ts_init=clearance.ts_init,
                underlying=clearance.underlying,
                quote_set_id=clearance.quote_set_id,
                party=clearance.party,
                quote_ts=clearance.quote_ts,
                frame=clearance.frame,
            )
        case OrderCleared():
            return clearance.order
        case QuoteCancelCleared() | OrderCancelCleared() | OrdersCancelCleared():
            return clearance.cancel
        case OrderReplaceCleared():
            return clearance.replace
        case OrderStatusCleared():
            return clearance.request
        case _:
            raise InputError("not an outbound message", field="clearance", value=type(clearance).__name__)


def underlying_of(raw: str | bytes) -> str:
    """Return the underlying that a message is about, empty where it does not say: which `Mapper` of a session reads it.

    Raises:
        DataError: Neither text nor bytes.
    """
    _, found, rest = as_text(raw).rpartition(_UNDERLYING)
    return rest.partition(SOH)[0] if found else ""


_UNDERLYING: Final = f"{SOH}{Tag.OWN_UNDERLYING.value}="
_CONTROLS: Final = (ClockAdvance, ClockReached, ExecutionsRequest, ExecutionsDone, BookRequest, BookReport)
_CONTROL_TYPES: Final = tuple(
    each.value
    for each in (
        MsgType.CLOCK_ADVANCE,
        MsgType.CLOCK_REACHED,
        MsgType.EXECUTIONS_REQUEST,
        MsgType.EXECUTIONS_DONE,
        MsgType.BOOK_REQUEST,
        MsgType.BOOK_REPORT,
    )
)
