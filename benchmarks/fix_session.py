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
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any, Final

from axiom.compose import Composer
from axiom.fix_venues import sessions_of, venue_of
from axiom.settings import Settings
from benchmarks._fix_bare import Bare, Client, Venue, connect
from benchmarks._fix_session import (
    CONTRACTS,
    ENTRIES,
    KINDS,
    MIC,
    Line,
    Market,
    Session,
    answer_to,
    commands_of,
)
from benchmarks._report import latency, main, table
from domain.commands import Outbound, PlaceQuotes, SubmitOrder
from domain.events import ExecType, ExecutionReported, QuotesAcknowledged
from fix.application import leave
from fix.session import Happened, Received
from fix.venue import VenueServer

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
