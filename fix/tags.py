"""The tags of our FIX.4.4 dialect: number, name, type and meaning, with the codes of those that have codes.

Standard tags keep their standard meaning; what FIX.4.4 cannot say rides in user-defined tags, 9500 to 9599. Messages
are in `fix.messages`; the data dictionary of the engine and the tables of `docs/fix.md` are generated from both.

Source: FIX 4.4 Errata 20030618, volume 6; PartyRole 66 and LastLiquidityInd as there or as added by extension pack.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal, Self

from domain.events import QuoteRefusal

Kind = Literal[
    "AMT",
    "BOOLEAN",
    "CHAR",
    "CURRENCY",
    "DATA",
    "INT",
    "LENGTH",
    "LOCALMKTDATE",
    "MULTIPLEVALUESTRING",
    "NUMINGROUP",
    "PRICE",
    "QTY",
    "SEQNUM",
    "STRING",  # also whole numbers above 32 bits, which the INT of many engines cannot hold
    "UTCTIMESTAMP",
]
"""Types of fields, in the names that a data dictionary gives them."""

FIRST_OWN, LAST_OWN = 9500, 9599
"""Where our user-defined tags stand. FIX leaves 5000 to 9999 to agreements between the two sides."""


class Tag(IntEnum):
    """Every tag that a message of ours may carry."""

    fix_name: str
    kind: Kind
    about: str

    def __new__(cls, number: int, fix_name: str, kind: Kind, about: str) -> Self:
        """Attach what the dictionary needs to the number."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.fix_name, member.kind, member.about = fix_name, kind, about
        return member

    # --- header and trailer: the engine's -----------------------------------------------------------------------------
    BEGIN_STRING = 8, "BeginString", "STRING", "FIX.4.4"
    BODY_LENGTH = 9, "BodyLength", "LENGTH", "Bytes from tag 35 to before tag 10"
    CHECK_SUM = 10, "CheckSum", "STRING", "Sum of all bytes before it, modulo 256"
    MSG_SEQ_NUM = 34, "MsgSeqNum", "SEQNUM", "Sequence number in the session"
    MSG_TYPE = 35, "MsgType", "STRING", "Type of message"
    POSS_DUP_FLAG = 43, "PossDupFlag", "BOOLEAN", "Y: sent again under its old sequence number"
    SENDER_COMP_ID = 49, "SenderCompID", "STRING", "Who sends"
    SENDER_SUB_ID = 50, "SenderSubID", "STRING", "Who there sends"
    SENDING_TIME = 52, "SendingTime", "UTCTIMESTAMP", "When it is sent"
    TARGET_COMP_ID = 56, "TargetCompID", "STRING", "Who receives"
    TARGET_SUB_ID = 57, "TargetSubID", "STRING", "Who there receives"
    POSS_RESEND = 97, "PossResend", "BOOLEAN", "Y: the same content may have been sent before, under another number"
    ORIG_SENDING_TIME = 122, "OrigSendingTime", "UTCTIMESTAMP", "When it was first sent"
    LAST_MSG_SEQ_NUM_PROCESSED = 369, "LastMsgSeqNumProcessed", "SEQNUM", "Last number that the sender has handled"

    # --- session ------------------------------------------------------------------------------------------------------
    BEGIN_SEQ_NO = 7, "BeginSeqNo", "SEQNUM", "First number that is asked for"
    END_SEQ_NO = 16, "EndSeqNo", "SEQNUM", "Last number that is asked for, 0 all"
    NEW_SEQ_NO = 36, "NewSeqNo", "SEQNUM", "The next number"
    REF_SEQ_NUM = 45, "RefSeqNum", "SEQNUM", "Number of the message that is refused"
    ENCRYPT_METHOD = 98, "EncryptMethod", "INT", "0: none"
    HEART_BT_INT = 108, "HeartBtInt", "INT", "Seconds between heartbeats"
    TEST_REQ_ID = 112, "TestReqID", "STRING", "Repeated in the answering heartbeat"
    GAP_FILL_FLAG = 123, "GapFillFlag", "BOOLEAN", "Y: the gap holds nothing that is sent again"
    RESET_SEQ_NUM_FLAG = 141, "ResetSeqNumFlag", "BOOLEAN", "Y: both sides begin at 1"
    REF_TAG_ID = 371, "RefTagID", "INT", "Tag that is refused"
    REF_MSG_TYPE = 372, "RefMsgType", "STRING", "Type of the message that is refused"
    SESSION_REJECT_REASON = 373, "SessionRejectReason", "INT", "Why a message breaks the rules of the session"
    BUSINESS_REJECT_REF_ID = 379, "BusinessRejectRefID", "STRING", "Identifier of what is refused: 11, 117 or 790"
    BUSINESS_REJECT_REASON = 380, "BusinessRejectReason", "INT", "Why a good message is not served"
    MAX_MESSAGE_SIZE = 383, "MaxMessageSize", "LENGTH", "Bytes"
    USERNAME = 553, "Username", "STRING", "Who logs on"
    PASSWORD = 554, "Password", "STRING", "Never logged"
    NEXT_EXPECTED_MSG_SEQ_NUM = 789, "NextExpectedMsgSeqNum", "SEQNUM", "Next number that the sender expects"

    # --- identifiers, parties, text -----------------------------------------------------------------------------------
    ACCOUNT = 1, "Account", "STRING", "Account of the order or quote"
    CL_ORD_ID = 11, "ClOrdID", "STRING", "Our name of an order, cancel, replacement or mass cancel; never used twice"
    EXEC_ID = 17, "ExecID", "STRING", "The venue's name of an execution report"
    EXEC_REF_ID = 19, "ExecRefID", "STRING", "The execution that a bust or a correction is about"
    ORDER_ID = 37, "OrderID", "STRING", "The venue's name of an order; our venues repeat 41, 11 or 117, else NONE"
    ORIG_CL_ORD_ID = 41, "OrigClOrdID", "STRING", "The order that is canceled or replaced"
    TEXT = 58, "Text", "STRING", "For people: printable ASCII, ? for anything else (then 355 has it all)"
    TRANSACT_TIME = 60, "TransactTime", "UTCTIMESTAMP", "When it happened, UTC milliseconds; 9501 has it to the ns"
    QUOTE_ID = 117, "QuoteID", "STRING", "Our name of a mass quote or of a quote cancel"
    QUOTE_ENTRY_ID = 299, "QuoteEntryID", "STRING", "OSI symbol of the contract, without blanks"
    QUOTE_SET_ID = 302, "QuoteSetID", "STRING", "The underlying: one set for each"
    ENCODED_TEXT_LEN = 354, "EncodedTextLen", "LENGTH", "Bytes of 355"
    ENCODED_TEXT = 355, "EncodedText", "DATA", "58 in UTF-8, where it is not ASCII"
    PARTY_ID_SOURCE = 447, "PartyIDSource", "CHAR", "Who assigns party identifiers"
    PARTY_ID = 448, "PartyID", "STRING", "Identifier of a party"
    PARTY_ROLE = 452, "PartyRole", "INT", "What a party is"
    NO_PARTY_IDS = 453, "NoPartyIDs", "NUMINGROUP", "Parties"
    SECONDARY_CL_ORD_ID = 526, "SecondaryClOrdID", "STRING", "Our parent order"
    ORDER_CAPACITY = 528, "OrderCapacity", "CHAR", "For whom"
    ORDER_RESTRICTIONS = 529, "OrderRestrictions", "MULTIPLEVALUESTRING", "5 with 528=P: as market maker"
    ORD_STATUS_REQ_ID = 790, "OrdStatusReqID", "STRING", "Our name of a status request, repeated in its answers"

    # --- instrument ---------------------------------------------------------------------------------------------------
    SYMBOL = 55, "Symbol", "STRING", "OSI root of an option; symbol of a stock"
    SECURITY_TYPE = 167, "SecurityType", "STRING", "Option or stock"
    PUT_OR_CALL = 201, "PutOrCall", "INT", "Right"
    STRIKE_PRICE = 202, "StrikePrice", "PRICE", "Dollars, at most three decimals"
    OPT_ATTRIBUTE = 206, "OptAttribute", "CHAR", "Last digit of the root of an adjusted contract"
    CONTRACT_MULTIPLIER = 231, "ContractMultiplier", "QTY", "Dollars per point, where it is not 100"
    UNDERLYING_SYMBOL = 311, "UnderlyingSymbol", "STRING", "Underlying"
    MATURITY_DATE = 541, "MaturityDate", "LOCALMKTDATE", "Expiration date as in the OSI symbol"

    # --- orders and executions ----------------------------------------------------------------------------------------
    AVG_PX = 6, "AvgPx", "PRICE", "Average price of what traded, dollars; 0 where the venue does not say"
    CUM_QTY = 14, "CumQty", "QTY", "Traded so far"
    LAST_PX = 31, "LastPx", "PRICE", "Price of this execution, dollars"
    LAST_QTY = 32, "LastQty", "QTY", "Size of this execution"
    ORDER_QTY = 38, "OrderQty", "QTY", "Contracts or shares; of a replacement the new total"
    ORD_STATUS = 39, "OrdStatus", "CHAR", "State of the order"
    ORD_TYPE = 40, "OrdType", "CHAR", "Market or limit"
    PRICE = 44, "Price", "PRICE", "Limit, dollars, a multiple of 0.0001"
    SIDE = 54, "Side", "CHAR", "Buy, sell, sell short, sell short exempt"
    TIME_IN_FORCE = 59, "TimeInForce", "CHAR", "Day or immediate-or-cancel"
    CXL_REJ_REASON = 102, "CxlRejReason", "INT", "Why a cancel or replacement is refused"
    ORD_REJ_REASON = 103, "OrdRejReason", "INT", "Why an order is refused; 58 says it in words"
    LOCATE_REQD = 114, "LocateReqd", "BOOLEAN", "N: a locate is held (9507) or the market-maker exemption used (9508)"
    NO_MISC_FEES = 136, "NoMiscFees", "NUMINGROUP", "Fees: one or none"
    MISC_FEE_AMT = 137, "MiscFeeAmt", "AMT", "Dollars; negative is a rebate"
    MISC_FEE_CURR = 138, "MiscFeeCurr", "CURRENCY", "USD"
    MISC_FEE_TYPE = 139, "MiscFeeType", "CHAR", "4: exchange fee"
    EXEC_TYPE = 150, "ExecType", "CHAR", "What an execution report reports"
    LEAVES_QTY = 151, "LeavesQty", "QTY", "Left to trade"
    CXL_REJ_RESPONSE_TO = 434, "CxlRejResponseTo", "CHAR", "What is refused: a cancel or a replacement"
    MASS_CANCEL_REQUEST_TYPE = 530, "MassCancelRequestType", "CHAR", "Which orders: of an underlying, or all"
    MASS_CANCEL_RESPONSE = 531, "MassCancelResponse", "CHAR", "0 refused, else as 530"
    MASS_CANCEL_REJECT_REASON = 532, "MassCancelRejectReason", "INT", "Why a mass cancel is refused"
    TOTAL_AFFECTED_ORDERS = 533, "TotalAffectedOrders", "INT", "Orders that a mass cancel removed"
    NO_AFFECTED_ORDERS = 534, "NoAffectedOrders", "NUMINGROUP", "Orders that a mass cancel removed"
    AFFECTED_ORDER_ID = 535, "AffectedOrderID", "STRING", "Its OrderID"
    LAST_LIQUIDITY_IND = 851, "LastLiquidityInd", "INT", "Whether the execution added or removed liquidity"

    # --- quotes -------------------------------------------------------------------------------------------------------
    BID_PX = 132, "BidPx", "PRICE", "Dollars"
    OFFER_PX = 133, "OfferPx", "PRICE", "Dollars"
    BID_SIZE = 134, "BidSize", "QTY", "Contracts; 0, or no bid at all, pulls the bid"
    OFFER_SIZE = 135, "OfferSize", "QTY", "Contracts; 0, or no offer at all, pulls the offer"
    NO_QUOTE_ENTRIES = 295, "NoQuoteEntries", "NUMINGROUP", "Entries of a quote set"
    NO_QUOTE_SETS = 296, "NoQuoteSets", "NUMINGROUP", "Quote sets: one or none"
    QUOTE_STATUS = 297, "QuoteStatus", "INT", "What became of quotes"
    QUOTE_CANCEL_TYPE = 298, "QuoteCancelType", "INT", "Which quotes are pulled"
    QUOTE_REJECT_REASON = 300, "QuoteRejectReason", "INT", "Why all entries are refused"
    QUOTE_RESPONSE_LEVEL = 301, "QuoteResponseLevel", "INT", "2: every message is acknowledged"
    TOT_NO_QUOTE_ENTRIES = 304, "TotNoQuoteEntries", "INT", "Entries of the set in all its fragments"
    QUOTE_ENTRY_REJECT_REASON = 368, "QuoteEntryRejectReason", "INT", "Why an entry is refused"
    LAST_FRAGMENT = 893, "LastFragment", "BOOLEAN", "Y: no further message of this set"

    # --- venue status -------------------------------------------------------------------------------------------------
    TRADING_SESSION_ID = 336, "TradingSessionID", "STRING", "DAY"
    TRAD_SES_STATUS = 340, "TradSesStatus", "INT", "Whether the venue takes our messages"

    # --- our own: 9500 to 9599 ----------------------------------------------------------------------------------------
    OWN_UNDERLYING = 9500, "AxiomUnderlying", "STRING", "Underlying that a message is about; all of ours carry it"
    TS_EVENT = 9501, "AxiomTsEvent", "STRING", "60 in ns since the epoch, UTC"
    TS_INIT = 9502, "AxiomTsInit", "STRING", "When the sender first saw the cause, ns since the epoch, UTC"
    QUOTE_TS = 9503, "AxiomQuoteTs", "STRING", "Market time that the quotes were made for, ns since the epoch, UTC"
    ALL_VENUES = 9504, "AxiomAllVenues", "BOOLEAN", "Y: the same cancel goes to every venue"
    ACCEPTED_ENTRIES = 9505, "AxiomAcceptedEntries", "INT", "Entries of a mass quote that are working"
    PROTECTION_RULE = 9506, "AxiomProtectionRule", "STRING", "The venue's market-maker protection that tripped"
    LOCATE_ID = 9507, "AxiomLocateID", "STRING", "Locate of a short sale"
    MARKET_MAKER_EXEMPT = 9508, "AxiomMarketMakerExempt", "BOOLEAN", "Y: no locate, by the market-maker exception"
    SALE_MARKING = 9509, "AxiomSaleMarking", "CHAR", "With 54=2, where that alone would say otherwise"
    ORDER_INTENT = 9510, "AxiomOrderIntent", "CHAR", "Why we trade: between our own processes only"
    MARKET_SEQUENCE = 9520, "AxiomMarketSequence", "STRING", "Market steps of the recording that are due or applied"
    REQUEST_ID = 9530, "AxiomRequestID", "STRING", "Name of a question, repeated in its answer"
    LAST_EXEC_ID = 9531, "AxiomLastExecID", "STRING", "Last ExecID that the sender knows; absent: none"
    REPEATED_REPORTS = 9532, "AxiomRepeatedReports", "INT", "Execution reports that were sent again"
    CASH = 9533, "AxiomCash", "STRING", "What all executions paid us, fees taken off, in 1/10,000 dollar"
    STOCK_POSITION = 9534, "AxiomStockPosition", "STRING", "Shares, signed"
    NO_POSITIONS = 9535, "AxiomNoPositions", "NUMINGROUP", "Contracts with a position"
    NET_POSITION = 9536, "AxiomNetPosition", "STRING", "Contracts, signed"
    CANCEL_ON_DISCONNECT = 9540, "AxiomCancelOnDisconnect", "BOOLEAN", "Y: nothing of ours rests without the session"
    DEAD_MAN_MS = 9541, "AxiomDeadManMs", "INT", "Silence after which the venue pulls our quotes, milliseconds; 0 never"


