"""Orders and mass quotes over a FIX session between two processes: from the intended send time to the answer in hand.

Open loop: messages leave on a fixed schedule, and a wait before the send counts. Three ways use the same engine, the
same session settings and the same loopback:

- `ours`: commands written and answers read by `fix.mapping`, and a venue with its book behind them (`fix.venue`), which
  answers an order with two reports: taken, expired;
- `ours, no book`: the same, and a venue that answers at once;
- `quickfix alone`: field objects and groups as the engine's documentation shows them, and a venue that answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

import numpy as np

from axiom.compose import Composer
from axiom.fix_venues import sessions_of, venue_of
from axiom.launch import first_chain
from axiom.settings import Settings
from axiom.venue_process import market_of
from benchmarks._fix_bare import Bare, Client, Venue, connect
from benchmarks._report import latency, main, table
from benchmarks._session import synthetic
from domain.chain import Chain
from domain.commands import Intent, Outbound, Party, PlaceQuotes, SubmitOrder
from domain.events import ExecType, ExecutionReported, NbboUpdated, OrdStatus, QuotesAcknowledged
from domain.frames import QuoteFrame, QuoteRefusalFrame
from fix.application import Engine, leave
from fix.mapping import Mapper
from fix.session import Happened, LoggedOn, Received
from fix.venue import VenueServer

CONTRACTS: Final = 2_192
ENTRIES: Final = 200
MIC: Final = "SIMA"
PARTY: Final = Party(account="AXIOM01", capacity="market_maker", clearing_firm="000", market_maker_id="AXM")
STEPS: Final = 60
"""Of the market, before the first message: the session is open and there are quotes."""

KINDS: Final = {"NewOrderSingle": 200.0, f"MassQuote of {ENTRIES}": 20.0}
"""Messages per second that are offered."""

WINDOW: Final = 32
"""So many messages may be unanswered when it is measured how many go through."""

WARM_UP_S: Final = 1.0
"""So long a session is used before it is measured."""


def options(parser: argparse.ArgumentParser) -> None:
    """Its own options."""
    parser.add_argument("--seconds", type=float, default=10.0, help="of open loop, per way and kind, in two rounds")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Each way in turn, for orders and mass quotes."""
    seconds = 0.3 if arguments.quick else arguments.seconds
    rounds = 1 if arguments.quick else 2
    times: dict[tuple[str, str], list[int]] = {(kind, way): [] for kind in KINDS for way in WAYS}
    rates: dict[tuple[str, str], list[float]] = {(kind, way): [] for kind in KINDS for way in WAYS}
    context = multiprocessing.get_context("spawn")
    for _ in range(rounds):
        for kind, rate in KINDS.items():
            for way in WAYS:
                ours, theirs = context.Pipe()
                child = context.Process(target=client_process, args=(way, kind, rate, seconds, theirs))
                child.start()  # the engine ends its process its own way: this one stays clear of it
                theirs.close()
                try:
                    found = ours.recv()
                except EOFError:
                    message = f"{way}, {kind}: the client ended"
                    raise SystemExit(message) from None
                finally:
                    child.join(10.0)
                    child.kill()
                times[kind, way] += found["ns"]
                rates[kind, way].append(found["per_second"])
    rows = [
        {
            "kind": kind,
            "way": way,
            "offered_per_second": KINDS[kind],
            "us": latency(values),
            "per_second": max(rates[kind, way]),
        }
        for (kind, way), values in times.items()
    ]
    return {"contracts": CONTRACTS, "entries": ENTRIES, "window": WINDOW, "rows": rows}


# --- the venue's process ----------------------------------------------------------------------------------------------
def venue_process(way: str, port: int, pipe: Connection) -> None:
    """Be the venue until the pipe closes."""
    WAYS[way][1](port, pipe)
    with contextlib.suppress(EOFError, ConnectionResetError):
        pipe.recv()
    leave(0)


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


def serve_ours(port: int, pipe: Connection) -> None:
    """The venue as it is."""
    market = Market()

    def handler(line: Line) -> Callable[[Happened], None]:
        book = Composer().exchange(market.venue, market.chain, Settings(), market.listed)
        server = VenueServer(
            book, market.mapper, line, market=None, note=lambda _: None, behave=lambda _: None,
            report=lambda what, fields: print(what, fields, flush=True),
        )  # fmt: skip
        for event in market.events:
            server.follow(event)
        return server.handle

    serve(port, pipe, handler)


def serve_no_book(port: int, pipe: Connection) -> None:
    """A venue that reads and answers."""
    market = Market()

    def handler(line: Line) -> Callable[[Happened], None]:
        def handle(happened: Happened) -> None:
            if isinstance(happened, Received):
                message = market.mapper.read(happened.raw)
                if isinstance(message, SubmitOrder | PlaceQuotes):
                    for body in market.mapper.write_answer(answer_to(message), message):
                        line.send(body.msg_type, body.fields)

        return handle

    serve(port, pipe, handler)


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


def serve(port: int, pipe: Connection, handler: Callable[[Line], Callable[[Happened], None]]) -> None:
    """Listen with our engine."""
    session = Session("acceptor", sessions_of(venue_of(MIC), port)[1])
    handle = handler(session)
    session.start(handle)
    pipe.send("ready")


