"""Gateway and venue over a wire in memory: the same bytes as on a session, and every moment of it in our hands."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import pytest

from domain import commands as c
from domain import events as e
from domain.errors import ClearanceRefused, Unavailable
from domain.frames import QuoteFrame
from domain.price import TICK_CLASSES
from fix.gateway import Gateway, GatewaySettings, Owner, Watch
from fix.mapping import Mapper
from fix.session import LoggedOn, LoggedOut, Received
from fix.venue import Note, VenueServer
from fix.venue_line import Known, Said
from fix.wire import Body
from risk.seal import Sealer
from routing.exchange import Exchange, ExchangeSettings
from routing.venues import SIMULATED, VenueTable
from tests.fix.dialect import CHAIN, PARTY, whole

KEY: Final = b"k" * 32
OPEN: Final = 1_450_967_400_000_000_000
SIMA: Final = 0
SESSION: Final = "S"
ONE: Final = VenueTable((msgspec.structs.replace(SIMULATED[SIMA], tape_share=1.0),))
PENNY: Final = next(tick for tick in TICK_CLASSES if tick.name == "penny")


@dataclass
class Wire:
    """Both ends of one session. What the venue says waits in `back` until it is delivered."""

    settings: GatewaySettings = field(default_factory=GatewaySettings)
    is_up: bool = False
    eats: bool = False
    sent: list[Body] = field(default_factory=list)
    noted: list[tuple[str, int]] = field(default_factory=list)
    told: list[Said] = field(default_factory=list)
    back: deque[Body] = field(default_factory=deque)
    notes: list[Note | e.Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = 100.0
        self.numbers = itertools.count(2)
        self.server = self.make_server()
        self.gateway = self.make_gateway({}, {})

    # --- ends ---------------------------------------------------------------------------------------------------------
    def make_server(self) -> VenueServer:
        ticks = dict.fromkeys(sorted({contract.root for contract in CHAIN.contracts}), PENNY)
        book = Exchange(ONE, SIMA, CHAIN, ticks, ExchangeSettings(), seed=1)
        line = _Line(self)
        return VenueServer(
            book, Mapper(CHAIN, SIMA), line, market=None, note=self.notes.append, behave=lambda _: None,
            report=lambda *_: None,
        )  # fmt: skip

    def make_gateway(self, last: dict[str, int], known: dict[str, Known]) -> Gateway:
        gateway = Gateway(
            ONE, {"SIMA": SESSION}, self, Sealer(KEY), self.settings, prefix=f"GW{len(self.noted)}",
            note=lambda clearance: self.noted.append((clearance.gate, clearance.sequence)), report=lambda *_: None,
            last=last,
        )  # fmt: skip
        self.told += gateway.open(CHAIN, OPEN, 1_000, known, self.now)
        return gateway

    def send(self, session: str, body: Body) -> int:
        assert session == SESSION
        if not self.is_up:
            raise Unavailable("the session is not up", session=session)
        number = next(self.numbers)
        self.sent.append(body)
        if not self.eats:
            raw = whole(body, number).encode()
            self.server.handle(Received(session="V", at=0, msg_type=body.msg_type, raw=raw))
        return number

    # --- what happens -------------------------------------------------------------------------------------------------
    def market(self, event: e.Event) -> None:
        self.notes.append(event)
        self.server.follow(event)
        self.deliver()

    def up(self) -> None:
        self.is_up = True
        self.server.handle(LoggedOn(session="V", at=0, next_sent=2, next_expected=2))
        self.tell(LoggedOn(session=SESSION, at=0, next_sent=2, next_expected=2))
        self.deliver()

    def down(self, *, is_lost: bool = False) -> None:
        self.is_up = False
        if is_lost:
            self.back.clear()
        self.server.handle(LoggedOut(session="V", at=0, reason="gone"))
        self.tell(LoggedOut(session=SESSION, at=0, reason="gone"))
        self.deliver()

    def tell(self, happened: Any) -> None:  # noqa: ANN401  # anything that happens
        self.told += self.gateway.handle(happened, self.now)

    def deliver(self) -> None:
        while self.back:
            body = self.back.popleft()
            raw = whole(body, next(self.numbers)).encode()
            self.tell(Received(session=SESSION, at=0, msg_type=body.msg_type, raw=raw))

    def clear(self, clearance: e.Clearance, *, is_sealed: bool = True) -> None:
        sealed = Sealer(KEY).sealed(clearance) if is_sealed else clearance
        self.told += self.gateway.send(sealed, self.now)
        self.deliver()

    # --- what was said ------------------------------------------------------------------------------------------------
    def of(self, kind: type[e.Event]) -> list[Any]:
        return [said.event for said in self.told if isinstance(said.event, kind)]

    def types(self) -> list[str]:
        return [body.msg_type for body in self.sent]


@dataclass
class _Line:
    wire: Wire

    def send(self, msg_type: str, body: bytes) -> int:
        if not self.wire.is_up:
            raise Unavailable("the session is not up", session="V")
        is_again = body.startswith(b"97=Y\x01")
        self.wire.back.append(Body(msg_type, body.removeprefix(b"97=Y\x01"), is_again))
        return 1


def head(sequence: int, underlying: str = "GOOG") -> dict[str, Any]:
    return {
        "ts_event": OPEN, "ts_init": OPEN, "underlying": underlying, "gate": "gate.GOOG", "sequence": sequence,
        "seal": "",
    }  # fmt: skip


def order(sequence: int, name: str, tif: c.TimeInForce = "ioc") -> e.OrderCleared:
    submit = c.SubmitOrder(
        ts_event=OPEN, ts_init=OPEN, underlying="GOOG", clordid=name, request_id=name, venue=SIMA, contract=0,
        side="buy", quantity=5, order_type="limit", price=20_000, tif=tif, intent=c.Intent.HEDGE, party=PARTY,
        sale_marking="", locate_id="", market_maker_exempt=False,
    )  # fmt: skip
    return e.OrderCleared(**head(sequence), order=submit)


def quotes(sequence: int, name: str = "Q") -> e.QuotesCleared:
    n = 4
    frame = QuoteFrame(
        venue=np.zeros(n, np.int16), contract=np.arange(n), bid=np.full(n, 100), bid_size=np.ones(n, np.int64),
        ask=np.full(n, 900_000), ask_size=np.ones(n, np.int64),
    )  # fmt: skip
    return e.QuotesCleared(**head(sequence), quote_set_id=name, party=PARTY, quote_ts=OPEN, frame=frame)


def opened() -> e.SessionChanged:
    return e.SessionChanged(
        ts_event=OPEN, ts_init=OPEN, underlying="GOOG", state="open", open_ts=OPEN, close_ts=OPEN + 10**13
    )


@pytest.fixture
def wire() -> Wire:
    made = Wire()
    made.market(opened())
    return made


def test_nothing_leaves_before_the_venue_has_told_what_was_missed(wire: Wire) -> None:
    wire.clear(order(1, "EARLY"))
    assert not wire.sent
    [refused] = wire.of(e.ExecutionReported)
    assert refused.ord_status is e.OrdStatus.REJECTED
    assert "down" in refused.text
    assert wire.told[-1].is_own
    wire.up()
    assert wire.types()[0] == "Z"  # what may rest is pulled first
    assert wire.of(e.VenueStatusChanged)[-1].is_up
    wire.clear(order(2, "NOW"))
    assert wire.types()[-1] == "D"


def test_a_clearance_is_noted_and_leaves_once(wire: Wire) -> None:
    wire.up()
    first = order(1, "A")
    wire.clear(first)
    wire.clear(first)
    assert wire.types().count("D") == 1
    assert wire.noted == [("gate.GOOG", 1)]
    assert wire.gateway.counts.repeated == 1


def test_a_new_gateway_sends_nothing_that_was_noted(wire: Wire) -> None:
    """As after a kill between the record and the wire: the desk asks, the gateway does not guess."""
    wire.up()
    wire.clear(order(1, "A"))
    wire.gateway = wire.make_gateway({"gate.GOOG": 1}, {"SIMA": Known("", OPEN)})
    wire.up()
    before = len(wire.sent)
    wire.clear(order(1, "A"))
    assert len(wire.sent) == before
    wire.clear(order(2, "B"))
    assert wire.types()[-1] == "D"


@pytest.mark.parametrize("what", ["bare", "altered", "skipped", "foreign gate", "unknown venue"])
def test_what_the_gate_did_not_issue_is_refused(wire: Wire, what: str) -> None:
    wire.up()
    before = len(wire.sent)
    bad: e.Clearance = order(1, "BAD")
    if what == "altered":
        bad = msgspec.structs.replace(Sealer(KEY).sealed(bad), order=order(1, "OTHER").order)
    elif what == "skipped":
        bad = order(3, "BAD")
    elif what == "foreign gate":
        bad = msgspec.structs.replace(bad, gate="gate.ABC")
    elif what == "unknown venue":
        bad = msgspec.structs.replace(bad, order=msgspec.structs.replace(order(1, "BAD").order, venue=9))
    with pytest.raises(ClearanceRefused):
        wire.clear(bad, is_sealed=what not in {"bare", "altered"})
    assert len(wire.sent) == before
    assert not wire.noted
    wire.clear(order(1, "GOOD"))
    assert wire.types()[-1] == "D"


def test_executions_that_were_missed_come_before_the_venue_is_up(wire: Wire) -> None:
    wire.up()
    wire.clear(order(1, "A", "day"))
    known = [report.exec_id for report in wire.of(e.ExecutionReported)]
    assert known
    wire.told.clear()
    wire.eats = False
    wire.told += wire.gateway.send(Sealer(KEY).sealed(order(2, "B", "day")), wire.now)
    wire.down(is_lost=True)  # what the venue answered was lost with the session
    assert [event.is_up for event in wire.of(e.VenueStatusChanged)] == [False]
    assert not wire.of(e.ExecutionReported)
    wire.up()
    kinds = [type(said.event) for said in wire.told]
    repeated = [report for report in wire.of(e.ExecutionReported) if report.clordid == "B"]
    assert repeated
    assert all(report.is_possible_repeat for report in repeated)
    assert not [report for report in wire.of(e.ExecutionReported) if report.exec_id in known]
    up = len(kinds) - 1 - kinds[::-1].index(e.VenueStatusChanged)
    assert up > kinds.index(e.ExecutionReported)


def test_quotes_of_a_dead_owner_are_pulled_and_those_that_wait_are_refused() -> None:
    wire = Wire(settings=GatewaySettings(messages_per_s=1, burst=3))
    wire.market(opened())
    wire.up()  # two messages
    wire.clear(quotes(1, "Q1"))
    wire.clear(quotes(2, "Q2"))
    assert wire.types().count("i") == 1
    wire.told += wire.gateway.pull("GOOG", "the owner is silent")
    wire.deliver()
    assert wire.types()[-1] == "Z"
    refused = [event for event in wire.of(e.QuotesAcknowledged) if event.quote_set_id == "Q2"]
    assert len(refused) == 1
    assert refused[0].accepted == 0
    assert any(event.reason == "the owner is silent" for event in wire.of(e.QuotesCanceled))
    wire.now += 60
    wire.told += wire.gateway.tick(wire.now)
    assert wire.types().count("i") == 1


def test_answers_of_one_source_never_go_back_in_time(wire: Wire) -> None:
    """A shard refuses what is stamped before what its source gave already, and the gateway speaks for venues."""
    later = OPEN + 10**9
    wire.up()
    ahead = msgspec.structs.replace(order(1, "A"), ts_event=later)
    wire.clear(msgspec.structs.replace(ahead, order=msgspec.structs.replace(ahead.order, ts_event=later)))
    wire.down()
    wire.clear(order(2, "B"))
    wire.up()
    wire.clear(quotes(3))
    times = [said.event.ts_event for said in wire.told if not isinstance(said.event, e.ExecutionReported)]
    assert times == sorted(times)


def test_a_refused_question_is_asked_again(wire: Wire) -> None:
    """A venue that does not know the chain yet says so; the lane opens when it does."""
    wire.eats = True
    wire.up()
    assert not wire.of(e.VenueStatusChanged)
    wire.eats = False
    wire.now += 1.0
    wire.told += wire.gateway.tick(wire.now)
    wire.deliver()
    assert wire.of(e.VenueStatusChanged)[-1].is_up


def test_a_venue_that_is_killed_repeats_its_notes(wire: Wire) -> None:
    wire.up()
    wire.clear(order(1, "A", "day"))
    before = wire.server.executions
    wire.down()
    notes = list(wire.notes)
    wire.server = wire.make_server()
    wire.server.repeat(notes)
    assert list(wire.server.executions) == list(before)


def test_who_takes_over_is_told_which_venues_are_up(wire: Wire) -> None:
    """What was said before his stages existed he has not heard."""
    wire.up()
    wire.clear(order(1, "A"))
    assert [event.is_up for event in wire.of(e.VenueStatusChanged)] == [True, True]
    wire.clear(order(2, "B"))
    assert len(wire.of(e.VenueStatusChanged)) == 2
    wire.told += wire.gateway.changed_owner("GOOG")
    wire.clear(order(3, "C"))
    assert [event.is_up for event in wire.of(e.VenueStatusChanged)] == [True, True, True]


def test_silence_is_told_once_until_the_owner_is_heard_again() -> None:
    watch, mine, other = Watch(2.0), Owner("desk", 1), Owner("desk", 2)
    watch.heard(mine, 0.0)
    watch.heard(other, 1.5)
    assert watch.fallen_silent(1.9) == []
    assert watch.fallen_silent(2.0) == [mine]
    assert watch.fallen_silent(3.0) == []
    watch.heard(mine, 3.1)
    assert watch.fallen_silent(3.5) == [other]
    assert watch.fallen_silent(5.2) == [mine]
