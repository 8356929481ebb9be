"""A venue behind a FIX session: `routing.exchange` as a counterparty, one process for each venue.

The venue follows the recorded market by itself. Its clock is one of two kinds:

- *held*: messages wait until a `ClockAdvance` says when they arrived; then the market is applied up to the sequence
  that it names, the messages after it, and `ClockReached` closes the answer. So a run at full speed is orderly.
- *following*: the runtime applies the market as it comes and messages are taken at once, at the venue's own time.

Everything that changes the book is noted before it is applied (`Note`). A process that is killed and started again
repeats its notes: the book, the executions and their identifiers are those from before, and a client that asks
(`ExecutionsRequest`) gets what he missed. What rests is removed when the session ends: cancel on disconnect.

A session may serve several underlyings: one `VenueServer` for each, and whoever holds the session tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from domain.commands import CancelAllOrders, Outbound
from domain.errors import DataError, InputError, Unavailable
from domain.events import Clearance, Event, ExecutionReported
from fix.control import (
    BookReport,
    BookRequest,
    ClockAdvance,
    ClockReached,
    ExecutionsDone,
    ExecutionsRequest,
)
from fix.mapping import Answer, Mapper
from fix.quotes import Assembly, QuoteFragment
from fix.refusals import Refusal
from fix.served import clearance_of, unread
from fix.session import Failure, Happened, LoggedOn, LoggedOut, Received
from fix.wire import Body

NoteKind = Literal["market", "message", "disconnected", "behaviour"]


class Note(NamedTuple):
    """Something that changes the book.

    `market` counts steps of the recording that were applied, `message` holds a FIX message, `behaviour` what the venue
    is to do wrong. A market event that was followed is noted by whoever follows: the note is the event itself.
    """

    kind: NoteKind
    ts: int
    steps: int
    raw: bytes


class Book(Protocol):
    """The venue itself: `routing.exchange.Exchange`, or a misbehaving one around it."""

    @property
    def latency_ns(self) -> int:
        """One-way time to the venue."""
        ...

    def submit(self, clearance: Clearance, ts: int) -> Sequence[Event]:
        """Take a message and answer."""
        ...

    def on_market(self, event: Event) -> Sequence[Event]:
        """Follow the market."""
        ...

    def disconnect(self) -> None:
        """Remove what rests."""
        ...

    def positions(self) -> tuple[npt.NDArray[np.int64], int]:
        """Contracts and shares that our fills add up to."""
        ...

    def cash(self) -> int:
        """What our fills paid, in 1/10,000 dollar."""
        ...


class Line(Protocol):
    """Where messages leave: an engine's session."""

    def send(self, msg_type: str, body: bytes) -> int:
        """Send a business message."""
        ...