def serve_bare(port: int, pipe: Connection) -> None:
    """Listen with the engine alone; answers leave in its callback."""
    market = Market()
    samples = [next(commands_of(kind, market)) for kind in KINDS]
    bodies = [
        market.mapper.write_answer(answer_to(each), each)[0]
        for each in samples
        if isinstance(each, SubmitOrder | PlaceQuotes)
    ]
    venue = Venue(*bodies)
    made: list[Bare] = []
    made.append(connect("acceptor", sessions_of(market.venue, port)[1], lambda m: made[0].send(venue.answer(m))))
    pipe.send("ready")


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


# --- the client's process ---------------------------------------------------------------------------------------------
class Answers:
    """When each message was answered, and how many are not yet."""

    def __init__(self, total: int) -> None:
        self.at = [0] * total
        self.room = threading.Semaphore(WINDOW)
        self._left = total
        self.done = threading.Event()
        self.refused = ""

    def take(self, name: str) -> None:
        """The message of that name was answered: the number at its end says which it was."""
        number = int(name.rpartition("-")[2])
        if self.at[number] == 0:
            self.at[number] = time.monotonic_ns()
            self._left -= 1
            self.room.release()
            if self._left == 0:
                self.done.set()


Send = Callable[[Outbound], None]


def open_ours(market: Market, port: int, answers: Answers) -> Send:
    """Log on with ours."""
    session = Session("initiator", sessions_of(market.venue, port)[0])

    def handle(happened: Happened) -> None:
        if isinstance(happened, Received):
            message = market.mapper.read(happened.raw)
            if isinstance(message, ExecutionReported) and message.exec_type is not ExecType.REJECTED:
                answers.take(message.clordid)
            elif isinstance(message, QuotesAcknowledged) and message.accepted:
                answers.take(message.quote_set_id)
            elif isinstance(message, ExecutionReported | QuotesAcknowledged):
                answers.refused = str(message)[:400]

    session.start(handle)
    if not session.up.wait(30.0):
        raise SystemExit("the session did not come up")

    def send(command: Outbound) -> None:
        for body in market.mapper.write(command):
            session.send(body.msg_type, body.fields)

    return send


def open_bare(market: Market, port: int, answers: Answers) -> Send:
    """Log on with the engine alone."""

    def take(message: Any) -> None:  # noqa: ANN401  # the engine ships no types
        answers.take(message.getField(11) if message.isSetField(11) else message.getField(117))

    client = connect("initiator", sessions_of(market.venue, port)[0], take)
    until = time.monotonic() + 30.0
    while not client.is_up:
        if time.monotonic() > until:
            raise SystemExit("the session did not come up")
        time.sleep(0.01)

    writer = Client(market.mapper)
    return lambda command: client.send(writer.message(command))


def client_process(way: str, kind: str, rate: float, seconds: float, pipe: Connection) -> None:
    """Be the client: start a venue, measure, send the figures back."""
    market = Market()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    venue = context.Process(target=venue_process, args=(way, port, theirs), daemon=True)
    venue.start()
    if not ours.poll(60.0):
        raise SystemExit("the venue did not start")
    warm_up, count = round(WARM_UP_S * rate), round(seconds * rate)
    total = warm_up + 2 * count
    answers = Answers(total)
    send = WAYS[way][0](market, port, answers)
    commands = commands_of(kind, market)
    intended = run_open_loop(send, commands, rate, warm_up + count)
    wait_for(answers, warm_up + count)
    answers.room = threading.Semaphore(WINDOW)
    began = time.monotonic_ns()
    for command in islice(commands, count):
        answers.room.acquire()
        send(command)
    if not answers.done.wait(60.0):
        raise SystemExit("messages were not answered")
    elapsed = max(answers.at) - began
    waited = [at - due for due, at in zip(intended, answers.at[: warm_up + count], strict=True)][warm_up:]
    pipe.send({"ns": waited, "per_second": count * 1e9 / elapsed})
    pipe.close()
    ours.close()
    venue.join(5.0)
    leave(0)


def run_open_loop(send: Send, commands: Iterator[Outbound], rate: float, count: int) -> list[int]:
    """Send on the schedule; return the intended times."""
    interval = round(1e9 / rate)
    begin = time.monotonic_ns() + 50_000_000
    intended = [begin + number * interval for number in range(count)]
    for due, command in zip(intended, commands, strict=False):
        time.sleep(max(due - time.monotonic_ns(), 0) * 1e-9)  # a late wake-up counts: times are from `due`
        send(command)
    return intended


def wait_for(answers: Answers, count: int) -> None:
    """Until so many were answered."""
    until = time.monotonic() + 60.0
    while not all(answers.at[:count]):
        if answers.refused or time.monotonic() > until:
            raise SystemExit(answers.refused or "messages were not answered")
        time.sleep(0.01)


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


Way = tuple[Callable[[Market, int, Answers], Send], Callable[[int, Connection], None]]
WAYS: Final[dict[str, Way]] = {
    "ours": (open_ours, serve_ours),
    "ours, no book": (open_ours, serve_no_book),
    "quickfix alone, no book": (open_bare, serve_bare),
}


def markdown(result: dict[str, Any]) -> str:
    """The table of the page."""
    columns = ("p50", "p90", "p99", "p99.9", "max", "n")
    rows = [
        [
            f"{row['kind']}, {row['offered_per_second']:g}/s: {row['way']}",
            *(row["us"][name] for name in columns),
            row["per_second"],
        ]
        for row in result["rows"]
    ]
    return table(["microseconds", *columns, f"most/s, {result['window']} open"], rows)


if __name__ == "__main__":
    raise SystemExit(main("fix_session", measure, markdown, options))
