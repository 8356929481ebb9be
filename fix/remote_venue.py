"""A venue at the other end of a FIX session, held in step: for a run whose clock waits until every venue has answered.

It stands where an exchange in this process stands: `submit` sends a message and a barrier and gives back what the venue
answered before the barrier came back; `on_market` moves the venue's recorded market on by one step. So a run at full
speed is orderly, whatever the machine does meanwhile.

A venue that dies, freezes or loses the session is down: our quotes there are gone (cancel on disconnect), what was on
the way is unknown, and nothing is sent again. When it is back we ask for the executions that we missed before anything
else leaves; orders without an answer are settled by the desk's own questions (`routing.order_state`).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from domain.commands import Outbound
from domain.errors import DataError, Unavailable
from domain.events import Clearance, Event, ExecutionReported, QuotesCanceled, VenueStatusChanged
from domain.state import pack, unpack
from fix.control import BookReport, BookRequest, ClockAdvance, ClockReached, ExecutionsDone, ExecutionsRequest
from fix.links import Links
from fix.mapping import Answer, Mapper, Message, command_of
from fix.refusals import Refusal
from fix.reports import MassCancelReport
from fix.session import Failure, Happened, LoggedOn, LoggedOut, LogonRefused, Received

_VERSION: Final = 1
_REMEMBERED: Final = 4_096
"""Messages of ours that a refusal may still be about."""


class RemoteVenue:
    """One venue over one session.

    Args:
        links: The engine that holds the session.
        session: Its name.
        mapper: FIX for the chain at that venue.
        latency_ns: One-way time to the venue, of the simulation.
        follows: The market events that mean something to the venue.
        report: Tells people what cannot be an event.
        patience_s: How long the run waits for a venue that does not answer, or for one to come back.
    """

    is_remote = True

    def __init__(
        self,
        links: Links,
        session: str,
        mapper: Mapper,
        *,
        latency_ns: int,
        follows: tuple[type[Event], ...],
        report: Callable[[str, dict[str, object]], None],
        patience_s: float = 10.0,
    ) -> None:
        self.latency_ns = latency_ns
        self.steps = 0
        self.last_exec_id = ""
        self._links = links
        self._session = session
        self._mapper = mapper
        self._report = report
        self._patience_s = patience_s
        self._is_up = False
        self._is_asked = False
        self._follows = follows
        self._has_given_up = False
        self._may_rest = True
        self._questions = 0
        self._sent: OrderedDict[int, Outbound] = OrderedDict()

    def connect(self) -> None:
        """Wait until the session is up.

        Raises:
            Unavailable: It is not within the patience; the venue's reason is in the fields.
        """
        until = time.monotonic() + self._patience_s
        reason = "no answer"
        while (left := until - time.monotonic()) > 0:
            happened = self._links.take(self._session, left)
            if isinstance(happened, LoggedOn):
                self._is_up = True
                return
            if isinstance(happened, LogonRefused | LoggedOut):
                reason = happened.reason
        raise Unavailable("no session with a venue", session=self._session, reason=reason)

    # --- what the run asks --------------------------------------------------------------------------------------------
    def submit(self, clearance: Clearance, ts: int) -> list[Event]:
        """Send a message that reaches the venue at `ts`, and return the venue's answers to it.

        A venue that is down takes nothing: the message is refused in its name, and nothing was sent.
        """
        events = self._revived(ts)
        command = command_of(clearance)
        if not self._is_up:
            return events + self._refused(command, ts)
        try:
            for body in self._mapper.write(command):
                self._remember(self._links.send(self._session, body), command)
        except Unavailable:
            return events + self._down(ts, "the session ended")  # part of it may have left: unknown
        return events + self._barrier(ts)

    def begin_market(self, event: Event) -> None:
        """Have the venue move its market on by one step, and do not wait: others can be asked meanwhile."""
        self.steps += 1
        self._is_asked = False
        if self._is_up and isinstance(event, self._follows):
            self._is_asked = self._ask(event.ts_event)

    def on_market(self, event: Event) -> list[Event]:
        """Return what the step that was begun did to our quotes and orders.

        An event that such a venue does not follow is left for the next barrier: it answers nothing to it.
        """
        if self._is_asked:
            return self._answers(event.ts_event)
        events = self._revived(event.ts_event)
        return events + (self._barrier(event.ts_event) if self._is_up and isinstance(event, self._follows) else [])

    def skip_market(self) -> None:
        """Count a step that the venue has taken already: the run repeats its journal."""
        self.steps += 1

    def positions(self) -> tuple[npt.NDArray[np.int64], int]:
        """Return contracts and shares in the venue's own book.

        Raises:
            Unavailable: The venue does not answer.
        """
        book = self._ask_book()
        return book.positions, book.stock

    def cash(self) -> int:
        """Return what our fills paid by the venue's own book, in 1/10,000 dollar; raises as `positions`."""
        return self._ask_book().cash

    # --- the session --------------------------------------------------------------------------------------------------
    def _barrier(self, ts: int) -> list[Event]:
        """Hold the clock until the venue has answered everything up to `ts`."""
        return self._answers(ts) if self._ask(ts) else self._down(ts, "the session ended")

    def _ask(self, ts: int) -> bool:
        """Send a barrier; whether it left."""
        try:
            for body in self._mapper.write(ClockAdvance(self.steps, ts)):
                self._links.send(self._session, body)
        except Unavailable:
            return False
        return True

    def _answers(self, ts: int) -> list[Event]:
        """What the venue says until it has reached the barrier."""
        events: list[Event] = []
        until = time.monotonic() + self._patience_s
        while True:
            happened = self._links.take(self._session, until - time.monotonic())
            if happened is None:
                self._links.cut(self._session, "no answer to a barrier")
                return events + self._down(ts, f"no answer within {self._patience_s:g} s")
            if isinstance(happened, LoggedOut):
                return events + self._down(ts, happened.reason)
            message = self._told(happened)
            if isinstance(message, ClockReached) and message.sequence >= self.steps:
                return events
            events += self._events(message, ts)

    def _told(self, happened: Happened) -> Message | None:
        """Read a message; None where nothing was said that concerns the run."""
        if isinstance(happened, Failure):
            self._report("gateway.callback_failed", {"where": happened.where, "error": happened.error})
        if not isinstance(happened, Received):
            return None
        try:
            return self._mapper.read(happened.raw)
        except DataError as error:
            self._report("gateway.message_refused", {"session": self._session, "error": str(error)})
            return None

    def _events(self, message: Message | None, ts: int) -> list[Event]:
        if message is None or isinstance(message, MassCancelReport):
            return []
        if isinstance(message, Refusal):
            return self._settled(message, ts)
        if isinstance(message, Answer):
            if isinstance(message, ExecutionReported) and not message.is_possible_repeat:
                self.last_exec_id = message.exec_id
            return [message]
        self._report("gateway.message_unexpected", {"type": type(message).__name__})
        return []

    def _settled(self, refusal: Refusal, ts: int) -> list[Event]:
        """What a refusal of one of our messages means for what it carried."""
        sent = self._sent.get(refusal.sequence)
        self._report("gateway.message_rejected", {"reason": refusal.reason, "about": refusal.ref_id})
        if sent is None:
            return []
        return _stamped(self._mapper.rejection(refusal, sent), ts)

    def _remember(self, number: int, command: Outbound) -> None:
        self._sent[number] = command
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)

    def _refused(self, command: Outbound, ts: int) -> list[Event]:
        """The answers to a message that was not sent because the venue is down."""
        refusal = Refusal("j", 0, "", "", 0, "4", "the venue is down", ts)
        return _stamped(self._mapper.rejection(refusal, command), ts)

    # --- down and up --------------------------------------------------------------------------------------------------
    def _down(self, ts: int, reason: str) -> list[Event]:
        """The session is gone, and with it what rested."""
        self._is_up = False
        self._sent.clear()
        self._report("venue.down", {"session": self._session, "reason": reason})
        return [self._status(ts, is_up=False, reason=reason), *self._gone(ts)]

    def _gone(self, ts: int) -> list[Event]:
        """Our quotes there are gone with the session; said once."""
        if not self._may_rest:
            return []
        self._may_rest = False
        return [
            QuotesCanceled(
                ts_event=ts,
                ts_init=ts,
                underlying=self._mapper.underlying,
                venue=self._mapper.venue,
                cancel_id="",
                contracts=(),
                reason="cancel on disconnect",
            )
        ]

    def _status(self, ts: int, *, is_up: bool, reason: str) -> VenueStatusChanged:
        return VenueStatusChanged(
            ts_event=ts,
            ts_init=ts,
            underlying=self._mapper.underlying,
            venue=self._mapper.venue,
            is_up=is_up,
            reason=reason,
        )

    def _revived(self, ts: int) -> list[Event]:
        """Bring a venue that was lost back: what we missed first. Waits once for as long as the patience lasts."""
        if self._is_up:
            return self._noticed(ts)
        until = time.monotonic() + (0.0 if self._has_given_up else self._patience_s)
        while not self._links.is_up(self._session) and time.monotonic() < until:
            self._links.take(self._session, min(0.2, max(until - time.monotonic(), 0.0)))
        if not self._links.is_up(self._session):
            self._has_given_up = True
            return []
        self._has_given_up = False
        return self._caught_up(ts)

    def _noticed(self, ts: int) -> list[Event]:
        """What came unasked since the last barrier."""
        events: list[Event] = []
        while (happened := self._links.take(self._session)) is not None:
            if isinstance(happened, LoggedOut):
                return events + self._down(ts, happened.reason) + self._revived(ts)
            events += self._events(self._told(happened), ts)
        return events

    def _caught_up(self, ts: int) -> list[Event]:
        """Ask for the executions that we missed, and take the venue as up when we have them."""
        self._questions += 1
        request = ExecutionsRequest(f"missed-{self._questions}", self.last_exec_id)
        events: list[Event] = []
        try:
            for body in self._mapper.write(request):
                self._links.send(self._session, body)
        except Unavailable:
            return []
        until = time.monotonic() + self._patience_s
        while (left := until - time.monotonic()) > 0:
            happened = self._links.take(self._session, left)
            if happened is None or isinstance(happened, LoggedOut):
                break
            message = self._told(happened)
            if isinstance(message, ExecutionsDone) and message.request_id == request.request_id:
                self._is_up = True
                self.last_exec_id = message.last_exec_id
                reason = f"session is back, {message.repeated} reports repeated"
                found = [*_stamped(events, ts), *self._gone(ts), self._status(ts, is_up=True, reason=reason)]
                self._may_rest = True
                return found
            events += self._events(message, ts)
        return _stamped(events, ts)

    def _ask_book(self) -> BookReport:
        self._questions += 1
        name = f"book-{self._questions}"
        for body in self._mapper.write(BookRequest(name)):
            self._links.send(self._session, body)
        until = time.monotonic() + self._patience_s
        while (happened := self._links.take(self._session, until - time.monotonic())) is not None:
            message = self._told(happened)
            if isinstance(message, BookReport) and message.request_id == name:
                return message
        raise Unavailable("the venue does not say what it holds", session=self._session)

    # --- snapshots ----------------------------------------------------------------------------------------------------
    def snapshot(self) -> bytes:
        """What we know of the venue; its book is its own."""
        return pack(f"remote.{self._session}", _VERSION, {"steps": self.steps, "last_exec_id": self.last_exec_id})

    def restore(self, state: bytes) -> None:
        """Take over what `snapshot` gave.

        Raises:
            DataError: The bytes are of another session.
        """
        values = unpack(f"remote.{self._session}", _VERSION, state)
        self.steps, self.last_exec_id = values["steps"], values["last_exec_id"]


def _stamped(events: Sequence[Event], ts: int) -> list[Event]:
    """Give events that have only a wall time the time of the run."""
    return [msgspec.structs.replace(event, ts_event=ts) for event in events]