class VenueServer:
    """One venue for one client and one chain.

    Args:
        book: The venue.
        mapper: FIX for its chain.
        line: Where answers go.
        market: The recorded market that it follows, from the first step. None when steps are given with `follow`.
        note: Keeps a note for good, before it is applied.
        behave: Makes the book misbehave as it was told.
        report: Tells people about what cannot be answered: a failure of ours, a message that cannot be read.
    """

    def __init__(
        self,
        book: Book,
        mapper: Mapper,
        line: Line,
        *,
        market: Iterator[Event] | None,
        note: Callable[[Note], None],
        behave: Callable[[bytes], None],
        report: Callable[[str, dict[str, object]], None],
    ) -> None:
        self.now = 0
        self.steps = 0
        self.failures = 0
        self._market_ts = 0
        self._book = book
        self._mapper = mapper
        self._line = line
        self._market = market
        self._note = note
        self._behave = behave
        self._report = report
        self._waiting: list[bytes] = []
        self._assembly = Assembly()
        self._executions: list[ExecutionReported] = []
        self._is_up = False
        self._is_repeating = False

    @property
    def executions(self) -> Sequence[ExecutionReported]:
        """Every execution report of the day, in order."""
        return self._executions

    # --- after a restart ----------------------------------------------------------------------------------------------
    def repeat(self, notes: Iterable[Note | Event]) -> None:
        """Apply what was noted before the process died, market events as they were; nobody is told again."""
        for note in notes:
            self.repeat_one(note)
        self.repeated()

    def repeat_one(self, note: Note | Event) -> None:
        """Apply one note of a process that died. `repeated` ends it."""
        self._is_repeating = True
        if isinstance(note, Event):
            self._step(note)
            return
        match note.kind:
            case "market":
                self._advance(note.steps)
            case "message":
                self.now = max(self.now, note.ts)
                self._serve(note.raw)
            case "behaviour":
                self._behave(note.raw)
            case "disconnected":
                self._book.disconnect()
                self._assembly.clear()

    def repeated(self) -> None:
        """All notes were applied: whoever was connected is not any more."""
        self._is_repeating = False
        self._disconnected()

    # --- what comes ---------------------------------------------------------------------------------------------------
    def handle(self, happened: Happened) -> None:
        """Take what the engine tells."""
        match happened:
            case LoggedOn():
                self._is_up = True
            case LoggedOut():
                self._disconnected()
            case Failure(where=where, error=error):
                self.failures += 1
                self._report("venue.callback_failed", {"where": where, "error": error})
            case Received(raw=raw):
                self._received(raw)
            case _:
                pass

    def tell(self, behaviour: bytes) -> None:
        """Misbehave from now on as `behaviour` says."""
        self._keep(Note("behaviour", self.now, 0, behaviour))
        self._behave(behaviour)

    def follow(self, event: Event) -> None:
        """Apply a market event of a topic, which the caller has noted before."""
        self._step(event)

    def _received(self, raw: bytes) -> None:
        try:
            message = self._mapper.read(raw)
        except (DataError, InputError) as error:
            self.failures += 1
            self._report("venue.message_refused", {"error": str(error)})
            self._send(unread(raw, error))
            return
        match message:
            case ClockAdvance():
                self._reach(message)
            case BookRequest(request_id):
                contracts, stock = self._book.positions()
                self._send(self._mapper.write(BookReport(request_id, contracts, stock, self._book.cash())))
            case ExecutionsRequest():
                self._repeat_executions(message)
            case Refusal():
                self._report("venue.answer_refused", {"reason": message.reason, "about": message.ref_id})
            case _ if self._market is not None:
                self._waiting.append(raw)
            case _:
                self._take(raw)

    def _reach(self, advance: ClockAdvance) -> None:
        """Apply the market up to a barrier, then what waited for it."""
        if advance.sequence > self.steps:
            ahead = advance.sequence - self.steps
            self._keep(Note("market", advance.ts, ahead, b""))
            self._advance(ahead)
            if self._market_ts > advance.ts:
                self.failures += 1
                self._report("venue.market_differs", {"step": self.steps, "here": self._market_ts, "run": advance.ts})
        self.now = max(self.now, advance.ts)
        waiting, self._waiting = self._waiting, []
        for raw in waiting:
            self._take(raw)
        self._send(self._mapper.write(ClockReached(self.steps, self.now)))

    def _take(self, raw: bytes) -> None:
        self._keep(Note("message", self.now, 0, raw))
        self._serve(raw)

    def _keep(self, note: Note) -> None:
        if not self._is_repeating:
            self._note(note)

    # --- what it does -------------------------------------------------------------------------------------------------
    def _advance(self, steps: int) -> None:
        for _ in range(steps):
            event = next(self._market, None) if self._market is not None else None
            if event is None:
                self._report("venue.market_ended", {"steps": self.steps, "wanted": steps})
                return
            self._step(event)

    def _step(self, event: Event) -> None:
        self.steps += 1
        self._market_ts = event.ts_event
        self.now = max(self.now, event.ts_event)
        try:
            answers = self._book.on_market(event)
        except (DataError, InputError) as refusal:  # nothing changed; the stages of the desk judge it for themselves
            self._report("venue.market_refused", {"error": str(refusal)})
            return
        self._answer(answers, None)

    def _serve(self, raw: bytes) -> None:
        message = self._mapper.read(raw)
        if isinstance(message, QuoteFragment):
            try:
                whole = self._assembly.add(message)
            except DataError as error:
                self._report("venue.message_refused", {"error": str(error)})
                self._send(unread(raw, error))
                return
            if whole is None:
                return
            message = whole
        if not isinstance(message, Outbound):
            self._report("venue.message_refused", {"type": type(message).__name__})
            self._send(unread(raw, InputError("a venue does not take this", type=type(message).__name__)))
            return
        answers = self._book.submit(clearance_of(message), self.now)
        self._answer(answers, message)
        if isinstance(message, CancelAllOrders):
            self._send([self._mapper.write_mass_cancel(message, answers, self.now)])

    def _answer(self, answers: Sequence[Event], about: Outbound | None) -> None:
        for answer in answers:
            if isinstance(answer, ExecutionReported):
                self._executions.append(answer)
            if not isinstance(answer, Answer):
                self._report("venue.answer_unknown", {"type": type(answer).__name__})
                continue
            bodies = self._mapper.write(answer) if about is None else self._mapper.write_answer(answer, about)
            self._send(bodies)

    def _repeat_executions(self, request: ExecutionsRequest) -> None:
        """Send again what followed an execution; all of them where the client knows none, or one that is not ours."""
        names = [report.exec_id for report in self._executions]
        first = len(names) - names[::-1].index(request.last_exec_id) if request.last_exec_id in names else 0
        missed = self._executions[first:]
        for report in missed:
            self._send([body._replace(is_possible_resend=True) for body in self._mapper.write(report)])
        last = names[-1] if names else ""
        self._send(self._mapper.write(ExecutionsDone(request.request_id, last, len(missed))))

    def _disconnected(self) -> None:
        self._is_up = False
        self._waiting.clear()
        self._assembly.clear()
        self._keep(Note("disconnected", self.now, 0, b""))
        self._book.disconnect()

    def _send(self, bodies: Sequence[Body]) -> None:
        if self._is_repeating or not self._is_up:
            return
        for body in bodies:
            try:
                self._line.send(body.msg_type, _RESEND + body.fields if body.is_possible_resend else body.fields)
            except Unavailable:
                self._is_up = False  # the client asks for what he missed when he is back
                return


_RESEND: Final = b"97=Y\x01"
