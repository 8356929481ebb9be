"""Messages of our dialect for the tests: any of them, and one fixed sample of each.

`python -m tests.fix.dialect` writes the golden file of every sample that has none yet; it changes none.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from domain.chain import Chain
from domain.frames import QuoteFrame, QuoteRefusalFrame
from domain.instrument import Deliverable, Right, option
from fix import control
from fix.mapping import Mapper
from fix.values import MAX_UNITS
from fix.wire import Body

GOLDEN: Final = Path(__file__).parent / "golden"
SOH: Final = "\x01"
VENUE: Final = 3
DAY = dt.date(2015, 12, 24)
JANUARY, SATURDAY = dt.date(2016, 1, 15), dt.date(2014, 1, 18)
RIGHTS: Final[tuple[Right, Right]] = ("C", "P")
TS: Final = 1_450_967_400_123_456_789

CHAIN: Final = Chain(
    "GOOG",
    DAY,
    [
        *(option("GOOG", day, k, r) for day in (DAY, JANUARY) for k in (740_000, 742_500, 750_000) for r in RIGHTS),
        option("GOOG", JANUARY, 125, "C"),  # three decimals of a strike
        # An adjusted contract and a mini beside the standard one of the same terms: only the root tells them apart.
        option("GOOG1", JANUARY, 750_000, "C", underlying="GOOG", deliverable=(Deliverable("GOOG", 100.0),)),
        option("GOOG7", JANUARY, 750_000, "C", underlying="GOOG", multiplier=10),
    ],
)  # fmt: skip
N: Final = len(CHAIN)
MAPPER: Final = Mapper(CHAIN, VENUE)
PARTY: Final = c.Party(account="AXIOM01", capacity="market_maker", clearing_firm="000", market_maker_id="AXM")


def whole(body: Body, sequence: int = 2) -> str:
    """A message with its envelope, length and checksum right."""
    resend = f"97=Y{SOH}" if body.is_possible_resend else ""
    head = f"35={body.msg_type}{SOH}34={sequence}{SOH}49=AXIOM{SOH}52=20151224-14:30:00.200{SOH}56=VENUE{SOH}{resend}"
    inner = head.encode() + body.fields
    data = f"8=FIX.4.4{SOH}9={len(inner)}{SOH}".encode() + inner
    return f"{data.decode()}10={sum(data) % 256:03d}{SOH}"


# --- any message ------------------------------------------------------------------------------------------------------
times = st.integers(0, 2**63 - 1)
ids = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)
maybe_ids = st.just("") | ids
texts = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=30)
sizes = st.integers(0, 2**31 - 1)
quantities = st.integers(0, 2**63 - 1)
prices = st.sampled_from([0, 1, 10, 500, 10_500, 29_999_900, MAX_UNITS]) | st.integers(0, MAX_UNITS)
fees = st.integers(-MAX_UNITS, MAX_UNITS)
options = st.integers(0, N - 1)
contracts = st.integers(c.STOCK, N - 1)
sides = st.sampled_from(["buy", "sell"])
parties = st.builds(
    c.Party,
    account=ids,
    capacity=st.sampled_from(["market_maker", "firm", "customer"]),
    clearing_firm=maybe_ids,
    market_maker_id=maybe_ids,
)
STAMPS: Final[dict[str, Any]] = {"ts_event": times, "ts_init": times, "underlying": st.just("GOOG")}
HERE: Final = st.just(VENUE)
ANYWHERE: Final = st.sampled_from([VENUE, -1])


@st.composite
def quote_frames(draw: st.DrawFn) -> QuoteFrame:
    """One to six rows, sides absent, pulled with their price kept, or there."""
    side = st.just((0, 0)) | st.tuples(prices, sizes)
    rows = draw(st.lists(st.tuples(options, side, side), min_size=1, max_size=6))
    return QuoteFrame(
        venue=np.full(len(rows), VENUE),
        contract=np.array([row[0] for row in rows]),
        bid=np.array([row[1][0] for row in rows]),
        bid_size=np.array([row[1][1] for row in rows]),
        ask=np.array([row[2][0] for row in rows]),
        ask_size=np.array([row[2][1] for row in rows]),
    )


def refusal_frame(rows: list[tuple[int, e.QuoteRefusal]]) -> QuoteRefusalFrame:
    """Refused entries of this venue."""
    return QuoteRefusalFrame(
        venue=np.full(len(rows), VENUE),
        contract=np.array([row[0] for row in rows], np.int32),
        reason=np.array([row[1].value for row in rows], np.int8),
    )


refusals = st.lists(st.tuples(options, st.sampled_from(list(e.QuoteRefusal))), max_size=5).map(refusal_frame)
some_options = st.lists(options, max_size=5).map(tuple)
orders = st.builds(
    c.SubmitOrder,
    **STAMPS,
    clordid=ids,
    request_id=maybe_ids,
    venue=HERE,
    contract=contracts,
    side=sides,
    quantity=quantities,
    order_type=st.sampled_from(["limit", "market"]),
    price=prices,
    tif=st.sampled_from(["day", "ioc"]),
    intent=st.sampled_from(list(c.Intent)),
    party=parties,
    sale_marking=st.sampled_from(["", "long", "short", "short_exempt"]),
    locate_id=maybe_ids,
    market_maker_exempt=st.booleans(),
).filter(lambda order: order.side == "sell" or not order.sale_marking)
outbound = {
    "PlaceQuotes": st.builds(
        c.PlaceQuotes, **STAMPS, quote_set_id=ids, party=parties, quote_ts=times, frame=quote_frames()
    ),
    "CancelQuotes": st.builds(
        c.CancelQuotes, **STAMPS, cancel_id=ids, venue=ANYWHERE, contracts=some_options, reason=texts
    ),
    "SubmitOrder": orders,
    "CancelOrder": st.builds(c.CancelOrder, **STAMPS, clordid=ids, orig_clordid=ids, venue=HERE, reason=texts),
    "ReplaceOrder": st.builds(
        c.ReplaceOrder, **STAMPS, clordid=ids, orig_clordid=ids, venue=HERE, contract=contracts, side=sides,
        quantity=quantities, price=prices, party=parties,
    ),
    "RequestOrderStatus": st.builds(
        c.RequestOrderStatus, **STAMPS, status_id=ids, clordid=ids, venue=HERE, contract=contracts, side=sides
    ),
    "CancelAllOrders": st.builds(c.CancelAllOrders, **STAMPS, cancel_id=ids, venue=ANYWHERE, reason=texts),
}  # fmt: skip
answers = {
    "ExecutionReported": st.builds(
        e.ExecutionReported, **STAMPS, venue=HERE, clordid=maybe_ids, orig_clordid=maybe_ids, quote_set_id=maybe_ids,
        exec_id=ids, exec_ref_id=maybe_ids, exec_type=st.sampled_from(list(e.ExecType)),
        ord_status=st.sampled_from(list(e.OrdStatus)), contract=contracts, side=sides, last_qty=quantities,
        last_px=prices, cum_qty=quantities, leaves_qty=quantities, fee=fees, adds_liquidity=st.booleans(), text=texts,
        status_id=maybe_ids, avg_px=st.floats(allow_nan=False, allow_infinity=False), is_possible_repeat=st.booleans(),
    ),
    "CancelRejected": st.builds(
        e.CancelRejected, **STAMPS, venue=HERE, clordid=ids, orig_clordid=ids,
        ord_status=st.sampled_from(list(e.OrdStatus)), reason=texts,
    ),
    "QuotesAcknowledged": st.builds(
        e.QuotesAcknowledged, **STAMPS, venue=HERE, quote_set_id=ids, accepted=st.integers(0, 2**31 - 1), frame=refusals
    ),
    "QuotesCanceled": st.builds(
        e.QuotesCanceled, **STAMPS, venue=HERE, cancel_id=maybe_ids, contracts=some_options, reason=texts
    ),
    "VenueProtectionTripped": st.builds(e.VenueProtectionTripped, **STAMPS, venue=HERE, rule=ids),
    "VenueStatusChanged": st.builds(e.VenueStatusChanged, **STAMPS, venue=HERE, is_up=st.booleans(), reason=texts),
}  # fmt: skip
messages: Final[dict[str, st.SearchStrategy[Any]]] = {**outbound, **answers}

# --- one of each ------------------------------------------------------------------------------------------------------
_AT: Final[dict[str, Any]] = {"ts_event": TS, "ts_init": TS + 11, "underlying": "GOOG"}
_OPTION: Final = CHAIN.index_of("GOOG160115C00742500")
_PUT: Final = CHAIN.index_of("GOOG160115P00750000")
_ADJUSTED: Final = CHAIN.index_of("GOOG1160115C00750000")
_MINI: Final = CHAIN.index_of("GOOG7160115C00750000")
ORDER: Final = c.SubmitOrder(
    **_AT, clordid="20151224-A-0000007", request_id="20151224-R-0000003", venue=VENUE, contract=_OPTION, side="buy",
    quantity=5, order_type="limit", price=184_500, tif="ioc", intent=c.Intent.HEDGE, party=PARTY, sale_marking="",
    locate_id="", market_maker_exempt=False,
)  # fmt: skip
QUOTES: Final = c.PlaceQuotes(
    **_AT, quote_set_id="20151224-Q-0000001", party=PARTY, quote_ts=TS - 5,
    frame=QuoteFrame(
        venue=np.full(5, VENUE), contract=np.array([_OPTION, _PUT, _ADJUSTED, _MINI, 0]),
        bid=np.array([184_500, 0, 31_000, 1, 0]), bid_size=np.array([10, 0, 0, 20, 0]),
        ask=np.array([186_000, 92_500, 0, 0, 0]), ask_size=np.array([12, 7, 0, 0, 0]),
    ),
)  # fmt: skip
EXECUTION: Final = e.ExecutionReported(
    **_AT, venue=VENUE, clordid=ORDER.clordid, orig_clordid="", quote_set_id="", exec_id="XSIM-17", exec_ref_id="",
    exec_type=e.ExecType.TRADE, ord_status=e.OrdStatus.PARTIALLY_FILLED, contract=_OPTION, side="buy", last_qty=2,
    last_px=184_500, cum_qty=2, leaves_qty=3, fee=9_400, adds_liquidity=False, text="",
)  # fmt: skip
SAMPLES: Final[dict[str, Any]] = {
    "mass_quote": QUOTES,
    "quote_cancel_listed": c.CancelQuotes(
        **_AT, cancel_id="20151224-C-0000002", venue=VENUE, contracts=(_OPTION, _ADJUSTED), reason="stale theo"
    ),
    "quote_cancel_all": c.CancelQuotes(
        **_AT, cancel_id="20151224-C-0000003", venue=-1, contracts=(), reason="Zoë pulled them"
    ),
    "new_order": ORDER,
    "new_order_short": c.SubmitOrder(
        **_AT, clordid="20151224-A-0000008", request_id="20151224-R-0000004", venue=VENUE, contract=c.STOCK,
        side="sell", quantity=300, order_type="market", price=0, tif="day", intent=c.Intent.FLATTEN, party=PARTY,
        sale_marking="short", locate_id="LOC-9", market_maker_exempt=False,
    ),
    "new_order_long": c.SubmitOrder(
        **_AT, clordid="20151224-A-0000009", request_id="20151224-R-0000005", venue=VENUE, contract=c.STOCK,
        side="sell", quantity=300, order_type="limit", price=7_480_100, tif="day", intent=c.Intent.HEDGE, party=PARTY,
        sale_marking="long", locate_id="", market_maker_exempt=True,
    ),
    "cancel_request": c.CancelOrder(
        **_AT, clordid="20151224-A-0000010", orig_clordid=ORDER.clordid, venue=VENUE, reason="moved away"
    ),
    "replace_request": c.ReplaceOrder(
        **_AT, clordid="20151224-A-0000011", orig_clordid=ORDER.clordid, venue=VENUE, contract=_OPTION, side="buy",
        quantity=8, price=185_000, party=PARTY,
    ),
    "status_request": c.RequestOrderStatus(
        **_AT, status_id="20151224-S-0000001", clordid=ORDER.clordid, venue=VENUE, contract=_OPTION, side="buy"
    ),
    "mass_cancel_request": c.CancelAllOrders(**_AT, cancel_id="20151224-C-0000004", venue=VENUE, reason="kill switch"),
    "execution": EXECUTION,
    "execution_of_quote": e.ExecutionReported(
        **_AT, venue=VENUE, clordid="", orig_clordid="", quote_set_id=QUOTES.quote_set_id, exec_id="XSIM-18",
        exec_ref_id="", exec_type=e.ExecType.TRADE, ord_status=e.OrdStatus.FILLED, contract=_PUT, side="sell",
        last_qty=7, last_px=92_500, cum_qty=7, leaves_qty=0, fee=-1_400, adds_liquidity=True, text="",
    ),
    "execution_bust": e.ExecutionReported(
        **_AT, venue=VENUE, clordid=ORDER.clordid, orig_clordid="", quote_set_id="", exec_id="XSIM-19",
        exec_ref_id="XSIM-17", exec_type=e.ExecType.TRADE_CANCEL, ord_status=e.OrdStatus.CANCELED, contract=_OPTION,
        side="buy", last_qty=2, last_px=184_500, cum_qty=0, leaves_qty=0, fee=0, adds_liquidity=False,
        text="clearly erroneous",
    ),
    "execution_correction": e.ExecutionReported(
        **_AT, venue=VENUE, clordid=ORDER.clordid, orig_clordid="", quote_set_id="", exec_id="XSIM-20",
        exec_ref_id="XSIM-17", exec_type=e.ExecType.TRADE_CORRECT, ord_status=e.OrdStatus.PARTIALLY_FILLED,
        contract=_OPTION, side="buy", last_qty=1, last_px=184_400, cum_qty=1, leaves_qty=4, fee=4_700,
        adds_liquidity=False, text="",
    ),
    "execution_status": e.ExecutionReported(
        **_AT, venue=VENUE, clordid=ORDER.clordid, orig_clordid="", quote_set_id="", exec_id="XSIM-21",
        exec_ref_id="", exec_type=e.ExecType.ORDER_STATUS, ord_status=e.OrdStatus.PARTIALLY_FILLED, contract=_OPTION,
        side="buy", last_qty=0, last_px=0, cum_qty=2, leaves_qty=3, fee=0, adds_liquidity=False, text="",
        status_id="20151224-S-0000001", avg_px=184_433.5,
    ),
    "execution_repeated": e.ExecutionReported(
        **_AT, venue=VENUE, clordid=ORDER.clordid, orig_clordid="", quote_set_id="", exec_id="XSIM-17",
        exec_ref_id="", exec_type=e.ExecType.TRADE, ord_status=e.OrdStatus.PARTIALLY_FILLED, contract=_OPTION,
        side="buy", last_qty=2, last_px=184_500, cum_qty=2, leaves_qty=3, fee=9_400, adds_liquidity=False, text="",
        status_id="20151224-S-0000001", is_possible_repeat=True,
    ),
    "execution_reject": e.ExecutionReported(
        **_AT, venue=VENUE, clordid="20151224-A-0000012", orig_clordid="", quote_set_id="", exec_id="XSIM-22",
        exec_ref_id="", exec_type=e.ExecType.REJECTED, ord_status=e.OrdStatus.REJECTED, contract=c.STOCK, side="sell",
        last_qty=0, last_px=0, cum_qty=0, leaves_qty=0, fee=0, adds_liquidity=False, text="duplicate ClOrdID",
    ),
    "cancel_reject": e.CancelRejected(
        **_AT, venue=VENUE, clordid="20151224-A-0000010", orig_clordid=ORDER.clordid, ord_status=e.OrdStatus.FILLED,
        reason="too late",
    ),
    "quotes_acknowledged": e.QuotesAcknowledged(
        **_AT, venue=VENUE, quote_set_id=QUOTES.quote_set_id, accepted=5, frame=refusal_frame([])
    ),
    "quotes_partly_refused": e.QuotesAcknowledged(
        **_AT, venue=VENUE, quote_set_id=QUOTES.quote_set_id, accepted=3,
        frame=refusal_frame([(_OPTION, e.QuoteRefusal.CROSSED), (_MINI, e.QuoteRefusal.OFF_TICK)]),
    ),
    "quotes_all_refused": e.QuotesAcknowledged(
        **_AT, venue=VENUE, quote_set_id=QUOTES.quote_set_id, accepted=0,
        frame=refusal_frame([(_OPTION, e.QuoteRefusal.HALTED)]),
    ),
    "quotes_canceled": e.QuotesCanceled(
        **_AT, venue=VENUE, cancel_id="20151224-C-0000003", contracts=(), reason="stale theo"
    ),
    "quotes_canceled_listed": e.QuotesCanceled(
        **_AT, venue=VENUE, cancel_id="20151224-C-0000002", contracts=(_OPTION, _ADJUSTED), reason=""
    ),
    "protection_tripped": e.VenueProtectionTripped(**_AT, venue=VENUE, rule="max_contracts"),
    "venue_up": e.VenueStatusChanged(**_AT, venue=VENUE, is_up=True, reason="session is open"),
    "venue_down": e.VenueStatusChanged(**_AT, venue=VENUE, is_up=False, reason="session is closed"),
    "clock_advance": control.ClockAdvance(41, TS),
    "clock_reached": control.ClockReached(41, TS),
    "executions_request": control.ExecutionsRequest("R-1", "XSIM-17"),
    "executions_done": control.ExecutionsDone("R-1", "XSIM-22", 5),
    "book_request": control.BookRequest("R-2"),
}  # fmt: skip


def golden_text(body: Body) -> str:
    """A message as its golden file has it: the type, then the fields, `|` for SOH."""
    resend = "97=Y|" if body.is_possible_resend else ""
    return f"35={body.msg_type}|{resend}{body.fields.decode().replace(SOH, '|')}\n"


def body_of(text: str) -> Body:
    """The message of a golden file."""
    head, _, fields = text.rstrip("\n").partition("|")
    plain = fields.removeprefix("97=Y|")
    return Body(head.removeprefix("35="), plain.replace("|", SOH).encode(), plain != fields)


def only(message: Any) -> Body:  # noqa: ANN401  # any command, event or control message
    """The one message of a command, event or control message."""
    (body,) = MAPPER.write(message)
    return body


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, sample in SAMPLES.items():
        path = GOLDEN / f"{name}.fix"
        if not path.exists():
            path.write_text(golden_text(only(sample)), encoding="utf-8")