BY_NUMBER: Final[dict[int, Tag]] = {tag.value: tag for tag in Tag}

CODES: Final[dict[Tag, dict[str, str]]] = {
    Tag.ORD_STATUS: {
        "0": "new",
        "1": "partially filled",
        "2": "filled",
        "4": "canceled",
        "6": "pending cancel",
        "8": "rejected",
        "C": "expired",
        "E": "pending replace",
    },
    Tag.ORD_TYPE: {"1": "market", "2": "limit"},
    Tag.SIDE: {"1": "buy", "2": "sell", "5": "sell short", "6": "sell short exempt"},
    Tag.TIME_IN_FORCE: {"0": "day", "3": "immediate or cancel"},
    Tag.CXL_REJ_REASON: {"0": "too late", "1": "unknown order", "6": "duplicate ClOrdID", "99": "other, see 58"},
    Tag.ORD_REJ_REASON: {"1": "unknown symbol", "2": "exchange closed", "6": "duplicate order", "99": "other, see 58"},
    Tag.MISC_FEE_TYPE: {"4": "exchange fee"},
    Tag.EXEC_TYPE: {
        "0": "new",
        "4": "canceled",
        "5": "replaced",
        "6": "pending cancel",
        "8": "rejected",
        "C": "expired",
        "E": "pending replace",
        "F": "trade",
        "G": "trade correction",
        "H": "trade bust",
        "I": "order status",
    },
    Tag.SECURITY_TYPE: {"OPT": "option", "CS": "common stock"},
    Tag.PUT_OR_CALL: {"0": "put", "1": "call"},
    Tag.QUOTE_STATUS: {
        "0": "accepted, but for the entries listed",
        "1": "canceled for the entries listed",
        "3": "canceled for the underlying",
        "4": "all canceled",
        "5": "all refused",
    },
    Tag.QUOTE_CANCEL_TYPE: {"1": "the entries listed", "3": "all of the underlying", "4": "all"},
    Tag.QUOTE_REJECT_REASON: {
        "1": "unknown symbol",
        "2": "exchange closed",
        "3": "over a limit",
        "4": "too late",
        "6": "duplicate",
        "7": "crossed",
        "8": "invalid price",
        "9": "not authorised",
        "99": "other, or several",
    },
    Tag.QUOTE_RESPONSE_LEVEL: {"2": "acknowledge every message"},
    Tag.TRAD_SES_STATUS: {"2": "up", "3": "down"},
    Tag.QUOTE_ENTRY_REJECT_REASON: {
        str(reason.value): reason.name.lower().replace("_", " ") for reason in QuoteRefusal
    },
    Tag.CXL_REJ_RESPONSE_TO: {"1": "cancel", "2": "replacement"},
    Tag.PARTY_ID_SOURCE: {"D": "proprietary"},
    Tag.PARTY_ROLE: {"4": "clearing firm", "66": "market maker"},
    Tag.ORDER_CAPACITY: {"A": "customer (agency)", "P": "principal: firm, or market maker with 529=5"},
    Tag.ORDER_RESTRICTIONS: {"5": "as market maker in the security"},
    Tag.MASS_CANCEL_REQUEST_TYPE: {"2": "orders of the underlying", "7": "all orders"},
    Tag.MASS_CANCEL_RESPONSE: {"0": "refused", "2": "orders of the underlying", "7": "all orders"},
    Tag.LAST_LIQUIDITY_IND: {"1": "added", "2": "removed"},
    Tag.SALE_MARKING: {"L": "long, of an option", "N": "not marked, of a stock"},
    Tag.ORDER_INTENT: {"H": "hedge", "F": "flatten"},
}
"""What a tag may say. Tags of the session keep the codes of FIX.4.4, which their dictionary lists."""
