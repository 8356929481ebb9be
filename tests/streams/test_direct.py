"""The outlet lets out what the gate issued, in parcels that the venues take, and nothing else."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from domain.codec import decode
from domain.errors import ClearanceRefused, InputError, InvariantError
from domain.frames import QuoteFrame
from risk.seal import ClearanceLedger, Sealer
from streams.direct import DirectOutlet, Parcel, Pending, VenuePort, pack_pending, unpack_pending
from tests.streams.conftest import HEAD, KEY, OPEN, PARTY, Venue, tick

GATE = "gate.XYZ"
LATENCIES = (200, 700, 50)
SEALER = Sealer(KEY)


def outlet(max_entries: int = 3) -> DirectOutlet:
    """Two quoting venues and one that takes stock orders alone."""
    ports = [VenuePort(f"V{i}", i < 2, latency, Venue(i)) for i, latency in enumerate(LATENCIES)]
    return DirectOutlet({GATE: ClearanceLedger(Sealer(KEY))}, ports, max_entries)


def frame(venues: list[int]) -> QuoteFrame:
    n = len(venues)
    return QuoteFrame(
        venue=np.array(venues, np.int16), contract=np.arange(n), bid=np.arange(n) + 100, bid_size=np.full(n, 1),
        ask=np.arange(n) + 200, ask_size=np.full(n, 1),
    )  # fmt: skip


def sealed(clearance: e.Clearance, sequence: int = 1) -> e.Clearance:
    return SEALER.sealed(msgspec.structs.replace(clearance, sequence=sequence))


def quotes(venues: list[int], sequence: int = 1, gate: str = GATE) -> e.Clearance:
    return sealed(
        e.QuotesCleared(
            **HEAD, gate=gate, sequence=0, seal="", quote_set_id="Q1", party=PARTY, quote_ts=OPEN, frame=frame(venues)
        ),
        sequence,
    )


def order(venue: int) -> c.SubmitOrder:
    return c.SubmitOrder(
        **HEAD, clordid="O1", request_id="R1", venue=venue, contract=c.STOCK, side="buy", quantity=1,
        order_type="limit", price=1, tif="ioc", intent=c.Intent.HEDGE, party=PARTY, sale_marking="", locate_id="",
        market_maker_exempt=False,
    )  # fmt: skip


def cleared(kind: Callable[..., e.Clearance], **content: c.Command) -> e.Clearance:
    return sealed(kind(**HEAD, gate=GATE, sequence=0, seal="", **content))


def cancel_quotes(venue: int) -> e.Clearance:
    cancel = c.CancelQuotes(**HEAD, cancel_id="X", venue=venue, contracts=(), reason="r")
    return cleared(e.QuoteCancelCleared, cancel=cancel)


def cancel_all(venue: int) -> e.Clearance:
    return cleared(e.OrdersCancelCleared, cancel=c.CancelAllOrders(**HEAD, cancel_id="X", venue=venue, reason="r"))


def replace(venue: int) -> e.Clearance:
    content = c.ReplaceOrder(
        **HEAD, clordid="O2", orig_clordid="O1", venue=venue, contract=-1, side="buy", quantity=1, price=2, party=PARTY
    )
    return cleared(e.OrderReplaceCleared, replace=content)


def cancel_order(venue: int) -> e.Clearance:
    content = c.CancelOrder(**HEAD, clordid="O2", orig_clordid="O1", venue=venue, reason="r")
    return cleared(e.OrderCancelCleared, cancel=content)


def question(venue: int) -> e.Clearance:
    content = c.RequestOrderStatus(**HEAD, status_id="S1", clordid="O1", venue=venue, contract=-1, side="buy")
    return cleared(e.OrderStatusCleared, request=content)


def quote_frame(parcel: Parcel) -> QuoteFrame:
    assert isinstance(parcel.clearance, e.QuotesCleared)
    return parcel.clearance.frame


@pytest.mark.fuzz
@given(venues=st.lists(st.integers(0, 2), max_size=25), max_entries=st.integers(1, 8))
def test_split_loses_no_entry_mixes_no_venues_and_keeps_the_order(venues: list[int], max_entries: int) -> None:
    out = outlet(max_entries)
    parcels = out.send(quotes(venues), OPEN)
    for venue in range(3):
        mine = [quote_frame(parcel) for parcel in parcels if parcel.venue == venue]
        rows = [row for part in mine for row in part.contract.tolist()]
        assert rows == [row for row, found in enumerate(venues) if found == venue]
        assert all((part.venue == venue).all() for part in mine)
        assert all(len(part) == max_entries for part in mine[:-1])
    assert all(0 < len(quote_frame(parcel)) <= max_entries for parcel in parcels)
    assert [parcel.arrives for parcel in parcels] == [OPEN + LATENCIES[parcel.venue] for parcel in parcels]
    assert all(decode(*parcel.wire) == parcel.clearance for parcel in parcels)
    assert (out.quote_entries, out.quote_messages, out.admitted) == (len(venues), len(parcels), 1)


@pytest.mark.parametrize(
    ("clearance", "venues"),
    [
        pytest.param(cancel_quotes(-1), [0, 1], id="quote cancel goes where we quote"),
        pytest.param(cancel_quotes(1), [1], id="quote cancel of one venue"),
        pytest.param(cancel_all(-1), [0, 1, 2], id="mass cancel goes everywhere"),
        pytest.param(cancel_all(2), [2], id="mass cancel of one venue"),
        pytest.param(cleared(e.OrderCleared, order=order(2)), [2], id="order"),
        pytest.param(replace(1), [1], id="replacement"),
        pytest.param(cancel_order(0), [0], id="cancel"),
        pytest.param(question(2), [2], id="question about an order"),
    ],
)
def test_each_kind_goes_to_its_venues(clearance: e.Clearance, venues: list[int]) -> None:
    parcels = outlet().send(clearance, OPEN)
    assert [parcel.venue for parcel in parcels] == venues
    assert all(parcel.clearance is clearance for parcel in parcels)
    assert [parcel.arrives for parcel in parcels] == [OPEN + LATENCIES[venue] for venue in venues]


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(msgspec.structs.replace(quotes([0, 1]), seal=""), id="no seal"),
        pytest.param(Sealer(b"another key of the tests").sealed(quotes([0, 1])), id="foreign seal"),
        pytest.param(msgspec.structs.replace(quotes([0, 1]), frame=frame([0, 1, 1])), id="content changed"),
        pytest.param(msgspec.structs.replace(quotes([0, 1]), sequence=2), id="number changed"),
        pytest.param(quotes([0, 1], sequence=2), id="number not issued yet"),
        pytest.param(msgspec.structs.replace(cancel_quotes(-1), seal=""), id="cancel without a seal"),
    ],
)
def test_what_the_gate_did_not_issue_does_not_leave(forged: e.Clearance) -> None:
    out = outlet()
    with pytest.raises(ClearanceRefused):
        out.send(forged, OPEN)
    assert (out.quote_entries, out.quote_messages, out.admitted) == (0, 0, 0)
    assert len(out.send(quotes([0, 1]), OPEN)) == 2


def test_clearance_leaves_once() -> None:
    out = outlet()
    out.send(quotes([0]), OPEN)
    with pytest.raises(ClearanceRefused, match="repeated"):
        out.send(quotes([0]), OPEN)
    assert out.quote_messages == 1


def test_gate_and_venue_must_be_known() -> None:
    with pytest.raises(InvariantError, match="unknown gate"):
        outlet().send(quotes([0], gate="gate.ABC"), OPEN)
    for clearance in (quotes([0, 3]), quotes([0, -1]), cleared(e.OrderCleared, order=order(3)), replace(-1)):
        with pytest.raises(InvariantError, match="unknown venue"):
            outlet().send(clearance, OPEN)


def test_numbers_go_on_after_a_snapshot() -> None:
    out = outlet()
    for sequence in (1, 2, 3):
        out.send(quotes([0], sequence), OPEN)
    later = outlet()
    later.set_state(out.state())
    with pytest.raises(ClearanceRefused, match="repeated"):
        later.send(quotes([0], 3), OPEN)
    later.send(quotes([0], 4), OPEN)
    assert later.state() == {GATE: 4}
    with pytest.raises(InputError, match="negative"):
        ClearanceLedger(SEALER).resume(GATE, -1)


PENDING = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()),
    max_size=20,
).map(
    lambda rows: [
        Pending(due, order, venue, is_answer, tick(order)) for order, (due, venue, is_answer) in enumerate(rows)
    ]
)


@pytest.mark.fuzz
@given(items=PENDING)
def test_messages_in_flight_survive_a_snapshot_as_a_heap(items: list[Pending]) -> None:
    found = unpack_pending(pack_pending(items))
    assert sorted(found) == sorted(items)
    assert pack_pending(found) == pack_pending(items)
    assert [heapq.heappop(found) for _ in items] == sorted(items)


@given(items=PENDING)
def test_equal_times_are_delivered_in_the_order_of_sending(items: list[Pending]) -> None:
    heap: list[Pending] = []
    for item in items:
        heapq.heappush(heap, item)
    popped = [heapq.heappop(heap) for _ in items]
    assert [(item.due, item.order) for item in popped] == sorted((item.due, item.order) for item in items)
