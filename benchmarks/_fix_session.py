"""What both processes of `fix_session` share: the market, the messages, and a session of our engine."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, Protocol

import numpy as np

from axiom.fix_venues import venue_of
from axiom.launch import first_chain
from axiom.venue_process import market_of
from benchmarks._session import synthetic
from domain.chain import Chain
from domain.commands import Intent, Outbound, Party, PlaceQuotes, SubmitOrder
from domain.events import ExecType, ExecutionReported, NbboUpdated, OrdStatus, QuotesAcknowledged
from domain.frames import QuoteFrame, QuoteRefusalFrame
from fix.application import Engine
from fix.mapping import Mapper
from fix.session import Happened, LoggedOn

CONTRACTS: Final = 2_192
ENTRIES: Final = 200
MIC: Final = "SIMA"
PARTY: Final = Party(account="AXIOM01", capacity="market_maker", clearing_firm="000", market_maker_id="AXM")
STEPS: Final = 60
"""Of the market, before the first message: the session is open and there are quotes."""

KINDS: Final = {"NewOrderSingle": 200.0, f"MassQuote of {ENTRIES}": 20.0}
"""Messages per second that are offered."""


class Market:
    """The chain, and the venue's book after some minutes of a synthetic market."""

    def __init__(self) -> None:
        recording = synthetic(CONTRACTS)
        self.listed = first_chain(recording)
        self.chain = Chain(self.listed.underlying, dt.date.fromisoformat(self.listed.trade_date), self.listed.contracts)
        self.events = list(islice(market_of(recording), STEPS))
        self.ts = self.events[-1].ts_event
        self.venue = venue_of(MIC)
        self.mapper = Mapper(self.chain, self.venue.index, max_entries=1_000)


class Line(Protocol):
    """Where answers go."""

    def send(self, msg_type: str, body: bytes) -> int:
        """Send a business message."""
        ...


class Session:
    """One session of our engine, and the thread that takes what comes."""

    def __init__(self, role: Any, settings: Any) -> None:  # noqa: ANN401  # fix.session.Role and SessionSettings
        self._wake = threading.Event()
        self._engine = Engine(role, [settings], wake=self._wake.set)
        self._name: str = settings.name
        self.up = threading.Event()

    def send(self, msg_type: str, body: bytes) -> int:
        """Send."""
        return self._engine.send(self._name, msg_type, body)

    def start(self, handle: Callable[[Happened], None]) -> None:
        """Connect or listen; `handle` is called in a thread of ours."""
        self._engine.start()

        def work() -> None:
            while True:
                self._wake.wait()
                self._wake.clear()
                for happened in self._engine.drain():
                    if isinstance(happened, LoggedOn):
                        self.up.set()
                    handle(happened)

        threading.Thread(target=work, daemon=True).start()


def answer_to(message: SubmitOrder | PlaceQuotes) -> ExecutionReported | QuotesAcknowledged:
    """The order rests, or every entry is taken."""
    head: dict[str, Any] = {"ts_event": message.ts_event, "ts_init": 0, "underlying": message.underlying}
    if isinstance(message, PlaceQuotes):
        return QuotesAcknowledged(
            **head, venue=0, quote_set_id=message.quote_set_id, accepted=len(message.frame),
            frame=QuoteRefusalFrame.empty(),
        )  # fmt: skip
    return ExecutionReported(
        **head, venue=message.venue, clordid=message.clordid, orig_clordid="", quote_set_id="",
        exec_id=f"E{message.clordid}", exec_ref_id="", exec_type=ExecType.NEW, ord_status=OrdStatus.NEW,
        contract=message.contract, side=message.side, last_qty=0, last_px=0, cum_qty=0, leaves_qty=message.quantity,
        fee=0, adds_liquidity=False, text="",
    )  # fmt: skip


def commands_of(kind: str, market: Market) -> Iterator[Outbound]:
    """Orders that find nobody and leave nothing behind, or quotes of neighbours, each a little elsewhere."""
    quoted = next(event for event in reversed(market.events) if isinstance(event, NbboUpdated)).frame
    good = [row for row in range(len(quoted)) if quoted.bid[row] >= 50_000 and quoted.bid_size[row] > 0]
    stamps: dict[str, Any] = {"ts_event": market.ts, "ts_init": market.ts, "underlying": market.chain.underlying}
    number = 0
    while True:
        name = f"B-{number:07d}"
        if kind == "NewOrderSingle":
            row = good[number % len(good)]
            yield SubmitOrder(
                **stamps, clordid=name, request_id="R", venue=market.venue.index, contract=int(quoted.contract[row]),
                side="buy", quantity=1, order_type="limit", price=10_000, tif="ioc", intent=Intent.HEDGE, party=PARTY,
                sale_marking="", locate_id="", market_maker_exempt=False,
            )  # fmt: skip
        else:
            rows = sorted(good[(number * 7 + step) % len(good)] for step in range(min(ENTRIES, len(good))))
            shift = 1_000 * (number % 3)
            frame = QuoteFrame(
                venue=np.full(len(rows), market.venue.index),
                contract=quoted.contract[rows],
                bid=(quoted.bid[rows] - 5_000 - shift) // 1_000 * 1_000,
                bid_size=np.full(len(rows), 10),
                ask=(quoted.ask[rows] + 5_000 + shift) // 1_000 * 1_000,
                ask_size=np.full(len(rows), 10),
            )
            yield PlaceQuotes(**stamps, quote_set_id=name, party=PARTY, quote_ts=market.ts, frame=frame)
        number += 1
