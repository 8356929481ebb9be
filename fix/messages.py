"""The messages of our FIX.4.4 dialect: which fields each has, which it must have, and how groups are ordered.

Message level fields travel in ascending order of their tags, each group behind its count; within a group the order is
the one given here and the first field begins an entry. Tags are in `fix.tags`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from fix.tags import Tag


class MsgType(StrEnum):
    """Tag 35."""

    HEARTBEAT = "0"
    TEST_REQUEST = "1"
    RESEND_REQUEST = "2"
    REJECT = "3"
    SEQUENCE_RESET = "4"
    LOGOUT = "5"
    LOGON = "A"
    EXECUTION_REPORT = "8"
    ORDER_CANCEL_REJECT = "9"
    NEW_ORDER_SINGLE = "D"
    ORDER_CANCEL_REQUEST = "F"
    ORDER_CANCEL_REPLACE_REQUEST = "G"
    ORDER_STATUS_REQUEST = "H"
    QUOTE_CANCEL = "Z"
    MASS_QUOTE_ACKNOWLEDGEMENT = "b"
    TRADING_SESSION_STATUS = "h"
    MASS_QUOTE = "i"
    BUSINESS_MESSAGE_REJECT = "j"
    ORDER_MASS_CANCEL_REQUEST = "q"
    ORDER_MASS_CANCEL_REPORT = "r"
    CLOCK_ADVANCE = "U1"
    CLOCK_REACHED = "U2"
    EXECUTIONS_REQUEST = "U3"
    EXECUTIONS_DONE = "U4"
    BOOK_REQUEST = "U5"
    BOOK_REPORT = "U6"


class Item(NamedTuple):
    """A field of a message or of a group; one with `entries` is the count of a repeating group of these."""

    tag: Tag
    required: bool
    entries: tuple[Item, ...] = ()


class Message(NamedTuple):
    """A message of the dialect."""

    msg_type: MsgType
    name: str
    is_admin: bool
    about: str
    items: tuple[Item, ...]

    def group(self, count: Tag) -> tuple[Item, ...]:
        """Return the fields of a group, however deep it lies, by the tag of its count.

        Raises:
            KeyError: The message has no such group.
        """
        for item in _walk(self.items):
            if item.tag == count and item.entries:
                return item.entries
        raise KeyError(count)


def _walk(items: tuple[Item, ...]) -> Iterator[Item]:
    for item in items:
        yield item
        yield from _walk(item.entries)


def _must(*tags: Tag) -> tuple[Item, ...]:
    return tuple(Item(tag, required=True) for tag in tags)


def _may(*tags: Tag) -> tuple[Item, ...]:
    return tuple(Item(tag, required=False) for tag in tags)


INSTRUMENT: Final = (
    *_must(Tag.SYMBOL, Tag.SECURITY_TYPE),
    *_may(Tag.MATURITY_DATE, Tag.PUT_OR_CALL, Tag.STRIKE_PRICE, Tag.OPT_ATTRIBUTE, Tag.CONTRACT_MULTIPLIER),
)
"""What names an option, or with the first two a stock. In this order within groups."""

PARTIES: Final = Item(
    Tag.NO_PARTY_IDS, required=False, entries=_must(Tag.PARTY_ID, Tag.PARTY_ID_SOURCE, Tag.PARTY_ROLE)
)
"""Clearing firm and market maker of a quote or order, those that it has."""

_TIMES: Final = (*_must(Tag.TRANSACT_TIME), *_may(Tag.OWN_UNDERLYING, Tag.TS_EVENT, Tag.TS_INIT))
_TEXT: Final = _may(Tag.TEXT, Tag.ENCODED_TEXT_LEN, Tag.ENCODED_TEXT)
_CAPACITY: Final = (*_must(Tag.ACCOUNT, Tag.ORDER_CAPACITY), *_may(Tag.ORDER_RESTRICTIONS))


def _quote_sets(*entry: Item, required: bool) -> Item:
    return Item(
        Tag.NO_QUOTE_SETS,
        required,
        (
            *_must(Tag.QUOTE_SET_ID, Tag.UNDERLYING_SYMBOL, Tag.TOT_NO_QUOTE_ENTRIES),
            *_may(Tag.LAST_FRAGMENT),
            Item(Tag.NO_QUOTE_ENTRIES, required=True, entries=entry),
        ),
    )


def _message(msg_type: MsgType, name: str, about: str, *items: Item, is_admin: bool = False) -> Message:
    return Message(msg_type, name, is_admin, about, tuple(sorted(items, key=lambda item: item.tag)))


HEADER: Final = (
    *_must(Tag.BEGIN_STRING, Tag.BODY_LENGTH, Tag.MSG_TYPE, Tag.SENDER_COMP_ID, Tag.TARGET_COMP_ID, Tag.MSG_SEQ_NUM),
    *_may(Tag.SENDER_SUB_ID, Tag.TARGET_SUB_ID, Tag.POSS_DUP_FLAG, Tag.POSS_RESEND),
    *_must(Tag.SENDING_TIME),
    *_may(Tag.ORIG_SENDING_TIME, Tag.LAST_MSG_SEQ_NUM_PROCESSED),
)
TRAILER: Final = _must(Tag.CHECK_SUM)

_ADMIN: Final = (
    _message(MsgType.HEARTBEAT, "Heartbeat", "Still there", *_may(Tag.TEST_REQ_ID), is_admin=True),
    _message(MsgType.TEST_REQUEST, "TestRequest", "Are you there?", *_must(Tag.TEST_REQ_ID), is_admin=True),
    _message(
        MsgType.RESEND_REQUEST,
        "ResendRequest",
        "Messages were missed",
        *_must(Tag.BEGIN_SEQ_NO, Tag.END_SEQ_NO),
        is_admin=True,
    ),
    _message(
        MsgType.REJECT,
        "Reject",
        "A message breaks the rules of the session; it is settled as refused",
        *_must(Tag.REF_SEQ_NUM),
        *_may(Tag.REF_TAG_ID, Tag.REF_MSG_TYPE, Tag.SESSION_REJECT_REASON),
        *_TEXT,
        is_admin=True,
    ),
    _message(
        MsgType.SEQUENCE_RESET,
        "SequenceReset",
        "Skip to a number",
        *_must(Tag.NEW_SEQ_NO),
        *_may(Tag.GAP_FILL_FLAG),
        is_admin=True,
    ),
    _message(MsgType.LOGOUT, "Logout", "The session ends", *_TEXT, is_admin=True),
    _message(
        MsgType.LOGON,
        "Logon",
        "The session begins",
        *_must(Tag.ENCRYPT_METHOD, Tag.HEART_BT_INT),
        *_may(
            Tag.RESET_SEQ_NUM_FLAG,
            Tag.MAX_MESSAGE_SIZE,
            Tag.USERNAME,
            Tag.PASSWORD,
            Tag.NEXT_EXPECTED_MSG_SEQ_NUM,
            Tag.CANCEL_ON_DISCONNECT,
            Tag.DEAD_MAN_MS,
        ),
        *_TEXT,
        is_admin=True,
    ),
)

_TO_VENUE: Final = (
    _message(
        MsgType.MASS_QUOTE,
        "MassQuote",
        "Place or replace both sides of the contracts listed; a set may come in fragments, one after the other",
        *_must(Tag.QUOTE_ID),
        *_may(Tag.QUOTE_RESPONSE_LEVEL, Tag.QUOTE_TS),
        _quote_sets(
            *_must(Tag.QUOTE_ENTRY_ID),
            *INSTRUMENT,
            *_may(Tag.BID_PX, Tag.OFFER_PX, Tag.BID_SIZE, Tag.OFFER_SIZE),
            required=True,
        ),
        PARTIES,
        *_CAPACITY,
        *_TIMES,
    ),
    _message(
        MsgType.QUOTE_CANCEL,
        "QuoteCancel",
        "Pull quotes; one of all quotes also resets the venue's market-maker protection",
        *_must(Tag.QUOTE_ID, Tag.QUOTE_CANCEL_TYPE),
        *_may(Tag.ALL_VENUES),
        Item(Tag.NO_QUOTE_ENTRIES, required=False, entries=INSTRUMENT),
        *_TEXT,
        *_TIMES,
    ),
    _message(
        MsgType.NEW_ORDER_SINGLE,
        "NewOrderSingle",
        "A new order",
        *_must(Tag.CL_ORD_ID, Tag.SIDE, Tag.ORDER_QTY, Tag.ORD_TYPE),
        *_may(
            Tag.PRICE,
            Tag.TIME_IN_FORCE,
            Tag.SECONDARY_CL_ORD_ID,
            Tag.LOCATE_REQD,
            Tag.LOCATE_ID,
            Tag.MARKET_MAKER_EXEMPT,
            Tag.SALE_MARKING,
            Tag.ORDER_INTENT,
        ),
        *INSTRUMENT,
        PARTIES,
        *_CAPACITY,
        *_TIMES,
    ),
    _message(
        MsgType.ORDER_CANCEL_REQUEST,
        "OrderCancelRequest",
        "Cancel an order; ClOrdID and OrigClOrdID name it, the instrument is not repeated",
        *_must(Tag.CL_ORD_ID, Tag.ORIG_CL_ORD_ID),
        *_TEXT,
        *_TIMES,
    ),
    _message(
        MsgType.ORDER_CANCEL_REPLACE_REQUEST,
        "OrderCancelReplaceRequest",
        "Change price and total quantity of an order",
        *_must(Tag.CL_ORD_ID, Tag.ORIG_CL_ORD_ID, Tag.SIDE, Tag.ORDER_QTY, Tag.ORD_TYPE, Tag.PRICE),
        *INSTRUMENT,
        PARTIES,
        *_CAPACITY,
        *_TIMES,
    ),
    _message(
        MsgType.ORDER_STATUS_REQUEST,
        "OrderStatusRequest",
        "What became of an order? Answered by reports that repeat its executions (97=Y) and one with 150=I",
        *_must(Tag.CL_ORD_ID, Tag.SIDE, Tag.ORD_STATUS_REQ_ID),
        *INSTRUMENT,
        *_TIMES,
    ),
    _message(
        MsgType.ORDER_MASS_CANCEL_REQUEST,
        "OrderMassCancelRequest",
        "Cancel every order of ours",
        *_must(Tag.CL_ORD_ID, Tag.MASS_CANCEL_REQUEST_TYPE),
        *_may(Tag.UNDERLYING_SYMBOL, Tag.ALL_VENUES),
        *_TEXT,
        *_TIMES,
    ),
)

_FROM_VENUE: Final = (
    _message(
        MsgType.EXECUTION_REPORT,
        "ExecutionReport",
        "About an order (11), or about a quote that traded (117 and 299)",
        *_must(
            Tag.ORDER_ID,
            Tag.EXEC_ID,
            Tag.EXEC_TYPE,
            Tag.ORD_STATUS,
            Tag.SIDE,
            Tag.CUM_QTY,
            Tag.LEAVES_QTY,
            Tag.AVG_PX,
        ),
        *_may(
            Tag.CL_ORD_ID,
            Tag.ORIG_CL_ORD_ID,
            Tag.QUOTE_ID,
            Tag.QUOTE_ENTRY_ID,
            Tag.EXEC_REF_ID,
            Tag.ORD_STATUS_REQ_ID,
            Tag.LAST_QTY,
            Tag.LAST_PX,
            Tag.ORD_REJ_REASON,
            Tag.LAST_LIQUIDITY_IND,
        ),
        Item(
            Tag.NO_MISC_FEES,
            required=False,
            entries=_must(Tag.MISC_FEE_AMT, Tag.MISC_FEE_CURR, Tag.MISC_FEE_TYPE),
        ),
        *INSTRUMENT,
        *_TEXT,
        *_TIMES,
    ),
    _message(
        MsgType.ORDER_CANCEL_REJECT,
        "OrderCancelReject",
        "A cancel or a replacement is refused",
        *_must(Tag.ORDER_ID, Tag.CL_ORD_ID, Tag.ORIG_CL_ORD_ID, Tag.ORD_STATUS),
        *_may(Tag.CXL_REJ_RESPONSE_TO, Tag.CXL_REJ_REASON),
        *_TEXT,
        *_TIMES,
    ),
    _message(
        MsgType.MASS_QUOTE_ACKNOWLEDGEMENT,
        "MassQuoteAcknowledgement",
        "297=0 or 5: a mass quote was taken, the entries listed were refused. 297=1, 3 or 4: quotes are gone; "
        "with 9506 because the venue's market-maker protection tripped",
        *_must(Tag.QUOTE_STATUS),
        *_may(Tag.QUOTE_ID, Tag.QUOTE_REJECT_REASON, Tag.ACCEPTED_ENTRIES, Tag.PROTECTION_RULE),
        _quote_sets(*_must(Tag.QUOTE_ENTRY_ID), *INSTRUMENT, *_may(Tag.QUOTE_ENTRY_REJECT_REASON), required=False),
        *_TEXT,
        *_TIMES,
    ),
    _message(
        MsgType.TRADING_SESSION_STATUS,
        "TradingSessionStatus",
        "The venue came up or went down for us",
        *_must(Tag.TRADING_SESSION_ID, Tag.TRAD_SES_STATUS),
        *_TEXT,
        *_TIMES,
    ),
    _message(
        MsgType.ORDER_MASS_CANCEL_REPORT,
        "OrderMassCancelReport",
        "What a mass cancel did; each order is also reported by itself",
        *_must(Tag.CL_ORD_ID, Tag.ORDER_ID, Tag.MASS_CANCEL_REQUEST_TYPE, Tag.MASS_CANCEL_RESPONSE),
        *_may(Tag.MASS_CANCEL_REJECT_REASON, Tag.TOTAL_AFFECTED_ORDERS),
        Item(
            Tag.NO_AFFECTED_ORDERS,
            required=False,
            entries=_must(Tag.ORIG_CL_ORD_ID, Tag.AFFECTED_ORDER_ID),
        ),
        *_TEXT,
        *_TIMES,
    ),
)

_EITHER_WAY: Final = (
    _message(
        MsgType.BUSINESS_MESSAGE_REJECT,
        "BusinessMessageReject",
        "A good message is not served; it is settled as refused",
        *_must(Tag.REF_MSG_TYPE, Tag.BUSINESS_REJECT_REASON),
        *_may(Tag.REF_SEQ_NUM, Tag.BUSINESS_REJECT_REF_ID),
        *_TEXT,
    ),
    _message(
        MsgType.CLOCK_ADVANCE,
        "ClockAdvance",
        "To a venue: apply the recorded market up to this step, report, then answer",
        *_must(Tag.MARKET_SEQUENCE, Tag.TS_EVENT, Tag.OWN_UNDERLYING),
    ),
    _message(
        MsgType.CLOCK_REACHED,
        "ClockReached",
        "From a venue: all reports of the steps up to this one have been sent",
        *_must(Tag.MARKET_SEQUENCE, Tag.TS_EVENT, Tag.OWN_UNDERLYING),
    ),
    _message(
        MsgType.EXECUTIONS_REQUEST,
        "ExecutionsRequest",
        "To a venue: send the execution reports after the one named again (97=Y), all if none is named",
        *_must(Tag.REQUEST_ID, Tag.OWN_UNDERLYING),
        *_may(Tag.LAST_EXEC_ID),
    ),
    _message(
        MsgType.EXECUTIONS_DONE,
        "ExecutionsDone",
        "From a venue: that was all",
        *_must(Tag.REQUEST_ID, Tag.OWN_UNDERLYING, Tag.REPEATED_REPORTS),
        *_may(Tag.LAST_EXEC_ID),
    ),
    _message(
        MsgType.BOOK_REQUEST,
        "BookRequest",
        "To a venue: what do you hold of us?",
        *_must(Tag.REQUEST_ID, Tag.OWN_UNDERLYING),
    ),
    _message(
        MsgType.BOOK_REPORT,
        "BookReport",
        "From a venue: positions and cash by its own book",
        *_must(Tag.REQUEST_ID, Tag.OWN_UNDERLYING, Tag.CASH, Tag.STOCK_POSITION),
        Item(Tag.NO_POSITIONS, required=False, entries=(*INSTRUMENT, *_must(Tag.NET_POSITION))),
    ),
)

MESSAGES: Final[dict[MsgType, Message]] = {
    message.msg_type: message for message in (*_ADMIN, *_TO_VENUE, *_FROM_VENUE, *_EITHER_WAY)
}
