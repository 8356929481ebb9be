"""An audit finds what was lost, doubled, altered or sent by two, and is content with what was not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest

from axiom.audit import Audit
from domain import commands as c
from domain import events as e
from domain.codec import encode
from domain.commands import STOCK
from domain.events_base import Event
from domain.ownership_events import OwnershipTaken
from domain.topics import TOPIC_OF
from streams.messages import Arrived, Headers

PARTY: Final = c.Party(account="A", capacity="firm", clearing_firm="1", market_maker_id="M")
STAMPS: Final[dict[str, Any]] = {"ts_event": 1, "ts_init": 1, "underlying": "XYZ"}
EPOCH: Final = 0


class Topics:
    """Messages in the order in which a broker has them."""

    def __init__(self) -> None:
        self.audit = Audit()
        self._offsets: dict[str, int] = {}

    def add(self, event: Event, sequence: int, epoch: int = EPOCH, source: str = "", topic: str = "") -> None:
        """One message of the group `quote`."""
        topic = topic or TOPIC_OF[type(event)].name
        offset = self._offsets[topic] = self._offsets.get(topic, -1) + 1
        headers = Headers(source or f"quote.0.{epoch}", sequence, "quote", epoch)
        self.audit.take(Arrived(topic, 0, offset, headers, encode(event), event))

    def claim(self) -> None:
        """A new owner."""
        event = OwnershipTaken(ts_event=1, ts_init=1, underlying="", group="quote", partition=0, owner="w")
        self.add(event, 0, -1, "claim", "orders.cleared")


def order(sequence: int, name: str) -> e.OrderCleared:
    submit = c.SubmitOrder(
        **STAMPS, clordid=name, request_id=name, venue=3, contract=STOCK, side="buy", quantity=5, order_type="limit",
        price=1, tif="ioc", intent=c.Intent.HEDGE, party=PARTY, sale_marking="", locate_id="",
        market_maker_exempt=False,
    )  # fmt: skip
    return e.OrderCleared(**STAMPS, gate="gate.XYZ", sequence=sequence, seal="", order=submit)


def traded(name: str) -> e.ExecutionReported:
    return e.ExecutionReported(
        **STAMPS, venue=3, clordid="A", orig_clordid="", quote_set_id="", exec_id=name, exec_ref_id="",
        exec_type=e.ExecType.TRADE, ord_status=e.OrdStatus.FILLED, contract=STOCK, side="buy", last_qty=5, last_px=1,
        cum_qty=5, leaves_qty=0, fee=0, adds_liquidity=False, text="",
    )  # fmt: skip


def filled(name: str, quantity: int = 5) -> e.OrderFilled:
    return e.OrderFilled(
        **STAMPS, fill_id=f"3:{name}", venue=3, clordid="A", is_quote=False, intent="hedge", contract=STOCK,
        side="buy", quantity=quantity, price=1, fee=0, adds_liquidity=False,
    )  # fmt: skip


BOOKS: Final = {"SIMS": {"XYZ": {"contracts": {}, "stock": 5, "cash": 0, "trades": ["E1"]}}}


def sound() -> Topics:
    topics = Topics()
    topics.claim()
    topics.add(order(1, "A"), 0)
    topics.add(traded("E1"), 1, source="venue.SIMS.XYZ")
    topics.add(filled("E1"), 0)
    topics.add(e.RunEnded(**STAMPS, reason="end"), 0, source="feed")
    return topics


def test_what_adds_up_has_no_problem() -> None:
    summary = sound().audit.summary(BOOKS, is_whole=True)
    assert summary["problems"] == []
    assert summary["underlyings"]["XYZ"]["positions_equal"]
    assert summary["underlyings"]["XYZ"]["fills"] == summary["underlyings"]["XYZ"]["orders"] == 1


def test_what_a_successor_says_again_counts_once() -> None:
    topics = sound()
    topics.add(filled("E1"), 0)  # by its own name
    topics.claim()
    topics.add(filled("E1"), 0, 2, "quote.0.2")  # and by another's
    topics.add(order(2, "LATE"), 1)  # of the one who was replaced
    topics.add(order(2, "B"), 0, 2, "quote.0.2")
    summary = topics.audit.summary(BOOKS, is_whole=True)
    assert summary["problems"] == []
    assert summary["underlyings"]["XYZ"]["void_clearances"] == 1
    assert summary["takeovers"] == {"quote.0": 1}


def nothing(topics: Topics) -> None:
    """Change nothing."""


@pytest.mark.parametrize(
    ("change", "books", "problem"),
    [
        (lambda t: t.add(order(3, "C"), 1), BOOKS, "out of sequence"),
        (lambda t: t.add(order(2, "A"), 1), BOOKS, "cleared twice"),
        (lambda t: t.add(filled("E1", 6), 1), BOOKS, "other terms"),
        (lambda t: t.add(filled("E2"), 1), BOOKS, "fills are of no execution"),
        (nothing, {"SIMS": {"XYZ": {**BOOKS["SIMS"]["XYZ"], "trades": ["E1", "E2"]}}}, "not counted"),
        (nothing, {"SIMS": {"XYZ": {**BOOKS["SIMS"]["XYZ"], "stock": 6}}}, "positions differ"),
        (lambda t: t.add(e.ShardHalted(**STAMPS, stage="s", error="x"), 0), BOOKS, "halted"),
    ],
)
def test_what_does_not_add_up_is_told(change: Callable[[Topics], None], books: Any, problem: str) -> None:  # noqa: ANN401
    topics = sound()
    change(topics)
    problems = topics.audit.summary(books, is_whole=True)["problems"]
    assert any(problem in told for told in problems), problems


def test_a_run_that_did_not_end_is_told_where_it_should_have() -> None:
    topics = Topics()
    topics.claim()
    topics.add(order(1, "A"), 0)
    book = {"SIMS": {"XYZ": msgspec.json.decode(b'{"stock":0,"trades":[]}')}}
    assert topics.audit.summary(book, is_whole=True)["problems"] == ["XYZ: the run has not ended (1)"]
    assert topics.audit.summary(book, is_whole=False)["problems"] == []
